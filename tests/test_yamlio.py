from __future__ import annotations

import math
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from helpers import tries
from hostile import BOUNDED, assert_read, collections, same
from hypothesis import given, settings
from hypothesis import strategies as st

from generator import scalars, yamlio
from generator.yamlio import Position, YamlError, YamlIssue

ROOT = Path(__file__).parents[1]
SPECS = [
    path.read_text("utf-8")
    for folder in ("models", "environments")
    for path in sorted((ROOT / folder).glob("*.yaml"))
]
MARKUP = (
    *("\n", " ", "\t", "\r", "\r\n", ": ", "- ", "? ", "#", ",", "[", "]", "{", "}", "'", '"', "|"),
    *("&a ", "*a", "!!str ", "!t ", "!", "<<: ", "---\n", "...\n", "%YAML 1.1\n", "%TAG ! x\n"),
    *("\0", "\x7f", "\x85", "\u2028", "\ufeff", "\ue000", "\ud800", "é", "\U0001f600", "\\", "@"),
    *(">+2\n", "~", "0x1", "1e999", ".nan", "=", "`", "!<tag:yaml.org,2002:str> ", '"\\ud800"'),
)
QUICK = 5.0
"""Seconds that no text may take; each of these takes a tenth, and took minutes or the process."""


def issues(text: str) -> list[YamlIssue]:
    with pytest.raises(YamlError) as caught:
        yamlio.load(text)
    return caught.value.issues


def issue(text: str) -> tuple[int, int, str]:
    """Return line, column and message of a text that has one thing wrong with it."""
    (found,) = issues(text)
    return found.line, found.column, found.message


@pytest.mark.parametrize(
    ("written", "value"),
    [
        *((word, word) for word in ("yes", "no", "on", "off", "y", "N", "nULL", "tRUE", "=")),
        *((word, word) for word in ("12:30:45", "2024-01-01", "1_000", "0b101", "1e", "0x", "0o8")),
        *((word, word) for word in ("+", ".", "e3", "1.5.2", "--1", "inf", "nan", "1e1000")),
        *((word, None) for word in ("~", "null", "Null", "NULL", "")),
        *((word, True) for word in ("true", "True", "TRUE")),
        *((word, False) for word in ("false", "False", "FALSE")),
        *(("012", 12), ("-0", 0), ("+7", 7), ("0o17", 15), ("0x1F", 31), ("1e3", 1000)),
        *((".5", 0.5), ("1.", 1), ("-1.5e-3", -0.0015), ("1.7e308", 1.7e308), ("1e16", 1e16)),
        ("1" * 300, int("1" * 300)),
    ],
)
def test_a_plain_scalar_is_read_by_the_core_schema(written: str, value: object) -> None:
    assert same(yamlio.load(f"a: {written}\n"), {"a": value})
    assert same(yamlio.load(f'a: "{written}"\n'), {"a": written})


@pytest.mark.parametrize("written", [".inf", "-.Inf", ".nan", ".NaN", "1e999", "9" * 5_000])
def test_a_number_that_is_not_finite_is_refused(written: str) -> None:
    assert issue(f"a: 1\nb: {written}\n") == (2, 4, f"{written} is not a finite number")


