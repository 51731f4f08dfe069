"""What a change does, as text for a terminal, Markdown for a pull request, and JSON."""

from __future__ import annotations

import dataclasses
import json
import re
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from msgspec.structs import asdict

from generator.diff import impact, summary
from generator.diff.comparison import ABSENT, FieldChange, ObjectChange, Order, Verb, dotted
from generator.diff.impact import Pool, Span, State, SubjectChange, TreeChange
from generator.diff.summary import Cells, Entry, Line, Row, Section, Summary, models_told
from generator.documents import Json
from generator.problems import Problem

Style = Callable[[str, str], str]
"""Colours a text by what it is."""

LIMIT = 65_000
"""Characters of a comment: GitHub takes 65,536, and whoever writes one may add a line."""


class Against(NamedTuple):
    """What a tree was compared with: the name that a person knows, and the commit."""

    name: str
    commit: str

    def __str__(self) -> str:
        return f"{self.name} ({self.commit[:8]})" if self.commit else self.name


def headline(found: Summary, against: Against) -> str:
    """Say in one line how large a change is."""
    if found.is_blind:
        return f"Nothing can be compared with {against}."
    if not found.sections:
        what = "Nothing that runs" if found.withdrawn else "Nothing"
        return f"{what} differs from {against}."
    models = _counted(found.models, "model")
    places = _counted(len(found.sections), "environment")
    pods = "no Pods restart"
    if found.restarting:
        verb = "restarts" if found.restarting == 1 else "restart"
        pods = f"{_counted(found.restarting, 'model')} {verb} Pods"
    return f"Compared with {against}: {models} in {places}, {pods}."


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def not_in_base(change: TreeChange, against: Against) -> str:
    """Say what of the base could not be made out, so that nothing can be said about it."""
    what = "nothing can be compared" if change.is_blind else "what is named here is not compared"
    problems = (f"  {problem.where}: {problem.text}" for problem in change.problems_before)
    return "\n".join([f"{against} has problems, and {what}:", *problems])


# Text


_TOPICS = {
    "traffic": "traffic",
    "replicas": "replicas",
    "gpus": "GPUs",
    "cost": "a month",
    "pods": "restarts",
}
"""The cells of a row behind the version, as a terminal calls them."""

_INDENT = 2


def as_text(change: TreeChange, against: Against, style: Style, width: int = 0) -> str:
    """Write a change for a terminal of a width, or without one for a pipe."""
    found = summary.of(change)
    page = _Page(style, width)
    page.add(headline(found, against), style="")
    for sentence in found.withdrawn:
        page.add(sentence, style="warning")
    if found.deletions:
        page.add("")
        page.add("DELETED", style="error")
        for deletion in found.deletions:
            page.add(deletion, 1, style="delete")
    for section in found.sections:
        page.section(section)
    return "\n".join(page.lines)


class _Page:
    """Collects lines, wrapped where there is a width."""

    def __init__(self, style: Style, width: int) -> None:
        self.lines: list[str] = []
        self._style = style
        self._width = width

    def add(self, text: str, level: int = 0, *, style: str = "", hang: int = 2) -> None:
        indent = " " * (_INDENT * level)
        wrapped = [f"{indent}{text}"]
        if self._width:
            wrapped = textwrap.wrap(
                text,
                max(self._width, 2 * hang + len(indent)),
                initial_indent=indent,
                subsequent_indent=f"{indent}{' ' * hang}",
                break_on_hyphens=False,
            )
        self.lines += [self._style(each, style) if style else each for each in wrapped or [""]]

    def section(self, section: Section) -> None:
        self.add("")
        verb = {"create": " (new)", "delete": " (disappears)"}.get(section.verb, "")
        self.add(f"{section.name}{verb}", style="heading")
        for row in section.rows:
            self._row(row)
        if len(section.rows) > 1:
            self._totals(section)
        for entry in section.entries:
            self._entry(entry)

    def _row(self, row: Row) -> None:
        models = models_told(row.models)
        said = f"{models}: {row.cells.version}" if row.cells.version else models
        self.add(said, 1, style=row.verb if row.verb != "update" else "")
        for topic, text in _topics(row.cells):
            kind = "warning" if topic == "restarts" and text.startswith("yes") else ""
            self.add(f"{topic:<9} {text}", 2, style=kind, hang=10)
        for warning in row.cells.warnings:
            self.add(f"{'warning':<9} {warning}", 2, style="warning", hang=10)

    def _totals(self, section: Section) -> None:
        if section.gpus or section.cost:
            told = ", ".join(_totals(section))
            self.add(f"together: {told}", 1, style="faint")

    def _entry(self, entry: Entry) -> None:
        self.add(_titled(entry), 1, style=entry.verb)
        for line in entry.lines:
            kind = "" if line.verb == "update" else line.verb
            self.add(_line_told(line), 2, style=kind)


