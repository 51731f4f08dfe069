"""What an environment says of KEDA: its HTTP add-on, and how it proves who it is."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from generator.documents import Json
from generator.inventory.records import Environment
from generator.records import Interceptor
from generator.values import minors

PROMETHEUS = "prometheus"
"""The name of the TriggerAuthentication of what an environment's Prometheus asks for."""

NAMESPACED, OF_THE_CLUSTER = "TriggerAuthentication", "ClusterTriggerAuthentication"

_SERVICE, _PORT = "keda-add-ons-http-interceptor-proxy", 8080
_SCALER = "keda-add-ons-http-external-scaler"
"""Both Services of the chart (kedacore/keda-docs@content/http-add-on/0.15/user-guide/
configure-ingress.md and autoscale-an-app.md)."""

_ROUTES_SINCE = (0, 14)
"""InterceptorRoute took the place of HTTPScaledObject
(kedacore/keda-docs@content/http-add-on/0.15/_index.md)."""

HEADERS_SINCE = (0, 12)
"""Before, the interceptor told requests apart by host and path alone
(kedacore/http-add-on@docs/ref/v0.12.0/http_scaled_object.md)."""

PARAMETERS = {
    "bearer": ("bearerToken",),
    "basic": ("username", "password"),
    "custom": ("customAuthHeader", "customAuthValue"),
    "tls": ("ca", "cert", "key"),
}
"""What each way to prove to Prometheus who one is asks for
(kedacore/keda@pkg/scalers/authentication/authentication_types.go)."""


class Authentication(Struct, frozen=True):
    """One TriggerAuthentication; `spec` is empty where the cluster has one for all namespaces."""

    name: str
    kind: str
    spec: Json


def platform(environment: Environment, system: str) -> Json:
    """Return what an environment says of an installed system; nothing if it has none."""
    said: Json = environment.document.data["platform"].get(system) or {}
    return said


def authentications(environment: Environment) -> dict[str, Authentication]:
    """Resolve the names that triggers may refer to, that of Prometheus among them."""
    own = platform(environment, "keda").get("auth", {})
    found = {name: _authentication(name, spec) for name, spec in own.items()}
    asked = platform(environment, PROMETHEUS).get("auth")
    if asked and environment.keda:
        found[PROMETHEUS] = Authentication(PROMETHEUS, NAMESPACED, _of_prometheus(asked))
    return found


def _authentication(name: str, said: Json) -> Authentication:
    if said.get("kind") == OF_THE_CLUSTER:
        return Authentication(name, OF_THE_CLUSTER, {})
    spec: Json = {}
    if "podIdentity" in said:
        more = {key: said[key] for key in ("roleArn", "identityId") if key in said}
        spec["podIdentity"] = {"provider": said["podIdentity"], **more}
    if "secret" in said:
        spec["secretTargetRef"] = _from_secret(said["secret"], said["parameters"])
    return Authentication(name, NAMESPACED, spec)


def _of_prometheus(said: Json) -> Json:
    keys = {name: name for mode in said["modes"] for name in PARAMETERS[mode]}
    renamed = {name: said.get("keys", {}).get(name, key) for name, key in keys.items()}
    return {"secretTargetRef": _from_secret(said["secret"], renamed)}


def _from_secret(secret: str, parameters: dict[str, str]) -> list[Json]:
    return [
        {"parameter": parameter, "name": secret, "key": key}
        for parameter, key in parameters.items()
    ]


def reference(environment: Environment, name: str) -> Json:
    """Refer to an authentication, as a trigger does; nothing for a name that nobody knows."""
    found = authentications(environment).get(name)
    return {"authenticationRef": {"kind": found.kind, "name": name}} if found else {}


def modes(environment: Environment) -> str:
    """Write how KEDA proves to Prometheus who it is; empty if Prometheus does not ask."""
    return ",".join(platform(environment, PROMETHEUS).get("auth", {}).get("modes", ()))


def addon(environment: Environment) -> Json:
    """Return what an environment says of the HTTP add-on; nothing if it has none."""
    said: Json = platform(environment, "keda").get("httpAddon", {})
    return said


def scaler(environment: Environment) -> str:
    """Name the address of the add-on's scaler, which KEDA asks."""
    return f"{_SCALER}.{_namespace(environment)}:9090"


def interceptor(environment: Environment, trigger: Json) -> Interceptor:
    """Describe the interceptor before one workload, by its trigger `http`."""
    asked: dict[str, Any] = {
        key: {"targetValue": trigger[key]}
        for key in ("concurrency", "requestRate")
        if key in trigger
    }
    is_route = minors.parsed(addon(environment)["version"]) >= _ROUTES_SINCE
    return Interceptor(
        kind="InterceptorRoute" if is_route else "HTTPScaledObject",
        service=_SERVICE,
        namespace=_namespace(environment),
        port=_PORT,
        metric=asked,
        readiness=trigger.get("readiness", 300),
    )


def _namespace(environment: Environment) -> str:
    return str(addon(environment).get("namespace", "keda"))
