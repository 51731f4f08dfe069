"""Rules of what an InferenceService has beside a model, by own templates too: loggers, workers."""

from __future__ import annotations

from collections.abc import Iterator

from generator.documents import Json
from generator.records import Release
from generator.rules import Book, Finding, Scene, Spot
from generator.rules.fields import annotation, block, entries, number, text
from generator.rules.kserve.accessors import AUTOSCALER, components, is_standard, models
from generator.rules.places import at_setting
from generator.serving import runtimes
from generator.yamlio import Pointer

BOOK = Book("serving")

_VALIDATED = "kserve/kserve@pkg/apis/serving/v1beta1/inference_service_validation.go"
_COMPONENT = "kserve/kserve@pkg/apis/serving/v1beta1/component.go"

_LOGGER = BOOK.error(
    "S034",
    "KServe's webhook refuses a logger without a mode.",
    evidence=_COMPONENT,
    remedy="Write `mode: all`, `request` or `response`.",
)


@_LOGGER.on_objects("InferenceService")
def _logger_without_a_mode(item: Json, scene: Scene) -> Iterator[Spot]:
    for name, component in components(item):
        if "logger" in component and not text(component, "logger", "mode"):
            message = f"the logger of the {name} has no `mode`, and KServe assumes none"
            yield Spot(message, ("spec", name, "logger"), "add `mode: all`")


_LOG_STORAGE = BOOK.error(
    "S035",
    "A logger that writes to a storage needs `path`, `parameters` and `key`.",
    evidence=_COMPONENT,
    remedy="Add what is missing; `key` is an entry of the Secret `storage-config`.",
)


@_LOG_STORAGE.on_objects("InferenceService")
def _logger_without_a_place(item: Json, scene: Scene) -> Iterator[Spot]:
    for name, component in components(item):
        storage = block(component, "logger", "storage")
        missing = [key for key in ("path", "parameters", "key") if not storage.get(key)]
        if storage and missing:
            message = f"KServe refuses the logger's storage without `{missing[0]}`"
            yield Spot(message, ("spec", name, "logger", "storage"), f"add `{missing[0]}`")


_BATCHER = BOOK.error(
    "S036",
    "KServe's batcher collects requests of protocol v1 and lets all others pass.",
    evidence="kserve/kserve@pkg/batcher/handler.go",
    remedy="Serve over v1, batch in the runtime itself, or remove the batcher.",
)


@_BATCHER.on_release_with("batcher")
def _batcher_of_another_protocol(release: Release) -> Iterator[Finding]:
    protocol = release.serving.protocol
    shipped = runtimes.SHIPPED.get(release.serving.runtime)
    is_openai = shipped is not None and not shipped.protocols
    if "batcher" in release.facts and (is_openai or protocol not in ("", "v1")):
        whose = f"requests over {protocol}" if protocol else "those of a language model"
        message, hint = f"{_ALONE}, and {whose} have none", "remove it, or serve over v1"
        yield at_setting(release, ("serving", "batcher"), message, hint)


_ALONE = "the batcher looks for `:predict` alone"


@_BATCHER.on_objects("InferenceService")
def _batcher_that_batches_nothing(item: Json, scene: Scene) -> Iterator[Spot]:
    predictor = block(item, "spec", "predictor")
    protocol = text(predictor, "model", "protocolVersion")
    if "batcher" in predictor and protocol not in ("", "v1"):
        message = f"{_ALONE}, and requests over {protocol} have none"
        yield Spot(message, ("spec", "predictor", "batcher"), "remove it, or serve over v1")


_STRATEGY = BOOK.error(
    "S037",
    "KServe's webhook refuses `deploymentStrategy` in Knative mode.",
    evidence=_VALIDATED,
    remedy="Remove it: Knative replaces revisions by itself.",
)


@_STRATEGY.on_objects("InferenceService")
def _strategy_of_a_deployment(item: Json, scene: Scene) -> Iterator[Spot]:
    for name, component in components(item) if not is_standard(item, scene) else ():
        if "deploymentStrategy" in component:
            message = "KServe takes `deploymentStrategy` in Standard mode only, and this is Knative"
            yield Spot(message, ("spec", name, "deploymentStrategy"), "remove it")


_QUOTED = BOOK.error(
    "S038",
    "A number of Pods in quotes is no number: Kubernetes takes 1 or a percentage.",
    evidence="kubernetes/kubernetes@pkg/apis/apps/validation/validation.go",
    remedy='Write `1` without quotes, or a percentage such as "25%".',
)
_ROLLING: dict[str, tuple[Pointer, ...]] = {
    "InferenceService": (
        ("spec", "predictor", "deploymentStrategy"),
        ("spec", "transformer", "deploymentStrategy"),
    ),
    "Deployment": (("spec", "strategy"),),
}


