"""What the Pods of a release ask for, as whole numbers: Kueue admits every Pod by itself.

Cores count in thousandths, memory in bytes, accelerators in pieces, as Kueue counts them
(kubernetes-sigs/kueue@pkg/resources/requests.go). A Deployment's Pod is one Workload with one Pod
(kubernetes-sigs/kueue@site/content/en/docs/tasks/run/deployment.md), so that every replica, canary
and surge Pod is admitted or waits on its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import lru_cache

from msgspec import Struct

from generator.documents import Json
from generator.inventory import namespaces
from generator.records import Component, Release, RollingUpdate, Variant
from generator.serving import language_models as llm
from generator.serving import runtimes
from generator.serving.language_models import LanguageModel, Part
from generator.training.runs import Training
from generator.values import quantities
from generator.values.identity import Same

CPU, MEMORY = "cpu", "memory"

_RUNTIME = (1000, 2 * 2**30)
"""What the container of a shipped runtime requests where the model says nothing: 1 core and 2Gi
(kserve/kserve@config/runtimes). Our requests are merged over it, key by key
(kserve/kserve@pkg/controller/v1beta1/inferenceservice/utils/utils.go, MergeRuntimeContainers)."""

_NOTHING = (0, 0)
"""What a container requests that nobody has described; a runtime of the cluster's own may ask for
more, so that the sums are never above what is true."""

_INITIALIZER = (100, 100 * 2**20)
"""The storage-initializer's request (kserve/kserve@config/storagecontainers/default.yaml)."""

_MODELCAR = (10, 15 * 2**20)
"""The container that holds an `oci://` model's image for as long as the Pod lives
(kserve/kserve@pkg/utils/storage.go, CreateModelcarContainer)."""

_AGENT = (100, 100 * 2**20)
"""The sidecar that batches and logs (kserve/kserve@config/configmap/inferenceservice.yaml)."""

_ROUTER = (100, 100 * 2**20)
"""The router of an InferenceGraph, unless the graph says otherwise (the same ConfigMap)."""

_QUEUE_PROXY = (25, 0)
"""Knative's sidecar, unless its ConfigMap says otherwise
(knative/serving@config/core/configmaps/deployment.yaml)."""


class Pods(Struct, frozen=True):
    """The Pods of one version: what each asks for, and how many there are.

    `surge` is how many more have to start before an update of the version can stop an old one.
    """

    version: str
    cpu: int
    memory: int
    accelerators: int
    minimum: int
    maximum: int
    surge: int


class Demand(Struct, frozen=True):
    """What a model asks of one environment; `queue` and `flavor` are empty where it names none.

    The Pods of a run of its training start all at once or not at all, and at minimum there is none.
    """

    model: str
    environment: str
    queue: str
    flavor: str
    pods: tuple[Pods, ...]
    is_run: bool = False


def of(release: Release) -> Demand:
    """Add up what a release asks for: every live version, whether it answers or not."""
    return all_of(release)[0]


def all_of(release: Release) -> tuple[Demand, ...]:
    """Add up what a release asks for, by flavor.

    First what answers, then what reads prompts, and transformers and explainers, which are never
    on the nodes of accelerators.
    """
    return _all_of(Same(release))


@lru_cache(256)  # rules ask for it, and so does what adds up a run of models
def _all_of(same: Same[Release]) -> tuple[Demand, ...]:
    release = same.thing
    flavor = release.placement.flavor if release.placement else ""
    found = {flavor: [_pods(release, variant) for variant in release.variants]}
    part = _prefilling(release)
    if part:
        other = part.placement.flavor if part.placement else ""
        found.setdefault(other, []).extend(_reading(each, part) for each in release.variants)
    for variant in release.variants:
        for component in variant.components:
            found.setdefault("", []).append(_beside(release, variant, component))
    return tuple(_demand(release, name, tuple(pods)) for name, pods in found.items())


def _beside(release: Release, variant: Variant, component: Component) -> Pods:
    """Count the Pods of a transformer or an explainer."""
    is_knative = release.strategy == "knative"
    proxy = _QUEUE_PROXY if is_knative else _NOTHING
    cpu, memory = _asked(component.resources, "", _RUNTIME, proxy)
    least = component.scaling.minimum
    return Pods(
        version=variant.artifact.version,
        cpu=cpu,
        memory=memory,
        accelerators=0,
        minimum=least,
        maximum=component.scaling.maximum,
        surge=_revision(least) if is_knative else surge(least),
    )


