"""The periods of a model as a table for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from generator import lineage
from generator.revisions.timeline import Broken, Live, Period, Share
from generator.scalars import visible

COLUMNS = ("since", "until", "environment", "live", "commit", "request", "by")
LESS = ("request", "by")
"""Columns that a narrow terminal can do without, in this order."""
_MINUTES = len("2026-11-20T14:26")


def rows(periods: Iterable[Period]) -> list[tuple[str, ...]]:
    """Lay out periods as cells, in the time zone of each commit."""
    return [_row(period) for period in periods]


def _row(period: Period) -> tuple[str, ...]:
    by = f"{period.author}, reverts {period.reverts[:8]}" if period.reverts else period.author
    return (
        _minute(period.since),
        _minute(period.until) or "now",
        period.environment,
        visible(told(period.live)),
        period.commit[:8],
        period.request or "-",
        visible(by),
    )


def _minute(date: str) -> str:
    return date[:_MINUTES].replace("T", " ")


def told(live: Live) -> str:
    """Say what is live, as in `v3 90 %, canary v4 10 %`."""
    if isinstance(live, Broken):
        return f"unreadable: {live.reason}"
    return ", ".join(_share(share, len(live)) for share in live) or "nothing"


def _share(share: Share, count: int) -> str:
    if share.role in ("standby", "shadow"):
        return f"{share.role} {share.version}"
    traffic = f" {share.traffic} %" if count > 1 else ""
    return f"canary {share.version}{traffic}" if share.role == "canary" else share.version + traffic


SOURCES = ("version", "registered", "run", "code", "data")
SOURCES_LESS = ("run", "code")
Sources = Mapping[str, Mapping[str, Any]]
"""Where versions came from."""


def source_rows(sources: Sources) -> list[tuple[str, ...]]:
    """Lay out where versions came from as cells, ids shortened."""
    return [
        (visible(version), *map(visible, lineage.cells(source)))
        for version, source in sources.items()
    ]


def as_json(periods: Sequence[Period], sources: Sources) -> str:
    """List periods, the newest first; `until` is null for what is live still.

    A version that is known to come from somewhere says so.
    """
    entries = [_entry(period, sources) for period in periods]
    return json.dumps(entries, indent=2, ensure_ascii=False)


def _traced(share: Share, sources: Sources) -> dict[str, Any]:
    known = sources.get(share.version)
    return {**share._asdict(), **({"source": known} if known else {})}


def _entry(period: Period, sources: Sources) -> dict[str, Any]:
    live = period.live
    return {
        "environment": period.environment,
        "since": period.since,
        "until": period.until or None,
        "live": [] if isinstance(live, Broken) else [_traced(share, sources) for share in live],
        "unreadable": live.reason if isinstance(live, Broken) else None,
        "commit": period.commit,
        "author": period.author,
        "request": period.request or None,
        "reverts": period.reverts or None,
        "title": period.message.partition("\n")[0],
    }
