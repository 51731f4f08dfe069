"""Rules of what runs: containers, memory, ports and time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from generator.documents import Json
from generator.inventory.records import Environment
from generator.records import Release
from generator.rules import Book, Finding, Scene, Spot
from generator.rules.fields import at, block, entries, number, text
from generator.rules.kserve.accessors import components, flags, is_standard, models
from generator.rules.places import at_argument, at_setting, in_environment
from generator.serving import runtimes
from generator.values import quantities

BOOK = Book("serving")

_VALIDATED = "kserve/kserve@pkg/apis/serving/v1beta1/inference_service_validation.go"
_KNATIVE = "knative/serving@pkg/apis/serving/k8s_validation.go"
_MERGED = "kserve/kserve@pkg/controller/v1beta1/inferenceservice/utils/utils.go"
_SECRETS = "kubernetes/website@content/en/docs/concepts/configuration/secret.md"

_MEMORY = BOOK.warning(
    "S025",
    "The runtimes of language models have 2Gi of memory unless told otherwise.",
    evidence="kserve/kserve@config/runtimes/kserve-huggingfaceserver.yaml",
    remedy="Add `serving.resources.memory`: weights pass through memory on their way to a GPU.",
)
_HUNGRY = ("huggingface", "vLLM")
_WHY_HUNGRY = "without `memory` the runtime's own 2Gi stay the limit, and weights need more"
_FEED = "add `memory`, at least what the weights take, for example `memory: 16Gi`"


@_MEMORY.on_release_with("kserve")
def _memory_of_the_runtime(release: Release) -> Iterator[Finding]:
    serving = release.serving
    if serving.format not in _HUNGRY or serving.runtime not in runtimes.SHIPPED:
        return
    if "memory" not in serving.resources["limits"]:
        pointer = ("serving", "resources")
        if not any(layer.has(pointer) for layer in release.layers):
            pointer = ("serving", "format")
        yield at_setting(release, pointer, _WHY_HUNGRY, _FEED)


@_MEMORY.on_objects("InferenceService")
def _memory_of_the_runtime_in_object(item: Json, scene: Scene) -> Iterator[Spot]:
    for place, model in models(item):
        is_hungry = text(model, "modelFormat", "name") in _HUNGRY
        is_known = text(model, "runtime") in runtimes.SHIPPED
        if is_hungry and is_known and "memory" not in block(model, "resources", "limits"):
            yield Spot(_WHY_HUNGRY, (*place, "resources"), _FEED)


_AMOUNTS = BOOK.error(
    "S026",
    "An amount is merged with the runtime's own: a request above the limit starts no Pod.",
    evidence=f"{_MERGED}, kserve/kserve@config/runtimes",
    remedy="Write request and limit of it; shipped runtimes have 1 CPU and 2Gi of both.",
)


def _below_the_request(resources: Json) -> Iterator[tuple[str, str, str]]:
    """Give what the runtime's own request is above, or its own limit below."""
    requests, limits = block(resources, "requests"), block(resources, "limits")
    for key, own in runtimes.REQUEST.items():
        if key in limits and key not in requests and _is_less(limits[key], own):
            yield "limits", key, f"the {key} limit {limits[key]} is below the runtime's {own}"
        if key in requests and key not in limits and _is_less(own, requests[key]):
            yield "requests", key, f"the runtime limits {key} to {own}, and it asks {requests[key]}"


def _is_less(one: Any, other: Any) -> bool:
    """Compare two amounts; what is none is not less."""
    try:
        return quantities.is_less(one, other)
    except (ValueError, TypeError):
        return False


@_AMOUNTS.on_release_with("kserve")
def _limit_without_a_request(release: Release) -> Iterator[Finding]:
    serving = release.serving
    if serving.backend != "kserve" or serving.runtime not in runtimes.SHIPPED:
        return
    for _, key, reason in _below_the_request(serving.resources):
        message = f"{reason} request, and a request above its limit starts no Pod"
        limit = serving.resources["limits"][key]
        pointer = ("serving", "resources", "limits", key)
        yield at_setting(release, pointer, message, f"add `{key}: {limit}` beside `limits`")


