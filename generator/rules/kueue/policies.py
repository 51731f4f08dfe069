"""Rules of quota objects that Kueue takes and that do not do what is meant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from generator.documents import Json
from generator.inventory.records import Environment, Queue
from generator.records import Release
from generator.rules import Book, Finding, Scene, Spot
from generator.rules.fields import at, block, entries, name_of, text
from generator.rules.kueue.accessors import amount, described, grants, groups
from generator.rules.places import at_key, at_setting, in_environment
from generator.schema import suggestion
from generator.values import quantities
from generator.yamlio import Pointer

BOOK = Book("quota")

_CATCH_ALL = BOOK.warning(
    "Q006",
    "A LocalQueue called `default` takes every workload of its namespace that names no queue.",
    evidence="kubernetes-sigs/kueue#2936, kubernetes-sigs/kueue#3610",
    remedy="Give the queue another name and name it in `defaults.queue`, which gen reads.",
)


@_CATCH_ALL.on_environment
def _catches_all(environment: Environment) -> Iterator[Finding]:
    if "default" in environment.queues:
        message = (
            "Kueue puts every workload of the namespace that names no queue into a queue called "
            "`default`, those of others too"
        )
        hint = "call it for example `serving`, and write `defaults: {queue: serving}`"
        yield at_key(environment, ("queues", "default"), message, hint)


@_CATCH_ALL.on_objects("LocalQueue")
def _catches_all_in(item: Json, scene: Scene) -> Iterator[Spot]:
    if name_of(item) == "default" and "default" not in scene.environment.queues:
        message = "every workload of the namespace that names no queue goes into this one"
        yield Spot(message, ("metadata", "name"), "call it for example `serving`")


_DANGLING = BOOK.warning(
    "Q029",
    "A queue is inactive while a flavor, topology, check or ClusterQueue that it names is missing.",
    evidence="kubernetes-sigs/kueue@apis/kueue/v1beta2/clusterqueue_types.go",
    remedy="Name one that this environment has, or see that the other is there first.",
)


@_DANGLING.on_objects("ClusterQueue", "Cohort", "LocalQueue", "ResourceFlavor")
def _dangling(item: Json, scene: Scene) -> Iterator[Spot]:
    for kind, wanted, place in _references(item):
        known = [name_of(each) for each in scene.of_kind(kind)]
        if known and wanted not in known:
            message = f"{name_of(item)} names the {kind} `{wanted}`, which nothing here makes"
            yield Spot(message, place, suggestion(wanted, known))


def _references(item: Json) -> Iterator[tuple[str, str, Pointer]]:
    """Give kind and name of what an object refers to; what is not made here at all may be there."""
    checks = ("spec", "admissionChecksStrategy", "admissionChecks")
    for index, check in entries(item, *checks):
        yield "AdmissionCheck", text(check, "name"), (*checks, index, "name")
    for key, kind in (("clusterQueue", "ClusterQueue"), ("topologyName", "Topology")):
        if text(item, "spec", key):
            yield kind, text(item, "spec", key), ("spec", key)
    for group in groups(item):
        for place, flavor in group.flavors:
            yield "ResourceFlavor", text(flavor, "name"), (*place, "name")


_NOT_ADMITTED = BOOK.error(
    "Q030",
    "A queue admits workloads of the namespaces that its selector matches; without one, of none.",
    evidence="kubernetes-sigs/kueue@apis/kueue/v1beta2/clusterqueue_types.go",
    remedy="Match the namespace by `kubernetes.io/metadata.name`, which every namespace carries.",
)


@_NOT_ADMITTED.on_objects("ClusterQueue")
def _not_admitted(item: Json, scene: Scene) -> Iterator[Spot]:
    """Judge the namespaces from which a LocalQueue here leads to the queue."""
    selector = at(item, "spec", "namespaceSelector")
    for queue in scene.of_kind("LocalQueue"):
        namespace = text(queue, "metadata", "namespace") or scene.environment.namespace
        known = _labels_of(namespace, scene)
        if namespace != scene.environment.namespace:
            continue  # the project of the platform does not reach it
        if text(queue, "spec", "clusterQueue") != name_of(item) or _matches(selector, known):
            continue
        if selector is not None and not _keys(selector) <= known.keys():
            continue  # who labels the namespace may not be here
        place = ("spec",) if selector is None else ("spec", "namespaceSelector")
        message = (
            f"{name_of(item)} admits nothing of namespace `{namespace}`, whose queue leads to it"
        )
        hint = f"write `matchLabels: {{kubernetes.io/metadata.name: {namespace}}}`"
        yield Spot(message, place, hint)


def _labels_of(namespace: str, scene: Scene) -> Json:
    made = (each for each in scene.of_kind("Namespace") if name_of(each) == namespace)
    known = block(next(made, {}), "metadata", "labels")
    return {**known, "kubernetes.io/metadata.name": namespace}


def _keys(selector: Any) -> set[str]:
    expressions = (text(each, "key") for _, each in entries(selector, "matchExpressions"))
    return {*block(selector, "matchLabels"), *expressions}


def _matches(selector: Any, known: Json) -> bool:
    if selector is None:
        return False
    wanted = block(selector, "matchLabels")
    expressions = [each for _, each in entries(selector, "matchExpressions")]
    return all(known.get(key) == wanted[key] for key in wanted) and all(
        _meets(each, known) for each in expressions
    )


def _meets(expression: Json, known: Json) -> bool:
    key, values = text(expression, "key"), at(expression, "values") or []
    outcomes: dict[str, bool] = {
        "In": known.get(key) in values,
        "NotIn": known.get(key) not in values,
        "Exists": key in known,
        "DoesNotExist": key not in known,
    }
    return outcomes.get(text(expression, "operator"), True)


_TWO_VALUES = BOOK.warning(
    "Q031",
    "Flavors of two resource groups set one node label to different values: a Pod gets either.",
    evidence="kubernetes-sigs/kueue#14409",
    remedy="Put the resources into one group, so that all of a Pod come from one flavor.",
)


@_TWO_VALUES.on_objects("ClusterQueue")
def _two_values(item: Json, scene: Scene) -> Iterator[Spot]:
    made = {
        name_of(each): block(each, "spec", "nodeLabels") for each in scene.of_kind("ResourceFlavor")
    }
    seen: dict[str, tuple[Pointer, Any]] = {}
    for group in groups(item):
        for place, flavor in group.flavors:
            for key, said in made.get(text(flavor, "name"), {}).items():
                group_of, other = seen.setdefault(key, (group.place, said))
                if group_of != group.place and other != said:
                    message = (
                        f"flavors of two groups set {key}, to {other} and to {said}: a Pod with "
                        "resources of both gets either"
                    )
                    yield Spot(message, (*place, "name"), "put these resources into one group")


_BLOCKED = BOOK.warning(
    "Q032",
    "In a queue with StrictFIFO, one workload that does not fit keeps all others waiting.",
    evidence="kubernetes-sigs/kueue@site/content/en/docs/concepts/cluster_queue.md",
    remedy="Use `BestEffortFIFO`, where a model that does not fit waits alone.",
)


@_BLOCKED.on_release_with("queue", "queue.strict")
def _holds_up(release: Release) -> Iterator[Finding]:
    """Look at models alone: for runs, to wait in turn may be what is meant."""
    queue = release.environment.queues.get(release.queue)
    if queue is not None and queue.strategy == "StrictFIFO":
        message = (
            f"queue `{release.queue}` is `StrictFIFO`: one workload that does not fit holds up "
            "every replica behind it"
        )
        hint = "name another queue, or write `strategy: BestEffortFIFO` in this one"
        yield at_setting(release, ("queue",), message, hint)


@_BLOCKED.on_objects("ClusterQueue")
def _blocked(item: Json, scene: Scene) -> Iterator[Spot]:
    known, strategy = described(item, scene), text(item, "spec", "queueingStrategy")
    if strategy == "StrictFIFO" and (known is None or known.strategy != strategy):
        message = (
            f"one model that does not fit into {name_of(item)} holds up every replica behind it"
        )
        yield Spot(message, ("spec", "queueingStrategy"), "write `BestEffortFIFO`")


_STOPPED = BOOK.warning(
    "Q033",
    "A queue on hold admits nothing, not even the Pod that replaces one which runs.",
    evidence="kubernetes-sigs/kueue@apis/kueue/v1beta2/clusterqueue_types.go",
    remedy="Move the models to another queue before this is merged.",
)


@_STOPPED.on_objects("ClusterQueue", "LocalQueue")
def _stopped(item: Json, scene: Scene) -> Iterator[Spot]:
    known, policy = described(item, scene), text(item, "spec", "stopPolicy")
    if policy == "Hold" and (known is None or known.stop != policy):
        message = f"{name_of(item)} admits no Pod any more: a replica that restarts does not return"
        hint = "move its models to another queue first, or write `None`"
        yield Spot(message, ("spec", "stopPolicy"), hint)


_GONE = BOOK.warning(
    "Q034",
    "A queue that lends and never reclaims gets its quota back when the borrower is done.",
    evidence="kubernetes-sigs/kueue@site/content/en/docs/concepts/cluster_queue.md, "
    "kubernetes-sigs/kueue#1603",
    remedy="Set `preemption.reclaimWithinCohort: Any`, or lend nothing.",
)


@_GONE.on_environment
def _never_back(environment: Environment) -> Iterator[Finding]:
    for name, queue in environment.queues.items():
        others = [each for each in environment.queues.values() if each is not queue]
        cohort = environment.cohorts.get(queue.cohort)
        has_borrowers = any(each.cohort == queue.cohort for each in others) or bool(
            cohort and cohort.parent
        )
        reclaims = queue.preemption.reclaim != "Never" or not queue.cohort
        if not reclaims and has_borrowers and _grants_to_others(queue):
            message = (
                f"queue `{name}` lends to its cohort and never reclaims: what waits in it waits "
                "until whoever borrowed is done"
            )
            place = ("queues", name, "preemption", "reclaimWithinCohort")
            yield in_environment(environment, place, message, "write `Any`, or lend nothing")


def _grants_to_others(queue: Queue) -> bool:
    """Say whether a queue owns what it may lend; without a limit, everything is lent."""
    return any(
        amount(grant["nominalQuota"]) and amount(grant.get("lendingLimit", 1)) != 0
        for flavor in queue.flavors
        for grant in flavor["resources"]
    )


@_GONE.on_objects("ClusterQueue")
def _gone(item: Json, scene: Scene) -> Iterator[Spot]:
    reclaims = text(item, "spec", "preemption", "reclaimWithinCohort") or "Never"
    if reclaims == "Never" and _is_among_others(item, scene) and _lends(item):
        message = (
            f"{name_of(item)} lends to its cohort and never reclaims: its models wait until "
            "whoever borrowed is done"
        )
        has_own = "preemption" in block(item, "spec")
        place = ("spec", "preemption") if has_own else ("spec", "cohortName")
        yield Spot(message, place, "write `preemption: {reclaimWithinCohort: Any}`")


def _is_among_others(item: Json, scene: Scene) -> bool:
    """Say whether somebody could borrow: another queue of the cohort, or a cohort around it."""
    cohort = text(item, "spec", "cohortName")
    beside = [each for each in scene.of_kind("ClusterQueue") if each is not item]
    below = [each for each in scene.of_kind("Cohort") if name_of(each) == cohort]
    return bool(cohort) and (
        any(text(each, "spec", "cohortName") == cohort for each in beside)
        or any(text(each, "spec", "parentName") for each in below)
    )


def _lends(item: Json) -> bool:
    """Without a limit, everything is lent."""
    return any(
        amount(grant.get("nominalQuota")) and amount(grant.get("lendingLimit", 1)) != 0
        for _, _, grant in grants(item)
    )


_FAIR = BOOK.warning(
    "Q035",
    "Preemption while borrowing does not go together with fair sharing.",
    evidence="kubernetes-sigs/kueue@apis/kueue/v1beta2/clusterqueue_types.go",
    remedy="Remove `borrowWithinCohort`, or the weight.",
)


@_FAIR.on_environment
def _fair_and_borrowing(environment: Environment) -> Iterator[Finding]:
    for name, queue in environment.queues.items():
        if queue.preemption.borrow and queue.weight:
            message = (
                f"queue `{name}` has a weight, and with fair sharing nothing borrows like this"
            )
            place = ("queues", name, "preemption", "borrowWithinCohort")
            hint = "remove it, or `fairSharing`"
            yield in_environment(environment, place, message, hint)


@_FAIR.on_objects("ClusterQueue")
def _fair(item: Json, scene: Scene) -> Iterator[Spot]:
    place = ("spec", "preemption", "borrowWithinCohort", "policy")
    if text(item, *place) == "LowerPriority" and block(item, "spec", "fairSharing"):
        message = f"{name_of(item)} has a weight, and with fair sharing nothing borrows like this"
        yield Spot(message, place, "remove `borrowWithinCohort`, or `fairSharing`")


_REWRITTEN = BOOK.warning(
    "Q036",
    "Kueue's webhook writes amounts in their canonical form: Argo CD sees another one for ever.",
    evidence="shepherdjerred/monorepo#1620",
    remedy='Write amounts as texts in the canonical form: "12" for 12000m, "1Gi" for 1024Mi.',
)

_AMOUNTS = ("nominalQuota", "borrowingLimit", "lendingLimit")


@_REWRITTEN.on_objects("ClusterQueue", "Cohort")
def _rewritten(item: Json, scene: Scene) -> Iterator[Spot]:
    for place, _, grant in grants(item):
        for key in _AMOUNTS:
            canonical = _canonical(grant.get(key))
            if canonical and grant[key] != canonical:
                message = f'`{key}: {grant[key]}` is written back as "{canonical}"'
                hint = f'write `"{canonical}"`, or Argo CD shows a difference for ever'
                yield Spot(message, (*place, key), hint)


def _canonical(written: Any) -> str:
    return "" if amount(written) is None else quantities.canonical(written)
