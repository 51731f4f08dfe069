"""Rules of what a namespace grants and forbids, beside what its models ask for."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from generator.aspects.secrets import is_made
from generator.backends import registry as backends
from generator.documents import Json
from generator.inventory import namespaces
from generator.inventory.records import Environment
from generator.records import Release
from generator.rules import Book, Finding, Step
from generator.rules.changes.transitions import about, both
from generator.rules.places import at_setting, in_environment, in_version
from generator.schema import suggestion
from generator.serving import language_models
from generator.serving.language_models import LanguageModel
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
    "What mounts a claim that the environment does not have never starts.",
    evidence="kserve/kserve@pkg/utils/storage.go",
    remedy="Name one of the environment's `volumes`, or add it there.",
)
_PVC = "pvc://"


@_NO_CLAIM.on_release_with("environment.volumes", "pvc:")
def _no_claim(release: Release) -> Iterator[Finding]:
    known = namespaces.claims(release.environment.document)
    for variant in release.variants if known else ():
        name = _claim(variant.artifact.uri)
        if name and name not in known:
            message = f"{release.environment.name} has no volume `{name}`"
            yield in_version(release, variant, ("uri",), message, suggestion(name, known))


@_NO_CLAIM.on_release_with("drift")
def _no_claim_of_a_check(release: Release) -> Iterator[Finding]:
    known = namespaces.claims(release.environment.document)
    check = release.facts.get("drift")
    for key, address in check.addresses.items() if known and check else ():
        name = _claim(address)
        if name and name not in known:
            message = f"{release.environment.name} has no volume `{name}`"
            yield at_setting(release, ("drift", key), message, suggestion(name, known))


def _claim(address: str) -> str:
    return address.removeprefix(_PVC).partition("/")[0] if address.startswith(_PVC) else ""


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


@_UNKNOWN.on_step
def _taken_away(step: Step) -> Iterator[Finding]:
    """Find what is named and made no more, where nobody would judge it as it stands."""
    pair = both(step)
    if pair is None:
        return
    after = pair[1]
    for key, block in _SOURCES.items():
        made, now = (_made(each.environment, block) for each in pair)
        known: Json | None = after.environment.document.data.get(block)
        for pointer, name, _ in _named(after, key):
            if name in made and name not in now and (known is None or name in known):
                what = "Secret" if block == "secrets" else "ConfigMap"
                message = (
                    f"{after.environment.name} makes no {what} `{name}` any more: it is deleted, "
                    "and Pods that name it never start again"
                )
                hint = f"put `{block}.{name}` back, or name another one here first"
                yield about(at_setting(after, pointer, message, hint), after)


def _made(environment: Environment, block: str) -> set[str]:
    """Name the Secrets or ConfigMaps that an environment itself makes."""
    said: Json = environment.document.data.get(block, {})
    return {name for name in said if not (block == "secrets" and is_made(said[name]))}


def _keys(spec: Json) -> list[str]:
    """List the keys of a Secret; empty where only the store knows."""
    if is_made(spec):
        return []
    return [spec["secretKey"]] if "secretKey" in spec else list(spec.get("properties", ()))


# Pod Security

_REFUSED = BOOK.warning(
    "Q120",
    "A Pod that breaks the Pod Security Standard which its namespace enforces is refused.",
    evidence="kubernetes/website@content/en/docs/concepts/security/pod-security-standards.md, "
    "kserve/kserve#5373, kserve/kserve#6144, "
    "kserve/kserve@config/runtimes/kserve-sklearnserver.yaml, "
    "kserve/kserve@config/llmisvcconfig/config-llm-worker-data-parallel.yaml, "
    "kubeflow/trainer@manifests/base/runtimes/torch_distributed.yaml",
    remedy="Enforce a wider standard and `warn` of the narrower one. If runtimes and presets of "
    "the cluster have a security context that is fit, silence this rule.",
)
_PRIVILEGED, _RESTRICTED = "privileged", "restricted"


@_REFUSED.on_release_with("environment.podSecurity")
def _refused(release: Release) -> Iterator[Finding]:
    said: Json = release.environment.document.data.get("podSecurity", {})
    standard = said.get("enforce", _PRIVILEGED)
    found = list(_spread_over_pods(release, standard)) if standard != _PRIVILEGED else []
    yield from found
    if standard == _RESTRICTED and not found:
        yield from _serving_pods(release)
        yield from _training_pods(release)


def _spread_over_pods(release: Release, standard: str) -> Iterator[Finding]:
    """Find the presets that let vLLM pin memory for RDMA, which no Pod of `baseline` may."""
    facts: LanguageModel | None = release.facts.get(language_models.FACTS)
    parts = (("parallelism", facts.decode), ("prefill", facts.prefill)) if facts else ()
    for key, part in parts:
        if part is not None and part.parallelism.is_distributed:
            message = (
                f"{release.environment.name} enforces the {standard} standard, and KServe's preset "
                "for a replica of several Pods adds IPC_LOCK, SYS_RAWIO and NET_RAW: every Pod is "
                "refused"
            )
            hint = "write `podSecurity: {enforce: privileged, warn: baseline}` in the environment"
            yield at_setting(release, ("serving", "llm", key), message, hint)
            return


_KSERVES = "KServe's"
_MAKERS = {"kserve": _KSERVES, "kserve-llm": _KSERVES, "graph": _KSERVES, "seldon": "Seldon's"}
"""Whose containers serve what a spec does not describe itself."""


def _serving_pods(release: Release) -> Iterator[Finding]:
    backend, own = release.serving.backend, release.facts.get("container_security")
    name = release.environment.name
    if backend in _MAKERS and any(True for _ in backends.of_release(release).made(release)):
        message = (
            f"{name} enforces the restricted standard, and {_MAKERS[backend]} containers have no "
            "seccomp profile: every Pod is refused"
        )
        yield at_setting(release, ("serving", "backend"), message, _WIDER)
    elif own is not None and own.pod.get("runAsNonRoot") is False:
        message = f"{name} enforces the restricted standard, which refuses root"
        pointer = ("serving", "security", "runAsNonRoot")
        yield at_setting(release, pointer, message, "let the image run as another user")


_WIDER = "write `podSecurity: {enforce: baseline, warn: restricted}` in the environment"


def _training_pods(release: Release) -> Iterator[Finding]:
    """Look at models whose own Pods are fit: of others one finding is enough."""
    if release.serving.backend not in _MAKERS and "training" in release.facts:
        message = (
            f"{release.environment.name} enforces the restricted standard, and the Pods of a run "
            "have no security context: all of them are refused"
        )
        yield at_setting(release, ("training",), message, _WIDER)


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