@pytest.mark.parametrize(
    ("text", "data"),
    [
        *(("", None), ("# nothing\n", None), ("---\n", None), ("--- a\n", "a")),
        *(("a: 1\n...\n", {"a": 1}), ("%YAML 1.1\n---\na: 1\n", {"a": 1}), ("{}", {}), ("[]", [])),
        *(("1: a\ntrue: b\n~: c\n", {"1": "a", "true": "b", "~": "c"}), ('"": 1', {"": 1})),
        *(("a: &x [1]\nb: *x\n", {"a": [1], "b": [1]}), ("a: !!str 012\n", {"a": "012"})),
        *(("? a\n: b\n", {"a": "b"}), ('"<<": 1', {"<<": 1})),
        *(("a: >\n  b\n  c\n", {"a": "b c\n"}), ("\ufeffa: 1\n", {"a": 1})),
        *(('a: "\\u2028"\n', {"a": "\u2028"}), ("a: 'it''s'\r\nb: 1\r\n", {"a": "it's", "b": 1})),
    ],
)
def test_a_document_is_read(text: str, data: Any) -> None:
    assert same(yamlio.load(text), data)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2\n", (4, 3, "duplicate key `c`")),
        ('{a: 1, "a": 2}', (1, 8, "duplicate key `a`")),
        ("a: 1\n? a\n: 2\n", (2, 3, "duplicate key `a`")),
        ("a: !!int 1\n", (1, 4, "tag !!int is not allowed")),
        (
            "a: !!python/object:os.system x\n",
            (1, 4, "tag !!python/object:os.system is not allowed"),
        ),
        ("- !mine {a: 1}\n", (1, 3, "tag !mine is not allowed")),
        ("- !!set [a]\n", (1, 3, "tag !!set is not allowed")),
        ("a: 1\n!!binary aGk=: 2\n", (2, 1, "tag !!binary is not allowed")),
        ("a: !!float '1'\n", (1, 4, "tag !!float is not allowed")),
        ("%TAG !e! tag:example.com,\n---\na: 1\n", (1, 1, "tags are not allowed")),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", (3, 3, "merge keys (`<<`) are not YAML 1.2")),
        ("[a]: 1\n", (1, 1, "a key must be a text")),
        ("a:\n  {b: 1}: 2\n", (2, 3, "a key must be a text")),
        ("a: &x [*x]\n", (1, 4, "an alias that contains itself")),
        ("a: &x {b: {c: *x}}\n", (1, 4, "an alias that contains itself")),
        ("a: 1\n---\nb: 2\n", (2, 1, "a second document starts here")),
        ("a: \ue000\n", (1, 4, "a private-use character (U+E000 to U+F8FF)")),
        ('a: "\\uf8ff"\n', (1, 4, "a private-use character (U+E000 to U+F8FF)")),
        ("é: 1\n\uf770: 1\n", (2, 1, "a private-use character (U+E000 to U+F8FF)")),
        ("a: 1\n\tb: 2\n", (2, 1, "a tab cannot indent YAML")),
        ("ä: x\ud800\n", (1, 5, "U+D800 is half of a character")),
        ("ä: 'x\u2028'\n", (1, 6, "U+2028 is a line break to some readers of YAML only")),
        ("a: b\n\né: \x85\n", (3, 4, "U+0085 is a line break to some readers of YAML only")),
    ],
)
def test_what_yaml_offers_beyond_plain_data_is_refused_in_its_place(
    text: str, expected: tuple[int, int, str]
) -> None:
    assert issue(text) == expected


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("a: b: c\n", (1, 5), "has no quotes"),
        ("a: *b\n", (1, 4), "not the name of an anchor"),
        ("a: @b\n", (1, 4), "no text starts like this"),
        ("a: [1\nb: 2\n", (1, 4), "this bracket is not closed"),
        ("a: 1\n  b: 2\n", (2, 3), "indented further than the one above"),
        ('a: "\\ud800"\n', (1, 7), "invalid Unicode character escape code"),
        ("é: 1\na: \x01\n", (2, 4), "U+0001 is not allowed in YAML"),
        ("%YAML 9.9\n---\na: 1\n", (1, 1), "incompatible YAML document"),
    ],
)
def test_a_syntax_error_is_shown_where_it_is(
    text: str, place: tuple[int, int], message: str
) -> None:
    line, column, found = issue(text)
    assert (line, column) == place
    assert message in found


def test_all_issues_of_a_text_are_told_at_once_but_not_endlessly() -> None:
    found = issues("a: !t 1\nb: .inf\na: 2\n[x]: 1\n")
    assert [item.line for item in found] == [1, 2, 3, 4]
    assert len(issues("{" + "a," * 10_000 + "}")) == yamlio.ISSUE_LIMIT


def test_nesting_is_bounded() -> None:
    deepest = yamlio.DEPTH_LIMIT
    assert yamlio.load("[" * deepest + "]" * deepest) is not None
    text = "- " * deepest + "[]"
    assert issue(text) == (1, 2 * deepest + 1, "nested more than 50 levels deep")


