"""Promotions and rollbacks: what they decide, and what the commands do to files and to Git."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from helpers import ENVIRONMENT, MODEL, gen, problems_of, read_tree, told, write_tree
from msgspec.structs import replace

from generator import pipeline, resolve, validate, yamlio
from generator.documents import Document
from generator.inventory import environments as inventory
from generator.inventory.records import Environment
from generator.promotions import amend, artifacts, edits, promotion
from generator.promotions.promotion import Live, Move, Past, Situation, Wish
from generator.records import Strategy

DEV = ENVIRONMENT
ROUTE = (
    ENVIRONMENT.replace("dev", "prod")
    .replace("ml}", "live}")
    .replace(
        "mode: Knative}",
        "mode: Standard, gateway: {name: gate, namespace: gates}, domain: example.com}",
    )
)
ALONE = ENVIRONMENT.replace("dev", "alone").replace("Knative", "Standard").replace("ml}", "one}")
SPEC = MODEL.replace("environments:", "  v3: {uri: gs://models/churn/3}\nenvironments:").replace(
    "  dev: {version: v1}\n",
    "  dev: {version: v1}\n  prod: {version: v1}   # since May\n  alone: {version: v2}\n",
)
ROLLOUT = "rollout: {steps: [5, 25, 50], soak: 30m}\n"


def document(kind: str, text: str) -> Document:
    data = yamlio.load(text)
    return Document(kind, f"{kind}s/{data['name']}.yaml", data["name"], text, data)


ENVIRONMENTS: dict[str, Environment] = {
    name: inventory.environment(document("environment", text))
    for name, text in (("dev", DEV), ("prod", ROUTE), ("alone", ALONE))
}


def now(live: Live, place: str = "prod", rollout: str = "") -> Situation:
    """Make the situation of a model that has these versions live."""
    block: dict[str, Any] = {"version": live.version}
    if live.canary:
        block["canary"] = {"version": live.canary, "traffic": live.traffic}
    if live.standby:
        block["standby"] = live.standby
    if live.shadow:
        block["shadow"] = live.shadow
    model = document("model", SPEC + rollout)
    blocks = {**model.data["environments"], place: block}
    model = replace(model, data={**model.data, "environments": blocks})
    return promotion.situation(model, ENVIRONMENTS[place])


def nobody_knows(model: str, environment: str) -> Iterator[Past]:
    raise AssertionError("nobody should ask")


def after(situation: Situation, move: Move) -> Live:
    data = edits.meant(situation.model.data, move.edits)
    return promotion.live_in(data["environments"][situation.place])


def promoted(live: Live, place: str = "prod", rollout: str = "", **wish: Any) -> Live:
    situation = now(live, place, rollout)
    return after(situation, promotion.promote(situation, Wish(**wish), nobody_knows, 0.0))


V1, V2 = Live("v1"), Live("v2")
TRIAL = Live("v1", "v2", 10)
WARM = Live("v2", standby="v1")
WATCHED = Live("v1", shadow="v2")
BESIDE = Live("v1", "v2", 10, shadow="v3")
STEPS = "rollout: {steps: [5, 25, 50]}\n"

PROMOTED = {
    "version": (V1, {"version": "v2"}, V2),
    "version, warm": (V1, {"version": "v2", "standby": True}, WARM),
    "version again": (V2, {"version": "v2"}, V2),
    "version again, warm": (WARM, {"version": "v2", "standby": True}, WARM),
    "version of the canary": (TRIAL, {"version": "v2"}, V2),
    "version of the standby": (WARM, {"version": "v1"}, V1),
    "swap": (WARM, {"version": "v1", "standby": True}, Live("v1", standby="v2")),
    "old standby goes": (WARM, {"version": "v3"}, Live("v3")),
    "from": (V1, {"source": "alone"}, V2),
    "start": (V1, {"version": "v2", "traffic": 0}, Live("v1", "v2", 0)),
    "start from": (V1, {"source": "alone", "traffic": 7}, Live("v1", "v2", 7)),
    "start the standby": (WARM, {"version": "v1", "traffic": 5}, Live("v2", "v1", 5)),
    "start beside a standby": (WARM, {"version": "v3", "traffic": 5}, Live("v2", "v3", 5, "v1")),
    "start with everything": (V1, {"version": "v2", "traffic": 100}, V2),
    "grow": (TRIAL, {"traffic": 25}, Live("v1", "v2", 25)),
    "grow by name": (TRIAL, {"version": "v2", "traffic": 25}, Live("v1", "v2", 25)),
    "same share": (TRIAL, {"traffic": 10}, TRIAL),
    "everything": (TRIAL, {"traffic": 100, "standby": True}, WARM),
    "finish": (TRIAL, {"finish": True}, V2),
    "finish by name": (TRIAL, {"finish": True, "version": "v2"}, V2),
    "finish again": (V2, {"finish": True}, V2),
    "finish again by name": (V2, {"finish": True, "version": "v2"}, V2),
    "cool": (WARM, {"standby": False}, V2),
    "cool again": (V2, {"standby": False}, V2),
    "cool beside a canary": (Live("v2", "v3", 5, "v1"), {"standby": False}, Live("v2", "v3", 5)),
    "first step": (V1, {"version": "v2", "next_step": True}, Live("v1", "v2", 0)),
    "step": (TRIAL, {"next_step": True}, Live("v1", "v2", 25)),
    "step from nothing": (Live("v1", "v2", 0), {"next_step": True}, Live("v1", "v2", 5)),
    "last step": (Live("v1", "v2", 50), {"next_step": True, "standby": True}, WARM),
    "start a shadow": (V1, {"version": "v2", "shadow": True}, WATCHED),
    "start it again": (WATCHED, {"version": "v2", "shadow": True}, WATCHED),
    "stop the shadow": (WATCHED, {"shadow": False}, V1),
    "shadow beside a canary": (TRIAL, {"version": "v3", "shadow": True}, BESIDE),
    "shadow on trial": (WATCHED, {"version": "v2", "traffic": 5}, Live("v1", "v2", 5)),
    "shadow that serves": (WATCHED, {"version": "v2"}, V2),
    "shadow that stays": (BESIDE, {"finish": True}, Live("v2", shadow="v3")),
    "no step left": (V2, {"version": "v2", "next_step": True}, V2),
}


@pytest.mark.parametrize(("live", "wish", "expected"), PROMOTED.values(), ids=PROMOTED)
def test_a_promotion_leads_from_here_to_there(
    live: Live, wish: dict[str, Any], expected: Live
) -> None:
    assert promoted(live, rollout=STEPS, **wish) == expected


REFUSED = {
    "unknown": (V1, "prod", {"version": "v22"}, "no version `v22`", "`v2`"),
    "unknown source": (V1, "prod", {"source": "prd"}, "not live in prd", "`prod`"),
    "another canary": (TRIAL, "prod", {"version": "v3"}, "v2 is on trial", "--finish"),
    "another at a share": (TRIAL, "prod", {"version": "v3", "traffic": 5}, "v2 is", "rollback"),
    "canary of itself": (V1, "prod", {"version": "v1", "traffic": 5}, "v1 serves here", "another"),
    "share of nothing": (V1, "prod", {"traffic": 5}, "there is no canary", "--version"),
    "step of nothing": (V1, "prod", {"next_step": True}, "there is no canary", "--version"),
    "finish another": (TRIAL, "prod", {"finish": True, "version": "v3"}, "v3 is not on", "leave"),
    "canary without a gateway": (V2, "alone", {"version": "v1", "traffic": 5}, "ignores a", "at"),
    "standby without a gateway": (V2, "alone", {"version": "v1", "standby": True}, "no `st", "le"),
    "shadow of nothing": (V1, "prod", {"shadow": True}, "no version is named", "--version"),
    "shadow of itself": (V1, "prod", {"version": "v1", "shadow": True}, "v1 is live", "another"),
    "second shadow": (BESIDE, "prod", {"version": "v1", "shadow": True}, "v1 is live", "another"),
    "another shadow": (WATCHED, "prod", {"version": "v3", "shadow": True}, "v2 gets", "--no-sh"),
    "shadow on Knative": (V1, "dev", {"version": "v2", "shadow": True}, "Knative makes", "canary"),
    "standby on Knative": (V1, "dev", {"version": "v2", "standby": True}, "Knative keeps", "leave"),
}


@pytest.mark.parametrize(
    ("live", "place", "wish", "message", "hint"), REFUSED.values(), ids=REFUSED
)
def test_a_promotion_that_cannot_be_is_refused(
    live: Live, place: str, wish: dict[str, Any], message: str, hint: str
) -> None:
    (problem,) = problems_of(lambda: promoted(live, place, STEPS, **wish))
    assert message in problem.message
    assert hint in problem.hint


def test_knative_waits_for_a_revision_itself() -> None:
    assert promoted(V1, "dev", STEPS, version="v2", next_step=True) == Live("v1", "v2", 5)


@pytest.mark.parametrize(
    ("strategy", "share"), [("predictors", 0), ("experiment", 5), ("group", 5), ("native", 5)]
)
def test_weights_begin_with_nobody(strategy: Strategy, share: int) -> None:
    situation = replace(now(V1, rollout=STEPS), strategy=strategy)
    move = promotion.promote(situation, Wish(version="v2", next_step=True), nobody_knows, 0.0)
    assert after(situation, move) == Live("v1", "v2", share)


def test_steps_have_to_be_written_somewhere() -> None:
    (problem,) = problems_of(lambda: promoted(TRIAL, next_step=True))
    assert problem.message == "there are no `rollout.steps` to go by"


BLOCK = {"version": "v1", "canary": {"version": "v2", "traffic": 10}}


@pytest.mark.parametrize(
    ("past", "refused"),
    [
        ([(0.0, BLOCK)], ""),
        ([(2_000.0, BLOCK), (0.0, BLOCK), (0.0, {"version": "v1"})], ""),
        ([(2_000.0, BLOCK), (0.0, {"version": "v1"})], "v2 has had its 10 % for 17m of 30m"),
        ([(3_000.0, {"version": "v1"}), (0.0, BLOCK)], "v2 has had its 10 % for 0s of 30m"),
        ([(2_990.0, BLOCK), (0.0, None), (0.0, BLOCK)], "v2 has had its 10 % for 10s of 30m"),
        ([], "v2 has had its 10 % for 0s of 30m"),
    ],
)
def test_a_step_lasts_as_long_as_it_should(past: list[Past], refused: str) -> None:
    situation = now(TRIAL, rollout=ROLLOUT)

    def step() -> None:
        wish = Wish(next_step=True)
        move = promotion.promote(situation, wish, lambda *_: past, 3_000.0)
        assert after(situation, move).traffic == 25

    assert "".join(problem.message for problem in problems_of(step)) == refused


def rolled_back(live: Live, version: str = "", past: list[Past] | None = None) -> Live:
    situation = now(live)
    history = nobody_knows if past is None else lambda *_: past or []
    return after(situation, promotion.roll_back(situation, version, history))


def test_a_rollback_takes_the_shortest_way() -> None:
    assert rolled_back(TRIAL) == V1
    assert rolled_back(Live("v2", "v3", 5, "v1")) == WARM
    assert rolled_back(WARM) == Live("v1", standby="v2")
    assert rolled_back(WARM, "v3") == Live("v3", standby="v1")
    assert rolled_back(TRIAL, "v1") == V1
    assert rolled_back(TRIAL, "v3") == Live("v3")
    assert rolled_back(V1, "v1") == V1


def test_a_rollback_asks_git_last() -> None:
    other = {"version": "v3"}
    assert rolled_back(V2, past=[(3, {"version": "v2"}), (2, other), (1, BLOCK)]) == Live("v3")
    assert rolled_back(V2, past=[(3, other), (2, BLOCK)]) == Live("v3")
    for past in ([], [(3, {"version": "v2"})], [(3, {"version": "v2"}), (2, None), (1, other)]):
        (problem,) = problems_of(lambda past=past: rolled_back(V2, past=past))  # type: ignore[misc]
        assert problem.hint == "name the version with `--to`"


def test_a_canary_is_no_way_back() -> None:
    (problem,) = problems_of(lambda: rolled_back(TRIAL, "v2"))
    assert problem.message == "v2 is on trial here, which is no way back"


@pytest.mark.parametrize(
    ("place", "cost"),
    [("dev", "v1 starts anew"), ("prod", "v2 stops while the route still leads to it")],
)
def test_what_dropping_a_canary_costs_is_told(place: str, cost: str) -> None:
    (note,) = promotion.roll_back(now(TRIAL, place), "", nobody_knows).notes
    assert note.startswith(cost)
    assert f"`gen promote churn --env {place} --traffic 0` first" in note
    finished = promotion.promote(now(TRIAL, place), Wish(finish=True), nobody_knows, 0.0)
    assert finished.notes == ()
    idle = now(Live("v1", "v2", 0), place)
    assert promotion.roll_back(idle, "", nobody_knows).notes == ()


# The walk


def wishes(chance: Random) -> Iterator[Wish]:
    """Ask for anything, sensible or not."""
    while True:
        yield Wish(
            version=chance.choice(("", "v1", "v2", "v3")),
            traffic=chance.choice((None, None, 0, 10, 60, 100)),
            next_step=chance.random() < 0.2,
            finish=chance.random() < 0.2,
            standby=chance.choice((None, None, True, False)),
        )


@pytest.mark.parametrize("place", ENVIRONMENTS)
@pytest.mark.parametrize("seed", range(5))
def test_no_walk_of_promotions_leads_astray(place: str, seed: int) -> None:
    chance = Random(f"{place}{seed}")
    model, made = document("model", SPEC + STEPS), 0
    for wish, _ in zip(wishes(chance), range(60), strict=False):
        situation = promotion.situation(model, ENVIRONMENTS[place])
        move = chosen(situation, wish, chance.random() < 0.2)
        if move is None:
            continue
        model = document("model", edits.applied(model.text, move.edits))
        made += bool(move.edits)
        assert bool(move.edits) == bool(move.subject)
        assert validate.problems(model) == []
        assert resolve.releases(model, ENVIRONMENTS)
        assert "   # since May\n" in model.text
    assert made > 5


def chosen(situation: Situation, wish: Wish, is_back: bool) -> Move | None:
    """Promote or roll back; None where that is refused."""
    moves: list[Move] = []

    def choose() -> None:
        if is_back:
            moves.append(promotion.roll_back(situation, wish.version or "v1", nobody_knows))
        else:
            moves.append(promotion.promote(situation, wish, nobody_knows, 0.0))

    assert all(problem.hint for problem in problems_of(choose))
    return moves[0] if moves else None


def test_a_trial_that_is_rolled_back_leaves_the_same_bytes() -> None:
    model = document("model", SPEC)
    for place in ("dev", "prod"):
        situation = promotion.situation(model, ENVIRONMENTS[place])
        start = promotion.promote(situation, Wish("v2", traffic=5), nobody_knows, 0.0)
        text = edits.applied(model.text, start.edits)
        there = promotion.situation(document("model", text), ENVIRONMENTS[place])
        back = promotion.roll_back(there, "", nobody_knows)
        assert text != edits.applied(text, back.edits) == model.text


def test_a_version_is_appended_once() -> None:
    model = document("model", SPEC)
    artifact = {"uri": "gs://models/churn/4"}
    move = artifacts.add(model, "v4", artifact)
    grown = document("model", edits.applied(model.text, move.edits))
    assert list(grown.data["versions"]) == ["v1", "v2", "v3", "v4"]
    assert artifacts.add(grown, "v4", artifact).edits == ()
    (problem,) = problems_of(lambda: artifacts.add(grown, "v4", {"uri": "gs://else"}))
    assert (
        problem.where.line == grown.text.split("\n").index("  v4: {uri: gs://models/churn/4}") + 1
    )


# The commands

PATH = "models/churn.yaml"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A model in three environments, rendered."""
    files: dict[str, str | bytes] = {
        "environments/dev.yaml": DEV,
        "environments/prod.yaml": ROUTE,
        "environments/alone.yaml": ALONE,
        PATH: SPEC,
    }
    root = write_tree(tmp_path / "repository", files)
    assert gen("render", root=root).code == 0
    return root


