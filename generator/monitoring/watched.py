"""What a `monitoring` block comes to, and where the Pods of a release tell of themselves.

Sources of names and ports: kserve/kserve@pkg/controller/v1beta1/inferenceservice/reconcilers
(Standard), knative/serving@pkg/reconciler/revision/resources/deploy.go (Knative),
kserve/kserve@pkg/controller/v1alpha2/llmisvc/monitoring.go (language models).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from generator.documents import Json
from generator.records import Release, Variant
from generator.scaling import autoscaling

MODEL, VERSION = "app.kubernetes.io/name", "app.kubernetes.io/version"
_LABELLED_VERSION = "app_kubernetes_io_version"
"""The version as Prometheus calls the label of the Pods that `podTargetLabels` brings along."""

OWN, _LLM = "deployment", "kserve-llm"
KNOWN = frozenset(("kserve", OWN, _LLM))
"""The backends whose Pods are known here, and where they tell of themselves."""

OF_THEIR_OWN = KNOWN | {"graph"}
"""The backends that give a model Pods of its own, called after it: Seldon's are servers that many
models share, or have other names."""

_LLM_PARTS = ("llminferenceservice-workload", "llminferenceservice-workload-leader")


class Watched(Struct, frozen=True):
    """What a `monitoring` block comes to in one environment.

    `port` is where the metrics are; 0 is the port that the container calls `http`. `queries` are
    PromQL with open places by kind, those that are known. `latency` are seconds by quantile and
    `errors` a part of 1, 0 where nobody asks. `concurrency` counts requests in flight.
    """

    scrape: bool
    port: int
    path: str
    interval: str
    alerts: bool
    dashboard: str
    folder: str
    selector: Mapping[str, str]
    labels: Mapping[str, str]
    queries: Mapping[str, str]
    concurrency: str
    latency: Mapping[str, float]
    errors: float
    window: str
    hold: str
    min_requests: int
    gpu_memory: float
    gpu_idle: float
    alert_labels: Mapping[str, str]
    runbooks: str
    gate: Mapping[str, float | str]


def check_for_drift(release: Release) -> Any:
    """Give the check for drift of which Prometheus is told; None without one."""
    check = release.facts.get("drift")
    return check if check is not None and check.push else None


def is_knative(release: Release) -> bool:
    """Say whether Knative names the Pods."""
    return release.strategy == "knative"


def pods(release: Release, variant: Variant) -> str:
    """Write the matchers of a version's own Pods, for metrics that the Pods tell themselves.

    Knative names Pods after revisions, whose numbers are not in Git: only what is scraped by the
    PodMonitor has the version on it.
    """
    if is_knative(release):
        version = variant.artifact.version
        return f'{running(release, variant)},{_LABELLED_VERSION}="{version}"'
    return autoscaling.pods(variant.workload, release.environment.namespace)


def running(release: Release, variant: Variant) -> str:
    """Write the matchers of Pods for metrics that the cluster tells: by their names alone."""
    namespace = release.environment.namespace
    if is_knative(release):
        name = f"{variant.workload}-[0-9]+-deployment-[a-z0-9]+-[a-z0-9]+"
        return f'namespace="{namespace}",pod=~"{name}"'
    return autoscaling.pods(variant.workload, namespace)


def selected(release: Release) -> Json:
    """Write the selector of the Pods that serve, and of no others of the model."""
    backend = release.serving.backend
    if backend == _LLM:
        names = [variant.name for variant in release.in_order]
        return {
            "matchExpressions": [
                {"key": MODEL, "operator": "In", "values": names},
                {
                    "key": "app.kubernetes.io/component",
                    "operator": "In",
                    "values": list(_LLM_PARTS),
                },
            ]
        }
    own = {} if backend == OWN else {"component": "predictor"}
    return {"matchLabels": {MODEL: release.model, **own}}


def endpoints(release: Release, watched: Watched) -> list[Json]:
    """Write where Prometheus asks: at a port by its name where there is one, else at an address.

    A port that no container declares is no target (prometheus-operator/prometheus-operator#7129),
    and the shipped runtimes declare none.
    """
    shared: Json = {"path": watched.path}
    if watched.interval:
        shared["interval"] = watched.interval
    if release.serving.backend == _LLM:
        shared |= {"scheme": "https", "tlsConfig": {"insecureSkipVerify": True}}
    if release.serving.backend == OWN and not watched.port:
        return [{"port": "http", **shared}]
    if is_knative(release) and watched.port == release.serving.port:
        return [{"port": "user-port", **shared}]
    return [{**shared, "relabelings": list(_at(_container(release), watched.port))}]


def _container(release: Release) -> str:
    names = {OWN: release.model, _LLM: "main"}
    return names.get(release.serving.backend, "kserve-container")


def _at(container: str, port: int) -> Iterator[Json]:
    """Keep one container of a Pod, and ask its address, IPv4 or IPv6, at a port."""
    address, into = "__meta_kubernetes_pod_ip", "__address__"
    yield {
        "action": "keep",
        "sourceLabels": ["__meta_kubernetes_pod_container_name"],
        "regex": container,
    }
    for regex, replacement in ((r"([0-9.]+)", f"$1:{port}"), (r"(.*:.*)", f"[$1]:{port}")):
        yield {
            "sourceLabels": [address],
            "regex": regex,
            "replacement": replacement,
            "targetLabel": into,
        }
