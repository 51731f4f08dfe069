"""A verdict over a canary with its numbers, as text for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from generator.gate import measures, verdict
from generator.gate.gating import Judgement
from generator.gate.verdict import Limits, Numbers
from generator.values import durations


def headline(found: Judgement) -> str:
    """Say what to do, and why."""
    now, step = found.trial.situation, _step(found)
    place = f"{now.model.name} in {now.place}"
    return f"{place}: {found.verdict.decision}{step}, {found.verdict.reason}"


def _step(found: Judgement) -> str:
    if found.verdict.decision != "advance" or not found.step:
        return ""
    return f" to {found.step} %"


def header(found: Judgement) -> tuple[str, ...]:
    """Name the columns: the version that serves, the canary, and what is allowed."""
    trial = found.trial
    versions = (
        f"{each.artifact.version} ({each.traffic} %)" for each in (trial.stable, trial.canary)
    )
    return (f"last {durations.told(trial.window)}", *versions, "allowed")


def table(found: Judgement) -> list[tuple[str, ...]]:
    """Lay out what is known of the two versions, beside each other."""
    limits, pair = found.trial.limits, (found.stable, found.canary)
    return [
        ("requests", *map(_requests, pair), f"at least {limits.min_requests}"),
        ("errors", *map(_errors, pair), _allowed_errors(limits)),
        *(_quantile(name, pair, limits) for name in measures.QUANTILES),
        (measures.PODS, *(_count(each.pods) for each in pair), ""),
    ]


def _requests(numbers: Numbers) -> str:
    return str(numbers.count) if numbers.requests is not None else _UNKNOWN


_UNKNOWN = "not known"


def _errors(numbers: Numbers) -> str:
    rate = numbers.error_rate
    return _UNKNOWN if rate is None else f"{numbers.failed} ({rate * 100:.3g} %)"


def _allowed_errors(limits: Limits) -> str:
    if limits.max_error_rate >= 1:
        return "not judged"
    return f"{limits.max_error_rate * 100:.3g} %, {limits.max_error_ratio:g} times"


def _quantile(name: str, pair: tuple[Numbers, Numbers], limits: Limits) -> tuple[str, ...]:
    values = (numbers.quantile(name) for numbers in pair)
    allowed = f"{limits.max_latency_ratio:g} times" if name == limits.latency else "not judged"
    return (name, *(_UNKNOWN if v is None else verdict.told(v) for v in values), allowed)


def _count(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:g}"


def remarks(found: Judgement) -> Iterator[str]:
    """Say what else a person should know: how long it took, what is missing, what is doubtful."""
    trial = found.trial
    if trial.canary.traffic and trial.soak:
        so_far = f"{durations.told(trial.lasted)} of {durations.told(trial.soak)}"
        yield f"{found.canary.version} has had its {trial.canary.traffic} % for {so_far}"
    for said in found.warnings:
        yield f"Prometheus warns: {said}"
    yield from _gaps(found)
    if measures.query(trial.situation.merged, "errors") == "":
        yield "this runtime does not report errors; `rollout.gate.queries.errors` may, by a gateway"


def _gaps(found: Judgement) -> Iterator[str]:
    """Show the first query of each version that gave no number: the others have the same cause."""
    told: set[str] = set()
    for (variant, question), remark in found.gaps:
        version = variant.artifact.version
        if version not in told and question.name != measures.PODS:
            told.add(version)
            yield f"no {question.name} of {version} ({remark}): {question.query}"
    if told:
        yield (
            "that is so before the first request, or if nobody scrapes these Pods, or if their "
            "series have other labels than `namespace` and `pod`"
        )


def as_json(found: Judgement) -> str:
    """Write everything that the verdict was made of, and every query with its answer."""
    trial, limits = found.trial, found.trial.limits
    told = {
        "model": trial.situation.model.name,
        "environment": trial.situation.place,
        "decision": found.verdict.decision,
        "reason": found.verdict.reason,
        "step": found.step or None,
        "command": found.command or None,
        "lastedSeconds": round(trial.lasted),
        "soakSeconds": trial.soak,
        "windowSeconds": trial.window,
        "versions": [
            _version(found.stable, "stable", trial.stable.traffic),
            _version(found.canary, "canary", trial.canary.traffic),
        ],
        "limits": {
            "minRequests": limits.min_requests,
            "maxErrorRate": limits.max_error_rate,
            "maxErrorRatio": limits.max_error_ratio,
            "maxLatencyRatio": limits.max_latency_ratio,
            "latency": limits.latency,
        },
        "queries": list(_queries(found)),
        "warnings": found.warnings,
    }
    return json.dumps(told, indent=2, ensure_ascii=False)


def _version(numbers: Numbers, role: str, traffic: int) -> dict[str, Any]:
    return {
        "version": numbers.version,
        "role": role,
        "traffic": traffic,
        "requests": numbers.requests,
        "errors": numbers.errors,
        "errorRate": numbers.error_rate,
        **{name: numbers.quantile(name) for name in measures.QUANTILES},
        "readyPods": numbers.pods,
    }


def _queries(found: Judgement) -> Iterator[dict[str, Any]]:
    for (variant, question), reply in zip(found.trial.asked, found.replies, strict=True):
        yield {
            "version": variant.artifact.version,
            "of": question.name,
            "query": question.query,
            "value": reply.value,
            "remark": reply.remark or None,
        }
