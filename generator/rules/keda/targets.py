"""Rules between a scaler and what it scales: one owner, one that exists, and bounds that hold."""

from __future__ import annotations

from collections.abc import Iterator

from generator.documents import Json
from generator.rules import Book, Scene, Spot
from generator.rules.fields import (
    annotated,
    annotation_at,
    at,
    containers,
    mode,
    name_of,
    spec,
    target,
)

BOOK = Book("autoscaling")

_CLASS = "serving.kserve.io/autoscalerClass"
_SCALERS = ("ScaledObject", "HorizontalPodAutoscaler")
_SCALABLE = ("Deployment", "StatefulSet", "ReplicaSet")
_WITHOUT_SCALE = ("InferenceService", "InferenceGraph", "LLMInferenceService")
_LLM = "LLMInferenceService"
_REFERENCE = ("spec", "scaleTargetRef", "name")

_NO_TARGET = BOOK.error(
    "A060",
    "A scaler of a workload that nobody makes scales nothing.",
    evidence="kedacore/keda@controllers/keda/scaledobject_controller.go",
    remedy="Name the Deployment: KServe calls it `<InferenceService>-predictor`.",
)


def _workloads(scene: Scene) -> dict[tuple[str, str], Json]:
    """Give the workloads of a scene, those that KServe makes with who asks for them."""
    found = {(item["kind"], name_of(item)): item for item in scene.of_kind(*_SCALABLE)}
    found |= {("Deployment", f"{name_of(item)}-kserve"): item for item in scene.of_kind(_LLM)}
    for item in scene.of_kind("InferenceService"):
        own = at(item, "spec", "predictor", "name")
        middle = f"{own}-" if own else ""
        found["Deployment", f"{name_of(item)}-{middle}predictor"] = item
        for component in ("transformer", "explainer"):
            if component in spec(item):
                found["Deployment", f"{name_of(item)}-{component}"] = item
        for canary in spec(item).get("canary") or ():
            called = at(canary, "predictor", "name", default="")
            found["Deployment", f"{name_of(item)}-{called}-predictor"] = item
    return found


@_NO_TARGET.on_objects(*_SCALERS)
def _scales_nothing(item: Json, scene: Scene) -> Iterator[Spot]:
    wanted, known = target(item), _workloads(scene)
    if wanted[0] in _WITHOUT_SCALE:
        message = f"an {wanted[0]} has no number of replicas that a scaler could write"
        hint = "scale its Deployment: place `{{ variant.workload }}`, with `kind: Deployment`"
        yield Spot(message, ("spec", "scaleTargetRef", "kind"), hint)
    if scene.release is None or wanted[0] not in _SCALABLE or wanted in known:
        return
    names = ", ".join(f"{kind} `{found}`" for kind, found in known)
    message = f"there is no {wanted[0]} `{wanted[1]}` here"
    yield Spot(message, _REFERENCE, f"there is {names}: place `{{{{ variant.workload }}}}`")


_TWO = BOOK.error(
    "A061",
    "Two scalers of one workload undo each other; KEDA's webhook refuses the second.",
    evidence="kedacore/keda@apis/keda/v1alpha1/scaledobject_webhook.go, kserve/kserve#4679",
    remedy="Put all triggers into one ScaledObject, or remove the HPA.",
)


@_TWO.on_objects(*_SCALERS)
def _second_scaler(item: Json, scene: Scene) -> Iterator[Spot]:
    for other in scene.of_kind(*_SCALERS):
        if other is item:
            return
        if target(other) == target(item):
            message = f"{other['kind']} `{name_of(other)}` scales {target(item)[1]} already"
            yield Spot(message, _REFERENCE, "keep one of them")
            return


_OWNER = BOOK.error(
    "A062",
    "KServe scales a Deployment itself unless its autoscaler class is `external`.",
    evidence="kserve/kserve@pkg/controller/v1beta1/inferenceservice/reconcilers/hpa, "
    "kserve/kserve#5196",
    remedy="Annotate the InferenceService with `serving.kserve.io/autoscalerClass: external`.",
)


@_OWNER.on_objects("InferenceService", *_SCALERS)
def _kserve_scales_too(item: Json, scene: Scene) -> Iterator[Spot]:
    scaler, owner = _scaler_and_owner(item, scene)
    if scaler is None or owner is None or mode(owner, scene) == "Knative":
        return
    found = annotated(owner).get(_CLASS, "")
    if found != "external" and item is (scaler if _is_added(found, scene) else owner):
        does = {"none": "sets the number of replicas back", "keda": "makes a ScaledObject itself"}
        says = f"autoscalerClass {found}" if found else "no autoscalerClass"
        message = (
            f"with {says} KServe {does.get(str(found), 'makes an HPA')}, and "
            f"{scaler['kind']} `{name_of(scaler)}` scales {target(scaler)[1]} too"
        )
        if item is scaler:
            yield Spot(message, _REFERENCE, _INSTEAD)
        else:
            yield Spot(message, annotation_at(_CLASS), f"annotate it with `{_CLASS}: external`")


_INSTEAD = (
    "remove it, and write `scaling` in the model's document; or annotate the InferenceService "
    f"with `{_CLASS}: external`"
)
_CLASSES = {"kserve-hpa": "hpa", "keda": "external", "none": "none"}


def _is_added(found: str, scene: Scene) -> bool:
    """Say whether the class is the one that the documents lead to, so that the scaler is wrong."""
    release = scene.release
    return release is not None and found == _CLASSES.get(release.stable.scaling.autoscaler)


