"""Rules of workloads of a queue that claim devices: what Kueue can count, and what it cannot."""

from __future__ import annotations

from collections.abc import Iterator

from generator.documents import Json
from generator.rules import Book, Scene, Spot
from generator.rules.fields import at, entries, name_of, text
from generator.rules.kueue.accessors import pods, queued_by
from generator.yamlio import Pointer

BOOK = Book("quota")

_CLAIMS = BOOK.error(
    "Q050",
    "Kueue counts devices by a ResourceClaimTemplate: a Pod with a ResourceClaim is inadmissible.",
    evidence="kubernetes-sigs/kueue@site/content/en/docs/concepts/dynamic_resource_allocation.md",
    remedy="Name a `resourceClaimTemplateName`.",
)


@_CLAIMS.on_objects("*")
def _claims(item: Json, scene: Scene) -> Iterator[Spot]:
    if not queued_by(item)[1]:
        return
    for place, pod in pods(item):
        for index, claim in entries(pod, "resourceClaims"):
            if text(claim, "resourceClaimName"):
                message = f"Kueue cannot count claim `{text(claim, 'resourceClaimName')}`"
                pointer = (*place, "resourceClaims", index, "resourceClaimName")
                yield Spot(message, pointer, "use `resourceClaimTemplateName`")


_UNCOUNTABLE = BOOK.error(
    "Q057",
    "Kueue does not admit what claims devices by alternatives, constraints or settings.",
    evidence="kubernetes-sigs/kueue@site/content/en/docs/concepts/dynamic_resource_allocation.md",
    remedy="Claim an exact count of one device class, or leave the workload out of the queue.",
)


@_UNCOUNTABLE.on_objects("ResourceClaimTemplate")
def _uncountable(item: Json, scene: Scene) -> Iterator[Spot]:
    if not any(_claims_by(each, name_of(item)) for each in scene.objects if queued_by(each)[1]):
        return
    for pointer, what in _features(item):
        message = f"a workload of a queue claims by {name_of(item)}, and Kueue cannot count {what}"
        yield Spot(message, pointer, "write `exactly: {deviceClassName: ..., count: ...}`")


def _claims_by(item: Json, template: str) -> bool:
    return any(
        text(claim, "resourceClaimTemplateName") == template
        for _, pod in pods(item)
        for _, claim in entries(pod, "resourceClaims")
    )


def _features(item: Json) -> Iterator[tuple[Pointer, str]]:
    """Give what Kueue has no arithmetic for."""
    devices: Pointer = ("spec", "spec", "devices")
    for key in ("constraints", "config"):
        if entries(item, *devices, key):
            yield (*devices, key), f"`{key}`"
    for index, request in entries(item, *devices, "requests"):
        place = (*devices, "requests", index)
        if entries(request, "firstAvailable"):
            yield (*place, "firstAvailable"), "`firstAvailable`"
        if text(request, "exactly", "allocationMode") == "All":
            yield (*place, "exactly", "allocationMode"), "`allocationMode: All`"
        if at(request, "exactly", "adminAccess"):
            yield (*place, "exactly", "adminAccess"), "`adminAccess`"
