"""Rules of LLMInferenceServices that own templates write."""

from __future__ import annotations

from collections.abc import Iterator

from generator.documents import Json
from generator.rules import Book, Scene, Spot
from generator.rules.fields import block, entries, name_of, text
from generator.rules.kserve.accessors import variant_of
from generator.yamlio import Pointer

BOOK = Book("serving")

_VALIDATED = "kserve/kserve@pkg/apis/serving/v1alpha2/llm_inference_service_validation.go"
_ROUTE: Pointer = ("spec", "router", "route")

_OWNERS = BOOK.error(
    "S052",
    "KServe's webhook takes `replicas` or `scaling` of an LLMInferenceService, and not both.",
    evidence=_VALIDATED,
    remedy="Remove `replicas`: the scaler decides.",
)


@_OWNERS.on_objects("LLMInferenceService")
def _two_owners_of_replicas(item: Json, scene: Scene) -> Iterator[Spot]:
    spec = block(item, "spec")
    if "replicas" in spec and "scaling" in spec:
        message = "both `replicas` and `scaling` decide here, and KServe refuses that"
        yield Spot(message, ("spec", "replicas"), "remove it")


_WEIGHT = BOOK.error(
    "S053",
    "A group of LLMInferenceServices shares traffic by weight: neither stands alone.",
    evidence=_VALIDATED,
    remedy="Write `group` and `weight` together.",
    kserve=">=0.20",
)


@_WEIGHT.on_objects("LLMInferenceService")
def _group_without_a_weight(item: Json, scene: Scene) -> Iterator[Spot]:
    route = block(item, *_ROUTE)
    if ("group" in route) != ("weight" in route):
        there, missing = ("group", "weight") if "group" in route else ("weight", "group")
        message = f"KServe refuses `{there}` without `{missing}`"
        yield Spot(message, (*_ROUTE, there), f"add `{missing}`, or remove `{there}`")


_NAME = BOOK.error(
    "S054",
    "Versions in one group answer to one model name, or KServe takes the group apart.",
    evidence="kserve/kserve@pkg/controller/v1alpha2/llmisvc",
    remedy="Give all members of the group the same `model.name`.",
    kserve=">=0.20",
)


def _served(item: Json) -> str:
    return text(item, "spec", "model", "name") or name_of(item)


@_NAME.on_objects("LLMInferenceService")
def _group_with_two_names(item: Json, scene: Scene) -> Iterator[Spot]:
    group = text(item, *_ROUTE, "group")
    if not group:
        return
    members = [
        each
        for each in scene.of_kind("LLMInferenceService")
        if text(each, *_ROUTE, "group") == group
    ]
    first = _served(members[0])
    if _served(item) != first:
        message = (
            f"`{group}` answers to `{first}` and to `{_served(item)}`: KServe marks it degraded"
        )
        yield Spot(message, ("spec", "model"), f"write `name: {first}`")


_MAIN = BOOK.error(
    "S055",
    "KServe looks for the model server of an LLMInferenceService in the container `main`.",
    evidence="kserve/kserve@pkg/apis/serving/v1alpha2/llm_inference_service_types.go",
    remedy="Call the container `main`.",
)


@_MAIN.on_objects("LLMInferenceService")
def _container_of_another_name(item: Json, scene: Scene) -> Iterator[Spot]:
    for part in _PODS:
        containers = entries(item, "spec", *part, "containers")
        names = [text(container, "name") for _, container in containers]
        if names and "main" not in names:
            message = f"no container is called `main`, so what `{names[0]}` says is a sidecar's"
            place = ("spec", *part, "containers", containers[0][0], "name")
            yield Spot(message, place, "write `name: main`")


_PODS = (("template",), ("worker",), ("prefill", "template"), ("prefill", "worker"))


_ALONE = BOOK.error(
    "S056",
    "Workers of an LLMInferenceService need a parallelism that spreads the model over them.",
    evidence=_VALIDATED,
    remedy="Add `parallelism` with `pipeline`, or with `data` and `dataLocal`.",
)


@_ALONE.on_objects("LLMInferenceService")
def _workers_without_work(item: Json, scene: Scene) -> Iterator[Spot]:
    parallelism = block(item, "spec", "parallelism")
    if "worker" in block(item, "spec") and not parallelism.keys() & {"data", "pipeline"}:
        message = (
            "`worker` is for a model that is spread over nodes, and `parallelism` spreads none"
        )
        yield Spot(message, ("spec", "worker"), "add `parallelism: {pipeline: 2}`, or remove it")


_LIES = BOOK.error(
    "L017",
    "An own template that weighs a version otherwise than the document makes that a lie.",
    evidence="kserve/kserve@pkg/controller/v1alpha2/llmisvc/router_group.go",
    remedy="Place `weight: {{ variant.traffic }}`, as the built-in template does.",
)


@_LIES.on_objects("LLMInferenceService")
def _weight_of_ones_own(item: Json, scene: Scene) -> Iterator[Spot]:
    variant, weight = variant_of(item, scene), block(item, *_ROUTE).get("weight")
    if variant and weight is not None and weight != variant.traffic:
        message = (
            f"{variant.artifact.version} has {variant.traffic} % in the document, and {weight} here"
        )
        yield Spot(message, (*_ROUTE, "weight"), "write `weight: {{ variant.traffic }}`")
