"""The programs of others: those that are there, and environments for those that are not.

Environments are made once, below `.cache/bench/tools`, from the registries of Python and of Node.
What cannot be had is skipped with the reason.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "bench"
_TOOLS = CACHE / "tools"
_MADE = "made"
_PIP = ("--quiet", "--disable-pip-version-check", "--no-input")
_NPM = ("--silent", "--no-audit", "--no-fund")


class MissingError(Exception):
    """A tool cannot be had; the message says why."""


@dataclass(frozen=True, slots=True)
class Packages:
    """Packages of a registry, pinned, that make one environment."""

    name: str
    registry: str
    pinned: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Where the environment is."""
        return _TOOLS / self.name

    def program(self, name: str) -> str:
        """Name a program of a Python environment."""
        return str(self.folder / "bin" / name)


KAPITAN = Packages("kapitan", "python", ("kapitan==0.36.3", "rapidyaml==0.15.2"))
HELM = Packages("helm", "python", ("helm-python-sdk==0.2.2", "pyyaml==6.0.3"))
JSONNET = Packages("jsonnet", "python", ("rjsonnet==0.5.6", "pyyaml==6.0.3"))
CDK8S = Packages("cdk8s", "node", ("cdk8s@2.70.106", "constructs@10.8.1", "yaml@2.9.1"))


def ensure(packages: Packages) -> None:
    """Make an environment unless it is there. Raises MissingError."""
    marker = packages.folder / _MADE
    made = "\n".join((sys.version, str(packages.folder), *packages.pinned))
    if marker.is_file() and marker.read_text("utf-8") == made:
        return
    shutil.rmtree(packages.folder, ignore_errors=True)
    packages.folder.mkdir(parents=True)
    if packages.registry == "python":
        _run(sys.executable, "-m", "venv", str(packages.folder))
        _run(packages.program("python"), "-m", "pip", "install", *_PIP, *packages.pinned)
    else:
        prefix = ("--prefix", str(packages.folder))
        _run(found("npm"), "install", *_NPM, *prefix, *packages.pinned)
    marker.write_text(made, "utf-8")


def _run(*argv: str) -> None:
    ended = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if ended.returncode:
        lines = ended.stdout.decode("utf-8", "replace").strip().splitlines()
        raise MissingError(f"{Path(argv[0]).name} failed: {lines[-1] if lines else 'no word'}")


def found(program: str) -> str:
    """Find a program beside this Python, in .tools/bin or on PATH. Raises MissingError."""
    folders = (str(Path(sys.executable).parent), str(ROOT / ".tools" / "bin"))
    path = os.pathsep.join((*folders, os.environ.get("PATH", os.defpath)))
    place = shutil.which(program, path=path)
    if place is None:
        raise MissingError(f"there is no {program} in .tools/bin nor on PATH")
    return place
