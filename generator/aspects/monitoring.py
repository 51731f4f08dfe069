"""Monitoring: a PodMonitor, alerts as PrometheusRules and a dashboard for each model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from generator.aspects.contract import Ask, Aspect, Kind, Piece
from generator.documents import Json
from generator.gate import measures
from generator.inventory.records import Environment
from generator.monitoring import alerts, dashboards, records
from generator.monitoring import watched as where
from generator.monitoring.watched import MODEL, VERSION, Watched
from generator.problems import Problem
from generator.records import Release
from generator.scaling import autoscaling

_SIDECAR: Json = {"grafana_dashboard": "1"}
_OPERATOR = "add `operator` to the environment's `platform.prometheus`"
_IDLE = 0.05


class Monitoring(Aspect):
    """What Prometheus and Grafana are told of a model."""

    name = "monitoring"

    def problems(self, ask: Ask) -> Iterator[Problem]:
        """Find what the environment lacks, and what nobody can measure."""
        if _is_on(ask) and not _has_pods(ask):
            yield from _podless(ask)
        elif _is_on(ask):
            yield from _absent(ask)
            yield from _unknown(ask)
            yield from _unmeasured(ask)
            yield from _own_queries(ask)

    def facts(self, ask: Ask) -> Watched | None:
        """Resolve what is watched; None where the block is off, or there are no Pods to watch."""
        is_watched = _is_on(ask) and _has_pods(ask) and not any(_absent(ask))
        return _watched(ask) if is_watched else None

    def files(self, release: Release, facts: Watched) -> Iterator[Piece]:
        """List the monitor, the rules, those of a canary while there is one, and the dashboard."""
        shared = {"labels": _labels(release, facts.labels)}
        if facts.scrape:
            yield _piece("pod-monitor", shared, monitor=_monitor(release, facts))
        if facts.alerts or facts.dashboard:
            yield _piece("prometheus-rule", shared, groups=_groups(release, facts))
        if facts.alerts and (worse := alerts.of_canary(release, facts)):
            yield _piece("prometheus-rule-canary", shared, groups=[_told(release, facts, worse)])
        if facts.dashboard:
            yield _dashboard(release, facts)

    def kinds(self, environment: Environment) -> tuple[Kind, ...]:
        """List what the operators that are installed read."""
        prometheus, grafana = (platform(environment, name) for name in ("prometheus", "grafana"))
        if not prometheus.get("operator"):
            return ()
        own = [Kind("monitoring.coreos.com", kind) for kind in ("PodMonitor", "PrometheusRule")]
        if grafana:
            is_operator = grafana.get("via") == "operator"
            shown = ("grafana.integreatly.org", "GrafanaDashboard")
            own.append(Kind(*shown) if is_operator else Kind("", "ConfigMap"))
        return tuple(own)


def platform(environment: Environment, system: str) -> Json:
    """Return what an environment says of a system; nothing if it has none."""
    said: Json = environment.document.data["platform"].get(system) or {}
    return said


def _is_on(ask: Ask) -> bool:
    return bool(ask.merged.get("monitoring", "enabled") is not False)


def _has_pods(ask: Ask) -> bool:
    return ask.merged.serving["backend"] in where.OF_THEIR_OWN


def _podless(ask: Ask) -> Iterator[Problem]:
    """Refuse to watch what has no Pods of its own, if the model itself wants it.

    What an environment wants of all of its models passes by those that cannot.
    """
    if is_of_model(ask, "monitoring"):
        backend = ask.merged.serving["backend"]
        message = f"a model of `backend: {backend}` has no Pods that are called after it to watch"
        hint = "remove it, and watch the servers where they are installed"
        yield ask.merged.problem("E303", message, ("monitoring",), hint)


def _piece(name: str, shared: Json, **own: Any) -> Piece:
    return Piece(f"{name}.yaml", f"overlay/{name}.yaml.j2", {**shared, **own})


def is_of_model(ask: Ask, *pointer: str) -> bool:
    """Say whether the model itself says something, and not only its environment's defaults."""
    return any(layer.document is ask.model and layer.has(pointer) for layer in ask.merged.layers)


# What it asks for and cannot get


