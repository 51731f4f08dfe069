"""Who reaches the Pods of a namespace, and whom they reach: NetworkPolicies.

Everything is forbidden, and then what serving needs is allowed, one policy per need, so that a
reader sees why. Policies add up
(kubernetes/website@content/en/docs/concepts/services-networking/network-policies.md).

What needs no policy: kubelet's probes (traffic of a Pod's own node is always allowed), KEDA (it
asks Prometheus, not Pods; only the interceptor of its HTTP add-on sends requests), and webhooks of
KServe and Kueue (the API server asks them, elsewhere).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from msgspec import Struct

from generator.aspects.contract import Aspect, Kind, Piece
from generator.documents import Document, Json
from generator.inventory.records import Environment
from generator.problems import Problem
from generator.values import addresses

KNATIVE = "knative-serving"
"""Where Knative's activator, which forwards requests, and its autoscaler, which scrapes, run
(knative/serving#12466)."""

_DNS_PORTS = (53, 5353)
"""OpenShift's DNS listens on 5353 behind the Service's port 53, and a policy sees the Pod's."""

_NODE_LOCAL = "169.254.20.10/32"
"""NodeLocal DNSCache
(kubernetes/website@content/en/docs/tasks/administer-cluster/nodelocaldns.md)."""

IDENTITY = ("169.254.169.254/32", "169.254.169.252/32", "169.254.170.23/32")
"""The metadata servers of the clouds, the port of GKE's, and the agent of EKS Pod Identity
(gke-labs/kube-agents#676, Smana/runlore#562)."""

_IDENTITY_PORTS = (80, 988, 8080)

_LINK_LOCAL = "169.254.0.0/16"


class Policy(Struct, frozen=True):
    """One NetworkPolicy over all Pods of the namespace; an empty list forbids everything.

    `wave` orders them: what is allowed comes before what is forbidden, so that nothing is cut off
    meanwhile.
    """

    name: str
    wave: str
    types: list[str]
    ingress: list[Json]
    egress: list[Json]


class Network(Aspect):
    """A policy for each need."""

    name = "networkPolicy"

    def environment_problems(self, environment: Environment) -> Iterator[Problem]:
        """Find needs that cannot be derived, and addresses that are none."""
        spec = environment.document.data.get("networkPolicy", {})
        if not spec:
            return
        yield from _addresses(environment.document, spec)
        for index, peer in enumerate(spec.get("egressTo", ())):
            if len({"namespace", "cidr"} & peer.keys()) != 1:
                message = "a peer is a namespace of the cluster or a range of addresses"
                hint = "write one of `namespace` and `cidr`"
                pointer = ("networkPolicy", "egressTo", index)
                yield environment.document.problem("E303", message, pointer, hint=hint)
        if spec["enabled"]:
            yield from _unknown(environment, spec)

    def platform(self, environment: Environment) -> Iterator[Piece]:
        """List the policies."""
        for policy in policies(environment.document):
            name = f"network-policy-{policy.name}.yaml"
            yield Piece(name, "platform/network-policy.yaml.j2", {"network_policy": policy})

    def platform_kinds(self, environment: Environment) -> tuple[Kind, ...]:
        """List the NetworkPolicy."""
        found = policies(environment.document)
        return (Kind("networking.k8s.io", "NetworkPolicy"),) if found else ()


def _addresses(document: Document, spec: Json) -> Iterator[Problem]:
    said: list[tuple[tuple[str | int, ...], str]] = [
        (("storage", index), cidr) for index, cidr in enumerate(spec.get("storage", ()))
    ]
    said += [
        (("egressTo", index, "cidr"), peer["cidr"])
        for index, peer in enumerate(spec.get("egressTo", ()))
        if "cidr" in peer
    ]
    for place, cidr in said:
        try:
            exact = str(ipaddress.ip_network(cidr, strict=False))
        except ValueError:
            exact = ""
        if exact != cidr:
            message = f"`{cidr}` is not a range of addresses"
            hint = f"did you mean `{exact}`?" if exact else "write for example `10.0.0.0/8`"
            yield document.problem("E204", message, ("networkPolicy", *place), hint=hint)


def _unknown(environment: Environment, spec: Json) -> Iterator[Problem]:
    """Ask for the namespaces that the environment does not tell in other words."""
    document, callers = environment.document, spec.get("ingressFrom")
    if environment.gateway is None and callers is None:
        what = "Knative's ingress" if environment.mode == "Knative" else "whoever sends requests"
        message = f"nobody says where {what} runs, so that no request would arrive"
        hint = "add `ingressFrom: [<namespace>]`, such as `istio-system` or `kourier-system`"
        yield document.problem("Q107", message, ("networkPolicy",), hint=hint, key=True)
    scraper = environment.prometheus
    if scraper and not addresses.namespace_of(scraper) and callers is None:
        message = (
            f"the address {scraper} does not tell the namespace of Prometheus, "
            "which could read no metrics"
        )
        hint = "add `ingressFrom: [monitoring]`, or write the address as `http://<service>.<namespace>`"
        yield document.problem("Q107", message, ("networkPolicy",), hint=hint, key=True)


@lru_cache(256)
def policies(document: Document) -> tuple[Policy, ...]:
    """Resolve an environment's policies; none unless they are enabled."""
    spec = document.data.get("networkPolicy", {})
    if not spec.get("enabled"):
        return ()
    return tuple(_policies(document.data, spec))


def _policies(data: Json, spec: Json) -> Iterator[Policy]:
    within: list[Json] = [{"podSelector": {}}]
    yield Policy("allow-within", "0", _BOTH, [{"from": within}], [{"to": within}])
    callers = dict.fromkeys([*_callers(data), *spec.get("ingressFrom", ())])
    yield _incoming("allow-requests", callers)
    prometheus = data["platform"].get("prometheus", {})
    scraper = addresses.namespace_of(prometheus.get("address", ""))
    if scraper:
        yield _incoming("allow-metrics", [scraper])
    pushed = addresses.namespace_of(prometheus.get("pushgateway", ""))
    if pushed:
        yield _outgoing("allow-pushgateway", [{"to": [_namespace(pushed)]}])
    yield _outgoing("allow-dns", [_of_dns()])
    yield _outgoing("allow-storage", list(_of_storage(spec)))
    if spec.get("cloudIdentity"):
        yield _outgoing("allow-cloud-identity", [_to(_blocks(IDENTITY), _IDENTITY_PORTS)])
    if "egressTo" in spec:
        yield _outgoing("allow-more", [_of_peer(peer) for peer in spec["egressTo"]])
    yield Policy("deny-by-default", "1", _BOTH, [], [])


_BOTH = ["Ingress", "Egress"]


def _callers(data: Json) -> Iterator[str]:
    """Name the namespaces whose Pods send requests to models."""
    kserve = data["platform"]["kserve"]
    if "gateway" in kserve:
        yield kserve["gateway"]["namespace"]
    if kserve["mode"] == "Knative":
        yield KNATIVE
    interceptor = data["platform"].get("keda", {}).get("httpAddon")
    if interceptor is not None:
        yield interceptor.get("namespace", "keda")


def _incoming(name: str, callers: Any) -> Policy:
    return Policy(name, "0", ["Ingress"], [{"from": [_namespace(each) for each in callers]}], [])


def _outgoing(name: str, rules: list[Json]) -> Policy:
    return Policy(name, "0", ["Egress"], [], rules)


def _namespace(name: str) -> Json:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def _of_dns() -> Json:
    asked = [_namespace("kube-system"), *_blocks((_NODE_LOCAL,))]
    ports = [{"port": port, "protocol": name} for port in _DNS_PORTS for name in ("UDP", "TCP")]
    return {"to": asked, "ports": ports}


def _of_storage(spec: Json) -> Iterator[Json]:
    """Everything outside on port 443, but nothing of the node's own addresses."""
    if "storage" in spec:
        yield _to(_blocks(spec["storage"]), (443,))
    else:
        anything = {"ipBlock": {"cidr": "0.0.0.0/0", "except": [_LINK_LOCAL]}}
        yield _to([anything, {"ipBlock": {"cidr": "::/0", "except": ["fe80::/10"]}}], (443,))


def _of_peer(peer: Json) -> Json:
    is_inside = "namespace" in peer
    found = [_namespace(peer["namespace"])] if is_inside else _blocks((peer["cidr"],))
    return _to(found, peer["ports"])


def _to(peers: list[Json], ports: Any) -> Json:
    return {"to": peers, "ports": [{"port": port, "protocol": "TCP"} for port in ports]}


def _blocks(ranges: Any) -> list[Json]:
    return [{"ipBlock": {"cidr": cidr}} for cidr in ranges]
