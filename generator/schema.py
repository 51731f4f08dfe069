"""The only import of jsonschema-rs: compile a schema, run it, say what it found in plain words."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

from generator.yamlio import Pointer

SCHEMAS = Path(__file__).parent / "schemas"
DOCUMENT_KINDS = ("model", "environment")
_SHARED = "common.schema.json"


@dataclass(frozen=True, slots=True)
class Violation:
    """One way in which data breaks its schema.

    `pointer` leads to the value, or to the key when `at_key` is set; `wants_text` marks a number,
    boolean or null that stands where a text belongs, so that a caller who knows how the value was
    written can say how to quote it.
    """

    pointer: Pointer
    message: str
    hint: str = ""
    at_key: bool = False
    wants_text: bool = False
    keyword: str = ""


class Validator:
    """A compiled schema. `accepts` is for the many that are right, `violations` for the few."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self.schema = schema
        self._compiled = jsonschema_rs.Draft202012Validator(schema)
        self.accepts: Callable[[Any], bool] = self._compiled.is_valid

    def violations(self, data: Any) -> list[Violation]:
        """List every violation, each place once, in the order of the document."""
        found: dict[tuple[Pointer, str], Violation] = {}
        for error in self._compiled.iter_errors(data):
            for violation in _violations(self.schema, error):
                found.setdefault((violation.pointer, violation.message), violation)
        return list(found.values())


@cache
def document_schema(kind: str) -> dict[str, Any]:
    """Return the schema of `model` or `environment` as one self-contained document."""
    schema: dict[str, Any] = json.loads((SCHEMAS / f"{kind}.schema.json").read_text("utf-8"))
    shared = json.loads((SCHEMAS / _SHARED).read_text("utf-8"))
    bundled: dict[str, Any] = _local({**schema, "$defs": {**shared["$defs"], **schema["$defs"]}})
    return bundled


def _local(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: value.removeprefix(_SHARED) if key == "$ref" else _local(value)
            for key, value in node.items()
        }
    return [_local(item) for item in node] if isinstance(node, list) else node


@cache
def document_validator(kind: str) -> Validator:
    """Compile the schema of `model` or `environment`."""
    return Validator(document_schema(kind))


