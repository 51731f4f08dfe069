from __future__ import annotations

from typing import Any

import pytest
from hostile import BOUNDED, HOSTILE, assert_read, data, keys, same, texts
from hypothesis import given
from hypothesis import strategies as st

from generator import yamlio
from generator.templating import prepared
from generator.templating.prepared import SkeletonError, Statement, Statements

LINES = "#!/bin/sh\n  echo 1\n\nexit: 0\n"
MAPPING = {"b": 1, "a: b": {"nested": ["x", {"y": None}]}, "script": LINES}
LIST = ["a", ["b", []], {"c": 1.5, "d": {}}, LINES, ("t", True)]
VALUES: tuple[Any, ...] = (
    MAPPING,
    LIST,
    {},
    [],
    (),
    LINES,
    LINES.strip(),
    "a: b",
    "",
    None,
    7,
    True,
)

PLACES = (
    *("a: §\n", "a:   §\nb: 1\n", "a : §\n", "'a': §\n", '"a": §\nb: 1\n', "é: é\na: §\n"),
    *("a:\n  b:\n    c: §\n    d: 1\n", "a:\n    b: §\n", "a:\n  b: §\nc:\n  §\nd: 1\n"),
    *("a:\n  - §\n", "a:\n- §\n- §\n", "a:\n  -   §\n  - 1\n", "a:\n  - - §\n    - §\n  - §\n"),
    *("a:\n  - k: §\n    l: 1\n", "a:\n-\n  §\n", "a:\n  # why\n  - §\nb: 1\n", "a: # why\n  §\n"),
    *("a: [§, 1]\n", "a: {b: §, c: [§, {d: §}]}\n", "a: [\n  §,\n  §\n]\n", "--- {a: §}\n"),
    *(
        "? a\n: §\n",
        "? a\n: §\n? b\n: - §\n",
        "a: §\n...\n",
        "--- # why\na: §\n",
        "a: §\n\n\nb: §\n",
    ),
)
"""Templates whose slots take any value; § stands for an expression."""


RISKY_PLACES = (
    "a: §  # why\nb: 1\n",
    "a: §   \nb: 1\n",
    "a:\n  - §  # why\n",
    "a: §",
    "a:\n    §\n",
    "a:\n §\n",
    "? a\n:\n  §\n",
    "a:\t§\nb: 1\n",
)


def marked(template: str) -> str:
    """Put a token for every §, in their order."""
    first, *others = template.split("§")
    return first + "".join(prepared.token(n) + text for n, text in enumerate(others))


def filled(template: str, *values: Any) -> tuple[dict[str, Any], str]:
    """Fill a template that was verified with harmless values before, as most files are."""
    statement = Statements().prepare(marked(template))
    statement.fill([f"x{n}" for n in range(template.count("§"))])
    result = statement.fill(values)
    assert Statement(marked(template)).fill(values, paranoid=True) == result
    assert_read(result[1], result[0])
    return result


def expected(node: Any, values: dict[str, Any]) -> Any:
    """Put values for x0, x1, ... wherever one of them is a whole text."""
    if isinstance(node, dict):
        return {key: expected(item, values) for key, item in node.items()}
    if isinstance(node, list):
        return [expected(item, values) for item in node]
    return values.get(node, node) if isinstance(node, str) else node


def assert_placed(template: str, value: Any) -> None:
    first, *others = template.split("§")
    plain = yamlio.load(first + "".join(f"x{n}{text}" for n, text in enumerate(others)))
    found, _ = filled(template, *([value] * len(others)))
    assert found == expected(plain, {f"x{n}": value for n in range(len(others))})


@pytest.mark.parametrize("template", [*PLACES, *RISKY_PLACES], ids=ascii)
def test_any_value_takes_the_place_of_an_expression(template: str) -> None:
    for value in VALUES:
        assert_placed(template, value)


@BOUNDED
@given(st.sampled_from(PLACES), data)
def test_generated_data_takes_the_place_of_an_expression(template: str, value: Any) -> None:
    assert_placed(template, value)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        *(("a: x-§-y\n", "x-{}-y"), ("a: §§\n", "{}{}"), ("a: 'it''s §'\n", "it's {}")),
        *(('a: "\\t§\\u0041 §"\n', "\t{}A {}"), ('a: "§"\n', "{}"), ("a: '§'\n", "{}")),
        *(("a: x\n  §\n  y\nb: 1\n", "x {} y"), ('a: "x\n  §"\n', "x {}")),
        *(("a: |\n  echo §\n\n  exit §\nb: 1\n", "echo {}\n\nexit {}\n"), ("a: |-\n  §\n", "{}")),
        *(("a: |+\n  §\n\n\nb: 1\n", "{}\n\n\n"), ("a: |2\n   §\n  b\nc: 1\n", " {}\nb\n")),
        *(("a: >\n  x\n  §\n\n  y\nb: 1\n", "x {}\ny\n"), ("a: >-\n  x\n  §\n", "x {}")),
        *(("a: |  # why\n  §!\n# more\nb: 1\n", "{}!\n"), ("{b: 1, a: x§}\n", "x{}")),
        ("a: x§  # why\n", "x{}"),
    ],
    ids=ascii,
)
def test_text_around_an_expression_and_its_value_become_one_text(template: str, text: str) -> None:
    for value in ("v", "a: b", "x\ny", "", " # c\n", "\u2028", '"', "'", "---\n", "1"):
        found, _ = filled(template, *([value] * template.count("§")))
        assert found["a"] == text.format(*([value] * text.count("{}")))


