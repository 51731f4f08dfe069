"""What passes from stage to stage. Everything is resolved: no None means "the default" any more."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from msgspec import Struct, field

from generator.documents import Document, Json, has
from generator.inventory.records import Environment
from generator.problems import Problem, Where
from generator.yamlio import Pointer

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


class Workspace(Struct, frozen=True):
    """The documents of a repository: environments as read, models as files, sorted by path.

    `problems` are those of what could not be read; the others are here all the same, so that one
    run can say everything.
    """

    root: Path
    models: tuple[Path, ...]
    environments: tuple[Document, ...]
    problems: tuple[Problem, ...] = ()


class Claim(Struct, frozen=True):
    """Devices that Pods claim instead of an extended resource, as a ResourceClaimTemplate has them.

    `suffix` follows the model's name in the template's: it changes with the devices, because a
    template never does.
    """

    suffix: str
    requests: list[Json]


class Placement(Struct, frozen=True):
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


class Interceptor(Struct, frozen=True):
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


class Scaling(Struct, frozen=True):
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


class Artifact(Struct, frozen=True):
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


class Header(Struct, frozen=True):
    """A header of requests, and the value that leads them to the canary."""

    name: str
    value: str


class Component(Struct, frozen=True):
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


class Variant(Struct, frozen=True):
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


class Probes(Struct, frozen=True):
    """The HTTP paths of a container's probes; startup is tried `attempts` times, `period` apart."""

    liveness: str
    readiness: str
    startup: str
    period: int
    attempts: int


class Port(Struct, frozen=True):
    """A port beside the first one; `protocol` is what the Service says of it, empty for nothing."""

    name: str
    number: int
    protocol: str


class Mounts(Struct, frozen=True):
    """Folders of a container that are Secrets, ConfigMaps or empty, with the Pod's volumes."""

    volumes: list[Json]
    mounts: list[Json]


class Security(Struct, frozen=True):
    """What a model's spec says of its container's rights: of the Pod, and of the container."""

    pod: Json
    container: Json


class Shutdown(Struct, frozen=True):
    """Seconds that a leaving replica still answers, and until it is killed."""

    drain: int
    grace: int


class RollingUpdate(Struct, frozen=True):
    """Replicas too many and too few while a Deployment is updated."""

    max_surge: int
    max_unavailable: int


class Apart(NamedTuple):
    """A label of nodes that replicas differ in, and what happens where they cannot."""

    key: str
    otherwise: str


class ModelCache(Struct, frozen=True):
    """Nodes that keep a model on their disks, and the room that a version takes."""

    node_group: str
    size: str


class Spread(Struct, frozen=True):
    """Over what replicas stand apart; `apart_by` are labels whose values are counted apart."""

    topologies: list[Apart]
    apart_by: list[str]


class Seldon(Struct, frozen=True):
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


class Disruption(Struct, frozen=True):
    """How many Pods evictions may take at a time: `key` is of a PodDisruptionBudget."""

    key: str
    amount: int | str


class Serving(Struct, frozen=True):
    """What is the same for every variant of a release.

    `is_chosen` tells that somebody names the runtime or the protocol; the format decides otherwise.
    """

    backend: str
    format: str
    runtime: str
    protocol: str
    is_chosen: bool
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


class Need(Struct, frozen=True):
    """A model that has to be live in the same environment and to answer over a protocol.

    `where` is the line that says so.
    """

    model: str
    protocol: str
    where: Where


class Layer(Struct, frozen=True):
    """Where a setting may come from; the last layer that has it wins.

    `prefix` leads to the layer within its document; `document` is None for what `gen` itself says.
    """

    document: Document | None
    prefix: Pointer
    data: Json

    def has(self, pointer: Pointer) -> bool:
        """Say whether this layer sets the value."""
        return has(self.data, pointer)


class RoutedPath(NamedTuple):
    """A path that a route leads somewhere: explanations by the whole path, all else by `/`."""

    value: str
    explains: bool


class Release(Struct, frozen=True):
    """One model in one environment, complete: templates place what stands here.

    `facts` holds what only its backend and its aspects know of, under the names that templates use.
    """

    model: str
    owner: str
    description: str
    environment: Environment
    strategy: Strategy
    serving: Serving
    placement: Placement | None
    queue: str
    host: str
    variants: tuple[Variant, ...]
    document: Document
    layers: tuple[Layer, ...]
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


class Origin(Struct, frozen=True):
    """Where a resolved value came from; without a place, `gen` derived it."""

    setting: str
    value: Any
    where: Where | None
    reason: str = ""
