"""The only import of jsonschema-rs: compile a schema, run it, say what it found in plain words."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import jsonschema_rs
from msgspec import Struct
from msgspec.structs import replace

from generator import scalars
from generator.compiled import kept
from generator.yamlio import Pointer, core_scalar

SCHEMAS = Path(__file__).parent / "schemas"
DOCUMENT_KINDS = ("model", "environment")


class Violation(Struct, frozen=True):
    """One way in which data breaks its schema.

    `pointer` leads to the value, or to the key when `at_key` is set; `wants_text` marks a number or
    boolean that stands where a text belongs, so that a caller who knows how the value was written
    can say how to write it. `missing` leads to a key that should be there, `meant` to the key that
    an unknown one most likely stands for.
    """

    pointer: Pointer
    message: str
    hint: str = ""
    at_key: bool = False
    wants_text: bool = False
    keyword: str = ""
    missing: Pointer = ()
    meant: Pointer = ()


class Validator:
    """A compiled schema. `accepts` is for the many that are right, `violations` for the few."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self.schema = schema
        self._compiled = jsonschema_rs.Draft202012Validator(schema)
        self.accepts: Callable[[Any], bool] = self._compiled.is_valid

    def violations(self, data: Any) -> list[Violation]:
        """List every violation, each place once; a misspelt key is not missing as well."""
        found: dict[tuple[Pointer, str], Violation] = {}
        for error in self._compiled.iter_errors(data):
            for violation in _violations(self.schema, error):
                found.setdefault((violation.pointer, violation.message), violation)
        misspelt = {violation.meant for violation in found.values() if violation.meant}
        return [violation for violation in found.values() if violation.missing not in misspelt]


@cache
def document_schema(kind: str) -> dict[str, Any]:
    """Return the schema of `model` or `environment` as one self-contained document."""
    schema: dict[str, Any] = kept("document", kind, make=partial(_joined, kind))
    return schema


def _joined(kind: str) -> dict[str, Any]:
    files: dict[str, Any] = {}
    schema: dict[str, Any] = _read(f"{kind}.schema.json", files)
    definitions = {name: each for file in reversed(files.values()) for name, each in file.items()}
    return {**schema, "$defs": definitions}


def _read(name: str, files: dict[str, Any]) -> Any:
    """Read one file, and into `files` the definitions of all that its references lead to."""
    schema = json.loads((SCHEMAS / name).read_text("utf-8"))
    files[name] = {}
    schema = _local(schema, files)
    files[name] = schema.get("$defs", {})
    return schema


def _local(node: Any, files: dict[str, Any]) -> Any:
    """Make references between files references within one document."""
    if isinstance(node, dict):
        return {
            key: _here(value, files) if key == "$ref" else _local(value, files)
            for key, value in node.items()
        }
    return [_local(item, files) for item in node] if isinstance(node, list) else node


def _here(reference: str, files: dict[str, Any]) -> str:
    file, hash_, place = reference.partition("#")
    if file and file not in files:
        _read(file, files)
    return hash_ + place


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
    keyword = _keyword(error)
    for violation in _EXPLAIN.get(keyword, _unexplained)(schema, error, pointer):
        yield replace(violation, keyword=keyword)


def _keyword(error: Any) -> str:
    """Name the keyword that failed; the library calls a dependent key a required one."""
    last = str(list(error.schema_path)[-1])
    return last if last == "dependentRequired" else str(error.kind.name)


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


