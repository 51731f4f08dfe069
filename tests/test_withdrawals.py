"""Versions that are withdrawn: they stay in the file, and nothing makes them live again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from helpers import ENVIRONMENT, MODEL, gen, problems_of, read_tree, write_tree
from msgspec.structs import replace

from generator import yamlio
from generator.documents import Document
from generator.inventory import environments as inventory
from generator.promotions import artifacts, edits, promotion, withdrawals
from generator.promotions.promotion import Live, Move, Past, Situation, Wish

REASON = "leaks card numbers into its logs"
MARK = f", withdrawn: {REASON}"
PROD = ENVIRONMENT.replace("dev", "prod").replace(
    "mode: Knative}",
    "mode: Standard, gateway: {name: gate, namespace: gates}, domain: example.com}",
)
VERSIONS = "".join(f"  v{n}: {{uri: gs://models/churn/{n}}}\n" for n in (3, 4))
SPEC = MODEL.replace("environments:\n", f"{VERSIONS}environments:\n").replace("dev:", "prod:")
PATH = "models/churn.yaml"


def withdrawn(*versions: str, spec: str = SPEC) -> str:
    """Mark versions of a spec."""
    for version in versions:
        entry = f"  {version}: {{uri: gs://models/churn/{version[1:]}"
        assert entry in spec
        spec = spec.replace(entry, entry + MARK)
    return spec


def document(kind: str, text: str) -> Document:
    data = yamlio.load(text)
    return Document(kind, f"{kind}s/{data['name']}.yaml", data["name"], text, data)


def now(live: Live, *marked: str) -> Situation:
    """Make the situation of a model that has these versions live, and those withdrawn."""
    block: dict[str, Any] = {"version": live.version}
    if live.canary:
        block["canary"] = {"version": live.canary, "traffic": live.traffic}
    if live.standby:
        block["standby"] = live.standby
    model = document("model", withdrawn(*marked))
    model = replace(model, data={**model.data, "environments": {"prod": block}})
    return promotion.situation(model, inventory.environment(document("environment", PROD)))


def nobody_knows(model: str, environment: str) -> Iterable[Past]:
    raise AssertionError("nobody should ask")


def after(situation: Situation, move: Move) -> Live:
    data = edits.meant(situation.model.data, move.edits)
    return promotion.live_in(data["environments"]["prod"])


# Facts


def test_a_mark_is_about_the_artifact_and_not_about_the_name() -> None:
    versions = document("model", withdrawn("v3")).data["versions"]
    same = {**versions, "v9": {"uri": "gs://models/churn/3"}}
    for name, version in (("v3", "v3"), ("v9", "v3")):
        mark = withdrawals.of(same, name)
        assert mark is not None
        assert (mark.version, mark.reason) == (version, REASON)
    assert withdrawals.of(same, "v2") is None
    assert withdrawals.newest(same) == "v4"
    assert withdrawals.newest({"v3": versions["v3"]}) == ""
    assert withdrawals.of({**versions, "v9": {**same["v9"], "args": ["--a=b"]}}, "v9") is None


def test_a_reason_is_told_on_one_line() -> None:
    mark = withdrawals.of({"v1": {"uri": "gs://a", "withdrawn": "it leaks\ncard numbers\n"}}, "v1")
    assert mark is not None
    assert mark.told("v1") == "v1 is withdrawn (it leaks card numbers)"


# Promotions


@pytest.mark.parametrize(
    "wish",
    [Wish("v3"), Wish("v3", standby=True), Wish("v3", traffic=5), Wish("v3", next_step=True)],
)
def test_a_withdrawn_version_is_not_promoted(wish: Wish) -> None:
    situation = now(Live("v1"), "v3", "v4")
    (problem,) = problems_of(lambda: promotion.promote(situation, wish, nobody_knows, 0.0))
    assert problem.code == "C035"
    assert problem.message == f"v3 is withdrawn ({REASON}) and may be live nowhere"
    assert problem.hint == "name v2, the newest one that is not withdrawn"
    assert problem.where.line == situation.model.text.split("\n").index(_line("v3")) + 1


def _line(version: str) -> str:
    return f"  {version}: {{uri: gs://models/churn/{version[1:]}{MARK}}}"


def test_a_rollback_passes_over_what_is_withdrawn_and_says_so() -> None:
    past = [(9 - n, {"version": version}) for n, version in enumerate(("v4", "v3", "v2", "v3"))]
    situation = now(Live("v4"), "v3")
    move = promotion.roll_back(situation, "", lambda *_: past)
    assert after(situation, move) == Live("v2")
    assert move.notes == (f"v3 is withdrawn ({REASON}), so it is passed over",)
    nothing_left = now(Live("v4"), "v3", "v2")
    (problem,) = problems_of(lambda: promotion.roll_back(nothing_left, "", lambda *_: past))
    assert "Git knows of no version that was live here before v4: v3 is withdrawn" in (
        problem.message
    )
    assert "--to" in problem.hint


def test_a_rollback_leads_to_no_withdrawn_standby_and_keeps_none() -> None:
    past = [(2.0, {"version": "v4"}), (1.0, {"version": "v2"})]
    situation = now(Live("v4", standby="v3"), "v3")
    assert after(situation, promotion.roll_back(situation, "", lambda *_: past)) == Live("v2")
    leaving = now(Live("v4", standby="v3"), "v4")
    move = promotion.roll_back(leaving, "", nobody_knows)
    assert after(leaving, move) == Live("v3")
    trial = now(Live("v2", "v4", 10, "v1"), "v4")
    dropped = promotion.roll_back(trial, "", nobody_knows)
    assert after(trial, dropped) == Live("v2", standby="v1")


def test_a_rollback_to_a_withdrawn_version_is_refused() -> None:
    (problem,) = problems_of(lambda: promotion.roll_back(now(Live("v4"), "v3"), "v3", nobody_knows))
    assert problem.code == "C035"


# Versions


def test_what_is_withdrawn_is_not_added_again() -> None:
    model = document("model", withdrawn("v3"))
    artifact = {"uri": "gs://models/churn/3"}
    for name in ("v3", "v5"):
        (problem,) = problems_of(lambda name=name: artifacts.add(model, name, artifact))  # type: ignore[misc]
        assert f"v3 is withdrawn ({REASON})" in problem.message
    assert artifacts.add(model, "v5", {"uri": "gs://models/churn/3b"}).edits


def test_a_withdrawal_is_one_line() -> None:
    model = document("model", SPEC)
    move = artifacts.withdraw(model, "v3", REASON)
    assert move.subject == "version(churn): withdraw v3"
    marked = document("model", edits.applied(model.text, move.edits))
    assert marked.text == withdrawn("v3")
    assert artifacts.withdraw(marked, "v3", REASON).edits == ()
    other = artifacts.withdraw(marked, "v3", "answers nonsense for new customers")
    assert edits.applied(marked.text, other.edits).count("withdrawn") == 1


@pytest.mark.parametrize(
    ("block", "told", "first"),
    [
        ("{version: v3}", "v3 serves in prod", "`gen rollback churn --env prod` first"),
        (
            "{version: v1, canary: {version: v3, traffic: 5}}",
            "v3 is on trial in prod",
            "`gen rollback churn --env prod` first",
        ),
        (
            "{version: v1, standby: v3}",
            "v3 is on standby in prod",
            "`gen promote churn --env prod --no-standby` first",
        ),
        (
            "{version: v1, shadow: v3}",
            "v3 gets copies in prod",
            "`gen promote churn --env prod --no-shadow` first",
        ),
    ],
)
def test_what_is_live_is_not_withdrawn(block: str, told: str, first: str) -> None:
    model = document("model", SPEC.replace("{version: v1}", block))
    (problem,) = problems_of(lambda: artifacts.withdraw(model, "v3", REASON))
    assert (problem.message, problem.hint) == (told, first)
    assert problem.where.line == SPEC.split("\n").index("  prod: {version: v1}") + 1


def test_a_version_that_is_not_there_is_not_withdrawn() -> None:
    (problem,) = problems_of(lambda: artifacts.withdraw(document("model", SPEC), "v33", REASON))
    assert (problem.message, problem.hint) == ("there is no version `v33`", "did you mean `v3`?")


# The commands


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A model with four versions in one environment, rendered."""
    files: dict[str, str | bytes] = {"environments/prod.yaml": PROD, PATH: SPEC}
    root = write_tree(tmp_path / "repository", files)
    assert gen("render", root=root).code == 0
    return root


