"""`git revert` is the emergency brake: whatever a command did, it takes back to the byte.

Random walks of commands, each a commit in a real repository. After every one of them Git alone has
to lead back, the reverted specs alone have to lead back, and nothing but what is committed may
matter: no cache, no file that Git does not know.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random

import pytest
from helpers import ENVIRONMENT, MODEL, OUTPUT, Ran, gen, read_tree, write_tree

from generator import subjects
from generator.check import Judge

Command = tuple[str, ...]

SPECS = ("models", "environments")
STANDARD = ENVIRONMENT.replace("Knative", "Standard")
ENVIRONMENTS = {
    "dev": ENVIRONMENT,
    "prod": STANDARD.replace("dev", "prod")
    .replace("ml}", "live}")
    .replace("Standard}", "Standard, gateway: {name: g, namespace: g}, domain: example.com}"),
    "alone": STANDARD.replace("dev", "alone").replace("ml}", "one}"),
}
_GATEWAY = ENVIRONMENTS["prod"]
ENVIRONMENTS |= {
    "later": _GATEWAY.replace("prod", "later").replace("live}", "later}").replace("0.20", "0.21")
    + "defaults: {canaryStrategy: native}\n",
    "two": _GATEWAY.replace("prod", "two")
    .replace("live}", "two}")
    .replace("argocd:", '  seldon: {version: "2.9"}\nargocd:'),
    "first": _GATEWAY.replace("prod", "first")
    .replace("live}", "first}")
    .replace("argocd:", '  seldon: {version: "1.18"}\nargocd:'),
    "talk": _GATEWAY.replace("prod", "talk")
    .replace("live}", "talk}")
    .replace("com}", "com, llm: true}"),
}
STEPS = "rollout: {steps: [5, 25, 50]}\n"
_FORMAT, _SIZE = "  format: sklearn\n", '  resources: {cpu: "1", memory: 2Gi}\n'
ARGUMENT = ('  args: ["--workers=2"]\n', _FORMAT)
VARIABLE = ("  env: {LOG_LEVEL: debug}\n", _SIZE)
"""Lines of a spec, and those that they stand behind."""
CHURN = (
    MODEL.replace("serving: {format: sklearn}\n", f"serving:\n{_FORMAT}{_SIZE}")
    .replace("v2:", "v2:  # the one with prices\n   ")
    .replace("  dev: {version: v1}\n", "")
    + """\
  dev:
    version: v1
    scaling: {min: 0, max: 2}   # nobody works at night
  alone: {version: v1}

  # Grace watches this one.
  prod: {version: v1, scaling: {min: 1, max: 4}}
"""
    + STEPS
)
BASKET = MODEL.replace("churn", "basket") + "  prod: {version: v2}\n" + STEPS
SCORER = """\
name: scorer
owner: growth
description: Explains a score.
serving:
  backend: deployment
  port: 8000
  probes: {liveness: /live, readiness: /ready}
  resources: {cpu: 500m, memory: 1Gi}
versions:
  v1: {image: "ghcr.io/example/scorer:1.0.1"}
  v2: {image: "ghcr.io/example/scorer:1.0.2"}
environments:
  dev: {version: v1}
  prod:
    version: v1
