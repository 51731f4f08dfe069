"""Rules of what a flavor says of its nodes: how many there are, and what they all carry."""

from __future__ import annotations

from collections.abc import Iterator

from generator.inventory.records import Environment, Flavor
from generator.queues import accelerators
from generator.rules import Book, Finding
from generator.rules.places import in_environment

BOOK = Book("GPU")

_PRODUCT = "nvidia.com/gpu.product"
_SHARING = "nvidia.com/gpu.sharing-strategy"

_NO_NODES = BOOK.warning(
    "G029",
    "A flavor without a node, and without an autoscaler that makes some, runs nothing.",
    evidence="kubernetes/website@content/en/docs/tasks/manage-gpus/scheduling-gpus.md",
    remedy="Write how many nodes there are, leave `nodes` out if that changes, or write "
    "`scaleFromZero: true`.",
)


@_NO_NODES.on_environment
def _no_nodes(environment: Environment) -> Iterator[Finding]:
    for name, flavor in environment.document.data.get("flavors", {}).items():
        if flavor.get("nodes") == 0 and not flavor.get("scaleFromZero"):
            message = f"there are no nodes of flavor `{name}`: what asks for it waits for ever"
            hint = "write `scaleFromZero: true` if an autoscaler makes them, or the true number"
            yield in_environment(environment, ("flavors", name, "nodes"), message, hint)


_CONTRADICTION = BOOK.warning(
    "G030",
    "No node has labels that contradict each other, or what the flavor says of its nodes.",
    evidence="NVIDIA/k8s-device-plugin@docs/gpu-feature-discovery/README.md",
    remedy="Write the labels as the nodes have them, or leave out what the product says already.",
)
_COUNT, _MEMORY = "nvidia.com/gpu.count", "nvidia.com/gpu.memory"


@_CONTRADICTION.on_environment
def _contradicting(environment: Environment) -> Iterator[Finding]:
    for flavor in environment.flavors.values():
        if flavor.resource != "nvidia.com/gpu" or _is_divided(flavor):
            continue
        for key, other in _others(flavor):
            message = f"no node has both `{key}: {flavor.node_labels[key]}` and {other}"
            hint = "write what the nodes have, or leave the label out"
            pointer = ("flavors", flavor.name, "nodeLabels", key)
            yield in_environment(environment, pointer, message, hint)


def _others(flavor: Flavor) -> Iterator[tuple[str, str]]:
    """Name labels with what they contradict; a GPU's memory is a little less than its name says."""
    count, memory = (flavor.node_labels.get(key, "") for key in (_COUNT, _MEMORY))
    if count.isdecimal() and flavor.gpus_per_node and int(count) != flavor.gpus_per_node:
        yield _COUNT, f"`gpusPerNode: {flavor.gpus_per_node}`"
    product = flavor.node_labels.get(_PRODUCT, "")
    size = accelerators.memory(flavor.resource, {_PRODUCT: product}) if product else None
    if size and memory.isdecimal() and abs(int(memory) - size * 1024) * 5 > size * 1024:
        yield _MEMORY, f"`{_PRODUCT}: {product}`"


def _is_divided(flavor: Flavor) -> bool:
    """Say whether the nodes offer slices or shares, of which there are more than GPUs."""
    product = flavor.node_labels.get(_PRODUCT, "")
    return "-MIG-" in product or product.endswith("-SHARED") or _SHARING in flavor.node_labels
