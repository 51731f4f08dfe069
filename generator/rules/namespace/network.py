"""Rules of NetworkPolicies: what models need of the network that their environment forbids."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from generator.aspects.network import policies
from generator.documents import Json
from generator.inventory.records import Environment
from generator.records import Release
from generator.rules import Book, Finding
from generator.rules.places import at_setting, in_environment, in_version
from generator.training.runs import Training
from generator.values import addresses

BOOK = Book("namespace")

BOOK.error(
    "Q107",
    "A network policy that does not know where requests come from lets none in.",
    evidence="kubernetes/website@content/en/docs/concepts/services-networking/network-policies.md, "
    "knative/serving#12466",
    remedy="Name the namespaces in `networkPolicy.ingressFrom`.",
)

_NO_IDENTITY = BOOK.warning(
    "Q121",
    "A service account gets its identity in the cloud from an address that the policy forbids.",
    evidence="gke-labs/kube-agents#676, kubernetes-sigs/agent-sandbox#815",
    remedy="Write `networkPolicy.cloudIdentity: true`. On GKE's Dataplane V2 the policy sees the "
    "node instead: allow port 988 of the nodes' addresses in `networkPolicy.egressTo`.",
)
_BY_METADATA = ("iam.gke.io/gcp-service-account",)
"""Who reads its token from the metadata server; others get it as a file and ask over HTTPS."""


@_NO_IDENTITY.on_release_with("account", "environment.networkPolicy")
def _no_identity(release: Release) -> Iterator[Finding]:
    spec = _enabled(release.environment)
    asked = [key for key in _BY_METADATA if key in release.serving.service_account_annotations]
    if spec is not None and asked and not spec.get("cloudIdentity"):
        message = (
            f"`{asked[0]}` takes effect by the metadata server of the node, which the network "
            f"policy of {release.environment.name} forbids"
        )
        hint = "write `networkPolicy: {enabled: true, cloudIdentity: true}` in the environment"
        pointer = ("serving", "serviceAccount", "annotations", asked[0])
        yield at_setting(release, pointer, message, hint)


_UNREACHABLE = BOOK.warning(
    "Q122",
    "A model is fetched from an address or a port that the network policy forbids.",
    evidence="kubernetes/website@content/en/docs/concepts/services-networking/network-policies.md",
    remedy="Allow it in `networkPolicy.egressTo`.",
)
_ADDRESS = re.compile(r"(https?|hdfs|webhdfs)://([^/:]+)(?::([0-9]+))?(?:/.*)?")
_PORTS = {"http": 80, "https": 443, "hdfs": 8020, "webhdfs": 9870}


@_UNREACHABLE.on_release_with("environment.networkPolicy")
def _unreachable(release: Release) -> Iterator[Finding]:
    spec = _enabled(release.environment)
    for variant in release.variants if spec is not None else ():
        found = _forbidden(release.environment, variant.artifact.uri)
        if found:
            message, hint = found
            yield in_version(
                release, variant, ("uri",), f"{message}: the model would never be loaded", hint
            )


_UNREACHED = BOOK.warning(
    "Q130",
    "What trains or looks for drift asks an address or a port that the network policy forbids.",
    evidence="kubernetes/website@content/en/docs/concepts/services-networking/network-policies.md",
    remedy="Allow it in `networkPolicy.egressTo`.",
)


@_UNREACHED.on_release_with("drift")
def _unreached_by_a_check(release: Release) -> Iterator[Finding]:
    check = release.facts.get("drift")
    if check is not None:
        yield from _asked(release, "drift", check.addresses, "")
        yield from _asked(release, "drift", check.env, "env")


@_UNREACHED.on_release_with("training")
def _unreached_by_a_run(release: Release) -> Iterator[Finding]:
    training: Training | None = release.facts.get("training")
    if training is not None:
        yield from _asked(release, "training", training.env, "env")


def _asked(release: Release, block: str, values: Mapping[str, str], key: str) -> Iterator[Finding]:
    """Find addresses among values, which stand below a key of a block."""
    for name, value in values.items() if _enabled(release.environment) is not None else ():
        found = _forbidden(release.environment, value)
        if found:
            pointer = (block, *filter(None, (key,)), name)
            yield at_setting(release, pointer, *found)


@_UNREACHED.on_environment
def _no_gateway_that_is_pushed_to(environment: Environment) -> Iterator[Finding]:
    """Find a Pushgateway whose namespace nobody can tell, so that no policy is made for it."""
    has_checks = "drift" in environment.document.data["platform"]
    found = _forbidden(environment, _pushgateway(environment)) if has_checks else None
    if found:
        pointer = ("platform", "prometheus", "pushgateway")
        yield in_environment(environment, pointer, *found)


def _pushgateway(environment: Environment) -> str:
    platform: Json = environment.document.data["platform"]
    return str(platform.get("prometheus", {}).get("pushgateway", ""))


def _forbidden(environment: Environment, address: str) -> tuple[str, str] | None:
    """Say why an address is out of reach, and what to add; None if it is within."""
    spec, found = _enabled(environment), _ADDRESS.fullmatch(address)
    if found is None or spec is None:
        return None
    host, port = found[2], int(found[3] or _PORTS[found[1]])
    namespace, pushed = addresses.namespace_of(address), _pushgateway(environment)
    open_to = (environment.namespace, addresses.namespace_of(pushed))
    is_near = "." not in host or host.startswith("127.") or (namespace and namespace in open_to)
    is_outside = port == _PORTS["https"] and ".svc" not in host
    if is_near or is_outside or _is_allowed(spec, namespace, port):
        return None
    message = (
        f"port {port} of {host} is nothing that the network policy of {environment.name} allows"
    )
    peer = f"namespace: {namespace}" if namespace else "cidr: <range>"
    return message, f"add `egressTo: [{{{peer}, ports: [{port}]}}]` to `networkPolicy`"


def _is_allowed(spec: Json, namespace: str, port: int) -> bool:
    """Say whether some peer could be the one; who has which address, nobody knows here."""
    peers = [peer for peer in spec.get("egressTo", ()) if port in peer["ports"]]
    if namespace:
        return any(peer.get("namespace", namespace) == namespace for peer in peers)
    return any("cidr" in peer for peer in peers)


_NO_API = BOOK.warning(
    "Q123",
    "What watches Pods or makes runs asks the API server, which the network policy forbids.",
    evidence="kserve/kserve@config/llmisvcconfig/config-llm-scheduler.yaml, "
    "kubernetes/website@content/en/docs/concepts/services-networking/network-policies.md",
    remedy="Allow the API server's address in `networkPolicy.egressTo`.",
)


@_NO_API.on_release_with("kserve-llm")
def _no_api_for_the_picker(release: Release) -> Iterator[Finding]:
    if release.serving.backend == "kserve-llm":
        message = "the endpoint picker of a language model watches its Pods through the API server"
        yield from _without_api(release, ("serving", "backend"), message)


@_NO_API.on_release_with("training")
def _no_api_for_runs(release: Release) -> Iterator[Finding]:
    training: Training | None = release.facts.get("training")
    if training is not None and training.creator is not None:
        key = "schedule" if training.schedule else "onDrift"
        message = "what starts a run by itself does it through the API server"
        yield from _without_api(release, ("training", key), message)


def _without_api(release: Release, pointer: tuple[str, ...], why: str) -> Iterator[Finding]:
    spec = _enabled(release.environment)
    if spec is not None and not any("cidr" in peer for peer in spec.get("egressTo", ())):
        name = release.environment.name
        message = f"{why}, and the network policy of {name} allows no address of it"
        hint = "add `egressTo: [{cidr: <its address>/32, ports: [443, 6443]}]` to `networkPolicy`"
        yield at_setting(release, pointer, message, hint)


_NOBODY = BOOK.warning(
    "Q129",
    "A gateway's proxies may run in another namespace than the Gateway, and then reach no Pod.",
    evidence="envoyproxy/gateway#1067, "
    "envoyproxy/gateway@site/content/en/latest/tasks/operations/gateway-namespace-mode.md",
    remedy="Name the namespace of the proxies in `networkPolicy.ingressFrom`; name the Gateway's "
    "own if they run there.",
)


@_NOBODY.on_environment
def _nobody(environment: Environment) -> Iterator[Finding]:
    spec, gateway = _enabled(environment), environment.gateway
    if spec is not None and gateway is not None and "ingressFrom" not in spec:
        message = (
            f"requests are let in from `{gateway.namespace}`, the Gateway's namespace, and some "
            "gateways run their proxies elsewhere"
        )
        hint = (
            "add `ingressFrom: [envoy-gateway-system]` for Envoy Gateway, or "
            f"`ingressFrom: [{gateway.namespace}]` where they run beside the Gateway"
        )
        yield in_environment(environment, ("networkPolicy",), message, hint)


def _enabled(environment: Environment) -> Json | None:
    spec: Json = environment.document.data.get("networkPolicy", {})
    return spec if policies(environment.document) else None
