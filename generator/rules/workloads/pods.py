"""Rules of Pods in composed objects: the accelerators they ask for and where they would run."""

from __future__ import annotations

from collections.abc import Iterator

from generator.documents import Json
from generator.inventory.records import Flavor
from generator.records import Placement
from generator.rules import Book, Scene, Spot
from generator.rules.fields import block, entries, text
from generator.rules.kserve.accessors import workload_containers
from generator.rules.kueue.accessors import (
    amount,
    asks_for,
    flavors_of,
    is_served,
    pods,
    queue_of,
    taint_of,
)
from generator.yamlio import Pointer

BOOK = Book("GPU")

_RESOURCES = (
    "kubernetes/website@content/en/docs/concepts/configuration/manage-resources-containers.md"
)
_SCHEDULING = "kubernetes/website@content/en/docs/tasks/manage-gpus/scheduling-gpus.md"
_MIG = "nvidia.com/mig-"


def _blocks(container: Json) -> tuple[Json, Json]:
    return block(container, "resources", "requests"), block(container, "resources", "limits")


def _extended(amounts: Json) -> Iterator[str]:
    """Name the resources of device plugins: those with a domain that is not Kubernetes' own."""
    return (key for key in amounts if "/" in key and "kubernetes.io/" not in key)


_WHOLE = BOOK.error(
    "G020",
    "An extended resource comes in whole numbers.",
    evidence=f"{_RESOURCES}, kubernetes/kubernetes@pkg/apis/core/validation/validation.go",
    remedy="Ask for whole ones; a part of a GPU is a MIG slice or a share, by its own name.",
)


@_WHOLE.on_objects("*")
def _fraction(item: Json, scene: Scene) -> Iterator[Spot]:
    for place, container in workload_containers(item):
        for side, amounts in zip(("requests", "limits"), _blocks(container), strict=True):
            for key in _extended(amounts):
                number = amount(amounts[key])
                if number is not None and number.denominator != 1:
                    message = f"`{key}: {amounts[key]}` is refused: there are whole ones only"
                    hint = "write 1, or use a flavor of MIG slices or shared GPUs"
                    yield Spot(message, (*place, "resources", side, key), hint)


_EQUAL = BOOK.error(
    "G021",
    "An extended resource has a limit, and a request that equals it.",
    evidence=f"{_SCHEDULING}, kubernetes/kubernetes@pkg/apis/core/validation/validation.go",
    remedy="Write the limit, and the same request or none.",
)


@_EQUAL.on_objects("*")
def _unequal(item: Json, scene: Scene) -> Iterator[Spot]:
    for place, container in workload_containers(item):
        requests, limits = _blocks(container)
        for key in _extended(requests):
            asked = requests[key]
            if key not in limits or amount(limits[key]) != amount(asked):
                limit = f"the limit is {limits[key]}" if key in limits else "there is no limit"
                message = f"`{key}` is requested as {asked} and {limit}: the Pod is refused"
                hint = f"write `limits: {{{key}: {asked}}}`, and the same request or none"
                yield Spot(message, (*place, "resources", "requests", key), hint)


_BOTH = BOOK.warning(
    "G022",
    "A container with a whole GPU and a MIG slice uses one of both.",
    evidence="pytorch/pytorch#130181, NVIDIA/k8s-device-plugin@internal/lm/mig-strategy.go",
    remedy="Ask for one kind of device.",
)


@_BOTH.on_objects("*")
def _whole_and_slice(item: Json, scene: Scene) -> Iterator[Spot]:
    for place, container in workload_containers(item):
        _, limits = _blocks(container)
        slices = [key for key in limits if key.startswith(_MIG)]
        if slices and "nvidia.com/gpu" in limits:
            message = f"a process sees either the GPU or the slice, and holds {slices[0]} as well"
            yield Spot(message, (*place, "resources", "limits", slices[0]), "remove one of them")


