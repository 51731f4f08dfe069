"""How fast replicas come and go: an HPA's behavior, KEDA's timing and fallback, Knative's windows.

Seconds and policies are those of an HPA (kubernetes/kubernetes@pkg/apis/autoscaling/validation),
of a ScaledObject (kedacore/keda@apis/keda/v1alpha1/scaledobject_types.go) and of KPA
(knative/serving@pkg/apis/autoscaling/register.go).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from generator.documents import Json
from generator.problems import Problem
from generator.records import Autoscaler
from generator.scaling import triggers
from generator.settings import Settings
from generator.values import minors

_START = 300
"""Seconds that a new model is not stopped for: one that loads has nothing to do yet, and KEDA would
stop it at once (kedacore/keda@pkg/scaling/executor/scale_scaledobjects.go)."""

TIMING = {
    "pollingInterval": "pollingInterval",
    "cooldown": "cooldownPeriod",
    "initialCooldown": "initialCooldownPeriod",
}
"""Our words, and KEDA's."""

_BEHAVIORAL = ("hpa", "keda")
_HOLDING = (2, 17)
_OFF = "Disabled"
_WINDOWS = {"window": "window", "scaleDownDelay": "scale-down-delay"}


def timing(settings: Settings) -> Json:
    """Write when KEDA looks, and when it stops a model that has nothing to do."""
    said = {name: settings.get("scaling", key) for key, name in TIMING.items()}
    found = {name: seconds for name, seconds in said.items() if seconds is not None}
    if settings.scaling["min"] == 0:
        found.setdefault("initialCooldownPeriod", _START)
    return found


def fallback(settings: Settings, version: str) -> Json:
    """Write what holds while KEDA gets no answer: what there is, and at least one replica.

    Before 2.17 what there is was nothing to KEDA
    (kedacore/keda-docs@content/docs/2.17/reference/scaledobject-spec.md).
    """
    if not triggers.may_fail(settings):
        return {}
    said = settings.get("scaling", "fallback") or {}
    replicas = said.get("replicas", max(1, settings.scaling["min"]))
    holds = minors.parsed(version) >= _HOLDING
    return _held(said.get("failureThreshold", 3), replicas, holds=holds)


@lru_cache(256)
def _held(failures: int, replicas: int, *, holds: bool) -> Json:
    return {
        "failureThreshold": failures,
        "replicas": replicas,
        **({"behavior": "currentReplicasIfHigher"} if holds else {}),
    }


def behavior(settings: Settings) -> Json:
    """Write how fast an HPA may go in each direction."""
    said = settings.get("scaling", "behavior") or {}
    return {way: _rules(said[way]) for way in ("scaleUp", "scaleDown") if way in said}


def _rules(said: Json) -> Json:
    """Write one direction; where nothing may change, at no pace."""
    policies = [
        {"type": kind, "value": said[key], "periodSeconds": said.get("period", 60)}
        for key, kind in (("pods", "Pods"), ("percent", "Percent"))
        if key in said and said.get("select") != _OFF
    ]
    window = said.get("stabilization")
    return {
        **({"stabilizationWindowSeconds": window} if window is not None else {}),
        **({"selectPolicy": said["select"]} if "select" in said else {}),
        **({"policies": policies} if policies else {}),
    }


def knobs(settings: Settings, owner: Autoscaler) -> Json:
    """Write what Knative's own autoscaler reads beside a metric and bounds."""
    said = settings.get("scaling", "knative") or {}
    if owner != "kpa":
        return {}
    found = {
        f"autoscaling.knative.dev/{name}": f"{said[key]}s"
        for key, name in _WINDOWS.items()
        if key in said
    }
    if "initialScale" in said:
        found["autoscaling.knative.dev/initial-scale"] = str(said["initialScale"])
    return found


# What cannot work


def problems(settings: Settings, owner: Autoscaler) -> Iterator[Problem]:
    """Find what the owner of the replicas does not read, and what contradicts itself."""
    yield from _unread(settings, owner)
    yield from _paces(settings)
    if owner == "keda":
        yield from _fallback(settings)
    if owner == "kpa":
        yield from _concurrency(settings)


