"""`gen diff`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from generator import terminal
from generator.commands.shared import env_option, jobs, root_option, selected

if TYPE_CHECKING:
    from generator.diff.impact import TreeChange
    from generator.reports.diff_report import Against


@click.command()
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option(
    "--base",
    "ref",
    metavar="REF",
    help="Compare with where HEAD left this branch, tag or commit."
    "  [default: origin/HEAD, main or master, whatever there is; or else HEAD]",
)
@env_option
@click.option(
    "--format",
    "layout",
    type=click.Choice(["text", "markdown", "json"]),
    default="text",
    show_default=True,
    help="For people, as a comment of a pull request, or complete for programs.",
)
@root_option
@click.pass_context
def diff(
    ctx: click.Context,
    models: tuple[str, ...],
    ref: str | None,
    environments: tuple[str, ...],
    layout: str,
    root: Path,
) -> None:
    """Show what a change does: versions, traffic, replicas, GPUs, cost, restarts, objects.

    What the specs of the working tree come to is compared with what those of a commit do. Committed
    manifests play no part: `gen render --check` looks at them. Differences are no failure: exit
    code 1 means that something could not be compared.
    """
    from generator.reports import diff_report

    change, against = _change(ctx, root, ref, models, environments)
    if layout == "json":
        click.echo(diff_report.as_json(change, against))
    elif layout == "markdown":
        click.echo(diff_report.as_markdown(change, against), nl=False)
    else:
        width = terminal.width(sys.stdout)
        click.echo(diff_report.as_text(change, against, terminal.style(sys.stdout), width))
    if change.problems_before:
        click.echo(diff_report.not_in_base(change, against), err=True)
    if change.problems:
        terminal.show_problems(change.problems, root)
    ctx.exit(1 if change.problems or change.is_blind else 0)


def _change(
    ctx: click.Context,
    root: Path,
    ref: str | None,
    models: tuple[str, ...],
    environments: tuple[str, ...],
) -> tuple[TreeChange, Against]:
    """Compare the working tree with a commit. Raises UsageError if Git does not have it."""
    from tempfile import TemporaryDirectory

    from generator.diff import differences
    from generator.reports.diff_report import Against
    from generator.revisions.git import Git, GitError

    repository = Git(root, os.environ)
    with TemporaryDirectory(prefix="gen-") as folder:
        try:
            name, commit = repository.default_base() if ref is None else (ref, repository.base(ref))
            changed = repository.changed(commit, differences.FOLDERS)
            repository.tree(commit, Path(folder), differences.FOLDERS, differences.needed(changed))
        except GitError as error:
            raise click.UsageError(str(error), ctx) from None
        selection = selected(ctx, root, models, environments, base=Path(folder))
        with terminal.ProgressBar() as progress:
            change = differences.of(Path(folder), root, selection, jobs(), changed, progress.update)
    return change, Against(name, commit)
