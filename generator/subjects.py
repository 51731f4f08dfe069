"""One subject, an environment or a model with all its releases, through the first six stages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from generator import check, fleet, load, plan, render, resolve, rules, validate
from generator.check import Judge
from generator.documents import Document
from generator.problems import GenError, Problem
from generator.records import ARGOCD, Environment, PlannedFile, Release, RenderedFile, Workspace
from generator.render import Engine
from generator.rules.serving import RULES

OWN_SCHEMAS = "schemas"
"""Where a repository keeps schemas of its own cluster's kinds."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `count` parts of a fleet, `index` from 1: which one a subject is in never changes."""

    index: int
    count: int

    def has(self, kind: str, name: str) -> bool:
        """Say whether a subject is in this part. No subject is in two, every one is in one."""
        place = int.from_bytes(sha256(f"{kind} {name}".encode()).digest()[:8], "big")
        return place % self.count == self.index - 1


WHOLE = Shard(1, 1)


@dataclass(frozen=True, slots=True)
class Selection:
    """The models, environments and shard that a run is about; empty means all."""

    models: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    shard: Shard = WHOLE

    def owns(self, path: str) -> bool:
        """Say whether a path of the output belongs to this selection."""
        environment, kind, name = _subject_of(path)
        if not self.shard.has(kind, name):
            return False
        if self.environments and environment not in self.environments:
            return False
        return not self.models or (kind == "model" and name in self.models)


def _subject_of(path: str) -> tuple[str, str, str]:
    """Tell from a path of the output its environment, and kind and name of its subject."""
    parts = path.removesuffix(".yaml").split("/")
    environment, leaf = parts[1], parts[2] if len(parts) > 2 else ""
    if parts[0] == ARGOCD and leaf.startswith("application-"):
        leaf = leaf.removeprefix("application-")
    elif parts[0] == ARGOCD:
        return environment, "environment", environment
    if leaf in ("", "_platform"):
        return environment, "environment", environment
    return environment, "model", leaf


EVERYTHING = Selection()


@dataclass(frozen=True, slots=True)
class Rendered:
    """One subject, a model or an environment: its files, claims, and what is wrong with them."""

    files: list[RenderedFile]
    problems: list[Problem]
    claims: list[str]
    releases: int = 0
    objects: int = 0


@dataclass(frozen=True, slots=True)
class Subject:
    """What is rendered in one go: an environment, or a model in all of its environments."""

    kind: str
    name: str
    path: str


class Repository:
    """The documents of a run and what renders them, subject by subject.

    `problems` are those of models that cannot be read: the others are rendered all the same, so
    that one run says everything. Raises GenError if an environment is not right, once every model's
    document has been looked at.
    """

    def __init__(self, root: Path, selection: Selection, *, paranoid: bool = False) -> None:
        self._root = root
        self.selection = selection
        workspace = load.workspace(root, models=selection.models)
        self.problems = [*workspace.problems, *render.strangers(root)]
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
        shard = self.selection.shard
        for name, environment in self.environments.items():
            if self._is_wanted(name) and shard.has("environment", name):
                yield Subject("environment", name, environment.document.path)
        for path in workspace.models:
            if shard.has("model", path.stem):
                yield Subject("model", path.stem, path.relative_to(self._root).as_posix())

    def _is_wanted(self, environment: str) -> bool:
        wanted = self.selection.environments
        return not self.selection.models and (not wanted or environment in wanted)

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
        wanted = self.selection.environments
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
