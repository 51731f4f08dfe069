"""Edits in place: a table of odd but legal YAML, and what holds for every text."""

# ruff: noqa: E501  # a row of the tables is one line, so that before stands beside after

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hostile import BOUNDED
from hypothesis import given
from hypothesis import strategies as st

from generator import scalars, yamlio
from generator.promotions import edits
from generator.promotions.edits import Edit, Put, Remove, Unsafe

ROOT = Path(__file__).resolve().parents[1]
SPECS = sorted(
    path
    for folder in ("models", "tests/cases/valid/*/models")
    for path in ROOT.glob(f"{folder}/*.yaml")
)

ORDER = ("version", "canary", "standby")
CANARY = {"version": "v2", "traffic": 5}


def put(where: str, value: Any) -> Put:
    return Put(tuple(where.split(".")), value, ORDER)


def remove(where: str) -> Remove:
    return Remove(tuple(where.split(".")))


SET = put("p.version", "v2")
START = put("p.canary", CANARY)
STANDBY = put("p.standby", "v2")
DROP = remove("p.canary")
ADD = put("vs.v3", {"uri": "gs://m/3"})

SETS = {
    "block": ("p:\n  version: v1\n", "p:\n  version: v2\n"),
    "flow": ("p: {version: v1}\n", "p: {version: v2}\n"),
    "flow without spaces": ('{"p":{"version":"v1"}}', '{"p":{"version":"v2"}}'),
    "double quotes": ('p: {version: "v1"}\n', 'p: {version: "v2"}\n'),
    "single quotes": ("p: {version: 'v1'}\n", "p: {version: 'v2'}\n"),
    "quoted key": ('"p":\n  "version": v1\n', '"p":\n  "version": v2\n'),
    "comment behind": ("p:\n  version: v1   # since May\n", "p:\n  version: v2   # since May\n"),
    "tab before the comment": ("p:\n  version: v1\t# since\tMay\n", "p:\n  version: v2\t# since\tMay\n"),
    "trailing spaces": ("p:   \n  version:   v1   \n", "p:   \n  version:   v2   \n"),
    "windows": ("p:\r\n  version: v1\r\n", "p:\r\n  version: v2\r\n"),
    "old mac": ("p:\r  version: v1\r", "p:\r  version: v2\r"),
    "mixed line ends": ("a: 1\r\np:\n  version: v1\r\nb: 2\n", "a: 1\r\np:\n  version: v2\r\nb: 2\n"),
    "no final newline": ("p:\n  version: v1", "p:\n  version: v2"),
    "byte order mark": ("\ufeffp: {version: v1}\n", "\ufeffp: {version: v2}\n"),
    "value on the next line": ("p:\n  version:\n    v1\n", "p:\n  version:\n    v2\n"),
    "nothing there": ("p:\n  version:   # none yet\n", "p:\n  version: v2   # none yet\n"),
    "nothing in flow": ("p: {version: , a: 1}\n", "p: {version: v2, a: 1}\n"),
    "null": ("p: {version: ~}\n", "p: {version: v2}\n"),
    "explicit key": ("? p\n: ? version\n  : v1\n", "? p\n: ? version\n  : v2\n"),
    "anchor that nobody uses": ("p:\n  version: &v v1\n", "p:\n  version: &v v2\n"),
    "tag": ("p:\n  version: !!str v1\n", "p:\n  version: !!str v2\n"),
    "space before the colon": ("p :\n  version : v1\n", "p :\n  version : v2\n"),
    "document markers": ("%YAML 1.2\n---\np:\n  version: v1\n...\n", "%YAML 1.2\n---\np:\n  version: v2\n...\n"),
    "unicode around": ("ä: 𝄞\np: {ö: 🎉, version: v1} # ü\n", "ä: 𝄞\np: {ö: 🎉, version: v2} # ü\n"),
    "alias beside": ("a: &a {b: 1}\np: {c: *a, version: v1, d: *a}\n", "a: &a {b: 1}\np: {c: *a, version: v2, d: *a}\n"),
    "star that is no alias": ("q: a * b\np: {version: v1}\n", "q: a * b\np: {version: v2}\n"),
    "several lines": ("p:\n  version: v1\n    of today\n  a: 1\n", "p:\n  version: v2\n  a: 1\n"),
    "deep": (f"p:\n{' ' * 40}version: v1\n", f"p:\n{' ' * 40}version: v2\n"),
}  # fmt: skip

