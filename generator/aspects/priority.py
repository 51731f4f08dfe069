"""Who goes first: classes of priority of an environment, and the one that a model names.

Kueue orders and preempts by the class that a label names, the scheduler by that of the Pod; both
get the same value here, so that they agree
(kubernetes-sigs/kueue@site/content/en/docs/concepts/workload_priority_class.md).
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from generator.aspects.contract import Ask, Aspect, Kind, Piece
from generator.backends import pods
from generator.inventory.records import Environment
from generator.problems import Problem
from generator.schema import suggestion

WITH_PODS = ("kserve", "kserve-llm", "deployment")
"""The backends whose Pods a spec describes."""

_WORKLOADS = Kind("kueue.x-k8s.io", "WorkloadPriorityClass")
_PODS = Kind("scheduling.k8s.io", "PriorityClass")


class Rank(Struct, frozen=True):
    """The class of a model's workloads: `label` for Kueue, `class_name` for the scheduler.

    Either may be empty, never both.
    """

    name: str
    label: str
    class_name: str
    value: int


class Priorities(Aspect):
    """Two classes of one value per entry of `priorities`, and a patch of the workload."""

    name = "priority"

    def problems(self, ask: Ask) -> Iterator[Problem]:
        """Find a class that the environment does not have, or that nobody would read."""
        known, wanted = ask.environment.priorities, ask.merged.data["priority"]
        if wanted not in known:
            message = f"environment {ask.environment.name} has no priority `{wanted}`"
            hint = suggestion(wanted, known) if known else _ADD.format(wanted)
            yield ask.merged.problem("E301", message, ("priority",), hint)
        elif pods.is_own(ask, "priority"):
            yield from self._of_no_use(ask, wanted)

    def _of_no_use(self, ask: Ask, wanted: str) -> Iterator[Problem]:
        """Refuse what the model itself asks for in vain; a default is for whom it helps."""
        backend = ask.merged.serving["backend"]
        if backend not in WITH_PODS:
            message = f"`backend: {backend}` lets nobody say the priority of its Pods"
            yield ask.merged.problem("E303", message, ("priority",), "remove it")
        elif self.facts(ask) is None:
            message = f"`{wanted}` is a class for queues alone, and the model has no queue"
            hint = f"add `queue`, or remove `for: queues` from `priorities.{wanted}`"
            yield ask.merged.problem("E303", message, ("priority",), hint)

    def facts(self, ask: Ask) -> Rank | None:
        """Resolve the class; the label is for workloads of a queue alone."""
        if ask.merged.serving["backend"] not in WITH_PODS:
            return None
        found = ask.environment.priorities[ask.merged.data["priority"]]
        label = found.called if found.of_queues and ask.merged.get("queue") else ""
        class_name = found.called if found.of_pods else ""
        if not (label or class_name):
            return None
        return Rank(found.name, label, class_name, found.value)

    def platform(self, environment: Environment) -> Iterator[Piece]:
        """List the classes, whether or not somebody names them yet."""
        for priority in environment.priorities.values():
            context = {"priority_class": priority}
            if priority.of_queues:
                name = f"workload-priority-class-{priority.name}.yaml"
                yield Piece(name, "platform/workload-priority-class.yaml.j2", context)
            if priority.of_pods:
                name = f"priority-class-{priority.name}.yaml"
                yield Piece(name, "platform/priority-class.yaml.j2", context)

    def cluster_kinds(self, environment: Environment) -> tuple[Kind, ...]:
        """List the kinds that the environment has classes of."""
        found = environment.priorities.values()
        return (
            *((_WORKLOADS,) if any(each.of_queues for each in found) else ()),
            *((_PODS,) if any(each.of_pods for each in found) else ()),
        )


_ADD = "add `priorities: {{{}: {{value: 1000}}}}` to the environment, or remove it"