@_AMOUNTS.on_objects("InferenceService")
def _amounts_that_do_not_fit(item: Json, scene: Scene) -> Iterator[Spot]:
    for place, model in models(item):
        if text(model, "runtime") in runtimes.SHIPPED:
            for side, key, reason in _below_the_request(block(model, "resources")):
                message = f"{reason}, and a request above its limit starts no Pod"
                hint = f"write `{key}` under `requests` and under `limits`"
                yield Spot(message, (*place, "resources", side, key), hint)


_POD = BOOK.warning(
    "S027",
    "`predictor.resources` is of the whole Pod: the model's container keeps the runtime's own.",
    evidence="kubernetes/enhancements#2837, "
    "kserve/kserve@pkg/controller/v1beta1/inferenceservice/utils/utils.go",
    remedy="Write them under `predictor.model.resources`.",
)


@_POD.on_objects("InferenceService")
def _resources_of_the_pod(item: Json, scene: Scene) -> Iterator[Spot]:
    predictor = block(item, "spec", "predictor")
    if "model" in predictor and _is_of_a_pod(block(predictor, "resources")):
        message = "these are amounts of the Pod, and the model keeps the runtime's 1 CPU and 2Gi"
        yield Spot(message, ("spec", "predictor", "resources"), "move them below `model`")


def _is_of_a_pod(resources: Json) -> bool:
    keys = {key for side in ("requests", "limits") for key in block(resources, side)}
    return bool(keys) and keys <= {"cpu", "memory"}


_OWN = BOOK.error(
    "S028",
    "KServe calls the model's container `kserve-container`; a second one of that name is refused.",
    evidence="kserve/kserve@pkg/controller/v1beta1/inferenceservice/components/predictor.go",
    remedy="Write what it needs under `model`, and give further containers other names.",
)


@_OWN.on_objects("InferenceService")
def _container_of_the_model(item: Json, scene: Scene) -> Iterator[Spot]:
    predictor = block(item, "spec", "predictor")
    for index, container in entries(predictor, "containers") if "model" in predictor else ():
        if container.get("name") == "kserve-container":
            message = "`model` becomes the container `kserve-container`, and there would be two"
            place = ("spec", "predictor", "containers", index, "name")
            yield Spot(message, place, "move its settings below `model`, or call it otherwise")


_COLLOCATED = BOOK.error(
    "S029",
    "KServe's webhook refuses a storage address in a transformer inside of the predictor's Pod.",
    evidence=_VALIDATED,
    remedy="Remove STORAGE_URI: the model's container fetches the model.",
)


@_COLLOCATED.on_objects("InferenceService")
def _storage_of_the_transformer(item: Json, scene: Scene) -> Iterator[Spot]:
    for index, container in entries(item, "spec", "predictor", "containers"):
        names = [entry.get("name") for _, entry in entries(container, "env")]
        if container.get("name") == "transformer-container" and "STORAGE_URI" in names:
            place = ("spec", "predictor", "containers", index, "env", names.index("STORAGE_URI"))
            yield Spot("KServe refuses STORAGE_URI in `transformer-container`", place, "remove it")


_LISTENS = BOOK.error(
    "S030",
    "KServe's Service and probes look for a shipped runtime on port 8080.",
    evidence="kserve/kserve@pkg/controller/v1beta1/inferenceservice/reconcilers/service, "
    "kserve/kserve@pkg/constants/constants.go",
    remedy="Remove the argument, or name the port in `model.ports` of an own template too.",
)
_PORTS = {"http_port", "rest_api_port"}


def _is_elsewhere(runtime: str, name: str, port: str) -> bool:
    known = name in _PORTS or (name == "port" and runtime == "kserve-vllmserver")
    return known and port != runtimes.PORT


@_LISTENS.on_release_with("kserve")
def _port_that_nobody_looks_at(release: Release) -> Iterator[Finding]:
    runtime = release.serving.runtime
    if runtime not in runtimes.SHIPPED:
        return
    for variant in release.variants:
        for flag in flags(variant.artifact.args):
            if _is_elsewhere(runtime, flag.name, flag.value):
                message = f"KServe looks for the model on port 8080, and it listens on {flag.value}"
                yield at_argument(release, variant, flag.place, message, "remove the argument")


