"""KServe's LLMInferenceService: a language model on vLLM, with llm-d's scheduler before it.

Every version is an object of its own in one group, of which KServe makes the route. A version
that is not ready gets no requests, whatever its weight, and one that is deleted waits until no
route names it (kserve/kserve@pkg/controller/v1alpha2/llmisvc/router_group.go, at 0.20).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from generator.backends import pods
from generator.backends.contract import Ask, Backend, Derived, Kind, Made
from generator.documents import Document, Json
from generator.inventory.records import Environment
from generator.problems import Problem
from generator.records import Placement, Release, Strategy, Variant
from generator.schema import suggestion
from generator.serving import language_models as llm
from generator.serving import sizes
from generator.serving.language_models import LanguageModel, Parallelism, Part
from generator.settings import Settings, merge
from generator.values import minors

_SINCE = (0, 20)
_SCHEMES = ("hf://", "s3://", "pvc://", "oci://")
_SPREAD = ("serving", "llm", "parallelism")
_PREFILL = ("serving", "llm", "prefill")
_LORA = ("serving", "llm", "lora", "adapters")


class KServeLLM(Backend):
    """One LLMInferenceService per version, all of them in one group."""

    name = "kserve-llm"
    keys = ("llm", "secrets", "config")
    folder = "llm-inference-service"

    def strategy(self, environment: Environment, *, native: bool) -> Strategy:
        """Have a group, with or without a canary: promoting one restarts nothing."""
        return "group"

    def workload(self, name: str) -> str:
        """Name the Deployment that answers; a LeaderWorkerSet's name goes on."""
        return f"{name}-kserve"

    def service(self, name: str) -> str:
        """Name the Service of the Pods, which a route without the scheduler leads to."""
        return f"{name}-kserve-workload-svc"

    def port(self, merged: Settings) -> int:
        """Say where vLLM listens."""
        return 8000

    def derived(self, name: str, namespace: str, *, knative: bool = False) -> list[Derived]:
        """List the Service: beyond its limit, KServe cuts all names and puts a hash in."""
        return [Derived("N001", "the Service of its Pods", self.service(name))]

    def arguments(self, args: list[str]) -> list[str]:
        """Quote what a shell would read otherwise: the presets of KServe start vLLM by `eval`.

        Source: kserve/kserve@config/llmisvcconfig/config-llm-template.yaml, kserve/kserve#5249.
        """
        return [shlex.quote(arg) for arg in args]

    def artifact_problems(self, model: Document, version: str, spec: Json) -> Iterator[Problem]:
        """Ask for an address that KServe fetches language models from."""
        pointer = ("versions", version)
        if "image" in spec:
            message = "KServe brings vLLM's image: `image` is for `backend: deployment`"
            hint = "remove it" if "uri" in spec else "write `uri: hf://<organisation>/<model>`"
            yield model.problem("E303", message, (*pointer, "image"), hint=hint, key=True)
        elif "uri" not in spec:
            message = f"version {version} does not say where the model is"
            hint = "add `uri: hf://<organisation>/<model>`, or an address of s3, pvc or oci"
            yield model.problem("E302", message, pointer, hint=hint, key=True)
        elif not spec["uri"].startswith(_SCHEMES):
            scheme, _, path = spec["uri"].partition(":")
            meant = f"{scheme}://{path.lstrip('/')}"
            message = f"an LLMInferenceService fetches nothing from {scheme}:{path[:2]}"
            known = meant.startswith(_SCHEMES)
            hint = f"write `{meant}`" if known else f"use one of {', '.join(_SCHEMES)}"
            yield model.problem("E204", message, (*pointer, "uri"), hint=hint)

    def problems(self, ask: Ask) -> Iterator[Problem]:
        """Find what the environment lacks, and what contradicts itself."""
        yield from pods.problems(ask)
        hindered = list(_hindrances(ask))
        yield from hindered
        yield from _spread(ask, _SPREAD, ask.merged.get("serving", "gpu"))
        yield from _prefill(ask)
        yield from _adapters(ask)
        yield from () if hindered else _scaled(ask)
        if pods.is_own(ask, "serving", "timeout"):
            message = (
                "KServe makes the route of a language model, and lets requests take their time"
            )
            yield ask.merged.problem("E303", message, ("serving", "timeout"), "remove it")

    def facts(self, ask: Ask) -> dict[str, Any]:
        """Resolve how replicas are spread, what is mounted, and what else templates place."""
        mounts = {key: fact for key, fact in pods.facts(ask).items() if key == "mounts"}
        return {llm.FACTS: _model(ask), **mounts}

    def base(self, release: Release) -> tuple[str, ...]:
        """List the LLMInferenceService alone."""
        return ("llm-inference-service.yaml",)

    def concerns(self, release: Release, variant: Variant) -> Iterator[str]:
        """List the patches of an LLMInferenceService."""
        facts: LanguageModel = release.facts[llm.FACTS]
        yield from ("version", "router", "template")
        if variant.scaling.autoscaler == "none":
            yield "replicas"
        if facts.decode.parallelism.spec:
            yield "parallelism"
        if facts.decode.parallelism.is_distributed:
            yield "worker"
        if facts.prefill:
            yield "prefill"
        if facts.base_refs:
            yield "base-refs"
        if facts.lora:
            yield "lora"
        if release.queue:
            yield "queue"
        if "spread" in release.facts and not facts.decode.parallelism.is_distributed:
            yield "spread"
        yield from (key for key in ("priority", "topology") if key in release.facts)

    def selector(self, release: Release, variant: Variant) -> Mapping[str, str]:
        """Give the labels that KServe puts on all Pods that serve a version."""
        return {
            "app.kubernetes.io/name": variant.name,
            "app.kubernetes.io/part-of": "llminferenceservice",
            "kserve.io/component": "workload",
        }

    def made(self, release: Release) -> Iterator[Made]:
        """List what KServe makes of every version."""
        facts: LanguageModel = release.facts[llm.FACTS]
        for variant in release.variants:
            name = variant.workload
            yield _workload(name, "mn" if facts.decode.parallelism.is_distributed else "")
            if facts.prefill:
                spread = facts.prefill.parallelism.is_distributed
                yield _workload(name, "mn-prefill" if spread else "prefill")
            if facts.scheduler:
                yield Made("apps", "Deployment", f"{name}-router-scheduler")
                yield Made("inference.networking.k8s.io", "InferencePool", _pool(variant.name))
            yield Made("", "Service", variant.service)
            yield Made("gateway.networking.k8s.io", "HTTPRoute", f"{name}-route")

    def kinds(self, environment: Environment) -> tuple[Kind, ...]:
        """List the LLMInferenceService where something runs it."""
        is_there = not any(True for _ in _missing(environment))
        return (Kind("serving.kserve.io", "LLMInferenceService"),) if is_there else ()


