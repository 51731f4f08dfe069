"""Rules of what stands beside a predictor: transformer, explainer, batcher and logger."""

from __future__ import annotations

from collections.abc import Iterator

from generator.records import Component, Release, Variant
from generator.rules import Book, Finding, Step
from generator.rules.kserve.accessors import flags
from generator.rules.namespace import reach
from generator.rules.places import at_component, at_setting, in_version
from generator.values import addresses

BOOK = Book("components")

_CUSTOM = "kserve/kserve@pkg/apis/serving/v1beta1/transformer_custom.go"
_VALIDATED = "kserve/kserve@pkg/apis/serving/v1beta1/inference_service_validation.go"
_PREDICTOR = "kserve/kserve@pkg/controller/v1beta1/inferenceservice/components/predictor.go"

BOOK.error(
    "I001",
    "KServe leads requests to a canary of `spec.canary` past its batcher and its logger.",
    evidence=f"{_PREDICTOR}, "
    "kserve/kserve@pkg/controller/v1beta1/inferenceservice/reconcilers/service",
    remedy="Write `canaryStrategy: route`, or remove batcher and logger.",
)

BOOK.error(
    "I002",
    "In Standard mode KServe scales a transformer or an explainer on cpu or memory alone.",
    evidence="kserve/kserve@pkg/controller/v1beta1/inferenceservice/reconcilers/hpa",
    remedy="Write `metric: cpu` or `metric: memory`.",
)

BOOK.error(
    "I003",
    "KServe's webhook judges the metrics of all components by the autoscaler of the service.",
    evidence=_VALIDATED,
    remedy="Let transformer and explainer follow what the model follows.",
)

_MIXED = BOOK.error(
    "I004",
    "Knative splits transformer and predictor apart: a canary meets the features of the other.",
    evidence="kserve/kserve#1669",
    remedy="Use an environment in Standard mode with a Gateway, or one transformer for both.",
)


@_MIXED.on_release_with("knative", "several")
def _features_of_another_version(release: Release) -> Iterator[Finding]:
    if release.strategy != "knative" or release.canary is None:
        return
    stable, canary = release.stable, release.canary
    if _looks(stable.transformer) != _looks(canary.transformer):
        old, new = stable.artifact.version, canary.artifact.version
        message = (
            f"{old} and {new} have transformers that differ, and Knative sends what comes out of "
            f"either to {old} and to {new} by chance"
        )
        hint = f"promote {new} here without a canary, or try it in Standard mode"
        pointer = (*release.pointer, "canary", "version")
        yield Finding(message, release.document.where(*pointer), hint)


def _looks(component: Component | None) -> object:
    return component and (component.image, component.args, component.env)


_NAMED = BOOK.error(
    "I005",
    "A transformer answers to its `--model_name`, and asks the predictor for the same one.",
    evidence=f"{_CUSTOM}, kserve/kserve@python/kserve/kserve/model.py",
    remedy="Leave `--model_name` out: it is the model's name then.",
)


@_NAMED.on_release_with("components")
def _component_of_another_name(release: Release) -> Iterator[Finding]:
    for variant, component in _each(release):
        for flag in flags(component.args):
            served = _served(variant, release.model)
            if flag.name == "model_name" and flag.value != served:
                message = (
                    f"the {component.kind} would answer to `{flag.value}`, and the model is "
                    f"`{served}`: every request would end in 404"
                )
                way = (component.kind, "args")
                yield at_component(release, variant, way, message, "remove `--model_name`")
                return


def _served(variant: Variant, model: str) -> str:
    """Say which name the predictor answers to: the last one that it is told."""
    names = [flag.value for flag in flags(variant.artifact.args) if flag.name == "model_name"]
    return names[-1] if names else model


def _each(release: Release) -> Iterator[tuple[Variant, Component]]:
    for variant in release.variants:
        for component in variant.components:
            yield variant, component


_V1 = BOOK.warning(
    "I006",
    "A transformer of KServe's SDK asks the predictor over protocol v1 unless it is told.",
    evidence="kserve/kserve@python/kserve/kserve/model_server.py",
    remedy="Add `--predictor_protocol=v2` to its `args`, if its image is made with KServe's SDK.",
)
_TOLD = frozenset({"predictor_protocol", "protocol"})


@_V1.on_release_with("components")
def _component_over_another_protocol(release: Release) -> Iterator[Finding]:
    if release.serving.protocol != "v2":
        return
    for variant, component in _each(release):
        if not any(flag.name in _TOLD for flag in flags(component.args)):
            message = (
                f"the model answers over v2, and KServe's SDK asks over v1 in the {component.kind}"
            )
            hint = 'add `args: ["--predictor_protocol=v2"]`'
            way = (component.kind, "args")
            yield at_component(release, variant, way, message, hint)
            return


_LATE = BOOK.error(
    "I007",
    "A batch that waits longer than a request may take answers nobody.",
    evidence="kserve/kserve@pkg/batcher/handler.go",
    remedy="Lower `batcher.maxLatency`, which is in milliseconds, or raise `timeout`.",
)


@_LATE.on_release_with("batcher")
def _batch_that_waits_too_long(release: Release) -> Iterator[Finding]:
    timeout = release.serving.timeout
    latency = release.facts.get("batcher", {}).get("maxLatency", 0)
    if timeout and latency >= timeout * 1000:
        message = (
            f"a batch that is not full waits for {latency} ms, and a request is given up after "
            f"{timeout} s"
        )
        hint = "write fewer milliseconds, for example `maxLatency: 50`"
        place: tuple[str, ...] = ("serving", "batcher", "maxLatency")
        is_said = any(layer.has(place) for layer in release.layers)
        yield at_setting(release, place if is_said else place[:-1], message, hint)


