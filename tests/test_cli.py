"""What a person at a terminal, a pipe and CI get from each command."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import pytest
from helpers import ENVIRONMENT, MODEL, Ran, gen, read_tree, sampled, write_tree

from generator import cli, pipeline, workers
from generator.commands.completion import commands_of
from generator.render import BUILT_IN

GEN = (sys.executable, "-m", "generator")
STANDARD = ENVIRONMENT.replace("Knative", "Standard").replace("dev", "prod").replace("ml}", "live}")
TWO_MODELS = {
    "environments/dev.yaml": ENVIRONMENT,
    "environments/prod.yaml": STANDARD,
    "models/basket.yaml": MODEL.replace("churn", "basket") + "  prod: {version: v1}\n",
    "models/churn.yaml": MODEL + "  prod: {version: v2}\n",
}
BROKEN = MODEL.replace("owner", "onwer")
COMMANDS = {
    "render": ("render",),
    "validate": ("validate",),
    "explain": ("explain", "churn", "dev"),
    "status": ("status",),
    "schemas export": ("schemas", "export", "out"),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two models in two environments, not rendered yet."""
    return write_tree(tmp_path / "repository", dict(TWO_MODELS))


@pytest.fixture
def rendered(root: Path) -> Path:
    assert gen("render", root=root).code == 0
    return root


def change(root: Path, path: str, before: str, after: str) -> None:
    text = (root / path).read_text()
    assert before in text
    (root / path).write_text(text.replace(before, after))


def environ(root: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "GEN_CACHE_DIR": f"{root}.cache", **more}


def shell(command: str, root: Path) -> Ran:
    """Run a shell line in which `gen` is a program."""
    line = f'gen() {{ {" ".join(GEN)} "$@"; }}\n{command}'
    done = subprocess.run(
        ["bash", "-c", line], cwd=root, env=environ(root), capture_output=True, text=True
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def on_a_terminal(*arguments: str, root: Path, **more: str) -> str:
    """Run gen with a terminal for its output, and return what the terminal got."""
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [*GEN, *arguments],
        cwd=root,
        env=environ(root, TERM="xterm", **more),
        stdout=follower,
        stderr=follower,
    ):
        os.close(follower)
        chunks = iter(lambda: _read(leader), b"")
        shown = b"".join(chunks).decode()
    os.close(leader)
    return shown


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:
        return b""


# Exit codes and streams


def test_render_lists_what_it_wrote_on_stdout(root: Path) -> None:
    ran = gen("render", root=root)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.endswith(" created, 0 identical\n")
    assert (root / "rendered/dev/churn/kustomization.yaml").is_file()


def test_render_again_changes_nothing_and_says_so(rendered: Path) -> None:
    before = read_tree(rendered)
    ran = gen("render", root=rendered)
    assert (ran.code, ran.err) == (0, "")
    files = len(before)
    assert re.fullmatch(
        rf"4 releases, \d+ objects checked: nothing to change, {files} files identical\n", ran.out
    )
    assert read_tree(rendered) == before


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_problems_go_to_stderr_or_are_the_answer(command: tuple[str, ...], root: Path) -> None:
    write_tree(root, {"environments/dev.yaml": ENVIRONMENT.replace("Knative", "knative")})
    ran = gen(*command, root=root)
    told, silent = (ran.out, ran.err) if command[0] == "validate" else (ran.err, ran.out)
    assert (ran.code, silent) == (1, "")
    assert told.startswith("environments/dev.yaml:5:35: error E204: `platform.kserve.mode`:")
    assert "Traceback" not in told
    assert not (root / "rendered").exists()
    assert not (root / "out").exists()


def test_a_problem_in_one_model_keeps_all_of_them_unwritten(root: Path) -> None:
    write_tree(root, {"models/churn.yaml": BROKEN})
    ran = gen("render", root=root)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("models/churn.yaml:2:1: error E201: unknown key `onwer`\n")
    assert read_tree(root) == {}