def _workload(name: str, suffix: str) -> Made:
    """Name a Deployment, or the LeaderWorkerSet of Pods that go together (`mn`)."""
    whole = f"{name}-{suffix}" if suffix else name
    if suffix.startswith("mn"):
        return Made("leaderworkerset.x-k8s.io", "LeaderWorkerSet", whole)
    return Made("apps", "Deployment", whole)


def _pool(name: str) -> str:
    return f"{name}-inference-pool"


# What the environment lacks


def _missing(environment: Environment) -> Iterator[tuple[str, str, str]]:
    """Give code, reason and remedy of what an LLMInferenceService needs and is not there."""
    name = environment.name
    if minors.parsed(environment.kserve) < _SINCE:
        reason = f"KServe {environment.kserve} knows no groups of them, and 0.20 does"
        yield "L001", reason, "use an environment with KServe 0.20 or newer"
    elif not platform(environment, "kserve").get("llm"):
        reason = f"environment {name} has no controller that runs it"
        yield "L001", reason, "install it, and write `llm: true` in `platform.kserve`"
    if environment.gateway is None:
        reason = f"environment {name} has no `platform.kserve.gateway` to route a group through"
        yield "L002", reason, "add `gateway` and `domain` to the environment's `platform.kserve`"


def platform(environment: Environment, system: str) -> Json:
    """Read what an environment says of a system; empty if that is not there."""
    said: Json = environment.document.data["platform"].get(system, {})
    return said


