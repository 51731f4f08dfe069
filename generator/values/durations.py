"""Durations as a spec writes them, such as `30m`, and the seconds that they are."""

from __future__ import annotations

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(duration: str) -> int:
    """Read a duration of the spec's form."""
    return int(duration[:-1]) * _SECONDS[duration[-1]]


def told(count: float) -> str:
    """Write a number of seconds in the unit that a person would take."""
    unit = next((unit for unit in "dhm" if count >= 2 * _SECONDS[unit]), "s")
    return f"{count / _SECONDS[unit]:.0f}{unit}"
