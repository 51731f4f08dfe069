"""Whom the Pods of an environment reach, where its NetworkPolicies forbid the rest."""

from __future__ import annotations

from generator.inventory.records import Environment

_KNATIVES = frozenset({"knative-serving", "istio-system", "kourier-system"})
"""Where requests to a Knative Service go first."""


def is_cut_off(environment: Environment, namespaces: frozenset[str]) -> bool:
    """Say whether no policy lets Pods ask anybody in these namespaces.

    A range of addresses may be theirs, so that nothing is said where one is allowed.
    """
    spec = environment.document.data.get("networkPolicy", {})
    if not spec.get("enabled") or environment.namespace in namespaces:
        return False
    peers = spec.get("egressTo", ())
    return not any("cidr" in peer or peer.get("namespace") in namespaces for peer in peers)


def entrance(environment: Environment) -> frozenset[str]:
    """Name the namespaces that a request to a model goes through; none if straight to its Pods."""
    if environment.mode == "Knative":
        return _KNATIVES
    return frozenset({environment.gateway.namespace}) if environment.gateway else frozenset()
