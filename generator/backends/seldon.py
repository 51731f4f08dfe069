"""Seldon Core: a Model per version and an Experiment (2.x), or a SeldonDeployment (1.x).

Which of the two an environment has decides what its objects are, so that there is no base. Sources:
SeldonIO/seldon-core@operator/apis/mlops/v1alpha1 and @scheduler/pkg/envoy/processor/incremental.go
(2.x), @operator/apis/machinelearning.seldon.io/v1 (1.x).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from generator.backends import pods
from generator.backends.contract import Ask, Backend, Derived, Kind, Made, Piece
from generator.documents import Document, Json
from generator.inventory.records import Environment
from generator.problems import Problem
from generator.records import Release, Seldon, Strategy, Variant
from generator.settings import Settings
from generator.values import quantities

FACTS = "seldon"
_MLOPS, _MACHINE_LEARNING = "mlops.seldon.io", "machinelearning.seldon.io"
_ORCHESTRATOR_PORT = 8000
"""Where the Service of a predictor listens (DEFAULT_ENGINE_CONTAINER_PORT)."""

_SCHEMES = ("gs://", "s3://", "https://", "http://")
_REGISTRY = ("models:/", "runs:/")
"""Addresses that no backend can fetch, which is said once."""


class _Format(NamedTuple):
    """What serves a format: a capability of a Server (2.x), or a server and protocol (1.x)."""

    requirement: str
    implementation: str
    protocol: str = "v2"


FORMATS = {
    "sklearn": _Format("sklearn", "SKLEARN_SERVER"),
    "xgboost": _Format("xgboost", "XGBOOST_SERVER"),
    "mlflow": _Format("mlflow", "MLFLOW_SERVER"),
    "huggingface": _Format("huggingface", "HUGGINGFACE_SERVER"),
    "tensorflow": _Format("tensorflow", "TENSORFLOW_SERVER", "tensorflow"),
    "triton": _Format("triton", "TRITON_SERVER"),
    "onnx": _Format("onnx", "TRITON_SERVER"),
    "pytorch": _Format("pytorch", "TRITON_SERVER"),
    "lightgbm": _Format("lightgbm", ""),
}
"""The capabilities of the servers that Seldon installs, and the prepackaged servers of 1.x."""

_OF_TWO = ("server", "requirements")
"""What only Seldon Core 2 knows."""

_OF_ONE = ("serviceAccount", "env", "secrets", "config", "gpu")
"""What only Pods have, which Seldon Core 2 makes of a Server and not of a Model."""


def is_one(environment: Environment) -> bool:
    """Say whether an environment has Seldon Core 1."""
    return environment.seldon.startswith("1.")


class SeldonCore(Backend):
    """Whatever the version: versions share traffic, and promoting one restarts nothing."""

    name = "seldon"
    keys = ("format", "seldon", "expose", "secrets", "config")
    needed = ("format", "add `format: sklearn`, or what made the model")
    folder = "seldon"
    has_base = False
    is_queued = False

    def strategy(self, environment: Environment, *, native: bool) -> Strategy:
        """Follow from what is installed."""
        return "predictors" if is_one(environment) else "experiment"

    def derived(self, name: str, namespace: str, *, knative: bool = False) -> list[Derived]:
        """List the Model, or the Service of a predictor: longer ones get a hash for a name."""
        return [Derived("N001", "what Seldon makes of the version", name)]

    def artifact_problems(self, model: Document, version: str, spec: Json) -> Iterator[Problem]:
        """Ask for an address that rclone fetches, which names remotes by their schemes."""
        pointer = ("versions", version)
        for key in ("image", "args"):
            if key in spec:
                message = f"Seldon's servers are of the cluster: `{key}` is for other backends"
                hint = "remove it" if "uri" in spec else "write `uri`: where the model is"
                yield model.problem("E303", message, (*pointer, key), hint=hint, key=True)
        if "uri" not in spec and not {"image", "args"} & spec.keys():
            message = f"version {version} does not say where the model is"
            yield model.problem("E302", message, pointer, hint="add `uri`", key=True)
        elif "uri" in spec and not spec["uri"].startswith((*_SCHEMES, *_REGISTRY)):
            message = "Seldon fetches models with rclone, whose remotes are called by the scheme"
            hint = f"use one of {', '.join(_SCHEMES)}"
            yield model.problem("E204", message, (*pointer, "uri"), hint=hint)

    def problems(self, ask: Ask) -> Iterator[Problem]:
        """Find what the environment lacks, and what nothing of Seldon's reads."""
        environment = ask.environment
        if not environment.seldon:
            message = f"environment {environment.name} has no `platform.seldon`"
            hint = 'add `platform.seldon: {version: "2.9"}` there, or use another backend'
            yield ask.merged.problem("E302", message, ("serving", "backend"), hint)
            return
        yield from _format(ask)
        yield from _unread(ask)
        yield from _sharing(ask, has_route=self.is_published(ask, "experiment"))
        if self.is_published(ask, "experiment"):
            yield from pods.host_problems(ask)
        yield from pods.source_problems(ask)

    def facts(self, ask: Ask) -> dict[str, Any]:
        """Resolve what is asked of servers."""
        said = ask.merged.get("serving", "seldon") or {}
        found = FORMATS[ask.merged.get("serving", "format")]
        parameters = said.get("parameters", {})
        memory = ask.merged.get("serving", "resources", "memory")
        kind = {"type": "STRING"} if is_one(ask.environment) else {}
        facts = Seldon(
            requirements=[found.requirement, *said.get("requirements", [])],
            implementation=found.implementation,
            protocol=found.protocol,
            server=said.get("server", ""),
            secret=said.get("secret", ""),
            memory="" if memory is None else quantities.canonical(memory),
            parameters=[{"name": n, "value": v, **kind} for n, v in parameters.items()],
        )
        return {FACTS: facts, **(pods.mounts(ask.merged) if is_one(ask.environment) else {})}

    def is_published(self, ask: Ask, strategy: Strategy) -> bool:
        """Publish it like the models of KServe beside it, unless the spec says no."""
        return pods.has_route(ask)

    def port(self, merged: Settings) -> int:
        """Say where the Service of a predictor listens."""
        return _ORCHESTRATOR_PORT

    def base(self, release: Release) -> tuple[str, ...]:
        """List nothing."""
        return ()

    def concerns(self, release: Release, variant: Variant) -> Iterator[str]:
        """List nothing: there is no base to patch."""
        yield from ()

    def whole(self, release: Release) -> Iterator[Piece]:
        """List the objects, and the route if there is one."""
        if is_one(release.environment):
            yield Piece("seldon-deployment.yaml", "overlay/seldon/seldon-deployment.yaml.j2")
            route = "overlay/http-route.yaml.j2"
        else:
            for variant in release.in_order:
                name = f"model-{variant.artifact.version}.yaml"
                yield Piece(name, "overlay/seldon/model.yaml.j2", {"variant": variant})
            context = {"candidates": _candidates(release)}
            yield Piece("experiment.yaml", "overlay/seldon/experiment.yaml.j2", context)
            route = "overlay/seldon/http-route.yaml.j2"
        if release.host:
            yield Piece("http-route.yaml", route)

    def made(self, release: Release) -> Iterator[Made]:
        """List the Services of predictors, after which their Deployments are called."""
        if is_one(release.environment):
            for variant in release.variants:
                yield Made("", "Service", variant.service)

    def kinds(self, environment: Environment) -> tuple[Kind, ...]:
        """List what the installed version knows."""
        if not environment.seldon:
            return ()
        if is_one(environment):
            return (Kind(_MACHINE_LEARNING, "SeldonDeployment"),)
        return (Kind(_MLOPS, "Model"), Kind(_MLOPS, "Experiment"))


