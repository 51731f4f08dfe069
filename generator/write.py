"""Stage 7: what is rendered against what is on disk.

New files are gathered in a staging folder beside the old ones and moved into place only once
everything is known to be right. A move replaces a file whole, so that a run that is killed at any
point leaves each file either old or new, and the next run does the rest. A folder that did not
exist before arrives in one move.
"""

from __future__ import annotations

import codecs
import os
import shutil
import stat
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal

from msgspec import Struct

from generator.files import ARGOCD, HEADER, RENDERED, Change, RenderedFile
from generator.problems import GenError, Problem, Severity, Where, one

OWNED = (RENDERED, ARGOCD)
"""The only folders that gen writes to."""

STAGING = f"{RENDERED}/.staging"
_HEADER = HEADER.encode()
_CHUNK = 1 << 16
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
"""Through no link, and without waiting for somebody to write to a pipe."""
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL


class _Listing(Struct, frozen=True):
    """What a folder holds on disk and nobody has put or kept yet."""

    names: set[str]


_EMPTY = _Listing(set())
"""A folder that is not there, or that is kept: nothing in it is left over."""


class Tree:
    """The output folders of a repository.

    `put` compares a file with the disk and stages it if it differs; `keep` vouches for a folder or
    file without looking; `prune` finds what nobody put or kept; `commit` moves and deletes. Nothing
    but the staging folder changes before. With `dry`, nothing is staged at all. With `texts`,
    changes carry both texts. A folder is listed once, so that a new one costs no look at the disk.
    """

    def __init__(self, root: Path, *, dry: bool, texts: bool = False) -> None:
        self._root = str(root)
        self._dry = dry
        self._texts = texts
        self._staging = f"{root}/{STAGING}"
        self._folders: dict[str, _Listing] = {}
        self._staged: set[str] = set()
        self._deletions: list[str] = []
        if not dry:
            self.discard()

    def put(self, file: RenderedFile) -> Change:
        """Compare a file with what is on disk, and stage it if that differs.

        Raises GenError if the path leaves the owned folders or holds a file that gen did not write.
        """
        folder, _, name = file.path.rpartition("/")
        listing = self._folders.get(folder) or self._open(folder)
        if name in ("", ".", ".."):
            raise _outside(file.path)
        after = file.text.encode()
        before = None
        if name in listing.names:
            listing.names.discard(name)
            before = self._before(file.path, after)
            if before == after:
                return Change("identical", file.path)
        if not self._dry:
            self._stage(folder, name, after)
        return self._change("create" if before is None else "update", file.path, before, after)

    def keep(self, path: str) -> None:
        """Leave a folder or file as it is, because somebody has compared it already."""
        folder, _, name = path.rpartition("/")
        listing = self._folders.get(folder) or self._open(folder)
        listing.names.discard(name)

    def keep_all(self, roots: Iterable[str]) -> None:
        """Leave folders and files as they are, because somebody has compared them already."""
        for root in roots:
            self.keep(root)

    def leftovers(self, paths: Iterable[str]) -> Iterator[Change]:
        """Find what stands in the folders of files that were put, is gen's and was not put.

        Nothing of these folders is remembered: they are one subject's, which is done with them.
        """
        for folder in dict.fromkeys(path.rpartition("/")[0] for path in paths):
            if folder.startswith(f"{OWNED[0]}/"):
                left = sorted(self._left_in(folder, self._folders.pop(folder)))
                self._staged.discard(folder)
                yield from self._deletable(left)

    def delete(self, path: str) -> None:
        """Delete a file when the tree is committed."""
        self._deletions.append(path)

    def _change(
        self, kind: Literal["create", "update", "delete"], path: str, *texts: bytes | None
    ) -> Change:
        if not self._texts:
            return Change(kind, path)
        shown = [text.decode("utf-8", "replace") if text else "" for text in (*texts, None)]
        return Change(kind, path, shown[0], shown[1])

    def _open(self, folder: str) -> _Listing:
        """List a folder. Raises GenError if it is not an owned one, or a link leads there."""
        parent, _, name = folder.rpartition("/")
        if name in ("", ".", "..") or (not parent and folder not in OWNED):
            raise _outside(folder)
        above = (self._folders.get(parent) or self._open(parent)) if parent else None
        if above is not None and name not in above.names:
            self._folders[folder] = _EMPTY
            return _EMPTY
        listing = self._folders[folder] = self._listed(folder)
        if above is not None:
            above.names.discard(name)
        return listing

    def _listed(self, folder: str) -> _Listing:
        path = f"{self._root}/{folder}"
        if os.path.islink(path):
            message = "this folder is a link, and gen writes through none"
            raise one("E703", message, Where(folder), "make it a folder")
        try:
            return _Listing(set(os.listdir(path)))
        except FileNotFoundError:
            return _EMPTY
        except NotADirectoryError:
            message = "a file stands where gen needs a folder"
            raise one("E702", message, Where(folder), "move it away") from None
        except OSError as error:
            message = f"this folder cannot be read: {error.strerror}"
            raise one("E702", message, Where(folder)) from None

    def _before(self, path: str, after: bytes) -> bytes | None:
        """Read a file of gen's. Raises GenError if it is somebody else's, unless it is equal."""
        content = self._read(path)
        if content is None or content == after or content.startswith(_HEADER):
            return content
        message = "this file was not written by gen and is in its way"
        hint = "move it away, or add it by a patch of your own template"
        raise one("E702", message, Where(path), hint)

    def _read(self, path: str) -> bytes | None:
        try:
            descriptor = os.open(f"{self._root}/{path}", _READ)
        except FileNotFoundError:
            return None
        except OSError as error:
            message = f"this path cannot be read as a file: {error.strerror}"
            raise one("E702", message, Where(path), "move it away") from None
        try:
            return _read_all(descriptor)
        except IsADirectoryError:
            message = "a folder stands where gen writes a file"
            raise one("E702", message, Where(path), "move it away") from None
        finally:
            os.close(descriptor)

    def _stage(self, folder: str, name: str, content: bytes) -> None:
        try:
            if folder not in self._staged:
                self._stage_folder(folder)
            descriptor = os.open(f"{self._staging}/{folder}/{name}", _NEW, 0o666)
            try:
                _write_all(descriptor, content)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise self._unwritable(error, f"{folder}/{name}") from None

    def _stage_folder(self, folder: str) -> None:
        """Make a folder and those above it, which another process may have made meanwhile."""
        above = folder.rpartition("/")[0]
        if above and above not in self._staged:
            self._stage_folder(above)
        elif not above:
            os.makedirs(self._staging, exist_ok=True)
        with suppress(FileExistsError):
            os.mkdir(f"{self._staging}/{folder}")
        self._staged.add(folder)

    def prune(self, owns: Callable[[str], bool]) -> Iterator[Change]:
        """Find gen's files that nobody put or kept, among the paths that `owns` accepts."""
        for change in self._deletable(path for path in sorted(self._left()) if owns(path)):
            self.delete(change.path)
            yield change

    def _deletable(self, paths: Iterable[str]) -> Iterator[Change]:
        """Leave alone what is a link or has not gen's header."""
        for path in paths:
            if not os.path.islink(f"{self._root}/{path}"):
                before = self._read(path)
                if before is not None and before.startswith(_HEADER):
                    yield self._change("delete", path, before)

    def _left(self) -> Iterator[str]:
        """Walk over the files that are in listed folders, or in folders that nobody listed."""
        for owned in OWNED:
            if owned not in self._folders:
                self._open(owned)
        for folder, listing in self._folders.items():
            yield from self._left_in(folder, listing)

    def _left_in(self, folder: str, listing: _Listing) -> Iterator[str]:
        for name in listing.names:
            path = f"{folder}/{name}"
            if name.endswith(".yaml"):
                yield path
            elif not name.startswith("."):
                yield from self._below(path)

    def _below(self, path: str) -> Iterator[str]:
        """Walk over the files below a folder; what a link leads to is somebody else's."""
        if os.path.islink(f"{self._root}/{path}"):
            return
        for folder, _, names in os.walk(f"{self._root}/{path}"):
            relative = folder[len(self._root) + 1 :]
            yield from (f"{relative}/{name}" for name in names if name.endswith(".yaml"))

    def commit(self) -> None:
        """Move what is staged into place, then delete what is pruned.

        Raises GenError if the disk refuses; what has been moved by then is whole.
        """
        try:
            for owned in OWNED:
                staged = f"{self._staging}/{owned}"
                if os.path.isdir(staged):
                    _move(staged, f"{self._root}/{owned}")
            for path in self._deletions:
                os.unlink(f"{self._root}/{path}")
                self._remove_empty(os.path.dirname(path))
        except OSError as error:
            raise self._unwritable(error, OWNED[0]) from None
        self.discard()

    def _unwritable(self, error: OSError, path: str) -> GenError:
        place = str(error.filename2 or error.filename or path).removeprefix(f"{self._root}/")
        return one("E701", f"this cannot be written: {error.strerror}", Where(place))

    def _remove_empty(self, folder: str) -> None:
        while folder not in OWNED:
            try:
                os.rmdir(f"{self._root}/{folder}")
            except OSError:
                return  # it holds something else
            folder = os.path.dirname(folder)

    def discard(self) -> None:
        """Remove what is staged, by this run or by one that was killed."""
        if os.path.islink(f"{self._root}/{OWNED[0]}"):
            message = "this folder is a link, and gen writes through none"
            raise one("E703", message, Where(OWNED[0]), "make it a folder")
        if os.path.islink(self._staging) or os.path.isfile(self._staging):
            os.unlink(self._staging)
        shutil.rmtree(self._staging, ignore_errors=True)
        if self._staged:
            with suppress(OSError):  # it holds something else, as nearly always
                os.rmdir(f"{self._root}/{OWNED[0]}")


