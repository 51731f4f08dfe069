"""Rules of the scaling fields of an InferenceService: who reads which, and who drops what."""

from __future__ import annotations

from collections.abc import Iterator

from generator.documents import Json
from generator.rules import Book, Scene, Spot
from generator.rules.fields import annotated, annotation_at, at, mode, spec

BOOK = Book("autoscaling")

_CLASS = "serving.kserve.io/autoscalerClass"
_KNATIVE_CLASS = "autoscaling.knative.dev/class"
_VALIDATION = "kserve/kserve@pkg/apis/serving/v1beta1/inference_service_validation.go"
_RECONCILERS = "kserve/kserve@pkg/controller/v1beta1/inferenceservice/reconcilers"
_RESOURCES = ("cpu", "memory")


def _components(item: Json) -> Iterator[tuple[str, Json]]:
    for key in ("predictor", "transformer", "explainer"):
        found = spec(item).get(key)
        if isinstance(found, dict):
            yield key, found


def _owner(item: Json, scene: Scene) -> str:
    """Say who scales: kpa or knative-hpa in Knative mode, otherwise the class or hpa."""
    if mode(item, scene) == "Knative":
        by_hpa = str(annotated(item).get(_KNATIVE_CLASS, "")).startswith("hpa.")
        return "knative-hpa" if by_hpa else "kpa"
    return str(annotated(item).get(_CLASS, "hpa"))


_WRONG_METRIC = BOOK.error(
    "A070",
    "A `scaleMetric` is refused or silently ignored where its autoscaler does not take it.",
    evidence=f"{_VALIDATION}, {_RECONCILERS}/hpa",
    remedy="Use cpu or memory with KServe's HPA, concurrency or rps with Knative; beside KEDA or "
    "an external scaler, remove it.",
)

_TAKES = {
    "hpa": _RESOURCES,
    "knative-hpa": _RESOURCES,
    "kpa": ("concurrency", "rps"),
    "keda": (),
    "external": (),
    "none": (),
}


@_WRONG_METRIC.on_objects("InferenceService")
def _metric_of_another(item: Json, scene: Scene) -> Iterator[Spot]:
    owner = _owner(item, scene)
    for key, component in _components(item):
        metric = component.get("scaleMetric")
        if metric is not None and owner in _TAKES and metric not in _TAKES[owner]:
            message = f"the autoscaler here is {owner}, and it takes no `scaleMetric: {metric}`"
            hint = " or ".join(f"`{each}`" for each in _TAKES[owner]) or "remove it"
            yield Spot(message, ("spec", key, "scaleMetric"), hint)


_DROPPED = BOOK.warning(
    "A071",
    "KServe drops `autoScaling.behavior` with its HPA, and all but the windows of it with KEDA.",
    evidence=f"{_RECONCILERS}/hpa, {_RECONCILERS}/keda",
    remedy="Write a ScaledObject or HPA of your own, with the autoscaler class `external`.",
)


@_DROPPED.on_objects("InferenceService")
def _dropped_behavior(item: Json, scene: Scene) -> Iterator[Spot]:
    owner = _owner(item, scene)
    for key, component in _components(item):
        behavior = at(component, "autoScaling", "behavior", default={}) or {}
        pointer = ("spec", key, "autoScaling", "behavior")
        if behavior and owner == "hpa":
            yield Spot("KServe gives its HPA no `behavior`", pointer, "remove it")
        elif owner == "keda" and any("policies" in (rule or {}) for rule in behavior.values()):
            message = "of `behavior`, KServe gives KEDA the stabilization windows and no policies"
            yield Spot(message, pointer, "remove the policies")


_NOT_KNATIVES = BOOK.error(
    "A072",
    "In Knative mode KServe ignores `autoScaling` and the classes keda and external.",
    evidence=f"{_RECONCILERS}/knative",
    remedy="Use `scaleMetric` and `scaleTarget`, or Standard mode.",
)


@_NOT_KNATIVES.on_objects("InferenceService")
def _ignored_in_knative(item: Json, scene: Scene) -> Iterator[Spot]:
    if mode(item, scene) != "Knative":
        return
    for key, component in _components(item):
        if component.get("autoScaling"):
            message = "`autoScaling` is of Standard mode, and Knative's autoscaler never sees it"
            hint = "use `scaleMetric` and `scaleTarget`"
            yield Spot(message, ("spec", key, "autoScaling"), hint)
    found = annotated(item).get(_CLASS)
    if found in ("keda", "external"):
        message = f"Knative scales whatever the autoscalerClass says, and it says {found}"
        yield Spot(message, annotation_at(_CLASS), "remove it")


