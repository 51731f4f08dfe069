"""The command line: the one place that prints, asks the clock and exits.

Exit codes: 0 fine, 1 problems or drift, 2 usage, 3 a bug of gen, 130 interrupted; `gate` has more.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from generator import __version__, terminal

if TYPE_CHECKING:
    from generator.diff.impact import TreeChange
    from generator.documents import Document
    from generator.gate.gating import Judgement, Trial
    from generator.gate.measures import Reply
    from generator.pipeline import Outcome
    from generator.problems import Problem
    from generator.promotions.amend import Amended, Keep, Plan
    from generator.promotions.promotion import History, Move, Wish
    from generator.records import Environment, Release
    from generator.reports.completion import Command
    from generator.reports.diff_report import Against
    from generator.revisions.history import Change
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


_root_option = click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    callback=_root,
    metavar="DIR",
    help="The repository that holds models/ and environments/."
    "  [default: here, or the nearest folder above]",
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
            outcome = pipeline.compare(
                root, selection, progress.update, texts=diff, jobs=_jobs(), today=_today()
            )
        else:
            outcome = pipeline.apply(
                root,
                selection,
                progress.update,
                texts=diff,
                jobs=_jobs(),
                cache=_cache(),
                today=_today(),
            )
    _show_changes(outcome, root, diff=diff, check=check)
    if check and outcome.changes.total:
        ctx.exit(1)


def _show_changes(
    outcome: Outcome, root: Path, *, diff: bool, check: bool, noun: str = "warning"
) -> None:
    from generator.reports import reporting

    _tell_warnings(outcome.warned, outcome.silenced, noun)
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


def _tell_warnings(count: int, silenced: int, noun: str = "warning") -> None:
    told = [_counted(count, noun)] if count else []
    told += [f"{silenced} silenced"] if silenced else []
    more = "; `gen validate` shows what they are about" if count else ""
    if told:
        click.echo(f"{', '.join(told)}{more}", err=True)


def _tell_nothing(releases: int, objects: int, files: int) -> None:
    checked = f"{_counted(releases, 'release')}, {_counted(objects, 'object')} checked"
    click.echo(f"{checked}: nothing to change, {_counted(files, 'file')} identical")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _told_unchanged(root: Path, cache: Path) -> bool:
    """Answer from the last run if nothing has changed since: then nothing has to be imported."""
    from generator import state

    summary = state.unchanged(root, cache, _jobs(), _today())
    if summary is None:
        return False
    _tell_warnings(summary.warnings, summary.silenced)
    _tell_nothing(summary.releases, summary.objects, summary.files)
    return True


def _cache() -> Path:
    """Name the folder for what may be lost: GEN_CACHE_DIR, or the user's cache."""
    own = os.environ.get("GEN_CACHE_DIR")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gen"


def _today() -> str:
    """Name the day, by which silences of rules end."""
    from datetime import date

    return date.today().isoformat()