def git(root: Path, *arguments: str, **environ: str) -> str:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "HOME": str(root), **environ}
    done = subprocess.run(
        ["git", *arguments], cwd=root, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.fixture
def clone(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, committed."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("HOME", str(root))
    git(root, "init", "-q", "-b", "main")
    git(root, "config", "user.name", "Ada")
    git(root, "config", "user.email", "ada@example.com")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "The fleet")
    return root


def everything(root: Path) -> dict[str, bytes]:
    return read_tree(root, ("models", "rendered", "argocd"))


def promote(root: Path, *arguments: str) -> Any:
    return gen("promote", "churn", "--env", "prod", *arguments, root=root)


def test_a_promotion_edits_and_renders(root: Path) -> None:
    ran = promote(root, "--version", "v2", "--traffic", "0")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("churn in prod: v2 gets 0 %, v1 100 %\n--- a/models/churn.yaml\n")
    line = "  prod: {version: v1, canary: {version: v2, traffic: 0}}   # since May\n"
    assert (root / PATH).read_text() == SPEC.replace("  prod: {version: v1}   # since May\n", line)
    assert (root / "rendered/prod/churn/v2/kustomization.yaml").is_file()
    assert gen("render", "--check", root=root).code == 0
    before = everything(root)
    again = promote(root, "--version", "v2", "--traffic", "0")
    assert (again.code, again.out) == (0, "churn in prod: v2 gets 0 %, v1 100 % already\n")
    assert everything(root) == before


def test_a_dry_run_shows_and_writes_nothing(root: Path) -> None:
    before = everything(root)
    dry = promote(root, "--version", "v2", "--diff", "--dry-run")
    assert dry.code == 0
    assert dry.err.endswith("nothing was written: this was a dry run\n")
    assert everything(root) == before
    done = promote(root, "--version", "v2", "--diff")
    assert done.out == dry.out
    assert "+++ b/rendered/prod/churn/" in done.out


HASTY = [("--version", "v2", "--traffic", "10"), ("--version", "v2")]
STEADY = ROUTE + "policy: {minReplicas: 1}\n"


@pytest.mark.parametrize("arguments", HASTY)
def test_the_desk_refuses_what_the_merge_would(arguments: tuple[str, ...], root: Path) -> None:
    write_tree(root, {"environments/prod.yaml": STEADY})
    before = everything(root)
    ran = promote(root, *arguments)
    assert (ran.code, ran.out) == (1, "")
    assert "error R006: v2 does not run in prod yet" in ran.err
    assert "nothing was changed" in ran.err
    assert everything(root) == before
    base = write_tree(root.parent / "base", {path: data for path, data in before.items()})
    shutil.copytree(root / "environments", base / "environments")
    (block,) = [line for line in ran.err.split("\n") if " | " in line and "prod" in line]
    write_tree(root, {PATH: SPEC.replace("  prod: {version: v1}   # since May", block[8:])})
    merging = problems_of(lambda: pipeline.everything(root, base=base))
    assert told(merging, root).removesuffix("1 error\n") in ran.err


def test_what_a_step_costs_is_told_with_its_lines(root: Path) -> None:
    ran = promote(root, "--version", "v2", "--traffic", "10")
    assert ran.code == 0
    assert ran.err.startswith("models/churn.yaml:11:45: warning R007: v2 does not run in prod yet")
    assert "   11 |   prod: {version: v1, canary: {version: v2, traffic: 10}}" in ran.err
    assert ran.err.endswith("\n1 warning\n")
    assert promote(root, "--traffic", "20").err == ""
    assert "warning R008: v1 is deleted before the route stops" in promote(root, "--finish").err


def test_a_rollback_is_told_the_cost_and_made(root: Path) -> None:
    write_tree(root, {"environments/prod.yaml": STEADY})
    ran = gen("rollback", "churn", "--env", "prod", "--to", "v2", "--dry-run", root=root)
    done = gen("rollback", "churn", "--env", "prod", "--to", "v2", root=root)
    assert (ran.code, done.code) == (0, 0)
    for err in (ran.err, done.err):
        assert "warning R006: v2 does not run in prod yet" in err
        assert "error" not in err
    assert done.out.startswith("churn in prod: v2 serves; v1 stops\n")


def test_a_rollback_does_not_pass_what_is_wrong_without_the_change(root: Path) -> None:
    before = everything(root)
    ran = gen("rollback", "churn", "--env", "prod", "--to", "v9", root=root)
    assert (ran.code, ran.out) == (1, "")
    assert everything(root) == before


def test_a_change_may_be_announced_by_its_silence(root: Path) -> None:
    write_tree(root, {"environments/prod.yaml": STEADY, PATH: SPEC + ANNOUNCED})
    ran = promote(root, "--version", "v2")
    assert ran.code == 0
    assert "1 silenced" in ran.err


ANNOUNCED = "silence: {R006: {reason: nobody calls it before June}}\n"


def test_nothing_is_changed_if_rendering_finds_a_problem(root: Path) -> None:
    before = everything(root)
    ran = gen("version", "add", "churn", "v4", "--image", "r.example.com/churn:1", root=root)
    assert (ran.code, ran.out) == (1, "")
    assert "models/churn.yaml:9:8: error E303: KServe brings the runtime's image" in ran.err
    assert "    9 |   v4: {image: r.example.com/churn:1}\n" in ran.err
    assert "nothing was changed" in ran.err
    assert everything(root) == before


def test_what_cannot_be_edited_is_told_with_what_to_write(root: Path) -> None:
    text = SPEC.replace("prod: {version: v1}", "prod: {version: &v v1}").replace(
        "alone: {version: v2}", "alone: {version: *v}"
    )
    write_tree(root, {PATH: text})
    ran = promote(root, "--version", "v2")
    assert ran.code == 1
    assert "error E802: gen cannot edit this in place: an alias and its anchor" in ran.err
    assert "hint: write `version: v2` in `environments.prod`\n" in ran.err
    assert (root / PATH).read_text() == text


def test_the_file_keeps_its_mode_its_link_and_its_mark(root: Path) -> None:
    shared = root / "models" / "shared.txt"
    shared.write_bytes(b"\xef\xbb\xbf" + SPEC.replace("\n", "\r\n").encode())
    shared.chmod(0o640)
    (root / PATH).unlink()
    (root / PATH).symlink_to("shared.txt")
    assert promote(root, "--version", "v2").code == 0
    assert (root / PATH).is_symlink()
    assert stat.S_IMODE(shared.stat().st_mode) == 0o640
    changed = SPEC.replace("prod: {version: v1}", "prod: {version: v2}").replace("\n", "\r\n")
    assert shared.read_bytes() == b"\xef\xbb\xbf" + changed.encode()
    assert sorted(path.name for path in (root / "models").iterdir()) == ["churn.yaml", "shared.txt"]


@pytest.mark.slow
def test_runs_at_once_wait_for_each_other(root: Path) -> None:
    environ = {**os.environ, "GEN_CACHE_DIR": f"{root}.cache"}
    command = (sys.executable, "-m", "generator", "version", "add", "churn")
    runs = [
        subprocess.Popen(
            [*command, f"n{n}", "--uri", f"gs://models/churn/{n}"],
            cwd=root,
            env=environ,
            stdout=subprocess.DEVNULL,
        )
        for n in range(4)
    ]
    assert [run.wait() for run in runs] == [0] * 4
    versions = yamlio.load((root / PATH).read_text())["versions"]
    assert {*versions} == {"v1", "v2", "v3", "n0", "n1", "n2", "n3"}


def test_a_change_that_comes_in_between_is_not_lost(root: Path) -> None:
    def plan(model: Document, environments: Any) -> Move:
        write_tree(root, {PATH: SPEC + "# somebody was here\n"})
        return artifacts.add(model, "v4", {"uri": "gs://models/churn/4"})

    (problem,) = problems_of(lambda: amend.amend(root, "churn", plan))
    assert problem.message == "somebody has changed this file meanwhile"
    assert (root / PATH).read_text().endswith("# somebody was here\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "say what to promote"),
        (("--standby",), "say what to promote"),
        (("--version", "v2", "--from", "dev"), "--version and --from exclude each other"),
        (("--traffic", "0", "--finish"), "--traffic and --finish exclude each other"),
        (("--next", "--finish"), "--next and --finish exclude each other"),
        (("--traffic", "101"), "101 is not in the range"),
        (("--from", "stagin", "--finish"), "there is no environment `stagin`"),
    ],
)
def test_options_that_do_not_go_together_are_a_mistake(
    arguments: tuple[str, ...], told: str, root: Path
) -> None:
    ran = promote(root, *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert told in ran.err
    assert gen("promote", "chrn", "-e", "prod", "--finish", root=root).code == 2
    assert gen("version", "add", "churn", "v4", root=root).code == 2


def test_a_rollback_finds_what_was_live_in_git(clone: Path) -> None:
    assert promote(clone, "--version", "v2", "--commit").code == 0
    assert promote(clone, "--version", "v3", "--commit").code == 0
    write_tree(clone, {"models/churn.yaml": (clone / PATH).read_text() + "# later\n"})
    git(clone, "commit", "-q", "-a", "-m", "Another change")
    ran = gen("rollback", "churn", "--env", "prod", "--commit", root=clone)
    assert ran.code == 0
    assert ran.out.startswith("churn in prod: v2 serves; v3 stops\n")
    assert git(clone, "log", "-1", "--format=%s") == "rollback(churn): prod v3 -> v2\n"


def test_a_rollback_without_git_wants_to_be_told(root: Path) -> None:
    ran = gen(
        "rollback", "churn", "--env", "prod", root=root, GIT_CEILING_DIRECTORIES=str(root.parent)
    )
    assert ran.code == 2
    assert "is in no Git repository" in ran.err
    assert "--to" in ran.err
    assert gen("rollback", "churn", "--env", "prod", "--to", "v2", root=root).code == 0


def test_a_commit_holds_exactly_what_changed(clone: Path) -> None:
    write_tree(clone, {"notes.txt": "mine", "environments/other.txt": "mine"})
    git(clone, "add", "notes.txt")
    ran = promote(clone, "--version", "v2", "--traffic", "10", "--commit")
    assert ran.code == 0
    assert ran.out.endswith("committed: promote(churn): prod v1 -> v2 at 10 %\n")
    assert git(clone, "status", "--short") == "A  notes.txt\n?? environments/other.txt\n"
    files = git(clone, "show", "--name-only", "--format=", "HEAD").split()
    assert files[0] == PATH
    assert all(path == PATH or path.startswith("rendered/prod/churn/") for path in files)
    before = git(clone, "rev-parse", "HEAD")
    assert promote(clone, "--traffic", "10", "--commit").code == 0
    assert git(clone, "rev-parse", "HEAD") == before


def unfinished_merge(root: Path) -> None:
    git(root, "switch", "-q", "-c", "other")
    write_tree(root, {"notes.txt": "theirs"})
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "Theirs")
    git(root, "switch", "-q", "main")
    git(root, "merge", "-q", "--no-ff", "--no-commit", "other")


