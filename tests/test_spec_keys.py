"""Every key of every document, mistaken in every way: one problem, on the line of the mistake.

The slow tests mistake every key wherever it stands, with values of every wrong type. The others
mistake each key of the schemas once, in the first document that has it.
"""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import spec_edits
from helpers import gen, problems_of, read_tree
from spec_edits import Edit, Entry

from generator import load, schema, settings, validate
from generator.aspects import registry
from generator.problems import Problem
from generator.yamlio import Pointer

ROOT = Path(__file__).resolve().parents[1]
CASES = ROOT / "tests" / "cases" / "valid"
EVERYTHING = CASES / "everything"
BROAD = sorted(CASES.glob("everything*"))
"""The cases that use every key between them."""

DOCUMENTS = sorted(
    path
    for root in (ROOT, *BROAD)
    for folder in load.FOLDERS.values()
    for path in (root / folder).glob("*.yaml")
)
KINDS = {folder: kind for kind, folder in load.FOLDERS.items()}

MISTAKES = (
    spec_edits.misspelt,
    spec_edits.wrongly_typed,
    spec_edits.doubled,
    spec_edits.removed,
)

Mistake = Callable[[Entry], Iterator[Edit]]
Edits = Callable[[Path], list[Edit]]


def _name(path: Path) -> str:
    return f"{path.parents[1].name}-{path.parent.name}-{path.stem}"


def _entries(path: Path) -> list[Entry]:
    return spec_edits.entries(KINDS[path.parent.name], path.read_text())


def _placeless(kind: str, entry: Entry) -> tuple[str, ...]:
    """Write a pointer with `[]` for an index, and a star for a name that the author chose."""
    rules, steps = schema.document_schema(kind), entry.pointer
    holders = (schema.described(rules, steps[:length]) for length in range(len(steps)))
    return tuple(
        "[]" if isinstance(step, int) else step if step in holder.get("properties", {}) else "*"
        for step, holder in zip(steps, holders, strict=True)
    )


@cache
def _keys(path: Path) -> dict[Pointer, tuple[str, ...]]:
    """Write the place of each key of a document without what its author chose."""
    kind = KINDS[path.parent.name]
    return {entry.pointer: _placeless(kind, entry) for entry in _entries(path)}


@cache
def _new_entries() -> dict[Path, list[Entry]]:
    """Find the keys of each document that no document before it has."""
    seen: set[tuple[str, ...]] = set()
    found: dict[Path, list[Entry]] = {}
    for path in DOCUMENTS:
        for entry in _entries(path):
            key = (path.parent.name, *_keys(path)[entry.pointer])
            if key not in seen:
                seen.add(key)
                found.setdefault(path, []).append(entry)
    return found


def _of_one_wrong_type(entry: Entry) -> Iterator[Edit]:
    edits = list(spec_edits.wrongly_typed(entry))
    yield edits[entry.start % len(edits)]


def _edits(mistake: Mistake, path: Path) -> list[Edit]:
    return [edit for entry in _entries(path) for edit in mistake(entry)]


def _new_edits(mistake: Mistake, path: Path) -> list[Edit]:
    return [edit for entry in _new_entries()[path] for edit in mistake(entry)]


def mistaken(mistake: Mistake, once: Mistake | None = None) -> pytest.MarkDecorator:
    """Give a test the mistakes of each document: those of its new keys, and of all if it is slow.

    `once` is made of the new keys instead of `mistake`.
    """
    new, every = partial(_new_edits, once or mistake), partial(_edits, mistake)
    slow = pytest.mark.slow
    return pytest.mark.parametrize(
        ("path", "edits_of"),
        [
            *(pytest.param(path, new, id=_name(path)) for path in _new_entries() if new(path)),
            *(pytest.param(path, every, id=f"all-{_name(path)}", marks=slow) for path in DOCUMENTS),
        ],
    )


def _problems(path: Path, text: str, root: Path) -> list[Problem]:
    """Load and validate one document that is not in any repository."""
    kind, copy = KINDS[path.parent.name], root / path.parent.name / path.name
    copy.parent.mkdir(exist_ok=True)
    copy.write_bytes(text.encode())
    found: list[Problem] = []

    def read() -> None:
        found.extend(validate.problems(load.document(root, kind, copy)))

    return [*problems_of(read), *found]


