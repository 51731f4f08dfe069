"""What is known of accelerators: their memory, and how MIG divides them.

Labels are those of GPU feature discovery (NVIDIA/k8s-device-plugin@docs/gpu-feature-discovery),
of GKE (GoogleCloudPlatform/kubernetes-engine-samples) and of Karpenter
(aws/karpenter-provider-aws@website).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

_MEMORY_LABELS = ("nvidia.com/gpu.memory", "karpenter.k8s.aws/instance-gpu-memory")
"""Labels that hold the memory of one GPU in MiB."""

_PRODUCT_LABELS = ("nvidia.com/gpu.product", "cloud.google.com/gke-accelerator")

_BY_PRODUCT = (
    ("A100-SXM4-40GB", 40),
    ("nvidia-tesla-a100", 40),
    ("T4", 16),
    ("V100-SXM2-16GB", 16),
    ("A10G", 24),
    ("A10", 24),
    ("L40S", 48),
    ("L40", 48),
    ("L4", 24),
    ("H100-PCIe", 80),
    ("H100-NVL", 94),
    ("H200", 141),
    ("B200", 192),
)
"""GiB of the products whose name does not say it, longer names first; as advertised, of which a
little less is free."""

_IN_NAME = re.compile(r"(?i)(?<![0-9])([0-9]{2,3})gb(?![0-9a-z])")
_PROFILE = re.compile(r"([0-9]+)g\.([0-9]+)gb")

_SLICES = {
    40: {"1g.5gb": 7, "1g.10gb": 4, "2g.10gb": 3, "3g.20gb": 2, "4g.20gb": 1, "7g.40gb": 1},
    80: {
        "1g.10gb": 7,
        "1g.20gb": 4,
        "2g.20gb": 3,
        "3g.40gb": 2,
        "4g.40gb": 1,
        "7g.80gb": 1,
    },
    141: {
        "1g.18gb": 7,
        "1g.35gb": 4,
        "2g.35gb": 3,
        "3g.71gb": 2,
        "4g.71gb": 1,
        "7g.141gb": 1,
    },
}
"""How many slices of a profile one GPU gives, by its memory in GiB
(NVIDIA/gpu-operator@assets/state-mig-manager/0400_configmap.yaml)."""


def memory(resource: str, labels: Mapping[str, str]) -> int | None:
    """Say how many GiB one unit of a resource has; None where the labels do not tell.

    A slice has what its profile says. Where only the name of the product is known, the answer is as
    advertised, so that nothing is called too large that would fit.
    """
    profile = _PROFILE.search(resource) or _PROFILE.search(_product(labels))
    if profile:
        return int(profile[2])
    for label in _MEMORY_LABELS:
        if labels.get(label, "").isdecimal():
            return -(-int(labels[label]) // 1024)
    return _of_product(_product(labels))


def _product(labels: Mapping[str, str]) -> str:
    return next((labels[label] for label in _PRODUCT_LABELS if label in labels), "")


@lru_cache(256)
def _of_product(product: str) -> int | None:
    named = _IN_NAME.search(product)
    if named:
        return int(named[1])
    parts = product.removesuffix("-SHARED").upper()
    return next((size for name, size in _BY_PRODUCT if _is_part(name.upper(), parts)), None)


def _is_part(name: str, product: str) -> bool:
    return bool(re.search(rf"(^|-){re.escape(name)}(-|$)", product))


def slices(resource: str, labels: Mapping[str, str]) -> int | None:
    """Say how many slices of a MIG resource one GPU gives: 0 if it has no such profile.

    None for what is no MIG resource, and for a GPU whose profiles are not known.
    """
    profile = _PROFILE.search(resource) if "/mig-" in resource else None
    known = _SLICES.get(_of_product(_product(labels)) or 0)
    if profile is None or known is None:
        return None
    most = known.get(profile[0], 0)
    return min(most, 1) if resource.endswith(".me") else most


_MOST_GPUS = 16
"""GPUs in the largest nodes that are sold."""


def contradiction(resource: str, labels: Mapping[str, str], per_node: int) -> str:
    """Say why a node cannot have so many units of a MIG resource; empty if it can."""
    one, profile = slices(resource, labels), resource.rpartition("/mig-")[2]
    if one is None:
        return ""
    if not one:
        return f"{_product(labels)} has no MIG profile {profile}"
    if per_node > one * _MOST_GPUS:
        return f"a GPU gives {one} slices of {profile}, and no node has {-(-per_node // one)} GPUs"
    if per_node % one and labels.get("nvidia.com/mig.config") == f"all-{profile}":
        return f"a GPU gives {one} slices of {profile}, and {per_node} is no multiple of that"
    return ""
