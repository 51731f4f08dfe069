"""`gen capacity`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from generator import terminal
from generator.commands.shared import env_option, root_option, selected


@click.command()
@env_option
@click.option(
    "--format",
    "layout",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    show_default=True,
    help="For people, for programs, or for a comment of a pull request.",
)
@root_option
@click.pass_context
def capacity(ctx: click.Context, environments: tuple[str, ...], layout: str, root: Path) -> None:
    """Compare what all models ask for with quota and nodes, and say what it costs.

    What is asked for, and its cost, is at minimum and at maximum replicas. `nominal` is what a
    queue has itself, `reachable` what it could ever use with all that its cohort lends. The cost is
    that of the accelerators, by `pricePerHour`, and a month has 730 hours.
    """
    from generator import pipeline
    from generator.queues import demand
    from generator.reports import capacity_report

    inventory, releases = pipeline.inventory(root, selected(ctx, root, (), environments))
    found = capacity_report.report(
        inventory, (asked for each in releases for asked in demand.everything_of(each))
    )
    if layout == "json":
        click.echo(capacity_report.as_json(found))
    elif layout == "markdown":
        click.echo(capacity_report.markdown(found))
    else:
        bars = sys.stdout.isatty()
        terminal.show_table(capacity_report.HEADER, capacity_report.table(found, bars=bars))
        if found.costs:
            click.echo()
            terminal.show_table(capacity_report.COSTS, capacity_report.cost_table(found))
        for line in capacity_report.told_outcomes(found):
            click.echo(line, err=True)
