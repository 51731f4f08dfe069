"""Two versions of an object as the fields that differ.

Items of a list are known by their names where they have any, so that one more at the front is one
change and not a shift of all the others. The order of what has no order is no change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from itertools import zip_longest
from typing import Any, Literal, NamedTuple

from msgspec import Struct

from generator.documents import Json
from generator.objects import kustomize


class Missing(Enum):
    """What stands for a value that is not there: null is one that is."""

    ABSENT = "absent"


ABSENT = Missing.ABSENT

By = tuple[str, ...]
"""The keys whose values name an item of a list of maps; two words stand for lists of texts."""

WHOLE: By = ()
"""The items of a list are texts that name themselves."""
FLAG: By = ("--",)
"""The items of a list are arguments such as `--port=80`, named by what stands before the `=`."""


class Item(NamedTuple):
    """A step into a list to the item of a name."""

    by: By
    name: str


class Order(tuple[str, ...]):
    """The names of the items that two lists have in common, in the order of one of them."""

    __slots__ = ()


Step = str | int | Item
Path = tuple[Step, ...]
"""The way from an object to a value: keys, indexes, and names of items."""

Verb = Literal["create", "update", "delete"]


class FieldChange(Struct, frozen=True):
    """One value that differs; a side that has none is ABSENT.

    `place` is the index of an item that is new or gone. Where only the order of items differs,
    both sides are an Order.
    """

    path: Path
    before: Any
    after: Any
    place: int = -1

    @property
    def verb(self) -> Verb:
        """Say whether the value is new, another or gone."""
        if self.before is ABSENT:
            return "create"
        return "delete" if self.after is ABSENT else "update"


class Identity(NamedTuple):
    """What tells an object from all others of its cluster, whatever its version of the API."""

    group: str
    kind: str
    namespace: str
    name: str


class ObjectChange(Struct, frozen=True):
    """One object that differs. A new one has no `before`, one that is gone no `after`."""

    identity: Identity
    before: Json | None
    after: Json | None
    fields: tuple[FieldChange, ...] = ()

    @property
    def verb(self) -> Verb:
        """Say whether the object is new, another or gone."""
        if self.before is None:
            return "create"
        return "delete" if self.after is None else "update"


_UNORDERED: dict[str, frozenset[str]] = {
    "HTTPRoute": frozenset(("hostnames", "parentRefs", "backendRefs")),
    "ScaledObject": frozenset(("triggers",)),
    "HorizontalPodAutoscaler": frozenset(("metrics",)),
    "Service": frozenset(("ports",)),
    "ServiceAccount": frozenset(("secrets", "imagePullSecrets")),
    "ResourceFlavor": frozenset(("nodeTaints", "tolerations")),
    "Application": frozenset(("syncOptions", "info")),
    "AppProject": frozenset(
        ("destinations", "sourceRepos", "clusterResourceWhitelist", "namespaceResourceWhitelist")
    ),
}
"""Lists whose order means nothing, by kind. None of a Pod template: there, order restarts Pods."""

_NAMES: tuple[By, ...] = (
    ("name",),
    ("key", "effect"),
    ("key",),
    ("group", "kind"),
    ("server", "namespace"),
    ("mountPath",),
    ("containerPort",),
    ("port",),
    ("type",),
    ("alert",),
    ("record", "labels.version"),
)
"""What names an item of a list of maps: the first of these that all items have, each its own."""


def objects(before: Iterable[Json], after: Iterable[Json]) -> list[ObjectChange]:
    """Compare the objects of two trees; what is the same in both is left out."""
    old, new = _by_identity(before), _by_identity(after)
    found = (_object(name, old.get(name), new.get(name)) for name in {**old, **new})
    return [change for change in found if change is not None]


def _by_identity(items: Iterable[Json]) -> dict[Identity, Json]:
    return {Identity(*kustomize.identity(item)): item for item in items}


def _object(identity: Identity, before: Json | None, after: Json | None) -> ObjectChange | None:
    if before is None or after is None:
        return ObjectChange(identity, before, after)
    found = tuple(fields(before, after))
    return ObjectChange(identity, before, after, found) if found else None


def fields(before: Json, after: Json) -> Iterator[FieldChange]:
    """List the fields in which two versions of an object differ, in the order of the object."""
    return _Comparison(_UNORDERED.get(str(after.get("kind")), frozenset())).of((), before, after)


class _Comparison(Struct, frozen=True):
    """Walks two values at once; `unordered` names the lists whose order means nothing."""

    unordered: frozenset[str]

    def of(self, path: Path, before: Any, after: Any) -> Iterator[FieldChange]:
        if before is after:
            return
        if isinstance(before, dict) and isinstance(after, dict):
            yield from self._maps(path, before, after)
        elif _is_list(before) and _is_list(after):
            yield from self._lists(path, before, after)
        elif before != after or isinstance(before, bool) != isinstance(after, bool):
            yield FieldChange(path, before, after)

    def _maps(self, path: Path, before: Json, after: Json) -> Iterator[FieldChange]:
        for key in before if before.keys() == after.keys() else {**before, **after}:
            yield from self.of((*path, key), before.get(key, ABSENT), after.get(key, ABSENT))

    def _lists(
        self, path: Path, before: Sequence[Any], after: Sequence[Any]
    ) -> Iterator[FieldChange]:
        by = _naming(before, after)
        if by is None:
            yield from self._by_index(path, before, after)
        else:
            yield from self._by_name(path, _named(before, by), _named(after, by), by)

    def _by_name(
        self, path: Path, before: dict[str, Any], after: dict[str, Any], by: By
    ) -> Iterator[FieldChange]:
        for place, (name, item) in enumerate(before.items()):
            if name in after:
                yield from self.of((*path, Item(by, name)), item, after[name])
            else:
                yield FieldChange((*path, Item(by, name)), item, ABSENT, place)
        for place, (name, item) in enumerate(after.items()):
            if name not in before:
                yield FieldChange((*path, Item(by, name)), ABSENT, item, place)
        old = Order(name for name in before if name in after)
        new = Order(name for name in after if name in before)
        if old != new and not (path and path[-1] in self.unordered):
            yield FieldChange(path, old, new)

    def _by_index(
        self, path: Path, before: Sequence[Any], after: Sequence[Any]
    ) -> Iterator[FieldChange]:
        """Compare what is between the common beginning and the common end, one by one."""
        start = _common(before, after, self._same)
        end = _common(before[start:][::-1], after[start:][::-1], self._same)
        middles = (items[start : len(items) - end] for items in (before, after))
        for place, (old, new) in enumerate(zip_longest(*middles, fillvalue=ABSENT), start):
            if old is ABSENT or new is ABSENT:
                yield FieldChange((*path, place), old, new, place)
            else:
                yield from self.of((*path, place), old, new)

    def _same(self, before: Any, after: Any) -> bool:
        return next(self.of((), before, after), None) is None


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _common(left: Sequence[Any], right: Sequence[Any], same: Callable[[Any, Any], bool]) -> int:
    """Count the items that two lists begin with alike."""
    count = 0
    for pair in zip(left, right, strict=False):
        if not same(*pair):
            break
        count += 1
    return count


def _naming(before: Sequence[Any], after: Sequence[Any]) -> By | None:
    """Find what names every item of both lists; None if nothing does."""
    items = [*before, *after]
    if all(isinstance(item, str) for item in items):
        ways: tuple[By, ...] = (FLAG, WHOLE) if all(map(_is_flag, items)) else (WHOLE,)
    elif all(isinstance(item, dict) for item in items):
        ways = tuple(by for by in _NAMES if all(_has(item, by) for item in items))
    else:
        return None
    for by in ways:
        old, new = _named(before, by), _named(after, by)
        if len(old) == len(before) and len(new) == len(after):
            is_renamed = len(old) == len(new) == 1 and old.keys() != new.keys()
            return None if is_renamed else by
    return None


def _is_flag(text: str) -> bool:
    return text.startswith("--")


def _has(item: Json, by: By) -> bool:
    return all(isinstance(_value(item, key), str | int) for key in by)


def _value(item: Json, key: str) -> Any:
    """Read a key of an item, or one within a map of it."""
    outer, _, inner = key.partition(".")
    value = item.get(outer)
    if not inner:
        return value
    return value.get(inner) if isinstance(value, dict) else None


def _named(items: Sequence[Any], by: By) -> dict[str, Any]:
    return {_name(item, by): item for item in items}


def _name(item: Any, by: By) -> str:
    if by == WHOLE:
        return str(item)
    if by == FLAG:
        return str(item).partition("=")[0]
    return "/".join(str(_value(item, key)) for key in by)


_PLAIN_KEY = re.compile(r"[\w-]+")


def dotted(path: Path) -> str:
    """Write a path as a person would: `spec.rules[0].backendRefs[churn-v4].weight`."""
    parts = (f".{step}" if _is_plain(step) else f"[{_told(step)}]" for step in path)
    return "".join(parts).removeprefix(".")


def _is_plain(step: Step) -> bool:
    return isinstance(step, str) and _PLAIN_KEY.fullmatch(step) is not None


def _told(step: Step) -> str:
    return step.name if isinstance(step, Item) else str(step)
