"""What rules of changes ask about the way from one state to the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from generator.documents import Json
from generator.inventory.records import Environment
from generator.records import WEIGHTED, Release, Variant
from generator.rules import Finding, Step
from generator.settings import shadow_of

Look = Callable[[Release, Variant], object]
"""Gives what a rule compares of a workload."""


def both(step: Step) -> tuple[Release, Release] | None:
    """Give a model before and after, if it is live in an environment all along."""
    if step.before is None or step.after is None:
        return None
    return step.before, step.after


def routed(step: Step) -> tuple[Release, Release] | None:
    """Give a model before and after, if weights share its requests all along, ready or not."""
    pair = both(step)
    return pair if pair and pair[0].strategy == pair[1].strategy in WEIGHTED else None


def experimented(step: Step) -> tuple[Release, Release] | None:
    """Give a model before and after, if an Experiment of Seldon's shares its requests all along."""
    pair = both(step)
    return pair if pair and pair[0].strategy == pair[1].strategy == "experiment" else None


def grouped(step: Step) -> tuple[Release, Release] | None:
    """Give a model before and after, if a group of KServe's shares its requests all along."""
    pair = both(step)
    return pair if pair and pair[0].strategy == pair[1].strategy == "group" else None


def native(step: Step) -> tuple[Release, Release] | None:
    """Give a model before and after, if KServe's own canaries share its requests all along."""
    pair = both(step)
    return pair if pair and pair[0].strategy == pair[1].strategy == "native" else None


def leaving(step: Step) -> Release | None:
    """Give the release of a model that leaves an environment which stays."""
    return step.before if step.after is None and step.environment is not None else None


def kept(before: Release, after: Release) -> list[tuple[Variant, Variant]]:
    """Pair the workloads that are there before and after: the cluster updates them in place."""
    if before.serving.backend != after.serving.backend:
        return []
    running = {variant.workload: variant for variant in reversed(before.variants)}
    return [(running[v.workload], v) for v in after.variants if v.workload in running]


def is_updated(before: Release, after: Release) -> bool:
    """Say whether a Deployment that runs is changed, and not followed by a revision of Knative."""
    return bool(kept(before, after)) and "knative" not in (before.strategy, after.strategy)


def live_versions(model: Json) -> dict[str, list[str]]:
    """List the environments that each live version of a document is in."""
    found: dict[str, list[str]] = {}
    for name, block in model["environments"].items():
        canary = block.get("canary", {}).get("version")
        shadow = shadow_of(block)["version"] if "shadow" in block else None
        for version in (block["version"], canary, block.get("standby"), shadow):
            if version is not None:
                found.setdefault(version, []).append(name)
    return found


def is_other(step: Step, look: Look) -> bool:
    """Say whether something differs about a workload that runs one version all along."""
    pair = both(step)
    return pair is not None and any(
        old.artifact.version == new.artifact.version and look(pair[0], old) != look(pair[1], new)
        for old, new in kept(*pair)
    )


def is_steady(environment: Environment) -> bool:
    """Say whether an environment's policy promises that a model is always there."""
    return environment.policy.min_replicas > 0 or not environment.policy.scale_to_zero


def about(finding: Finding, release: Release) -> Finding:
    """Say which model is hit where the place is in a document of many models."""
    if finding.where.file == release.document.path:
        return finding
    return replace(finding, about=release.model)


def listed(names: Sequence[str]) -> str:
    """Write names as a sentence does: a, b and c."""
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