def _hindrances(ask: Ask) -> Iterator[Problem]:
    for code, reason, hint in _missing(ask.environment):
        message = f"no LLMInferenceService here: {reason}"
        pointer = ("environments", ask.environment.name)
        yield ask.model.problem(code, message, pointer, hint=hint, key=True)


# What contradicts itself


def _spread(ask: Ask, pointer: tuple[str, ...], gpu: Json | None) -> Iterator[Problem]:
    """Find a spread that KServe refuses or ignores, or that no LeaderWorkerSet is there for."""
    merged, said = ask.merged, ask.merged.get(*pointer)
    if said is None:
        return
    spread = llm.parallelism(said, gpu.get("count", 1) if gpu else 0)
    data, local, pipeline = spread.data, spread.data_local, said.get("pipeline", 0)
    if "dataLocal" in said and not data:
        message = f"{local} copies in a Pod, and nobody says how many there are in all"
        hint = f"add `data: {2 * local}`, or remove it"
        yield merged.problem("E302", message, (*pointer, "dataLocal"), hint)
    elif data and pipeline:
        message = "KServe spreads a replica by `pipeline` or by `data`, and not by both"
        yield merged.problem("E303", message, (*pointer, "pipeline"), "keep one of them")
    elif data and data % local:
        message = f"{data} copies are not a whole number of Pods with {local} each"
        hint = f"write `data: {-(-data // local) * local}`"
        yield merged.problem("E303", message, (*pointer, "data"), hint)
    elif said.get("expert") and not data:
        message = "`expert` is read together with `data` alone, and KServe would ignore it"
        hint = "add `data` and `dataLocal`, or remove it"
        yield merged.problem("E303", message, (*pointer, "expert"), hint)
    elif (data or pipeline > 1) and not platform(ask.environment, "lws"):
        message = (
            f"several Pods of a replica are a LeaderWorkerSet, and environment "
            f"{ask.environment.name} has no `platform.lws`"
        )
        key = "data" if data else "pipeline"
        hint = "install it and pin its version there, or spread over one Pod's GPUs: `tensor`"
        yield merged.problem("E302", message, (*pointer, key), hint)
    if not (gpu and gpu.get("count", 1)) and spread.gpus > 1:
        message = f"a Pod is spread over {spread.gpus} GPUs, and asks for none"
        hint = f"add `serving.gpu: {{flavor: <flavor>, count: {spread.gpus}}}`"
        yield merged.problem("E302", message, pointer, hint)


def _prefill(ask: Ask) -> Iterator[Problem]:
    merged, said = ask.merged, ask.merged.get(*_PREFILL)
    if said is None:
        return
    yield from _prefill_gpu(ask, said)
    yield from _claims(ask)
    yield from _spread(ask, (*_PREFILL, "parallelism"), _of_prefill(merged))
    if merged.get("serving", "llm", "scheduler") is False:
        message = "without the scheduler nobody leads a prompt to the Pods that read prompts"
        hint = "remove it, or remove `prefill`"
        yield merged.problem("E303", message, ("serving", "llm", "scheduler"), hint)


def _prefill_gpu(ask: Ask, said: Json) -> Iterator[Problem]:
    name = said.get("gpu", {}).get("flavor")
    usable = [flavor.name for flavor in ask.environment.flavors.values() if flavor.resource]
    if name is not None and name not in usable:
        message = f"environment {ask.environment.name} has no accelerators of flavor `{name}`"
        hint = suggestion(name, usable) if usable else "it has no accelerators at all"
        yield ask.merged.problem("E301", message, (*_PREFILL, "gpu", "flavor"), hint)
    elif said.get("gpu", {"count": 0}).get("count", 1) and not _has_flavor(ask.merged):
        message = "`gpu` does not say which accelerators"
        yield ask.merged.problem("E302", message, (*_PREFILL, "gpu"), "add `flavor`")


