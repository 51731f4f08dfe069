"""What the Pods of a release ask for, as whole numbers: Kueue admits every Pod by itself.

Cores count in thousandths, memory in bytes, accelerators in pieces, as Kueue counts them
(kubernetes-sigs/kueue@pkg/resources/requests.go). A Deployment's Pod is one Workload with one Pod
(kubernetes-sigs/kueue@site/content/en/docs/tasks/run/deployment.md), so that every replica, canary
and surge Pod is admitted or waits on its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from generator import quantities, runtimes
from generator.records import Json, Release, Variant

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

_QUEUE_PROXY = (25, 0)
"""Knative's sidecar, unless its ConfigMap says otherwise
(knative/serving@config/core/configmaps/deployment.yaml)."""


@dataclass(frozen=True, slots=True)
class Pods:
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


@dataclass(frozen=True, slots=True)
class Demand:
    """What a model asks of one environment; `queue` and `flavor` are empty where it names none."""

    model: str
    environment: str
    queue: str
    flavor: str
    pods: tuple[Pods, ...]


def of(release: Release) -> Demand:
    """Add up what a release asks for: every live version, whether it answers or not."""
    return Demand(
        release.model,
        release.environment.name,
        release.queue,
        release.placement.flavor if release.placement else "",
        tuple(_pods(release, variant) for variant in release.variants),
    )


def _pods(release: Release, variant: Variant) -> Pods:
    cpu, memory = _requests(release, variant)
    least = variant.scaling.minimum
    return Pods(
        version=variant.artifact.version,
        cpu=cpu,
        memory=memory,
        accelerators=release.placement.count if release.placement else 0,
        minimum=least,
        maximum=variant.scaling.maximum,
        surge=_revision(least) if release.strategy == "knative" else surge(least),
    )


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
    """Ask as the scheduler does: the sum of the containers, or an init container if that is more.

    Source: kubernetes/website@content/en/docs/concepts/workloads/pods/init-containers.md.
    """
    serving, uri = release.serving, variant.artifact.uri
    is_shipped = serving.backend == "kserve" and serving.runtime in runtimes.BY_NAME
    cpu, memory = _container(serving.resources, _RUNTIME if is_shipped else _NOTHING)
    sidecars = (
        (_MODELCAR if uri.startswith("oci://") else _NOTHING),
        (_QUEUE_PROXY if release.strategy == "knative" else _NOTHING),
    )
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


def packed(demand: Demand) -> str:
    """Write a demand as a short line without the model's name, for the cache and between processes.

    `unpacked` reads it back.
    """
    head = (demand.environment, demand.queue or _NONE, demand.flavor or _NONE)
    pods = (
        f"{p.version},{p.cpu},{p.memory},{p.accelerators},{p.minimum},{p.maximum},{p.surge}"
        for p in demand.pods
    )
    return " ".join((*head, *pods))


def unpacked(model: str, line: str) -> Demand:
    """Read back what `packed` wrote."""
    environment, queue, flavor, *pods = line.split(" ")
    return Demand(
        model, environment, queue.strip(_NONE), flavor.strip(_NONE), tuple(map(_unpacked, pods))
    )


@lru_cache(4096)
def _unpacked(text: str) -> Pods:
    version, *numbers = text.split(",")
    cpu, memory, accelerators, minimum, maximum, extra = map(int, numbers)
    return Pods(version, cpu, memory, accelerators, minimum, maximum, extra)
