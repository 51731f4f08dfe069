"""What a run remembers of the last one, looked at by one process or by several."""

from __future__ import annotations

import os
import time
from contextlib import closing
from pathlib import Path

import pytest

from generator import state
from generator.digests import digest
from generator.state import Memory, Proof

COUNT = 3 * state._WORTH_A_FORK
DOCUMENTS = [f"models/m{number}.yaml" for number in range(COUNT)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a repository of many models with a file each, all of which a run has proved."""
    root = tmp_path / "repository"
    (root / "models").mkdir(parents=True)
    (root / "environments").mkdir()
    with closing(memory(root)) as last:
        for document in DOCUMENTS:
            (root / document).write_text(f"name: {Path(document).stem}\n", "utf-8")
            last.remember(document, _proved(root, last, document))
        last.save()
    return root


def memory(root: Path) -> Memory:
    return Memory(root, root.parent / "cache", "2026-01-01")


def _proved(root: Path, memory: Memory, document: str) -> Proof:
    name = Path(document).stem
    file = root / f"rendered/dev/{name}/a.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(f"of {name}\n", "utf-8")
    layout = state.layout([f"rendered/dev/{name}/a.yaml"], name)
    output = digest([file.read_bytes()])
    return Proof(memory.source(document), output, layout, 1, 1, 0, state.entries(layout), b"")


@pytest.fixture(params=[1, 2, 4])
def jobs(request: pytest.FixtureRequest) -> int:
    found: int = request.param
    return found


def test_what_has_not_changed_is_summed_up(root: Path, jobs: int) -> None:
    with closing(memory(root)) as now:
        summary = now.unchanged(jobs)
    assert summary is not None
    assert (summary.releases, summary.files) == (COUNT, COUNT)


def test_what_has_changed_is_not_proven(root: Path, jobs: int) -> None:
    (root / "models/m7.yaml").write_text("name: m7\nowner: me\n", "utf-8")
    (root / "rendered/dev/m8/a.yaml").write_text("of somebody else\n", "utf-8")
    (root / "rendered/dev/m9/a.yaml").unlink()
    (root / "rendered/dev/m10/b.yaml").write_text("one more\n", "utf-8")
    with closing(memory(root)) as now:
        assert now.unchanged(jobs) is None
        found = now.proven([*DOCUMENTS, "models/new.yaml"], jobs)
    changed = {f"models/m{number}.yaml" for number in (7, 8, 9, 10)}
    assert list(found) == [document for document in DOCUMENTS if document not in changed]


def test_what_a_helper_took_that_died_is_not_proven(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent, intact = os.getpid(), state.is_intact

    def look(root: str, name: str, proof: Proof) -> bool:
        if os.getpid() != parent:
            os._exit(1)
        time.sleep(0.001)
        return intact(root, name, proof)

    monkeypatch.setattr(state, "is_intact", look)
    with closing(memory(root)) as now:
        found = now.proven(DOCUMENTS, 2)
    assert COUNT - state._PART <= len(found) < COUNT


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    started: list[int] = []
    fork = os.fork

    def counted() -> int:
        process = fork()
        started.append(process)
        return process

    monkeypatch.setattr(os, "fork", counted)
    return started


def test_nobody_goes_on_to_look_for_a_run_that_has_ended(
    root: Path, forked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "is_intact", lambda *_: time.sleep(20))
    with closing(memory(root)) as now:
        now.begin(3)
    assert len(forked) == 2
    for process in forked:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_many_processors_are_no_reason_for_many_helpers(root: Path, forked: list[int]) -> None:
    with closing(memory(root)) as now:
        assert now.unchanged(64) is not None
    assert len(forked) == COUNT // state._WORTH_A_FORK
