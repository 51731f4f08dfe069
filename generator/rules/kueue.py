"""What rules ask of quota objects and of the workloads that wait in queues.

Objects are looked at even where their schema refuses them: what has another shape is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

from generator import quantities
from generator.records import Json, Queue
from generator.rules import Scene
from generator.rules.kserve import block, components, entries, text
from generator.yamlio import Pointer

QUEUE = "kueue.x-k8s.io/queue-name"


class Group(NamedTuple):
    """A resource group of a ClusterQueue or a Cohort."""

    place: Pointer
    covered: list[str]
    flavors: list[tuple[Pointer, Json]]


class Grant(NamedTuple):
    """How much of one resource of one flavor is granted."""

    place: Pointer
    flavor: str
    data: Json


def groups(item: Json) -> Iterator[Group]:
    """Give the resource groups of an object."""
    for index, group in entries(item, "spec", "resourceGroups"):
        place = ("spec", "resourceGroups", index)
        covered = group.get("coveredResources")
        flavors = entries(group, "flavors")
        yield Group(
            place,
            [str(resource) for resource in covered] if isinstance(covered, list) else [],
            [((*place, "flavors", number), flavor) for number, flavor in flavors],
        )


def grants(item: Json) -> Iterator[Grant]:
    """Give what an object grants, flavor by flavor."""
    for group in groups(item):
        for place, flavor in group.flavors:
            for index, grant in entries(flavor, "resources"):
                yield Grant((*place, "resources", index), text(flavor, "name"), grant)


_TEMPLATES: dict[str, Pointer] = {
    "Pod": ("spec",),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
    **dict.fromkeys(
        ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"),
        ("spec", "template", "spec"),
    ),
}


def pods(item: Json) -> Iterator[tuple[Pointer, Json]]:
    """Give the pod specs of an object of any kind that has some."""
    if item["kind"] == "InferenceService":
        yield from ((("spec", name), component) for name, component in components(item))
    elif item["kind"] in _TEMPLATES:
        pod = block(item, *_TEMPLATES[item["kind"]])
        if pod:
            yield _TEMPLATES[item["kind"]], pod


def servers(pod: Json) -> Iterator[Json]:
    """Give the containers of a pod spec that run to serve, a predictor's `model` among them."""
    if block(pod, "model"):
        yield block(pod, "model")
    yield from (container for _, container in entries(pod, "containers"))


def asks_for(pod: Json, resource: str) -> bool:
    """Say whether a container of a pod spec has a limit of a resource."""
    return any(resource in block(each, "resources", "limits") for each in servers(pod))


def label(item: Json, key: str) -> str:
    """Give a label of an object, empty if it has none."""
    return text(item, "metadata", "labels", key)


def queue_of(item: Json, scene: Scene) -> Queue | None:
    """Find the queue of the environment that a workload waits in."""
    return scene.environment.queues.get(label(item, QUEUE))


def amount(written: Any) -> Fraction | None:
    """Read a quantity; None for what is none, which is for the schema to say."""
    if not isinstance(written, str | int | float):
        return None
    try:
        return quantities.parse(written)
    except ValueError:
        return None


def is_served(item: Json, scene: Scene) -> bool:
    """Say whether an object is the release's own workload."""
    release = scene.release
    if release is None:
        return False
    kind = "InferenceService" if release.serving.backend == "kserve" else "Deployment"
    names = {variant.name for variant in release.variants}
    return item["kind"] == kind and text(item, "metadata", "name") in names
