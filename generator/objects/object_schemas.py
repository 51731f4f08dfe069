"""Schemas of Kubernetes objects, each as one self-contained JSON Schema (draft 2020-12).

Core kinds come from the definitions that kubernetes-validate carries, the others from
`schemas/objects/<group>/<version>/<kind>.json` in this package, and before both from a folder of
the repository in the same layout. Such a file says its apiVersion and kind by `const`, and may say
three things that JSON Schema cannot:

- `{"$ref": "k8s:io.k8s.api.core.v1.Container"}` is a definition of Kubernetes, of the version that
  the environment runs; `{"$ref": "shared:quantity"}` is one of `schemas/objects/shared.json`.
- `{"extends": REFERENCE, "properties": {...}, "required": [...]}` is that definition with these
  properties beside its own or in their place; `false` takes one away, `required` is replaced
  (nothing, unless said), and every other property is refused.
- `"x-built-on-kubernetes": "1.34"` at its top: on newer clusters too, `k8s:` means 1.34, because
  the API was built on that version and drops what came later.

Kubernetes reads null as "not set" in its own kinds, and refuses it in custom ones: the definitions
of `k8s:` permit null in core kinds alone. Amounts get the pattern that those definitions lack.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

from generator.compiled import kept

Schema = dict[str, Any]
Kind = tuple[str, str]

SCHEMA_LOCATION = (
    "{{.NormalizedKubernetesVersion}}/{{.Group}}/{{.ResourceKind}}_{{.ResourceAPIVersion}}.json"
)
"""Where kubeconform finds what `exported` lays out; its Group of a core `v1` kind is `v1`."""

OBJECTS = Path(__file__).parents[1] / "schemas" / "objects"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_FOLDER = re.compile(r"v([0-9]+)\.([0-9]+)\.0-local-strict")
_GROUP = r"[a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?"
_API_VERSION = re.compile(rf"{_GROUP}/v[0-9]{{1,9}}(?:(?:alpha|beta)[0-9]{{1,9}})?")
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9]{0,62}")
_REFERENCE = re.compile(r"(k8s:|shared:|#/\$defs/)([-.A-Za-z0-9_]+)")

_ANNOTATIONS = frozenset({"$id", "$schema", "default", "description"})
_SCHEMA_MAPS = frozenset({"$defs", "dependentSchemas", "patternProperties", "properties"})
_SCHEMA_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_SCHEMAS = frozenset(
    {
        "additionalProperties",
        "contains",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
_BUILT_ON = "x-built-on-kubernetes"
_OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
_INT32 = {"minimum": -(2**31), "maximum": 2**31 - 1}
_IN_CORE_KINDS = {_QUANTITY: "shared:coreQuantity", _INT_OR_STRING: "shared:intOrString"}
_IN_CUSTOM_KINDS = {_QUANTITY: "shared:quantity", _INT_OR_STRING: "shared:intOrString"}
_WORTH_A_NAME = 100
"""Characters from which on a sub-schema that occurs twice is written once."""


def kubernetes_versions() -> tuple[str, ...]:
    """List the minor versions whose core kinds are known, oldest first: `("1.25", ...)`."""
    names = (_FOLDER.fullmatch(entry.name) for entry in _definitions_folder().iterdir())
    numbers = sorted((int(name[1]), int(name[2])) for name in names if name)
    return tuple(f"{major}.{minor}" for major, minor in numbers)


def own_kinds() -> tuple[Kind, ...]:
    """List apiVersion and kind of every schema that this package brings."""
    return tuple(sorted(_written_kinds(OBJECTS)))


def exported(kubernetes: Iterable[str], *, extra: Path | None = None) -> Iterator[tuple[str, str]]:
    """Lay out every kind for kubeconform: pairs of a relative path and the text of that file.

    Below one folder per Kubernetes version ("1.35" is `v1.35.0`) stand all kinds, core and custom,
    those of `extra` included. With the files below DIR, kubeconform runs offline on

        kubeconform -strict -kubernetes-version 1.35.0 -schema-location 'DIR/TEMPLATE' FILE...

    where TEMPLATE is `SCHEMA_LOCATION`. Raises ValueError for a version that is not known.
    """
    for version in sorted({*kubernetes}, key=_supported):
        schemas = ObjectSchemas(version, extra)
        for api_version, kind in schemas.kinds():
            text = json.dumps(schemas.bundle(api_version, kind), sort_keys=True) + "\n"
            yield f"v{version}.0/{_exported_name(api_version, kind)}", text


def _exported_name(api_version: str, kind: str) -> str:
    group, _, version = api_version.rpartition("/")
    return f"{group or version}/{kind.lower()}_{version}.json"


class ObjectSchemas:
    """The schemas of the objects of one cluster.

    `kubernetes` is its minor version, such as "1.35"; `extra` is a folder whose schemas go before
    all others, and may be absent. Raises ValueError for a version that is not known.
    """

    def __init__(self, kubernetes: str, extra: Path | None = None) -> None:
        self._version = kubernetes
        self._kubernetes = _Kubernetes(kubernetes)
        self._extra = extra

    def kinds(self) -> tuple[Kind, ...]:
        """List apiVersion and kind of everything that `bundle` knows, sorted."""
        folders = (self._extra, OBJECTS) if self._extra else (OBJECTS,)
        written = (kind for folder in folders for kind in _written_kinds(folder))
        return tuple(sorted({*written, *self._kubernetes.kinds}))

    def bundle(self, api_version: str, kind: str) -> dict[str, Any] | None:
        """Build the one schema of a kind: all references are local.

        None for an unknown kind, whatever its name tries to be. Raises ValueError for a file of
        the extra folder that is no schema, or refers to something that does not exist.
        """
        written = self._found(self._extra, api_version, kind) if self._extra else None
        if written is not None:
            return _folded(written)
        make = partial(self._built_in, api_version, kind)
        known: Schema | None = kept("schema", self._version, api_version, kind, make=make)
        return known

    def _built_in(self, api_version: str, kind: str) -> Schema | None:
        return self._found(OBJECTS, api_version, kind) or self._core(api_version, kind)

    def _found(self, folder: Path, api_version: str, kind: str) -> Schema | None:
        path = _file(folder, api_version, kind)
        if path is None or not path.is_file():
            return None
        schema = _read(path)
        is_meant = _identity(path, schema) == (api_version, kind)
        return self._written(path, schema) if is_meant else None

    def _written(self, path: Path, schema: Schema) -> Schema:
        kubernetes = self._kubernetes.at_most(schema.get(_BUILT_ON))
        definitions = _Definitions(schema.get("$defs", {}), kubernetes.custom)
        try:
            return _bundled(schema, definitions)
        except LookupError as error:
            raise ValueError(f"{path}: no definition {error.args[0]}") from None

    def _core(self, api_version: str, kind: str) -> Schema | None:
        name = self._kubernetes.kinds.get((api_version, kind))
        if name is None:
            return None
        definition = _identified(self._kubernetes.core(name), api_version, kind)
        return _bundled(definition, _Definitions({}, self._kubernetes.core))


def _identified(definition: Schema, api_version: str, kind: str) -> Schema:
    """Demand what the definition of a core kind leaves open: what it is, and its name."""
    identity = {
        "apiVersion": {"const": api_version},
        "kind": {"const": kind},
        "metadata": {"$ref": "shared:coreMetadata"},
    }
    return {
        **definition,
        "type": "object",
        "required": sorted({*definition.get("required", ()), *identity}),
        "properties": {**definition["properties"], **identity},
    }


class _Kubernetes:
    """The definitions of one version of Kubernetes, read when first asked for."""

    def __init__(self, version: str) -> None:
        self._order = _supported(version)
        self._file = _definitions_folder() / f"v{version}.0-local-strict" / "_definitions.json"
        self.core = cache(lambda name: _converted(self._raw[name], custom=False))
        self.custom = cache(lambda name: _converted(self._raw[name], custom=True))

    def at_most(self, version: str | None) -> _Kubernetes:
        """Return the definitions of a version, or these if they are no newer."""
        if version is None or _supported(version) >= self._order:
            return self
        return _Kubernetes(version)

    @cached_property
    def _raw(self) -> dict[str, Schema]:
        definitions: dict[str, Schema] = json.loads(self._file.read_text("utf-8"))["$defs"]
        return definitions

    @cached_property
    def kinds(self) -> dict[Kind, str]:
        """The name of the definition of each kind that has metadata of its own."""
        return {
            (api_version, properties["kind"]["enum"][0]): name
            for name, definition in self._raw.items()
            if _is_object(properties := definition.get("properties", {}))
            for api_version in properties["apiVersion"]["enum"]
        }


def _is_object(properties: Schema) -> bool:
    meta = properties.get("metadata", {}).get("$ref", "")
    return meta.endswith(_OBJECT_META) and "enum" in properties.get("apiVersion", {})


def _converted(schema: Schema, *, custom: bool) -> Schema:
    """Keep what a validator reads, bound what it cannot know, and make references `k8s:` ones.

    In a custom kind null is no value, and a set holds nothing twice.
    """
    kept = {
        key: value
        for key, value in schema.items()
        if key not in _ANNOTATIONS and not key.startswith("x-")
    }
    converted = _mapped(kept, lambda inner: _converted(inner, custom=custom))
    if "$ref" in converted:
        name = converted["$ref"].removeprefix("#/$defs/")
        replaced = _IN_CUSTOM_KINDS if custom else _IN_CORE_KINDS
        converted["$ref"] = replaced.get(name, f"k8s:{name}")
    if converted.pop("format", None) == "int32":
        converted |= _INT32
    return _without_null(converted) | _distinct(schema) if custom else converted


def _without_null(schema: Schema) -> Schema:
    if not isinstance(schema.get("type"), list):
        return schema
    (only,) = (name for name in schema["type"] if name != "null")
    return {**schema, "type": only}


def _distinct(schema: Schema) -> Schema:
    return {"uniqueItems": True} if schema.get("x-kubernetes-list-type") == "set" else {}


class _Definitions:
    """What the references in one schema lead to."""

    def __init__(self, local: Mapping[str, Schema], kubernetes: Callable[[str], Schema]) -> None:
        self._local = local
        self._kubernetes = kubernetes

    def target(self, reference: str) -> Schema:
        """Return what a reference means, extensions resolved; LookupError if it means nothing."""
        prefix, name = _split(reference)
        try:
            return self.extended(self._found(prefix, name))
        except KeyError:
            raise LookupError(reference) from None

    def _found(self, prefix: str, name: str) -> Schema:
        if prefix == "k8s:":
            return self._kubernetes(name)
        return (_shared() if prefix == "shared:" else self._local)[name]

    def extended(self, schema: Schema) -> Schema:
        """Resolve `extends` at the top of a schema."""
        if "extends" not in schema:
            return schema
        base = self.target(schema["extends"])
        properties = {**base.get("properties", {}), **schema.get("properties", {})}
        return {
            **{key: value for key, value in base.items() if key not in ("description", "required")},
            **{key: value for key, value in schema.items() if key != "extends"},
            "additionalProperties": False,
            "properties": {name: value for name, value in properties.items() if value is not False},
        }


def _split(reference: str) -> tuple[str, str]:
    match = _REFERENCE.fullmatch(str(reference))
    if match is None:
        raise LookupError(reference)
    return match[1], match[2]


def _local_name(reference: str) -> str:
    return _split(reference)[1] if reference.startswith("#") else reference


def _bundled(schema: Schema, definitions: _Definitions) -> Schema:
    """Collect what a schema reaches, and make every reference local."""
    reached: dict[str, Schema] = {}
    waiting: list[str] = []

    def localised(inner: Schema) -> Schema:
        result = _mapped(definitions.extended(inner), localised)
        if "$ref" in result:
            waiting.append(result["$ref"])
            result["$ref"] = f"#/$defs/{_local_name(result['$ref'])}"
        return result

    kept = {key: value for key, value in schema.items() if key not in ("$defs", _BUILT_ON)}
    root = localised(kept)
    while waiting:
        name = _local_name(reference := waiting.pop())
        if name not in reached:
            reached[name] = {}
            reached[name] = localised(definitions.target(reference))
    return {"$schema": _DIALECT, **root, "$defs": dict(sorted(reached.items()))}


def _folded(schema: Schema) -> Schema:
    """Write equal large sub-schemas once, as a cluster's own, a PodSpec written out, needs it.

    All get a name at first, and those that need none lose it.
    """
    names: dict[str, str] = {}
    parts: dict[str, Schema] = {}

    def fold(inner: Schema) -> Schema:
        folded = _mapped(inner, fold)
        text = json.dumps(folded, sort_keys=True)
        if len(text) < _WORTH_A_NAME:
            return folded
        name = names.setdefault(text, f"part:{len(names) + 1}")
        parts[name] = folded
        return {"$ref": f"#/$defs/{name}"}

    root = _mapped(schema, fold)
    return _unfolded(root, parts)


def _unfolded(root: Schema, parts: Mapping[str, Schema]) -> Schema:
    uses: Counter[str] = Counter()
    for schema in (root, *parts.values()):
        uses.update(_references(schema))

    def unfold(inner: Schema) -> Schema:
        name = inner.get("$ref", "").removeprefix("#/$defs/")
        if name in parts and uses[name] == 1:
            return unfold(parts[name])
        return _mapped(inner, unfold)

    named = {name: unfold(part) for name, part in parts.items() if uses[name] > 1}
    whole = unfold(root)
    return {**whole, "$defs": {**whole["$defs"], **named}}


def _references(schema: Schema) -> list[str]:
    found: list[str] = []

    def visit(inner: Schema) -> Schema:
        if "$ref" in inner:
            found.append(inner["$ref"].removeprefix("#/$defs/"))
        return _mapped(inner, visit)

    visit(schema)
    return found


def _mapped(schema: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """Change every direct sub-schema, and nothing that only looks like one."""
    return {key: _changed(key, value, change) for key, value in schema.items()}


def _changed(key: str, value: Any, change: Callable[[Schema], Schema]) -> Any:
    if key in _SCHEMA_MAPS and isinstance(value, dict):
        return {name: _once(inner, change) for name, inner in value.items()}
    if key in _SCHEMA_LISTS and isinstance(value, list):
        return [_once(inner, change) for inner in value]
    return _once(value, change) if key in _SCHEMAS else value


def _once(schema: Any, change: Callable[[Schema], Schema]) -> Any:
    return change(schema) if isinstance(schema, dict) else schema


def _file(folder: Path, api_version: str, kind: str) -> Path | None:
    """Name the file of a kind; None for what is no name of a kind, such as a path."""
    if _API_VERSION.fullmatch(api_version) and _KIND.fullmatch(kind):
        return folder / api_version / f"{kind.lower()}.json"
    return None


def _written_kinds(folder: Path) -> Iterator[Kind]:
    return (_identity(path, _read(path)) for path in sorted(folder.glob("*/*/*.json")))


def _identity(path: Path, schema: Schema) -> Kind:
    try:
        properties = schema["properties"]
        return str(properties["apiVersion"]["const"]), str(properties["kind"]["const"])
    except (KeyError, TypeError):
        raise ValueError(f"{path}: state apiVersion and kind as `const`") from None


def _read(path: Path) -> Schema:
    try:
        schema = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not JSON: {error}") from None
    if not isinstance(schema, dict):
        raise ValueError(f"{path}: not a JSON object")
    return schema


@cache
def _shared() -> dict[str, Schema]:
    definitions: dict[str, Schema] = _read(OBJECTS / "shared.json")["$defs"]
    return definitions


@cache
def _definitions_folder() -> Path:
    """Find kubernetes-validate's files; importing it would cost more than a whole render."""
    spec = importlib.util.find_spec("kubernetes_validate")
    if spec is None or not spec.submodule_search_locations:
        raise ValueError("kubernetes-validate is not installed")
    return Path(spec.submodule_search_locations[0]) / "kubernetes-json-schema"


def _supported(version: str) -> int:
    versions = kubernetes_versions()
    if version not in versions:
        known = f"{versions[0]} to {versions[-1]}"
        raise ValueError(f"no schemas for Kubernetes {version!r}: known are {known}")
    return versions.index(version)
