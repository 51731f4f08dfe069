"""What a model asks of an environment and cannot get, each said on the line that asks.

Every function looks at one concern and yields nothing if all is well; what can only be judged once
another concern is right is left alone, so that one cause is one problem.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import cache

from generator import naming, settings
from generator.aspects import registry as aspects
from generator.backends import pods
from generator.backends import registry as backends
from generator.backends.contract import Ask, Backend
from generator.documents import Document, Json
from generator.gate import measures
from generator.inventory.records import Environment
from generator.problems import Problem
from generator.records import NAMED, Strategy
from generator.scaling import autoscaling
from generator.schema import suggestion
from generator.serving import components, native
from generator.settings import Settings
from generator.values import minors, quantities


def of_model(model: Document, environments: dict[str, Environment]) -> Iterator[Problem]:
    """Find what is wrong whatever the environment."""
    for name in model.data["environments"]:
        if name not in environments:
            message = f"there is no environment `{name}`"
            hint = suggestion(name, environments)
            yield model.problem("E301", message, ("environments", name), hint=hint, key=True)
    yield from _serving(model)
    yield from _timeouts(model, environments)
    live = [environments[name] for name in model.data["environments"] if name in environments]
    yield from pods.unheard(model, live)
    yield from _artifacts(model)


def _serving(model: Document) -> Iterator[Problem]:
    serving = model.data["serving"]
    backend = backends.of_model(model)
    for place in _serving_blocks(model):
        for key, other in _keys_of_others(backend).items():
            if model.has((*place, key)):
                message = (
                    f"`serving.{key}` is for `backend: {other}`, and this is "
                    f"`backend: {backend.name}`"
                )
                yield model.problem("E303", message, (*place, key), hint="remove it", key=True)
    needed, hint = backend.needed
    if needed and needed not in serving:
        message = f"`serving.{needed}` is missing, and `backend: {backend.name}` needs it"
        yield model.problem("E302", message, ("serving",), hint=hint, key=True)


def _serving_blocks(model: Document) -> Iterator[tuple[str, ...]]:
    """Lead to all that a model says of serving: of every environment, and of one."""
    yield ("serving",)
    yield from (("environments", name, "serving") for name in model.data["environments"])


@cache
def _keys_of_others(backend: Backend) -> dict[str, str]:
    """Give the keys that a backend does not read, each with one that does."""
    found = ((key, other.name) for other in reversed(backends.BACKENDS) for key in other.keys)
    return {key: name for key, name in found if key not in backend.keys}


_PUBLISHED_ALONE = {
    "deployment": "a Deployment without a route has no `timeout`: your image alone decides",
    "seldon": "without a route of gen's own nothing reads a `timeout`: Seldon's servers decide",
}
"""Why there is no timeout but that of gen's own route, by backend."""


def _timeouts(model: Document, environments: dict[str, Environment]) -> Iterator[Problem]:
    """Nothing would read the timeout of what has one in its route, where there is no route.

    The environment's default is no mistake, and the model's own none if any environment reads it.
    """
    backend = model.data["serving"].get("backend")
    if backend not in _PUBLISHED_ALONE:
        return
    names = [name for name in model.data["environments"] if name in environments]
    published = {name: _has_route(model, environments[name]) for name in names}
    for block in _serving_blocks(model):
        read = any(published.values()) if len(block) == 1 else published.get(block[1], True)
        if model.has((*block, "timeout")) and not read:
            message = _PUBLISHED_ALONE[backend]
            yield model.problem("E303", message, (*block, "timeout"), hint="remove it", key=True)


def _has_route(model: Document, environment: Environment) -> bool:
    merged = settings.of(model, environment)
    return backends.of(merged).is_published(Ask(model, environment, merged), "single")


def _artifacts(model: Document) -> Iterator[Problem]:
    backend = backends.of_model(model)
    for version, artifact in model.data["versions"].items():
        yield from _of_others(model, version, artifact)
        yield from _of_a_registry(model, version, artifact)
        yield from backend.artifact_problems(model, version, artifact)


