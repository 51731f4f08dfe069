from __future__ import annotations

import marshal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from generator import compiled
from generator.objects import object_schemas

MADE = {"a": [1, "x", None, True], "b": {"c": 1.5}}


class Maker:
    """Makes the same again, and counts how often it had to."""

    def __init__(self, made: Any = MADE) -> None:
        self.made = made
        self.times = 0

    def __call__(self) -> Any:
        self.times += 1
        return self.made


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(compiled, "_folder", lambda: str(tmp_path / "kept"))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    return tmp_path / "kept"


def test_what_was_made_once_is_not_made_again(folder: Path) -> None:
    make = Maker()
    assert [compiled.kept("x", "y", make=make) for _ in range(3)] == [MADE] * 3
    assert make.times == 1
    assert compiled.kept("x", "z", make=make) == MADE
    assert compiled.kept("x", make=make) == MADE
    assert make.times == 3
    assert len(list(folder.iterdir())) == 3


def _shortened(content: bytes) -> bytes:
    return content[:-1]


def _flipped(content: bytes) -> bytes:
    return content[:-3] + bytes([content[-3] ^ 1]) + content[-2:]


def _of_another_version(content: bytes) -> bytes:
    return bytes(32) + content[32:]


def _lying(content: bytes) -> bytes:
    return content[:64] + marshal.dumps("something else")


@pytest.mark.parametrize(
    "damage", [_shortened, _flipped, _of_another_version, _lying, lambda _: b"", lambda _: b"x"]
)
def test_a_file_that_is_not_what_was_kept_is_made_again(
    folder: Path, damage: Callable[[bytes], bytes]
) -> None:
    make = Maker()
    compiled.kept("x", make=make)
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert compiled.kept("x", make=make) == MADE
    assert make.times == 2
    assert path.read_bytes() == whole
    assert list(folder.iterdir()) == [path]


def test_nothing_is_kept_where_it_cannot_be(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = Maker()
    folder.write_text("in the way")
    assert [compiled.kept("x", make=make) for _ in range(2)] == [MADE] * 2
    folder.unlink()
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert compiled.kept("x", make=make) == MADE
    assert not folder.exists()
    monkeypatch.setattr(compiled, "_folder", lambda: None)
    assert compiled.kept("x", make=make) == MADE
    assert make.times == 4


def test_what_is_unknown_is_not_kept(folder: Path) -> None:
    assert compiled.kept("x", make=Maker(None)) is None
    assert not folder.exists()


def test_it_stands_beside_the_bytecode() -> None:
    spec = compiled.__spec__
    assert spec is not None
    assert spec.cached == f"{compiled._folder()}.pyc"


def test_a_change_of_any_file_of_the_package_is_another_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "PACKAGE", tmp_path)
    known = set()
    for path, text in (("a.py", "1"), ("a.py", "2"), ("b/c.j2", ""), ("b/d.j2", "")):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
        compiled.installed.cache_clear()
        known.add(compiled.installed())
    compiled.installed.cache_clear()
    assert len(known) == 4


def test_a_schema_is_the_same_once_it_is_kept() -> None:
    version = object_schemas.kubernetes_versions()[-1]
    schemas = object_schemas.ObjectSchemas(version)
    for kind in schemas.kinds():
        bundle = schemas._built_in(*kind)
        assert marshal.loads(marshal.dumps(bundle)) == bundle
        assert schemas.bundle(*kind) == bundle
