"""Rules of the route before the versions, where own templates write it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from generator.documents import Json
from generator.records import Release
from generator.rules import Book, Scene, Spot
from generator.rules.fields import at, entries, name_of, number, text
from generator.rules.kserve.accessors import LOCAL, MODE, VISIBILITY, services, variant_of
from generator.yamlio import Pointer

BOOK = Book("canary")

_SERVICES = "kserve/kserve@pkg/controller/v1beta1/inferenceservice/reconcilers/service"
_API = "kubernetes-sigs/gateway-api@apis/v1/httproute_types.go"

Backend = tuple[Pointer, Json]
_AT_COPY = ("requestMirror", "backendRef")


def _backends(route: Json) -> Iterator[Backend]:
    """Give the Services that a route leads to, or sends copies to."""
    for rule, spec in entries(route, "spec", "rules"):
        for place, backend in (*_answering(spec), *_copied(spec)):
            if backend.get("kind", "Service") == "Service":
                yield ("spec", "rules", rule, *place), backend


def _answering(rule: Json) -> list[Backend]:
    return [(("backendRefs", index), each) for index, each in entries(rule, "backendRefs")]


def _copied(rule: Json) -> list[Backend]:
    """Give the Services that a rule sends copies to."""
    found: list[tuple[Pointer, Any]] = [
        (("filters", index, *_AT_COPY), at(each, *_AT_COPY))
        for index, each in entries(rule, "filters")
    ]
    return [(place, backend) for place, backend in found if isinstance(backend, dict)]


_NOWHERE = BOOK.error(
    "C012",
    "A route to a Service that KServe does not make answers with 500.",
    evidence=f"{_SERVICES}, {_API}",
    remedy="Name `<InferenceService>-predictor` of a live version, as `variant.service` does.",
)


@_NOWHERE.on_objects("HTTPRoute")
def _route_to_nowhere(item: Json, scene: Scene) -> Iterator[Spot]:
    release = scene.release
    if release is None or release.strategy != "route":
        return
    known = {name for name, _, _ in services(scene)}
    known |= {name_of(each) for each in scene.of_kind("Service")}
    lost = [
        (place, text(backend, "name"))
        for place, backend in _backends(item)
        if text(backend, "name") not in known
        and text(backend, "name").startswith(f"{release.model}-")
    ]
    if lost:
        usable = ", ".join(f"`{variant.service}`" for variant in release.in_order)
        names = " or ".join(dict.fromkeys(f"`{name}`" for _, name in lost))
        message = f"nobody makes the Service {names}, so requests would end in 500"
        yield Spot(message, (*lost[0][0], "name"), f"the live versions are {usable}")


_PORT = BOOK.error(
    "C013",
    "KServe's Services have port 80, whatever the model's container listens on.",
    evidence=f"{_SERVICES}, kserve/kserve@pkg/constants/constants.go",
    remedy="Write `port: 80`.",
)


@_PORT.on_objects("HTTPRoute")
def _route_to_another_port(item: Json, scene: Scene) -> Iterator[Spot]:
    known = {name for name, _, _ in services(scene)}
    for place, backend in _backends(item):
        port = at(backend, "port")
        if text(backend, "name") in known and port != 80:
            message = f"KServe's Service `{backend['name']}` has port 80 and no {port}"
            yield Spot(message, (*place, "port"), "write `port: 80`")


_NOBODY = BOOK.error(
    "C014",
    "A rule whose backends all have weight 0 answers every request with 500.",
    evidence=_API,
    remedy="Give the version that serves a weight above 0.",
)


@_NOBODY.on_objects("HTTPRoute")
def _route_without_weight(item: Json, scene: Scene) -> Iterator[Spot]:
    for index, rule in entries(item, "spec", "rules"):
        backends = entries(rule, "backendRefs")
        if backends and not any(number(each, "weight", default=1) for _, each in backends):
            message = "all weights are 0, so every request would be refused"
            yield Spot(message, ("spec", "rules", index, "backendRefs"), "raise one of them")


_SPLIT = BOOK.error(
    "C015",
    "An own route that does not split as the model's document says makes that a lie.",
    evidence="kserve/kserve#4074",
    remedy="Take the weights from `variant.traffic`, as the built-in template does.",
)


def _shares(rule: Json) -> dict[str, float]:
    """Tell which part of the requests each Service gets."""
    weights: dict[str, int] = {}
    for _, backend in entries(rule, "backendRefs"):
        name = text(backend, "name").removesuffix("-transformer").removesuffix("-predictor")
        weights[name] = weights.get(name, 0) + number(backend, "weight", default=1)
    total = sum(weights.values()) or 1
    return {name: weight / total for name, weight in weights.items() if weight}


def _wanted(release: Release) -> dict[str, float]:
    return {each.name: each.traffic / 100 for each in release.variants if each.traffic}


@_SPLIT.on_objects("HTTPRoute")
def _route_that_splits_otherwise(item: Json, scene: Scene) -> Iterator[Spot]:
    release = scene.release
    hosts = at(item, "spec", "hostnames")
    if release is None or not release.host or not isinstance(hosts, list):
        return
    if release.host not in hosts:
        return
    found = [_shares(rule) for _, rule in entries(item, "spec", "rules")]
    live = [shares for shares in found if shares.keys() <= {v.name for v in release.variants}]
    if live and _wanted(release) not in live and any(live):
        message = f"{_words(live[0])} is not what the document says: {_words(_wanted(release))}"
        place = ("spec", "rules", found.index(live[0]), "backendRefs")
        yield Spot(message, place, "write `weight: {{ variant.traffic }}` for every variant")


def _words(shares: dict[str, float]) -> str:
    return ", ".join(f"{share:.0%} for {name}" for name, share in sorted(shares.items()))


_LEFT_OUT = BOOK.error(
    "C032",
    "An own route that leaves out the shadow or the canary's header makes the document a lie.",
    evidence=_API,
    remedy="Take both from the built-in template: `{{ mirror }}` as filters of every rule, and a "
    "rule with `{{ release.canary.header.name }}`.",
)


@_LEFT_OUT.on_objects("HTTPRoute")
def _route_that_leaves_something_out(item: Json, scene: Scene) -> Iterator[Spot]:
    release = scene.release
    if release is None or release.host not in (at(item, "spec", "hostnames") or ()):
        return
    rules = [rule for _, rule in entries(item, "spec", "rules")]
    shadow, canary = release.shadow, release.canary
    if release.strategy == "experiment":
        shadow = None  # the copies are Seldon's
    asked = [rule for rule in rules if not _explains(rule)]
    if shadow and not all(shadow.service in _mirrors(rule) for rule in asked):
        message = f"not every rule copies its requests to {shadow.artifact.version}, the shadow"
        yield Spot(message, ("spec", "rules"), "add `filters: {{ mirror }}` to each rule")
    if canary and canary.header and canary.header.name.lower() not in _headers(rules):
        message = f"no rule looks at `{canary.header.name}`, which leads to the canary"
        yield Spot(message, ("spec", "rules"), "add the rule of the built-in template")


def _explains(rule: Json) -> bool:
    """Say whether a rule leads to explainers alone: an explanation is no answer to compare."""
    found = [text(backend, "name") for _, backend in entries(rule, "backendRefs")]
    return bool(found) and all(name.endswith("-explainer") for name in found)


def _mirrors(rule: Json) -> set[str]:
    """Name the Services that a rule copies its requests to."""
    return {text(backend, "name") for _, backend in _copied(rule)}


def _headers(rules: list[Json]) -> set[str]:
    """Name the headers that rules look at."""
    matches = (match for rule in rules for _, match in entries(rule, "matches"))
    found = (header for match in matches for _, header in entries(match, "headers"))
    return {text(header, "name").lower() for header in found}


_PAST = BOOK.error(
    "C016",
    "A route to the predictor leads past the transformer.",
    evidence="kserve/kserve#5944, "
    "kserve/kserve@pkg/controller/v1beta1/inferenceservice/reconcilers/ingress/"
    "httproute_reconciler.go",
    remedy="Replace the route too, and name `<InferenceService>-transformer` in it.",
)


@_PAST.on_objects("InferenceService")
def _past_the_transformer(item: Json, scene: Scene) -> Iterator[Spot]:
    if not entries(item, "spec", "transformer", "containers"):
        return
    name = name_of(item)
    routed = {
        text(backend, "name")
        for route in scene.of_kind("HTTPRoute")
        for _, backend in _backends(route)
    }
    if f"{name}-predictor" in routed and f"{name}-transformer" not in routed:
        message = f"the route leads to `{name}-predictor`: no request would meet the transformer"
        hint = "replace templates/overlay/http-route.yaml.j2, with the transformer's Service"
        yield Spot(message, ("spec", "transformer"), hint)


_ABROAD = BOOK.warning(
    "C017",
    "A route reaches a Service of another namespace only where a ReferenceGrant lets it.",
    evidence="kubernetes-sigs/gateway-api@apis/v1beta1/referencegrant_types.go",
    remedy="Remove `namespace`: the models' Services are beside their route.",
)


@_ABROAD.on_objects("HTTPRoute")
def _route_abroad(item: Json, scene: Scene) -> Iterator[Spot]:
    for place, backend in _backends(item):
        namespace = text(backend, "namespace")
        is_abroad = namespace and namespace != scene.environment.namespace
        if is_abroad and not any(_lets_in(each, namespace) for each in scene.around(_GRANT)):
            message = f"`{namespace}` has to allow this with a ReferenceGrant, which gen cannot see"
            yield Spot(message, (*place, "namespace"), "remove it")


_GRANT = "ReferenceGrant"


def _lets_in(grant: Json, namespace: str) -> bool:
    return text(grant, "metadata", "namespace") == namespace


_PUBLIC = BOOK.warning(
    "C018",
    "A version without the label `cluster-local` gets a public host of its own beside the route.",
    evidence="kserve/kserve@pkg/controller/v1beta1/inferenceservice/reconcilers/ingress/"
    "httproute_reconciler.go",
    remedy="Keep the label networking.kserve.io/visibility: cluster-local.",
)


@_PUBLIC.on_objects("InferenceService")
def _version_with_its_own_host(item: Json, scene: Scene) -> Iterator[Spot]:
    release = scene.release
    if release is None or release.strategy != "route" or variant_of(item, scene) is None:
        return
    if text(item, "metadata", "labels", VISIBILITY) != LOCAL:
        message = "KServe would publish this version on its own, past the weights of the route"
        yield Spot(message, ("metadata", "annotations", MODE), f"label it `{VISIBILITY}: {LOCAL}`")
