"""What rules ask of a model's arguments, and of composed InferenceServices.

Schemas leave much open, so nothing here takes a shape for granted: what is not there, or is not as
it should be, is empty.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from generator.documents import Json
from generator.records import Variant
from generator.rules import Scene
from generator.rules.fields import annotation, block, entries, name_of, text
from generator.yamlio import Pointer

MODE = "serving.kserve.io/deploymentMode"
AUTOSCALER = "serving.kserve.io/autoscalerClass"
VISIBILITY = "networking.kserve.io/visibility"
LOCAL = "cluster-local"

COMPONENTS = ("predictor", "transformer", "explainer")

FRAMEWORKS = (
    "huggingface",
    "lightgbm",
    "onnx",
    "paddle",
    "pmml",
    "pytorch",
    "sklearn",
    "tensorflow",
    "triton",
    "xgboost",
)
"""The blocks from before `model`, each named after its format."""


# Arguments of a release


class Flag(NamedTuple):
    """One command-line option: its name with `_`, its value if it has one, and its place."""

    name: str
    value: str
    place: int


def flags(args: list[Any]) -> tuple[Flag, ...]:
    """Read options as argparse does: `--a=b`, `--a b` or `--a`; `-` and `_` are the same."""
    return _flags(tuple(map(str, args))) if args else ()


@lru_cache(256)  # a dozen rules ask, for every version and environment of a model
def _flags(args: tuple[str, ...]) -> tuple[Flag, ...]:
    found = []
    for index, arg in enumerate(args):
        if arg.startswith("--"):
            name, is_joined, value = arg[2:].partition("=")
            following = args[index + 1] if index + 1 < len(args) else ""
            if not is_joined and not following.startswith("-"):
                value = following
            found.append(Flag(name.replace("-", "_"), value, index))
    return tuple(found)


# Composed objects


def is_standard(item: Json, scene: Scene) -> bool:
    """Say whether KServe makes Deployments of an InferenceService."""
    return (annotation(item, MODE) or scene.environment.mode) in ("Standard", "RawDeployment")


def components(item: Json) -> Iterator[tuple[str, Json]]:
    """Give the predictor, the transformer and the explainer of an InferenceService."""
    for name in COMPONENTS:
        component = block(item, "spec", name)
        if component:
            yield name, component


def canaries(item: Json) -> list[tuple[int, Json]]:
    """Give the entries of `spec.canary`."""
    return entries(item, "spec", "canary")


def models(item: Json) -> Iterator[tuple[Pointer, Json]]:
    """Give the `model` blocks of the predictor and of its canaries."""
    places: list[Pointer] = [("spec", "predictor", "model")]
    places += [("spec", "canary", index, "predictor", "model") for index, _ in canaries(item)]
    for place in places:
        model = block(item, *place)
        if model:
            yield place, model


def uris(item: Json) -> Iterator[tuple[Pointer, str]]:
    """Give every address that an InferenceService fetches from."""
    for place, model in models(item):
        if text(model, "storageUri"):
            yield (*place, "storageUri"), text(model, "storageUri")
    for name, component in components(item):
        for index, entry in entries(component, "storageUris"):
            if text(entry, "uri"):
                yield ("spec", name, "storageUris", index, "uri"), text(entry, "uri")


_CONTAINERS = ("containers", "initContainers")


def containers(item: Json) -> Iterator[tuple[Pointer, Json]]:
    """Give every container that an InferenceService describes, models included."""
    yield from models(item)
    for name in FRAMEWORKS:
        server = block(item, "spec", "predictor", name)
        if server:
            yield ("spec", "predictor", name), server
    pods: list[Pointer] = [("spec", name) for name in COMPONENTS]
    pods.append(("spec", "predictor", "workerSpec"))
    for pod in pods:
        yield from listed(item, pod)


def listed(item: Json, pod: Pointer) -> Iterator[tuple[Pointer, Json]]:
    """Give the containers of a pod."""
    for kind in _CONTAINERS:
        for index, container in entries(item, *pod, kind):
            yield (*pod, kind, index), container


_PODS: dict[str, Pointer] = {
    "Pod": ("spec",),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
    "LLMInferenceService": ("spec", "template"),
    **dict.fromkeys(
        ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"),
        ("spec", "template", "spec"),
    ),
}


def workload_containers(item: Json) -> Iterator[tuple[Pointer, Json]]:
    """Give the containers of an object of any kind that runs some."""
    if item["kind"] == "InferenceService":
        yield from containers(item)
    elif item["kind"] in _PODS:
        yield from listed(item, _PODS[item["kind"]])


def services(scene: Scene) -> Iterator[tuple[str, Json, str]]:
    """Give the names of the Services of all InferenceServices, with their object and component."""
    for item in scene.of_kind("InferenceService"):
        for component, _ in components(item):
            yield f"{name_of(item)}-{component}", item, component


def variant_of(item: Json, scene: Scene) -> Variant | None:
    """Find the variant whose InferenceService this is; None for one of somebody's own."""
    variants = scene.release.variants if scene.release else ()
    return next((variant for variant in variants if variant.name == name_of(item)), None)
