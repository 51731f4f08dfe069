"""What a change does to the training of a model: which runs start, stop and are scheduled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from generator.queues import demand
from generator.records import Release
from generator.training.runs import Training


class Runs(NamedTuple):
    """The training of one model in one environment; `name` and `schedule` are empty without one.

    `size` says what a run takes, and what that costs in an hour.
    """

    name: str
    label: str
    size: str
    schedule: str
    keep: bool


NONE = Runs("", "", "", "", keep=False)


def of(release: Release) -> Runs:
    """Keep of a release what its runs are told by."""
    training: Training | None = release.facts.get("training")
    if training is None:
        return NONE
    run, schedule = training.run, training.schedule
    return Runs(
        name=run.name if run else "",
        label=training.label,
        size=_size(release, training),
        schedule=f"`{schedule.cron}` ({schedule.time_zone})" if schedule else "",
        keep=training.is_kept,
    )


def _size(release: Release, training: Training) -> str:
    nodes = f"{training.nodes} node{'s' if training.nodes > 1 else ''}"
    queue = f" from queue {training.queue}" if training.queue else ""
    flavor = release.environment.flavors.get(training.flavor)
    if flavor is None:
        return f"{nodes}{queue}"
    cost = demand.price(training.accelerators, flavor.price_per_hour)
    price = f", {float(cost):,.2f} an hour" if cost else ""
    return f"{nodes} with {training.accelerators} GPUs of {flavor.name}{queue}{price}"


def told(before: Runs, after: Runs) -> Iterator[str]:
    """Say what starts, what stops, and what will."""
    if before.name != after.name:
        if before.name:
            fate = "is kept, and goes on" if before.keep else "is stopped and removed"
            yield f"run `{before.label}` ({before.name}) {fate}"
        if after.name:
            yield f"run `{after.label}` ({after.name}) starts: {after.size}"
    if before.schedule != after.schedule:
        if after.schedule:
            yield f"runs start at {after.schedule}: {after.size} each"
        else:
            yield f"no runs start at {before.schedule} any more"
