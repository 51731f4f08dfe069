"""Rules of what own templates add beside the models: priorities, bounds and sheer size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from generator.documents import Json
from generator.inventory import namespaces
from generator.inventory.records import Flavor, Queue
from generator.queues import capacity
from generator.queues.demand import amount, told
from generator.records import Release
from generator.rules import Book, Finding, Scene, Spot
from generator.rules.fields import block, entries, name_of, number, text
from generator.rules.kueue.accessors import amount as exact
from generator.rules.kueue.accessors import (
    flavors_of,
    is_inside,
    is_served,
    pods,
    queue_of,
    queue_places,
    servers,
)
from generator.rules.places import at_setting
from generator.schema import suggestion
from generator.settings import origin
from generator.yamlio import Pointer

BOOK = Book("quota")

_UNKNOWN_PRIORITY = BOOK.warning(
    "Q058",
    "Without the priority class that it names, a Pod is refused and a workload never queued.",
    evidence="kubernetes/website@content/en/docs/concepts/scheduling-eviction/"
    "pod-priority-preemption.md, "
    "kubernetes-sigs/kueue@site/content/en/docs/concepts/workload_priority_class.md",
    remedy="Add the class as a template in templates/platform/extra/. If the cluster has it from "
    "elsewhere, silence this rule.",
)
_PRIORITY = "kueue.x-k8s.io/priority-class"
_ADD = "add it in templates/platform/extra/, or silence Q058 if the cluster has it"


@_UNKNOWN_PRIORITY.on_objects("*")
def _unknown_priority(item: Json, scene: Scene) -> Iterator[Spot]:
    for kind, pointer, wanted in _priorities(item):
        made = [name_of(each) for each in scene.around(kind)]
        if wanted not in made and not wanted.startswith("system-"):
            message = f"nothing here makes the {kind} `{wanted}`: where it is missing, no Pod comes"
            hint = suggestion(wanted, made) if made else _ADD
            yield Spot(message, pointer, hint)


def _priorities(item: Json) -> Iterator[tuple[str, Pointer, str]]:
    """Give kind, place and name of the priority classes that a workload names."""
    for place, pod in pods(item):
        if text(pod, "priorityClassName"):
            pointer = (*place, "priorityClassName")
            yield "PriorityClass", pointer, text(pod, "priorityClassName")
    for place in queue_places(item):
        wanted = text(item, *place, "labels", _PRIORITY)
        if wanted:
            yield "WorkloadPriorityClass", (*place, "labels", _PRIORITY), wanted


_TOO_LARGE = BOOK.error(
    "Q059",
    "Kueue never admits a workload of an own template that is more than its queue could hold.",
    evidence="kubernetes-sigs/kueue@pkg/scheduler/flavorassigner/flavorassigner.go, "
    "kubernetes-sigs/kueue@pkg/cache/scheduler/resource_node.go",
    remedy="Ask for less, name another queue, or raise the quota or what the cohort lends.",
)


class _Set(NamedTuple):
    """Pods that are alike, how many, where their number stands, and whether they start at once."""

    pod: Json
    place: Pointer
    number: int
    counted: Pointer
    is_one: bool


_COUNTS: dict[str, tuple[Pointer, bool]] = {
    "Job": (("spec", "parallelism"), True),
    "CronJob": (("spec", "jobTemplate", "spec", "parallelism"), True),
    "StatefulSet": (("spec", "replicas"), True),
    "Deployment": (("spec", "replicas"), False),
}


def _sets(item: Json) -> Iterator[_Set]:
    counted, is_one = _COUNTS.get(item["kind"], ((), True))
    for place, pod in pods(item):
        count = number(item, *counted, default=1) if counted else 1
        yield _Set(pod, place, count, counted, is_one)


@_TOO_LARGE.on_objects("Pod", *_COUNTS)
def _too_large(item: Json, scene: Scene) -> Iterator[Spot]:
    queue = queue_of(item, scene)
    if queue is None or is_served(item, scene) or not _is_known(queue, scene):
        return
    for each in _sets(item):
        asked = _requests(each.pod)
        rooms = [
            _room(flavor, queue, asked, scene)
            for flavor in flavors_of(queue, scene)
            if _takes(flavor, each.pod)
        ]
        if rooms and asked and asked.keys() <= set(queue.covered_resources):
            yield from _beyond(each, asked, rooms, queue)


_Amounts = Mapping[str, int]


def _is_known(queue: Queue, scene: Scene) -> bool:
    """Say whether a queue's reach is known: of an own template's only what it has itself is."""
    return queue.name in scene.environment.queues or not queue.cohort


def _room(flavor: Flavor, queue: Queue, asked: Iterable[str], scene: Scene) -> _Amounts:
    """Say how much of a flavor a queue could ever hold."""
    if queue.name in scene.environment.queues:
        held = capacity.of(scene.environment)
        return {key: held.reachable((flavor.name, key), queue.name) for key in asked}
    nominal = {
        text(each, "name"): each.get("nominalQuota")
        for grant in queue.flavors
        if text(grant, "name") == flavor.name
        for _, each in entries(grant, "resources")
    }
    return {key: amount(key, nominal[key]) if exact(nominal.get(key)) else 0 for key in asked}


def _beyond(each: _Set, asked: _Amounts, rooms: Sequence[_Amounts], queue: Queue) -> Iterator[Spot]:
    """Compare Pods with what each flavor could ever hold for the queue."""
    fitting = [min(room[key] // size for key, size in asked.items()) for room in rooms]
    best = max(fitting)
    if (best if each.is_one else sum(fitting)) >= each.number:
        return
    room, times = rooms[fitting.index(best)], each.number if best else 1
    key = next(key for key, size in asked.items() if size * times > room[key])
    most = sum(one[key] for one in rooms) if best and not each.is_one else room[key]
    message = (
        f"queue `{queue.name}` could never hold {told(key, asked[key] * times)} {key}"
        f"{f' for {times} Pods' if best else ''}: it is {told(key, most)} at most, with all that "
        "its cohort lends"
    )
    pointer = each.counted if best else _place_of(each, key)
    yield Spot(message, pointer, "ask for less, or raise the quota")


def _place_of(each: _Set, resource: str) -> Pointer:
    """Lead to the container that asks for the most of a resource."""
    found = [
        (_amounts(container).get(resource, 0), (*each.place, kind, index, "resources"), container)
        for kind in ("containers", "initContainers")
        for index, container in entries(each.pod, kind)
    ]
    _, place, container = max(found, key=lambda one: one[0])
    sides = [side for side in ("requests", "limits") if resource in _side(container, side)]
    return (*place, sides[0], resource) if sides else place


def _side(container: Json, side: str) -> Json:
    return block(container, "resources", side)


def _amounts(container: Json) -> dict[str, int]:
    """Count what a container requests; a limit stands in for a request that nobody makes."""
    merged = {**_side(container, "limits"), **_side(container, "requests")}
    return {
        key: amount(key, written) for key, written in merged.items() if exact(written) is not None
    }


def _requests(pod: Json) -> dict[str, int]:
    """Ask as the scheduler does: the sum of the containers, or an init container if that is more.

    Source: kubernetes/website@content/en/docs/concepts/workloads/pods/init-containers.md.
    """
    total: dict[str, int] = {}
    for container in servers(pod):
        for key, size in _amounts(container).items():
            total[key] = total.get(key, 0) + size
    for _, container in entries(pod, "initContainers"):
        for key, size in _amounts(container).items():
            total[key] = max(total.get(key, 0), size)
    return {key: size for key, size in total.items() if size}


def _takes(flavor: Flavor, pod: Json) -> bool:
    """Say whether a flavor has the accelerators and the labels that a Pod asks for."""
    extended = {key for key in _requests(pod) if "/" in key}
    selector = block(pod, "nodeSelector")
    agrees = all(selector.get(key, value) == value for key, value in flavor.node_labels.items())
    return agrees and (not extended or extended == {flavor.resource})


_OUT_OF_BOUNDS = BOOK.error(
    "Q068",
    "The API server refuses a container outside of the bounds of its namespace's LimitRange.",
    evidence="kubernetes/website@content/en/docs/concepts/policy/limit-range.md, "
    "kubernetes-sigs/kueue@pkg/workload/resources.go",
    remedy="Ask for what the LimitRange allows, or let it allow what the models ask for.",
)


@_OUT_OF_BOUNDS.on_release_with("environment.limitRange")
def _model_out_of_bounds(release: Release) -> Iterator[Finding]:
    """Judge by the environment's own LimitRange what a model says itself."""
    bounds = namespaces.limits(release.environment.document)
    if not (bounds.maximum or bounds.minimum):
        return
    container = {"resources": release.serving.resources}
    bound = {"max": bounds.maximum, "min": bounds.minimum}
    for side, key, spot in _outside(release.environment.namespace, bound, (), container):
        yield at_setting(release, _setting(release, side, key), spot.message, spot.hint)


