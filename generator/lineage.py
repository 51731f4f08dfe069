"""Where a version came from, as the spec says it: a registered model, a run, its data, a commit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KEY = "source"
"""The key of a version that says where it came from."""

_HASH = 12
"""As many characters of a commit or a run tell it from all others."""


def told(source: Mapping[str, Any]) -> str:
    """Say on one line where a version came from; empty if nobody knows.

    What is said of a version in former commits may follow other rules.
    """
    return ", ".join(f"{label} {text}".strip() for label, text in parts(source))


def parts(source: Mapping[str, Any]) -> list[tuple[str, str]]:
    """List what is known, each with a word for what it is."""
    data = source.get("datasets")
    known = (
        ("", source.get("registry")),
        ("run", source.get("run")),
        ("commit", source.get("commit")),
        *(("data", each) for each in (data if isinstance(data, list) else ())),
    )
    return [(label, str(value)) for label, value in known if value]


def joined(source: Mapping[str, Any]) -> list[tuple[str, str]]:
    """List what is known as `parts` does, each kind once."""
    found: dict[str, list[str]] = {}
    for label, text in parts(source):
        found.setdefault(label, []).append(text)
    return [(label, ", ".join(texts)) for label, texts in found.items()]


def cells(source: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Lay out the registered model, the run, the commit and the data for a table."""
    known = dict(joined(source))
    run, commit = (known.get(label, "-")[:_HASH] for label in ("run", "commit"))
    return known.get("", "-"), run, commit, known.get("data", "-")
