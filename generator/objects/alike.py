"""Objects that are made alike are judged alike, and need not be composed for it.

Most releases of a fleet are patched alike and differ in values alone. So the first object of its
sort is composed, by `kustomize`, of *marks*: values that know where they came from. Where a mark
ends up, its value is judged by what the schema says of that place, and of that place alone; all
else is as it was in the first object, which is judged as a whole. Objects are of one sort if their
files come from the same statements with values of the same classes and the same keys. What an
object is called decides which patch is whose, so names are looked at in every object.

Whatever is out of the ordinary is for `kustomize` and the whole schema: a text that YAML parsers or
Kustomize treat in a way of their own, a null, a place that the schema judges by another place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from generator.documents import Json
from generator.files import RenderedFile
from generator.objects import kustomize
from generator.objects.kustomize import Files
from generator.objects.leaves import EntangledError, Leaf, Leaves
from generator.problems import GenError
from generator.schema import Validator
from generator.templating.prepared import Pairs, Slot, Statement

_Called = tuple[str, str, str | None, str]
"""apiVersion, kind, namespace if there is one, and name."""
_Key = tuple[Any, ...]
_Values = Sequence[Sequence[Any]]
"""The values of each file of an object, and last what it is called."""
_Place = tuple[int, int | Slot, tuple[str, ...]]
"""Which file's values, which of them, and the keys within it."""

_CACHED = 4096
_KNOWN = 1024
"""Values that are remembered of one place: most come from a few, and some never come again."""
_SCALARS = frozenset((str, int, float, bool))


class UnlikeError(Exception):
    """Something is out of the ordinary."""


class Verdicts:
    """What is known of sorts of objects, by the validators of one cluster's kinds."""

    def __init__(self, validator_of: Callable[[Json], Validator | None]) -> None:
        self._validator_of = validator_of
        self._sorts: dict[_Key, _Sort | None] = {}
        self._leaves: dict[Validator, Leaves] = {}

    def accepts(self, file: RenderedFile) -> bool:
        """Say whether the object in a file is surely right as it stands."""
        if file.form is None:
            return False
        try:
            key = file.form, _sort_of(file.values)
        except UnlikeError:
            return False
        sort = self._sorts[key] if key in self._sorts else self._new(key, [file], [])
        return sort is not None and sort.accepts([file.values])

    def identities(self, files: Files, folder: str) -> list[kustomize.Identity] | None:
        """Say what a folder's objects are called, if it composes and all of them are right."""
        try:
            parts = _parts(files, folder)
        except UnlikeError:
            return None
        return [part.identity() for part in parts] if all(map(self._accepts, parts)) else None

    def _accepts(self, part: _Part) -> bool:
        key = tuple(part.key)
        sort = self._sorts[key] if key in self._sorts else self._new(key, part.files, part.steps)
        values = [file.values for file in part.files]
        return sort is not None and sort.accepts([*values, part.called])

    def _new(
        self, key: _Key, files: Sequence[RenderedFile], steps: Sequence[RenderedFile]
    ) -> _Sort | None:
        """Judge the first object of a sort; None if each is to be judged for itself."""
        if len(self._sorts) >= _CACHED:
            self._sorts.clear()
        try:
            sort = self._judged(files, steps)
        except (UnlikeError, GenError, EntangledError):
            sort = None
        self._sorts[key] = sort
        return sort

    def _judged(self, files: Sequence[RenderedFile], steps: Sequence[RenderedFile]) -> _Sort | None:
        item = _composed([file.data for file in files], steps)
        validator = self._validator_of(item)
        if validator is None or not validator.accepts(item):
            return None
        marked = [_of_marks(file, number) for number, file in enumerate(files)]
        names = [name for each in marked[1:] and marked for name in _names_within(each)]
        item = _composed(marked, steps)
        if any(item[key].__class__ is not str for key in ("apiVersion", "kind")):
            return None
        if steps:
            item["metadata"] = _called_by_marks(item["metadata"], len(files))
        leaves = self._leaves.setdefault(validator, Leaves(validator.schema))
        return _Sort(leaves.apart(item, _Mark), names)