_SILENTLY_ONE = BOOK.error(
    "A073",
    "KServe's HPA silently makes one replica of a minimum of 0.",
    evidence="kserve/kserve#3514, kserve/kserve#6001",
    remedy="Write 1, or use Knative mode or the class `keda`.",
)


@_SILENTLY_ONE.on_objects("InferenceService")
def _zero_with_an_hpa(item: Json, scene: Scene) -> Iterator[Spot]:
    for key, component in _components(item):
        if component.get("minReplicas") == 0 and _owner(item, scene) == "hpa":
            message = "KServe's HPA keeps one replica, whatever `minReplicas: 0` says"
            yield Spot(message, ("spec", key, "minReplicas"), "write 1")


_NEVER = BOOK.warning(
    "A074",
    "KServe's HPA never scales without a `maxReplicas` above `minReplicas`.",
    evidence=f"{_RECONCILERS}/hpa",
    remedy="Say `maxReplicas`, or the class `none` for a fixed number.",
)


@_NEVER.on_objects("InferenceService")
def _never_scales(item: Json, scene: Scene) -> Iterator[Spot]:
    for key, component in _components(item):
        least = max(component.get("minReplicas", 1), 1)
        most = component.get("maxReplicas") or least
        has_metric = "scaleMetric" in component or "autoScaling" in component
        if _owner(item, scene) == "hpa" and has_metric and most == least:
            message = f"`maxReplicas` is not above `minReplicas`: {least} replicas stay {least}"
            yield Spot(message, ("spec", key, "maxReplicas"), "raise it, or use the class `none`")


_NO_TRIGGERS = BOOK.error(
    "A075",
    "With the class `keda`, KServe makes triggers of `autoScaling.metrics` alone.",
    evidence=f"{_RECONCILERS}/keda",
    remedy="Add `autoScaling.metrics`.",
)


@_NO_TRIGGERS.on_objects("InferenceService")
def _keda_without_metrics(item: Json, scene: Scene) -> Iterator[Spot]:
    predictor = spec(item).get("predictor") or {}
    is_kedas = _owner(item, scene) == "keda"
    if is_kedas and not at(predictor, "autoScaling", "metrics"):
        message = "KServe would make a ScaledObject without triggers, which KEDA refuses"
        hint = "add `spec.predictor.autoScaling.metrics`, or use the class `external`"
        yield Spot(message, annotation_at(_CLASS), hint)


_FALLS_BACK = BOOK.error(
    "A076",
    "KServe's HPA falls back to cpu where `scaleMetric: memory` has no `scaleTarget`.",
    evidence=f"{_RECONCILERS}/hpa",
    remedy="Add `scaleTarget`, in percent of the request.",
)


@_FALLS_BACK.on_objects("InferenceService")
def _memory_without_a_target(item: Json, scene: Scene) -> Iterator[Spot]:
    for key, component in _components(item):
        is_memory = component.get("scaleMetric") == "memory" and _owner(item, scene) == "hpa"
        if is_memory and not component.get("scaleTarget"):
            message = "without `scaleTarget` KServe scales on cpu instead of memory"
            yield Spot(message, ("spec", key, "scaleMetric"), "add `scaleTarget: 80`")


def _metrics(item: Json) -> Iterator[tuple[Json, tuple[str | int, ...]]]:
    """Give the metrics of `autoScaling` with the ways to them."""
    for key, component in _components(item):
        for index, metric in enumerate(at(component, "autoScaling", "metrics", default=()) or ()):
            yield metric, ("spec", key, "autoScaling", "metrics", index)


_NO_VALUE = BOOK.error(
    "A077",
    "KServe reads the threshold of an external metric from `target.value`, and takes 0 otherwise.",
    evidence=f"{_RECONCILERS}/keda, {_VALIDATION}",
    remedy='Write `target: {type: AverageValue, value: "...", averageValue: "..."}`.',
)

_AVERAGED = BOOK.warning(
    "A078",
    "KEDA divides a metric of `type: Value` by the replicas, because KServe passes no type on.",
    evidence=f"{_RECONCILERS}/keda",
    remedy="Reckon the value per replica.",
)


@_NO_VALUE.on_objects("InferenceService")
def _metric_without_a_value(item: Json, scene: Scene) -> Iterator[Spot]:
    for metric, pointer in _metrics(item):
        for key in ("external", "podmetric"):
            if key in metric and not at(metric, key, "target", "value"):
                message = "without `target.value` the threshold is 0, which no HPA takes"
                yield Spot(message, (*pointer, key, "target"), "add `value`")


@_AVERAGED.on_objects("InferenceService")
def _value_per_replica(item: Json, scene: Scene) -> Iterator[Spot]:
    for metric, pointer in _metrics(item):
        wanted = at(metric, "external", "target", default={})
        if wanted.get("type") == "Value" and wanted.get("value"):
            message = f"{wanted['value']} is per replica, although it says `type: Value`"
            hint = "write `type: AverageValue` with `averageValue` beside `value`"
            yield Spot(message, (*pointer, "external", "target", "type"), hint)


