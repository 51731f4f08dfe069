"""Rules of what serves a model: formats, runtimes and protocols."""

from __future__ import annotations

from collections.abc import Iterator

from generator.documents import Json
from generator.records import Release
from generator.rules import Book, Finding, Scene, Spot
from generator.rules.fields import block, entries, text
from generator.rules.kserve.accessors import FRAMEWORKS, components, models
from generator.rules.places import at_setting
from generator.schema import nearest, suggestion
from generator.serving import runtimes

BOOK = Book("serving")

_RUNTIMES = "kserve/kserve@config/runtimes"
_RECONCILED = "kserve/kserve@pkg/controller/v1beta1/inferenceservice/components/predictor.go"
_SELECTED = "kserve/kserve@pkg/apis/serving/v1beta1/predictor_model.go"
_VALIDATED = "kserve/kserve@pkg/apis/serving/v1beta1/inference_service_validation.go"

_FORMAT = BOOK.error(
    "S001",
    "KServe refuses a runtime that does not list the model's format.",
    evidence=f"{_RECONCILED}, {_RUNTIMES}",
    remedy="Name a runtime that serves the format, or leave `runtime` out to get the usual one.",
)


def _mismatch(runtime: str, model_format: str) -> tuple[str, str] | None:
    """Say why a shipped runtime does not serve a format, and which do."""
    shipped = runtimes.SHIPPED.get(runtime)
    if shipped is None or not model_format or model_format in shipped.formats:
        return None
    served = ", ".join(f"`{name}`" for name in shipped.formats)
    message = f"runtime `{runtime}` serves {served} and not `{model_format}`: KServe would refuse"
    return f"{message} the pair and start nothing", _usable(model_format)


def _usable(model_format: str) -> str:
    names = runtimes.serving(model_format)
    return f"write `runtime: {names[0]}`" if names else "name a runtime of that format"


@_FORMAT.on_release_with("kserve", "chosen")
def _runtime_of_another_format(release: Release) -> Iterator[Finding]:
    found = _mismatch(release.serving.runtime, release.serving.format)
    if found:
        yield at_setting(release, ("serving", "runtime"), *found)


@_FORMAT.on_objects("InferenceService")
def _runtime_of_another_format_in_object(item: Json, scene: Scene) -> Iterator[Spot]:
    for place, model in models(item):
        found = _mismatch(text(model, "runtime"), text(model, "modelFormat", "name"))
        if found:
            yield Spot(found[0], (*place, "runtime"), found[1])


_PROTOCOL = BOOK.error(
    "S002",
    "KServe refuses a runtime that does not list the protocol that is asked for.",
    evidence=f"{_RECONCILED}, {_RUNTIMES}",
    remedy="Name a protocol of the runtime, or a runtime that speaks it.",
)


def _unspoken(runtime: str, protocol: str, model_format: str) -> tuple[str, str] | None:
    shipped = runtimes.SHIPPED.get(runtime)
    if shipped is None or not protocol or model_format not in shipped.formats:
        return None
    if not shipped.protocols or protocol in shipped.protocols:
        return None
    spoken = ", ".join(f"`{each}`" for each in shipped.protocols)
    message = f"runtime `{runtime}` speaks {spoken} and not `{protocol}`: KServe starts nothing"
    others = (
        name
        for name in runtimes.serving(model_format)
        if protocol in runtimes.SHIPPED[name].protocols
    )
    other = next(others, "")
    hint = f"write `protocol: {shipped.protocols[0]}`"
    return message, f"{hint}, or `runtime: {other}`" if other else hint


@_PROTOCOL.on_release_with("kserve", "chosen")
def _protocol_that_is_not_spoken(release: Release) -> Iterator[Finding]:
    serving = release.serving
    found = _unspoken(serving.runtime, serving.protocol, serving.format)
    if found:
        yield at_setting(release, ("serving", "protocol"), *found)


@_PROTOCOL.on_objects("InferenceService")
def _protocol_in_object(item: Json, scene: Scene) -> Iterator[Spot]:
    for place, model in models(item):
        asked = text(model, "protocolVersion")
        found = _unspoken(text(model, "runtime"), asked, text(model, "modelFormat", "name"))
        if found:
            hint = found[1].replace("protocol:", "protocolVersion:")
            yield Spot(found[0], (*place, "protocolVersion"), hint)


