"""A plain Deployment of one's own image, with a Service before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from generator.backends import pods
from generator.backends.contract import Ask, Backend, Derived, Kind, shared_concerns
from generator.documents import Document, Json
from generator.inventory.records import Environment
from generator.problems import Problem
from generator.records import Release, Strategy, Variant
from generator.settings import Settings

DEFAULT_PORT = 8080
_FIRST = "http"
"""What the first port is called in the templates."""
_STRATEGY = "canaryStrategy"
_STANDARD = "use an environment in Standard mode with a Gateway"
_ADD_IMAGE = "add `image: <repository>@sha256:<digest>`"


class Deployment(Backend):
    """One Deployment, updated in place, or one per version behind a route."""

    name = "deployment"
    keys = ("port", "probes", "ports", "expose", "security", *pods.KEYS)
    needed = ("probes", "add `probes: {liveness: /healthz, readiness: /readyz}`")
    folder = "deployment"

    def strategy(self, environment: Environment, *, native: bool) -> Strategy:
        """Have one workload, whatever the environment."""
        return "single"

    def on_request(self, environment: Environment, merged: Settings) -> Strategy | None:
        """Have one Deployment per version behind a route, if a model itself says so.

        No environment does: every Deployment would be deleted for one of another name.
        """
        decided = merged.layers[merged.rank(_STRATEGY)].document if merged.get(_STRATEGY) else None
        is_asked = merged.get(_STRATEGY) == "route" and decided is not environment.document
        return "route" if is_asked and pods.is_reached(environment, merged) else None

    def derived(self, name: str, namespace: str, *, knative: bool = False) -> list[Derived]:
        """List the Service."""
        return [Derived("N001", "its Service", name)]

    def artifact_problems(self, model: Document, version: str, spec: Json) -> Iterator[Problem]:
        """Ask for an image."""
        pointer = ("versions", version)
        if "uri" in spec:
            message = "a Deployment fetches no model: `uri` is for `backend: kserve`"
            hint = "remove it" if "image" in spec else _ADD_IMAGE.replace("add", "write")
            yield model.problem("E303", message, (*pointer, "uri"), hint=hint, key=True)
        elif "image" not in spec:
            message = f"version {version} has no `image`"
            yield model.problem("E302", message, pointer, hint=_ADD_IMAGE, key=True)

    def problems(self, ask: Ask) -> Iterator[Problem]:
        """Find what Pods cannot have, and a host that is too long."""
        yield from pods.problems(ask)
        yield from _ports(ask.merged)
        if self.is_published(ask, "single"):
            yield from pods.host_problems(ask)

    def facts(self, ask: Ask) -> dict[str, Any]:
        """Resolve the ports, and what all Pods may have."""
        return {**pods.ports(ask.merged), **pods.security(ask.merged), **pods.facts(ask)}

    def is_published(self, ask: Ask, strategy: Strategy) -> bool:
        """Publish it like the models of KServe beside it, unless the spec says no."""
        return pods.has_route(ask)

    def port(self, merged: Settings) -> int:
        """Have the Service listen where the image does."""
        return int(merged.get("serving", "port") or DEFAULT_PORT)

    def shared(self, release: Release) -> Iterator[str]:
        """List the route."""
        if release.host:
            yield "http-route.yaml"

    def selector(self, release: Release, variant: Variant) -> Mapping[str, str]:
        """Give the labels that the Deployment itself selects by."""
        own = {"app.kubernetes.io/name": release.model}
        if release.strategy != "route":
            return own
        return {**own, "app.kubernetes.io/version": variant.artifact.version}

    def alone(self, environment: Environment, merged: Settings) -> tuple[str, str]:
        """Say why it has one version at a time, and the way out."""
        if merged.get(_STRATEGY) != "route":
            return (
                "a plain Deployment is updated in place",
                "remove it, or write `canaryStrategy: route` where the environment has a Gateway: "
                "a Deployment per version",
            )
        if merged.get("serving", "expose") is False:
            reason = "`expose: false` leaves no route that could share the requests"
            return reason, "remove it, or `serving.expose`"
        reason = f"environment {environment.name} has no Gateway whose route would share requests"
        return reason, f"remove it, or {_STANDARD}"

    def base(self, release: Release) -> tuple[str, ...]:
        """List Deployment and Service."""
        return ("deployment.yaml", "service.yaml")

    def concerns(self, release: Release, variant: Variant) -> Iterator[str]:
        """List the patches of a Deployment."""
        yield "version"
        if release.strategy == "route":
            yield from ("selector", "service")
        yield from shared_concerns(release)

    def kinds(self, environment: Environment) -> tuple[Kind, ...]:
        """List Deployment, Service and what scales them."""
        return (
            Kind("apps", "Deployment"),
            Kind("autoscaling", "HorizontalPodAutoscaler"),
            Kind("", "Service"),
        )


def _ports(merged: Settings) -> Iterator[Problem]:
    """Refuse a port that is there already, as the API server does."""
    first = merged.get("serving", "port") or DEFAULT_PORT
    known = {first: "`serving.port`"}
    for name, number in (merged.get("serving", "ports") or {}).items():
        pointer = ("serving", "ports", name)
        if name == _FIRST:
            message = f"`{name}` is the name of `serving.port`, {first}, already"
            yield merged.problem("E303", message, pointer, "give it another name")
        elif number in known:
            message = f"{number} is {known[number]} already"
            yield merged.problem("E303", message, pointer, "remove it, or name another port")
        known.setdefault(number, f"the port `{name}`")
