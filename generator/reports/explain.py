"""Each resolved value of a release, and where it came from."""

from __future__ import annotations

from collections.abc import Iterator

from generator import settings
from generator.documents import Json
from generator.records import Origin, Release, Variant
from generator.schema import dotted
from generator.serving import language_models
from generator.training.runs import Training
from generator.yamlio import pointers

_SHARING = {
    "knative": "Knative splits traffic over revisions of one InferenceService",
    "route": "Standard mode with a Gateway: one workload per version behind an HTTPRoute",
    "group": "one LLMInferenceService per version in a group that KServe makes the route of",
    "native": "`canaryStrategy`: KServe splits traffic over predictors of one InferenceService",
    "experiment": "one Model of Seldon's per version in an Experiment that shares the requests",
    "predictors": "one predictor per version in a SeldonDeployment",
    "single": "one workload, updated in place",
}
_OWNERS = {
    "kpa": "Knative's own autoscaler",
    "knative-hpa": "Knative's HPA, for the metrics of Pods",
    "kserve-hpa": "the HPA that KServe makes",
    "hpa": "an HPA of its own",
    "seldon": "Seldon: 2.x by what a Model lags behind, 1.x by an HPA that it makes",
    "none": "min equals max",
}


def origins(release: Release) -> tuple[Origin, ...]:
    """List what a release consists of: what was written first, then what follows from it."""
    return (*_live(release), *_settings(release), *_derived(release))


def _live(release: Release) -> Iterator[Origin]:
    for pointer, value in pointers(release.document.data["environments"][release.environment.name]):
        if pointer and pointer[0] not in settings.LAYERED:
            where = release.document.where(*release.pointer, *pointer)
            yield Origin(dotted(pointer), value, where)


def _settings(release: Release) -> Iterator[Origin]:
    merged: Json = {}
    for layer in release.layers:
        merged = settings.merge(merged, layer.data)
    for pointer, value in pointers(merged):
        where = settings.origin(release.layers, _whole_list(pointer))
        yield Origin(dotted(pointer), value, where, "" if where else "gen's default")


def _whole_list(pointer: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Lists are replaced whole, so an item comes from where its list comes from."""
    first = next((index for index, step in enumerate(pointer) if isinstance(step, int)), None)
    return pointer[:first]


def _derived(release: Release) -> Iterator[Origin]:
    environment = release.environment
    yield Origin("namespace", environment.namespace, environment.document.where("namespace"))
    yield Origin("strategy", release.strategy, None, _SHARING[release.strategy])
    if release.host:
        yield Origin("host", release.host, None, "<model>-<namespace>.<domain>")
    if release.strategy == "group" and environment.gateway:
        path = language_models.path(environment.namespace, release.model)
        yield Origin("path", path, None, f"of the Gateway {environment.gateway.name}")
    if release.serving.runtime:
        reason = f"from format {release.serving.format}"
        yield Origin("runtime", release.serving.runtime, None, reason)
        yield Origin("protocol", release.serving.protocol or "-", None, reason)
    yield from _placement(release)
    for variant in release.variants:
        yield from _variant(variant)
        yield from _beside(variant)
    yield from _steps(release)
    yield from _training(release.facts.get("training"))


def _training(training: Training | None) -> Iterator[Origin]:
    """Say which objects a run is and what starts others."""
    if training is None:
        return
    kind = "PyTorchJob" if training.api == "pytorchjob" else f"TrainJob of {training.runtime}"
    if training.run is not None:
        yield Origin("training: run", training.run.name, None, f"{kind}, named for what it is")
    if training.schedule is not None:
        how = f"{training.schedule.engine}, in {training.schedule.time_zone}"
        yield Origin("training: starts at", training.schedule.cron, None, how)
    if training.flavor:
        size = f"{training.nodes} x {training.per_node} x {training.resource}"
        yield Origin("training: takes", size, None, f"flavor {training.flavor}, all at once")


def _placement(release: Release) -> Iterator[Origin]:
    placement = release.placement
    if placement is None:
        return
    where = release.environment.document.where("flavors", placement.flavor, key=True)
    yield Origin("gpu.resource", f"{placement.count} x {placement.resource}", where)
    if placement.claim:
        name = f"{release.model}-{placement.claim.suffix}"
        yield Origin("gpu.claim", name, None, "a ResourceClaimTemplate of its devices")
    if placement.runtime_class:
        yield Origin("runtimeClassName", placement.runtime_class, where)
    for key, value in placement.node_selector.items():
        yield Origin(f"nodeSelector.{key}", value, where)
    for toleration in placement.tolerations:
        yield Origin("toleration", f"{toleration['key']}:{toleration['effect']}", where)


def _beside(variant: Variant) -> Iterator[Origin]:
    for component in variant.components:
        prefix = f"{variant.role} {variant.artifact.version}: {component.kind}"
        owner, scaling = _OWNERS[component.scaling.autoscaler], component.scaling
        bounds = f"{scaling.minimum} to {scaling.maximum} replicas, {owner}"
        yield Origin(prefix, component.workload, None, bounds)


def _steps(release: Release) -> Iterator[Origin]:
    """Say where each step of a graph leads here."""
    at = ("versions", release.stable.artifact.version, "graph")
    for name, node in release.facts.get("graph", {}).items():
        for index, step in enumerate(node["steps"]):
            targets = (step.get(key) for key in ("serviceUrl", "serviceName", "nodeName"))
            target = next(filter(None, targets))
            where = release.document.where(*at, name, "steps", index)
            yield Origin(f"{name}.steps[{index}]", target, where)


def _requests(variant: Variant) -> str:
    """Say which requests a variant gets."""
    if variant.role == "shadow":
        return f"copies of {variant.mirrored} % of the requests"
    header = variant.header
    more = f", and requests with `{header.name}: {header.value}`" if header else ""
    return f"{variant.traffic} % of the traffic{more}"


def _decided(variant: Variant) -> str:
    """Say what decides the number of replicas; KEDA takes the most that a trigger asks for."""
    scaling = variant.scaling
    if scaling.autoscaler != "keda":
        return _OWNERS[scaling.autoscaler]
    types: list[str] = [each["type"] for each in scaling.triggers]
    kinds = dict.fromkeys(_TRIGGERS.get(each, each) for each in types)
    return f"a ScaledObject on {', '.join(kinds)}"


_TRIGGERS = {
    "prometheus": "Prometheus",
    "kafka": "Kafka",
    "aws-sqs-queue": "SQS",
    "cron": "a schedule",
    "external-push": "requests that KEDA's interceptor counts",
}


def _variant(variant: Variant) -> Iterator[Origin]:
    owner = variant.scaling.autoscaler
    prefix = f"{variant.role} {variant.artifact.version}"
    yield Origin(f"{prefix}: workload", variant.name, None, _requests(variant))
    yield Origin(f"{prefix}: autoscaler", owner, None, _decided(variant))
    if variant.scaling.query:
        yield Origin(
            f"{prefix}: query", variant.scaling.query, None, "one result, for its own Pods"
        )
    if variant.artifact.args:
        yield Origin(f"{prefix}: args", variant.artifact.args, None, "serving, then the version's")
