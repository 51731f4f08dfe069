"""Stage 1: from a folder to documents. Nothing is interpreted here, and nothing is trusted."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from generator import yamlio
from generator.documents import Document
from generator.problems import GenError, Problem, Where, one, unreadable
from generator.records import Workspace

FOLDERS = {"model": "models", "environment": "environments"}


def workspace(root: Path, models: Collection[str] = ()) -> Workspace:
    """Read the environments of a repository, and find its models or the named ones of them.

    A model is read when its turn comes, by `document`: a fleet need not fit into memory.
    """
    problems: list[Problem] = []
    found = {kind: _found(root, kind, problems) for kind in FOLDERS}
    environments: list[Document] = []
    for path in found["environment"]:
        try:
            environments.append(document(root, "environment", path))
        except GenError as error:
            problems += error.problems
    wanted = [path for path in found["model"] if not models or path.stem in models]
    return Workspace(root, tuple(wanted), tuple(environments), tuple(problems))


def _found(root: Path, kind: str, problems: list[Problem]) -> list[Path]:
    try:
        files = _files(root, kind)
    except GenError as error:
        problems += error.problems
        return []
    if not files:
        folder = FOLDERS[kind]
        hint = f"write {folder}/<name>.yaml; `gen schema {kind}` says what belongs in it"
        problems.append(Problem("E105", f"{folder}/ holds no {kind}", Where(folder), hint))
    unnamed = [path for path in files if not _is_text(path.name)]
    for path in unnamed:
        where = Where(path.relative_to(root).as_posix())
        problems.append(Problem("E102", "the file's name is not UTF-8", where, "rename it"))
    return [path for path in files if path not in unnamed]


def _is_text(name: str) -> bool:
    """Say whether a name was UTF-8 on the disk: the bytes of another one became surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def names(root: Path, kind: str) -> list[str]:
    """List the models or environments that have a file, without reading it."""
    return [path.stem for path in _files(root, kind)]


def _files(root: Path, kind: str) -> list[Path]:
    folder = root / FOLDERS[kind]
    try:
        with os.scandir(folder) as entries:
            return [folder / name for name in sorted(filter(None, map(_name, entries)))]
    except (FileNotFoundError, NotADirectoryError):
        hint = (
            f"write {FOLDERS[kind]}/<name>.yaml, or name the repository with `--root DIR`; "
            "`gen init` writes one to start from"
        )
        raise one(
            "E105", f"there is no folder {FOLDERS[kind]}/", Where(FOLDERS[kind]), hint
        ) from None
    except OSError as error:
        message = f"this folder cannot be read: {error.strerror}"
        raise one("E101", message, Where(FOLDERS[kind])) from None


def _name(entry: os.DirEntry[str]) -> str:
    """Name what looks like a document; empty for anything else."""
    is_hidden = entry.name.startswith(".")
    is_document = entry.name.lower().endswith((".yaml", ".yml")) or entry.is_dir()
    return entry.name if is_document and not is_hidden else ""


def document(root: Path, kind: str, path: Path) -> Document:
    """Read one document. Raises GenError with everything that is wrong with it as YAML."""
    name = f"{FOLDERS[kind]}/{path.name}"
    _refuse_strangers(root, path, name)
    text = _text(path, name)
    try:
        data = yamlio.load(text)
    except yamlio.YamlError as error:
        raise GenError(
            Problem("E103", issue.message, Where(name, issue.line, issue.column), issue.hint)
            for issue in error.issues
        ) from None
    if not isinstance(data, dict):
        found = "empty" if data is None else "not a mapping of keys"
        hint = f"start with `name: {path.stem}`; `gen schema {kind}` says what belongs here"
        raise one("E104", f"this {kind} is {found}", Where(name, 1, 1), hint)
    return Document(kind, name, path.stem, text, data)


def content(path: Path) -> str:
    """Read a document's text to compare it; empty where it is none, or leads somewhere else."""
    try:
        return _text(path, path.name) if _is_regular(path) else ""
    except GenError:
        return ""


def _refuse_strangers(root: Path, path: Path, name: str) -> None:
    """Refuse what looks like a document and is none: folders, `.yml`, links out of the tree."""
    if path.suffix == ".yaml" and _is_regular(path):
        return
    if path.is_symlink() and _leads_out(path, root):
        message = "this link leads out of the repository, so other machines cannot read it"
        raise one("E102", message, Where(name), "put the file itself here")
    if path.is_dir():
        raise one("E106", "a folder is not read here", Where(name), "move its files one level up")
    if path.exists() and not path.is_file():
        raise one("E106", "this is not a file", Where(name), "put a file here")
    if path.suffix != ".yaml":
        raise one(
            "E106", "only `.yaml` files are read", Where(name), f"rename it to {path.stem}.yaml"
        )


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False  # whoever reads it says why


def _leads_out(link: Path, root: Path) -> bool:
    try:
        return not link.resolve().is_relative_to(root.resolve())
    except RuntimeError:
        return False  # it leads to itself: reading it says so


def _text(path: Path, name: str) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode("utf-8")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        message = f"byte 0x{error.object[error.start]:02x} is not UTF-8"
        raise one("E102", message, Where(name, line, column), "save the file as UTF-8") from None
    except OSError as error:
        raise GenError((unreadable(path, name, error),)) from None


def unread(root: Path, files: Mapping[str, str]) -> Iterator[Problem]:
    """Find files that cannot be read where gen's own would silently take their place.

    `files` maps a folder to the suffix that counts there. A link that leads nowhere is one.
    """
    for folder, suffix in files.items():
        for path in sorted((root / folder).rglob(f"*{suffix}")):
            try:
                if not path.is_dir():
                    path.open("rb").close()
            except OSError as error:
                yield unreadable(path, path.relative_to(root).as_posix(), error)


def differing(left: Path, right: Path, folders: Iterable[str]) -> frozenset[str]:
    """Name the files below some folders that two trees do not have alike, byte for byte."""
    names = {
        path.relative_to(root).as_posix()
        for root in (left, right)
        for folder in folders
        for path in (root / folder).rglob("*")
        if not path.is_dir()
    }
    return frozenset(name for name in names if _bytes(left / name) != _bytes(right / name))


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
