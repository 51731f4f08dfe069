"""One run of one command: how long, how much processor time, and how much memory.

A small launcher starts the command and waits for it, so that neither the start of the launcher nor
the memory of this process is in the numbers: the peak of a child cannot be told below its parent's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_LAUNCHER = """
import json, os, sys, time
argv, folder, log, processors = json.loads(sys.argv[1])
os.chdir(folder)
if processors and hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:processors])
output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
actions = [(os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)]
start = time.perf_counter()
process = os.posix_spawnp(argv[0], argv, os.environ, file_actions=actions)
_, status, usage = os.wait4(process, 0)
seconds = time.perf_counter() - start
code = os.waitstatus_to_exitcode(status)
print(json.dumps([seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, code]))
"""
_UNSET = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONHASHSEED", "MAKEFLAGS", "MAKELEVEL")
_KIB = 1024 if sys.platform == "darwin" else 1
"""What `ru_maxrss` counts, in units of its own on macOS."""


class RunError(Exception):
    """A command ended with another exit code than 0; the end of what it printed is the message."""


@dataclass(frozen=True, slots=True)
class Command:
    """What to run, and where; `environment` is added to this process's own.

    With `processors`, the command has so many and no more.
    """

    argv: Sequence[str]
    folder: Path = field(default_factory=Path.cwd)
    environment: Mapping[str, str] = field(default_factory=dict)
    processors: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """What one run took: seconds, processor seconds of all its processes, MiB of the largest."""

    seconds: float
    cpu: float
    peak: float

    def times(self, factor: float) -> Run:
        """Scale the times of a sample to the whole; its peak is the whole's."""
        return Run(self.seconds * factor, self.cpu * factor, self.peak)


def measure(command: Command, log: Path) -> Run:
    """Run a command; what it prints goes to `log`. Raises RunError unless it ends well."""
    environment = {key: value for key, value in os.environ.items() if key not in _UNSET}
    environment |= {"NO_COLOR": "1", **command.environment}
    arguments = json.dumps([list(command.argv), str(command.folder), str(log), command.processors])
    launched = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _LAUNCHER, arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if launched.returncode:
        raise RunError(launched.stderr.strip().rpartition("\n")[2])
    seconds, cpu, peak, code = json.loads(launched.stdout)
    if code:
        raise RunError(f"exit code {code}: {_end(log)}")
    return Run(seconds, cpu, peak / _KIB / 1024)


def _end(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    return " | ".join(lines[-3:])[-300:]
