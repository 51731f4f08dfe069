"""What a person sees: colours, tables, progress, the lines that problems are about."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from generator.problems import Problem, Where
    from generator.reports.reporting import Style

_COLOURS: dict[str, dict[str, Any]] = {
    "error": {"fg": "red", "bold": True},
    "warning": {"fg": "yellow", "bold": True},
    "hint": {"fg": "cyan"},
    "create": {"fg": "green"},
    "update": {"fg": "yellow"},
    "delete": {"fg": "red"},
    "faint": {"dim": True},
    "heading": {"bold": True},
}
_QUIET_SECONDS = 1.0
"""Work that takes longer shows its progress."""


def prepare_streams() -> None:
    """Let a closed stream swallow what is printed, and no character be too much for an encoding."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
        else:
            stream.reconfigure(errors="backslashreplace")


def show_problems(
    problems: Iterable[Problem],
    root: Path,
    *,
    to_stdout: bool = False,
    texts: Mapping[str, str] | None = None,
) -> None:
    """Print problems with their lines, to stderr unless they are what was asked for.

    `texts` are those of files that are not on disk as they were looked at.
    """
    from generator.reports import reporting

    stream = sys.stdout if to_stdout else sys.stderr
    lines = _lines(root, texts or {})
    text = reporting.problems_text(list(problems), lines, style(stream))
    click.echo(text, err=not to_stdout)


def _lines(root: Path, known: Mapping[str, str]) -> Callable[[Where], str]:
    """Read lines of files once per file, and none where a file cannot be read."""
    texts = {path: text.split("\n") for path, text in known.items()}

    def line(where: Where) -> str:
        if not where.line:
            return ""
        if where.file not in texts:
            try:
                text = (root / where.file).read_text("utf-8-sig", errors="replace")
            except OSError:
                text = ""
            texts[where.file] = text.split("\n")
        lines = texts[where.file]
        return lines[where.line - 1] if where.line <= len(lines) else ""

    return line


def style(stream: Any) -> Style:
    """Colour where a person looks and has not asked for none."""
    if not _is_styled(stream):
        return lambda text, _: text
    return lambda text, kind: click.style(text, **_COLOURS.get(kind, {}))


def _is_styled(stream: Any) -> bool:
    is_asked_not_to = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return stream.isatty() and not is_asked_not_to


def width(stream: Any) -> int:
    """Count the columns of a terminal; 0 where nobody looks, so that nothing is wrapped."""
    return shutil.get_terminal_size().columns if stream.isatty() else 0


def show_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], less: Sequence[str] = ()
) -> None:
    """Print a table: drawn for people, aligned with spaces in a pipe.

    With `less`, a terminal that is too narrow leaves out columns that say nothing, then these.
    """
    from generator.reports import reporting

    if not sys.stdout.isatty():
        click.echo(reporting.columns(header, rows))
        return
    if less:
        header, rows = reporting.narrowed(header, rows, width(sys.stdout), less)
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold" if _is_styled(sys.stdout) else "")
    for name in header:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


class ProgressBar(AbstractContextManager["ProgressBar"]):
    """A bar on stderr, for people, once the work has taken a second."""

    def __init__(self) -> None:
        self._started = monotonic()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def update(self, done: int, total: int) -> None:
        """Show how far the work is."""
        if self._bar is None:
            if monotonic() - self._started < _QUIET_SECONDS or not sys.stderr.isatty():
                return
            self._open(total)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done)

    def _open(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import Progress

        self._bar = Progress(console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task("rendering", total=total)
        self._bar.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()
