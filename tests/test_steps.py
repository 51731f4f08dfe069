"""Changes: daily work passes without a word, and a base that is wrong blocks nobody."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path

import pytest
from helpers import ENVIRONMENT, MODEL, problems_of, write_tree

from generator import load, pipeline, subjects
from generator.check import Judge
from generator.problems import Problem, errors
from generator.revisions import steps

STEADY = "policy: {minReplicas: 2}\n"
PROD = """\
name: prod
namespace: ml-prod
cluster: {server: https://prod.example.com, kubernetes: "1.35"}
platform:
  kserve:
    version: "0.20"
    mode: Standard
    gateway: {name: public, namespace: gateways}
    domain: models.example.com
argocd: {repoURL: https://github.com/example/ml-models, project: ml-prod}
policy: {minReplicas: 2}
"""
LIVE = "  prod: {version: v1, scaling: {min: 2, max: 5}}\n"
FILES = {
    "environments/dev.yaml": ENVIRONMENT,
    "environments/prod.yaml": PROD,
    "models/churn.yaml": MODEL + LIVE,
    "models/basket.yaml": MODEL.replace("churn", "basket") + LIVE,
}


_judge = cache(Judge)


@pytest.fixture(autouse=True)
def schemas_are_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling the schemas of objects takes longer than all else that a test does."""
    monkeypatch.setattr(subjects, "Judge", lambda kubernetes, _: _judge(kubernetes))


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "base", dict(FILES))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "now", dict(FILES))


def change(root: Path, path: str, before: str, after: str) -> None:
    text = (root / path).read_text()
    assert before in text
    (root / path).write_text(text.replace(before, after))


def told(root: Path, base: Path | None = None) -> list[Problem]:
    warnings: list[Problem] = []
    refused = problems_of(lambda: warnings.extend(pipeline.everything(root, base=base).warnings))
    return list(refused or warnings)


def found(root: Path, base: Path) -> list[Problem]:
    """Check a change, and leave out what would be told of the tree alone."""
    alone = told(root)
    assert not errors(alone), alone
    return [problem for problem in told(root, base) if problem not in alone]


def codes(root: Path, base: Path) -> list[str]:
    return [problem.code for problem in found(root, base)]


STEPS = (
    "{version: v1, canary: {version: v2, traffic: 0}, scaling: {min: 2, max: 5}}",
    "{version: v1, canary: {version: v2, traffic: 10}, scaling: {min: 2, max: 5}}",
    "{version: v1, canary: {version: v2, traffic: 50}, scaling: {min: 2, max: 9}}",
    "{version: v2, standby: v1, scaling: {min: 2, max: 9}}",
    "{version: v2, scaling: {min: 2, max: 9}}",
    "{version: v2, standby: v1, scaling: {min: 2, max: 9}}",
    "{version: v1, standby: v2, scaling: {min: 2, max: 9}}",
)


@pytest.mark.parametrize("step", range(len(STEPS) - 1))
def test_every_step_of_the_recipe_passes(base: Path, root: Path, step: int) -> None:
    change(base, "models/churn.yaml", "{version: v1, scaling: {min: 2, max: 5}}", STEPS[step])
    change(root, "models/churn.yaml", "{version: v1, scaling: {min: 2, max: 5}}", STEPS[step + 1])
    assert found(root, base) == []


@pytest.mark.parametrize("step", [1, 2])
def test_dropping_a_canary_passes(base: Path, root: Path, step: int) -> None:
    change(base, "models/churn.yaml", "{version: v1, scaling: {min: 2, max: 5}}", STEPS[step])
    change(root, "models/churn.yaml", "max: 5", "max: 6")
    assert found(root, base) == []


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("models/churn.yaml", "  v2:", "  v3: {uri: gs://models/churn/3}\n  v2:"),
        ("models/churn.yaml", "owner: growth", "owner: retention"),
        ("models/churn.yaml", "Predicts who leaves", "Says who leaves"),
        ("models/churn.yaml", "  prod:", "  # why not\n  prod:"),
        ("models/churn.yaml", "{version: v1}", "{version: v2}"),
        ("models/churn.yaml", "{version: v1}", "{version: v1, serving: {env: {A: b}}}"),
        ("environments/prod.yaml", "minReplicas: 2", "minReplicas: 1"),
        ("environments/prod.yaml", "minReplicas: 2", "minReplicas: 2, scaleToZero: false"),
        ("environments/prod.yaml", "argocd:", "flavors: {cpu: {nodes: 4}}\nargocd:"),
    ],
)
def test_daily_work_passes(base: Path, root: Path, path: str, before: str, after: str) -> None:
    change(root, path, before, after)
    assert found(root, base) == []