def _scaler_and_owner(item: Json, scene: Scene) -> tuple[Json | None, Json | None]:
    """Find the first scaler of what an InferenceService runs, given the one or the other."""
    workloads = _workloads(scene)
    for scaler in scene.of_kind(*_SCALERS):
        owner = workloads.get(target(scaler))
        if owner and owner["kind"] == "InferenceService" and item in (scaler, owner):
            return scaler, owner
    return None, None


_REPLICAS = BOOK.error(
    "A063",
    "`replicas` in Git sets a scaled workload back at every sync.",
    evidence="kedacore/keda#5572, argoproj/argo-cd@docs/user-guide/best_practices.md",
    remedy="Leave `replicas` out: the scaler owns it.",
)


@_REPLICAS.on_objects("Deployment", "StatefulSet", _LLM)
def _replicas_of_a_scaled(item: Json, scene: Scene) -> Iterator[Spot]:
    is_llm = item["kind"] == _LLM
    own = ("Deployment", f"{name_of(item)}-kserve") if is_llm else (item["kind"], name_of(item))
    scalers = [scaler for scaler in scene.of_kind(*_SCALERS) if target(scaler) == own]
    if scalers and spec(item).get("replicas") is not None:
        message = (
            f"{scalers[0]['kind']} `{name_of(scalers[0])}` decides the replicas of {own[1]}, and "
            f"{'KServe' if is_llm else 'Argo CD'} would set them back to {spec(item)['replicas']}"
        )
        yield Spot(message, ("spec", "replicas"), "remove `replicas`")


_REVISIONS = BOOK.error(
    "A064",
    "In Knative mode each revision is a Deployment of another name, which no other scaler follows.",
    evidence="kserve/kserve@pkg/controller/v1beta1/inferenceservice/reconcilers/knative",
    remedy="Leave scaling to Knative, or use an environment in Standard mode.",
)


@_REVISIONS.on_objects(*_SCALERS)
def _scales_a_revision(item: Json, scene: Scene) -> Iterator[Spot]:
    owner = _workloads(scene).get(target(item))
    if owner and owner["kind"] == "InferenceService" and mode(owner, scene) == "Knative":
        message = f"Knative scales {name_of(owner)} itself, and `{target(item)[1]}` is never made"
        yield Spot(message, _REFERENCE, "remove it; `scaling` says what Knative does")


_HPA_BOUNDS = BOOK.error(
    "A065",
    "The API server refuses an HPA whose minimum is above its maximum.",
    evidence="kubernetes/kubernetes@pkg/apis/autoscaling/validation/validation.go",
    remedy="Swap or correct the two numbers.",
)


@_HPA_BOUNDS.on_objects("HorizontalPodAutoscaler")
def _hpa_min_above_max(item: Json, scene: Scene) -> Iterator[Spot]:
    least, most = spec(item).get("minReplicas"), spec(item).get("maxReplicas")
    if least is not None and most is not None and least > most:
        message = f"`minReplicas` {least} is above `maxReplicas` {most}"
        yield Spot(message, ("spec", "minReplicas"), "min is at most max")


@BOOK.warning(
    "A066",
    "An HPA takes no percentage of a request that neither container nor LimitRange gives.",
    evidence="kubernetes/website@content/en/docs/tasks/run-application/horizontal-pod-autoscale.md",
    remedy="Add the request to every container, or scale on an `AverageValue`.",
).on_objects("HorizontalPodAutoscaler")
def _percentage_of_nothing(item: Json, scene: Scene) -> Iterator[Spot]:
    workload = _workloads(scene).get(target(item))
    if workload is None or workload["kind"] in ("InferenceService", _LLM):
        return
    for index, metric in enumerate(spec(item).get("metrics") or ()):
        resource = metric.get("resource") or {}
        if at(resource, "target", "type") != "Utilization":
            continue
        for container, pointer in containers(workload):
            asked = (container.get("resources") or {}).get("requests") or {}
            limits = (container.get("resources") or {}).get("limits") or {}
            if "initContainers" not in pointer and resource["name"] not in {*asked, *limits}:
                message = f"container `{container.get('name')}` requests no {resource['name']}"
                yield Spot(message, ("spec", "metrics", index), "add the request to the container")


@BOOK.warning(
    "A067",
    "The API server refuses an HPA with a minimum of 0 unless HPAScaleToZero is switched on.",
    evidence="kubernetes/kubernetes@pkg/apis/autoscaling/validation/validation.go",
    remedy="Write `minReplicas: 1`, or let KEDA scale to zero.",
).on_objects("HorizontalPodAutoscaler")
def _hpa_of_nothing(item: Json, scene: Scene) -> Iterator[Spot]:
    if spec(item).get("minReplicas") == 0:
        message = "an HPA with a minimum of 0 needs the feature gate HPAScaleToZero"
        yield Spot(message, ("spec", "minReplicas"), "write `minReplicas: 1`")


@BOOK.error(
    "A068",
    "KServe knows hpa, keda, external and none, and refuses any other autoscaler class.",
    evidence="kserve/kserve@pkg/constants/constants.go",
    remedy="Write one of the four; Knative's own autoscaler needs no class.",
).on_objects("InferenceService")
def _unknown_class(item: Json, scene: Scene) -> Iterator[Spot]:
    found = annotated(item).get(_CLASS)
    if found is not None and found not in ("hpa", "keda", "external", "none"):
        message = f"KServe knows no autoscalerClass `{found}`"
        yield Spot(message, annotation_at(_CLASS), "one of hpa, keda, external, none")
