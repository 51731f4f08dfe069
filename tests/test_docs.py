"""What the documentation says is so: pages are current, commands exist, examples run as shown.

Pages are played like scripts, each in a copy of the repository: a `console` block is run and its
output compared (a line `...` stands for any lines), a `diff` block is applied, a `yaml` block that
starts with the comment `# models/...`, `# environments/...` or `# templates/...` is written to that
file. `<!-- a fresh copy -->` starts over. Blocks in other languages are only read.

GEN_UPDATE_DOCS=1 rewrites the outputs that differ.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner
from helpers import sampled

from generator import cli, schema
from generator.codes import CODES
from generator.commands.completion import commands_of
from generator.rules.catalogue import RULES

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
)
UPDATE = bool(os.environ.get("GEN_UPDATE_DOCS"))


def _load_build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_build", ROOT / "docs" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["docs_build"] = module
    spec.loader.exec_module(module)
    return module


def test_reference_pages_are_current() -> None:
    stale = _load_build().stale()
    assert list(stale) == [], "run `python docs/build.py`"


# Codes


def _used_codes(letters: str) -> set[str]:
    """Find every text in the code that is a problem code, wherever it is used."""
    texts = (
        path.read_text("utf-8")
        for path in (ROOT / "generator").rglob("*.py")
        if path.name != "codes.py"
    )
    trees = (
        ast.parse(text) for text in texts if re.search(f"[\"'][{letters}][0-9]{{3}}[\"']", text)
    )
    return {
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(f"[{letters}][0-9]{{3}}", node.value)
    }


def test_every_code_is_explained_and_every_explained_code_is_used() -> None:
    explained = CODES.keys() | RULES.keys()
    assert _used_codes("".join({code[0] for code in explained})) == explained


def test_codes_are_in_order_and_end_in_a_full_stop() -> None:
    assert list(CODES) == sorted(CODES)
    assert all(re.fullmatch(r"[A-Z`].*\.", text) for text in CODES.values())


# Schemas


def _properties(
    root: dict[str, Any], node: dict[str, Any], path: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, raw in node.get("properties", {}).items():
        inner = schema.resolve_reference(root, raw)
        yield f"{path}.{name}", inner
        yield from _properties(root, inner, f"{path}.{name}")
    for keyword in ("items", "additionalProperties"):
        if isinstance(node.get(keyword), dict):
            inner = schema.resolve_reference(root, node[keyword])
            yield from _properties(root, inner, f"{path}.*")


@pytest.mark.parametrize("kind", schema.DOCUMENT_KINDS)
def test_every_property_is_described(kind: str) -> None:
    root = schema.document_schema(kind)
    found = list(_properties(root, root, kind))
    assert [path for path, node in found if not node.get("description")] == []


@pytest.mark.parametrize("kind", schema.DOCUMENT_KINDS)
def test_every_leaf_has_an_example(kind: str) -> None:
    root = schema.document_schema(kind)
    leaves = [
        (path, node) for path, node in _properties(root, root, kind) if "properties" not in node
    ]
    assert [path for path, node in leaves if not node.get("examples")] == []


@pytest.mark.parametrize("kind", schema.DOCUMENT_KINDS)
def test_every_example_is_valid(kind: str) -> None:
    root = schema.document_schema(kind)
    refused = [
        (path, example, violation.message)
        for path, node in _properties(root, root, kind)
        for example in node.get("examples", ())
        for violation in schema.Validator({**node, "$defs": root["$defs"]}).violations(example)
    ]
    assert refused == []


# Links


def _prose(page: str) -> str:
    """Return a page without its code blocks."""
    return re.sub(r"^```.*?^```$", "", (ROOT / page).read_text("utf-8"), flags=re.M | re.S)


def _anchors(page: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", _prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _broken(page: str) -> Iterator[str]:
    for target in re.findall(r"\]\(([^)\s]+)\)", _prose(page)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        known = _anchors(file.resolve().relative_to(ROOT).as_posix()) if anchor else {""}
        if not file.exists() or anchor not in known:
            yield target


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    assert list(_broken(page)) == []


def test_every_page_is_linked_to() -> None:
    linked = {
        ((ROOT / page).parent / target.partition("#")[0]).resolve()
        for page in PAGES
        for target in re.findall(r"\]\(([^)\s]+)\)", _prose(page))
        if "://" not in target
    }
    docs = [page for page in PAGES if page.startswith("docs/")]
    assert [page for page in docs if ROOT / page not in linked] == []


# Commands


def _mentioned(page: str, program: str) -> set[str]:
    """Find `gen ...` in code spans and in blocks of shell commands."""
    text = (ROOT / page).read_text("utf-8")
    spans = re.findall(rf"`({program} [^`\n]+)`", _prose(page))
    blocks = re.findall(r"^```(?:console|sh|yaml)\n(.*?)^```$", text, re.M | re.S)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    starts = rf"(?:\$ |- run: |run: |- )?({program} .*)"
    return {*spans, *(match[1] for line in lines if (match := re.fullmatch(starts, line)))}


def _wrong(command: str) -> str:
    """Say what is wrong with a `gen ...` command as far as names go; empty if nothing is."""
    words = re.split(r"\s[#>|]|;|&&", command)[0].split()[1:]
    known: Any = cli.main
    for word in words:
        name = word.partition("=")[0].strip("[]")
        if name.startswith("-"):
            options = {option for parameter in known.params for option in parameter.opts}
            if name not in {*options, "--help", "-h"}:
                return f"{known.name} has no {name}"
        elif name in commands_of(known):
            known = commands_of(known)[name]
        elif commands_of(known):
            return f"there is no {name} in {known.name}"
    return ""


@pytest.mark.parametrize("page", PAGES)
def test_every_command_exists(page: str) -> None:
    wrong = {command: _wrong(command) for command in _mentioned(page, "gen")}
    assert {command: reason for command, reason in wrong.items() if reason} == {}


def test_the_readme_lists_every_command() -> None:
    listed = re.findall(r"^\| `gen ([a-z]+)", (ROOT / "README.md").read_text("utf-8"), re.M)
    assert sorted(listed) == sorted(cli.COMMANDS)


def test_every_make_target_exists() -> None:
    makefile = ROOT / "Makefile"
    if not makefile.exists():
        pytest.skip("there is no Makefile yet")
    targets = set(re.findall(r"^([a-z][-a-z]*):", makefile.read_text("utf-8"), re.M))
    wanted = {shlex.split(c)[1] for page in PAGES for c in _mentioned(page, "make")}
    assert wanted - targets == set()


# Examples

_COPIED = (
    "models",
    "environments",
    "rendered",
    "argocd",
    "templates",
    "schemas",
    "generator/templates",
)
_TESTED = ("gen", "git", "cp", "mkdir", "rm", "cat")
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$|^<!-- (a fresh copy) -->$", re.M | re.S)
_WRITTEN = re.compile(r"# ((?:models|environments|templates)/\S+)\n(.*)", re.S)


def _shell(command: str, folder: Path) -> str:
    """Run a shell command beside a home that is nobody's, and return what a person would see."""
    who = {"NAME": "Ada", "EMAIL": "ada@example.com"}
    environment = {
        **os.environ,
        **{f"GIT_{role}_{key}": who[key] for role in ("AUTHOR", "COMMITTER") for key in who},
        "GIT_CONFIG_NOSYSTEM": "1",
        "HOME": str(folder.parent),
        "LC_ALL": "C",
    }
    return subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    ).stdout


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository's fleet under Git, for pages to copy, in as few files as can be."""
    folder = tmp_path_factory.mktemp("fleet") / "copy"
    for name in _COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name)
    _shell("git init -q -b main --template= && git add .", folder)
    _shell("git commit -qm 'The fleet' && git gc -q", folder)
    return folder