_UNLIMITED = BOOK.warning(
    "A079",
    "`containerConcurrency` is Knative's: in Standard mode nothing limits requests by it.",
    evidence="kserve/kserve@pkg/controller/v1beta1/inferenceservice/components/predictor.go",
    remedy="Remove it, and let the runtime's arguments limit what it takes at a time.",
)


@_UNLIMITED.on_objects("InferenceService")
def _concurrency_in_standard(item: Json, scene: Scene) -> Iterator[Spot]:
    for key, component in _components(item):
        if component.get("containerConcurrency") and mode(item, scene) == "Standard":
            message = "nothing reads `containerConcurrency` in Standard mode"
            yield Spot(message, ("spec", key, "containerConcurrency"), "remove it")


_BOUNDS = BOOK.error(
    "A080",
    "KServe's webhook refuses `minReplicas` above `maxReplicas`.",
    evidence=_VALIDATION,
    remedy="Swap or correct the two numbers.",
)


@_BOUNDS.on_objects("InferenceService")
def _min_above_max(item: Json, scene: Scene) -> Iterator[Spot]:
    for key, component in _components(item):
        least, most = component.get("minReplicas") or 0, component.get("maxReplicas") or 0
        if most and least > most:
            message = f"`minReplicas` {least} is above `maxReplicas` {most}"
            yield Spot(message, ("spec", key, "minReplicas"), "min is at most max")


_TARGET = BOOK.error(
    "A082",
    "KServe's webhook refuses a `scaleTarget` above 100 percent, or below one request.",
    evidence=_VALIDATION,
    remedy="Write a percentage from 1 to 100, or at least one request per second.",
)


@_TARGET.on_objects("InferenceService")
def _target_out_of_bounds(item: Json, scene: Scene) -> Iterator[Spot]:
    for key, component in _components(item):
        wanted = component.get("scaleTarget")
        is_percent = component.get("scaleMetric", "cpu") in _RESOURCES
        if wanted is None or _owner(item, scene) not in ("hpa", "knative-hpa", "kpa"):
            continue
        if wanted < 1 or (is_percent and wanted > 100 and _owner(item, scene) != "kpa"):
            message = f"`scaleTarget: {wanted}` is refused"
            hint = "1 to 100, in percent of the request" if is_percent else "at least 1"
            yield Spot(message, ("spec", key, "scaleTarget"), hint)


_UNREAD = BOOK.error(
    "A083",
    "KServe reads the number of replicas from fields, and not from these annotations.",
    evidence="kserve/kserve@pkg/controller/v1alpha1/utils/utils.go, "
    "kserve/kserve@pkg/constants/constants.go",
    remedy="Use `minReplicas`, `maxReplicas`, `scaleMetric` and `scaleTarget`.",
)

_FIELDS = {
    "autoscaling.knative.dev/min-scale": "minReplicas",
    "autoscaling.knative.dev/minScale": "minReplicas",
    "autoscaling.knative.dev/max-scale": "maxReplicas",
    "autoscaling.knative.dev/maxScale": "maxReplicas",
    "serving.kserve.io/metrics": "scaleMetric",
    "serving.kserve.io/targetUtilizationPercentage": "scaleTarget",
}


@_UNREAD.on_objects("InferenceService")
def _annotation_that_nobody_reads(item: Json, scene: Scene) -> Iterator[Spot]:
    for key, field in _FIELDS.items():
        if key in annotated(item):
            message = f"KServe does not read the annotation {key}"
            yield Spot(message, annotation_at(key), f"write `spec.predictor.{field}`")
    for key, component in _components(item):
        if "scaleMetricType" in component:
            message = "KServe has the field `scaleMetricType` and reads it nowhere"
            yield Spot(message, ("spec", key, "scaleMetricType"), "remove it")


_KEPT = BOOK.warning(
    "A084",
    "With the autoscaler class `none` KServe keeps `minReplicas` and ignores `maxReplicas`.",
    evidence=f"{_RECONCILERS}/deployment",
    remedy="Give both the same number, or name a class that scales.",
)


@_KEPT.on_objects("InferenceService")
def _range_without_a_scaler(item: Json, scene: Scene) -> Iterator[Spot]:
    if _owner(item, scene) != "none":
        return
    for key, component in _components(item):
        least, most = component.get("minReplicas", 1), component.get("maxReplicas")
        if most and most != least:
            message = f"there is no autoscaler, so that {least} replicas stay {least}"
            hint = f"write `maxReplicas: {least}`, or the class `hpa`"
            yield Spot(message, ("spec", key, "maxReplicas"), hint)
