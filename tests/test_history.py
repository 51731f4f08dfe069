"""What was live when, from Git alone: revisions become periods, through renames and merges."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from helpers import ENVIRONMENT, MODEL, Ran, gen
from hypothesis import given
from hypothesis import strategies as st

from generator.reports import history_report
from generator.revisions import timeline
from generator.revisions.git import Git
from generator.revisions.history import last_changes, revisions
from generator.revisions.timeline import Broken, Period, Revision, Share, periods

# Revisions


def document(**blocks: Any) -> dict[str, Any]:
    return {"name": "m", "environments": blocks}


def canary(traffic: int) -> dict[str, Any]:
    return {"version": "v1", "canary": {"version": "v2", "traffic": traffic}}


def found(*contents: timeline.Content, environments: tuple[str, ...] = ()) -> list[Period]:
    """Turn contents, the oldest first, into periods."""
    commits = [
        Revision(f"c{number}", f"d{number}", "Ada", "", content)
        for number, content in enumerate(contents)
    ]
    return periods(commits[::-1], environments)


def told(found: list[Period]) -> list[tuple[str, str, str, str]]:
    return [(p.environment, p.since, p.until, history_report.told(p.live)) for p in found]


def test_a_period_lasts_until_something_else_is_live() -> None:
    steps = ({"version": "v1"}, canary(10), canary(50), {"version": "v2", "standby": "v1"})

    assert told(found(*(document(prod=step) for step in steps))) == [
        ("prod", "d3", "", "v2 100 %, standby v1"),
        ("prod", "d2", "d3", "v1 50 %, canary v2 50 %"),
        ("prod", "d1", "d2", "v1 90 %, canary v2 10 %"),
        ("prod", "d0", "d1", "v1"),
    ]


def test_a_shadow_is_told_however_it_is_written() -> None:
    bare, block = ({"version": "v1", "shadow": shadow} for shadow in ("v2", {"version": "v2"}))

    assert told(found(document(prod=bare), document(prod=block))) == [
        ("prod", "d0", "", "v1 100 %, shadow v2")
    ]


def test_what_else_changes_ends_no_period() -> None:
    one, other = ({"version": "v1", "scaling": {"min": n}} for n in (1, 2))

    assert told(found(document(prod=one), document(prod=other))) == [("prod", "d0", "", "v1")]


def test_environments_come_and_go() -> None:
    live = {"version": "v1"}

    assert told(found(document(prod=live), document(), None, document(prod=live))) == [
        ("prod", "d3", "", "v1"),
        ("prod", "d1", "d3", "nothing"),
        ("prod", "d0", "d1", "v1"),
    ]


def test_one_environment_alone() -> None:
    both = document(dev={"version": "v1"}, prod={"version": "v2"})

    assert told(found(both, environments=("prod",))) == [("prod", "d0", "", "v2")]


def test_a_broken_document_says_so() -> None:
    live = document(prod={"version": "v1"})

    assert told(found(live, Broken("line 3: a tab"), live)) == [
        ("prod", "d2", "", "v1"),
        ("prod", "d1", "d2", "unreadable: line 3: a tab"),
        ("prod", "d0", "d1", "v1"),
    ]


@pytest.mark.parametrize(
    ("block", "live"),
    [
        ({"version": "v1"}, (Share("v1", "stable", 100),)),
        ({"version": 1}, (Share("1", "stable", 100),)),
        (canary(25), (Share("v1", "stable", 75), Share("v2", "canary", 25))),
        (
            {"version": "v1", "canary": {"version": "v2"}},
            (Share("v1", "stable", 100), Share("v2", "canary", 0)),
        ),
        ({"version": "v1", "canary": 10}, (Share("v1", "stable", 100),)),
        (None, Broken("it names no version")),
        ({"canary": {}}, Broken("it names no version")),
        ("v1", Broken("it names no version")),
    ],
)
def test_blocks_of_former_times_are_read_as_far_as_they_go(block: Any, live: Any) -> None:
    assert timeline.shares(block) == live


@pytest.mark.parametrize(
    ("message", "request_"),
    [
        ("Merge pull request #12 from a/b\n\nTitle", "#12"),
        ("Raise the canary (#13)", "#13"),
        ("Raise the canary (#13)\n\n* one (#14)\n", "#13"),
        ('Revert "Raise the canary (#13)" (#15)', "#15"),
        ('Revert "Raise the canary (#13)"', ""),
        ("Merge branch 'x' into 'main'\n\nTitle\n\nSee merge request group/sub/project!16", "!16"),
        ("Merge branch 'x'\n\nSee merge request !17\n", "!17"),
        ("Merged PR 18: Title", "#18"),
        ("Merged in x (pull request #19)", "#19"),
        ("Raise the canary, see #20", ""),
        ("", ""),
    ],
)
def test_the_request_is_read_off_the_message(message: str, request_: str) -> None:
    assert timeline.request(message) == request_


blocks = st.none() | st.sampled_from(
    [{"version": "v1"}, {"version": "v2"}, canary(10), canary(50), {"version": "v2"}]
)
contents = st.lists(
    st.none() | st.just(Broken("why")) | st.dictionaries(st.sampled_from("ab"), blocks), max_size=8
)


@given(contents)
def test_periods_follow_each_other_without_gaps(steps: list[Any]) -> None:
    documents = [document(**step) if isinstance(step, dict) else step for step in steps]
    all_ = found(*documents)

    for name in "ab":
        own = [period for period in all_ if period.environment == name]
        assert all(later.since == earlier.until for later, earlier in pairwise(own))
        assert all(later.live != earlier.live for later, earlier in pairwise(own))
        assert [period.until for period in own[:1]] in ([], [""])


# Repositories


@dataclass
class Clone:
    """A Git repository under construction, with a clock of its own."""

    root: Path
    now: int = 1_767_225_600
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str, given: str | None = None) -> str:
        date = f"{self.now} +0000"
        who = {"NAME": "Ada", "EMAIL": "ada@example.com", "DATE": date}
        environment = {
            **os.environ,
            **{f"GIT_{role}_{key}": who[key] for role in ("AUTHOR", "COMMITTER") for key in who},
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        return subprocess.run(
            ["git", *arguments],
            cwd=self.root,
            env=environment,
            input=given,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def commit(self, message: str, **files: str | None) -> str:
        """Commit models by name; None removes one."""
        for name, text in files.items():
            path = self.root / "models" / f"{name}.yaml"
            path.parent.mkdir(exist_ok=True)
            if text is None:
                path.unlink()
            else:
                path.write_text(text, "utf-8")
        self.now += 86_400
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", f"--message={message}")
        return self.git("rev-parse", "HEAD").strip()

    def periods(self, model: str = "churn") -> list[tuple[str, str, str]]:
        """Give what was live, since which day, and by which request."""
        known = revisions(Git(self.root, os.environ), model)
        return [
            (history_report.told(p.live), p.since[:10], p.request) for p in periods(known, ("dev",))
        ]


def churn(block: str) -> str:
    return MODEL.replace("dev: {version: v1}", f"dev: {block}")


V1, V2 = churn("{version: v1}"), churn("{version: v2}")
CANARY = churn("{version: v1, canary: {version: v2, traffic: 10}}")


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path / "clone")


def test_commits_on_the_branch(clone: Clone) -> None:
    clone.commit("Start", churn=V1)
    clone.commit("Raise (#7)", churn=CANARY)
    clone.commit("Something else", other=V1)
    clone.commit("Promote", churn=V2)

    assert clone.periods() == [
        ("v2", "2026-01-05", ""),
        ("v1 90 %, canary v2 10 %", "2026-01-03", "#7"),
        ("v1", "2026-01-02", ""),
    ]


def test_a_merge_counts_from_its_own_day(clone: Clone) -> None:
    clone.commit("Start", churn=V1)
    clone.git("switch", "--quiet", "--create=work")
    clone.commit("Try", churn=CANARY)
    clone.commit("Promote", churn=V2)
    clone.git("switch", "--quiet", "main")
    clone.commit("Something else", other=V1)
    clone.now += 86_400
    clone.git("merge", "--quiet", "--no-ff", "-m", "Merge pull request #9 from a/work", "work")

    assert clone.periods() == [("v2", "2026-01-06", "#9"), ("v1", "2026-01-02", "")]


def test_a_revert_is_told(clone: Clone) -> None:
    clone.commit("Start", churn=V1)
    wrong = clone.commit("Promote", churn=V2)
    clone.now += 86_400
    clone.git("revert", "--no-edit", wrong)

    assert [live for live, _, _ in clone.periods()] == ["v1", "v2", "v1"]
    (last, *_) = periods(revisions(Git(clone.root, os.environ), "churn"))
    assert last.reverts == wrong


def test_a_rename_is_followed(clone: Clone) -> None:
    clone.commit("Start", leavers=V1.replace("churn", "leavers"))
    clone.commit("Promote", leavers=V2.replace("churn", "leavers"))
    clone.commit("Rename", leavers=None, churn=V2)
    clone.commit("Back", churn=V1)

    assert clone.periods() == [
        ("v1", "2026-01-05", ""),
        ("v2", "2026-01-03", ""),
        ("v1", "2026-01-02", ""),
    ]


def test_a_rename_within_a_merge_is_followed(clone: Clone) -> None:
    clone.commit("Start", leavers=V1)
    clone.git("switch", "--quiet", "--create=work")
    clone.commit("Rename", leavers=None, churn=V1)
    clone.git("switch", "--quiet", "main")
    clone.commit("Something else", other=V2)
    clone.git("merge", "--quiet", "--no-ff", "-m", "Merge", "work")

    assert [live for live, _, _ in clone.periods()] == ["v1"]


def test_revisions_that_are_absent_or_broken_say_so(clone: Clone) -> None:
    clone.commit("Start", churn=V1)
    clone.commit("Break", churn="name: churn\n<<<<<<< HEAD\n")
    clone.commit("Mend", churn=V1)
    clone.commit("Remove", churn=None)
    clone.commit("Again", churn=V2)

    assert [live for live, _, _ in clone.periods()] == [
        "v2",
        "nothing",
        "v1",
        "unreadable: line 2: two versions of this file were merged and nobody chose",
        "v1",
    ]


def test_a_repository_below_the_top_of_a_clone(clone: Clone) -> None:
    (clone.root / "below").mkdir()
    clone.root /= "below"
    clone.commit("Start", churn=V1)
    clone.commit("Promote", churn=V2)

    assert [live for live, _, _ in clone.periods()] == ["v2", "v1"]


def imported(commits: int) -> Iterator[str]:
    """Write commits for `git fast-import`, each with another document."""
    for number in range(commits):
        text = churn(f"{{version: v1, canary: {{version: v2, traffic: {number % 100}}}}}")
        text = f"# {number}\n{text}"
        message = f"Step {number} (#{number})"
        yield (
            f"commit refs/heads/main\ncommitter Ada <ada@example.com> {1_700_000_000 + number} "
            f"+0000\ndata {len(message)}\n{message}\nM 100644 inline models/churn.yaml\n"
            f"data {len(text)}\n{text}\n"
        )


@pytest.mark.slow
def test_ten_thousand_commits_are_read_in_seconds(clone: Clone) -> None:
    clone.git("fast-import", "--quiet", given="".join(imported(10_000)))
    start = perf_counter()

    known = revisions(Git(clone.root, os.environ), "churn")
    found = periods(known)

    assert len(found) == 10_000
    assert found[0].request == "#9999"
    assert perf_counter() - start < 20, "a laptop takes two seconds"


# The last change of each


def changes(clone: Clone, **documents: Any) -> dict[tuple[str, str], str]:
    known = last_changes(Git(clone.root, os.environ), documents)
    return {place: change.commit for place, change in known.items()}


def test_the_last_change_is_of_the_block_and_not_of_the_file(clone: Clone) -> None:
    two = V1 + "  prod: {version: v1}\n"
    clone.commit("Start", churn=two)
    dev = clone.commit("Dev", churn=two.replace("dev: {version: v1}", "dev: {version: v2}"))
    clone.commit("Text", churn=(clone.root / "models/churn.yaml").read_text() + "# more\n")
    now = {"environments": {"dev": {"version": "v2"}, "prod": {"version": "v1"}}}

    found = changes(clone, churn=now)

    assert found["churn", "dev"] == dev
    assert found["churn", "prod"] == clone.git("rev-list", "--max-parents=0", "HEAD").strip()


def test_what_is_not_committed_has_no_last_change(clone: Clone) -> None:
    clone.commit("Start", churn=V1)
    (clone.root / "models/churn.yaml").write_text(V2)
    (clone.root / "models/new.yaml").write_text(V2)
    now = {"environments": {"dev": {"version": "v2"}}}

    assert changes(clone, churn=now, new=now) == {}


@pytest.mark.parametrize("later", [0, 1, 2, 3, 9])
def test_the_last_change_is_found_however_far_back(later: int, clone: Clone) -> None:
    first = clone.commit("Start", churn=V1 + "  prod: {version: v1}\n")
    for number in range(later):
        text = churn(f"{{version: v{2 + number % 2}}}") + "  prod: {version: v1}\n"
        clone.commit("Dev", churn=text)

    now = {"environments": {"prod": {"version": "v1"}}}

    assert changes(clone, churn=now) == {("churn", "prod"): first}


# The commands


@pytest.fixture
def fleet(clone: Clone) -> Clone:
    (clone.root / "environments").mkdir()
    (clone.root / "environments/dev.yaml").write_text(ENVIRONMENT, "utf-8")
    clone.commit("Start", churn=V1)
    clone.commit("Raise (#7)", churn=CANARY)
    return clone


def run(clone: Clone, *arguments: str) -> Ran:
    return gen(*arguments, root=clone.root, GIT_CONFIG_GLOBAL=os.devnull)


def test_history_as_text(fleet: Clone) -> None:
    raised, start = fleet.git("rev-list", "HEAD").split()

    assert run(fleet, "history", "churn").out.splitlines() == [
        "since             until             environment  live                     commit    "
        "request  by",
        f"2026-01-03 00:00  now               dev          v1 90 %, canary v2 10 %  {raised[:8]}  "
        "#7       Ada",
        f"2026-01-02 00:00  2026-01-03 00:00  dev          v1                       {start[:8]}  "
        "-        Ada",
    ]


def test_history_as_json(fleet: Clone) -> None:
    last, first = json.loads(run(fleet, "history", "churn", "--format", "json").out)

    assert last == {
        "environment": "dev",
        "since": "2026-01-03T00:00:00+00:00",
        "until": None,
        "live": [
            {"version": "v1", "role": "stable", "traffic": 90},
            {"version": "v2", "role": "canary", "traffic": 10},
        ],
        "unreadable": None,
        "commit": fleet.git("rev-parse", "HEAD").strip(),
        "author": "Ada",
        "request": "#7",
        "reverts": None,
        "title": "Raise (#7)",
    }
    assert first["until"] == last["since"]


def test_a_model_that_is_gone_still_has_a_history(fleet: Clone) -> None:
    fleet.commit("Remove", churn=None)

    assert "nothing" in run(fleet, "history", "churn").out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("history", "chrun"), "no commit has models/chrun.yaml: did you mean `churn`?"),
        (("history",), "Missing argument 'MODEL'"),
    ],
)
def test_a_model_that_nobody_knows(arguments: tuple[str, ...], reason: str, fleet: Clone) -> None:
    ran = run(fleet, *arguments)

    assert ran.code == 2
    assert reason in ran.err


def test_without_git_there_is_no_history_and_status_has_no_dates(tmp_path: Path) -> None:
    root = tmp_path / "plain"
    for folder, text in (("environments/dev", ENVIRONMENT), ("models/churn", V1)):
        path = root / f"{folder}.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(text, "utf-8")
    ceiling = {"GIT_CEILING_DIRECTORIES": str(tmp_path)}

    history = gen("history", "churn", root=root, **ceiling)
    (row,) = json.loads(gen("status", "--format", "json", root=root, **ceiling).out)

    assert history.code == 2
    assert "is in no Git repository" in history.err
    assert row["lastChange"] is None


def test_a_shallow_clone_says_that_it_does_not_know(fleet: Clone, tmp_path: Path) -> None:
    fleet.git("clone", "--quiet", "--depth=1", f"file://{fleet.root}", str(tmp_path / "shallow"))

    ran = gen("history", "churn", root=tmp_path / "shallow", GIT_CONFIG_GLOBAL=os.devnull)

    assert "the clone is shallow" in ran.err


def test_status_tells_the_last_change(fleet: Clone) -> None:
    (row,) = json.loads(run(fleet, "status", "--format", "json").out)
    commit = fleet.git("rev-parse", "HEAD").strip()

    assert row["lastChange"] == {
        "commit": commit,
        "date": "2026-01-03T00:00:00+00:00",
        "author": "Ada",
    }
    assert f"2026-01-03 {commit[:8]}" in run(fleet, "status").out


def test_a_narrow_terminal_does_without_some_columns() -> None:
    from generator.reports.reporting import narrowed

    header = ("model", "standby", "owner")
    rows = [("m" * 10, "-", "o" * 10)]

    assert narrowed(header, rows, 80, ("owner",)) == (list(header), [list(rows[0])])
    assert narrowed(header, rows, 24, ("owner",))[0] == ["model", "owner"]
    assert narrowed(header, rows, 12, ("owner",))[0] == ["model"]
