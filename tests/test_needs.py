"""Graphs and the models that they lead to: what one document says of another, on every run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import problems_of, read_tree

from generator import pipeline
from generator.problems import Problem
from generator.queues import demand
from generator.queues.demand import Demand
from generator.state import Memory
from generator.subjects import Selection, Shard

CASES = Path(__file__).parent / "cases" / "valid"

Change = Callable[[Path], object]


def _without(model: str) -> Change:
    return lambda root: (root / "models" / f"{model}.yaml").unlink()


def _not_live(model: str, environment: str) -> Change:
    def change(root: Path) -> None:
        path = root / "models" / f"{model}.yaml"
        lines = path.read_text().splitlines(keepends=True)
        kept = [line for line in lines if not line.startswith(f"  {environment}:")]
        path.write_text("".join(kept))

    return change


def _replaced(model: str, old: str, new: str) -> Change:
    def change(root: Path) -> None:
        path = root / "models" / f"{model}.yaml"
        path.write_text(path.read_text().replace(old, new))

    return change


CHANGES = {
    "a model is gone": (_without("limits"), "E301"),
    "a model is live elsewhere": (_not_live("breeds", "prod"), "I040"),
    "a model answers otherwise": (_replaced("limits", "sklearn", "mlflow"), "I041"),
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Copy a repository with a graph over five models."""
    ignored = shutil.ignore_patterns("expected", "problems.txt")
    return Path(shutil.copytree(CASES / "everything-graph", tmp_path / "r", ignore=ignored))


def _problems(root: Path, cache: Path) -> tuple[Problem, ...]:
    return problems_of(lambda: pipeline.apply_locked(root, memory=Memory(root, cache, "")))


@pytest.mark.parametrize("what", CHANGES)
def test_a_graph_that_has_not_changed_is_told_what_it_misses(
    what: str, repository: Path, tmp_path: Path
) -> None:
    change, code = CHANGES[what]
    assert _problems(repository, tmp_path) == ()
    before = read_tree(repository)
    change(repository)
    found = _problems(repository, tmp_path)
    assert {problem.code for problem in found} == {code}
    assert {problem.where.file for problem in found} == {"models/checks.yaml"}
    assert found == _problems(repository, tmp_path / "empty"), "with a state and without"
    assert read_tree(repository).keys() == before.keys(), "nothing is written"


def test_what_is_mended_is_forgotten(repository: Path, tmp_path: Path) -> None:
    path = repository / "models" / "limits.yaml"
    text = path.read_text()
    assert _problems(repository, tmp_path) == ()
    path.unlink()
    assert _problems(repository, tmp_path) != ()
    path.write_text(text)
    assert _problems(repository, tmp_path) == ()


def test_a_model_with_a_mistake_is_told_of_once(repository: Path, tmp_path: Path) -> None:
    _replaced("limits", "sklearn", "no-format")(repository)
    found = _problems(repository, tmp_path)
    assert [problem.where.file for problem in found] == ["models/limits.yaml"]


_HALVES = (Shard(1, 2), Shard(2, 2))
PARTS = {
    "model": Selection(models=("checks",)),
    "environment": Selection(environments=("prod",)),
    "shard": Selection(shard=next(each for each in _HALVES if each.has("model", "checks"))),
}


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_the_fleet_is_told_what_it_misses(part: str, what: str, repository: Path) -> None:
    change, code = CHANGES[what]
    change(repository)
    found = problems_of(lambda: pipeline.everything(repository, PARTS[part]))
    assert {problem.code for problem in found} == {code}
    assert {problem.where.file for problem in found} == {"models/checks.yaml"}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_the_fleet_needs_nothing_that_is_there(part: str, repository: Path) -> None:
    assert problems_of(lambda: pipeline.everything(repository, PARTS[part])) == ()


def test_a_part_says_nothing_of_the_mistakes_of_others(repository: Path) -> None:
    _replaced("limits", "sklearn", "no-format")(repository)
    assert problems_of(lambda: pipeline.everything(repository, PARTS["model"])) == ()


def test_a_part_says_nothing_of_what_others_need(repository: Path) -> None:
    _not_live("breeds", "prod")(repository)
    breeds = Selection(models=("breeds",))
    assert problems_of(lambda: pipeline.everything(repository, breeds)) == ()


def test_a_promotion_of_a_model_changes_nothing_of_the_graph(repository: Path) -> None:
    pipeline.apply(repository)
    old = "prod: {version: v1, canary: {version: v2, traffic: 10}}"
    _replaced("limits", old, "prod: {version: v2}")(repository)
    changed = pipeline.compare(repository, texts=True).changes.listed
    assert changed
    assert all("/limits/" in change.path or "limits.yaml" in change.path for change in changed)


def _demands(case: str, model: str, environment: str) -> tuple[Demand, ...]:
    releases = pipeline.releases(CASES / case)
    (release,) = (
        each for each in releases if each.model == model and each.environment.name == environment
    )
    return demand.all_of(release)


def test_what_stands_beside_a_predictor_counts_too() -> None:
    (asked,) = _demands("everything-kserve", "loans", "prod")
    cores = [(pods.version, pods.cpu, pods.minimum, pods.maximum) for pods in asked.pods]
    models = [("v1", 1100, 2, 4), ("v2", 1100, 1, 4), ("v3", 1100, 2, 4)]  # with the agent
    beside = [(500, 2, 6), (2000, 1, 2)]
    others = [(version, *pods) for version in ("v1", "v2", "v3") for pods in beside]
    assert cores == [*models, *others]


def test_a_router_counts_too() -> None:
    (asked,) = _demands("everything-graph", "checks", "prod")
    assert [(pods.cpu, pods.minimum, pods.maximum) for pods in asked.pods] == [(200, 2, 4)]
