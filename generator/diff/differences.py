"""Two trees of specs as what differs between the objects that they come to.

Only what may differ is rendered: a model whose document changed, in all of its environments; every
model in an environment that changed; everything if the repository's own templates changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from generator import load, workers
from generator.diff import comparison, impact
from generator.diff.comparison import Verb
from generator.diff.impact import EnvironmentChange, SubjectChange, TreeChange
from generator.documents import Document
from generator.inventory.records import Environment
from generator.problems import GenError, Problem, merged
from generator.promotions import withdrawals
from generator.subjects import EVERYTHING, Composed, Repository, Selection, Subject

_TEMPLATES, _ENVIRONMENTS, _MODELS = "templates", "environments", "models"
FOLDERS = (_MODELS, _ENVIRONMENTS, _TEMPLATES)
"""What objects are made of."""


Progress = Callable[[int, int], None]
"""Told how many of how many subjects are done."""


def needed(changed: frozenset[str]) -> Callable[[str], bool]:
    """Say of a path whether the earlier tree needs it, given the files that differ."""
    return lambda path: path in changed or not path.startswith(f"{_MODELS}/")


def of(
    before: Path,
    after: Path,
    selection: Selection = EVERYTHING,
    jobs: int = 1,
    changed: frozenset[str] | None = None,
    progress: Progress = lambda _, __: None,
) -> TreeChange:
    """Compare the objects of two trees.

    With `changed`, the paths of the files that differ, the earlier tree needs no model but those
    among them. Raises GenError if the environments of the later tree are not right; what is wrong
    with a model is told, and the others are compared.
    """
    if changed is None:
        changed = load.differing(before, after, FOLDERS)
    if not changed:
        return TreeChange(())
    sides = _Sides(_side(before), _side(after, is_later=True))
    if sides.before.problems:
        return TreeChange((), problems_before=sides.before.problems, is_blind=True)
    work = list(_Work(sides, changed, selection).items())
    found = []
    for done in workers.spread(partial(map, sides.compared), work, jobs):
        found.append(done)
        progress(len(found), len(work))
    return TreeChange(
        environments=tuple(_by_environment(sides, (c for done in found for c in done.changes))),
        problems=merged([*sides.after.told(), *(p for done in found for p in done.problems)]),
        problems_before=merged(p for done in found for p in done.problems_before),
        withdrawn=tuple(sentence for done in found for sentence in done.withdrawn),
    )


class _Item(NamedTuple):
    """A model, or an environment if `model` is empty, and the environments to look at."""

    model: str
    wanted: tuple[str, ...]
    is_same: bool = False
    """Say that the document is the same in both trees, so that it is read once."""


class _Done(NamedTuple):
    changes: list[SubjectChange]
    problems: tuple[Problem, ...] = ()
    problems_before: tuple[Problem, ...] = ()
    withdrawn: tuple[str, ...] = ()


class _Side(Struct, frozen=True):
    """One of the two trees; without a repository it is empty, or nothing can be said of it."""

    repository: Repository | None
    models: Mapping[str, Subject]
    problems: tuple[Problem, ...] = ()

    @property
    def environments(self) -> Mapping[str, Environment]:
        return self.repository.environments if self.repository else {}

    def told(self) -> list[Problem]:
        """List what the repository says of files that are nobody's subject."""
        return self.repository.problems if self.repository else []

    def document(self, model: str) -> Document | None:
        subject = self.models.get(model)
        return self.repository.document(subject) if self.repository and subject else None

    def composed(self, model: Document | None, wanted: tuple[str, ...]) -> dict[str, Composed]:
        known = tuple(name for name in wanted if name in self.environments)
        if self.repository is None or model is None or not known:
            return {}
        return {each.environment: each for each in self.repository.composed(model, known)}


def _side(root: Path, *, is_later: bool = False) -> _Side:
    """Open a tree. One that does not even have environments is empty if it is the earlier one."""
    if not is_later and _is_empty(root):
        return _Side(None, {})
    try:
        repository = Repository(root, EVERYTHING)
    except GenError as error:
        if is_later:
            raise
        told = (p for p in error.problems if p.where.file.startswith(_ENVIRONMENTS))
        return _Side(None, {}, tuple(told))
    models = {subject.name: subject for subject in repository.subjects if subject.kind == "model"}
    return _Side(repository, models)


