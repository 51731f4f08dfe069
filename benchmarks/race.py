"""Rounds in which every contender runs once, so that a machine that drifts hits all alike.

Every run writes into folders that nobody has made before, and nothing is deleted until the end:
deleting many files makes the next ones dearer for minutes on some file systems.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import tools
from benchmarks.clock import Run, RunError, measure
from benchmarks.contenders import Absent, Contender
from benchmarks.preparation import Prepared, Round

PATIENCE = 10.0
"""Seconds above which a contender runs in the first `FEW` rounds only."""
FEW = 2
_MEMORY = Path("/dev/shm")

Say = Callable[[str], None]


@dataclass(slots=True)
class Results:
    """The runs of each contender, one for each round that it took part in, and who failed why."""

    runs: dict[str, list[Run]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def median(self, name: str) -> Run:
        """Give the median of every number of a contender's runs."""
        runs = self.runs[name]
        return Run(
            statistics.median(run.seconds for run in runs),
            statistics.median(run.cpu for run in runs),
            statistics.median(run.peak for run in runs),
        )

    def spread(self, name: str) -> float:
        """Say how far a contender's times are apart, as a part of their median."""
        seconds = [run.seconds for run in self.runs[name]]
        return (max(seconds) - min(seconds)) / statistics.median(seconds)

    def ratio(self, name: str, base: str, of: Callable[[Run], float]) -> float | None:
        """Give the median of the ratios of two contenders, round by round."""
        pairs = zip(self.runs.get(name, ()), self.runs.get(base, ()), strict=False)
        ratios = [of(run) / of(other) for run, other in pairs]
        return statistics.median(ratios) if ratios else None


def file_systems() -> dict[str, Path]:
    """Name the file systems to measure on: the checkout's, and one in memory where there is one."""
    found = {"disk": tools.CACHE}
    if _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK):
        found["memory"] = _MEMORY
    return found


@contextmanager
def scratch(below: Path) -> Iterator[Path]:
    """Lend a folder that is gone at the end, however the end comes."""
    below.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="gen-bench-", dir=below))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def race(
    contenders: Iterable[Contender | Absent],
    prepared: Prepared,
    folder: Path,
    rounds: int,
    say: Say,
) -> Results:
    """Let all contenders run, round by round; those that delete files, once all others have."""
    results = Results()
    racing: list[Contender] = []
    for each in contenders:
        if isinstance(each, Absent):
            results.absent[each.name] = each.reason
        else:
            racing.append(each)
    for deletes in (False, True):
        group = [each for each in racing if each.deletes == deletes]
        for number in range(1, rounds + 1) if group else ():
            now = Round(folder / f"round-{number}", prepared)
            now.folder.mkdir(exist_ok=True)
            for contender in group:
                if contender.name not in results.absent and not _is_slow(contender, results):
                    _run(contender, now, results)
            say(f"round {number} of {rounds}{', of those that delete' if deletes else ''}")
    return results


def _is_slow(contender: Contender, results: Results) -> bool:
    runs = results.runs.get(contender.name, [])
    return len(runs) >= FEW and runs[0].seconds / contender.factor > PATIENCE


def _run(contender: Contender, now: Round, results: Results) -> None:
    try:
        run = timed(contender, now)
    except (RunError, OSError) as error:
        results.absent[contender.name] = str(error)
        results.runs.pop(contender.name, None)
        return
    results.runs.setdefault(contender.name, []).append(run)


def timed(contender: Contender, now: Round) -> Run:
    """Let one contender run in one round. Raises RunError if it fails."""
    contender.before(now)
    os.sync()  # what others have written is not this one's to wait for
    runs = [measure(contender.command(now), now.path("log")) for _ in range(contender.repeats)]
    middle = sorted(runs, key=lambda run: run.seconds)[len(runs) // 2]
    return middle.times(contender.factor)