def everything_of(release: Release) -> tuple[Demand, ...]:
    """Add up what a release asks for, and last what a run of its training does."""
    run = of_run(release)
    return (*all_of(release), run) if run else all_of(release)


def of_run(release: Release) -> Demand | None:
    """Add up what a run of a model's training asks for, its steps included; None without any.

    Only Kueue's queues count: Volcano's grant shares, not amounts. A LimitRange fills in what a
    node or a step does not request.
    """
    training: Training | None = release.facts.get("training")
    if training is None:
        return None
    filled = namespaces.limits(release.environment.document).request
    cpu, memory = (amount(key, filled[key]) if key in filled else 0 for key in (CPU, MEMORY))
    pods = tuple(
        Pods(step.name, step.cpu or cpu, step.memory or memory, step.accelerators, 0, step.count, 0)
        for step in training.pods
    )
    queue = training.queue if training.is_queued else ""
    where = (release.model, release.environment.name, queue, training.flavor)
    return Demand(*where, pods, is_run=True)


def _demand(release: Release, flavor: str, pods: tuple[Pods, ...]) -> Demand:
    return Demand(release.model, release.environment.name, release.queue, flavor, pods)


def _prefilling(release: Release) -> Part | None:
    facts: LanguageModel | None = release.facts.get(llm.FACTS)
    return facts.prefill if facts else None


def _reading(variant: Variant, part: Part) -> Pods:
    """Count the Pods of a version that read prompts; their number is fixed."""
    cpu, memory = _asked(part.resources, variant.artifact.uri, _NOTHING, _NOTHING)
    each = part.parallelism.pods
    return Pods(
        version=variant.artifact.version,
        cpu=cpu,
        memory=memory,
        accelerators=part.placement.count if part.placement else 0,
        minimum=part.replicas * each,
        maximum=part.replicas * each,
        surge=surge(part.replicas) if each == 1 else 0,
    )


def pods_of_a_replica(release: Release) -> int:
    """Count the Pods that are one replica: several where a LeaderWorkerSet runs them."""
    facts: LanguageModel | None = release.facts.get(llm.FACTS)
    return facts.decode.parallelism.pods if facts else 1


def _pods(release: Release, variant: Variant) -> Pods:
    cpu, memory = _requests(release, variant)
    least, each = variant.scaling.minimum, pods_of_a_replica(release)
    return Pods(
        version=variant.artifact.version,
        cpu=cpu,
        memory=memory,
        accelerators=release.placement.count if release.placement else 0,
        minimum=least * each,
        maximum=variant.scaling.maximum * each,
        surge=_revision(least) if release.strategy == "knative" else _surge(release, least),
    )


def _surge(release: Release, replicas: int) -> int:
    """Count as the spec says how an update goes, where it says it.

    While a replica may be missing, the old ones make room for the new ones.
    """
    said: RollingUpdate | None = release.facts.get("rolling_update")
    if pods_of_a_replica(release) > 1:  # a LeaderWorkerSet replaces a group in its place
        return 0
    if said is None:
        return surge(replicas)
    return 0 if said.max_unavailable or not replicas else min(said.max_surge, 1)


def surge(replicas: int) -> int:
    """Count the Pods that a rolling update needs room for before it can go on.

    KServe and Kubernetes both update by 25 % and 25 %: a quarter may be missing, rounded down, and
    a quarter too many, rounded up (kserve/kserve#4618,
    kubernetes/kubernetes@pkg/controller/deployment/util/deployment_util.go, ResolveFenceposts). Up
    to three replicas none may be missing, so that one more has to start first.
    """
    return 1 if 0 < replicas < 4 else 0


def _revision(replicas: int) -> int:
    """Count the Pods of a new revision: all have to be ready before the old one may shrink.

    A revision starts with one Pod at least (knative/serving@config/core/configmaps/autoscaler.yaml,
    initial-scale).
    """
    return max(replicas, 1)


def _requests(release: Release, variant: Variant) -> tuple[int, int]:
    serving = release.serving
    is_shipped = serving.backend == "kserve" and serving.runtime in runtimes.BY_NAME
    filled = namespaces.limits(release.environment.document).request
    proxy = _proxy(filled) if release.strategy == "knative" else _NOTHING
    if "batcher" in release.facts or "logger" in release.facts:
        proxy = (proxy[0] + _AGENT[0], proxy[1] + _AGENT[1])
    unsaid = _RUNTIME if is_shipped else _ROUTER if serving.backend == "graph" else _NOTHING
    resources = _with(filled, serving.resources) if unsaid is _NOTHING else serving.resources
    return _asked(resources, variant.artifact.uri, unsaid, proxy)