class _Sort:
    """What has to be looked at in an object of a sort: values by their places, and names."""

    def __init__(self, leaves: Iterable[tuple[_Mark, Leaf]], names: Sequence[Any]) -> None:
        self._checks = [
            (*mark.place, *_judge(leaf, mark.type))
            for mark, leaf in leaves
            if not leaf.takes_all(mark.type)
        ]
        if not all(isinstance(name, str) for name in names):
            raise UnlikeError
        self._names = names if any(isinstance(name, _Mark) for name in names) else []
        self._pattern = _pattern(["None", *self._names])

    def accepts(self, values: _Values) -> bool:
        """Say whether an object is surely right."""
        for number, slot, keys, known, accepts in self._checks:
            value = _at(values, number, slot, keys)
            if (known is None or value not in known) and not _takes(value, known, accepts):
                return False
        return not self._names or self._pattern == _pattern(["None", *self._named(values)])

    def _named(self, values: _Values) -> Iterator[str]:
        """List the names within an object, which have to agree where those of the first did."""
        for name in self._names:
            yield _at(values, *name.place) if isinstance(name, _Mark) else name


def _judge(leaf: Leaf, type_: type) -> tuple[set[Any] | None, Callable[[Any], bool]]:
    """Give the values of a class that are known to be right in a place, and what judges others."""
    known = leaf.known(type_)
    return known, leaf.accepts_again if known is None else leaf.accepts


def _takes(value: Any, known: set[Any] | None, accepts: Callable[[Any], bool]) -> bool:
    """Judge a value of one place, and remember one that is right if such are remembered."""
    if not accepts(value):
        return False
    if known is not None:
        if len(known) >= _KNOWN:
            known.clear()
        known.add(value)
    return True


def _at(values: _Values, number: int, slot: int | Slot, keys: tuple[str, ...]) -> Any:
    """Find the value at a place."""
    value = values[number][slot] if slot.__class__ is int else slot.value(values[number])  # type: ignore[union-attr]
    for key in keys:
        value = value[key]
    return value


def _pattern(names: Sequence[str]) -> list[int]:
    """Say which names are equal: of each, the place of the first one like it."""
    return [names.index(name) for name in names]


def _composed(objects: Sequence[Json], steps: Sequence[RenderedFile]) -> Json:
    """Patch and transform the first object as Kustomize does, with the patches that are given."""
    item = kustomize.copied(objects[0])
    overs = iter(objects[1:])
    for step in steps:
        if step.path.endswith("/kustomization.yaml"):
            item = kustomize.transformed(item, step)
        else:
            kustomize.merge(item, next(overs), step)
    return item


class _Part:
    """An object to be: its file, its patches, and what each kustomization did to it, in order."""

    __slots__ = ("called", "files", "former", "key", "steps")

    def __init__(self, file: RenderedFile) -> None:
        self.called = _called(file)
        self.former: list[_Called] = []
        self.files = [file]
        self.steps: list[RenderedFile] = []
        self.key: list[Any] = [file.form, _sort_of(file.values)]

    def identity(self) -> kustomize.Identity:
        """Tell the object from all others of its cluster."""
        api_version, kind, namespace, name = self.called
        return api_version.rpartition("/")[0], kind, namespace or "", name

    def is_called(self, called: _Called) -> bool:
        """Say whether Kustomize finds this object by a patch's name, or by a former name."""
        if called[1] != self.called[1]:
            return False
        if called == self.called:
            return True
        wanted = _found_by(called)
        return wanted == _found_by(self.called) or wanted in map(_found_by, self.former)

    def patch(self, called: _Called, file: RenderedFile) -> None:
        """Note a patch, unless it calls the object what it is not called here."""
        if called != self.called and called != (*self.called[:2], None, self.called[3]):
            raise UnlikeError
        self.files.append(file)
        self.steps.append(file)
        self.key += (file.form, _sort_of(file.values))

    def transform(self, step: _Step) -> None:
        """Rename and move the object as a kustomization says."""
        self.steps.append(step.kustomization)
        self.key.append(step.key)
        if any(step.key):
            self.former.append(self.called)
            api_version, kind, namespace, name = self.called
            if step.prefix + step.suffix and kind in kustomize.REFERRERS:
                raise UnlikeError  # whether somebody refers to it, the whole folder tells
            name = f"{step.prefix}{name}{step.suffix}"
            self.called = api_version, kind, step.namespace or namespace, name


class _Step:
    """What a kustomization does to the names of its objects."""

    __slots__ = ("key", "kustomization", "namespace", "prefix", "suffix")

    def __init__(self, kustomization: RenderedFile) -> None:
        spec = kustomization.data
        self.kustomization = kustomization
        self.prefix = spec.get("namePrefix") or ""
        self.suffix = spec.get("nameSuffix") or ""
        self.namespace = spec.get("namespace") or ""
        self.key = bool(self.prefix), bool(self.suffix), bool(self.namespace)


def _found_by(called: _Called) -> tuple[str, str, str, str]:
    api_version, kind, namespace, name = called
    return api_version, kind, namespace or kustomize.DEFAULT, name


