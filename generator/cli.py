"""The command line: the one place that prints, asks the clock and exits.

Exit codes: 0 fine, 1 problems or drift, 2 usage, 3 a bug of gen, 130 interrupted.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from generator import __version__, terminal

if TYPE_CHECKING:
    from generator.completion import Command
    from generator.pipeline import Outcome
    from generator.problems import Problem
    from generator.subjects import Selection, Shard

_root_option = click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    metavar="DIR",
    help="The repository that holds models/ and environments/.  [default: here]",
)
_env_option = click.option(
    "--env",
    "-e",
    "environments",
    multiple=True,
    metavar="ENV",
    help="Only this environment; repeatable.",
)


def _shard(ctx: click.Context, option: click.Parameter, value: str | None) -> Shard | None:
    """Read `3/8`. Raises BadParameter unless it is a part of that many."""
    if value is None:
        return None
    from generator.subjects import Shard

    index, _, count = value.partition("/")
    if index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count):
        return Shard(int(index), int(count))
    raise click.BadParameter(f"{value} is not a part such as 3/8", ctx, option)


def run() -> None:
    """Run the command and turn whatever happens into its exit code."""
    terminal.prepare_streams()
    try:
        main(prog_name="gen", standalone_mode=True)
    except KeyboardInterrupt:
        _interrupted()
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _FULL:
            _cannot_print(error)
        traceback.print_exc()
        click.echo(
            "\nThis is a bug of gen, not of your files. Please report what stands above.", err=True
        )
        sys.exit(3)


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


def _cannot_print(error: OSError) -> NoReturn:
    """Say that the output went nowhere, and let nothing try to flush it again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    click.echo(f"Error: the output cannot be written: {error.strerror}", err=True)
    sys.exit(1)


def _interrupted() -> NoReturn:
    click.echo("\ninterrupted; every file is as it was or as it should be", err=True)
    sys.exit(130)


