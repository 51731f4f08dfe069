"""What passes from stage to stage. Everything is resolved: no None means "the default" any more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from generator.documents import Document, has
from generator.inventory.queueing import AdmissionCheck, NodeTopology, Preemption, Priority
from generator.problems import Problem, Where
from generator.values import minors
from generator.yamlio import Pointer

Json = dict[str, Any]
"""A piece of a Kubernetes object, ready to be placed by a template. Never changed once made."""

Strategy = Literal["knative", "route", "group", "native", "experiment", "predictors", "single"]
"""How versions share traffic: revisions of one InferenceService, one InferenceService per version
behind an HTTPRoute, one LLMInferenceService per version in a group that KServe makes the route of,
predictors of one InferenceService behind a route of KServe's, Models of Seldon's in an Experiment,
predictors of a SeldonDeployment, or one workload that is updated in place."""

APART: frozenset[Strategy] = frozenset(("route", "group"))
"""Strategies in which every version is a workload of its own, with a folder and a suffix of its
own: a promotion restarts none of them."""

WEIGHTED: frozenset[Strategy] = frozenset(("route", "predictors"))
"""Strategies in which weights lead to a version whether it has loaded or not."""

PRUNED: frozenset[Strategy] = WEIGHTED | {"experiment"}
"""Strategies in which a version that goes is deleted before its requests are led elsewhere."""

NAMED: frozenset[Strategy] = APART | {"native", "experiment", "predictors"}
"""Strategies in which the name of what runs a version has the version in it."""

Role = Literal["stable", "canary", "standby", "shadow"]
"""What a live version is for: to serve, to be tried with a part of the requests, to be gone back to
without a start, or to be tried with copies of requests whose answers nobody sees."""

Autoscaler = Literal["kpa", "knative-hpa", "kserve-hpa", "hpa", "keda", "seldon", "none"]
"""The one owner of the number of replicas."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """The documents of a repository: environments as read, models as files, sorted by path.

    `problems` are those of what could not be read; the others are here all the same, so that one
    run can say everything.
    """

    root: Path
    models: tuple[Path, ...]
    environments: tuple[Document, ...]
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Gateway:
    """The Gateway that models are published on, and the domain of their hosts.

    `version` is of the Gateway API and empty where the environment does not say it.
    """

    name: str
    namespace: str
    domain: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class Flavor:
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


@dataclass(frozen=True, slots=True)
class Queue:
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


@dataclass(frozen=True, slots=True)
class Cohort:
    """A pool that the queues and cohorts below it share, on top of what they have themselves.

    `parent` is empty at the root. `flavors` is as in `Queue`, and empty if the pool is.
    """

    name: str
    parent: str
    covered_resources: list[str]
    flavors: list[Json]
    weight: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """What an environment refuses."""

    pinned_artifacts: bool
    min_replicas: int
    scale_to_zero: bool
    lineage: bool = False


@dataclass(frozen=True, slots=True)
class ArgoCD:
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


@dataclass(frozen=True, slots=True)
class Environment:
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
    document: Document = field(repr=False)

    @property
    def cluster(self) -> str:
        """What tells the cluster from others; Argo CD calls its own `in-cluster` too."""
        own = self.cluster_name == "in-cluster"
        return "https://kubernetes.default.svc" if own else self.server or self.cluster_name


@dataclass(frozen=True, slots=True)
class Claim:
    """Devices that Pods claim instead of an extended resource, as a ResourceClaimTemplate has them.

    `suffix` follows the model's name in the template's: it changes with the devices, because a
    template never does.
    """

    suffix: str
    requests: list[Json]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the Pods of a release run: accelerators, selector and tolerations of one flavor.

    `claim` is None where accelerators are an extended resource; `runtime_class` is empty where
    nodes run them without one.
    """

    flavor: str
    resource: str
    count: int
    node_selector: Mapping[str, str]
    tolerations: list[Json]
    runtime_class: str = ""
    claim: Claim | None = None


