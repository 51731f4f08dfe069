"""Rules of the quotas, priorities and disruption budgets that Kubernetes itself has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any

from generator.documents import Json
from generator.inventory import namespaces
from generator.inventory.records import Environment
from generator.queues import demand
from generator.queues.demand import Demand
from generator.records import Release
from generator.rules import Book, Finding, Rule, Scene, Spot
from generator.rules.fields import at, block, name_of, number, text
from generator.rules.kueue.accessors import amount
from generator.rules.places import in_environment
from generator.values import quantities

BOOK = Book("quota")

_QUOTAS = "kubernetes/website@content/en/docs/concepts/policy/resource-quotas.md"

_NOT_COUNTED = BOOK.error(
    "Q051",
    "A ResourceQuota counts an extended resource as `requests.<resource>`, and in no other way.",
    evidence=_QUOTAS,
    remedy="Write `requests.nvidia.com/gpu`.",
)


@_NOT_COUNTED.on_objects("ResourceQuota")
def _not_counted(item: Json, scene: Scene) -> Iterator[Spot]:
    known = {flavor.resource for flavor in scene.environment.flavors.values()} - {""}
    for key in block(item, "spec", "hard"):
        resource = key.removeprefix("limits.")
        if "/" in resource and (key != resource or resource in known | {"nvidia.com/gpu"}):
            message = f"nothing is ever counted as `{key}`, so that there is no limit"
            yield Spot(message, ("spec", "hard", key), f"write `requests.{resource}`")


_BELOW = BOOK.warning(
    "Q052",
    "What Kueue grants beyond a namespace's ResourceQuota is never used: the Pods are refused.",
    evidence=_QUOTAS,
    remedy="Let the ResourceQuota be at least the sum of the namespace's queues.",
)


@_BELOW.on_environment
def _below(environment: Environment) -> Iterator[Finding]:
    lines = {each.key: each for each in namespaces.hard(environment.document)}
    hard = {key: line.amount for key, line in lines.items()}
    for key, message, hint in _less_than_granted(hard, environment):
        yield in_environment(environment, lines[key].pointer, message, hint)


@_BELOW.on_objects("ResourceQuota")
def _below_in(item: Json, scene: Scene) -> Iterator[Spot]:
    for key, message, hint in _less_than_granted(_hard(item), scene.environment):
        yield Spot(message, ("spec", "hard", key), hint)


def _hard(item: Json) -> Json:
    """Give what a ResourceQuota counts of all Pods; one with a scope counts some of them."""
    has_scope = at(item, "spec", "scopes") or at(item, "spec", "scopeSelector")
    return {} if has_scope else block(item, "spec", "hard")


_Told = tuple[str, str, str]
"""The key of a ResourceQuota, what is wrong with it, and what to write instead."""


def _less_than_granted(hard: Mapping[str, Any], environment: Environment) -> Iterator[_Told]:
    granted = _granted(environment)
    for key, written in hard.items():
        resource = str(key).removeprefix("requests.")
        most = amount(written)
        if most is not None and most < granted.get(resource, 0):
            enough = _told(granted[resource], resource)
            message = (
                f"the queues of the namespace grant {enough} {resource}, and {written} "
                "may be requested: beyond that, Pods are refused (waiting ones count too)"
            )
            yield key, message, f"raise it to {enough}, or lower the queues' quota"


def _granted(environment: Environment) -> dict[str, Fraction]:
    """Add up what the queues own themselves; what they borrow comes and goes."""
    granted: dict[str, Fraction] = {}
    for queue in environment.queues.values():
        for flavor in queue.flavors:
            for grant in flavor["resources"]:
                owned = quantities.parse(grant["nominalQuota"])
                granted[grant["name"]] = granted.get(grant["name"], Fraction(0)) + owned
    return granted


def _told(amount: Fraction, resource: str) -> str:
    if amount.denominator != 1:
        return f"{amount * 1000}m"
    shown = demand.told(resource, int(amount)) if resource == demand.MEMORY else str(amount)
    return quantities.canonical(shown)


_SHORT = BOOK.error(
    "Q069",
    "Pods beyond a namespace's ResourceQuota are refused: not all models get their replicas.",
    evidence=_QUOTAS,
    remedy="Raise the ResourceQuota, or lower `scaling.min`.",
)


def short_of(environment: Environment, demands: Iterable[Demand]) -> Iterator[tuple[Rule, Finding]]:
    """Compare an environment's own ResourceQuota with the minimum of all of its models."""
    lines = {each.key: each for each in namespaces.hard(environment.document)}
    hard = {key: line.amount for key, line in lines.items()}
    for key, message, hint in _less_than_asked(hard, environment, demands):
        yield _SHORT, in_environment(environment, lines[key].pointer, message, hint)


def short_in(
    item: Json, environment: Environment, demands: Iterable[Demand]
) -> Iterator[tuple[Rule, Spot]]:
    """Compare a ResourceQuota of an own template with the minimum of all models."""
    for key, message, hint in _less_than_asked(_hard(item), environment, demands):
        yield _SHORT, Spot(message, ("spec", "hard", key), hint)