def _absent(ask: Ask) -> Iterator[Problem]:
    """Refuse what nobody in the environment would read."""
    name = ask.environment.name
    off = f"write `monitoring: {{enabled: false}}` in the model's `environments.{name}`"
    if not platform(ask.environment, "prometheus").get("operator"):
        message = f"environment {name} has no Prometheus operator to read alerts and monitors"
        yield ask.merged.problem("E302", message, ("monitoring",), f"{_OPERATOR}, or {off}")
    grafana = platform(ask.environment, "grafana")
    if ask.merged.get("monitoring", "dashboard") and not grafana:
        message = f"environment {name} has no `platform.grafana` to show a dashboard"
        hint = "add it to the environment, or remove `dashboard`"
        yield ask.merged.problem("E302", message, ("monitoring", "dashboard"), hint)


def _unknown(ask: Ask) -> Iterator[Problem]:
    """Refuse to scrape Pods of which nothing is known, if the model itself wants to be watched.

    What an environment wants of all of its models passes by those that cannot.
    """
    if not is_of_model(ask, "monitoring") or _can_be_scraped(ask) or _scrapes_not(ask):
        return
    merged = ask.merged
    backend = merged.serving["backend"]
    hint = "write `metrics: {scrape: false}` if Prometheus scrapes them anyway"
    if backend not in where.KNOWN:
        message = f"gen does not know where the Pods of `backend: {backend}` tell of themselves"
        yield merged.problem("E303", message, ("monitoring",), f"write `enabled: false`, or {hint}")
    else:
        what = merged.get("serving", "runtime") or merged.get("serving", "format")
        message = f"gen does not know the port of the metrics of {what}"
        hint = f"add `monitoring.metrics: {{port: <port>}}`, or {hint}"
        yield merged.problem("E302", message, ("monitoring",), hint)


def _can_be_scraped(ask: Ask) -> bool:
    backend = ask.merged.serving["backend"]
    return backend in where.KNOWN and (backend == where.OWN or bool(_port(ask)))


def _scrapes_not(ask: Ask) -> bool:
    return bool(ask.merged.get("monitoring", "metrics", "scrape") is False)


def _unmeasured(ask: Ask) -> Iterator[Problem]:
    """Refuse objectives of the model's own that no query is known for."""
    merged, known = ask.merged, _queries(ask)
    for kind in ("errors", "latency"):
        missing = [each for each in ("requests", kind) if each not in known]
        if missing and is_of_model(ask, "monitoring", kind):
            what = merged.get("serving", "runtime") or merged.get("serving", "format")
            message = f"gen does not know how {what or 'your image'} counts its {missing[0]}"
            hint = f"add `monitoring.queries.{missing[0]}`, or remove `{kind}`"
            yield merged.problem("E302", message, ("monitoring", kind), hint)


def _own_queries(ask: Ask) -> Iterator[Problem]:
    """Find own queries that Prometheus would refuse, or that are the same for all versions."""
    own: Mapping[str, str] = ask.merged.get("monitoring", "queries") or {}
    for kind, template in own.items():
        found = measures.flaw(template)
        if found:
            message, hint = found
            pointer = ("monitoring", "queries", kind)
            yield ask.merged.problem("E303", message, pointer, hint)


# What it comes to


def _queries(ask: Ask) -> dict[str, str]:
    """Find what is known how to ask, by kind."""
    own = ask.merged.get("monitoring", "queries") or {}
    found = {kind: own.get(kind) or measures.query(ask.merged, kind) for kind in measures.KINDS}
    return {kind: template for kind, template in found.items() if template}


def _port(ask: Ask) -> int:
    said = ask.merged.get("monitoring", "metrics", "port")
    if said is not None:
        return int(said)
    runtime = autoscaling.runtime_of(ask.merged)
    return runtime.metrics_port if runtime else 0


