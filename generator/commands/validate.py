"""`gen validate`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from generator import terminal
from generator.commands.shared import counted, jobs, root_option, today

if TYPE_CHECKING:
    from generator.problems import Problem


@click.command()
@click.option(
    "--format",
    "layout",
    type=click.Choice(["text", "json", "github", "gitlab", "sarif"]),
    default="text",
    show_default=True,
    help="For people, for programs, for the lines of a pull request, or for code scanning.",
)
@click.option(
    "--base",
    "ref",
    metavar="REF",
    help="Also check what changed since HEAD left REF, such as origin/main.",
)
@root_option
@click.pass_context
def validate(ctx: click.Context, layout: str, ref: str | None, root: Path) -> None:
    """Check everything and write nothing.

    Every problem of all files is found in one run. Exit code 1 means that at least one is an error.

    With --base, what is right as it stands must also be right as a change of what runs: some
    changes are refused by a cluster, or lose requests, unless they are made in steps.
    """
    from generator import pipeline
    from generator.problems import GenError, errors
    from generator.reports import reporting

    outcome = None
    try:
        with _tree_at(ctx, root, ref) as base, terminal.ProgressBar() as progress:
            outcome = pipeline.everything(
                root, progress=progress.update, jobs=jobs(), today=today(), base=base
            )
        problems: Sequence[Problem] = outcome.warnings
    except GenError as error:
        problems = error.problems
    if layout != "text":
        click.echo(reporting.FORMATS[layout](problems))
    elif problems:
        terminal.show_problems(problems, root, to_stdout=True)
    if outcome is not None and layout == "text":
        releases = counted(outcome.releases, "release")
        silenced = f", {outcome.silenced} silenced" if outcome.silenced else ""
        since = f", and so is the change since {ref}" if ref else ""
        objects = counted(outcome.objects, "object")
        click.echo(f"{releases} and {objects} are fine{since}{silenced}")
    ctx.exit(1 if errors(problems) else 0)


@contextlib.contextmanager
def _tree_at(ctx: click.Context, root: Path, ref: str | None) -> Iterator[Path | None]:
    """Write what the specs were where HEAD left a name; None without a name.

    Raises UsageError if Git does not have it.
    """
    if ref is None:
        yield None
        return
    from tempfile import TemporaryDirectory

    from generator.revisions.git import Git, GitError
    from generator.subjects import INPUTS

    repository = Git(root, os.environ)
    with TemporaryDirectory(prefix="gen-") as folder:
        try:
            repository.tree(repository.base(ref), Path(folder), INPUTS)
        except GitError as error:
            raise click.UsageError(str(error), ctx) from None
        yield Path(folder)
