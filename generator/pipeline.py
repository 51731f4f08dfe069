"""The seven stages in order, one model at a time, so that memory does not grow with the fleet."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from generator import check, load, object_schemas, plan, resolve, rules, validate, write
from generator.check import Judge, Objects
from generator.documents import Document
from generator.problems import GenError, Problem, errors
from generator.records import Change, Environment, PlannedFile, Release, RenderedFile, Workspace
from generator.render import Engine
from generator.rules.serving import RULES

OWN_SCHEMAS = "schemas"
"""Where a repository keeps schemas of its own cluster's kinds."""

_Subject = TypeVar("_Subject")

Progress = Callable[[int, int], None]
"""Told how many of how many subjects are done."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The models and environments that a run is about; empty means all."""

    models: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()

    def owns(self, path: str) -> bool:
        """Say whether a path of the output belongs to this selection."""
        parts = path.removesuffix(".yaml").split("/")
        environment, model = parts[1], parts[2] if len(parts) > 2 else ""
        model = model.removeprefix("application-") if parts[0] == plan.ARGOCD else model
        in_environment = not self.environments or environment in self.environments
        return in_environment and (not self.models or model in self.models)


EVERYTHING = Selection()


@dataclass(slots=True)
class Outcome:
    """What a run found and did. `changes` leaves out what is identical and only counts it."""

    releases: list[Release] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    identical: int = 0
    objects: int = 0


@dataclass(frozen=True, slots=True)
class Rendered:
    """One subject, a model or an environment: its files and what is wrong with them."""

    files: tuple[RenderedFile, ...]
    problems: tuple[Problem, ...]
    releases: tuple[Release, ...] = ()
    objects: int = 0


def _silent(done: int, total: int) -> None:
    """Show nothing."""


def everything(
    root: Path,
    selection: Selection = EVERYTHING,
    progress: Progress = _silent,
    *,
    paranoid: bool = False,
) -> Outcome:
    """Run every stage but the last: nothing is compared and nothing is written.

    Raises GenError with every problem.
    """
    return _collect(_Fleet(root, selection, paranoid=paranoid), lambda _: None, progress)


def releases(root: Path, selection: Selection = EVERYTHING) -> list[Release]:
    """Resolve the releases and render nothing. Raises GenError with every problem."""
    return _Fleet(root, selection).releases()


def kubernetes_versions(root: Path) -> list[str]:
    """List the Kubernetes versions of a repository's environments."""
    return sorted(
        {release.kubernetes for release in _Fleet(root, EVERYTHING).environments.values()}
    )


