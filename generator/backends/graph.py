"""KServe's InferenceGraph: models of the repository that answer one request together.

Standard mode makes a Deployment and a Service of the graph's own name and no route
(kserve/kserve@pkg/controller/v1alpha1/inferencegraph/raw_ig.go), Knative mode a Knative Service.
The whole spec is an argument of the router, so that every change of it is a new Pod.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from generator.backends.contract import Ask, Backend, Derived, Kind, Made
from generator.documents import Document, Json
from generator.inventory.records import Environment
from generator.problems import Problem
from generator.records import Need, Release, Strategy, Variant
from generator.serving import graphs
from generator.settings import Settings

_UNREAD = ("args", "env", "gpu", "serviceAccount")
"""Keys of `serving` that a router has nothing to do with."""

_OF_IMAGES = ("uri", "image", "args", "env")


class Graph(Backend):
    """One InferenceGraph, updated in place."""

    name = "graph"
    versions = ("graph",)
    folder = "inference-graph"

    def strategy(self, environment: Environment, *, native: bool) -> Strategy:
        """Have one router; Knative runs it where it is there."""
        return "knative" if environment.mode == "Knative" else "single"

    def derived(self, name: str, namespace: str, *, knative: bool = False) -> list[Derived]:
        """List the label, the host and the revision."""
        derived = [
            Derived("N001", "the label that KServe puts on its Pods", f"isvc.{name}"),
            Derived("N002", "the first label of its host", f"{name}-{namespace}"),
        ]
        revision = Derived("N001", "its first Knative revision", f"{name}-00001")
        return [*derived, revision] if knative else derived

    def artifact_problems(self, model: Document, version: str, spec: Json) -> Iterator[Problem]:
        """Ask for a graph whose every request ends."""
        at = ("versions", version)
        if "graph" not in spec:
            message = f"version {version} has no `graph`"
            hint = "add `graph: {root: {type: Sequence, steps: [{model: <model>}]}}`"
            yield model.problem("E302", message, at, hint=hint, key=True)
            return
        for key in _OF_IMAGES:
            if key in spec:
                message = f"a graph leads to models and has no `{key}` of its own"
                yield model.problem("E303", message, (*at, key), hint="remove it", key=True)
        yield from graphs.problems(model, version)

    def problems(self, ask: Ask) -> Iterator[Problem]:
        """Find what a router does not read, and what KServe does not know yet."""
        yield from _unread(ask)
        block = ask.model.data["environments"][ask.environment.name]
        if "canary" in block and ask.environment.mode == "Knative":
            message = f"no `canary` here: {_ALONE}"
            pointer = ("environments", ask.environment.name, "canary")
            yield ask.model.problem("C004", message, pointer, hint=_TRIAL, key=True)
        version = block["version"]
        if version in ask.model.data["versions"]:
            yield from graphs.environment_problems(ask, version)

    def alone(self, environment: Environment, merged: Settings) -> tuple[str, str]:
        """Say why it has one version at a time, and the way out."""
        return _ALONE, _TRIAL

    def facts(self, ask: Ask) -> dict[str, Any]:
        """Resolve the nodes, and the models that they lead to."""
        version = ask.model.data["environments"][ask.environment.name]["version"]
        timeout = ask.merged.get("serving", "timeout")
        keys = ("serverRead", "serverWrite", "serviceClient")
        return {
            "graph": graphs.nodes_of(ask, version),
            "needs": graphs.needs(ask, version),
            "router_timeouts": dict.fromkeys(keys, timeout) if timeout else {},
        }

    def is_published(self, ask: Ask, strategy: Strategy) -> bool:
        """Publish it like the models beside it: KServe itself makes no route to a router."""
        return strategy == "single" and ask.environment.gateway is not None

    def shared(self, release: Release) -> Iterator[str]:
        """List the route."""
        if release.host:
            yield "http-route.yaml"

    def selector(self, release: Release, variant: Variant) -> Mapping[str, str]:
        """Give KServe's label of the router's Pods in Standard mode."""
        return {} if release.strategy == "knative" else {"app": f"isvc.{variant.workload}"}

    def base(self, release: Release) -> tuple[str, ...]:
        """List the InferenceGraph alone."""
        return ("inference-graph.yaml",)

    def concerns(self, release: Release, variant: Variant) -> Iterator[str]:
        """List the patches of an InferenceGraph."""
        yield from ("mode", "version", "scaling")
        if release.serving.resources["requests"] or release.serving.resources["limits"]:
            yield "resources"
        if release.queue:
            yield "queue"

    def made(self, release: Release) -> Iterator[Made]:
        """List what the controller makes of the graph."""
        if release.strategy == "knative":
            yield Made("serving.knative.dev", "Service", release.model)
        else:
            yield Made("apps", "Deployment", release.model)
        yield Made("", "Service", release.model)

    def hosts(self, release: Release) -> Iterator[str]:
        """List the host that Knative publishes a graph on."""
        if release.strategy == "knative":
            yield f"{release.model}-{release.environment.namespace}"

    def needs(self, release: Release) -> tuple[Need, ...]:
        """List the models that have to be live beside it."""
        found: tuple[Need, ...] = release.facts["needs"]
        return found

    def kinds(self, environment: Environment) -> tuple[Kind, ...]:
        """List the InferenceGraph."""
        return (Kind("serving.kserve.io", "InferenceGraph"),)


_ALONE = "an InferenceGraph is updated in place"
_TRIAL = "remove it; a `Splitter` in the graph, or a canary of one of its models, is a trial"


def _unread(ask: Ask) -> Iterator[Problem]:
    """Refuse what the model itself says; an environment's defaults are no mistake."""
    for block in ((), ("environments", ask.environment.name)):
        for key in _UNREAD:
            pointer = (*block, "serving", key)
            if ask.model.has(pointer):
                message = f"`serving.{key}` is of a server, and a graph's router has none"
                hint = "remove it, or write it in the models of the graph"
                yield ask.model.problem("E303", message, pointer, hint=hint, key=True)
        spread = (*block, "spread")
        if ask.model.has(spread) and ask.environment.mode == "Standard":
            message = "an InferenceGraph has no topology spread for its router"
            yield ask.model.problem("E303", message, spread, hint="remove it", key=True)