@_OUT_OF_BOUNDS.on_objects("*")
def _out_of_bounds(item: Json, scene: Scene) -> Iterator[Spot]:
    bounds = [
        (name_of(each), bound)
        for each in scene.around("LimitRange")
        for _, bound in entries(each, "spec", "limits")
        if text(bound, "type") == "Container"
    ]
    release = scene.release if is_served(item, scene) else None
    for place, container in _containers(item) if bounds else ():
        for name, bound in bounds:
            for side, key, spot in _outside(name, bound, place, container):
                yield replace(spot, setting=_setting(release, side, key)) if release else spot


def _setting(release: Release, side: str, resource: str) -> tuple[str, ...]:
    """Lead to the setting that an amount of the release's own container comes from."""
    if "/" in resource:
        return ("serving", "gpu", "count")
    apart = ("serving", "resources", "limits", resource)
    is_apart = side == "limits" and origin(release.layers, apart) is not None
    return apart if is_apart else ("serving", "resources", resource)


def _containers(item: Json) -> Iterator[tuple[Pointer, Json]]:
    for place, pod in pods(item):
        if block(pod, "model"):
            yield (*place, "model"), block(pod, "model")
        for kind in ("containers", "initContainers"):
            yield from (((*place, kind, index), each) for index, each in entries(pod, kind))