def _of_a_registry(model: Document, version: str, artifact: Json) -> Iterator[Problem]:
    """Refuse an address that means something in a tracking server alone, today and to gen only."""
    uri = str(artifact.get("uri", ""))
    if uri.startswith(("models:/", "runs:/")):
        message = f"{uri} is an address in a tracking server, which no cluster asks"
        command = f"gen version add {model.name} <another version> --uri {uri}"
        hint = f"`{command}` writes where the files are and what they came from"
        yield model.problem("E204", message, ("versions", version, "uri"), hint=hint)


def _of_others(model: Document, version: str, artifact: Json) -> Iterator[Problem]:
    """Refuse what a version says to another backend alone."""
    backend = backends.of_model(model)
    for other in backends.BACKENDS:
        for key in other.versions:
            if key in artifact and key not in backend.versions:
                message = f"`{key}` is for `backend: {other.name}`, and this is `{backend.name}`"
                pointer = ("versions", version, key)
                yield model.problem("E303", message, pointer, hint="remove it", key=True)


def of_release(
    model: Document, environment: Environment, merged: Settings, strategy: Strategy
) -> Iterator[Problem]:
    """Find what is wrong in one environment, given how versions share traffic there."""
    yield from _versions(model, environment.name)
    refused = list(native.refusals(environment, merged))
    yield from refused or _sharing(model, environment, merged, strategy)
    yield from _queue(environment, merged)
    yield from _gpu(environment, merged)
    for block in _sized(merged):
        yield from _amounts(merged, (*block, "resources"))
        yield from _limits(merged, (*block, "resources"))
    yield from _scaling(model, environment, merged, strategy)
    yield from _rollout(merged)
    yield from _lengths(model, environment, merged, strategy)
    ask = Ask(model, environment, merged)
    yield from backends.of(merged).problems(ask)
    yield from aspects.problems(ask)


def live_versions(block: Json) -> list[tuple[tuple[str, ...], str]]:
    """List the versions of a block with the keys that name them, the stable one first."""
    named: list[tuple[tuple[str, ...], str]] = [(("version",), block["version"])]
    if "canary" in block:
        named.append((("canary", "version"), block["canary"]["version"]))
    if "standby" in block:
        named.append((("standby",), block["standby"]))
    if isinstance(block.get("shadow"), dict):
        named.append((("shadow", "version"), block["shadow"]["version"]))
    elif "shadow" in block:
        named.append((("shadow",), block["shadow"]))
    return named


def _versions(model: Document, environment: str) -> Iterator[Problem]:
    block, known = model.data["environments"][environment], model.data["versions"]
    seen: set[str] = set()
    for keys, version in live_versions(block):
        pointer = ("environments", environment, *keys)
        if version not in known:
            message = f"there is no version `{version}`"
            yield model.problem("E301", message, pointer, hint=suggestion(version, known))
        elif version in seen:
            message = f"version {version} is live here already"
            hint = f"name another version, or remove `{keys[0]}`"
            yield model.problem("E303", message, pointer, hint=hint)
        seen.add(version)


def _sharing(
    model: Document, environment: Environment, merged: Settings, strategy: Strategy
) -> Iterator[Problem]:
    if strategy == "predictors" and environment.gateway:
        yield from _copies(model, environment)
    if strategy == "route":
        yield from _copies(model, environment)
        return
    if strategy == "native":
        yield from native.problems(model, environment, merged)
    block = model.data["environments"][environment.name]
    for keys in _shared_keys(block, strategy):
        if not takes(strategy, keys[-1]):
            code, reason, hint = why_alone(environment, merged, strategy, keys[-1])
            pointer = ("environments", environment.name, *keys)
            message = f"no `{keys[-1]}` here: {reason}"
            yield model.problem(code, message, pointer, hint=hint, key=True)


def takes(strategy: Strategy, key: str) -> bool:
    """Say whether versions that share traffic in this way may have a canary, or another role."""
    return key in _TAKEN[strategy]


_TAKEN: dict[Strategy, tuple[str, ...]] = {
    "route": ("canary", "standby", "shadow", "header"),
    "group": ("canary", "standby"),
    "experiment": ("canary", "standby", "shadow", "header"),
    "predictors": ("canary", "standby", "shadow", "header"),
    "knative": ("canary",),
    "native": ("canary",),
    "single": (),
}


def _shared_keys(block: Json, strategy: Strategy) -> Iterator[tuple[str, ...]]:
    """Give the keys that ask for more than one version, or for a way to one of them."""
    yield from ((key,) for key in ("canary", "standby", "shadow") if key in block)
    if strategy != "single" and "header" in block.get("canary", {}):
        yield "canary", "header"


