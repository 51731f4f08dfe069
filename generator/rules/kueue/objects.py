"""Rules of quota objects: what Kueue's webhooks refuse and no schema says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from fractions import Fraction

from generator.documents import Json
from generator.inventory.records import Environment
from generator.rules import Book, Finding, Scene, Spot
from generator.rules.fields import at, block, entries, name_of, text
from generator.rules.kueue.accessors import amount, grants, groups
from generator.rules.places import in_environment
from generator.schema import suggestion
from generator.yamlio import Pointer

BOOK = Book("quota")

_CLUSTER_QUEUE = "kubernetes-sigs/kueue@pkg/webhooks/clusterqueue_webhook.go"
_COHORT = "kubernetes-sigs/kueue@pkg/webhooks/cohort_webhook.go"
_FLAVOR = "kubernetes-sigs/kueue@pkg/webhooks/resourceflavor_webhook.go"

_ALONE = BOOK.error(
    "Q003",
    "Lending and borrowing is between the queues of a cohort, and between a cohort and its parent.",
    evidence=f"{_CLUSTER_QUEUE}, {_COHORT}",
    remedy="Name a cohort (a `parent` for a cohort), or remove the limit.",
)


@_ALONE.on_objects("ClusterQueue")
def _lends_to_nobody(item: Json, scene: Scene) -> Iterator[Spot]:
    if text(item, "spec", "cohortName"):
        return
    for place, _, grant in grants(item):
        if "lendingLimit" in grant:
            message = f"{name_of(item)} lends {grant.get('name')} to nobody: it is in no cohort"
            yield Spot(message, (*place, "lendingLimit"), "set `cohortName`, or remove the limit")


_MORE_THAN_ITS_OWN = BOOK.error(
    "Q004",
    "A queue lends at most what it owns.",
    evidence=_CLUSTER_QUEUE,
    remedy="Lower `lend`, or raise the quota.",
)


@_MORE_THAN_ITS_OWN.on_objects("ClusterQueue")
def _lends_too_much(item: Json, scene: Scene) -> Iterator[Spot]:
    for place, flavor, grant in grants(item):
        lent, owned = amount(grant.get("lendingLimit")), amount(grant.get("nominalQuota"))
        if lent is not None and owned is not None and lent > owned:
            message = (
                f"{name_of(item)} lends {grant['lendingLimit']} {grant.get('name')} of flavor "
                f"{flavor} and owns {grant['nominalQuota']}"
            )
            hint = f"lend at most {grant['nominalQuota']}"
            yield Spot(message, (*place, "lendingLimit"), hint)


_CIRCLE = BOOK.error(
    "Q005",
    "Cohorts within each other stop every queue below them.",
    evidence="kubernetes-sigs/kueue@apis/kueue/v1beta2/cohort_types.go",
    remedy="Remove one parent, so that one cohort is the root.",
)


@_CIRCLE.on_objects("Cohort")
def _in_a_circle(item: Json, scene: Scene) -> Iterator[Spot]:
    parents = {name_of(each): text(each, "spec", "parentName") for each in scene.of_kind("Cohort")}
    way, parent = [name_of(item)], parents[name_of(item)]
    while parent in parents and parent not in way:
        way.append(parent)
        parent = parents[parent]
    if parent == name_of(item) == min(way):
        message = f"cohorts are within each other: {' in '.join((*way, parent))}"
        yield Spot(message, ("spec", "parentName"), "remove one `parentName`")


_IN_STEP = BOOK.error(
    "Q020",
    "Every flavor lists the covered resources: the same ones, in the same order.",
    evidence=_CLUSTER_QUEUE,
    remedy="Write the resources of each flavor in the order of `coveredResources`.",
)


@_IN_STEP.on_objects("ClusterQueue", "Cohort")
def _out_of_step(item: Json, scene: Scene) -> Iterator[Spot]:
    for group in groups(item):
        for place, flavor in group.flavors:
            listed = [text(grant, "name") for _, grant in entries(flavor, "resources")]
            if listed != group.covered:
                message = (
                    f"flavor {text(flavor, 'name')} lists {', '.join(listed)}, and the group "
                    f"covers {', '.join(group.covered)}: Kueue compares them one by one"
                )
                hint = "list the same resources in the same order, with 0 where there is none"
                yield Spot(message, (*place, "resources"), hint)


_TWICE = BOOK.error(
    "Q021",
    "A resource and a flavor are in one resource group of a queue at most.",
    evidence=_CLUSTER_QUEUE,
    remedy="Keep what belongs together in one group.",
)


@_TWICE.on_objects("ClusterQueue", "Cohort")
def _in_two_groups(item: Json, scene: Scene) -> Iterator[Spot]:
    seen: set[tuple[str, str]] = set()
    for kind, found, place in _members(item):
        if (kind, found) in seen:
            message = f"{kind} {found} is in {name_of(item)} twice"
            yield Spot(message, place, "keep it in one group, and there once")
        seen.add((kind, found))


def _members(item: Json) -> Iterator[tuple[str, str, Pointer]]:
    for group in groups(item):
        for index, resource in enumerate(group.covered):
            yield "resource", resource, (*group.place, "coveredResources", index)
        for place, flavor in group.flavors:
            yield "flavor", text(flavor, "name"), (*place, "name")


_TOO_MANY = BOOK.error(
    "Q022",
    "A queue has at most 256 flavors and 256 resources, and 512 pairs of both in one group.",
    evidence=_CLUSTER_QUEUE,
    remedy="Split the queue.",
)
_MOST, _MOST_PAIRS = 256, 512


@_TOO_MANY.on_objects("ClusterQueue")
def _too_many(item: Json, scene: Scene) -> Iterator[Spot]:
    kinds = [kind for kind, _, _ in _members(item)]
    for kind in ("flavor", "resource"):
        if kinds.count(kind) > _MOST:
            message = f"{name_of(item)} has {kinds.count(kind)} {kind}s of at most {_MOST}"
            yield Spot(message, ("spec", "resourceGroups"), "split the queue")
    for group in groups(item):
        pairs = len(group.covered) * len(group.flavors)
        if pairs > _MOST_PAIRS:
            message = f"the group has {pairs} pairs of flavor and resource, of {_MOST_PAIRS}"
            place = (*group.place, "flavors")
            yield Spot(message, place, "split the group, or cover fewer resources")


_ON_FLAVORS = BOOK.error(
    "Q023",
    "An admission check is for flavors that the queue has.",
    evidence=_CLUSTER_QUEUE,
    remedy="Name flavors of the queue in `onFlavors`.",
)


@_ON_FLAVORS.on_objects("ClusterQueue")
def _check_on_others(item: Json, scene: Scene) -> Iterator[Spot]:
    known = [found for kind, found, _ in _members(item) if kind == "flavor"]
    place = ("spec", "admissionChecksStrategy", "admissionChecks")
    for index, check in entries(item, *place):
        listed = check.get("onFlavors")
        for number, flavor in enumerate(listed if isinstance(listed, list) else ()):
            if flavor not in known:
                message = f"{name_of(item)} has no flavor `{flavor}`"
                pointer = (*place, index, "onFlavors", number)
                yield Spot(message, pointer, suggestion(str(flavor), known))


_CONCURRENT = BOOK.error(
    "Q024",
    "Concurrent admission takes one group of at most 16 flavors, and no StrictFIFO.",
    evidence=_CLUSTER_QUEUE,
    remedy="Use one resource group and `queueingStrategy: BestEffortFIFO`.",
)


@_CONCURRENT.on_objects("ClusterQueue")
def _concurrent(item: Json, scene: Scene) -> Iterator[Spot]:
    if not block(item, "spec", "concurrentAdmissionPolicy"):
        return
    found = list(groups(item))
    flavors = sum(len(group.flavors) for group in found)
    reason = ""
    if len(found) != 1:
        reason = f"has {len(found)} resource groups and may have one"
    elif flavors > 16:
        reason = f"has {flavors} flavors of at most 16"
    elif text(item, "spec", "queueingStrategy") == "StrictFIFO":
        reason = "is StrictFIFO"
    if reason:
        message = f"{name_of(item)} {reason}: it cannot admit concurrently"
        yield Spot(message, ("spec", "concurrentAdmissionPolicy"), "remove the policy")


_WEIGHT = BOOK.error(
    "Q025",
    "A fair-sharing weight is 0, or more than a billionth.",
    evidence=f"{_CLUSTER_QUEUE}, {_COHORT}",
    remedy="Write a weight such as 1, or 0 to be served last.",
)


@_WEIGHT.on_objects("ClusterQueue", "Cohort", "LocalQueue")
def _tiny_weight(item: Json, scene: Scene) -> Iterator[Spot]:
    written = at(item, "spec", "fairSharing", "weight")
    weight = amount(written)
    if weight is not None and 0 < weight <= Fraction(1, 10**9):
        message = f"weight {written} is too small to be told from 0"
        yield Spot(message, ("spec", "fairSharing", "weight"), 'write for example "1"')


_NAMED = BOOK.error(
    "Q026",
    "A covered resource has the name of a resource, with its domain before the `/`.",
    evidence="kubernetes-sigs/kueue@pkg/webhooks/common.go",
    remedy="Write the resource as Pods request it, such as `nvidia.com/gpu`.",
)

_KEY = re.compile(r"(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[-\w.]{0,61}\w)?")
_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-\w.]{0,61}[A-Za-z0-9])?)?")


@_NAMED.on_objects("ClusterQueue", "Cohort")
def _misnamed(item: Json, scene: Scene) -> Iterator[Spot]:
    for kind, resource, place in _members(item):
        if kind == "resource" and not _KEY.fullmatch(resource):
            message = f"`{resource}` is no name of a resource"
            yield Spot(message, place, "write it as Pods do, such as `nvidia.com/gpu`")


_FLAVOR_LABELS = BOOK.error(
    "Q027",
    "The labels of a flavor are labels: keys and values of at most 63 letters, digits, - _ and .",
    evidence=_FLAVOR,
    remedy="Write what the nodes carry.",
)


@_FLAVOR_LABELS.on_objects("ResourceFlavor")
def _flavor_labels(item: Json, scene: Scene) -> Iterator[Spot]:
    for key, written in block(item, "spec", "nodeLabels").items():
        if not _KEY.fullmatch(str(key)) or not _VALUE.fullmatch(str(written)):
            message = f"no node can carry `{key}: {written}`"
            yield Spot(message, ("spec", "nodeLabels", key), "write a label that nodes carry")


_LOWEST = BOOK.error(
    "Q072",
    "In a Topology, the label of single nodes is the last level.",
    evidence="kubernetes-sigs/kueue@apis/kueue/v1beta2/topology_types.go",
    remedy="List the levels from the widest to the node.",
)
_HOSTNAME = "kubernetes.io/hostname"


@_LOWEST.on_objects("Topology")
def _not_the_lowest(item: Json, scene: Scene) -> Iterator[Spot]:
    levels = entries(item, "spec", "levels")
    for index, level in levels[:-1]:
        if text(level, "nodeLabel") == _HOSTNAME:
            message = f"{name_of(item)} has levels below {_HOSTNAME}: Kueue refuses it"
            pointer = ("spec", "levels", index, "nodeLabel")
            yield Spot(message, pointer, "make it the last level")


_SAME_TAINT = BOOK.error(
    "Q028",
    "A taint is one key and one effect: a flavor cannot have two that differ in the value.",
    evidence=_FLAVOR,
    remedy="Keep the one that the nodes have.",
)


@_SAME_TAINT.on_environment
def _same_taint(environment: Environment) -> Iterator[Finding]:
    for flavor in environment.flavors.values() if environment.kueue else ():
        for index, taint in _repeated(flavor.taints):
            message = f"flavor `{flavor.name}` has {_taint(taint)} twice, and Kueue refuses that"
            pointer = ("flavors", flavor.name, "taints", index, "key")
            yield in_environment(environment, pointer, message, "keep the one that the nodes have")


@_SAME_TAINT.on_objects("ResourceFlavor")
def _same_taint_in(item: Json, scene: Scene) -> Iterator[Spot]:
    for index, taint in _repeated(each for _, each in entries(item, "spec", "nodeTaints")):
        message = f"{name_of(item)} has {_taint(taint)} twice"
        yield Spot(message, ("spec", "nodeTaints", index, "key"), "keep the one that nodes have")


def _repeated(taints: Iterable[Json]) -> Iterator[tuple[int, Json]]:
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(taints):
        known = (text(taint, "key"), text(taint, "effect"))
        if known in seen:
            yield index, taint
        seen.add(known)


def _taint(taint: Json) -> str:
    return f"{taint.get('key')}:{taint.get('effect')}"
