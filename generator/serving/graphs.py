"""InferenceGraphs: what is wrong with one as it is written, and what KServe is given instead.

A step that names a model leads to the model's own address and not to a version of it: a promotion
changes nothing here. Behind a Gateway that is its host; elsewhere KServe finds the address of the
InferenceService, which is called like the model
(kserve/kserve@pkg/controller/v1alpha1/inferencegraph/controller.go). What a router does with nodes
and steps: kserve/kserve@cmd/router/main.go.
"""

from __future__ import annotations

from collections.abc import Iterator

from generator import naming
from generator.backends.contract import Ask
from generator.documents import Document, Json
from generator.inventory.records import Environment
from generator.problems import Problem, Where
from generator.records import Need
from generator.schema import suggestion
from generator.values import minors
from generator.yamlio import Pointer

ROOT = "root"
_TARGETS = ("model", "node", "url")
_READS = {
    "weight": ("Splitter",),
    "condition": ("Switch", "Sequence"),
    "data": ("Sequence",),
    "dependency": ("Sequence", "Ensemble"),
    "mapPredictionsToInstances": ("Sequence",),
}
"""Which nodes read which keys of their steps."""

_MAPS_SINCE = (0, 20)
"""The first KServe whose InferenceGraph is known to have `mapPredictionsToInstances`."""


def of(model: Document, version: str) -> Json:
    """Give the nodes of a version."""
    nodes: Json = model.data["versions"][version].get("graph", {})
    return nodes


def steps(nodes: Json) -> Iterator[tuple[str, Pointer, Json]]:
    """Give the steps of all nodes, each with its node and the way to it."""
    for name, node in nodes.items():
        for index, step in enumerate(node["steps"]):
            yield name, (name, "steps", index), step


# What is wrong whatever the environment


def problems(model: Document, version: str) -> Iterator[Problem]:
    """Find what KServe would refuse of a graph, or fail with at every request."""
    nodes, at = of(model, version), ("versions", version, "graph")
    if ROOT not in nodes:
        message = f"no node is called `{ROOT}`, where requests begin"
        yield model.problem("S050", message, at, hint=f"call the first node `{ROOT}`", key=True)
    for name, node in nodes.items():
        yield from _node(model, name, node, at)
    for name, place, step in steps(nodes):
        yield from _target(model, step, (*at, *place))
        yield from _way(model, nodes, (name, step), (*at, *place))
        yield from _unread(model, nodes[name]["type"], step, (*at, *place))


def _node(model: Document, name: str, node: Json, at: Pointer) -> Iterator[Problem]:
    place = (*at, name, "steps")
    if node["type"] == "Splitter":
        yield from _weights(model, name, node["steps"], place)
    if node["type"] == "Switch":
        for index, step in enumerate(node["steps"]):
            if "condition" not in step:
                message = "a step of a `Switch` without `condition` is never taken"
                hint = "add `condition: <GJSON path>`; `@this` meets every request"
                yield model.problem("I030", message, (*place, index), hint=hint)
    if node["type"] == "Sequence" and "condition" in node["steps"][0]:
        message = (
            "the first step of a `Sequence` has no answer before it, so that a `condition` there "
            "fails with every request"
        )
        hint = "remove it, or lead to this node from a `Switch`"
        yield model.problem("I031", message, (*place, 0, "condition"), hint=hint, key=True)
    yield from _names(model, node["steps"], place)


def _weights(model: Document, name: str, found: list[Json], place: Pointer) -> Iterator[Problem]:
    missing = [index for index, step in enumerate(found) if "weight" not in step]
    total = sum(step.get("weight", 0) for step in found)
    if missing:
        message = "every step of a `Splitter` has a `weight`, and this one has none"
        hint = f"add `weight: {max(0, 100 - total)}`" if len(missing) == 1 else "add `weight`"
        yield model.problem("S048", message, (*place, missing[0]), hint=hint)
    elif total != 100:
        message = f"the weights of `{name}` are {total} together, and KServe wants 100"
        hint = "give every step its part of 100"
        yield model.problem("S048", message, (*place, len(found) - 1, "weight"), hint=hint)


def _names(model: Document, found: list[Json], place: Pointer) -> Iterator[Problem]:
    """Refuse two steps of one name, written or derived: one answer would hide the other."""
    seen: dict[str, int] = {}
    for index, step in enumerate(found):
        name = name_of(step)
        if name and name in seen:
            message = f"two steps of this node are called `{name}`"
            key = "name" if "name" in step else next(k for k in _TARGETS if k in step)
            hint = f"write `name: {name}-{index}`"
            yield model.problem("I032", message, (*place, index, key), hint=hint, key=True)
        seen[name] = index


def name_of(step: Json) -> str:
    """Name a step: its own name, its model's or its node's."""
    return str(step.get("name") or step.get("model") or step.get("node") or "")


