"""What a change does, as folders: `before/` is laid over `common/`, and `after/` over that.

An empty file is one that is not there. `expected.txt`, `expected.md` and `expected.json` are what
`gen diff` says, word for word. A folder is a test: nothing has to be written here for one more.

GEN_UPDATE_CASES=1 rewrites the expectations; read the difference before it is committed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from helpers import Ran, gen, told, write_tree
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.diff import differences, impact
from generator.diff.comparison import FieldChange, Identity, ObjectChange
from generator.diff.impact import EnvironmentChange, SubjectChange, TreeChange
from generator.reports import diff_report, reporting
from generator.reports.diff_report import Against
from generator.subjects import Selection

CASES = Path(__file__).parent / "cases" / "diff"
COMMON = "common"
UPDATE = bool(os.environ.get("GEN_UPDATE_CASES")) and not os.environ.get("CI")
MAIN = Against("main", "0123456789abcdef")


def _cases() -> list[Path]:
    return sorted(path for path in CASES.iterdir() if path.is_dir() and path.name != COMMON)


def _laid(target: Path, *layers: Path) -> Path:
    for layer in layers:
        if layer.is_dir():
            shutil.copytree(layer, target, dirs_exist_ok=True)
    for path in target.rglob("*"):
        if path.is_file() and not path.stat().st_size:
            path.unlink()
    return target


def _trees(case: Path, folder: Path) -> tuple[Path, Path]:
    before = _laid(folder / "before", CASES / COMMON, case / "before")
    return before, _laid(folder / "after", before, case / "after")


def _reports(change: TreeChange, after: Path) -> dict[str, str]:
    text = diff_report.as_text(change, MAIN, reporting.plain) + "\n"
    text += told(change.problems, after) if change.problems else ""
    text += f"{diff_report.not_in_base(change, MAIN)}\n" if change.problems_before else ""
    return {
        "expected.txt": text,
        "expected.md": diff_report.as_markdown(change, MAIN),
        "expected.json": diff_report.as_json(change, MAIN) + "\n",
    }


@pytest.mark.parametrize("case", _cases(), ids=lambda case: case.name)
def test_case_is_told_in_these_words(case: Path, tmp_path: Path) -> None:
    before, after = _trees(case, tmp_path)
    found = _reports(differences.of(before, after), after)
    if UPDATE:
        for name, text in found.items():
            (case / name).write_text(text, "utf-8")
    assert {name: (case / name).read_text("utf-8") for name in found} == found


@pytest.mark.parametrize("case", _cases(), ids=lambda case: case.name)
def test_json_holds_every_field_that_differs(case: Path) -> None:
    document = json.loads((case / "expected.json").read_text("utf-8"))

    for environment in document["environments"]:
        for subject in environment["subjects"]:
            for item in subject["objects"]:
                assert item["change"] in ("create", "update", "delete")
                assert bool(item.get("fields")) is (item["change"] == "update")


# What holds for every change


def _fraud(block: str) -> str:
    text = (CASES / COMMON / "models" / "fraud.yaml").read_text("utf-8")
    return text.replace("{version: v3}", block)


def _change(folder: Path, before: str, after: str, **selected: Any) -> TreeChange:
    trees = []
    for name, block in (("before", before), ("after", after)):
        root = _laid(folder / name, CASES / COMMON)
        (root / "models" / "fraud.yaml").write_text(_fraud(block), "utf-8")
        trees.append(root)
    return differences.of(trees[0], trees[1], Selection(**selected))


stages = st.one_of(
    st.just("{version: v3}"),
    st.just("{version: v3, standby: v4}"),
    st.integers(0, 99).map(lambda n: f"{{version: v3, canary: {{version: v4, traffic: {n}}}}}"),
    st.just("{version: v4, standby: v3}"),
    st.just("{version: v4}"),
)


@settings(max_examples=25, deadline=None)
@given(stages, stages)
def test_a_version_that_stays_behind_a_route_never_restarts(before: str, after: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        change = _change(Path(folder), before, after)

    for subject in _subjects(change):
        pods = impact.pods(subject.before, subject.after, subject.objects)
        assert pods.restarts == ()
        assert subject.before is not None
        assert subject.after is not None
        live = [{f"fraud-{v.version}" for v in s.live} for s in (subject.before, subject.after)]
        assert set(pods.starts) == live[1] - live[0]
        assert set(pods.ends) == live[0] - live[1]


@settings(max_examples=15, deadline=None)
@given(stages, stages)
def test_backwards_every_value_is_reversed(before: str, after: str) -> None:
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        there = _subjects(_change(Path(one), before, after))
        back = _subjects(_change(Path(other), after, before))

    assert [(s.before, s.after) for s in there] == [(s.after, s.before) for s in back]
    assert sorted(_values(there)) == sorted((p, new, old) for p, old, new in _values(back))
    cost = [impact.cost(s.before, s.after) for s in (*there, *back)]
    assert sum(cost, impact.NOTHING) == impact.NOTHING


def _subjects(change: TreeChange) -> list[SubjectChange]:
    return [subject for environment in change.environments for subject in environment.subjects]


def _values(subjects: list[SubjectChange]) -> list[tuple[str, str, str]]:
    return [
        (repr((change.identity, field.path)), repr(field.before), repr(field.after))
        for subject in subjects
        for change in subject.objects
        for field in change.fields
    ]


@pytest.mark.parametrize("case", _cases(), ids=lambda case: case.name)
def test_a_tree_does_not_differ_from_itself(case: Path, tmp_path: Path) -> None:
    _, after = _trees(case, tmp_path)

    assert differences.of(after, after) == TreeChange(())


# Markdown


def _many(count: int, size: int) -> TreeChange:
    """Make a change of many models, each in its own way."""
    subjects = tuple(
        SubjectChange(
            environment="production",
            model=f"model-{number}",
            before=None,
            after=None,
            objects=tuple(
                ObjectChange(
                    Identity("g", kind, "n", f"model-{number}"),
                    {},
                    {},
                    (FieldChange(("spec", "x"), number, "y" * size + str(number)),),
                )
                for kind in ("InferenceService", "Application")
            ),
        )
        for number in range(count)
    )
    return TreeChange((EnvironmentChange("production", "update", subjects),))


@pytest.mark.parametrize(
    ("count", "size"),
    [
        (300, 10),
        pytest.param(3000, 10, marks=pytest.mark.slow),
        pytest.param(3000, 5000, marks=pytest.mark.slow),
        (1, 500_000),
    ],
)
def test_a_comment_is_never_too_long_and_says_what_it_left_out(count: int, size: int) -> None:
    text = diff_report.as_markdown(_many(count, size), MAIN)

    assert len(text) < diff_report.LIMIT
    is_short = count * 2 * 100 < diff_report.LIMIT
    assert ("Left out to stay below 65,000 characters" in text) is not is_short
    assert text.count("<details>") == text.count("</details>")
    assert text.count("```diff") * 2 == text.count("```")


def test_the_least_important_is_left_out_first() -> None:
    text = diff_report.as_markdown(_many(600, 10), MAIN)

    assert "**update InferenceService** model-599\n" in text
    assert "**update Application** model-599\n" not in text


@pytest.mark.parametrize("width", [20, 40, 80])
def test_a_text_fits_a_terminal(width: int, tmp_path: Path) -> None:
    change = _change(tmp_path, "{version: v3}", "{version: v4}")

    text = diff_report.as_text(change, MAIN, reporting.plain, width)

    words = max(map(len, text.split()))
    assert max(map(len, text.splitlines())) <= max(width, words + 12)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("a", "b", ("a", "b")),
        ("x" * 100 + "[2m]" + "y" * 100, "x" * 100 + "[5m]" + "y" * 100, None),
        ("x" * 200, "", ("x" * 120 + "... (200 characters)", "")),
        ("x" * 200, "x" * 300, None),
    ],
)
def test_long_values_are_cut_down_to_where_they_differ(
    before: str, after: str, expected: tuple[str, str] | None
) -> None:
    found = diff_report.excerpts(before, after)

    assert found == expected if expected else max(map(len, found)) < 180
    assert found[0] != found[1]


# The command


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository with a commit on main, and a branch that has left it."""
    root = _laid(tmp_path / "clone", CASES / COMMON)
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message=Fleet")
    git(root, "switch", "--quiet", "--create=work")
    return root