STARTS = {
    "single-line environment": ("p: {version: v1}\n", "p: {version: v1, canary: {version: v2, traffic: 5}}\n"),
    "flow with a comment": ("p: {version: v1} # c\n", "p: {version: v1, canary: {version: v2, traffic: 5}} # c\n"),
    "flow with more": ("p: {version: v1, s: {a: 1}}\n", "p: {version: v1, canary: {version: v2, traffic: 5}, s: {a: 1}}\n"),
    "flow with inner spaces": ("p: { version: v1 }\n", "p: { version: v1, canary: {version: v2, traffic: 5} }\n"),
    "flow with a trailing comma": ("p: {version: v1,}\n", "p: {version: v1, canary: {version: v2, traffic: 5},}\n"),
    "JSON": ('{"p": {"version": "v1"}}', '{"p": {"version": "v1", "canary": {"version": "v2", "traffic": 5}}}'),
    "quoted neighbours": ("p: {version: 'v1'}\n", "p: {version: 'v1', canary: {version: 'v2', traffic: 5}}\n"),
    "lines of flow": ("p: {\n  version: v1,\n  s: 1\n}\n", "p: {\n  version: v1,\n  canary: {version: v2, traffic: 5},\n  s: 1\n}\n"),
    "last line of flow": ("p: {\n  version: v1\n}\n", "p: {\n  version: v1,\n  canary: {version: v2, traffic: 5}\n}\n"),
    "lines of flow with comments": ("p: {\n  version: v1,  # b\n  s: 1  # c\n}\n", "p: {\n  version: v1,  # b\n  canary: {version: v2, traffic: 5},\n  s: 1  # c\n}\n"),
    "last commented line of flow": ("p: {\n  version: v1  # b\n}\n", "p: {\n  version: v1,  # b\n  canary: {version: v2, traffic: 5}\n}\n"),
    "windows lines of flow": ("p: {\r\n\tversion: v1,\r\n}\r\n", "p: {\r\n\tversion: v1,\r\n\tcanary: {version: v2, traffic: 5},\r\n}\r\n"),
    "commas that lead": ("p: { version: v1 # b\n   , s: 1 }\n", "p: { version: v1, canary: {version: v2, traffic: 5} # b\n   , s: 1 }\n"),
    "brace beside the last": ("p: {version: v1,\n    s: 1}\n", "p: {version: v1, canary: {version: v2, traffic: 5},\n    s: 1}\n"),
    "block": ("p:\n  version: v1\n", "p:\n  version: v1\n  canary: {version: v2, traffic: 5}\n"),
    "block with more": ("p:\n  s: 1\n  version: v1\n  t: 2\n", "p:\n  s: 1\n  version: v1\n  canary: {version: v2, traffic: 5}\n  t: 2\n"),
    "no final newline": ("p:\n  version: v1", "p:\n  version: v1\n  canary: {version: v2, traffic: 5}"),
    "windows without a final newline": ("a: 1\r\np:\r\n  version: v1", "a: 1\r\np:\r\n  version: v1\r\n  canary: {version: v2, traffic: 5}"),
    "comment behind": ("p:\n  version: v1 # b\n  # c\nq: 1\n", "p:\n  version: v1 # b\n  canary: {version: v2, traffic: 5}\n  # c\nq: 1\n"),
    "comment that goes on": ("p:\n  version: v1 # b\n             # b\nq: 1\n", "p:\n  version: v1 # b\n             # b\n  canary: {version: v2, traffic: 5}\nq: 1\n"),
    "blank lines": ("p:\n\n  version: v1\n\nq: 1\n", "p:\n\n  version: v1\n  canary: {version: v2, traffic: 5}\n\nq: 1\n"),
    "neighbour in block style": ("p:\n  version: v1\n  s:\n     a: 1\n", "p:\n  version: v1\n  canary:\n     version: v2\n     traffic: 5\n  s:\n     a: 1\n"),
    "other canary in block style": ("o:\n  version: v1\n  canary:\n      version: v2\n      traffic: 1\np:\n  version: v1\n", "o:\n  version: v1\n  canary:\n      version: v2\n      traffic: 1\np:\n  version: v1\n  canary:\n      version: v2\n      traffic: 5\n"),
    "quoted keys": ('p:\n  "version": "v1"\n', 'p:\n  "version": "v1"\n  "canary": {"version": "v2", "traffic": 5}\n'),
    "explicit key": ("? p\n: version: v1\n", "? p\n: version: v1\n  canary: {version: v2, traffic: 5}\n"),
    "all keys explicit": ("p:\n  ? version\n  : v1\n", "p:\n  ? version\n  : v1\n  canary: {version: v2, traffic: 5}\n"),
    "first of its block": ("p:\n  s: 1\n", "p:\n  canary: {version: v2, traffic: 5}\n  s: 1\n"),
    "first of its flow": ("p: {s: 1}\n", "p: {canary: {version: v2, traffic: 5}, s: 1}\n"),
    "first line of its flow": ("p: {\n  s: 1\n}\n", "p: {\n  canary: {version: v2, traffic: 5},\n  s: 1\n}\n"),
    "empty": ("p: {}\n", "p: {canary: {version: v2, traffic: 5}}\n"),
    "empty with spaces": ("p: { }\n", "p: { canary: {version: v2, traffic: 5} }\n"),
    "behind an alias": ("a: &a v1\np: {version: *a }\n", "a: &a v1\np: {version: *a, canary: {version: v2, traffic: 5} }\n"),
    "behind an alias in a block": ("a: &a v1\np:\n  version: *a # b\n", "a: &a v1\np:\n  version: *a # b\n  canary: {version: v2, traffic: 5}\n"),
    "before an alias": ("a: &a {b: 1}\np:\n  version: v1\n  s: *a\n", "a: &a {b: 1}\np:\n  version: v1\n  canary: {version: v2, traffic: 5}\n  s: *a\n"),
    "anchored block that nobody uses": ("p: &p\n  version: v1\n", "p: &p\n  version: v1\n  canary: {version: v2, traffic: 5}\n"),
    "indented by one": ("p:\n version: v1\nq: 1\n", "p:\n version: v1\n canary: {version: v2, traffic: 5}\nq: 1\n"),
}  # fmt: skip

