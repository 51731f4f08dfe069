"""Rules and problem codes as text and data, for people who ask what a code means."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from generator.codes import CODES
from generator.rules import Book, Rule
from generator.rules.catalogue import BOOKS, RULES

COLUMNS = ("code", "severity", "family", "what it says")


def known() -> list[str]:
    """List every code that a problem can have."""
    return [*RULES, *CODES]


def rows() -> list[tuple[str, ...]]:
    """Lay out the rules as the cells of a table."""
    return [
        (rule.code, str(rule.severity), book.family, rule.summary)
        for book, rule in _with_family(BOOKS)
    ]


def as_json() -> str:
    """List the rules as JSON: everything that their records say."""
    entries = [_entry(book, rule) for book, rule in _with_family(BOOKS)]
    return json.dumps(entries, indent=2, ensure_ascii=False)


def _with_family(books: Iterable[Book]) -> Iterator[tuple[Book, Rule]]:
    return ((book, rule) for book in books for rule in sorted(book.rules, key=lambda r: r.code))


def _entry(book: Book, rule: Rule) -> dict[str, Any]:
    return {
        "code": rule.code,
        "severity": str(rule.severity),
        "family": book.family,
        "summary": rule.summary,
        "remedy": rule.remedy,
        "evidence": rule.evidence,
        "versions": rule.versions,
        "maySilence": rule.may_be_silenced,
    }


def explained(code: str) -> str:
    """Explain one code in a few lines. Raises KeyError for a code that there is not."""
    if code in CODES:
        return f"{code}\n{CODES[code]}"
    rule = RULES[code]
    lines = [
        f"{rule.code}, {rule.severity}: {rule.summary}",
        f"remedy: {rule.remedy}",
        f"evidence: {rule.evidence}",
    ]
    if rule.versions:
        lines.append(f"holds for: {holds_for(rule)}")
    if rule.may_be_silenced:
        silence = f"{{{rule.code}: {{reason: <why>, until: <year-month-day>}}}}"
        lines.append(f"an exception for one model, in its spec: silence: {silence}")
    return "\n".join(lines)


def holds_for(rule: Rule) -> str:
    """Say in words which versions of which systems a rule holds for; empty for all of them."""
    return ", ".join(f"{system} {span}" for system, span in rule.versions.items())
