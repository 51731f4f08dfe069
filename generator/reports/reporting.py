"""Records as text for people and machines. Nothing here prints: strings go back to `cli`."""

from __future__ import annotations

import difflib
import json
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from msgspec.structs import asdict

from generator import __version__, lineage
from generator.codes import CODES
from generator.files import LISTED, Change, Changes
from generator.problems import Problem, Severity, Where
from generator.queues import demand
from generator.records import Origin, Release
from generator.rules.catalogue import RULES
from generator.scalars import visible

Style = Callable[[str, str], str]
"""Colours a text by what it is: a severity, a verb of Change, `hint` or `faint`."""

Lines = Callable[[Where], str]
"""Gives the line of a place as it stands in its file; empty if there is none."""


def plain(text: str, _: str) -> str:
    """Leave a text without colour."""
    return text


def problems_text(problems: Sequence[Problem], lines: Lines, style: Style = plain) -> str:
    """Show each problem with its line, and close with the counts."""
    shown = [_problem_text(problem, lines(problem.where), style) for problem in problems]
    return "\n".join([*shown, counts(problems)])


def _problem_text(problem: Problem, line: str, style: Style) -> str:
    severity = str(problem.severity)
    where, message = visible(str(problem.where)), visible(problem.text)
    head = f"{where}: {style(f'{severity} {problem.code}', severity)}: {message}"
    parts = [head, *_excerpt(problem.where, line, style)]
    if problem.hint:
        parts.append(f"    {style('hint:', 'hint')} {visible(problem.hint)}")
    return "\n".join(parts)


_BEFORE, _SHOWN = 70, 110
"""Characters of a long line that are shown before the place, and altogether."""


def _excerpt(where: Where, line: str, style: Style) -> Iterator[str]:
    if not where.line or not line:
        return
    line = line.rstrip()
    before, after = (visible(part) for part in (line[: where.column - 1], line[where.column - 1 :]))
    if len(before) > _BEFORE:
        before = f"...{before[3 - _BEFORE :]}"
    if len(before) + len(after) > _SHOWN:
        after = f"{after[: _SHOWN - len(before) - 3]}..."
    yield style(f"{where.line:>5} | {before}{after}", "faint")
    yield style(f"{'':>5} | {' ' * _columns_of(before)}", "faint") + style("^", "error")