class _Commands(click.Group):
    """Reports problems of the repository, and offers the likeliest command for a misspelt one."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a sub-command; problems go to stderr and end with exit code 1."""
        from generator.problems import GenError

        try:
            return super().invoke(ctx)
        except GenError as error:
            terminal.show_problems(error.problems, ctx.params.get("root") or _root_of(ctx))
            sys.exit(1)
        except KeyboardInterrupt:
            _interrupted()

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find a sub-command. Raises UsageError with the likeliest name."""
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            from generator.schema import suggestion

            hint = suggestion(args[0], self.list_commands(ctx))
            raise click.UsageError(f"there is no command `{args[0]}`: {hint}", ctx)
        return super().resolve_command(ctx, args)


def _root_of(ctx: click.Context) -> Path:
    root: Path = ctx.meta.get("generator.root", Path())
    return root


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="gen", message="%(prog)s %(version)s")
def main() -> None:
    """Render and check the manifests of a fleet of models.

    models/ holds one YAML spec per model, environments/ one inventory per cluster. `gen render`
    turns them into rendered/ and argocd/, which Argo CD syncs; what a cluster would refuse, ignore
    or leave pending for ever is refused here, on the line that you wrote.
    """


@main.command()
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@_env_option
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if anything would change.")
@click.option("--diff", is_flag=True, help="Show every change, line by line.")
@click.option(
    "--shard", metavar="I/N", callback=_shard, help="Only the I-th of N parts of the fleet."
)
@_root_option
@click.pass_context
def render(
    ctx: click.Context,
    models: tuple[str, ...],
    environments: tuple[str, ...],
    check: bool,
    diff: bool,
    shard: Shard | None,
    root: Path,
) -> None:
    """Write what the specs say to rendered/ and argocd/.

    Without MODEL, everything is rendered, and what no spec asks for any more is deleted. Only files
    that gen wrote are ever changed. With a problem anywhere, nothing is written at all.
    """
    is_whole = not (models or environments or check or diff or shard)
    if is_whole and _told_unchanged(root, _cache()):
        return
    from generator import pipeline

    selection = _selection(ctx, root, models, environments, shard)
    with terminal.ProgressBar() as progress:
        if check:
            outcome = pipeline.compare(root, selection, progress.update, texts=diff, jobs=_jobs())
        else:
            outcome = pipeline.apply(
                root, selection, progress.update, texts=diff, jobs=_jobs(), cache=_cache()
            )
    _show_changes(outcome, root, diff=diff, check=check)
    if check and outcome.changes.total:
        ctx.exit(1)


def _show_changes(outcome: Outcome, root: Path, *, diff: bool, check: bool) -> None:
    from generator import reporting

    _tell_warnings(outcome.warned)
    changes = outcome.changes
    if diff and changes.total:
        click.echo(reporting.diff_text(changes.listed, terminal.style(sys.stdout)), nl=False)
    if not changes.total:
        _tell_nothing(outcome.releases, outcome.objects, changes.counts["identical"])
        return
    click.echo(reporting.changes_text(changes, terminal.style(sys.stdout)))
    if check:
        click.echo(
            "what is committed is not what the specs say: run `gen render` and commit", err=True
        )


def _tell_warnings(count: int) -> None:
    if count:
        told = _counted(count, "warning")
        click.echo(f"{told}; `gen validate` shows what they are about", err=True)


def _tell_nothing(releases: int, objects: int, files: int) -> None:
    checked = f"{_counted(releases, 'release')}, {_counted(objects, 'object')} checked"
    click.echo(f"{checked}: nothing to change, {_counted(files, 'file')} identical")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _told_unchanged(root: Path, cache: Path) -> bool:
    """Answer from the last run if nothing has changed since: then nothing has to be imported."""
    from generator import state

    summary = state.unchanged(root, cache, _jobs())
    if summary is None:
        return False
    _tell_warnings(summary.warnings)
    _tell_nothing(summary.releases, summary.objects, summary.files)
    return True


def _cache() -> Path:
    """Name the folder for what may be lost: GEN_CACHE_DIR, or the user's cache."""
    own = os.environ.get("GEN_CACHE_DIR")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gen"