_READERS = {
    **{key: (("keda",), "KEDA reads it") for key in (*TIMING, "fallback")},
    "behavior": (_BEHAVIORAL, "KEDA or an HPA of gen's own reads it"),
}
_WHO: dict[Autoscaler, str] = {
    "kpa": "Knative's autoscaler decides",
    "knative-hpa": "Knative's HPA decides",
    "kserve-hpa": "KServe's HPA decides",
    "hpa": "an HPA decides",
    "keda": "KEDA decides",
    "seldon": "Seldon decides",
    "none": "the number is fixed",
}


def _unread(settings: Settings, owner: Autoscaler) -> Iterator[Problem]:
    """Refuse what nobody reads; an environment says it for all models, and that is no mistake."""
    for key in (key for key in _READERS if key in settings.data["scaling"]):
        readers, who = _READERS[key]
        pointer = ("scaling", key)
        if owner in readers or not triggers.is_of_the_model(settings, *pointer):
            continue
        message = f"`scaling.{key}` has no effect: {who}, and here {_WHO[owner]}"
        hint = "remove it" if owner in ("kpa", "knative-hpa") else _INSTEAD
        yield settings.problem("A107", message, pointer, hint)


_INSTEAD = "remove it, or scale on `requests-per-second`, `concurrency` or `triggers`"


def _paces(settings: Settings) -> Iterator[Problem]:
    for way, said in (settings.get("scaling", "behavior") or {}).items():
        pointer = ("scaling", "behavior", way)
        is_limited, is_off = bool({"pods", "percent"} & said.keys()), said.get("select") == _OFF
        if "period" in said and not is_limited:
            message = "`period` is what `pods` or `percent` are counted in, and neither is here"
            hint = "add `pods: 1`, or remove it"
            yield settings.problem("E302", message, (*pointer, "period"), hint)
        if is_off and is_limited and _is_of_one_layer(settings, pointer):
            message = "`select: Disabled` changes nothing in this direction, at no pace"
            hint = "remove `pods` and `percent`, or `select`"
            yield settings.problem("E303", message, (*pointer, "select"), hint)
        elif "select" in said and not is_off and not {"pods", "percent"} <= said.keys():
            message = f"`select: {said['select']}` chooses between `pods` and `percent`"
            hint = "add the other one, or remove it"
            yield settings.problem("E302", message, (*pointer, "select"), hint)


def _is_of_one_layer(settings: Settings, pointer: tuple[str, ...]) -> bool:
    """Say whether one layer both changes nothing and says how fast."""
    rank = settings.rank(*pointer, "select")
    return rank == max(settings.rank(*pointer, key) for key in ("pods", "percent"))


def _fallback(settings: Settings) -> Iterator[Problem]:
    said, most = settings.get("scaling", "fallback") or {}, settings.scaling["max"]
    if not said or not triggers.is_of_the_model(settings, "scaling", "fallback"):
        return
    if not triggers.may_fail(settings):
        message = "no trigger here can fail: cpu, memory and a schedule ask nobody"
        hint = "remove `fallback`, or add a trigger that asks somebody"
        yield settings.problem("A105", message, ("scaling", "fallback"), hint)
    elif said.get("replicas", 0) > most:
        message = f"KEDA never has more than `max: {most}` replicas, not even in doubt"
        hint = f"at most `replicas: {most}`"
        yield settings.problem("A106", message, ("scaling", "fallback", "replicas"), hint)


def _concurrency(settings: Settings) -> Iterator[Problem]:
    """Compare Knative's soft limit with its hard one, of which it takes the smaller."""
    limit = settings.get("scaling", "knative", "containerConcurrency")
    metric, target = settings.scaling["metric"], settings.scaling["target"]
    is_said = settings.layers[settings.rank("scaling", "target")].document is not None
    if limit is not None and metric == "concurrency" and is_said and target > limit:
        message = (
            f"a replica is given {limit} requests at a time, and never has `target: {target}` of "
            "them"
        )
        hint = f"at most `target: {limit}`, or raise `containerConcurrency`"
        yield settings.problem("A116", message, ("scaling", "target"), hint)