def _columns_of(text: str) -> int:
    """Count the columns of a terminal that a text takes: wide characters take two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def counts(problems: Iterable[Problem]) -> str:
    """Say how many errors and warnings there are."""
    found = Counter(problem.severity for problem in problems)
    parts = [_plural(found[severity], str(severity)) for severity in Severity if found[severity]]
    return ", ".join(parts) or "no problems"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def problems_json(problems: Iterable[Problem]) -> str:
    """List problems as JSON: code, severity, message, hint, file, line, column."""
    entries = [
        {
            "code": problem.code,
            "severity": str(problem.severity),
            "message": problem.text,
            "hint": problem.hint,
            **asdict(problem.where),
        }
        for problem in problems
    ]
    return json.dumps(entries, indent=2, ensure_ascii=False)


def problems_github(problems: Iterable[Problem]) -> str:
    """Write problems as workflow commands, which GitHub shows on the line of the pull request."""
    return "\n".join(map(_github, problems)) or "::debug::no problems"


def _github(problem: Problem) -> str:
    where = problem.where
    place = {"file": where.file, "line": max(where.line, 1), "col": max(where.column, 1)}
    fields = {**place, "title": problem.code}
    written = ",".join(f"{key}={_escaped(str(value), ',:')}" for key, value in fields.items())
    message = f"{problem.text}\n{problem.hint}".rstrip("\n")
    return f"::{problem.severity} {written}::{_escaped(message)}"


def _escaped(text: str, more: str = "") -> str:
    for character in "%\r\n" + more:
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def problems_sarif(problems: Iterable[Problem]) -> str:
    """Write problems as SARIF 2.1.0, which code scanning tools read."""
    found = list(problems)
    rules = [_sarif_rule(code) for code in sorted({problem.code for problem in found})]
    driver = {"name": "gen", "version": __version__, "rules": rules}
    run = {"tool": {"driver": driver}, "results": [_sarif(problem) for problem in found]}
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    document = {"$schema": schema, "version": "2.1.0", "runs": [run]}
    return json.dumps(document, indent=2, ensure_ascii=False)


def _sarif_rule(code: str) -> dict[str, Any]:
    rule = RULES.get(code)
    summary, remedy = (rule.summary, rule.remedy) if rule else (CODES[code], CODES[code])
    return {"id": code, "shortDescription": {"text": summary}, "help": {"text": remedy}}


def _sarif(problem: Problem) -> dict[str, Any]:
    where = problem.where
    location = {"uri": quote(where.file), "uriBaseId": "%SRCROOT%"}
    physical: dict[str, Any] = {"artifactLocation": location}
    if where.line:
        physical["region"] = {"startLine": where.line, "startColumn": where.column}
    text = f"{problem.text}\n{problem.hint}".rstrip("\n")
    return {
        "ruleId": problem.code,
        "level": str(problem.severity),
        "message": {"text": text},
        "locations": [{"physicalLocation": physical}],
    }


_GITLAB = {Severity.ERROR: "major", Severity.WARNING: "minor"}


def problems_gitlab(problems: Iterable[Problem]) -> str:
    """Write problems as a code quality report, which GitLab shows on the line of the merge request.

    The line is no part of a fingerprint, so that a problem that only moves is none that is new.
    """
    seen: Counter[str] = Counter()
    return json.dumps([_gitlab(problem, seen) for problem in problems], indent=2)


def _gitlab(problem: Problem, seen: Counter[str]) -> dict[str, Any]:
    identity = "\t".join((problem.code, problem.where.file, problem.text))
    seen[identity] += 1
    return {
        "check_name": problem.code,
        "description": ": ".join(filter(None, (problem.text, problem.hint))),
        "severity": _GITLAB[problem.severity],
        "fingerprint": sha256(f"{identity}\t{seen[identity]}".encode()).hexdigest(),
        "location": {"path": problem.where.file, "lines": {"begin": max(problem.where.line, 1)}},
    }


FORMATS: dict[str, Callable[[Sequence[Problem]], str]] = {
    "json": problems_json,
    "github": problems_github,
    "gitlab": problems_gitlab,
    "sarif": problems_sarif,
}
"""The formats for machines; `text` needs the lines of the files."""


def changes_text(changes: Changes, style: Style = plain) -> str:
    """List changes by verb, folded by folder where they are many, and close with the counts."""
    listed = _each(changes, style) if changes.total <= LISTED else _folded(changes, style)
    return "\n".join([*listed, changes_counts(changes)])


def _each(changes: Changes, style: Style) -> list[str]:
    return [f"{style(f'{change.kind:<8}', change.kind)} {change.path}" for change in changes.listed]


def _folded(changes: Changes, style: Style) -> list[str]:
    return [
        f"{style(f'{kind:<8}', kind)} {folder} ({_plural(count, 'file')})"
        for (kind, folder), count in sorted(changes.folders.items())
    ]


def changes_counts(changes: Changes) -> str:
    """Say how many files are created, updated, deleted and identical."""
    verbs = {"create": "created", "update": "updated", "delete": "deleted"}
    found = changes.counts
    parts = [f"{found[kind]} {verb}" for kind, verb in verbs.items() if found[kind]]
    return ", ".join([*parts, f"{found['identical']} identical"])


def diff_text(changes: Iterable[Change], style: Style = plain) -> str:
    """Show changes as a unified diff, as Git does."""
    return "".join(_coloured(line, style) for change in changes for line in _diff(change))


def _diff(change: Change) -> Iterator[str]:
    before = "/dev/null" if change.kind == "create" else f"a/{change.path}"
    after = "/dev/null" if change.kind == "delete" else f"b/{change.path}"
    old, new = change.before.splitlines(keepends=True), change.after.splitlines(keepends=True)
    for line in difflib.unified_diff(old, new, before, after):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _coloured(line: str, style: Style) -> str:
    kind = {"+": "create", "-": "delete", "@": "faint"}.get(line[:1], "")
    return style(line, kind) if kind else line


def origins_table(origins: Iterable[Origin]) -> list[tuple[str, str, str]]:
    """Lay out a release as rows: setting, where from, value."""
    return [
        (origin.setting, str(origin.where or origin.reason), _value(origin.value))
        for origin in origins
    ]


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


LastChanges = Mapping[tuple[str, str], tuple[str, str, str]]
"""Commit, date and author of the last change, by model and environment."""


def status_rows(releases: Iterable[Release], changes: LastChanges) -> list[dict[str, Any]]:
    """Lay out what is live where, one row per model and environment."""
    return [_status(release, changes) for release in releases]


def _status(release: Release, changes: LastChanges) -> dict[str, Any]:
    commit, date, author = changes.get((release.model, release.environment.name), ("", "", ""))
    canary, shadow = release.canary, release.shadow
    standby = next((v for v in release.variants if v.role == "standby"), None)
    scaling = release.stable.scaling
    return {
        "model": release.model,
        "environment": release.environment.name,
        "version": release.stable.artifact.version,
        "traffic": release.stable.traffic,
        "canary": canary.artifact.version if canary else None,
        "canaryTraffic": canary.traffic if canary else 0,
        "standby": standby.artifact.version if standby else None,
        "shadow": shadow.artifact.version if shadow else None,
        "replicas": {"min": scaling.minimum, "max": scaling.maximum},
        "gpus": _gpus(release),
        "owner": release.owner,
        "lastChange": {"commit": commit, "date": date, "author": author} if commit else None,
        "source": dict(release.stable.artifact.source) or None,
    }


def _gpus(release: Release) -> int:
    """Count the accelerators of a replica, which may be several Pods."""
    placement = release.placement
    return placement.count * demand.pods_of_a_replica(release) if placement else 0


STATUS_COLUMNS = (
    "model",
    "environment",
    "version",
    "canary",
    "standby",
    "replicas",
    "gpus",
    "owner",
    "changed",
)
SOURCE = "from"
"""The column of where the version came from, which is there if that is known of any."""
STATUS_LESS = ("owner", "gpus", SOURCE, "changed", "standby")
"""Columns that a narrow terminal can do without, in this order."""


def status_table(
    rows: Sequence[dict[str, Any]],
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Turn status rows into the columns and the cells of a table for people."""
    if not any(row["source"] for row in rows):
        return STATUS_COLUMNS, [_cells(row) for row in rows]
    return (*STATUS_COLUMNS, SOURCE), [(*_cells(row), _origin(row["source"])) for row in rows]