_PARTS_SINCE = (1, 3)


def _copies(model: Document, environment: Environment) -> Iterator[Problem]:
    """Refuse to copy a part of the requests where a Gateway might copy all of them."""
    pointer = ("environments", environment.name, "shadow", "percent")
    said = environment.gateway.version if environment.gateway else ""
    if model.has(pointer) and (not said or minors.parsed(said) < _PARTS_SINCE):
        found = f"is of version {said}" if said else "says no version"
        message = (
            f"the Gateway API copies a part of the requests since 1.3, and `platform.kserve.gateway"
            f"` of environment {environment.name} {found}"
        )
        hint = 'remove it, or write `version: "1.3"` beside its name if its controller has that'
        yield model.problem("C031", message, pointer, hint=hint, key=True)


_ONLY_BEHIND_A_ROUTE = ("shadow", "header")
_STANDARD = "use an environment in Standard mode with a Gateway"
_BACK = "remove it, or write `canaryStrategy: route`"

_ALONE = {
    ("knative", "shared"): (
        "C003",
        "Knative keeps no second version that gets no traffic",
        "remove it, or use `canary`",
    ),
    ("knative", "routed"): (
        "C030",
        "Knative makes the route itself, which copies nothing and looks at no header",
        f"remove it, or {_STANDARD}",
    ),
    ("group", "routed"): (
        "L003",
        "KServe makes the route of a group, which copies nothing and looks at no header",
        "remove it, or try the version with `canary`",
    ),
    ("native", "shared"): (
        "C033",
        "`canaryStrategy: native` knows a canary and no third version",
        _BACK,
    ),
    ("native", "routed"): (
        "C030",
        "with `canaryStrategy: native` KServe makes the route, without copies and headers",
        _BACK,
    ),
}
"""Why there is less than a route of gen's own gives: the rule's code, the reason, the way out."""


def why_alone(
    environment: Environment, merged: Settings, strategy: Strategy, key: str
) -> tuple[str, str, str]:
    """Give the code of the rule that forbids a key, why, and the way out."""
    reason, hint = backends.of(merged).alone(environment, merged)
    if reason:
        return "C004", reason, hint
    found = _ALONE.get((strategy, "routed" if key in _ONLY_BEHIND_A_ROUTE else "shared"))
    return found or (
        "C002",
        f"environment {environment.name} has no `platform.kserve.gateway`, and without a Gateway "
        "KServe in Standard mode ignores a traffic split",
        "add the gateway to the environment, or remove it",
    )


def _queue(environment: Environment, merged: Settings) -> Iterator[Problem]:
    queue = merged.get("queue") if backends.of(merged).is_queued else ""
    if queue and queue not in environment.queues:
        message = f"environment {environment.name} has no queue `{queue}`"
        hint = suggestion(queue, environment.queues)
        yield merged.problem("E301", message, ("queue",), hint)


def _gpu(environment: Environment, merged: Settings) -> Iterator[Problem]:
    gpu = merged.get("serving", "gpu")
    if not gpu or gpu.get("count", 1) == 0:
        return
    name = gpu.get("flavor")
    usable = [flavor.name for flavor in environment.flavors.values() if flavor.resource]
    if name is None:
        message = "`gpu` does not say which accelerators"
        hint = f"add `flavor: {usable[0] if usable else '<flavor>'}`"
        yield merged.problem("E302", message, ("serving", "gpu"), hint)
    elif name not in environment.flavors:
        message = f"environment {environment.name} has no flavor `{name}`"
        block = f"`environments.{environment.name}.serving.gpu`"
        hint = f"{_flavors(name, usable)} ({block} may name another; `count: 0` there means CPU)"
        yield merged.problem("E301", message, ("serving", "gpu", "flavor"), hint)
    elif name not in usable:
        message = f"flavor `{name}` of environment {environment.name} has no accelerators"
        pointer = ("serving", "gpu", "flavor")
        yield merged.problem("E303", message, pointer, _flavors(name, usable))


def _flavors(name: str, usable: list[str]) -> str:
    return suggestion(name, usable) if usable else "the environment has no accelerators at all"


_LEAST_MEMORY, _MOST_CPU = 2**20, 1024


