"""Who wrote a field of a composed object: the patch, or the base below it, and on which line."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from generator.documents import Json
from generator.files import PlannedFile, RenderedFile
from generator.problems import Where
from generator.yamlio import Pointer


class Traces:
    """The planned files of one subject, by which a field leads back to its template.

    `place` finds the line of a template that writes a field of a planned file, and `is_own` says
    whether a template is the repository's.
    """

    def __init__(
        self, place: Callable[[PlannedFile, Pointer], Where], is_own: Callable[[str], bool]
    ) -> None:
        self._place = place
        self._is_own = is_own
        self._planned: list[PlannedFile] = []

    def start(self) -> None:
        """Forget the last subject."""
        self._planned = []

    def add(self, planned: Iterable[PlannedFile]) -> None:
        """Remember what is about to be rendered."""
        self._planned += planned

    def where(
        self, files: Iterable[RenderedFile], item: Json, pointer: Pointer, folder: str
    ) -> Where:
        """Find the line that wrote a field of an object of a folder; the folder if nobody did."""
        writer = self._writer(files, item, pointer)
        if writer is None:
            return Where(folder)
        planned = next(file for file in self._planned if file.path == writer.path)
        return self._place(planned, pointer)

    def _writer(
        self, files: Iterable[RenderedFile], item: Json, pointer: Pointer
    ) -> RenderedFile | None:
        """Find the last file of the object's kind that goes as deep as any.

        Where two do, it is the one whose template is the repository's own. Names are not compared,
        because a suffix may have changed them.
        """
        of_kind = [file for file in files if file.data.get("kind") == item.get("kind")]
        ranked = [
            (_depth(file.data, pointer), self._is_own(file.template), place)
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
