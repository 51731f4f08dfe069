"""What follows from gen's own files alone, kept where Python keeps its bytecode.

To compile a template or to put a schema together takes a millisecond or two, and a run needs dozens
of them before it can share its work. Like the bytecode of a module, each is made once and kept in
`__pycache__`, a file an entry, for what comes with the package and by the content of all its files.
A file that is lost, damaged or of another version, or that cannot be written, costs time and
nothing else. Where Python writes no bytecode, nothing is kept.
"""

from __future__ import annotations

import marshal
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from hashlib import sha256
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

from generator.digests import contents, digest, read

PACKAGE = Path(__file__).parent
_LIBRARIES = ("jinja2", "pyyaml", "jsonschema_rs", "kubernetes_validate")
_DIGEST = sha256().digest_size


def kept(*key: str, make: Callable[[], Any]) -> Any:
    """Return what was made of a key of gen's own before, or make it and keep it.

    It consists of code objects, tuples, lists, dicts with strings as keys, numbers, strings, bytes,
    booleans and None, and nobody changes it. None itself is not kept.
    """
    folder = _folder()
    if folder is None:
        return make()
    path = f"{folder}/{sha256(chr(0).join(key).encode()).hexdigest()[:32]}"
    try:
        content = read(path)
        head, body = content[: 2 * _DIGEST], content[2 * _DIGEST :]
        if head == installed() + sha256(body).digest():
            return marshal.loads(body)
    except OSError:
        pass
    made: Any = make()
    if made is not None:
        _write(path, marshal.dumps(made))
    return made


def _write(path: str, body: bytes) -> None:
    """Write an entry whole or not at all."""
    if sys.dont_write_bytecode:
        return
    temporary = f"{path}.{os.getpid()}"
    with suppress(OSError):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(installed() + sha256(body).digest() + body)
        os.replace(temporary, path)


@cache
def _folder() -> str | None:
    """Name the folder of the entries, beside the bytecode of this module; None without bytecode."""
    try:
        return cache_from_source(__file__).removesuffix(".pyc")
    except NotImplementedError:
        return None


@cache
def installed() -> bytes:
    """Digest gen's own files, the interpreter, and the libraries whose version decides anything."""
    return bytes.fromhex(digest([*_libraries(), *contents([PACKAGE])]))


def _libraries() -> list[bytes]:
    """Name interpreter and libraries with their versions, without importing any of them."""
    found = {name for folder in sys.path if os.path.isdir(folder) for name in os.listdir(folder)}
    metadata = (name for name in found if name.endswith(".dist-info"))
    used = sorted(name for name in metadata if name.lower().startswith(_LIBRARIES))
    return [text.encode() for text in (sys.version, *used)]
