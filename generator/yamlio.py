"""The only import of yaml: YAML 1.2 from libyaml's nodes, with the place of everything.

PyYAML's own constructors read YAML 1.1, where `no`, `012` and `12:30` are not what they seem, and
keep the last of two equal keys. Here libyaml composes nodes and a small builder reads them: only
the JSON types, keys are always strings, and whatever else YAML offers is a problem.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from typing import Any, NoReturn

import yaml
from msgspec import Struct, field
from yaml.cyaml import CParser  # type: ignore[attr-defined]  # the stubs forget it
from yaml.nodes import MappingNode as MappingNode
from yaml.nodes import Node as Node
from yaml.nodes import ScalarNode as ScalarNode
from yaml.nodes import SequenceNode as SequenceNode

Pointer = tuple[str | int, ...]
"""The way from the root of a document to a value: keys and list indexes."""

PLAIN, QUOTED = "plain", "quoted"
"""The two tags of a composed scalar: how it was written decides what it may be."""
_SEQUENCE, _MAPPING = "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"
_STRING = "tag:yaml.org,2002:str"

NODE_LIMIT = 20_000
"""How many values a document may have once its aliases are followed."""
DEPTH_LIMIT = 50
SIZE_LIMIT = 1 << 20
"""How many characters a document may have, and its values once its aliases are followed."""
ISSUE_LIMIT = 100
"""After so many, a text is no document with mistakes but something else."""

_NESTING = "[{-?"
_HARMLESS = 1_000
"""Levels that any stack takes; with as many characters that nest, they are counted first."""
_TAG_DIRECTIVE = re.compile(r"(?:\A|[\r\n])(%TAG)\b")

RESERVED = re.compile("[\ue000-\uf8ff]")
"""Private-use characters: the renderer marks slots with them, so no value may hold one."""

_AMBIGUOUS_BREAK = re.compile("[\x85\u2028\u2029]")
"""Line breaks to YAML 1.1 and none to 1.2, nor to most editors."""

_CORE = re.compile(
    r"(?P<null>~|null|Null|NULL|)"
    r"|(?P<true>true|True|TRUE)|(?P<false>false|False|FALSE)"
    r"|(?P<int>[-+]?[0-9]{1,4000})|0o(?P<octal>[0-7]{1,4000})|0x(?P<hex>[0-9a-fA-F]{1,4000})"
    r"|(?P<float>[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,3})?)"
    r"|(?P<special>[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))"
)


class YamlIssue(Struct, frozen=True):
    """What is wrong with a text as YAML; `line` and `column` count from 1."""

    line: int
    column: int
    message: str
    hint: str = ""


class YamlError(Exception):
    """Every issue of one text."""

    def __init__(self, issues: list[YamlIssue]) -> None:
        self.issues = issues
        super().__init__("; ".join(f"{i.line}:{i.column}: {i.message}" for i in issues))


class _Resolver:
    """Stands in for yaml's resolver: a tag only says whether the scalar was plain or quoted."""

    def resolve(self, kind: type[Node], value: str, implicit: tuple[bool, bool] | bool) -> str:
        if kind is ScalarNode and isinstance(implicit, tuple):
            return PLAIN if implicit[0] else QUOTED
        return _SEQUENCE if kind is SequenceNode else _MAPPING

    def descend_resolver(self, parent: Node | None, index: object) -> None:
        """Nothing depends on the path."""

    def ascend_resolver(self) -> None:
        """Nothing depends on the path."""


class _Composer(CParser, _Resolver):
    def __init__(self, text: str) -> None:
        CParser.__init__(self, text)
        _Resolver.__init__(self)


def compose(text: str) -> Node | None:
    """Parse one document into nodes, whose tags are `plain` or `quoted`; None if it is empty.

    Raises YamlError with a single issue, since libyaml stops at the first.
    """
    try:
        _refuse_excess(text)
        node: Node | None = _Composer(text).get_single_node()
    except UnicodeEncodeError as error:
        raise YamlError([_surrogate_issue(text, error)]) from None
    except yaml.MarkedYAMLError as error:
        raise YamlError([_syntax_issue(text, error)]) from None
    except yaml.reader.ReaderError as error:
        raise YamlError([_character_issue(text, error)]) from None
    return node


