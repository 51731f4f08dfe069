"""KServe's own canaries, `spec.canary`: where they are asked for, and what they cannot do.

Source: kserve/kserve@pkg/controller/v1beta1/inferenceservice/components/predictor.go and the checks
in kserve/kserve@pkg/apis/serving/v1beta1/inference_service_validation.go, at 0.21.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from generator.documents import Document, Json
from generator.inventory.records import Environment
from generator.problems import Problem
from generator.records import Scaling
from generator.scaling import autoscaling
from generator.settings import Settings
from generator.values import minors

KEY = "canaryStrategy"
_READERS = {"native": ("kserve",), "route": ("kserve", "deployment")}
"""The backends that a strategy is for, by the key's value."""

_SINCE = (0, 21)
_ELSEWHERE = "remove it, or write it where it is meant: in `environments.<environment>`"


def is_asked(merged: Settings) -> bool:
    """Say whether a model is to be served with `spec.canary`; no Deployment ever is."""
    return bool(merged.get(KEY) == "native") and _is_kserves(merged)


def _is_kserves(merged: Settings) -> bool:
    return bool(merged.serving["backend"] == "kserve")


def is_possible(environment: Environment) -> bool:
    """Say whether an environment's KServe sends requests to `spec.canary`."""
    return not _hindrance(environment)[0]


def _hindrance(environment: Environment) -> tuple[str, str]:
    """Give the code of the rule that forbids it, and why."""
    name = environment.name
    if environment.mode == "Knative":
        return "C021", f"`spec.canary` is of Standard mode, and environment {name} is Knative"
    if environment.gateway is None:
        return "C021", f"environment {name} has no Gateway, and an Ingress has no split"
    if minors.parsed(environment.kserve) < _SINCE:
        return "C020", f"KServe {environment.kserve} gives `spec.canary` no traffic; 0.21 does"
    return "", ""


def refusals(environment: Environment, merged: Settings) -> Iterator[Problem]:
    """Refuse to be asked for where it is not."""
    backend = merged.serving["backend"]
    if merged.get(KEY) and backend not in _READERS[merged.get(KEY)]:
        decided = merged.layers[merged.rank(KEY)].document
        if decided is not environment.document:
            message = f"`{KEY}` is for `backend: kserve`, and this is `backend: {backend}`"
            yield merged.problem("E303", message, (KEY,), "remove it")
        return
    code, reason = _hindrance(environment) if merged.get(KEY) == "native" else ("", "")
    if code:
        yield merged.problem(code, f"no `{KEY}: native` here: {reason}", (KEY,), _ELSEWHERE)


def problems(model: Document, environment: Environment, merged: Settings) -> Iterator[Problem]:
    """Find what `spec.canary` cannot do of what a model asks of it."""
    if autoscaling.autoscaler(merged, knative=False) == "keda":
        metric = merged.scaling["metric"]
        message = f"`scaling.metric: {metric}` needs KEDA, and KEDA cannot scale `{KEY}: native`"
        hint = "use `metric: cpu`, or `min` equal to `max`, or `canaryStrategy: route`"
        yield merged.problem("C034", message, ("scaling", "metric"), hint)
    block = model.data["environments"][environment.name]
    at = ("environments", environment.name)
    yield from _artifacts(model, block, at)
    if "canary" in block:
        yield from _scaled(model, block, at, merged)
        yield from _inherited(model, block, at, merged)


def _artifacts(model: Document, block: Json, at: tuple[str, str]) -> Iterator[Problem]:
    """Ask for addresses: by another one alone does KServe's webhook let a canary become stable."""
    known = model.data["versions"]
    stable = known.get(block["version"], {}).get("uri")
    if stable is None:
        message = f"{block['version']} has no `uri`, so that no other version could take its place"
        hint = "write `uri`, or `canaryStrategy: route`"
        yield model.problem("C036", message, (*at, "version"), hint=hint)
    elif "canary" in block:
        version = block["canary"]["version"]
        if known.get(version, {}).get("uri") in (None, stable):
            other = f"another `uri` than that of {block['version']}"
            message = f"{version} could never be promoted: KServe asks for {other}"
            hint = "give each version an address of its own, or write `canaryStrategy: route`"
            yield model.problem("C036", message, (*at, "canary", "version"), hint=hint)


def _scaled(
    model: Document, block: Json, at: tuple[str, str], merged: Settings
) -> Iterator[Problem]:
    said, most = block["canary"].get("scaling", {}), merged.scaling["min"]
    for key in said:
        if key != "min":
            message = f"`spec.canary` has a fixed number of replicas, and no `{key}`"
            pointer, hint = (*at, "canary", "scaling", key), "remove it"
            yield model.problem("C022", message, pointer, hint=hint, key=True)
    if said.get("min", 0) > most:
        message = f"`spec.canary` has at most the {most} replicas of {block['version']}"
        pointer = (*at, "canary", "scaling", "min")
        yield model.problem("C022", message, pointer, hint=f"at most `min: {most}`")


def _inherited(
    model: Document, block: Json, at: tuple[str, str], merged: Settings
) -> Iterator[Problem]:
    """KServe lays a canary over a copy of the stable predictor: nothing can be left out there."""
    known, version = model.data["versions"], block["canary"]["version"]
    for key in ("args", "env"):
        has_own = known.get(version, {}).get(key) or merged.get("serving", key)
        if known.get(block["version"], {}).get(key) and not has_own:
            message = f"{version} has no `{key}`, and would get those of {block['version']}"
            hint = f"give it `{key}` of its own, or write `canaryStrategy: route`"
            yield model.problem("C037", message, (*at, "canary", "version"), hint=hint)


def scaling(own: Settings, merged: Settings, traffic: int) -> Scaling:
    """Fix a canary's replicas: what it says, or its share of the stable ones, as KServe would."""
    stable = merged.scaling["min"]
    share = max(1, ceil(stable * traffic / 100))
    count = own.scaling["min"] if own.rank("scaling", "min") >= len(merged.layers) else share
    metric, target = merged.scaling["metric"], merged.scaling["target"]
    return Scaling(count, count, metric, target, autoscaler="none")