@pytest.mark.parametrize(
    ("value", "text"),
    [("b", "b"), (None, ""), (True, "true"), (7, "7"), (1.5, "1.5"), (1e16, "1.0e+16")],
)
def test_a_value_within_a_text_is_written_as_yaml_would_alone(value: Any, text: str) -> None:
    for template in ("a: x§\n", 'a: "x§"\n', "a: |-\n  x§\n"):
        assert filled(template, value)[0] == {"a": f"x{text}"}


@pytest.mark.parametrize("value", [7, True, None, "y"])
def test_quotes_around_an_expression_make_it_a_text(value: Any) -> None:
    found, text = filled('a: "§"\nb: §\n', value, value)
    assert same(found, {"a": prepared.as_text(value), "b": value})
    assert_read(text, found)


@pytest.mark.parametrize("template", ["§: 1\n", "a:\n  §: 1\n", '"§": 1\n', "a: {§: 1}\n"])
def test_a_key_is_any_text(template: str) -> None:
    for key in [*HOSTILE, "a" * 1_024]:
        if len(key) <= 1_024 and len(ascii(key)) < 1_000:
            found, _ = filled(template, key)
            assert found in ({key: 1}, {"a": {key: 1}})


def test_a_key_is_joined_from_its_parts_and_is_never_a_number() -> None:
    assert filled("x/§.y: §\n", "a: b", MAPPING)[0] == {"x/a: b.y": MAPPING}
    assert filled("§: 1\n", 7)[0] == {"7": 1}


@BOUNDED
@given(keys, keys, texts)
def test_keys_and_values_cannot_get_out_of_their_places(one: str, two: str, value: str) -> None:
    template = "k-§: {l-§: §}\nm:\n  - n: x§\n    o: §\n"
    found, _ = filled(template, one, two, value, value, value)
    inner = {"n": f"x{value}", "o": value}
    assert found == {f"k-{one}": {f"l-{two}": value}, "m": [inner]}


@pytest.mark.parametrize(
    ("template", "values"),
    [("§: 1\n§: 2\n", ("a", "a")), ("§: 1\n§: 2\n", (1, "1")), ("a: 1\n§: 2\n", ("a", "")[:1])],
)
def test_keys_that_come_out_equal_are_refused(template: str, values: tuple[Any, ...]) -> None:
    with pytest.raises(SkeletonError, match=r"the key `[a1]` comes out twice"):
        filled(template, *values)


def test_an_equal_key_is_refused_in_its_line() -> None:
    with pytest.raises(SkeletonError) as caught:
        Statement(marked("a: 1\nb:\n  c: 1\n  §: 2\n")).fill(["c"])
    assert caught.value.line == 4


@pytest.mark.parametrize("template", ["§: 1\n", "{§: 1}\n"])
def test_a_key_too_long_for_any_parser_is_refused(template: str) -> None:
    statement = Statement(marked(template))
    statement.fill(["x"])
    with pytest.raises(SkeletonError, match="a key of 1025 characters"):
        statement.fill(["k" * 1_025])


@pytest.mark.parametrize(
    ("template", "line"),
    [
        *(("a: 1\nb: 2 # §\n", 2), ("# §\na: 1\n", 1), ("a: |\n  x\n# §\n", 3)),
        *(("a: 1\nb: &§ x\n", 2), ("a: 1\nb: *§\n", 2), ("a: 1\nb: !§ x\n", 2)),
        *(("a: 1\nb: & x\nc: §\n", 2), ("a: !§\n", 1), ("a: | # §\n  b\n", 1)),
        *(("%TAG §\n---\na: 1\n", 1), ("a: 1\n# x\n# y §", 3), ("a:\n  - !t §\n", 2)),
    ],
)
def test_an_expression_in_a_comment_anchor_alias_or_tag_is_refused(
    template: str, line: int
) -> None:
    with pytest.raises(SkeletonError) as caught:
        Statement(marked(template))
    assert caught.value.line == line


@pytest.mark.parametrize("template", ["a: &x §\nb: *x\n", "a: &x {b: §}\nc: *x\n"])
def test_an_alias_to_an_expression_is_refused(template: str) -> None:
    with pytest.raises(SkeletonError):
        Statement(marked(template)).fill(["v"])