def _jobs() -> int:
    """Count the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@main.command()
@click.option(
    "--format",
    "layout",
    type=click.Choice(["text", "json", "github", "gitlab", "sarif"]),
    default="text",
    show_default=True,
    help="For people, for programs, for the lines of a pull request, or for code scanning.",
)
@click.option(
    "--base",
    "ref",
    metavar="REF",
    help="Also check what changed since HEAD left REF, such as origin/main.",
)
@_root_option
@click.pass_context
def validate(ctx: click.Context, layout: str, ref: str | None, root: Path) -> None:
    """Check everything and write nothing.

    Every problem of all files is found in one run. Exit code 1 means that at least one is an error.

    With --base, what is right as it stands must also be right as a change of what runs: some
    changes are refused by a cluster, or lose requests, unless they are made in steps.
    """
    from generator import pipeline
    from generator.problems import GenError, errors
    from generator.reports import reporting

    outcome = None
    try:
        with _tree_at(ctx, root, ref) as base, terminal.ProgressBar() as progress:
            outcome = pipeline.everything(
                root, progress=progress.update, jobs=_jobs(), today=_today(), base=base
            )
        problems: Sequence[Problem] = outcome.warnings
    except GenError as error:
        problems = error.problems
    if layout != "text":
        click.echo(reporting.FORMATS[layout](problems))
    elif problems:
        terminal.show_problems(problems, root, to_stdout=True)
    if outcome is not None and layout == "text":
        releases = _counted(outcome.releases, "release")
        silenced = f", {outcome.silenced} silenced" if outcome.silenced else ""
        since = f", and so is the change since {ref}" if ref else ""
        objects = _counted(outcome.objects, "object")
        click.echo(f"{releases} and {objects} are fine{since}{silenced}")
    ctx.exit(1 if errors(problems) else 0)


@contextlib.contextmanager
def _tree_at(ctx: click.Context, root: Path, ref: str | None) -> Iterator[Path | None]:
    """Write what the specs were where HEAD left a name; None without a name.

    Raises UsageError if Git does not have it.
    """
    if ref is None:
        yield None
        return
    from tempfile import TemporaryDirectory

    from generator.revisions.git import Git, GitError
    from generator.subjects import INPUTS

    repository = Git(root, os.environ)
    with TemporaryDirectory(prefix="gen-") as folder:
        try:
            repository.tree(repository.base(ref), Path(folder), INPUTS)
        except GitError as error:
            raise click.UsageError(str(error), ctx) from None
        yield Path(folder)


@main.command()
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option(
    "--base",
    "ref",
    metavar="REF",
    help="Compare with where HEAD left this branch, tag or commit."
    "  [default: origin/HEAD, main or master, whatever there is; or else HEAD]",
)
@_env_option
@click.option(
    "--format",
    "layout",
    type=click.Choice(["text", "markdown", "json"]),
    default="text",
    show_default=True,
    help="For people, as a comment of a pull request, or complete for programs.",
)
@_root_option
@click.pass_context
def diff(
    ctx: click.Context,
    models: tuple[str, ...],
    ref: str | None,
    environments: tuple[str, ...],
    layout: str,
    root: Path,
) -> None:
    """Show what a change does: versions, traffic, replicas, GPUs, cost, restarts, objects.

    What the specs of the working tree come to is compared with what those of a commit do. Committed
    manifests play no part: `gen render --check` looks at them. Differences are no failure: exit
    code 1 means that something could not be compared.
    """
    from generator.reports import diff_report

    change, against = _change(ctx, root, ref, models, environments)
    if layout == "json":
        click.echo(diff_report.as_json(change, against))
    elif layout == "markdown":
        click.echo(diff_report.as_markdown(change, against), nl=False)
    else:
        width = terminal.width(sys.stdout)
        click.echo(diff_report.as_text(change, against, terminal.style(sys.stdout), width))
    if change.problems_before:
        click.echo(diff_report.not_in_base(change, against), err=True)
    if change.problems:
        terminal.show_problems(change.problems, root)
    ctx.exit(1 if change.problems or change.is_blind else 0)


def _change(
    ctx: click.Context,
    root: Path,
    ref: str | None,
    models: tuple[str, ...],
    environments: tuple[str, ...],
) -> tuple[TreeChange, Against]:
    """Compare the working tree with a commit. Raises UsageError if Git does not have it."""
    from tempfile import TemporaryDirectory

    from generator.diff import differences
    from generator.reports.diff_report import Against
    from generator.revisions.git import Git, GitError

    repository = Git(root, os.environ)
    with TemporaryDirectory(prefix="gen-") as folder:
        try:
            name, commit = repository.default_base() if ref is None else (ref, repository.base(ref))
            changed = repository.changed(commit, differences.FOLDERS)
            repository.tree(commit, Path(folder), differences.FOLDERS, differences.needed(changed))
        except GitError as error:
            raise click.UsageError(str(error), ctx) from None
        selection = _selection(ctx, root, models, environments, base=Path(folder))
        with terminal.ProgressBar() as progress:
            change = differences.of(
                Path(folder), root, selection, _jobs(), changed, progress.update
            )
    return change, Against(name, commit)


@main.command()
@click.argument("model", metavar="MODEL|CODE")
@click.argument("environment", required=False)
@_root_option
@click.pass_context
def explain(ctx: click.Context, model: str, environment: str | None, root: Path) -> None:
    """Say where each value of MODEL in ENVIRONMENT came from, or what a problem's CODE means."""
    from generator import pipeline
    from generator.reports import explain as explanation
    from generator.reports import reporting

    if environment is None:
        click.echo(_explained(ctx, root, model))
        return
    releases = pipeline.releases(root, _selection(ctx, root, (model,), (environment,)))
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

    _selection(ctx, root, (model,), ())
    document = load.document(root, "model", root / "models" / f"{model}.yaml")
    live = list(timeline.blocks(document.data))
    example = f", as in `gen explain {model} {live[0]}`" if live else ""
    places = f" ({', '.join(live)})" if live else ""
    raise click.UsageError(f"name an environment of {model}{places} too{example}", ctx)


@main.command()
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
    """Show which version is live where, with which traffic, and since when.

    The last column is the commit that last changed the model's block for the environment, if it is
    committed as it is here.
    """
    import json

    from generator import pipeline
    from generator.reports import reporting

    releases = pipeline.releases(root, _selection(ctx, root, models, environments))
    rows = reporting.status_rows(releases, _last_changes(root, releases))
    if layout == "json":
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        table = reporting.status_table(rows)
        terminal.show_table(reporting.STATUS_COLUMNS, table, reporting.STATUS_LESS)


