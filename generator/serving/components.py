"""What stands beside the predictor of an InferenceService: transformer, explainer, batcher, logger.

Transformer and explainer are workloads of their own, `<InferenceService>-<kind>`, with a scaler
each; batcher and logger are a sidecar of the predictor's Pods. KServe passes a component the name
of the InferenceService and the address of its predictor, unless its arguments say otherwise
(kserve/kserve@pkg/apis/serving/v1beta1/transformer_custom.go). Its annotations are laid over those
of the service (kserve/kserve@pkg/controller/v1beta1/inferenceservice/components/transformer.go), so
that each may have an autoscaler of another class.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from generator import naming, settings
from generator.backends.contract import Ask
from generator.documents import Json
from generator.problems import Problem
from generator.records import Component, Scaling
from generator.serving import sizes
from generator.settings import Settings

Kind = Literal["transformer", "explainer"]
KINDS: tuple[Kind, ...] = ("transformer", "explainer")

SIDECARS = ("batcher", "logger")
"""What KServe's agent does beside the predictor, in every one of its Pods."""

_BY_RESOURCE = ("cpu", "memory")
_WORDS = {"requests-per-second": "rps"}
"""KServe's own words for the metrics, where they are others."""

_SET_BY_KSERVE = "--model_name"


def live(ask: Ask) -> list[tuple[tuple[str, ...], str]]:
    """List the versions that are live, with the way to what the document says of each."""
    block = ask.model.data["environments"][ask.environment.name]
    named = [block["version"], block.get("canary", {}).get("version"), block.get("standby")]
    if "shadow" in block:
        named.append(settings.shadow_of(block)["version"])
    return [(("versions", name), name) for name in dict.fromkeys(named) if name]


def _may_be_there(ask: Ask) -> bool:
    """Say whether anybody says a word of what stands beside a predictor."""
    versions = ask.model.data["versions"].values()
    return ask.serves_with(*KINDS, *SIDECARS) or any("transformer" in spec for spec in versions)


def asked(ask: Ask, kind: Kind, version: str = "") -> Json:
    """Merge what the layers say of a component, and a version of its transformer."""
    shared: Json = ask.merged.get("serving", kind) or {}
    if kind == "explainer" or not version:
        return shared
    own = ask.model.data["versions"].get(version, {}).get(kind)
    return settings.merge(shared, own) if own else shared


def of_version(ask: Ask, version: str, name: str, model: Scaling) -> tuple[Component, ...]:
    """Resolve what stands beside the predictor of an InferenceService that serves a version."""
    if not _may_be_there(ask):
        return ()
    return tuple(
        _component(ask, kind, spec, name, model)
        for kind in KINDS
        if (spec := asked(ask, kind, version))
    )


def _component(ask: Ask, kind: Kind, spec: Json, name: str, model: Scaling) -> Component:
    is_knative = ask.environment.mode == "Knative"
    scaling = _scaling(spec.get("scaling", {}), model, knative=is_knative)
    followed = "" if scaling.autoscaler == "none" else scaling.metric
    return Component(
        kind=kind,
        workload=f"{name}-{kind}",
        image=spec.get("image", ""),
        type=spec.get("type", ""),
        config=spec.get("config", {}),
        args=_args(ask.model.name, name, spec.get("args", [])),
        env=[{"name": key, "value": value} for key, value in spec.get("env", {}).items()],
        resources=sizes.resources(spec.get("resources"), None),
        scaling=scaling,
        metric=_WORDS.get(followed, followed),
        annotations={} if is_knative else {_CLASS: _CLASSES[scaling.autoscaler]},
    )


_CLASS = "serving.kserve.io/autoscalerClass"
_CLASSES = {"kserve-hpa": "hpa", "none": "none"}


def _args(model: str, name: str, said: list[str]) -> list[str]:
    """Tell a component the model's name, where the InferenceService's has the version in it.

    Requests carry it, and so do those that the component makes of them.
    """
    if name == model or any(arg.startswith(_SET_BY_KSERVE) for arg in said):
        return said
    return [f"{_SET_BY_KSERVE}={model}", *said]


