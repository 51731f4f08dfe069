"""Each resolved value of a release, and where it came from."""

from __future__ import annotations

from collections.abc import Iterator

from generator import settings
from generator.records import Json, Origin, Release, Variant
from generator.schema import dotted
from generator.yamlio import pointers

_SHARING = {
    "knative": "Knative splits traffic over revisions of one InferenceService",
    "route": "Standard mode with a Gateway: one InferenceService per version behind an HTTPRoute",
    "native": "`canaryStrategy`: KServe splits traffic over predictors of one InferenceService",
    "single": "one workload, updated in place",
}
_OWNERS = {
    "kpa": "Knative's own autoscaler",
    "knative-hpa": "Knative's HPA, for the metrics of Pods",
    "kserve-hpa": "the HPA that KServe makes",
    "hpa": "an HPA of its own",
    "keda": "a ScaledObject on Prometheus",
    "none": "min equals max",
}


def origins(release: Release) -> tuple[Origin, ...]:
    """List what a release consists of: what was written first, then what follows from it."""
    return (*_live(release), *_settings(release), *_derived(release))


def _live(release: Release) -> Iterator[Origin]:
    for pointer, value in pointers(release.document.data["environments"][release.environment.name]):
        if pointer and pointer[0] not in settings.MERGED:
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
    if release.serving.runtime:
        reason = f"from format {release.serving.format}"
        yield Origin("runtime", release.serving.runtime, None, reason)
        yield Origin("protocol", release.serving.protocol or "-", None, reason)
    yield from _placement(release)
    for variant in release.variants:
        yield from _variant(variant)


def _placement(release: Release) -> Iterator[Origin]:
    placement = release.placement
    if placement is None:
        return
    where = release.environment.document.where("flavors", placement.flavor, key=True)
    yield Origin("gpu.resource", f"{placement.count} x {placement.resource}", where)
    for key, value in placement.node_selector.items():
        yield Origin(f"nodeSelector.{key}", value, where)
    for toleration in placement.tolerations:
        yield Origin("toleration", f"{toleration['key']}:{toleration['effect']}", where)


def _requests(variant: Variant) -> str:
    """Say which requests a variant gets."""
    if variant.role == "shadow":
        return f"copies of {variant.mirrored} % of the requests"
    header = variant.header
    more = f", and requests with `{header.name}: {header.value}`" if header else ""
    return f"{variant.traffic} % of the traffic{more}"


def _variant(variant: Variant) -> Iterator[Origin]:
    owner = variant.scaling.autoscaler
    prefix = f"{variant.role} {variant.artifact.version}"
    yield Origin(f"{prefix}: workload", variant.name, None, _requests(variant))
    yield Origin(f"{prefix}: autoscaler", owner, None, _OWNERS[owner])
    if variant.scaling.query:
        yield Origin(
            f"{prefix}: query", variant.scaling.query, None, "one result, for its own Pods"
        )
    if variant.artifact.args:
        yield Origin(f"{prefix}: args", variant.artifact.args, None, "serving, then the version's")