class Copy:
    """A copy of the fleet, where the commands of a page are run."""

    def __init__(self, folder: Path, committed: Path) -> None:
        self.folder = folder
        self.committed = committed
        self.path = folder / "copy"
        self.renew()

    def renew(self) -> None:
        """Start over with the repository as it is."""
        shutil.rmtree(self.path, ignore_errors=True)
        shutil.copytree(self.committed, self.path)

    def run(self, command: str) -> str:
        """Run a shell command and return what a person would see; gen itself runs in here."""
        if command.startswith("gen "):
            with contextlib.chdir(self.path):
                arguments = shlex.split(command)[1:]
                environment = {"GEN_CACHE_DIR": str(self.folder / "cache")}
                runner = CliRunner(env=environment)
                return runner.invoke(cli.main, arguments, prog_name="gen").output
        return _shell(command, self.path)

    def apply(self, patch: str) -> None:
        """Apply a diff of a page."""
        file = self.folder / "page.diff"
        file.write_text(patch, "utf-8")
        refused = self.run(f"git apply '{file}'")
        assert refused == "", f"{refused}\n{patch}"

    def write(self, path: str, text: str) -> None:
        """Write a file of a page."""
        file = self.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")


_VOLATILE = re.compile(r"\b(?:\d{4}-\d\d-\d\d(?: \d\d:\d\d)?|[0-9a-f]{8})\b")


