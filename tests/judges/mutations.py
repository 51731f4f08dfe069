"""Small, systematic damage to a document: every key dropped, every value replaced."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Path = tuple[str | int, ...]

UNKNOWN = "unknownField"
_REPLACEMENTS: dict[type, tuple[Any, ...]] = {
    str: ("notAValue", "1.a", "", 7, True, None, {}, []),
    int: (-1, 0, 10**12, 1.5, "seven", True, None, {}),
    float: ("seven", True, None, {}),
    bool: ("yes", 0, None, {}),
    dict: ("text", None, []),
    list: ("text", None, {}, []),
    type(None): ("text", 7, True, {}, []),
}


def mutated(document: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """Damage a document in place, one spot at a time, and mend it when asked for the next.

    Yields where the damage is and what it is.
    """
    return _mutated(document, ())


def _mutated(holder: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(holder, dict):
        yield from _with_unknown_key(holder, path)
    for key in list(holder) if isinstance(holder, dict) else range(len(holder)):
        value = holder[key]
        yield from _replaced(holder, key, path)
        if isinstance(value, dict | list):
            yield from _mutated(value, (*path, key))


def _with_unknown_key(holder: dict[str, Any], path: Path) -> Iterator[tuple[Path, str]]:
    holder[UNKNOWN] = "text"
    yield (*path, UNKNOWN), "added"
    del holder[UNKNOWN]


def _replaced(holder: Any, key: Any, path: Path) -> Iterator[tuple[Path, str]]:
    value = holder[key]
    for other in _REPLACEMENTS[type(value)]:
        holder[key] = other
        yield (*path, key), f"replaced by {other!r}"
    if isinstance(holder, dict):
        yield from _dropped(holder, key, path)
    holder[key] = value


def _dropped(holder: dict[str, Any], key: str, path: Path) -> Iterator[tuple[Path, str]]:
    del holder[key]
    yield (*path, key), "dropped"