def _origin(source: dict[str, Any] | None) -> str:
    """Name the first thing that is known: the registered model before its run and its commit."""
    label, text = next(iter(lineage.parts(source or {})), ("", "-"))
    return visible(f"{label} {text}".strip())


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    replicas = f"{row['replicas']['min']}..{row['replicas']['max']}"
    share = f" {row['traffic']} %" if row["canary"] else ""
    canary = f"{row['canary']} {row['canaryTraffic']} %" if row["canary"] else "-"
    cells = (row["model"], row["environment"], row["version"] + share, canary)
    last = row["lastChange"]
    changed = f"{last['date'][:10]} {last['commit'][:8]}" if last else "-"
    gpus = str(row["gpus"] or "-")
    return (*cells, _idle(row), replicas, gpus, row["owner"], changed)


def _idle(row: dict[str, Any]) -> str:
    """Name the versions that answer nobody; a shadow by its role, so that it is no standby."""
    shadow = f"{row['shadow']} as shadow" if row["shadow"] else ""
    return ", ".join(filter(None, (row["standby"], shadow))) or "-"


def narrowed(
    header: Sequence[str], rows: Sequence[Sequence[str]], width: int, less: Sequence[str]
) -> tuple[list[str], list[list[str]]]:
    """Leave out columns until a table fits: those that say nothing, then those in `less`."""
    table = [list(header), *map(list, rows)]
    silent = [name for name, *cells in zip(*table, strict=True) if set(cells) <= {"-"}]
    for name in (*silent, *less):
        if max(map(len, _padded(table))) <= width:
            break
        if name in table[0]:
            place = table[0].index(name)
            table = [[*row[:place], *row[place + 1 :]] for row in table]
    return table[0], table[1:]


def columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Align a table with spaces, for pipes and files; the last column is not padded."""
    return "\n".join(_padded([header, *rows]))


def _padded(table: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in table
    )
    return [line.rstrip() for line in lines]