@dataclass(frozen=True)
class Example:
    """One command of a page and what the page says that it prints."""

    command: str
    output: str

    def __str__(self) -> str:
        return f"$ {self.command}\n{self.output}"

    def matches(self, actual: str) -> bool:
        """Compare an output with the page's, where `...` stands for any lines.

        Dates and short commits are those of the copy, which nobody can know.
        """
        fixed, volatile = _VOLATILE.split(self.output), _VOLATILE.findall(self.output)
        patterns = [re.escape(part).replace(re.escape("...\n"), "(?:.*\n)*") for part in fixed]
        found = [re.sub(r"\\?\w", r"[0-9a-f]", re.escape(each)) for each in volatile]
        pattern = patterns[0] + "".join(map(str.__add__, found, patterns[1:]))
        return re.fullmatch(pattern, actual) is not None


def _examples(block: str) -> list[Example]:
    parts = re.split(r"^\$ (.*)\n", block, flags=re.M)
    return [Example(*pair) for pair in zip(parts[1::2], parts[2::2], strict=True)]


def _play(page: str, copy: Copy) -> str:
    """Do what a page says, and return the page with the outputs that came out."""

    def play(match: re.Match[str]) -> str:
        language, block = match[1], match[2]
        if match[3]:
            copy.renew()
        elif language == "diff":
            copy.apply(block)
        elif language == "yaml" and (written := _WRITTEN.fullmatch(block)):
            copy.write(written[1], written[2])
        elif language == "console":
            return f"```console\n{''.join(map(_outcome, _examples(block)))}```"
        return match[0]

    def _outcome(example: Example) -> str:
        assert shlex.split(example.command)[0] in _TESTED, example.command
        actual = copy.run(example.command)
        return str(example if example.matches(actual) else Example(example.command, actual))

    return _FENCE.sub(play, (ROOT / page).read_text("utf-8"))


def _has_examples(page: str) -> bool:
    return "\n```console\n" in (ROOT / page).read_text("utf-8")


@pytest.mark.parametrize("page", sampled([page for page in PAGES if _has_examples(page)], 3))
def test_examples_run_as_shown(page: str, committed: Path, tmp_path: Path) -> None:
    played = _play(page, Copy(tmp_path, committed))
    if UPDATE:
        (ROOT / page).write_text(played, "utf-8")
    assert played == (ROOT / page).read_text("utf-8"), "GEN_UPDATE_DOCS=1 shows what changed"


def test_a_diff_that_no_longer_fits_is_noticed(committed: Path, tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        Copy(tmp_path, committed).apply(
            "--- a/models/none.yaml\n+++ b/models/none.yaml\n@@ -1 +1 @@\n-a\n+b\n"
        )


@pytest.mark.parametrize(
    ("shown", "actual", "same"),
    [
        ("a\nb\n", "a\nb\n", True),
        ("a\n...\n", "a\nb\nc\n", True),
        ("...\nc\n", "c\n", True),
        ("a\n", "a\nb\n", False),
        ("a.c\n", "abc\n", False),
        ("on 2026-01-02 by 0a1b2c3d\n", "on 2027-03-04 by ffffffff\n", True),
        ("on 2026-01-02 by 0a1b2c3d\n", "on 2027-03-04 by nobody\n", False),
    ],
)
def test_outputs_are_compared_line_by_line(shown: str, actual: str, same: bool) -> None:
    assert Example("gen status", shown).matches(actual) is same


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("gen render --check", ""),
        ("gen schemas export DIR", ""),
        ("gen render --chek", "render has no --chek"),
        ("gen rendr", "there is no rendr in main"),
        ("gen schema model > model.json", ""),
    ],
)
def test_commands_are_compared_with_the_command_line(command: str, reason: str) -> None:
    assert _wrong(command) == reason
