"""Rules that an environment switches on for itself."""

from __future__ import annotations

from collections.abc import Iterator

from generator.documents import Json
from generator.inventory.records import Environment
from generator.records import Component, Release, Variant
from generator.rules import Book, Finding, Scene, Spot
from generator.rules.fields import at, containers, name_of, spec, target
from generator.rules.places import at_component, at_setting, in_environment, in_version, own_scaling
from generator.serving import language_models as llm
from generator.serving.language_models import LanguageModel
from generator.settings import origin

BOOK = Book("policy")

_PINNED = BOOK.error(
    "P001",
    "An environment with `policy.pinnedArtifacts` serves only what keeps its content.",
    evidence="kserve/kserve@python/huggingfaceserver/huggingfaceserver/__main__.py",
    remedy="Pin an image by digest and a Hugging Face model by revision.",
)


@_PINNED.on_release_with("policy.pinned")
def _unpinned(release: Release) -> Iterator[Finding]:
    if not release.environment.policy.pinned_artifacts:
        return
    for variant in release.variants:
        reason = _why_unpinned(variant)
        if reason:
            message = f"{reason}, and {release.environment.name} takes pinned artifacts only"
            hint = "pin it: an image by digest, a Hugging Face model by revision"
            yield in_version(release, variant, (), message, hint)
    yield from _unpinned_beside(release)


def _unpinned_beside(release: Release) -> Iterator[Finding]:
    """Look at what stands beside a predictor: it changes what the same model answers."""
    takes = f"{release.environment.name} takes pinned artifacts only"
    images: dict[str, tuple[Variant, Component]] = {}
    for variant in release.variants:
        for component in variant.components:
            images.setdefault(component.image, (variant, component))
    for image, (variant, component) in images.items():
        if image and "@sha256:" not in image:
            message, way = f"{image} has no digest, and {takes}", (component.kind, "image")
            yield at_component(release, variant, way, message, "add `@sha256:<digest>`")
    facts: LanguageModel | None = release.facts.get(llm.FACTS)
    for adapter in facts.lora.get("adapters", ()) if facts else ():
        reason = _why_it_moves(adapter["uri"])
        if reason:
            place = ("serving", "llm", "lora", "adapters", adapter["name"])
            hint = "write `hf://<organisation>/<adapter>:<commit>`"
            yield at_setting(release, place, f"{reason}, and {takes}", hint)


_MOVING = ("main", "master", "HEAD", "latest")


def _why_unpinned(variant: Variant) -> str:
    uri, args, image = variant.artifact.uri, variant.artifact.args, variant.artifact.image
    if image and "@sha256:" not in image:
        return f"{image} has no digest"
    if moves := _why_it_moves(uri):
        return moves
    by_id = any(arg.startswith(("--model_id=", "--model-id=")) for arg in args)
    if by_id and not any(arg.startswith(("--model_revision=", "--revision=")) for arg in args):
        return f"version {variant.artifact.version} names no `--model_revision`"
    return ""


def _why_it_moves(uri: str) -> str:
    """Say why an address can mean something else tomorrow; empty if it cannot, or nobody knows."""
    if uri.startswith("oci") and "@sha256:" not in uri:
        return f"{uri} has no digest"
    if uri.startswith("hf://") and ":" not in uri.removeprefix("hf://"):
        return f"{uri} names no revision"
    if uri.startswith("hf://") and uri.rpartition(":")[2] in _MOVING:
        return f"{uri} names a branch, which moves"
    return ""


@_PINNED.on_objects("*")
def _unpinned_in_an_object(item: Json, scene: Scene) -> Iterator[Spot]:
    if not scene.environment.policy.pinned_artifacts:
        return
    for container, pointer in containers(item):
        image = str(container.get("image") or "")
        if image and "@sha256:" not in image:
            message = f"{image} has no digest, and {scene.environment.name} takes pinned ones only"
            yield Spot(message, (*pointer, "image"), "add `@sha256:<digest>`")


_FEW = BOOK.error(
    "P002",
    "An environment with `policy.minReplicas` refuses fewer replicas.",
    evidence="kubernetes/website@content/en/docs/concepts/workloads/pods/disruptions.md",
    remedy="Raise `scaling.min` for this environment; a canary or a shadow may be smaller.",
)


@_FEW.on_release_with("policy.replicas")
def _few_replicas(release: Release) -> Iterator[Finding]:
    least = release.environment.policy.min_replicas
    found = release.stable.scaling.minimum  # what is on trial may well be smaller
    if found < least:
        message = (
            f"{release.environment.name} asks for at least {least} replicas, and this is {found}"
        )
        is_said = origin(release.layers, ("scaling", "min")) is not None
        hint = f"write `min: {least}`" if is_said else f"write `scaling: {{min: {least}}}` there"
        yield at_setting(release, ("scaling", "min"), message, hint)