def _outside(
    name: str, bound: Json, place: Pointer, container: Json
) -> Iterator[tuple[str, str, Spot]]:
    for limit, side, is_beyond in (("max", "limits", 1), ("min", "requests", -1)):
        for key, allowed in block(bound, limit).items():
            written = _side(container, side).get(key)
            asked, most = exact(written), exact(allowed)
            if asked is not None and most is not None and (asked - most) * is_beyond > 0:
                word = "most" if limit == "max" else "least"
                message = (
                    f"LimitRange `{name}` allows {allowed} {key} at {word}, and this container has "
                    f"{written}: the Pod is refused"
                )
                hint = f"write {allowed} at {word}, or change `{limit}` of the LimitRange"
                yield side, key, Spot(message, (*place, "resources", side, key), hint)


_UNSAID = BOOK.error(
    "Q070",
    "A namespace with a ResourceQuota of cpu or memory refuses containers that name none.",
    evidence="kubernetes/website@content/en/docs/concepts/policy/resource-quotas.md, "
    "kserve/kserve#1242",
    remedy="Write the request or limit that the ResourceQuota counts, or add a LimitRange with "
    "defaults.",
)
_COUNTED = {
    f"{prefix}{key}": (side, key)
    for key in ("cpu", "memory")
    for prefix, side in (("", "requests"), ("requests.", "requests"), ("limits.", "limits"))
}


@_UNSAID.on_release_with("deployment")
def _model_unsaid(release: Release) -> Iterator[Finding]:
    """Ask what the LimitRange does not fill in; the runtimes of KServe name their own."""
    document = release.environment.document
    filled = namespaces.limits(document).request
    said = release.serving.resources["requests"].keys() | release.serving.resources["limits"].keys()
    for each in namespaces.hard(document):
        _, key = _COUNTED.get(each.key, ("", ""))
        if key and key not in filled and key not in said:
            message = (
                f"{release.environment.name} counts {each.key} in `resourceQuota`, and the model "
                "names none: its Pods are refused"
            )
            hint = f"add `resources: {{{key}: ...}}`, or `limitRange.defaultRequest` for all"
            yield at_setting(release, ("serving", "resources"), message, hint)


@_UNSAID.on_objects("Pod", *_COUNTS)
def _unsaid(item: Json, scene: Scene) -> Iterator[Spot]:
    """Say nothing where a LimitRange is, which may fill in what a container leaves out."""
    hard = {
        key: name_of(each)
        for each in scene.around("ResourceQuota")
        if not {"scopes", "scopeSelector"} & block(each, "spec").keys()
        for key in block(each, "spec", "hard")
        if key in _COUNTED
    }
    if not hard or any(scene.around("LimitRange")) or not is_inside(item, scene):
        return
    for place, container in _containers(item):
        missing = [key for key in hard if not _says(container, *_COUNTED[key])]
        if missing:
            side, resource = _COUNTED[missing[0]]
            message = (
                f"ResourceQuota `{hard[missing[0]]}` counts {missing[0]}, and the container has "
                f"none: its Pods are refused"
            )
            hint = f"write `{side}: {{{resource}: ...}}`"
            setting = ("serving", "resources") if is_served(item, scene) else ()
            yield Spot(message, (*place, "resources"), hint, setting)


def _says(container: Json, side: str, resource: str) -> bool:
    return resource in _side(container, "limits") or resource in _side(container, side)
