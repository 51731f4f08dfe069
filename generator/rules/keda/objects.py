"""Rules of ScaledObjects: bounds, idling, fallback and formulas, as KEDA's webhook judges them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from generator import promql
from generator.documents import Json
from generator.rules import Book, Scene, Spot
from generator.rules.fields import KEDA_HPA_PREFIX, annotated, annotation_at, at, name_of, spec

BOOK = Book("autoscaling")

_RESOURCES = ("cpu", "memory")
_WEBHOOK = "kedacore/keda@apis/keda/v1alpha1/scaledobject_webhook.go"
_TYPES = "kedacore/keda@apis/keda/v1alpha1/scaledobject_types.go"


def _triggers(item: Json) -> list[Json]:
    return spec(item).get("triggers") or []


def _least(item: Json) -> int:
    return int(spec(item).get("minReplicaCount") or 0)


def _may_sleep(item: Json) -> bool:
    return _least(item) == 0 or spec(item).get("idleReplicaCount") == 0


_BOUNDS = BOOK.error(
    "A030",
    "KEDA's API refuses a minimum above the maximum.",
    evidence="kedacore/keda#5288",
    remedy="Swap or correct the two numbers.",
)


@_BOUNDS.on_objects("ScaledObject")
def _min_above_max(item: Json, scene: Scene) -> Iterator[Spot]:
    most = spec(item).get("maxReplicaCount")
    if most is not None and _least(item) > most:
        message = f"`minReplicaCount` {_least(item)} is above `maxReplicaCount` {most}"
        yield Spot(message, ("spec", "minReplicaCount"), "min is at most max")


_IDLE = BOOK.error(
    "A031",
    "`idleReplicaCount` works as 0 below a minimum of 1 or more, and as nothing else.",
    evidence=f"kedacore/keda#2314, kedacore/keda#5954, {_WEBHOOK}",
    remedy="Write `idleReplicaCount: 0` and `minReplicaCount: 1`, or `minReplicaCount: 0` alone.",
)


@_IDLE.on_objects("ScaledObject")
def _idle_count(item: Json, scene: Scene) -> Iterator[Spot]:
    idle = spec(item).get("idleReplicaCount")
    pointer = ("spec", "idleReplicaCount")
    if idle:
        yield Spot(f"`idleReplicaCount: {idle}` is not kept: only 0 is", pointer, "write 0")
    elif idle == 0 and _least(item) == 0:
        message = "`idleReplicaCount: 0` is below no minimum"
        yield Spot(message, pointer, "remove it, or write `minReplicaCount: 1`")


_TWICE = BOOK.error(
    "A032",
    "KEDA's webhook refuses two triggers of one name.",
    evidence=_WEBHOOK,
    remedy="Give each trigger a name of its own.",
)


@_TWICE.on_objects("ScaledObject")
def _names_twice(item: Json, scene: Scene) -> Iterator[Spot]:
    names = [str(trigger.get("name") or "") for trigger in _triggers(item)]
    counted = Counter(names)
    for index, found in enumerate(names):
        if found and counted[found] > 1 and found in names[:index]:
            message = f"two triggers are called `{found}`"
            yield Spot(message, ("spec", "triggers", index, "name"), "rename one of them")


_CACHED = BOOK.error(
    "A033",
    "KEDA's webhook refuses `useCachedMetrics` on cpu, memory and cron triggers.",
    evidence=_WEBHOOK,
    remedy="Remove `useCachedMetrics` from this trigger.",
)


@_CACHED.on_objects("ScaledObject")
def _cached_without_a_cache(item: Json, scene: Scene) -> Iterator[Spot]:
    for index, trigger in enumerate(_triggers(item)):
        if trigger.get("useCachedMetrics") and trigger.get("type") in (*_RESOURCES, "cron"):
            message = f"a {trigger['type']} trigger has no metrics to cache"
            yield Spot(message, ("spec", "triggers", index, "useCachedMetrics"), "remove it")


_FALLBACK = BOOK.error(
    "A034",
    "KEDA's webhook refuses a fallback that no trigger could ever need.",
    evidence=_WEBHOOK,
    remedy="Remove `fallback`, or scale on something other than cpu and memory.",
)


@_FALLBACK.on_objects("ScaledObject")
def _needless_fallback(item: Json, scene: Scene) -> Iterator[Spot]:
    fallback, formula = spec(item).get("fallback"), _modifiers(item).get("formula")
    if not fallback or formula:
        return
    if fallback.get("behavior") == "scalingModifiers":
        message = "`behavior: scalingModifiers` needs a formula, and there is none"
        pointer = ("spec", "fallback", "behavior")
        yield Spot(message, pointer, "write `currentReplicasIfHigher`")
    elif all(trigger.get("type") in _RESOURCES for trigger in _triggers(item)):
        message = "cpu and memory never fall back, and there is no other trigger"
        yield Spot(message, ("spec", "fallback"), "remove it")


_FALLS_TO_ZERO = BOOK.error(
    "A035",
    "With `fallback.replicas: 0`, an outage of the metrics stops the model.",
    evidence="kedacore/keda@pkg/scaling/executor/scale_scaledobjects.go",
    remedy="Write at least 1, and `behavior: currentReplicasIfHigher`.",
)


@_FALLS_TO_ZERO.on_objects("ScaledObject")
def _falls_to_zero(item: Json, scene: Scene) -> Iterator[Spot]:
    fallback = spec(item).get("fallback") or {}
    if fallback.get("replicas") == 0 and fallback.get("behavior", "static") == "static":
        message = "when the metrics cannot be read, KEDA would scale the model to nothing"
        yield Spot(message, ("spec", "fallback", "replicas"), "write at least 1")


def _modifiers(item: Json) -> Json:
    return at(item, "spec", "advanced", "scalingModifiers", default={}) or {}


_FORMULA = BOOK.error(
    "A036",
    "KEDA's webhook refuses a formula without a positive target, or of triggers without a name.",
    evidence=_WEBHOOK,
    remedy="Name every trigger that the formula uses, and give `target` a number above 0.",
)

_VARIABLE = re.compile(r"(?<![\w\"'.])[a-zA-Z_]\w*(?!\w*\s*\()")
_OF_EXPR = frozenset(
    ("and", "or", "not", "in", "true", "false", "nil", "let", "if", "else", "contains", "matches")
)


@_FORMULA.on_objects("ScaledObject")
def _bad_formula(item: Json, scene: Scene) -> Iterator[Spot]:
    modifiers = _modifiers(item)
    if not modifiers:
        return
    pointer = ("spec", "advanced", "scalingModifiers")
    formula, target = str(modifiers.get("formula") or ""), str(modifiers.get("target") or "")
    for key, value in (("formula", formula), ("target", target)):
        if not value:
            yield Spot(f"`scalingModifiers` has no `{key}`", pointer, f"add `{key}`")
    if target and not _is_positive(target):
        message = f"the formula's target is {target}, and KEDA asks for a number above 0"
        yield Spot(message, (*pointer, "target"), 'for example `target: "4"`')
    known = {str(t.get("name")) for t in _triggers(item) if t.get("type") not in _RESOURCES}
    unknown = [word for word in dict.fromkeys(_VARIABLE.findall(formula)) if word not in known]
    for word in unknown:
        if word not in _OF_EXPR:
            message = f"the formula uses `{word}`, and no trigger but cpu and memory has that name"
            yield Spot(message, (*pointer, "formula"), f"add `name: {word}` to its trigger")


def _is_positive(text: str) -> bool:
    try:
        return float(text) > 0
    except ValueError:
        return False


_FRACTION = BOOK.error(
    "A037",
    "A fallback is silently off where the formula's target is no whole number.",
    evidence="kedacore/keda@pkg/fallback/fallback.go",
    remedy="Write a whole number, and scale the formula by the same factor.",
)


@_FRACTION.on_objects("ScaledObject")
def _fallback_without_effect(item: Json, scene: Scene) -> Iterator[Spot]:
    target = str(_modifiers(item).get("target") or "")
    if spec(item).get("fallback") and _is_positive(target) and not target.isdigit():
        message = f"`fallback` has no effect with a target of {target}: KEDA reads a whole number"
        pointer = ("spec", "advanced", "scalingModifiers", "target")
        yield Spot(message, pointer, "multiply formula and target, so that it is a whole number")


_NEVER_WAKES = BOOK.error(
    "A038",
    "KEDA's webhook refuses a minimum of 0 with cpu and memory alone, which nothing measures then.",
    evidence=_WEBHOOK,
    remedy="Write `minReplicaCount: 1`, or add a trigger that exists without Pods.",
)


@_NEVER_WAKES.on_objects("ScaledObject")
def _asleep_on_cpu(item: Json, scene: Scene) -> Iterator[Spot]:
    triggers = _triggers(item)
    if _least(item) == 0 and triggers and all(t.get("type") in _RESOURCES for t in triggers):
        message = "without Pods there is no cpu or memory to measure, so that nothing wakes it"
        yield Spot(message, ("spec", "minReplicaCount"), "write `minReplicaCount: 1`")


_WAKE = BOOK.error(
    "A046",
    "A model at zero is woken only by a signal that its own Pods do not make.",
    evidence="kedacore/keda#6040, llm-d/llm-d#2492",
    remedy="Add a trigger of the gateway, of a queue or of a schedule, or keep a minimum of 1.",
)


@_WAKE.on_objects("ScaledObject")
def _no_wake_signal(item: Json, scene: Scene) -> Iterator[Spot]:
    triggers = _triggers(item)
    others = [trigger for trigger in triggers if trigger.get("type") not in _RESOURCES]
    if not others or not _may_sleep(item):
        return
    workload = str(at(item, "spec", "scaleTargetRef", "name", default=""))
    queries = [str(at(trigger, "metadata", "query", default="")) for trigger in others]
    if all(
        t.get("type") == "prometheus" and promql.is_of_pods(q, workload)
        for t, q in zip(others, queries, strict=True)
    ):
        index = triggers.index(others[0])
        message = "only the scaled Pods report this, so that at 0 replicas nothing wakes them"
        hint = "write `minReplicaCount: 1`, or add a trigger on what the gateway or a queue reports"
        yield Spot(message, ("spec", "triggers", index, "metadata", "query"), hint)


_HUNDRED = BOOK.warning(
    "A047",
    "Without `maxReplicaCount` KEDA goes up to 100 replicas.",
    evidence=_TYPES,
    remedy="Say `maxReplicaCount`.",
)


@_HUNDRED.on_objects("ScaledObject")
def _no_maximum(item: Json, scene: Scene) -> Iterator[Spot]:
    if "maxReplicaCount" not in spec(item):
        message = "there is no `maxReplicaCount`, and KEDA's own is 100"
        yield Spot(message, ("spec",), "add `maxReplicaCount: {{ variant.scaling.maximum }}`")


_BORN_ASLEEP = BOOK.warning(
    "A048",
    "A new ScaledObject stops a model that is still loading, unless it waits at first.",
    evidence="kedacore/keda@pkg/scaling/executor/scale_scaledobjects.go",
    remedy="Add `initialCooldownPeriod`, longer than loading takes.",
)


@_BORN_ASLEEP.on_objects("ScaledObject")
def _stopped_while_loading(item: Json, scene: Scene) -> Iterator[Spot]:
    kinds = {trigger.get("type") for trigger in spec(item).get("triggers") or ()}
    wakes = not kinds <= {"cpu", "memory"}  # otherwise A038 tells
    if wakes and _may_sleep(item) and not spec(item).get("initialCooldownPeriod"):
        message = "a new or changed model is scaled to 0 at once, while it still loads"
        hint = "add `initialCooldownPeriod: 900`, or as long as loading takes"
        key = "idleReplicaCount" if "idleReplicaCount" in spec(item) else "minReplicaCount"
        yield Spot(message, ("spec", key), hint)


_LONG = BOOK.error(
    "A052",
    "KEDA's webhook refuses a name that leaves its HPA more than 63 characters.",
    evidence="kedacore/keda#6998",
    remedy="Shorten the name to 54, or name the HPA in `horizontalPodAutoscalerConfig.name`.",
    keda=">=2.20",
)


@_LONG.on_objects("ScaledObject")
def _name_too_long(item: Json, scene: Scene) -> Iterator[Spot]:
    config = ("spec", "advanced", "horizontalPodAutoscalerConfig", "name")
    own = str(at(item, *config, default="") or "")
    hpa = own or KEDA_HPA_PREFIX + name_of(item)
    if len(hpa) > 63 >= len(name_of(item)):
        message = f"its HPA would be called {hpa}, {len(hpa)} characters of at most 63"
        hint = f"shorten it by {len(hpa) - 63}"
        yield Spot(message, config if own else ("metadata", "name"), hint)


_TAKEN_OVER = BOOK.error(
    "A053",
    "KEDA takes over an HPA only if the ScaledObject names it.",
    evidence=_WEBHOOK,
    remedy="Say its name in `advanced.horizontalPodAutoscalerConfig.name`.",
)
_TRANSFER = "scaledobject.keda.sh/transfer-hpa-ownership"


@_TAKEN_OVER.on_objects("ScaledObject")
def _transfer_without_a_name(item: Json, scene: Scene) -> Iterator[Spot]:
    named = at(item, "spec", "advanced", "horizontalPodAutoscalerConfig", "name")
    if annotated(item).get(_TRANSFER) == "true" and not named:
        message = "nothing says which HPA to take over, so that KEDA refuses to"
        hint = "add `advanced.horizontalPodAutoscalerConfig.name`"
        yield Spot(message, annotation_at(_TRANSFER), hint)


_PAUSED = BOOK.warning(
    "A054",
    "A pause in Git holds until a commit ends it: Argo CD calls the model Suspended, and a sync "
    "with waves waits for ever.",
    evidence="kedacore/keda#6982, argoproj/argo-cd@resource_customizations/keda.sh/ScaledObject",
    remedy="Pause with the action of Argo CD or with kubectl, and leave the annotation out of Git.",
)


@_PAUSED.on_objects("ScaledObject")
def _paused_in_git(item: Json, scene: Scene) -> Iterator[Spot]:
    for key, value in annotated(item).items():
        if key.startswith("autoscaling.keda.sh/paused"):
            is_clear = str(value).lower() in ("true", "false") or key.endswith("-replicas")
            effect = f"`{value}` counts as true" if not is_clear else "this pause is part of Git"
            if str(value).lower() == "false":
                effect = "this ends the pause that an operator made"
            yield Spot(f"{effect}: {key}", annotation_at(key), "remove the annotation")
