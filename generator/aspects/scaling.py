"""What scaling adds beside a ScaledObject: the interceptor's routes, and what the platform owes.

A route of gen's own leads to the interceptor in the add-on's namespace, which a ReferenceGrant
there allows. It tells the versions of a model apart by a header that the route sets, because all of
them share one host (kedacore/keda-docs@content/http-add-on/0.15/user-guide/configure-ingress.md,
kedacore/keda-docs@content/http-add-on/0.15/reference/interceptorroute.md).
"""

from __future__ import annotations

from collections.abc import Iterator

from generator import settings
from generator.aspects.contract import Ask, Aspect, Kind, Piece
from generator.inventory.records import Environment
from generator.records import Interceptor, Release, Variant
from generator.scaling import autoscaling, keda, triggers

_FILES = {
    "InterceptorRoute": "interceptor-route.yaml",
    "HTTPScaledObject": "http-scaled-object.yaml",
}


class Scaled(Aspect):
    """The block `scaling`, which every model has: there is a fact where requests are held."""

    name = "scaling"

    def facts(self, ask: Ask) -> Interceptor | None:
        """Resolve the interceptor; None where requests go to the Pods directly."""
        knative = settings.is_knative(ask.model, ask.environment)
        if autoscaling.autoscaler(ask.merged, knative=knative) != "keda":
            return None
        return triggers.interceptor(ask.merged, ask.environment)

    def files_of(self, release: Release, variant: Variant, facts: Interceptor) -> Iterator[Piece]:
        """List the route of the interceptor to one version."""
        held = variant.scaling.interceptor
        if held:
            name = _FILES[held.kind]
            yield Piece(name, f"overlay/{name}.j2")

    def kinds(self, environment: Environment) -> tuple[Kind, ...]:
        """List the interceptor's route."""
        if not environment.keda or not keda.addon(environment):
            return ()
        return (Kind("http.keda.sh", keda.interceptor(environment, {}).kind),)

    def platform(self, environment: Environment) -> Iterator[Piece]:
        """List how KEDA proves who it is, and that routes may lead to its interceptor."""
        if not environment.keda:
            return
        for name, found in keda.authentications(environment).items():
            if found.kind == keda.NAMESPACED:
                context = {"authentication": {"name": name, "spec": found.spec}}
                path = f"trigger-authentication-{name}.yaml"
                yield Piece(path, "platform/trigger-authentication.yaml.j2", context)
        if self.platform_namespaces(environment):
            held = keda.interceptor(environment, {})
            path = "reference-grant-interceptor.yaml"
            yield Piece(path, "platform/reference-grant.yaml.j2", {"interceptor": held})

    def platform_kinds(self, environment: Environment) -> tuple[Kind, ...]:
        """List the kinds of both."""
        own = keda.authentications(environment).values() if environment.keda else ()
        proofs = [Kind("keda.sh", each.kind) for each in own if each.kind == keda.NAMESPACED][:1]
        grants = [Kind("gateway.networking.k8s.io", "ReferenceGrant")]
        return (*proofs, *(grants if self.platform_namespaces(environment) else ()))

    def platform_namespaces(self, environment: Environment) -> tuple[str, ...]:
        """Name the add-on's namespace, where the grant is; none where routes lead nowhere."""
        is_reached = environment.gateway is not None and environment.mode == "Standard"
        if not environment.keda or not is_reached or not keda.addon(environment):
            return ()
        found = keda.interceptor(environment, {}).namespace
        return () if found == environment.namespace else (found,)
