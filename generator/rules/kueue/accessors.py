"""What rules ask of quota objects and of the workloads that wait in queues.

Objects are looked at even where their schema refuses them: what has another shape is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

from generator.documents import Json
from generator.inventory.records import Flavor, Queue
from generator.rules import Scene
from generator.rules.fields import block, entries, name_of, text
from generator.rules.kserve.accessors import components
from generator.values import quantities
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


_QUEUED_AT: dict[str, tuple[Pointer, ...]] = {
    "CronJob": (("spec", "jobTemplate", "metadata"),),
    "Deployment": (("metadata",), ("spec", "template", "metadata")),
    "InferenceService": (("metadata",), ("spec", "predictor")),
}


def queue_places(item: Json) -> tuple[Pointer, ...]:
    """Lead to the metadata that Kueue reads the queue of: not a CronJob's, but that of its Jobs."""
    return _QUEUED_AT.get(item["kind"], (("metadata",),))


def queued_by(item: Json) -> tuple[Pointer, str]:
    """Find the label that puts a workload into a queue, and the queue's name; empty if none does.

    Labels of a Deployment's Pods and of a predictor do it too
    (kserve/kserve@pkg/controller/v1beta1/inferenceservice/components/predictor.go).
    """
    for place in queue_places(item):
        name = text(item, *place, "labels", QUEUE)
        if name:
            return (*place, "labels", QUEUE), name
    return (), ""


def is_inside(item: Json, scene: Scene) -> bool:
    """Say whether an object is in the environment's own namespace."""
    return text(item, "metadata", "namespace") in ("", scene.environment.namespace)


def described(item: Json, scene: Scene) -> Queue | None:
    """Find what the environment's document says of a ClusterQueue; None if nothing."""
    name = text(item, "metadata", "name")
    queues = scene.environment.queues.values() if item["kind"] == "ClusterQueue" else ()
    return next((each for each in queues if each.cluster_queue == name), None)


def queue_of(item: Json, scene: Scene) -> Queue | None:
    """Find the queue that a workload waits in: the environment's, or one of own templates."""
    name = queued_by(item)[1]
    if not name or not is_inside(item, scene):
        return None
    return scene.environment.queues.get(name) or _own_queue(name, scene)


def _own_queue(name: str, scene: Scene) -> Queue | None:
    """Read a LocalQueue with its ClusterQueue as if the environment described them."""
    local = next((each for each in scene.around("LocalQueue") if name_of(each) == name), {})
    called = text(local, "spec", "clusterQueue")
    item = next((each for each in scene.around("ClusterQueue") if name_of(each) == called), None)
    if item is None:
        return None
    found = list(groups(item))
    return Queue(
        name=name,
        cluster_queue=called,
        cohort=text(item, "spec", "cohortName"),
        covered_resources=[resource for group in found for resource in group.covered],
        flavors=[flavor for group in found for _, flavor in group.flavors],
    )


def flavors_of(queue: Queue, scene: Scene) -> list[Flavor]:
    """Give the flavors of a queue, as far as they are known here."""
    made = {name_of(each): each for each in scene.around("ResourceFlavor")}
    known = scene.environment.flavors
    return [
        known[name] if name in known else _own_flavor(made[name], grant)
        for grant in queue.flavors
        if (name := text(grant, "name")) in known or name in made
    ]


def _own_flavor(item: Json, grant: Json) -> Flavor:
    """Read a ResourceFlavor; taints that it tolerates itself keep no Pod out."""
    extended = [text(each, "name") for _, each in entries(grant, "resources")]
    tolerated = {text(each, "key") for _, each in entries(item, "spec", "tolerations")}
    taints = [taint for _, taint in entries(item, "spec", "nodeTaints")]
    return Flavor(
        name=name_of(item),
        resource=next((name for name in extended if "/" in name), ""),
        node_labels=block(item, "spec", "nodeLabels"),
        taints=[taint for taint in taints if not {text(taint, "key"), ""} & tolerated],
        nodes=0,
        gpus_per_node=0,
        price_per_hour=0,
    )


def amount(written: Any) -> Fraction | None:
    """Read a quantity; None for what is none, which is for the schema to say."""
    if not isinstance(written, str | int | float):
        return None
    try:
        return quantities.parse(written)
    except ValueError:
        return None


_KINDS = {"kserve": "InferenceService", "kserve-llm": "LLMInferenceService"}


def is_served(item: Json, scene: Scene) -> bool:
    """Say whether an object is the release's own workload."""
    release = scene.release
    if release is None:
        return False
    kind = _KINDS.get(release.serving.backend, "Deployment")
    names = {variant.name for variant in release.variants}
    return item["kind"] == kind and text(item, "metadata", "name") in names


def taint_of(flavor: Flavor, tolerations: list[Json]) -> str:
    """Name a taint that keeps Pods with these tolerations out; empty if none does."""
    for taint in flavor.taints:
        keeps_out = taint["effect"] != "PreferNoSchedule"
        if keeps_out and not any(_tolerates(each, taint) for each in tolerations):
            return f"{taint['key']}={taint.get('value', '')}:{taint['effect']}"
    return ""


def _tolerates(toleration: Json, taint: Json) -> bool:
    key, effect = text(toleration, "key"), text(toleration, "effect")
    if effect not in ("", taint["effect"]):
        return False
    if text(toleration, "operator") == "Exists":
        return key in ("", taint["key"])
    return (key, text(toleration, "value")) == (taint["key"], taint.get("value", ""))