def _topics(cells: Cells) -> Iterator[tuple[str, str]]:
    said = cells._asdict()
    for field, topic in _TOPICS.items():
        if said[field]:
            yield topic, said[field]


def _totals(section: Section) -> Iterator[str]:
    if section.gpus:
        yield impact.gpus_told(section.gpus)
    if section.cost:
        yield f"{impact.signed(section.cost)} a month"


def _titled(entry: Entry) -> str:
    return f"{entry.verb} {entry.kind} {_members_told(entry)}"


def _members_told(entry: Entry) -> str:
    names = [member.name for member in entry.members]
    if len(names) <= summary.MEMBERS_TOLD:
        return ", ".join(names)
    models = entry.models
    if not models:
        return f"({len(names)}) {', '.join(names[: summary.MEMBERS_TOLD])} ..."
    objects = f" ({len(names):,} objects)" if len(names) != len(models) else ""
    return f"of {models_told(models)}{objects}"


_SIGNS: dict[Verb, str] = {"create": "+", "update": " ", "delete": "-"}


def _line_told(line: Line) -> str:
    before, after = excerpts(line.before, line.after)
    if line.verb == "update":
        return f"{line.path}: {before} -> {after}"
    return f"{_SIGNS[line.verb]} {line.path}: {before or after}"


_LONG, _AROUND = 60, 16
"""Characters of a value that are shown whole, and around the place where two long ones differ."""


def excerpts(before: str, after: str) -> tuple[str, str]:
    """Cut two long values down to where they differ; a long one alone to its beginning."""
    if not (before and after):
        return _beginning(before), _beginning(after)
    if len(before) <= _LONG and len(after) <= _LONG:
        return before, after
    start = _common(before, after)
    end = min(_common(before[::-1], after[::-1]), len(before) - start, len(after) - start)
    return _window(before, start, end), _window(after, start, end)


def _beginning(text: str) -> str:
    most = 2 * _LONG
    return text if len(text) <= most else f"{text[:most]}... ({len(text):,} characters)"


def _common(left: str, right: str) -> int:
    pairs = enumerate(zip(left, right, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(left), len(right)))


def _window(text: str, start: int, end: int) -> str:
    first, last = max(start - _AROUND, 0), min(len(text) - end + _AROUND, len(text))
    inner = _beginning(text[first:last])
    return f"{'...' if first else ''}{inner}{'...' if last < len(text) else ''}"


# Markdown


class _Piece(NamedTuple):
    """A part of a report that may be folded: where it stands, how soon it matters, what it is."""

    place: int
    gravity: int
    text: str
    kind: str


class _Block(NamedTuple):
    """Pieces between an opening and a closing; without any piece, it is left out."""

    opening: str
    closing: str
    pieces: Sequence[_Piece]


_FOLDED_RESERVE = 400
_LINES_OF_AN_ENTRY = 60


def as_markdown(change: TreeChange, against: Against, limit: int = LIMIT) -> str:
    """Write a change as a comment of a pull request, with the least important left out if long."""
    found = summary.of(change)
    head = f"**{_escaped(headline(found, against))}**\n"
    head += "".join(f"\n{_escaped(sentence)}\n" for sentence in found.withdrawn)
    blocks = [*_deleted(found), *(block for s in found.sections for block in _blocks(s))]
    kept = _fitting(blocks, limit - _size(head) - _FOLDED_RESERVE)
    parts = [head]
    for block in blocks:
        texts = [piece.text for piece in block.pieces if id(piece) in kept]
        if texts:
            parts.append("".join((block.opening, *texts, block.closing)))
    folded = Counter(p.kind for block in blocks for p in block.pieces if id(p) not in kept)
    return "\n".join([*parts, *_folded(folded, limit)])