def _refuse_excess(text: str) -> None:
    """Refuse what libyaml takes minutes for, or recurses on until its stack is gone."""
    found = _TAG_DIRECTIVE.search(text) if "%TAG" in text else None
    if found:
        raise YamlError([_at(text, found.start(1), "tags are not allowed", "remove it")])
    if sum(map(text.count, _NESTING)) < _HARMLESS:
        return
    parser, depth = CParser(text), 0
    while (event := parser.get_event()) is not None:
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH_LIMIT:
            raise YamlError([_issue(event, _TOO_DEEP)])


_TOO_DEEP = f"nested more than {DEPTH_LIMIT} levels deep"


def _syntax_issue(text: str, error: yaml.MarkedYAMLError) -> YamlIssue:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    problem = error.problem or "this is not YAML"
    if "'\\t'" in problem or _starts_with_tab(text, line):
        return YamlIssue(line, column, "a tab cannot indent YAML", "indent with spaces")
    if "single document" in (error.context or ""):
        return YamlIssue(line, column, "a second document starts here", "one document per file")
    return (
        _conflict(text)
        or _unclosed(error, line)
        or _unseparated(text, error, line, column)
        or _syntax_in_words(text, error, line, column)
    )


def _conflict(text: str) -> YamlIssue | None:
    found = re.search("^<<<<<<< ", text, re.MULTILINE)
    message = "two versions of this file were merged and nobody chose"
    return found and _at(text, found.start(), message, "resolve the conflict")


_OPEN = {"mapping": "brace", "sequence": "bracket", "scalar": "quote"}


def _unclosed(error: yaml.MarkedYAMLError, line: int) -> YamlIssue | None:
    """Blame the brace, bracket or quote that is still open, however late that is noticed."""
    start, context, problem = error.context_mark, error.context or "", error.problem or ""
    what = _OPEN.get(context.rpartition(" ")[2])
    is_late = "unexpected" in problem if what == "quote" else "flow" in context
    if what is None or start is None or not is_late:
        return None
    if what != "quote" and start.line + 1 == line:
        return None
    hint = "close it" if what == "quote" else "close it, and put commas between what it holds"
    return YamlIssue(start.line + 1, start.column + 1, f"this {what} is not closed", hint)


_NO_SPACE = re.compile(r"\s*(?:- )?([\w-]+):(?=[^\s/:])")


def _unseparated(
    text: str, error: yaml.MarkedYAMLError, line: int, column: int
) -> YamlIssue | None:
    """Blame the line above where a key has no colon, or no space behind it."""
    problem, lines = error.problem or "", _lines(text)
    if "could not find expected ':'" in problem and error.context_mark:
        place = error.context_mark.line
    elif "mapping values are not allowed" in problem and _is_key(lines[line - 1], column):
        place = next((n for n in range(line - 2, -1, -1) if lines[n].strip()), 0)
    else:
        return None
    above = lines[place]
    glued = _NO_SPACE.match(above)
    if glued:
        message = f"a space is missing after `{glued[1]}:`"
        return YamlIssue(place + 1, glued.end() + 1, message, "put a space after the colon")
    if ":" not in above:
        return YamlIssue(place + 1, _start(above), "a colon is missing", "a key ends with `: `")
    message = "this line is indented further than the one above"
    return YamlIssue(line, _start(lines[line - 1]), message, _ALIGN)


def _start(line: str) -> int:
    return len(line) - len(line.lstrip()) + 1


_ALIGN = "give the keys of one block the same indentation"


def _lines(text: str) -> list[str]:
    """Split a text where libyaml counts lines."""
    return [*re.split("\r\n|[\r\n\x85\u2028\u2029]", text), ""]


def _is_key(line: str, column: int) -> bool:
    """Say whether the colon at a column ends the first word of its line."""
    return re.fullmatch(r"\s*(?:- )?[\w\"'.-]+", line[: column - 1]) is not None


def _syntax_in_words(text: str, error: yaml.MarkedYAMLError, line: int, column: int) -> YamlIssue:
    problem, whole = error.problem or "", _lines(text)[line - 1]
    before, here = whole[: column - 1], whole[column - 1 : column]
    if here in ("}", "]"):
        return YamlIssue(line, column, f"this `{here}` closes nothing", "remove it")
    for sign, message, hint in _SYNTAX:
        if sign in problem and not (hint == _ALIGN and before.strip()):
            return YamlIssue(line, column, message, hint)
    said = " ".join(part for part in (problem, error.context) if part)
    return YamlIssue(line, column, f"this is not YAML: {said}", "look at what stands before it")


