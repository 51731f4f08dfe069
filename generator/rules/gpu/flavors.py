"""Rules of flavors: their labels select the nodes that have what the flavor promises."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import permutations

from generator.inventory.records import Environment, Flavor
from generator.queues import accelerators
from generator.rules import Book, Finding
from generator.rules.places import at_key, in_environment

BOOK = Book("GPU")

PRODUCT, CONFIG = "nvidia.com/gpu.product", "nvidia.com/mig.config"
_STRATEGY = "nvidia.com/mig.strategy"
_SHARING = "nvidia.com/gpu.sharing-strategy"
_GKE_PARTITION = "cloud.google.com/gke-gpu-partition-size"

_PRODUCTS = (
    "Tesla-T4",
    "NVIDIA-L4",
    "NVIDIA-L40S",
    "NVIDIA-A10G",
    "NVIDIA-A100-SXM4-40GB",
    "NVIDIA-A100-PCIE-40GB",
    "NVIDIA-A100-SXM4-80GB",
    "NVIDIA-A100-80GB-PCIe",
    "NVIDIA-H100-80GB-HBM3",
    "NVIDIA-H100-PCIe",
    "NVIDIA-H100-NVL",
    "NVIDIA-H200",
    "NVIDIA-B200",
)
"""What gpu-feature-discovery writes on the nodes of many public manifests."""

_RARE = frozenset(
    {"NVIDIA-A100-SXM-64GB", "NVIDIA-A100X", "NVIDIA-H100-80GB-HBM2e", "NVIDIA-H200-NVL"}
)
_KNOWN = {
    PRODUCT: _PRODUCTS,
    "cloud.google.com/gke-accelerator": (
        "nvidia-tesla-t4",
        "nvidia-l4",
        "nvidia-tesla-a100",
        "nvidia-a100-80gb",
        "nvidia-h100-80gb",
        "nvidia-h100-mega-80gb",
        "nvidia-h200-141gb",
        "nvidia-b200",
    ),
    "karpenter.k8s.aws/instance-gpu-name": (
        "t4",
        "l4",
        "l40s",
        "a10g",
        "a100",
        "h100",
        "h200",
        "b200",
    ),
}
"""Values by label; of GKE and Karpenter there are others, for GPUs that are not here."""

_MODEL = re.compile(r"(?i)(?:^|-)(T4|L4|L40S|A10G|A100|H100|H200|B200)(?:-|$)")
_SUFFIX = re.compile(r"-MIG-.*$|-SHARED$|-vws$")
_MIG = re.compile(r"nvidia\.com/mig-[0-9]+g\.[0-9]+gb(?:\.[a-z.]+|-me)?(?:\.shared)?")
_MIG_PREFIX = "nvidia.com/mig-"


def _with_accelerators(environment: Environment) -> Iterator[Flavor]:
    return (flavor for flavor in environment.flavors.values() if flavor.resource)


def _label(flavor: Flavor, key: str) -> tuple[str, ...]:
    return ("flavors", flavor.name, "nodeLabels", key)


_UNKNOWN_PRODUCT = BOOK.warning(
    "G002",
    "A node label has a value that no node with this GPU is known to carry.",
    evidence="NVIDIA/k8s-device-plugin@docs/gpu-feature-discovery/README.md, "
    "aws/karpenter-provider-aws@website/content/en/docs/reference/instance-types.md",
    remedy="Write what `kubectl get nodes --show-labels` shows; if that is it, ignore this.",
)


@_UNKNOWN_PRODUCT.on_environment
def _unknown_product(environment: Environment) -> Iterator[Finding]:
    for flavor in _with_accelerators(environment):
        for key in _KNOWN.keys() & flavor.node_labels.keys():
            value = _SUFFIX.sub("", flavor.node_labels[key])
            if _is_invented(key, value):
                message = f"no node is known to have `{key}: {value}`, so no Pod might ever start"
                hint = _values_of(key, value)
                yield in_environment(environment, _label(flavor, key), message, hint)


def _is_invented(key: str, value: str) -> bool:
    """Judge only names of a GPU whose names are known: there will be others."""
    if value in _KNOWN[key] or (key == PRODUCT and _is_a_product(value)):
        return False
    return bool(_MODEL.search(value))


def _is_a_product(value: str) -> bool:
    """Accept rare ones too, and drivers of old, which leave out the brand."""
    return value in _RARE or f"NVIDIA-{value}" in _PRODUCTS


def _values_of(key: str, value: str) -> str:
    """Offer the values of the same GPU."""
    model = _MODEL.search(value)
    assert model is not None
    same = [known for known in _KNOWN[key] if model[1].upper() in known.upper().split("-")]
    return f"nodes have one of {', '.join(f'`{known}`' for known in same)}"


_EITHER_A100 = BOOK.warning(
    "G003",
    "The labels of a flavor do not tell an A100 with 40 GB from one with 80.",
    evidence="aws/karpenter-provider-aws@website/content/en/docs/reference/instance-types.md",
    remedy="Add the label of the memory, or select by `nvidia.com/gpu.product`.",
)

_FAMILY_ONLY = frozenset(
    {
        "karpenter.k8s.aws/instance-gpu-name",
        "karpenter.k8s.aws/instance-gpu-manufacturer",
        "kubernetes.azure.com/accelerator",
        "nvidia.com/gpu.family",
        "nvidia.com/gpu.present",
    }
)
"""Labels that A100s of both sizes have in common."""


@_EITHER_A100.on_environment
def _either_a100(environment: Environment) -> Iterator[Finding]:
    for flavor in _with_accelerators(environment):
        labels = flavor.node_labels
        if labels and labels.keys() <= _FAMILY_ONLY and _means_an_a100(flavor):
            message = (
                f"the labels of `{flavor.name}` fit A100s with 40 GB and with 80 GB: a model that "
                "needs the memory may land where it does not fit"
            )
            hint = 'add `karpenter.k8s.aws/instance-gpu-memory: "81920"` (or "40960"), or '
            hint += f"`{PRODUCT}`"
            pointer = ("flavors", flavor.name, "nodeLabels")
            yield at_key(environment, pointer, message, hint)


def _means_an_a100(flavor: Flavor) -> bool:
    said = flavor.node_labels.get("karpenter.k8s.aws/instance-gpu-name", flavor.name)
    return "a100" in said.lower()


_NO_PROFILE = BOOK.error(
    "G004",
    "No GPU of the product has slices of this MIG profile, or so many of them.",
    evidence="NVIDIA/gpu-operator@assets/state-mig-manager/0400_configmap.yaml",
    remedy="Name a profile of the GPU, and count slices in `gpusPerNode`: GPUs times slices.",
)


@_NO_PROFILE.on_environment
def _no_profile(environment: Environment) -> Iterator[Finding]:
    for flavor in _with_accelerators(environment):
        place = ("flavors", flavor.name, "resource")
        if not flavor.resource.startswith(_MIG_PREFIX):
            continue
        if not _MIG.fullmatch(flavor.resource):
            message = f"{flavor.resource} is no MIG profile: it is slices and memory, `1g.10gb`"
            hint = "write for example `nvidia.com/mig-1g.10gb`; `+` in a profile becomes `.`"
            yield in_environment(environment, place, message, hint)
            continue
        reason = accelerators.contradiction(
            flavor.resource, flavor.node_labels, flavor.gpus_per_node
        )
        if reason:
            many = accelerators.slices(flavor.resource, flavor.node_labels)
            key = "gpusPerNode" if many else "resource"
            hint = f"write a multiple of {many}" if many else "name a profile of that GPU"
            yield in_environment(environment, ("flavors", flavor.name, key), reason, hint)


_OTHER_NODES = BOOK.error(
    "G005",
    "Nodes with these labels do not offer the resource: MIG or sharing gives it another name.",
    evidence="NVIDIA/k8s-device-plugin@internal/lm/mig-strategy.go, "
    "NVIDIA/k8s-device-plugin@internal/lm/resource.go",
    remedy="Under the strategy `single` a slice is `nvidia.com/gpu` and the product ends in "
    "`-MIG-<profile>`; under `mixed` it is `nvidia.com/mig-<profile>` and the product is the "
    "GPU's. A shared GPU is `nvidia.com/gpu.shared`, or its product ends in `-SHARED`.",
)


@_OTHER_NODES.on_environment
def _other_nodes(environment: Environment) -> Iterator[Finding]:
    for flavor in _with_accelerators(environment):
        found = _mismatch(flavor)
        if found:
            key, reason, hint = found
            message = f"no node offers {flavor.resource} and has `{key}`: {reason}"
            yield in_environment(environment, _label(flavor, key), message, hint)


def _mismatch(flavor: Flavor) -> tuple[str, str, str] | None:
    """Name the label that contradicts the resource, why, and what to write."""
    if flavor.resource.startswith(_MIG_PREFIX):
        return _not_a_mixed_node(flavor)
    if flavor.resource.startswith("nvidia.com/gpu"):
        return _not_a_whole_gpu(flavor)
    return None


def _not_a_mixed_node(flavor: Flavor) -> tuple[str, str, str] | None:
    labels, profile = flavor.node_labels, _profile(flavor)
    product, config = labels.get(PRODUCT, ""), labels.get(CONFIG, "")
    if "-MIG-" in product:
        hint = f"write `resource: nvidia.com/gpu`, or `{PRODUCT}: {product.partition('-MIG-')[0]}`"
        return PRODUCT, "this product is of the strategy `single`", hint
    if labels.get(_STRATEGY) == "single":
        return _STRATEGY, "slices are nvidia.com/gpu there", "write `resource: nvidia.com/gpu`"
    if _GKE_PARTITION in labels:
        return _GKE_PARTITION, "GKE offers slices as nvidia.com/gpu", "write that as `resource`"
    if config == "all-disabled" or (_is_uniform(config) and config != f"all-{profile}"):
        hint = f"write `{CONFIG}: all-{profile}`, or another `resource`"
        return CONFIG, "its GPUs are divided otherwise", hint
    return None


def _not_a_whole_gpu(flavor: Flavor) -> tuple[str, str, str] | None:
    labels = flavor.node_labels
    product, config = labels.get(PRODUCT, ""), labels.get(CONFIG, "")
    if product.endswith("-MIG-INVALID"):
        return PRODUCT, "such a node has 0 of it", "let all its GPUs have slices of one size"
    if flavor.resource.endswith(".shared") and product.endswith("-SHARED"):
        hint = f"write `{product.removesuffix('-SHARED')}`, or `resource: nvidia.com/gpu`"
        return PRODUCT, "either the resource is renamed or the product", hint
    if flavor.resource.endswith(".shared") and labels.get(_SHARING) == "none":
        return _SHARING, "the GPUs are not shared there", "write `resource: nvidia.com/gpu`"
    if _is_uniform(config) and product and "-MIG-" not in product:
        hint = f"write `resource: {_MIG_PREFIX}{config.removeprefix('all-')}`"
        return CONFIG, f"no GPU is whole there, and {product} is a whole one", hint
    return None


def _profile(flavor: Flavor) -> str:
    return flavor.resource.removeprefix(_MIG_PREFIX).removesuffix(".shared")


_UNIFORM = re.compile(r"all-[0-9]+g\.[0-9]+gb.*")


def _is_uniform(config: str) -> bool:
    """Say whether a MIG configuration divides every GPU into slices of one size."""
    return bool(_UNIFORM.fullmatch(config))


_SAME_NODES = BOOK.warning(
    "G008",
    "Every node of one flavor is one of another flavor too, so that its accelerators count twice.",
    evidence="kubernetes-sigs/kueue@site/content/en/docs/concepts/resource_flavor.md",
    remedy="Give each flavor labels that the nodes of the other do not have, or a taint.",
)


@_SAME_NODES.on_environment
def _same_nodes(environment: Environment) -> Iterator[Finding]:
    told: set[tuple[str, str]] = set()
    for narrow, wide in permutations(_with_accelerators(environment), 2):
        is_told = (wide.name, narrow.name) in told
        if narrow.resource == wide.resource and _takes(wide, narrow) and not is_told:
            told.add((narrow.name, wide.name))
            labels = "have all labels of" if wide.node_labels else "are good enough for"
            message = (
                f"the nodes of flavor `{narrow.name}` {labels} `{wide.name}`: its models may run "
                f"there, and both quotas count the same {narrow.resource}"
            )
            hint = f"add a label to `{wide.name}` that `{narrow.name}` does not have"
            yield at_key(environment, ("flavors", wide.name), message, hint)


def _takes(wide: Flavor, narrow: Flavor) -> bool:
    """Say whether Pods of one flavor may run on every node of another."""
    return wide.node_labels.items() <= narrow.node_labels.items() and _taints(narrow) <= _taints(
        wide
    )


def _taints(flavor: Flavor) -> set[tuple[str, str, str]]:
    return {
        (taint["key"], taint.get("value", ""), taint["effect"])
        for taint in flavor.taints
        if taint["effect"] != "PreferNoSchedule"
    }


_NOT_YET_LABELLED = BOOK.warning(
    "G009",
    "Nodes that do not exist yet have no labels of gpu-feature-discovery, so none is ever made.",
    evidence="kubernetes-sigs/karpenter@pkg/scheduling/requirements.go",
    remedy="Select by a label of the cloud or of the node pool, which the autoscaler knows.",
)


_WRITTEN_LATE = (
    *("nvidia.com/gpu.", "nvidia.com/cuda.", "nvidia.com/mig", "amd.com/gpu.", "gpu.intel.com/"),
    "feature.node.kubernetes.io/",
)
"""What discovery writes on a node that runs, not an autoscaler's pool."""