_POD_LEVEL = BOOK.error(
    "G025",
    "Resources of a Pod as a whole are cpu, memory and huge pages: a GPU is a container's.",
    evidence="kubernetes/website@content/en/docs/concepts/configuration/"
    "manage-resources-containers.md, kubernetes/kubernetes@pkg/apis/core/validation/validation.go",
    remedy="Ask for the GPU in the container; in an InferenceService in `predictor.model`.",
)


@_POD_LEVEL.on_objects("*")
def _of_the_pod(item: Json, scene: Scene) -> Iterator[Spot]:
    for place, pod in pods(item):
        for side, amounts in zip(("requests", "limits"), _blocks(pod), strict=True):
            for key in list(_extended(amounts))[:1]:
                message = f"`{key}` is asked for by the Pod as a whole, which Kubernetes refuses"
                hint = "move it to the container's `resources` (`predictor.model.resources`)"
                yield Spot(message, (*place, "resources", side, key), hint)


# Where they would run

_ELSEWHERE = BOOK.error(
    "G023",
    "The node selector of a Pod does not lead to the nodes of its flavor.",
    evidence=f"{_SCHEDULING}, kubernetes-sigs/kueue@pkg/scheduler/flavorassigner/flavorassigner.go",
    remedy="Place `release.placement.node_selector` in the template as it is.",
)


@_ELSEWHERE.on_objects("*")
def _elsewhere(item: Json, scene: Scene) -> Iterator[Spot]:
    for pod, place, placement in _own_pods(item, scene):
        selector = block(pod, "nodeSelector")
        for key, value in placement.node_selector.items():
            if selector.get(key) != value and not block(pod, "affinity"):
                said = f"selects `{selector[key]}`" if key in selector else "does not select by it"
                message = (
                    f"nodes of flavor `{placement.flavor}` have `{key}: {value}`, and this Pod "
                    f"{said}"
                )
                hint = "write `nodeSelector: {{ release.placement.node_selector }}`"
                yield Spot(message, (*place, "nodeSelector"), hint)


def _own_pods(item: Json, scene: Scene) -> Iterator[tuple[Json, Pointer, Placement]]:
    """Give the pod specs of the release's own workload that ask for its accelerators."""
    release = scene.release
    if release is None or release.placement is None or not is_served(item, scene):
        return
    for place, pod in pods(item):
        if asks_for(pod, release.placement.resource):
            yield pod, place, release.placement


_NOT_TOLERATED = BOOK.error(
    "G024",
    "A Pod that asks for accelerators does not tolerate the taints of their nodes.",
    evidence="kubernetes/website@content/en/docs/concepts/scheduling-eviction/"
    "taint-and-toleration.md",
    remedy="Place `release.placement.tolerations` in the template as it is.",
)


@_NOT_TOLERATED.on_objects("*")
def _not_tolerated(item: Json, scene: Scene) -> Iterator[Spot]:
    for place, pod in pods(item):
        flavors = [
            flavor
            for flavor in scene.environment.flavors.values()
            if flavor.resource and asks_for(pod, flavor.resource) and _may_run_on(flavor, pod)
        ]
        tolerations = [each for _, each in entries(pod, "tolerations")]
        if flavors and all(taint_of(flavor, tolerations) for flavor in flavors):
            taint = taint_of(flavors[0], tolerations)
            message = (
                f"nodes of flavor `{flavors[0].name}` have the taint {taint}, which this Pod does "
                "not tolerate: it would wait for ever"
            )
            hint = "write `tolerations: {{ release.placement.tolerations }}`"
            yield Spot(message, (*place, "tolerations"), hint)


def _may_run_on(flavor: Flavor, pod: Json) -> bool:
    selector = block(pod, "nodeSelector")
    return all(selector.get(key, value) == value for key, value in flavor.node_labels.items())


_LARGER_THAN_A_NODE = BOOK.error(
    "G027",
    "A Pod of an own template asks for more accelerators than one node has.",
    evidence=_SCHEDULING,
    remedy="Ask for at most what a node has, or select larger nodes.",
)


