"""How near to each other the Pods of a workload run: Kueue's topology-aware scheduling.

The request stands in the Pod template, and counts on flavors that have a topology
(kubernetes-sigs/kueue@site/content/en/docs/concepts/topology_aware_scheduling.md).
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from generator.aspects.contract import Ask, Aspect, Kind, Piece
from generator.backends import pods
from generator.inventory.records import Environment, Flavor
from generator.problems import Problem
from generator.schema import suggestion

_ANNOTATIONS = {
    "required": "kueue.x-k8s.io/podset-required-topology",
    "preferred": "kueue.x-k8s.io/podset-preferred-topology",
}
_WITH_PODS = ("kserve", "kserve-llm", "deployment")
_ANYWHERE = "kueue.x-k8s.io/podset-unconstrained-topology"


class Nearness(Struct, frozen=True):
    """What a model's Pods ask of the topology, as the one annotation of their template."""

    key: str
    value: str


class NearEachOther(Aspect):
    """A Topology per entry of `topologies`, and a patch of the workload."""

    name = "topology"

    def problems(self, ask: Ask) -> Iterator[Problem]:
        """Find a request that nobody would read, or that no flavor could answer.

        A default is for whom it helps.
        """
        said, flavor = ask.merged.data["topology"], _flavor(ask)
        if not (pods.is_own(ask, "topology") or _is_read(ask)):
            return
        if ask.merged.serving["backend"] not in _WITH_PODS:
            message = f"`backend: {ask.merged.get('serving', 'backend')}` has no Pods to place"
            yield ask.merged.problem("E303", message, ("topology",), "remove it")
        elif not ask.merged.get("queue"):
            message = "Kueue alone reads it, and the model has no queue"
            yield ask.merged.problem("E303", message, ("topology",), "add `queue`, or remove it")
        elif flavor is None or not flavor.topology:
            what = f"flavor `{flavor.name}`" if flavor else "a model without accelerators"
            message = f"{what} stands in no topology of {ask.environment.name}"
            hint = "name a flavor that has a `topology`, or remove it"
            yield ask.merged.problem("E302", message, ("topology",), hint)
        elif _mode(ask) in _ANNOTATIONS:
            levels = ask.environment.topologies[flavor.topology].levels
            if "level" not in said:
                message = f"nobody says which level of `{flavor.topology}` the Pods are to share"
                hint = f"add `level: {levels[0]}`, or write `mode: unconstrained`"
                yield ask.merged.problem("E302", message, ("topology",), hint)
            elif said["level"] not in levels:
                message = f"topology `{flavor.topology}` has no level `{said['level']}`"
                hint = suggestion(said["level"], levels)
                yield ask.merged.problem("E301", message, ("topology", "level"), hint)

    def facts(self, ask: Ask) -> Nearness | None:
        """Write the annotation; None where nobody would read it."""
        if not _is_read(ask):
            return None
        mode = _mode(ask)
        if mode in _ANNOTATIONS:
            return Nearness(_ANNOTATIONS[mode], ask.merged.data["topology"]["level"])
        return Nearness(_ANYWHERE, "true")

    def platform(self, environment: Environment) -> Iterator[Piece]:
        """List the topologies."""
        for topology in environment.topologies.values():
            name = f"topology-{topology.name}.yaml"
            yield Piece(name, "platform/topology.yaml.j2", {"node_topology": topology})

    def cluster_kinds(self, environment: Environment) -> tuple[Kind, ...]:
        """List the Topology."""
        return (Kind("kueue.x-k8s.io", "Topology"),) if environment.topologies else ()


def _is_read(ask: Ask) -> bool:
    flavor, has_pods = _flavor(ask), ask.merged.serving["backend"] in _WITH_PODS
    return has_pods and bool(ask.merged.get("queue") and flavor and flavor.topology)


def _mode(ask: Ask) -> str:
    return str(ask.merged.data["topology"].get("mode", "preferred"))


def _flavor(ask: Ask) -> Flavor | None:
    gpu = ask.merged.get("serving", "gpu")
    is_wanted = gpu and gpu.get("count", 1)
    return ask.environment.flavors.get(gpu.get("flavor", "")) if is_wanted else None