def _target(model: Document, step: Json, place: Pointer) -> Iterator[Problem]:
    found = [key for key in _TARGETS if key in step]
    if len(found) != 1:
        said = " and ".join(f"`{key}`" for key in found) or "nothing"
        message = f"this step leads to {said}, and a step leads to one target"
        hint = "keep one of them" if found else "add `model: <model>`, `node: <node>` or `url`"
        at = (*place, found[1]) if found else place
        yield model.problem("S049", message, at, hint=hint, key=bool(found))
    elif step.get("model") == model.name:
        message = f"`{model.name}` is this graph itself: no request would end"
        hint = "name another model, or a `node` of the graph"
        yield model.problem("S050", message, (*place, "model"), hint=hint)
    elif "protocol" in step and "model" not in step:
        message = "`protocol` is of a `model`: a node has none, and a `url` is posted to as it is"
        yield model.problem("E303", message, (*place, "protocol"), hint="remove it", key=True)


def _way(model: Document, nodes: Json, at: tuple[str, Json], place: Pointer) -> Iterator[Problem]:
    name, step = at
    target = step.get("node")
    if target is None or "model" in step or "url" in step:
        return
    if target not in nodes:
        others = [each for each in nodes if each != name]
        message = f"the graph has no node `{target}`"
        hint = suggestion(target, others) if others else "add it to the graph, or name a `model`"
        yield model.problem("S050", message, (*place, "node"), hint=hint)
    elif name == min(circle(nodes, name, target), default=""):
        message = f"`{name}` leads to `{target}`, which leads back: no request would end"
        yield model.problem("S050", message, (*place, "node"), hint="remove one of the steps")


def circle(nodes: Json, name: str, target: str) -> set[str]:
    """Name the nodes of the circle that a step closes, if it does."""
    return {each for each in reached(nodes, target) if name in reached(nodes, each)}


def reached(nodes: Json, start: str) -> set[str]:
    """Name all nodes that requests to a node come to, that node itself included."""
    found, waiting = {start}, [start]
    while waiting:
        node = nodes.get(waiting.pop(), {"steps": []})
        following = {step["node"] for step in node["steps"] if "node" in step} - found
        found |= following
        waiting += sorted(following)
    return found


def _unread(model: Document, type_: str, step: Json, place: Pointer) -> Iterator[Problem]:
    for key, readers in _READS.items():
        if key in step and type_ not in readers:
            read = " and ".join(map(_called, readers))
            message = f"`{key}` is read by {read} alone, and this is {_called(type_)}"
            yield model.problem("I033", message, (*place, key), hint="remove it", key=True)


def _called(type_: str) -> str:
    return f"{'an' if type_ == 'Ensemble' else 'a'} `{type_}`"


# What an environment has of it


def environment_problems(ask: Ask, version: str) -> Iterator[Problem]:
    """Find what the KServe of an environment does not know."""
    if not ask.environment.kserve or minors.parsed(ask.environment.kserve) >= _MAPS_SINCE:
        return
    for _, place, step in steps(of(ask.model, version)):
        if "mapPredictionsToInstances" in step:
            message = (
                f"`mapPredictionsToInstances` needs KServe 0.20, and environment "
                f"{ask.environment.name} has {ask.environment.kserve}"
            )
            at = ("versions", version, "graph", *place, "mapPredictionsToInstances")
            yield ask.model.problem("I034", message, at, hint="remove it there", key=True)


def nodes_of(ask: Ask, version: str) -> Json:
    """Write the nodes as KServe takes them."""
    return {
        name: {
            "routerType": node["type"],
            "steps": [_step(ask, node["type"], step) for step in node["steps"]],
        }
        for name, node in of(ask.model, version).items()
    }


def _step(ask: Ask, type_: str, step: Json) -> Json:
    name = name_of(step)
    written: Json = {**({"name": name} if name else {}), **_leads_to(ask.environment, step)}
    for key in ("weight", "condition", "data", "mapPredictionsToInstances"):
        if key in step:
            written[key] = step[key]
    if type_ in _READS["dependency"]:
        written["dependency"] = step.get("dependency", "Hard")
    return written


def _leads_to(environment: Environment, step: Json) -> Json:
    if "node" in step:
        return {"nodeName": step["node"]}
    if "url" in step:
        return {"serviceUrl": step["url"]}
    return address(environment, step["model"], protocol_of(step))


def protocol_of(step: Json) -> str:
    """Say which protocol a step speaks."""
    return str(step.get("protocol", "v1"))


def is_by_name(environment: Environment) -> bool:
    """Say whether a graph knows models by their InferenceService, and not by their host."""
    return environment.gateway is None or environment.mode == "Knative"


def address(environment: Environment, model: str, protocol: str) -> Json:
    """Lead to a model, whichever of its versions answers."""
    gateway = environment.gateway
    if gateway is None or is_by_name(environment):
        return {"serviceName": model}
    host = naming.host(model, environment.namespace, gateway.domain)
    return {"serviceUrl": f"http://{host}{_PATHS[protocol].format(model=model)}"}


_PATHS = {"v1": "/v1/models/{model}:predict", "v2": "/v2/models/{model}/infer"}


def needs(ask: Ask, version: str) -> tuple[Need, ...]:
    """List the models that a graph leads to, each with the line that says so."""
    return tuple(
        Need(step["model"], protocol_of(step), _where(ask.model, version, place))
        for _, place, step in steps(of(ask.model, version))
        if "model" in step
    )


def _where(model: Document, version: str, place: Pointer) -> Where:
    return model.where("versions", version, "graph", *place, "model")
