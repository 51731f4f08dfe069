from __future__ import annotations

import errno
import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from generator import lock, pipeline, write
from generator.files import HEADER, Change, RenderedFile
from generator.problems import GenError, Problem
from generator.write import OWNED, STAGING, Tree

OURS = f"{HEADER}models/m.yaml. Change that, not this.\n"
ONE, TWO = "rendered/dev/m/one.yaml", "rendered/dev/m/two.yaml"
DEEP, APPLICATION = "rendered/dev/m/v1/deep.yaml", "argocd/dev/application-m.yaml"


def text(body: str = "a: 1") -> str:
    return f"{OURS}{body}\n"


def file(path: str, body: str = "a: 1") -> RenderedFile:
    return RenderedFile(path, "some.yaml.j2", "models/m.yaml", text(body), {})


def everything(_: str) -> bool:
    return True


def run(
    root: Path, *files: RenderedFile, owns: Callable[[str], bool] = everything
) -> dict[str, str]:
    """Write files as one run does; return what changed by path."""
    tree = Tree(root, dry=False)
    changes = [tree.put(each) for each in files] + list(tree.prune(owns))
    tree.commit()
    return kinds(changes)


def kinds(changes: list[Change]) -> dict[str, str]:
    return {change.path: change.kind for change in changes}


def problem(action: Callable[[], object]) -> Problem:
    with pytest.raises(GenError) as caught:
        action()
    (found,) = caught.value.problems
    return found


def contents(root: Path) -> dict[str, str]:
    found = {}
    for owned in OWNED:
        for folder, folders, names in os.walk(root / owned):
            folders[:] = [name for name in folders if name != ".staging"]
            place = Path(folder).relative_to(root).as_posix()
            found.update({f"{place}/{name}": Path(folder, name).read_text() for name in names})
    return found


def stats(root: Path) -> dict[str, tuple[int, int, int]]:
    found = {}
    for path in root.rglob("*"):
        status = path.lstat()
        found[path.relative_to(root).as_posix()] = status.st_ino, status.st_mtime_ns, status.st_size
    return found


def place(root: Path, path: str, content: str) -> Path:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(content, "utf-8")
    return target


# What a run does


def test_files_are_created_updated_deleted_or_identical(tmp_path: Path) -> None:
    first = (file(ONE), file(TWO), file(DEEP), file(APPLICATION))
    assert run(tmp_path, *first) == dict.fromkeys((ONE, TWO, DEEP, APPLICATION), "create")
    assert contents(tmp_path) == {each.path: each.text for each in first}
    changes = run(tmp_path, file(ONE), file(TWO, "a: 2"), file(APPLICATION))
    assert changes == {ONE: "identical", TWO: "update", APPLICATION: "identical", DEEP: "delete"}
    assert contents(tmp_path) == {ONE: text(), TWO: text("a: 2"), APPLICATION: text()}
    assert not (tmp_path / STAGING).exists()


def test_nothing_is_touched_when_nothing_changed(tmp_path: Path) -> None:
    files = (file(ONE), file(DEEP), file(APPLICATION))
    run(tmp_path, *files)
    before = stats(tmp_path)
    assert set(run(tmp_path, *files).values()) == {"identical"}
    assert stats(tmp_path) == before


def test_only_what_changed_is_touched(tmp_path: Path) -> None:
    run(tmp_path, file(ONE), file(TWO), file(APPLICATION))
    before = stats(tmp_path)
    run(tmp_path, file(ONE), file(TWO, "a: 2"), file(APPLICATION))
    after = stats(tmp_path)
    changed = {path for path in before if before[path] != after[path]}
    assert changed == {TWO, "rendered/dev/m", "rendered"}


def test_a_dry_run_says_the_same_and_writes_nothing(tmp_path: Path) -> None:
    run(tmp_path, file(ONE), file(TWO))
    before = stats(tmp_path)
    tree = Tree(tmp_path, dry=True)
    changes = [tree.put(file(ONE, "a: 2")), tree.put(file(DEEP)), *tree.prune(everything)]
    assert kinds(changes) == {ONE: "update", DEEP: "create", TWO: "delete"}
    assert stats(tmp_path) == before


def test_changes_carry_both_texts_where_they_are_asked_for(tmp_path: Path) -> None:
    run(tmp_path, file(ONE), file(TWO))
    tree = Tree(tmp_path, dry=True, texts=True)
    changes = [tree.put(file(ONE, "a: 2")), tree.put(file(DEEP)), *tree.prune(everything)]
    assert changes == [
        Change("update", ONE, text(), text("a: 2")),
        Change("create", DEEP, "", text()),
        Change("delete", TWO, text(), ""),
    ]


