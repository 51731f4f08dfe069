"""`gen completion`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from generator.reports.completion import Command


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell, to be read by its start-up file."""
    from generator.reports import completion as scripts

    described = _all_described(ctx.find_root().command)
    click.echo(scripts.SHELLS[shell](list(described)), nl=False)


def commands_of(command: click.Command) -> dict[str, click.Command]:
    """Import the commands of a group; other commands have none."""
    if not isinstance(command, click.Group):
        return {}
    context = click.Context(command)
    found = {name: command.get_command(context, name) for name in command.list_commands(context)}
    return {name: inner for name, inner in found.items() if inner is not None}


def _all_described(group: click.Command, *outer: str) -> Iterator[Command]:
    """Describe the commands of a group, each before its own."""
    for command in commands_of(group).values():
        names = (*outer, command.name or "")
        yield _described(command, " ".join(names))
        yield from _all_described(command, *names)


def _described(command: click.Command, name: str) -> Command:
    from generator.reports.completion import Command, folders

    arguments = [p for p in command.params if isinstance(p, click.Argument)]
    options = [p for p in command.params if isinstance(p, click.Option)]
    chosen = [p.type.choices for p in arguments if isinstance(p.type, click.Choice)]
    return Command(
        name=name,
        summary=command.get_short_help_str(80),
        options=(*(name for option in options for name in option.opts), "--help"),
        words=(*commands_of(command), *(str(word) for words in chosen for word in words)),
        names=folders(*(argument.make_metavar(click.Context(command)) for argument in arguments)),
        takes=tuple((name, _choices(o)) for o in options if not o.is_flag for name in o.opts),
    )


def _choices(option: click.Option) -> tuple[str, ...]:
    from generator.reports.completion import folders

    if isinstance(option.type, click.Choice):
        return tuple(str(choice) for choice in option.type.choices)
    return folders(option.metavar)
