"""Rules of names, and of what KServe and Knative derive from them."""

from __future__ import annotations

from collections.abc import Iterator

from generator import naming
from generator.backends.kserve import KServe
from generator.documents import Json
from generator.records import Release
from generator.rules import Book, Finding, Scene, Spot
from generator.rules.fields import block, name_of, text
from generator.rules.kserve.accessors import LOCAL, VISIBILITY, canaries, components, is_standard
from generator.yamlio import Pointer

BOOK = Book("naming")

_CONSTANTS = "kserve/kserve@pkg/constants/constants.go"

BOOK.error(
    "N001",
    "Kubernetes takes 63 characters for a label or a Service, and KServe makes them longer.",
    evidence=f"{_CONSTANTS}, kubernetes/website@content/en/docs/concepts/overview/"
    "working-with-objects/names.md",
    remedy="Shorten the name of the model or of the version.",
)

BOOK.error(
    "N002",
    "KServe puts name and namespace into one part of the host, which takes 63 characters.",
    evidence="kserve/kserve#4807",
    remedy="Shorten the name of the model, of the version or of the namespace.",
)

_TAKEN = BOOK.error(
    "N003",
    "KServe makes this object by itself: two of one name overwrite each other.",
    evidence=f"{_CONSTANTS}, "
    "kserve/kserve@pkg/controller/v1beta1/inferenceservice/reconcilers/service",
    remedy="Give the object of the template another name.",
)


def _made(item: Json, scene: Scene) -> Iterator[tuple[str, str]]:
    """Give the kind and name of what KServe makes for an InferenceService."""
    name, standard = name_of(item), is_standard(item, scene)
    is_local = text(item, "metadata", "labels", VISIBILITY) == LOCAL
    for component, _ in components(item):
        yield "Service", f"{name}-{component}"
        if standard:
            yield "Deployment", f"{name}-{component}"
        if standard and not is_local:
            yield "HTTPRoute", f"{name}-{component}"
    if not is_local:
        yield ("HTTPRoute" if standard else "Service"), name
        yield ("Ingress" if standard else "VirtualService"), name


@_TAKEN.on_objects("Service", "Deployment", "HTTPRoute", "Ingress", "VirtualService")
def _made_by_kserve(item: Json, scene: Scene) -> Iterator[Spot]:
    own = (item["kind"], name_of(item))
    for each in scene.of_kind("InferenceService"):
        if own in _made(each, scene):
            message = f"KServe makes a {own[0]} `{own[1]}` for `{name_of(each)}` itself"
            hint = f"call it otherwise, such as `{own[1]}-extra`"
            yield Spot(message, ("metadata", "name"), hint)


_LONG = BOOK.error(
    "N004",
    "What KServe derives from the name in a template is longer than Kubernetes takes.",
    evidence=f"kserve/kserve#4807, {_CONSTANTS}",
    remedy="Shorten the name, or the one of the canary.",
)


def _derived(item: Json, namespace: str) -> Iterator[tuple[str, str]]:
    name = name_of(item)
    for _, what, derived in KServe().derived(name, namespace):
        yield what, derived
    parts = [part for part in ("transformer", "explainer") if block(item, "spec", part)]
    if block(item, "spec", "predictor", "workerSpec"):
        parts.append("predictor-worker")
    for part in (*parts, *(f"{each}-predictor" for each in _predictor_names(item))):
        yield "a label of its Pods", f"isvc.{name}-{part}"
        if part not in ("predictor-worker",):
            yield "a host of it", f"{name}-{part}-{namespace}"


def _predictor_names(item: Json) -> list[str]:
    own = text(item, "spec", "predictor", "name")
    others = (text(entry, "predictor", "name") for _, entry in canaries(item))
    return [name for name in (own, *others) if name]


@_LONG.on_objects("InferenceService")
def _name_that_is_too_long(item: Json, scene: Scene) -> Iterator[Spot]:
    namespace = text(item, "metadata", "namespace") or scene.environment.namespace
    what, longest = max(_derived(item, namespace), key=lambda each: len(each[1]))
    excess = len(longest) - naming.LABEL_LIMIT
    if excess > 0:
        message = f"{what} would be {longest}, {len(longest)} characters of at most 63"
        yield Spot(message, ("metadata", "name"), f"shorten what it is made of by {excess}")


_SAME = BOOK.error(
    "N005",
    "A predictor's name and a dash make the name of another InferenceService.",
    evidence=_CONSTANTS,
    remedy="Rename one of them: `a` with the predictor `b` makes what `a-b` makes.",
)


@_SAME.on_objects("InferenceService")
def _name_of_another(item: Json, scene: Scene) -> Iterator[Spot]:
    others = {name_of(each) for each in scene.of_kind("InferenceService")}
    for name in _predictor_names(item):
        derived = f"{name_of(item)}-{name}"
        if derived in others:
            message = f"`{name_of(item)}` with the predictor `{name}` makes what `{derived}` makes"
            yield Spot(message, _place_of(item, name), "give the predictor another name")


def _place_of(item: Json, name: str) -> Pointer:
    for index, entry in canaries(item):
        if text(entry, "predictor", "name") == name:
            return "spec", "canary", index, "predictor", "name"
    return "spec", "predictor", "name"


_KEPT = BOOK.error(
    "N006",
    "Kubernetes has an object of that name in every namespace, and this would take it over.",
    evidence="kubernetes/website@content/en/docs/concepts/security/service-accounts.md",
    remedy="Call the model otherwise.",
)


@_KEPT.on_release_with("account")
def _name_that_is_kept(release: Release) -> Iterator[Finding]:
    if release.model == "default" and release.serving.service_account:
        message = "the ServiceAccount `default` is of every Pod of the namespace, not of one model"
        hint = "call the model otherwise, or remove `serviceAccount`"
        yield Finding(message, release.document.where("name"), hint)


_VARIABLES = BOOK.warning(
    "N007",
    "Kubernetes tells every Pod of a Service in variables that some servers read as settings.",
    evidence="vllm-project/vllm@docs/configuration/env_vars.md, "
    "kubernetes/website@content/en/docs/tutorials/services/connect-applications-service.md",
    remedy="Call the model otherwise.",
)
_READ = {"vllm": "VLLM_PORT", "uvicorn": "UVICORN_PORT", "mlserver": "MLSERVER_PORT"}


@_VARIABLES.on_release_with("deployment")
def _name_that_servers_read(release: Release) -> Iterator[Finding]:
    if release.model in _READ and release.serving.backend == "deployment":
        variable = _READ[release.model]
        message = f"a Service `{release.model}` sets {variable} to an address in every Pod"
        hint = f"call it otherwise, such as `{release.model}-server`: that server expects a number"
        yield Finding(message, release.document.where("name"), hint)
