"""The seven stages in order, one model at a time, so that memory does not grow with the fleet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from generator import (
    check,
    fleet,
    load,
    object_schemas,
    plan,
    resolve,
    rules,
    validate,
    write,
)
from generator.check import Judge
from generator.documents import Document
from generator.fleet import Fleet
from generator.problems import GenError, Problem, errors
from generator.records import Changes, Environment, PlannedFile, Release, RenderedFile, Workspace
from generator.render import Engine
from generator.rules.serving import RULES

OWN_SCHEMAS = "schemas"
"""Where a repository keeps schemas of its own cluster's kinds."""

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
    """What a run found and did, in numbers; warnings and few changes one by one."""

    releases: int = 0
    objects: int = 0
    changes: Changes = field(default_factory=Changes)
    warnings: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Rendered:
    """One subject, a model or an environment: its files, claims, and what is wrong with them."""

    files: list[RenderedFile]
    problems: list[Problem]
    claims: list[str]
    releases: int = 0
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
    return _collect(_Run(root, selection, paranoid=paranoid), lambda _: None, progress)


def compare(
    root: Path,
    selection: Selection = EVERYTHING,
    progress: Progress = _silent,
    *,
    texts: bool = False,
) -> Outcome:
    """Run every stage and say what writing would change. Raises GenError with every problem."""
    return _written(root, selection, progress, dry=True, texts=texts)


def apply(
    root: Path,
    selection: Selection = EVERYTHING,
    progress: Progress = _silent,
    *,
    texts: bool = False,
) -> Outcome:
    """Run every stage and write what changed.

    Raises GenError with every problem, and then nothing is written.
    """
    with write.locked(root):
        return _written(root, selection, progress, dry=False, texts=texts)


def releases(root: Path, selection: Selection = EVERYTHING) -> list[Release]:
    """Resolve the releases and render nothing. Raises GenError with every problem."""
    return _Run(root, selection).releases()


def kubernetes_versions(root: Path) -> list[str]:
    """List the Kubernetes versions of a repository's environments."""
    run = _Run(root, EVERYTHING)
    return sorted({environment.kubernetes for environment in run.environments.values()})


