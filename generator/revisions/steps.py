"""What a change does: what was in a Git base, beside what is there now.

Nothing that is wrong in the base is a problem: what cannot be read or resolved there is not known,
and nothing is said about it. What is byte for byte as it was costs no more than comparing it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from generator import load, resolve, validate
from generator.documents import Document, Json
from generator.inventory.records import Environment
from generator.problems import GenError, Problem
from generator.promotions.withdrawals import artifact
from generator.records import Release
from generator.rules import EnvironmentStep, ModelStep, Step, catalogue


class Removed(Struct, frozen=True):
    """A model that a change removes: its last document, and what the removal does."""

    document: Document
    problems: list[Problem]


class Base:
    """A tree as it was, below `root`, beside the one that followed it, below `now`."""

    def __init__(self, root: Path, now: Path, environments: Mapping[str, Environment]) -> None:
        self._root = root
        self._after = environments
        self._before = dict(_environments(root))
        self._same = {name for name in self._before if self._is_same_environment(name)}
        self._heirs = dict(self._environment_heirs())
        self._models = _paths(root, "model")
        present = _paths(now, "model")
        gone = [self._model(name) for name in sorted(self._models.keys() - present)]
        new = sorted(present.keys() - self._models) if any(gone) else []
        self._gone = [model for model in gone if model]
        self._renamed = dict(_model_heirs(self._gone, [_document(now, present[n]) for n in new]))

    def of_environment(self, environment: Environment) -> list[Problem]:
        """Find what the change of an environment's document does."""
        before = self._heirs.get(environment.name) or self._before.get(environment.name)
        if before is None or environment.name in self._same:
            return []
        return list(catalogue.of_environment_step(EnvironmentStep(before, environment)))

    def of_model(self, model: Document, releases: Iterable[Release]) -> list[Problem] | None:
        """Find what the change of a model does; None where there is no change that is known."""
        before = self._renamed.get(model.name)
        if before is not None:
            return list(catalogue.of_model_step(ModelStep(before, model)))
        live = {release.environment.name: release for release in releases}
        path = self._models.get(model.name)
        is_same = path is not None and load.content(path) == model.text
        if path is None or (is_same and self._same.issuperset(live)):
            return None
        before = model if is_same else self._model(model.name)
        if before is None:
            return None
        steps = tuple(self._steps(before, model, live))
        return list(catalogue.of_model_step(ModelStep(before, model, steps)))

    def removed(self) -> Iterator[Removed]:
        """Find what the removal of models does. A renamed one is told of by its new name."""
        renamed = {model.name for model in self._renamed.values()}
        for model in self._gone:
            if model.name not in renamed:
                steps = self._steps(model, None, {})
                problems = [problem for step in steps for problem in catalogue.of_step(step)]
                yield Removed(model, problems)

    def _steps(
        self, before: Document, after: Document | None, live: Mapping[str, Release]
    ) -> Iterator[Step]:
        """Give a step for each environment in which something may be another; None is removed."""
        was, still = before.data["environments"], after.data["environments"] if after else {}
        renamed = {environment.name for environment in self._heirs.values()}
        for name in sorted({*was, *live}):
            if name in renamed or (before is after and name in self._same):
                continue
            old, new = self._release(before, name), live.get(name)
            is_known = (old is not None or name not in was) and (
                new is not None or name not in still
            )
            if is_known:
                yield Step(old, new, after, self._after.get(name))

    def _release(self, model: Document, name: str) -> Release | None:
        """Resolve a model of the base in one environment, whatever is wrong with the others."""
        block = model.data["environments"].get(name)
        if block is None or name not in self._before:
            return None
        alone = replace(model, data={**model.data, "environments": {name: block}})
        try:
            (release,) = resolve.releases(alone, self._before)
        except GenError:
            return None
        return release

    def _model(self, name: str) -> Document | None:
        return _document(self._root, self._models[name])

    def _is_same_environment(self, name: str) -> bool:
        after = self._after.get(name)
        return after is not None and after.document.text == self._before[name].document.text

    def _environment_heirs(self) -> Iterator[tuple[str, Environment]]:
        """Pair new environments with those that are gone from the same place."""
        gone = {_place(self._before[name]): name for name in self._before.keys() - self._after}
        for name in self._after.keys() - _paths(self._root, "environment"):
            old = gone.get(_place(self._after[name]))
            if old is not None:
                yield name, self._before[old]


def _place(environment: Environment) -> tuple[str, str]:
    return environment.cluster, environment.namespace


def _environments(root: Path) -> Iterator[tuple[str, Environment]]:
    for path in _paths(root, "environment").values():
        document = _document(root, path, "environment")
        try:
            yield from resolve.environments([document] if document else []).items()
        except GenError:
            continue


def _paths(root: Path, kind: str) -> dict[str, Path]:
    """Find the documents of a kind by name; none where there is no such folder."""
    try:
        return {name: root / load.FOLDERS[kind] / f"{name}.yaml" for name in load.names(root, kind)}
    except GenError:
        return {}


def _document(root: Path, path: Path, kind: str = "model") -> Document | None:
    """Read a document if it is right."""
    try:
        document = load.document(root, kind, path)
    except GenError:
        return None
    return None if validate.problems(document) else document


def _model_heirs(
    gone: list[Document], new: list[Document | None]
) -> Iterator[tuple[str, Document]]:
    """Pair new models with those that are gone and served the same artifacts."""
    for after in new:
        for before in gone if after else ():
            if after and _serves_the_same(before, after):
                yield after.name, before
                break


def _serves_the_same(before: Document, after: Document) -> bool:
    if before.data["environments"].keys().isdisjoint(after.data["environments"]):
        return False
    live = list(_live_artifacts(before.data))
    known = [artifact(entry) for entry in after.data["versions"].values()]
    return bool(live) and all(each in known for each in live)


def _live_artifacts(model: Json) -> Iterator[Json]:
    versions = {block["version"] for block in model["environments"].values()}
    known = model["versions"]
    return (artifact(known[version]) for version in versions if version in known)