def _last_changes(root: Path, releases: Sequence[Release]) -> Mapping[tuple[str, str], Change]:
    """Ask Git for the last changes; what it does not know is no problem here."""
    from generator.revisions import history
    from generator.revisions.git import Git, GitError

    documents = {release.model: release.document.data for release in releases}
    try:
        return history.last_changes(Git(root, os.environ), documents)
    except GitError:
        return {}


@main.command(name="history")
@click.argument("model")
@_env_option
@click.option(
    "--format", "layout", type=click.Choice(["text", "json"]), default="text", show_default=True
)
@_root_option
@click.pass_context
def history_(
    ctx: click.Context, model: str, environments: tuple[str, ...], layout: str, root: Path
) -> None:
    """Show which version of MODEL was live when, and whose commit made it so.

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
    if layout == "json":
        click.echo(history_report.as_json(periods))
    else:
        terminal.show_table(
            history_report.COLUMNS, history_report.rows(periods), history_report.LESS
        )
    if is_shallow:
        click.echo("the clone is shallow: what was before is not known here", err=True)


def _likely(root: Path, model: str) -> str:
    """Suggest a model of the working tree, if there is any."""
    from generator import load
    from generator.problems import GenError
    from generator.schema import suggestion

    try:
        return f": {suggestion(model, load.names(root, 'model'))}"
    except GenError:
        return ""


def _amending(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that every command has which edits a model."""
    for option in reversed(
        (
            click.option("--dry-run", "dry", is_flag=True, help="Show what would change, only."),
            click.option("--diff", is_flag=True, help="Show the rendered files' changes too."),
            click.option("--commit", is_flag=True, help="Commit the files that changed, only."),
            _root_option,
        )
    ):
        command = option(command)
    return command


_one_env_option = click.option(
    "--env", "-e", "environment", required=True, metavar="ENV", help="Where it is live."
)


@main.command()
@click.argument("model")
@_one_env_option
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
@_amending
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
    history = _history(root, "name the share with `--traffic`")

    def plan(document: Document, environments: Mapping[str, Environment]) -> Move:
        now = promotion.situation(document, environments[environment])
        return promotion.promote(now, wish, history, time.time())

    _selection(ctx, root, (model,), (environment, *([wish.source] if wish.source else ())))
    _amend(ctx, root, model, plan, dry=dry, diff=diff, commit=commit)


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


@main.command()
@click.argument("model")
@_one_env_option
@click.option("--to", "version", metavar="VERSION", help="The version that serves again.")
@_amending
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

    history = _history(root, "name the version with `--to`")

    def plan(document: Document, environments: Mapping[str, Environment]) -> Move:
        now = promotion.situation(document, environments[environment])
        return promotion.roll_back(now, version or "", history)

    _selection(ctx, root, (model,), (environment,))
    _amend(ctx, root, model, plan, dry=dry, diff=diff, commit=commit, is_urgent=True)


def _window(ctx: click.Context, option: click.Parameter, value: str | None) -> int:
    """Read a duration as seconds; 0 without one. Raises BadParameter for anything else."""
    import re

    from generator import durations

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


@main.command()
@click.argument("model")
@_one_env_option
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
@click.option(
    "--timeout",
    type=click.FloatRange(0, 3600, min_open=True),
    default=30.0,
    metavar="SECONDS",
    help="How long Prometheus may take for everything.  [default: 30]",
)
@_root_option
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

    releases = pipeline.releases(root, _selection(ctx, root, (model,), (environment,)))
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
        return run(_history(root, ""))
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


@main.group()
def version() -> None:
    """The versions of a model: its artifacts, live or not."""


@version.command()
@click.argument("model")
@click.argument("name", metavar="VERSION")
@click.option("--uri", help="Where the model's files are, such as s3://bucket/path.")
@click.option("--image", help="The image of `backend: deployment`, pinned.")
@click.option("--arg", "args", multiple=True, metavar="ARG", help="An argument; repeatable.")
@_amending
@click.pass_context
def add(
    ctx: click.Context,
    model: str,
    name: str,
    uri: str | None,
    image: str | None,
    args: tuple[str, ...],
    dry: bool,
    diff: bool,
    commit: bool,
    root: Path,
) -> None:
    """Append a version to MODEL. It is live nowhere until it is promoted."""
    from generator.promotions import artifacts

    written = {"uri": uri, "image": image, "args": list(args)}
    artifact = {key: value for key, value in written.items() if value}
    if not artifact:
        raise click.UsageError("say what the version is: --uri, --image or --arg", ctx)

    def plan(document: Document, _: Mapping[str, Environment]) -> Move:
        return artifacts.add(document, name, artifact)

    _selection(ctx, root, (model,), ())
    _amend(ctx, root, model, plan, dry=dry, diff=diff, commit=commit)