DROPS = {
    "flow": ("p: {version: v1, canary: {a: 1}}\n", "p: {version: v1}\n"),
    "middle of flow": ("p: {version: v1, canary: {a: 1}, s: 2}\n", "p: {version: v1, s: 2}\n"),
    "first of flow": ("p: {canary: {a: 1}, s: 2}\n", "p: {s: 2}\n"),
    "all of flow": ("p: {canary: {a: 1}}\n", "p: {}\n"),
    "trailing comma": ("p: {version: v1, canary: {a: 1},}\n", "p: {version: v1,}\n"),
    "lines of flow": ("p: {\n  version: v1,\n  canary: {a: 1}, # c\n  s: 2\n}\n", "p: {\n  version: v1,\n  s: 2\n}\n"),
    "last line of flow": ("p: {\n  version: v1,  # b\n  canary: {a: 1}\n}\n", "p: {\n  version: v1  # b\n}\n"),
    "brace beside it": ("p: {version: v1, # b\n    canary: {a: 1}}\n", "p: {version: v1 # b\n    }\n"),
    "brace beside it, no comment": ("p: {version: v1,\n    canary: {a: 1}}\n", "p: {version: v1}\n"),
    "shared line of flow": ("p: {version: v1, canary: {a: 1}, # b\n    s: 2}\n", "p: {version: v1, # b\n    s: 2}\n"),
    "commas that lead": ("p: {\n    version: v1\n  , canary: {a: 1}\n  , s: 2\n}\n", "p: {\n    version: v1\n  , s: 2\n}\n"),
    "JSON": ('{"p":{"version":"v1","canary":{"a":1}}}', '{"p":{"version":"v1"}}'),
    "block": ("p:\n  version: v1\n  canary: {a: 1}\nq: 1\n", "p:\n  version: v1\nq: 1\n"),
    "block in block": ("p:\n  canary:\n    a: 1\n    # of a\n  s: 2\n", "p:\n  s: 2\n"),
    "own comments only": ("p:\n  # of v\n  version: v1 # v\n  # of c\n  canary: {a: 1} # c\n  # of s\n  s: 2 # s\n", "p:\n  # of v\n  version: v1 # v\n  # of c\n  # of s\n  s: 2 # s\n"),
    "no final newline": ("p:\n  version: v1\n  canary: {a: 1}", "p:\n  version: v1"),
    "windows, no final newline": ("p:\r\n  version: v1\r\n  canary: {a: 1}", "p:\r\n  version: v1"),
    "several lines": ("p:\n  canary:\n    {a: 1,\n\n     b: 2}\n\n  s: 2\n", "p:\n\n  s: 2\n"),
    "text in lines": ("p:\n  canary: |\n    # no comment\n    a\n\n  s: 2\n", "p:\n\n  s: 2\n"),
    "alias": ("a: &a {b: 1}\np:\n  version: v1\n  canary: *a # c\n", "a: &a {b: 1}\np:\n  version: v1\n"),
    "alias in flow": ("a: &a {b: 1}\np: {version: v1, canary: *a }\n", "a: &a {b: 1}\np: {version: v1 }\n"),
    "alias within": ("a: &a {b: 1}\np:\n  canary:\n    c: 1\n    d: *a\n  s: 2\n", "a: &a {b: 1}\np:\n  s: 2\n"),
    "aliases in a list": ("a: &a 1\np:\n  canary:\n  - 1\n  - *a\n  s: 2\n", "a: &a 1\np:\n  s: 2\n"),
    "explicit key": ("p:\n  version: v1\n  ? canary\n  : {a: 1}\n  s: 2\n", "p:\n  version: v1\n  s: 2\n"),
    "all of its block": ("p:\n  canary: 1 # c\nq: 1\n", "p:\n  {} # c\nq: 1\n"),
    "nothing there": ("p:\n  canary:\n  s: 2\n", "p:\n  s: 2\n"),
    "unicode": ("p: {ä: 🎉, canary: {𝄞: 1}, ö: 2}\n", "p: {ä: 🎉, ö: 2}\n"),
}  # fmt: skip

