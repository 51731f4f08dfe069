"""Whether the contenders make what gen makes: who does not is named and not timed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks import fleet, objects
from benchmarks.clock import RunError
from benchmarks.contenders import PLAIN, Absent, Contender
from benchmarks.preparation import Prepared, Round
from benchmarks.race import timed

MODELS = 100
"""What a model looks like follows from its name, so that so many show every kind of difference."""


def only_equal(
    contenders: Iterable[Contender | Absent], folder: Path, models: int
) -> Iterator[Contender | Absent]:
    """Let each contender make the first models of a fleet, and replace who makes others."""
    models = min(models, MODELS)
    prepared = Prepared(folder / "prepared", models)
    fleet.write(prepared.specs, models)
    now = Round(folder / "round", prepared)
    now.folder.mkdir()
    wanted_objects = objects.of_models(prepared.specs)
    wanted_files = objects.files(prepared.specs)
    for each in contenders:
        if isinstance(each, Absent) or not each.makes:
            yield each
            continue
        reason = _reason(each, now, wanted_files if each.name == PLAIN else wanted_objects)
        yield Absent(each.name, reason) if reason else each


def _reason(contender: Contender, now: Round, wanted: dict[str, objects.Json]) -> str:
    """Say why a contender is not timed; empty if it makes the same."""
    try:
        timed(contender, now)
    except (RunError, OSError) as error:
        return str(error)
    made = now.path(contender.makes)
    read = objects.written_files if contender.name == PLAIN else objects.written_objects
    found = objects.differences(wanted, read(made))
    if not found:
        return ""
    return f"{len(found)} of {len(wanted)} differ from gen's, the first: {found[0]}"
