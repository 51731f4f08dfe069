"""Exceptions from rules: what a model's `silence` block says, and until when it holds."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Collection, Iterable, Iterator, Mapping

from msgspec import Struct

from generator.codes import CODES
from generator.documents import Document
from generator.problems import Problem, Severity
from generator.schema import suggestion


class Silenced(Struct, frozen=True):
    """The problems of a model once its silences are applied.

    `silenced` counts what is not told. `until` is the first day on which the answer may be another
    one, empty if it never is.
    """

    problems: list[Problem]
    silenced: int = 0
    until: str = ""


NEEDLESS = "E306"
"""The code of a silence that hides nothing."""


def problems(
    document: Document, known: Collection[str], silent: Collection[str]
) -> Iterator[Problem]:
    """Find silences of no rule, of a rule that has no exceptions, and until no day.

    `known` are the codes of all rules, `silent` of those that may be silenced.
    """
    for code, silence in document.data.get("silence", {}).items():
        pointer = ("silence", code)
        if code in CODES:
            message = f"{code} is no rule: what is wrong with a document has no exceptions"
            yield document.problem("E303", message, pointer, hint="remove it", key=True)
        elif code not in known:
            message, hint = f"there is no rule `{code}`", suggestion(code, known)
            yield document.problem("E301", message, pointer, hint=hint, key=True)
        elif code not in silent:
            message = f"{code} knows no exception: without it there is nothing to render"
            yield document.problem("E303", message, pointer, hint="remove it", key=True)
        until = silence.get("until")
        if until is not None and not _is_day(until):
            message = f"{until} is no day of the calendar"
            hint = "write year, month and day, such as 2027-01-31"
            yield document.problem("E204", message, (*pointer, "until"), hint=hint)


def _is_day(text: str) -> bool:
    year, month, day = (int(part) for part in text.split("-"))
    return year > 0 and 1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1]


def applied(
    document: Document, found: Iterable[Problem], today: str, unasked: Collection[str] = ()
) -> Silenced:
    """Take out what the model silences; tell of silences that have ended or are not needed.

    `today` is an ISO date. The day of `until` is the last one that is silent. Rules in `unasked`
    were not asked, so that nobody knows whether their silence is needed.
    """
    declared: Mapping[str, dict[str, str]] = document.data.get("silence", {})
    if not declared:
        return Silenced(list(found))
    kept, silenced, needed = [], 0, set()
    for problem in found:
        silence = declared.get(problem.code)
        if silence is None:
            kept.append(problem)
            continue
        needed.add(problem.code)
        if is_over(silence.get("until", ""), today):
            kept.append(_ended(problem, silence["until"]))
        else:
            silenced += 1
    kept += _needless(document, declared.keys() - needed - set(unasked))
    ends = [silence["until"] for silence in declared.values() if "until" in silence]
    running = [end for end in ends if not is_over(end, today)]
    return Silenced(kept, silenced, min(running, default=""))


def is_over(until: str, today: str) -> bool:
    """Say whether a silence has ended; one without an end never has."""
    return bool(until) and until < today


def _ended(problem: Problem, until: str) -> Problem:
    message = f"{problem.message} (silenced until {until})"
    return Problem(problem.code, message, problem.where, problem.hint, problem.severity)


def _needless(document: Document, codes: Collection[str]) -> Iterator[Problem]:
    for code in sorted(codes):
        message = f"nothing of {code} is found here, so its silence hides only what comes next"
        pointer = ("silence", code)
        yield document.problem(
            NEEDLESS, message, pointer, hint="remove it", key=True, severity=Severity.WARNING
        )
