"""The dashboard of a model: JSON as Grafana reads it, the same bytes every time.

All panels read recorded series, which carry the version: no query names one, so that a promotion
does not change the dashboard. `id` and `version` are Grafana's own and left out; `uid` is fixed, or
every import would be another dashboard.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import NamedTuple

from generator.documents import Json
from generator.monitoring import alerts, records
from generator.monitoring import watched as where
from generator.monitoring.watched import Watched
from generator.records import Release

_WIDTH, _HEIGHT, _ROW = 24, 8, 3
_SOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
_SCHEMA = 39
"""Of Grafana 11, which newer ones read too (grafana/grafana@kinds/dashboard/dashboard_kind.cue)."""
_BY_VERSION = "{{version}}"


class Graph(NamedTuple):
    """One panel: its title, its unit in Grafana's words, and queries with their legends."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    limit: float | None = None


def uid(release: Release) -> str:
    """Name the dashboard for ever: 40 characters are all that Grafana takes."""
    whole = f"{release.environment.name}/{release.model}"
    return f"gen-{sha256(whole.encode()).hexdigest()[:24]}"


def text(release: Release, watched: Watched) -> str:
    """Write the dashboard of a release."""
    panels = [*_head(release, watched), *_graphs(release, watched)]
    whole = {
        "title": f"{release.model} in {release.environment.name}",
        "description": release.description,
        "uid": uid(release),
        "tags": sorted({"gen", release.environment.name, release.owner}),
        "editable": False,
        "graphTooltip": 1,
        "refresh": "1m",
        "schemaVersion": _SCHEMA,
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "",
        "templating": {"list": [_source_variable()]},
        "annotations": {"list": []},
    }
    head = ",\n".join(f"  {_json(key)}: {_json(value)}" for key, value in whole.items())
    numbered = ({"id": number, **panel} for number, panel in enumerate(panels, 1))
    body = ",\n".join(f"    {_json(panel)}" for panel in numbered)
    return f'{{\n{head},\n  "panels": [\n{body}\n  ]\n}}\n'


def _json(value: object) -> str:
    """Write a value on one line: a panel is read in Grafana, here it is enough that it changed."""
    return json.dumps(value, ensure_ascii=False)


def _source_variable() -> Json:
    return {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
    }


def _head(release: Release, watched: Watched) -> Iterator[Json]:
    """Show a row of numbers: what a person looks at first."""
    numbers = [graph for graph in _all(release, watched) if graph.title in _FIRST]
    width = _WIDTH // max(len(numbers), 1)
    for place, graph in enumerate(numbers):
        colours: list[Json] = [{"color": "green", "value": None}]
        if graph.limit is not None:
            colours.append({"color": "red", "value": graph.limit})
        yield {
            "title": graph.title,
            "type": "stat",
            "gridPos": {"h": _ROW, "w": width, "x": place * width, "y": 0},
            **_asked(graph, instant=True),
            "fieldConfig": {
                "defaults": {
                    "unit": graph.unit,
                    "thresholds": {"mode": "absolute", "steps": colours},
                },
                "overrides": [],
            },
            "options": {"reduceOptions": {"calcs": ["lastNotNull"]}, "graphMode": "none"},
        }


def _graphs(release: Release, watched: Watched) -> Iterator[Json]:
    """Show everything over time, two beside each other."""
    for place, graph in enumerate(_all(release, watched)):
        column, row = place % 2, place // 2
        grid = {
            "h": _HEIGHT,
            "w": _WIDTH // 2,
            "x": column * _WIDTH // 2,
            "y": _ROW + row * _HEIGHT,
        }
        yield {
            "title": graph.title,
            "type": "timeseries",
            "gridPos": grid,
            **_asked(graph, instant=False),
            "fieldConfig": {"defaults": _drawn(graph), "overrides": []},
        }


def _drawn(graph: Graph) -> Json:
    if graph.limit is None:
        return {"unit": graph.unit, "min": 0}
    steps: list[Json] = [
        {"color": "transparent", "value": None},
        {"color": "red", "value": graph.limit},
    ]
    return {
        "unit": graph.unit,
        "min": 0,
        "thresholds": {"mode": "absolute", "steps": steps},
        "custom": {"thresholdsStyle": {"mode": "line"}},
    }


def _asked(graph: Graph, *, instant: bool) -> Json:
    targets = [
        {
            "refId": chr(ord("A") + index),
            "datasource": _SOURCE,
            "expr": query,
            "legendFormat": legend,
            **({"instant": True} if instant else {}),
        }
        for index, (query, legend) in enumerate(graph.queries)
    ]
    return {"datasource": _SOURCE, "targets": targets}


_FIRST = ("Requests", "Failed requests", "Latency", "Ready replicas", "Drifted columns")
_TITLES = {
    records.REQUESTS: ("Requests", "reqps"),
    records.ERRORS: ("Failed requests", "percentunit"),
    records.READY: ("Ready replicas", "short"),
    records.OF_MAXIMUM: ("Replicas of the maximum", "percentunit"),
    records.IN_FLIGHT: ("Requests in flight", "short"),
    records.CPU: ("CPU cores", "short"),
    records.MEMORY: ("Memory of a replica", "bytes"),
    records.GPU_BUSY: ("GPUs at work", "percentunit"),
    records.GPU_MEMORY: ("GPU memory", "percentunit"),
}
_QUANTILES = ("p50", "p95", "p99")


def _all(release: Release, watched: Watched) -> Iterator[Graph]:
    """List what there is to show of a release, callers' view first."""
    known = {series.name for series in records.of_release(release, watched)}
    limits = {
        records.ERRORS: watched.errors or None,
        records.GPU_MEMORY: watched.gpu_memory or None,
    }
    for name, (title, unit) in _TITLES.items():
        if name == records.READY and records.latency("p99") in known:
            yield _latency(release, watched)
        if name in known:
            query = alerts.series(name, release)
            yield Graph(title, unit, ((query, _BY_VERSION),), limits.get(name))
    if where.check_for_drift(release) is not None:
        share = alerts.series("gen_drift_share", release)
        limit = alerts.series("gen_drift_threshold", release)
        yield Graph("Drifted columns", "percentunit", ((share, "share"), (limit, "threshold")))


def _latency(release: Release, watched: Watched) -> Graph:
    queries = tuple(
        (alerts.series(records.latency(quantile), release), f"{_BY_VERSION} {quantile}")
        for quantile in _QUANTILES
    )
    limit = watched.latency.get("p99")
    return Graph("Latency", "s", queries, limit)
