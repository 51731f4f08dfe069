"""KEDA's triggers beside a metric: how each is rendered, and what cannot work.

Names and defaults are those of kedacore/keda@schema/generated/scalers-schema.json. Values of a
trigger are texts, whatever they are to a person.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from generator import promql
from generator.documents import Document, Json
from generator.inventory.records import Environment
from generator.problems import Problem
from generator.records import Interceptor
from generator.scaling import keda
from generator.schema import suggestion
from generator.settings import Settings
from generator.values import cron
from generator.yamlio import Pointer

KEY = ("scaling", "triggers")
RESOURCES = ("cpu", "memory")
_WITHOUT_FAILURE = (*RESOURCES, "cron")
"""Triggers that ask nobody, so that nothing of them can be lost."""

_REGION = re.compile(r"https?://(?:sqs\.([a-z0-9-]+)|([a-z0-9-]+)\.queue)\.amazonaws\.com")


class Trigger(NamedTuple):
    """One trigger as it was written, and the way to it within the settings."""

    kind: str
    spec: Json
    pointer: Pointer


def said(settings: Settings) -> list[Json]:
    """Give the triggers as they are written."""
    found: list[Json] = settings.scaling.get("triggers") or []
    return found


def written(settings: Settings) -> list[Trigger]:
    """List the triggers of a model in an environment, in order."""
    found = []
    for index, each in enumerate(said(settings)):
        ((kind, spec),) = each.items()
        found.append(Trigger(kind, spec, (*KEY, index, kind)))
    return found


def of_kind(settings: Settings, *kinds: str) -> list[Trigger]:
    """List the triggers of some types."""
    return [trigger for trigger in written(settings) if trigger.kind in kinds]


def is_measured(settings: Settings) -> bool:
    """Say whether the metric decides too: beside triggers, only one that somebody wrote."""
    if settings.scaling["metric"] == "none":
        return False
    if not said(settings):
        return True
    return settings.layers[settings.rank("scaling", "metric")].document is not None


def may_fail(settings: Settings) -> bool:
    """Say whether there is something that KEDA may get no answer from."""
    metric = settings.scaling["metric"]
    kinds = [trigger.kind for trigger in written(settings)]
    return any(kind not in _WITHOUT_FAILURE for kind in kinds) or (
        is_measured(settings) and metric not in RESOURCES
    )


def wakes(settings: Settings) -> bool:
    """Say whether a trigger tells of work while there are no Pods."""
    return any(map(_waking(settings), written(settings)))


def _waking(settings: Settings) -> Callable[[Trigger], bool]:
    model = settings.layers[-1].document
    name = model.name if model else ""

    def is_waking(trigger: Trigger) -> bool:
        if trigger.kind == "prometheus":
            return not promql.is_of_pods(trigger.spec["query"], name)
        return trigger.kind not in RESOURCES

    return is_waking


# What is rendered


def rendered(settings: Settings, environment: Environment, name: str, query: str) -> list[Json]:
    """Write the triggers of a workload called `name`: that of its metric first."""
    made = [_of_metric(settings, environment, query)] if is_measured(settings) else []
    counts: Counter[str] = Counter(trigger["name"] for trigger in made)
    for trigger in written(settings):
        counts[trigger.kind] += 1
        number = counts[trigger.kind]
        called = f"{trigger.kind}-{number}" if number > 1 else trigger.kind
        kind, kept = _TYPES.get(trigger.kind, trigger.kind), trigger.spec
        body = _BODIES[trigger.kind](environment, name, kept)
        made.append({"type": kind, "name": called, **body})
    return made


_TYPES = {"sqs": "aws-sqs-queue", "http": "external-push"}
_AVERAGE = {"metricType": "AverageValue"}


def _of_metric(settings: Settings, environment: Environment, query: str) -> Json:
    metric, target = settings.scaling["metric"], settings.scaling["target"]
    if metric in RESOURCES:
        return {"type": metric, "name": metric, **_of_resource(environment, "", {"target": target})}
    body = _on_prometheus(environment, "", {"query": query, "threshold": target})
    return {"type": "prometheus", "name": metric, **body}


def _on_prometheus(environment: Environment, name: str, spec: Json) -> Json:
    """Ask an environment's Prometheus: no answer is a failure, and not an idle model."""
    metadata = {
        "serverAddress": environment.prometheus,
        "query": spec["query"],
        "threshold": _text(spec["threshold"]),
        **_said(spec, "activationThreshold"),
        "ignoreNullValues": "false",
    }
    modes = keda.modes(environment)
    if not modes:
        return {**_AVERAGE, "metadata": metadata}
    proof = keda.reference(environment, keda.PROMETHEUS)
    return {**_AVERAGE, **proof, "metadata": {**metadata, "authModes": modes}}