@dataclass(frozen=True, slots=True)
class Interceptor:
    """KEDA's HTTP add-on before one workload: what it counts, and how long it holds a request.

    `kind` is what its version reads. `service` and `port` are the interceptor's own, in
    `namespace`; `metric` is as the add-on writes it. `readiness` is in seconds.
    """

    kind: Literal["InterceptorRoute", "HTTPScaledObject"]
    service: str
    namespace: str
    port: int
    metric: Json
    readiness: int


@dataclass(frozen=True, slots=True)
class Scaling:
    """Replicas and what decides; `query` is PromQL for KEDA and empty elsewhere.

    `triggers`, `fallback` and `timing` are KEDA's, `behavior` is an HPA's or of the one that KEDA
    makes, `annotations` and `container_concurrency` are Knative's; each is empty elsewhere.
    """

    minimum: int
    maximum: int
    metric: str
    target: int | float
    autoscaler: Autoscaler
    query: str = ""
    triggers: list[Json] = field(default_factory=list)
    fallback: Json = field(default_factory=dict)
    timing: Json = field(default_factory=dict)
    behavior: Json = field(default_factory=dict)
    annotations: Json = field(default_factory=dict)
    container_concurrency: int = 0
    interceptor: Interceptor | None = None

    @property
    def has_query(self) -> bool:
        """Say whether KEDA asks Prometheus."""
        return bool(self.query) or any(each["type"] == "prometheus" for each in self.triggers)


@dataclass(frozen=True, slots=True)
class Artifact:
    """What a version is: a storage URI or an image (the other is empty), arguments, variables.

    `env` holds the variables whose values stand in the spec, `variables` also those by reference.
    `source` is where it came from, which nothing that runs depends on.
    """

    version: str
    uri: str
    image: str
    args: list[str]
    env: list[Json]
    variables: list[Json] = field(default_factory=list)
    source: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Header:
    """A header of requests, and the value that leads them to the canary."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Component:
    """What stands beside a predictor: a workload of its own, `image` or a `type` of KServe's own.

    `metric` is KServe's word for what its replicas follow, empty where nothing scales them.
    """

    kind: Literal["transformer", "explainer"]
    workload: str
    image: str
    type: str
    config: Mapping[str, str]
    args: list[str]
    env: list[Json]
    resources: Json
    scaling: Scaling
    metric: str
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Variant:
    """One workload of a release.

    `name` is the workload's own, `traffic` its percentage of the requests. `workload` is the
    Deployment that runs it once KServe has derived its own name. `order` is the version's place in
    the spec, which only ever grows. `header` leads requests here whatever the traffic; `mirrored`
    is the percentage of the requests that a shadow gets copies of. `port` is the Service's, which
    leads to the transformer if there is one.
    """

    name: str
    role: Role
    traffic: int
    artifact: Artifact
    scaling: Scaling
    workload: str
    service: str
    order: int
    header: Header | None = None
    mirrored: int = 0
    port: int = 80
    components: tuple[Component, ...] = ()

    @property
    def transformer(self) -> Component | None:
        """What stands before the predictor."""
        return self._component("transformer")

    @property
    def explainer(self) -> Component | None:
        """What says why the model answers as it does."""
        return self._component("explainer")

    def _component(self, kind: str) -> Component | None:
        return next((each for each in self.components if each.kind == kind), None)


@dataclass(frozen=True, slots=True)
class Probes:
    """The HTTP paths of a container's probes; startup is tried `attempts` times, `period` apart."""

    liveness: str
    readiness: str
    startup: str
    period: int
    attempts: int


@dataclass(frozen=True, slots=True)
class Port:
    """A port beside the first one; `protocol` is what the Service says of it, empty for nothing."""

    name: str
    number: int
    protocol: str


