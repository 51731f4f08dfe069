"""Rules: a folder each with what a rule refuses and its closest neighbour that passes.

`cases/rules/<CODE>-<words>/fails/` and `passes/` hold what differs from the repository in
`cases/rules/_base/`: a file replaces the one of the same path there, an empty one removes it.
`fails/problems.txt` is every problem, word for word; all of them are of that one code. What passes
passes without a word. A folder `before/`, laid over `_base/` too, makes the case one of a change:
it is what was there, and what fails or passes is laid over it.

GEN_UPDATE_CASES=1 rewrites problems.txt; read the difference before it is committed.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
from functools import cache
from pathlib import Path

import pytest
from helpers import problems_of, sampled, told

from generator import pipeline, render, subjects
from generator.check import Judge
from generator.problems import Problem
from generator.records import Release
from generator.rules import SYSTEMS, traits
from generator.rules.catalogue import BOOKS, RULES

CASES = Path(__file__).parent / "cases" / "rules"
UPDATE = bool(os.environ.get("GEN_UPDATE_CASES"))
TODAY = "2026-06-01"
_SOURCE = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+|#\d+)")
_judge = cache(Judge)


def _judge_of(kubernetes: str, own: Path) -> Judge:
    return Judge(kubernetes, own) if own.is_dir() else _judge(kubernetes)


@pytest.fixture(autouse=True)
def schemas_are_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling the schemas of objects takes longer than all else that a case does."""
    monkeypatch.setattr(subjects, "Judge", _judge_of)


def _cases(kind: str) -> list[Path]:
    return sorted(path.parent for path in CASES.glob(f"[A-Z]*/{kind}"))


def _name(case: Path) -> str:
    return case.name


def laid_over(root: Path, *folders: Path) -> Path:
    """Copy folders over each other; an empty file removes what was there."""
    for folder in folders:
        ignored = shutil.ignore_patterns("problems.txt")
        shutil.copytree(folder, root, symlinks=True, ignore=ignored, dirs_exist_ok=True)
    for path in root.rglob("*.yaml"):
        if not path.stat().st_size:
            path.unlink()
    return root


def found_in(root: Path, base: Path | None = None) -> tuple[Problem, ...]:
    """Check a repository, or what leads to it: its errors, or warnings where there are none."""
    warnings: list[Problem] = []
    errors = problems_of(
        lambda: warnings.extend(pipeline.everything(root, today=TODAY, base=base).warnings)
    )
    return errors or tuple(warnings)


def found_by(case: Path, kind: str, folder: Path) -> tuple[tuple[Problem, ...], Path]:
    """Check what a case fails or passes with, as a change of `before/` where there is one."""
    before = case / "before"
    below = (CASES / "_base", before) if before.is_dir() else (CASES / "_base",)
    base = laid_over(folder / "base", *below) if before.is_dir() else None
    root = laid_over(folder / "now", *below, case / kind)
    return found_in(root, base), root


@pytest.mark.parametrize("case", _cases("fails"), ids=_name)
def test_rule_refuses_in_these_words(case: Path, tmp_path: Path) -> None:
    problems, root = found_by(case, "fails", tmp_path)
    expected = case / "fails" / "problems.txt"
    shown = told(problems, root)
    if UPDATE and not os.environ.get("CI"):
        expected.write_text(shown, "utf-8")
    assert {problem.code for problem in problems} == {case.name[:4]}, shown
    assert expected.read_text("utf-8") == shown


@pytest.mark.parametrize("case", _cases("passes"), ids=_name)
def test_neighbour_passes_without_a_word(case: Path, tmp_path: Path) -> None:
    problems, root = found_by(case, "passes", tmp_path)
    assert told(problems, root) == "no problems\n"


def test_base_of_the_cases_is_right(tmp_path: Path) -> None:
    root = laid_over(tmp_path, CASES / "_base")
    assert told(found_in(root), root) == "no problems\n"


@pytest.mark.parametrize("case", sampled(_cases("fails"), 8), ids=_name)
def test_a_check_has_nothing_to_say_of_a_release_without_its_traits(
    case: Path, tmp_path: Path
) -> None:
    root = laid_over(tmp_path, CASES / "_base", case / "fails")
    releases: list[Release] = []
    problems_of(lambda: releases.extend(pipeline.releases(root)))
    for release, rule in itertools.product(releases, RULES.values()):
        others = (check for check, needed in rule.releases if not needed <= traits(release))
        assert [found for check in others for found in check(release)] == [], rule.code


def _repositories() -> list[Path]:
    valid = CASES.parent / "valid"
    return sorted(path for path in valid.iterdir() if not (path / "templates").is_dir())


@pytest.mark.parametrize("case", sampled(_repositories(), 4), ids=_name)
def test_built_in_templates_write_nothing_that_rules_find_in_objects(
    case: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told_as_ever = found_in(case)
    monkeypatch.setattr(render.Engine, "has_own", True)
    assert found_in(case) == told_as_ever


def test_every_rule_fails_and_passes_somewhere() -> None:
    fails, passes = ({case.name[:4] for case in _cases(kind)} for kind in ("fails", "passes"))
    assert sorted(RULES.keys() - fails) == []
    assert sorted(RULES.keys() - passes) == []


def test_a_code_is_given_once() -> None:
    codes = [rule.code for book in BOOKS for rule in book.rules]
    assert len(codes) == len(set(codes)) == len(RULES)


@pytest.mark.parametrize("code", RULES)
def test_a_rule_says_what_why_and_what_to_do(code: str) -> None:
    rule = RULES[code]
    assert re.fullmatch(r"[A-Z][0-9]{3}", code)
    assert all(_SOURCE.fullmatch(source) for source in rule.evidence.split(", "))
    for sentence in (rule.summary, rule.remedy):
        assert re.fullmatch(r"[A-Z`].*\.", sentence), sentence
    assert all(system in SYSTEMS for system in rule.versions)
