"""`gen init` and `gen new`: what to start from."""

from __future__ import annotations

from pathlib import Path

import click

from generator import terminal
from generator.commands.shared import root_option, selected, today


@click.command()
@click.argument(
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=".",
    metavar="[DIR]",
)
@click.option(
    "--ci",
    "runners",
    multiple=True,
    type=click.Choice(["github", "gitlab", "pre-commit"]),
    help="Also write what checks each change there; repeatable.",
)
def init(directory: Path, runners: tuple[str, ...]) -> None:
    """Write a repository to start from: an environment, a model, a README.

    It goes into DIR, or here without it. No file is ever overwritten: if one is
    in the way, nothing is written.
    """
    from generator import start, write

    files = [((directory / path).as_posix(), text) for path, text in start.repository(runners)]
    write.create(Path(), files)
    for path, _ in files:
        click.echo(f"create   {path}")
    click.echo("next: README.md says what to change first, and `gen render` renders it", err=True)


@click.command()
@click.argument("model")
@click.option("--format", "model_format", metavar="FORMAT", help="What is served, as sklearn.")
@click.option(
    "--backend",
    type=click.Choice(["kserve", "kserve-llm", "seldon"]),
    help="What serves it.  [default: kserve]",
)
@click.option("--image", metavar="IMAGE", help="An image of your own instead.")
@click.option(
    "--owner",
    default="my-team",
    show_default=True,
    metavar="TEAM",
    help="The team that answers for it.",
)
@click.option(
    "--env",
    "-e",
    "environments",
    multiple=True,
    metavar="ENV",
    help="Where it goes live; repeatable.  [default: the one that there is]",
)
@root_option
@click.pass_context
def new(
    ctx: click.Context,
    model: str,
    model_format: str | None,
    backend: str | None,
    image: str | None,
    owner: str,
    environments: tuple[str, ...],
    root: Path,
) -> None:
    """Write models/MODEL.yaml to start from, with comments on what may be there.

    It is valid at once, for sklearn if nothing else is asked for. A file that is there is never
    overwritten.
    """
    from generator import pipeline, start, validate, write
    from generator.subjects import Selection

    _refuse_options(ctx, model, model_format, image, backend)
    selected(ctx, root, (), environments)
    wanted = tuple(dict.fromkeys(environments)) or _only_environment(ctx, root)
    document = start.model(
        model,
        owner,
        wanted,
        model_format=model_format or "sklearn",
        image=image or "",
        backend=backend or "",
    )
    if problems := validate.problems(document):
        terminal.show_problems(problems, root, texts={document.path: document.text})
        click.echo("nothing was written: these are the lines that there would be", err=True)
        ctx.exit(1)
    write.create(root, [(document.path, document.text)])
    click.echo(f"create   {(root / document.path).as_posix()}")
    pipeline.everything(root, Selection((model,)), today=today())
    click.echo(f"next: write what is yours there, then `gen render {model}`", err=True)


def _refuse_options(
    ctx: click.Context, model: str, model_format: str | None, image: str | None, backend: str | None
) -> None:
    """Raise UsageError for what no spec may be called or be, with the likeliest other word."""
    from generator import start
    from generator.schema import suggestion

    if why := start.misnamed(model):
        raise click.UsageError(f"`{model}` is no name for a model: {why}", ctx)
    for option, value in (("--format", model_format), ("--backend", backend)):
        if value and image:
            raise click.UsageError(f"{option} and --image exclude each other", ctx)
    if model_format and backend == "kserve-llm":
        raise click.UsageError("a language model of `kserve-llm` has no --format", ctx)
    if model_format and model_format not in start.formats():
        hint = suggestion(model_format, start.formats())
        raise click.UsageError(f"there is no format `{model_format}`: {hint}", ctx)


def _only_environment(ctx: click.Context, root: Path) -> tuple[str, ...]:
    """Name the environment if there is one. Raises UsageError if there are several."""
    from generator import load

    known = load.names(root, "environment")
    if len(known) != 1:
        names = f" --env {', --env '.join(known)}" if known else " environments/ is empty"
        raise click.UsageError(f"say where it goes live:{names}", ctx)
    return tuple(known)
