"""A change as people read it: deletions, one row per model, one entry per object that differs.

Whatever is the same for many models, up to their own names, is said once and lists the models: a
change of a template is one entry and not three hundred.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from msgspec import Struct

from generator import scalars
from generator.diff import impact
from generator.diff.comparison import (
    ABSENT,
    FLAG,
    WHOLE,
    FieldChange,
    Item,
    ObjectChange,
    Order,
    Verb,
    dotted,
)
from generator.diff.impact import NOTHING, EnvironmentChange, Pool, Span, SubjectChange, TreeChange

MODEL, OBJECT = "<model>", "<name>"
"""What stands for the name of a model, or of one of its objects, in what many have in common."""


class Line(NamedTuple):
    """One field of an object: what happens to it, and both values in YAML; "" where there is none.

    Many models can share a line, with placeholders for their names.
    """

    verb: Verb
    path: str
    before: str
    after: str


class Cells(NamedTuple):
    """What a change does to a model, one sentence per topic; empty where nothing changes."""

    version: str
    traffic: str
    replicas: str
    gpus: str
    cost: str
    pods: str
    warnings: tuple[str, ...]


class Row(Struct, frozen=True):
    """What a change does to one model, or to many alike."""

    models: tuple[str, ...]
    verb: Verb
    cells: Cells

    @property
    def gravity(self) -> int:
        """Say how soon a reader should see it: the less, the sooner."""
        if self.verb == "delete" or self.cells.warnings:
            return 0
        if self.cells.pods.startswith("yes"):
            return 1
        return 2 if any(self.cells[:5]) else 3


class Member(NamedTuple):
    """An object, and the model that it belongs to; empty for one of the environment."""

    model: str
    name: str


class Entry(Struct, frozen=True):
    """One object that differs, or many that differ alike."""

    verb: Verb
    kind: str
    members: tuple[Member, ...]
    lines: tuple[Line, ...]

    @property
    def models(self) -> tuple[str, ...]:
        """Name the models that the objects belong to."""
        return tuple(dict.fromkeys(member.model for member in self.members if member.model))

    @property
    def gravity(self) -> int:
        """Say how soon a reader should see it: the less, the sooner."""
        return _GRAVITY.get(self.kind, 2) + (self.verb == "create")


_GRAVITY = {
    "InferenceService": 0,
    "Deployment": 0,
    "ClusterQueue": 0,
    "HTTPRoute": 1,
    "ScaledObject": 1,
    "HorizontalPodAutoscaler": 1,
    "Application": 4,
    "AppProject": 4,
}


class Section(Struct, frozen=True):
    """One environment: its rows and entries, and what all models together take more or less."""

    name: str
    verb: Verb
    rows: tuple[Row, ...]
    entries: tuple[Entry, ...]
    gpus: dict[Pool, Span]
    cost: Span


class Summary(Struct, frozen=True):
    """A whole change; `models` counts those that differ, `restarting` those whose Pods restart."""

    sections: tuple[Section, ...]
    deletions: tuple[str, ...]
    models: int
    restarting: int
    is_blind: bool
    withdrawn: tuple[str, ...]


def of(change: TreeChange) -> Summary:
    """Sum up what differs between two trees."""
    subjects = [subject for each in change.environments for subject in each.subjects]
    restarting = {s.model for s in subjects if _pods(s).restarts and s.verb == "update"}
    return Summary(
        sections=tuple(_section(environment) for environment in change.environments),
        deletions=tuple(_deletions(change.environments)),
        models=len({subject.model for subject in subjects if subject.model}),
        restarting=len(restarting - {""}),
        is_blind=change.is_blind,
        withdrawn=change.withdrawn,
    )


def _section(change: EnvironmentChange) -> Section:
    gpus: dict[Pool, Span] = {}
    for subject in change.subjects:
        for pool, more in impact.gpus(subject.before, subject.after).items():
            gpus[pool] = gpus.get(pool, NOTHING) + more
    return Section(
        name=change.name,
        verb=change.verb,
        rows=tuple(_rows(change.subjects)),
        entries=tuple(_entries(change.subjects)),
        gpus={pool: more for pool, more in gpus.items() if more},
        cost=sum((impact.cost(s.before, s.after) for s in change.subjects), NOTHING),
    )


# Rows


def _rows(subjects: Iterable[SubjectChange]) -> list[Row]:
    alike: dict[Any, list[SubjectChange]] = {}
    for subject in subjects:
        if subject.model:
            key = (subject.verb, _without(subject.model, cells(subject)))
            alike.setdefault(key, []).append(subject)
    rows = [
        Row(
            tuple(subject.model for subject in found),
            verb,
            cells(found[0]) if len(found) == 1 else shared,
        )
        for (verb, shared), found in alike.items()
    ]
    return sorted(rows, key=lambda row: (row.gravity, row.models))


def cells(subject: SubjectChange) -> Cells:
    """Say what a change does to one model in one environment."""
    before, after = subject.before, subject.after
    cost = impact.cost(before, after)
    return Cells(
        version=impact.versions(before, after),
        traffic=impact.traffic(before, after),
        replicas=impact.replicas(before, after),
        gpus=impact.gpus_told(impact.gpus(before, after)),
        cost=impact.signed(cost) if cost else "",
        pods=_pods_told(subject),
        warnings=(*impact.warnings(before, after), *impact.trained(before, after)),
    )


def _pods(subject: SubjectChange) -> impact.Pods:
    return impact.pods(subject.before, subject.after, subject.objects)


def _pods_told(subject: SubjectChange) -> str:
    if subject.verb == "delete":
        return "no: they end" if subject.cascade else "no: they run on"
    if subject.verb == "create":
        return "no: they start"
    found = _pods(subject)
    if found.restarts:
        restarts = (_restart_told(subject.model, restart) for restart in found.restarts)
        return f"yes: {'; '.join(restarts)}"
    told = [
        *(f"{_short(subject.model, name)} starts" for name in found.starts),
        *(f"{_short(subject.model, name)} ends" for name in found.ends),
    ]
    return f"no: {', '.join(told)}" if told else "no"


_FIELDS_TOLD = 2


def _restart_told(model: str, restart: impact.Restart) -> str:
    told = [dotted(path) for path in restart.fields[:_FIELDS_TOLD]]
    more = len(restart.fields) - len(told)
    fields = ", ".join(told) + (f" and {more} more" if more else "")
    workload = _short(model, restart.workload)
    return fields if workload == model else f"{workload} by {fields}"


def _short(model: str, workload: str) -> str:
    """Leave the model's name out of its workload's."""
    return workload.removeprefix(f"{model}-")


# Entries


def _entries(subjects: Iterable[SubjectChange]) -> Iterator[Entry]:
    alike: dict[Any, list[tuple[Member, ObjectChange]]] = {}
    for subject in subjects:
        for change in subject.objects:
            member = Member(subject.model, change.identity.name)
            key = (change.verb, change.identity.kind, _shared(member, change))
            alike.setdefault(key, []).append((member, change))
    for (verb, kind, shared), found in alike.items():
        members = tuple(member for member, _ in found)
        own = tuple(map(line, found[0][1].fields)) if len(found) == 1 else shared
        yield Entry(verb, kind, members, own)


def _shared(member: Member, change: ObjectChange) -> tuple[Line, ...]:
    """Write the fields of an object so that they are equal where only the names are others."""
    own = tuple(map(line, change.fields))
    named = _renamed(member.name, OBJECT, own) if member.name != member.model else own
    shared: tuple[Line, ...] = _without(member.model or member.name, named)
    return shared


def line(field: FieldChange) -> Line:
    """Write one field that differs."""
    path, last = field.path, field.path[-1] if field.path else ""
    if isinstance(last, Item) and last.by in (WHOLE, FLAG) and field.verb != "update":
        path = path[:-1]
    told = dotted(path) + (" (order)" if isinstance(field.before, Order) else "")
    if isinstance(last, Item) and last.by == FLAG and field.verb == "update":
        before, after = (scalars.visible(_answer(side)) for side in (field.before, field.after))
    else:
        before, after = _value(field.before), _value(field.after)
    return Line(field.verb, scalars.visible(told), before, after)


def _answer(argument: str) -> str:
    """Leave the name out of an argument, unless it is nothing but a name."""
    return argument.partition("=")[2] or argument


def _value(value: Any) -> str:
    if value is ABSENT:
        return ""
    return scalars.visible(", ".join(value) if isinstance(value, Order) else scalars.flow(value))


@lru_cache(64)
def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])")


def _without(model: str, value: Any) -> Any:
    return _renamed(model, MODEL, value)


def _renamed(name: str, placeholder: str, value: Any) -> Any:
    """Put a placeholder for a name into every text of nested tuples."""
    if isinstance(value, str):
        return _pattern(name).sub(placeholder, value) if name and name in value else value
    parts = [_renamed(name, placeholder, part) for part in value]
    return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)


# Deletions


def _deletions(environments: Sequence[EnvironmentChange]) -> Iterator[str]:
    """Say what disappears, the worst first."""
    staying = [environment for environment in environments if environment.verb != "delete"]
    for gone in environments:
        if gone.verb == "delete":
            models = [subject.model for subject in gone.subjects if subject.model]
            yield f"environment {gone.name} disappears{_with_models(models)}"
    yield from _models_gone(staying)
    for environment in staying:
        yield from _objects_gone(environment)


def _with_models(models: Sequence[str]) -> str:
    return f" with {models_told(models)}" if models else ""


def _models_gone(environments: Iterable[EnvironmentChange]) -> Iterator[str]:
    places: dict[str, list[SubjectChange]] = {}
    for environment in environments:
        for subject in environment.subjects:
            if subject.model and subject.verb == "delete":
                places.setdefault(subject.model, []).append(subject)
    alike: dict[tuple[tuple[str, bool], ...], list[str]] = {}
    for model, found in places.items():
        key = tuple((subject.environment, subject.cascade) for subject in found)
        alike.setdefault(key, []).append(model)
    for where, models in alike.items():
        leaves = "leaves" if len(models) == 1 else "leave"
        left = _and([name for name, _ in where])
        yield f"{models_told(models)} {leaves} {left}: {_fate(where)}"


def _fate(where: Sequence[tuple[str, bool]]) -> str:
    """Say what becomes of the objects of an Application that is gone."""
    kept = [environment for environment, cascade in where if not cascade]
    if not kept:
        return "Argo CD deletes the objects"
    where_kept = "" if len(kept) == len(where) else f" of {_and(kept)}"
    return f"the objects stay in the cluster{where_kept} until somebody deletes them"


def _objects_gone(environment: EnvironmentChange) -> Iterator[str]:
    alike: dict[str, list[tuple[str, str]]] = {}
    for subject in environment.subjects:
        gone = [c.identity for c in subject.objects if c.verb == "delete"]
        if gone and (subject.verb != "delete" or not subject.model):
            told = ", ".join(f"{identity.kind} {identity.name}" for identity in gone)
            key = _without(subject.model, told) if subject.model else told
            alike.setdefault(key, []).append((subject.model, told))
    for shared, found in alike.items():
        models = [model for model, _ in found if model]
        owner = f" of {models_told(models)}" if models else ""
        yield f"{environment.name}: {found[0][1] if len(found) == 1 else shared}{owner}"


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


MEMBERS_TOLD = 5
"""Names of models or objects that are told one by one."""


def models_told(models: Sequence[str], most: int = MEMBERS_TOLD) -> str:
    """Name models, or the first of many as in `298 models: a, b, c ...`."""
    if len(models) <= most:
        return ", ".join(models)
    return f"{len(models)} models: {', '.join(models[:most])} ..."