def _with(filled: Mapping[str, str], resources: Json) -> Json:
    """Add what a LimitRange fills in, where neither a request nor a limit is said.

    Source: kubernetes-sigs/kueue@pkg/workload/resources.go.
    """
    if not filled:
        return resources
    requests = {**filled, **resources["limits"], **resources["requests"]}
    return {"requests": requests, "limits": resources["limits"]}


def _proxy(filled: Mapping[str, str]) -> tuple[int, int]:
    """Ask as Knative's sidecar does; a LimitRange fills in the memory that it does not name."""
    memory = filled.get(MEMORY)
    return _QUEUE_PROXY[0], _QUEUE_PROXY[1] if memory is None else amount(MEMORY, memory)


def _asked(
    resources: Json, uri: str, unsaid: tuple[int, int], proxy: tuple[int, int]
) -> tuple[int, int]:
    """Ask as the scheduler does: the sum of the containers, or an init container if that is more.

    Source: kubernetes/website@content/en/docs/concepts/workloads/pods/init-containers.md.
    """
    cpu, memory = _container(resources, unsaid)
    sidecars = ((_MODELCAR if uri.startswith("oci://") else _NOTHING), proxy)
    first = _INITIALIZER if uri and not uri.startswith(("oci://", "pvc://")) else _NOTHING
    return (
        max(first[0], cpu + sum(sidecar[0] for sidecar in sidecars)),
        max(first[1], memory + sum(sidecar[1] for sidecar in sidecars)),
    )


def _container(resources: Json, unsaid: tuple[int, int]) -> tuple[int, int]:
    """Read what is rendered; a limit stands in for a request that nobody makes."""
    requests, limits = resources["requests"], resources["limits"]
    if unsaid is _NOTHING:
        requests = {**limits, **requests}
    cpu, memory = requests.get(CPU), requests.get(MEMORY)
    return (
        unsaid[0] if cpu is None else amount(CPU, cpu),
        unsaid[1] if memory is None else amount(MEMORY, memory),
    )


@lru_cache(4096, typed=True)
def amount(resource: str, quantity: str | float) -> int:
    """Count a quantity as Kueue does, rounded up."""
    exact = quantities.parse(quantity) * (1000 if resource == CPU else 1)
    return -(-exact.numerator // exact.denominator)


def told(resource: str, value: int) -> str:
    """Write an amount as a person would: `1500m` or `2` cores, `512Mi`, `8` pieces."""
    if resource == CPU:
        return f"{value}m" if value % 1000 else str(value // 1000)
    if resource != MEMORY or value % 1024:
        return str(value)
    return quantities.canonical(f"{value // 1024}Ki")


HOURS_A_MONTH = 730
"""As clouds count: a twelfth of a year."""


def price(accelerators: int, per_hour: float) -> Fraction:
    """Multiply a price as it was written, so that cents add up."""
    return accelerators * Fraction(str(per_hour))


_NONE = "-"
_RUN, _REPLICAS = "run", "replicas"


def packed(demand: Demand) -> str:
    """Write a demand as a short line without the model's name, for the cache and between processes.

    `unpacked` reads it back.
    """
    kind = _RUN if demand.is_run else _REPLICAS
    head = (kind, demand.environment, demand.queue or _NONE, demand.flavor or _NONE)
    pods = (
        f"{p.version},{p.cpu},{p.memory},{p.accelerators},{p.minimum},{p.maximum},{p.surge}"
        for p in demand.pods
    )
    return " ".join((*head, *pods))


def by_environment(demands: Iterable[tuple[str, str]]) -> dict[str, list[tuple[str, str]]]:
    """Sort each model's lines by the environment that they ask, with the model, and read none."""
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for model, lines in demands:
        for line in lines.splitlines():
            found[line.split(" ", 2)[1]].append((model, line))
    return found


def unpacked(model: str, line: str) -> Demand:
    """Read back what `packed` wrote."""
    kind, environment, queue, flavor, *pods = line.split(" ")
    where = (environment, queue.strip(_NONE), flavor.strip(_NONE))
    return Demand(model, *where, tuple(map(_unpacked, pods)), is_run=kind == _RUN)


@lru_cache(4096)
def _unpacked(text: str) -> Pods:
    version, *numbers = text.split(",")
    cpu, memory, accelerators, minimum, maximum, extra = map(int, numbers)
    return Pods(version, cpu, memory, accelerators, minimum, maximum, extra)