_SYNTAX = (
    ("mapping values are not allowed", "a text with `: ` in it has no quotes", "quote the text"),
    ("undefined alias", "this is not the name of an anchor", "quote a text that starts with `*`"),
    ("cannot start any token", "no text starts like this", "quote a text that starts like this"),
    ("unknown escape", "`\\` starts an escape here", "write `\\\\`, or use single quotes"),
    ("expected ',' or", "a comma is missing before this", "put commas between what it holds"),
    ("expected node content", "a value is missing before this", "write it, or remove the comma"),
    ("did not find expected key", "this line is in line with none of the keys above", _ALIGN),
    ("expected '-' indicator", "this line is in line with the items of a list", _ALIGN),
    ("did not find expected key", "the value is over before this", "quote the whole text"),
    ("<document start>", "the document is over before this", "put all keys into one mapping"),
)
"""What libyaml says, and what a person should hear instead."""


def _starts_with_tab(text: str, line: int) -> bool:
    lines = text.split("\n")
    around = lines[max(0, line - 2) : line]
    return any(
        "\t" in candidate[: len(candidate) - len(candidate.lstrip())] for candidate in around
    )


def _character_issue(text: str, error: yaml.reader.ReaderError) -> YamlIssue:
    found = re.search("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", text)
    if found is None:
        return YamlIssue(1, 1, f"this is not YAML: {error.reason}")
    message = f"U+{ord(found[0]):04X} is not allowed in YAML: {error.reason}"
    return _at(text, found.start(), message, "remove it")


def _surrogate_issue(text: str, error: UnicodeEncodeError) -> YamlIssue:
    message = f"U+{ord(text[error.start]):04X} is half of a character"
    return _at(text, error.start, message, "remove it")


def _at(text: str, index: int, message: str, hint: str) -> YamlIssue:
    before = text[:index]
    return YamlIssue(before.count("\n") + 1, index - before.rfind("\n"), message, hint)


def core_scalar(text: str) -> Any:
    """Read a plain scalar by the YAML 1.2 core schema; a float without a fraction is an int."""
    match = _CORE.fullmatch(text)
    if match is None:
        return text
    kind = match.lastgroup or "null"
    return _READ[kind](match[kind])


_OLD = yaml.resolver.Resolver()
_CANONICAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")


def is_unambiguous(text: str) -> bool:
    """Say whether YAML 1.1, which clusters read, takes a plain scalar for what 1.2 does."""
    value = core_scalar(text)
    tag = _OLD.resolve(ScalarNode, text, (True, False)).rpartition(":")[2]  # type: ignore[no-untyped-call]
    if isinstance(value, str):
        return bool(tag == "str")
    if value is None or isinstance(value, bool):
        return tag in ("null", "bool")
    return bool(_CANONICAL.fullmatch(text))


def _number(text: str) -> int | float:
    number = float(text)
    return int(number) if number.is_integer() and abs(number) < 1e15 else number


_READ: dict[str, Any] = {
    "null": lambda _: None,
    "true": lambda _: True,
    "false": lambda _: False,
    "int": int,
    "octal": lambda digits: int(digits, 8),
    "hex": lambda digits: int(digits, 16),
    "float": _number,
    "special": lambda text: float(text.replace(".", "")),
}

_memo: dict[str, Any] = {}
_MEMO_LIMIT = 5_000


def _plain(text: str) -> Any:
    try:
        return _memo[text]
    except KeyError:
        if len(_memo) >= _MEMO_LIMIT:
            _memo.clear()
        value = _memo[text] = core_scalar(text)
        return value