ADDS = {
    "lines": ("vs:\n  v1: {uri: gs://m/1}\n  v2: {uri: gs://m/2}\n\ne: 1\n", "vs:\n  v1: {uri: gs://m/1}\n  v2: {uri: gs://m/2}\n  v3: {uri: gs://m/3}\n\ne: 1\n"),
    "quoted": ('vs:\n  v1: {uri: "gs://m/1"}\ne: 1\n', 'vs:\n  v1: {uri: "gs://m/1"}\n  v3: {uri: "gs://m/3"}\ne: 1\n'),
    "block": ("vs:\n    v1:\n      uri: gs://m/1 # c\ne: 1\n", "vs:\n    v1:\n      uri: gs://m/1 # c\n    v3:\n      uri: gs://m/3\ne: 1\n"),
    "flow": ("vs: {v1: {uri: gs://m/1}}\n", "vs: {v1: {uri: gs://m/1}, v3: {uri: gs://m/3}}\n"),
    "list within": ("vs:\n  v1:\n    args:\n      - a\n      - b\n\ne: 1\n", "vs:\n  v1:\n    args:\n      - a\n      - b\n  v3:\n    uri: gs://m/3\n\ne: 1\n"),
    "list that is not indented": ("vs:\n  v1:\n    args:\n    - a\ne: 1\n", "vs:\n  v1:\n    args:\n    - a\n  v3:\n    uri: gs://m/3\ne: 1\n"),
    "explicit keys": ("vs:\n ? v1\n :   {a: 1}\n v2:\n  a: 1\n", "vs:\n ? v1\n :   {a: 1}\n v2:\n  a: 1\n v3:\n  uri: gs://m/3\n"),
    "empty": ("vs: {}\ne: 1\n", "vs: {v3: {uri: gs://m/3}}\ne: 1\n"),
    "not indented at the end": ("e: 1\nvs:\n  v1: {uri: gs://m/1}", "e: 1\nvs:\n  v1: {uri: gs://m/1}\n  v3: {uri: gs://m/3}"),
}  # fmt: skip

ROWS = [
    pytest.param(edit, before, after, id=f"{name}: {row}")
    for name, edit, table in (
        ("set", SET, SETS),
        ("start", START, STARTS),
        ("drop", DROP, DROPS),
        ("add", ADD, ADDS),
    )
    for row, (before, after) in table.items()
]


