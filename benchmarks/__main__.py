"""The command of the benchmarks: `python -m benchmarks fleet` and `python -m benchmarks growth`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import click

from benchmarks import contenders, growth, report
from benchmarks.contenders import Absent, Contender
from benchmarks.equality import only_equal
from benchmarks.preparation import Prepared, prepare
from benchmarks.race import Results, file_systems, race, scratch

_write = click.option("--write", is_flag=True, help="Put the results into the documentation.")
_date = click.option("--date", "day", metavar="DATE", help="Of the results.  [default: today]")


def _say(text: str) -> None:
    click.echo(f"... {text}", err=True)


def _head(day: str | None, rounds: int) -> str:
    return f"{day or date.today().isoformat()}, {report.machine()}; medians of {rounds} rounds."


@click.group()
def main() -> None:
    """Measure gen against what else makes or checks the same objects."""


@dataclass(frozen=True, slots=True)
class _Measured:
    """One fleet on one file system."""

    fleet: Prepared
    racing: list[Contender | Absent]
    results: Results


@main.command("fleet")
@click.option("--models", type=click.IntRange(10), default=1000, show_default=True)
@click.option("--peers/--no-peers", default=True, help="Measure other generators too.")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@_write
@_date
def fleet(models: int, peers: bool, rounds: int, write: bool, day: str | None) -> None:
    """Render one fleet with everything, on every file system there is."""
    generators = _generators(models, peers)
    measured = {
        name: _measured(name, below, models, rounds, generators)
        for name, below in file_systems().items()
    }
    text = _fleet_text(measured, _head(day, rounds))
    click.echo(text)
    if write:
        report.write("fleet", text)


def _generators(models: int, peers: bool) -> list[Contender | Absent]:
    """Choose who makes the same objects as gen."""
    places = file_systems()
    with scratch(places.get("memory", places["disk"])) as folder:
        _say("making the environments of others, and comparing what they make")
        known = [*contenders.plain(), *(contenders.others() if peers else ())]
        return list(only_equal(known, folder, models))


def _measured(
    name: str, below: Path, models: int, rounds: int, generators: list[Contender | Absent]
) -> _Measured:
    with scratch(below) as folder:
        _say(f"preparing {models} models on {name}")
        prepared = prepare(folder / "prepared", models)
        racing = list(_racing(generators, prepared))
        return _Measured(prepared, racing, race(racing, prepared, folder, rounds, _say))


def _racing(
    generators: list[Contender | Absent], prepared: Prepared
) -> Iterator[Contender | Absent]:
    yield from contenders.starts()
    yield from contenders.ours()
    yield from contenders.alone()
    yield from generators
    yield from contenders.validators(prepared)


def _fleet_text(measured: dict[str, _Measured], head: str) -> str:
    results = {name: each.results for name, each in measured.items()}
    fleet, racing = next((each.fleet, each.racing) for each in measured.values())
    size = (
        f"{fleet.models:,} models in 3 environments: {fleet.files:,} files of gen's, "
        f"{fleet.objects:,} objects once composed."
    )
    tables = [f"On {name}:\n\n{report.fleet(each, racing)}" for name, each in results.items()]
    parts = [head, size, report.promises(results), *tables, report.noise(results)]
    return "\n\n".join([*parts, report.notes(results, racing)])


@main.command("growth")
@click.option("--sizes", default=",".join(map(str, growth.SIZES)), show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@_write
@_date
def grow(sizes: str, rounds: int, write: bool, day: str | None) -> None:
    """Render fleets of several sizes and compare time and memory of an overlay."""
    wanted = sorted(int(size) for size in sizes.split(","))
    with scratch(growth.place(wanted, rounds)) as folder:
        results = growth.measure(folder, wanted, rounds, _say)
        profiles = {size: growth.profile(folder, size) for size in wanted}
    text = "\n\n".join(
        (
            _head(day, rounds),
            growth.promises(results, profiles),
            growth.table(results),
            *_where(profiles),
        )
    )
    click.echo(text)
    if write:
        report.write("growth", text)


def _where(profiles: growth.Profiles) -> Iterator[str]:
    yield growth.stages(profiles)
    lost = sorted({name for _, names in profiles.values() for name in names})
    if lost:
        yield f"Not found, and so within other stages: {', '.join(lost)}."


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