def _is_empty(root: Path) -> bool:
    try:
        return not load.names(root, "environment")
    except GenError:
        return True


class _Sides(Struct, frozen=True):
    """The tree before and the tree after."""

    before: _Side
    after: _Side

    def compared(self, item: _Item) -> _Done:
        """Compare one subject; what is wrong with it is told instead."""
        if not item.model:
            return self._environment(*item.wanted)
        try:
            document = self.after.document(item.model)
            after = self.after.composed(document, item.wanted)
        except GenError as error:
            return _Done([], problems=error.problems)
        try:
            former = document if item.is_same else self.before.document(item.model)
            before = self.before.composed(former, item.wanted)
        except GenError as error:
            return _Done([], problems_before=error.problems)
        changes = list(self._changes(item, before, after))
        return _Done(changes, withdrawn=tuple(_withdrawn(former, document)))

    def _changes(
        self, item: _Item, before: Mapping[str, Composed], after: Mapping[str, Composed]
    ) -> Iterator[SubjectChange]:
        for environment in item.wanted:
            old, new = before.get(environment), after.get(environment)
            change = self._change(environment, item.model, old, new)
            if change.objects or change.before != change.after:
                yield change

    def _environment(self, name: str) -> _Done:
        try:
            old, new = (
                side.repository.composed_environment(name)
                if side.repository and name in side.environments
                else None
                for side in (self.before, self.after)
            )
        except GenError as error:
            return _Done([], problems=error.problems)
        change = self._change(name, "", old, new)
        return _Done([change] if change.objects else [])

    def _change(
        self, environment: str, model: str, old: Composed | None, new: Composed | None
    ) -> SubjectChange:
        before, after = (impact.state(c.release) if c and c.release else None for c in (old, new))
        known = self.after.environments.get(environment) or self.before.environments[environment]
        return SubjectChange(
            environment=environment,
            model=model,
            before=before,
            after=after,
            objects=tuple(
                comparison.objects(old.objects if old else (), new.objects if new else ())
            ),
            cascade=known.argocd.cascade,
        )


def _withdrawn(before: Document | None, after: Document | None) -> Iterator[str]:
    """Say which marks come and go between two documents of a model."""
    if before is None or after is None or before is after:
        return
    versions = after.data["versions"]
    for version, entry in before.data["versions"].items():
        was = withdrawals.of({version: entry}, version)
        now = withdrawals.of({version: versions[version]}, version) if version in versions else was
        if now and not was:
            yield f"{after.name}: {now.told(version)}"
        elif was and not now:
            yield f"{after.name}: {version} is not withdrawn any more ({was.reason})"


class _Work(Struct, frozen=True):
    """What has to be looked at, given the files that differ."""

    sides: _Sides
    changed: frozenset[str]
    selection: Selection

    def items(self) -> Iterator[_Item]:
        """List environments, then models."""
        everything = tuple(
            name
            for name in sorted({**self.sides.before.environments, **self.sides.after.environments})
            if not self.selection.environments or name in self.selection.environments
        )
        touched = tuple(name for name in everything if self._is_touched(name))
        if not self.selection.models:
            yield from (_Item("", (name,)) for name in touched)
        for model in sorted({**self.sides.before.models, **self.sides.after.models}):
            is_changed = f"{_MODELS}/{model}.yaml" in self.changed
            wanted = everything if is_changed else touched
            if wanted and (not self.selection.models or model in self.selection.models):
                yield _Item(model, wanted, not is_changed)

    def _is_touched(self, name: str) -> bool:
        """Say whether an environment may make other objects of the same model."""
        if any(path.startswith(f"{_TEMPLATES}/") for path in self.changed):
            return True
        if f"{_ENVIRONMENTS}/{name}.yaml" not in self.changed:
            return False
        old, new = (side.environments.get(name) for side in (self.sides.before, self.sides.after))
        return old is None or new is None or old.document.data != new.document.data


def _by_environment(sides: _Sides, changes: Iterable[SubjectChange]) -> Iterator[EnvironmentChange]:
    found: dict[str, list[SubjectChange]] = {}
    for change in changes:
        found.setdefault(change.environment, []).append(change)
    for name in sorted(found):
        is_old, is_new = (name in side.environments for side in (sides.before, sides.after))
        verb: Verb = "update" if is_old and is_new else "create" if is_new else "delete"
        yield EnvironmentChange(name, verb, tuple(found[name]))