class _Builder(Struct):
    """Reads nodes into plain data and collects what YAML allows and this format does not."""

    issues: list[YamlIssue] = field(default_factory=list)
    count: int = 0
    size: int = 0
    open: list[Node] = field(default_factory=list)

    def build(self, node: Node) -> Any:
        self.count += 1
        if self.count > NODE_LIMIT:
            raise YamlError(
                [_issue(node, f"more than {NODE_LIMIT} values once aliases are followed")]
            )
        if node.__class__ is ScalarNode:
            return self._scalar(node)
        if len(self.open) >= DEPTH_LIMIT:
            raise YamlError([_issue(node, _TOO_DEEP)])
        if node in self.open:  # nodes are equal only if they are the same
            raise YamlError([_issue(node, "an alias that contains itself", "write the value out")])
        self.open.append(node)
        value = self._mapping(node) if node.__class__ is MappingNode else self._sequence(node)
        self.open.pop()
        return value

    def _scalar(self, node: Node) -> Any:
        value = node.value
        self.size += len(value)
        if self.size > SIZE_LIMIT:
            raise YamlError([_issue(node, "larger than 1 MiB once aliases are followed")])
        if node.tag == PLAIN:
            value = _plain(value)
            if value.__class__ is float and not math.isfinite(value):
                self._add(node, f"{node.value} is not a finite number", "write a number")
        elif node.tag not in (QUOTED, _STRING):
            self._add(node, f"tag {_tag(node)} is not allowed", "write the plain value")
        if value.__class__ is str and not value.isascii() and RESERVED.search(value):
            self._add(node, "a private-use character (U+E000 to U+F8FF)", "remove it")
        return value

    def _mapping(self, node: Node) -> dict[str, Any]:
        if node.tag != _MAPPING:
            self._add(node, f"tag {_tag(node)} is not allowed", "write a plain mapping")
        seen: dict[str, Node] = {}
        values: dict[str, Any] = {}
        for key, value in node.value:
            if self._key_is_fine(key, seen):
                seen[key.value] = key
                values[key.value] = self.build(value)
        return values

    def _key_is_fine(self, key: Node, seen: dict[str, Node]) -> bool:
        if key.__class__ is not ScalarNode:
            self._add(key, "a key must be a text", "quote it if it starts with { or [")
        elif key.tag not in (PLAIN, QUOTED, _STRING):
            self._add(key, f"tag {_tag(key)} is not allowed", "write the plain key")
        elif key.value == "<<" and key.tag == PLAIN:
            self._add(key, "merge keys (`<<`) are not YAML 1.2", "write the keys out")
        elif key.value in seen:
            line = seen[key.value].start_mark.line + 1
            hint = f"keep one of them; the first is on line {line}"
            self._add(key, f"duplicate key `{key.value}`", hint)
        elif not key.value.isascii() and RESERVED.search(key.value):
            self._add(key, "a private-use character (U+E000 to U+F8FF)", "remove it")
        else:
            return True
        return False

    def _sequence(self, node: Node) -> list[Any]:
        if node.tag != _SEQUENCE:
            self._add(node, f"tag {_tag(node)} is not allowed", "write a plain list")
        return [self.build(item) for item in node.value]

    def _add(self, node: Node, message: str, hint: str = "") -> None:
        self.issues.append(_issue(node, message, hint))
        if len(self.issues) == ISSUE_LIMIT:
            raise YamlError(self.issues)


def _tag(node: Node) -> str:
    return str(node.tag).replace("tag:yaml.org,2002:", "!!")


def _issue(node: Any, message: str, hint: str = "") -> YamlIssue:
    return YamlIssue(node.start_mark.line + 1, node.start_mark.column + 1, message, hint)


def load(text: str) -> Any:
    """Read one document into dicts, lists, strings, numbers, booleans and None.

    An empty document is None. Raises YamlError with every issue of the text, or with the first
    where libyaml cannot go on.
    """
    if len(text) > SIZE_LIMIT:
        raise YamlError([YamlIssue(1, 1, f"larger than {SIZE_LIMIT >> 20} MiB")])
    found = None if text.isascii() else _AMBIGUOUS_BREAK.search(text)
    if found:
        message = f"U+{ord(found[0]):04X} is a line break to some readers of YAML only"
        hint = f'remove it, or write "\\u{ord(found[0]):04x}"'
        raise YamlError([_at(text, found.start(), message, hint)])
    with suppress(_NotSimpleError):
        return _simple(text)
    node = compose(text)
    if node is None:
        return None
    builder = _Builder()
    value = builder.build(node)
    if builder.issues:
        raise YamlError(builder.issues)
    return value


class _NotSimpleError(Exception):
    """A text that has more than simple lines."""


_PLAIN_END = r"[A-Za-z0-9_./@+=~%,;()'-]"
_SIMPLE = re.compile(
    r"( *)(?:- +|([A-Za-z_][A-Za-z0-9_./-]{0,100}):(?: +|$))"
    rf"(?:(-{{0,2}}[A-Za-z0-9_./~]{_PLAIN_END}*(?:(?: +|:){_PLAIN_END}+)*)"
    r"|'([^']*)'|\"([^\"\\]*)\")?(?: +#.*| *)"
)
"""One key, or one item of a list, with at most a scalar on the same line."""
_NOT_SIMPLE = re.compile(r"[^\n -~]")
_SIMPLE_LIMIT = 20_000
"""Characters of a text that cannot be beyond any limit but that of depth."""


