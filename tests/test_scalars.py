from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hostile import BOUNDED, HOSTILE, assert_read, collections, data, keys, leaves, same, texts
from hypothesis import given

from generator import scalars

SURROGATES = ("\ud800", "a\udfffb", "\udcff.yaml")


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: ascii(value)[:30])
def test_a_hostile_text_is_read_back_wherever_it_stands(value: str) -> None:
    assert_read(f"key: {scalars.text(value)}\n", {"key": value}, slow=True)
    assert_read(f"- {scalars.text(value)} # c\n", [value], slow=True)
    assert_read(f"[{scalars.text(value)}, {{a: {scalars.text(value)}}}]", [value, {"a": value}])
    assert_read(f"key:{scalars.after_key(value, '  ')}\nnext: 1\n", {"key": value, "next": 1})
    assert_read(f"- {scalars.after_dash(value, '  ')}\n- 1\n", [value, 1], slow=True)


@BOUNDED
@given(leaves)
def test_any_scalar_is_read_back(value: Any) -> None:
    assert_read(f"a: {scalars.scalar(value)}\n", {"a": value}, slow=True)


@BOUNDED
@given(texts)
def test_a_text_is_plain_or_json(value: str) -> None:
    written = scalars.text(value)
    assert written == value or json.loads(written) == value
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]", written)


@BOUNDED
@given(data)
def test_flow_stays_on_one_line_and_is_read_back(value: Any) -> None:
    written = scalars.flow(value)
    assert len(written.splitlines()) == 1
    assert_read(f"a: {written}\nb: [{written}]\n", {"a": value, "b": [value]})


@BOUNDED
@given(collections)
def test_block_is_read_back_at_the_start_of_a_document_and_below_a_key(value: Any) -> None:
    assert_read(f"{scalars.block(value, '')}\n", value, slow=True)
    assert_read(f"a:\n{scalars.block(value, '    ')}\nb: 1\n", {"a": value, "b": 1})


@BOUNDED
@given(data)
def test_a_value_is_read_back_after_a_key_and_after_a_dash(value: Any) -> None:
    written = f"x:\n  a:{scalars.after_key(value, '    ')}\n  b: 1\n"
    assert_read(written, {"x": {"a": value, "b": 1}})
    written = f"x:\n  - {scalars.after_dash(value, '    ')}\n  - 1\n"
    assert_read(written, {"x": [value, 1]})


@BOUNDED
@given(keys)
def test_any_key_is_read_back(key: str) -> None:
    assert_read(f"{scalars.key_text(key)}: 1\n", {key: 1}, slow=True)
    assert_read(scalars.flow({key: {key: 1}}), {key: {key: 1}})


def test_a_text_of_several_lines_is_a_literal_block_where_it_can_be() -> None:
    assert scalars.after_key("#!/bin/sh\n\nexit 1\n", "  ") == " |\n  #!/bin/sh\n\n  exit 1"
    assert scalars.after_key("a\n  b", "  ") == " |-\n  a\n    b"
    assert scalars.after_key(" a\nb", "  ") == ' " a\\nb"'
    assert scalars.after_dash("a\nb", "  ") == "|-\n  a\n  b"


@pytest.mark.parametrize("first", ["\x7f", "\x80", "\x9f", "\ufeff", "\ufffe", "\u2028"])
def test_a_text_that_starts_with_what_yaml_forbids_is_no_literal_block(first: str) -> None:
    assert_read(f"a:{scalars.after_key(first + chr(10) + 'b', '  ')}\n", {"a": first + "\nb"})


def test_collections_read_as_a_person_would_write_them() -> None:
    value = {"name": "a", "args": ["x", ["z"], {"k": [], "l": {}}], "env": (("b",), {})}
    assert scalars.block(value, "").split("\n") == [
        *("name: a", "args:", "  - x", "  - - z", "  - k: []", "    l: {}"),
        *("env:", "  - - b", "  - {}"),
    ]
    assert scalars.flow(value) == "{name: a, args: [x, [z], {k: [], l: {}}], env: [[b], {}]}"


def test_equal_collections_at_another_indentation_are_written_there() -> None:
    shared = [{"a": "b\nc\n"}]
    for indent in ("  ", "      ", "  "):
        written = scalars.block(shared, indent)
        assert all(line.startswith(indent) for line in written.split("\n"))
        assert_read(f"x:\n{written}\n", {"x": shared})


@pytest.mark.parametrize("value", SURROGATES, ids=ascii)
def test_half_a_character_is_refused(value: str) -> None:
    for written in (value, [value], {value: 1}, {"a": f"x\n{value}"}):
        with pytest.raises(ValueError, match=r"U\+D[0-9A-F]{3} is half of a character"):
            scalars.flow(written)
        with pytest.raises(ValueError, match="half of a character"):
            scalars.after_key(written, "  ")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_none_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="is not a finite number"):
        scalars.flow([value])


def test_a_number_too_long_for_any_parser_is_refused() -> None:
    with pytest.raises(ValueError, match="digits"):
        scalars.scalar(10**5_000)


@pytest.mark.parametrize("value", [{1}, frozenset({1}), b"a", range(2), frozenset({3})], ids=repr)
def test_what_is_neither_scalar_nor_collection_is_refused(value: object) -> None:
    for written in (value, [value], {"a": value}):
        with pytest.raises(TypeError, match="is not a scalar"):
            scalars.flow(written)
        with pytest.raises(TypeError, match="is not a scalar"):
            scalars.after_key(written, "  ")


@pytest.mark.parametrize("key", [1, None, True, 1.5, ("a",)])
def test_a_key_is_a_text(key: object) -> None:
    for write in (scalars.flow, lambda value: scalars.block(value, "")):
        with pytest.raises(TypeError, match="is not a text"):
            write({key: 1})


def test_a_key_that_no_parser_would_find_the_end_of_is_refused() -> None:
    assert_read(scalars.flow({"k" * 1_024: 1}), {"k" * 1_024: 1})
    for key in ("k" * 1_025, "\x01" * 200):
        with pytest.raises(ValueError, match="a key of"):
            scalars.block({key: 1}, "")


def test_a_subclass_of_str_is_the_text_that_it_holds() -> None:
    class Shouting(str):
        def __str__(self) -> str:
            return self.upper()

    assert scalars.flow({Shouting("a: b"): Shouting("no")}) == '{"a: b": "no"}'


def test_a_memo_never_forgets_what_a_text_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scalars, "_MEMO_LIMIT", 3)
    monkeypatch.setattr(scalars, "_BLOCKS_LIMIT", 3)
    for value in [*HOSTILE[:60], *HOSTILE[:60]]:
        assert_read(f"a:{scalars.after_key([{'k': value}], '  ')}\n", {"a": [{"k": value}]})


def test_the_comparison_of_these_tests_tells_types_apart() -> None:
    assert same({"a": [1.0, ("x",)]}, {"a": [1, ["x"]]})
    assert not same({"a": True}, {"a": 1})
    assert not same(["1"], [1])
    assert not same({"a": 1}, {"a": 1, "b": 2})