def exported_schemas(root: Path, kubernetes: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Give every schema as path and text, in the layout that kubeconform reads."""
    return object_schemas.exported(kubernetes, extra=root / OWN_SCHEMAS)


def _written(
    root: Path, selection: Selection, progress: Progress, *, dry: bool, texts: bool
) -> Outcome:
    run = _Run(root, selection)
    tree = write.Tree(root, dry=dry, texts=texts)
    changes = Changes(keep_all=texts)
    try:
        outcome = _collect(run, lambda file: changes.add(tree.put(file)), progress)
        for change in tree.prune(selection.owns):
            changes.add(change)
        if not dry:
            tree.commit()
    finally:
        if not dry:
            tree.discard()
    outcome.changes = changes
    return outcome


def _collect(run: _Run, use: Callable[[RenderedFile], None], progress: Progress) -> Outcome:
    """Render every subject and hand its files on; raise every problem of all of them at the end."""
    outcome, problems, together = Outcome(), list(run.problems), Fleet()
    for done, subject in enumerate(run.subjects, start=1):
        rendered = run.rendered(subject)
        problems += rendered.problems
        outcome.releases += rendered.releases
        outcome.objects += rendered.objects
        together.add(subject.path, map(fleet.digest, rendered.claims))
        if not errors(problems):
            problems += _used(rendered.files, use)
        progress(done, len(run.subjects))
    problems += together.problems(run.claims_of)
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


@dataclass(frozen=True, slots=True)
class Subject:
    """What is rendered in one go: an environment, or a model in all of its environments."""

    kind: str
    name: str
    path: str


class _Run:
    """The documents of a run and what renders them, subject by subject.

    `problems` are those of models that cannot be read: the others are rendered all the same, so
    that one run says everything. Raises GenError if an environment is not right, once every model's
    document has been looked at.
    """

    def __init__(self, root: Path, selection: Selection, *, paranoid: bool = False) -> None:
        self._root = root
        self._selection = selection
        workspace = load.workspace(root, models=selection.models)
        self.problems = list(workspace.problems)
        self.environments = self._resolved(workspace)
        self.subjects = list(self._subjects(workspace))
        self._engine = Engine(root, paranoid=paranoid)
        self._judges: dict[str, Judge] = {}

    def _resolved(self, workspace: Workspace) -> dict[str, Environment]:
        """Resolve the environments: unless all are right, nothing can be said of releases."""
        found = [p for document in workspace.environments for p in validate.problems(document)]
        unread = any(p.where.file.startswith("environments") for p in self.problems)
        try:
            if not found and not unread:
                return resolve.environments(workspace.environments)
        except GenError as error:
            found += error.problems
        for path in workspace.models:
            found += self._document_problems(path)
        raise GenError([*self.problems, *found])

    def _document_problems(self, path: Path) -> list[Problem]:
        try:
            return validate.problems(load.document(self._root, "model", path))
        except GenError as error:
            return list(error.problems)

    def _subjects(self, workspace: Workspace) -> Iterator[Subject]:
        for name, environment in self.environments.items():
            if self._is_wanted(name) and not self._selection.models:
                yield Subject("environment", name, environment.document.path)
        for path in workspace.models:
            yield Subject("model", path.stem, path.relative_to(self._root).as_posix())

    def _is_wanted(self, environment: str) -> bool:
        return not self._selection.environments or environment in self._selection.environments

    def _model(self, subject: Subject) -> Document:
        """Read a model. Raises GenError unless its document is right."""
        document = load.document(self._root, "model", self._root / subject.path)
        problems = validate.problems(document)
        if problems:
            raise GenError(problems)
        return document

    def releases(self) -> list[Release]:
        """Resolve every model. Raises GenError with every problem."""
        found: list[Release] = []
        problems = list(self.problems)
        for subject in self.subjects:
            try:
                found += self._releases(subject) if subject.kind == "model" else ()
            except GenError as error:
                problems += error.problems
        if problems:
            raise GenError(problems)
        return found

    def _releases(self, subject: Subject) -> tuple[Release, ...]:
        wanted = self._selection.environments
        return resolve.releases(self._model(subject), self.environments, wanted)

    def rendered(self, subject: Subject) -> Rendered:
        """Render one subject; what is wrong with it is in its problems."""
        try:
            if subject.kind == "environment":
                return self._environment(self.environments[subject.name])
            return self._all_releases(self._releases(subject))
        except GenError as error:
            return Rendered([], list(error.problems), [])

    def claims_of(self, path: str) -> list[str]:
        """Give the claims of the subject of a path in words, by rendering it once more."""
        return next(
            self.rendered(subject).claims for subject in self.subjects if subject.path == path
        )

    def _environment(self, environment: Environment) -> Rendered:
        platform = self._files(plan.platform(environment))
        delivery = self._files(plan.delivery(environment))
        judge = self._judge(environment)
        path = plan.platform_path(environment.name)
        objects, problems = check.folder(_by_path(platform), path, judge)
        problems += check.standalone(delivery, judge)
        return Rendered(
            files=[*platform, *delivery],
            problems=problems,
            claims=[
                *fleet.of_objects(environment.server, objects),
                *fleet.of_objects(fleet.DELIVERY, (file.data for file in delivery)),
            ],
            objects=len(objects) + len(delivery),
        )

    def _all_releases(self, found: tuple[Release, ...]) -> Rendered:
        if not found:
            return Rendered([], [], [])
        base = self._files(plan.base(found[0]))
        digest = sha256("\0".join([file.text for file in base]).encode()).hexdigest()
        parts = [self._release(release, base, digest) for release in found]
        versions = {release.environment.kubernetes: release for release in found}
        own = [
            p for r in versions.values() for p in check.standalone(base, self._judge(r.environment))
        ]
        return Rendered(
            files=[*base, *(file for part in parts for file in part.files)],
            problems=[*own, *(problem for part in parts for problem in part.problems)],
            claims=[claim for part in parts for claim in part.claims],
            releases=len(found),
            objects=sum(part.objects for part in parts),
        )

    def _release(self, release: Release, base: list[RenderedFile], digest: str) -> Rendered:
        environment = release.environment
        overlay = self._files(plan.overlay(release, digest))
        application = self._files([plan.application(release)])
        judge = self._judge(environment)
        path = plan.overlay_path(environment.name, release.model)
        objects, problems = check.folder(_by_path([*base, *overlay]), path, judge)
        problems += check.standalone(application, judge)
        problems += rules.findings(RULES, release)
        return Rendered(
            files=[*overlay, *application],
            problems=problems,
            claims=[
                *fleet.of_objects(environment.server, objects),
                *fleet.of_objects(fleet.DELIVERY, (file.data for file in application)),
                *fleet.of_release(release),
            ],
            objects=len(objects) + 1,
        )

    def _files(self, planned: list[PlannedFile]) -> list[RenderedFile]:
        return self._engine.files(plan.write_once(planned))

    def _judge(self, environment: Environment) -> Judge:
        version = environment.kubernetes
        if version not in self._judges:
            self._judges[version] = Judge(version, self._root / OWN_SCHEMAS)
        return self._judges[version]


def _by_path(files: Iterable[RenderedFile]) -> dict[str, RenderedFile]:
    return {file.path: file for file in files}
