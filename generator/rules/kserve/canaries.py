"""Rules of KServe's own canaries, which only own templates write."""

from __future__ import annotations

from collections.abc import Iterator

from generator.documents import Json
from generator.rules import Book, Scene, Spot
from generator.rules.fields import annotation, block, number, text
from generator.rules.kserve.accessors import (
    AUTOSCALER,
    LOCAL,
    VISIBILITY,
    canaries,
    components,
    is_standard,
)
from generator.yamlio import Pointer

BOOK = Book("canary")

_PREDICTOR = "kserve/kserve@pkg/controller/v1beta1/inferenceservice/components/predictor.go"
_SPLIT = "kserve/kserve#5912"
_AT_CANARY: Pointer = ("spec", "canary")

_IGNORED = BOOK.error(
    "C019",
    "In Standard mode KServe ignores `canaryTrafficPercent` and updates the model at once.",
    evidence="kserve/kserve#4074, kserve/kserve#5335",
    remedy="Remove it and write `canary` in the model's document: gen renders a weighted route.",
)


@_IGNORED.on_objects("InferenceService")
def _percent_that_nobody_reads(item: Json, scene: Scene) -> Iterator[Spot]:
    for name, component in components(item) if is_standard(item, scene) else ():
        if "canaryTrafficPercent" in component:
            percent = component["canaryTrafficPercent"]
            message = f"{percent} % is ignored in Standard mode: the new version takes everything"
            hint = "remove it, and write `canary` in the model's document"
            yield Spot(message, ("spec", name, "canaryTrafficPercent"), hint)


_EARLY = BOOK.error(
    "C020",
    "Before 0.21, KServe starts the Pods of `spec.canary` and sends them nothing.",
    evidence=f"{_SPLIT}, kserve/kserve#5672",
    remedy="Write `canary` in the model's document, or upgrade KServe.",
    kserve="<0.21",
)


@_EARLY.on_objects("InferenceService")
def _canary_before_its_time(item: Json, scene: Scene) -> Iterator[Spot]:
    if canaries(item):
        message = f"KServe {scene.environment.kserve} gives `spec.canary` no traffic"
        hint = "write `canary` in the model's document: gen renders a weighted route"
        yield Spot(message, _AT_CANARY, hint)


_UNREACHED = BOOK.error(
    "C021",
    "Only routes that KServe makes for a Gateway send traffic to `spec.canary`.",
    evidence=_SPLIT,
    remedy="Use it in Standard mode, with a Gateway, without the label cluster-local.",
    kserve=">=0.21",
)


@_UNREACHED.on_objects("InferenceService")
def _canary_that_is_not_reached(item: Json, scene: Scene) -> Iterator[Spot]:
    if not canaries(item):
        return
    if not is_standard(item, scene):
        reason = "`spec.canary` is of Standard mode, and this is Knative"
    elif scene.environment.gateway is None:
        reason = f"environment {scene.environment.name} has no Gateway, and an Ingress has no split"
    elif text(item, "metadata", "labels", VISIBILITY) == LOCAL:
        reason = "KServe makes no routes for what is `cluster-local`, so the canary gets nothing"
    else:
        return
    yield Spot(reason, _AT_CANARY, "write `canary` in the model's document instead")


_REFUSED = BOOK.error(
    "C022",
    "KServe's webhook wants canaries with names of their own, at most 100 %, and no scaling.",
    evidence="kserve/kserve@pkg/apis/serving/v1beta1/inference_service_validation.go",
    remedy="Give each its name, keep the sum at 100, and only `minReplicas` beside the model.",
    kserve=">=0.20",
)
_NOT_THERE = ("maxReplicas", "scaleTarget", "scaleMetric", "autoScaling")


@_REFUSED.on_objects("InferenceService")
def _canary_that_is_refused(item: Json, scene: Scene) -> Iterator[Spot]:
    seen = {text(item, "spec", "predictor", "name")}
    total = 0
    least = number(item, "spec", "predictor", "minReplicas", default=1)
    for index, entry in canaries(item):
        place: Pointer = (*_AT_CANARY, index)
        predictor = block(entry, "predictor")
        name = text(predictor, "name")
        total += number(entry, "trafficPercent")
        if not name or name in seen:
            message = "a canary needs a name of its own" if not name else f"`{name}` is there twice"
            yield Spot(message, (*place, "predictor"), "write `name: v2`, or the like")
        elif total > 100:
            message = f"the canaries would get {total} % of the requests"
            yield Spot(message, (*place, "trafficPercent"), "keep the sum at 100 or below")
        yield from _unscaled(predictor, (*place, "predictor"), least)
        seen.add(name)


def _unscaled(predictor: Json, place: Pointer, least: int) -> Iterator[Spot]:
    for key in _NOT_THERE:
        if key in predictor:
            message = f"KServe refuses `{key}` in a canary: it follows the stable predictor"
            yield Spot(message, (*place, key), "remove it")
    if number(predictor, "minReplicas") > least:
        message = f"a canary has at most the {least} replicas of the stable predictor"
        yield Spot(message, (*place, "minReplicas"), f"write `minReplicas: {least}`")


