"""`gen render`."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from generator import terminal
from generator.commands.shared import (
    cache_folder,
    env_option,
    jobs,
    root_option,
    selected,
    show_changes,
    tell_nothing,
    tell_warnings,
    today,
)

if TYPE_CHECKING:
    from generator.pipeline import Outcome
    from generator.state import Memory
    from generator.subjects import Selection, Shard


def _shard(ctx: click.Context, option: click.Parameter, value: str | None) -> Shard | None:
    """Read `3/8`. Raises BadParameter unless it is a part of that many."""
    if value is None:
        return None
    from generator.subjects import Shard

    index, _, count = value.partition("/")
    if index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count):
        return Shard(int(index), int(count))
    raise click.BadParameter(f"{value} is not a part such as 3/8", ctx, option)


@click.command()
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@env_option
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if anything would change.")
@click.option("--diff", is_flag=True, help="Show every change, line by line.")
@click.option(
    "--shard", metavar="I/N", callback=_shard, help="Only the I-th of N parts of the fleet."
)
@root_option
@click.pass_context
def render(
    ctx: click.Context,
    models: tuple[str, ...],
    environments: tuple[str, ...],
    check: bool,
    diff: bool,
    shard: Shard | None,
    root: Path,
) -> None:
    """Write what the specs say to rendered/ and argocd/.

    Without MODEL, everything is rendered, and what no spec asks for any more is deleted. Only files
    that gen wrote are ever changed. With a problem anywhere, nothing is written at all.
    """
    if models or environments or check or shard:
        selection = selected(ctx, root, models, environments, shard)
        outcome: Outcome | None = _part_of(root, selection, check=check, diff=diff)
    else:
        outcome = _everything(root, diff=diff)
    if outcome is None:
        return
    show_changes(outcome, root, diff=diff, check=check)
    if check and outcome.changes.total:
        ctx.exit(1)


def _part_of(root: Path, selection: Selection, *, check: bool, diff: bool) -> Outcome:
    """Render without a memory: it is of a whole repository, and a check relies on nothing."""
    from generator import pipeline

    run = pipeline.compare if check else pipeline.apply
    with terminal.ProgressBar() as progress:
        return run(root, selection, progress.update, texts=diff, jobs=jobs(), today=today())


def _everything(root: Path, *, diff: bool) -> Outcome | None:
    """Render the whole repository; None if nothing had changed, which has been told."""
    from generator import lock, state

    with lock.locked(root), closing(state.Memory(root, cache_folder(), today())) as memory:
        if not diff and _told_unchanged(memory):
            return None
        from generator import pipeline

        with terminal.ProgressBar() as progress:
            return pipeline.apply_locked(
                root,
                progress=progress.update,
                texts=diff,
                jobs=jobs(),
                memory=memory,
                today=today(),
            )


def _told_unchanged(memory: Memory) -> bool:
    """Answer from the last run if nothing has changed since: then nothing has to be imported."""
    summary = memory.unchanged(jobs())
    if summary is None:
        return False
    tell_warnings(summary.warnings, summary.silenced)
    tell_nothing(summary.releases, summary.objects, summary.files)
    return True