def _less_than_asked(
    hard: Mapping[str, Any], environment: Environment, demands: Iterable[Demand]
) -> Iterator[_Told]:
    asked = _asked(environment, demands) if hard else {}
    for key, written in hard.items():
        resource = str(key).removeprefix("requests.").removeprefix("count/")
        most = amount(written)
        if most is not None and most < asked.get(resource, 0):
            enough = _told(asked[resource], resource)
            message = (
                f"the models of {environment.name} have {enough} {resource} at minimum replicas, "
                f"and {written} is allowed: the last Pods are refused"
            )
            yield key, message, f"raise it to {enough} at least"


def _asked(environment: Environment, demands: Iterable[Demand]) -> dict[str, Fraction]:
    """Add up what all models have at minimum replicas, their Pods among it."""
    asked: Counter[str] = Counter()
    for each in demands:
        extended = environment.flavors[each.flavor].resource if each.flavor else ""
        for pods in each.pods:
            asked["pods"] += pods.minimum
            asked[demand.CPU] += pods.minimum * pods.cpu
            asked[demand.MEMORY] += pods.minimum * pods.memory
            asked[extended] += pods.minimum * pods.accelerators
    return {key: Fraction(total, 1000 if key == demand.CPU else 1) for key, total in asked.items()}


_UNMOVABLE = BOOK.warning(
    "Q053",
    "A disruption budget that allows no replica to go blocks the drain of nodes, not preemption.",
    evidence="kubernetes/website@content/en/docs/concepts/workloads/pods/disruptions.md, "
    "kubernetes-sigs/kueue@pkg/controller/jobs/pod/pod_controller.go",
    remedy="Write `maxUnavailable: 1`, or have more replicas than `minAvailable`.",
)


@_UNMOVABLE.on_objects("PodDisruptionBudget")
def _unmovable(item: Json, scene: Scene) -> Iterator[Spot]:
    release = scene.release
    if release is None or not _is_of(item, release):
        return
    least = min(variant.scaling.minimum for variant in release.variants)
    for key, blocks in (("maxUnavailable", _is_none), ("minAvailable", _is_all_of(least))):
        if blocks(at(item, "spec", key)):
            written = at(item, "spec", key)
            of_all = f" of {least} replicas" if str(written) == str(least) else ""
            message = (
                f"`{key}: {written}`{of_all} lets none go: a node that is drained waits for ever, "
                "and Kueue, which deletes Pods, does not ask"
            )
            yield Spot(message, ("spec", key), "write `maxUnavailable: 1`")


def _is_of(item: Json, release: Release) -> bool:
    """Say whether a budget is about the model, as far as labels that gen writes tell."""
    selected = block(item, "spec", "selector", "matchLabels")
    return release.model in selected.values() or any(
        variant.name in selected.values() for variant in release.variants
    )


def _is_none(written: Any) -> bool:
    return str(written) in ("0", "0%")


def _is_all_of(replicas: int) -> Any:
    def is_all(written: Any) -> bool:
        text = str(written)
        return text == "100%" or (text.isdecimal() and int(text) >= replicas > 0)

    return is_all


_PRIORITY = BOOK.error(
    "Q054",
    "The API server refuses a PriorityClass above a billion, and names that begin with `system-`.",
    evidence="kubernetes/kubernetes@pkg/apis/scheduling/validation/validation.go, "
    "kubernetes/kubernetes@pkg/apis/scheduling/types.go",
    remedy="Use a value of at most 1000000000 and a name of your own.",
)
_HIGHEST = 1_000_000_000
_PREEMPTION = ("PreemptLowerPriority", "Never")


@_PRIORITY.on_objects("PriorityClass")
def _priority(item: Json, scene: Scene) -> Iterator[Spot]:
    if name_of(item).startswith("system-"):
        message = f"names such as {name_of(item)} are Kubernetes' own"
        yield Spot(message, ("metadata", "name"), "take another name")
    if number(item, "value") > _HIGHEST:
        message = f"value {item['value']} is above {_HIGHEST}, which is for the system"
        yield Spot(message, ("value",), f"write at most {_HIGHEST}")
    policy = text(item, "preemptionPolicy")
    if policy and policy not in _PREEMPTION:
        message = f"there is no preemption policy `{policy}`"
        yield Spot(message, ("preemptionPolicy",), f"write {' or '.join(_PREEMPTION)}")


_DEFAULTS = BOOK.warning(
    "Q055",
    "With two default PriorityClasses, Pods get the one with the smaller value.",
    evidence="kubernetes/website@content/en/docs/concepts/scheduling-eviction/"
    "pod-priority-preemption.md",
    remedy="Let one class have `globalDefault: true`.",
)


@_DEFAULTS.on_objects("PriorityClass")
def _two_defaults(item: Json, scene: Scene) -> Iterator[Spot]:
    defaults = [each for each in scene.of_kind("PriorityClass") if each.get("globalDefault")]
    if len(defaults) > 1 and item is defaults[-1]:
        message = f"{name_of(defaults[0])} and {name_of(item)} are both the default"
        yield Spot(message, ("globalDefault",), "keep one")
