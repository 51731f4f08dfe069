"""Secrets of a namespace by reference: ExternalSecrets, which an operator turns into Secrets.

The values are in a store that the cluster knows; only their names are in Git. Defaults that the
API server would add within lists are written, because Argo CD would show them as a difference for
ever (external-secrets/external-secrets#6398).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

from msgspec import Struct

from generator.aspects.contract import Aspect, Kind, Piece
from generator.documents import Document, Json
from generator.inventory.records import Environment
from generator.problems import Problem
from generator.rules.fields import looks_secret
from generator.values import minors

_OLDEST = (0, 16)
"""The first with external-secrets.io/v1 (external-secrets/external-secrets#4670)."""

_NULL_BYTES_SINCE = (2, 3)
"""`nullBytePolicy` is added by the API server since (external-secrets/external-secrets#6398)."""


class Secret(Struct, frozen=True):
    """One ExternalSecret: `data` chooses values, `extracted` takes all; one of them is empty."""

    name: str
    refresh: str
    store: Json
    data: list[Json]
    extracted: list[Json]
    annotations: Mapping[str, str]


class Secrets(Aspect):
    """An ExternalSecret per entry of `secrets` that nobody else makes."""

    name = "secrets"

    def environment_problems(self, environment: Environment) -> Iterator[Problem]:
        """Find what cannot be fetched, and values that should not be here."""
        document = environment.document
        yield from _operator(document)
        for name, spec in document.data.get("secrets", {}).items():
            yield from _entry(document, name, spec)

    def platform(self, environment: Environment) -> Iterator[Piece]:
        """List the ExternalSecrets."""
        for secret in fetched(environment.document):
            file = f"external-secret-{secret.name}.yaml"
            yield Piece(file, "platform/external-secret.yaml.j2", {"external_secret": secret})

    def platform_kinds(self, environment: Environment) -> tuple[Kind, ...]:
        """List the ExternalSecret."""
        found = fetched(environment.document)
        return (Kind("external-secrets.io", "ExternalSecret"),) if found else ()


def _operator(document: Document) -> Iterator[Problem]:
    installed = document.data["platform"].get("externalSecrets")
    wanted = [n for n, each in document.data.get("secrets", {}).items() if not is_made(each)]
    if installed is None and wanted:
        message = f"`{wanted[0]}` is fetched by External Secrets Operator, which is not installed"
        hint = (
            'add `platform.externalSecrets: {version: "2.9", store: <store>}`, or write '
            "`existing: true` for what somebody else makes"
        )
        yield document.problem("E302", message, ("secrets", wanted[0]), hint=hint, key=True)
    if installed is not None and minors.parsed(installed["version"]) < _OLDEST:
        message = f"External Secrets {installed['version']} is older than what gen renders for"
        pointer = ("platform", "externalSecrets", "version")
        yield document.problem("V002", message, pointer, hint='upgrade it; "0.16" is the oldest')


def is_made(spec: Json) -> bool:
    """Say whether somebody else makes a Secret."""
    return bool(spec.get("existing", False))


def _entry(document: Document, name: str, spec: Json) -> Iterator[Problem]:
    pointer = ("secrets", name)
    others = [key for key in spec if key != "existing"]
    if is_made(spec) and others:
        message = "who says that a Secret exists says nothing of what is in it"
        hint = "remove it, or `existing: true`"
        yield document.problem("E303", message, (*pointer, others[0]), hint=hint, key=True)
    elif not is_made(spec) and "key" not in spec:
        message = "nobody says what the store calls it"
        yield document.problem("E302", message, pointer, hint=f"add `key: ml/{name}`", key=True)
    elif "secretKey" in spec and "properties" in spec:
        message = "`secretKey` is for one value without properties, and there are `properties`"
        yield document.problem("E303", message, (*pointer, "secretKey"), hint="keep one", key=True)
    for place, value in _texts(spec):
        if looks_secret(value):
            message = "this looks like the secret itself, and whoever reads the repository has it"
            hint = "revoke it, put the new one into the store, and write what the store calls it"
            yield document.problem("Q109", message, (*pointer, *place), hint=hint)


def _texts(spec: Json) -> Iterator[tuple[tuple[str, ...], str]]:
    if "key" in spec:
        yield ("key",), spec["key"]
    for block in ("properties", "annotations"):
        for key, value in spec.get(block, {}).items():
            yield (block, key), value


@lru_cache(256)
def fetched(document: Document) -> tuple[Secret, ...]:
    """Resolve the Secrets that the operator makes."""
    installed = document.data["platform"].get("externalSecrets", {})
    return tuple(
        _secret(name, spec, installed)
        for name, spec in document.data.get("secrets", {}).items()
        if not is_made(spec)
    )


def _secret(name: str, spec: Json, installed: Json) -> Secret:
    added = _added(installed)
    chosen = {spec["secretKey"]: None} if "secretKey" in spec else spec.get("properties", {})
    data = [
        {"secretKey": key, "remoteRef": {"key": spec["key"], **_property(value), **added}}
        for key, value in chosen.items()
    ]
    kind = installed.get("storeKind", "ClusterSecretStore")
    return Secret(
        name=name,
        refresh=spec.get("refresh", "1h"),
        store={"kind": kind, "name": installed["store"]},
        data=data,
        extracted=[] if data else [{"extract": {"key": spec["key"], **added}}],
        annotations=spec.get("annotations", {}),
    )


def _property(value: str | None) -> Json:
    return {} if value is None else {"property": value}


def _added(installed: Json) -> Json:
    """Give what the API server would add to a reference."""
    defaults = {"conversionStrategy": "Default", "decodingStrategy": "None"}
    nulls = minors.parsed(installed["version"]) >= _NULL_BYTES_SINCE
    return {
        **defaults,
        "metadataPolicy": "None",
        **({"nullBytePolicy": "Ignore"} if nulls else {}),
    }
