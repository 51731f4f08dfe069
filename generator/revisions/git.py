"""Git, which is asked and never told: what a name means, and what was in a commit.

The repository is only read. Nothing is checked out: index, working tree and references stay as they
are, and what a commit held is written to a folder of the caller's.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from pathlib import Path
from typing import NamedTuple, NoReturn

from generator.schema import nearest, suggestion

_OF_ONE_REPOSITORY = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_PREFIX",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_QUARANTINE_PATH",
    "GIT_NAMESPACE",
    "GIT_SHALLOW_FILE",
    "GIT_GRAFT_FILE",
    "GIT_REPLACE_REF_BASE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_LITERAL_PATHSPECS",
    "GIT_GLOB_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
)
"""What Git tells its hooks about the repository that they run for, which may be another one."""

_QUIET = {
    "LC_ALL": "C",
    "LANGUAGE": "",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_PAGER": "cat",
}
"""Messages that can be read by a program, and nobody asked for anything."""

_SHALLOW = (
    "fetch the history first: `git fetch --unshallow`, or `fetch-depth: 0` for actions/checkout"
)


class GitError(Exception):
    """What cannot be had from Git, in a sentence, and the way out."""

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = message
        self.hint = hint
        super().__init__(f"{message}: {hint}" if hint else message)


class _Entry(NamedTuple):
    """A file of a commit: its path below the folder that was asked about, and its content's id."""

    path: str
    is_link: bool
    blob: str


class FileChange(NamedTuple):
    """What a commit did to a file; a side that is not there has an id of zeros."""

    status: str
    before: str
    after: str
    path: str


class Commit(NamedTuple):
    """A commit on the way along the first parents; `date` is when it was committed."""

    id: str
    date: str
    author: str
    message: str
    files: tuple[FileChange, ...]


_MAIN_BRANCHES = (
    "refs/remotes/origin/HEAD",
    "refs/remotes/origin/main",
    "refs/remotes/origin/master",
    "refs/heads/main",
    "refs/heads/master",
)

_COMMIT, _FIELDS = "%x00%H%x00%cI%x00%aN%x00%B%x00", 5
"""The format of a log, where nothing but NUL is sure to be in no name and no message."""


