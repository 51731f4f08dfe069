"""What a drift check finds, and how Prometheus is told of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

SHARE, THRESHOLD, FOUND = "gen_drift_share", "gen_drift_threshold", "gen_drift_found"
COLUMN, ROWS = "gen_drift_column_found", "gen_drift_rows"
"""The names of the series; each has the labels `model` and `environment` by its group."""

JOB = "gen-drift"
"""The job that the Pushgateway groups the series by."""

NUMBERS, CATEGORIES = "numbers", "categories"
BOTH = (NUMBERS, CATEGORIES)

METHODS: dict[str, tuple[str, ...]] = {
    "psi": BOTH,
    "jensenshannon": BOTH,
    "kl_div": BOTH,
    "hellinger": BOTH,
    "wasserstein": (NUMBERS,),
    "ks": (NUMBERS,),
    "anderson": (NUMBERS,),
    "cramer_von_mises": (NUMBERS,),
    "mannw": (NUMBERS,),
    "t_test": (NUMBERS,),
    "chisquare": (CATEGORIES,),
    "z": (CATEGORIES,),
    "TVD": (CATEGORIES,),
}
"""Evidently's methods, and the columns that each can compare: with others it fails
(evidentlyai/evidently@src/evidently/legacy/calculations/stattests)."""

DISTANCES = frozenset(("psi", "jensenshannon", "kl_div", "hellinger", "wasserstein"))
"""The methods whose value is large where columns differ; that of the others is a probability, and
small. What Evidently chooses itself says in its name which of both it is."""


class Broken(Exception):
    """Why there is no result, and what to do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = message
        self.hint = hint
        super().__init__(message)


class Column(Struct, frozen=True):
    """One column: what it was compared by, the value that gave, and whether it drifted."""

    name: str
    method: str
    score: float
    drifted: bool


class Result(Struct, frozen=True):
    """A check that came to an end, with Evidently's own report if there is to be one."""

    columns: tuple[Column, ...]
    threshold: float
    reference_rows: int
    current_rows: int
    html: str = ""
    json: str = ""

    @property
    def drifted(self) -> list[Column]:
        """The columns that drifted."""
        return [column for column in self.columns if column.drifted]

    @property
    def share(self) -> float:
        """Which part of the columns drifted."""
        return len(self.drifted) / len(self.columns)

    @property
    def found(self) -> bool:
        """Say whether that is drift."""
        return self.share >= self.threshold

    @property
    def sentence(self) -> str:
        """Say in one line what was found."""
        names = ", ".join(column.name for column in self.drifted)
        verdict = "drift" if self.found else "no drift"
        counted = f"{len(self.drifted)} of {len(self.columns)} columns drifted"
        return f"{verdict}: {counted} (threshold {self.threshold:g}){': ' * bool(names)}{names}"

    def exposition(self) -> str:
        """Write the series as Prometheus reads them."""
        return "".join(f"{line}\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        gauges = (
            (SHARE, "Part of the columns that drifted.", self.share),
            (THRESHOLD, "Part of the columns from which on it is drift.", self.threshold),
            (FOUND, "1 if that is drift, 0 if not.", int(self.found)),
        )
        for name, text, value in gauges:
            yield from (*_header(name, text), f"{name} {value:g}")
        yield from _header(ROWS, "Rows that were compared.")
        yield f'{ROWS}{{data="reference"}} {self.reference_rows}'
        yield f'{ROWS}{{data="current"}} {self.current_rows}'
        yield from _header(COLUMN, "1 if the column drifted, 0 if not.")
        for column in self.columns:
            yield f'{COLUMN}{{column="{_escaped(column.name)}"}} {int(column.drifted)}'


def _header(name: str, text: str) -> tuple[str, str]:
    return f"# HELP {name} {text}", f"# TYPE {name} gauge"


def _escaped(value: str) -> str:
    return re.sub(r'(["\\])', r"\\\1", value).replace("\n", r"\n")