def exported_schemas(root: Path, kubernetes: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Give every schema as path and text, in the layout that kubeconform reads."""
    return object_schemas.exported(kubernetes, extra=root / OWN_SCHEMAS)


def compare(
    root: Path, selection: Selection, progress: Progress, *, texts: bool = False
) -> Outcome:
    """Run every stage and say what writing would change. Raises GenError with every problem."""
    return _written(root, selection, progress, dry=True, texts=texts)


def apply(root: Path, selection: Selection, progress: Progress, *, texts: bool = False) -> Outcome:
    """Run every stage and write what changed.

    Raises GenError with every problem, and then nothing is written.
    """
    with write.locked(root):
        return _written(root, selection, progress, dry=False, texts=texts)


def _written(
    root: Path, selection: Selection, progress: Progress, *, dry: bool, texts: bool
) -> Outcome:
    fleet = _Fleet(root, selection)
    tree = write.Tree(root, dry=dry, texts=texts)
    changes: list[Change] = []
    try:
        outcome = _collect(fleet, lambda file: changes.append(tree.put(file)), progress)
        changes += tree.prune(selection.owns)
        if not dry:
            tree.commit()
    finally:
        if not dry:
            tree.discard()
    outcome.changes = [change for change in changes if change.kind != "identical"]
    outcome.identical = len(changes) - len(outcome.changes)
    return outcome


def _collect(fleet: _Fleet, use: Callable[[RenderedFile], None], progress: Progress) -> Outcome:
    """Render every subject and hand its files on; raise every problem of all of them at the end."""
    outcome, problems = Outcome(), list(fleet.problems)
    for done, rendered in enumerate(fleet.rendered(), start=1):
        problems += rendered.problems
        outcome.releases += rendered.releases
        outcome.objects += rendered.objects
        progress(done, fleet.subjects)
        if not errors(problems):
            problems += _used(rendered.files, use)
    if errors(problems):
        raise GenError(problems)
    outcome.warnings = list(dict.fromkeys(problems))
    return outcome


def _used(files: Iterable[RenderedFile], use: Callable[[RenderedFile], None]) -> list[Problem]:
    problems: list[Problem] = []
    for file in files:
        try:
            use(file)
        except GenError as error:
            problems += error.problems
    return problems


class _Fleet:
    """The documents of a run, checked, and what renders them.

    `problems` are those of models that cannot even be resolved: the others are rendered all the
    same, so that one run says everything. Raises GenError if the environments are not right.
    """

    def __init__(self, root: Path, selection: Selection, *, paranoid: bool = False) -> None:
        workspace = load.workspace(root, models=selection.models)
        self.problems = list(workspace.problems)
        self._models = self._valid(workspace)
        self.environments = self._resolved(workspace)
        self._selection = selection
        self._engine = Engine(root, paranoid=paranoid)
        self._root = root
        self._judges: dict[str, Judge] = {}
        self._objects = Objects()
        self._paths: dict[str, str] = {}
        self.subjects = len(self._models) + len(self.environments)

    def _valid(self, workspace: Workspace) -> list[Document]:
        """Keep the models whose document is right; remember what is wrong with the others."""
        valid: list[Document] = []
        for model in workspace.models:
            found = validate.problems(model)
            self.problems += found
            if not found:
                valid.append(model)
        return valid

    def _resolved(self, workspace: Workspace) -> dict[str, Environment]:
        """Resolve the environments: unless all are right, nothing can be said of models."""
        found = [p for document in workspace.environments for p in validate.problems(document)]
        self.problems += found
        if found or any(p.where.file.startswith("environments") for p in self.problems):
            raise GenError(self.problems)
        try:
            return resolve.environments(workspace.environments)
        except GenError as error:
            raise GenError([*self.problems, *error.problems]) from None

    def releases(self) -> list[Release]:
        """Resolve every model. Raises GenError with every problem."""
        found: list[Release] = []
        for model in self._models:
            try:
                found += resolve.releases(model, self.environments, self._selection.environments)
            except GenError as error:
                self.problems += error.problems
        if self.problems:
            raise GenError(self.problems)
        return found

    def rendered(self) -> Iterator[Rendered]:
        """Render the subjects one by one, environments first."""
        for environment in self.environments.values():
            if self._is_wanted(environment.name) and not self._selection.models:
                yield self._guarded(self._environment, environment)
        for model in self._models:
            yield self._guarded(self._model, model)

    def _is_wanted(self, environment: str) -> bool:
        return not self._selection.environments or environment in self._selection.environments

    def _guarded(self, function: Callable[[_Subject], Rendered], subject: _Subject) -> Rendered:
        try:
            return function(subject)
        except GenError as error:
            return Rendered((), error.problems)

    def _environment(self, environment: Environment) -> Rendered:
        platform = self._files(plan.platform(environment))
        delivery = self._files(plan.delivery(environment))
        judge = self._judge(environment)
        objects, problems = check.folder(
            _by_path(platform), plan.platform_path(environment.name), judge
        )
        problems += check.standalone(delivery, judge)
        problems += self._claims(environment.server, objects, environment.document.path)
        problems += self._claims(
            "argocd", [file.data for file in delivery], environment.document.path
        )
        return Rendered(
            (*platform, *delivery), tuple(problems), objects=len(objects) + len(delivery)
        )

    def _model(self, model: Document) -> Rendered:
        releases = resolve.releases(model, self.environments, self._selection.environments)
        if not releases:
            return Rendered((), ())
        base = self._files(plan.base(releases[0]))
        digest = hashlib.sha256("\0".join(file.text for file in base).encode()).hexdigest()
        files, count = list(base), 0
        problems: list[Problem] = []
        for release in releases:
            rendered = self._release(release, base, digest)
            files += rendered.files
            problems += rendered.problems
            count += rendered.objects
        return Rendered(tuple(files), tuple(problems), releases, count)

    def _release(self, release: Release, base: tuple[RenderedFile, ...], digest: str) -> Rendered:
        environment = release.environment
        overlay = self._files(plan.overlay(release, digest))
        application = self._files([plan.application(release)])
        judge = self._judge(environment)
        path = plan.overlay_path(environment.name, release.model)
        problems = list(rules.findings(RULES, release))
        problems += check.standalone((*base, *application), judge)
        objects, found = check.folder(_by_path((*base, *overlay)), path, judge)
        problems += found
        producer = release.document.path
        problems += self._claims(environment.server, objects, producer)
        problems += self._claims("argocd", [file.data for file in application], producer)
        return Rendered((*overlay, *application), tuple(problems), objects=len(objects) + 1)

    def _files(self, planned: Iterable[PlannedFile]) -> tuple[RenderedFile, ...]:
        return self._engine.files(plan.clashes(planned, self._paths))

    def _judge(self, environment: Environment) -> Judge:
        version = environment.kubernetes
        if version not in self._judges:
            self._judges[version] = Judge(version, self._root / OWN_SCHEMAS)
        return self._judges[version]

    def _claims(
        self, cluster: str, objects: Iterable[dict[str, object]], producer: str
    ) -> list[Problem]:
        return [p for item in objects for p in self._objects.add(cluster, item, producer)]


def _by_path(files: Iterable[RenderedFile]) -> dict[str, RenderedFile]:
    return {file.path: file for file in files}
