"""Git: which commit is meant, what was in it, and that nothing in the repository is touched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ENVIRONMENT, MODEL, gen, read_tree, write_tree

from generator.revisions.git import Git, GitError
from generator.subjects import INPUTS

ALONE = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
    "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
}
"""An environment in which Git knows nothing of whoever runs the tests."""

FILES = {"models/churn.yaml": MODEL, "environments/dev.yaml": ENVIRONMENT}
CHANGED = MODEL.replace("churn/1", "churn/1b")


def git(root: Path, *arguments: str, **environ: str) -> str:
    command = ["git", "-c", "protocol.file.allow=always", *arguments]
    run = subprocess.run(
        command, cwd=root, env=ALONE | environ, capture_output=True, text=True, check=True
    )
    return run.stdout.strip()


def commit(root: Path, files: dict[str, str | bytes], message: str = "change") -> str:
    write_tree(root, files)
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--allow-empty", "--message", message)
    return git(root, "rev-parse", "HEAD")


def made(root: Path, files: dict[str, str | bytes]) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    git(root, "init", "--quiet", "--initial-branch=main")
    commit(root, files)
    return root


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository with one commit on `main`."""
    return made(tmp_path / "clone", dict(FILES))


def tree_at(root: Path, ref: str, into: Path, **environ: str) -> dict[str, bytes]:
    asked = Git(root, ALONE | environ)
    asked.tree(asked.base(ref), into, INPUTS)
    return read_tree(into, INPUTS)


def as_bytes(files: dict[str, str]) -> dict[str, bytes]:
    return {path: text.encode() for path, text in files.items()}


def refusal(root: Path, ref: str, **environ: str) -> str:
    with pytest.raises(GitError) as caught:
        Git(root, ALONE | environ).base(ref)
    return str(caught.value)


# What was in a commit


def test_tree_is_what_was_committed(clone: Path, tmp_path: Path) -> None:
    first = git(clone, "rev-parse", "HEAD")
    commit(clone, {"models/churn.yaml": CHANGED, "rendered/x.yaml": "never asked for"})

    assert tree_at(clone, first, tmp_path / "then") == as_bytes(FILES)


def test_nothing_in_the_repository_changes(clone: Path, tmp_path: Path) -> None:
    write_tree(clone, {"models/churn.yaml": CHANGED, "models/new.yaml": "not added"})
    git(clone, "add", "models/churn.yaml")
    before = read_tree(clone, (".",))

    tree_at(clone, "HEAD", tmp_path / "then")

    assert read_tree(clone, (".",)) == before


def test_repository_may_be_a_folder_of_a_larger_one(tmp_path: Path) -> None:
    inner = {f"teams/ml [1]/{path}": text for path, text in FILES.items()}
    root = made(tmp_path / "all", {**inner, "models/other.yaml": "of another team"})

    assert tree_at(root / "teams" / "ml [1]", "HEAD", tmp_path / "then") == as_bytes(FILES)


def test_folder_that_was_not_there_yet_is_empty(clone: Path, tmp_path: Path) -> None:
    (clone / "later").mkdir()
    assert tree_at(clone / "later", "HEAD", tmp_path / "then") == {}


def test_names_and_contents_are_bytes(clone: Path, tmp_path: Path) -> None:
    odd: dict[str, str | bytes] = {
        "models/größe\n1.yaml": "a",
        "models/b\tc.yaml": b"\r\n\xff\0",
        "models/d e.yaml": "",
    }
    commit(clone, odd)

    found = tree_at(clone, "HEAD", tmp_path / "then")

    assert found["models/größe\n1.yaml"] == b"a"
    assert found["models/b\tc.yaml"] == b"\r\n\xff\0"
    assert found["models/d e.yaml"] == b""


def test_attributes_and_filters_of_the_working_tree_are_not_applied(
    clone: Path, tmp_path: Path
) -> None:
    attributes = "*.yaml export-ignore\n*.yaml text eol=crlf filter=harm\n"
    commit(clone, {".gitattributes": attributes})
    git(clone, "config", "filter.harm.smudge", f"touch {tmp_path / 'harm'}; cat")

    assert tree_at(clone, "HEAD", tmp_path / "then") == as_bytes(FILES)
    assert not (tmp_path / "harm").exists()