def _on_kafka(environment: Environment, name: str, spec: Json) -> Json:
    keys = ("bootstrapServers", "consumerGroup", "topic")
    metadata = {
        **{key: spec[key] for key in keys},
        "lagThreshold": _text(spec.get("lagThreshold", 10)),
        **_said(spec, "activationLagThreshold", "sasl"),
        **({"tls": "enable"} if spec.get("tls") else {}),
    }
    return {**_AVERAGE, **_proof(environment, spec), "metadata": metadata}


def _on_sqs(environment: Environment, name: str, spec: Json) -> Json:
    metadata = {
        "queueURL": spec["queueURL"],
        "awsRegion": spec.get("region") or region(spec["queueURL"]),
        "queueLength": _text(spec.get("queueLength", 5)),
        **_said(spec, "activationQueueLength", "scaleOnInFlight"),
        **({} if "auth" in spec else {"identityOwner": "operator"}),
    }
    return {**_AVERAGE, **_proof(environment, spec), "metadata": metadata}


def _on_schedule(environment: Environment, name: str, spec: Json) -> Json:
    times = {"timezone": spec["timeZone"], "start": spec["start"], "end": spec["end"]}
    return {"metadata": {**times, "desiredReplicas": _text(spec["replicas"])}}


def _of_resource(environment: Environment, name: str, spec: Json) -> Json:
    return {"metricType": "Utilization", "metadata": {"value": _text(spec["target"])}}


def _on_requests(environment: Environment, name: str, spec: Json) -> Json:
    kind = keda.interceptor(environment, spec).kind
    key = "interceptorRoute" if kind == "InterceptorRoute" else "httpScaledObject"
    return {"metadata": {"scalerAddress": keda.scaler(environment), key: name}}


_BODIES: dict[str, Callable[[Environment, str, Json], Json]] = {
    "prometheus": _on_prometheus,
    "kafka": _on_kafka,
    "sqs": _on_sqs,
    "cron": _on_schedule,
    "http": _on_requests,
    "cpu": _of_resource,
    "memory": _of_resource,
}


def _proof(environment: Environment, spec: Json) -> Json:
    return keda.reference(environment, spec["auth"]) if "auth" in spec else {}


def _said(spec: Json, *keys: str) -> Json:
    return {key: _text(spec[key]) for key in keys if key in spec}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value}"


def region(address: str) -> str:
    """Read the region in the URL of a queue; empty if it is not there."""
    found = _REGION.match(address)
    return (found[1] or found[2]) if found else ""


def interceptor(settings: Settings, environment: Environment) -> Interceptor | None:
    """Describe the interceptor before a workload; None if requests go there directly."""
    found = of_kind(settings, "http")
    return keda.interceptor(environment, found[0].spec) if found else None


# What cannot work


def problem(
    settings: Settings, code: str, message: str, pointer: Pointer, hint: str, *, key: bool = False
) -> Problem:
    """Make the problem of a trigger, on its own line: a list is of one layer, and whole."""
    layer = settings.layers[settings.rank(*KEY)]
    assert layer.document is not None
    return layer.document.problem(code, message, (*layer.prefix, *pointer), hint=hint, key=key)


def problems(settings: Settings, environment: Environment, *, routed: bool) -> Iterator[Problem]:
    """Find what triggers ask of an environment and of each other, and cannot get.

    `routed` says that an HTTPRoute of gen's own leads requests to the model.
    """
    for trigger in written(settings):
        yield from _systems(settings, environment, trigger)
        yield from _proofs(settings, environment, trigger)
    for trigger in of_kind(settings, *RESOURCES):
        yield from _of_pods(settings, trigger)
    for trigger in of_kind(settings, "kafka"):
        yield from _partitions(settings, trigger)
    for trigger in of_kind(settings, "sqs"):
        yield from _regions(settings, trigger)
    for trigger in of_kind(settings, "cron"):
        yield from _schedule(settings, trigger)
    yield from _only_a_schedule(settings)
    yield from _interception(settings, environment, routed=routed)


def _systems(settings: Settings, environment: Environment, trigger: Trigger) -> Iterator[Problem]:
    absent = [] if environment.keda else ["keda"]
    if trigger.kind == "prometheus" and not environment.prometheus:
        absent.append("prometheus")
    if absent:
        names = " and ".join(f"`platform.{name}`" for name in absent)
        message = f"a trigger `{trigger.kind}` needs {names} in environment {environment.name}"
        hint = f"add it there, or write `triggers: []` in `environments.{environment.name}.scaling`"
        yield problem(settings, "E302", message, trigger.pointer, hint, key=True)


