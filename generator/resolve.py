"""Stage 3: a model and its environments become complete releases.

Every fact that a template places is computed here, once: names, strategy, autoscaler, placement,
arguments. What cannot be resolved is a problem on the line that asked for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from generator import contradictions, naming, settings
from generator.aspects import registry as aspects
from generator.backends import pods
from generator.backends import registry as backends
from generator.backends.contract import Ask
from generator.documents import Document, Json
from generator.inventory import environments as inventory
from generator.inventory.records import Environment
from generator.problems import GenError, Problem
from generator.records import (
    APART,
    Artifact,
    Header,
    Placement,
    Probes,
    Release,
    Role,
    Serving,
    Strategy,
    Variant,
)
from generator.scaling import autoscaling
from generator.serving import native, sizes
from generator.settings import Settings

_STARTUP_PERIOD = 5
"""Seconds between two startup probes."""


def environments(documents: Iterable[Document]) -> dict[str, Environment]:
    """Resolve the environments by name. Raises GenError with the problems of all."""
    problems: list[Problem] = []
    resolved: dict[str, Environment] = {}
    for document in documents:
        try:
            environment = inventory.environment(document)
            problems += aspects.environment_problems(environment)
            resolved[document.name] = environment
        except GenError as error:
            problems += error.problems
    if problems:
        raise GenError(problems)
    return resolved


def releases(
    model: Document, known: dict[str, Environment], wanted: Collection[str] = ()
) -> tuple[Release, ...]:
    """Resolve a model in each of its environments, or in the wanted ones of them.

    Raises GenError with the problems of all of them.
    """
    problems = list(contradictions.of_model(model, known))
    resolved: list[Release] = []
    for name in sorted(model.data["environments"]):
        if name not in known or (wanted and name not in wanted):
            continue
        merged = settings.of(model, known[name])
        strategy = strategy_of(known[name], merged)
        found = list(contradictions.of_release(model, known[name], merged, strategy))
        problems += found
        if not problems:
            resolved.append(_release(model, known[name], merged, strategy))
    if problems:
        raise GenError(problems)
    return tuple(resolved)


def strategy_of(environment: Environment, merged: Settings) -> Strategy:
    """Say how the versions of a model share traffic in an environment."""
    is_native = native.is_asked(merged) and native.is_possible(environment)
    backend = backends.of(merged)
    asked = backend.on_request(environment, merged)
    return asked or backend.strategy(environment, native=is_native)


def _release(
    model: Document, environment: Environment, merged: Settings, strategy: Strategy
) -> Release:
    gateway = environment.gateway
    placement = sizes.placement(environment.flavors, merged.get("serving", "gpu"))
    ask = Ask(model, environment, merged)
    backend = backends.of(merged)
    routed = gateway is not None and backend.is_published(ask, strategy)
    return Release(
        model=model.name,
        owner=model.data["owner"],
        description=model.data["description"],
        environment=environment,
        strategy=strategy,
        serving=_serving(model.name, merged, placement),
        placement=placement,
        queue=merged.get("queue") if backend.is_queued else "",
        host=naming.host(model.name, environment.namespace, gateway.domain)
        if routed and gateway
        else "",
        variants=_variants(model, environment, merged, strategy),
        document=model,
        layers=merged.layers,
        facts=backend.facts(ask) | aspects.facts(ask),
    )


def _serving(model: str, merged: Settings, placement: Placement | None) -> Serving:
    spec = merged.get("serving")
    runtime = autoscaling.runtime_of(merged)
    account = spec.get("serviceAccount")
    return Serving(
        backend=spec["backend"],
        format=spec.get("format", ""),
        runtime=spec.get("runtime", runtime.name if runtime else ""),
        protocol=spec.get("protocol", runtime.protocol if runtime else ""),
        is_chosen="runtime" in spec or "protocol" in spec,
        port=spec.get("port", 8080),
        timeout=spec["timeout"],
        probes=_probes(spec.get("probes")),
        resources=sizes.resources(merged.get("serving", "resources"), placement),
        service_account=model if account is not None else "",
        service_account_annotations=(account or {}).get("annotations", {}),
        service_account_secrets=tuple((account or {}).get("secrets", ())),
        pull_secrets=tuple((account or {}).get("imagePullSecrets", ())),
    )


def _probes(spec: dict[str, Any] | None) -> Probes | None:
    if spec is None:
        return None
    return Probes(
        liveness=spec["liveness"],
        readiness=spec["readiness"],
        startup=spec.get("startup", spec["liveness"]),
        period=_STARTUP_PERIOD,
        attempts=-(-spec.get("startupSeconds", 120) // _STARTUP_PERIOD),
    )


def _variants(
    model: Document, environment: Environment, merged: Settings, strategy: Strategy
) -> tuple[Variant, ...]:
    block = model.data["environments"][environment.name]
    return tuple(_variant(model, environment, merged, strategy, share) for share in _shares(block))


class _Share(NamedTuple):
    """What a block for an environment says of one version."""

    role: Role
    version: str
    traffic: int = 0
    header: Header | None = None
    mirrored: int = 0


def _shares(block: Json) -> Iterator[_Share]:
    canary = block.get("canary", {})
    traffic = canary.get("traffic", 0)
    yield _Share("stable", block["version"], 100 - traffic)
    if canary:
        header = Header(**canary["header"]) if "header" in canary else None
        yield _Share("canary", canary["version"], traffic, header)
    if "standby" in block:
        yield _Share("standby", block["standby"])
    if "shadow" in block:
        shadow = settings.shadow_of(block)
        yield _Share("shadow", shadow["version"], mirrored=shadow.get("percent", 100))


def _variant(
    model: Document, environment: Environment, merged: Settings, strategy: Strategy, share: _Share
) -> Variant:
    backend, versioned = backends.of(merged), f"{model.name}-{share.version}"
    name = versioned if strategy in APART or strategy == "experiment" else model.name
    deployed = versioned if strategy in ("native", "predictors") else name
    workload = backend.workload(deployed)
    own = settings.of_role(model, environment.name, merged, share.role)
    scaling = (
        native.scaling(own, merged, share.traffic)
        if strategy == "native" and share.role == "canary"
        else autoscaling.scaling(
            own, workload, environment, knative=strategy == "knative", name=name
        )
    )
    components = backend.components(Ask(model, environment, merged), share.version, name, scaling)
    transformers = (each.workload for each in components if each.kind == "transformer")
    return Variant(
        name=name,
        role=share.role,
        traffic=share.traffic,
        artifact=_artifact(model, merged, share.version, strategy),
        scaling=scaling,
        workload=workload,
        service=next(transformers, backend.service(deployed)),
        order=list(model.data["versions"]).index(share.version),
        header=share.header,
        mirrored=share.mirrored,
        port=backend.port(merged),
        components=components,
    )


def _artifact(model: Document, merged: Settings, version: str, strategy: Strategy) -> Artifact:
    spec = model.data["versions"][version]
    args = [*merged.get("serving", "args"), *spec.get("args", [])]
    variables = merged.get("serving", "env") | spec.get("env", {})
    if strategy == "route":
        args, variables = _served_as(model.name, merged, args, variables)
    env, elsewhere = _listed(tuple(variables.items())), pods.variables(merged)
    return Artifact(
        version=version,
        uri=spec.get("uri", ""),
        image=spec.get("image", ""),
        args=backends.of(merged).arguments(args),
        env=env,
        variables=[*env, *elsewhere] if elsewhere else env,
        source=spec.get("source", {}),
    )


@lru_cache(4096, typed=True)
def _listed(variables: tuple[tuple[str, Any], ...]) -> list[Json]:
    """List variables as a container does; models that say the same share one result."""
    return [{"name": name, "value": value} for name, value in variables]


def _served_as(
    model: str, merged: Settings, args: list[str], variables: dict[str, Any]
) -> tuple[list[str], dict[str, Any]]:
    """Let every version answer to the model's name.

    A runtime serves under the InferenceService's name, which has the version in it: behind one
    route, `/v1/models/<model>` would be unknown to all of them.
    """
    runtime = autoscaling.runtime_of(merged)
    if runtime is None:
        return args, variables
    if runtime.served_name_env:
        return args, {runtime.served_name_env: model} | variables
    if runtime.served_name_arg and not any(arg.startswith(runtime.served_name_arg) for arg in args):
        return [f"{runtime.served_name_arg}={model}", *args], variables
    return args, variables
