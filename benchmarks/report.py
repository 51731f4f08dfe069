"""Results as tables, for a terminal and for the documentation."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from benchmarks import contenders as who
from benchmarks import limits, tools
from benchmarks.contenders import Absent, Contender
from benchmarks.race import Results

PAGE = tools.ROOT / "docs" / "explanation" / "performance.md"
_YARDSTICKS = (who.COPY, who.PYTHON)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out a table that can be read as it is, and that Markdown reads too."""
    lines = [tuple(header), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    rule = ["-" * widths[0], *(f"{'-' * (width - 1)}:" for width in widths[1:])]
    texts = [_line(lines[0], widths), f"| {' | '.join(rule)} |"]
    return "\n".join([*texts, *(_line(line, widths) for line in lines[1:])])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = zip(cells, widths, strict=True)
    padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]
    return f"| {' | '.join(padded)} |"


def number(value: float | None) -> str:
    """Write a number with about three digits, and nothing for none."""
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 99.5 else f"{value:.3g}"


def fleet(results: Results, contenders: Iterable[Contender | Absent]) -> str:
    """Tabulate one fleet on one file system."""
    header = ("", "seconds", "± %", "CPU s", "peak MiB", "/ `cp -r`", "/ cold `gen`")
    return table(header, (_row(results, each.name) for each in contenders))


def _row(results: Results, name: str) -> tuple[str, ...]:
    if name not in results.runs:
        return (name, "-", "", "", "", "", "")
    median = results.median(name)
    return (
        name,
        number(median.seconds),
        f"{results.spread(name) * 50:.0f}",
        number(median.cpu),
        number(median.peak),
        number(results.ratio(name, who.COPY, limits.seconds)),
        number(results.ratio(name, who.COLD, limits.seconds)),
    )


def promises(results: Mapping[str, Results]) -> str:
    """Tabulate the limits beside what was measured on each file system."""
    header = ("ratio", "at most", *results)
    rows = [
        (_ratio(limit), number(limit.most), *(_kept(limit, each) for each in results.values()))
        for limit in limits.LIMITS
    ]
    return table(header, rows)


def _ratio(limit: limits.Limit) -> str:
    best = ", whichever is faster" if len(limit.bases) > 1 else ""
    base = limit.bases[0].partition(",")[0] if best else limit.bases[0]
    return f"{limit.name} / {base}{best}"


def _kept(limit: limits.Limit, results: Results) -> str:
    return verdict(limits.measured(limit, results), limit.most)


def verdict(ratio: float | None, most: float) -> str:
    """Write a ratio, and whether it is within its limit."""
    if ratio is None:
        return "not measured"
    return number(ratio) if ratio <= most else f"{number(ratio)} (missed)"


def noise(results: Mapping[str, Results]) -> str:
    """Say how steady the machine was, by the yardsticks that nobody changes."""
    parts = [
        f"{name} on {place} ±{each.spread(name) * 50:.0f} %"
        for place, each in results.items()
        for name in _YARDSTICKS
        if name in each.runs
    ]
    return f"Noise, as half of the distance between fastest and slowest run: {', '.join(parts)}."


def notes(results: Mapping[str, Results], contenders: Iterable[Contender | Absent]) -> str:
    """Explain the rows that need it, and say who is missing and why."""
    lines = [
        f"- {each.name}: {each.note}."
        for each in contenders
        if isinstance(each, Contender) and each.note
    ]
    absent = {name: why for each in results.values() for name, why in each.absent.items()}
    lines += [f"- {name} was not measured: {why}" for name, why in absent.items()]
    return "\n".join(lines)


def machine() -> str:
    """Describe the machine in general words."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    python = ".".join(map(str, sys.version_info[:3]))
    parts = [f"{count} processors ({platform.machine()})", platform.system(), f"Python {python}"]
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        parts.insert(1, f"{round(memory / 2**30)} GiB of memory")
    return ", ".join(parts)


def write(section: str, text: str, page: Path = PAGE) -> None:
    """Put a text between the markers of a section of the page. Raises ValueError without them."""
    before = page.read_text("utf-8")
    pattern = re.compile(rf"(<!-- {section} -->\n).*?(<!-- end of {section} -->)", re.S)
    after, count = pattern.subn(lambda match: f"{match[1]}\n{text}\n\n{match[2]}", before)
    if count != 1:
        raise ValueError(f"{page.name} has no place for {section}")
    page.write_text(after, "utf-8")
