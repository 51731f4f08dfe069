"""Edits of a YAML text in place: every byte that an edit does not mean is kept.

libyaml says where each node stands; an edit is a few splices of the text around these places. What
a splice gives is parsed again and compared with what was meant, computed on the data alone, so that
a place that was misjudged is a refusal and never a damaged file.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from generator import scalars, yamlio
from generator.yamlio import MappingNode, Node, ScalarNode, SequenceNode

Keys = tuple[str, ...]
"""The way from the root to a value through mappings."""


class Put(Struct, frozen=True):
    """Set the value at a pointer, or add its last key to the mapping that is there.

    A value that is set is a scalar and replaces one. A key that is added stands behind those that
    come before it in `order`; one that `order` does not name is appended.
    """

    pointer: Keys
    value: Any
    order: Keys = ()


class Remove(Struct, frozen=True):
    """Remove the last key of a pointer with its value and its own comment."""

    pointer: Keys


Edit = Put | Remove


class Unsafe(Exception):
    """A text that cannot be edited without guessing: why, and the key that stands in the way."""

    def __init__(self, reason: str, pointer: Keys) -> None:
        self.reason = reason
        self.pointer = pointer
        super().__init__(f"{'.'.join(pointer)}: {reason}")


def by_hand(edits: Iterable[Edit]) -> str:
    """Say what a person has to write to make the edits herself."""
    return "; ".join(map(_by_hand, edits))


def _by_hand(edit: Edit) -> str:
    block, key = ".".join(edit.pointer[:-1]), scalars.key_text(edit.pointer[-1])
    if isinstance(edit, Remove):
        return f"remove `{key}` from `{block}`"
    return f"write `{key}: {scalars.flow(edit.value)}` in `{block}`"


def meant(data: Any, edits: Iterable[Edit]) -> Any:
    """Make the edits on plain data, which is left as it is. Raises KeyError for a missing key."""
    for edit in edits:
        data = _meant(data, edit, edit.pointer)
    return data


def _meant(data: Any, edit: Edit, way: Keys) -> Any:
    key, below = way[0], way[1:]
    if below:
        return {**data, key: _meant(data[key], edit, below)}
    if isinstance(edit, Remove):
        return {name: value for name, value in data.items() if name != key}
    if key in data:
        return {**data, key: edit.value}
    entries = list(data.items())
    entries.insert(_place(list(data), key, edit.order), (key, edit.value))
    return dict(entries)


def _place(keys: Sequence[str], key: str, order: Keys) -> int:
    """Count the keys that a new one stands behind."""
    if key not in order:
        return len(keys)
    earlier = order[: order.index(key)]
    return max((place for place, name in enumerate(keys, start=1) if name in earlier), default=0)


_BOM = "\ufeff"


def applied(text: str, edits: Sequence[Edit]) -> str:
    """Make edits one after the other. Raises Unsafe if the text would not say what is meant."""
    edited = text.removeprefix(_BOM)
    pointer: Keys = ()
    mark = text[: len(text) - len(edited)]
    try:
        said = yamlio.load(edited)
        for edit in edits:
            pointer = edit.pointer
            edited = _edited(edited, edit)
        says = yamlio.load(edited)
    except yamlio.YamlError as error:
        raise Unsafe(error.issues[0].message, pointer) from None
    if not _same(says, meant(said, edits)):
        raise Unsafe("what stands around it is written in an unknown way", pointer)
    return mark + edited


def _same(one: Any, other: Any) -> bool:
    """Compare data with the order of keys, and 1 with neither 1.0 nor true."""
    return json.dumps(one) == json.dumps(other)


class _Entry(Struct, frozen=True):
    """One key of a mapping: where it and its value stand in the text, from its first character on.

    `is_alias` tells that the value is a `*name` here, and its node somewhere else.
    """

    key: ScalarNode
    value: Node
    start: int
    end: int
    is_alias: bool


class _Block(Struct, frozen=True):
    """The mapping that an edit is about; `others` are the mappings beside it, for their style.

    `shared` holds the nodes that aliases lead to.
    """

    text: str
    pointer: Keys
    node: MappingNode
    entries: tuple[_Entry, ...]
    others: tuple[Node, ...]
    shared: frozenset[Node]

    def find(self, key: str) -> _Entry | None:
        """Return the entry of a key, if it is there."""
        return next((entry for entry in self.entries if entry.key.value == key), None)

    def refusal(self, reason: str) -> Unsafe:
        """Make the error of an edit that would be a guess."""
        return Unsafe(reason, self.pointer)


def _edited(text: str, edit: Edit) -> str:
    block = _block(text, edit.pointer)
    entry = block.find(edit.pointer[-1])
    if isinstance(edit, Remove):
        if entry is None:
            raise block.refusal("it is not there")
        return _removed(block, entry)
    return _added(block, edit) if entry is None else _set(block, entry, edit.value)


def _block(text: str, pointer: Keys) -> _Block:
    """Find the mapping that holds the last key of a pointer."""
    node = yamlio.compose(text)
    others: tuple[Node, ...] = ()
    shared = _shared(node) if node is not None and "*" in text else frozenset()
    for depth, step in enumerate(pointer[:-1], start=1):
        values = _values(node)
        others = tuple(value for key, value in values.items() if key != step)
        node = values.get(step)
        if node in shared:
            raise Unsafe("an anchor makes this block part of other places too", pointer[:depth])
    if not isinstance(node, MappingNode):
        raise Unsafe("it is not a mapping of keys", pointer[:-1])
    return _Block(text, pointer, node, tuple(_entries(text, node, pointer)), others, shared)


def _values(node: Node | None) -> dict[str, Node]:
    pairs = node.value if isinstance(node, MappingNode) else ()
    return {key.value: value for key, value in pairs}


def _shared(root: Node) -> frozenset[Node]:
    """Find the nodes that more than one place leads to."""
    times: Counter[Node] = Counter()
    nodes = [root]
    while nodes:
        inner = list(_inner(nodes.pop()))
        nodes += [node for node in inner if node not in times]
        times.update(inner)
    return frozenset(node for node, count in times.items() if count > 1)


def _inner(node: Node) -> Iterator[Node]:
    if isinstance(node, MappingNode):
        for pair in node.value:
            yield from pair
    elif isinstance(node, SequenceNode):
        yield from node.value


def _entries(text: str, node: MappingNode, pointer: Keys) -> Iterator[_Entry]:
    behind = node.start_mark.index
    for key, value in node.value:
        start, after = _key_start(text, key), key.end_mark.index
        if start < behind:
            raise Unsafe("a key beside it is an alias", pointer)
        behind = _end(text, value, after)
        yield _Entry(key, value, start, behind, value.start_mark.index < after)


_QUESTION = re.compile(r"(?:^|.*[\s{,-])(\?[ \t]+)")


def _key_start(text: str, key: Node) -> int:
    """Find the start of a key, or of the question mark that makes it explicit."""
    start = int(key.start_mark.index)
    asked = _QUESTION.fullmatch(text, _line_start(text, start), start)
    return asked.start(1) if asked else start


_ALIAS = re.compile(r"(?:\s|#[^\r\n]*|[:-])*\*[^\s,\[\]{}]+")


def _end(text: str, node: Node, behind: int) -> int:
    """Find where a value ends that stands behind a place: a block's mark is at what follows it."""
    if node.start_mark.index < behind:
        alias = _ALIAS.match(text, behind)
        return alias.end() if alias else behind
    if isinstance(node, ScalarNode):
        end = int(node.end_mark.index)
        return len(text[:end].rstrip()) if _is_literal(node) else end
    if not isinstance(node, MappingNode | SequenceNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    if isinstance(node, MappingNode):
        key, value = node.value[-1]
        return _end(text, value, key.end_mark.index)
    before = node.value[-2].end_mark.index if len(node.value) > 1 else node.start_mark.index
    return _end(text, node.value[-1], before)


def _is_literal(node: Node) -> bool:
    """Say whether a value is a block of text behind `|` or `>`."""
    return isinstance(node, ScalarNode) and node.style in ("|", ">")


# Lines

_BREAK = re.compile(r"\r\n|\r|\n")
_TAIL = re.compile(r"[ \t]*(?:#[^\r\n]*)?(?=[\r\n]|\Z)")
"""What may stand behind a value on its line and is not part of another."""
_COMMA_TAIL = re.compile(r"[ \t]*(,?)[ \t]*(?:#[^\r\n]*)?(?=[\r\n]|\Z)")
_COMMA = re.compile(r"(?:\s|#[^\r\n]*)*(,)")


def _line_start(text: str, index: int) -> int:
    return max(text.rfind("\n", 0, index), text.rfind("\r", 0, index)) + 1


def _next_line(text: str, index: int) -> int:
    found = _BREAK.search(text, index)
    return found.end() if found else len(text)


def _line_break(text: str, index: int) -> str:
    """Return how the line of an index ends, or the first line if it is the last and does not."""
    found = _BREAK.search(text, _line_start(text, index)) or _BREAK.search(text)
    return found[0] if found else "\n"


def _before(text: str, entry: _Entry) -> str:
    """Return what stands before an entry on its line."""
    return text[_line_start(text, entry.start) : entry.start]


def _spliced(text: str, *splices: tuple[int, int, str]) -> str:
    """Replace stretches of a text, which do not overlap."""
    for start, stop, new in sorted(splices, reverse=True):
        text = text[:start] + new + text[stop:]
    return text


# Set

_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")


def _set(block: _Block, entry: _Entry, value: Any) -> str:
    node, text = entry.value, block.text
    if entry.is_alias or node in block.shared:
        raise block.refusal("an alias and its anchor say it in several places at once")
    if not isinstance(node, ScalarNode) or _is_literal(node):
        raise block.refusal("it is written over several lines, or is a mapping or a list")
    start, end = int(node.start_mark.index), entry.end
    if start == end:
        gap = "" if text[end - 1].isspace() else " "
        return _spliced(text, (end, end, gap + scalars.scalar(value)))
    properties = _PROPERTIES.match(text, start, end)
    start = properties.end() if properties else start
    return _spliced(text, (start, end, _quoted(value, node.style or "")))


_SIMPLE = re.compile(r"[\w./@:+=-]*", re.ASCII)


def _quoted(value: Any, quote: str) -> str:
    """Write a scalar with the quotes of its neighbours, if it is a text that they fit."""
    if quote and isinstance(value, str) and _SIMPLE.fullmatch(value):
        return f"{quote}{value}{quote}"
    return scalars.scalar(value)


# Remove


def _removed(block: _Block, entry: _Entry) -> str:
    if any(entry.start <= node.start_mark.index < entry.end for node in block.shared):
        raise block.refusal("an alias elsewhere leads to an anchor in it")
    if block.node.flow_style:
        return _removed_from_flow(block, entry)
    return _removed_from_lines(block, entry)


def _removed_from_lines(block: _Block, entry: _Entry) -> str:
    text, before = block.text, _before(block.text, entry)
    start, stop = entry.start - len(before), _stop(block, entry)
    if before.strip():
        raise block.refusal("it shares its line with what stands before it")
    if len(block.entries) == 1:
        return _spliced(text, (entry.start, entry.end, "{}"))
    if not text.endswith(("\n", "\r")) and stop == len(text):
        start -= 2 if text.endswith("\r\n", 0, start) else 1
    return _spliced(text, (start, stop, ""))


def _stop(block: _Block, entry: _Entry) -> int:
    """Find the line behind an entry's own: comments that are indented deeper are its own."""
    if not _TAIL.match(block.text, entry.end):
        raise block.refusal("it shares its line with what stands behind it")
    column = len(_before(block.text, entry))
    own = re.compile(rf" {{{column + 1},}}#[^\r\n]*(?:\r\n|\r|\n|\Z)")
    stop = _next_line(block.text, entry.end)
    while comment := own.match(block.text, stop):
        stop = comment.end()
    return stop


def _removed_from_flow(block: _Block, entry: _Entry) -> str:
    text, place = block.text, block.entries.index(entry)
    before = block.entries[place - 1] if place else None
    after = block.entries[place + 1] if place + 1 < len(block.entries) else None
    comma = _COMMA.match(text, entry.end)
    tail = _COMMA_TAIL.match(text, entry.end)
    own_comma = _no_comma(text, before) if before and not comma else ()
    if tail and (tail[1] or not after) and not _before(text, entry).strip():
        start = _line_start(text, entry.start)
        return _spliced(text, (start, _next_line(text, entry.end), ""), *own_comma)
    if after and not _is_beside(text, before, entry) and _is_beside(text, entry, after):
        return _spliced(text, (entry.start, after.start, ""))
    if before and "#" not in text[before.end : entry.start]:
        return _spliced(text, (before.end, entry.end, ""))
    return _spliced(text, (entry.start, comma.end() if comma else entry.end, ""), *own_comma)


def _is_beside(text: str, before: _Entry | None, after: _Entry) -> bool:
    """Say whether an entry starts on the line that the one before it ends on."""
    return before is not None and not _BREAK.search(text, before.end, after.start)


def _no_comma(text: str, entry: _Entry) -> tuple[tuple[int, int, str], ...]:
    """Take the comma away behind an entry that becomes the last."""
    comma = _COMMA.match(text, entry.end)
    return ((comma.start(1), comma.end(1), ""),) if comma else ()


# Add


def _added(block: _Block, edit: Put) -> str:
    keys = [entry.key.value for entry in block.entries]
    place = _place(keys, edit.pointer[-1], edit.order)
    style = _style(block, place)
    if not block.node.flow_style:
        return _added_line(block, place, style.lines(edit.pointer[-1], edit.value))
    written = style.pair(edit.pointer[-1], edit.value)
    if not block.entries:
        return _filled(block, written)
    return _added_before(block, written) if place == 0 else _added_behind(block, place, written)


def _added_line(block: _Block, place: int, lines: list[str]) -> str:
    text, first = block.text, block.entries[0]
    end, indent = _line_break(text, first.start), " " * len(_before(text, first))
    written = [indent + line for line in lines]
    if place == 0:
        if _before(text, first).strip():
            raise block.refusal("the key behind it shares its line with something else")
        at = _line_start(text, first.start)
        return _spliced(text, (at, at, "".join(line + end for line in written)))
    before = block.entries[place - 1]
    at, end = _stop(block, before), _line_break(text, before.end)
    if not text.endswith(("\n", "\r")) and at == len(text):
        return text + "".join(end + line for line in written)
    return _spliced(text, (at, at, "".join(line + end for line in written)))


def _filled(block: _Block, written: str) -> str:
    """Add the first pair of `{}`, within the spaces that it may hold."""
    start = block.text.index("{", block.node.start_mark.index) + 1
    stop = block.node.end_mark.index - 1
    gap = block.text[start:stop]
    return _spliced(block.text, (start, stop, gap + written + gap if gap.isspace() else written))


def _added_before(block: _Block, written: str) -> str:
    text, first = block.text, block.entries[0]
    indent = _before(text, first)
    between = " " if indent.strip() else _line_break(text, first.start) + indent
    return _spliced(text, (first.start, first.start, f"{written},{between}"))


def _added_behind(block: _Block, place: int, written: str) -> str:
    text, entry = block.text, block.entries[place - 1]
    indent, tail = _before(text, entry), _COMMA_TAIL.match(text, entry.end)
    is_last = place == len(block.entries)
    if indent.strip() or not tail or not (tail[1] or is_last):
        return _spliced(text, (entry.end, entry.end, f", {written}"))
    line = _line_break(text, entry.end) + indent + written
    if tail[1]:
        return _spliced(text, (tail.end(), tail.end(), f"{line},"))
    return _spliced(text, (entry.end, tail.end(), f",{tail[0]}{line}"))


class _Style(Struct, frozen=True):
    """How the neighbours of a new key are written; with `step` 0, on one line."""

    step: int
    key_quote: str
    quote: str

    def lines(self, key: str, value: Any) -> list[str]:
        """Write a key with its value as lines of a block."""
        if not self.step or not scalars.is_block(value):
            return [self.pair(key, value)]
        indent = " " * self.step
        return [f"{self._key(key)}:", *(indent + line for line in self._items(value))]

    def _items(self, value: Any) -> Iterator[str]:
        if isinstance(value, Mapping):
            for key, item in value.items():
                yield from self.lines(key, item)
        else:
            yield from (f"- {self._flow(item)}" for item in value)

    def pair(self, key: str, value: Any) -> str:
        """Write a key with its value on one line."""
        return f"{self._key(key)}: {self._flow(value)}"

    def _key(self, key: str) -> str:
        return _quoted(key, self.key_quote) if self.key_quote else scalars.key_text(key)

    def _flow(self, value: Any) -> str:
        if isinstance(value, Mapping):
            return "{" + ", ".join(self.pair(key, item) for key, item in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(map(self._flow, value)) + "]"
        return _quoted(value, self.quote)


def _style(block: _Block, place: int) -> _Style:
    """Look at the neighbours, the one before first, then at what others call the same."""
    near = [*block.entries[:place][::-1], *block.entries[place:]]
    own = [entry for entry in near if not entry.is_alias]
    quotes = (leaf.style or "" for entry in own for leaf in _texts(entry.value))
    return _Style(
        step=_step(block, own),
        key_quote=next((entry.key.style or "" for entry in near), ""),
        quote=next(quotes, ""),
    )


def _texts(node: Node) -> Iterator[ScalarNode]:
    """Walk over the texts in a value that are written on a line."""
    if isinstance(node, ScalarNode):
        is_text = node.tag != yamlio.PLAIN or isinstance(yamlio.core_scalar(node.value), str)
        if is_text and not _is_literal(node):
            yield node
    elif isinstance(node, MappingNode):
        for _, value in node.value:
            yield from _texts(value)
    else:
        for item in node.value:
            yield from _texts(item)


def _step(block: _Block, near: list[_Entry]) -> int:
    """Return by how much mappings within the block are indented; 0 if they are on one line."""
    text, name = block.text, block.pointer[-1]
    for entry in near:
        if isinstance(entry.value, MappingNode) and entry.value.value:
            return _indent(text, block.node, entry.value)
    for other in block.others:
        value = _values(other).get(name)
        if isinstance(value, MappingNode) and value.value and value not in block.shared:
            return _indent(text, other, value)
    return 0


def _indent(text: str, outer: Node, inner: MappingNode) -> int:
    return 0 if inner.flow_style else _column(text, inner) - _column(text, outer)


def _column(text: str, node: Node) -> int:
    start = _key_start(text, node.value[0][0])
    return start - _line_start(text, start)
