"""Stage 7: what is rendered against what is on disk.

New files are gathered in a staging folder beside the old ones and moved into place only once
everything is known to be right. A move replaces a file whole, so that a run that is killed at any
point leaves each file either old or new, and the next run does the rest. A folder that did not
exist before arrives in one move.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from generator.problems import Where, one
from generator.records import Change, RenderedFile
from generator.render import HEADER

OWNED = ("rendered", "argocd")
"""The only folders that gen writes to."""

STAGING = "rendered/.staging"
_HEADER = HEADER.encode()


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Wait for any other run on the same repository, then keep others waiting.

    The lock belongs to the process: however it ends, nothing is left to clean up.
    """
    try:
        descriptor = os.open(root, os.O_RDONLY)
    except OSError as error:
        raise one("E701", f"{root} cannot be opened: {error.strerror}", Where(str(root))) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class Tree:
    """The output folders of a repository.

    `put` compares a file with the disk and stages it if it differs; `prune` finds what nobody
    renders any more; `commit` moves and deletes. Nothing but the staging folder changes before.
    With `dry`, nothing is staged at all. With `texts`, changes carry both texts.
    """

    def __init__(self, root: Path, *, dry: bool, texts: bool = False) -> None:
        self._root = root
        self._dry = dry
        self._texts = texts
        self._staging = root / STAGING
        self._put: set[str] = set()
        self._deletions: list[str] = []
        self._safe: set[str] = set()
        self._staged: set[str] = set()
        if not dry:
            self.discard()

    def put(self, file: RenderedFile) -> Change:
        """Compare a file with what is on disk, and stage it if that differs.

        Raises GenError if the path leaves the owned folders or holds a file that gen did not write.
        """
        path = file.path
        self._refuse_outside(path)
        self._put.add(path)
        after = file.text.encode()
        before = self._read(path)
        if before == after:
            return Change("identical", path)
        if before is not None and not before.startswith(_HEADER):
            hint = "move it away, or add it by a patch of your own template"
            raise one(
                "E702", "this file was not written by gen and is in its way", Where(path), hint
            )
        if not self._dry:
            self._stage(path, after)
        kind = "create" if before is None else "update"
        return Change(kind, path, self._shown(before), self._shown(after))  # type: ignore[arg-type]

    def _shown(self, content: bytes | None) -> str:
        return content.decode("utf-8", "replace") if self._texts and content is not None else ""

    def _refuse_outside(self, path: str) -> None:
        """Refuse a path that is not below the owned folders, or that a link leads elsewhere."""
        parts = path.split("/")
        if parts[0] not in OWNED or any(part in ("", ".", "..") for part in parts):
            raise one("E703", f"{path} is outside of {' and '.join(OWNED)}", Where(path))
        for length in range(1, len(parts)):
            folder = "/".join(parts[:length])
            if folder not in self._safe:
                if (self._root / folder).is_symlink():
                    message = "this folder is a link, and gen writes through none"
                    raise one("E703", message, Where(folder), "make it a folder")
                self._safe.add(folder)

    def _read(self, path: str) -> bytes | None:
        try:
            descriptor = os.open(self._root / path, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        except OSError as error:
            message = f"this path cannot be read as a file: {error.strerror}"
            raise one("E702", message, Where(path), "move it away") from None
        with os.fdopen(descriptor, "rb") as file:
            try:
                return file.read()
            except IsADirectoryError:
                message = "a folder stands where gen writes a file"
                raise one("E702", message, Where(path), "move it away") from None

    def _stage(self, path: str, content: bytes) -> None:
        target = f"{self._staging}/{path}"
        folder = os.path.dirname(target)
        if folder not in self._staged:
            os.makedirs(folder, exist_ok=True)
            self._staged.add(folder)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)

    def prune(self, owns: Callable[[str], bool]) -> Iterator[Change]:
        """Find files with gen's header that were not put, among the paths that `owns` accepts."""
        for path in self._existing():
            if path not in self._put and owns(path):
                before = b"" if os.path.islink(self._root / path) else self._read(path)
                if before is not None and before.startswith(_HEADER):
                    self._deletions.append(path)
                    yield Change("delete", path, self._shown(before))

    def _existing(self) -> Iterator[str]:
        for owned in OWNED:
            for folder, folders, names in os.walk(self._root / owned):
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                relative = os.path.relpath(folder, self._root).replace(os.sep, "/")
                for name in sorted(names):
                    if name.endswith(".yaml"):
                        yield f"{relative}/{name}"

    def commit(self) -> None:
        """Move what is staged into place, then delete what is pruned.

        Raises GenError if the disk refuses; what has been moved by then is whole.
        """
        try:
            for owned in OWNED:
                staged = self._staging / owned
                if staged.is_dir():
                    _move(staged, self._root / owned)
            for path in self._deletions:
                os.unlink(self._root / path)
                self._remove_empty(os.path.dirname(path))
        except OSError as error:
            message = f"this cannot be written: {error.strerror}"
            raise one("E701", message, Where(str(error.filename2 or error.filename))) from None
        self.discard()

    def _remove_empty(self, folder: str) -> None:
        while folder not in OWNED:
            try:
                os.rmdir(self._root / folder)
            except OSError:
                return  # it holds something else
            folder = os.path.dirname(folder)

    def discard(self) -> None:
        """Remove what is staged, by this run or by one that was killed."""
        if (self._root / OWNED[0]).is_symlink():
            message = "this folder is a link, and gen writes through none"
            raise one("E703", message, Where(OWNED[0]), "make it a folder")
        if self._staging.is_symlink():
            self._staging.unlink()
        shutil.rmtree(self._staging, ignore_errors=True)


def _move(source: Path, target: Path) -> None:
    """Move a tree over another: new folders whole, files one by one, each in one step."""
    try:
        os.rename(source, target)
    except OSError:
        if source.is_dir():
            for entry in sorted(os.listdir(source)):
                _move(source / entry, target / entry)
        else:
            os.replace(source, target)


def export(directory: Path, files: Iterable[tuple[str, str]]) -> int:
    """Write files below a folder that a person named, and return how many. Raises GenError."""
    count = 0
    try:
        for path, text in files:
            target = directory / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, "utf-8")
            count += 1
    except OSError as error:
        raise one(
            "E701", f"this cannot be written: {error.strerror}", Where(str(error.filename))
        ) from None
    return count
