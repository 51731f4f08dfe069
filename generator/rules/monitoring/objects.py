"""Rules of own templates of monitors, rules and dashboards, and of Pods beside a model's own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from generator import promql
from generator.aspects.monitoring import platform
from generator.documents import Json
from generator.rules import Book, Scene, Spot
from generator.rules.fields import at, block, entries, labels, mode, name_of, spec, text
from generator.yamlio import Pointer

BOOK = Book("monitoring")

_MONITORS = ("PodMonitor", "ServiceMonitor", "PrometheusRule", "Probe")
_SERVICE = "serving.kserve.io/inferenceservice"

_UNLABELLED = BOOK.error(
    "M030",
    "Prometheus ignores a monitor or a rule without the labels that it selects by.",
    evidence="prometheus-community/helm-charts#430, prometheus-operator/kube-prometheus#1392",
    remedy="Add the labels of `platform.prometheus.labels`.",
)


@_UNLABELLED.on_objects(*_MONITORS)
def _unlabelled(item: Json, scene: Scene) -> Iterator[Spot]:
    asked: Json = platform(scene.environment, "prometheus").get("labels", {})
    own = labels(item)
    for key, value in asked.items():
        if own.get(key) != value:
            message = f"Prometheus takes what has `{key}: {value}`, and ignores this {item['kind']}"
            hint = f"add `{key}: {value}` to its labels"
            yield Spot(message, ("metadata", "labels"), hint)
            return


_UNDECLARED = BOOK.error(
    "M031",
    "A PodMonitor finds no port that no container declares, and KServe's runtimes declare none.",
    evidence="prometheus-operator/prometheus-operator#7129, kserve/kserve@config/runtimes",
    remedy="Relabel `__address__` to the Pod's address and the port, as gen's own PodMonitor does.",
)


@_UNDECLARED.on_objects("PodMonitor")
def _undeclared(item: Json, scene: Scene) -> Iterator[Spot]:
    selected = block(item, "spec", "selector", "matchLabels")
    if _SERVICE not in selected and selected.get("component") != "predictor":
        return
    services = [each for each in scene.of_kind("InferenceService")]
    if not services or any(mode(each, scene) == "Knative" or _declares(each) for each in services):
        return
    for index, endpoint in entries(item, "spec", "podMetricsEndpoints"):
        for key in ("port", "portNumber", "targetPort"):
            if key in endpoint:
                message = f"no container of the model declares port {endpoint[key]}: no target"
                hint = "leave it out, and relabel `__address__` to `$1:<port>`"
                yield Spot(message, ("spec", "podMetricsEndpoints", index, key), hint)


def _declares(service: Json) -> bool:
    predictor = block(service, "spec", "predictor")
    containers = [predictor.get("model"), *(predictor.get("containers") or ())]
    return any(at(container, "ports") for container in containers)


_NO_ENDPOINTS = BOOK.error(
    "M032",
    "A Service of Knative leads to another name, and has no endpoints to scrape.",
    evidence="kserve/kserve#3696",
    remedy="Use a PodMonitor with the port `user-port`.",
)


@_NO_ENDPOINTS.on_objects("ServiceMonitor")
def _no_endpoints(item: Json, scene: Scene) -> Iterator[Spot]:
    selected = block(item, "spec", "selector", "matchLabels")
    is_knative = any(mode(each, scene) == "Knative" for each in scene.of_kind("InferenceService"))
    if is_knative and any(key.startswith("serving.k") for key in selected):
        message = "the Services of a model in Knative mode are names of others, without endpoints"
        hint = "write a PodMonitor with `port: user-port`, as gen does"
        yield Spot(message, ("spec", "selector"), hint)


# Rules

_FLAW = BOOK.error(
    "M033",
    "The operator leaves a rule out that Prometheus cannot read, and says so in an event alone.",
    evidence="prometheus-operator/prometheus-operator@pkg/operator/rules.go",
    remedy="Try the expression in Prometheus, or with `promtool check rules`.",
)
_ON_GAUGE = BOOK.warning(
    "M034",
    "A rate is of counters: of a gauge, every fall looks like a restart.",
    evidence="prometheus/prometheus@docs/querying/functions.md",
    remedy="Use `delta` or `deriv` for a gauge, or the gauge as it is.",
)
_RATED = re.compile(r"\b(?P<function>rate|irate|increase)\s*\(\s*(?P<metric>[a-zA-Z_:][\w:]*)")
_GAUGES = re.compile(
    r"up|vllm:(num_requests_\w+|kv_cache_usage_perc|gpu_cache_usage_perc)|DCGM_FI_(DEV|PROF)_\w+"
    r"|kube_\w+_(replicas|ready|phase|condition)|gen_drift_\w+|nv_gpu_(utilization|memory_\w+)"
)
_NO_VECTOR = "it is a plain number"
"""What KEDA refuses, and Prometheus does not."""


def _expressions(item: Json) -> Iterator[tuple[str, Pointer]]:
    for number, group in entries(item, "spec", "groups"):
        for index, _ in entries(group, "rules"):
            found = text(group, "rules", index, "expr")
            yield found, ("spec", "groups", number, "rules", index, "expr")


@_FLAW.on_objects("PrometheusRule")
def _flawed(item: Json, scene: Scene) -> Iterator[Spot]:
    for expression, pointer in _expressions(item):
        reason = promql.flaw(expression)
        if reason and not reason.startswith(_NO_VECTOR):
            message = f"Prometheus cannot read this, and nobody would be told: {reason}"
            yield Spot(message, pointer, "try it in Prometheus first")


@_ON_GAUGE.on_objects("PrometheusRule")
def _on_gauge(item: Json, scene: Scene) -> Iterator[Spot]:
    for expression, pointer in _expressions(item):
        for found in _RATED.finditer(expression):
            if _GAUGES.fullmatch(found["metric"]):
                message = (
                    f"`{found['metric']}` is a gauge, and `{found['function']}` is of counters"
                )
                yield Spot(message, pointer, "use `delta`, or the gauge as it is")


# Pods beside those of the model

_ANSWERS = BOOK.error(
    "M035",
    "A Pod with the labels that a Service selects gets requests of it, whatever it is for.",
    evidence="kubernetes/website@content/en/docs/concepts/services-networking/service.md",
    remedy="Give the Pods of a job another `app.kubernetes.io/name`.",
)
_TEMPLATES = {
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}


@_ANSWERS.on_objects(*_TEMPLATES)
def _gets_requests(item: Json, scene: Scene) -> Iterator[Spot]:
    way = (*_TEMPLATES[item["kind"]], "metadata", "labels")
    own = block(item, *way)
    for service in scene.of_kind("Service"):
        selected = block(spec(service), "selector")
        if selected and selected.items() <= own.items():
            message = f"Service {name_of(service)} would send requests to the Pods of this job"
            key = next(iter(selected))
            yield Spot(message, (*way, key), f"write another `{key}`")


# Dashboards

_NO_JSON = BOOK.error(
    "M036",
    "Grafana shows no dashboard that is not JSON, and only its log says so.",
    evidence="grafana/helm-charts@charts/grafana/values.yaml",
    remedy="Write the JSON that Grafana exports.",
)


@_NO_JSON.on_objects("ConfigMap", "GrafanaDashboard")
def _no_json(item: Json, scene: Scene) -> Iterator[Spot]:
    for value, pointer in _dashboards(item, scene):
        try:
            json.loads(value)
        except ValueError as error:
            message = f"this is no JSON: {error}"
            yield Spot(message, pointer, "write what Grafana exports as the dashboard's JSON")


def _dashboards(item: Json, scene: Scene) -> Iterator[tuple[str, Pointer]]:
    if item["kind"] == "GrafanaDashboard":
        if text(item, "spec", "json"):
            yield text(item, "spec", "json"), ("spec", "json")
        return
    asked = platform(scene.environment, "grafana").get("labels", {"grafana_dashboard": "1"})
    if asked.items() <= labels(item).items():
        yield from (
            (value, ("data", key))
            for key, value in block(item, "data").items()
            if key.endswith(".json") and isinstance(value, str)
        )
