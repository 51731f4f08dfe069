"""Texts that break generators of YAML, and how to tell that one of them did no harm."""

from __future__ import annotations

from typing import Any

import yaml
from helpers import tries
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from generator import yamlio

BOUNDED = settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=tries(100),
    suppress_health_check=[HealthCheck.too_slow],
)
"""The same examples in every run, so that a failure is everybody's."""

HOSTILE = (
    *("", " ", "  ", "\n", "\n\n", "\r", "\r\n", "\t", "a\n", "a\n\n", "\na", "a\r\nb", "a\tb\nc"),
    *("a: b", "a:", ":a", ": ", "a :b", "a #b", "a#b", "#", "# a", "- ", "-", "-a", "- a\n- b"),
    *("? ", "?", "? a", "&a", "*a", "!t", "!!str a", "|", ">", "|-\n a", "%YAML 1.1", "@a", "`a`"),
    *("---", "...", "--- a", "a\n---\nb", "a\n...\nb", "a\n--- \n", "\n...\n", "%TAG ! x\n---\n"),
    *("{{ }}", "{% raw %}", "{a: b}", "[a]", "]", "}", ",", "a, b", "a,b", "a]", "{", "'", '"'),
    *("it's", 'say "x"', "\\", "\\n", "'a'", '"a"', "a\\", "\\u0041", "~", "=", "<<", "<"),
    *("null", "Null", "NULL", "true", "True", "TRUE", "y", "Y", "n", "no", "NO", "No", "on", "off"),
    *("1", "-1", "+1", "012", "0o17", "0x1F", "0b11", "1_000", "1e3", "12e03", "1E+3", ".5", "1."),
    *("1.5", "-.inf", ".inf", ".NaN", "nan", "inf", "12:30:45", "1:2", "2024-01-01", "190:20:30"),
    *("2024-01-01T00:00:00Z", "0", "-0", "00", "+", "_", "_1", "1__0", "0.0", "--", "+.inf"),
    *("\0", "\x01", "\x07", "\x1b[0m", "\x1f", "\x7f", "\x80", "\x85", "a\x85b", "\x9f", "\xa0"),
    *(
        "\u2028",
        "a\u2029b",
        "\ufeff",
        "\ufeffa",
        "a\n\ufeffb",
        "\ufffe",
        "\uffff",
        "\u200b",
        "\xad",
    ),
    *(
        "\U0001f600",
        "e\u0301",
        "ünïcödé",
        "日本語",
        "\U000e0001",
        "\U0010ffff",
        "a\u2028\nb",
        "\xad",
    ),
    *(" a", "a ", "  a\n b", "a \nb ", "a\n  b\n c", "a\n\n b", "a\n#b", "a\n: b", "a\n\n\nb\n"),
    *("x" * 5_000, "word " * 1_000, "a: " * 1_000, "é" * 3_000, "line\n" * 500, "\n" * 100),
)
"""What one version of YAML or another reads as something else, or cannot hold as it stands."""

texts = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.characters(exclude_categories=("Cs", "Co"))),
    st.text([*"aZ09 \n\t\r:#-?&*!|>'\"%@`{}[],~=<\\./+_(", "\x85", "\u2028", "\ufeff"]),
)
"""Everything but half characters and private use, which cannot be written at all."""

numbers = st.one_of(
    st.integers(),
    st.integers(-(10**300), 10**300),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([1e16, -1e22, 1e-7, 1.5e-9, 5e-324, 1.7e308, 0.1, -0.0, 2**63, -(2**53) - 1]),
)
leaves = st.one_of(texts, numbers, st.booleans(), st.none())
keys = texts.filter(lambda key: len(key) < 170)
data = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
collections = st.lists(data, min_size=1, max_size=4) | st.dictionaries(keys, data, min_size=1)


def same(left: Any, right: Any) -> bool:
    """Compare types as well: `1` is no `True`, though a float may come back as an int."""
    if isinstance(left, dict) and isinstance(right, dict):
        pairs = zip(left.items(), right.items(), strict=False)
        return len(left) == len(right) and all(a == c and same(b, d) for (a, b), (c, d) in pairs)
    if isinstance(left, list | tuple) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    is_number = isinstance(left, float) and isinstance(right, int | float)
    return bool(left == right) and (is_number or type(left) is type(right))


def assert_read(text: str, expected: Any, *, slow: bool = False) -> None:
    """Read by YAML 1.2 (ours) and by 1.1 (PyYAML on libyaml); `slow` adds 1.1 in pure Python."""
    loaders: list[Any] = [yaml.CSafeLoader, *([yaml.SafeLoader] if slow else [])]
    for found in (yamlio.load(text), *(yaml.load(text, loader) for loader in loaders)):
        assert same(expected, found), (text, found)