def _scaling(said: Json, model: Scaling, *, knative: bool) -> Scaling:
    """Have as many replicas as the model, unless something else is said."""
    least = said.get("min", model.minimum)
    most = said.get("max", max(least, model.maximum))
    metric = said.get("metric", model.metric if knative or _is_resource(model.metric) else "cpu")
    target = said.get("target", model.target if metric == model.metric else 80)
    if knative:
        return Scaling(least, most, metric, target, model.autoscaler)
    return Scaling(least, most, metric, target, "none" if least == most else "kserve-hpa")


def _is_resource(metric: str) -> bool:
    return metric in _BY_RESOURCE


# What cannot work


def problems(ask: Ask, *, versioned: bool, native: bool) -> Iterator[Problem]:
    """Find what components ask of an environment and cannot get.

    `versioned` says that each version has an InferenceService of its own.
    """
    if not _may_be_there(ask):
        return
    for kind in KINDS:
        if any(asked(ask, kind, version) for _, version in live(ask)):
            yield from (_alone(ask, kind) if native else _component_problems(ask, kind, versioned))
    yield from _sidecars(ask, native)


def _component_problems(ask: Ask, kind: Kind, versioned: bool) -> Iterator[Problem]:
    yield from _images(ask) if kind == "transformer" else _explainer(ask.merged)
    yield from _scaling_problems(ask, kind)
    yield from _lengths(ask, kind, versioned)


def _alone(ask: Ask, kind: Kind) -> Iterator[Problem]:
    message = (
        f"no `{kind}` with `canaryStrategy: native`: KServe sends a canary's part past it, and it "
        "would look for a predictor without a name"
    )
    hint = "remove it, or write `canaryStrategy: route`"
    yield ask.merged.problem("C025", message, ("serving", kind), hint)


def _images(ask: Ask) -> Iterator[Problem]:
    """Ask for the image of a transformer, once, where most would write it."""
    for place, version in live(ask):
        spec = asked(ask, "transformer", version)
        if not spec or "image" in spec:
            continue
        hint = "add `image: <repository>@sha256:<digest>`"
        if ask.merged.get("serving", "transformer"):
            message = f"the transformer of {version} has no `image`"
            yield ask.merged.problem("E302", message, ("serving", "transformer"), hint)
        else:
            message = "a transformer needs an `image`"
            yield ask.model.problem("E302", message, (*place, "transformer"), hint=hint, key=True)
        return


def _explainer(merged: Settings) -> Iterator[Problem]:
    spec, place = merged.get("serving", "explainer"), ("serving", "explainer")
    if ("image" in spec) == ("type" in spec):
        both = "image" in spec
        message = (
            "an explainer is an image of your own or a `type` of KServe's, and this is both"
            if both
            else "the explainer says neither an `image` of your own nor a `type` of KServe's"
        )
        hint = "remove one of them" if both else "add `image: <repository>@sha256:<digest>`"
        at = (*place, "type") if both else place
        yield merged.problem("E303" if both else "E302", message, at, hint)
    elif "config" in spec and "type" not in spec:
        message = "`config` is of a `type` of KServe's, and your image reads `args` and `env`"
        yield merged.problem("E303", message, (*place, "config"), "write `args`")


def _scaling_problems(ask: Ask, kind: Kind) -> Iterator[Problem]:
    said = ask.merged.get("serving", kind, "scaling") or {}
    place = ("serving", kind, "scaling")
    is_knative = ask.environment.mode == "Knative"
    yield from _bounds(ask.merged, kind, said)
    if said.get("min", 1) == 0 and not is_knative:
        message = f"the {kind} would never wake up: cpu and memory are measured on Pods"
        yield ask.merged.problem("A003", message, (*place, "min"), "write `min: 1`")
    if "metric" in said:
        yield from _metric(ask, kind, said["metric"], is_knative)
    metric = said.get("metric") or ask.merged.scaling["metric"]
    if "target" in said and metric in _BY_RESOURCE and said["target"] > 100:
        message = f"`target` is in percent of the {metric} request, and {said['target']} is above"
        yield ask.merged.problem("A001", message, (*place, "target"), "for example `target: 80`")


