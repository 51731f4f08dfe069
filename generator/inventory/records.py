"""What the document of an environment comes to: nodes, queues, policy and delivery."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct, field

from generator.documents import Document, Json
from generator.inventory.queueing import AdmissionCheck, NodeTopology, Preemption, Priority
from generator.values import minors


class Gateway(Struct, frozen=True):
    """The Gateway that models are published on, and the domain of their hosts.

    `version` is of the Gateway API and empty where the environment does not say it.
    """

    name: str
    namespace: str
    domain: str
    version: str = ""


class Flavor(Struct, frozen=True):
    """One kind of nodes: a ResourceFlavor, and what Pods need to land there.

    `resource` is empty for CPU nodes. `price_per_hour` is for one unit of the resource. `topology`
    is empty unless Kueue is to choose nodes too. With a `device_class`, accelerators are claimed:
    `resource` is what Kueue counts them as, and `selectors` are CEL expressions.
    """

    name: str
    resource: str
    node_labels: Mapping[str, str]
    taints: list[Json]
    nodes: int
    gpus_per_node: int
    price_per_hour: float
    topology: str = ""
    runtime_class: str = ""
    device_class: str = ""
    selectors: tuple[str, ...] = ()

    @property
    def tolerations(self) -> list[Json]:
        """One toleration per taint, exact where the taint has a value."""
        return [_toleration(taint) for taint in self.taints]


def _toleration(taint: Json) -> Json:
    if taint.get("value"):
        return {
            "key": taint["key"],
            "operator": "Equal",
            "value": taint["value"],
            "effect": taint["effect"],
        }
    return {"key": taint["key"], "operator": "Exists", "effect": taint["effect"]}


class Queue(Struct, frozen=True):
    """A ClusterQueue with the LocalQueues that lead to it, one in each of `namespaces`.

    `flavors` holds one entry per flavor in the order of preference, each with the same resources
    in the order of `covered_resources`, as Kueue's webhook demands. `stop` and `weight` are empty
    unless they are asked for; `checks` are what has to agree, as a ClusterQueue lists it.
    """

    name: str
    cluster_queue: str
    cohort: str
    covered_resources: list[str]
    flavors: list[Json]
    namespaces: tuple[str, ...] = ()
    strategy: str = "BestEffortFIFO"
    stop: str = ""
    preemption: Preemption = field(default_factory=Preemption)
    fungibility: Json = field(default_factory=dict)
    weight: str = ""
    checks: list[Json] = field(default_factory=list)


class Cohort(Struct, frozen=True):
    """A pool that the queues and cohorts below it share, on top of what they have themselves.

    `parent` is empty at the root. `flavors` is as in `Queue`, and empty if the pool is.
    """

    name: str
    parent: str
    covered_resources: list[str]
    flavors: list[Json]
    weight: str = ""


class Policy(Struct, frozen=True):
    """What an environment refuses."""

    pinned_artifacts: bool
    min_replicas: int
    scale_to_zero: bool
    lineage: bool = False


class ArgoCD(Struct, frozen=True):
    """Where Argo CD finds the environment and how it syncs it; `version` is empty if unknown.

    `sync_windows`, `roles` and `ignored` are ready to be placed. `subscriptions` are annotations
    that tell of every Application, `subscriptions_of` those for the models of an owner.
    """

    version: str
    repo_url: str
    revision: str
    namespace: str
    project: str
    auto_sync: bool
    cascade: bool
    application_set: bool = False
    server_side_diff: bool = False
    sync_windows: list[Json] = field(default_factory=list)
    roles: list[Json] = field(default_factory=list)
    platform_roles: list[Json] = field(default_factory=list)
    ignored: list[Json] = field(default_factory=list)
    subscriptions: Mapping[str, str] = field(default_factory=dict)
    subscriptions_of: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def refreshes(self) -> bool:
        """Say whether a retry may take a newer commit, as Argo CD does since 3.2."""
        return not self.version or minors.parsed(self.version) >= (3, 2)

    @property
    def platform_project(self) -> str:
        """The AppProject of what is cluster-scoped."""
        return f"{self.project}-platform"


class Environment(Struct, frozen=True):
    """One cluster and namespace, resolved. Versions of systems that are absent are empty.

    Argo CD knows the cluster by `server`, an address, or by `cluster_name`; the other is empty.
    """

    name: str
    namespace: str
    server: str
    cluster_name: str
    kubernetes: str
    kserve: str
    mode: Literal["Standard", "Knative"]
    gateway: Gateway | None
    kueue: str
    keda: str
    trainer: str
    seldon: str
    seldon_scales: bool
    mlflow: str
    mlflow_artifacts: str
    prometheus: str
    flavors: Mapping[str, Flavor]
    queues: Mapping[str, Queue]
    cohorts: Mapping[str, Cohort]
    priorities: Mapping[str, Priority]
    topologies: Mapping[str, NodeTopology]
    checks: Mapping[str, AdmissionCheck]
    policy: Policy
    argocd: ArgoCD
    document: Document

    @property
    def cluster(self) -> str:
        """What tells the cluster from others; Argo CD calls its own `in-cluster` too."""
        own = self.cluster_name == "in-cluster"
        return "https://kubernetes.default.svc" if own else self.server or self.cluster_name
