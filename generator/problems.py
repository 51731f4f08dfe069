"""What can be wrong, where, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace


class Severity(StrEnum):
    """`error` refuses the run; `warning` is reported and lets it pass."""

    ERROR = "error"
    WARNING = "warning"


class Where(Struct, frozen=True, order=True):
    """A place in a file of the repository.

    `file` is relative to the root, with forward slashes; `line` and `column` count from 1, and
    0 means that the whole file is meant.
    """

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        if not self.line:
            return self.file
        return f"{self.file}:{self.line}:{self.column}"


class Problem(Struct, frozen=True):
    """One finding: what (`message`), where, and what to write instead (`hint`).

    `about` says what it was found in where `where` is the cause, such as a template that many
    files are rendered from: problems that differ in nothing else are one.
    """

    code: str
    message: str
    where: Where
    hint: str = ""
    severity: Severity = Severity.ERROR
    about: str = ""

    @property
    def text(self) -> str:
        """The message with what it is about."""
        return f"{self.message} ({self.about})" if self.about else self.message

    def sort_key(self) -> tuple[Where, str, str, str]:
        """File order, so that a report reads like the files do."""
        return self.where, self.code, self.message, self.about


def merged(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Sort problems, and make one of those that have one cause."""
    causes: dict[Problem, list[Problem]] = {}
    for problem in dict.fromkeys(sorted(problems, key=Problem.sort_key)):
        causes.setdefault(replace(problem, about=""), []).append(problem)
    return tuple(_together(found) for found in causes.values())


def _together(found: list[Problem]) -> Problem:
    first, more = found[0], len(found) - 1
    return replace(first, about=f"{first.about}, and {more} more") if more else first


class GenError(Exception):
    """Every problem of a stage, raised once; `cli` alone prints it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(dict.fromkeys(sorted(problems, key=Problem.sort_key)))
        super().__init__(f"{len(self.problems)} problems")


def one(code: str, message: str, where: Where, hint: str = "", *, about: str = "") -> GenError:
    """Make the error of a single problem, ready to raise."""
    return GenError((Problem(code, message, where, hint, about=about),))


def unreadable(path: Path, name: str, error: OSError) -> Problem:
    """Tell that a file cannot be read, and of a link where it leads."""
    hint = f"it is a link to {path.readlink()}" if path.is_symlink() else ""
    return Problem("E101", f"this file cannot be read: {error.strerror}", Where(name), hint)


def errors(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Keep what refuses the run."""
    return tuple(problem for problem in problems if problem.severity is Severity.ERROR)
