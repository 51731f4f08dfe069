"""Subjects, environments and models with all their releases, through the first six stages."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct, field
from msgspec.structs import replace

from generator import check, fleet, load, needed, plan, render, resolve, silences, validate, write
from generator.backends import registry as backends
from generator.check import Judge
from generator.documents import Document, Json
from generator.files import ARGOCD, PlannedFile, RenderedFile
from generator.fleet import Wanted
from generator.inventory import namespaces
from generator.inventory.records import Environment
from generator.objects import kustomize
from generator.objects.kustomize import Identity
from generator.objects.traces import Traces
from generator.problems import GenError, Problem, Severity
from generator.queues import capacity, demand
from generator.queues.demand import Demand
from generator.records import Release, Workspace
from generator.render import Engine
from generator.revisions.steps import Base
from generator.rules import Scene, catalogue
from generator.rules.kueue import resource_quotas as quota_objects
from generator.rules.places import of_setting
from generator.silences import Silenced

OWN_SCHEMAS = "schemas"
"""Where a repository keeps schemas of its own cluster's kinds."""

INPUTS = (*load.FOLDERS.values(), render.OWN, OWN_SCHEMAS)
"""The folders that people write, from which all else follows."""


class Shard(Struct, frozen=True):
    """One of `count` parts of a fleet, `index` from 1: which one a subject is in never changes."""

    index: int
    count: int

    def has(self, kind: str, name: str) -> bool:
        """Say whether a subject is in this part. No subject is in two, every one is in one."""
        place = int.from_bytes(sha256(f"{kind} {name}".encode()).digest()[:8], "big")
        return place % self.count == self.index - 1


WHOLE = Shard(1, 1)


class Selection(Struct, frozen=True):
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


class Rendered(Struct, frozen=True):
    """One subject, a model or an environment: its files, claims, and what is wrong with them.

    `silenced` counts what its document silences, and `until` is the last day of that, if any.
    """

    files: list[RenderedFile]
    problems: list[Problem]
    claims: list[str]
    demands: tuple[str, ...] = ()
    releases: int = 0
    objects: int = 0
    silenced: int = 0
    until: str = ""
    wanted: tuple[Wanted, ...] = ()


class Composed(NamedTuple):
    """What a subject comes to in one environment; an environment itself has no release."""

    environment: str
    release: Release | None
    objects: list[Json]


class Subject(Struct, frozen=True):
    """What is rendered in one go: an environment, or a model in all of its environments."""

    kind: str
    name: str
    path: str


class _Live(Struct):
    """A release on its way through the stages: what is planned, rendered and found so far."""

    release: Release
    told: list[Problem] = field(default_factory=list)
    planned: list[PlannedFile] = field(default_factory=list)
    files: list[RenderedFile] = field(default_factory=list)
    identities: list[Identity] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


class _Work(Struct):
    """A subject on its way through the stages; one that has its result takes part no more."""

    subject: Subject
    document: Document | None = None
    live: list[_Live] = field(default_factory=list)
    base: list[RenderedFile] = field(default_factory=list)
    result: Rendered | None = None

    def attempt(self, stage: Callable[[_Work], Rendered | None]) -> None:
        """Go through a stage; a GenError is the result."""
        if self.result is None:
            try:
                self.result = stage(self)
            except GenError as error:
                self.result = Rendered([], list(error.problems), [])