def _simple(text: str) -> Any:
    """Read a text of simple lines, as nearly all specs are, faster than libyaml can.

    Raises _NotSimpleError for whatever else YAML has, mistakes included.
    """
    if len(text) > _SIMPLE_LIMIT or _NOT_SIMPLE.search(text):
        raise _NotSimpleError
    at, awaiting = 0, None
    root: dict[str, Any] = {}
    holder: Any = root
    around: list[tuple[int, Any]] = []
    for line in _said(text):
        read = _simple_line if len(line) > _SHORT else _lately_read
        indent, key, value, is_open = read(line)
        if awaiting is not None and indent + (key is None) > at:
            around.append((at, holder))
            holder[awaiting] = [] if key is None else {}
            at, holder = indent, holder[awaiting]
        while indent < at or (key is not None and holder.__class__ is list):
            at, holder = around.pop()
        if indent != at or len(around) >= DEPTH_LIMIT - 1:
            raise _NotSimpleError
        if holder.__class__ is list:
            _append(holder, key, value)
        elif key is None or key in holder:
            raise _NotSimpleError
        else:
            holder[key] = value
        awaiting = key if is_open else None
    return root or _no_root()


def _said(text: str) -> Iterable[str]:
    """Give the lines of a text that say something."""
    lines = filter(None, text.split("\n"))
    if "#" not in text:
        return lines
    return [line for line in lines if not line.lstrip(" ").startswith("#")]


def _no_root() -> NoReturn:
    raise _NotSimpleError


def _simple_line(line: str) -> tuple[int, str | None, Any, bool]:
    """Read indentation, key and value, and say whether the value may be on the next lines."""
    found = _SIMPLE.fullmatch(line)
    if found is None:
        raise _NotSimpleError
    spaces, key, plain, single, double = found.groups()
    if plain is None:
        return len(spaces), key, double if single is None else single, found.lastindex == 2
    value = _plain(plain)
    if value.__class__ is float and not math.isfinite(value):
        raise _NotSimpleError
    return len(spaces), key, value, False


_SHORT = 100
_lately_read = lru_cache(4096)(_simple_line)
"""Reads a short line: the specs of a fleet say most things in the same words."""


def _append(items: list[Any], key: str | None, value: Any) -> None:
    if key is not None or value is None:
        raise _NotSimpleError
    items.append(value)


class Position(Struct, frozen=True):
    """Where something stands in a text, counted from 1, and how it was written there."""

    line: int
    column: int
    written: str = ""


def position(text: str, pointer: Pointer, *, key: bool = False) -> Position:
    """Find the value at a pointer, or its key; where it is missing, what should contain it.

    The text is parsed anew: places are asked for when something is wrong, and only then.
    """
    node = _composed_lately(text)
    if node is None:
        return Position(1, 1)
    place = node
    for step in pointer:
        key_node, value_node = _step(node, step)
        if value_node is None:
            return _position(place)
        place = key_node if key_node is not None else value_node
        node = value_node
    return _position(place if key else _inner(place, node))


_composed_lately = lru_cache(2)(compose)
"""Where one thing is wrong there is often another."""


def _inner(place: Node, node: Node) -> Node:
    """A block collection starts on the line after its key: the key is the place to show."""
    is_block = not isinstance(node, ScalarNode) and not getattr(node, "flow_style", False)
    return place if is_block else node


def _step(node: Node, step: str | int) -> tuple[Node | None, Node | None]:
    if isinstance(node, MappingNode):
        return next(((k, v) for k, v in node.value if k.value == step), (None, None))
    if isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
        return None, node.value[step]
    return None, None


def _position(node: Node) -> Position:
    mark = node.start_mark
    return Position(
        mark.line + 1, mark.column + 1, node.value if isinstance(node, ScalarNode) else ""
    )


def pointers(data: Any, prefix: Pointer = ()) -> Iterator[tuple[Pointer, Any]]:
    """Walk over every leaf of plain data, in order; an empty collection is a leaf."""
    if isinstance(data, dict) and data:
        for key, value in data.items():
            yield from pointers(value, (*prefix, key))
    elif isinstance(data, list) and data:
        for index, value in enumerate(data):
            yield from pointers(value, (*prefix, index))
    else:
        yield prefix, data