def _proofs(settings: Settings, environment: Environment, trigger: Trigger) -> Iterator[Problem]:
    known, named = keda.authentications(environment), trigger.spec.get("auth")
    if environment.keda and named is not None and named not in known:
        message = f"environment {environment.name} has no `platform.keda.auth.{named}`"
        hint = suggestion(named, known) if known else "add it to the environment"
        yield problem(settings, "E301", message, (*trigger.pointer, "auth"), hint)
    if "sasl" in trigger.spec:
        yield from _user(settings, trigger, known.get(named) if named else None)


def _user(
    settings: Settings, trigger: Trigger, found: keda.Authentication | None
) -> Iterator[Problem]:
    """Find a mechanism without a user; what an authentication of the cluster has, nobody knows."""
    named, sasl = trigger.spec.get("auth"), trigger.spec["sasl"]
    if named is None:
        message = f"`sasl: {sasl}` needs a user, and nothing names one"
        hint = "add `auth` with a name of `platform.keda.auth` that has `username` and `password`"
        yield problem(settings, "A051", message, (*trigger.pointer, "sasl"), hint)
    elif found is not None and found.kind == keda.NAMESPACED:
        has = {each["parameter"] for each in found.spec.get("secretTargetRef", ())}
        missing = [f"`{name}`" for name in ("username", "password") if name not in has]
        if missing:
            what = " and no ".join(missing)
            message = f"`sasl: {sasl}` needs a user, and `platform.keda.auth.{named}` has no {what}"
            hint = "add it to `parameters` there, with the key of the Secret that holds it"
            yield problem(settings, "A051", message, (*trigger.pointer, "auth"), hint)


def _of_pods(settings: Settings, trigger: Trigger) -> Iterator[Problem]:
    found = _unmeasurable(settings, f"a trigger `{trigger.kind}`", trigger.kind)
    if found:
        yield problem(settings, found[0], found[1], trigger.pointer, found[2], key=True)


def of_metric(settings: Settings) -> Iterator[Problem]:
    """Find what keeps KEDA from reading a metric of Pods beside its triggers."""
    metric = settings.scaling["metric"]
    found = _unmeasurable(settings, f"`metric: {metric}` beside `triggers`", metric)
    if found:
        yield settings.problem(found[0], found[1], ("scaling", "metric"), found[2])


def _unmeasurable(settings: Settings, what: str, resource: str) -> tuple[str, str, str] | None:
    """Say why KEDA cannot scale on what Pods use, by the code of the rule; None if it can."""
    if settings.serving["backend"] != "deployment":
        message = (
            f"KEDA refuses {what} before there is a Deployment, and KServe makes that one later"
        )
        return "A102", message, "use `metric: requests-per-second`, or other triggers alone"
    if settings.get("serving", "resources", resource) is None:
        message = f"{what} is a percentage of a request that there is not"
        return "A006", message, f"add `serving.resources.{resource}`"
    return None


def _partitions(settings: Settings, trigger: Trigger) -> Iterator[Problem]:
    known, most = trigger.spec.get("partitions"), settings.scaling["max"]
    if known is not None and most > known:
        message = f"{known} partitions give {known} replicas messages, and `max` is {most}"
        hint = f"at most `max: {known}`, or give the topic more partitions"
        yield problem(settings, "A113", message, (*trigger.pointer, "partitions"), hint)


def _regions(settings: Settings, trigger: Trigger) -> Iterator[Problem]:
    said, read = trigger.spec.get("region"), region(trigger.spec["queueURL"])
    if said is None and not read:
        message = "the region of the queue is not in its URL"
        hint = "add `region`, such as `region: eu-west-1`"
        yield problem(settings, "E302", message, (*trigger.pointer, "queueURL"), hint)
    elif said is not None and read and said != read:
        message = f"`region: {said}` is not the region {read} of the queue's URL"
        yield problem(settings, "E303", message, (*trigger.pointer, "region"), "remove it")