def _outside(path: str) -> GenError:
    return one("E703", f"{path} is outside of {' and '.join(OWNED)}", Where(path))


def _read_all(descriptor: int) -> bytes:
    """Read a file in one call, as nearly all fit; more calls for those that do not."""
    content = os.read(descriptor, _CHUNK)
    if len(content) < _CHUNK:
        return content
    chunks = [content]
    while chunks[-1]:
        chunks.append(os.read(descriptor, _CHUNK))
    return b"".join(chunks)


def _write_all(descriptor: int, content: bytes) -> None:
    written = os.write(descriptor, content)
    while written < len(content):
        written += os.write(descriptor, content[written:])


def _move(source: str, target: str) -> None:
    """Move a tree over another: new folders whole, files one by one, each in one step."""
    try:
        os.rename(source, target)
    except OSError:
        if not os.path.isdir(source):
            raise
        for entry in sorted(os.listdir(source)):
            _move(f"{source}/{entry}", f"{target}/{entry}")


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


def create(root: Path, files: Iterable[tuple[str, str]]) -> None:
    """Write new files, as path and text. Raises GenError if one is there, and then writes none."""
    new = list(files)
    there = [path for path, _ in new if os.path.lexists(root / path)]
    if there:
        raise GenError(Problem("E702", _THERE, Where(path)) for path in there)
    try:
        for path, text in new:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(root / path, _NEW, 0o666)
            try:
                _write_all(descriptor, text.encode())
            finally:
                os.close(descriptor)
    except OSError as error:
        raise one(
            "E701", f"this cannot be written: {error.strerror}", Where(str(error.filename))
        ) from None


