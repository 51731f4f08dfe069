"""What does not fit, in numbers and in words."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from generator.inventory.records import Environment
from generator.problems import Severity
from generator.queues.demand import told

Cause = Literal[
    "never",
    "ceiling",
    "minimum",
    "update",
    "maximum",
    "nodes",
    "nodes-at-maximum",
    "hardware",
    "run",
    "run-nodes",
]
"""What does not fit: one model alone, or alone at maximum replicas; all at minimum, during an
update, or at maximum replicas, into quota or onto nodes; the quota itself into the hardware; or a
run of a training beside all models at minimum, into quota or onto nodes."""

_FATAL = frozenset({"never", "minimum", "nodes"})


class Part(Struct, frozen=True):
    """How much of a resource is asked for, and the most that there could ever be."""

    resource: str
    asked: int
    held: int


class Outcome(Struct, frozen=True):
    """Something that does not fit, with those who compete for it, the largest first.

    Without `parts`, there is enough of everything, and it does not fit Pod by Pod. `flavors` is
    empty if no flavor of the queue takes such Pods at all. `queues` is empty where nodes are short.
    """

    cause: Cause
    environment: str
    queues: tuple[str, ...]
    flavors: tuple[str, ...]
    parts: tuple[Part, ...]
    models: tuple[str, ...]

    @property
    def severity(self) -> Severity:
        """An error if Pods that have to run could not; otherwise a warning."""
        return Severity.ERROR if self.cause in _FATAL else Severity.WARNING

    def pointer(self, environment: Environment) -> tuple[str, ...]:
        """Lead to what is too small, in the environment's document."""
        flavor = self.flavors[0] if self.flavors else ""
        if not self.queues:
            return ("flavors", flavor)
        queue = self.queues[0]
        granted = [grant["name"] for grant in environment.queues[queue].flavors]
        return ("queues", queue, "quota", *([flavor] if flavor in granted else []))


_SHOWN = 3
"""Models that a sentence names."""


def message(outcome: Outcome) -> str:
    """Say in one sentence what does not fit."""
    return _SENTENCES[outcome.cause].format(
        who=_several(outcome.models, "model"),
        verb="asks" if len(outcome.models) == 1 else "ask",
        where=_where(outcome),
        sums=_sums(outcome),
    )


_SENTENCES: dict[Cause, str] = {
    "never": "{who} could not run even if nothing else did: {where}{sums}",
    "ceiling": "{who} never gets its maximum replicas, even if nothing else runs: {where}{sums}",
    "minimum": "{who} {verb} for more than there is at minimum replicas: {where}{sums}",
    "update": (
        "an update of {who} could not start: new Pods have to run beside the old ones first, and "
        "with all models at minimum replicas {where}{sums}"
    ),
    "maximum": "{who} cannot all have their maximum replicas at once: {where}{sums}",
    "nodes": "{who} {verb} for more than there are nodes for, at minimum replicas: {where}{sums}",
    "nodes-at-maximum": (
        "there are not nodes for the maximum replicas of {who} at once: {where}{sums}"
    ),
    "run": (
        "a run of {who} could not start while all models have their minimum replicas: {where}{sums}"
    ),
    "run-nodes": (
        "there are not nodes for a run of {who} beside the minimum replicas of all models: "
        "{where}{sums}"
    ),
    "hardware": "Kueue would admit Pods that no node can run: {where}{sums}",
}


def shortage(outcome: Outcome) -> str:
    """Say where how much is asked for, and how much there is."""
    return f"{_where(outcome)}{_sums(outcome)}"


def hint(outcome: Outcome) -> str:
    """Say what to write instead."""
    if outcome.cause != "never" or outcome.flavors:
        return _of_nothing(outcome) or _HINTS[outcome.cause]
    return "give the queue a flavor without taints, or use another queue"


def _of_nothing(outcome: Outcome) -> str:
    """Say what to write where the flavor grants none of what every Pod asks for."""
    missing = " and ".join(f"`{_key(part)}`" for part in outcome.parts if not part.held)
    if outcome.cause != "never" or not missing or len(outcome.flavors) > 1:
        return ""
    return f"add {missing} to the quota of flavor `{outcome.flavors[0]}`"


def _key(part: Part) -> str:
    """Name a resource as a quota does."""
    return "gpu" if "/" in part.resource else part.resource


_HINTS: dict[Cause, str] = {
    "never": "ask for less (`scaling.min`, `serving.resources`, `gpu.count`), or raise the quota",
    "ceiling": "lower `scaling.max`, or raise the quota: what is above waits for ever",
    "minimum": "raise the quota, let the queue borrow, or lower `scaling.min`",
    "update": (
        "leave quota for the new Pods: a Deployment needs one more, unless it has four replicas or "
        "more, a Knative revision as many as before"
    ),
    "maximum": "raise the quota, or lower `scaling.max`: what is above waits until there is room",
    "nodes": "add nodes, or ask for fewer accelerators in one Pod",
    "nodes-at-maximum": "add nodes, or lower `scaling.max`",
    "run": "raise the quota, let the queue borrow, or train on fewer accelerators",
    "run-nodes": "add nodes, or train on fewer accelerators",
    "hardware": "lower the quota, or correct `nodes` and `gpusPerNode`",
}


def _several(names: tuple[str, ...], noun: str) -> str:
    """Name a few and count the others."""
    shown = [f"`{name}`" for name in names[:_SHOWN]]
    more = len(names) - _SHOWN
    if more > 0:
        shown.append(f"{more} more {noun}{'s' if more > 1 else ''}")
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1] if shown else "")))


def _where(outcome: Outcome) -> str:
    if not outcome.flavors:
        return f"no flavor of queue `{outcome.queues[0]}` takes Pods without a flavor"
    flavors = _several(outcome.flavors, "flavor")
    of_flavors = f"flavor{'s' if len(outcome.flavors) > 1 else ''} {flavors}"
    if not outcome.queues:
        return f"{of_flavors}: "
    queues = _several(outcome.queues, "queue")
    return f"queue{'s' if len(outcome.queues) > 1 else ''} {queues} of {of_flavors}: "


def _sums(outcome: Outcome) -> str:
    if not outcome.flavors:
        return ""
    if not outcome.parts:
        return "enough in sum, but not Pod by Pod"
    return ", ".join(
        f"{told(part.resource, part.asked)} of {told(part.resource, part.held)} {part.resource}"
        for part in outcome.parts
    )