@pytest.mark.parametrize("nesting", ["[", "{", "{a: ", "- ", "? ", "-\t"])
def test_an_abyss_does_not_take_the_process_with_it(nesting: str) -> None:
    code = (
        "from generator import yamlio\n"
        f"try: yamlio.load({nesting!r} * (1_000_000 // {len(nesting)}))\n"
        "except yamlio.YamlError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "nested more than" in done.stdout or "no text starts like this" in done.stdout


def bomb() -> str:
    """Ten lines that stand for 9^10 values."""
    rows = [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 11)]
    return "a0: &a0 [x]\n" + "".join(rows)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (bomb(), "values once aliases are followed"),
        ('a: &a "' + "x" * 500_000 + '"\nb: [*a, *a, *a]\n', "larger than 1 MiB once aliases"),
        ("[" + "0," * 30_000 + "]", "more than 20000 values"),
        ("".join(f"%TAG !{n}! t\n" for n in range(50_000)), "tags are not allowed"),
        ("#" * (yamlio.SIZE_LIMIT + 1), "larger than 1 MiB"),
        ("a: " + "1" * 1_000_000, "is not a finite number"),
        ("a: &x [*x, *x, *x]\n", "an alias that contains itself"),
    ],
    ids=["values", "text", "plain", "directives", "size", "digits", "cycle"],
)
def test_a_bomb_does_not_go_off(text: str, message: str) -> None:
    started = time.monotonic()
    assert message in issues(text)[0].message
    assert time.monotonic() - started < QUICK


def test_a_large_document_is_read() -> None:
    rows = "".join(f"key-{n}: {{value: {n}}}\n" for n in range(6_000))
    assert len(yamlio.load(rows)) == 6_000


def found_in(text: str) -> list[YamlIssue]:
    try:
        yamlio.load(text)
    except YamlError as error:
        return error.issues
    return []


def assert_only_yaml_errors(text: str) -> None:
    lines = text.count("\n") + text.count("\r") + 2
    for found in found_in(text):
        assert 1 <= found.line <= lines
        assert 1 <= found.column <= len(text) + 2
        assert found.message


@settings(BOUNDED, max_examples=tries(150))
@given(st.one_of(st.text(), st.lists(st.sampled_from(MARKUP), max_size=25).map("".join)))
def test_no_text_raises_anything_but_yaml_errors(text: str) -> None:
    assert_only_yaml_errors(text)


@settings(BOUNDED, max_examples=tries(200))
@given(
    st.sampled_from(SPECS),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 8), st.sampled_from(MARKUP)), max_size=6),
)
def test_no_damaged_spec_raises_anything_but_yaml_errors(
    text: str, edits: list[tuple[float, int, str]]
) -> None:
    for place, removed, inserted in edits:
        at = int(place * len(text))
        text = text[:at] + inserted + text[at + removed :]
    assert_only_yaml_errors(text)


def test_every_spec_reads_the_same_by_the_core_schema_and_by_yaml_1_1() -> None:
    assert SPECS
    for text in SPECS:
        assert_read(text, yamlio.load(text))


FLOW = "models:\n  - {name: é, canary: {version: v4, traffic: 10}}\n  - [ä, b]\n"


@pytest.mark.parametrize(
    ("pointer", "key", "expected"),
    [
        ((), False, Position(1, 1)),
        (("models",), False, Position(1, 1, "models")),
        (("models", 0), False, Position(2, 5)),
        (("models", 0, "name"), False, Position(2, 12, "é")),
        (("models", 0, "name"), True, Position(2, 6, "name")),
        (("models", 0, "canary"), False, Position(2, 23)),
        (("models", 0, "canary", "traffic"), False, Position(2, 46, "10")),
        (("models", 0, "canary", "traffic"), True, Position(2, 37, "traffic")),
        (("models", 1, 1), False, Position(3, 9, "b")),
        (("models", 1, 9), False, Position(3, 5)),
        (("models", 0, "missing"), False, Position(2, 5)),
        (("models", 0, "canary", "missing"), False, Position(2, 15, "canary")),
        (("missing", "deeper"), False, Position(1, 1)),
        (("models", 0, "name", "deeper"), False, Position(2, 6, "name")),
    ],
)
def test_a_place_is_counted_in_characters(
    pointer: tuple[str | int, ...], key: bool, expected: Position
) -> None:
    assert yamlio.position(FLOW, pointer, key=key) == expected
    assert yamlio.position(FLOW.replace("\n", "\r\n"), pointer, key=key) == expected