@_QUOTED.on_objects("InferenceService", "Deployment")
def _number_in_quotes(item: Json, scene: Scene) -> Iterator[Spot]:
    for place in _ROLLING[item["kind"]]:
        for key in ("maxSurge", "maxUnavailable"):
            found = text(item, *place, "rollingUpdate", key)
            if found and not found.endswith("%"):
                message = f'`{key}: "{found}"` is neither a number nor a percentage'
                yield Spot(message, (*place, "rollingUpdate", key), f"write `{key}: {found}`")


_WORKERS = BOOK.error(
    "S039",
    "KServe's webhook wants workers with a claim or an image, and without an autoscaler.",
    evidence=_VALIDATED,
    remedy="Use pvc:// or oci://, `autoscalerClass: none`, one replica, and Standard mode.",
)


@_WORKERS.on_objects("InferenceService")
def _workers_that_are_refused(item: Json, scene: Scene) -> Iterator[Spot]:
    predictor = block(item, "spec", "predictor")
    if "workerSpec" not in predictor or "model" not in predictor:
        return
    place: Pointer = ("spec", "predictor", "workerSpec")
    uri, owner = text(predictor, "model", "storageUri"), annotation(item, AUTOSCALER)
    if not is_standard(item, scene):
        yield Spot("Knative mode leaves the workers out", place, "serve it in Standard mode")
    elif not uri.startswith(("pvc://", "oci://")):
        message = f"several nodes share a model from pvc:// or oci://, not {uri or 'an argument'}"
        yield Spot(message, place, "write such an address")
    elif owner != "none":
        message = f"workers are not scaled, and `autoscalerClass` is {owner or 'not given'}"
        yield Spot(message, place, "write `scaling` with `min` equal to `max`")
    elif number(predictor, "minReplicas", default=1) > 1:
        message = f"workers have one head, and this asks for {predictor['minReplicas']}"
        yield Spot(message, ("spec", "predictor", "minReplicas"), "write `min: 1` and `max: 1`")


_PARALLEL = BOOK.error(
    "S040",
    "KServe's webhook refuses the sizes of workers as variables.",
    evidence=_VALIDATED,
    remedy="Write `workerSpec.pipelineParallelSize` and `workerSpec.tensorParallelSize`.",
)
_SIZES = {"PIPELINE_PARALLEL_SIZE": "pipelineParallelSize"} | {
    "TENSOR_PARALLEL_SIZE": "tensorParallelSize"
}


@_PARALLEL.on_objects("InferenceService")
def _sizes_as_variables(item: Json, scene: Scene) -> Iterator[Spot]:
    predictor = block(item, "spec", "predictor")
    for index, entry in entries(predictor, "model", "env") if "workerSpec" in predictor else ():
        if text(entry, "name") in _SIZES:
            message = f"KServe sets {entry['name']} itself from `workerSpec`"
            place = ("spec", "predictor", "model", "env", index, "name")
            yield Spot(message, place, f"write `workerSpec.{_SIZES[entry['name']]}`")


_RELEASED = BOOK.warning(
    "S041",
    "A `runtimeVersion` that moves changes the server under every version of the model.",
    evidence="kserve/kserve@pkg/controller/v1beta1/inferenceservice/utils/utils.go",
    remedy="Write a released version, such as v0.20.0.",
)


@_RELEASED.on_objects("InferenceService")
def _runtime_that_moves(item: Json, scene: Scene) -> Iterator[Spot]:
    for place, model in models(item):
        version = text(model, "runtimeVersion")
        if version.removesuffix("-gpu") in ("latest", "master", "main", "nightly"):
            message = f"`{version}` is another server tomorrow, and every new Pod may get it"
            yield Spot(message, (*place, "runtimeVersion"), "write a released version")


_NO_GPU = BOOK.warning(
    "S042",
    "With a `runtimeVersion`, KServe does not choose the runtime's image for GPUs by itself.",
    evidence="kserve/kserve@pkg/controller/v1beta1/inferenceservice/utils/utils.go",
    remedy="Let the version end in `-gpu`, or remove it.",
)
_WITH_GPU_IMAGES = ("kserve-huggingfaceserver", "kserve-tensorflow-serving", "kserve-torchserve")


@_NO_GPU.on_objects("InferenceService")
def _runtime_without_gpu(item: Json, scene: Scene) -> Iterator[Spot]:
    for place, model in models(item):
        version = text(model, "runtimeVersion")
        has_gpu = "nvidia.com/gpu" in block(model, "resources", "limits")
        if not version or not has_gpu or text(model, "runtime") not in _WITH_GPU_IMAGES:
            continue
        if not version.endswith("-gpu"):
            message = f"`{version}` is the image for CPUs, and KServe adds no `-gpu` to it"
            yield Spot(message, (*place, "runtimeVersion"), f"write `{version}-gpu`")
