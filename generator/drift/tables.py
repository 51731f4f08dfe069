"""Tables and reports at addresses: what pandas and fsspec read and write, in sentences of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from generator.drift.measured import Broken

if TYPE_CHECKING:
    import pandas as pd

_INSTALL = "install the extra: `pip install 'gen-manifests[drift]'`"
_PROTOCOLS = {"s3": "s3fs", "gs": "gcsfs"}
"""What fsspec needs for an address of a kind."""


def read(uri: str, what: str, least: int) -> pd.DataFrame:
    """Read a table. Raises Broken if there is none, or too little in it."""
    import pandas

    path = uri.removeprefix("file://")
    is_text = path.endswith((".csv", ".csv.gz"))
    try:
        table = pandas.read_csv(path) if is_text else pandas.read_parquet(path)
    except FileNotFoundError:
        hint = f"look at `{what}`, and at what writes it"
        raise Broken(f"there is no {what} data at {uri}", hint) from None
    except ImportError as error:
        raise Broken(f"{uri} cannot be read: {_first(error)}", _missing(uri)) from None
    except Exception as error:
        hint = "a table is .parquet, .csv, .csv.gz, or a folder of Parquet files"
        raise Broken(f"the {what} data at {uri} cannot be read: {_first(error)}", hint) from None
    if len(table) < least:
        hint = "nothing was written in that time, or ask for fewer with `minRows`"
        raise Broken(f"the {what} data at {uri} has {len(table)} rows, {least} are needed", hint)
    table.columns = [str(name) for name in table.columns]
    return table


def write(uri: str, text: str) -> None:
    """Write a report. Raises Broken if it cannot be stored."""
    try:
        import fsspec

        with fsspec.open(uri, "w", encoding="utf-8", auto_mkdir=True) as file:
            file.write(text)
    except ImportError as error:
        raise Broken(f"the report cannot be stored: {_first(error)}", _missing(uri)) from None
    except Exception as error:
        hint = "look at `report`, and at what the service account may write"
        raise Broken(f"the report cannot be stored at {uri}: {_first(error)}", hint) from None


def _missing(uri: str) -> str:
    package = _PROTOCOLS.get(uri.partition("://")[0])
    return f"{_INSTALL}{f', which has {package}' * bool(package)}"


def _first(error: Any) -> str:
    """Give the first line of what a library says, which may be pages or nothing."""
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
