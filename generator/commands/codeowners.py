"""`gen codeowners`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from generator import terminal
from generator.commands.shared import root_option

if TYPE_CHECKING:
    pass


def _reviewing(
    ctx: click.Context, option: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    """Take reviewers. Raises BadParameter for what CODEOWNERS would not take."""
    from generator.reports.codeowners import is_reviewer

    for value in values:
        if not is_reviewer(value):
            raise click.BadParameter(f"{value!r} is neither @ORG/TEAM nor @USER", ctx, option)
    return values


def _organization(ctx: click.Context, option: click.Parameter, value: str | None) -> str:
    """Take an organization, with its @ or without. Raises BadParameter for what is none."""
    name = (value or "").removeprefix("@")
    _reviewing(ctx, option, (f"@{name}",) if name else ())
    return name


def _reviewers(
    ctx: click.Context, option: click.Parameter, values: tuple[str, ...]
) -> Mapping[str, Sequence[str]]:
    """Read `risk-ml=@example/risk,@ada`. Raises BadParameter unless it is like that."""
    found = {}
    for value in values:
        owner, _, reviewers = value.partition("=")
        found[owner] = _reviewing(ctx, option, tuple(reviewers.split(",")))
    return found


@click.command()
@click.option(
    "--map",
    "reviewers",
    multiple=True,
    callback=_reviewers,
    metavar="OWNER=@ORG/TEAM",
    help="Who reviews the models of an owner; several with commas; repeatable.",
)
@click.option(
    "--org",
    metavar="ORG",
    callback=_organization,
    help="Owners that have no --map are teams: @ORG/OWNER.",
)
@click.option(
    "--platform",
    multiple=True,
    callback=_reviewing,
    metavar="@ORG/TEAM",
    help="Who reviews environments, templates and what all models share; repeatable.",
)
@click.option(
    "--check",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Exit 1 unless FILE has this section; show what differs.",
)
@root_option
@click.pass_context
def codeowners(
    ctx: click.Context,
    reviewers: Mapping[str, Sequence[str]],
    org: str,
    platform: tuple[str, ...],
    file: Path | None,
    root: Path,
) -> None:
    """Print who reviews what, from the `owner` of each model, as a section of CODEOWNERS.

    It is printed and not written. With --check, CI says when a model came, went or got another
    owner and the committed file does not know.
    """
    from generator import pipeline
    from generator.reports import codeowners as sections

    owners = {release.model: release.owner for release in pipeline.releases(root)}
    teams = {owner: [f"@{org}/{owner}"] for owner in owners.values() if org} | dict(reviewers)
    unknown = sorted({owner for owner in owners.values() if owner not in teams})
    if unknown:
        hint = f"--map {unknown[0]}=@ORG/TEAM, or --org ORG for all"
        raise click.UsageError(f"nobody is known to review for {', '.join(unknown)}: {hint}", ctx)
    section = sections.section(owners, teams, platform)
    if file is None:
        click.echo(section, nl=False)
    elif _told_stale(file, section):
        ctx.exit(1)


def _told_stale(file: Path, section: str) -> bool:
    """Say whether a file lacks a section, and show what differs if it does."""
    from generator.files import Change
    from generator.reports import codeowners as sections
    from generator.reports import reporting

    try:
        before = sections.found(file.read_text("utf-8-sig"))
    except FileNotFoundError:
        before = ""
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{file} cannot be read: {error}") from None
    if before == section:
        click.echo(f"{file} says who reviews what")
        return False
    change = Change("update", file.as_posix(), before, section)
    click.echo(reporting.diff_text([change], terminal.style(sys.stdout)), nl=False)
    click.echo(f"{file} does not say who reviews what: put these lines there", err=True)
    return True