def test_new_models_and_environments_pass(base: Path, root: Path) -> None:
    stage = PROD.replace("prod", "stage")
    stage_model = MODEL.replace("churn", "fraud") + LIVE + LIVE.replace("prod", "stage")
    write_tree(root, {"environments/stage.yaml": stage, "models/fraud.yaml": stage_model})
    change(root, "models/churn.yaml", LIVE, LIVE + LIVE.replace("prod", "stage"))
    assert found(root, base) == []


def test_first_commit_passes(root: Path, tmp_path: Path) -> None:
    assert found(root, tmp_path / "nothing") == []


# A base that is wrong


@pytest.mark.parametrize("text", ["", "name: [", "name: churn\n", "\0"])
def test_model_that_was_wrong_is_not_compared(base: Path, root: Path, text: str) -> None:
    write_tree(base, {"models/churn.yaml": text})
    change(root, "models/churn.yaml", "churn/1", "churn/1b")
    assert found(root, base) == []


def test_environment_that_was_wrong_hides_nothing_of_the_others(base: Path, root: Path) -> None:
    write_tree(base, {"environments/dev.yaml": "name: dev\n"})
    change(root, "models/churn.yaml", "{version: v1, scaling", "{version: v2, scaling")
    change(root, "models/churn.yaml", "dev: {version: v1}", "dev: {version: v2}")
    assert codes(root, base) == ["R006"]


def test_links_of_the_base_are_not_followed(base: Path, root: Path, tmp_path: Path) -> None:
    edited = (root / "models/churn.yaml").read_text().replace("churn/1", "churn/1b")
    write_tree(tmp_path, {"outside.yaml": edited})
    (base / "models/churn.yaml").unlink()
    (base / "models/churn.yaml").symlink_to(tmp_path / "outside.yaml")
    assert found(root, base) == []


def test_what_is_wrong_now_is_told_alone(base: Path, root: Path) -> None:
    change(root, "models/churn.yaml", "churn/1", "churn/1b")
    change(root, "models/churn.yaml", "owner", "onwer")
    assert {problem.code for problem in told(root, base)} == {"E201"}


# Silences


SILENT = 'silence: {R006: {reason: "nobody calls it before June"}}\n'


def test_silence_of_a_change(base: Path, root: Path) -> None:
    change(root, "models/churn.yaml", "{version: v1, scaling", "{version: v2, scaling")
    assert codes(root, base) == ["R006"]
    write_tree(root, {"models/churn.yaml": (root / "models/churn.yaml").read_text() + SILENT})
    assert found(root, base) == []
    assert pipeline.everything(root, base=base).silenced == 1


def test_silence_of_a_change_is_needless_only_where_the_model_changes(
    base: Path, root: Path
) -> None:
    for tree in (base, root):
        write_tree(tree, {"models/churn.yaml": FILES["models/churn.yaml"] + SILENT})
    assert "E306" not in {problem.code for problem in told(root)}
    assert found(root, base) == []
    change(root, "models/churn.yaml", "owner: growth", "owner: retention")
    assert codes(root, base) == ["E306"]


# What is not as it was, and nothing else, is looked at


def test_unchanged_models_are_not_read(
    base: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(root, "models/churn.yaml", "owner: growth", "owner: retention")
    releases = pipeline.releases(root)
    environments = {release.environment.name: release.environment for release in releases}
    compared = steps.Base(base, root, environments)
    read: list[str] = []

    def document(root: Path, kind: str, path: Path) -> object:
        read.append(path.name)
        return original(root, kind, path)

    original = load.document
    monkeypatch.setattr(load, "document", document)
    for release in releases:
        read.clear()
        compared.of_model(release.document, [release])
        assert read == (["churn.yaml"] if release.model == "churn" else [])


def test_environments_of_a_removed_model_are_one_warning(base: Path, root: Path) -> None:
    (root / "models/churn.yaml").unlink()
    (problem,) = found(root, base)
    assert (problem.code, problem.about) == ("R017", "dev, and 1 more")


def test_the_repository_is_as_it_was(repository: Path, tmp_path: Path) -> None:
    for folder in ("models", "environments"):
        shutil.copytree(repository / folder, tmp_path / folder)
    alone = pipeline.everything(repository).warnings
    assert pipeline.everything(repository, base=tmp_path).warnings == alone
