"""Stage 2: every document against the schema of its kind, every problem at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from generator import schema
from generator.documents import Document
from generator.problems import Problem
from generator.schema import Violation
from generator.schema import dotted as dotted
from generator.yamlio import Pointer

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
    misnamed = list(_misnamed(document))
    yield from misnamed
    if not validator.accepts(document.data):
        for violation in validator.violations(document.data):
            if not (misnamed and violation.pointer == ("name",)):
                yield _problem(document, violation)


def _misnamed(document: Document) -> Iterator[Problem]:
    """Compare the name with the file's. A name that neither may have is left to the schema."""
    name, names = document.data.get("name"), _described(document, ("name",))
    if not isinstance(name, str) or name == document.name:
        return
    if schema.fits(document.name, names):
        other = ", or rename the file" if schema.fits(name, names) else ""
        hint = f"write `name: {document.name}`{other}"
    elif schema.fits(name, names):
        hint = f"rename the file to {name}.yaml"
    else:
        return
    message = f"the name is {schema.shorten(name)} and the file is {document.name}.yaml"
    yield document.problem("E205", message, ("name",), hint=hint)


def _problem(document: Document, violation: Violation) -> Problem:
    code = _CODES.get(violation.keyword, _OTHER_VALUE)
    message, hint = _in_words(document, violation)
    return document.problem(code, message, violation.pointer, hint=hint, key=violation.at_key)


def _in_words(document: Document, violation: Violation) -> tuple[str, str]:
    pointer = violation.pointer
    path = dotted(pointer[:-1] if violation.at_key else pointer)
    prefix = f"`{path}`: " if path else ""
    if violation.wants_text:
        written = document.written(pointer)
        message = f"{prefix}this must be a text, and {written} without quotes is not"
        return message, schema.in_quotes(written, _described(document, pointer))
    return prefix + violation.message, violation.hint


def _described(document: Document, pointer: Pointer) -> dict[str, Any]:
    return schema.described(schema.document_schema(document.kind), pointer)