def resolve_reference(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """Follow a local `$ref`, keeping what stands beside it."""
    reference = node.get("$ref")
    if reference is None:
        return node
    target: Any = schema
    for step in reference.removeprefix("#/").split("/"):
        target = target[step]
    beside = {key: value for key, value in node.items() if key != "$ref"}
    return {**resolve_reference(schema, target), **beside}


def _violations(schema: dict[str, Any], error: Any) -> Iterator[Violation]:
    pointer: Pointer = tuple(error.instance_path)
    explain = _EXPLAIN.get(error.kind.name, _unexplained)
    for violation in explain(schema, error, pointer):
        yield replace(violation, keyword=error.kind.name)


def _holder(schema: dict[str, Any], error: Any) -> dict[str, Any]:
    """Find the sub-schema that holds the failed keyword; the path has its references followed."""
    node: Any = schema
    for step in tuple(error.schema_path)[:-1]:
        node = node[step]
    return node if isinstance(node, dict) else {}


def described(schema: dict[str, Any], pointer: Pointer) -> dict[str, Any]:
    """Find what a schema says about the value at a pointer, with its references followed."""
    node = schema
    for step in pointer:
        node = _inside(resolve_reference(schema, node), step)
    return resolve_reference(schema, node)


def _inside(node: dict[str, Any], step: str | int) -> dict[str, Any]:
    named = node.get("items") if isinstance(step, int) else node.get("properties", {}).get(step)
    inner = named if named is not None else node.get("additionalProperties")
    return inner if isinstance(inner, dict) else {}


def _unknown_keys(schema: dict[str, Any], error: Any, pointer: Pointer) -> Iterator[Violation]:
    known = list(_holder(schema, error).get("properties", ()))
    for key in error.kind.unexpected:
        yield Violation(
            (*pointer, key), f"unknown key `{key}`", suggestion(key, known), at_key=True
        )


def suggestion(word: str, known: Iterable[str]) -> str:
    """Offer the likeliest known word, or all of them when none is near."""
    candidates = list(known)
    spelled = {candidate.lower(): candidate for candidate in candidates}
    near = difflib.get_close_matches(word.lower(), spelled, n=1, cutoff=0.6)
    holding = [name for name in candidates if word and word.lower() in name.lower()]
    if near or len(holding) == 1:
        return f"did you mean `{spelled[near[0]] if near else holding[0]}`?"
    if not candidates:
        return "remove it"
    return "known here: " + ", ".join(f"`{candidate}`" for candidate in candidates)


def _required(schema: dict[str, Any], error: Any, pointer: Pointer) -> Iterator[Violation]:
    key = error.kind.property
    example = _example(described(schema, (*pointer, key)))
    hint = f"add `{key}: {example}`" if example else f"add `{key}`"
    yield Violation(pointer, f"`{key}` is missing", hint)


def _dependent(schema: dict[str, Any], error: Any, pointer: Pointer) -> Iterator[Violation]:
    wanted = _holder(schema, error).get("dependentRequired", {})
    for key, others in wanted.items():
        for other in others:
            if key in error.instance and other not in error.instance:
                yield Violation(
                    (*pointer, key), f"`{key}` needs `{other}` beside it", f"add `{other}`"
                )


def _example(node: dict[str, Any]) -> str:
    examples = node.get("examples")
    return json.dumps(examples[0], ensure_ascii=False) if examples else ""


def _for_example(schema: dict[str, Any], pointer: Pointer) -> str:
    example = _example(described(schema, pointer))
    return f"for example {example}" if example else ""


_TYPE_NAMES = {
    "object": "a mapping of keys",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


def describe(value: Any) -> str:
    """Name a value as a person would: `12 (a number)`, `a list`, `nothing`."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return f"{str(value).lower()} (true or false)"
    if isinstance(value, int | float):
        return f"{value} (a number)"
    if isinstance(value, str):
        return f"the text {shorten(value)}"
    return "a list" if isinstance(value, list) else "a mapping of keys"


def shorten(value: Any) -> str:
    """Show a value within a message, cut where it is long."""
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def _type(schema: dict[str, Any], error: Any, pointer: Pointer) -> Iterator[Violation]:
    types = [str(name) for name in error.kind.types]
    wanted = " or ".join(_TYPE_NAMES[name] for name in types)
    text = "string" in types and isinstance(error.instance, bool | int | float)
    hint = _for_example(schema, pointer)
    yield Violation(
        pointer, f"this must be {wanted}, not {describe(error.instance)}", hint, wants_text=text
    )


def _enum(schema: dict[str, Any], error: Any, pointer: Pointer) -> Iterator[Violation]:
    options = _holder(schema, error).get("enum", [])
    shown = ", ".join(f"`{option}`" for option in options)
    near = suggestion(str(error.instance), [str(option) for option in options])
    hint = near if near.startswith("did you mean") else f"one of {shown}"
    yield Violation(pointer, f"{shorten(error.instance)} is not one of {shown}", hint)


def _constant(schema: dict[str, Any], error: Any, pointer: Pointer) -> Iterator[Violation]:
    wanted = shorten(error.kind.expected_value)
    yield Violation(pointer, f"this must be {wanted}", f"write {wanted}")


def _pattern(schema: dict[str, Any], error: Any, pointer: Pointer) -> Iterator[Violation]:
    node = _holder(schema, error)
    meaning = node.get("x-pattern-means", f"a text like {node.get('pattern')}")
    message = f"{shorten(error.instance)} is not {meaning}"
    yield Violation(pointer, message, _for_example(schema, pointer))


def _property_name(schema: dict[str, Any], error: Any, pointer: Pointer) -> Iterator[Violation]:
    key = error.kind.error.instance
    meaning = _holder(schema, error).get("x-pattern-means", "a key that is allowed here")
    yield Violation((*pointer, key), f"`{key}` is not {meaning}", at_key=True)


def _bound(text: str) -> Callable[[dict[str, Any], Any, Pointer], Iterator[Violation]]:
    def explain(schema: dict[str, Any], error: Any, pointer: Pointer) -> Iterator[Violation]:
        limit = getattr(error.kind, "limit", None)
        yield Violation(pointer, f"{shorten(error.instance)} is {text} {limit}")

    return explain


def _size(text: str) -> Callable[[dict[str, Any], Any, Pointer], Iterator[Violation]]:
    def explain(schema: dict[str, Any], error: Any, pointer: Pointer) -> Iterator[Violation]:
        limit = getattr(error.kind, "limit", "")
        yield Violation(pointer, text.format(limit=limit))

    return explain


def _unexplained(schema: dict[str, Any], error: Any, pointer: Pointer) -> Iterator[Violation]:
    yield Violation(pointer, str(error.message))


_EXPLAIN: dict[str, Callable[[dict[str, Any], Any, Pointer], Iterator[Violation]]] = {
    "additionalProperties": _unknown_keys,
    "unevaluatedProperties": _unknown_keys,
    "required": _required,
    "dependentRequired": _dependent,
    "type": _type,
    "enum": _enum,
    "const": _constant,
    "pattern": _pattern,
    "propertyNames": _property_name,
    "minimum": _bound("less than"),
    "maximum": _bound("more than"),
    "exclusiveMinimum": _bound("not more than"),
    "exclusiveMaximum": _bound("not less than"),
    "minLength": _size("this text is shorter than {limit}"),
    "maxLength": _size("this text is longer than {limit} characters"),
    "minItems": _size("this list needs at least {limit}"),
    "maxItems": _size("this list has more than {limit}"),
    "minProperties": _size("this needs at least {limit} key"),
    "maxProperties": _size("this has more than {limit} keys"),
    "uniqueItems": _size("this list says something twice"),
}
