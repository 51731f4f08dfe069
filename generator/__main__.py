"""The command `gen`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; the version is told before anything else is imported."""
    if sys.argv[1:] == ["--version"]:
        from generator import __version__

        sys.stdout.write(f"gen {__version__}\n")
        return
    from generator import cli

    cli.run()


if __name__ == "__main__":
    main()
