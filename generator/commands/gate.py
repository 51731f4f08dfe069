"""`gen gate`: whether a canary may grow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from generator import terminal
from generator.commands.asking import asking_git
from generator.commands.shared import one_env_option, root_option, selected, timeout_option

if TYPE_CHECKING:
    from generator.gate.gating import Judgement, Trial
    from generator.gate.measures import Reply
    from generator.promotions.promotion import History
    from generator.records import Release


def _window(ctx: click.Context, option: click.Parameter, value: str | None) -> int:
    """Read a duration as seconds; 0 without one. Raises BadParameter for anything else."""
    import re

    from generator.values import durations

    if value is None:
        return 0
    if re.fullmatch("[1-9][0-9]{0,4}[smhd]", value):
        return durations.seconds(value)
    raise click.BadParameter(f"{value} is no duration such as 90s, 30m, 4h or 2d", ctx, option)


def _token(ctx: click.Context, option: click.Parameter, value: Path | None) -> str:
    """Read a token from a file. Raises BadParameter for what no header can carry."""
    if value is None:
        return ""
    try:
        token = value.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"{value} cannot be read: {error}", ctx, option) from None
    if not token or not token.isprintable() or " " in token:
        raise click.BadParameter(f"{value} does not hold one token", ctx, option)
    return token


@click.command()
@click.argument("model")
@one_env_option
@click.option(
    "--format", "layout", type=click.Choice(["text", "json"]), default="text", show_default=True
)
@click.option(
    "--window",
    metavar="DURATION",
    callback=_window,
    help="Look back so far, such as 30m.  [default: `rollout.soak`, or since the traffic is so]",
)
@click.option("--address", metavar="URL", help="Prometheus as it is reached from here.")
@click.option(
    "--bearer-token-file",
    "token",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    callback=_token,
    help="Holds the token that Prometheus, or what stands in front of it, asks for.",
)
@timeout_option("Prometheus")
@root_option
@click.pass_context
def gate(
    ctx: click.Context,
    model: str,
    environment: str,
    layout: str,
    window: int,
    address: str | None,
    token: str,
    timeout: float,
    root: Path,
) -> None:
    """Say whether the canary of MODEL in ENV may grow, by what Prometheus knows of it.

    Requests, errors and latency of the canary are compared with those of the version that serves,
    by the limits in `rollout.gate`. What is not known never lets a canary grow.

    Exit codes: 0 advance, 10 wait, 11 roll back, 12 Prometheus could not be asked, 1 a problem of
    the repository, 2 usage. Nothing is changed: the last line is the command that does it.
    """
    import time

    from generator.gate import gating
    from generator.reports import gate_report

    release = _one_release(ctx, root, model, environment)
    where = _prometheus_of(release, address)
    trial = _with_git(ctx, lambda past: gating.trial(release, past, time.time(), window), root)
    found = gating.judged(trial, _asked(ctx, trial, where, token, timeout))
    if layout == "json":
        click.echo(gate_report.as_json(found))
    else:
        _show_judgement(found)
    ctx.exit(_GATE_CODES[found.verdict.decision])


_GATE_CODES = {"advance": 0, "wait": 10, "roll back": 11}


_UNANSWERED = 12


def _one_release(ctx: click.Context, root: Path, model: str, environment: str) -> Release:
    """Resolve a model in an environment. Raises UsageError if it is not live there."""
    from generator import pipeline

    releases = pipeline.releases(root, selected(ctx, root, (model,), (environment,)))
    if not releases:
        raise click.UsageError(f"{model} is not live in {environment}", ctx)
    return releases[0]


def _prometheus_of(release: Release, address: str | None) -> str:
    """Take the address that was given, or the environment's. Raises GenError without either."""
    from generator.problems import GenError

    known = address or release.environment.prometheus
    if known:
        return known
    message = f"environment {release.environment.name} has no `platform.prometheus`"
    hint = "add it, or name one that is reached from here: `--address`"
    document = release.environment.document
    raise GenError([document.problem("E302", message, ("platform",), hint=hint, key=True)])


def _with_git(ctx: click.Context, run: Callable[[History], Trial], root: Path) -> Trial:
    """Run what asks Git for the past. Raises UsageError if Git does not know."""
    from generator.revisions.git import GitError

    try:
        return run(asking_git(root, ""))
    except GitError as error:
        raise click.UsageError(str(error), ctx) from None


def _asked(
    ctx: click.Context, trial: Trial, address: str, token: str, timeout: float
) -> Sequence[Reply]:
    """Ask Prometheus, or say why that cannot be, and leave."""
    from generator.gate import gating
    from generator.gate.prometheus import Prometheus, Unanswered, Unfit
    from generator.problems import GenError

    try:
        queries = [question.query for _, question in trial.asked]
        return Prometheus(address, token).answers(queries, timeout)
    except Unanswered as error:
        query = error.query if isinstance(error, Unfit) else ""
        own = gating.blame(trial, query, error.message, error.hint)
        if own is not None:
            raise GenError([own]) from None
        click.echo(f"Error: {error.message}", err=True)
        for label, text in (("query", query), ("hint", error.hint)):
            click.echo(f"    {label}: {text}" if text else "", err=True, nl=bool(text))
        ctx.exit(_UNANSWERED)


def _show_judgement(found: Judgement) -> None:
    from generator.reports import gate_report

    click.echo(gate_report.headline(found))
    for remark in gate_report.remarks(found):
        click.echo(f"note: {remark}", err=True)
    click.echo()
    terminal.show_table(gate_report.header(found), gate_report.table(found))
    if found.command:
        click.echo(f"\n{found.command}")
