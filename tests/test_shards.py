"""A fleet in parts: deterministic, complete, disjoint, and together the whole."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from generator import pipeline
from generator.subjects import Selection, Shard


@given(st.text(), st.sampled_from(["model", "environment"]), st.integers(1, 50))
@settings(derandomize=True)
def test_every_subject_is_in_exactly_one_part(name: str, kind: str, count: int) -> None:
    parts = [index for index in range(1, count + 1) if Shard(index, count).has(kind, name)]

    assert len(parts) == 1


def _tree(root: Path) -> dict[str, bytes]:
    files = (path for folder in ("rendered", "argocd") for path in (root / folder).rglob("*.yaml"))
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def test_the_parts_together_are_what_one_run_writes(fleet: Path, repository: Path) -> None:
    for index in (1, 2, 3):
        pipeline.apply(fleet, Selection(shard=Shard(index, 3)))

    assert _tree(fleet) == _tree(repository)


def test_the_parts_share_no_file(fleet: Path) -> None:
    counts = []
    for index in (1, 2, 3):
        outcome = pipeline.compare(fleet, Selection(shard=Shard(index, 3)))
        counts.append(outcome.changes.total)

    assert sum(counts) == pipeline.compare(fleet).changes.total


def test_a_part_deletes_its_own_leftovers_alone(fleet: Path) -> None:
    pipeline.apply(fleet)
    (fleet / "models" / "qwen-llm.yaml").unlink()

    owner = next(index for index in (1, 2, 3) if Shard(index, 3).has("model", "qwen-llm"))
    for index in (1, 2, 3):
        outcome = pipeline.apply(fleet, Selection(shard=Shard(index, 3)))
        assert bool(outcome.changes.counts["delete"]) is (index == owner)
    assert not list(fleet.rglob("qwen-llm*"))
