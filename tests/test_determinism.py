"""The output is a function of the specs alone: same bytes from any machine, hash seed and order."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import MODEL, gen, read_tree, write_tree

from generator import pipeline

ROOT = Path(__file__).resolve().parents[1]
SPECS = ("models", "environments")


def specs(target: Path) -> Path:
    """Copy the repository's specs without their output."""
    for folder in SPECS:
        shutil.copytree(ROOT / folder, target / folder)
    return target


def rendered(root: Path) -> dict[str, bytes]:
    pipeline.apply(root)
    return read_tree(root)


def test_what_is_committed_is_what_is_rendered_now(tmp_path: Path) -> None:
    assert rendered(specs(tmp_path)) == read_tree(ROOT)


@pytest.mark.parametrize("seed", ["0", pytest.param("1", marks=pytest.mark.slow), "random"])
def test_hash_seed_does_not_matter(seed: str, tmp_path: Path) -> None:
    root = specs(tmp_path / "repository")
    environ = {**os.environ, "PYTHONHASHSEED": seed, "GEN_CACHE_DIR": f"{tmp_path}/cache"}
    command = [sys.executable, "-m", "generator", "render"]
    subprocess.run(command, cwd=root, env=environ, check=True, capture_output=True)
    assert read_tree(root) == read_tree(ROOT)


@pytest.mark.parametrize("seed", range(3))
def test_order_of_a_folder_does_not_matter(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = specs(tmp_path)
    in_order, shuffled = Path.iterdir, random.Random(seed)
    seen: list[list[Path]] = []

    def iterdir(path: Path) -> Iterator[Path]:
        entries = sorted(in_order(path))
        shuffled.shuffle(entries)
        seen.append(entries)
        return iter(entries)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    assert rendered(root) == read_tree(ROOT)
    assert any(entries != sorted(entries) for entries in seen)


def test_order_in_which_models_are_first_written_does_not_matter(tmp_path: Path) -> None:
    root = specs(tmp_path)
    for model in sorted((root / "models").iterdir(), reverse=True):
        assert gen("render", model.stem, root=root).code == 0
    assert gen("render", root=root).code == 0
    assert read_tree(root) == read_tree(ROOT)


def test_where_the_repository_lies_does_not_matter(tmp_path: Path) -> None:
    root = specs(tmp_path / "a folder" / "mit Ümlaut")
    assert gen("render", "--root", str(root), root=tmp_path).code == 0
    assert read_tree(root) == read_tree(ROOT)


def test_locale_zone_and_terminal_do_not_matter(tmp_path: Path) -> None:
    root = specs(tmp_path / "repository")
    strange = {"LC_ALL": "C", "TZ": "Pacific/Kiritimati", "COLUMNS": "20", "PYTHONUTF8": "0"}
    environ = {**os.environ, **strange, "GEN_CACHE_DIR": f"{tmp_path}/cache"}
    command = [sys.executable, "-m", "generator", "render"]
    subprocess.run(command, cwd=root, env=environ, check=True, capture_output=True)
    assert read_tree(root) == read_tree(ROOT)


def test_a_second_run_touches_no_file(tmp_path: Path) -> None:
    root = specs(tmp_path)
    rendered(root)
    before = {path: path.stat().st_mtime_ns for path in (root / "rendered").rglob("*")}
    outcome = pipeline.apply(root)
    assert outcome.changes.total == 0
    assert {path: path.stat().st_mtime_ns for path in (root / "rendered").rglob("*")} == before


def test_one_line_of_a_canary_moves_nothing_but_its_traffic(tmp_path: Path) -> None:
    root = specs(tmp_path)
    before, path = rendered(root), root / "models/fraud-detector.yaml"
    path.write_text(path.read_text().replace("traffic: 10", "traffic: 25"))
    after = rendered(root)
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert changed == {"rendered/production/fraud-detector/http-route.yaml"}
    (name,) = changed
    pairs = zip(before[name].splitlines(), after[name].splitlines(), strict=True)
    assert [pair for pair in pairs if pair[0] != pair[1]] == [
        (b"          weight: 90", b"          weight: 75"),
        (b"          weight: 10", b"          weight: 25"),
    ]


def test_going_back_gives_back_the_same_bytes(tmp_path: Path) -> None:
    root = specs(tmp_path)
    before = rendered(root)
    write_tree(root, {"models/basket.yaml": MODEL.replace("churn", "basket")})
    assert rendered(root) != before
    (root / "models/basket.yaml").unlink()
    assert rendered(root) == before


def test_the_cache_does_not_matter(tmp_path: Path) -> None:
    root = specs(tmp_path / "repository")
    for _ in range(2):
        assert gen("render", root=root).code == 0
        assert read_tree(root) == read_tree(ROOT)
    change = root / "models/customer-churn.yaml"
    change.write_text(change.read_text().replace("max: 4", "max: 5"))
    assert gen("render", root=root).code == 0
    assert gen("render", "--check", root=root).code == 0