@dataclass(frozen=True, slots=True)
class Mounts:
    """Folders of a container that are Secrets, ConfigMaps or empty, with the Pod's volumes."""

    volumes: list[Json]
    mounts: list[Json]


@dataclass(frozen=True, slots=True)
class Security:
    """What a model's spec says of its container's rights: of the Pod, and of the container."""

    pod: Json
    container: Json


@dataclass(frozen=True, slots=True)
class Shutdown:
    """Seconds that a leaving replica still answers, and until it is killed."""

    drain: int
    grace: int


@dataclass(frozen=True, slots=True)
class RollingUpdate:
    """Replicas too many and too few while a Deployment is updated."""

    max_surge: int
    max_unavailable: int


class Apart(NamedTuple):
    """A label of nodes that replicas differ in, and what happens where they cannot."""

    key: str
    otherwise: str


@dataclass(frozen=True, slots=True)
class ModelCache:
    """Nodes that keep a model on their disks, and the room that a version takes."""

    node_group: str
    size: str


@dataclass(frozen=True, slots=True)
class Spread:
    """Over what replicas stand apart; `apart_by` are labels whose values are counted apart."""

    topologies: list[Apart]
    apart_by: list[str]


@dataclass(frozen=True, slots=True)
class Seldon:
    """What a server of Seldon's has to be and is told; what only one of 1.x and 2.x knows is empty.

    `implementation` and `protocol` are of 1.x, `requirements`, `server` and `memory` of 2.x.
    """

    requirements: list[str]
    implementation: str
    protocol: str
    server: str
    secret: str
    memory: str
    parameters: list[Json]


@dataclass(frozen=True, slots=True)
class Disruption:
    """How many Pods evictions may take at a time: `key` is of a PodDisruptionBudget."""

    key: str
    amount: int | str


@dataclass(frozen=True, slots=True)
class Serving:
    """What is the same for every variant of a release."""

    backend: str
    format: str
    runtime: str
    protocol: str
    port: int
    timeout: int
    probes: Probes | None
    resources: Json
    service_account: str
    service_account_annotations: Mapping[str, str]
    service_account_secrets: tuple[str, ...]
    pull_secrets: tuple[str, ...] = ()

    @property
    def pod_labels(self) -> Mapping[str, str]:
        """Label the Pods that take an identity of Azure's: its webhook looks at no others.

        Source: Azure/azure-workload-identity@docs/book/src/topics, on labels and annotations.
        """
        is_azures = "azure.workload.identity/client-id" in self.service_account_annotations
        return {"azure.workload.identity/use": "true"} if is_azures else {}


@dataclass(frozen=True, slots=True)
class Need:
    """A model that has to be live in the same environment and to answer over a protocol.

    `where` is the line that says so.
    """

    model: str
    protocol: str
    where: Where


@dataclass(frozen=True, slots=True)
class Layer:
    """Where a setting may come from; the last layer that has it wins.

    `prefix` leads to the layer within its document; `document` is None for what `gen` itself says.
    """

    document: Document | None
    prefix: Pointer
    data: Json = field(repr=False)

    def has(self, pointer: Pointer) -> bool:
        """Say whether this layer sets the value."""
        return has(self.data, pointer)


class RoutedPath(NamedTuple):
    """A path that a route leads somewhere: explanations by the whole path, all else by `/`."""

    value: str
    explains: bool