def dotted(pointer: Pointer) -> str:
    """Write a pointer as people do: `versions.v3.args[0]`."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in pointer)
    return "".join(steps).removeprefix(".")


def _unknown_keys(schema: dict[str, Any], error: Any, pointer: Pointer) -> Iterator[Violation]:
    known = list(_holder(schema, error).get("properties", ()))
    for key in error.kind.unexpected:
        meant, place = _intended(schema, error, pointer, key)
        hint = f"did you mean `{meant}`?" if meant else place or _known(known)
        stands_for = (*pointer, meant) if meant else ()
        message = f"unknown key `{key}`"
        yield Violation((*pointer, key), message, hint, at_key=True, meant=stands_for)


def _intended(schema: dict[str, Any], error: Any, pointer: Pointer, key: str) -> tuple[str, str]:
    """Guess the key that an unknown one stands for, or else say to which block it belongs."""
    holder, missing = _holder(schema, error), _missing(_holder(schema, error), error.instance)
    sure = holder.get("x-synonyms", {}).get(key) or nearest(key, missing)
    if sure:
        return sure, ""
    near = nearest(
        key, [name for name in holder.get("properties", ()) if name not in error.instance]
    )
    place = ("" if near else _deeper(pointer, holder)) or _home(schema, pointer, key)
    only = missing[0] if len(missing) == len(error.kind.unexpected) == 1 else ""
    return "" if place else near or only, place


def _missing(holder: dict[str, Any], instance: dict[str, Any]) -> list[str]:
    """List the keys that a mapping lacks, by itself or because of another one."""
    dependent = holder.get("dependentRequired", {}).items()
    wanted = [
        *holder.get("required", ()),
        *(k for key, ks in dependent if key in instance for k in ks),
    ]
    return [key for key in wanted if key not in instance]


_NEARBY = 4
"""How many levels up and down a key is sought that stands in the wrong place."""


def _home(schema: dict[str, Any], pointer: Pointer, key: str) -> str:
    """Say where a known key belongs that stands in the wrong place, as by wrong indentation."""
    for length in range(len(pointer), -1, -1):
        path = _below(schema, described(schema, pointer[:length]), key)
        if path is not None and len(pointer) - length + len(path) <= _NEARBY:
            place = dotted((*pointer[:length], *path))
            return f"`{key}` belongs in `{place}`" if place else f"`{key}` belongs at the top level"
    return ""


def _deeper(pointer: Pointer, node: dict[str, Any]) -> str:
    """Say so if a name that anybody may choose is a key of what belongs below such a name."""
    if not pointer or pointer[-1] not in node.get("properties", ()):
        return ""
    return f"`{pointer[-1]}` belongs one level deeper, in `{dotted((*pointer[:-1], '<name>'))}`"


def _below(schema: dict[str, Any], node: dict[str, Any], key: str) -> Pointer | None:
    level: list[tuple[Pointer, dict[str, Any]]] = [((), node)]
    for _ in range(_NEARBY):
        for path, inner in level:
            if key in inner.get("properties", ()):
                return path
        level = [
            ((*path, step), child) for path, node in level for step, child in _inner(schema, node)
        ]
    return None


def _inner(schema: dict[str, Any], node: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    children = {**node.get("properties", {}), "<name>": node.get("additionalProperties")}
    for step, child in children.items():
        if isinstance(child, dict):
            yield step, resolve_reference(schema, child)


def nearest(word: str, known: Iterable[str]) -> str:
    """Find the known word that is most likely meant; empty if none is near."""
    spelled = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), spelled, n=1, cutoff=0.6)
    if near:
        return spelled[near[0]]
    akin = [name for low, name in spelled.items() if _are_akin(low, word.lower())]
    return akin[0] if len(akin) == 1 else ""


def _are_akin(one: str, other: str) -> bool:
    """Say whether one word is a part of the other, as `min` is of `minReplicas`."""
    return len(min(one, other, key=len)) > 1 and (one in other or other in one)


def suggestion(word: str, known: Iterable[str]) -> str:
    """Offer the likeliest known word, or all of them when none is near."""
    candidates = list(known)
    near = nearest(word, candidates)
    return f"did you mean `{near}`?" if near else _known(candidates)


_LISTED = 15


def _known(names: list[str]) -> str:
    if not names:
        return "remove it"
    shown = ", ".join(f"`{name}`" for name in names[:_LISTED])
    more = len(names) - _LISTED
    return f"known here: {shown} and {more} more" if more > 0 else f"known here: {shown}"


def _required(schema: dict[str, Any], error: Any, pointer: Pointer) -> Iterator[Violation]:
    key = error.kind.property
    hint = _addition(schema, pointer, key)
    yield Violation(pointer, f"`{key}` is missing", hint, missing=(*pointer, key))


def _dependent(schema: dict[str, Any], error: Any, pointer: Pointer) -> Iterator[Violation]:
    other = error.kind.property
    for key, others in _holder(schema, error)["dependentRequired"].items():
        if key in error.instance and other in others:
            message = f"`{key}` needs `{other}` beside it"
            hint = _addition(schema, pointer, other)
            yield Violation((*pointer, key), message, hint, at_key=True, missing=(*pointer, other))


def _addition(schema: dict[str, Any], pointer: Pointer, key: str) -> str:
    example = _example(described(schema, (*pointer, key)))
    return f"add `{key}: {example}`" if example else f"add `{key}`"


def _example(node: dict[str, Any]) -> str:
    examples = node.get("examples")
    return as_typed(examples[0]) if examples else ""


def as_typed(value: Any) -> str:
    """Write a value as a person would in YAML: on one line, with quotes only where they matter."""
    is_plain = isinstance(value, str) and _PLAIN.fullmatch(value) and core_scalar(value) == value
    return str(value) if is_plain else scalars.flow(value)


_PLAIN = re.compile(r"\w[\w./-]*")


def _for_example(node: dict[str, Any]) -> str:
    example = _example(node)
    return f"for example `{example}`" if example else ""


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
    """Name a value as a person would: `12 (a number)`, `a list`."""
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
    return shown if len(shown) <= 60 else f"{shown[:56]}...{shown[-1]}"


def _type(schema: dict[str, Any], error: Any, pointer: Pointer) -> Iterator[Violation]:
    types, value = [str(name) for name in error.kind.types], error.instance
    wanted = " or ".join(_TYPE_NAMES[name] for name in types)
    found = f"not {describe(value)}" if value is not None else "and it is empty (null)"
    text = types == ["string"] and isinstance(value, bool | int | float)
    hint = _remedy(schema, types, value, pointer)
    yield Violation(pointer, f"this must be {wanted}, {found}", hint, wants_text=text)


_NUMBER = re.compile(r"[$€]?\s*([0-9]+(?:\.[0-9]+)?)\s*[%s]?")
_NO_SPACE = re.compile(r"([A-Za-z]+):(\S+)")
_WORDS = {
    "yes": "true",
    "on": "true",
    "true": "true",
    "no": "false",
    "off": "false",
    "false": "false",
}


def _remedy(schema: dict[str, Any], types: list[str], value: Any, pointer: Pointer) -> str:
    """Say what to write instead of a value of the wrong type, or give an example."""
    node = described(schema, pointer)
    if value is None:
        return _of_nothing(types, node)
    written = _of_text(types, value, node) if isinstance(value, str) else ""
    return _deeper(pointer, node) or written or _for_example(node)


def _of_nothing(types: list[str], node: dict[str, Any]) -> str:
    if "object" in types and "properties" in node:
        empty = "" if "required" in node or "minProperties" in node else "write `{}`, or "
        return f"{empty}indent what belongs to it, {_for_example(node)}"
    if types == ["string"] and not node.get("minLength") and fits("", node):
        return 'write `""` for an empty text'
    return _for_example(node)


def _of_text(types: list[str], value: str, node: dict[str, Any]) -> str:
    number, pair = _NUMBER.fullmatch(value), _NO_SPACE.fullmatch(value)
    is_meant = not value.endswith("%") or node.get("maximum", 100) <= 100
    is_fit = "number" in types or ("integer" in types and number and number[1].isdigit())
    if number and is_fit and is_meant:
        return f"write `{number[1]}`"
    if "boolean" in types and value.lower() in _WORDS:
        return f"write `{_WORDS[value.lower()]}`"
    if "array" in types:
        return f"write `{scalars.flow([value])}`"
    if "object" in types and pair and pair[1] in node.get("properties", ()):
        return f"write `{pair[1]}: {pair[2]}`, with a space after the colon"
    return ""


def _enum(schema: dict[str, Any], error: Any, pointer: Pointer) -> Iterator[Violation]:
    node = _holder(schema, error)
    options = [str(option) for option in node.get("enum", [])]
    shown = ", ".join(f"`{option}`" for option in options)
    value = error.instance if isinstance(error.instance, str) else ""
    near = node.get("x-synonyms", {}).get(value) or nearest(value, options)
    hint = f"did you mean `{near}`?" if near else ""
    yield Violation(pointer, f"{shorten(error.instance)} is not one of {shown}", hint)


def _constant(schema: dict[str, Any], error: Any, pointer: Pointer) -> Iterator[Violation]:
    wanted = shorten(error.kind.expected_value)
    yield Violation(pointer, f"this must be {wanted}", f"write {wanted}")


def _pattern(schema: dict[str, Any], error: Any, pointer: Pointer) -> Iterator[Violation]:
    node = described(schema, pointer)
    message = f"{shorten(error.instance)} is not {_meaning(_holder(schema, error))}"
    yield Violation(pointer, message, _repaired(error.instance, node))


def _meaning(node: dict[str, Any]) -> str:
    return str(node.get("x-pattern-means", f"a text like {node.get('pattern')}"))


def fits(text: str, node: dict[str, Any]) -> bool:
    """Say whether a text fits the pattern of a sub-schema, if it has one."""
    return re.search(node.get("pattern", ""), text) is not None


def in_quotes(written: str, node: dict[str, Any]) -> str:
    """Say how to write what is not a text without quotes, where a text belongs."""
    return f'write `"{written}"`' if fits(written, node) else _repaired(written, node)


def _repaired(text: str, node: dict[str, Any]) -> str:
    """Offer the text in the form that the pattern asks for, or an example."""
    repaired = next((other for other in _variations(text, node) if fits(other, node)), "")
    return f"did you mean `{as_typed(repaired)}`?" if repaired else _for_example(node)


def _variations(text: str, node: dict[str, Any]) -> Iterator[str]:
    """Write a text as it is often meant, the likeliest form first; a list is none written badly."""
    if ", " in text:
        return
    low, example = text.lower(), _example(node).strip('"')
    yield low
    yield text.strip("\"'")
    yield text.partition("://")[2]
    if not set("./") & set(text):
        yield re.sub(r"[^a-z0-9]+", "-", low).strip("-")
    yield re.sub(r"\s", "", text)
    yield re.sub(r"\W", "_", text)
    yield re.sub(r"[bB]$", "", text)
    yield text.removeprefix("v")
    yield text.rpartition(".")[0]
    yield text.lstrip("*.")
    yield f"/{text}"
    if text.isdigit() and example.startswith("v"):
        yield f"v{text}"
    if example.startswith("http") and "://" not in text and re.match(r"[\w-]+[.:]", text):
        yield f"{example.partition(':')[0]}://{text}"


def _property_name(schema: dict[str, Any], error: Any, pointer: Pointer) -> Iterator[Violation]:
    key, names = error.kind.error.instance, _holder(schema, error)
    message = f"the key {shorten(key)} is not {_meaning(names)}"
    yield Violation((*pointer, key), message, _repaired(key, names), at_key=True)


def _bound(text: str) -> Callable[[dict[str, Any], Any, Pointer], Iterator[Violation]]:
    def explain(schema: dict[str, Any], error: Any, pointer: Pointer) -> Iterator[Violation]:
        limit = getattr(error.kind, "limit", None)
        hint = _range(_holder(schema, error))
        yield Violation(pointer, f"{shorten(error.instance)} is {text} {limit}", hint)

    return explain


def _range(node: dict[str, Any]) -> str:
    above, least, most = (node.get(key) for key in ("exclusiveMinimum", "minimum", "maximum"))
    kind = "a whole number" if node.get("type") == "integer" else "a number"
    start = f"above {above}" if above is not None else f"from {least}"
    return f"write {kind} {start} to {most}" if most is not None else f"write {kind} {start} on"


def _size(text: str) -> Callable[[dict[str, Any], Any, Pointer], Iterator[Violation]]:
    def explain(schema: dict[str, Any], error: Any, pointer: Pointer) -> Iterator[Violation]:
        limit, size = getattr(error.kind, "limit", ""), len(error.instance)
        message = text.format(limit=limit, size=size) if size else "this is empty"
        hint = "" if size and limit != 1 else _for_example(described(schema, pointer))
        yield Violation(pointer, message, hint)

    return explain


def _twice(schema: dict[str, Any], error: Any, pointer: Pointer) -> Iterator[Violation]:
    items = list(error.instance)
    index = next(i for i, item in enumerate(items) if item in items[:i])
    message = f"{shorten(items[index])} is in this list already"
    yield Violation((*pointer, index), message, "remove one of them")


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
    "minLength": _size("this text has {size} characters and needs {limit}"),
    "maxLength": _size("this text has {size} characters and may have {limit}"),
    "minItems": _size("this list has {size} items and needs {limit}"),
    "maxItems": _size("this list has {size} items and may have {limit}"),
    "minProperties": _size("this has {size} keys and needs {limit}"),
    "maxProperties": _size("this has {size} keys and may have {limit}"),
    "uniqueItems": _twice,
}