def _schedule(settings: Settings, trigger: Trigger) -> Iterator[Problem]:
    spec, pointer = trigger.spec, trigger.pointer
    least, most = settings.scaling["min"], settings.scaling["max"]
    for key in ("start", "end"):
        fault = cron.fault(spec[key])
        if fault:
            hint = "write five fields: minute, hour, day, month, day of the week from 0 to 6"
            yield problem(settings, "E204", f"`{spec[key]}` {fault}", (*pointer, key), hint)
    if spec["start"] == spec["end"]:
        message = "`start` and `end` are the same time, which KEDA refuses"
        yield problem(settings, "A049", message, (*pointer, "end"), "write when it ends")
    if spec["replicas"] > most:
        message = f"a schedule of {spec['replicas']} replicas never gets more than `max: {most}`"
        hint = f"at most `replicas: {most}`, or raise `max`"
        yield problem(settings, "A103", message, (*pointer, "replicas"), hint)
    elif spec["replicas"] <= least:
        message = f"`min: {least}` runs as many at any hour, so that the schedule adds nothing"
        hint = f"at least `replicas: {least + 1}`, or lower `min`"
        yield problem(settings, "A103", message, (*pointer, "replicas"), hint)


def _only_a_schedule(settings: Settings) -> Iterator[Problem]:
    found, most = written(settings), settings.scaling["max"]
    planned = [trigger.spec["replicas"] for trigger in found if trigger.kind == "cron"]
    if found and len(planned) == len(found) and max(planned) < most and not is_measured(settings):
        message = f"nothing but a schedule adds replicas, and never more than {max(planned)}"
        hint = f"write `max: {max(planned)}`, or add a metric or a trigger that counts work"
        yield settings.problem("A104", message, ("scaling", "max"), hint)


def _interception(
    settings: Settings, environment: Environment, *, routed: bool
) -> Iterator[Problem]:
    found = of_kind(settings, "http")
    for trigger in found[1:]:
        message = "one workload has one interceptor, which counts both for its triggers"
        hint = "write `concurrency` and `requestRate` into one trigger `http`"
        yield problem(settings, "E303", message, trigger.pointer, hint, key=True)
    for trigger in found[:1]:
        if not {"concurrency", "requestRate"} & trigger.spec.keys():
            message = "a trigger `http` does not say what one replica takes"
            hint = "add `concurrency` or `requestRate`"
            yield problem(settings, "E302", message, trigger.pointer, hint, key=True)
        if environment.keda and not keda.addon(environment):
            message = (
                f"a trigger `http` needs `platform.keda.httpAddon` in environment "
                f"{environment.name}"
            )
            hint = 'add `httpAddon: {version: "0.15"}` there once it is installed'
            yield problem(settings, "E302", message, trigger.pointer, hint, key=True)
        if not routed:
            yield _unrouted(settings, environment, trigger)
        beside = _beside(settings)
        if beside:
            message = (
                f"the {beside} before the predictor takes the requests and is never asleep, so "
                "that the interceptor waits for nobody"
            )
            hint = f"scale without `http`, or serve without the {beside}"
            yield problem(settings, "A118", message, trigger.pointer, hint, key=True)


def _beside(settings: Settings) -> str:
    """Name what stands between a route and the predictor; empty if nothing does."""
    model = settings.layers[-1].document
    versions = model.data["versions"].values() if model else ()
    kinds = ("transformer", "explainer")
    return next(
        (k for k in kinds if settings.get("serving", k) or any(k in each for each in versions)), ""
    )


def _unrouted(settings: Settings, environment: Environment, trigger: Trigger) -> Problem:
    message = (
        "no route of gen's own leads requests through the interceptor here, so that it never sees "
        "one and never wakes the model"
    )
    hint = (
        f"serve with `backend: kserve` where there is a Gateway, or write `triggers: []` in "
        f"`environments.{environment.name}.scaling`"
    )
    return problem(settings, "A109", message, trigger.pointer, hint, key=True)


def unseen(model: Document, environment: str, own: Settings) -> Iterator[Problem]:
    """Refuse a shadow that scales on requests: its copies never pass the interceptor."""
    if of_kind(own, "http"):
        message = (
            "copies of requests go to a shadow past the interceptor, which counts none of them"
        )
        pointer = ("environments", environment, "shadow")
        hint = "write a fixed number there: `scaling: {min: 1, max: 1}`"
        yield model.problem("A114", message, pointer, hint=hint, key=True)


def is_of_a_role(settings: Settings) -> bool:
    """Say whether these settings are of a canary or a shadow with replicas of its own."""
    return settings.layers[-1].prefix[-1:] in (("canary",), ("shadow",))


def is_of_the_model(settings: Settings, *pointer: str) -> bool:
    """Say whether a model itself has a setting, and not gen or an environment for all models."""
    rank = settings.rank(*pointer)
    decided = settings.layers[rank].document if rank >= 0 else None
    return decided is not None and decided is settings.layers[-1].document