@pytest.mark.parametrize(("edit", "before", "after"), ROWS)
def test_odd_yaml_is_edited_in_place(edit: Edit, before: str, after: str) -> None:
    assert edits.applied(before, [edit]) == after
    data = edits.meant(yamlio.load(before), [edit])
    assert json.dumps(yamlio.load(after)) == json.dumps(data)


REFUSED = {
    "alias": ("a: &a v1\np: {version: *a}\n", SET, "p.version: an alias"),
    "anchor in use": ("p: {version: &a v1}\nq: *a\n", SET, "p.version: an alias"),
    "block in use": ("p: &p {version: v1}\nq: *p\n", SET, "p: an anchor makes this block"),
    "block that is an alias": ("q: &p {version: v1}\np: *p\n", START, "p: an anchor makes"),
    "anchor within in use": ("p: {canary: {a: &a 1}}\nq: *a\n", DROP, "p.canary: an alias"),
    "merge": ("a: &a {x: 1}\np:\n  <<: *a\n  version: v1\n", SET, "merge keys"),
    "second document": ("p: {version: v1}\n---\na: 1\n", SET, "a second document"),
    "tab": ("p:\n\tversion: v1\n", SET, "a tab cannot"),
    "key twice": ("p: {version: v1, version: v1}\n", SET, "duplicate key"),
    "text in lines": ("p:\n  version: |-\n    v1\n", SET, "p.version: it is written over"),
    "mapping": ("p: {version: {a: 1}}\n", SET, "p.version: it is written over"),
    "no such key": ("p: {version: v1}\n", DROP, "p.canary: it is not there"),
    "no such block": ("q: {version: v1}\n", SET, "p: it is not a mapping"),
    "block without keys": ("p:\nq: 1\n", SET, "p: it is not a mapping"),
    "empty document": ("# nothing\n", SET, "p: it is not a mapping"),
    "key that is an alias": ("a: &k version\np: {*k : v1}\n", START, "p.canary: a key beside it"),
    "literal that keeps": ("p:\n  version: |+\n    v1\n\n\nq: 1\n", START, "an unknown way"),
    "key without a colon": ("p: {version, a: 1}\n", SET, "an unknown way"),
}