def test_a_run_deletes_only_what_it_owns(tmp_path: Path) -> None:
    run(tmp_path, file(ONE), file("rendered/other/m/one.yaml"))
    changes = run(tmp_path, file(TWO), owns=lambda path: path.startswith("rendered/dev/"))
    assert changes == {TWO: "create", ONE: "delete"}
    assert contents(tmp_path).keys() == {TWO, "rendered/other/m/one.yaml"}


def test_folders_that_deletion_emptied_go_and_others_stay(tmp_path: Path) -> None:
    run(tmp_path, file(ONE), file(DEEP), file(APPLICATION), file("rendered/dev/n/v1/x.yaml"))
    place(tmp_path, "rendered/dev/n/README.md", "by hand")
    (tmp_path / "rendered/empty").mkdir()
    run(tmp_path)
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")} == {
        *("argocd", "rendered", "rendered/dev", "rendered/dev/n", "rendered/dev/n/README.md"),
        "rendered/empty",
    }


def test_a_large_text_is_compared_and_written_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = "é" * 200_000
    real = os.write
    monkeypatch.setattr(os, "write", lambda to, content: real(to, content[:70_001]))
    assert run(tmp_path, file(ONE, body)) == {ONE: "create"}
    assert contents(tmp_path) == {ONE: text(body)}
    assert run(tmp_path, file(ONE, body)) == {ONE: "identical"}
    assert run(tmp_path, file(ONE, body + "!")) == {ONE: "update"}


def test_leftovers_are_what_nobody_put_into_the_folders_of_a_subject(tmp_path: Path) -> None:
    run(tmp_path, file(ONE), file(TWO), file(DEEP), file(APPLICATION), file("rendered/x.yaml"))
    place(tmp_path, "rendered/dev/m/notes.yaml", "by hand\n")
    tree = Tree(tmp_path, dry=False)
    tree.put(file(ONE))
    tree.put(file("argocd/dev/other.yaml"))
    found = kinds(list(tree.leftovers([ONE, "argocd/dev/other.yaml"])))
    assert found == {TWO: "delete", DEEP: "delete"}


def test_what_is_kept_is_neither_read_nor_pruned(tmp_path: Path) -> None:
    run(tmp_path, file(ONE), file(DEEP), file(APPLICATION), file("rendered/other/m/one.yaml"))
    tree = Tree(tmp_path, dry=False)
    tree.keep_all(["rendered/dev/m", APPLICATION])
    assert kinds(list(tree.prune(everything))) == {"rendered/other/m/one.yaml": "delete"}


# What is not ours


@pytest.mark.parametrize("content", ["", "a: 1\n", f" {text()}", HEADER[:-1], "\ufeff" + text()])
def test_a_file_without_our_header_is_neither_overwritten_nor_deleted(
    tmp_path: Path, content: str
) -> None:
    foreign = place(tmp_path, ONE, content)
    before = foreign.read_bytes()
    tree = Tree(tmp_path, dry=False)
    assert problem(lambda: tree.put(file(ONE))).code == "E702"
    assert run(tmp_path, file(TWO)) == {TWO: "create"}
    assert foreign.read_bytes() == before


def test_only_yaml_files_are_deleted_and_hidden_folders_left_alone(tmp_path: Path) -> None:
    others = ("rendered/dev/notes.txt", "rendered/.git/x.yaml", "argocd/README.md")
    for path in others:
        place(tmp_path, path, text())
    assert run(tmp_path, file(ONE)) == {ONE: "create"}
    assert contents(tmp_path).keys() == {ONE, *others}