def unknown_person(root: Path) -> None:
    git(root, "config", "--unset", "user.name")
    git(root, "config", "--unset", "user.email")
    git(root, "config", "user.useConfigOnly", "true")


def changed_spec(root: Path) -> None:
    write_tree(root, {PATH: SPEC + "# not committed\n"})


def strict_hook(root: Path) -> None:
    hook = root / ".git" / "hooks" / "pre-commit"
    write_tree(root, {".git/hooks/pre-commit": "#!/bin/sh\necho 'ask Grace first'\nexit 1\n"})
    hook.chmod(0o755)


@pytest.mark.parametrize(
    ("prepare", "told"),
    [
        (lambda root: git(root, "checkout", "-q", "--detach"), "HEAD is on no branch"),
        (unfinished_merge, "a merge is in progress"),
        (unknown_person, "Git does not know who you are"),
        (changed_spec, "models/churn.yaml has changes that are in no commit"),
        (strict_hook, "the commit was refused: ask Grace first"),
        (lambda root: (root / ".git").rename(root / "git"), "is in no Git repository"),
    ],
)
def test_nothing_is_changed_if_there_can_be_no_commit(
    prepare: Any, told: str, clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(clone.parent))
    prepare(clone)
    is_clone = (clone / ".git").exists()
    before = everything(clone), is_clone and git(clone, "status", "--porcelain")
    ran = promote(clone, "--version", "v2", "--traffic", "10", "--commit")
    assert (ran.code, ran.out) == (2, "")
    assert told in ran.err
    assert ran.err.rstrip().endswith("nothing was changed")
    assert (everything(clone), is_clone and git(clone, "status", "--porcelain")) == before


