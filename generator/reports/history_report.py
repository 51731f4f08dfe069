"""The periods of a model as a table for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

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


def as_json(periods: Sequence[Period]) -> str:
    """List periods, the newest first; `until` is null for what is live still."""
    return json.dumps([_entry(period) for period in periods], indent=2, ensure_ascii=False)


def _entry(period: Period) -> dict[str, Any]:
    live = period.live
    return {
        "environment": period.environment,
        "since": period.since,
        "until": period.until or None,
        "live": [] if isinstance(live, Broken) else [share._asdict() for share in live],
        "unreadable": live.reason if isinstance(live, Broken) else None,
        "commit": period.commit,
        "author": period.author,
        "request": period.request or None,
        "reverts": period.reverts or None,
        "title": period.message.partition("\n")[0],
    }
