"""What gen has promised, as ratios of two things that are measured in the same round."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks import contenders as who
from benchmarks.clock import Run
from benchmarks.race import Results


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many times the base; of several bases, the best one counts."""

    name: str
    bases: tuple[str, ...]
    most: float


LIMITS = (
    Limit(who.COLD, (who.COPY,), 2.5),
    Limit(who.COLD, (who.PLAIN,), 1.25),
    Limit(who.IDLE, (who.COPY,), 0.5),
    Limit(who.ONE, (who.COLD,), 0.35),
    Limit(who.VERSION, (who.PYTHON,), 2.5),
    Limit(who.COLD, tuple(who.KUBECONFORM.values()), 0.75),
    Limit(who.COLD, (who.HELM,), 0.75),
    Limit(who.COLD, (who.KAPITAN,), 0.1),
)
TIME_GROWTH, MEMORY_GROWTH = 1.15, 1.5
"""How much dearer an overlay and larger the process may be in a fleet ten times as large."""

RULES_SHARE = 1.0
"""What all rules and the capacity of queues may cost together, in times of rendering alone."""


def seconds(run: Run) -> float:
    """Take the time of a run."""
    return run.seconds


def peak(run: Run) -> float:
    """Take the memory of a run."""
    return run.peak


def measured(limit: Limit, results: Results) -> float | None:
    """Give the ratio that a limit is about, if both sides ran."""
    ratios = (results.ratio(limit.name, base, seconds) for base in limit.bases)
    return max((ratio for ratio in ratios if ratio is not None), default=None)
