"""Which versions of a model are withdrawn, and why: they may never be live again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from generator import lineage

MARK = "withdrawn"
"""The key of a version that says why it is withdrawn."""

Entry = Mapping[str, Any]
Versions = Mapping[str, Entry]
"""The block `versions` of a model's document."""


class Withdrawal(NamedTuple):
    """The version that carries the mark, and the reason that it gives, on one line."""

    version: str
    reason: str

    def told(self, version: str, verb: str = "is") -> str:
        """Say that a version is withdrawn, by its own mark or by that of the same artifact."""
        known = f"{self.version} {verb} withdrawn ({self.reason})"
        if version == self.version:
            return known
        return f"{version} is the same artifact as {self.version}, and {known}"


def artifact(entry: Entry) -> dict[str, Any]:
    """Give what a version is, without what is said about it."""
    return {key: value for key, value in entry.items() if key not in (MARK, lineage.KEY)}


def of(versions: Versions, version: str, entry: Entry | None = None) -> Withdrawal | None:
    """Find what withdraws a version: its own mark, or that of a version with the same artifact.

    `entry` is what the version is where that is not what `versions` says.
    """
    marked = {name: _line(known[MARK]) for name, known in versions.items() if MARK in known}
    if not marked:
        return None
    if version in marked:
        return Withdrawal(version, marked[version])
    own = artifact(versions[version] if entry is None else entry)
    same = (name for name in marked if artifact(versions[name]) == own)
    return next((Withdrawal(name, marked[name]) for name in same), None)


def _line(reason: str) -> str:
    """Write a reason on one line, however it stands in the file."""
    return " ".join(reason.split())


def newest(versions: Versions) -> str:
    """Name the newest version that is not withdrawn; empty if there is none."""
    return next((name for name in reversed(list(versions)) if not of(versions, name)), "")


def instead(versions: Versions) -> str:
    """Say what to take instead of a withdrawn version."""
    name = newest(versions)
    if not name:
        return "another version, which you add first"
    return f"{name}, the newest one that is not withdrawn"