def _sized(merged: Settings) -> Iterator[tuple[str, ...]]:
    """Lead to the blocks that may say how much one of their Pods gets."""
    yield ("serving",)
    yield from (("serving", each) for each in components.KINDS if each in merged.serving)


def _amounts(merged: Settings, sized: tuple[str, ...]) -> Iterator[Problem]:
    """Refuse what is an amount to Kubernetes and cannot be meant: 512m of memory is half a byte."""
    resources = merged.get(*sized)
    if not resources:
        return
    for block, amounts in (((), resources), (("limits",), resources.get("limits", {}))):
        place = (*sized, *block)
        memory, cpu = amounts.get("memory"), amounts.get("cpu")
        if memory is not None and quantities.is_less(memory, _LEAST_MEMORY):
            message = f"{memory} of memory is less than a MiB: {_unit(str(memory))}"
            yield merged.problem("E204", message, (*place, "memory"), _more(str(memory)))
        if cpu is not None and quantities.is_less(_MOST_CPU, cpu):
            message = f"{cpu} CPU cores are more than a node can have"
            hint = f"did you mean `{cpu}m`?" if str(cpu).isdigit() else "500m is half a core"
            yield merged.problem("E204", message, (*place, "cpu"), hint)


def _unit(memory: str) -> str:
    return "`m` is a thousandth of a byte" if memory.endswith("m") else "no unit means bytes"


def _more(memory: str) -> str:
    number = memory.removesuffix("m")
    if not number.replace(".", "").strip("0"):
        return "remove it, or write for example `1Gi`"
    unit = "Gi" if len(number) < 3 and number == memory else "Mi"
    return f"did you mean `{number}{'Gi' if '.' in number else unit}`?"


def _limits(merged: Settings, sized: tuple[str, ...]) -> Iterator[Problem]:
    resources = merged.get(*sized) or {}
    for key, limit in resources.get("limits", {}).items():
        request = resources.get(key)
        if request is not None and quantities.is_less(limit, request):
            message = f"the {key} limit {limit} is below the request {request}"
            pointer = (*sized, "limits", key)
            yield merged.problem("E303", message, pointer, "a limit is at least the request")


def _scaling(
    model: Document, environment: Environment, merged: Settings, strategy: Strategy
) -> Iterator[Problem]:
    ask, knative = Ask(model, environment, merged), strategy == "knative"
    routed = environment.gateway is not None and backends.of(merged).is_published(ask, strategy)
    yield from autoscaling.problems(merged, environment, knative=knative, routed=routed)
    if strategy == "native":
        return
    for role in settings.SCALED_APART:
        own = settings.of_role(model, environment.name, merged, role)
        if own is not merged:
            yield from autoscaling.problems(own, environment, knative=knative, routed=routed)
        if role == "shadow" and role in model.data["environments"][environment.name]:
            yield from autoscaling.unseen(model, environment.name, own, knative=knative)


def _rollout(merged: Settings) -> Iterator[Problem]:
    steps = merged.get("rollout", "steps") or []
    for step, following in itertools.pairwise(steps):
        if following <= step:
            message = f"{following} % is not more than the {step} % of the step before"
            hint = f"write `steps: {sorted(set(steps))}`"
            yield merged.problem("E204", message, ("rollout", "steps"), hint)
            break
    yield from measures.problems(merged)


def _lengths(
    model: Document, environment: Environment, merged: Settings, strategy: Strategy
) -> Iterator[Problem]:
    backend, namespace = backends.of(merged), environment.namespace
    block = model.data["environments"][environment.name]
    knative = strategy == "knative"
    is_named = strategy in NAMED
    for keys, version in live_versions(block) if is_named else [((), "")]:
        name = f"{model.name}-{version}" if version else model.name
        code, what, longest = max(
            backend.derived(name, namespace, knative=knative), key=lambda each: len(each.name)
        )
        excess = len(longest) - naming.LABEL_LIMIT
        if excess > 0:
            size = f"{len(longest)} characters of at most {naming.LABEL_LIMIT}"
            message = f"{what} would be {longest}, {size}"
            hint = f"shorten the model's, the version's or the namespace's name by {excess}"
            pointer = ("environments", environment.name, *keys)
            yield model.problem(code, message, pointer, hint=hint, key=not keys)
