"""Prepared manifests: a template is parsed once, values only ever fill its slots.

Jinja's finalize hook records each value and leaves one private-use character in its place. The
text that comes out, the *skeleton*, depends on control flow alone. It is parsed once and becomes a
function from values to the object and its text, as a database prepares a statement: the structure
comes from the template, and no value can change it. The text is never parsed again.

A slot is a whole YAML scalar. If the scalar is nothing but one expression, the slot takes any
value: a number stays a number, a list or mapping becomes a block at that place, a text of several
lines a literal block. If the scalar mixes text and expressions, it is joined to one string.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

from msgspec import Struct, field
from msgspec.structs import replace

from generator import scalars, yamlio
from generator.yamlio import MappingNode, Node, ScalarNode, SequenceNode, YamlError, YamlIssue

FIRST, LAST = 0xE000, 0xF770
_TOKEN = re.compile(f"[{chr(FIRST)}-{chr(LAST)}]")
_PIECES = re.compile(f"([{chr(FIRST)}-{chr(LAST)}])")
CAPACITY = LAST - FIRST + 1
"""How many expressions one template may place."""

_CACHED = 512
"""Skeletons kept per engine; a template has one per combination of its branches."""

Filled = tuple[dict[str, Any], str]
Part = str | int
"""A piece of a composite scalar: fixed text, or the index of a value."""


class SkeletonError(Exception):
    """A template that cannot be prepared; `line` counts from 1 within the skeleton."""

    def __init__(self, line: int, message: str, hint: str = "") -> None:
        self.line = line
        self.message = message
        self.hint = hint
        super().__init__(f"line {line}: {message}")


def token(index: int, line: int = 1) -> str:
    """Return the character that stands for the value of an index."""
    if index >= CAPACITY:
        raise SkeletonError(line, f"more than {CAPACITY} expressions", "place whole lists instead")
    return chr(FIRST + index)


def has_token(text: str) -> bool:
    """Say whether a text is a piece of a skeleton already, as a macro's result is."""
    return not text.isascii() and _TOKEN.search(text) is not None


class Fragment:
    """What a macro or a `{% set %}` block gives: a piece of the skeleton, to be placed as it is.

    Joined with a value, it would let the value into the skeleton, where it could be anything. So
    nothing can be made of a fragment: whatever a template does but to place it is refused.
    """

    __slots__ = ("skeleton",)

    def __init__(self, skeleton: str) -> None:
        self.skeleton = skeleton

    def _refuse(self, *_: object) -> NoReturn:
        message = "what a macro or a set block gives can only be placed as it is"
        raise SkeletonError(1, message, "give the macro what belongs into the same text")

    __str__ = __bool__ = __len__ = __iter__ = __contains__ = __getitem__ = _refuse
    __eq__ = __ne__ = __lt__ = __gt__ = __add__ = __radd__ = __mod__ = __mul__ = _refuse
    __hash__ = _refuse


class Slot(Struct, frozen=True, eq=False):
    """A span of the skeleton and what fills it.

    `parts` is one index for a whole value, or the pieces of a string. `indent` is the indentation
    of a block that takes the span's place; `own_line` says that a block starts on a new line.
    """

    start: int
    end: int
    parts: tuple[Part, ...]
    whole: bool
    indent: str | None
    own_line: bool
    is_key: bool = False

    def source(self, values: str = "v") -> str:
        """Return the expression of the slot's value, over an expression of all values."""
        if self.whole:
            return f"{values}[{self.parts[0]}]"
        pieces = (repr(p) if isinstance(p, str) else f"t({values}[{p}])" for p in self.parts)
        return f"({'+'.join(pieces)})"

    def value(self, values: Sequence[Any]) -> Any:
        """Return the slot's value."""
        if self.whole:
            return values[self.parts[0]]  # type: ignore[index]
        return "".join(p if isinstance(p, str) else as_text(values[p]) for p in self.parts)

    def writer(self, value: str) -> str:
        """Return the expression of the slot's text, given that of its value."""
        if self.is_key:
            return f"key_text({value})"
        if self.indent is None:
            return f"' ' + flow({value})" if self.own_line else f"flow({value})"
        if not self.own_line:
            return f"after_dash({value}, {self.indent!r})"
        known = f"known({value} if {value}.__class__ is str else None)"
        return f"({known} or after_key({value}, {self.indent!r}))"


