"""Rules of InferenceGraphs, in repositories that have a schema of the kind."""

from __future__ import annotations

from collections.abc import Iterator

from generator.documents import Json
from generator.rules import Book, Scene, Spot
from generator.rules.fields import block, entries, name_of, number, text
from generator.serving import graphs
from generator.yamlio import Pointer

BOOK = Book("serving")

_VALIDATED = "kserve/kserve@pkg/apis/serving/v1alpha1/inference_graph_validation.go"
_ROUTER = "kserve/kserve@cmd/router/main.go"
_TARGETS = ("nodeName", "serviceName", "serviceUrl")


def _steps(graph: Json) -> Iterator[tuple[str, Pointer, Json]]:
    """Give the steps of a graph with their node."""
    for node in block(graph, "spec", "nodes"):
        for index, step in entries(graph, "spec", "nodes", node, "steps"):
            yield node, ("spec", "nodes", node, "steps", index), step


_WEIGHTS = BOOK.error(
    "S048",
    "KServe's webhook wants the weights of a splitter to be 100 together.",
    evidence=_VALIDATED,
    remedy="Give every step a weight, 100 in all.",
)


@_WEIGHTS.on_objects("InferenceGraph")
def _splitter_that_loses_requests(item: Json, scene: Scene) -> Iterator[Spot]:
    for name in block(item, "spec", "nodes"):
        place: Pointer = ("spec", "nodes", name)
        if text(item, *place, "routerType") == "Splitter":
            total = sum(number(step, "weight") for _, step in entries(item, *place, "steps"))
            if total != 100:
                message = f"the weights of `{name}` are {total} together, and KServe wants 100"
                yield Spot(message, (*place, "steps"), "give every step its part of 100")


_TARGET = BOOK.error(
    "S049",
    "A step of a graph leads to one node, one InferenceService or one address.",
    evidence=_VALIDATED,
    remedy="Write exactly one of `nodeName`, `serviceName` and `serviceUrl`.",
)


@_TARGET.on_objects("InferenceGraph")
def _step_without_one_target(item: Json, scene: Scene) -> Iterator[Spot]:
    for _, place, step in _steps(item):
        found = [key for key in _TARGETS if step.get(key)]
        if len(found) != 1:
            said = " and ".join(f"`{key}`" for key in found) or "nothing"
            message = f"this step leads to {said}, and KServe takes exactly one target"
            yield Spot(message, place, "write one of `nodeName`, `serviceName`, `serviceUrl`")


_WAY = BOOK.error(
    "S050",
    "A graph that leads to an unknown node, or in a circle, fails with every request.",
    evidence=_ROUTER,
    remedy="Name a node of the graph, and let no node lead back to one before it.",
)


@_WAY.on_objects("InferenceGraph")
def _way_that_does_not_end(item: Json, scene: Scene) -> Iterator[Spot]:
    nodes = block(item, "spec", "nodes")
    if nodes and "root" not in nodes:
        yield Spot("no node is called `root`, where requests begin", ("spec", "nodes"), "add it")
    leading: Json = {node: {"steps": []} for node in nodes}
    for node, _, step in _steps(item):
        leading[node]["steps"] += [{"node": name} for name in [text(step, "nodeName")] if name]
    for node, place, step in _steps(item):
        target = text(step, "nodeName")
        if target and target not in nodes:
            message = f"the graph has no node `{target}`"
            known = ", ".join(f"`{name}`" for name in nodes)
            yield Spot(message, (*place, "nodeName"), f"known here: {known}")
        elif target and node == min(graphs.circle(leading, node, target), default=""):
            message = f"`{node}` leads to `{target}`, which leads back: no request would end"
            yield Spot(message, (*place, "nodeName"), "remove one of the steps")


_SERVICE = BOOK.error(
    "S051",
    "A graph is never ready while an InferenceService that it leads to is not there.",
    evidence="kserve/kserve@pkg/controller/v1alpha1/inferencegraph/raw_ig.go",
    remedy="Name an InferenceService that is rendered: a version has its own, `<model>-<version>`.",
)


@_SERVICE.on_objects("InferenceGraph")
def _service_that_is_not_there(item: Json, scene: Scene) -> Iterator[Spot]:
    release = scene.release
    known = {name_of(each) for each in scene.of_kind("InferenceService")}
    for _, place, step in _steps(item) if release else ():
        name = text(step, "serviceName")
        own = release is not None and f"{name}-".startswith(f"{release.model}-")
        if own and name not in known:
            usable = ", ".join(f"`{each}`" for each in sorted(known))
            message = f"there is no InferenceService `{name}`: the graph would wait for it"
            yield Spot(message, (*place, "serviceName"), f"live here: {usable}")
