"""What commands share: options, the names that a person typed, and how a change is told."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from generator import terminal

if TYPE_CHECKING:
    from generator.pipeline import Outcome
    from generator.promotions.amend import Amended, Keep, Plan
    from generator.promotions.promotion import Move
    from generator.subjects import Selection, Shard


def _root(ctx: click.Context, _: click.Parameter, value: Path | None) -> Path:
    """Take the folder that was named, or the nearest one that is a repository of models."""
    root = ctx.meta["generator.root"] = value or _nearest_root()
    if value is None and root != Path():
        click.echo(f"gen works in {root}, where models/ and environments/ are", err=True)
    return root


def _nearest_root() -> Path:
    """Look here and above, as far as the Git repository goes; here if there is none."""
    try:
        here = Path.cwd()
    except OSError:
        return Path()  # the folder is gone: whoever reads it says so
    for folder in (here, *here.parents):
        if (folder / "models").is_dir() and (folder / "environments").is_dir():
            return Path(os.path.relpath(folder, here))
        if (folder / ".git").exists():
            break
    return Path()


root_option = click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    callback=_root,
    metavar="DIR",
    help="The repository that holds models/ and environments/."
    "  [default: here, or the nearest folder above]",
)


env_option = click.option(
    "--env",
    "-e",
    "environments",
    multiple=True,
    metavar="ENV",
    help="Only this environment; repeatable.",
)


one_env_option = click.option(
    "--env", "-e", "environment", required=True, metavar="ENV", help="Where it is live."
)


def timeout_option(server: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Bound how long a server may take."""
    return click.option(
        "--timeout",
        type=click.FloatRange(0, 3600, min_open=True),
        default=30.0,
        metavar="SECONDS",
        help=f"How long {server} may take for everything.  [default: 30]",
    )


def show_changes(
    outcome: Outcome, root: Path, *, diff: bool, check: bool, noun: str = "warning"
) -> None:
    """Show what a run changed, or would."""
    from generator.reports import reporting

    tell_warnings(outcome.warned, outcome.silenced, noun)
    changes = outcome.changes
    if diff and changes.total:
        click.echo(reporting.diff_text(changes.listed, terminal.style(sys.stdout)), nl=False)
    if not changes.total:
        tell_nothing(outcome.releases, outcome.objects, changes.counts["identical"])
        return
    click.echo(reporting.changes_text(changes, terminal.style(sys.stdout)))
    if check:
        click.echo(
            "what is committed is not what the specs say: run `gen render` and commit", err=True
        )


def tell_warnings(count: int, silenced: int, noun: str = "warning") -> None:
    """Count what was warned of, and where to read it."""
    told = [counted(count, noun)] if count else []
    told += [f"{silenced} silenced"] if silenced else []
    more = "; `gen validate` shows what they are about" if count else ""
    if told:
        click.echo(f"{', '.join(told)}{more}", err=True)


def tell_nothing(releases: int, objects: int, files: int) -> None:
    """Say that everything is as it should be."""
    checked = f"{counted(releases, 'release')}, {counted(objects, 'object')} checked"
    click.echo(f"{checked}: nothing to change, {counted(files, 'file')} identical")


def counted(count: int, noun: str) -> str:
    """Write a number of things."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def cache_folder() -> Path:
    """Name the folder for what may be lost: GEN_CACHE_DIR, or the user's cache."""
    own = os.environ.get("GEN_CACHE_DIR")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gen"


def today() -> str:
    """Name the day, by which silences of rules end."""
    from datetime import date

    return date.today().isoformat()


def jobs() -> int:
    """Count the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def amending(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that every command has which edits a model."""
    for option in reversed(
        (
            click.option("--dry-run", "dry", is_flag=True, help="Show what would change, only."),
            click.option("--diff", is_flag=True, help="Show the rendered files' changes too."),
            click.option("--commit", is_flag=True, help="Commit the files that changed, only."),
            root_option,
        )
    ):
        command = option(command)
    return command


def change_model(
    ctx: click.Context,
    root: Path,
    model: str,
    plan: Plan,
    *,
    dry: bool,
    diff: bool,
    commit: bool,
    is_urgent: bool = False,
) -> None:
    """Edit a model and tell what that did. Raises UsageError if Git stands against it."""
    from generator.promotions.amend import Refused, amend
    from generator.revisions.git import GitError

    try:
        keep = _committing(root, model) if commit and not dry else None
        amended = amend(root, model, plan, today=today(), dry=dry, is_urgent=is_urgent, keep=keep)
    except GitError as error:
        raise click.UsageError(f"{error}; nothing was changed", ctx) from None
    except Refused as error:
        texts = {error.document.path: error.document.text}
        terminal.show_problems(error.problems, root, texts=texts)
        click.echo("nothing was changed: these are the lines that there would be", err=True)
        ctx.exit(1)
    _show_amended(amended, root, diff=diff)
    if dry and amended.move.edits:
        click.echo("nothing was written: this was a dry run", err=True)
    elif keep and amended.move.edits:
        click.echo(f"committed: {amended.move.subject}")


def _committing(root: Path, model: str) -> Keep:
    """Make sure that a commit could be made. Raises GitError."""
    from generator.revisions.commits import Commits

    commits = Commits(root, os.environ)
    commits.refuse_now(f"models/{model}.yaml")

    def keep(move: Move, paths: list[str]) -> None:
        commits.commit(move.subject, paths)

    return keep


def _show_amended(amended: Amended, root: Path, *, diff: bool) -> None:
    """Show an edit with what it does to what runs, which no later run without a base tells."""
    from msgspec.structs import replace

    from generator.reports import reporting
    from generator.rules import catalogue

    click.echo(amended.move.sentence)
    for note in amended.move.notes:
        click.echo(f"note: {note}", err=True)
    if amended.document is None or amended.outcome is None:
        return
    style = terminal.style(sys.stdout)
    click.echo(reporting.diff_text([amended.document], style), nl=False)
    costs = [problem for problem in amended.outcome.warnings if catalogue.is_of_changes(problem)]
    if costs:
        texts = {amended.document.path: amended.document.after}
        terminal.show_problems(costs, root, texts=texts)
    others = replace(amended.outcome, warned=len(amended.outcome.warnings) - len(costs))
    show_changes(others, root, diff=diff, check=False, noun="more warning" if costs else "warning")


def selected(
    ctx: click.Context,
    root: Path,
    models: tuple[str, ...],
    environments: tuple[str, ...],
    shard: Shard | None = None,
    base: Path | None = None,
) -> Selection:
    """Check the names that a person typed, which may be of `base`, a tree as it was, too.

    Raises UsageError with the likeliest ones.
    """
    from generator import load
    from generator.schema import suggestion
    from generator.subjects import WHOLE, Selection

    for kind, wanted in (("model", models), ("environment", environments)):
        known = load.names(root, kind) if wanted else []
        known += _names_before(base, kind) if wanted and base else []
        for name in wanted:
            if name not in known:
                hint = f": {suggestion(name, known)}" if known else ""
                raise click.UsageError(f"there is no {kind} `{name}`{hint}", ctx)
    distinct = tuple(dict.fromkeys(models)), tuple(dict.fromkeys(environments))
    return Selection(*distinct, shard or WHOLE)


def _names_before(base: Path, kind: str) -> list[str]:
    """List what a tree had, which may have had no such folder."""
    from generator import load
    from generator.problems import GenError

    try:
        return load.names(base, kind)
    except GenError:
        return []
