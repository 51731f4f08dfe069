"""Rules of Seldon Core: memory, replicas, and who shares the requests."""

from __future__ import annotations

from collections.abc import Iterator

from generator.records import Release, Seldon
from generator.rules import Book, Finding, Step
from generator.rules.changes.transitions import both
from generator.rules.places import at_setting, in_live

BOOK = Book("seldon")

_STORE = "SeldonIO/seldon-core@scheduler/pkg/store/mesh.go"
_ENVOY = "SeldonIO/seldon-core@scheduler/pkg/envoy/processor/incremental.go"

_FREE = BOOK.warning(
    "W020",
    "A Model that names no memory counts as none: the scheduler puts it where nothing is left.",
    evidence=_STORE,
    remedy="Add `serving.resources.memory`: what the server needs more once the model is loaded.",
)


@_FREE.on_release_with("seldon")
def _model_without_memory(release: Release) -> Iterator[Finding]:
    facts: Seldon | None = release.facts.get("seldon")
    if facts and release.strategy == "experiment" and not facts.memory:
        message = "to Seldon's scheduler the model takes no memory, and servers run out of it"
        yield at_setting(
            release, ("serving", "format"), message, "add `resources: {memory: 512Mi}`"
        )


_STILL = BOOK.warning(
    "W021",
    "Seldon Core 2 scales no Model unless it is installed so: the maximum stays a wish.",
    evidence="SeldonIO/seldon-core@docs-gb/user-guide/scaling/core-autoscaling/"
    "core-autoscaling-models.md",
    remedy="Set the Helm value `autoscaling.autoscalingModelEnabled`, and say so by "
    "`platform.seldon: {autoscaling: true}`; or write `max` equal to `min`.",
)


@_STILL.on_release_with("seldon")
def _nobody_scales(release: Release) -> Iterator[Finding]:
    scaling = release.stable.scaling
    if release.strategy != "experiment" or release.environment.seldon_scales:
        return
    if scaling.autoscaler == "seldon":
        message = (
            f"{scaling.maximum} replicas are never reached in {release.environment.name}: Seldon "
            "scales Models only where that is switched on"
        )
        hint = "write `max` equal to `min`, or `autoscaling: true` below `platform.seldon`"
        yield at_setting(release, ("scaling", "max"), message, hint)


_ALL_OR_NONE = BOOK.warning(
    "W022",
    "While one candidate of an Experiment is not loaded, `<model>.experiment` answers nobody.",
    evidence=_ENVOY,
    remedy="Let callers send the name of the Model that serves, as a route of gen's own does: it "
    "falls back to that Model alone.",
)


@_ALL_OR_NONE.on_release_with("seldon", "several")
def _unloaded_candidate(release: Release) -> Iterator[Finding]:
    if release.strategy != "experiment" or release.host:
        return
    for variant in (release.canary, release.shadow):
        if variant is not None and (variant.traffic or variant.mirrored):
            version, name = variant.artifact.version, f"{release.model}.experiment"
            message = f"until {version} has loaded, or if it never does, `{name}` answers nobody"
            hint = f"let callers send `Seldon-Model: {release.stable.name}` meanwhile"
            yield in_live(release, (variant.role,), message, hint)


_UNSPLIT = BOOK.warning(
    "W023",
    "Seldon Core 1 leaves it to Istio or Ambassador to share requests: a Service knows no weights, "
    "and Ambassador no weight of 0.",
    evidence="SeldonIO/seldon-core#4067",
    remedy="Publish the model behind a Gateway, or make sure that callers come through Istio, or "
    "through Ambassador if every version has a share.",
)


@_UNSPLIT.on_release_with("seldon", "several")
def _nobody_splits(release: Release) -> Iterator[Finding]:
    if release.strategy != "predictors" or release.host:
        return
    for variant in release.variants[1:]:
        message = "without a Gateway only Istio or Ambassador would share the requests"
        hint = "add the gateway to the environment, or come through one of the two"
        if not variant.traffic and not variant.mirrored:
            idle = variant.artifact.version
            message += f", and Ambassador gives {idle} an even part of them instead of none"
            hint = "add the gateway to the environment, or come through Istio"
        yield in_live(release, (variant.role,), message, hint)


_OTHER_ONE = BOOK.error(
    "W024",
    "Seldon Core 1 and 2 know nothing of each other's objects: the one's are deleted while the "
    "other's still load.",
    evidence="SeldonIO/seldon-core@operator/apis/mlops/v1alpha1/model_types.go",
    remedy="Describe the cluster a second time, as another environment with another namespace, and "
    "move the models one by one.",
)


@_OTHER_ONE.on_step
def _another_seldon(step: Step) -> Iterator[Finding]:
    pair = both(step)
    if pair is None or {release.strategy for release in pair} != {"experiment", "predictors"}:
        return
    after = pair[1].environment
    message = "every model of Seldon's would be deleted and made anew: nobody answers meanwhile"
    hint = "keep the version, and add an environment in another namespace for the new one"
    where = after.document.where("platform", "seldon", "version")
    yield Finding(message, where, hint, about=pair[1].model)