@dataclass(frozen=True, slots=True)
class Release:
    """One model in one environment, complete: templates place what stands here.

    `facts` holds what only its backend and its aspects know of, under the names that templates use.
    """

    model: str
    owner: str
    description: str
    environment: Environment = field(repr=False)
    strategy: Strategy
    serving: Serving
    placement: Placement | None
    queue: str
    host: str
    variants: tuple[Variant, ...]
    document: Document = field(repr=False)
    layers: tuple[Layer, ...] = field(repr=False)
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def stable(self) -> Variant:
        """The variant that the spec calls `version`."""
        return self.variants[0]

    @property
    def in_order(self) -> list[Variant]:
        """The variants in the order of their versions, which a promotion does not change."""
        return sorted(self.variants, key=lambda variant: variant.order)

    @property
    def canary(self) -> Variant | None:
        """The variant on trial with a part of the requests."""
        return self._of_role("canary")

    @property
    def shadow(self) -> Variant | None:
        """The variant on trial with copies of the requests."""
        return self._of_role("shadow")

    @property
    def answering(self) -> list[Variant]:
        """The variants that a route may take answers from, in order: all but the shadow."""
        return [variant for variant in self.in_order if variant.role != "shadow"]

    @property
    def paths(self) -> list[RoutedPath]:
        """List the paths that a route tells apart: explanations come from elsewhere.

        No path is longer than the one for which it is the exception, so that it goes first.
        """
        everything = RoutedPath("/", explains=False)
        if self.stable.explainer is None:
            return [everything]
        return [RoutedPath(f"/v1/models/{self.model}:explain", explains=True), everything]

    def _of_role(self, role: Role) -> Variant | None:
        return next((variant for variant in self.variants if variant.role == role), None)

    @property
    def pointer(self) -> Pointer:
        """The model's block for this environment."""
        return ("environments", self.environment.name)


RENDERED, ARGOCD = "rendered", "argocd"
"""The only folders that gen writes to."""

HEADER = "# Rendered by gen from "
"""How every file that gen owns begins; nothing else is ever overwritten or deleted."""


class Extra(NamedTuple):
    """An own template that replaces nothing: one more object, and what kind it is."""

    template: str
    group: str
    kind: str


class PlannedFile(NamedTuple):
    """One file to be: which template fills it with which context.

    `producer` names the document it comes from, for the header and for whoever collides with it.
    `comments` stand below the header.
    """

    path: str
    template: str
    context: Mapping[str, Any]
    producer: str
    comments: tuple[str, ...] = ()


class RenderedFile(NamedTuple):
    """One file as text, and the object in it as data, which no parser has to read again.

    `form` is the prepared statement that made both of `values`; files of one form are alike.
    """

    path: str
    template: str
    producer: str
    text: str
    data: Json
    form: Any = None
    values: Sequence[Any] = ()


class Change(NamedTuple):
    """What writing a file does: `create`, `update`, `delete` or `identical`."""

    kind: Literal["create", "update", "delete", "identical"]
    path: str
    before: str = ""
    after: str = ""


LISTED = 25
"""Changes up to here are kept one by one."""


@dataclass(slots=True)
class Changes:
    """What a run changes: every file counted, few of them kept, so that a fleet fits into memory.

    `folders` counts by verb and by the first two folders of the path. With `keep_all`, every change
    is kept with its texts, for a diff.
    """

    keep_all: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    folders: Counter[tuple[str, str]] = field(default_factory=Counter)
    listed: list[Change] = field(default_factory=list)

    def add(self, change: Change) -> None:
        """Count a change, and keep it if it is one of few."""
        self.counts[change.kind] += 1
        if change.kind == "identical":
            return
        top, _, rest = change.path.partition("/")
        self.folders[change.kind, f"{top}/{rest.partition('/')[0]}"] += 1
        if self.keep_all or len(self.listed) < LISTED:
            self.listed.append(change)

    def merge(self, other: Changes) -> None:
        """Take in the changes of a part."""
        self.counts.update(other.counts)
        self.folders.update(other.folders)
        room = len(other.listed) if self.keep_all else LISTED - len(self.listed)
        self.listed += other.listed[: max(room, 0)]

    @property
    def total(self) -> int:
        """How many files are not as they should be."""
        return self.counts.total() - self.counts["identical"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a resolved value came from; without a place, `gen` derived it."""

    setting: str
    value: Any
    where: Where | None
    reason: str = ""