@dataclass(frozen=True, slots=True)
class Git:
    """The Git repository that a folder is in; `environ` is the environment of who asks."""

    folder: Path
    environ: Mapping[str, str] = field(repr=False)

    def resolve(self, ref: str) -> str:
        """Find the commit that a name means. Raises GitError with the likeliest other name."""
        if ref and not ref.startswith("-"):
            found = self._run("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
            if not found.returncode:
                return _line(found)
        self._asked("rev-parse", "--git-dir")
        raise self._unknown(ref)

    def base(self, ref: str) -> str:
        """Find where a pull request to a name begins: the last commit that HEAD shares with it.

        What was committed there since is not part of the change. Without any commit yet, it is what
        the name means itself. Raises GitError.
        """
        commit = self.resolve(ref)
        if self._run("rev-parse", "--verify", "--quiet", "HEAD^{commit}").returncode:
            return commit
        found = self._run("merge-base", "HEAD", commit)
        if not found.returncode:
            return _line(found)
        if found.returncode != 1:
            _refused(found, self.folder)
        message = f"HEAD and `{ref}` have no commit in common"
        hint = _SHALLOW if self.is_shallow() else "name a commit of the same history"
        raise GitError(message, hint)

    def default_base(self) -> tuple[str, str]:
        """Find what HEAD should be compared with: the name of a branch, and where HEAD left it.

        It is the main branch of the remote, or else of the clone, or else HEAD. Raises GitError.
        """
        listed = self._asked("for-each-ref", "--format=%(refname)", *_MAIN_BRANCHES).split()
        for ref in _MAIN_BRANCHES:
            if ref in listed:
                return ref.split("/", 2)[2], self.base(ref)
        return "HEAD", self.resolve("HEAD")

    def tree(
        self,
        commit: str,
        into: Path,
        folders: Iterable[str],
        only: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """Write what a commit held in some folders below this one to another folder.

        With `only`, just the paths that it says yes to. Links are written as links. Raises
        GitError.
        """
        entries = [entry for entry in self._entries(commit, folders) if only(entry.path)]
        contents = self.contents([entry.blob for entry in entries])
        try:
            _unpack(into, zip(entries, contents, strict=True))
        except (OSError, ValueError) as error:
            raise GitError(f"commit {commit[:12]} cannot be unpacked: {error}") from None

    def _entries(self, commit: str, folders: Iterable[str]) -> Iterator[_Entry]:
        prefix = self._asked("rev-parse", "--show-prefix").removesuffix("\n")
        wanted = [f"{prefix}{folder}/" for folder in folders]
        listed = self._asked("ls-tree", "-r", "-z", "--full-tree", commit, "--", *wanted)
        for line in filter(None, listed.split("\0")):
            about, _, path = line.partition("\t")
            mode, kind, blob = about.split()
            below = path.removeprefix(prefix)
            if kind == "blob" and _stays_below(below):
                yield _Entry(below, mode == "120000", blob)

    def changed(self, commit: str, folders: Iterable[str]) -> frozenset[str]:
        """Name the files below some folders that are not as in a commit, byte for byte."""
        below = list(folders)
        then = {entry.path: entry.blob for entry in self._entries(commit, below)}
        names = {
            path.relative_to(self.folder).as_posix(): path
            for folder in below
            for path in (self.folder / folder).rglob("*")
            if not path.is_dir()
        }
        same = (name for name in names.keys() & then.keys() if _is(names[name], then[name]))
        return frozenset((names.keys() | then.keys()) - set(same))

    def log(self, tip: str, path: str) -> Iterator[Commit]:
        """List the commits that changed a path, newest first, along the first parents.

        A merge stands for all that it brought, on the day that it did. Raises GitError.
        """
        listed = self._asked(
            "log",
            "--first-parent",
            "--diff-merges=first-parent",
            "--no-renames",
            "--no-show-signature",
            "--no-color",
            "--encoding=UTF-8",
            "--relative",
            "--raw",
            "--no-abbrev",
            f"--format={_COMMIT}",
            tip,
            "--",
            path,
        )
        fields = listed.split("\0")[1:]
        for start in range(0, len(fields), _FIELDS):
            commit, date, author, message, files = fields[start : start + _FIELDS]
            yield Commit(commit, date, author, message, tuple(_files(files)))

    def renames(self, commit: str, folder: str) -> dict[str, str]:
        """Find what a commit renamed below a folder, new path to old path. Raises GitError."""
        how = ("--format=", "-M", "-z", "--diff-filter=R", "--name-status", "--relative")
        listed = self._asked("show", "--diff-merges=first-parent", *how, commit, "--", f"{folder}/")
        fields = listed.split("\0")
        return dict(zip(fields[2::3], fields[1::3], strict=False))

    def contents(self, blobs: list[str]) -> Iterator[bytes]:
        """Read contents as they were committed; no filter of the working tree is run."""
        if not blobs:
            return
        given = "".join(f"{blob}\n" for blob in blobs).encode()
        ran = self._run("cat-file", "--batch", given=given)
        if ran.returncode:
            _refused(ran, self.folder)
        position = 0
        for blob in blobs:
            start = ran.stdout.index(b"\n", position) + 1
            about = ran.stdout[position:start].split()
            if len(about) != len(("id", "kind", "size")):
                raise GitError(f"Git has lost object {blob[:12]}", "see what `git fsck` says")
            position = start + int(about[2]) + 1
            yield ran.stdout[start : position - 1]

    def _unknown(self, ref: str) -> GitError:
        kinds = ("refs/heads", "refs/remotes", "refs/tags")
        names = self._asked("for-each-ref", "--format=%(refname:lstrip=2)", *kinds).split()
        message = f"there is no commit `{ref}` here"
        if self.is_shallow():
            return GitError(f"{message}, and the clone is shallow", _SHALLOW)
        remote, _, branch = ref.partition("/")
        if branch and remote in self._asked("remote").split():
            branches = {name.removeprefix(f"{remote}/") for name in names} - {"HEAD"}
            near = nearest(branch, sorted(branches))
            fetch = f"`git fetch {remote} {branch}` may bring it"
            return GitError(message, f"did you mean `{remote}/{near}`?" if near else fetch)
        return GitError(message, suggestion(ref, names) if names else "nothing is committed yet")

    def is_shallow(self) -> bool:
        """Say whether the clone lacks the beginning of its history."""
        return self._asked("rev-parse", "--is-shallow-repository").strip() == "true"

    def _asked(self, *arguments: str) -> str:
        """Return what Git prints. Raises GitError if it refuses."""
        ran = self._run(*arguments)
        if ran.returncode:
            _refused(ran, self.folder)
        return os.fsdecode(ran.stdout)

    def _run(self, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        kept = {key: self.environ[key] for key in self.environ if key not in _OF_ONE_REPOSITORY}
        try:
            return subprocess.run(
                ["git", *arguments],
                cwd=self.folder,
                env=kept | _QUIET,
                input=given,
                capture_output=True,
                check=False,
            )
        except OSError as error:
            message = f"Git cannot be run: {error.strerror}"
            raise GitError(message, "install it, or put it on PATH") from None


def _files(raw: str) -> Iterator[FileChange]:
    for line in raw.splitlines():
        about, _, path = line.partition("\t")
        if path:
            _, _, before, after, status = about.split()
            yield FileChange(status[:1], before, after, path)


def _is(path: Path, blob: str) -> bool:
    """Say whether a file is the content of an id, as Git counts it."""
    try:
        content = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
    except OSError:
        return False
    kind = sha1 if len(blob) == _SHA1_DIGITS else sha256
    return kind(b"blob %d\0" % len(content) + content).hexdigest() == blob


_SHA1_DIGITS = 40


def _line(ran: subprocess.CompletedProcess[bytes]) -> str:
    return os.fsdecode(ran.stdout).partition("\n")[0]


_DUBIOUS = re.compile(r"dubious ownership in repository at '(.*)'")


def _refused(ran: subprocess.CompletedProcess[bytes], folder: Path) -> NoReturn:
    """Say in our words why Git refuses, where the reason is known. Raises GitError."""
    said = os.fsdecode(ran.stderr)
    dubious = _DUBIOUS.search(said)
    if dubious:
        message = f"Git does not trust {dubious[1]}, which belongs to another user"
        hint = f"if you do, `git config --global --add safe.directory {dubious[1]}`"
        raise GitError(message, hint)
    if "not a git repository" in said:
        place = "this folder" if folder == Path() else folder
        raise GitError(f"{place} is in no Git repository", "run this in a clone")
    lines = [line.removeprefix("fatal: ") for line in said.splitlines() if line.strip()]
    raise GitError(f"Git says: {lines[0] if lines else f'exit code {ran.returncode}'}")


def _stays_below(path: str) -> bool:
    """Say whether a path leads down only: Git itself never stores another, a hostile one may."""
    return not {"", ".", "..", ".git"} & set(path.split("/"))


def _unpack(into: Path, files: Iterable[tuple[_Entry, bytes]]) -> None:
    """Write files, and links last, so that nothing is ever written through a link."""
    links: list[tuple[Path, bytes]] = []
    for entry, content in files:
        target = into / entry.path
        target.parent.mkdir(parents=True, exist_ok=True)
        if entry.is_link:
            links.append((target, content))
        else:
            target.write_bytes(content)
    for target, content in links:
        target.symlink_to(os.fsdecode(content))