def test_warnings_are_counted_on_stderr_and_let_the_run_pass(root: Path) -> None:
    change(root, "models/churn.yaml", "dev: {", "dev: {canary: {version: v2, traffic: 5}, ")
    ran = gen("render", root=root)
    assert (ran.code, ran.err) == (0, "1 warning; `gen validate` shows what they are about\n")
    assert gen("validate", root=root).code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rendr",), "there is no command `rendr`: did you mean `render`?"),
        (("render", "chrun"), "there is no model `chrun`: did you mean `churn`?"),
        (("render", "--env", "dve"), "there is no environment `dve`: did you mean `dev`?"),
        (("render", "zzz"), "there is no model `zzz`: known here: `basket`, `churn`"),
        (("status", "--env", "zzz"), "there is no environment `zzz`: known here: `dev`, `prod`"),
        (("explain", "churn", "prd"), "there is no environment `prd`: did you mean `prod`?"),
        (("explain", "churn"), "name an environment of churn (dev, prod) too, as in `gen explain"),
        (("explain", "chrun"), "there is no model `chrun`: did you mean `churn`?"),
        (("explain", "C999"), "there is no code `C999`: "),
        (("render", "--chekc"), "No such option '--chekc'."),
        (
            ("validate", "--format", "xml"),
            "'xml' is not one of 'text', 'json', 'github', 'gitlab', 'sarif'.",
        ),
        (("schema", "modl"), "'modl' is not one of 'model', 'environment'."),
        (("schemas", "exprt", "out"), "No such command 'exprt'."),
        (("render", "--root", "nowhere"), "Directory 'nowhere' does not exist."),
        (("schemas", "export", "models/churn.yaml"), "'models/churn.yaml' is a file."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_usage_is_refused_with_the_likeliest_name(
    arguments: tuple[str, ...], message: str, root: Path
) -> None:
    ran = gen(*arguments, root=root)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err.replace("\n", " ")


def test_explaining_what_is_not_live_is_a_usage_error(root: Path) -> None:
    change(root, "models/churn.yaml", "  prod: {version: v2}\n", "")
    ran = gen("explain", "churn", "prod", root=root)
    assert (ran.code, ran.out) == (2, "")
    assert "churn is not live in prod" in ran.err


def test_a_name_is_not_looked_for_where_there_is_none(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "new", {"models/README.md": "", "environments/README.md": ""})
    ran = gen("render", "churn", root=root)
    assert ran.code == 2
    assert ran.err.endswith("there is no model `churn`\n")


def test_a_bug_of_gen_shows_its_traceback_and_says_whose_it_is(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(pipeline, "everything", broken)
    ran = gen("validate", root=root)
    assert (ran.code, ran.out) == (3, "")
    assert "ZeroDivisionError: a bug" in ran.err
    assert "This is a bug of gen, not of your files." in ran.err


def test_an_interruption_before_anything_is_imported_is_told() -> None:
    code = (
        "import sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'generator.cli': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Finder())\n"
        "sys.argv = ['gen', 'render']\n"
        "from generator.__main__ import main; main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (ended.returncode, ended.stdout) == (130, b"")
    assert ended.stderr == b"\ninterrupted; nothing had begun\n"


def test_an_interruption_is_told_and_ends_with_130(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "apply_locked", interrupted)
    ran = gen("render", root=root)
    assert (ran.code, ran.out) == (130, "")
    assert ran.err == "\ninterrupted; every file is as it was or as it should be\n"


# --check and --diff


def test_check_of_a_current_tree_passes(rendered: Path) -> None:
    ran = gen("render", "--check", root=rendered)
    assert (ran.code, ran.err) == (0, "")
    assert "nothing to change" in ran.out


def test_check_before_the_first_render_writes_nothing(root: Path) -> None:
    ran = gen("render", "--check", root=root)
    assert ran.code == 1
    assert ran.err.endswith("run `gen render` and commit\n")
    assert not (root / "rendered").exists()


def edited_by_hand(root: Path) -> None:
    change(root, "rendered/dev/churn/patch-version.yaml", "v1", "v2")


def deleted_by_hand(root: Path) -> None:
    (root / "rendered/dev/churn/patch-version.yaml").unlink()


def changed_spec(root: Path) -> None:
    change(root, "models/churn.yaml", "dev: {version: v1}", "dev: {version: v2}")


def left_over(root: Path) -> None:
    (root / "models/basket.yaml").unlink()


@pytest.mark.parametrize(
    ("drift", "told"),
    [
        (edited_by_hand, "update   rendered/dev/churn/patch-version.yaml"),
        (deleted_by_hand, "create   rendered/dev/churn/patch-version.yaml"),
        (changed_spec, "update   rendered/dev/churn/patch-version.yaml"),
        (left_over, "delete   rendered/prod/basket/kustomization.yaml"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_check_finds_drift_and_render_repairs_it(drift: Any, told: str, rendered: Path) -> None:
    drift(rendered)
    before = read_tree(rendered)
    ran = gen("render", "--check", root=rendered)
    assert ran.code == 1
    assert told in ran.out.splitlines()
    assert read_tree(rendered) == before
    assert gen("render", root=rendered).code == 0
    assert gen("render", "--check", root=rendered).code == 0


def test_diff_shows_the_changed_lines_alone(rendered: Path) -> None:
    change(rendered, "models/churn.yaml", "dev: {version: v1}", "dev: {version: v2}")
    ran = gen("render", "--check", "--diff", root=rendered)
    changed = [line for line in ran.out.splitlines() if re.match(r"[-+](?![-+])", line)]
    assert changed == [
        "-    app.kubernetes.io/version: v1",
        "+    app.kubernetes.io/version: v2",
        "-      storageUri: gs://models/churn/1",
        "+      storageUri: gs://models/churn/2",
    ]
    path = "rendered/dev/churn/patch-version.yaml"
    assert f"--- a/{path}\n+++ b/{path}\n@@ " in ran.out


def test_diff_of_new_and_deleted_files_is_a_patch_that_git_applies(rendered: Path) -> None:
    before = read_tree(rendered)
    left_over(rendered)
    write_tree(rendered, {"models/price.yaml": MODEL.replace("churn", "price")})
    patch = gen("render", "--check", "--diff", root=rendered).out
    (rendered / "patch").write_text(patch)
    subprocess.run(["git", "apply", "patch"], cwd=rendered, check=True, capture_output=True)
    after = read_tree(rendered)
    assert after.keys() != before.keys()
    assert gen("render", "--check", root=rendered).code == 0


# Selection


def test_a_selected_model_is_written_and_no_other(root: Path) -> None:
    assert gen("render", "churn", root=root).code == 0
    folders = {Path(path).parts[2] for path in read_tree(root) if path.startswith("rendered")}
    assert folders == {"churn"}


def test_a_selected_environment_is_written_and_no_other(root: Path) -> None:
    assert gen("render", "--env", "dev", root=root).code == 0
    written = {path for path in read_tree(root) if "/_base/" not in path}
    assert {Path(path).parts[1].removesuffix(".yaml") for path in written} == {"dev"}


def test_others_are_not_touched_even_if_they_are_broken_or_gone(rendered: Path) -> None:
    before = read_tree(rendered)
    write_tree(rendered, {"models/basket.yaml": BROKEN})
    change(rendered, "models/churn.yaml", "dev: {version: v1}", "dev: {version: v2}")
    assert gen("render", "churn", "--env", "dev", root=rendered).code == 0
    after = read_tree(rendered)
    assert {path for path in after if before.get(path) != after[path]} == {
        "rendered/dev/churn/patch-version.yaml"
    }
    assert after.keys() == before.keys()


def test_only_the_selection_is_pruned(rendered: Path) -> None:
    change(rendered, "models/churn.yaml", "  prod: {version: v2}\n", "")
    change(rendered, "models/basket.yaml", "  prod: {version: v1}\n", "")
    assert gen("render", "churn", root=rendered).code == 0
    left = read_tree(rendered)
    assert not any(path.startswith("rendered/prod/churn/") for path in left)
    assert "argocd/prod/application-churn.yaml" not in left
    assert "rendered/prod/basket/kustomization.yaml" in left
    assert "argocd/prod/application-basket.yaml" in left


# validate


def refused(root: Path, layout: str) -> Ran:
    write_tree(root, {"models/churn.yaml": BROKEN})
    ran = gen("validate", "--format", layout, root=root)
    assert (ran.code, ran.err) == (1, "")
    return ran


def test_validate_says_how_much_is_fine(root: Path) -> None:
    ran = gen("validate", root=root)
    assert (ran.code, ran.err) == (0, "")
    assert re.fullmatch(r"4 releases and \d+ objects are fine\n", ran.out)
    assert not (root / "rendered").exists()


def test_validate_as_json(root: Path) -> None:
    assert json.loads(refused(root, "json").out) == [
        {
            "code": "E201",
            "severity": "error",
            "message": "unknown key `onwer`",
            "hint": "did you mean `owner`?",
            "file": "models/churn.yaml",
            "line": 2,
            "column": 1,
        }
    ]


def test_validate_as_annotations_of_a_pull_request(root: Path) -> None:
    assert refused(root, "github").out == (
        "::error file=models/churn.yaml,line=2,col=1,title=E201::"
        "unknown key `onwer`%0Adid you mean `owner`?\n"
    )


def test_no_value_starts_another_workflow_command(root: Path) -> None:
    hostile = MODEL.replace("owner: growth", '"a\\n::set-env name=X::%0A,:": growth')
    write_tree(root, {"models/churn.yaml": hostile})
    told = gen("validate", "--format", "github", root=root).out.splitlines()
    assert all(line.startswith("::error file=models/churn.yaml,line=2,") for line in told)
    assert "::a" not in "".join(told).replace("unknown key `a", "")


def test_validate_as_sarif(root: Path) -> None:
    document = json.loads(refused(root, "sarif").out)
    assert document["version"] == "2.1.0"
    assert document["$schema"].endswith("sarif-2.1.0.json")
    (run,) = document["runs"]
    driver, (result,) = run["tool"]["driver"], run["results"]
    assert driver["name"] == "gen"
    assert [rule["id"] for rule in driver["rules"]] == [result["ruleId"]] == ["E201"]
    assert [bool(rule["help"]["text"]) for rule in driver["rules"]] == [True]
    assert result["level"] in ("none", "note", "warning", "error")
    assert result["message"]["text"] == "unknown key `onwer`\ndid you mean `owner`?"
    (location,) = result["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "models/churn.yaml", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 2, "startColumn": 1},
    }


def test_validate_as_a_code_quality_report(root: Path) -> None:
    """A problem that moves is the same one, and two are never taken for one."""

    def found() -> list[tuple[str, int]]:
        report = json.loads(gen("validate", "--format", "gitlab", root=root).out)
        return [(each["fingerprint"], each["location"]["lines"]["begin"]) for each in report]

    write_tree(root, {"models/churn.yaml": BROKEN})
    ((before, line),) = found()
    change(root, "models/churn.yaml", "onwer", "\nonwer")
    assert found() == [(before, line + 1)]
    change(root, "models/basket.yaml", "owner", "onwer")
    assert len({fingerprint for fingerprint, _ in found()}) == 2


def test_sarif_leaves_out_the_region_of_a_whole_file(root: Path) -> None:
    (root / "models/churn.yaml").rename(root / "models/ch rn.yml")
    document = json.loads(gen("validate", "--format", "sarif", root=root).out)
    (result,) = document["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "models/ch%20rn.yml", "uriBaseId": "%SRCROOT%"}}


@pytest.mark.parametrize("layout", ["json", "sarif"])
def test_programs_get_json_when_all_is_fine(layout: str, root: Path) -> None:
    ran = gen("validate", "--format", layout, root=root)
    assert ran.code == 0
    found = json.loads(ran.out)
    assert (found if layout == "json" else found["runs"][0]["results"]) == []


# explain, status, schema


def test_explain_names_the_line_of_each_value(root: Path) -> None:
    ran = gen("explain", "churn", "prod", root=root)
    assert (ran.code, ran.err) == (0, "")
    rows = [line.split(maxsplit=2) for line in ran.out.splitlines()]
    assert ["version", "models/churn.yaml:10:19", "v2"] in rows
    assert ["namespace", "environments/prod.yaml:2:12", "ml-prod"] in rows


def test_status_as_text(root: Path) -> None:
    ran = gen("status", "--env", "prod", root=root)
    assert (ran.code, ran.err) == (0, "")
    last = ("gpus", "owner", "changed")
    assert [line.split() for line in ran.out.splitlines()] == [
        [*("model", "environment", "version", "canary", "standby", "replicas"), *last],
        ["basket", "prod", "v1", "-", "-", "1..1", "-", "growth", "-"],
        ["churn", "prod", "v2", "-", "-", "1..1", "-", "growth", "-"],
    ]


def test_status_as_json(root: Path) -> None:
    change(root, "models/churn.yaml", "dev: {", "dev: {canary: {version: v2, traffic: 5}, ")
    (row,) = json.loads(gen("status", "churn", "-e", "dev", "--format", "json", root=root).out)
    assert row == {
        "model": "churn",
        "environment": "dev",
        "version": "v1",
        "traffic": 95,
        "canary": "v2",
        "canaryTraffic": 5,
        "standby": None,
        "shadow": None,
        "replicas": {"min": 1, "max": 1},
        "gpus": 0,
        "owner": "growth",
        "lastChange": None,
        "source": None,
    }


@pytest.mark.parametrize("kind", ["model", "environment"])
def test_schema_is_one_document_without_references_elsewhere(kind: str, tmp_path: Path) -> None:
    ran = gen("schema", kind, root=tmp_path)
    assert (ran.code, ran.err) == (0, "")
    assert json.loads(ran.out)["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    references = set(re.findall(r'"\$ref": "([^"]*)"', ran.out))
    assert references
    assert all(reference.startswith("#/$defs/") for reference in references)


def test_schemas_export_writes_what_kubeconform_reads(root: Path) -> None:
    ran = gen("schemas", "export", "out", root=root)
    assert (ran.code, ran.err) == (0, "")
    files = sorted(path.relative_to(root / "out").as_posix() for path in root.glob("out/**/*.json"))
    assert ran.out == f"{len(files)} schemas for Kubernetes 1.35 in out\n"
    assert "v1.35.0/serving.kserve.io/inferenceservice_v1beta1.json" in files
    assert "v1.35.0/apps/deployment_v1.json" in files


def test_schemas_export_says_where_it_cannot_write(root: Path) -> None:
    ran = gen("schemas", "export", "models/churn.yaml/out", root=root)
    assert (ran.code, ran.out) == (1, "")
    assert "error E701: this cannot be written: Not a directory" in ran.err


# Help


def commands() -> Iterator[tuple[str, click.Command]]:
    for name, command in commands_of(cli.main).items():
        if isinstance(command, click.Group):
            yield from ((f"{name} {inner}", c) for inner, c in command.commands.items())
        yield name, command


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=str)
def test_help_mentions_every_option(name: str, command: click.Command, tmp_path: Path) -> None:
    ran = gen(*name.split(), "--help", root=tmp_path)
    assert (ran.code, ran.err) == (0, "")
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    for option in options:
        assert all(re.search(rf"{form}\b", ran.out) for form in option.opts), option.opts
    assert command.help
    assert command.help.split(".")[0].split()[0] in ran.out


def test_help_lists_every_command_with_a_whole_sentence(tmp_path: Path) -> None:
    ran = gen("--help", root=tmp_path, COLUMNS="100")
    listed = dict(re.findall(r"^  ([a-z]+) {2,}(.+)$", ran.out, re.MULTILINE))
    assert listed.keys() == cli.COMMANDS.keys()
    assert all(sentence.endswith(".") for sentence in listed.values())


@pytest.mark.parametrize("argument", ["--version", "--help", "-h"])
def test_version_and_help_need_no_repository(argument: str, tmp_path: Path) -> None:
    ran = gen(argument, root=tmp_path)
    assert (ran.code, ran.err) == (0, "")
    assert "gen" in ran.out


# Where there is nothing, or nothing that can be read


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_outside_of_a_repository(command: tuple[str, ...], tmp_path: Path) -> None:
    ran = gen(*command, root=tmp_path)
    assert ran.code == 1
    assert "error E105: there is no folder models/" in ran.out + ran.err
    assert "name the repository with `--root DIR`" in ran.out + ran.err
    assert list(tmp_path.iterdir()) == []


def test_root_names_a_repository_elsewhere(root: Path, tmp_path: Path) -> None:
    ran = gen("render", "--root", "repository", root=tmp_path)
    assert ran.code == 0
    assert (root / "rendered/dev/churn/kustomization.yaml").is_file()


def test_a_problem_is_shown_with_its_line_from_elsewhere_too(root: Path, tmp_path: Path) -> None:
    write_tree(root, {"models/churn.yaml": BROKEN})
    assert "    2 | onwer: growth\n" in gen("render", "--root", "repository", root=tmp_path).err


def test_a_file_that_may_not_be_read_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readable = Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        if path.name == "churn.yaml":
            raise PermissionError(13, "Permission denied", str(path))
        return readable(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    ran = gen("validate", root=root)
    assert ran.code == 1
    assert ran.out.startswith("models/churn.yaml: error E101: this file cannot be read: Permission")


def test_a_folder_that_may_not_be_read_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def scandir(path: Path) -> Iterator[os.DirEntry[str]]:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", scandir)
    ran = gen("validate", root=root)
    assert ran.code == 1
    assert "models: error E101: this folder cannot be read: Permission denied\n" in ran.out


def test_a_pipe_among_the_models_is_told_and_not_waited_for(root: Path) -> None:
    os.mkfifo(root / "models/pipe.yaml")
    ran = gen("validate", root=root)
    assert ran.code == 1
    assert ran.out.startswith("models/pipe.yaml: error E106: this is not a file\n")


@pytest.mark.parametrize(
    "path",
    [
        "environments/lost.yaml",
        "models/lost.yaml",
        "templates/_part.j2",
        "templates/stranger.j2",
        "templates/overlay/kustomization.yaml.j2",
        "templates/overlay/extra/lost.yaml.j2",
        "schemas/v1/pod.json",
    ],
)
def test_link_that_leads_nowhere_is_told_and_replaced_by_nothing(root: Path, path: str) -> None:
    assert gen("render", root=root).code == 0
    before = read_tree(root)
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).symlink_to("nowhere")
    for _ in range(2):  # neither is a broken file remembered as anything
        ran = gen("render", root=root)
        assert ran.code == 1
        assert f"{path}: error E101: this file cannot be read: No such file" in ran.err
        assert "it is a link to nowhere" in ran.err
        assert ran.err.endswith("\n1 error\n")
    (root / path).unlink()
    assert read_tree(root) == before
    assert "nothing to change" in gen("render", root=root).out


def test_a_link_to_itself_is_told(root: Path) -> None:
    (root / "models/loop.yaml").symlink_to("loop.yaml")
    ran = gen("validate", root=root)
    assert ran.code == 1
    assert ran.out.startswith("models/loop.yaml: error E101: this file cannot be read: Too many")


def test_a_link_within_the_repository_is_read(root: Path) -> None:
    (root / "models/churn.yaml").rename(root / "churn.yaml")
    (root / "models/churn.yaml").symlink_to("../churn.yaml")
    assert gen("validate", root=root).code == 0


def test_a_file_name_that_is_no_text_is_told(root: Path) -> None:
    name = os.fsdecode(b"models/\xff.yaml")
    write_tree(root, {name: MODEL})
    ran = shell("gen validate; gen validate --format json", root)
    assert ran.code == 1
    assert ran.out.startswith("models/\\udcff.yaml: error E102: the file's name is not UTF-8\n")
    assert ran.err == ""


# Terminals, pipes and streams


def test_colour_is_for_terminals(root: Path) -> None:
    write_tree(root, {"models/churn.yaml": BROKEN})
    assert "\x1b[31m" in on_a_terminal("validate", root=root)
    assert "\x1b[" not in on_a_terminal("validate", root=root, NO_COLOR="1")
    assert "\x1b[" not in on_a_terminal("rules", root=root, NO_COLOR="1")
    assert "\x1b[" not in shell("gen validate", root).out


def test_a_narrow_terminal_loses_nothing(root: Path) -> None:
    command = ("explain", "churn", "prod")
    shown = re.sub("\x1b\\[[0-9;]*m", "", on_a_terminal(*command, root=root, COLUMNS="40"))
    assert max(map(len, shown.splitlines())) <= 40
    assert Counter("".join(shown.split())) == Counter("".join(gen(*command, root=root).out.split()))


@pytest.mark.parametrize(
    "command", ["status | head -1", "schema model | head -1", "status | true", "--help | true"]
)
def test_a_pipe_that_is_closed_early_is_no_error_to_tell(command: str, root: Path) -> None:
    assert shell(f"gen {command}", root).err == ""


@pytest.mark.parametrize(
    "command", sampled(["render --diff", "status", "validate", "schema model"], 4)
)
def test_closed_streams_are_no_error(command: str, root: Path) -> None:
    ran = shell(f"gen {command} >&-", root)
    assert (ran.code, ran.err) == (0, "")
    assert shell(f"gen {command} >&- 2>&-", root).code == 0


def test_a_full_disk_behind_stdout_is_told(root: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    ran = shell("gen status >/dev/full", root)
    assert ran.code == 1
    assert ran.err == "Error: the output cannot be written: No space left on device\n"


def test_an_encoding_without_the_characters_gets_escapes(root: Path) -> None:
    change(root, "models/churn.yaml", "growth", "growth 🎉")
    ran = shell("PYTHONIOENCODING=latin-1 gen validate", root)
    assert (ran.code, ran.err) == (1, "")
    assert "owner: growth \\U0001f389\n" in ran.out


def test_what_a_terminal_would_obey_is_shown_as_an_escape(root: Path) -> None:
    change(root, "models/churn.yaml", "owner:", '"\\e]0;owned\\a\\nowner":')
    shown = on_a_terminal("validate", root=root, NO_COLOR="1")
    assert "unknown key `\\x1b]0;owned\\x07\\nowner`" in shown
    assert "\x1b" not in shown


# Ctrl-C


ENDLESS = """\
{% if release.model == "m199" %}
{% for outer in range(99999) %}{% for inner in range(99999) %}{% endfor %}{% endfor %}
{% endif %}
"""


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """A rendered fleet of which every model has changed since, and one takes for ever."""
    root = write_tree(tmp_path / "endless", {"environments/dev.yaml": ENVIRONMENT})
    for number in range(200):
        write_tree(root, {f"models/m{number}.yaml": MODEL.replace("churn", f"m{number}")})
    assert gen("render", root=root).code == 0
    name = "overlay/inference-service/patch-version.yaml.j2"
    template = (BUILT_IN / name).read_text().replace("version: {{", "version: x-{{")
    return write_tree(root, {f"templates/{name}": ENDLESS + template})


@contextlib.contextmanager
def rendering(root: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a render in a process group of its own; whatever happens, nothing of it is left.

    A shell that runs the tests in the background lets them ignore Ctrl-C; a terminal would not.
    """
    process = subprocess.Popen(
        [*GEN, "render"],
        cwd=root,
        env=environ(root),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def staged(root: Path) -> int:
    return sum(1 for _ in (root / "rendered/.staging").rglob("*.yaml"))


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < deadline, "this took too long"
        time.sleep(0.005)


@pytest.mark.parametrize(
    "signalled",
    [
        pytest.param(os.killpg, id="the-terminal"),
        pytest.param(os.kill, id="the-process", marks=pytest.mark.slow),
    ],
)
def test_ctrl_c_leaves_the_tree_as_it_was(
    signalled: Callable[[int, int], None], endless: Path
) -> None:
    before = read_tree(endless)
    with rendering(endless) as process:
        wait_until(lambda: staged(endless) > 0)
        signalled(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=20)
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)
    assert (process.returncode, out) == (130, "")
    assert err == "\ninterrupted; every file is as it was or as it should be\n"
    assert not (endless / "rendered/.staging").exists()
    assert read_tree(endless) == before


def test_ctrl_c_at_the_fork_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    fork = os.fork

    def interrupted() -> int:
        process = fork()
        if process:
            started.append(process)
            os.kill(os.getpid(), signal.SIGINT)
        return process

    def work(items: Sequence[int]) -> Sequence[int]:
        if items[0] >= workers.FIRST:
            time.sleep(20)
        return items

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        monkeypatch.setattr(os, "fork", interrupted)
        with pytest.raises(KeyboardInterrupt):
            list(workers.spread(work, range(4 * workers.WORTH_A_FORK), 2))
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(started) == 1
    with pytest.raises(ProcessLookupError):
        os.kill(started[0], 0)


def _rests(fleet: Path) -> bool:
    """Say whether nothing was staged for a while."""
    before = staged(fleet)
    time.sleep(0.5)
    return staged(fleet) == before


@pytest.mark.slow
def test_ctrl_c_does_not_wait_for_another_process_to_end(endless: Path) -> None:
    with rendering(endless) as process:
        wait_until(lambda: staged(endless) > 0)
        wait_until(lambda: _rests(endless))
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (130, "")
    assert err == "\ninterrupted; every file is as it was or as it should be\n"