@version.command()
@click.argument("model")
@click.argument("name", metavar="VERSION")
@click.option("--reason", required=True, metavar="TEXT", help="Why, for whoever names it next.")
@_amending
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

    _selection(ctx, root, (model,), ())
    _amend(ctx, root, model, plan, dry=dry, diff=diff, commit=commit)


def _history(root: Path, way_out: str) -> History:
    """Let Git be asked what was live, if anybody has to know; the way out is for who has no Git."""

    def past(model: str, environment: str) -> Iterator[tuple[float, Any]]:
        from datetime import datetime

        from generator.revisions import history, timeline
        from generator.revisions.git import Git, GitError

        repository = Git(root, os.environ)
        try:
            for revision in history.revisions(repository, model):
                if not isinstance(revision.content, timeline.Broken):
                    block = timeline.blocks(revision.content).get(environment)
                    yield datetime.fromisoformat(revision.date).timestamp(), block
            if repository.is_shallow():
                raise GitError("the clone is shallow: what was before is not known here")
        except GitError as error:
            hint = ", or ".join(filter(None, (error.hint, way_out)))
            raise GitError(error.message, hint) from None

    return past


def _amend(
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
        amended = amend(root, model, plan, today=_today(), dry=dry, is_urgent=is_urgent, keep=keep)
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
    from dataclasses import replace

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
    _show_changes(others, root, diff=diff, check=False, noun="more warning" if costs else "warning")


@main.command()
@_env_option
@click.option(
    "--format",
    "layout",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    show_default=True,
    help="For people, for programs, or for a comment of a pull request.",
)
@_root_option
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

    inventory, releases = pipeline.inventory(root, _selection(ctx, root, (), environments))
    found = capacity_report.report(inventory, map(demand.of, releases))
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


@main.command()
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
@_root_option
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
    from generator.records import Change
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


@main.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), metavar="DIR")
@click.option(
    "--ci",
    "runners",
    multiple=True,
    type=click.Choice(["github", "gitlab", "pre-commit"]),
    help="Also write what checks each change there; repeatable.",
)
def init(directory: Path, runners: tuple[str, ...]) -> None:
    """Write a repository to start from: an environment, a model, a README.

    No file is ever overwritten: if one is in the way, nothing is written.
    """
    from generator import start, write

    files = [((directory / path).as_posix(), text) for path, text in start.repository(runners)]
    write.create(Path(), files)
    for path, _ in files:
        click.echo(f"create   {path}")
    click.echo("next: README.md says what to change first, and `gen render` renders it", err=True)


@main.command()
@click.argument("model")
@click.option("--format", "model_format", metavar="FORMAT", help="What KServe serves, as sklearn.")
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
@_root_option
@click.pass_context
def new(
    ctx: click.Context,
    model: str,
    model_format: str | None,
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

    _refuse_options(ctx, model, model_format, image)
    _selection(ctx, root, (), environments)
    wanted = tuple(dict.fromkeys(environments)) or _only_environment(ctx, root)
    document = start.model(
        model, owner, wanted, model_format=model_format or "sklearn", image=image or ""
    )
    if problems := validate.problems(document):
        terminal.show_problems(problems, root, texts={document.path: document.text})
        click.echo("nothing was written: these are the lines that there would be", err=True)
        ctx.exit(1)
    write.create(root, [(document.path, document.text)])
    click.echo(f"create   {(root / document.path).as_posix()}")
    pipeline.everything(root, Selection((model,)), today=_today())
    click.echo(f"next: write what is yours there, then `gen render {model}`", err=True)


def _refuse_options(
    ctx: click.Context, model: str, model_format: str | None, image: str | None
) -> None:
    """Raise UsageError for what no spec may be called or be, with the likeliest other word."""
    from generator import start
    from generator.schema import suggestion

    if why := start.misnamed(model):
        raise click.UsageError(f"`{model}` is no name for a model: {why}", ctx)
    if model_format and image:
        raise click.UsageError("--format and --image exclude each other", ctx)
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

    versions = pipeline.kubernetes_versions(root)
    count = write.export(directory, pipeline.exported_schemas(root, versions))
    click.echo(f"{count} schemas for Kubernetes {', '.join(versions)} in {directory}")


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell, to be read by its start-up file."""
    from generator.reports import completion as scripts

    described = [_described(command) for command in main.commands.values()]
    click.echo(scripts.SHELLS[shell](described), nl=False)


def _described(command: click.Command) -> Command:
    from generator.reports.completion import Command, folders

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
    from generator.reports.completion import folders

    if isinstance(option.type, click.Choice):
        return tuple(str(choice) for choice in option.type.choices)
    return folders(option.metavar)


def _selection(
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