def everything(root: Path) -> dict[str, bytes]:
    return read_tree(root, ("models", "rendered", "argocd"))


def test_the_command_marks_a_version_and_renders_nothing_else(root: Path) -> None:
    before = everything(root)
    ran = gen("version", "withdraw", "churn", "v3", "--reason", REASON, root=root)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("churn: v3 is withdrawn and may be live nowhere\n--- a/models/churn")
    assert everything(root) == {**before, PATH: withdrawn("v3").encode()}
    again = gen("version", "withdraw", "churn", "v3", "--reason", REASON, root=root)
    assert (again.code, again.out) == (0, "churn: v3 is withdrawn for this reason already\n")


@pytest.mark.parametrize("reason", ["bad", "", "         "])
def test_a_reason_says_something(reason: str, root: Path) -> None:
    before = everything(root)
    ran = gen("version", "withdraw", "churn", "v3", "--reason", reason, root=root)
    assert (ran.code, ran.out) == (1, "")
    assert "`versions.v3.withdrawn`" in ran.err
    assert everything(root) == before


def test_no_command_makes_a_withdrawn_version_live(root: Path) -> None:
    write_tree(root, {PATH: withdrawn("v3")})
    before = everything(root)
    for command in (
        ("promote", "churn", "-e", "prod", "--version", "v3"),
        ("promote", "churn", "-e", "prod", "--version", "v3", "--traffic", "0"),
        ("rollback", "churn", "-e", "prod", "--to", "v3"),
        ("version", "add", "churn", "v5", "--uri", "gs://models/churn/3"),
    ):
        ran = gen(*command, root=root)
        assert (ran.code, ran.out) == (1, "")
        assert f"v3 is withdrawn ({REASON}) and may be live nowhere" in ran.err
        assert everything(root) == before
