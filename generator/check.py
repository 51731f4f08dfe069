"""Stage 6: every object against its schema, composed as Kustomize would.

Bases are checked as they stand, patches once they are applied. An unknown kind is a problem: what
nobody can check is not rendered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from generator.documents import Json
from generator.files import RenderedFile
from generator.objects import kustomize
from generator.objects.alike import Verdicts
from generator.objects.kustomize import Files, Identity
from generator.objects.object_schemas import ObjectSchemas
from generator.objects.traces import Traces
from generator.problems import GenError, Problem, Where, one
from generator.schema import Validator, Violation, dotted
from generator.yamlio import Pointer

Locate = Callable[[Pointer], Where]
"""Finds the line of a template that wrote a field of one object."""


class Judge:
    """The validators of one Kubernetes version, compiled when a kind is first seen."""

    def __init__(self, kubernetes: str, own: Path | None = None) -> None:
        self._schemas = ObjectSchemas(kubernetes, own)
        self._validators: dict[tuple[str, ...], Validator | None] = {}
        verdicts = Verdicts(self._validator)
        self.accepts_file = verdicts.accepts
        self.identities = verdicts.identities

    def accepts(self, item: Json) -> bool:
        """Say whether an object is right, which is all that there is to say of most."""
        validator = self._validator(item)
        return validator is not None and validator.accepts(item)

    def _validator(self, item: Json) -> Validator | None:
        try:
            return self._validators[item["apiVersion"], item["kind"]]
        except (KeyError, TypeError):
            return self._compiled(str(item.get("apiVersion")), str(item.get("kind")))

    def _compiled(self, *kind: str) -> Validator | None:
        if kind not in self._validators:
            try:
                bundle = self._schemas.bundle(*kind)
                self._validators[kind] = Validator(bundle) if bundle is not None else None
            except ValueError as error:
                raise one("E605", *self._no_schema(kind, str(error))) from None
        return self._validators[kind]

    def _no_schema(self, kind: tuple[str, ...], reason: str) -> tuple[str, Where, str]:
        """Say which file of the repository's own cannot judge a kind, and why."""
        path = f"schemas/{_schema_path(*kind)}"
        message = f"this is no schema: {reason.rpartition(f'{path}: ')[2].splitlines()[0]}"
        return message, Where(path), "mend it, or remove it to use what gen knows of the kind"

    def problems(self, item: Json, locate: Locate, path: str) -> list[Problem]:
        """List what is wrong with one object; `path` is the file or folder it comes from."""
        validator = self._validator(item)
        if validator is None:
            kind = str(item.get("apiVersion")), str(item.get("kind"))
            message = f"nobody knows the kind {kind[1]} of {kind[0]}"
            hint = f"a schema in schemas/{_schema_path(*kind)} would make it known"
            return [Problem("E602", message, locate(("kind",)), hint, about=f"in {path}")]
        return [_problem(item, found, locate, path) for found in validator.violations(item)]


def _schema_path(api_version: str, kind: str) -> str:
    return f"{api_version}/{kind.lower()}.json"


def _problem(item: Json, violation: Violation, locate: Locate, path: str) -> Problem:
    name = (item.get("metadata") or {}).get("name", "")
    place = dotted(violation.pointer)
    message = f"{place}: {violation.message}" if place else violation.message
    about = f"{item.get('kind')} {name} in {path}"
    where = locate(violation.pointer)
    hint = "put it in quotes" if violation.wants_text and not violation.hint else violation.hint
    return Problem("E603", message, where, hint, about=about)


class Objects:
    """The objects of a folder: what they are called, and, once somebody asks, what they are."""

    def __init__(self, identities: list[Identity], compose: Callable[[], list[Json]]) -> None:
        self.identities = identities
        self._compose = compose

    def __len__(self) -> int:
        return len(self.identities)

    def __iter__(self) -> Iterator[Json]:
        """Compose the objects, which nobody needs as long as all is well."""
        return iter(self._compose())


def folder(files: Files, path: str, judge: Judge, traces: Traces) -> tuple[Objects, list[Problem]]:
    """Compose a folder and check what comes out; no objects if it cannot be composed."""
    kustomizations = [file for file in files.values() if file.path.endswith("/kustomization.yaml")]
    problems = standalone(kustomizations, judge, traces)
    identities = judge.identities(files, path)
    if identities is not None:
        return Objects(identities, lambda: kustomize.composed(files, path)), problems
    try:
        composed = kustomize.composed(files, path)
    except GenError as error:
        told = {problem.where.file for problem in problems}
        problems += (problem for problem in error.problems if problem.where.file not in told)
        return Objects([], list), problems
    for item in composed:
        if not judge.accepts(item):
            locate = partial(_locate, traces, list(files.values()), item, path)
            problems += judge.problems(item, locate, path)
    return Objects([kustomize.identity(item) for item in composed], lambda: composed), problems


def _locate(
    traces: Traces, files: list[RenderedFile], item: Json, path: str, pointer: Pointer
) -> Where:
    return traces.where(files, item, pointer, path)


def standalone(files: Iterable[RenderedFile], judge: Judge, traces: Traces) -> list[Problem]:
    """Check files that hold whole objects: bases, kustomizations, what Argo CD reads as it is."""
    return [
        problem
        for file in files
        if not judge.accepts_file(file) and not judge.accepts(file.data)
        for problem in judge.problems(
            file.data, partial(_locate, traces, [file], file.data, file.path), file.path
        )
    ]