"""
PAIR = (
    SCORER.replace("scorer", "pair")
    .replace("serving:", "canaryStrategy: route\nserving:")
    .replace("  dev: {version: v1}\n", "")
    .replace("    version: v1\n", "    version: v1 # watched\n")
)
RANKER = (
    MODEL.replace("churn", "ranker")
    .replace("{format: sklearn}", "{backend: seldon, format: sklearn, resources: {memory: 1Gi}}")
    .replace("  dev: {version: v1}\n", "  two: {version: v1}\n  first:\n    version: v1\n")
    .replace("versions:", "scaling: {min: 2, max: 2}\nversions:")
)
TALKER = (
    MODEL.replace("churn", "talker")
    .replace("{format: sklearn}", "{backend: kserve-llm, resources: {cpu: 2, memory: 8Gi}}")
    .replace("gs://models/talker/", "hf://models/talker-")
    .replace("  dev:", "  talk:")
    .replace("versions:", "scaling: {min: 2, max: 2}\nversions:")
)
SHOPPER = MODEL.replace("churn", "shopper").replace("  dev:", "  later:")
FLEET: dict[str, str | bytes] = {
    **{f"environments/{name}.yaml": text for name, text in ENVIRONMENTS.items()},
    "models/churn.yaml": CHURN,
    "models/basket.yaml": BASKET,
    "models/scorer.yaml": SCORER,
    "models/pair.yaml": PAIR,
    "models/ranker.yaml": RANKER,
    "models/talker.yaml": TALKER,
    "models/shopper.yaml": SHOPPER,
}
LIVE = {
    "churn": ("dev", "alone", "prod"),
    "basket": ("dev", "prod"),
    "scorer": ("dev", "prod"),
    "pair": ("prod",),
    "ranker": ("two", "first"),
    "talker": ("talk",),
    "shopper": ("later",),
}

_judge = cache(Judge)


@pytest.fixture(autouse=True)
def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the person's own Git out; compile the schemas of objects once."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.com")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setattr(subjects, "Judge", lambda kubernetes, _: _judge(kubernetes))


class Clone:
    """A repository of models under Git, and its own cache, which grows warm."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._fresh = 0

    def git(self, *arguments: str) -> str:
        """Run git. Raises CalledProcessError."""
        done = subprocess.run(
            ["git", *arguments], cwd=self.root, capture_output=True, text=True, check=True
        )
        return done.stdout

    def is_done(self, *arguments: str) -> bool:
        """Run git and say whether it did what it should."""
        done = subprocess.run(["git", *arguments], cwd=self.root, capture_output=True, check=False)
        return not done.returncode

    def gen(self, *command: str) -> Ran:
        return gen(*command, root=self.root)

    def render(self) -> str:
        """Render what there is, by what the cache knows, and return what is told."""
        ran = self.gen("render")
        assert ran.code == 0, ran.err
        return ran.out

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)

    def everything(self) -> dict[str, bytes]:
        return read_tree(self.root, (*SPECS, *OUTPUT))

    def from_scratch(self) -> dict[str, bytes]:
        """Render the specs alone, somewhere else, with nothing in the cache."""
        self._fresh += 1
        other = self.root.parent / f"fresh-{self._fresh}"
        for folder in SPECS:
            shutil.copytree(self.root / folder, other / folder)
        assert gen("render", root=other).code == 0
        return read_tree(other, (*SPECS, *OUTPUT))

    def cloned(self) -> Clone:
        """Clone what is committed."""
        self._fresh += 1
        name = f"clone-{self._fresh}"
        subprocess.run(["git", "clone", "-q", self.root, name], cwd=self.root.parent, check=True)
        return Clone(self.root.parent / name)

    def is_clean(self) -> bool:
        return self.git("status", "--porcelain", "--ignored") == ""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fleet, rendered."""
    root = write_tree(tmp_path_factory.mktemp("fleet") / "repository", FLEET)
    assert gen("render", root=root).code == 0
    return root


@pytest.fixture
def clone(fleet: Path, tmp_path: Path) -> Clone:
    """The fleet, committed."""
    clone = Clone(tmp_path / "repository")
    shutil.copytree(fleet, clone.root)
    clone.git("init", "-q", "-b", "main")
    clone.commit("The fleet")
    return clone


# Commands


def promotions(chance: Random) -> Command:
    """Ask for a promotion in one of its forms, sensible or not."""
    version = ("--version", chance.choice(("v1", "v2", "v2", "v3")))
    source = ("--from", chance.choice(("dev", "prod", "alone")))
    traffic = ("--traffic", str(chance.choice((0, 5, 30, 100))))
    forms: tuple[Command, ...] = (
        *(version, (*version, *traffic), traffic) * 3,
        source,
        (*source, *traffic),
        (*version, "--next"),
        ("--next",),
        ("--finish",),
        ("--no-standby",),
        (*version, "--shadow"),
        ("--no-shadow",),
    )
    form = chance.choice(forms)
    keeps = "--no-standby" not in form and "shadow" not in form[-1] and chance.random() < 0.4
    return ("promote", *form, *(("--standby",) if keeps else ()))


def rollbacks(chance: Random) -> Command:
    to = ("--to", chance.choice(("v1", "v2", "v3")))
    return ("rollback", *(to if chance.random() < 0.4 else ()))


def commands(chance: Random) -> Iterator[Command]:
    """Ask for anything that makes a commit, of any model and environment."""
    added = Counter(dict.fromkeys(LIVE, 2))
    while True:
        model, dice = chance.choice(list(LIVE)), chance.random()
        if dice < 0.06:
            added[model] += 1
            number = added[model]
            what = ("--image", f"ghcr.io/example/scorer:1.0.{number}")
            if model not in ("scorer", "pair"):
                what = ("--uri", f"{'hf' if model == 'talker' else 'gs'}://models/{model}{number}")
            yield ("version", "add", model, f"v{number}", *what)
        elif dice < 0.09:
            version = f"v{chance.randint(1, added[model])}"
            yield ("version", "withdraw", model, version, "--reason", "leaks card numbers: #1")
        else:
            verb, *rest = (rollbacks if dice < 0.25 else promotions)(chance)
            if "--from" in rest:
                rest[rest.index("--from") + 1] = chance.choice(LIVE[model])
            yield (verb, model, "--env", chance.choice(LIVE[model]), *rest)


def made(clone: Clone, chance: Random, wanted: int) -> Iterator[Command]:
    """Run commands until so many of them have made a commit; the others change nothing."""
    asked, count = commands(chance), 0
    while count < wanted:
        command = next(asked)
        before, head = clone.everything(), clone.git("rev-parse", "HEAD")
        ran = clone.gen(*command, "--commit")
        assert ran.code in (0, 1, 2), (command, ran.err)
        if clone.git("rev-parse", "HEAD") == head:
            assert clone.everything() == before, command
            continue
        assert ran.code == 0
        count += 1
        yield command


def tier(fast: int, slow: int) -> list[object]:
    """Number walks: a few for every run, many for the slow one."""
    return [*range(fast), *(pytest.param(n, marks=pytest.mark.slow) for n in range(fast, slow))]


# One step, and back


@pytest.mark.parametrize("seed", tier(1, 12))
def test_a_revert_leads_back_to_the_byte(clone: Clone, seed: int) -> None:
    chance, kinds = Random(f"back {seed}"), Counter[str]()
    before = clone.everything()
    for command in made(clone, chance, 40 if seed else 7):
        kinds[command[0]] += 1
        assert clone.is_clean()
        after = clone.everything()
        clone.git("revert", "--no-edit", "HEAD")
        assert clone.everything() == before, command
        assert "nothing to change" in clone.render()
        leave_output_as_it_was(clone)
        assert clone.everything() == before, command
        clone.git("revert", "--no-edit", "HEAD")
        assert clone.everything() == after, command
        assert "nothing to change" in clone.render()
        before = after
    assert kinds["promote"]
    assert clone.from_scratch() == before


def leave_output_as_it_was(clone: Clone) -> None:
    """Take the specs of the revert and the output of what it reverts, and render."""
    clone.git("checkout", "--quiet", "--no-overlay", "HEAD^", "--", *OUTPUT)
    clone.render()
    clone.git("reset", "--quiet", "--mixed")
    assert clone.is_clean()


_ALL: list[Command] = [("--version", "v2", "--traffic", "5"), ("--traffic", "30")]
_KEPT: list[Command] = [("--finish", "--standby"), ("--no-standby",)]
_APART: dict[str, list[Command]] = {
    "pair prod": _KEPT,
    "ranker two": _KEPT,
    "ranker first": _KEPT,
    "talker talk": _KEPT,
    "shopper later": [("--finish",)],
}
FORMS: dict[str, tuple[list[Command], str]] = {
    "route, version": ([("--version", "v2")], "churn prod"),
    "route, canary": ([("--version", "v2", "--traffic", "0"), ("--traffic", "30")], "churn prod"),
    "route, steps": ([("--version", "v2", "--next"), ("--next",), ("--next",)], "churn prod"),
    "route, finish": (
        [("--version", "v2", "--traffic", "0"), ("--finish", "--standby"), ("--no-standby",)],
        "churn prod",
    ),
    "route, from": ([("--from", "prod", "--traffic", "0")], "basket dev"),
    "knative, version": ([("--version", "v2")], "churn dev"),
    "knative, canary": ([("--version", "v2", "--traffic", "5"), ("--traffic", "0")], "churn dev"),
    "knative, finish": ([("--version", "v2", "--next"), ("--finish",)], "churn dev"),
    "single, version": ([("--version", "v2")], "churn alone"),
    "single, from": ([("--from", "prod")], "basket dev"),
    "image, version": ([("--version", "v2")], "scorer prod"),
    **{f"{place}, canary": ([*_ALL, *rest], place) for place, rest in _APART.items()},
    **{
        f"{place}, shadow": ([("--version", "v2", "--shadow"), *_ALL, *_KEPT], place)
        for place in ("pair prod", "ranker two", "ranker first")
    },
}


_COVERED = (
    *("route, version", "route, from", "knative, version", "single, from"),
    *("pair prod, shadow", "ranker two, shadow"),
    *("knative, canary", "single, version", "ranker two, canary", "shopper later, canary"),
    *("knative, finish", "route, canary", "pair prod, canary", "ranker first, canary"),
)
"""Forms that other ones begin with, or that walks go all the time."""


@pytest.mark.parametrize(
    ("steps", "place"),
    [
        pytest.param(*form, id=name, marks=[pytest.mark.slow] if name in _COVERED else [])
        for name, form in FORMS.items()
    ],
)
def test_every_form_of_a_promotion_and_its_rollback_can_be_reverted(
    steps: list[Command], place: str, clone: Clone
) -> None:
    model, environment = place.split()
    states, commits = [clone.everything()], []
    verbs = [("promote", step) for step in steps] + [("rollback", ())]
    for verb, step in verbs:
        ran = clone.gen(verb, model, "--env", environment, *step, "--commit")
        if verb == "rollback" and ran.code:
            continue
        assert ran.code == 0, ran.err
        states.append(clone.everything())
        commits.append(clone.git("rev-parse", "HEAD").strip())
    assert len(commits) >= len(steps)
    for commit, state in zip(reversed(commits), reversed(states[:-1]), strict=True):
        clone.git("revert", "--no-edit", commit)
        assert clone.everything() == state
    assert "nothing to change" in clone.render()


# Out of order


@pytest.mark.parametrize("seed", tier(1, 12))
def test_a_revert_out_of_order_is_what_its_specs_say(clone: Clone, seed: int) -> None:
    chance, found = Random(f"order {seed}"), Counter[str]()
    for number, _ in enumerate(made(clone, chance, 40 if seed else 7)):
        if number % 2 == 0:
            by_hand(clone, chance)
        if number % 2:
            found[reverted(clone, chance)] += 1
            assert clone.is_clean()
            assert clone.gen("render", "--check").code == 0
    assert found["merged"]
    assert clone.from_scratch() == clone.everything()


def by_hand(clone: Clone, chance: Random) -> None:
    """Add or remove a line whose output has the other one's for a neighbour."""
    path = clone.root / "models" / "churn.yaml"
    text, (line, behind) = path.read_text(), chance.choice((ARGUMENT, VARIABLE))
    path.write_text(text.replace(line, "") if line in text else text.replace(behind, behind + line))
    clone.render()
    clone.commit("By hand")


