"""What one Pod asks for, as a container says it: cores, memory and accelerators of a flavor."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256

from generator.documents import Json
from generator.inventory.records import Flavor
from generator.records import Claim, Placement
from generator.values import quantities
from generator.values.identity import Same

_RESOURCES = ("cpu", "memory")


def placement(flavors: Mapping[str, Flavor], gpu: Json | None) -> Placement | None:
    """Find where Pods with accelerators run; None on CPU."""
    count = gpu.get("count", 1) if gpu else 0
    if not gpu or not count:
        return None
    return _placed(Same(flavors[gpu["flavor"]]), count)


@lru_cache(256)
def _placed(same: Same[Flavor], count: int) -> Placement:
    flavor = same.thing
    return Placement(
        flavor.name,
        flavor.resource,
        count,
        flavor.node_labels,
        flavor.tolerations,
        flavor.runtime_class,
        _claim(flavor, count),
    )


CLAIM = "gpu"
"""What a Pod calls its claim, and the claim its one request."""


def _claim(flavor: Flavor, count: int) -> Claim | None:
    """Claim devices of a class, by what Kueue can count: an exact number, and no alternatives.

    Source: kubernetes-sigs/kueue@site/content/en/docs/concepts/dynamic_resource_allocation.md.
    """
    if not flavor.device_class:
        return None
    chosen = [{"cel": {"expression": expression}} for expression in flavor.selectors]
    exactly: Json = {
        "deviceClassName": flavor.device_class,
        "allocationMode": "ExactCount",
        "count": count,
        **({"selectors": chosen} if chosen else {}),
    }
    requests: list[Json] = [{"name": CLAIM, "exactly": exactly}]
    digest = sha256(json.dumps(requests, sort_keys=True).encode()).hexdigest()[:8]
    return Claim(f"{CLAIM}-{digest}", requests)


def resources(spec: Json | None, placed: Placement | None) -> Json:
    """Requests and limits; accelerators in both, equal, as Kubernetes demands, or claimed."""
    spec = spec or {}
    limits = spec.get("limits", {})
    is_claimed = placed is not None and placed.claim is not None
    bounds = _bounded(
        tuple((key, spec[key]) for key in _RESOURCES if key in spec),
        tuple((key, limits[key]) for key in _RESOURCES if key in limits),
        ((placed.resource, placed.count),) if placed and not is_claimed else (),
    )
    return {**bounds, "claims": [{"name": CLAIM}]} if is_claimed else bounds


_Amounts = tuple[tuple[str, str | float], ...]


@lru_cache(4096, typed=True)
def _bounded(requested: _Amounts, limited: _Amounts, accelerators: _Amounts) -> Json:
    """Write amounts in canonical form; replicas of one size share one result."""
    requests = {key: quantities.canonical(value) for key, value in requested}
    limits = requests | {key: quantities.canonical(value) for key, value in limited}
    devices = {key: str(count) for key, count in accelerators}
    return {"requests": requests | devices, "limits": limits | devices}