def as_text(value: Any) -> str:
    """Write a value within a string, as YAML would write it alone; None is nothing."""
    if value.__class__ is str:
        return str(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return scalars.scalar(value)
    if isinstance(value, str):
        return str.__str__(value)
    raise TypeError(f"a {type(value).__name__} cannot be part of a text")


Shape = Any
"""A tree like the data, with Slots where values go and Pairs for mappings."""


class Pairs(Struct, frozen=True):
    """A mapping; with `is_fixed`, no key is a Slot."""

    items: tuple[tuple[Any, Shape], ...]
    is_fixed: bool


class _Reader(Struct):
    """Turns the nodes of a skeleton into its shape, and collects the slots in order."""

    skeleton: str
    slots: list[Slot] = field(default_factory=list)

    def shape(
        self, node: Node, *, indent: int = 0, own_line: bool = False, flow: bool = False
    ) -> Shape:
        """Read a node; `indent` is where a block would stand in its place."""
        flow = flow or bool(getattr(node, "flow_style", False))
        if isinstance(node, MappingNode):
            return self._mapping(node, flow=flow)
        if isinstance(node, SequenceNode):
            return [
                self.shape(item, indent=item.start_mark.column, flow=flow) for item in node.value
            ]
        assert isinstance(node, ScalarNode)
        return self._scalar(node, indent=None if flow else indent, own_line=own_line)

    def _mapping(self, node: MappingNode, *, flow: bool) -> Pairs:
        items = []
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                raise SkeletonError(key.start_mark.line + 1, "a key must be a text")
            read = self._key(key)
            indent = key.start_mark.column + 2
            items.append((read, self.shape(value, indent=indent, own_line=not flow, flow=flow)))
        fixed = [key for key, _ in items if not isinstance(key, Slot)]
        if len(set(fixed)) < len(fixed):
            self._refuse_double(node)
        return Pairs(tuple(items), is_fixed=len(fixed) == len(items))

    def _refuse_double(self, node: MappingNode) -> NoReturn:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen and not has_token(key.value):
                raise SkeletonError(key.start_mark.line + 1, f"duplicate key `{key.value}`")
            seen.add(key.value)
        raise SkeletonError(node.start_mark.line + 1, "duplicate key")

    def _key(self, node: ScalarNode) -> Any:
        """A key is always a text, whatever value it is made of."""
        if not has_token(node.value):
            return node.value
        slot = self._slot(node, node.value, indent=None, own_line=False)
        slot = replace(slot, whole=False, is_key=True)
        self.slots.append(slot)
        return slot

    def _scalar(self, node: ScalarNode, *, indent: int | None, own_line: bool) -> Any:
        text: str = node.value
        line = node.start_mark.line + 1
        if node.tag not in (yamlio.PLAIN, yamlio.QUOTED):
            raise SkeletonError(line, "a tag has no place in a manifest")
        if not has_token(text):
            return text if node.tag == yamlio.QUOTED else _fixed(text, line)
        slot = self._slot(node, text, indent=indent, own_line=own_line)
        self.slots.append(slot)
        return slot

    def _slot(self, node: ScalarNode, text: str, *, indent: int | None, own_line: bool) -> Slot:
        pieces = [piece for piece in _PIECES.split(text) if piece]
        parts = tuple(ord(p) - FIRST if _TOKEN.match(p) else p for p in pieces)
        start, end = node.start_mark.index, node.end_mark.index
        if node.style in ("|", ">"):
            end = start + len(self.skeleton[start:end].rstrip())
        end, is_last = self._line_end(end)
        before = self.skeleton[self.skeleton.rfind("\n", 0, start) + 1 : start]
        if not before.strip(" "):
            indent, own_line = (None if indent is None else len(before)), False
        elif own_line:
            start -= len(before) - len(before.rstrip(" \t"))
        return Slot(
            start=start,
            end=end,
            parts=parts,
            whole=len(parts) == 1 and not node.style,
            indent=" " * indent if indent is not None and is_last else None,
            own_line=own_line,
        )

    def _line_end(self, end: int) -> tuple[int, bool]:
        """Take in spaces at the end of a line; say whether nothing else, no comment, follows."""
        newline = self.skeleton.find("\n", end)
        rest = self.skeleton[end : newline if newline >= 0 else None]
        return (end, False) if rest.strip() else (end + len(rest), True)


def _fixed(text: str, line: int) -> Any:
    """Read a plain scalar of a template, which the cluster's YAML 1.1 has to read alike."""
    if not yamlio.is_unambiguous(text):
        raise SkeletonError(line, f"YAML 1.1 and 1.2 read `{text}` as two things", "quote it")
    return yamlio.core_scalar(text)


class Statement:
    """One prepared skeleton: call `fill` with the values of its slots."""

    def __init__(self, skeleton: str) -> None:
        skeleton = skeleton if skeleton.endswith("\n") else f"{skeleton}\n"
        self.skeleton = skeleton
        node = _composed(skeleton)
        reader = _Reader(skeleton)
        self.shape = shape = reader.shape(node)
        self.slots = sorted(reader.slots, key=lambda slot: slot.start)
        _refuse_strays(skeleton, self.slots)
        self._fill = _compiled(skeleton, shape, self.slots)
        self._is_verified = False

    def fill(self, values: Sequence[Any], *, paranoid: bool = False) -> Filled:
        """Return the object and its text. The first result is read back by a real parser.

        Raises SkeletonError for a value that has no place where it stands.
        """
        try:
            data, text = self._fill(values)
        except (TypeError, ValueError) as error:
            raise SkeletonError(self._line_of(values), str(error)) from None
        except _DoubleKeyError as error:
            line = self._line_of_double(values, error.key)
            raise SkeletonError(line, f"the key `{error.key}` comes out twice") from None
        if paranoid or not self._is_verified:
            _verify(data, text)
            self._is_verified = True
        return data, text

    def _line_of(self, values: Sequence[Any]) -> int:
        """Find the first slot that cannot take its value."""
        for slot in self.slots:
            try:
                for part in slot.parts:
                    scalars.flow(values[part]) if slot.whole else as_text(values[part])  # type: ignore[index]
            except (TypeError, ValueError):
                return self.skeleton.count("\n", 0, slot.end) + 1
        return 1

    def _line_of_double(self, values: Sequence[Any], key: str) -> int:
        """Find the last place that gives a key."""
        found = [slot.end for slot in self.slots if slot.is_key and slot.value(values) == key]
        return self.skeleton.count("\n", 0, max(found, default=0)) + 1


class _DoubleKeyError(Exception):
    """Two values give one mapping the same key."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(key)


def _composed(skeleton: str) -> Node:
    try:
        node = yamlio.compose(skeleton)
    except YamlError as error:
        issue = error.issues[0]
        raise SkeletonError(issue.line, issue.message, issue.hint) from None
    if not isinstance(node, MappingNode):
        raise SkeletonError(1, "a template must give one object", "start with apiVersion and kind")
    return node


def _refuse_strays(skeleton: str, slots: Sequence[Slot]) -> None:
    """An expression in a comment, an anchor or a tag is in no slot."""
    end = 0
    for slot in [*slots, None]:
        start = slot.start if slot else len(skeleton)
        stray = _TOKEN.search(skeleton, end, start)
        if stray:
            line = skeleton.count("\n", 0, stray.start()) + 1
            message = "an expression in a comment, an anchor, an alias or a tag"
            raise SkeletonError(line, message, "expressions stand where a value or a key stands")
        end = slot.end if slot else start


def _compiled(
    skeleton: str, shape: Shape, slots: Sequence[Slot]
) -> Callable[[Sequence[Any]], Filled]:
    """Turn a skeleton into one function, so that filling costs what a literal and a join cost."""
    names = {id(slot): f"s{index}" for index, slot in enumerate(slots) if not slot.whole}
    lines = [f"    {names[id(slot)]} = {slot.source()}" for slot in slots if not slot.whole]
    pieces, end = [], 0
    for slot in slots:
        value = names.get(id(slot), slot.source())
        pieces += [repr(skeleton[end : slot.start]), slot.writer(value)]
        end = slot.end
    pieces.append(repr(skeleton[end:]))
    text = f"''.join(({', '.join(pieces)},))"
    source = "\n".join(["def fill(v):", *lines, f"    return {_source(shape, names)}, {text}"])
    scope: dict[str, Any] = {**_SCOPE}
    exec(compile(source, "<prepared>", "exec"), scope)
    function: Callable[[Sequence[Any]], Filled] = scope["fill"]
    return function


def _source(shape: Shape, names: dict[int, str]) -> str:
    if isinstance(shape, Slot):
        return names.get(id(shape), shape.source())
    if isinstance(shape, list):
        return "[" + ",".join(_source(item, names) for item in shape) + "]"
    if not isinstance(shape, Pairs):
        return repr(shape)
    pairs = [(_source(key, names), _source(value, names)) for key, value in shape.items]
    if shape.is_fixed:
        return "{" + ",".join(f"{key}:{value}" for key, value in pairs) + "}"
    return "pairs([" + ",".join(f"({key},{value})" for key, value in pairs) + "])"


def _pairs(items: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """Build a mapping whose keys are values: they may not be equal."""
    mapping = dict(items)
    if len(mapping) != len(items):
        seen: set[Any] = set()
        raise _DoubleKeyError(next(key for key, _ in items if key in seen or seen.add(key)))  # type: ignore[func-returns-value]
    return mapping


def _verify(data: Any, text: str) -> None:
    try:
        parsed = yamlio.load(text)
    except YamlError as error:
        issue: YamlIssue = error.issues[0]
        raise SkeletonError(
            issue.line, f"the result is not what was meant: {issue.message}"
        ) from None
    if parsed != _plain(data):
        place = next(_differences(_plain(data), parsed), "the object")
        raise SkeletonError(1, f"the text does not say what the object says at {place}")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _differences(left: Any, right: Any, path: str = "") -> Iterator[str]:
    if isinstance(left, dict) and isinstance(right, dict) and left.keys() == right.keys():
        for key in left:
            yield from _differences(left[key], right[key], f"{path}.{key}")
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for index, pair in enumerate(zip(left, right, strict=True)):
            yield from _differences(*pair, f"{path}[{index}]")
    elif left != right:
        yield path.removeprefix(".") or "the root"


_SCOPE = {
    "t": as_text,
    "flow": scalars.flow,
    "key_text": scalars.key_text,
    "after_key": scalars.after_key,
    "known": scalars.known_after_key,
    "after_dash": scalars.after_dash,
    "pairs": _pairs,
}


class Statements:
    """The prepared skeletons of an engine; all are forgotten when they are too many."""

    def __init__(self) -> None:
        self._known: dict[str, Statement] = {}

    def prepare(self, skeleton: str) -> Statement:
        """Return the statement of a skeleton, prepared on first sight."""
        statement = self._known.get(skeleton)
        if statement is None:
            if len(self._known) >= _CACHED:
                self._known.clear()
            statement = self._known[skeleton] = Statement(skeleton)
        return statement
