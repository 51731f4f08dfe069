"""The series that Prometheus records of a model: one home for what alerts and dashboards read.

Each has the labels `environment`, `model` and, where it can be told, `version`. So neither alerts
nor dashboards name a version, and a promotion leaves them as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from generator.documents import Json
from generator.gate import measures
from generator.monitoring import watched as where
from generator.monitoring.watched import Watched
from generator.records import Release, Variant
from generator.values import durations

REQUESTS, ERRORS = "model_version:requests:rate", "model_version:errors:ratio"
READY = "model_version:replicas:ready"
PENDING = "model_version:replicas:pending"
SCRAPED = "model_version:replicas:scraped"
OF_MAXIMUM = "model_version:replicas:of_maximum"
IN_FLIGHT = "model_version:requests:in_flight"
CPU, MEMORY = "model_version:cpu_cores:rate", "model_version:memory_bytes:max"
GPU_BUSY, GPU_MEMORY = "model_version:gpu_busy:ratio", "model_version:gpu_memory:ratio"


def latency(quantile: str) -> str:
    """Name the series of a quantile such as p99."""
    return f"model_version:latency_seconds:{quantile}"


class Series(NamedTuple):
    """One recorded series: its name, its expression, and what tells it from others."""

    name: str
    expression: str
    labels: Json


def of_release(release: Release, watched: Watched) -> list[Series]:
    """List the series of all live versions, in the order of the versions."""
    found: dict[tuple[str, str], Series] = {}
    for variant in release.in_order:
        for series in _of(release, variant, watched):
            found.setdefault((series.name, str(series.labels)), series)
    return list(found.values())


def identity(release: Release) -> Json:
    """Give the labels that every series and every alert of a release has."""
    return {"environment": release.environment.name, "model": release.model}


def _of(release: Release, variant: Variant, watched: Watched) -> Iterator[Series]:
    labels = {**identity(release), "version": variant.artifact.version}
    for name, expression in _told_by_pods(release, variant, watched):
        yield Series(name, expression, labels)
    shared = identity(release) if where.is_knative(release) else labels
    for name, expression in _told_by_cluster(release, variant):
        yield Series(name, expression, shared)


def _told_by_pods(
    release: Release, variant: Variant, watched: Watched
) -> Iterator[tuple[str, str]]:
    """Ask the runtime: requests, errors and latency, as the gate of a rollout does."""
    pods, queries = where.pods(release, variant), watched.queries
    namespace = release.environment.namespace

    def asked(kind: str, quantile: str = "0") -> str:
        return measures.asked(queries[kind], variant, namespace, watched.window, pods, quantile)

    if "requests" in queries:
        yield REQUESTS, f"({asked('requests')}) / {durations.seconds(watched.window)}"
    if "requests" in queries and "errors" in queries:
        yield ERRORS, f"({asked('errors')})\n  / ({asked('requests')})"
    for name, quantile in measures.QUANTILES.items() if "latency" in queries else ():
        yield latency(name), asked("latency", quantile)
    if watched.concurrency:
        yield IN_FLIGHT, watched.concurrency.format(selector=pods)


def _told_by_cluster(release: Release, variant: Variant) -> Iterator[tuple[str, str]]:
    """Ask kube-state-metrics, the kubelet and NVIDIA's exporter."""
    pods = where.running(release, variant)
    yield READY, f"{measures.READY.replace('$pods', pods)} or vector(0)"
    yield PENDING, f'sum(kube_pod_status_phase{{{pods},phase="Pending"}})'
    yield SCRAPED, f"sum(up{{{pods}}})"
    of_maximum = _of_maximum(release, variant)
    if of_maximum:
        yield OF_MAXIMUM, of_maximum
    within = f'{pods},container!="",container!="POD"'
    yield CPU, f"sum(rate(container_cpu_usage_seconds_total{{{within}}}[5m]))"
    yield MEMORY, f"max(sum by (pod) (container_memory_working_set_bytes{{{within}}}))"
    if _has_nvidia(release):
        yield GPU_BUSY, _either(pods, _BUSY)
        yield GPU_MEMORY, _either(pods, _FULL)


def _of_maximum(release: Release, variant: Variant) -> str:
    """Compare with the HPA's own maximum, or with Knative's, of which nobody else tells.

    KEDA's HPA is called after the ScaledObject
    (kedacore/keda@controllers/keda/hpa.go). Empty where the number is fixed.
    """
    scaling, namespace = variant.scaling, release.environment.namespace
    if scaling.minimum == scaling.maximum:
        return ""
    if where.is_knative(release):
        ready = f'sum(kube_pod_status_ready{{{where.running(release, variant)},condition="true"}})'
        return f"{ready} / {scaling.maximum}"
    names = {
        "keda": f"keda-hpa-{variant.name}",
        "hpa": release.model,
        "kserve-hpa": variant.workload,
    }
    if scaling.autoscaler not in names:
        return ""
    labels = f'namespace="{namespace}",horizontalpodautoscaler="{names[scaling.autoscaler]}"'
    current = f"sum(kube_horizontalpodautoscaler_status_current_replicas{{{labels}}})"
    return f"{current}\n  / sum(kube_horizontalpodautoscaler_spec_max_replicas{{{labels}}})"


def _has_nvidia(release: Release) -> bool:
    placement = release.placement
    return placement is not None and placement.resource.startswith("nvidia.com/")


_BUSY = (
    "avg(DCGM_FI_PROF_GR_ENGINE_ACTIVE{$pods})",
    "avg(DCGM_FI_DEV_GPU_UTIL{$pods}) / 100",
)
"""A slice of a GPU has the first alone, an old GPU the second
(NVIDIA/dcgm-exporter@etc/default-counters.csv)."""

_FULL = (
    "max(DCGM_FI_DEV_FB_USED{$pods} / (DCGM_FI_DEV_FB_USED{$pods} + DCGM_FI_DEV_FB_FREE{$pods}))",
)


def _either(pods: str, expressions: tuple[str, ...]) -> str:
    """Look for the Pod under both names that its labels have.

    Without `honorLabels`, Prometheus calls the exporter itself `pod`, and the one that uses the GPU
    `exported_pod` (NVIDIA/gpu-operator#387).
    """
    exported = pods.replace('namespace="', 'exported_namespace="').replace(
        'pod=~"', 'exported_pod=~"'
    )
    ways = (
        expression.replace("$pods", each) for expression in expressions for each in (pods, exported)
    )
    return "\n  or ".join(ways)
