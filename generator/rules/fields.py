"""What rules read from composed objects, and where it stands there.

Schemas leave much open, so nothing here takes a shape for granted: what is not there, or is not as
it should be, is empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from generator.documents import Json
from generator.rules import Scene
from generator.yamlio import Pointer

_SECRET = re.compile(
    r"\bhf_[A-Za-z0-9]{30,}|\bgh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|glpat-[\w-]{20,}"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bsk-(?:proj-|ant-)?[A-Za-z0-9]{20,}|xox[abpr]-[\w-]{10,}"
    r"|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]+|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|[a-z][a-z0-9+.-]*://[^/\s:@]+:[^/\s@]+@"
)
"""Tokens and keys of services that many use, by the form that each gives its own."""


@lru_cache(4096)
def looks_secret(value: str) -> bool:
    """Say whether a text holds what looks like a token or a key."""
    return bool(_SECRET.search(value))


KEDA_HPA_PREFIX = "keda-hpa-"
"""What KEDA calls its HPA after a ScaledObject (kedacore/keda#6998)."""


def at(node: Any, *steps: str | int, default: Any = None) -> Any:
    """Follow keys and indexes; the default where they lead nowhere."""
    for step in steps:
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):
            return default
    return node


def block(node: Any, *steps: str | int) -> Json:
    """Follow keys to a mapping; an empty one where there is none."""
    found = at(node, *steps)
    return found if isinstance(found, dict) else {}


def entries(node: Any, *steps: str | int) -> list[tuple[int, Json]]:
    """Follow keys to a list; those of its entries that are mappings, with their index."""
    found = at(node, *steps)
    listed = found if isinstance(found, list) else []
    return [(index, each) for index, each in enumerate(listed) if isinstance(each, dict)]


def text(node: Any, *steps: str | int) -> str:
    """Follow keys to a text; empty where there is none."""
    found = at(node, *steps)
    return found if isinstance(found, str) else ""


def number(node: Any, *steps: str | int, default: int = 0) -> int:
    """Follow keys to a whole number."""
    found = at(node, *steps)
    return found if isinstance(found, int) else default


def name_of(item: Json) -> str:
    """Return the name of an object."""
    return text(item, "metadata", "name")


def annotation(item: Json, key: str) -> str:
    """Return an annotation of an object."""
    return text(item, "metadata", "annotations", key)


def spec(item: Json) -> Json:
    """Give an object's spec, empty if there is none."""
    return block(item, "spec")


def group(item: Json) -> str:
    """Give an object's API group, empty for the core one."""
    return str(item.get("apiVersion", "")).rpartition("/")[0]


def annotated(item: Json) -> Json:
    """Give an object's annotations."""
    return (item.get("metadata") or {}).get("annotations") or {}


def labels(item: Json) -> Json:
    """Give an object's labels."""
    return (item.get("metadata") or {}).get("labels") or {}


def annotation_at(key: str) -> Pointer:
    """Point at an annotation."""
    return ("metadata", "annotations", key)


_POD_SPECS: tuple[Pointer, ...] = (
    ("spec", "template", "spec"),
    ("spec", "jobTemplate", "spec", "template", "spec"),
    ("spec", "predictor"),
    ("spec", "transformer"),
    ("spec", "explainer"),
)


def pods(item: Json) -> Iterator[tuple[Json, Pointer]]:
    """Give the pod specs of an object with the ways to them."""
    places = (("spec",),) if item["kind"] == "Pod" else _POD_SPECS
    for pointer in places:
        found = at(item, *pointer)
        if isinstance(found, dict):
            yield found, pointer


def containers(item: Json) -> Iterator[tuple[Json, Pointer]]:
    """Give the containers of an object, a predictor's `model` among them."""
    for pod, pointer in pods(item):
        if isinstance(pod.get("model"), dict):
            yield pod["model"], (*pointer, "model")
        for key in ("containers", "initContainers"):
            for index, container in enumerate(pod.get(key) or ()):
                yield container, (*pointer, key, index)


def mode(item: Json, scene: Scene) -> str:
    """Give the deployment mode of an InferenceService, by its annotation or its cluster."""
    own = str(annotated(item).get("serving.kserve.io/deploymentMode", ""))
    return {"RawDeployment": "Standard", "Serverless": "Knative"}.get(
        own, own or scene.environment.mode
    )


def target(item: Json) -> tuple[str, str]:
    """Give kind and name of what a ScaledObject or HPA scales."""
    reference = spec(item).get("scaleTargetRef") or {}
    return str(reference.get("kind", "Deployment")), str(reference.get("name", ""))
