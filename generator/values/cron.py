"""Schedules of cron as Argo CD and Kubernetes read them, and when they fire in a year.

The dialect is that of Go's best known parser (robfig/cron@parser.go): Sunday is 0 and 7 is none,
names have three letters, and a day counts if either of its two fields says so, unless one is `*`.
No library of Python reads it so.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from msgspec import Struct

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NAMES = {
    "month": {name: number for number, name in enumerate(_MONTHS, start=1)},
    "day of the week": {name: number for number, name in enumerate(_DAYS)},
}
_FIELDS = (
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of the month", 1, 31),
    ("month", 1, 12),
    ("day of the week", 0, 6),
)
_SHORT = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
DAY = 86400
YEAR = sum(_LENGTHS) * DAY
"""A leap year that begins on a Monday stands for all years, in seconds."""

Span = tuple[int, int]
"""From a second of the year until another, which is no part of it."""


class Unreadable(ValueError):
    """Why a text is no schedule."""


class Schedule(Struct, frozen=True):
    """When something fires: the values of each field, and whether a day needs one or both."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    needs_both: bool

    def fires_on(self, month: int, day: int, weekday: int) -> bool:
        """Say whether it fires on a day."""
        of_month, of_week = day in self.days, weekday in self.weekdays
        is_day = of_month and of_week if self.needs_both else of_month or of_week
        return month in self.months and is_day


@lru_cache(64)
def parsed(text: str) -> Schedule:
    """Read a schedule. Raises Unreadable."""
    fields = _SHORT.get(text, text).split()
    if len(fields) != len(_FIELDS):
        raise Unreadable(f"it has {len(fields)} fields, and a schedule has {len(_FIELDS)}")
    read = (_field(field, *bounds) for field, bounds in zip(fields, _FIELDS, strict=True))
    minutes, hours, days, months, weekdays = read
    is_open = any(field[:1] in ("*", "?") and _step(field) == 1 for field in (fields[2], fields[4]))
    return Schedule(minutes, hours, days, months, weekdays, is_open)


def _step(field: str) -> int:
    _, _, step = field.partition("/")
    return int(step) if step.isdecimal() else 1


def _field(text: str, what: str, lowest: int, highest: int) -> frozenset[int]:
    return frozenset(
        number for part in text.split(",") for number in _part(part, what, lowest, highest)
    )


def _part(text: str, what: str, lowest: int, highest: int) -> range:
    told, slash, step = text.partition("/")
    first, dash, last = told.partition("-")
    if told in ("*", "?"):
        start, end = lowest, highest
    else:
        start = _number(first, what)
        end = _number(last, what) if dash else highest if slash else start
    if slash and (not step.isdecimal() or int(step) == 0):
        raise Unreadable(f"`{step}` is no step of the {what}")
    if not lowest <= start <= end <= highest:
        raise Unreadable(f"`{text}` is no {what}: it is from {lowest} to {highest}")
    return range(start, end + 1, int(step) if slash else 1)


def _number(text: str, what: str) -> int:
    known = _NAMES.get(what, {}).get(text.lower())
    if known is None and not text.isdecimal():
        raise Unreadable(f"`{text}` is no {what}")
    return int(text) if known is None else known


@lru_cache(64)
def open_in(text: str, seconds: int) -> list[Span]:
    """List when something is open that opens by a schedule for so many seconds, merged.

    What opens before New Year and closes after it is closed at the year's end.
    """
    schedule = parsed(text)
    times = sorted(
        hour * 3600 + minute * 60 for hour in schedule.hours for minute in schedule.minutes
    )
    of_a_day = merged((time, time + seconds) for time in times)
    spans = (
        (day * DAY + start, day * DAY + end) for day in _days(schedule) for start, end in of_a_day
    )
    return [(start, min(end, YEAR)) for start, end in merged(spans) if start < YEAR]


def _days(schedule: Schedule) -> Iterator[int]:
    """Count the days of the year on which a schedule fires; its first is a Monday."""
    number = 0
    for month, length in enumerate(_LENGTHS, start=1):
        for day in range(1, length + 1):
            if schedule.fires_on(month, day, (number + 1) % 7):
                yield number
            number += 1


def merged(spans: Iterator[Span]) -> list[Span]:
    """Join spans that touch; they come in the order of their starts."""
    found: list[Span] = []
    for start, end in spans:
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def without(spans: list[Span], taken: list[Span]) -> list[Span]:
    """Take spans away from others; both are merged."""
    left: list[Span] = []
    for start, end in spans:
        for first, last in taken:
            if first < end and last > start:
                if first > start:
                    left.append((start, first))
                start = max(start, last)
        if start < end:
            left.append((start, end))
    return left


def fault(text: str) -> str:
    """Say what is wrong with the schedule of what starts by the clock; empty if it ever starts."""
    if text.startswith("@"):
        return "is a word, and a schedule is five fields here"
    if "TZ=" in text:
        return "names a time zone: that is `timeZone`"
    try:
        return "never fires: no month has such a day" if never_fires(text) else ""
    except Unreadable as error:
        return f"is no schedule: {error}"


def never_fires(text: str) -> bool:
    """Say whether a schedule fires on no day of any year, such as the 31st of February."""
    return next(_days(parsed(text)), None) is None
