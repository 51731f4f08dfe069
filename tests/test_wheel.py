"""The wheel is complete: installed somewhere else, it renders what the repository renders."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from generator import __version__

pytestmark = pytest.mark.slow

PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]


@pytest.fixture(scope="module")
def wheel(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [*PIP, "wheel", "--no-deps", "--no-build-isolation", f"--wheel-dir={folder}", repository],
        check=True,
    )
    (wheel,) = folder.iterdir()
    return wheel


@pytest.fixture(scope="module")
def gen(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into an environment of its own that borrows the dependencies of this one.

    A path in a .pth file is not searched for .pth files: an editable gen stays out.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    subprocess.run([*PIP, "--python", python, "install", "--no-deps", wheel], check=True)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    (site_packages / "borrowed.pth").write_text(sysconfig.get_path("purelib"), "utf-8")
    return folder / "bin" / "gen"


def files(root: Path) -> dict[str, str]:
    paths = (path for folder in ("rendered", "argocd") for path in (root / folder).rglob("*.yaml"))
    return {path.relative_to(root).as_posix(): path.read_text("utf-8") for path in paths}


def test_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()

    assert {name.split("/")[0] for name in names} == {
        "generator",
        f"gen_manifests-{__version__}.dist-info",
    }
    assert not [name for name in names if name.endswith(".pyc")]


def test_begins_a_repository_that_it_renders(gen: Path, tmp_path: Path) -> None:
    runners = [f"--ci={runner}" for runner in ("github", "gitlab", "pre-commit")]
    subprocess.run([gen, "init", "new", *runners], check=True, cwd=tmp_path)
    subprocess.run([gen, "render"], check=True, cwd=tmp_path / "new")
    assert files(tmp_path / "new")


def test_says_its_version_and_renders_what_is_committed(
    gen: Path, fleet: Path, repository: Path
) -> None:
    elsewhere = fleet / "models"

    said = subprocess.check_output([gen, "--version"], text=True, cwd=elsewhere)
    subprocess.run([gen, "render", "--root", fleet], check=True, cwd=elsewhere)

    assert said == f"gen {__version__}\n"
    assert files(fleet) == files(repository)
