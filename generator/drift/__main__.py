"""The command `python -m generator.drift`, which a CronJob runs: the one place that prints here.

Exit codes: 0 the check was made, whatever it found; 1 it could not be made, or somebody could not
be told; 2 usage. A CronJob that failed whenever nothing drifted, or whenever something did, would
be an alarm of its own (argoproj/argo-cd@resource_customizations/batch/CronJob/health.lua). With
`--exit-code`, for `&&` in a shell: 0 drift was found, 3 none was.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from generator.drift import comparison, pushgateway, tables
from generator.drift.measured import METHODS, Broken, Result
from generator.values import durations

_NONE_FOUND = 3


class Wish(Struct, frozen=True):
    """What the options say."""

    model: str
    environment: str
    reference: str
    current: str
    lookback: timedelta
    columns: tuple[str, ...]
    threshold: float
    method: str | None
    min_rows: int
    report: str
    push: str
    mark: Path | None
    exit_code: bool


def _at(uri: str, moment: datetime) -> str:
    """Fill in the places of an address that stand for a time."""
    for token in ("%Y", "%m", "%d", "%H"):
        uri = uri.replace(token, moment.strftime(token))
    return uri


def _reports(uri: str, now: datetime) -> dict[str, str]:
    """Name what is stored: the one file that is named, or two of this run in a folder."""
    for form in ("html", "json"):
        if uri.endswith(f".{form}"):
            return {form: uri}
    stem = f"{uri.rstrip('/')}/{now:%Y-%m-%dT%H%M%SZ}"
    return {form: f"{stem}.{form}" for form in ("html", "json")}


def _store(uri: str, result: Result, now: datetime) -> str:
    stored = _reports(uri, now)
    for form, place in stored.items():
        tables.write(place, result.html if form == "html" else result.json)
    return f"report: {', '.join(stored.values())}"


def _lookback(_: click.Context, __: click.Parameter, value: str) -> timedelta:
    try:
        return timedelta(seconds=durations.seconds(value))
    except (KeyError, ValueError, IndexError):
        raise click.BadParameter("write a duration such as 1d, 12h or 0s") from None


@click.command(context_settings={"show_default": True, "max_content_width": 100})
@click.option("--model", required=True, help="The model, a label of the metrics.")
@click.option("--environment", required=True, help="The environment, a label of the metrics.")
@click.option("--reference", required=True, metavar="URI", help="The data that it was made with.")
@click.option(
    "--current", required=True, metavar="URI", help="What it sees; %Y %m %d %H are filled in."
)
@click.option(
    "--lookback", default="1d", callback=_lookback, help="How old the time is that fills them in."
)
@click.option("--column", "columns", multiple=True, help="A column to compare; all otherwise.")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.5,
    help="Part of the columns from which on it is drift.",
)
@click.option(
    "--method",
    type=click.Choice(tuple(METHODS)),
    help="How columns are compared; Evidently's choice otherwise.",
)
@click.option(
    "--min-rows",
    type=click.IntRange(min=1),
    default=30,
    help="Rows below which nothing is said of a table.",
)
@click.option(
    "--report",
    metavar="URI",
    default="",
    help="A folder, or a file .html or .json, for the report.",
)
@click.option("--push", metavar="URL", default="", help="The Pushgateway that is told.")
@click.option(
    "--mark",
    type=click.Path(path_type=Path),
    help="A file that is made if drift was found, for whoever goes on from there.",
)
@click.option("--exit-code", is_flag=True, help="Exit 0 if drift was found and 3 if none was.")
def main(**given: Any) -> None:
    """Compare what a model sees with what it was made with."""
    warnings.simplefilter("ignore")
    wish, now = Wish(**given), datetime.now(UTC)
    try:
        result = _compared(wish, now)
    except Broken as error:
        sys.exit(_told(error))
    except ModuleNotFoundError as error:
        sys.exit(_told(Broken(f"{error.name} is not installed", "install `gen-manifests[drift]`")))
    click.echo(result.sentence)
    failed = [step for step in _steps(wish, result, now) if not _done(step)]
    none_found = wish.exit_code and not result.found
    sys.exit(1 if failed else _NONE_FOUND if none_found else 0)


def _compared(wish: Wish, now: datetime) -> Result:
    """Read and compare. Raises Broken."""
    found = (
        tables.read(wish.reference, "reference", wish.min_rows),
        tables.read(_at(wish.current, now - wish.lookback), "current", wish.min_rows),
    )
    return comparison.compare(
        *found,
        columns=wish.columns,
        threshold=wish.threshold,
        method=wish.method or "",
        reported=bool(wish.report),
    )


def _steps(wish: Wish, result: Result, now: datetime) -> Iterator[Callable[[], str]]:
    """List what is done with a result, each step on its own."""
    if wish.report:
        yield lambda: _store(wish.report, result, now)
    if wish.push:
        yield lambda: _pushed(wish, result)
    mark = wish.mark
    if mark and result.found:
        yield lambda: _marked(mark, result)


def _pushed(wish: Wish, result: Result) -> str:
    pushgateway.push(wish.push, wish.model, wish.environment, result.exposition())
    return f"metrics: {wish.push}"


def _marked(mark: Path, result: Result) -> str:
    tables.write(str(mark), f"{result.sentence}\n")
    return f"mark: {mark}"


def _done(step: Callable[[], str]) -> bool:
    """Take a step, so that one that fails keeps no other from being taken."""
    try:
        click.echo(step())
    except Broken as error:
        _told(error)
        return False
    return True


def _told(error: Broken) -> int:
    click.echo(f"error: {error.message}", err=True)
    if error.hint:
        click.echo(f"  hint: {error.hint}", err=True)
    return 1


if __name__ == "__main__":
    main(prog_name="python -m generator.drift")