@pytest.mark.parametrize(
    "path",
    [
        *("", "x.yaml", "models/x.yaml", "/etc/x.yaml", "../rendered/x.yaml", "rendered", "."),
        *(
            "rendered/",
            "rendered//x.yaml",
            "rendered/./x.yaml",
            "rendered/../x.yaml",
            "rendered/..",
        ),
        *("argocd/dev/../../x.yaml", "rendered/dev/..", "renderedx/x.yaml", "./rendered/x.yaml"),
    ],
)
def test_nothing_is_written_outside_of_the_owned_folders(tmp_path: Path, path: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    tree = Tree(root, dry=False)
    assert problem(lambda: tree.put(file(path))).code == "E703"
    tree.commit()
    assert [entry.name for entry in tmp_path.rglob("*")] == ["root"]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Somebody else's folder, with files of somebody else's gen in it."""
    other = tmp_path / "elsewhere"
    for path in ("one.yaml", "m/one.yaml", "dev/m/one.yaml"):
        place(other, path, text("other: 1"))
    return other


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("link", ["rendered", "argocd", "rendered/dev", "rendered/dev/m"])
def test_nothing_is_written_or_deleted_through_a_linked_folder(
    root: Path, elsewhere: Path, link: str
) -> None:
    before = stats(elsewhere)
    (root / link).parent.mkdir(parents=True, exist_ok=True)
    (root / link).symlink_to(elsewhere, target_is_directory=True)
    codes: set[str] = set()
    for paths in ((ONE, APPLICATION), (APPLICATION,), (ONE,), ()):
        try:
            run(root, *map(file, paths))
        except GenError as error:
            codes.update(found.code for found in error.problems)
    assert codes == {"E703"}
    assert stats(elsewhere) == before


def test_a_linked_folder_that_nothing_is_written_to_is_not_looked_into(
    root: Path, elsewhere: Path
) -> None:
    before = stats(elsewhere)
    run(root, file(ONE))
    for link in ("rendered/gone", "rendered/dev/m/v9", "argocd/gone"):
        (root / link).parent.mkdir(parents=True, exist_ok=True)
        (root / link).symlink_to(elsewhere, target_is_directory=True)
    assert run(root, file(ONE)) == {ONE: "identical"}
    tree = Tree(root, dry=False)
    tree.put(file(ONE))
    assert list(tree.leftovers([ONE])) == []
    assert stats(elsewhere) == before


@pytest.mark.parametrize("target", ["elsewhere/one.yaml", "elsewhere/none.yaml"])
def test_a_linked_file_is_neither_written_through_nor_deleted(
    tmp_path: Path, root: Path, elsewhere: Path, target: str
) -> None:
    before = stats(elsewhere)
    (root / ONE).parent.mkdir(parents=True)
    (root / ONE).symlink_to(tmp_path / target)
    tree = Tree(root, dry=False)
    assert problem(lambda: tree.put(file(ONE))).code == "E702"
    assert run(root, file(TWO)) == {TWO: "create"}
    assert (root / ONE).is_symlink()
    assert stats(elsewhere) == before


def test_a_linked_staging_folder_is_replaced_and_what_it_leads_to_left_alone(
    root: Path, elsewhere: Path
) -> None:
    before = stats(elsewhere)
    (root / "rendered").mkdir()
    (root / STAGING).symlink_to(elsewhere, target_is_directory=True)
    assert run(root, file(ONE)) == {ONE: "create"}
    assert contents(root) == {ONE: text()}
    assert stats(elsewhere) == before


def test_a_file_in_the_place_of_the_staging_folder_is_in_nobodys_way(root: Path) -> None:
    place(root, STAGING, "left by whatever")
    assert run(root, file(ONE)) == {ONE: "create"}
    assert contents(root) == {ONE: text()}


def test_a_folder_where_a_file_belongs_and_a_file_where_a_folder_does_are_problems(
    root: Path,
) -> None:
    (root / ONE).mkdir(parents=True)
    place(root, "rendered/dev/m/v1", text())
    place(root, "argocd", text())
    tree = Tree(root, dry=False)
    for path in (ONE, DEEP, APPLICATION):
        assert problem(lambda path=path: tree.put(file(path))).code == "E702"  # type: ignore[misc]


def test_a_pipe_in_the_way_is_a_problem_and_not_a_wait(root: Path) -> None:
    (root / ONE).parent.mkdir(parents=True)
    os.mkfifo(root / ONE)
    assert problem(lambda: Tree(root, dry=False).put(file(ONE))).code == "E702"
    assert run(root, file(TWO)) == {TWO: "create"}


# When the disk refuses


def refusing(name: str, part: str, code: int) -> Callable[..., Any]:
    """Make a function of os that fails for paths with a certain part in them."""
    real = getattr(os, name)

    def call(*args: Any, **options: Any) -> Any:
        if any(part in str(arg) for arg in args):
            raise OSError(code, os.strerror(code), str(args[0]))
        return real(*args, **options)

    return call


@pytest.mark.parametrize("code", [errno.EACCES, errno.ENOSPC, errno.EROFS])
@pytest.mark.parametrize(("name", "part"), [("mkdir", ".staging"), ("open", ".staging")])
def test_a_disk_that_takes_no_new_file_leaves_everything_as_it_was(
    root: Path, monkeypatch: pytest.MonkeyPatch, name: str, part: str, code: int
) -> None:
    run(root, file(ONE))
    before = contents(root)
    tree = Tree(root, dry=False)
    with monkeypatch.context() as patched:
        patched.setattr(os, name, refusing(name, part, code))
        found = problem(lambda: tree.put(file(TWO)))
    tree.discard()
    assert (found.code, found.where.file.startswith(STAGING)) == ("E701", True)
    assert os.strerror(code) in found.message
    assert contents(root) == before


@pytest.mark.parametrize("name", ["rename", "unlink"])
def test_a_disk_that_refuses_half_way_leaves_whole_files_and_the_next_run_goes_on(
    root: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    old = [file(f"rendered/dev/m/{n}.yaml", "old: 1") for n in range(6)]
    new = [file(f"rendered/dev/m/{n}.yaml", "new: 1") for n in range(3, 9)]
    run(root, *old)
    part = "m/5.yaml" if name == "rename" else "m/1.yaml"
    with monkeypatch.context() as patched:
        patched.setattr(os, name, refusing(name, part, errno.EACCES))
        found = problem(lambda: run(root, *new))
    assert found.code == "E701"
    assert not Path(found.where.file).is_absolute()
    assert set(contents(root).values()) == {text("old: 1"), text("new: 1")}
    run(root, *new)
    assert contents(root) == {each.path: each.text for each in new}


def test_a_folder_that_cannot_be_read_is_a_problem(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(root, file(ONE))
    monkeypatch.setattr(os, "listdir", refusing("listdir", "dev/m", errno.EACCES))
    assert problem(lambda: Tree(root, dry=True).put(file(ONE))).code == "E702"


def test_a_run_that_fails_before_it_wrote_leaves_no_folder_behind(root: Path) -> None:
    tree = Tree(root, dry=False)
    tree.put(file(ONE))
    tree.discard()
    assert list(root.iterdir()) == []


def test_what_a_killed_run_staged_is_thrown_away(root: Path) -> None:
    place(root, f"{STAGING}/{ONE}", "half of a te")
    place(root, f"{STAGING}/rendered/dev/m/never.yaml", text())
    assert run(root, file(ONE)) == {ONE: "create"}
    assert contents(root) == {ONE: text()}
    assert not (root / STAGING).exists()


def test_files_are_exported_below_a_folder_that_a_person_named(root: Path) -> None:
    assert write.export(root / "a/b", [("c/d.json", "{}\n"), ("e.json", "é\n")]) == 2
    assert (root / "a/b/c/d.json").read_text("utf-8") == "{}\n"
    assert problem(lambda: write.export(root / "a/b/e.json", [("f", "")])).code == "E701"


# Two runs at once, and none at all


def test_a_second_run_waits_for_the_first(root: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with lock.locked(root):
            order.append("second")

    thread = threading.Thread(target=second)
    with lock.locked(root):
        thread.start()
        time.sleep(0.05)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_two_runs_at_once_come_to_what_one_comes_to(fleet: Path) -> None:
    outcomes: list[str] = []

    def work() -> None:
        changes = pipeline.apply(fleet).changes
        outcomes.append("wrote" if changes.total else "found nothing to do")

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert outcomes == ["wrote", "found nothing to do"]
    assert pipeline.compare(fleet).changes.total == 0
    assert not (fleet / STAGING).exists()


def test_a_lock_ends_with_its_process(root: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from generator import lock\n"
        "with lock.locked(Path(sys.argv[1])): print('locked', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, root], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"locked\n"
        process.kill()
    with lock.locked(root):
        assert process.returncode == -signal.SIGKILL


def test_a_root_that_is_not_there_cannot_be_locked(tmp_path: Path) -> None:
    def lock_it() -> None:
        with lock.locked(tmp_path / "none"):
            pass

    assert problem(lock_it).code == "E701"


def test_a_file_system_without_locks_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    def lock_it() -> None:
        with lock.locked(root):
            pass

    monkeypatch.setattr(fcntl, "flock", flock)
    found = problem(lock_it)
    assert (found.code, found.message) == ("E701", f"{root} cannot be locked: No locks available")


MODEL = """
name: {name}
owner: {owner}
description: Model {name} at {version}.
serving: {{format: sklearn, resources: {{cpu: 100m, memory: {memory}}}}}
versions:
  {version}: {{uri: "s3://models/{name}/{version}/"}}
environments:
  dev: {{version: {version}, scaling: {{min: 0, max: 2}}}}
"""
KILLED = """
import json, os, signal, sys
from pathlib import Path
from generator.files import RenderedFile
from generator.write import Tree

root, files = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
staging, committing = map(int, sys.argv[3:])
left = staging

def fatal(function):
    def call(*args, **options):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **options)
    return call