@_LARGER_THAN_A_NODE.on_objects("*")
def _larger_than_a_node(item: Json, scene: Scene) -> Iterator[Spot]:
    """Leave the release's own workload to the rule of its `gpu.count`."""
    for place, pod in () if is_served(item, scene) else pods(item):
        for index, container in entries(pod, "containers"):
            _, limits = _blocks(container)
            for key in _extended(limits):
                asked, names, most = amount(limits[key]), *_largest(key, pod, scene)
                if asked and 0 < most < asked:
                    message = f"{asked} x {key}, and a node of flavor {names} has {most}"
                    pointer = (*place, "containers", index, "resources", "limits", key)
                    yield Spot(message, pointer, f"ask for {most} at most, or select larger nodes")


def _largest(resource: str, pod: Json, scene: Scene) -> tuple[str, int]:
    """Name the flavors that a Pod may run on, with the most that one node has; 0 if unknown."""
    found = [
        flavor
        for flavor in scene.environment.flavors.values()
        if flavor.resource == resource and _may_run_on(flavor, pod)
    ]
    sizes = [flavor.gpus_per_node for flavor in found]
    return " and ".join(f"`{each.name}`" for each in found), max(sizes) if all(sizes or [0]) else 0


_UNKNOWN_TO_THE_FLAVOR = BOOK.warning(
    "G026",
    "Kueue admits by the labels of a flavor, and ignores what else a Pod selects its GPU by.",
    evidence="kubernetes-sigs/kueue@pkg/scheduler/flavorassigner/flavorassigner.go, "
    "kubernetes-sigs/kueue#15136",
    remedy="Select by the flavor's labels alone, or add the label to the flavor.",
)

_OF_ACCELERATORS = (
    "nvidia.com/",
    "amd.com/gpu",
    "cloud.google.com/gke-accelerator",
    "cloud.google.com/gke-gpu",
    "karpenter.k8s.aws/instance-gpu",
    "node.kubernetes.io/instance-type",
)


@_UNKNOWN_TO_THE_FLAVOR.on_objects("*")
def _unknown_to_the_flavor(item: Json, scene: Scene) -> Iterator[Spot]:
    queue = queue_of(item, scene)
    if queue is None:
        return
    flavors = flavors_of(queue, scene)
    for place, pod in pods(item):
        asked = [each for each in flavors if each.resource and asks_for(pod, each.resource)]
        known = {key for flavor in asked for key in flavor.node_labels}
        for key in block(pod, "nodeSelector"):
            if asked and key not in known and str(key).startswith(_OF_ACCELERATORS):
                message = (
                    f"no flavor of queue `{queue.name}` has the label {key}: Kueue would admit the "
                    "Pod without looking at it, and no node of the flavor might have it"
                )
                hint = "add it to the flavor's `nodeLabels`, or do not select by it"
                yield Spot(message, (*place, "nodeSelector", key), hint)


_OTHER_NODES = BOOK.error(
    "G028",
    "Kueue gives Pods the labels of their ResourceFlavor as a node selector.",
    evidence="kubernetes-sigs/kueue@site/content/en/docs/concepts/resource_flavor.md",
    remedy="Place `flavor.node_labels`, and change the labels in the environment's document.",
)


@_OTHER_NODES.on_objects("ResourceFlavor")
def _flavor_of_other_nodes(item: Json, scene: Scene) -> Iterator[Spot]:
    flavor = scene.environment.flavors.get(text(item, "metadata", "name"))
    labels = block(item, "spec", "nodeLabels")
    lost = [key for key in (flavor.node_labels if flavor else {}) if key not in labels]
    changed = [key for key in labels if flavor and flavor.node_labels.get(key) != labels[key]]
    if flavor is not None and (lost or changed):
        message = (
            f"flavor `{flavor.name}` of {scene.environment.name} has "
            f"{', '.join(f'{key}: {value}' for key, value in flavor.node_labels.items()) or 'none'}"
            ", so that Pods would look for other nodes than those that were checked"
        )
        hint = "write `nodeLabels: {{ flavor.node_labels }}`"
        yield Spot(message, ("spec", "nodeLabels"), hint)