def test_links_stay_links_and_nothing_is_written_through_them(clone: Path, tmp_path: Path) -> None:
    (clone / "models" / "link.yaml").symlink_to(tmp_path / "outside")
    (clone / "schemas").symlink_to("..")
    commit(clone, {})

    found = tree_at(clone, "HEAD", tmp_path / "then")

    assert found == as_bytes(FILES)
    assert (tmp_path / "then/models/link.yaml").readlink() == tmp_path / "outside"
    assert not (tmp_path / "then/schemas").exists()


def test_submodules_are_left_out(clone: Path, tmp_path: Path) -> None:
    other = made(tmp_path / "other", {"a.yaml": "a"})
    git(clone, "submodule", "--quiet", "add", str(other), "models/sub")
    commit(clone, {})

    assert tree_at(clone, "HEAD", tmp_path / "then") == as_bytes(FILES)


# Which commit is meant


@pytest.mark.parametrize("ref", ["main", "HEAD", "HEAD~0", "v1", "refs/heads/main", "@"])
def test_a_commit_has_many_names(clone: Path, ref: str) -> None:
    git(clone, "tag", "--annotate", "v1", "--message", "one")
    assert Git(clone, ALONE).resolve(ref) == git(clone, "rev-parse", "HEAD")


def test_base_is_where_the_branch_began(clone: Path) -> None:
    began = git(clone, "rev-parse", "HEAD")
    git(clone, "switch", "--quiet", "--create", "mine")
    commit(clone, {"models/churn.yaml": CHANGED})
    git(clone, "switch", "--quiet", "main")
    others = commit(clone, {"models/basket.yaml": MODEL.replace("churn", "basket")})
    git(clone, "switch", "--quiet", "mine")

    assert Git(clone, ALONE).base("main") == began
    assert Git(clone, ALONE).resolve("main") == others


def test_detached_head_and_linked_worktree(clone: Path, tmp_path: Path) -> None:
    first = git(clone, "rev-parse", "HEAD")
    commit(clone, {"models/churn.yaml": CHANGED})
    git(clone, "switch", "--quiet", "--detach", "HEAD")
    git(clone, "worktree", "add", "--quiet", str(tmp_path / "beside"), first)

    assert Git(clone, ALONE).base("HEAD~1") == first
    assert tree_at(tmp_path / "beside", "main", tmp_path / "then") == as_bytes(FILES)