@_LISTENS.on_objects("InferenceService")
def _port_that_nobody_looks_at_in_object(item: Json, scene: Scene) -> Iterator[Spot]:
    for place, model in models(item):
        args, runtime = at(model, "args"), text(model, "runtime")
        if runtime not in runtimes.SHIPPED or entries(model, "ports"):
            continue
        for flag in flags(args if isinstance(args, list) else []):
            if _is_elsewhere(runtime, flag.name, flag.value):
                message = f"KServe looks for the model on port 8080, and it listens on {flag.value}"
                hint = "remove the argument, or add `ports`"
                yield Spot(message, (*place, "args", flag.place), hint)


_PATIENCE = BOOK.warning(
    "S031",
    "Knative refuses a timeout above its own ceiling, which is 600 s unless somebody raised it.",
    evidence="knative/serving@config/core/configmaps/defaults.yaml, knative/serving#2867",
    remedy="Ask for at most 600, or raise `max-revision-timeout-seconds` and silence the rule.",
)
_CEILING = 600


@_PATIENCE.on_release_with("knative")
def _timeout_above_the_ceiling(release: Release) -> Iterator[Finding]:
    if release.strategy == "knative" and release.serving.timeout > _CEILING:
        message = f"Knative refuses {release.serving.timeout} s unless its ceiling of 600 is raised"
        hint = "write `timeout: 600`, or raise `max-revision-timeout-seconds` on the cluster"
        yield at_setting(release, ("serving", "timeout"), message, hint)


@_PATIENCE.on_objects("InferenceService")
def _timeout_above_the_ceiling_in_object(item: Json, scene: Scene) -> Iterator[Spot]:
    if is_standard(item, scene):
        return
    for name, component in components(item):
        seconds = number(component, "timeout")
        if seconds > _CEILING:
            message = f"Knative refuses {seconds} s unless its ceiling of 600 is raised"
            yield Spot(message, ("spec", name, "timeout"), "write 600 at most")


_UNREAD = BOOK.warning(
    "S032",
    "In Standard mode the timeout is a setting of the HTTPRoute; an Ingress has none.",
    evidence="kserve/kserve@pkg/controller/v1beta1/inferenceservice/reconcilers/ingress",
    remedy="Remove it, or add `platform.kserve.gateway` to the environment.",
)


@_UNREAD.on_release_with("kserve")
def _timeout_that_nobody_reads(release: Release) -> Iterator[Finding]:
    if release.strategy != "single" or release.serving.backend != "kserve":
        return
    pointer = ("serving", "timeout")
    layer = next((each for each in reversed(release.layers) if each.has(pointer)), None)
    if layer and layer.document is release.document:
        message = (
            f"nothing reads the timeout in {release.environment.name}: without a Gateway KServe "
            "makes an Ingress, which has none"
        )
        yield at_setting(release, pointer, message, "remove it, or add the gateway")


_PLANE = BOOK.error(
    "S033",
    "KServe leaves Pods alone in namespaces of control planes: the model is never fetched.",
    evidence="kserve/kserve#2137, kserve/kserve#3873, kserve/kserve#377",
    remedy="Serve models in a namespace of their own, without the label `control-plane`.",
)


@_PLANE.on_environment
def _namespace_of_the_control_plane(environment: Environment) -> Iterator[Finding]:
    if environment.namespace == "kserve":
        message = "`kserve` is KServe's own namespace, where no Pod gets a storage initializer"
        hint = "write a namespace of the models' own, such as `ml`"
        yield in_environment(environment, ("namespace",), message, hint)


@_PLANE.on_objects("Namespace")
def _label_of_a_control_plane(item: Json, scene: Scene) -> Iterator[Spot]:
    if "control-plane" in block(item, "metadata", "labels"):
        message = "the label `control-plane` keeps KServe from giving Pods a storage initializer"
        yield Spot(message, ("metadata", "labels", "control-plane"), "remove the label")
