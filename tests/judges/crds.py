"""CustomResourceDefinitions as strict JSON Schemas: what the API server of a cluster checks.

Unknown fields are refused as `fieldValidation: Strict` refuses them; CEL rules are not evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

Schema = dict[str, Any]

_NOT_IN_JSON = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value")
_KEPT = (
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "pattern",
    "required",
    "type",
)
_TEXT: Schema = {"type": "string"}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
_DNS = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_KEY = {"pattern": "^([^/]+/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"}
_LABEL = {"type": "string", "pattern": "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"}


def _map(values: Schema) -> Schema:
    return {"type": ["object", "null"], "propertyNames": _KEY, "additionalProperties": values}


_MANAGED: Schema = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        **dict.fromkeys(("apiVersion", "fieldsType", "manager", "operation", "time"), _TEXT),
        "subresource": _TEXT,
        "fieldsV1": {"type": "object", "additionalProperties": True},
    },
}
_METADATA: Schema = {
    "type": "object",
    "additionalProperties": False,
    "anyOf": [{"required": ["name"]}, {"required": ["generateName"]}],
    "properties": {
        **dict.fromkeys(("generateName", "resourceVersion", "selfLink", "uid"), _TEXT),
        "name": {"type": "string", "pattern": rf"^{_DNS}(\.{_DNS})*$", "maxLength": 253},
        "namespace": {"type": "string", "pattern": f"^{_DNS}$", "maxLength": 63},
        "annotations": _map(_TEXT),
        "labels": _map({**_LABEL, "maxLength": 63}),
        "finalizers": _TEXTS,
        "generation": {"type": "integer"},
        "deletionGracePeriodSeconds": {"type": "integer"},
        "creationTimestamp": {"type": ["string", "null"]},
        "deletionTimestamp": _TEXT,
        "managedFields": {"type": "array", "items": _MANAGED},
        "ownerReferences": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["apiVersion", "kind", "name", "uid"],
                "properties": {
                    **dict.fromkeys(("apiVersion", "kind", "name", "uid"), _TEXT),
                    "blockOwnerDeletion": {"type": "boolean"},
                    "controller": {"type": "boolean"},
                },
            },
        },
    },
}
"""The API server's own rules for metadata, which no definition repeats."""


class _Loader(yaml.CSafeLoader):
    """Reads YAML as Kubernetes does: a lone `=` and a date are strings."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _NOT_IN_JSON]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def read(path: Path) -> Any:
    """Read one YAML document; raises yaml.YAMLError."""
    return yaml.load(path.read_text("utf-8"), Loader=_Loader)


@cache
def judge(shared: Path, api_version: str, kind: str) -> Schema:
    """Turn one served version of a definition into a schema of the objects it admits."""
    group, version = api_version.split("/")
    definition = _patched(shared / "crds", f"{group}/{_plural(kind.lower())}.yaml")
    (served,) = (each for each in definition["spec"]["versions"] if each["name"] == version)
    schema = _strict(served["schema"]["openAPIV3Schema"])
    identity = {"apiVersion": {"enum": [api_version]}, "kind": {"enum": [kind]}}
    return {
        **schema,
        "required": sorted({*schema.get("required", ()), *identity, "metadata"}),
        "properties": {**schema["properties"], **identity, "metadata": _METADATA},
    }


def _plural(name: str) -> str:
    if name.endswith("s"):
        return f"{name}es"
    return re.sub("(?<![aeiou])y$", "ie", name) + "s"


def _patched(folder: Path, name: str) -> Any:
    definition = read(folder / name)
    patch = folder / "_patches" / name
    for operation in read(patch) if patch.is_file() else ():
        _apply(definition, operation)
    return definition


def _apply(document: Any, operation: dict[str, Any]) -> None:
    """Apply `add` or `remove` of RFC 6902."""
    *steps, last = (step.replace("~1", "/").replace("~0", "~") for step in _steps(operation))
    holder = document
    for step in steps:
        holder = holder[int(step) if isinstance(holder, list) else step]
    if operation["op"] == "remove":
        del holder[last]
    elif isinstance(holder, list):
        holder.insert(len(holder) if last == "-" else int(last), operation["value"])
    else:
        holder[last] = operation["value"]


def _steps(operation: dict[str, Any]) -> list[str]:
    return str(operation["path"]).removeprefix("/").split("/")


def _strict(node: Schema) -> Schema:
    schema = {key: node[key] for key in _KEPT if key in node}
    if node.get("x-kubernetes-int-or-string"):
        schema["type"] = ["integer", "string"]
    if node.get("x-kubernetes-list-type") == "set":
        schema["uniqueItems"] = True
    if node.get("format") == "int32":
        schema = {"minimum": -(2**31), "maximum": 2**31 - 1, **schema}
    schema.update(_inside(node))
    return _nullable(schema) if node.get("nullable") else schema


def _inside(node: Schema) -> Iterator[tuple[str, Any]]:
    if "items" in node:
        yield "items", _strict(node["items"])
    if "properties" in node:
        yield "properties", {name: _strict(inner) for name, inner in node["properties"].items()}
    if node.get("type") == "object" and not node.get("x-kubernetes-preserve-unknown-fields"):
        rest = node.get("additionalProperties", False)
        yield "additionalProperties", _strict(rest) if isinstance(rest, dict) else rest


def _nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}