_COUNTED = BOOK.warning(
    "I008",
    "Behind a batcher the model counts batches, so that a scaler takes many requests for one.",
    evidence="kserve/kserve@pkg/batcher/handler.go, kserve/kserve@python/kserve/kserve/metrics.py",
    remedy="Scale on cpu, or set `target` for batches per second.",
)


@_COUNTED.on_release_with("batcher", "query")
def _batches_that_are_counted(release: Release) -> Iterator[Finding]:
    scaling = release.stable.scaling
    if "batcher" in release.facts and scaling.query and scaling.metric == "requests-per-second":
        size = release.facts["batcher"]["maxBatchSize"]
        message = (
            f"`scaling.target: {scaling.target}` counts requests, and the model sees batches of up "
            f"to {size} of them"
        )
        hint = "write `metric: cpu`, or a `target` of batches per second"
        yield at_setting(release, ("scaling", "metric"), message, hint)


_FEW = BOOK.error(
    "I009",
    "A model is down with its transformer, so that `policy.minReplicas` is of both.",
    evidence="kserve/kserve@pkg/controller/v1beta1/inferenceservice/reconcilers/ingress/"
    "httproute_reconciler.go",
    remedy="Raise `serving.transformer.scaling.min`, or remove it: it is as the model's then.",
)


@_FEW.on_release_with("components")
def _fewer_than_the_policy(release: Release) -> Iterator[Finding]:
    least, transformer = release.environment.policy.min_replicas, release.stable.transformer
    if transformer is None or not transformer.scaling.minimum < least:
        return
    if release.stable.scaling.minimum < least:
        return  # which a rule of policy tells of
    message = (
        f"{release.environment.name} asks for at least {least} replicas, and the transformer that "
        f"every request goes through has {transformer.scaling.minimum}"
    )
    place = ("serving", "transformer", "scaling", "min")
    yield at_setting(release, place, message, f"write `min: {least}`, or remove it")


_CLEAR = BOOK.warning(
    "I010",
    "A logger sends whole requests and answers: over http everybody on the way reads them.",
    evidence="kserve/kserve@pkg/logger/worker.go",
    remedy="Write an address inside of the cluster, or https.",
)
_INSIDE = (".svc", ".cluster.local")


@_CLEAR.on_release_with("logger")
def _payloads_in_the_clear(release: Release) -> Iterator[Finding]:
    url = addresses.parts(release.facts.get("logger", {}).get("url", ""))
    host = url.hostname or ""
    if url.scheme == "http" and host.count(".") > 1 and not host.endswith(_INSIDE):
        message = f"copies of all requests leave the cluster for {host} without encryption"
        yield at_setting(release, ("serving", "logger", "url"), message, "write `https://`")


_MOVES = BOOK.warning(
    "I011",
    "An image without a digest or a lasting tag changes under every version that it stands before.",
    evidence="kubernetes/website@content/en/docs/concepts/containers/images.md",
    remedy="Pin it by digest (`@sha256:...`) or by a tag that never moves, such as the commit.",
)


@_MOVES.on_release_with("components")
def _image_that_moves(release: Release) -> Iterator[Finding]:
    pinned = release.environment.policy.pinned_artifacts
    for variant, component in _each(release):
        image = component.image
        if pinned or not image or "@" in image or _tag(image) not in ("", "latest"):
            continue
        message = f"{image} can be another image tomorrow: no rollback would find it"
        hint = "pin it by digest (`@sha256:...`) or by a tag that never moves, such as the commit"
        yield at_component(release, variant, (component.kind, "image"), message, hint)


def _tag(image: str) -> str:
    return image.rpartition("/")[2].partition(":")[2]


_WALLED = BOOK.warning(
    "I012",
    "NetworkPolicies let no copies out of the namespace unless they are told to.",
    evidence="kubernetes/website@content/en/docs/concepts/services-networking/network-policies.md, "
    "kserve/kserve@pkg/logger/worker.go",
    remedy="Add the namespace of the logger's address to `networkPolicy.egressTo`.",
)


@_WALLED.on_release_with("logger")
def _copies_behind_a_wall(release: Release) -> Iterator[Finding]:
    inside = addresses.namespace_of(release.facts.get("logger", {}).get("url", ""))
    if inside and reach.is_cut_off(release.environment, frozenset({inside})):
        message = (
            f"`networkPolicy` of environment {release.environment.name} lets no Pod ask {inside}, "
            "where the copies go"
        )
        hint = f"add `{{namespace: {inside}, ports: [80]}}` to `networkPolicy.egressTo`"
        yield at_setting(release, ("serving", "logger", "url"), message, hint)


_COLD = BOOK.warning(
    "I013",
    "A route leads to a new transformer at once, and nobody answers until its Pods are ready.",
    evidence="kubernetes-sigs/gateway-api@apis/v1/httproute_types.go",
    remedy="Give the transformer to a new version, and make that a canary.",
)


@_COLD.on_step
def _transformer_that_nobody_started(step: Step) -> Iterator[Finding]:
    before, after = step.before, step.after
    if before is None or after is None or not before.strategy == after.strategy == "route":
        return
    known = {variant.artifact.version: variant for variant in before.variants}
    for variant in after.variants:
        was = known.get(variant.artifact.version)
        if variant.traffic and variant.transformer and was and not was.transformer:
            version = variant.artifact.version
            message = (
                f"{version} takes {variant.traffic} % of the requests in {after.environment.name}, "
                "and they go to a transformer that has not started"
            )
            hint = "write `transformer` in a new version, and make that one a canary"
            if after.document.has(("versions", version, "transformer")):
                yield in_version(after, variant, ("transformer",), message, hint)
            else:
                yield at_setting(after, ("serving", "transformer"), message, hint)
            return
