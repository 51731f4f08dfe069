"""What the tests of the command line and of whole repositories share."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import settings

from generator import cli
from generator.problems import GenError, Problem, Where
from generator.reports import reporting

OUTPUT = ("rendered", "argocd")

ENVIRONMENT = """\
name: dev
namespace: ml-dev
cluster: {server: https://dev.example.com, kubernetes: "1.35"}
platform:
  kserve: {version: "0.20", mode: Knative}
argocd: {repoURL: https://github.com/example/ml-models, project: ml}
"""
MODEL = """\
name: churn
owner: growth
description: Predicts who leaves.
serving: {format: sklearn}
versions:
  v1: {uri: gs://models/churn/1}
  v2: {uri: gs://models/churn/2}
environments:
  dev: {version: v1}
"""


def write_tree(root: Path, files: dict[str, str | bytes]) -> Path:
    """Write files below a folder, and return it."""
    for path, content in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def read_tree(root: Path, folders: Sequence[str] = OUTPUT) -> dict[str, bytes]:
    """Read every file below some folders of a root, links and hidden files included."""
    files = (path for folder in folders for path in (root / folder).rglob("*"))
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in files if path.is_file()
    }


def problems_of(run: Callable[[], object]) -> tuple[Problem, ...]:
    """Run something that should refuse, and return why it does; empty if it does not."""
    try:
        run()
    except GenError as error:
        return error.problems
    return ()


def told(problems: Sequence[Problem], root: Path) -> str:
    """Show problems as the command line does, without colour."""

    def line(where: Where) -> str:
        path = root / where.file
        text = path.read_text("utf-8-sig", errors="replace") if path.is_file() else ""
        return "".join(text.split("\n")[where.line - 1 : where.line]) if where.line else ""

    return reporting.problems_text(problems, line) + "\n"


@dataclass(frozen=True)
class Ran:
    """What a command did: its exit code and what it printed."""

    code: int
    out: str
    err: str


def gen(*arguments: str, root: Path, **environ: str) -> Ran:
    """Run gen in this process, in a folder, with a cache of its own and no terminal."""
    streams = [io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2)]
    with (
        contextlib.chdir(root),
        contextlib.redirect_stdout(streams[0]),
        contextlib.redirect_stderr(streams[1]),
        mock.patch.object(sys, "argv", ["gen", *arguments]),
        mock.patch.dict(os.environ, {"GEN_CACHE_DIR": f"{root}.cache", **environ}),
    ):
        code = _exit_code()
    out, err = (_content(stream) for stream in streams)
    return Ran(code, out, err)


def _exit_code() -> int:
    try:
        cli.run()
    except SystemExit as leaving:
        return int(leaving.code or 0)
    raise AssertionError("the command did not end with an exit code")


def _content(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()


def sampled(values: Sequence[Any], every: int) -> list[Any]:
    """Leave all but each so-many-th value to the slow tests."""
    return [
        pytest.param(value, marks=[pytest.mark.slow] if place % every else [])
        for place, value in enumerate(values)
    ]


def tries(many: int) -> int:
    """Say how many examples to try: many beside the slow tests, a quarter of them else."""
    return many if settings.get_current_profile_name() == "many" else many // 4