def test_an_alias_to_fixed_data_is_read() -> None:
    assert filled("a: &x {b: [1]}\nc: *x\nd: §\n", 2)[0] == {
        **{"a": {"b": [1]}, "c": {"b": [1]}},
        "d": 2,
    }


@pytest.mark.parametrize(
    ("template", "message"),
    [
        *(("", "one object"), ("# nothing\n", "one object"), ("- §\n", "one object")),
        *(("§\n", "one object"), ("[§]\n", "one object"), ("a: §\n---\nb: 1\n", "second doc")),
        *(("{[a]: §}\n", "a key must be a text"), ("a: 1\na: §\n", "duplicate key `a`")),
        *(("a: !!str §\n", "tag"), ("a: b: §\n", "has no quotes")),
        *(("a: \t- §\n", "this is not YAML"), ("a: {b: §\n", "is not closed")),
    ],
)
def test_a_skeleton_is_one_mapping(template: str, message: str) -> None:
    with pytest.raises(SkeletonError, match=message):
        Statement(marked(template))


def test_a_merge_key_is_refused_when_the_first_result_is_read_back() -> None:
    with pytest.raises(SkeletonError, match="merge keys"):
        Statement(marked("a: &x {b: 1}\nc:\n  <<: *x\n  d: §\n")).fill([1])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "nan is not a finite number"),
        ([1, {"x": float("inf")}], "inf is not a finite number"),
        (frozenset({1}), "frozenset is not a scalar"),
        ({"x": {1, 2}}, "set is not a scalar"),
        ({1: 2}, "the key 1 is not a text"),
        ("\udc80", r"U\+DC80 is half of a character"),
    ],
    ids=ascii,
)
def test_a_value_that_yaml_cannot_hold_is_refused_in_its_line(value: Any, message: str) -> None:
    statement = Statement(marked("a: §\nb:\n  - c: 1\n    d: §\n"))
    statement.fill(["x", "y"])
    with pytest.raises(SkeletonError, match=message) as caught:
        statement.fill(["x", value])
    assert caught.value.line == 4


@pytest.mark.parametrize("value", [[], ["a"], {"a": 1}, (), frozenset({1})], ids=repr)
@pytest.mark.parametrize("template", ["a: 1\nb: x§\n", 'a: 1\nb: "§"\n', "a: 1\n§: x\n"])
def test_a_collection_is_no_part_of_a_text(template: str, value: Any) -> None:
    statement = Statement(marked(template))
    statement.fill(["x"])
    with pytest.raises(SkeletonError, match="cannot be part of a text") as caught:
        statement.fill([value])
    assert caught.value.line == 2


def test_expressions_are_as_many_as_there_are_characters_for_them() -> None:
    assert prepared.token(0) == "\ue000"
    most = prepared.CAPACITY
    with pytest.raises(SkeletonError, match=f"more than {most} expressions"):
        prepared.token(most)
    found, text = Statement(marked(f"a: [{'§,' * most}]\n")).fill(range(most))
    assert_read(text, found)
    assert found == {"a": list(range(most))}


def test_a_skeleton_is_prepared_once_and_may_be_forgotten() -> None:
    statements = Statements()
    skeletons = [marked(f"a{n}: §\n") for n in range(1_100)]
    for n, skeleton in enumerate(skeletons):
        statement = statements.prepare(skeleton)
        assert statements.prepare(skeleton) is statement
        assert statement.fill([n]) == ({f"a{n}": n}, f"a{n}: {n}\n")


def test_what_stands_around_a_slot_stays_as_it_is() -> None:
    template = "# Why.\na: {b: §,   c: 'd'}   # e\n\n\nf:   §\n"
    assert filled(template, "x", [1])[1] == "# Why.\na: {b: x,   c: 'd'}   # e\n\n\nf:\n  - 1\n"


AMBIGUOUS = ("yes", "No", "on", "012", "0o17", "1e3", "1_000", "12:30:45", "2024-01-01", "0b1", "=")


@pytest.mark.parametrize("written", AMBIGUOUS)
def test_fixed_text_that_yaml_1_1_reads_otherwise_is_refused_or_quoted(written: str) -> None:
    try:
        statement = Statement(marked(f"a: {written}\nb: §\n"))
    except SkeletonError:
        return
    found, text = statement.fill(["x"])
    assert_read(text, found)


@pytest.mark.parametrize("value", ["\ue000", ["\ue000"], {"\uf8ff": 1}, "x\uf771"], ids=ascii)
def test_a_private_use_character_in_a_value_is_refused(value: Any) -> None:
    statement = Statement(marked("a: §\n"))
    statement.fill(["x"])
    with pytest.raises(SkeletonError, match="private-use"):
        statement.fill([value])
