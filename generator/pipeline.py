"""The seven stages in order, a few subjects at a time: memory does not grow with the fleet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct, field

from generator import fleet, lock, state, workers, write
from generator.digests import digest
from generator.documents import Document
from generator.files import LISTED, Change, Changes
from generator.fleet import Fleet
from generator.inventory.records import Environment
from generator.objects import object_schemas
from generator.problems import GenError, Problem, errors, merged
from generator.records import Release
from generator.rules import catalogue
from generator.state import Memory, Proof
from generator.subjects import (
    EVERYTHING,
    OWN_SCHEMAS,
    Rendered,
    Repository,
    Selection,
    Subject,
)

Progress = Callable[[int, int], None]
"""Told how many of how many subjects are done."""


class Outcome(Struct):
    """What a run found and did, in numbers; warnings and few changes one by one."""

    releases: int = 0
    objects: int = 0
    warned: int = 0
    silenced: int = 0
    changes: Changes = field(default_factory=Changes)
    warnings: list[Problem] = field(default_factory=list)


class Done(Struct, frozen=True):
    """What is left of a subject once its files are dealt with: it has to fit through a pipe."""

    problems: list[Problem]
    changes: Changes
    deletions: list[str]
    proof: Proof


class _Put(NamedTuple):
    """What came of the files of a subject."""

    problems: list[Problem]
    changes: Changes
    deletions: list[str]


def _silent(done: int, total: int) -> None:
    """Show nothing."""


def _go_on() -> None:
    """Wait for nothing."""


class Edited(Struct, frozen=True):
    """Documents that take the place of what is on disk at their paths.

    What leads from the ones on disk to these is judged as a change; if it `is_urgent`, it is told
    what is wrong with that and not refused.
    """

    documents: Mapping[str, Document] = field(default_factory=dict)
    is_urgent: bool = False


_NOTHING = Edited()


def _edited(root: Path, selection: Selection, today: str, edit: Edited) -> Repository:
    return Repository(
        root,
        selection,
        today=today,
        base=root if edit.documents else None,
        instead=edit.documents,
        is_urgent=edit.is_urgent,
    )


def everything(
    root: Path,
    selection: Selection = EVERYTHING,
    progress: Progress = _silent,
    *,
    paranoid: bool = False,
    jobs: int = 1,
    today: str = "",
    base: Path | None = None,
) -> Outcome:
    """Run every stage but the last: nothing is compared and nothing is written.

    With `base`, the tree as it was, what leads from there to here is judged too. Raises GenError
    with every problem.
    """
    repository = Repository(root, selection, paranoid=paranoid, today=today, base=base)
    return _Run(repository, progress, jobs=jobs).outcome()


def compare(
    root: Path,
    selection: Selection = EVERYTHING,
    progress: Progress = _silent,
    *,
    texts: bool = False,
    jobs: int = 1,
    today: str = "",
    edit: Edited = _NOTHING,
) -> Outcome:
    """Run every stage and say what writing would change. Raises GenError with every problem."""
    tree = write.Tree(root, dry=True, texts=texts)
    repository = _edited(root, selection, today, edit)
    return _Run(repository, progress, tree=tree, jobs=jobs, keep_all=texts).outcome()


def apply(
    root: Path,
    selection: Selection = EVERYTHING,
    progress: Progress = _silent,
    *,
    texts: bool = False,
    jobs: int = 1,
    today: str = "",
) -> Outcome:
    """Run every stage and write what changed.

    Raises GenError with every problem, and then nothing is written.
    """
    with lock.locked(root):
        return apply_locked(root, selection, progress, texts=texts, jobs=jobs, today=today)


def apply_locked(
    root: Path,
    selection: Selection = EVERYTHING,
    progress: Progress = _silent,
    *,
    texts: bool = False,
    jobs: int = 1,
    memory: Memory | None = None,
    today: str = "",
    edit: Edited = _NOTHING,
    ready: Callable[[], None] = _go_on,
) -> Outcome:
    """Do what `apply` does, for whoever holds the lock.

    With the memory of a whole repository, subjects that have not changed since the last run are not
    rendered.
    `ready` is called when nothing is found to be wrong, before the first file is changed.
    """
    tree = write.Tree(root, dry=False, texts=texts)
    try:
        repository = _edited(root, selection, today, edit)
        outcome = _Run(
            repository, progress, tree=tree, memory=memory, jobs=jobs, keep_all=texts
        ).outcome()
        ready()
        tree.commit()
    finally:
        tree.discard()
    if memory is not None:
        memory.save()
    return outcome


def releases(root: Path, selection: Selection = EVERYTHING) -> list[Release]:
    """Resolve the releases and render nothing. Raises GenError with every problem."""
    return Repository(root, selection).releases()


def inventory(
    root: Path, selection: Selection = EVERYTHING
) -> tuple[list[Environment], list[Release]]:
    """Resolve environments and releases and render nothing. Raises GenError with every problem."""
    repository = Repository(root, selection)
    wanted = selection.environments or tuple(repository.environments)
    return [repository.environments[name] for name in wanted], repository.releases()


def kubernetes_versions(root: Path) -> list[str]:
    """List the Kubernetes versions of a repository's environments."""
    repository = Repository(root, EVERYTHING)
    return sorted({environment.kubernetes for environment in repository.environments.values()})


