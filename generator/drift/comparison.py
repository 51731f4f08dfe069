"""Two tables compared by Evidently.

What Evidently does not say is checked before: a column that only one table has is left out without
a word, and one of numbers here and texts there, or without any value, ends in an error of a library
below (seen with Evidently 0.7.23).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from generator.drift.measured import CATEGORIES, DISTANCES, METHODS, NUMBERS, Broken, Column, Result

if TYPE_CHECKING:
    import pandas as pd

_LISTED = 8
"""Names that a sentence holds."""


def compare(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    *,
    columns: Sequence[str],
    threshold: float,
    method: str,
    reported: bool,
) -> Result:
    """Compare the columns that are named, or all but times. Raises Broken if they cannot be.

    A report takes longer than the comparison, and is written only if it is `reported`.
    """
    names = list(columns) or _all(reference)
    if not names:
        hint = "name those that are to be compared in `columns`"
        raise Broken("the reference data has no column that is not a time", hint)
    kinds = _kinds(reference, current, names)
    snapshot = _snapshot(reference[names], current[names], kinds, threshold, method)
    metrics = snapshot.dict()["metrics"]
    found = tuple(_columns(metrics))
    if len(found) != len(names):
        missing = set(names) - {column.name for column in found}
        raise Broken(f"Evidently compared nothing of {_several(sorted(missing))}")
    _agree(found, metrics)
    rows = len(reference), len(current)
    if not reported:
        return Result(found, threshold, *rows)
    return Result(found, threshold, *rows, snapshot.get_html_str(as_iframe=False), snapshot.json())


def _all(table: pd.DataFrame) -> list[str]:
    """List the columns that can be compared unasked: a time is always another one."""
    from pandas.api import types

    return [name for name in table.columns if not types.is_datetime64_any_dtype(table[name])]


def _kinds(reference: pd.DataFrame, current: pd.DataFrame, names: Sequence[str]) -> dict[str, str]:
    """Say of each column whether it is of numbers or of categories, in both tables alike."""
    for what, table in (("reference", reference), ("current", current)):
        absent = [name for name in names if name not in table.columns]
        if absent:
            hint = f"there are {_several(list(table.columns))}"
            raise Broken(f"the {what} data has no column {_several(absent)}", hint)
        empty = [name for name in names if table[name].isna().all()]
        if empty:
            hint = "mend what writes it, or leave it out of `columns`"
            raise Broken(f"the {what} data has no value at all in {_several(empty)}", hint)
    kinds = {name: _kind(reference[name]) for name in names}
    unlike = [name for name in names if _kind(current[name]) != kinds[name]]
    if unlike:
        name = unlike[0]
        before, now = reference[name].dtype, current[name].dtype
        hint = "write both in the same types, or leave it out of `columns`"
        message = f"{_several(unlike)} is not of the same type: {before} before, {now} now"
        raise Broken(message, hint)
    return kinds


def _kind(values: pd.Series[Any]) -> str:
    from pandas.api import types

    is_number = types.is_numeric_dtype(values) and not types.is_bool_dtype(values)
    return NUMBERS if is_number else CATEGORIES


def _snapshot(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    kinds: dict[str, str],
    threshold: float,
    method: str,
) -> Any:
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    of_kind = {kind: [name for name in kinds if kinds[name] == kind] for kind in METHODS["psi"]}
    definition = DataDefinition(
        numerical_columns=of_kind[NUMBERS], categorical_columns=of_kind[CATEGORIES]
    )
    compared = METHODS.get(method, ())
    preset = DataDriftPreset(
        columns=list(kinds),
        drift_share=threshold,
        num_method=method if NUMBERS in compared else None,
        cat_method=method if CATEGORIES in compared else None,
    )
    tables = [_dataset(Dataset, table, of_kind, definition) for table in (current, reference)]
    try:
        return Report([preset]).run(*tables)
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        hint = "try another `method`, or fewer `columns`"
        raise Broken(f"Evidently cannot compare the data: {lines[0][:300]}", hint) from None


def _dataset(kind: Any, table: pd.DataFrame, of_kind: dict[str, list[str]], definition: Any) -> Any:
    """Hand categories over as texts, so that a date or a boolean is one of them."""
    texts = {name: table[name].astype("string").astype(object) for name in of_kind[CATEGORIES]}
    return kind.from_pandas(table.assign(**texts), data_definition=definition)


def _columns(metrics: Sequence[dict[str, Any]]) -> Iterator[Column]:
    """Read the columns of a report: a probability is small, and a distance large, if they differ.

    Source: evidentlyai/evidently@src/evidently/metrics/column_statistics.py.
    """
    for metric in metrics:
        config = metric.get("config", {})
        if "column" in config and "threshold" in config:
            method, score = str(config["method"]), float(metric["value"])
            is_probability = method.endswith("p_value") or method in METHODS.keys() - DISTANCES
            limit = float(config["threshold"])
            drifted = score < limit if is_probability else score >= limit
            yield Column(str(config["column"]), method, score, drifted)


def _agree(found: Sequence[Column], metrics: Sequence[dict[str, Any]]) -> None:
    """Compare with Evidently's own count, which has no names. Raises Broken if it is another."""
    counted = [each["value"]["count"] for each in metrics if "drift_share" in each["config"]]
    own = sum(column.drifted for column in found)
    if counted != [own]:
        hint = "this version of Evidently is not known: install 0.7"
        raise Broken(f"Evidently counts {counted} drifted columns, and {own} are read", hint)


def _several(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:_LISTED])
    return f"{shown} and {len(names) - _LISTED} more" if len(names) > _LISTED else shown
