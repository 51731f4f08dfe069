"""What Git knows of models: the revisions of one, and the last change of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from generator import yamlio
from generator.revisions.git import Commit, FileChange, Git
from generator.revisions.timeline import Broken, Content, Revision, blocks

FOLDER = "models"


def revisions(git: Git, model: str) -> list[Revision]:
    """List the commits that changed a model's document, the newest first, through its renames.

    Raises GitError.
    """
    found = list(_changes(git, f"{FOLDER}/{model}.yaml"))
    contents = _read(git, (file.after for _, file in found))
    return [
        Revision(commit.id, commit.date, commit.author, commit.message, contents[file.after])
        for commit, file in found
    ]


def _changes(git: Git, path: str) -> Iterator[tuple[Commit, FileChange]]:
    """Follow a file back to where it was added, and if that was a rename, the other one."""
    tip = "HEAD"
    while path:
        source = ""
        for commit in git.log(tip, path):
            (file,) = commit.files
            yield commit, file
            if file.status == "A":
                source = git.renames(commit.id, FOLDER).get(path, "")
                if source:
                    tip = f"{commit.id}^1"
                    break
        path = source


def _read(git: Git, blobs: Iterable[str]) -> dict[str, Content]:
    """Read documents, each distinct one once."""
    found: dict[str, Content] = dict.fromkeys(blobs)
    wanted = [blob for blob in found if blob.strip("0")]
    found |= zip(wanted, map(_content, git.contents(wanted)), strict=True)
    return found


def _content(data: bytes) -> Content:
    try:
        content = yamlio.load(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return Broken("it is not UTF-8")
    except yamlio.YamlError as error:
        issue = error.issues[0]
        return Broken(f"line {issue.line}: {issue.message}")
    return content if isinstance(content, dict) else Broken("it is not a mapping of keys")


class Change(NamedTuple):
    """The commit that last changed what a model is in an environment."""

    commit: str
    date: str
    author: str


Place = tuple[str, str]
"""A model and an environment."""


def last_changes(git: Git, now: Mapping[str, Mapping[str, Any]]) -> dict[Place, Change]:
    """Find the last change of every block of models, given their documents as they are now.

    What is not committed as it is now has none. Raises GitError.
    """
    dirty = git.changed("HEAD", (FOLDER,))
    log = _by_path(git)
    return _Search(git, now, dirty, log).found()


def _by_path(git: Git) -> dict[str, list[tuple[Commit, FileChange]]]:
    found: dict[str, list[tuple[Commit, FileChange]]] = {}
    for commit in git.log("HEAD", FOLDER):
        for file in commit.files:
            found.setdefault(file.path, []).append((commit, file))
    return found


class _Search:
    """Goes back through all models at once, so that contents are read in few bundles.

    The bundles double: most blocks changed lately, and few reach far back.
    """

    def __init__(
        self,
        git: Git,
        now: Mapping[str, Mapping[str, Any]],
        dirty: frozenset[str],
        log: Mapping[str, list[tuple[Commit, FileChange]]],
    ) -> None:
        self._git = git
        self._found: dict[Place, Change] = {}
        self._contents: dict[str, Content] = {}
        self._log = {model: log.get(f"{FOLDER}/{model}.yaml", []) for model in now}
        for model, path in ((model, f"{FOLDER}/{model}.yaml") for model in now):
            if path not in dirty and self._log[model]:
                self._contents[self._log[model][0][1].after] = dict(now[model])
        self._read([entries[0][1].after for entries in self._log.values() if entries])
        self._pending = {model: self._committed(model, content) for model, content in now.items()}

    def _committed(self, model: str, content: Mapping[str, Any]) -> set[str]:
        """Name the environments whose block is in the last commit as it is now."""
        if not self._log[model]:
            return set()
        known = blocks(self._contents[self._log[model][0][1].after])
        return {name for name, block in blocks(dict(content)).items() if known.get(name) == block}

    def _read(self, blobs: Iterable[str]) -> None:
        self._contents |= _read(self._git, (blob for blob in blobs if blob not in self._contents))

    def found(self) -> dict[Place, Change]:
        """Search until every block is found, or Git knows no more."""
        start, count = 0, 1
        while any(self._pending.values()):
            bundles = {
                model: self._log[model][start : start + count]
                for model, pending in self._pending.items()
                if pending
            }
            if not any(bundles.values()):
                break
            self._read(
                [
                    blob
                    for b in bundles.values()
                    for _, file in b
                    for blob in (file.before, file.after)
                ]
            )
            for model, bundle in bundles.items():
                self._look(model, bundle)
            start, count = start + count, 2 * count
        return self._found

    def _look(self, model: str, bundle: Iterable[tuple[Commit, FileChange]]) -> None:
        for commit, file in bundle:
            before, after = (blocks(self._contents[blob]) for blob in (file.before, file.after))
            for name in sorted(self._pending[model]):
                if before.get(name) != after.get(name):
                    change = Change(commit.id, commit.date, commit.author)
                    self._found[model, name] = change
                    self._pending[model].discard(name)