def test_a_step_waits_for_its_soak_in_git(clone: Path) -> None:
    write_tree(clone, {PATH: SPEC + ROLLOUT})
    git(clone, "commit", "-q", "-a", "-m", "Steps")
    assert promote(clone, "--version", "v2", "--next", "--commit").code == 0
    assert promote(clone, "--next", "--commit").code == 0
    ran = promote(clone, "--next")
    assert ran.code == 1
    assert "v2 has had its 5 % for " in ran.err
    long_ago = "2020-01-01T00:00:00Z"
    git(
        clone,
        "commit",
        "-q",
        "--amend",
        "--no-edit",
        "--date",
        long_ago,
        GIT_COMMITTER_DATE=long_ago,
    )
    assert promote(clone, "--next", "--commit").code == 0
    assert (
        "v2 gets 25 %" in gen("promote", "churn", "-e", "prod", "--traffic", "25", root=clone).out
    )


def test_what_a_shallow_clone_does_not_know_is_said(clone: Path) -> None:
    git(clone, "commit", "-q", "--allow-empty", "-m", "Later")
    git(clone.parent, "clone", "-q", "--depth", "1", clone.as_uri(), "shallow")
    shallow = clone.parent / "shallow"
    ran = gen("rollback", "churn", "--env", "prod", root=shallow)
    assert ran.code == 2
    assert "the clone is shallow" in ran.err
    assert "name the version with `--to`" in ran.err


def test_a_broken_commit_is_passed_over(clone: Path) -> None:
    assert promote(clone, "--version", "v2", "--commit").code == 0
    write_tree(clone, {PATH: "]"})
    git(clone, "commit", "-q", "-a", "-m", "A mistake")
    git(clone, "revert", "--no-edit", "HEAD")
    ran = gen("rollback", "churn", "--env", "prod", root=clone)
    assert ran.out.startswith("churn in prod: v1 serves; v2 stops\n")
