"""Stage 2: every document against the schema of its kind, every problem at once."""

from __future__ import annotations

from collections.abc import Iterator

from generator import schema
from generator.documents import Document
from generator.problems import Problem
from generator.schema import Violation

_CODES = {
    "additionalProperties": "E201",
    "propertyNames": "E201",
    "required": "E202",
    "dependentRequired": "E202",
    "type": "E203",
}
_OTHER_VALUE = "E204"


def problems(document: Document) -> list[Problem]:
    """List every way in which a document breaks the schema of its kind."""
    return list(_problems(document))


def _problems(document: Document) -> Iterator[Problem]:
    validator = schema.document_validator(document.kind)
    if not validator.accepts(document.data):
        for violation in validator.violations(document.data):
            yield _problem(document, violation)
    name = document.data.get("name")
    if isinstance(name, str) and name != document.name:
        message = f"the name is `{name}` and the file is {document.name}.yaml"
        hint = f"write `name: {document.name}`, or rename the file"
        yield document.problem("E205", message, ("name",), hint=hint)


def _problem(document: Document, violation: Violation) -> Problem:
    code = _CODES.get(violation.keyword, _OTHER_VALUE)
    message, hint = _in_words(document, violation)
    return document.problem(code, message, violation.pointer, hint=hint, key=violation.at_key)


def _in_words(document: Document, violation: Violation) -> tuple[str, str]:
    path = dotted(violation.pointer)
    prefix = f"`{path}`: " if path and not violation.at_key else ""
    if violation.wants_text:
        written = document.written(violation.pointer)
        return (
            f"{prefix}this must be a text, and {written} without quotes is not",
            f'write "{written}"',
        )
    return prefix + violation.message, violation.hint


def dotted(pointer: tuple[str | int, ...]) -> str:
    """Write a pointer as people do: `versions.v3.args[0]`."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in pointer)
    return "".join(steps).removeprefix(".")
