"""Files by content: what they hold, and digests of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path


def digest(contents: Iterable[bytes]) -> str:
    """Digest contents in order; where one ends and the next begins counts."""
    each = list(contents)
    sizes = " ".join([str(len(content)) for content in each])
    return sha256(b"\n".join([sizes.encode(), *each])).hexdigest()


def contents(folders: Iterable[Path]) -> Iterator[bytes]:
    """Give the path and content of every file below folders. Raises OSError."""
    for folder in folders:
        for path in sorted(_files(folder)):
            yield path.encode()
            yield read(path)


def _files(folder: Path) -> Iterable[str]:
    for where, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if name != "__pycache__"]
        yield from (f"{where}/{name}" for name in names)


def read(path: str) -> bytes:
    """Read a file whole. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        content = os.read(descriptor, 1 << 16)
        if len(content) < 1 << 16:
            return content
        with os.fdopen(os.dup(descriptor), "rb") as file:
            return content + file.read()
    finally:
        os.close(descriptor)
