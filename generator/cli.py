"""The command line: the one place that asks the clock and exits, and where commands are found.

Exit codes: 0 fine, 1 problems or drift, 2 usage, 3 a bug of gen, 130 interrupted; `gate` has more.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

import click

from generator import __version__, terminal

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "argocd": "argocd:argocd",
        "capacity": "capacity:capacity",
        "codeowners": "codeowners:codeowners",
        "completion": "completion:completion",
        "diff": "diff:diff",
        "explain": "explain:explain",
        "gate": "gate:gate",
        "history": "status:history_",
        "init": "begin:init",
        "new": "begin:new",
        "promote": "promote:promote",
        "render": "render:render",
        "rollback": "promote:rollback",
        "rules": "explain:rules",
        "schema": "schemas:schema",
        "schemas": "schemas:schemas",
        "status": "status:status",
        "validate": "validate:validate",
        "version": "version:version",
    }
)
"""Where each command is, below `generator.commands`: module and function."""


def run() -> None:
    """Run the command and turn whatever happens into its exit code."""
    terminal.prepare_streams()
    try:
        main(prog_name="gen", standalone_mode=True)
    except KeyboardInterrupt:
        _interrupted()
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _FULL:
            _cannot_print(error)
        traceback.print_exc()
        click.echo(
            "\nThis is a bug of gen, not of your files. Please report what stands above.", err=True
        )
        sys.exit(3)


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


def _cannot_print(error: OSError) -> NoReturn:
    """Say that the output went nowhere, and let nothing try to flush it again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    click.echo(f"Error: the output cannot be written: {error.strerror}", err=True)
    sys.exit(1)


def _interrupted() -> NoReturn:
    click.echo("\ninterrupted; every file is as it was or as it should be", err=True)
    sys.exit(130)


class _Commands(click.Group):
    """Imports a command when it is asked for, and tells problems of the repository.

    For a misspelt command, it offers the likeliest one.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the commands by name."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None if there is none of that name."""
        module, _, function = COMMANDS.get(cmd_name, "").partition(":")
        if not module:
            return None
        command: click.Command = getattr(import_module(f"generator.commands.{module}"), function)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a sub-command; problems go to stderr and end with exit code 1."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _interrupted()
        except Exception as error:
            from generator.problems import GenError  # a run without problems does without it

            if not isinstance(error, GenError):
                raise
            terminal.show_problems(error.problems, ctx.params.get("root") or _root_of(ctx))
            sys.exit(1)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find a sub-command. Raises UsageError with the likeliest name."""
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            from generator.schema import suggestion

            hint = suggestion(args[0], self.list_commands(ctx))
            raise click.UsageError(f"there is no command `{args[0]}`: {hint}", ctx)
        return super().resolve_command(ctx, args)


def _root_of(ctx: click.Context) -> Path:
    root: Path = ctx.meta.get("generator.root", Path())
    return root


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="gen", message="%(prog)s %(version)s")
def main() -> None:
    """Render and check the manifests of a fleet of models.

    models/ holds one YAML spec per model, environments/ one inventory per cluster. `gen render`
    turns them into rendered/ and argocd/, which Argo CD syncs; what a cluster would refuse, ignore
    or leave pending for ever is refused here, on the line that you wrote.
    """
