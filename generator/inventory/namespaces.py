"""What an environment's namespace grants all Pods together, and each container.

A document is resolved once, whoever asks: templates, rules and the arithmetic of capacity.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from msgspec import Struct, field

from generator.documents import Document
from generator.values import quantities
from generator.yamlio import Pointer

Amounts = Mapping[str, str]


class Hard(Struct, frozen=True):
    """One line of a ResourceQuota: its key, how much, and where the environment says so."""

    key: str
    amount: str
    pointer: Pointer


class Limits(Struct, frozen=True):
    """What a container gets that names nothing, and the bounds of all containers.

    As the API server fills a LimitRange in: a limit that is not said is the maximum, a request the
    limit, or else the minimum (kubernetes/kubernetes@pkg/apis/core/v1/defaults.go,
    SetDefaults_LimitRangeItem).
    """

    request: Amounts = field(default_factory=dict)
    limit: Amounts = field(default_factory=dict)
    minimum: Amounts = field(default_factory=dict)
    maximum: Amounts = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Say whether there is a LimitRange at all."""
        return bool(self.request or self.limit or self.minimum or self.maximum)


_PLAIN = {
    "cpu": "requests.cpu",
    "memory": "requests.memory",
    "storage": "requests.storage",
    "pods": "pods",
    "claims": "persistentvolumeclaims",
}
"""Requests are counted under their whole name: `cpu` alone would be the same thing."""


@lru_cache(256)
def hard(document: Document) -> tuple[Hard, ...]:
    """List what an environment's ResourceQuota grants; nothing if it has none."""
    spec = document.data.get("resourceQuota", {})
    plain = [
        Hard(key, quantities.canonical(spec[name]), ("resourceQuota", name))
        for name, key in _PLAIN.items()
        if name in spec
    ]
    devices = [
        Hard(f"requests.{resource}", str(count), ("resourceQuota", "accelerators", resource))
        for resource, count in spec.get("accelerators", {}).items()
    ]
    return (*plain, *devices)


@lru_cache(256)
def limits(document: Document) -> Limits:
    """Resolve an environment's LimitRange; empty if it has none."""
    spec = document.data.get("limitRange", {})
    least, most = _amounts(spec.get("min", {})), _amounts(spec.get("max", {}))
    limit = {**most, **_amounts(spec.get("default", {}))}
    request = {**least, **limit, **_amounts(spec.get("defaultRequest", {}))}
    return Limits(request, limit, least, most)


def _amounts(spec: Mapping[str, Any]) -> dict[str, str]:
    return {key: quantities.canonical(value) for key, value in spec.items()}


def uncounted(document: Document, named: Iterable[str]) -> list[str]:
    """List what a ResourceQuota counts and a container neither requests nor is given.

    Its Pod is refused (kubernetes/website@content/en/docs/concepts/policy/resource-quotas.md).
    """
    counted, filled = document.data.get("resourceQuota", {}), limits(document).request
    has = {*named, *filled}
    return [key for key in ("cpu", "memory") if key in counted and key not in has]


class Claim(Struct, frozen=True):
    """One PersistentVolumeClaim; `storage_class` is empty for the cluster's default."""

    name: str
    size: str
    storage_class: str
    access_mode: str


@lru_cache(256)
def claims(document: Document) -> dict[str, Claim]:
    """Resolve an environment's claims."""
    return {
        name: Claim(
            name,
            quantities.canonical(spec["size"]),
            spec.get("storageClass", ""),
            spec.get("accessMode", "ReadWriteMany"),
        )
        for name, spec in document.data.get("volumes", {}).items()
    }


@lru_cache(256)
def pod_security(document: Document) -> dict[str, str]:
    """Label a namespace with the standards that it holds Pods to.

    Each with the version of the cluster: an upgrade does not refuse what ran before
    (kubernetes/website@content/en/docs/concepts/security/pod-security-admission.md).
    """
    version = f"v{document.data['cluster']['kubernetes']}"
    labels: dict[str, str] = {}
    for mode, standard in document.data.get("podSecurity", {}).items():
        labels[f"pod-security.kubernetes.io/{mode}"] = standard
        labels[f"pod-security.kubernetes.io/{mode}-version"] = version
    return labels
