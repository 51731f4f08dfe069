"""Rules of what fits: one model into its queue, all of them together, and weights into a GPU."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from generator.inventory.records import Environment
from generator.queues import capacity, demand, llm_memory, outcomes
from generator.queues.demand import CPU, MEMORY, Demand
from generator.queues.outcomes import Cause, Outcome
from generator.records import Release
from generator.rules import Book, Finding, Rule
from generator.rules.places import at_key, at_setting, in_environment, in_live, in_version

BOOK = Book("capacity")

_ARITHMETIC = "kubernetes-sigs/kueue@pkg/cache/scheduler/resource_node.go"
_ASSIGNED = "kubernetes-sigs/kueue@pkg/scheduler/flavorassigner/flavorassigner.go"
_SCHEDULED = "kubernetes/website@content/en/docs/tasks/manage-gpus/scheduling-gpus.md"

_NEVER = BOOK.error(
    "Q060",
    "Kueue never admits what is more than a queue and its cohort could ever hold.",
    evidence=f"{_ARITHMETIC}, {_ASSIGNED}",
    remedy="Ask for less, name another queue, or raise the quota, the borrowing limit or what the "
    "other queues of the cohort lend.",
)


@_NEVER.on_release_with("queue")
def _never_admitted(release: Release) -> Iterator[Finding]:
    found = capacity.of_release(release)
    if found is None:
        return
    beside = _beside(found, release)
    if not found.flavors:
        yield _nowhere(release)
    elif _is_without(found, release):
        yield _without(found, release)
    elif beside:
        hint = f"{_LESS[beside]}, or raise the quota"
        yield in_live(release, (beside,), outcomes.message(found), hint)
    else:
        pointer = _what_is_too_much(found, demand.of(release))
        yield at_setting(release, pointer, outcomes.message(found), outcomes.hint(found))


def _nowhere(release: Release) -> Finding:
    """Tell of a queue whose flavors all have taints, at the first of them, for all its models."""
    environment = release.environment
    names = [grant["name"] for grant in environment.queues[release.queue].flavors]
    plain = [name for name in names if not environment.flavors[name].resource]
    message = f"no flavor of queue `{release.queue}` takes Pods without a flavor: all have taints"
    hint = "give the queue a flavor without taints, or use another queue"
    pointer = ("flavors", (plain or names)[0], "taints")
    return replace(in_environment(environment, pointer, message, hint), about=release.model)


def _is_without(found: Outcome, release: Release) -> bool:
    """Say whether the queue grants nothing of what every Pod asks for, and borrows nothing."""
    queue = release.environment.queues[release.queue]
    plain = [part for part in found.parts if part.resource in (CPU, MEMORY) and not part.held]
    return bool(plain) and len(found.flavors) == 1 and not queue.cohort


def _without(found: Outcome, release: Release) -> Finding:
    """Tell of cpu or memory that a queue does not grant, at its quota, for all its models."""
    flavor = found.flavors[0]
    missing = [part.resource for part in found.parts if not part.held]
    message = (
        f"queue `{release.queue}` grants no {' and no '.join(missing)} of flavor `{flavor}`, and "
        "Pods that ask for it wait for ever"
    )
    pointer = ("queues", release.queue, "quota", flavor)
    where = at_key(release.environment, pointer, message, outcomes.hint(found))
    return replace(where, about=release.model)


_LESS = {
    "canary": "write a smaller `canary.scaling.min`",
    "standby": "keep no `standby`",
    "shadow": "write a smaller `shadow.scaling.min`",
}


def _beside(found: Outcome, release: Release) -> str:
    """Name the role that is too much beside a stable version which fits; empty if that does not."""
    part = found.parts[0] if found.parts else None
    asked = demand.of(release).pods
    sizes: dict[str, int] = {
        variant.role: sum(
            pods.minimum * _size(pods, part.resource)
            for pods in asked
            if part and pods.version == variant.artifact.version
        )
        for variant in release.variants
    }
    fits = part is not None and sizes.get("stable", 0) <= part.held < sum(sizes.values())
    return next((role for role in reversed(_LESS) if sizes.get(role)), "") if fits else ""


_CEILING = BOOK.warning(
    "Q067",
    "Replicas beyond what a queue and its cohort could ever hold stay pending, whatever else runs.",
    evidence=f"{_ARITHMETIC}, {_ASSIGNED}",
    remedy="Lower `scaling.max`, or raise the quota.",
)


@_CEILING.on_release_with("queue")
def _never_at_maximum(release: Release) -> Iterator[Finding]:
    found = capacity.ceiling_of(release)
    if found is not None:
        pointer = ("scaling", "max")
        yield at_setting(release, pointer, outcomes.message(found), outcomes.hint(found))


def _what_is_too_much(found: Outcome, asked: Demand) -> tuple[str, ...]:
    """Lead to the setting that decides: the number of replicas, unless one of them is too large."""
    part = found.parts[0] if found.parts else None
    if part is None:
        return ("scaling", "min")
    if all(_size(pods, part.resource) <= part.held for pods in asked.pods):
        return ("scaling", "min")
    is_plain = part.resource in (CPU, MEMORY)
    return ("serving", "resources", part.resource) if is_plain else ("serving", "gpu", "count")


def _size(pods: demand.Pods, resource: str) -> int:
    return {CPU: pods.cpu, MEMORY: pods.memory}.get(resource, pods.accelerators)


_TOGETHER: Mapping[Cause, Rule] = {
    "minimum": BOOK.error(
        "Q061",
        "The models of a queue cannot all have their minimum replicas, so some wait for ever.",
        evidence=_ARITHMETIC,
        remedy="Raise the quota, lower `scaling.min`, or move a model to another queue.",
    ),
    "nodes": BOOK.error(
        "Q062",
        "The Pods at minimum replicas do not fit onto the nodes, whatever the quota says.",
        evidence=_SCHEDULED,
        remedy="Add nodes of the flavor, ask for fewer accelerators a replica, or lower "
        "`scaling.min`.",
    ),
    "update": BOOK.warning(
        "Q063",
        "An update starts new Pods before it stops old ones, and there is no room for them.",
        evidence=f"kubernetes-sigs/kueue#5118, {_ARITHMETIC}",
        remedy="Leave room for one more replica of the largest model, or let it borrow.",
    ),
    "maximum": BOOK.warning(
        "Q064",
        "The models of a queue cannot all scale to their maximum, and the last ones stay pending.",
        evidence=_ARITHMETIC,
        remedy="Raise the quota, lower `scaling.max`, or accept that these models compete.",
    ),
    "nodes-at-maximum": BOOK.warning(
        "Q065",
        "The Pods at maximum replicas do not fit onto the nodes, so the last ones stay pending.",
        evidence=_SCHEDULED,
        remedy="Add nodes of the flavor, or lower `scaling.max`.",
    ),
    "run": BOOK.warning(
        "T061",
        "A run that does not fit beside the replicas that are always there waits for ever.",
        evidence=f"{_ARITHMETIC}, {_ASSIGNED}",
        remedy="Raise the quota, let the queue borrow, lower `scaling.min`, or train on less.",
    ),
    "run-nodes": BOOK.warning(
        "T062",
        "All nodes of a run start at once, and there are not nodes for them beside the replicas.",
        evidence=_SCHEDULED,
        remedy="Add nodes of the flavor, lower `scaling.min`, or train on fewer accelerators.",
    ),
    "hardware": BOOK.warning(
        "Q066",
        "Queues grant more accelerators than the nodes have, so Kueue admits Pods that no node "
        "takes.",
        evidence=_ARITHMETIC,
        remedy="Grant at most `nodes` times `gpusPerNode`, or correct these two.",
    ),
}


def rule_of(outcome: Outcome) -> Rule:
    """Name the rule of what does not fit together."""
    return _TOGETHER[outcome.cause]


def finding(outcome: Outcome, environment: Environment) -> Finding:
    """Tell what does not fit together, where the quota or the nodes are written."""
    where = environment.document.where(*outcome.pointer(environment), key=True)
    return Finding(outcomes.message(outcome), where, outcomes.hint(outcome))


_WEIGHTS = BOOK.warning(
    "G080",
    "The weights and one request's cache of a language model do not fit into its GPUs' memory.",
    evidence="vllm-project/vllm@docs/configuration/conserving_memory.md",
    remedy="Use more GPUs with `--tensor-parallel-size`, GPUs with more memory, a quantised model, "
    "or a lower `--max-model-len`. It is an estimate from the model's name.",
)


@_WEIGHTS.on_release_with("gpu")
def _larger_than_its_gpus(release: Release) -> Iterator[Finding]:
    if release.placement is None:
        return
    variants = {variant.artifact.version: variant for variant in release.variants}
    for need in llm_memory.needs(release):
        if not need.fits:
            variant = variants[need.version]
            yield in_version(release, variant, (), llm_memory.message(need), llm_memory.hint(need))