_KEDA = BOOK.error(
    "C023",
    "With `autoscalerClass: keda` a canary's ScaledObject has no triggers, and KServe stops.",
    evidence=f"{_PREDICTOR}, kedacore/keda@apis/keda/v1alpha1/scaledobject_webhook.go",
    remedy="Use `autoscalerClass: none` or `hpa` beside `spec.canary`.",
    kserve=">=0.20",
)


@_KEDA.on_objects("InferenceService")
def _canary_beside_keda(item: Json, scene: Scene) -> Iterator[Spot]:
    if canaries(item) and annotation(item, AUTOSCALER) == "keda":
        message = "KEDA refuses the canary's ScaledObject, and KServe updates the stable no more"
        place = ("metadata", "annotations", AUTOSCALER)
        yield Spot(message, place, "write `none` or `hpa`")


_EXTERNAL = BOOK.warning(
    "C024",
    "With `autoscalerClass: external` nobody scales the canary: it has one replica.",
    evidence=_PREDICTOR,
    remedy="Use `autoscalerClass: none` or `hpa` beside `spec.canary`.",
    kserve=">=0.20",
)


@_EXTERNAL.on_objects("InferenceService")
def _canary_beside_another_scaler(item: Json, scene: Scene) -> Iterator[Spot]:
    if canaries(item) and annotation(item, AUTOSCALER) == "external":
        message = "nobody sets the replicas of the canary, so there is one whatever its traffic"
        place = ("metadata", "annotations", AUTOSCALER)
        yield Spot(message, place, "write `none` or `hpa`")


_PAST = BOOK.error(
    "C025",
    "KServe sends the canary's part past transformer and explainer.",
    evidence="kserve/kserve#5944",
    remedy="Write `canary` in the model's document, with a route of your own to the transformers.",
    kserve=">=0.20",
)


@_PAST.on_objects("InferenceService")
def _canary_beside_a_transformer(item: Json, scene: Scene) -> Iterator[Spot]:
    for name, _ in components(item) if canaries(item) else ():
        if name != "predictor":
            message = f"the canary's part of the requests would go past the {name}"
            yield Spot(message, _AT_CANARY, "write `canary` in the model's document instead")


_LOST = BOOK.error(
    "C026",
    "KServe does not take `storageUris` or `workerSpec` over to a canary.",
    evidence=_PREDICTOR,
    remedy="Use one `storageUri`, or write `canary` in the model's document.",
    kserve=">=0.20",
)


@_LOST.on_objects("InferenceService")
def _canary_without_its_storages(item: Json, scene: Scene) -> Iterator[Spot]:
    for place in _predictors(item):
        for key in ("storageUris", "workerSpec"):
            if key in block(item, *place):
                message = f"`{key}` does not reach the Pods of a canary"
                yield Spot(message, (*place, key), "write `canary` in the model's document instead")


def _predictors(item: Json) -> list[Pointer]:
    """Point to the stable predictor and its canaries; nothing without canaries."""
    places: list[Pointer] = [(*_AT_CANARY, index, "predictor") for index, _ in canaries(item)]
    return [("spec", "predictor"), *places] if places else []


_INHERITED = BOOK.error(
    "C027",
    "A canary without a runtime inherits the stable one's, which serves the stable format.",
    evidence=_PREDICTOR,
    remedy="Write the canary's own `runtime`.",
    kserve=">=0.20",
)


@_INHERITED.on_objects("InferenceService")
def _canary_of_another_format(item: Json, scene: Scene) -> Iterator[Spot]:
    stable = text(item, "spec", "predictor", "model", "modelFormat", "name")
    for index, entry in canaries(item):
        model = block(entry, "predictor", "model")
        own = text(model, "modelFormat", "name")
        if own and own != stable and not text(model, "runtime"):
            message = f"the canary is {own} and would get the runtime of {stable}"
            place = (*_AT_CANARY, index, "predictor", "model")
            yield Spot(message, place, "add its `runtime`")


_NOBODY = BOOK.error(
    "C028",
    "A canary with 0 % and no `minReplicas` has no replica, and is never ready.",
    evidence=_PREDICTOR,
    remedy="Write `minReplicas: 1` for it, or more than 0 %.",
    kserve=">=0.20",
)


@_NOBODY.on_objects("InferenceService")
def _canary_of_nobody(item: Json, scene: Scene) -> Iterator[Spot]:
    if annotation(item, AUTOSCALER) != "none":
        return
    for index, entry in canaries(item):
        is_unset = "minReplicas" not in block(entry, "predictor")
        if number(entry, "trafficPercent", default=1) == 0 and is_unset:
            message = "0 % of the replicas is none, so the canary would never be ready"
            yield Spot(message, (*_AT_CANARY, index, "predictor"), "add `minReplicas: 1`")


_NAMED = BOOK.error(
    "C029",
    "In Knative mode a name of the predictor changes the model's host.",
    evidence="kserve/kserve@pkg/constants/constants.go",
    remedy="Remove `predictor.name`: it is of `spec.canary` in Standard mode.",
)


@_NAMED.on_objects("InferenceService")
def _predictor_with_a_name(item: Json, scene: Scene) -> Iterator[Spot]:
    if text(item, "spec", "predictor", "name") and not is_standard(item, scene):
        message = "this makes another Knative Service, with another host, and leaves the old one"
        yield Spot(message, ("spec", "predictor", "name"), "remove it")
