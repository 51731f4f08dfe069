"""Version, help and completion, which are there before anything is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from generator import cli
from generator.commands.completion import commands_of

HELP = Path(cli.__file__).parent / "help"
_LIST_IMPORTS = """
import sys
sys.argv = ["gen", *{arguments}]
from generator.__main__ import main
main()
foreign = {{"click", "jinja2", "yaml", "jsonschema_rs", "rich"}} & sys.modules.keys()
assert not foreign, foreign
"""


def _commands(command: click.Command, *names: str) -> list[tuple[str, ...]]:
    inner = commands_of(command).items()
    return [names, *(found for name, each in inner for found in _commands(each, *names, name))]


@pytest.mark.parametrize("names", _commands(cli.main), ids=" ".join)
def test_help_is_what_the_command_line_would_say(names: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli.main, [*names, "--help"], prog_name="gen", terminal_width=80)

    written = HELP / ("-".join(("gen", *names)) + ".txt")
    assert result.output == written.read_text("utf-8")


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["render", "--help"]])
def test_nothing_foreign_is_imported_to_say_so(arguments: list[str]) -> None:
    code = _LIST_IMPORTS.format(arguments=arguments)
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_an_unchanged_run_imports_the_command_line_alone(fleet: Path, tmp_path: Path) -> None:
    program = [sys.executable, "-X", "importtime", "-m", "generator", "render"]
    environment = {"GEN_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(HELP.parents[1])}
    subprocess.run(program, cwd=fleet, env=environment, capture_output=True, check=True)

    run = subprocess.run(
        program, cwd=fleet, env=environment, capture_output=True, text=True, check=True
    )

    assert "nothing to change" in run.stdout
    imported = {line.rpartition("|")[2].strip() for line in run.stderr.splitlines()}
    assert not imported & {"jinja2", "yaml", "jsonschema_rs", "rich"}


def _completed(folder: Path, *words: str) -> list[str]:
    script = CliRunner().invoke(cli.main, ["completion", "bash"]).output
    typed = " ".join(f"'{word}'" for word in words)
    ask = f"COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _gen; echo ${{COMPREPLY[@]}}"
    shell = ["bash", "--norc", "-c", f"{script}\n{ask}"]
    return subprocess.run(
        shell, cwd=folder, capture_output=True, text=True, check=True
    ).stdout.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("gen", "re"), ["render"]),
        (("gen", "render", "fr"), ["fraud-detector"]),
        (("gen", "render", "--env", ""), ["dev", "production", "staging"]),
        (("gen", "validate", "--format", "s"), ["sarif"]),
        (("gen", "explain", "pro"), ["production"]),
        (("gen", "status", "--f"), ["--format"]),
        (("gen", "version", "a"), ["add"]),
        (("gen", "version", "add", "fr"), ["fraud-detector"]),
        (("gen", "version", "add", "fraud-detector", "--tr"), ["--tracking-uri"]),
        (("gen", "argocd", "s"), ["settings"]),
    ],
)
def test_bash_completes_commands_options_and_names(
    fleet: Path, words: tuple[str, ...], expected: list[str]
) -> None:
    assert _completed(fleet, *words) == expected


def test_names_are_completed_from_a_folder_below_and_none_from_outside(
    fleet: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert _completed(fleet / "models", "gen", "render", "fr") == ["fraud-detector"]
    assert _completed(tmp_path_factory.mktemp("none"), "gen", "render", "fr") == []


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_know_every_command(shell: str) -> None:
    script = CliRunner().invoke(cli.main, ["completion", shell]).output

    assert all(name in script for name in cli.COMMANDS)