def reverted(clone: Clone, chance: Random) -> str:
    """Revert any commit as the how-to says, and tell what came of it.

    A conflict in the output is solved by rendering. One in a spec is for people, and a spec that is
    refused is none that would be merged: both are given up.
    """
    commits = clone.git("rev-list", "--max-count", "8", "HEAD~1").split()[:-1]
    is_merged = clone.is_done("revert", "--no-commit", chance.choice(commits))
    if clone.git("diff", "--name-only", "--diff-filter=U", "--", *SPECS):
        return given_up(clone, "conflict")
    ran = clone.gen("render")
    if ran.code:
        assert ": error " in ran.err
        return given_up(clone, "refused")
    clone.commit("Revert")
    assert clone.from_scratch() == clone.everything()
    return "merged" if is_merged else "rendered"


def given_up(clone: Clone, why: str) -> str:
    clone.git("reset", "--quiet", "--hard")
    clone.git("clean", "--quiet", "-d", "--force")
    return why


# What Git does not know does not matter


@pytest.mark.parametrize("seed", tier(0, 6))
def test_a_fresh_clone_of_any_commit_renders_the_same(clone: Clone, seed: int) -> None:
    for number, command in enumerate(made(clone, Random(f"clone {seed}"), 20 if seed else 4)):
        if number % 3 == 0:
            fresh = clone.cloned()
            assert fresh.everything() == clone.everything()
            for folder in OUTPUT:
                shutil.rmtree(fresh.root / folder)
            fresh.render()
            assert fresh.everything() == clone.everything(), command
            assert fresh.is_clean()


@pytest.mark.slow
def test_a_cache_of_another_commit_changes_nothing(clone: Clone) -> None:
    states = [clone.everything()]
    for _ in made(clone, Random("cache"), 4):
        clone.render()
        states.append(clone.everything())
    for commit, state in enumerate(reversed(states)):
        clone.git("checkout", "--quiet", f"main~{commit}")
        clone.git("checkout", "--quiet", "--no-overlay", "main", "--", *OUTPUT)
        clone.render()
        assert clone.everything() == state
        clone.git("reset", "--quiet", "--hard")
        clone.git("clean", "--quiet", "-d", "--force")
