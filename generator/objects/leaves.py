"""What a schema says of single values of an object, each apart from all others.

An object is right if every keyword of its schema agrees. Most keywords look at one value, or at
which keys there are. So, of two objects with the same keys, where one is known to be right, the
other one is right if each value that differs is right for itself; unless a keyword compares values,
or lets one decide about another, which is found out here and is for the whole schema to judge.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from generator.schema import Validator

Mark = TypeVar("Mark")

_OF_SHAPE = frozenset(
    (
        "type",
        "required",
        "minProperties",
        "maxProperties",
        "dependentRequired",
        "propertyNames",
        "minItems",
        "maxItems",
    )
)
"""Keywords that look at keys and sizes, and at no value within."""
_OF_NOTHING = frozenset(
    ("$schema", "$id", "$defs", "$comment", "title", "description", "default", "examples")
)
_INTO = frozenset(("properties", "additionalProperties", "items"))
_COMBINED = frozenset(("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "contains"))


_SAME = 512
"""Collections that are remembered of one place."""


class EntangledError(Exception):
    """A schema judges values together that would have to be judged one by one."""


class Leaf:
    """What a schema says of one place, and which values it has accepted there."""

    def __init__(self, schema: dict[str, Any], node: dict[str, Any]) -> None:
        self._types = node.get("type") if node.keys() <= {"type"} else None
        definitions = {name: schema["$defs"][name] for name in _reached(schema, node)}
        whole = {"$schema": schema.get("$schema", ""), **node, "$defs": definitions}
        self.accepts: Callable[[Any], bool] = Validator(whole).accepts
        self._known: dict[type, set[Any]] = {}
        self._same: dict[int, Any] = {}

    def accepts_again(self, value: Any) -> bool:
        """Say whether a collection is right, which many objects share: it is looked at once.

        Nothing that is rendered is ever changed.
        """
        if self._same.get(id(value)) is value:
            return True
        is_right = self.accepts(value)
        if is_right:
            if len(self._same) >= _SAME:
                self._same.clear()
            self._same[id(value)] = value
        return is_right

    def takes_all(self, type_: type) -> bool:
        """Say whether a place takes every value of a class if it takes one."""
        return self._types is not None and type_ in (str, bool, int)

    def known(self, type_: type) -> set[Any] | None:
        """Return the accepted values of a class, to be added to; None if they cannot be kept."""
        return self._known.setdefault(type_, set()) if type_ in (str, bool, int, float) else None


class Leaves:
    """The single places of one schema."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema
        self._known: dict[str, Leaf] = {}
        self._of_nodes: dict[int, Leaf] = {}

    def apart(self, data: Any, marks: type[Mark]) -> Iterator[tuple[Mark, Leaf]]:
        """List the marked values within data that is right, each with what judges it alone.

        Raises EntangledError where the schema judges a marked value together with others.
        """
        for mark, node in _apart(self._schema, self._schema, data, marks):
            if id(node) not in self._of_nodes:
                self._of_nodes[id(node)] = self._leaf(_said(self._schema, node))
            yield mark, self._of_nodes[id(node)]

    def _leaf(self, said: dict[str, Any]) -> Leaf:
        """Give what judges a place; places of which the schema says the same share it."""
        text = json.dumps(said, sort_keys=True)
        if text not in self._known:
            self._known[text] = Leaf(self._schema, said)
        return self._known[text]


def _apart(
    schema: dict[str, Any], node: Any, data: Any, marks: type[Mark]
) -> Iterator[tuple[Mark, dict[str, Any]]]:
    """Follow data through its schema down to the marks; what holds none has been judged.

    Gives nodes of the schema itself, which are there for as long as it is.
    """
    if not isinstance(node, dict) or not _holds(data, marks):
        return
    if isinstance(data, marks):
        yield data, node
        return
    for keyword, said in node.items():
        if keyword in ("then", "else") and _is_settled(schema, node.get("if", True), data, marks):
            yield from _apart(schema, said, data, marks)
        elif keyword == "$ref" or keyword == "allOf" or keyword in _INTO:
            for inner, value in _steps(schema, node, keyword, data):
                yield from _apart(schema, inner, value, marks)
        elif not _is_settled(schema, {keyword: said}, data, marks):
            raise EntangledError(keyword)


def _is_settled(schema: dict[str, Any], node: Any, data: Any, marks: type[Mark]) -> bool:
    """Say whether a sub-schema says the same of all data like this, whatever is marked."""
    if not isinstance(node, dict) or not _holds(data, marks):
        return True
    if isinstance(data, marks):
        return node.keys() <= _OF_NOTHING
    return all(
        keyword in _OF_SHAPE
        or keyword in _OF_NOTHING
        or keyword.startswith("x-")
        or (
            (keyword == "$ref" or keyword in _INTO or keyword in _COMBINED)
            and all(
                _is_settled(schema, inner, value, marks)
                for inner, value in _steps(schema, node, keyword, data)
            )
        )
        for keyword in node
    )


def _steps(
    schema: dict[str, Any], node: dict[str, Any], keyword: str, data: Any
) -> Iterator[tuple[Any, Any]]:
    """Pair the sub-schemas of a keyword with the data that each is about."""
    said = node[keyword]
    if keyword == "$ref":
        yield _target(schema, said), data
    elif keyword in ("items", "contains"):
        yield from ((said, value) for value in data if isinstance(data, list))
    elif keyword in _INTO and isinstance(data, dict):
        known = node.get("properties", {})
        inside = [key for key in data if (key in known) == (keyword == "properties")]
        yield from ((known.get(key, said), data[key]) for key in inside)
    elif keyword in _COMBINED:
        yield from ((inner, data) for inner in (said if isinstance(said, list) else [said]))


def _holds(data: Any, marks: type[Mark]) -> bool:
    if isinstance(data, marks):
        return True
    inner = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    return any(_holds(value, marks) for value in inner)


def _said(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """Return what a sub-schema demands, without references at its top."""
    while node.keys() - _OF_NOTHING == {"$ref"}:
        node = _target(schema, node["$ref"])
    own = node.keys() - _OF_NOTHING
    return {key: node[key] for key in node if key in own and not key.startswith("x-")}


def _target(schema: dict[str, Any], reference: str) -> Any:
    name = reference.removeprefix("#/$defs/")
    if name not in schema.get("$defs", {}):
        raise EntangledError(reference)
    return schema["$defs"][name]


def _reached(schema: dict[str, Any], node: Any) -> set[str]:
    """Name the definitions that a sub-schema refers to, however far."""
    found: set[str] = set()
    waiting = [node]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, dict):
            name = str(inner.get("$ref", "")).removeprefix("#/$defs/")
            if name and name not in found:
                found.add(name)
                waiting.append(_target(schema, inner["$ref"]))
        if isinstance(inner, dict | list):
            waiting += inner.values() if isinstance(inner, dict) else inner
    return found