def _jobs() -> int:
    """Count the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@main.command()
@click.option(
    "--format",
    "layout",
    type=click.Choice(["text", "json", "github", "sarif"]),
    default="text",
    show_default=True,
    help="For people, for programs, as annotations of a pull request, or for code scanning.",
)
@_root_option
@click.pass_context
def validate(ctx: click.Context, layout: str, root: Path) -> None:
    """Check everything and write nothing.

    Every problem of all files is found in one run. Exit code 1 means that at least one is an error.
    """
    from generator import pipeline, reporting
    from generator.problems import GenError, errors

    _remember(ctx, root)
    outcome = None
    try:
        with terminal.ProgressBar() as progress:
            outcome = pipeline.everything(root, progress=progress.update, jobs=_jobs())
        problems: Sequence[Problem] = outcome.warnings
    except GenError as error:
        problems = error.problems
    if layout != "text":
        click.echo(reporting.FORMATS[layout](problems))
    elif problems:
        terminal.show_problems(problems, root, to_stdout=True)
    if outcome is not None and layout == "text":
        releases = _counted(outcome.releases, "release")
        click.echo(f"{releases} and {_counted(outcome.objects, 'object')} are fine")
    ctx.exit(1 if errors(problems) else 0)


@main.command()
@click.argument("model")
@click.argument("environment")
@_root_option
@click.pass_context
def explain(ctx: click.Context, model: str, environment: str, root: Path) -> None:
    """Say where each value of MODEL in ENVIRONMENT came from."""
    from generator import explain as explanation
    from generator import pipeline, reporting

    releases = pipeline.releases(root, _selection(ctx, root, (model,), (environment,)))
    if not releases:
        raise click.UsageError(f"{model} is not live in {environment}", ctx)
    rows = reporting.origins_table(explanation.origins(releases[0]))
    terminal.show_table(("setting", "from", "value"), rows)


@main.command()
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@_env_option
@click.option(
    "--format", "layout", type=click.Choice(["text", "json"]), default="text", show_default=True
)
@_root_option
@click.pass_context
def status(
    ctx: click.Context,
    models: tuple[str, ...],
    environments: tuple[str, ...],
    layout: str,
    root: Path,
) -> None:
    """Show which version is live where, and with which traffic."""
    import json

    from generator import pipeline, reporting

    rows = reporting.status_rows(
        pipeline.releases(root, _selection(ctx, root, models, environments))
    )
    if layout == "json":
        click.echo(json.dumps(rows, indent=2))
    else:
        terminal.show_table(reporting.STATUS_COLUMNS, reporting.status_table(rows))


@main.command()
@click.argument("kind", type=click.Choice(["model", "environment"]))
def schema(kind: str) -> None:
    """Print the JSON Schema of a document, for editors."""
    import json

    from generator import schema as schemas

    click.echo(json.dumps(schemas.document_schema(kind), indent=2, ensure_ascii=False))


@main.group()
def schemas() -> None:
    """The schemas that objects are checked against."""


@schemas.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), metavar="DIR")
@_root_option
@click.pass_context
def export(ctx: click.Context, directory: Path, root: Path) -> None:
    """Write all schemas to DIR, so that kubeconform runs offline with the same set."""
    from generator import pipeline, write

    _remember(ctx, root)
    versions = pipeline.kubernetes_versions(root)
    count = write.export(directory, pipeline.exported_schemas(root, versions))
    click.echo(f"{count} schemas for Kubernetes {', '.join(versions)} in {directory}")


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell, to be read by its start-up file."""
    from generator import completion as scripts

    described = [_described(command) for command in main.commands.values()]
    click.echo(scripts.SHELLS[shell](described), nl=False)


def _described(command: click.Command) -> Command:
    from generator.completion import Command, folders

    arguments = [p for p in command.params if isinstance(p, click.Argument)]
    options = [p for p in command.params if isinstance(p, click.Option)]
    chosen = [p.type.choices for p in arguments if isinstance(p.type, click.Choice)]
    inner = list(command.commands) if isinstance(command, click.Group) else []
    return Command(
        name=command.name or "",
        summary=command.get_short_help_str(80),
        options=(*(name for option in options for name in option.opts), "--help"),
        words=(*inner, *(str(word) for words in chosen for word in words)),
        names=folders(*(argument.make_metavar(click.Context(command)) for argument in arguments)),
        takes=tuple((name, _choices(o)) for o in options if not o.is_flag for name in o.opts),
    )


def _choices(option: click.Option) -> tuple[str, ...]:
    from generator.completion import folders

    if isinstance(option.type, click.Choice):
        return tuple(str(choice) for choice in option.type.choices)
    return folders(option.metavar)


def _selection(
    ctx: click.Context,
    root: Path,
    models: tuple[str, ...],
    environments: tuple[str, ...],
    shard: Shard | None = None,
) -> Selection:
    """Check the names that a person typed. Raises UsageError with the likeliest ones."""
    from generator import load
    from generator.schema import suggestion
    from generator.subjects import WHOLE, Selection

    _remember(ctx, root)
    for kind, wanted in (("model", models), ("environment", environments)):
        known = load.names(root, kind) if wanted else []
        for name in wanted:
            if name not in known:
                hint = f": {suggestion(name, known)}" if known else ""
                raise click.UsageError(f"there is no {kind} `{name}`{hint}", ctx)
    distinct = tuple(dict.fromkeys(models)), tuple(dict.fromkeys(environments))
    return Selection(*distinct, shard or WHOLE)


def _remember(ctx: click.Context, root: Path) -> None:
    ctx.meta["generator.root"] = root