def git(root: Path, *arguments: str) -> str:
    who = {"NAME": "Ada", "EMAIL": "ada@example.com", "DATE": "2026-01-02T03:04:05Z"}
    environment = {
        **os.environ,
        **{f"GIT_{role}_{key}": who[key] for role in ("AUTHOR", "COMMITTER") for key in who},
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    return subprocess.run(
        ["git", *arguments], cwd=root, env=environment, check=True, capture_output=True, text=True
    ).stdout


def diff(root: Path, *arguments: str) -> Ran:
    return gen("diff", *arguments, root=root, GIT_CONFIG_GLOBAL=os.devnull)


def _edit(root: Path, path: str, old: str, new: str) -> None:
    text = (root / path).read_text("utf-8")
    assert old in text
    (root / path).write_text(text.replace(old, new), "utf-8")


def test_nothing_changed_is_nothing_told(clone: Path) -> None:
    ran = diff(clone)

    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("Nothing differs from main (")


def test_commits_of_the_branch_and_edits_count_and_commits_of_main_do_not(clone: Path) -> None:
    _edit(clone, "models/fraud.yaml", "max: 5", "max: 6")
    git(clone, "commit", "--quiet", "--all", "--message=More")
    git(clone, "switch", "--quiet", "main")
    _edit(clone, "models/portal.yaml", "max: 4", "max: 5")
    git(clone, "commit", "--quiet", "--all", "--message=On main")
    git(clone, "switch", "--quiet", "work")
    _edit(clone, "models/chat.yaml", "max: 4", "max: 5")

    found = json.loads(diff(clone, "--format", "json").out)

    (production,) = found["environments"]
    assert [subject["model"] for subject in production["subjects"]] == ["chat", "fraud"]
    assert found["base"]["name"] == "main"


def test_a_new_file_counts_although_git_does_not_know_it(clone: Path) -> None:
    text = (clone / "models" / "fraud.yaml").read_text("utf-8")
    write_tree(clone, {"models/scorer.yaml": text.replace("name: fraud", "name: scorer")})

    assert "scorer: new: v3" in diff(clone).out


def test_a_model_that_is_gone_can_be_named(clone: Path) -> None:
    (clone / "models" / "fraud.yaml").unlink()
    _edit(clone, "models/portal.yaml", "max: 4", "max: 5")

    ran = diff(clone, "fraud")

    assert "fraud leaves production: the objects stay" in ran.out
    assert "portal" not in ran.out


def test_one_environment_alone(clone: Path) -> None:
    for name in ("dev", "production"):
        _edit(clone, f"environments/{name}.yaml", "project: ml-", "project: our-")

    assert "production" not in diff(clone, "--env", "dev").out
    assert "\nproduction\n" in diff(clone).out


def test_a_repository_below_the_top_of_a_clone(tmp_path: Path) -> None:
    root = _laid(tmp_path / "clone" / "below", CASES / COMMON)
    git(tmp_path / "clone", "init", "--quiet", "--initial-branch=main")
    git(tmp_path / "clone", "add", ".")
    git(tmp_path / "clone", "commit", "--quiet", "--message=Fleet")
    _edit(root, "models/fraud.yaml", "max: 5", "max: 6")

    assert "fraud\n    replicas  2..5 -> 2..6\n" in diff(root).out


def test_what_is_wrong_now_is_told_and_the_rest_compared(clone: Path) -> None:
    _edit(clone, "models/fraud.yaml", "{version: v3}", "{version: v9}")
    _edit(clone, "models/portal.yaml", "max: 4", "max: 5")

    ran = diff(clone)

    assert ran.code == 1
    assert "spec.maxReplicas: 4 -> 5" in ran.out
    assert "models/fraud.yaml:10:25: error E301" in ran.err


def test_what_was_wrong_in_the_base_is_no_failure(clone: Path) -> None:
    _edit(clone, "models/fraud.yaml", "{version: v3}", "{version: v9}")
    git(clone, "commit", "--quiet", "--all", "--message=Wrong")
    _edit(clone, "models/fraud.yaml", "{version: v9}", "{version: v4}")

    ran = diff(clone, "--base", "work")

    assert ran.code == 0
    assert "what is named here is not compared" in ran.err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--base", "mian"), "there is no commit `mian` here"),
        (("fraut",), "there is no model `fraut`: did you mean `fraud`?"),
        (("--env", "prodution"), "there is no environment `prodution`"),
    ],
)
def test_misspelt_names_are_refused(arguments: tuple[str, ...], reason: str, clone: Path) -> None:
    ran = diff(clone, *arguments)

    assert ran.code == 2
    assert reason in ran.err


def test_the_working_tree_and_the_index_stay_as_they_are(clone: Path) -> None:
    _edit(clone, "models/fraud.yaml", "max: 5", "max: 6")
    before = git(clone, "status", "--porcelain"), git(clone, "rev-parse", "HEAD", "main")

    diff(clone, "--format", "markdown")

    assert before == (git(clone, "status", "--porcelain"), git(clone, "rev-parse", "HEAD", "main"))