def test_nothing_is_committed_yet(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    assert refusal(tmp_path, "main") == "there is no commit `main` here: nothing is committed yet"


@pytest.mark.parametrize(
    ("ref", "words"),
    [
        ("mian", "there is no commit `mian` here: did you mean `main`?"),
        ("origin/mian", "did you mean `origin/main`?"),
        ("origin/feature-1234", "`git fetch origin feature-1234` may bring it"),
        ("", "there is no commit `` here"),
        ("--help", "there is no commit `--help` here"),
        ("HEAD..main", "there is no commit `HEAD..main` here"),
        ("HEAD:models", "there is no commit `HEAD:models` here"),
        ("0123456789012345678901234567890123456789", "there is no commit `0123"),
    ],
)
def test_unknown_names_are_refused(clone: Path, tmp_path: Path, ref: str, words: str) -> None:
    git(tmp_path, "clone", "--quiet", str(clone), "copy")
    assert words in refusal(tmp_path / "copy", ref)


def test_shallow_clone_says_what_to_fetch(clone: Path, tmp_path: Path) -> None:
    commit(clone, {"models/churn.yaml": CHANGED})
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{clone}", "copy")

    assert "the clone is shallow: fetch the history first" in refusal(tmp_path / "copy", "HEAD~1")
    assert "fetch-depth: 0" in refusal(tmp_path / "copy", "origin/live")


def test_shallow_clones_of_two_branches_may_have_nothing_in_common(
    clone: Path, tmp_path: Path
) -> None:
    git(clone, "switch", "--quiet", "--create", "mine")
    commit(clone, {"models/churn.yaml": CHANGED})
    git(clone, "switch", "--quiet", "main")
    commit(clone, {"models/churn.yaml": CHANGED.replace("1b", "1c")})
    url, copy = f"file://{clone}", tmp_path / "copy"
    shallow = ("--depth=1", "--branch=mine", "--no-single-branch")
    git(tmp_path, "clone", "--quiet", *shallow, url, str(copy))

    found = refusal(copy, "origin/main")

    assert found.startswith("HEAD and `origin/main` have no commit in common: fetch the history")


def test_histories_may_have_nothing_in_common(clone: Path) -> None:
    git(clone, "switch", "--quiet", "--orphan", "other")
    commit(clone, {"models/churn.yaml": MODEL})
    assert "no commit in common: name a commit of the same history" in refusal(clone, "main")


# Where Git is asked from


def test_what_git_tells_its_hooks_is_about_another_repository(clone: Path, tmp_path: Path) -> None:
    other = made(tmp_path / "other", {"models/other.yaml": "other"})
    told = {"GIT_DIR": f"{other}/.git", "GIT_WORK_TREE": str(other), "GIT_PREFIX": "models/"}

    assert tree_at(clone, "HEAD", tmp_path / "then", **told) == as_bytes(FILES)


def test_hook_of_a_commit_sees_the_base(clone: Path, tmp_path: Path) -> None:
    """The hook runs with GIT_INDEX_FILE set and the index locked."""
    probe = (
        "import os, pathlib, sys; from generator.revisions.git import Git; "
        "print(Git(pathlib.Path('.'), os.environ).base('HEAD'), file=open(sys.argv[1], 'w'))"
    )
    package = Path(__file__).parents[1]
    hook = f'#!/bin/sh\nPYTHONPATH={package} exec python3 -c "{probe}" {tmp_path}/said\n'
    write_tree(clone, {".git/hooks/pre-commit": hook})
    (clone / ".git/hooks/pre-commit").chmod(0o755)
    first = git(clone, "rev-parse", "HEAD")
    path = f"{Path(sys.executable).parent}:{ALONE['PATH']}"

    write_tree(clone, {"models/churn.yaml": CHANGED})
    git(clone, "commit", "--quiet", "--all", "--message=hooked", PATH=path)

    assert (tmp_path / "said").read_text().strip() == first


def test_messages_are_read_in_any_language(clone: Path, tmp_path: Path) -> None:
    found = refusal(tmp_path, "HEAD", LANG="de_DE.UTF-8", LANGUAGE="de", LC_ALL="de_DE.UTF-8")
    assert found == f"{tmp_path} is in no Git repository: run this in a clone"


def test_repository_of_another_user(clone: Path) -> None:
    found = refusal(clone, "HEAD", GIT_TEST_ASSUME_DIFFERENT_OWNER="1")
    assert found.startswith(f"Git does not trust {clone}, which belongs to another user: ")
    assert found.endswith(f"`git config --global --add safe.directory {clone}`")


def test_git_is_not_installed(clone: Path) -> None:
    assert refusal(clone, "HEAD", PATH="/nowhere").startswith("Git cannot be run: No such file")


def test_lost_objects_are_said(clone: Path, tmp_path: Path) -> None:
    blob = git(clone, "rev-parse", "HEAD:models/churn.yaml")
    (clone / ".git/objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(GitError, match="Git has lost object"):
        tree_at(clone, "HEAD", tmp_path / "then")


# From the command line


def test_validate_with_a_base(clone: Path) -> None:
    same = gen("validate", "--base", "main", root=clone, **ALONE)
    write_tree(clone, {"models/churn.yaml": CHANGED})
    edited = gen("validate", "--base", "main", root=clone, **ALONE)
    alone = gen("validate", root=clone, **ALONE)

    assert (same.code, alone.code, edited.code) == (0, 0, 1)
    assert same.out.endswith("are fine, and so is the change since main\n")
    assert "models/churn.yaml:6:13: error R012: v1 is live in dev" in edited.out


@pytest.mark.parametrize("layout", ["json", "github", "sarif"])
def test_every_format_tells_of_the_change(clone: Path, layout: str) -> None:
    write_tree(clone, {"models/churn.yaml": CHANGED})
    ran = gen("validate", "--base", "main", "--format", layout, root=clone, **ALONE)
    assert (ran.code, "R012" in ran.out) == (1, True)


def test_base_that_is_none_is_a_mistake_of_the_command(clone: Path) -> None:
    ran = gen("validate", "--base", "mian", root=clone, **ALONE)
    assert (ran.code, ran.out) == (2, "")
    assert "Error: there is no commit `mian` here: did you mean `main`?" in ran.err
