"""The versions of a model: `gen version add` and `gen version withdraw`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from generator.commands.shared import amending, change_model, selected, timeout_option

if TYPE_CHECKING:
    from generator.documents import Document
    from generator.inventory.records import Environment
    from generator.promotions.promotion import Move
    from generator.promotions.registry import Credentials, Registry, Resolved
    from generator.web import Unanswered


@click.group()
def version() -> None:
    """The versions of a model: its artifacts, live or not."""


@version.command()
@click.argument("model")
@click.argument("name", metavar="VERSION")
@click.option(
    "--uri",
    help="Where the model's files are, such as s3://bucket/path; or models:/NAME/NUMBER, "
    "models:/NAME@ALIAS or runs:/RUN/PATH, which the tracking server resolves.",
)
@click.option("--image", help="The image of `backend: deployment`, pinned.")
@click.option("--arg", "args", multiple=True, metavar="ARG", help="An argument; repeatable.")
@click.option(
    "--tracking-uri",
    metavar="URL",
    help="The MLflow tracking server.  [default: MLFLOW_TRACKING_URI, or `platform.mlflow` of the "
    "environments]",
)
@click.option(
    "--artifacts",
    metavar="URI",
    help="Where the server keeps what it hands out itself, its --artifacts-destination."
    "  [default: `platform.mlflow.artifacts`]",
)
@timeout_option("the server")
@amending
@click.pass_context
def add(
    ctx: click.Context,
    /,
    model: str,
    name: str,
    dry: bool,
    diff: bool,
    commit: bool,
    root: Path,
    **asked: Any,
) -> None:
    """Append a version to MODEL. It is live nowhere until it is promoted.

    What a tracking server resolves is written with its lineage: the registered model, its run, the
    data and the commit that it was made of. The spec keeps where the files are, not the address in
    the server, so that it means the same tomorrow.
    """
    from msgspec.structs import replace

    from generator.promotions import artifacts

    selected(ctx, root, (model,), ())
    artifact, notes = _artifact(ctx, root, model, asked)

    def plan(document: Document, _: Mapping[str, Environment]) -> Move:
        move = artifacts.add(document, name, artifact)
        return replace(move, notes=(*move.notes, *notes))

    change_model(ctx, root, model, plan, dry=dry, diff=diff, commit=commit)


def _artifact(
    ctx: click.Context, root: Path, model: str, asked: Mapping[str, Any]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Put together what a version is. Raises UsageError if nobody said it."""
    from generator.promotions import registry

    written = {"uri": asked["uri"], "image": asked["image"], "args": list(asked["args"])}
    artifact = {key: value for key, value in written.items() if value}
    if not artifact:
        raise click.UsageError("say what the version is: --uri, --image or --arg", ctx)
    if not registry.is_address(str(artifact.get("uri", ""))):
        return artifact, ()
    found = _resolved(ctx, root, model, asked)
    return {**artifact, "uri": found.uri, "source": found.source}, found.notes


def _resolved(ctx: click.Context, root: Path, model: str, asked: Mapping[str, Any]) -> Resolved:
    """Ask the tracking server, or say why that cannot be, and leave."""
    from generator.web import Unanswered

    server = _server(ctx, root, model, asked)
    try:
        return server.resolved(asked["uri"], asked["timeout"])
    except Unanswered as error:
        _leave(ctx, error)


def _leave(ctx: click.Context, error: Unanswered) -> NoReturn:
    click.echo(f"Error: {error.message}", err=True)
    if error.hint:
        click.echo(f"    hint: {error.hint}", err=True)
    click.echo("nothing was changed", err=True)
    ctx.exit(1)


def _server(ctx: click.Context, root: Path, model: str, asked: Mapping[str, Any]) -> Registry:
    """Find the server: as it was named here, in the process's environment, or in environments."""
    from generator.promotions.registry import Registry

    known = _known_servers(root, model)
    own = asked["tracking_uri"] or os.environ.get("MLFLOW_TRACKING_URI", "")
    address = own or _only(ctx, {each.mlflow for each in known} - {""})
    near = [each for each in known if each.mlflow.rstrip("/") == address.rstrip("/")]
    kept = {each.mlflow_artifacts for each in near or known} - {""}
    artifacts = asked["artifacts"] or (kept.pop() if len(kept) == 1 else "")
    return Registry(address, _credentials(), artifacts)


def _only(ctx: click.Context, found: set[str]) -> str:
    """Take the server that all environments name. Raises UsageError for none or several."""
    if len(found) == 1:
        return found.pop()
    told = f"the environments name {' and '.join(sorted(found))}" if found else "nobody named one"
    hint = "--tracking-uri URL, MLFLOW_TRACKING_URI, or `platform.mlflow` in an environment"
    raise click.UsageError(f"which tracking server resolves that? {told}: {hint}", ctx)


def _known_servers(root: Path, model: str) -> list[Environment]:
    """List the environments that a model is live in."""
    from generator.revisions import timeline
    from generator.subjects import Repository, Selection

    repository = Repository(root, Selection((model,)))
    (subject,) = repository.subjects
    live = timeline.blocks(repository.document(subject).data)
    return [each for name, each in repository.environments.items() if name in live]


def _credentials() -> Credentials:
    """Read what MLflow's own client reads."""
    from generator.promotions.registry import Credentials

    names = ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
    return Credentials(*(os.environ.get(name, "") for name in names))


@version.command()
@click.argument("model")
@click.argument("name", metavar="VERSION")
@click.option("--reason", required=True, metavar="TEXT", help="Why, for whoever names it next.")
@amending
@click.pass_context
def withdraw(
    ctx: click.Context,
    model: str,
    name: str,
    reason: str,
    dry: bool,
    diff: bool,
    commit: bool,
    root: Path,
) -> None:
    """Mark a version of MODEL, so that it is never live again.

    It stays in the file with its reason, and whoever promotes it, or reverts to it, is refused with
    that. While it is live it cannot be withdrawn.
    """
    from generator.promotions import artifacts

    def plan(document: Document, _: Mapping[str, Environment]) -> Move:
        return artifacts.withdraw(document, name, reason)

    selected(ctx, root, (model,), ())
    change_model(ctx, root, model, plan, dry=dry, diff=diff, commit=commit)
