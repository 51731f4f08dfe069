"""Rules of what a namespace grants and forbids, beside what its models ask for."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from generator.aspects.secrets import is_made
from generator.inventory import namespaces
from generator.records import Environment, Json, Release, Variant
from generator.rules import Book, Finding
from generator.rules.places import at_setting, in_environment, in_version
from generator.schema import suggestion
from generator.values import quantities

BOOK = Book("namespace")

BOOK.error(
    "Q106",
    "A LimitRange has its bounds in order: the minimum, the defaults, the maximum.",
    evidence="kubernetes/kubernetes@pkg/apis/core/validation/validation.go",
    remedy="Lower the one, or raise the other.",
)

BOOK.error(
    "Q108",
    "A role for everybody who reaches the API server is no role.",
    evidence="kubernetes/website@content/en/docs/concepts/security/rbac-good-practices.md",
    remedy="Name a group of people.",
)

BOOK.error(
    "Q109",
    "A secret in Git stays readable in its history: the inventory names where it is, and no more.",
    evidence="kubernetes/website@content/en/docs/concepts/configuration/secret.md",
    remedy="Put it into the store, and write what the store calls it.",
)

# Volumes

_NO_CLAIM = BOOK.error(
    "Q117",
    "A model is read from a claim that the environment does not have: its Pods never start.",
    evidence="kserve/kserve@pkg/utils/storage.go",
    remedy="Name one of the environment's `volumes`, or add it there.",
)
_PVC = "pvc://"


@_NO_CLAIM.on_release
def _no_claim(release: Release) -> Iterator[Finding]:
    known = namespaces.claims(release.environment.document)
    for variant in release.variants if known else ():
        name = _claim_of(variant)
        if name and name not in known:
            message = f"{release.environment.name} has no volume `{name}`"
            yield in_version(release, variant, ("uri",), message, suggestion(name, known))


def _claim_of(variant: Variant) -> str:
    uri = variant.artifact.uri
    return uri.removeprefix(_PVC).partition("/")[0] if uri.startswith(_PVC) else ""


_TOO_MUCH = BOOK.error(
    "Q125",
    "Claims beyond a namespace's ResourceQuota are refused, and so are the models that use them.",
    evidence="kubernetes/website@content/en/docs/concepts/policy/resource-quotas.md",
    remedy="Raise `resourceQuota`, or ask for less.",
)


@_TOO_MUCH.on_environment
def _too_much(environment: Environment) -> Iterator[Finding]:
    found = namespaces.claims(environment.document)
    size = sum((quantities.parse(claim.size) for claim in found.values()), Fraction(0))
    lines = {each.key: each for each in namespaces.hard(environment.document)}
    for key, asked, what in (
        ("persistentvolumeclaims", Fraction(len(found)), f"there are {len(found)} `volumes`"),
        ("requests.storage", size, f"the `volumes` ask for {_told(size)} together"),
    ):
        line = lines.get(key)
        if line is not None and quantities.parse(line.amount) < asked:
            message = f"{what}, and {line.amount} is allowed"
            hint = f"raise it to {_told(asked) if key == 'requests.storage' else asked}"
            yield in_environment(environment, line.pointer, message, hint)


def _told(size: Fraction) -> str:
    gibibytes = size / 2**30
    return f"{gibibytes}Gi" if gibibytes.denominator == 1 else str(size)


# Secrets and ConfigMaps

_UNKNOWN = BOOK.error(
    "Q119",
    "A Pod that names a Secret or ConfigMap which its namespace does not have never starts.",
    evidence="kubernetes/website@content/en/docs/concepts/configuration/secret.md",
    remedy="Name one of the environment's `secrets` or `configMaps`, or add it there; write "
    "`existing: true` for what somebody else makes.",
)
_SOURCES = {"secrets": "secrets", "config": "configMaps"}
"""The key of `serving`, and that of the environment; one that has no such key is not judged."""


@_UNKNOWN.on_release
def _unknown(release: Release) -> Iterator[Finding]:
    data = release.environment.document.data
    for key, block in _SOURCES.items():
        if block in data:
            for pointer, name, entry in _named(release, key):
                yield from _missing(release, pointer, name, entry, block)


_Named = tuple[tuple[str, ...], str, str]
"""Where a name stands, the name, and the key of it that is asked for; empty for all of them."""


def _named(release: Release, key: str) -> Iterator[_Named]:
    """List what a model names, each where it was decided."""
    found: dict[tuple[str, ...], str] = {}
    for layer in release.layers:
        for block in ("serving", "training"):
            said: Json = layer.data.get(block, {}).get(key, {})
            for kind in ("variables", "files"):
                for target, reference in said.get(kind, {}).items():
                    found[block, key, kind, target] = reference
    for pointer, reference in found.items():
        name, _, entry = reference.partition("/")
        yield pointer, name, entry
    for name in release.serving.service_account_secrets if key == "secrets" else ():
        yield ("serving", "serviceAccount", "secrets"), name, ""


def _missing(
    release: Release, pointer: tuple[str, ...], name: str, entry: str, block: str
) -> Iterator[Finding]:
    known: Json = release.environment.document.data[block]
    what = "Secret" if block == "secrets" else "ConfigMap"
    if name not in known:
        message = f"environment {release.environment.name} has no {what} `{name}`"
        yield at_setting(release, pointer, message, suggestion(name, known))
        return
    keys = _keys(known[name]) if block == "secrets" else list(known[name])
    if entry and keys and entry not in keys:
        message = f"{what} `{name}` of {release.environment.name} has no key `{entry}`"
        yield at_setting(release, pointer, message, suggestion(entry, keys))


def _keys(spec: Json) -> list[str]:
    """List the keys of a Secret; empty where only the store knows."""
    if is_made(spec):
        return []
    return [spec["secretKey"]] if "secretKey" in spec else list(spec.get("properties", ()))


# Pod Security

_RESTRICTED = BOOK.warning(
    "Q120",
    "Pods that are not made for the restricted standard are refused where it is enforced.",
    evidence="kserve/kserve#5373, kserve/kserve#6144, "
    "kserve/kserve@config/runtimes/kserve-sklearnserver.yaml",
    remedy="Write `enforce: baseline` and `warn: restricted`. If the cluster's runtimes and "
    "storage containers have a security context that is fit, silence this rule.",
)


@_RESTRICTED.on_release
def _restricted(release: Release) -> Iterator[Finding]:
    environment = release.environment
    if environment.document.data.get("podSecurity", {}).get("enforce") != "restricted":
        return
    own = release.facts.get("container_security")
    if release.serving.backend != "deployment":
        message = (
            f"{environment.name} enforces the restricted standard, and KServe's containers have no "
            "seccomp profile: every Pod is refused"
        )
        hint = "write `podSecurity: {enforce: baseline, warn: restricted}` in the environment"
        yield at_setting(release, ("serving", "backend"), message, hint)
    elif own is not None and own.pod.get("runAsNonRoot") is False:
        message = f"{environment.name} enforces the restricted standard, which refuses root"
        pointer = ("serving", "security", "runAsNonRoot")
        yield at_setting(release, pointer, message, "let the image run as another user")


# Amounts of containers

_SILENT_PROXY = BOOK.error(
    "Q124",
    "Knative's sidecar names no memory, and a namespace that counts memory refuses its Pods.",
    evidence="knative/serving@config/core/configmaps/deployment.yaml, kserve/kserve#1242",
    remedy="Add `limitRange.defaultRequest.memory`, which fills it in.",
)


@_SILENT_PROXY.on_environment
def _silent_proxy(environment: Environment) -> Iterator[Finding]:
    counted = {each.key: each for each in namespaces.hard(environment.document)}
    line = counted.get("requests.memory")
    filled = namespaces.limits(environment.document).request
    if environment.mode == "Knative" and line is not None and "memory" not in filled:
        message = (
            "Knative's queue-proxy requests no memory, so that with this no Pod of a revision is "
            "admitted to the namespace"
        )
        hint = "add `limitRange: {defaultRequest: {memory: 64Mi}}`, or remove it"
        yield in_environment(environment, line.pointer, message, hint)
