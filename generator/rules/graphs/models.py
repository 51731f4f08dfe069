"""Rules of InferenceGraphs as models: what a router makes of nodes and steps."""

from __future__ import annotations

from collections.abc import Iterator

from generator.documents import Json
from generator.records import Release
from generator.rules import Book, Finding
from generator.rules.namespace import reach
from generator.rules.places import at_setting
from generator.serving import graphs
from generator.values import addresses
from generator.yamlio import Pointer

BOOK = Book("graphs")

_VALIDATED = "kserve/kserve@pkg/apis/serving/v1alpha1/inference_graph_validation.go"
_ROUTER = "kserve/kserve@cmd/router/main.go"
_TYPES = "kserve/kserve@pkg/apis/serving/v1alpha1/inference_graph.go"
_CONTROLLER = "kserve/kserve@pkg/controller/v1alpha1/inferencegraph/controller.go"

BOOK.error(
    "I030",
    "A `Switch` takes the first step whose condition finds something: without one it never is.",
    evidence=_ROUTER,
    remedy="Give every step a `condition`; `@this` meets every request.",
)

BOOK.error(
    "I031",
    "In a `Sequence` a condition looks at the answer before it, and the first step has none.",
    evidence=_ROUTER,
    remedy="Move the condition to the second step, or to a `Switch` that leads to the `Sequence`.",
)

BOOK.error(
    "I032",
    "KServe's webhook refuses two steps of one name in a node.",
    evidence=_VALIDATED,
    remedy="Give one of them a `name` of its own.",
)

BOOK.error(
    "I033",
    "A router ignores what is not of the node's type: a weight outside of a `Splitter`, and so on.",
    evidence=_ROUTER,
    remedy="Remove it, or give the node the type that reads it.",
)

BOOK.error(
    "I034",
    "An older KServe drops the field that calls predictions instances.",
    evidence=_TYPES,
    remedy="Remove `mapPredictionsToInstances` where KServe is older, or update KServe.",
)

BOOK.error(
    "I040",
    "A graph leads to a model that is not live in its environment.",
    evidence=_CONTROLLER,
    remedy="Make the model live there first, or take the step out.",
)

BOOK.error(
    "I041",
    "A router posts to one path of a protocol: a model that answers over another one says 404.",
    evidence="kserve/kserve@pkg/controller/v1beta1/inferenceservice/utils/utils.go",
    remedy="Write the `protocol` that the model answers over, or its address as `url`.",
)


def _each(release: Release) -> Iterator[tuple[str, str, Pointer, Json]]:
    """Give the steps of the live version with their node, its type and their place."""
    version = release.stable.artifact.version
    nodes = graphs.of(release.document, version)
    for name, place, step in graphs.steps(nodes):
        yield name, nodes[name]["type"], ("versions", version, "graph", *place), step


_UNREACHED = BOOK.warning(
    "I035",
    "A node that no way leads to from `root` never gets a request.",
    evidence=_ROUTER,
    remedy="Lead a step to it, or remove it.",
)


@_UNREACHED.on_release_with("graph")
def _node_that_nobody_reaches(release: Release) -> Iterator[Finding]:
    version = release.stable.artifact.version
    nodes = graphs.of(release.document, version)
    for name in sorted(nodes.keys() - graphs.reached(nodes, graphs.ROOT)):
        message = f"no step leads from `{graphs.ROOT}` to `{name}`"
        where = release.document.where("versions", version, "graph", name, key=True)
        yield Finding(message, where, f"add `node: {name}` to a step, or remove it")


_LOSES = BOOK.warning(
    "I036",
    "Before 0.19 a splitter drops one request of 101: it draws a number that no weight covers.",
    evidence="kserve/kserve#5489, kserve/kserve#5408",
    remedy="Update KServe, or split by the canary of a model instead.",
    kserve="<0.19",
)


@_LOSES.on_release_with("graph")
def _splitter_that_drops_requests(release: Release) -> Iterator[Finding]:
    version = release.stable.artifact.version
    for name, node in graphs.of(release.document, version).items():
        if node["type"] == "Splitter":
            message = (
                f"the router of KServe {release.environment.kserve} drops about 1 % of the "
                f"requests that come to `{name}`"
            )
            where = release.document.where("versions", version, "graph", name, "type")
            yield Finding(message, where, "use a canary of the model, or update KServe")


_CHAINED = BOOK.warning(
    "I037",
    "An answer of protocol v1 has `predictions`, and the next model looks for `instances`.",
    evidence="kserve/kserve#3248",
    remedy="Write `mapPredictionsToInstances: true` at the step before, or a transformer.",
)


@_CHAINED.on_release_with("graph")
def _answer_that_is_no_request(release: Release) -> Iterator[Finding]:
    before: Json = {}
    for _, type_, place, step in _each(release):
        is_first = place[-1] == 0
        chained = type_ == "Sequence" and not is_first and step.get("data") == "$response"
        is_mapped = before.get("mapPredictionsToInstances", False)
        if chained and _is_v1(before) and _is_v1(step) and not is_mapped:
            message = (
                f"`{step['model']}` gets the answer of `{before['model']}` as it is, "
                "`predictions` and no `instances`"
            )
            where = release.document.where(*place, "data")
            hint = "write `mapPredictionsToInstances: true` at the step before"
            yield Finding(message, where, hint)
        before = step


def _is_v1(step: Json) -> bool:
    return "model" in step and graphs.protocol_of(step) == "v1"


_SHORT = BOOK.warning(
    "I038",
    "A router without a timeout gives up after 60 s, and says so with an empty answer.",
    evidence="kserve/kserve#4218, kserve/kserve#3277",
    remedy="Write `serving.timeout`, for all steps together.",
)


@_SHORT.on_release_with("graph")
def _timeout_that_nobody_said(release: Release) -> Iterator[Finding]:
    if release.serving.timeout or release.strategy == "knative":
        return
    models = [step for _, _, _, step in _each(release) if "model" in step or "url" in step]
    if len(models) > 1:
        message = "all steps together have the 60 s of the router, and nobody said so"
        yield at_setting(release, ("serving",), message, "add `timeout: 60`, or what it takes")


_WALLED = BOOK.warning(
    "I039",
    "A router asks models through the Gateway, and NetworkPolicies let it out nowhere unless told.",
    evidence="kubernetes/website@content/en/docs/concepts/services-networking/network-policies.md, "
    + _CONTROLLER,
    remedy="Add the namespace of the Gateway, or its addresses, to `networkPolicy.egressTo`.",
)


@_WALLED.on_release_with("graph")
def _steps_behind_a_wall(release: Release) -> Iterator[Finding]:
    environment = release.environment
    through = reach.entrance(environment)
    for _, _, place, step in _each(release):
        url = step.get("url", "")
        inside = addresses.namespace_of(url)
        asked = frozenset({inside}) if inside else through if "model" in step else frozenset()
        if asked and reach.is_cut_off(environment, asked):
            whom = " or ".join(sorted(asked))
            message = (
                f"`networkPolicy` of environment {environment.name} lets no Pod ask {whom}, where "
                "this step leads to"
            )
            hint = f"add `{{namespace: {min(asked)}, ports: [80]}}` to `networkPolicy.egressTo`"
            key = "url" if url else "model"
            yield Finding(message, release.document.where(*place, key), hint)
            return
