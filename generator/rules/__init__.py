"""What a schema passes and a cluster ignores, refuses or leaves pending.

A rule is a small function over a Release with a stable code. Its record says what, why and since
when; the report adds the line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from generator.problems import Problem, Severity
from generator.records import Release

Check = Callable[[Release], Iterator[Problem]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its code, what it says in one sentence, and the evidence (`owner/repo@path`)."""

    code: str
    severity: Severity
    summary: str
    evidence: str
    check: Check


def findings(rules: Iterable[Rule], release: Release) -> Iterator[Problem]:
    """Run rules over a release; each finding gets its rule's code and severity."""
    for rule in rules:
        for found in rule.check(release):
            yield Problem(rule.code, found.message, found.where, found.hint, rule.severity)