for name in ("open", "write", "mkdir", "rename", "unlink", "rmdir"):
    setattr(os, name, fatal(getattr(os, name)))
tree = Tree(root, dry=False)
for path, text in files.items():
    tree.put(RenderedFile(path, "", "", text, {}))
list(tree.prune(lambda path: True))
left = committing
tree.commit()
"""
"""Writes a rendered fleet and dies right before its n-th step on the disk, of staging or commit."""

NEVER = str(10**9)

Contents = dict[str, str]


def specify(root: Path, numbers: range, **values: str) -> None:
    """Write the specs of a fleet; every second model is the same whatever the values."""
    shutil.rmtree(root / "models", ignore_errors=True)
    for number in numbers:
        own = values if number % 2 else {"owner": "all", "version": "v0", "memory": "1Gi"}
        name = f"model-{number:03}"
        place(root, f"models/{name}.yaml", MODEL.format(name=name, **own))


class Fleet:
    """A fleet that goes to and fro between two states, and what its output is in each."""

    def __init__(self, root: Path, repository: Path, size: int) -> None:
        self.root = root
        self._size = size
        environment = repository / "environments" / "dev.yaml"
        place(root, "environments/dev.yaml", environment.read_text("utf-8"))
        self.outputs = [self._output(state) for state in (1, 0)][::-1]

    def specify(self, state: int) -> None:
        extra = self._size // 8
        if state:
            numbers = range(extra, self._size + extra)
            specify(self.root, numbers, owner="two", version="v2", memory="2Gi")
        else:
            specify(self.root, range(self._size), owner="one", version="v1", memory="1Gi")

    def _output(self, state: int) -> Contents:
        self.specify(state)
        pipeline.apply(self.root)
        return contents(self.root)

    def assert_every_file_is_old_or_new(self, old: Contents, new: Contents) -> None:
        found = contents(self.root)
        assert found.keys() <= old.keys() | new.keys()
        assert found.keys() >= old.keys() & new.keys()
        for path, content in found.items():
            assert content in (old.get(path), new.get(path)), path


def test_a_run_killed_at_any_step_leaves_each_file_old_or_new(
    tmp_path: Path, repository: Path
) -> None:
    root = tmp_path / "root"
    fleet = Fleet(root, repository, 60)
    states = [tmp_path / "0.json", tmp_path / "1.json"]
    for state, output in zip(states, fleet.outputs, strict=True):
        state.write_text(json.dumps(output))
    changed = sum(fleet.outputs[0].get(path) != new for path, new in fleet.outputs[1].items())
    chance, killed = random.Random(1), 0
    for number in range(15):
        old, new = fleet.outputs[number % 2], fleet.outputs[1 - number % 2]
        in_commit = number % 3 < 2
        step = chance.randrange(changed if in_commit else 3 * changed)
        limits = (NEVER, str(step)) if in_commit else (str(step), NEVER)
        target = str(states[1 - number % 2])
        command = [sys.executable, "-c", KILLED, str(root), target, *limits]
        killed += subprocess.run(command, check=False).returncode == -signal.SIGKILL
        fleet.assert_every_file_is_old_or_new(old, new)
        run(root, *(RenderedFile(path, "", "", text, {}) for path, text in new.items()))
        assert contents(root) == new
        assert not (root / STAGING).exists()
    assert killed > 10


@pytest.mark.slow
def test_a_run_killed_at_any_moment_leaves_each_file_old_or_new(
    tmp_path: Path, repository: Path
) -> None:
    fleet = Fleet(tmp_path / "root", repository, 300)
    command = [sys.executable, "-m", "generator", "render", "--root", str(fleet.root)]
    environment = {**os.environ, "GEN_CACHE_DIR": str(tmp_path / "cache")}
    chance = random.Random(2)
    longest, killed = 1.0, 0
    for number in range(200):
        old, new = fleet.outputs[number % 2], fleet.outputs[1 - number % 2]
        fleet.specify(1 - number % 2)
        started = time.monotonic()
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
            try:
                process.wait(chance.uniform(0, longest))
                longest = time.monotonic() - started
            except subprocess.TimeoutExpired:
                process.kill()
                killed += 1
        fleet.assert_every_file_is_old_or_new(old, new)
        pipeline.apply(fleet.root)
        assert contents(fleet.root) == new
    assert killed > 50
