"""How time and memory grow from a hundred models to ten thousand, and where the time goes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import contenders as who
from benchmarks import fleet, limits, report, tools
from benchmarks import stages as clocks
from benchmarks.contenders import Contender, copy_specs, ours
from benchmarks.preparation import Prepared, Round
from benchmarks.race import Results, Say, file_systems, timed

SIZES = (100, 1_000, 10_000)
_SPACE = 400_000
"""Bytes that all trees of one model and one round take, with room to spare."""
Profile = tuple[dict[str, float], list[str]]
"""Seconds by stage, and the functions that could not be found."""
Profiles = dict[int, Profile]
_NAMES = (who.COLD, who.COPY, who.IDLE)


def measure(folder: Path, sizes: Sequence[int], rounds: int, say: Say) -> dict[int, Results]:
    """Render fleets of several sizes, interleaved."""
    every = {size: Prepared(folder / f"prepared-{size}", size) for size in sizes}
    for prepared in every.values():
        fleet.write(prepared.specs, prepared.models)
    results = {size: Results() for size in sizes}
    for number in range(1, rounds + 1):
        for size, prepared in every.items():
            now = Round(folder / f"round-{number}-{size}", prepared)
            now.folder.mkdir()
            for contender in _racing():
                run = timed(contender, now)
                results[size].runs.setdefault(contender.name, []).append(run)
            say(f"round {number} of {rounds}, {size} models")
    return results


def _racing() -> Iterator[Contender]:
    return (each for each in ours() if each.name in _NAMES)


def place(sizes: Sequence[int], rounds: int) -> Path:
    """Choose the file system in memory if the trees fit there with room to spare."""
    found = file_systems()
    wanted = _SPACE * sum(sizes) * rounds
    memory = found.get("memory")
    if memory is not None and shutil.disk_usage(memory).free > 2 * wanted:
        return memory
    return found["disk"]


def table(results: dict[int, Results]) -> str:
    """Tabulate time and memory by size."""
    header = ("models", "cold s", "ms/overlay", "peak MiB", "/ `cp -r`", "unchanged s", "peak MiB")
    return report.table(header, (_row(size, each) for size, each in results.items()))


def _row(size: int, results: Results) -> tuple[str, ...]:
    cold, idle = results.median(who.COLD), results.median(who.IDLE)
    return (
        f"{size:,}",
        report.number(cold.seconds),
        report.number(_each(size, results) * 1000),
        report.number(cold.peak),
        report.number(results.ratio(who.COLD, who.COPY, limits.seconds)),
        report.number(idle.seconds),
        report.number(idle.peak),
    )


def _each(size: int, results: Results) -> float:
    """Give the seconds of one overlay."""
    return results.median(who.COLD).seconds / (size * len(fleet.ENVIRONMENTS))


def promises(results: dict[int, Results], profiles: Profiles) -> str:
    """Tabulate the limits of growth between the two largest sizes, and of what rules cost."""
    small, large = sorted(results)[-2:]
    times = _each(large, results[large]) / _each(small, results[small])
    peaks = [results[size].median(who.COLD).peak for size in (large, small)]
    what = f"{large:,} models / {small:,} models"
    rows = [
        (f"time of an overlay, {what}", limits.TIME_GROWTH, times),
        (f"peak memory, {what}", limits.MEMORY_GROWTH, peaks[0] / peaks[1]),
        ("rules and capacity / rendering", limits.RULES_SHARE, _share(profiles[large][0])),
    ]
    lines = ((name, report.number(most), report.verdict(ratio, most)) for name, most, ratio in rows)
    return report.table(("ratio", "at most", "measured"), lines)


def _share(seconds: dict[str, float]) -> float:
    """Compare what rules and capacity cost with rendering alone, in one run."""
    return (seconds[clocks.RULES] + seconds[clocks.CAPACITY]) / seconds[clocks.RENDERING]


def profile(folder: Path, size: int) -> Profile:
    """Render a fleet once more with clocks around the stages, in a process of its own."""
    root = folder / f"profile-{size}"
    copy_specs(folder / f"prepared-{size}" / "specs", root)
    argv = [sys.executable, "-m", "benchmarks.stages", str(root)]
    environment = {**os.environ, "PYTHONPATH": str(tools.ROOT)}
    ended = subprocess.run(argv, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(ended.stdout)
    return found["seconds"], found["lost"]


def stages(profiles: Profiles) -> str:
    """Tabulate the microseconds of an overlay by stage."""
    sizes = sorted(profiles)
    header = (
        "µs an overlay, one process",
        *(f"{size:,} models" for size in sizes),
        "% of the last",
    )
    names = list(profiles[sizes[0]][0])
    whole = sum(profiles[sizes[-1]][0].values())
    rows = [
        (
            name,
            *(_micro(profiles[size][0][name], size) for size in sizes),
            f"{profiles[sizes[-1]][0][name] / whole * 100:.0f}",
        )
        for name in names
    ]
    sums = (_micro(sum(profiles[size][0].values()), size) for size in sizes)
    return report.table(header, [*rows, ("all", *sums, "100")])


def _micro(seconds: float, size: int) -> str:
    return f"{seconds * 1e6 / (size * len(fleet.ENVIRONMENTS)):.0f}"