def _candidates(release: Release) -> list[Json]:
    """List who shares the requests: one that is not loaded would keep all of them from loading."""
    return [
        {"name": variant.name, "weight": variant.traffic}
        for variant in release.in_order
        if variant.traffic
    ]


def _format(ask: Ask) -> Iterator[Problem]:
    found = FORMATS.get(ask.merged.get("serving", "format"))
    if found is None or (is_one(ask.environment) and not found.implementation):
        usable = (name for name, each in FORMATS.items() if found is None or each.implementation)
        said = ask.merged.get("serving", "format")
        message = f"no server of Seldon Core {ask.environment.seldon} loads {said}"
        hint = f"one of {', '.join(usable)}, or another backend"
        yield ask.merged.problem("E303", message, ("serving", "format"), hint)


def _unread(ask: Ask) -> Iterator[Problem]:
    """Refuse what a model says and nothing of Seldon's would read."""
    first = is_one(ask.environment)
    refused: list[tuple[tuple[str, ...], str]] = [
        (("serving", "args"), "Seldon's servers have their arguments already"),
        (("queue",), "Kueue sees nothing of what Seldon runs"),
        (("spread",), "where Pods stand is up to Seldon's servers"),
        (("disruption",), "the Pods are those of Seldon's servers"),
        (("scaling", "query"), "Seldon scales by no query"),
    ]
    if first:
        refused += [
            (("serving", "seldon", key), "Seldon Core 1 has no such thing") for key in _OF_TWO
        ]
    else:
        why = "the Pods are those of a Server, and a Model has none of its own"
        refused += [(("serving", key), why) for key in _OF_ONE]
        refused += [
            (("serving", "resources", key), "a Model reserves memory alone; a Server has the rest")
            for key in ("cpu", "limits")
        ]
        why = "Seldon Core 2 scales by what a Model lags behind, and by nothing else"
        refused += [(("scaling", key), why) for key in ("metric", "target")]
    for pointer, reason in refused:
        if pods.is_own(ask, *pointer):
            yield ask.merged.problem(
                "E303", f"`{'.'.join(pointer)}`: {reason}", pointer, "remove it"
            )
    yield from _of_a_deployment(ask) if first else _variables(ask)