_LEAST = {
    "InferenceService": ("predictor", "minReplicas"),
    "LLMInferenceService": ("replicas",),
    "ScaledObject": ("minReplicaCount",),
    "HorizontalPodAutoscaler": ("minReplicas",),
    "Deployment": ("replicas",),
}
"""Where an object says how many replicas it keeps."""


def _kept(item: Json) -> tuple[int | None, tuple[str, ...]]:
    """Give the replicas that an object keeps, None where it says nothing; and the way to them."""
    pointer = ("spec", *_LEAST[item["kind"]])
    found = at(item, *pointer)
    return (found if isinstance(found, int) else None), pointer


@_FEW.on_objects(*_LEAST)
def _few_in_an_object(item: Json, scene: Scene) -> Iterator[Spot]:
    least = scene.environment.policy.min_replicas
    found, pointer = _kept(item)
    if scene.release is None or found is None or found >= least:
        return
    stable = scene.release.stable  # a canary may well be smaller
    called = target(item)[1] if "scaleTargetRef" in spec(item) else name_of(item)
    if called in (stable.name, stable.workload):
        message = (
            f"{scene.environment.name} asks for at least {least} replicas, and this is {found}"
        )
        yield Spot(message, pointer, f"write {least}")


_ASLEEP = BOOK.error(
    "P003",
    "An environment with `policy.scaleToZero: false` refuses `scaling.min: 0`.",
    evidence="kserve/kserve#6079",
    remedy="Write `min: 1` for this environment.",
)


@_ASLEEP.on_release_with("policy.awake")
def _scaled_to_zero(release: Release) -> Iterator[Finding]:
    if release.environment.policy.scale_to_zero:
        return
    asleep = [variant for variant in release.variants if variant.scaling.minimum == 0]
    if not asleep:
        return
    message, hint = f"{release.environment.name} does not scale to zero", "write `min: 1`"
    own = own_scaling(release, asleep[0], "min")
    if own:
        yield Finding(message, release.document.where(*release.pointer, *own), hint)
    else:
        yield at_setting(release, ("scaling", "min"), message, hint)


@_ASLEEP.on_objects(*_LEAST)
def _zero_in_an_object(item: Json, scene: Scene) -> Iterator[Spot]:
    found, pointer = _kept(item)
    if found == 0 and not scene.environment.policy.scale_to_zero:
        yield Spot(f"{scene.environment.name} does not scale to zero", pointer, "write 1")


_AGAINST_ITSELF = BOOK.error(
    "P004",
    "An environment's defaults break its own policy, so that every model without its own fails.",
    evidence="kubernetes/website@content/en/docs/concepts/workloads/pods/disruptions.md",
    remedy="Let `defaults.scaling` keep what `policy` asks for.",
)


@_AGAINST_ITSELF.on_environment
def _defaults_against_the_policy(environment: Environment) -> Iterator[Finding]:
    least, data = environment.policy.min_replicas, environment.document.data
    scaling = data.get("defaults", {}).get("scaling", {})
    for key in ("min", "max"):
        if key in scaling and scaling[key] < least:
            message = (
                f"`policy.minReplicas` is {least}, and every model gets `{key}: {scaling[key]}`"
            )
            pointer = ("defaults", "scaling", key)
            yield in_environment(environment, pointer, message, f"at least `{key}: {least}`")
    if scaling.get("min") == 0 and not least and not environment.policy.scale_to_zero:
        message = "`policy.scaleToZero` is false, and every model gets `min: 0`"
        pointer = ("defaults", "scaling", "min")
        yield in_environment(environment, pointer, message, "write `min: 1`")


_BOTH = BOOK.warning(
    "P005",
    "`scaleToZero: true` allows nothing that `minReplicas` of the same policy does not refuse.",
    evidence="kubernetes/website@content/en/docs/concepts/workloads/pods/disruptions.md",
    remedy="Remove one of the two.",
)


@_BOTH.on_environment
def _zero_allowed_and_refused(environment: Environment) -> Iterator[Finding]:
    policy = environment.document.data.get("policy", {})
    if policy.get("scaleToZero") is True and environment.policy.min_replicas > 0:
        least = environment.policy.min_replicas
        message = f"`minReplicas: {least}` refuses `min: 0`, so that this allows nothing"
        yield in_environment(environment, ("policy", "scaleToZero"), message, "remove it")
