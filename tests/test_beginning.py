"""The first minutes: `gen init`, `gen new`, and where gen looks for a repository."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from helpers import ENVIRONMENT, MODEL, gen, read_tree, sampled, write_tree

from generator import start, validate
from generator.documents import Document
from generator.yamlio import load

HERE = {"environments/dev.yaml": ENVIRONMENT, "models/churn.yaml": MODEL}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "repository", dict(HERE))


def begun(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


# init


@pytest.mark.parametrize("runners", [(), ("github",), ("gitlab", "pre-commit")], ids=" ".join)
def test_what_init_writes_renders_without_a_warning(
    runners: tuple[str, ...], tmp_path: Path
) -> None:
    asked = [f"--ci={runner}" for runner in runners]
    ran = gen("init", "new/models", *asked, root=tmp_path)
    assert ran.code == 0
    written = begun(tmp_path / "new/models")
    assert ran.out.split()[1::2] == [f"new/models/{path}" for path, _ in start.repository(runners)]
    assert written.keys() == dict(start.repository(runners)).keys()
    for command in (["validate"], ["render"], ["render", "--check"], ["status"]):
        did = gen(*command, root=tmp_path / "new/models")
        assert (did.code, did.err) == (0, "")


def test_the_commands_of_the_readme_that_init_writes_are_right(tmp_path: Path) -> None:
    gen("init", ".", root=tmp_path)
    readme = (tmp_path / "README.md").read_text()
    for command in (
        "gen new churn --format xgboost",
        "gen version add iris v2 --uri gs://...",
        "gen render",
        "gen status",
        "gen validate",
    ):
        assert command in readme
        assert gen(*command.split()[1:], root=tmp_path).code == 0


def test_the_requirements_name_this_gen(tmp_path: Path) -> None:
    gen("init", ".", root=tmp_path)
    version = gen("--version", root=tmp_path).out.split()[1]
    assert f"\ngen-manifests=={version}\n" in (tmp_path / "requirements.txt").read_text()


def test_init_writes_here_unless_told_where(tmp_path: Path) -> None:
    assert gen("init", root=tmp_path).code == 0
    assert (tmp_path / "models" / "iris.yaml").exists()
    assert gen("render", root=tmp_path).code == 0


def test_init_leaves_a_folder_alone_that_has_one_of_its_files(tmp_path: Path) -> None:
    before = begun(write_tree(tmp_path, {"README.md": "mine\n", "models/own.yaml": "own\n"}))
    for named, path in ((".", "README.md"), (str(tmp_path), f"{tmp_path}/README.md")):
        ran = gen("init", named, root=tmp_path)
        assert (ran.code, ran.out) == (1, "")
        assert ran.err.startswith(f"{path}: error E702: this is there already, and nothing was")
    assert begun(tmp_path) == before


def test_init_writes_beside_what_is_not_in_its_way(tmp_path: Path) -> None:
    write_tree(tmp_path, {"LICENSE": "free\n"})
    assert gen("init", ".", root=tmp_path).code == 0
    assert (tmp_path / "LICENSE").read_text() == "free\n"


def test_init_writes_through_no_dangling_link(tmp_path: Path) -> None:
    (tmp_path / "README.md").symlink_to("elsewhere")
    assert gen("init", ".", root=tmp_path).code == 1
    assert not (tmp_path / "elsewhere").exists()


def test_init_says_where_it_cannot_write(tmp_path: Path) -> None:
    write_tree(tmp_path, {"file": ""})
    ran = gen("init", "file/below", root=tmp_path)
    assert (ran.code, ran.out) == (1, "")
    assert "error E701: this cannot be written: Not a directory" in ran.err


# new

KINDS = [
    *(("--format", each) for each in start.formats()),
    ("--image", "registry/a@sha256:" + "a" * 64),
]


@pytest.mark.parametrize("kind", sampled(KINDS, 5), ids=lambda kind: kind[1][:12])
def test_a_new_model_is_right_in_every_environment_at_once(
    kind: tuple[str, str], fleet: Path
) -> None:
    before = gen("validate", "--format", "json", root=fleet)
    environments = ("--env", "dev", "--env", "staging", "--env", "production")
    ran = gen("new", "price", *kind, *environments, root=fleet)
    assert (ran.code, ran.out) == (0, "create   models/price.yaml\n")
    assert gen("validate", "--format", "json", root=fleet) == before
    assert gen("status", "price", root=fleet).out.count("\nprice ") == 3


@pytest.mark.parametrize(
    ("backend", "installed"),
    [("kserve-llm", ", llm: true}"), ("seldon", '}\n  seldon: {version: "2.9"}')],
    ids=["kserve-llm", "seldon"],
)
def test_a_new_model_of_another_backend_is_right_where_that_is_installed(
    backend: str, installed: str, tmp_path: Path
) -> None:
    gateway = "mode: Standard, gateway: {name: g, namespace: g}, domain: example.com}"
    text = ENVIRONMENT.replace("mode: Knative}", gateway.removesuffix("}") + installed)
    root = write_tree(tmp_path, {"environments/dev.yaml": text, "models/churn.yaml": MODEL})
    assert gen("new", "price", "--backend", backend, root=root).code == 0
    ran = gen("render", "price", root=root)
    assert ran.code == 0, ran.err


@pytest.mark.parametrize(
    "kind",
    [
        {"model_format": "onnx"},
        {"image": "a/b:1"},
        {"backend": "kserve-llm"},
        {"backend": "seldon", "model_format": "onnx"},
    ],
    ids=str,
)
def test_every_example_in_a_comment_may_be_there(kind: dict[str, str]) -> None:
    text = start.model("price", "ml", ["dev"], **kind).text
    shown, count = re.subn(r"^( *)# (\w+: )", r"\1\2", text, flags=re.M)
    assert count
    document = Document("model", "models/price.yaml", "price", shown, load(shown))
    assert validate.problems(document) == []


def test_a_new_model_takes_the_only_environment_and_the_owner(root: Path) -> None:
    assert gen("new", "price", "--owner", "on", root=root).code == 0
    text = (root / "models/price.yaml").read_text()
    assert 'owner: "on" #' in text
    assert "  dev: {version: v1}\n" in text
    assert gen("render", root=root).code == 0


def test_a_model_that_is_there_is_not_overwritten(root: Path) -> None:
    before = begun(root)
    ran = gen("new", "churn", root=root)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("models/churn.yaml: error E702: this is there already")
    assert begun(root) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("Price",), "`Price` is no name for a model: it is made of lower-case letters"),
        (("../price",), "`../price` is no name for a model"),
        (("price", "--format", "sklern"), "there is no format `sklern`: did you mean `sklearn`?"),
        (("price", "--format", "onnx", "--image", "a"), "--format and --image exclude each other"),
        (("price", "--backend", "seldon", "--image", "a"), "--backend and --image exclude each"),
        (("price", "--backend", "kserve-llm", "--format", "onnx"), "has no --format"),
        (("price", "--env", "dve"), "there is no environment `dve`: did you mean `dev`?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_mistake_in_an_argument_writes_nothing(
    arguments: tuple[str, ...], message: str, root: Path
) -> None:
    before = begun(root)
    ran = gen("new", *arguments, root=root)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err.replace("\n", " ")
    assert begun(root) == before


def test_where_a_model_goes_live_is_asked_for_if_it_is_not_clear(fleet: Path) -> None:
    ran = gen("new", "price", root=fleet)
    assert ran.code == 2
    assert "say where it goes live: --env dev, --env production, --env staging" in ran.err


def test_what_a_spec_may_not_say_is_shown_and_not_written(root: Path) -> None:
    before = begun(root)
    ran = gen("new", "price", "--owner", "a: b", root=root)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith('models/price.yaml:3:8: error E204: `owner`: "a: b" is not made of')
    assert ran.err.endswith("nothing was written: these are the lines that there would be\n")
    assert begun(root) == before


def test_what_an_environment_refuses_is_told_at_once(fleet: Path) -> None:
    ran = gen("new", "price", "--image", "a/b:1", "--env", "production", root=fleet)
    assert (ran.code, ran.out) == (1, "create   models/price.yaml\n")
    assert "error P001: a/b:1 has no digest" in ran.err


# Where the repository is


@pytest.mark.parametrize("folder", ["models", "rendered/dev/churn", "docs/deep"])
def test_a_folder_below_finds_the_repository_and_says_so(folder: str, root: Path) -> None:
    assert gen("render", root=root).code == 0
    (root / folder).mkdir(parents=True, exist_ok=True)
    ran = gen("status", root=root / folder)
    assert ran.code == 0
    above = os.path.relpath(root, root / folder)
    assert ran.err == f"gen works in {above}, where models/ and environments/ are\n"
    assert ran.out == gen("status", root=root).out


def test_what_is_rendered_from_below_is_where_it_belongs(root: Path) -> None:
    assert gen("render", root=root / "models").code == 0
    assert read_tree(root)
    assert read_tree(root / "models") == {}


def test_a_problem_is_shown_with_its_line_from_below(root: Path) -> None:
    write_tree(root, {"models/churn.yaml": MODEL.replace("owner", "onwer")})
    assert "    2 | onwer: growth\n" in gen("validate", root=root / "models").out


def test_a_root_that_is_named_is_taken_as_it_is(root: Path) -> None:
    ran = gen("status", "--root", ".", root=root / "models")
    assert ran.code == 1
    assert "there is no folder environments/" in ran.err


def test_nothing_is_looked_for_above_a_git_repository(root: Path) -> None:
    (root / "other/.git").mkdir(parents=True)
    (root / "other/deep").mkdir()
    ran = gen("status", root=root / "other/deep")
    assert ran.code == 1
    assert "there is no folder models/" in ran.err


def test_spaces_and_letters_of_any_language_are_fine(root: Path) -> None:
    odd = root.rename(root.parent / "Modèle 模型 €")
    assert gen("render", root=odd).code == 0
    ran = gen("status", root=odd / "models")
    assert (ran.code, ran.err) == (0, "gen works in .., where models/ and environments/ are\n")


# Where there is nothing


@pytest.mark.parametrize("command", ["render", "validate", "status", "capacity"])
def test_a_repository_without_files_is_no_success(command: str, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "environments").mkdir()
    ran = gen(command, root=tmp_path)
    assert ran.code == 1
    assert "error E105: models/ holds no model" in ran.out + ran.err


def test_a_model_has_nowhere_to_go_without_an_environment(tmp_path: Path) -> None:
    (tmp_path / "environments").mkdir()
    ran = gen("new", "price", root=tmp_path)
    assert ran.code == 2
    assert "say where it goes live: environments/ is empty" in ran.err
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("command", [("diff",), ("history", "churn")], ids=" ".join)
def test_a_folder_without_git_is_told(command: tuple[str, ...], root: Path) -> None:
    ran = gen(*command, root=root)
    assert ran.code == 2
    assert "Error: this folder is in no Git repository: run this in a clone" in ran.err


def test_whoever_has_no_repository_is_told_how_to_begin_one(tmp_path: Path) -> None:
    assert "`gen init` writes one to start from" in gen("render", root=tmp_path).err
