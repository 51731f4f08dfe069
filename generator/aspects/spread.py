"""Replicas that stand apart: topology spread constraints in the Pods of every version.

`matchLabelKeys` counts the Pods of one revision alone: while a Deployment is updated, the old ones
would push the new ones together (kubernetes/enhancements#3243, on by default since 1.27).
"""

from __future__ import annotations

from collections.abc import Iterator

from generator import settings
from generator.aspects.contract import Ask, Aspect
from generator.backends import pods
from generator.problems import Problem
from generator.records import Apart, Spread
from generator.values import minors

KEYS = {"zones": "topology.kubernetes.io/zone", "nodes": "kubernetes.io/hostname"}
"""The labels of nodes that zones and nodes are told apart by."""

_OTHERWISE = {"preferred": "ScheduleAnyway", "required": "DoNotSchedule"}
_OF_ONE_REVISION_SINCE = (1, 27)


class Spreading(Aspect):
    """A patch of the workload, which its backend plans."""

    name = "spread"

    def problems(self, ask: Ask) -> Iterator[Problem]:
        """Refuse it where Knative makes the Pods, which lets nobody say it by default.

        Source: knative/serving@config/core/configmaps/features.yaml.
        """
        if settings.is_knative(ask.model, ask.environment) and pods.is_here(ask, "spread"):
            message = "`spread` is nothing that Knative takes, unless its administrator allows it"
            yield ask.merged.problem("E303", message, ("spread",), "remove it")

    def facts(self, ask: Ask) -> Spread | None:
        """Write the constraints; None on Knative."""
        if settings.is_knative(ask.model, ask.environment):
            return None
        is_known = minors.parsed(ask.environment.kubernetes) >= _OF_ONE_REVISION_SINCE
        said = ask.merged.data["spread"]
        found = [Apart(KEYS[key], _OTHERWISE[said[key]]) for key in KEYS if key in said]
        return Spread(found, ["pod-template-hash"] if is_known else [])
