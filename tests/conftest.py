"""What several test modules share. A test that needs a program asks for the fixture of its name."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The repository itself: the first user of gen. Tests read it and never write to it."""
    return ROOT


@pytest.fixture(scope="session")
def kustomize() -> str:
    return _program("kustomize")


@pytest.fixture(scope="session")
def kubeconform() -> str:
    return _program("kubeconform")


@pytest.fixture(scope="session")
def promtool() -> str:
    """Prometheus's own tool, which no package registry has: there, or its tests are skipped."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not on PATH: install Prometheus")
    return found


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """A copy of the repository's specs, without any output, for a test to change and render."""
    for folder in ("models", "environments"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def _program(name: str) -> str:
    """Find a program, at the pinned version first. On CI it has to be there."""
    found = shutil.which(name, path=ROOT / ".tools" / "bin") or shutil.which(name)
    if found is None:
        reason = f"{name} is neither in .tools/bin nor on PATH: run `make tools`"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found