class Repository:
    """The documents of a run and what renders them, subject by subject.

    `problems` are those of models that cannot be read: the others are rendered all the same, so
    that one run says everything. What is wrong with a change that `is_urgent` is told and does not
    refuse it. Raises GenError if an environment is not right, once every model's document has been
    looked at.
    """

    def __init__(
        self,
        root: Path,
        selection: Selection,
        *,
        paranoid: bool = False,
        today: str = "",
        base: Path | None = None,
        instead: Mapping[str, Document] | None = None,
        is_urgent: bool = False,
    ) -> None:
        self._root = root
        self._instead = instead or {}
        self._today = today
        self._is_urgent = is_urgent
        self.selection, is_whole = selection, selection == EVERYTHING
        workspace = load.workspace(root, models=selection.models)
        unread = load.unread(root, {render.OWN: ".j2", OWN_SCHEMAS: ".json"})
        self.problems = [*workspace.problems, *unread, *render.strangers(root)]
        self.environments = self._resolved(workspace)
        self._base = Base(base, root, self.environments) if base else None
        self.subjects = list(self._subjects(workspace))
        names = [path.stem for path in workspace.models]
        self.problems += write.strangers(root, self.environments, names) if is_whole else []
        self._engine = Engine(root, paranoid=paranoid)
        self._traces = Traces(self._engine.place, self._engine.is_own)
        self._judges: dict[str, Judge] = {}
        self._platforms: dict[str, list[Json]] = {}

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
                yield Subject("model", path.stem, f"{load.FOLDERS['model']}/{path.name}")

    def _is_wanted(self, environment: str) -> bool:
        wanted = self.selection.environments
        return not self.selection.models and (not wanted or environment in wanted)

    def document(self, subject: Subject) -> Document:
        """Read a model. Raises GenError unless its document is right."""
        document = self._instead.get(subject.path) or load.document(
            self._root, "model", self._root / subject.path
        )
        problems = validate.problems(document) or list(
            silences.problems(document, catalogue.RULES, _MAY_BE_SILENCED)
        )
        if problems:
            raise GenError(problems)
        return document

    def releases(self) -> list[Release]:
        """Resolve every model. Raises GenError with every problem."""
        found: list[Release] = []
        problems = list(self.problems)
        for subject in self.subjects:
            try:
                found += self._releases(self.document(subject)) if subject.kind == "model" else ()
            except GenError as error:
                problems += error.problems
        if problems:
            raise GenError(problems)
        return found

    def _releases(self, document: Document) -> tuple[Release, ...]:
        return resolve.releases(document, self.environments, self.selection.environments)

    def rendered(self, subjects: Sequence[Subject]) -> list[Rendered]:
        """Render some subjects; what is wrong with one is in its problems.

        All go through a stage before any goes through the next. What runs many times in a row is
        still in the processor's caches, which takes a fifth off the time (decision 44).
        """
        self._traces.start()
        works = [_Work(subject) for subject in subjects]
        for stage in (
            self._read,
            self._resolve,
            self._apply_rules,
            self._render_base,
            self._plan,
            self._render,
            self._check,
            self._sum_up,
        ):
            for work in works:
                work.attempt(stage)
        return [work.result for work in works if work.result is not None]

    def composed(self, model: Document, wanted: Collection[str] = ()) -> Iterator[Composed]:
        """Compose a model in its environments, or in the wanted ones, and judge nothing.

        Raises GenError with what cannot be resolved, rendered or composed.
        """
        self._traces.start()
        found = resolve.releases(model, self.environments, wanted)
        base = self._files(plan.base(found[0])) if found else []
        for release in found:
            planned = plan.overlay(release, "", self._engine.extras("overlay"))
            files = _by_path([*base, *self._files(planned)])
            path = plan.overlay_path(release.environment.name, release.model)
            (application,) = self._files([plan.application(release)])
            objects = [*kustomize.composed(files, path), application.data]
            yield Composed(release.environment.name, release, objects)

    def composed_environment(self, name: str) -> Composed:
        """Compose an environment itself, as `composed` does a model."""
        environment = self.environments[name]
        own, shared = self._engine.extras("platform"), self._engine.extras("overlay")
        platform = _by_path(self._files(plan.platform(environment, own)))
        delivery = self._files(plan.delivery(environment, shared, own))
        objects = kustomize.composed(platform, plan.platform_path(name))
        return Composed(name, None, [*objects, *(file.data for file in delivery)])

    def short_of(self, demands: Iterable[tuple[str, str]]) -> list[Problem]:
        """Find what does not fit together, given each model's demands, a line per environment.

        A part of the fleet says nothing of the whole. One environment's demands are in memory at a
        time.
        """
        if self.selection != EVERYTHING:
            return []
        lines = demand.by_environment(demands)
        return [
            problem
            for name, environment in self.environments.items()
            for problem in self._short_in(
                environment, [demand.unpacked(*line) for line in lines.get(name, ())]
            )
        ]

    def _short_in(self, environment: Environment, asked: list[Demand]) -> Iterator[Problem]:
        for outcome in capacity.of_fleet({environment.name: environment}, asked):
            yield catalogue.of_outcome(outcome, environment)
        yield from self._beyond_quotas(environment, asked)

    def _beyond_quotas(self, environment: Environment, asked: list[Demand]) -> Iterator[Problem]:
        """Compare ResourceQuotas with what all models ask for, where each was written."""
        for rule, found in quota_objects.short_of(environment, asked):
            yield catalogue.problem(rule, found)
        for item in self._own_quotas(environment):
            for rule, spot in quota_objects.short_in(item, environment, asked):
                planned = plan.platform(environment, self._engine.extras("platform"))
                path = plan.platform_path(environment.name)
                where = self._traces.where(self._files(planned), item, spot.pointer, path)
                yield Problem(rule.code, spot.message, where, spot.hint, rule.severity)

    def _own_quotas(self, environment: Environment) -> list[Json]:
        """Give the ResourceQuotas of own templates, beside that of the environment's document."""
        composed = self._platform(environment.name) if self._engine.has_own else []
        told = environment.namespace if namespaces.hard(environment.document) else ""
        of_kind = [item for item in composed if item["kind"] == "ResourceQuota"]
        return [item for item in of_kind if item["metadata"]["name"] != told]

    def claims_of(self, path: str) -> list[str]:
        """Give the claims of the subject of a path in words, by rendering it once more."""
        (rendered,) = self.rendered([subject for subject in self.subjects if subject.path == path])
        return rendered.claims

    def unmet(self, needs: Mapping[str, set[int]], told: Iterable[Problem]) -> list[Problem]:
        """Say which models others need and do not find, given their digests by subject.

        What is rendered may be a part that needs what the rest has: its document says so. A model
        with errors of its own, which are `told`, would have been found without them.
        """
        wrong = {problem.where.file for problem in told}
        asked = [
            each
            for subject in self.subjects
            if subject.path in needs
            for release in self._releases(self.document(subject))
            for each in fleet.wanted_by(release)
            if fleet.digest(each.claim) in needs[subject.path]
            and self._path_of(each.need.model) not in wrong
        ]
        known = load.names(self._root, "model") if asked else []
        return [problem for each in asked for problem in self._missing(each, known)]

    def _path_of(self, model: str) -> str:
        return f"{load.FOLDERS['model']}/{model}.yaml"

    def _missing(self, wanted: Wanted, known: list[str]) -> Iterator[Problem]:
        need, environment = wanted.need, self.environments[wanted.environment]
        if need.model not in known:
            yield needed.no_model(need, known)
            return
        subject = Subject("model", need.model, self._path_of(need.model))
        try:
            document = self.document(subject)
            found = resolve.releases(document, self.environments, (environment.name,))
        except GenError:
            return  # whoever renders that model is told what is wrong with it
        if not found:
            yield needed.not_live(need, environment)
            return
        spoken = list(backends.of_release(found[0]).answers(found[0]))
        if need.protocol not in spoken:
            yield needed.not_answering(need, found[0], spoken)

    def _environment(self, environment: Environment) -> Rendered:
        own, shared = self._engine.extras("platform"), self._engine.extras("overlay")
        platform = self._files(plan.platform(environment, own))
        delivery = self._files(plan.delivery(environment, shared, own))
        judge = self._judge(environment)
        path = plan.platform_path(environment.name)
        objects, problems = check.folder(_by_path(platform), path, judge, self._traces)
        problems += check.standalone(delivery, judge, self._traces)
        told = list(catalogue.of_environment(environment))
        told += self._base.of_environment(environment) if self._base else ()
        if self._engine.has_own and not problems:
            scene = Scene(environment, None, [*objects, *(file.data for file in delivery)])
            known = {problem.code for problem in told}
            files = [*platform, *delivery]
            problems += self._found_in(scene, files, path, known)
        problems += told
        return Rendered(
            files=[*platform, *delivery],
            problems=problems,
            claims=[
                *fleet.of_identities(environment.cluster, objects.identities),
                *fleet.of_objects(fleet.DELIVERY, (file.data for file in delivery)),
            ],
            objects=len(objects) + len(delivery),
        )

    def _read(self, work: _Work) -> Rendered | None:
        if work.subject.kind == "environment":
            return self._environment(self.environments[work.subject.name])
        work.document = self.document(work.subject)
        return None

    def _resolve(self, work: _Work) -> Rendered | None:
        assert work.document is not None
        work.live = [_Live(release) for release in self._releases(work.document)]
        return None if work.live else Rendered([], [], [])

    def _apply_rules(self, work: _Work) -> None:
        for live in work.live:
            live.told = list(catalogue.of_release(live.release))

    def _render_base(self, work: _Work) -> None:
        work.base = self._files(plan.base(work.live[0].release))

    def _plan(self, work: _Work) -> None:
        digest = sha256("\0".join([file.text for file in work.base]).encode()).hexdigest()
        extras = self._engine.extras("overlay")
        for live in work.live:
            release = live.release
            live.planned = [*plan.overlay(release, digest, extras), plan.application(release)]

    def _render(self, work: _Work) -> None:
        for live in work.live:
            live.files = self._files(live.planned)

    def _check(self, work: _Work) -> None:
        for live in work.live:
            release, (*overlay, application) = live.release, live.files
            judge = self._judge(release.environment)
            path = plan.overlay_path(release.environment.name, release.model)
            files = _by_path([*work.base, *overlay])
            objects, problems = check.folder(files, path, judge, self._traces)
            problems += check.standalone([application], judge, self._traces)
            if self._engine.has_own and not problems:
                own = [*objects, application.data]
                platform = self._platform(release.environment.name)
                scene = Scene(release.environment, release, own, platform)
                known = {problem.code for problem in live.told}
                problems += self._found_in(scene, [*work.base, *live.files], path, known)
            live.identities, live.problems = objects.identities, [*problems, *live.told]

    def _sum_up(self, work: _Work) -> Rendered:
        found = tuple([live.release for live in work.live])
        versions = {release.environment.kubernetes: release for release in found}
        own = [
            problem
            for release in versions.values()
            for problem in check.standalone(
                work.base, self._judge(release.environment), self._traces
            )
        ]
        wrong = {problem.where.file for problem in own}
        others = [
            problem
            for live in work.live
            for problem in live.problems
            if problem.code != "E601" or problem.where.file not in wrong
        ]
        heard = self._heard(found, [*own, *others])
        return Rendered(
            files=[*work.base, *(file for live in work.live for file in live.files)],
            problems=heard.problems,
            silenced=heard.silenced,
            until=heard.until,
            claims=[claim for live in work.live for claim in _claims(live)],
            demands=tuple(
                demand.packed(asked) for release in found for asked in demand.everything_of(release)
            ),
            releases=len(found),
            objects=sum(len(live.identities) + 1 for live in work.live),
            wanted=tuple(each for release in found for each in fleet.wanted_by(release)),
        )

    def _heard(self, releases: tuple[Release, ...], problems: list[Problem]) -> Silenced:
        """Apply a model's silences; which of them nothing needs, only all environments tell."""
        model = releases[0].document
        changes = self._base.of_model(model, releases) if self._base else None
        if changes and self._is_urgent:
            changes = [replace(problem, severity=Severity.WARNING) for problem in changes]
        unasked = _ONLY_OF_CHANGES if changes is None else ()
        heard = silences.applied(model, [*problems, *(changes or ())], self._today, unasked)
        if self.selection.environments:
            heard.problems[:] = [p for p in heard.problems if p.code != silences.NEEDLESS]
        return heard

    def removed(self) -> Silenced:
        """Say what the models do that are gone; each may have announced it by a silence."""
        gone = self._base.removed() if self._base and not self.selection.models else ()
        heard = [
            silences.applied(model.document, model.problems, self._today, catalogue.RULES)
            for model in gone
        ]
        problems = [problem for each in heard for problem in each.problems]
        return Silenced(problems, sum(each.silenced for each in heard))

    def _found_in(
        self,
        scene: Scene,
        files: list[RenderedFile],
        path: str,
        known: Collection[str] = (),
    ) -> Iterator[Problem]:
        """Look at composed objects that own templates may have written.

        They are right by their schemas: a rule may rely on that. Codes in `known` were told of the
        document already, whose line is the better place.
        """
        for rule, item, spot in catalogue.of_scene(scene):
            if rule.code not in known:
                if scene.release is not None and spot.setting:
                    where, about = of_setting(scene.release, *spot.setting), ""
                else:
                    where = self._traces.where(files, item, spot.pointer, path)
                    about = f"{item['kind']} {_name(item)} in {path}"
                yield Problem(rule.code, spot.message, where, spot.hint, rule.severity, about)

    def _platform(self, name: str) -> list[Json]:
        """Compose what an environment has itself, once; nothing where that is not right."""
        if name not in self._platforms:
            try:
                self._platforms[name] = self.composed_environment(name).objects
            except GenError:
                self._platforms[name] = []
        return self._platforms[name]

    def _files(self, planned: list[PlannedFile]) -> list[RenderedFile]:
        self._traces.add(planned)
        return self._engine.files(plan.write_once(planned))

    def _judge(self, environment: Environment) -> Judge:
        version = environment.kubernetes
        if version not in self._judges:
            self._judges[version] = Judge(version, self._root / OWN_SCHEMAS)
        return self._judges[version]


_MAY_BE_SILENCED = frozenset(code for code, rule in catalogue.RULES.items() if rule.may_be_silenced)

_ONLY_OF_CHANGES = frozenset(code for code, rule in catalogue.RULES.items() if rule.is_of_changes)


def _claims(live: _Live) -> Iterator[str]:
    yield from fleet.of_identities(live.release.environment.cluster, live.identities)
    yield from fleet.of_objects(fleet.DELIVERY, [live.files[-1].data])
    yield from fleet.of_release(live.release)


def _name(item: Json) -> str:
    return str((item.get("metadata") or {}).get("name", ""))


def _by_path(files: Iterable[RenderedFile]) -> dict[str, RenderedFile]:
    return {file.path: file for file in files}
