"""A file that a person wrote, and the way back from its data to the line."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from generator import yamlio
from generator.problems import Problem, Severity, Where
from generator.yamlio import Pointer

Json = dict[str, Any]
"""A piece of a Kubernetes object, ready to be placed by a template. Never changed once made."""


class Document(Struct, frozen=True, eq=False):
    """One YAML document as it was read.

    `kind` is `model` or `environment`, `path` is relative to the root with forward slashes, and
    `name` is what the file is called without `.yaml`.
    """

    kind: str
    path: str
    name: str
    text: str
    data: dict[str, Any]

    def where(self, *pointer: str | int, key: bool = False) -> Where:
        """Find the line and column of a value, or of its key; the text is parsed anew."""
        position = yamlio.position(self.text, pointer, key=key)
        return Where(self.path, position.line, position.column)

    def written(self, pointer: Pointer) -> str:
        """Return a scalar as it stands in the file, before it was read as a number or so."""
        return yamlio.position(self.text, pointer).written

    def problem(
        self,
        code: str,
        message: str,
        pointer: Pointer,
        *,
        hint: str = "",
        key: bool = False,
        severity: Severity = Severity.ERROR,
    ) -> Problem:
        """Make the problem of a value of this document."""
        return Problem(code, message, self.where(*pointer, key=key), hint, severity)

    def has(self, pointer: Pointer) -> bool:
        """Say whether the document has a value at a pointer."""
        return has(self.data, pointer)


def has(data: Any, pointer: Pointer) -> bool:
    """Say whether maps within maps have a value at a pointer."""
    node = data
    for step in pointer:
        if node.__class__ is not dict or step not in node:
            return False
        node = node[step]
    return True
