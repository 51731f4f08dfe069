"""Minor versions, such as `0.20`, as numbers that can be compared."""

from __future__ import annotations

Minor = tuple[int, ...]


def parsed(version: str) -> Minor:
    """Read `0.20` as (0, 20), so that it is newer than `0.9`."""
    return tuple(int(part) for part in version.split("."))


def said(version: Minor) -> str:
    """Write (0, 20) as a person does."""
    return ".".join(map(str, version))


def within(version: str, span: str) -> bool:
    """Say whether a version such as `0.20` is in a range such as `>=0.16,<0.21`; "" never is."""
    return bool(version) and all(_meets(version, bound) for bound in span.split(","))


def _meets(version: str, bound: str) -> bool:
    least = bound.startswith(">=")
    limit = parsed(bound.removeprefix(">=").removeprefix("<"))
    return parsed(version) >= limit if least else parsed(version) < limit
