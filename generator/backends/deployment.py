"""A plain Deployment of one's own image, with a Service before it."""

from __future__ import annotations

from collections.abc import Iterator

from generator.backends.contract import Backend, Derived, Kind, shared_concerns
from generator.documents import Document
from generator.problems import Problem
from generator.records import Environment, Json, Release, Strategy, Variant

_ADD_IMAGE = "add `image: <repository>@sha256:<digest>`"


class Deployment(Backend):
    """One Deployment, updated in place."""

    name = "deployment"
    keys = ("port", "probes")
    needed = ("probes", "add `probes: {liveness: /healthz, readiness: /readyz}`")
    folder = "deployment"

    def strategy(self, environment: Environment, *, native: bool) -> Strategy:
        """Have one workload, whatever the environment."""
        return "single"

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

    def base(self, release: Release) -> tuple[str, ...]:
        """List Deployment and Service."""
        return ("deployment.yaml", "service.yaml")

    def concerns(self, release: Release, variant: Variant) -> Iterator[str]:
        """List the patches of a Deployment."""
        yield "version"
        yield from shared_concerns(release)

    def kinds(self, environment: Environment) -> tuple[Kind, ...]:
        """List Deployment, Service and what scales them."""
        return (
            Kind("apps", "Deployment"),
            Kind("autoscaling", "HorizontalPodAutoscaler"),
            Kind("", "Service"),
        )