def exported_schemas(root: Path, kubernetes: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Give every schema as path and text, in the layout that kubeconform reads."""
    return object_schemas.exported(kubernetes, extra=root / OWN_SCHEMAS)


class _Run:
    """One pass over the subjects: proven ones are kept, the others are rendered and put."""

    def __init__(
        self,
        repository: Repository,
        progress: Progress,
        *,
        tree: write.Tree | None = None,
        memory: Memory | None = None,
        jobs: int = 1,
        keep_all: bool = False,
    ) -> None:
        self._keep_all = keep_all
        self._repository = repository
        self._progress = progress
        self._tree = tree
        self._memory = memory
        self._jobs = jobs
        self._room = LISTED

    def outcome(self) -> Outcome:
        """Deal with every subject; raise every problem of all of them at the end."""
        outcome = Outcome(changes=Changes(keep_all=self._keep_all))
        problems, together = list(self._repository.problems), Fleet()
        demands: list[tuple[str, str]] = []
        for subject, done in self._all_done():
            problems += done.problems
            together.add(subject.path, done.proof.claims, done.proof.needs)
            demands.append((subject.name, done.proof.demands))
            _count(outcome, done)
            if self._memory is not None:
                self._memory.remember(subject.path, done.proof)
            if self._tree is not None:
                self._settle(self._tree, subject, done)
        problems += together.problems(self._repository.claims_of)
        problems += self._repository.unmet(together.unmet(), errors(problems))
        short = self._repository.short_of(demands)
        problems += short
        outcome.warned += len(short)
        if self._memory is not None:
            self._memory.warned_together(len(short))
        removed = self._repository.removed()
        problems += removed.problems
        outcome.silenced += removed.silenced
        if errors(problems):
            raise GenError(merged(catalogue.without_echoes(problems)))
        if self._tree is not None:
            outcome.changes.add([*self._tree.prune(self._repository.selection.owns)])
        outcome.warnings = list(merged(problems))
        return outcome

    def _settle(self, tree: write.Tree, subject: Subject, done: Done) -> None:
        """Tell the tree what a subject came to, wherever that was found out."""
        tree.keep_all(done.proof.own(subject.name))
        for path in done.deletions:
            tree.delete(path)

    def _all_done(self) -> Iterator[tuple[Subject, Done]]:
        """Deal with the subjects in order; the unproven ones in several processes."""
        subjects = self._repository.subjects
        documents = [subject.path for subject in subjects]
        proven = self._memory.proven(documents, self._jobs) if self._memory else {}
        pending = [subject for subject in subjects if subject.path not in proven]
        results = workers.spread(self._done, pending, self._jobs)
        for count, subject in enumerate(subjects, start=1):
            proof = proven.get(subject.path)
            yield subject, (next(results) if proof is None else _proven(proof))
            self._progress(count, len(subjects))

    def _changes(self) -> Changes:
        """Count the changes of a subject; no process tells more of them than are shown at last."""
        return Changes(keep_all=self._keep_all, room=max(self._room, 0))

    def _done(self, subjects: Sequence[Subject]) -> list[Done]:
        """Render subjects and put the files of each, unless something is wrong with it."""
        sources = [self._source(subject) for subject in subjects]
        rendered = self._repository.rendered(subjects)
        put = [self._put(each) for each in rendered]
        return [self._told(*each) for each in zip(subjects, sources, rendered, put, strict=True)]

    def _source(self, subject: Subject) -> str:
        return self._memory.source(subject.path) if self._memory else ""

    def _put(self, rendered: Rendered) -> _Put:
        """Put the files of a subject; what stands in their way is a problem of its own."""
        changes, deletions = self._changes(), list[Change]()
        problems = list(rendered.problems)
        if self._tree is not None and not errors(problems):
            try:
                made = [self._tree.put(file) for file in rendered.files]
                deletions += self._tree.leftovers(file.path for file in rendered.files)
                changes.add([*made, *deletions])
            except GenError as error:
                problems += error.problems
        self._room -= len(changes.listed)
        return _Put(problems, changes, [change.path for change in deletions])

    def _told(self, subject: Subject, source: str, rendered: Rendered, put: _Put) -> Done:
        """Say of a subject what has to fit through a pipe, and what proves it another time."""
        layout = state.layout([file.path for file in rendered.files], subject.name)
        proof = Proof(
            source=source,
            output=digest(file.text.encode() for file in rendered.files) if source else "",
            layout=layout,
            releases=rendered.releases,
            objects=rendered.objects,
            warnings=len(set(put.problems)),
            entries=state.entries(layout),
            claims=fleet.packed(rendered.claims),
            demands="\n".join(rendered.demands),
            silenced=rendered.silenced,
            until=rendered.until,
            needs=fleet.packed(each.claim for each in rendered.wanted),
        )
        return Done(put.problems, put.changes, put.deletions, proof)


def _proven(proof: Proof) -> Done:
    """What is left to do of a subject that is as it was: to count it."""
    return Done([], _unchanged(proof.files), [], proof)


@lru_cache(256)
def _unchanged(files: int) -> Changes:
    changes = Changes()
    changes.counts["identical"] = files
    return changes


def _count(outcome: Outcome, done: Done) -> None:
    outcome.releases += done.proof.releases
    outcome.objects += done.proof.objects
    outcome.warned += done.proof.warnings
    outcome.silenced += done.proof.silenced
    outcome.changes.merge(done.changes)