_THERE = "this is there already, and nothing was written: gen overwrites only what it rendered"


def replace_text(root: Path, path: str, before: str, after: str) -> None:
    """Put a text in the place of a document's, in one step; mode, links and byte order mark stay.

    Raises GenError if the disk refuses, or if somebody has changed the document meanwhile.
    """
    target = os.path.realpath(root / path)
    folder, name = os.path.split(target)
    new = f"{folder}/.{name}.gen"
    try:
        mark = _mark_of(target, path, before)
        mode = stat.S_IMODE(os.stat(target).st_mode)
        _write_new(new, mark + after.encode(), mode)
        os.replace(new, target)
    except OSError as error:
        with suppress(OSError):
            os.unlink(new)
        raise one("E701", f"this cannot be written: {error.strerror}", Where(path)) from None


def _mark_of(target: str, path: str, text: str) -> bytes:
    """Return the byte order mark of a file, or nothing. Raises GenError if the text is another."""
    with open(target, "rb") as file:
        content = file.read()
    rest = content.removeprefix(codecs.BOM_UTF8)
    if rest != text.encode():
        message = "somebody has changed this file meanwhile"
        raise one("E701", message, Where(path), "look at it, then run this again")
    return content[: len(content) - len(rest)]


def _write_new(path: str, content: bytes, mode: int) -> None:
    """Write a file that is on the disk before it takes the place of what a person wrote."""
    with suppress(FileNotFoundError):
        os.unlink(path)
    descriptor = os.open(path, _NEW, mode)
    try:
        os.fchmod(descriptor, mode)
        _write_all(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_SYNCED = (".yaml", ".yml", ".json")
_PROJECTS = ("application-_platform.yaml", "app-project-models.yaml", "app-project-platform.yaml")


def strangers(root: Path, environments: Iterable[str], models: Iterable[str]) -> list[Problem]:
    """Find what an environment's root Application would apply, and gen did not write.

    What is called like a file of gen's is compared when it is written.
    """
    own = {*_PROJECTS, *(f"application-{model}.yaml" for model in models)}
    folders = (f"{ARGOCD}/{environment}" for environment in environments)
    return [
        Problem("E704", _NOT_OURS, Where(path), _MOVE_IT, Severity.WARNING)
        for folder in folders
        for path in _synced(root, folder, own)
        if not _is_ours(root / path)
    ]


_NOT_OURS = "the root Application applies every file of this folder, and gen did not write this one"
_MOVE_IT = "move it to a folder and an Application of its own, or delete it"


def _synced(root: Path, folder: str, own: Collection[str]) -> Iterator[str]:
    with suppress(OSError):
        for name in sorted(os.listdir(root / folder)):
            if name.endswith(_SYNCED) and name not in own:
                yield f"{folder}/{name}"


def _is_ours(path: Path) -> bool:
    """Say whether a file begins like gen's own; a folder or a broken link is nobody's to apply."""
    try:
        with path.open("rb") as file:
            return file.read(len(_HEADER)) == _HEADER
    except OSError:
        return True
