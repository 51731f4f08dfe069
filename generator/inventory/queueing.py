"""What Kueue knows beside quota: who makes room for whom, where nodes stand, who else is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct, field


class Preemption(Struct, frozen=True):
    """Who may be stopped for a queue, in Kueue's words; `borrow` is empty if nobody is to borrow.

    As Kueue has it, `borrow` is a policy and maybe the highest priority that it may stop.
    """

    within: str = "LowerPriority"
    reclaim: str = "Never"
    borrow: Mapping[str, Any] = field(default_factory=dict)


class Priority(Struct, frozen=True):
    """One class of priority; `called` is its name in the cluster.

    It has a WorkloadPriorityClass where it is `of_queues`, and a PriorityClass where it is
    `of_pods`.
    """

    name: str
    called: str
    value: int
    description: str
    of_queues: bool
    of_pods: bool
    policy: Literal["PreemptLowerPriority", "Never"]
    is_default: bool


class NodeTopology(Struct, frozen=True):
    """The levels of a data centre by their node labels, the widest first."""

    name: str
    levels: tuple[str, ...]


class WorkerCluster(Struct, frozen=True):
    """Another cluster that takes work, and the Secret in Kueue's namespace that leads to it."""

    called: str
    secret: str


class AdmissionCheck(Struct, frozen=True):
    """What has to agree before Kueue admits; `called` is its name in the cluster.

    `parameters` is the kind of the object that configures it, `config` that object's spec; for
    other clusters `config` is empty and `clusters` are these.
    """

    called: str
    controller: str
    parameters: str
    config: Mapping[str, Any]
    clusters: tuple[WorkerCluster, ...]
