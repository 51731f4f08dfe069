"""What Prometheus is asked of one version of a model: requests, errors, latency, ready Pods.

Every label that a metric has is equal on two versions of a model, so each is found by its own Pods.
"""

from __future__ import annotations

from collections.abc import Iterator
from string import Template
from typing import Any, NamedTuple

from generator import promql
from generator.problems import Problem
from generator.promql import Series
from generator.records import Variant
from generator.scaling import autoscaling
from generator.settings import Settings

QUANTILES = {"p50": "0.5", "p95": "0.95", "p99": "0.99"}
PODS = "ready Pods"
"""The question that no spec replaces, asked of every version."""
KINDS = ("requests", "errors", "latency")
_TELLING_APART = ("pods", "version", "workload", "service")
_PLACES = (*_TELLING_APART, "namespace", "window", "quantile")

READY = 'sum(kube_pod_status_ready{$pods,condition="true"}) or sum(up{$pods})'
"""Who scrapes nothing of kube-state-metrics still knows which Pods can be scraped."""


class Reply(NamedTuple):
    """A number, or why there is none; `warnings` are Prometheus's own."""

    value: float | None
    remark: str = ""
    warnings: tuple[str, ...] = ()


class Question(NamedTuple):
    """A query by the name of its number; `kind` is empty where no spec can replace it."""

    name: str
    query: str
    kind: str = ""


def questions(
    merged: Settings, variant: Variant, namespace: str, window: int
) -> Iterator[Question]:
    """List what is known how to ask of a version, over a window of seconds."""
    places = _places(variant, namespace, f"{window}s")
    for kind in KINDS:
        template = query(merged, kind)
        names = QUANTILES if kind == "latency" else {kind: "0"}
        for name, quantile in names.items() if template else ():
            yield Question(name, _filled(template, places | {"quantile": quantile}), kind)
    yield Question(PODS, _filled(READY, places))


def query(merged: Settings, kind: str) -> str:
    """Find the query of a kind with its places open: the spec's own, or the runtime's."""
    own: str | None = merged.get("rollout", "gate", "queries", kind)
    if own is not None:
        return own
    runtime = autoscaling.runtime_of(merged)
    found: str = getattr(runtime.gauge, kind) if runtime else ""
    return found


def asked(
    template: str, variant: Variant, namespace: str, window: str, pods: str, quantile: str = "0"
) -> str:
    """Fill in a query of a version whose Pods are found by these matchers."""
    places = _places(variant, namespace, window)
    return _filled(template, places | {"pods": pods, "quantile": quantile})


def _places(variant: Variant, namespace: str, window: str) -> dict[str, str]:
    return {
        "pods": autoscaling.pods(variant.workload, namespace),
        "version": variant.artifact.version,
        "workload": variant.workload,
        "service": variant.service,
        "namespace": namespace,
        "window": window,
    }


def _filled(template: str, places: dict[str, str]) -> str:
    return Template(template).safe_substitute(places)


_EXAMPLE = {
    **dict.fromkeys(_PLACES, "x"),
    "pods": 'pod=~"x"',
    "window": "60s",
    "quantile": "0.5",
}


def problems(merged: Settings) -> Iterator[Problem]:
    """Find own queries that Prometheus would refuse, or that are the same for both versions."""
    own: dict[str, Any] = merged.get("rollout", "gate", "queries") or {}
    for kind, template in own.items():
        found = flaw(template)
        if found:
            message, hint = found
            pointer = ("rollout", "gate", "queries", kind)
            yield merged.problem("E303", message, pointer, hint)


def flaw(template: str) -> tuple[str, str] | None:
    """Say what is wrong with a query, and what to write instead; None if nothing is."""
    used = Template(template).get_identifiers()
    unknown = [f"`${name}`" for name in used if name not in _PLACES]
    if unknown:
        known = ", ".join(f"`${name}`" for name in _PLACES)
        return f"there is no {unknown[0]} to fill in", f"known here: {known}"
    if not set(used) & set(_TELLING_APART):
        message = "this gives the same number for the canary and for the version that serves"
        return message, "write `$pods` in the braces of the metric: the version's own Pods"
    wrong = promql.flaw(_filled(template, _EXAMPLE))
    if wrong:
        return f"Prometheus refuses this: {wrong}", "try the query in Prometheus first"
    if promql.answer(_filled(template, _EXAMPLE)).series is Series.SEVERAL:
        return "this gives several numbers, and one is needed", "put `sum(...)` around it"
    return None
