"""What a spec may say of Pods whose template is rendered, whatever runs them.

Sources: kubernetes/website@content/en/docs/concepts/workloads/pods/pod-lifecycle.md (the end of a
Pod), kubernetes/enhancements#3960 (`sleep`, on by default since 1.30).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from generator import naming, settings
from generator.backends.contract import Ask
from generator.documents import Document, Json
from generator.inventory.records import Environment
from generator.problems import Problem
from generator.records import Mounts, Port, RollingUpdate, Security, Shutdown
from generator.settings import Settings
from generator.values import minors

KEYS = ("secrets", "config", "shutdown", "rollingUpdate")
"""The keys of `serving` that are read here."""

_OF_PODS = ("shutdown", "rollingUpdate")
"""Those that Knative decides itself."""

_SLEEP_SINCE = (1, 30)
_REST = 30
"""Seconds that a container has once it was told to stop, as Kubernetes gives."""

_SOURCES = (("secrets", "secret", "secretName"), ("config", "configMap", "name"))
_TMP = "/tmp"


def variables(merged: Settings) -> list[Json]:
    """List the environment variables whose values are somewhere else."""
    return [
        {"name": name, "valueFrom": {kind: {"name": source, "key": key}}}
        for block, kind in (("secrets", "secretKeyRef"), ("config", "configMapKeyRef"))
        for name, reference in (merged.get("serving", block, "variables") or {}).items()
        for source, _, key in [reference.partition("/")]
    ]


def ports(merged: Settings) -> dict[str, Any]:
    """Resolve the ports beside the first one."""
    said = merged.get("serving", "ports") or {}
    found = [Port(name, number, _protocol(name)) for name, number in said.items()]
    return {"ports": found}


def _protocol(name: str) -> str:
    """Say that gRPC is HTTP/2 without TLS, as Gateways want to be told (KEP-3726)."""
    return "kubernetes.io/h2c" if name.startswith("grpc") else ""


def security(merged: Settings) -> dict[str, Any]:
    """Resolve what differs from the restricted Pod Security Standard."""
    said = merged.get("serving", "security") or {}
    pod = {key: said[key] for key in ("runAsNonRoot", "runAsUser") if key in said}
    container = {key: said[key] for key in ("readOnlyRootFilesystem",) if key in said}
    return {"container_security": Security(pod, container)} if pod or container else {}


def facts(ask: Ask) -> dict[str, Any]:
    """Resolve what is mounted, how Pods go, and how an update goes."""
    if not ask.serves_with(*KEYS, "security"):
        return {}
    found: dict[str, Any] = mounts(ask.merged)
    if settings.is_knative(ask.model, ask.environment):
        return found
    shutdown, update = (ask.merged.get("serving", key) for key in _OF_PODS)
    if shutdown:
        drain = shutdown.get("drain", 0)
        found["shutdown"] = Shutdown(drain, shutdown.get("grace", drain + _REST))
    if update:
        found["rolling_update"] = RollingUpdate(update["maxSurge"], update["maxUnavailable"])
    return found


def mounts(merged: Settings) -> dict[str, Any]:
    """Resolve the folders that are mounted."""
    volumes: list[Json] = []
    places: list[Json] = []
    for kind, path, volume in _folders(merged):
        name = f"{kind}-{len(volumes) + 1}"
        volumes.append({"name": name, **volume})
        is_open = kind == "writable"
        places.append({"name": name, "mountPath": path, **({} if is_open else {"readOnly": True})})
    return {"mounts": Mounts(volumes, places)} if volumes else {}


def _folders(merged: Settings) -> Iterator[tuple[str, str, Json]]:
    """Give kind, path and volume of every folder that is mounted."""
    for block, source, key in _SOURCES:
        for path, name in (merged.get("serving", block, "files") or {}).items():
            yield block, path, {source: {key: name}}
    for path in writable(merged):
        yield "writable", path, {"emptyDir": {}}


def writable(merged: Settings) -> list[str]:
    """List the empty folders: those that are named, or `/tmp` where nothing else may be written."""
    said = merged.get("serving", "security") or {}
    if merged.serving["backend"] != "deployment":
        return []
    return list(said.get("writable", [_TMP] if said.get("readOnlyRootFilesystem") else []))


def problems(ask: Ask) -> Iterator[Problem]:
    """Find what Pods cannot have."""
    if not ask.serves_with(*KEYS, "security"):
        return
    yield from _knatives(ask)
    yield from _shutdown(ask)
    yield from _update(ask.merged)
    yield from _root(ask.merged)
    yield from source_problems(ask)


def source_problems(ask: Ask) -> Iterator[Problem]:
    """Find folders and variables that come from two places."""
    yield from _paths(ask.merged)
    yield from _names(ask)


def has_route(ask: Ask) -> bool:
    """Say whether a spec lets itself be published, where there is a Gateway to publish it on."""
    return is_reached(ask.environment, ask.merged)


def is_reached(environment: Environment, merged: Settings) -> bool:
    """Say whether there is a Gateway, and nobody keeps the model from it."""
    has_gateway = environment.gateway is not None and environment.mode == "Standard"
    return has_gateway and merged.get("serving", "expose") is not False


def host_problems(ask: Ask) -> Iterator[Problem]:
    """Find a host that is too long."""
    label = f"{ask.model.name}-{ask.environment.namespace}"
    excess = len(label) - naming.LABEL_LIMIT
    if excess > 0:
        size = f"{len(label)} characters of at most {naming.LABEL_LIMIT}"
        message = f"the first label of its host would be {label}, {size}"
        shorter = f"shorten the model's or the namespace's name by {excess}"
        hint = f"{shorter}, or write `expose: false`"
        pointer = ("environments", ask.environment.name)
        yield ask.model.problem("N002", message, pointer, hint=hint, key=True)


def is_own(ask: Ask, *pointer: str) -> bool:
    """Say whether the model itself asks, and not the environment for all of its models."""
    return any(layer.document is ask.model and layer.has(pointer) for layer in ask.merged.layers)


def is_here(ask: Ask, *pointer: str) -> bool:
    """Say whether a model asks it of this environment, and not of all that can give it."""
    return ask.merged.layers[-1].has(pointer)


ONLY_STANDARD = (("spread",), ("disruption",), *(("serving", key) for key in _OF_PODS))
"""What Knative cannot be told; said of the model, it holds where KServe is in Standard mode."""


def unheard(model: Document, environments: Iterable[Environment]) -> Iterator[Problem]:
    """Find what a model says that none of its environments can be told."""
    known = list(environments)
    if known and all(settings.is_knative(model, environment) for environment in known):
        for pointer in ONLY_STANDARD:
            if model.has(pointer):
                name = ".".join(pointer)
                message = f"`{name}` is nothing that Knative can be told, and nothing else runs it"
                hint = "remove it, or make the model live in an environment in Standard mode"
                yield model.problem("E303", message, pointer, hint=hint, key=True)


def _knatives(ask: Ask) -> Iterator[Problem]:
    """Refuse what Knative decides (kserve/kserve@pkg/apis/serving/v1beta1)."""
    if not settings.is_knative(ask.model, ask.environment):
        return
    for key in _OF_PODS:
        if is_here(ask, "serving", key):
            message = f"`{key}` is nothing that Knative can be told: it replaces Pods itself"
            yield ask.merged.problem("E303", message, ("serving", key), "remove it")


def _name(ask: Ask) -> str:
    return ask.environment.name


def _shutdown(ask: Ask) -> Iterator[Problem]:
    said = ask.merged.get("serving", "shutdown") or {}
    drain, grace = said.get("drain"), said.get("grace")
    if drain is None or settings.is_knative(ask.model, ask.environment):
        return
    if minors.parsed(ask.environment.kubernetes) < _SLEEP_SINCE:
        message = (
            f"`drain` needs Kubernetes 1.30, and {_name(ask)} runs {ask.environment.kubernetes}"
        )
        hint = "remove it, and let the image answer for a while after SIGTERM"
        yield ask.merged.problem("E302", message, ("serving", "shutdown", "drain"), hint)
    if grace is not None and grace <= drain:
        message = (
            f"{grace} s of grace end before the {drain} s of draining: the container is killed"
        )
        hint = f"write `grace: {drain + _REST}`, or remove it"
        pointer = ("serving", "shutdown", "grace")
        yield ask.merged.problem("E303", f"{message} without a word", pointer, hint)


def _update(merged: Settings) -> Iterator[Problem]:
    """Refuse an update that could never begin, as the API server does."""
    said = merged.get("serving", "rollingUpdate") or {}
    if said and said.get("maxSurge") == said.get("maxUnavailable") == 0:
        message = "with none too many and none too few no replica could ever be replaced"
        pointer = ("serving", "rollingUpdate", "maxUnavailable")
        yield merged.problem("E303", message, pointer, "write 1 for one of the two")


def _root(merged: Settings) -> Iterator[Problem]:
    said = merged.get("serving", "security") or {}
    if said.get("runAsUser") == 0 and said.get("runAsNonRoot", True):
        message = "user 0 is root, and the container may not run as root"
        pointer = ("serving", "security", "runAsUser")
        hint = "name another user, or write `runAsNonRoot: false` beside it"
        yield merged.problem("E303", message, pointer, hint)


def _paths(merged: Settings) -> Iterator[Problem]:
    seen: set[str] = set()
    for block, path, _ in _folders(merged):
        if path in seen:
            message = f"{path} is mounted twice"
            own = ("security", "writable") if block == "writable" else (block, "files", path)
            hint = "name another folder"
            yield merged.problem("E303", message, ("serving", *own), hint)
        seen.add(path)


def _names(ask: Ask) -> Iterator[Problem]:
    """Refuse a variable that has two values: which one counts, nobody would know."""
    merged = ask.merged
    plain = set(merged.get("serving", "env") or {})
    plain.update(*(spec.get("env", {}) for spec in ask.model.data["versions"].values()))
    sources = {
        block: set(merged.get("serving", block, "variables") or {}) for block, *_ in _SOURCES
    }
    counts = Counter(name for names in (plain, *sources.values()) for name in names)
    for block in reversed(sources):
        for name in merged.get("serving", block, "variables") or {}:
            if counts[name] > 1:
                counts[name] = 0
                message = f"{name} has two values"
                pointer = ("serving", block, "variables", name)
                yield merged.problem("E303", message, pointer, "keep the one that counts")