def _of_a_deployment(ask: Ask) -> Iterator[Problem]:
    """Seldon makes an HPA, which knows cpu and memory."""
    metric = ask.merged.scaling["metric"]
    if ask.merged.scaling["min"] != ask.merged.scaling["max"]:
        if metric not in ("cpu", "memory"):
            message = f"Seldon Core 1 scales by cpu or memory, and not by {metric}"
            hint = "write `metric: cpu`, or `max` equal to `min`"
            yield ask.merged.problem("E303", message, ("scaling", "metric"), hint)
        elif ask.merged.get("serving", "resources", metric) is None:
            message = f"`metric: {metric}` is a percentage of the {metric} request: there is none"
            hint = f"add `serving.resources.{metric}`"
            yield ask.merged.problem("A006", message, ("scaling", "metric"), hint)


def _variables(ask: Ask) -> Iterator[Problem]:
    for version, spec in ask.model.data["versions"].items():
        if "env" in spec:
            message = "a Model has no variables: they are those of its Server"
            pointer = ("versions", version, "env")
            hint = "remove it, or write `serving.seldon.parameters`"
            yield ask.model.problem("E303", message, pointer, hint=hint, key=True)


def _sharing(ask: Ask, *, has_route: bool) -> Iterator[Problem]:
    """Refuse to lead requests by a header where nothing of gen's stands before them."""
    at = ("environments", ask.environment.name, "canary", "header")
    if ask.model.has(at) and not has_route:
        message = "no `header` here: without a route of gen's own nothing looks at headers"
        hint = "remove it, or publish the model behind a Gateway"
        yield ask.model.problem("C030", message, at, hint=hint, key=True)
