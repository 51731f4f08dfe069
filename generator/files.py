"""Files as they are planned, rendered and written, and what writing changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from msgspec import Struct, field

from generator.documents import Json

RENDERED, ARGOCD = "rendered", "argocd"
"""The only folders that gen writes to."""


HEADER = "# Rendered by gen from "
"""How every file that gen owns begins; nothing else is ever overwritten or deleted."""


class Extra(NamedTuple):
    """An own template that replaces nothing: one more object, and what kind it is."""

    template: str
    group: str
    kind: str


class PlannedFile(Struct, frozen=True):
    """One file to be: which template fills it with which context.

    `producer` names the document it comes from, for the header and for whoever collides with it.
    `comments` stand below the header.
    """

    path: str
    template: str
    context: Mapping[str, Any]
    producer: str
    comments: tuple[str, ...] = ()


class RenderedFile(Struct, frozen=True):
    """One file as text, and the object in it as data, which no parser has to read again.

    `form` is the prepared statement that made both of `values`; files of one form are alike.
    """

    path: str
    template: str
    producer: str
    text: str
    data: Json
    form: Any = None
    values: Sequence[Any] = ()


class Change(Struct, frozen=True):
    """What writing a file does: `create`, `update`, `delete` or `identical`."""

    kind: Literal["create", "update", "delete", "identical"]
    path: str
    before: str = ""
    after: str = ""


LISTED = 25
"""Changes up to here are kept one by one."""


class Changes(Struct):
    """What a run changes: every file counted, few of them kept, so that a fleet fits into memory.

    `folders` counts by verb and by the first two folders of the path. There is room for so many;
    with `keep_all`, every change is kept with its texts, for a diff.
    """

    keep_all: bool = False
    room: int = LISTED
    counts: Counter[str] = field(default_factory=Counter)
    folders: Counter[tuple[str, str]] = field(default_factory=Counter)
    listed: list[Change] = field(default_factory=list)

    def add(self, changes: Collection[Change]) -> None:
        """Count changes, and keep them if they are few."""
        self.counts.update([change.kind for change in changes])
        changed = [change for change in changes if change.kind != "identical"]
        self.folders.update([(each.kind, _folder(each.path)) for each in changed])
        self._list(changed)

    def merge(self, other: Changes) -> None:
        """Take in the changes of a part."""
        self.counts.update(other.counts)
        self.folders.update(other.folders)
        self._list(other.listed)

    def _list(self, changes: list[Change]) -> None:
        room = len(changes) if self.keep_all else self.room - len(self.listed)
        self.listed += changes[: max(room, 0)]

    @property
    def total(self) -> int:
        """How many files are not as they should be."""
        return self.counts.total() - self.counts["identical"]


def _folder(path: str) -> str:
    return "/".join(path.split("/", 2)[:2])
