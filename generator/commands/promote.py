"""`gen promote` and `gen rollback`: what is live where."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from generator.commands.asking import asking_git
from generator.commands.shared import amending, change_model, one_env_option, selected

if TYPE_CHECKING:
    from generator.documents import Document
    from generator.inventory.records import Environment
    from generator.promotions.promotion import Move, Wish


@click.command()
@click.argument("model")
@one_env_option
@click.option("--version", metavar="VERSION", help="The version that serves, or goes on trial.")
@click.option("--from", "source", metavar="ENV", help="The version that serves in ENV.")
@click.option(
    "--traffic",
    "--to",
    type=click.IntRange(0, 100),
    metavar="PERCENT",
    help="Start a canary with so many of the requests, or give it so many; 100 is --finish.",
)
@click.option("--next", "next_step", is_flag=True, help="Take the next of `rollout.steps`.")
@click.option("--finish", is_flag=True, help="Make the canary the version.")
@click.option("--standby", is_flag=True, help="Keep the version that served warm.")
@click.option("--no-standby", "cold", is_flag=True, help="Stop the version that was kept warm.")
@click.option("--shadow", is_flag=True, help="Send the version copies of the requests, only.")
@click.option("--no-shadow", "alone", is_flag=True, help="Stop the version that gets copies.")
@amending
@click.pass_context
def promote(
    ctx: click.Context,
    /,
    model: str,
    environment: str,
    dry: bool,
    diff: bool,
    commit: bool,
    root: Path,
    **asked: Any,
) -> None:
    """Change which version of MODEL is live in ENV, by one step.

    The model's file is edited in place and rendered; with a problem anywhere, nothing is changed.
    --version alone makes a version the one that serves. With --traffic, it gets a share beside the
    one that does.
    """
    import time

    from generator.promotions import promotion

    wish = _wish(ctx, asked)
    history = asking_git(root, "name the share with `--traffic`")

    def plan(document: Document, environments: Mapping[str, Environment]) -> Move:
        now = promotion.situation(document, environments[environment])
        return promotion.promote(now, wish, history, time.time())

    selected(ctx, root, (model,), (environment, *([wish.source] if wish.source else ())))
    change_model(ctx, root, model, plan, dry=dry, diff=diff, commit=commit)


_EXCLUSIVE = (
    {"version": "--version", "source": "--from"},
    {"traffic": "--traffic", "next_step": "--next", "finish": "--finish"}
    | {"shadow": "--shadow", "alone": "--no-shadow"},
    {"standby": "--standby", "cold": "--no-standby"}
    | {"shadow": "--shadow", "alone": "--no-shadow"},
)


_REFUSALS = {"cold": "standby", "alone": "shadow"}
"""Options that say no, and what to."""


def _wish(ctx: click.Context, asked: dict[str, Any]) -> Wish:
    """Read the options of a promotion. Raises UsageError if they do not go together."""
    from generator.promotions.promotion import Wish

    given = {name for name, value in asked.items() if value is not None and value is not False}
    for options in _EXCLUSIVE:
        together = [option for name, option in options.items() if name in given]
        if len(together) > 1:
            raise click.UsageError(f"{' and '.join(together)} exclude each other", ctx)
    if not given - {"standby"}:
        hint = "--version VERSION, --from ENV, --traffic PERCENT, --next or --finish"
        raise click.UsageError(f"say what to promote: {hint}", ctx)
    wished = {name: asked[name] for name in given - _REFUSALS.keys()}
    return Wish(**wished | {_REFUSALS[name]: False for name in given & _REFUSALS.keys()})


@click.command()
@click.argument("model")
@one_env_option
@click.option("--to", "version", metavar="VERSION", help="The version that serves again.")
@amending
@click.pass_context
def rollback(
    ctx: click.Context,
    model: str,
    environment: str,
    version: str | None,
    dry: bool,
    diff: bool,
    commit: bool,
    root: Path,
) -> None:
    """Go back to what was live before.

    A canary is removed if there is one. Otherwise the version on standby serves again and the other
    one stays warm; without a standby, it is the version that Git says was live before. Withdrawn
    versions are passed over. What is wrong with the way there is told and does not stop anybody.
    """
    from generator.promotions import promotion

    history = asking_git(root, "name the version with `--to`")

    def plan(document: Document, environments: Mapping[str, Environment]) -> Move:
        now = promotion.situation(document, environments[environment])
        return promotion.roll_back(now, version or "", history)

    selected(ctx, root, (model,), (environment,))
    change_model(ctx, root, model, plan, dry=dry, diff=diff, commit=commit, is_urgent=True)
