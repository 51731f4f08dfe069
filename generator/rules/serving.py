"""Rules of what serves, how versions share traffic, and what the environment's policy refuses."""

from __future__ import annotations

from collections.abc import Iterator

from generator.problems import Problem, Severity
from generator.records import Release, Variant
from generator.rules import Rule
from generator.settings import origin


def _fresh_cluster(release: Release) -> Iterator[Problem]:
    if release.strategy == "knative" and len(release.variants) > 1:
        canary = release.variants[1].artifact.version
        message = (
            f"on a cluster that never served {release.stable.artifact.version}, the canary {canary}"
            " gets all requests: Knative keeps the stable version as a revision, not in Git"
        )
        hint = "roll out the stable version first, then add the canary"
        pointer = (*release.pointer, "canary")
        yield release.document.problem("", message, pointer, hint=hint, key=True)


def _queue_without_flavor(release: Release) -> Iterator[Problem]:
    queue = release.environment.queues.get(release.queue)
    if queue is None or release.placement is None:
        return
    flavors = release.environment.flavors
    granted = [f["name"] for f in queue.flavors if flavors[f["name"]].resource]
    if release.placement.flavor not in granted:
        message = (
            f"queue `{release.queue}` of {release.environment.name} has no quota of flavor "
            f"`{release.placement.flavor}`, so the Pods would wait for ever"
        )
        usable = f"a flavor of the queue ({', '.join(granted)}), " if granted else ""
        hint = f"use {usable}another queue, or add the quota"
        yield _at(release, message, ("serving", "gpu", "flavor"), hint)


def _larger_than_a_node(release: Release) -> Iterator[Problem]:
    placement = release.placement
    if placement is None:
        return
    flavor = release.environment.flavors[placement.flavor]
    if flavor.gpus_per_node and placement.count > flavor.gpus_per_node:
        message = (
            f"a replica asks for {placement.count} x {placement.resource}, and a node of flavor "
            f"`{flavor.name}` has {flavor.gpus_per_node}: no node could ever run it"
        )
        hint = f"at most `count: {flavor.gpus_per_node}`, or a flavor with larger nodes"
        yield _at(release, message, ("serving", "gpu", "count"), hint)


def _unpinned(release: Release) -> Iterator[Problem]:
    if not release.environment.policy.pinned_artifacts:
        return
    for variant in release.variants:
        reason = _why_unpinned(variant)
        if reason:
            message = f"{reason}, and {release.environment.name} takes pinned artifacts only"
            pointer = ("versions", variant.artifact.version)
            hint = "pin it: an image by digest, a Hugging Face model by revision"
            yield release.document.problem("", message, pointer, hint=hint, key=True)


def _why_unpinned(variant: Variant) -> str:
    uri, args, image = variant.artifact.uri, variant.artifact.args, variant.artifact.image
    if image and "@sha256:" not in image:
        return f"{image} has no digest"
    if uri.startswith("hf://") and ":" not in uri.removeprefix("hf://"):
        return f"{uri} names no revision"
    by_id = any(arg.startswith(("--model_id=", "--model-id=")) for arg in args)
    if by_id and not any(arg.startswith(("--model_revision=", "--revision=")) for arg in args):
        return f"version {variant.artifact.version} names no `--model_revision`"
    return ""


def _few_replicas(release: Release) -> Iterator[Problem]:
    least = release.environment.policy.min_replicas
    found = release.stable.scaling.minimum  # a canary may well be smaller
    if found < least:
        message = (
            f"{release.environment.name} asks for at least {least} replicas, and this is {found}"
        )
        yield _at(release, message, ("scaling", "min"), f"write `min: {least}`")


def _scaled_to_zero(release: Release) -> Iterator[Problem]:
    if release.environment.policy.scale_to_zero:
        return
    asleep = [variant for variant in release.variants if variant.scaling.minimum == 0]
    if not asleep:
        return
    message, hint = f"{release.environment.name} does not scale to zero", "write `min: 1`"
    own = (*release.pointer, "canary", "scaling", "min")
    if release.stable.scaling.minimum > 0 and release.document.has(own):
        yield Problem("", message, release.document.where(*own), hint)
    else:
        yield _at(release, message, ("scaling", "min"), hint)


def _at(release: Release, message: str, pointer: tuple[str, ...], hint: str) -> Problem:
    """Make the finding of a setting, where it was decided."""
    where = origin(release.layers, pointer) or release.document.where(*release.pointer, key=True)
    return Problem("", message, where, hint)


RULES = (
    Rule(
        "C001",
        Severity.WARNING,
        "A Knative canary takes all traffic on a cluster that never served the stable version.",
        "kserve/kserve#2649",
        _fresh_cluster,
    ),
    Rule(
        "G001",
        Severity.ERROR,
        "A replica asks for more accelerators than one node of the flavor has.",
        "kubernetes/website@content/en/docs/tasks/manage-gpus/scheduling-gpus.md",
        _larger_than_a_node,
    ),
    Rule(
        "Q001",
        Severity.ERROR,
        "A model's queue has no quota of the flavor that the model asks for.",
        "kubernetes-sigs/kueue@pkg/scheduler/flavorassigner/flavorassigner.go",
        _queue_without_flavor,
    ),
    Rule(
        "P001",
        Severity.ERROR,
        "An environment with `policy.pinnedArtifacts` serves only what keeps its content.",
        "kserve/kserve@python/huggingfaceserver/huggingfaceserver/__main__.py",
        _unpinned,
    ),
    Rule(
        "P002",
        Severity.ERROR,
        "An environment with `policy.minReplicas` refuses fewer replicas.",
        "kubernetes/website@content/en/docs/concepts/workloads/pods/disruptions.md",
        _few_replicas,
    ),
    Rule(
        "P003",
        Severity.ERROR,
        "An environment with `policy.scaleToZero: false` refuses `scaling.min: 0`.",
        "kserve/kserve#6079",
        _scaled_to_zero,
    ),
)
