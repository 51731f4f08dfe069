"""Whole repositories, as folders: what they render, or the words in which they are refused.

`cases/valid/<name>/` holds models/ and environments/, `expected/` the complete output of both, and
`problems.txt` the warnings if there are any. `cases/invalid/<name>/` holds `problems.txt`, word for
word what a person reads. A folder is a test: nothing has to be written here for one more.

GEN_UPDATE_CASES=1 rewrites the expectations; read the difference before it is committed.
"""

from __future__ import annotations

import os
import shutil
from functools import cache
from pathlib import Path

import pytest
from helpers import OUTPUT, problems_of, read_tree, told, write_tree

from generator import pipeline, subjects
from generator.check import Judge
from generator.codes import CODES
from generator.rules.catalogue import RULES

CASES = Path(__file__).parent / "cases"
UPDATE = bool(os.environ.get("GEN_UPDATE_CASES"))
TODAY = "2026-06-01"
EXPECTED, PROBLEMS = "expected", "problems.txt"
BEYOND_FOLDERS = {
    "E701",  # the disk itself refuses
    "E801",  # a command asks for it
    "E802",
}


_judge = cache(Judge)


def _judge_of(kubernetes: str, own: Path) -> Judge:
    return Judge(kubernetes, own) if own.is_dir() else _judge(kubernetes)


@pytest.fixture(autouse=True)
def schemas_are_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling the schemas of objects takes longer than all else that a case does."""
    monkeypatch.setattr(subjects, "Judge", _judge_of)


def _cases(kind: str) -> list[Path]:
    return sorted(path for path in (CASES / kind).iterdir() if path.is_dir())


def _name(case: Path) -> str:
    return case.name


def _input(case: Path, root: Path) -> Path:
    """Copy what a person would have written."""
    ignored = shutil.ignore_patterns(EXPECTED, PROBLEMS)
    shutil.copytree(case, root, symlinks=True, ignore=ignored, dirs_exist_ok=True)
    return root


def _updated(case: Path, files: dict[str, bytes]) -> None:
    shutil.rmtree(case / EXPECTED, ignore_errors=True)
    (case / PROBLEMS).unlink(missing_ok=True)
    write_tree(case, dict(files))


def _expectation(case: Path) -> dict[str, bytes]:
    folders = tuple(f"{EXPECTED}/{folder}" for folder in OUTPUT)
    problems = case / PROBLEMS
    return read_tree(case, folders) | (
        {PROBLEMS: problems.read_bytes()} if problems.exists() else {}
    )


@pytest.mark.skipif(not os.environ.get("CI"), reason="for CI, where nobody reads a rewritten file")
def test_ci_updates_no_expectation() -> None:
    assert not UPDATE


def test_every_code_has_a_case() -> None:
    told = "".join(path.read_text("utf-8") for path in CASES.rglob(PROBLEMS))
    coded = {*CODES, *RULES} - BEYOND_FOLDERS
    assert {code for code in coded if f" {code}: " not in told} == set()


@pytest.mark.parametrize("case", _cases("valid"), ids=_name)
def test_valid_case_renders_what_is_expected(case: Path, tmp_path: Path) -> None:
    root = _input(case, tmp_path)
    outcome = pipeline.apply(root, today=TODAY)
    found = {f"{EXPECTED}/{path}": content for path, content in read_tree(root).items()}
    if outcome.warnings:
        found[PROBLEMS] = told(outcome.warnings, root).encode()
    if UPDATE and not os.environ.get("CI"):
        _updated(case, found)
    assert _expectation(case) == found


@pytest.mark.parametrize("case", _cases("invalid"), ids=_name)
def test_invalid_case_is_refused_in_these_words(case: Path, tmp_path: Path) -> None:
    root = _input(case, tmp_path)
    before = read_tree(root)
    problems = problems_of(lambda: pipeline.apply(root))
    found = told(problems, root)
    if UPDATE and not os.environ.get("CI"):
        _updated(case, {PROBLEMS: found.encode()})
    assert problems, "nothing was refused"
    assert (case / PROBLEMS).read_text("utf-8") == found
    assert read_tree(root) == before
