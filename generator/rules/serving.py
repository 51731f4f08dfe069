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
    granted = [flavor["name"] for flavor in queue.flavors]
    if release.placement.flavor not in granted:
        message = (
            f"queue `{release.queue}` of {release.environment.name} has no quota of flavor "
            f"`{release.placement.flavor}`, so the Pods would wait for ever"
        )
        hint = f"use a flavor of the queue ({', '.join(granted)}), another queue, or add the quota"
        yield _at(release, message, ("serving", "gpu", "flavor"), hint)


def _unpinned(release: Release) -> Iterator[Problem]:
    if not release.environment.policy.pinned_artifacts:
        return
    for variant in release.variants:
        reason = _why_unpinned(variant)
        if reason:
            message = f"{reason}, and {release.environment.name} takes pinned artifacts only"
            pointer = ("versions", variant.artifact.version)
            hint = "pin it: an image by tag or digest, a Hugging Face model by revision"
            yield release.document.problem("", message, pointer, hint=hint, key=True)


def _why_unpinned(variant: Variant) -> str:
    uri, args = variant.artifact.uri, variant.artifact.args
    if uri.startswith("hf://") and ":" not in uri.removeprefix("hf://"):
        return f"{uri} names no revision"
    by_id = any(arg.startswith(("--model_id=", "--model-id=")) for arg in args)
    if by_id and not any(arg.startswith(("--model_revision=", "--revision=")) for arg in args):
        return f"version {variant.artifact.version} names no `--model_revision`"
    return ""


def _few_replicas(release: Release) -> Iterator[Problem]:
    least = release.environment.policy.min_replicas
    found = release.stable.scaling.minimum
    if found < least:
        message = (
            f"{release.environment.name} asks for at least {least} replicas, and this is {found}"
        )
        yield _at(release, message, ("scaling", "min"), f"write `min: {least}`")


def _scaled_to_zero(release: Release) -> Iterator[Problem]:
    if not release.environment.policy.scale_to_zero and release.stable.scaling.minimum == 0:
        message = f"{release.environment.name} does not scale to zero"
        yield _at(release, message, ("scaling", "min"), "write `min: 1`")


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
