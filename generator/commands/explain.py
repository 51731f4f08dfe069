"""`gen explain` and `gen rules`: what a value or a code means."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import click

from generator import terminal
from generator.commands.shared import root_option, selected


@click.command()
@click.argument("model", metavar="MODEL|CODE")
@click.argument("environment", required=False)
@root_option
@click.pass_context
def explain(ctx: click.Context, model: str, environment: str | None, root: Path) -> None:
    """Say where each value of MODEL in ENVIRONMENT came from, or what a problem's CODE means."""
    from generator import pipeline
    from generator.reports import explain as explanation
    from generator.reports import reporting

    if environment is None:
        click.echo(_explained(ctx, root, model))
        return
    releases = pipeline.releases(root, selected(ctx, root, (model,), (environment,)))
    if not releases:
        raise click.UsageError(f"{model} is not live in {environment}", ctx)
    rows = reporting.origins_table(explanation.origins(releases[0]))
    terminal.show_table(("setting", "from", "value"), rows)


def _explained(ctx: click.Context, root: Path, name: str) -> str:
    """Explain a code. Raises UsageError for another name, with what it may have meant."""
    from generator.reports import rule_texts
    from generator.schema import suggestion

    try:
        return rule_texts.explained(name.upper())
    except KeyError:
        if not name[1:].isdecimal():
            _refuse_to_explain(ctx, root, name)
        hint = suggestion(name.upper(), rule_texts.known())
        raise click.UsageError(f"there is no code `{name}`: {hint}", ctx) from None


def _refuse_to_explain(ctx: click.Context, root: Path, model: str) -> NoReturn:
    """Raise UsageError with the environments of a model, or with the likeliest model."""
    from generator import load
    from generator.revisions import timeline

    selected(ctx, root, (model,), ())
    document = load.document(root, "model", root / "models" / f"{model}.yaml")
    live = list(timeline.blocks(document.data))
    example = f", as in `gen explain {model} {live[0]}`" if live else ""
    places = f" ({', '.join(live)})" if live else ""
    raise click.UsageError(f"name an environment of {model}{places} too{example}", ctx)


@click.command()
@click.option(
    "--format", "layout", type=click.Choice(["text", "json"]), default="text", show_default=True
)
def rules(layout: str) -> None:
    """List the rules: what a schema passes and a cluster ignores, refuses or leaves pending.

    `gen explain CODE` explains one of them.
    """
    from generator.reports import rule_texts

    if layout == "json":
        click.echo(rule_texts.as_json())
    else:
        terminal.show_table(rule_texts.COLUMNS, rule_texts.rows())
