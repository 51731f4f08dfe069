"""The command `gen`."""

from __future__ import annotations

import gc
import os
import sys

GARBAGE = 200_000
"""Objects between two looks for cycles: records have none, and what is imported has more objects
than a look is worth."""

_NARROW = 80
"""Columns below which the help is wrapped anew, by what parses the command line."""


def main() -> None:
    """Run the command line; version and help are told before anything else is imported."""
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        from generator import __version__

        _say(f"gen {__version__}\n")
    elif not _told_help(arguments):
        gc.set_threshold(GARBAGE)
        try:
            _run()
        except SystemExit as leaving:
            _leave(leaving)


def _run() -> None:
    try:
        from generator import cli
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted; nothing had begun\n")
        sys.exit(130)
    cli.run()


def _leave(leaving: SystemExit) -> None:
    """End without freeing a fleet piece by piece; what cannot be flushed ends as it would."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        raise leaving from None
    if isinstance(leaving.code, int):
        os._exit(leaving.code)
    raise leaving


def _told_help(arguments: list[str]) -> bool:
    """Print the help of a command if that is all that is asked for."""
    if not arguments or arguments[-1] not in ("-h", "--help") or _columns() < _NARROW:
        return False
    name = "-".join(["gen", *arguments[:-1]])
    try:
        with open(f"{os.path.dirname(__file__)}/help/{name}.txt", encoding="utf-8") as text:
            _say(text.read())
    except OSError:
        return False
    return True


def _say(text: str) -> None:
    """Print, unless there is nowhere to: a closed stdout is None."""
    if sys.stdout is not None:
        sys.stdout.write(text)


def _columns() -> int:
    try:
        return os.get_terminal_size().columns
    except OSError:
        return _NARROW  # no terminal: a pipe or a file


if __name__ == "__main__":
    main()