@_NOT_YET_LABELLED.on_environment
def _not_yet_labelled(environment: Environment) -> Iterator[Finding]:
    for name, spec in environment.document.data.get("flavors", {}).items():
        if not spec.get("scaleFromZero"):
            continue
        for key in spec.get("nodeLabels", {}):
            if key.startswith(_WRITTEN_LATE):
                message = (
                    f"`{name}` scales from zero, and {key} is written on a node once it runs: the "
                    "autoscaler would make none for a Pod that asks for it"
                )
                hint = "select by a label of the node pool, or give the pool this label as its own"
                pointer = ("flavors", name, "nodeLabels", key)
                yield at_key(environment, pointer, message, hint)
                break


_OTHER_VENDOR = BOOK.error(
    "G010",
    "The labels of a flavor select nodes of another vendor than its resource is of.",
    evidence="NVIDIA/k8s-device-plugin@docs/gpu-feature-discovery/README.md, "
    "ROCm/k8s-device-plugin@README.md",
    remedy="Select the nodes by labels of the resource's own vendor.",
)

_VENDORS = {
    "amd.com": ("amd.com/",),
    "nvidia.com": ("nvidia.com/",),
    "habana.ai": ("habana.ai/",),
    "gpu.intel.com": ("gpu.intel.com/", "intel.feature.node.kubernetes.io/"),
    "google.com": ("cloud.google.com/gke-tpu",),
}


@_OTHER_VENDOR.on_environment
def _other_vendor(environment: Environment) -> Iterator[Finding]:
    for flavor in _with_accelerators(environment):
        own = flavor.resource.partition("/")[0]
        foreign = [
            key
            for key in flavor.node_labels
            for vendor, prefixes in _VENDORS.items()
            if own in _VENDORS and vendor != own and key.startswith(prefixes)
        ]
        for key in foreign[:1]:
            message = f"nodes with {key} have no {flavor.resource}"
            hint = f"use a label of {own}, or another `resource`"
            yield at_key(environment, _label(flavor, key), message, hint)