def _called(file: RenderedFile) -> _Called:
    """Say what the object in a file is called, if the file is as plain as most are."""
    data, text = file.data, file.text
    try:
        metadata = data["metadata"]
        kind, name = data["kind"], metadata["name"]
        called = data["apiVersion"], kind, metadata.get("namespace"), name
    except (KeyError, TypeError, AttributeError):
        raise UnlikeError from None
    if not kind or not name or name.__class__ is not str or file.form is None:
        raise UnlikeError
    if "null" in text or "$patch" in text or kustomize.may_be_unrepeatable(text):
        raise UnlikeError
    return called


def _sort_of(values: Iterable[Any]) -> _Key:
    """Say of which classes values are, which keys their maps have, and which lists are empty."""
    return tuple([v.__class__ if v.__class__ in _SCALARS else _deep_sort(v) for v in values])


def _deep_sort(value: Any) -> _Key:
    if value.__class__ is dict:
        return (*value, *_sort_of(value.values()))
    if value.__class__ is list or value.__class__ is tuple:
        return (list, bool(value))
    raise UnlikeError


def _parts(files: Files, folder: str) -> list[_Part]:
    """Match the files of a folder by their names, as Kustomize does, and merge nothing yet."""
    kustomization = files.get(f"{folder}/kustomization.yaml")
    if kustomization is None or not kustomize.is_plain(kustomization.data):
        raise UnlikeError
    spec = kustomization.data
    parts = [part for entry in spec.get("resources", ()) for part in _below(files, folder, entry)]
    for patch in spec.get("patches", ()):
        _patch(parts, files.get(kustomize.path_of(folder, patch["path"])))
    step = _Step(kustomization)
    for part in parts:
        part.transform(step)
    if len({_found_by(part.called)[1:] for part in parts}) < max(len(parts), 1):
        raise UnlikeError  # there are doubles, or nothing at all
    return parts


def _below(files: Files, folder: str, entry: str) -> list[_Part]:
    path = kustomize.path_of(folder, entry)
    file = files.get(path)
    if file is None:
        return _parts(files, path)
    if str(file.data.get("kind")).endswith("List"):
        raise UnlikeError
    return [_Part(file)]


def _patch(parts: list[_Part], file: RenderedFile | None) -> None:
    if file is None:
        raise UnlikeError
    called = _called(file)
    found = [part for part in parts if part.is_called(called)]
    if len(found) != 1:
        raise UnlikeError
    found[0].patch(called, file)


class _Mark:
    """A value that knows its place, and the class of what stands there."""

    place: _Place
    type: type


class _Text(_Mark, str):
    """The mark of a text."""


class _Number(_Mark, float):
    """The mark of a number or boolean."""


class _Items(_Mark, list):  # type: ignore[type-arg]
    """The mark of a list, which shows nothing of what it holds."""


def _marked(value: Any, number: int, slot: int | Slot, keys: tuple[str, ...] = ()) -> Any:
    """Put marks on everything within a value that comes from a place."""
    if value.__class__ is dict:
        return {key: _marked(item, number, slot, (*keys, key)) for key, item in value.items()}
    mark: _Mark
    if value.__class__ is str:
        mark = _Text(value)
    elif value.__class__ is list or value.__class__ is tuple:
        mark = _Items([...] if value else [])
    else:
        mark = _Number(value)
    mark.place, mark.type = (number, slot, keys), value.__class__
    return mark


def _called_by_marks(metadata: Json, number: int) -> Json:
    """Mark name and namespace, which Kustomize makes, with their places in `_Called`."""
    own = {"name": _marked("", number, 3)}
    if "namespace" in metadata:
        own["namespace"] = _marked("", number, 2)
    return {**metadata, **own}


def _of_marks(file: RenderedFile, number: int) -> Json:
    """Make the object in a file of marks."""

    def made(shape: Any) -> Any:
        if isinstance(shape, Slot):
            place = shape.parts[0] if shape.whole else shape
            return _marked(shape.value(file.values), number, place)  # type: ignore[arg-type]
        if isinstance(shape, list):
            return [made(item) for item in shape]
        if not isinstance(shape, Pairs):
            return shape
        if not shape.is_fixed:
            raise UnlikeError
        return {key: made(item) for key, item in shape.items}

    statement: Statement = file.form
    item: Json = made(statement.shape)
    return item


def _names_within(value: Any) -> Iterator[Any]:
    """List the names of items of lists, by which Kustomize may find containers."""
    if isinstance(value, dict):
        for item in value.values():
            yield from _names_within(item)
    elif isinstance(value, list):
        yield from (item["name"] for item in value if isinstance(item, dict) and "name" in item)
        for item in value:
            yield from _names_within(item)