_UNKNOWN = BOOK.error(
    "S003",
    "A runtime that is called like KServe's own and that its chart does not have never comes.",
    evidence="kserve/kserve@charts/kserve-runtime-configs, kserve/kserve@config/runtimes",
    remedy="Correct the name; a runtime of your own is best called without `kserve-`.",
)


def _not_shipped(runtime: str) -> tuple[str, str] | None:
    if not runtime.startswith("kserve-") or runtime in runtimes.SHIPPED:
        return None
    message = f"KServe ships no runtime `{runtime}`: the model would wait for it for ever"
    return message, _UNPACKED.get(runtime) or suggestion(runtime, runtimes.SHIPPED)


_UNPACKED = {
    "kserve-openvino": "install it yourself and silence the rule, or use `kserve-tritonserver`"
}
"""Runtimes that are in KServe's repository and in no chart of it."""


@_UNKNOWN.on_release_with("kserve", "chosen")
def _runtime_that_is_not_shipped(release: Release) -> Iterator[Finding]:
    found = _not_shipped(release.serving.runtime)
    if found:
        yield at_setting(release, ("serving", "runtime"), *found)


@_UNKNOWN.on_objects("InferenceService")
def _runtime_that_is_not_shipped_in_object(item: Json, scene: Scene) -> Iterator[Spot]:
    for place, model in models(item):
        found = _not_shipped(text(model, "runtime"))
        if found:
            yield Spot(found[0], (*place, "runtime"), found[1])


_MULTINODE = BOOK.warning(
    "S004",
    "The multi-node runtime waits for workers that only `workerSpec` makes.",
    evidence="kserve/kserve@config/runtimes/kserve-huggingfaceserver-multinode.yaml",
    remedy="Use `kserve-huggingfaceserver`, or add `predictor.workerSpec` with an own template.",
)


@_MULTINODE.on_release_with("kserve", "chosen")
def _multinode_without_workers(release: Release) -> Iterator[Finding]:
    if release.serving.runtime == runtimes.MULTINODE:
        message = f"`{runtimes.MULTINODE}` needs `workerSpec`, which only an own template writes"
        hint = "write `runtime: kserve-huggingfaceserver`"
        yield at_setting(release, ("serving", "runtime"), message, hint)


_GRPC = BOOK.warning(
    "S005",
    "A shipped runtime is reached over HTTP: its gRPC port is on no Service.",
    evidence="kserve/kserve@pkg/controller/v1beta1/inferenceservice/reconcilers/service, "
    "kserve/kserve@config/runtimes/kserve-tritonserver.yaml",
    remedy="Ask for the REST protocol, or name the gRPC port in `model.ports` of an own template.",
)


def _grpc(runtime: str, protocol: str) -> tuple[str, str] | None:
    shipped = runtimes.SHIPPED.get(runtime)
    if shipped is None or not protocol.startswith("grpc") or protocol not in shipped.protocols:
        return None
    rest = protocol.removeprefix("grpc-")
    message = f"`{protocol}` never reaches `{runtime}`: KServe's Service leads to its HTTP port"
    return message, f"write `protocol: {rest}`, or add the port `h2c` in an own template"


@_GRPC.on_release_with("kserve", "chosen")
def _grpc_without_a_port(release: Release) -> Iterator[Finding]:
    found = _grpc(release.serving.runtime, release.serving.protocol)
    if found:
        yield at_setting(release, ("serving", "protocol"), *found)


@_GRPC.on_objects("InferenceService")
def _grpc_without_a_port_in_object(item: Json, scene: Scene) -> Iterator[Spot]:
    for place, model in models(item):
        found = _grpc(text(model, "runtime"), text(model, "protocolVersion"))
        if found and not entries(model, "ports"):
            yield Spot(found[0], (*place, "protocolVersion"), found[1])


_NO_FORMAT = BOOK.error(
    "S006",
    "A model without a runtime whose format no installed runtime lists is never started.",
    evidence=f"{_SELECTED}, kserve/kserve#3176",
    remedy="Write the format as KServe does (`vLLM`, `sklearn`), or name the runtime.",
)


@_NO_FORMAT.on_objects("InferenceService")
def _format_that_nothing_serves(item: Json, scene: Scene) -> Iterator[Spot]:
    for place, model in models(item):
        name = text(model, "modelFormat", "name")
        if name and not text(model, "runtime") and name not in runtimes.FORMATS:
            near = nearest(name, runtimes.FORMATS)
            hint = f"did you mean `{near}`?" if near else "name a `runtime` that lists it"
            message = f"no shipped runtime serves the format `{name}`, so KServe would find none"
            yield Spot(message, (*place, "modelFormat", "name"), hint)


