"""Mistakes made in a text of YAML, each at a known line: keys misspelt, doubled, removed.

The edits are made on the text, in block or flow style as it stands there, so that what is tested is
what a person sees in an editor.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from generator import schema, yamlio
from generator.yamlio import MappingNode, Node, Pointer, SequenceNode


@dataclass(frozen=True)
class Entry:
    """One key of a document with its value, where both stand, and what the schema says of them."""

    pointer: Pointer
    text: str
    start: int
    column: int
    colon: int
    end: int
    following: int
    in_flow: bool
    holder: dict[str, Any]
    holder_line: int
    is_first: bool

    @property
    def key(self) -> str:
        return str(self.pointer[-1])

    @property
    def line(self) -> int:
        return _line(self.text, self.start)

    @property
    def is_known(self) -> bool:
        """Whether the schema names the key, rather than leaving it to the author."""
        return self.key in self.holder.get("properties", {})


@dataclass(frozen=True)
class Edit:
    """A text with one mistake in it, and the line that has to be told."""

    what: str
    text: str
    line: int


def entries(kind: str, text: str) -> list[Entry]:
    """Find every key of a document, the nested ones and those in lists included."""
    root = yamlio.compose(text)
    assert root is not None
    return list(_entries(schema.document_schema(kind), text, (), root))


def _entries(rules: dict[str, Any], text: str, at: Pointer, node: Node) -> Iterator[Entry]:
    if isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            yield from _entries(rules, text, (*at, index), item)
    if isinstance(node, MappingNode):
        for number, (key, value) in enumerate(node.value):
            later = node.value[number + 1 :]
            pointer = (*at, key.value)
            yield Entry(
                pointer=pointer,
                text=text,
                start=key.start_mark.index,
                column=key.start_mark.column,
                colon=text.index(":", key.end_mark.index),
                end=_end(value),
                following=later[0][0].start_mark.index if later else 0,
                in_flow=bool(node.flow_style),
                holder=schema.described(rules, at),
                holder_line=yamlio.position(text, at).line,
                is_first=number == 0,
            )
            yield from _entries(rules, text, pointer, value)


def _end(node: Node) -> int:
    """Find where a node's own text ends; a block's mark is at whatever comes after it."""
    is_block = isinstance(node, MappingNode | SequenceNode) and not node.flow_style
    if not is_block:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _end(last[1] if isinstance(node, MappingNode) else last)


def misspelt(entry: Entry) -> Iterator[Edit]:
    """Write a key of the schema as people do who type fast."""
    if not entry.is_known:
        return
    key = entry.key
    forms = (key[0] + key[2] + key[1] + key[3:], f"{key}{key[-1]}", key.title())
    wrong = forms[entry.start % 3]
    if wrong == key:
        wrong = forms[1]
    text = entry.text[: entry.start] + wrong + entry.text[entry.start + len(key) :]
    yield Edit(f"{wrong} for {schema.dotted(entry.pointer)}", text, entry.line)


_SAMPLES = {
    "integer": "7",
    "string": "some text",
    "array": "[some, list]",
    "object": "{some: mapping}",
    "null": "null",
    "boolean": "true",
}


def wrongly_typed(entry: Entry) -> Iterator[Edit]:
    """Give a key a value of every type that the schema does not take there."""
    allowed = _types(schema.described(_rules(entry), (entry.key,)))
    for type_, sample in _SAMPLES.items():
        if type_ not in allowed:
            text = f"{entry.text[: entry.colon + 1]} {sample}{entry.text[entry.end :]}"
            yield Edit(f"{sample} for {schema.dotted(entry.pointer)}", text, entry.line)


def _rules(entry: Entry) -> dict[str, Any]:
    """Return the schema of the mapping with what its references lead to."""
    everything = schema.document_schema("model")["$defs"]
    others = schema.document_schema("environment")["$defs"]
    return {**entry.holder, "$defs": {**everything, **others}}


def _types(node: dict[str, Any]) -> set[str]:
    named = node.get("type", "string" if "enum" in node else [])
    types = {named} if isinstance(named, str) else set(named)
    return types | {"integer"} if "number" in types else types


def doubled(entry: Entry) -> Iterator[Edit]:
    """Write a key and its value a second time, below or behind the first."""
    before, after = entry.text[: entry.end], entry.text[entry.end :]
    copy = entry.text[entry.start : entry.end]
    between = ", " if entry.in_flow else "\n" + " " * entry.column
    text = f"{before}{between}{copy}{after}"
    line = (before + between).count("\n") + 1
    yield Edit(f"{schema.dotted(entry.pointer)} twice", text, line)


def removed(entry: Entry) -> Iterator[Edit]:
    """Leave out a key that the schema asks for."""
    if entry.key not in entry.holder.get("required", ()):
        return
    start, end = entry.start, entry.end
    if entry.in_flow and entry.following:
        end = entry.following
    elif entry.in_flow:
        start = len(entry.text[:start].rstrip(", \n"))
    starts_with_it = entry.is_first and not entry.in_flow and len(entry.pointer) == 1
    line = _line(entry.text, entry.following) if starts_with_it else entry.holder_line
    text = entry.text[:start] + entry.text[end:]
    yield Edit(f"{schema.dotted(entry.pointer)} is gone", text, line)


def _line(text: str, index: int) -> int:
    return text.count("\n", 0, index) + 1


_SIGNS = "{}[]:,\"'#&*!|>%@`\t\n\r -?~<=\0\x85\u2028\ufeff\u200b🎉0"


def damaged(text: str, chance: random.Random) -> str:
    """Lose, insert or cut a little somewhere, as an editor or a merge may."""
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randrange(len(text) + 1)
        some = text[at : at + chance.randrange(30)]
        text = chance.choice(
            (
                text[:at] + text[at + len(some) :],
                text[:at] + chance.choice(_SIGNS) + text[at:],
                text[:at] + some + text[at:],
                text[:at],
            )
        )
    return text