def _size(text: str) -> int:
    """Count characters as GitHub does, where some take two."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _fitting(blocks: Iterable[_Block], room: int) -> set[int]:
    """Choose the pieces that fit, those first that matter soonest; after one that does not, none.

    A block's own frame counts with its first piece.
    """
    kept: set[int] = set()
    ranked = [(p.gravity, index, p, b) for b in blocks for index, p in enumerate(b.pieces)]
    opened: set[int] = set()
    for _, _, piece, block in sorted(ranked, key=lambda each: each[:2]):
        frame = 0 if id(block.pieces) in opened else _size(block.opening + block.closing) + 1
        room -= _size(piece.text) + frame
        if room < 0:
            break
        opened.add(id(block.pieces))
        kept.add(id(piece))
    return kept


def _folded(folded: Counter[str], limit: int) -> Iterator[str]:
    if not folded:
        return
    kinds = [f"{count:,} {kind}" for kind, count in folded.most_common(6)]
    more = len(folded) - len(kinds)
    rest = f" and {more} more kinds" if more > 0 else ""
    yield (
        f"_Left out to stay below {limit:,} characters: {', '.join(kinds)}{rest}. "
        "`gen diff --format json` has everything._\n"
    )


def _deleted(found: Summary) -> Iterator[_Block]:
    pieces = [
        _Piece(index, 0, f"> - {_escaped(deletion)}\n", "deletions")
        for index, deletion in enumerate(found.deletions)
    ]
    yield _Block("> [!CAUTION]\n> **Deleted**\n>\n", "", pieces)


_COLUMNS = {
    "version": "version",
    "traffic": "traffic",
    "replicas": "replicas",
    "gpus": "GPUs",
    "cost": "cost a month",
    "pods": "Pods restart",
}


def _blocks(section: Section) -> Iterator[_Block]:
    verb = {"create": " (new)", "delete": " (disappears)"}.get(section.verb, "")
    title = f"### {_escaped(section.name)}{verb}\n\n"
    yield _table(section, title)
    yield _attention(section)
    yield _details(section, title="" if section.rows else title)


def _table(section: Section, title: str) -> _Block:
    shown = [key for key in _COLUMNS if any(getattr(row.cells, key) for row in section.rows)]
    header = _row_of(["model", *(_COLUMNS[key] for key in shown)])
    rule = _row_of(["---"] * (len(shown) + 1))
    pieces = [
        _Piece(
            index,
            1 + row.gravity,
            _row_of([_models_cell(row), *(_escaped(getattr(row.cells, key)) for key in shown)]),
            "rows",
        )
        for index, row in enumerate(section.rows)
    ]
    return _Block(f"{title}{header}{rule}", _totals_line(section), pieces)


def _totals_line(section: Section) -> str:
    if len(section.rows) < 2 or not (section.gpus or section.cost):
        return ""
    return f"\nTogether: {_escaped(', '.join(_totals(section)))}.\n"


def _row_of(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _models_cell(row: Row) -> str:
    name = f"**{_escaped(models_told(row.models))}**"
    return (
        f"{name} ({'new' if row.verb == 'create' else 'removed'})" if row.verb != "update" else name
    )


def _attention(section: Section) -> _Block:
    pieces = [
        _Piece(index, 0, f"> - {_escaped(f'{models_told(row.models)}: {warning}')}\n", "warnings")
        for index, row in enumerate(section.rows)
        for warning in row.cells.warnings
    ]
    return _Block("> [!WARNING]\n", "", pieces)


def _details(section: Section, title: str) -> _Block:
    counts = Counter(entry.verb for entry in section.entries for _ in entry.members)
    verbs: dict[Verb, str] = {"delete": "deleted", "update": "updated", "create": "created"}
    told = ", ".join(f"{counts[verb]:,} {word}" for verb, word in verbs.items() if counts[verb])
    opening = f"{title}<details><summary>{_escaped(section.name)}: objects: {told}</summary>\n\n"
    pieces = [
        _Piece(index, 5 + entry.gravity, _entry_markdown(entry), entry.kind)
        for index, entry in enumerate(section.entries)
    ]
    return _Block(opening, "</details>\n", pieces)


def _entry_markdown(entry: Entry) -> str:
    title = f"**{entry.verb} {_escaped(entry.kind)}** {_escaped(_members_told(entry))}\n\n"
    lines = [_diff_line(line) for line in entry.lines[:_LINES_OF_AN_ENTRY]]
    more = len(entry.lines) - len(lines)
    if more > 0:
        lines.append(f"# and {_counted(more, 'more field')}")
    if not lines:
        return title
    body = "\n".join(lines)
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", body)), default=0))
    return f"{title}{fence}diff\n{body}\n{fence}\n\n"


def _diff_line(line: Line) -> str:
    sign = "! " if line.verb == "update" else ""
    return f"{sign}{_line_told(line)}"


_SPECIAL = re.compile(r"[\\`*_\[\]|~$]")
_HTML = {"&": "&amp;", "<": "&lt;", "@": "@<!-- -->"}


def _escaped(text: str) -> str:
    """Write a text so that Markdown and HTML show it as it is, in a table too; nobody is called."""
    inert = "".join(_HTML.get(character, character) for character in " ".join(text.split()))
    return _SPECIAL.sub(r"\\\g<0>", inert)


# JSON


def as_json(change: TreeChange, against: Against) -> str:
    """Write everything that differs, with complete values, in an order that never changes."""
    document = {
        "base": {"name": against.name, "commit": against.commit or None},
        "comparable": not change.is_blind,
        "withdrawn": list(change.withdrawn),
        "environments": [
            {
                "environment": environment.name,
                "change": environment.verb,
                "subjects": [_subject_json(subject) for subject in environment.subjects],
            }
            for environment in change.environments
        ],
        "problems": [_problem_json(problem) for problem in change.problems],
        "problemsInBase": [_problem_json(problem) for problem in change.problems_before],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _subject_json(subject: SubjectChange) -> Json:
    told: Json = {"model": subject.model or None, "change": subject.verb}
    if subject.model:
        cells = summary.cells(subject)
        pods = impact.pods(subject.before, subject.after, subject.objects)
        told |= {
            "sentences": {key: getattr(cells, key) for key in _COLUMNS},
            "warnings": list(cells.warnings),
            "before": _state_json(subject.before),
            "after": _state_json(subject.after),
            "gpus": _gpus_json(impact.gpus(subject.before, subject.after)),
            "costPerMonth": asdict(impact.cost(subject.before, subject.after)),
            "pods": {
                "start": list(pods.starts),
                "end": list(pods.ends),
                "restart": [
                    {"workload": restart.workload, "fields": list(map(dotted, restart.fields))}
                    for restart in pods.restarts
                ],
            },
        }
    return told | {"objects": [_object_json(change) for change in subject.objects]}


def _state_json(state: State | None) -> Json | None:
    if state is None:
        return None
    canary, standby, shadow = map(state.role, ("canary", "standby", "shadow"))
    return {
        "strategy": state.strategy,
        "version": state.stable.version,
        "traffic": state.stable.traffic,
        "canary": canary.version if canary else None,
        "canaryTraffic": canary.traffic if canary else 0,
        "standby": standby.version if standby else None,
        "shadow": shadow.version if shadow else None,
        "replicas": {"min": state.replicas.minimum, "max": state.replicas.maximum},
        "gpus": {"min": state.gpus.minimum, "max": state.gpus.maximum},
        "costPerMonth": {"min": state.cost.minimum, "max": state.cost.maximum},
    }


def _gpus_json(changes: dict[Pool, Span]) -> list[Json]:
    return [{**dataclasses.asdict(pool), **asdict(change)} for pool, change in changes.items()]


def _object_json(change: ObjectChange) -> Json:
    group, kind, namespace, name = change.identity
    told: Json = {
        "group": group,
        "kind": kind,
        "namespace": namespace or None,
        "name": name,
        "change": change.verb,
    }
    if change.verb == "update":
        return told | {"fields": [_field_json(field) for field in change.fields]}
    return told | (
        {"after": change.after} if change.verb == "create" else {"before": change.before}
    )


def _field_json(field: FieldChange) -> Json:
    told: Json = {"path": dotted(field.path), "change": field.verb}
    if isinstance(field.before, Order):
        told["change"] = "order"
    sides: tuple[tuple[str, Any], ...] = (("before", field.before), ("after", field.after))
    return told | {key: value for key, value in sides if value is not ABSENT}


def _problem_json(problem: Problem) -> Json:
    return {"code": problem.code, "message": problem.text, **asdict(problem.where)}