def _surprises(path: Path, edits: list[Edit], root: Path) -> list[str]:
    """Describe the edits that are not told by exactly one problem, on their line."""
    found = {edit: _problems(path, edit.text, root) for edit in edits}
    return [
        f"{edit.what}: line {edit.line} expected, {[str(p.where) + p.message for p in problems]}"
        for edit, problems in found.items()
        if [problem.where.line for problem in problems] != [edit.line]
    ]


@pytest.mark.parametrize("path", DOCUMENTS, ids=_name)
def test_documents_are_right_before_they_are_mistaken(path: Path, tmp_path: Path) -> None:
    assert _problems(path, path.read_text(), tmp_path) == []


@mistaken(spec_edits.misspelt)
def test_misspelt_key_is_one_problem_that_names_the_right_one(
    path: Path, edits_of: Edits, tmp_path: Path
) -> None:
    for edit in edits_of(path):
        meant = edit.what.rpartition(".")[2].rpartition(" ")[2]
        problems = _problems(path, edit.text, tmp_path)
        told = [(problem.where.line, problem.code, problem.hint) for problem in problems]
        assert told == [(edit.line, "E201", f"did you mean `{meant}`?")], edit.what


@mistaken(spec_edits.wrongly_typed, once=_of_one_wrong_type)
def test_value_of_a_wrong_type_is_one_problem_on_its_line(
    path: Path, edits_of: Edits, tmp_path: Path
) -> None:
    edits = edits_of(path)
    assert edits
    assert _surprises(path, edits, tmp_path) == []


@mistaken(spec_edits.doubled)
def test_doubled_key_is_one_problem_on_the_second_line(
    path: Path, edits_of: Edits, tmp_path: Path
) -> None:
    edits = edits_of(path)
    assert edits
    assert _surprises(path, edits, tmp_path) == []


@mistaken(spec_edits.removed)
def test_missing_key_is_one_problem_where_it_belongs(
    path: Path, edits_of: Edits, tmp_path: Path
) -> None:
    edits = edits_of(path)
    assert edits
    assert _surprises(path, edits, tmp_path) == []


@pytest.mark.parametrize(
    ("times", "enough"), [(8, 2), pytest.param(60, 30, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("path", DOCUMENTS, ids=_name)
def test_damage_is_never_a_bug_of_gen(path: Path, times: int, enough: int, tmp_path: Path) -> None:
    chance, refused = random.Random(path.name), 0
    for _ in range(times):
        text = spec_edits.damaged(path.read_text(), chance)
        problems = _problems(path, text, tmp_path)
        refused += bool(problems)
        after_the_last = len(re.split("\r\n|[\r\n\x85\u2028\u2029]", text)) + 1
        assert all(1 <= problem.where.line <= after_the_last for problem in problems), text
    assert refused > enough


@pytest.mark.parametrize("document", ["models/churn.yaml", "environments/prod.yaml"])
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
def test_the_command_refuses_a_mistake_and_leaves_the_output_alone(
    mistake: Mistake, document: str, tmp_path: Path
) -> None:
    root = tmp_path / "repository"
    shutil.copytree(EVERYTHING, root)
    assert gen("render", root=root).code == 0
    before = read_tree(root)
    edit = _edits(mistake, EVERYTHING / document)[-1]
    (root / document).write_text(edit.text)
    ran = gen("render", root=root)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"{document}:{edit.line}:")
    assert ran.err.endswith("\n1 error\n")
    assert read_tree(root) == before


@pytest.mark.parametrize("kind", schema.DOCUMENT_KINDS)
def test_the_documents_of_the_cases_everything_use_every_key(kind: str) -> None:
    folder = load.FOLDERS[kind]
    used = {
        key
        for case in BROAD
        for path in (case / folder).glob("*.yaml")
        for key in _keys(path).values()
    }
    assert set(_all_keys(schema.document_schema(kind))) - used == set()


def test_every_block_of_an_aspect_is_merged() -> None:
    blocks = {aspect.name for aspect in registry.ASPECTS}
    assert blocks & schema.document_schema("model")["properties"].keys() <= {*settings.LAYERED}
    assert {*settings.ASPECTS} <= blocks


def _all_keys(rules: dict[str, Any], at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    node = schema.described(rules, tuple(0 if step == "[]" else step for step in at))
    for key in node.get("properties", {}):
        yield (*at, key)
        yield from _all_keys(rules, (*at, key))
    if isinstance(node.get("additionalProperties"), dict):
        yield from _all_keys(rules, (*at, "*"))
    if "items" in node:
        yield from _all_keys(rules, (*at, "[]"))