@pytest.mark.parametrize(("text", "edit", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_would_be_a_guess_is_refused(text: str, edit: Edit, reason: str) -> None:
    with pytest.raises(Unsafe) as refused:
        edits.applied(text, [edit])
    assert reason in str(refused.value)


def test_several_edits_are_made_in_order() -> None:
    text = "p:\n  version: v1 # b\n  canary: {version: v2, traffic: 5}\n  s: 1\n"
    promoted = edits.applied(text, [SET, DROP, put("p.standby", "v1")])
    assert promoted == "p:\n  version: v2 # b\n  standby: v1\n  s: 1\n"


def test_a_person_is_told_what_to_write() -> None:
    told = edits.by_hand([SET, DROP, START])
    assert told == (
        "write `version: v2` in `p`; remove `canary` from `p`; "
        "write `canary: {version: v2, traffic: 5}` in `p`"
    )


@pytest.mark.parametrize("value", ["yes", "1e3", "012", "~", "a: b", "#", "", "é\u2028", "12:30"])
@pytest.mark.parametrize("quote", ["", '"', "'"])
def test_a_text_stays_a_text_for_every_reader_of_yaml(value: str, quote: str) -> None:
    text = edits.applied(f"p: {{version: {quote}v1{quote}}}\n", [put("p.version", value)])
    assert yamlio.load(text) == {"p": {"version": value}}
    written = re.fullmatch(r"p: \{version: (.*)\}\n", text)
    assert written is not None
    assert written[1][:1] in ('"', "'")


# What holds for every text

TAB = "\t"
NAMES = ("dev", "p", "production", "ä")


class Writer:
    """Writes data as YAML in as many styles as there are, with comments and blank lines."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.end = chance.choice(("\n", "\n", "\r\n"))
        self.step = chance.choice((1, 2, 2, 3, 4, 9))
        self.quote = chance.choice(("", "", "", '"', "'"))
        self.has_comments = chance.random() < 0.7

    def document(self, data: dict[str, Any]) -> str:
        text = self.chance.choice(("", "", "\ufeff", "---" + self.end))
        text += self.end.join(self.block(data, ""))
        return text + self.chance.choice(("", self.end, self.end * 2))

    def block(self, data: dict[str, Any], indent: str) -> Iterator[str]:
        for key, value in data.items():
            yield from self.between(indent)
            name = self.word(key)
            lead = (
                f"{indent}? {name}{self.end}{indent}" if self.happens(0.05) else f"{indent}{name}"
            )
            if isinstance(value, dict) and value and self.happens(0.5):
                yield f"{lead}:{self.comment().replace(TAB, ' ')}"
                yield from self.block(value, indent + " " * self.step)
            else:
                yield f"{lead}:{self.gap()}{self.flow(value, indent)}{self.comment()}"

    def between(self, indent: str) -> Iterator[str]:
        if self.happens(0.1):
            yield self.chance.choice(("", "   "))
        if self.has_comments and self.happens(0.2):
            yield indent + self.chance.choice(("# a: b", "  # {deeper", "#")).rstrip()

    def flow(self, value: Any, indent: str) -> str:
        if not isinstance(value, dict):
            return self.word(value) if isinstance(value, str) else scalars.scalar(value)
        pairs = [f"{self.word(k)}:{self.gap()}{self.flow(v, indent)}" for k, v in value.items()]
        if pairs and self.happens(0.2):
            return self.lines(pairs, indent)
        inner = self.chance.choice(("", "", " "))
        last = "," if pairs and self.happens(0.1) else ""
        return (
            "{" + inner + self.chance.choice((", ", ",  ", " , ")).join(pairs) + last + inner + "}"
        )

    def lines(self, pairs: list[str], indent: str) -> str:
        deeper = self.end + indent + " " * 3
        closing = self.chance.choice((self.end + indent + " ", "", " "))
        commas = [","] * (len(pairs) - 1) + ["," if self.happens(0.3) else ""]
        ends = [self.comment() for _ in pairs]
        if not closing.strip(" "):
            ends[-1] = ""
        body = "".join(
            deeper + pair + c + e for pair, c, e in zip(pairs, commas, ends, strict=True)
        )
        return "{" + body + closing + "}"

    def comment(self) -> str:
        told = self.has_comments and self.happens(0.3)
        return self.chance.choice(("  # since: May", " #", "\t# ä, {b}")) if told else ""

    def word(self, text: str) -> str:
        quote = self.quote or (self.chance.choice("\"'") if self.happens(0.1) else "")
        return f"{quote}{text}{quote}"

    def gap(self) -> str:
        return " " * self.chance.choice((1, 1, 1, 3))

    def happens(self, share: float) -> bool:
        return self.chance.random() < share


@st.composite
def specs(draw: st.DrawFn) -> str:
    """Draw a document as a person or a tool may have written it."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    blocks = {name: draw(environments()) for name in dict.fromkeys(("p", *names))}
    data = {"name": "m", "vs": {"v1": {"uri": "gs://m/1"}, "v2": {"image": "r/m@sha256:0a"}}}
    order = draw(st.permutations([*data.items(), ("environments", blocks)]))
    return Writer(Random(draw(st.integers(0, 2**32)))).document(dict(order))


@st.composite
def environments(draw: st.DrawFn) -> dict[str, Any]:
    block: dict[str, Any] = {"version": "v1"}
    if draw(st.booleans()):
        block["canary"] = {"version": "v2", "traffic": draw(st.integers(0, 100))}
    if draw(st.booleans()):
        block["scaling"] = {"min": 1, "max": 3}
    return dict(draw(st.permutations(list(block.items()))))


P = ("environments", "p")
VERSION = Put((*P, "version"), "v2")
TRIAL = Put((*P, "canary"), CANARY, ORDER)
WARM = Put((*P, "standby"), "v9", ORDER)
APPEND = Put(("vs", "v3"), {"uri": "gs://m/3"})
NO_TRIAL, NO_WARM = Remove((*P, "canary")), Remove((*P, "standby"))


def is_within(part: str, whole: str) -> bool:
    """Say whether all characters of a text are in another, in their order."""
    characters = iter(whole)
    return all(character in characters for character in part)


def common(one: str, other: str) -> int:
    """Count the characters that two texts begin with."""
    pairs = zip(one, other, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def difference(one: str, other: str) -> tuple[str, str]:
    """Cut away what two texts begin and end with."""
    start = common(one, other)
    one, other = one[start:], other[start:]
    stop = common(one[::-1], other[::-1])
    return one[: len(one) - stop], other[: len(other) - stop]


def has_canary(text: str) -> bool:
    return "canary" in yamlio.load(text.removeprefix("\ufeff"))["environments"]["p"]


@BOUNDED
@given(specs())
def test_setting_a_value_changes_that_value_only(text: str) -> None:
    after = edits.applied(text, [VERSION])
    assert difference(text, after) == ("1", "2")
    assert edits.applied(after, [VERSION]) == after
    assert edits.applied(after, [Put(VERSION.pointer, "v1")]) == text


@BOUNDED
@given(specs())
def test_adding_keeps_every_byte_and_removing_gives_them_back(text: str) -> None:
    for add, remove_again in ((TRIAL, NO_TRIAL), (WARM, NO_WARM), (APPEND, Remove(APPEND.pointer))):
        if add is TRIAL and has_canary(text):
            continue
        after = edits.applied(text, [add])
        assert is_within(text, after)
        assert text.count("#") == after.count("#")
        assert edits.applied(after, [remove_again]) == text


@BOUNDED
@given(specs())
def test_removing_takes_only_what_the_key_says(text: str) -> None:
    if not has_canary(text):
        return
    after = edits.applied(text, [NO_TRIAL])
    assert is_within(after, text)
    gone = text.count("#") - after.count("#")
    assert gone <= difference(text, after)[0].count("#")


@BOUNDED
@given(specs(), st.integers(0, 100))
def test_many_edits_are_the_same_as_one_after_the_other(text: str, traffic: int) -> None:
    start = [Put((*P, "canary", "traffic"), traffic)] if has_canary(text) else [TRIAL]
    several: list[Edit] = [*start, VERSION, WARM, APPEND, NO_TRIAL]
    together = edits.applied(text, several)
    for edit in several:
        text = edits.applied(text, [edit])
    assert text == together


@BOUNDED
@given(specs(), st.data())
def test_no_damaged_text_is_edited_into_something_else(text: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(text)))
    sign = data.draw(
        st.sampled_from(("&a ", "*a", "\t", "\r", "#", "{", "}", ",", "? ", "|", "- "))
    )
    damaged = text[:at] + sign + text[at:]
    try:
        after = edits.applied(damaged, [VERSION, WARM])
    except Unsafe:
        return
    before, now = (yamlio.load(each.removeprefix("\ufeff")) for each in (damaged, after))
    assert json.dumps(now) == json.dumps(edits.meant(before, [VERSION, WARM]))


def environments_of(path: Path) -> list[str]:
    return list(yamlio.load(path.read_text("utf-8-sig"))["environments"])


@pytest.mark.parametrize("path", SPECS, ids=lambda path: f"{path.parents[1].name}-{path.stem}")
def test_every_spec_of_the_repository_can_be_edited_and_restored(path: Path) -> None:
    text = path.read_bytes().decode()
    for name in environments_of(path):
        live = ("environments", name)
        block = yamlio.load(text.removeprefix("\ufeff"))["environments"][name]
        if "standby" in block or "&" in text or not yamlio.is_unambiguous(block["version"]):
            continue
        after = edits.applied(text, [Put((*live, "standby"), "v9", ORDER)])
        assert is_within(text, after)
        assert edits.applied(after, [Remove((*live, "standby"))]) == text
        after = edits.applied(text, [Put((*live, "version"), "v9")])
        assert edits.applied(after, [Put((*live, "version"), block["version"])]) == text


def test_an_ordinary_spec_takes_less_than_a_moment() -> None:
    text = (ROOT / "models" / "fraud-detector.yaml").read_text()
    live = ("environments", "production")
    several: list[Edit] = [
        Put((*live, "version"), "v4"),
        Remove((*live, "canary")),
        Put((*live, "standby"), "v3"),
    ]
    taken = []
    for _ in range(20):
        started = time.perf_counter()
        edits.applied(text, several)
        taken.append(time.perf_counter() - started)
    assert min(taken) < 0.003