def _claims(ask: Ask) -> Iterator[Problem]:
    """Refuse devices that are claimed, as a rule does for the Pods that write answers."""
    name = (_of_prefill(ask.merged) or {}).get("flavor")
    flavor = ask.environment.flavors.get(name) if name else None
    if flavor and flavor.device_class and ask.merged.get(*_PREFILL, "gpu", "flavor") == name:
        message = f"an LLMInferenceService does not hand the claim of flavor `{name}` on"
        hint = "name a flavor without `dra`"
        yield ask.merged.problem("E303", message, (*_PREFILL, "gpu", "flavor"), hint)


def _has_flavor(merged: Settings) -> bool:
    return "flavor" in (_of_prefill(merged) or {})


def _of_prefill(merged: Settings) -> Json | None:
    """Give the GPUs of a Pod that reads prompts: its own words over those of all."""
    own, shared = merged.get(*_PREFILL, "gpu"), merged.get("serving", "gpu")
    return {**(shared or {}), **(own or {})} or None


def _adapters(ask: Ask) -> Iterator[Problem]:
    if ask.merged.get(*_LORA[:-1]) and not ask.merged.get(*_LORA):
        message = "`lora` names no adapter"
        hint = "add `adapters: {<name>: hf://<organisation>/<adapter>}`"
        yield ask.merged.problem("E302", message, _LORA[:-1], hint)
    for name in ask.merged.get(*_LORA) or {}:
        if name == ask.model.name:
            message = f"`{name}` is the model itself: KServe refuses an adapter of that name"
            yield ask.merged.problem("E303", message, (*_LORA, name), "call it otherwise")


def _scaled(ask: Ask) -> Iterator[Problem]:
    """Refuse to scale a group of Pods, which a LeaderWorkerSet is, and to scale by cores."""
    gpu = ask.merged.get("serving", "gpu") or {"count": 0}
    spread = llm.parallelism(ask.merged.get(*_SPREAD), gpu.get("count", 1))
    least, most = (ask.merged.get("scaling", key) for key in ("min", "max"))
    metric = ask.merged.scaling["metric"]
    if least < most and metric in ("cpu", "memory"):
        message = (
            f"KServe scales no LLMInferenceService by {metric}, which says nothing of its GPUs"
        )
        hint = "use `metric: concurrency` with a `target`, or `min` equal to `max`"
        yield ask.merged.problem("L005", message, ("scaling", "metric"), hint)
    elif spread.is_distributed and least < most:
        message = (
            f"from {least} to {most} replicas: gen scales Deployments, and a replica is a "
            "LeaderWorkerSet here"
        )
        hint = f"write `max: {least}` too, for a fixed number"
        yield ask.merged.problem("L004", message, ("scaling", "max"), hint)


# What templates place


def _model(ask: Ask) -> LanguageModel:
    merged = ask.merged
    placement = sizes.placement(ask.environment.flavors, merged.get("serving", "gpu"))
    resources = sizes.resources(merged.get("serving", "resources"), placement)
    said = merged.get("serving", "llm") or {}
    return LanguageModel(
        decode=Part(_parallelism(said, placement), placement, resources),
        prefill=_prefilling(ask, said.get("prefill")),
        scheduler=said.get("scheduler", True),
        base_refs=[{"name": name} for name in said.get("baseRefs", ())],
        lora=_lora(said.get("lora")),
        uri=next(iter(ask.model.data["versions"].values()))["uri"],
    )


def _prefilling(ask: Ask, said: Json | None) -> Part | None:
    if said is None:
        return None
    placement = sizes.placement(ask.environment.flavors, _of_prefill(ask.merged))
    resources = merge(ask.merged.get("serving", "resources") or {}, said.get("resources", {}))
    spread = _parallelism(said, placement)
    replicas = said.get("replicas", 1)
    return Part(spread, placement, sizes.resources(resources, placement), replicas)


def _parallelism(said: Json, placement: Placement | None) -> Parallelism:
    return llm.parallelism(said.get("parallelism"), placement.count if placement else 0)


def _lora(said: Json | None) -> Json:
    if said is None:
        return {}
    adapters = [{"name": name, "uri": uri} for name, uri in said["adapters"].items()]
    return {"adapters": adapters, **({"maxRank": said["maxRank"]} if "maxRank" in said else {})}
