"""Which file wrote a field of a composed object: the patch, or the base below it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from generator.records import Json, RenderedFile
from generator.yamlio import Pointer


def writer(
    files: Iterable[RenderedFile], item: Json, pointer: Pointer, is_own: Callable[[str], bool]
) -> RenderedFile | None:
    """Find the file that most likely wrote a field: the last one of its kind that goes as deep.

    Where two do, it is the one whose template is the repository's own (`is_own`). Names are not
    compared, because a suffix may have changed them. None if no file has the kind.
    """
    of_kind = [file for file in files if file.data.get("kind") == item["kind"]]
    ranked = [
        (_depth(file.data, pointer), is_own(file.template), place)
        for place, file in enumerate(of_kind)
    ]
    return of_kind[max(ranked)[2]] if ranked else None


def _depth(node: Any, pointer: Pointer) -> int:
    """Count the steps of a pointer that lead somewhere."""
    for depth, step in enumerate(pointer):
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):
            return depth
    return len(pointer)
