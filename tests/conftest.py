"""What several test modules share. A test that needs a program asks for the fixture of its name."""

from __future__ import annotations

import gc
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from generator.__main__ import GARBAGE

ROOT = Path(__file__).resolve().parents[1]

# Of what is generated, every run tries some, and `make test-slow` many: see `tries` in helpers.py.
# A machine that stands still for a second is no fault of what is generated.
_ANY_SPEED = [HealthCheck.too_slow]
settings.register_profile("few", max_examples=25, suppress_health_check=_ANY_SPEED)
settings.register_profile("many", max_examples=100, suppress_health_check=_ANY_SPEED)
settings.load_profile("few")

MEMORY = Path("/dev/shm")
ROOM = 1 << 31


def pytest_configure() -> None:
    """Let the tests write to memory, where there is enough: it takes half as long as on a disk."""
    if _has_room():
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
    gc.disable()


def _has_room() -> bool:
    """Say whether there is memory to write to, and to run programs from: containers forbid it."""
    if not os.access(MEMORY, os.W_OK | os.X_OK):
        return False
    found = os.statvfs(MEMORY)
    return found.f_bavail * found.f_frsize > ROOM and not found.f_flag & os.ST_NOEXEC


def pytest_collection_finish() -> None:
    """Keep the thousands of tests out of every search for garbage: they stay to the end."""
    gc.freeze()
    gc.set_threshold(GARBAGE)
    gc.enable()


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