def _bounds(merged: Settings, kind: Kind, said: Json) -> Iterator[Problem]:
    """Compare what is said with what is not: the model's own bound."""
    if "max" not in said:
        return
    least = said.get("min", merged.scaling["min"])
    if least > said["max"]:
        whose = "" if "min" in said else ", which the model has"
        message = f"`max` is {said['max']} and `min` is {least}{whose}"
        place = ("serving", kind, "scaling", "max")
        yield merged.problem("E303", message, place, f"write `max: {least}` or a smaller `min`")


_A = {"transformer": "a transformer", "explainer": "an explainer"}


def _metric(ask: Ask, kind: Kind, metric: str, is_knative: bool) -> Iterator[Problem]:
    place = ("serving", kind, "scaling", "metric")
    by_resource = _is_resource(metric)
    if not is_knative and not by_resource:
        message = f"in Standard mode KServe scales {_A[kind]} on cpu or memory, not on {metric}"
        yield ask.merged.problem("I002", message, place, "write `metric: cpu`")
    elif is_knative and by_resource != _is_resource(ask.merged.scaling["metric"]):
        own = ask.merged.scaling["metric"]
        message = (
            f"in Knative mode KServe checks the {kind}'s `{metric}` against the autoscaler of the "
            f"model, which follows {own} in {ask.environment.name}"
        )
        hint = f"remove it, or write `metric: {own}` in `environments.{ask.environment.name}`"
        yield ask.merged.problem("I003", message, place, hint)


def _lengths(ask: Ask, kind: Kind, versioned: bool) -> Iterator[Problem]:
    """Judge the names that are longer than the predictor's."""
    for place, version in live(ask) if versioned else [(("name",), "")]:
        name = "-".join(part for part in (ask.model.name, version, kind) if part)
        label, host = f"isvc.{name}", f"{name}-{ask.environment.namespace}"
        longest = max(label, host, key=len)
        excess = len(longest) - naming.LABEL_LIMIT
        if excess > 0:
            code, what = ("N001", "label") if longest is label else ("N002", "host")
            size = f"{len(longest)} characters of at most {naming.LABEL_LIMIT}"
            message = f"the {what} of its {kind} would be {longest}, {size}"
            hint = f"shorten the model's, the version's or the namespace's name by {excess}"
            yield ask.model.problem(code, message, place, hint=hint, key=bool(version))
            return


def _sidecars(ask: Ask, native: bool) -> Iterator[Problem]:
    logger = ask.merged.get("serving", "logger") or {}
    if is_on(logger) and "url" not in logger:
        message = "the logger does not say where the copies go"
        hint = "add `url: http://<service>.<namespace>.svc.cluster.local`"
        yield ask.merged.problem("E302", message, ("serving", "logger"), hint)
    for key in SIDECARS if native else ():
        spec = ask.merged.get("serving", key)
        if spec and (key != "logger" or is_on(spec)):
            message = f"no `{key}` with `canaryStrategy: native`: a canary's Service leads past it"
            hint = "remove it, or write `canaryStrategy: route`"
            yield ask.merged.problem("I001", message, ("serving", key), hint)


def is_on(logger: Json) -> bool:
    """Say whether a logger copies anything."""
    return bool(logger) and logger.get("mode", "all") != "none"


def facts(ask: Ask) -> dict[str, Any]:
    """Resolve what is the same for all versions, by the names that templates see it under."""
    found: dict[str, Any] = {}
    if not _may_be_there(ask):
        return found
    kinds = [k for k in KINDS if any(asked(ask, k, version) for _, version in live(ask))]
    if kinds:
        found["components"] = kinds
    batcher, logger = (ask.merged.get("serving", key) or {} for key in SIDECARS)
    if batcher:
        found["batcher"] = {"maxBatchSize": 32, "maxLatency": 5000, **batcher}
    if is_on(logger):
        found["logger"] = {
            "mode": logger.get("mode", "all"),
            "url": logger.get("url", ""),
            **({"metadataHeaders": logger["headers"]} if "headers" in logger else {}),
        }
    return found