@pytest.mark.parametrize("text", ["", "# nothing\n"])
def test_an_empty_document_has_its_start(text: str) -> None:
    assert yamlio.position(text, ("a", 0)) == Position(1, 1)


def assert_places_are_right(text: str, value: Any) -> None:
    lines = text.split("\n")
    for pointer, leaf in yamlio.pointers(value):
        place = yamlio.position(text, pointer)
        rest = lines[place.line - 1][place.column - 1 :]
        written = scalars.flow(leaf)
        assert rest.startswith(written if pointer else "") or rest[:1] == "|", (pointer, rest)
        if pointer and isinstance(pointer[-1], str):
            place = yamlio.position(text, pointer, key=True)
            rest = lines[place.line - 1][place.column - 1 :]
            assert rest.startswith(scalars.key_text(pointer[-1]))
            assert place.written == pointer[-1]


@BOUNDED
@given(collections)
def test_every_value_and_key_is_found_where_it_stands(value: Any) -> None:
    for text in (scalars.block(value, ""), scalars.flow(value)):
        assert_places_are_right(text, value)
        places = [yamlio.position(text, pointer) for pointer, _ in yamlio.pointers(value)]
        windows = text.replace("\n", "\r\n")
        assert [
            yamlio.position(windows, pointer) for pointer, _ in yamlio.pointers(value)
        ] == places


def test_pointers_lead_to_every_leaf() -> None:
    value = {"a": [{"b": 1}, []], "c": {}}
    leaves = [(("a", 0, "b"), 1), (("a", 1), []), (("c",), {})]
    assert list(yamlio.pointers(value)) == leaves
    assert list(yamlio.pointers(7)) == [((), 7)]


def test_no_number_of_a_document_is_infinite_or_nan() -> None:
    assert math.isfinite(yamlio.core_scalar("1.797e308"))
    assert not math.isfinite(yamlio.core_scalar("1.798e308"))
    assert issues("1.798e308")


SIMPLE = [
    *(": ", ":", "- ", "-", " ", "  ", "\n", "#", " # ", "'", '"', "[", "]", "{", "}", "&a ", "*a"),
    *("!", "|", ">", "%", "@", "`", "~", "null", ".inf", ".nan", "1e3", "0x1", "0o7", "---", "..."),
    *(
        "<<",
        "? ",
        "\t",
        "\r",
        "=",
        ",",
        "key: v",
        "\n- a",
        "\n  - b",
        "\n  k: v",
        "12:30",
        "-1",
        "--x",
    ),
    *("\\n", "''", "é", "\x07", "a  b", "k:", "- - a", "x: y: z", "a:b", "\n\n", "\n    # c\n"),
]
LINES = (
    "name: a\nserving:\n  args:\n  - --x=1\n  env:\n    A: '1'\n    B: \"off\"\nmin: 0.5\n"
    "list:\n- b c\n"
)


@settings(BOUNDED, max_examples=tries(600))
@given(
    st.lists(st.tuples(st.integers(0, 90), st.integers(0, 3), st.sampled_from(SIMPLE)), max_size=4)
)
def test_simple_lines_are_read_as_libyaml_reads_them(edits: list[tuple[int, int, str]]) -> None:
    text = LINES
    for start, length, new in edits:
        text = text[:start] + new + text[start + length :]
    simply, fully = _outcome(text), _outcome(f"%YAML 1.2\n---\n{text}")
    assert simply == fully or (simply, fully) == (None, None)


def _outcome(text: str) -> str | None:
    """Read a text; what has directives is read by libyaml alone."""
    try:
        return repr(yamlio.load(text))
    except YamlError:
        return None


def test_most_specs_are_simple() -> None:
    assert yamlio._simple(LINES)["serving"]["env"] == {"A": "1", "B": "off"}