def _watched(ask: Ask) -> Watched:
    said: Json = ask.merged.data["monitoring"]
    known = _queries(ask)
    prometheus, grafana = (platform(ask.environment, name) for name in ("prometheus", "grafana"))
    metrics, gpu = said.get("metrics", {}), said.get("gpu", {})
    via = grafana.get("via", "sidecar") if grafana and said.get("dashboard", True) else ""
    return Watched(
        scrape=metrics.get("scrape", True) and _can_be_scraped(ask),
        port=_port(ask),
        path=metrics.get("path", "/metrics"),
        interval=metrics.get("interval", ""),
        alerts=said.get("alerts", True),
        dashboard=via,
        folder=grafana.get("folder", ""),
        selector=grafana.get("instanceSelector" if via == "operator" else "labels", _SIDECAR),
        labels=prometheus.get("labels", {}),
        queries=known,
        concurrency=_concurrency(ask),
        latency=_latency(said) if {"requests", "latency"} <= known.keys() else {},
        errors=said.get("errors", 0) if {"requests", "errors"} <= known.keys() else 0,
        window=said.get("window", "5m"),
        hold=said.get("for", "5m"),
        min_requests=said.get("minRequests", 10),
        gpu_memory=gpu.get("memory", 0),
        gpu_idle=gpu.get("idle", _IDLE),
        alert_labels=said.get("labels", {}),
        runbooks=said.get("runbooks", ""),
        gate=_gate(ask),
    )


def _latency(said: Json) -> dict[str, float]:
    return {key: _seconds(value) for key, value in said.get("latency", {}).items()}


def _concurrency(ask: Ask) -> str:
    runtime = autoscaling.runtime_of(ask.merged)
    return runtime.concurrency if runtime else ""


def _gate(ask: Ask) -> dict[str, float | str]:
    """Take the bounds of a rollout, which a canary is judged by anyway."""
    said = ask.merged.get("rollout", "gate") or {}
    return {
        "minRequests": said.get("minRequests", 100),
        "maxErrorRate": said.get("maxErrorRate", 0.02),
        "maxErrorRatio": said.get("maxErrorRatio", 2),
        "maxLatencyRatio": said.get("maxLatencyRatio", 1.5),
        "latency": said.get("latency", "p95"),
    }


def _seconds(duration: str) -> float:
    number = float(duration.removesuffix("s").removesuffix("m"))
    return number / 1000 if duration.endswith("ms") else number


# What is rendered


def _labels(release: Release, asked: Mapping[str, str]) -> Json:
    """Label an object as every other, and as those ask who select it."""
    return {MODEL: release.model, "app.kubernetes.io/managed-by": "gen", **asked}


def _monitor(release: Release, facts: Watched) -> Json:
    """Write what is scraped; the version of a Pod goes with all that it tells."""
    return {
        "selector": where.selected(release),
        "podTargetLabels": [MODEL, VERSION],
        "podMetricsEndpoints": where.endpoints(release, facts),
    }


def _groups(release: Release, facts: Watched) -> list[Json]:
    recorded = [
        {"record": series.name, "expr": f"{series.expression}\n", "labels": series.labels}
        for series in records.of_release(release, facts)
    ]
    name = f"{release.environment.name}.{release.model}"
    groups: list[Json] = [{"name": f"{name}.recorded", "rules": recorded}]
    if facts.alerts:
        groups.append(_told(release, facts, alerts.of_release(release, facts)))
    return groups


def _told(release: Release, facts: Watched, told: list[alerts.Alert]) -> Json:
    is_canary = any(alert.name.startswith("ModelCanary") for alert in told)
    name = f"{release.environment.name}.{release.model}.{'canary' if is_canary else 'alerts'}"
    return {"name": name, "rules": [alerts.rule(release, facts, alert) for alert in told]}


def _dashboard(release: Release, facts: Watched) -> Piece:
    """Write the dashboard for the operator, or for the sidecar.

    The sidecar of all namespaces writes into one folder, so that the file's name has the
    environment in it (kiwigrid/k8s-sidecar@README.md).
    """
    text = dashboards.text(release, facts)
    if facts.dashboard == "operator":
        own = {"labels": _labels(release, {}), "instances": facts.selector, "folder": facts.folder}
        return _piece("grafana-dashboard", own, dashboard=text)
    own = {
        "labels": _labels(release, facts.selector),
        "folder": facts.folder,
        "data": {f"{release.environment.name}-{release.model}.json": text},
    }
    return _piece("config-map-dashboard", own)
