"""Budgets for evictions: one PodDisruptionBudget per version.

It holds back whoever asks for an eviction, such as `kubectl drain`. Kueue deletes the Pods that it
preempts (kubernetes-sigs/kueue@pkg/controller/jobs/pod/pod_controller.go), and an update of a
Deployment has bounds of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from generator import settings
from generator.aspects.contract import Ask, Aspect, Kind, Piece
from generator.backends import pods
from generator.backends import registry as backends
from generator.inventory.records import Environment
from generator.problems import Problem
from generator.records import Disruption, Release, Variant

_KEYS = ("maxUnavailable", "minAvailable")


class Budget(Aspect):
    """One budget for each version, by the labels that its Pods have alone."""

    name = "disruption"

    def problems(self, ask: Ask) -> Iterator[Problem]:
        """Refuse it where Knative makes the Pods and takes them away."""
        if settings.is_knative(ask.model, ask.environment) and pods.is_here(ask, "disruption"):
            message = "no budget fits Pods that Knative makes and removes as requests come and go"
            yield ask.merged.problem("E303", message, ("disruption",), "remove it")

    def facts(self, ask: Ask) -> Disruption | None:
        """Take the key of the nearest layer; None on Knative."""
        if settings.is_knative(ask.model, ask.environment):
            return None
        said = ask.merged.data["disruption"]
        key = max(
            (key for key in _KEYS if key in said), key=lambda key: ask.merged.rank(self.name, key)
        )
        return Disruption(key, said[key])

    def files_of(self, release: Release, variant: Variant, facts: Disruption) -> Iterator[Piece]:
        """List the budget, if the Pods can be told from others."""
        selector = backends.of_release(release).selector(release, variant)
        if selector:
            context = {"selector": selector}
            template = "overlay/pod-disruption-budget.yaml.j2"
            yield Piece("pod-disruption-budget.yaml", template, context)

    def kinds(self, environment: Environment) -> tuple[Kind, ...]:
        """List the budget."""
        return (Kind("policy", "PodDisruptionBudget"),)