_VERSION = BOOK.error(
    "S007",
    "KServe compares `modelFormat.version` letter by letter with what the runtime lists.",
    evidence=_SELECTED,
    remedy="Leave the version out, or write it as the runtime does, such as `1`.",
)


@_VERSION.on_objects("InferenceService")
def _version_that_is_not_listed(item: Json, scene: Scene) -> Iterator[Spot]:
    for place, model in models(item):
        runtime, name = text(model, "runtime"), text(model, "modelFormat", "name")
        version = text(model, "modelFormat", "version")
        shipped = runtimes.SHIPPED.get(runtime)
        listed = shipped.formats.get(name, ()) if shipped else ()
        if version and listed and version not in listed:
            message = f"`{runtime}` lists {name} as {' and '.join(listed)}, and not as {version}"
            hint = f'remove it, or write `version: "{listed[-1]}"`'
            yield Spot(message, (*place, "modelFormat", "version"), hint)


_ASSUMED = BOOK.error(
    "S008",
    "Without runtime and protocol, KServe looks for protocol v1, which some formats do not have.",
    evidence=f"{_SELECTED}, kserve/kserve#3176",
    remedy="Write `runtime` and `protocolVersion`, as the built-in template does.",
)
_DEFAULTED = frozenset({"triton", "vLLM"})
"""Formats that KServe's webhook gives protocol v2 by itself."""


def _is_chosen(name: str, protocol: str) -> bool:
    if name in _DEFAULTED and not protocol:
        return True
    asked = protocol or "v1"
    return any(
        shipped.chosen and (not shipped.protocols or asked in shipped.protocols)
        for shipped in (runtimes.SHIPPED[each] for each in runtimes.serving(name))
    )


@_ASSUMED.on_objects("InferenceService")
def _protocol_that_is_assumed(item: Json, scene: Scene) -> Iterator[Spot]:
    for place, model in models(item):
        name, protocol = text(model, "modelFormat", "name"), text(model, "protocolVersion")
        if text(model, "runtime") or name not in runtimes.FORMATS or _is_chosen(name, protocol):
            continue
        message = f"no runtime serves `{name}` over {protocol or 'v1, which KServe assumes'}"
        hint = "write `protocolVersion: v2` and the `runtime`"
        yield Spot(message, (*place, "modelFormat", "name"), hint)


_CHOSEN = BOOK.warning(
    "S009",
    "Without a runtime, what serves the model depends on what else is installed.",
    evidence=_SELECTED,
    remedy="Write `runtime`, as the built-in template does.",
)


@_CHOSEN.on_objects("InferenceService")
def _runtime_that_is_chosen(item: Json, scene: Scene) -> Iterator[Spot]:
    model = block(item, "spec", "predictor", "model")
    name = text(model, "modelFormat", "name")
    is_told = name not in runtimes.FORMATS or not _is_chosen(name, text(model, "protocolVersion"))
    if name and not text(model, "runtime") and not is_told:
        message = f"KServe takes whichever runtime of the cluster serves `{name}` best today"
        hint = f"write `runtime: {runtimes.BY_FORMAT[name].name}`" if name in _KNOWN else ""
        yield Spot(message, ("spec", "predictor", "model"), hint or "write `runtime`")


_KNOWN = frozenset(runtimes.BY_FORMAT)

_NOTHING = BOOK.error(
    "S010",
    "KServe's webhook refuses a component that says nothing of what it runs.",
    evidence=f"kserve/kserve@pkg/apis/serving/v1beta1/component.go, {_VALIDATED}",
    remedy="Write `model` or `containers` for the predictor, and `containers` elsewhere.",
)


@_NOTHING.on_objects("InferenceService")
def _component_of_nothing(item: Json, scene: Scene) -> Iterator[Spot]:
    for name, component in components(item):
        said = component.keys() & _IMPLEMENTATIONS
        if not said and not entries(component, "containers"):
            message = f"the {name} says nothing of what it runs, and KServe would refuse it"
            yield Spot(message, ("spec", name), "add `containers`, or remove it")


_IMPLEMENTATIONS = {"model", "art", *FRAMEWORKS}
