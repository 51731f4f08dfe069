"""What a namespace grants: a ResourceQuota, and a LimitRange for containers that say nothing.

Sources: kubernetes/website@content/en/docs/concepts/policy/resource-quotas.md,
kubernetes/website@content/en/docs/concepts/policy/limit-range.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from generator.aspects.contract import Aspect, Kind, Piece
from generator.documents import Json
from generator.inventory import namespaces
from generator.inventory.records import Environment
from generator.problems import Problem
from generator.schema import suggestion
from generator.values import quantities

_ORDER = ("min", "defaultRequest", "default", "max")
"""Each at most the next one, as the API server demands
(kubernetes/kubernetes@pkg/apis/core/validation/validation.go, ValidateLimitRange)."""


class Quota(Aspect):
    """One object each, where the environment has the block."""

    name = "resourceQuota"

    def environment_problems(self, environment: Environment) -> Iterator[Problem]:
        """Find resources that nobody could request, and bounds in the wrong order."""
        document = environment.document
        known = {flavor.resource for flavor in environment.flavors.values()} - {""}
        accelerators = document.data.get("resourceQuota", {}).get("accelerators", {})
        for resource in accelerators:
            if resource not in known:
                message = f"no flavor of {environment.name} has the resource `{resource}`"
                pointer = ("resourceQuota", "accelerators", resource)
                hint = suggestion(resource, sorted(known))
                yield document.problem("E301", message, pointer, hint=hint, key=True)
        yield from self._bounds(environment)

    def _bounds(self, environment: Environment) -> Iterator[Problem]:
        spec = environment.document.data.get("limitRange", {})
        for resource in ("cpu", "memory"):
            said = [key for key in _ORDER if resource in spec.get(key, {})]
            for lower, upper in pairwise(said):
                least, most = spec[lower][resource], spec[upper][resource]
                if quantities.is_less(most, least):
                    message = f"`{lower}` {least} is above `{upper}` {most}"
                    pointer = ("limitRange", lower, resource)
                    hint = f"write at most {most}, or raise `{upper}`"
                    yield environment.document.problem("Q106", message, pointer, hint=hint)

    def platform(self, environment: Environment) -> Iterator[Piece]:
        """List the two."""
        granted = namespaces.hard(environment.document)
        if granted:
            context: Json = {"hard": {each.key: each.amount for each in granted}}
            yield Piece("resource-quota.yaml", "platform/resource-quota.yaml.j2", context)
        limits = namespaces.limits(environment.document)
        if limits:
            context = {"limits": limits}
            yield Piece("limit-range.yaml", "platform/limit-range.yaml.j2", context)

    def platform_kinds(self, environment: Environment) -> tuple[Kind, ...]:
        """List those that the environment has."""
        return (
            *((Kind("", "ResourceQuota"),) if namespaces.hard(environment.document) else ()),
            *((Kind("", "LimitRange"),) if namespaces.limits(environment.document) else ()),
        )
