"""A comparison of two schemas field by field, for what no manifest at hand happens to use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]

_BOUNDS = (
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
)


@dataclass(frozen=True, slots=True)
class Difference:
    """`place` is a field such as `spec/triggers/[]/type`; `keyword` would refuse what it holds."""

    place: str
    keyword: str
    detail: str


def differences(theirs: Schema, ours: Schema) -> list[Difference]:
    """List where two schemas differ in fields, types, values or bounds, each pair visited once."""
    seen: set[tuple[str, str]] = set()

    def visit(their: Schema, our: Schema, place: str) -> Iterator[Difference]:
        our = _resolved(ours, our)
        pair = json.dumps(their, sort_keys=True), json.dumps(our, sort_keys=True)
        if pair in seen:
            return
        seen.add(pair)
        yield from _field_differences(their, our, place)
        yield from (Difference(place, *unlike) for unlike in _unlike(their, our))
        for step, inner, other in _inner(their, our):
            yield from visit(inner, other, _below(place, step))

    return list(visit(theirs, ours, ""))


def _below(place: str, step: str) -> str:
    return f"{place}/{step}" if place else step


def _resolved(root: Schema, schema: Schema) -> Schema:
    while "$ref" in schema:
        target = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    return schema


def _inner(their: Schema, our: Schema) -> Iterator[tuple[str, Schema, Schema]]:
    fields = our.get("properties", {})
    for name, inner in their.get("properties", {}).items():
        if name in fields:
            yield name, inner, fields[name]
    for keyword, step in (("items", "[]"), ("additionalProperties", "{}")):
        if isinstance(their.get(keyword), dict) and isinstance(our.get(keyword), dict):
            yield step, their[keyword], our[keyword]


def _field_differences(their: Schema, our: Schema, place: str) -> Iterator[Difference]:
    fields, known = set(their.get("properties", ())), set(our.get("properties", ()))
    needed, demanded = set(their.get("required", ())), set(our.get("required", ()))
    found = (
        ("additionalProperties", fields - known, "ours lacks it"),
        ("properties", known - fields, "only ours has it"),
        ("required", demanded - needed, "ours requires it"),
        ("optional", needed - demanded, "only theirs requires it"),
    )
    for keyword, names, detail in found:
        yield from (Difference(_below(place, name), keyword, detail) for name in sorted(names))


def _unlike(their: Schema, our: Schema) -> Iterator[tuple[str, str]]:
    """Say how two schemas differ at their top: the keyword, and what it says in both."""
    if _types(their) != _types(our):
        yield "type", f"{_types(their)}, ours {_types(our)}"
    if sorted(map(str, _listed(their))) != sorted(map(str, _listed(our))):
        yield "enum", f"{_listed(their)}, ours {_listed(our)}"
    if "pattern" in their and "pattern" not in our:
        yield "pattern", f"{their['pattern']}, ours has none"
    if bool(their.get("uniqueItems")) != bool(our.get("uniqueItems")):
        yield "uniqueItems", "in one of them only"
    if _open(their) != _open(our):
        yield "open", f"{_open(their)}, ours {_open(our)}"
    yield from _bounds(their, our)


def _open(schema: Schema) -> str:
    if "object" not in _types(schema):
        return "no map"
    rest = schema.get("additionalProperties", True)
    return "a map" if isinstance(rest, dict) else "free" if rest else "closed"


def _listed(schema: Schema) -> list[Any]:
    listed: list[Any] = schema.get("enum", [schema["const"]] if "const" in schema else [])
    return listed


def _types(schema: Schema) -> list[str]:
    if "type" not in schema:
        return ["string" if isinstance(value, str) else "integer" for value in _listed(schema)][:1]
    types = schema["type"]
    return sorted(types) if isinstance(types, list) else [types]


def _bounds(their: Schema, our: Schema) -> Iterator[tuple[str, str]]:
    for name in _BOUNDS:
        wanted, found = their.get(name), our.get(name)
        if wanted != found and not _bounded_otherwise(name, wanted, our):
            yield name, f"{wanted}, ours {found}"


def _bounded_otherwise(name: str, wanted: int | None, our: Schema) -> bool:
    """A list of values bounds their length, and our patterns refuse the empty text."""
    if "Length" not in name:
        return False
    return "enum" in our or ((name, wanted) == ("minLength", 1) and "pattern" in our)
