"""`gen status` and `gen history`: what is live, and what was."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from generator import terminal
from generator.commands.shared import env_option, root_option, selected

if TYPE_CHECKING:
    from generator.records import Release
    from generator.revisions.history import Change
    from generator.revisions.timeline import Period


@click.command()
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@env_option
@click.option(
    "--format", "layout", type=click.Choice(["text", "json"]), default="text", show_default=True
)
@root_option
@click.pass_context
def status(
    ctx: click.Context,
    models: tuple[str, ...],
    environments: tuple[str, ...],
    layout: str,
    root: Path,
) -> None:
    """Show which version is live where, with which traffic, and since when.

    The last column is the commit that last changed the model's block for the environment, if it is
    committed as it is here.
    """
    import json

    from generator import pipeline
    from generator.reports import reporting

    releases = pipeline.releases(root, selected(ctx, root, models, environments))
    rows = reporting.status_rows(releases, _last_changes(root, releases))
    if layout == "json":
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        columns, table = reporting.status_table(rows)
        terminal.show_table(columns, table, reporting.STATUS_LESS)


def _last_changes(root: Path, releases: Sequence[Release]) -> Mapping[tuple[str, str], Change]:
    """Ask Git for the last changes; what it does not know is no problem here."""
    from generator.revisions import history
    from generator.revisions.git import Git, GitError

    documents = {release.model: release.document.data for release in releases}
    try:
        return history.last_changes(Git(root, os.environ), documents)
    except GitError:
        return {}


@click.command(name="history")
@click.argument("model")
@env_option
@click.option(
    "--format", "layout", type=click.Choice(["text", "json"]), default="text", show_default=True
)
@root_option
@click.pass_context
def history_(
    ctx: click.Context, model: str, environments: tuple[str, ...], layout: str, root: Path
) -> None:
    """Show which version of MODEL was live when, and whose commit made it so.

    Below that stands where each of these versions came from, if the spec says so: the registered
    model, the run, the commit of its code and its data.

    Git alone is asked, along the first parents of HEAD: what was on the branch itself was live, and
    a merge counts from the day it was made. Renames are followed.
    """
    from generator.reports import history_report
    from generator.revisions import history, timeline
    from generator.revisions.git import Git, GitError

    repository = Git(root, os.environ)
    try:
        revisions = history.revisions(repository, model)
        is_shallow = repository.is_shallow()
    except GitError as error:
        raise click.UsageError(str(error), ctx) from None
    if not revisions:
        raise click.UsageError(f"no commit has models/{model}.yaml{_likely(root, model)}", ctx)
    periods = timeline.periods(revisions, environments)
    sources = timeline.sources(periods, revisions)
    if layout == "json":
        click.echo(history_report.as_json(periods, sources))
    else:
        _show_history(periods, sources)
    if is_shallow:
        click.echo("the clone is shallow: what was before is not known here", err=True)


def _show_history(periods: Sequence[Period], sources: Mapping[str, Mapping[str, Any]]) -> None:
    """Show what was live when, and, if anybody knows, what that came from."""
    from generator.reports import history_report as report

    terminal.show_table(report.COLUMNS, report.rows(periods), report.LESS)
    if sources:
        click.echo()
        terminal.show_table(report.SOURCES, report.source_rows(sources), report.SOURCES_LESS)


def _likely(root: Path, model: str) -> str:
    """Suggest a model of the working tree, if there is any."""
    from generator import load
    from generator.problems import GenError
    from generator.schema import suggestion

    try:
        return f": {suggestion(model, load.names(root, 'model'))}"
    except GenError:
        return ""
