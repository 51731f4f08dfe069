"""Rules of who scales a workload, by what the documents say of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise

from generator.inventory.records import Environment
from generator.records import Autoscaler, Release
from generator.rules import Book, Finding
from generator.rules.places import (
    at_argument,
    at_setting,
    in_environment,
    in_live,
    own_scaling,
)
from generator.values import quantities

BOOK = Book("autoscaling")

_TOLERANCE = 1.1
"""An HPA leaves a tenth of its target alone (kubernetes/website, link in A007)."""

BOOK.error(
    "A001",
    "KServe's webhook refuses a cpu or memory target above 100 percent.",
    evidence="kserve/kserve@pkg/apis/serving/v1beta1/inference_service_validation.go",
    remedy="Write the percentage of the request, such as `target: 80`.",
)

BOOK.error(
    "A002",
    "KServe, Knative and an HPA take whole numbers as a target.",
    evidence="kserve/kserve@pkg/apis/serving/v1beta1/component.go",
    remedy="Round the target; only KEDA takes fractions.",
)

BOOK.error(
    "A003",
    "A model without replicas never wakes up by a metric that its own Pods report.",
    evidence="kedacore/keda#6040, kserve/kserve#3514",
    remedy="Write `min: 1`, or serve it in an environment with `mode: Knative`.",
)

BOOK.error(
    "A004",
    "A runtime does not report the metric, so that nothing would ever scale the model.",
    evidence="kserve/kserve@python/kserve/kserve/metrics.py",
    remedy="Add `scaling.query` with a PromQL expression, or use `metric: cpu`.",
)

BOOK.error(
    "A005",
    "A query is read by KEDA alone.",
    evidence="kserve/kserve@pkg/controller/v1beta1/inferenceservice/reconcilers/hpa",
    remedy="Remove the query, or use a metric that KEDA scales on.",
)

BOOK.error(
    "A006",
    "An HPA measures in percent of a request that the container does not have.",
    evidence="kubernetes/website@content/en/docs/tasks/run-application/horizontal-pod-autoscale.md",
    remedy="Add the request under `serving.resources`.",
)

_OUT_OF_REACH = BOOK.warning(
    "A007",
    "A container cannot use more than its limit, so that an HPA never sees its target exceeded.",
    evidence="kubernetes/website@content/en/docs/tasks/run-application/horizontal-pod-autoscale.md",
    remedy="Lower the target, or raise `serving.resources.limits` above the request.",
)


@_OUT_OF_REACH.on_release
def _target_out_of_reach(release: Release) -> Iterator[Finding]:
    """An HPA adds replicas above 1.1 times the target, and usage ends at the limit."""
    scaling = release.stable.scaling
    if scaling.autoscaler not in ("hpa", "kserve-hpa") or scaling.minimum == scaling.maximum:
        return
    request = release.serving.resources["requests"].get(scaling.metric)
    limit = release.serving.resources["limits"].get(scaling.metric)
    if not request or not limit:
        return
    most = _percent(limit, request)
    if scaling.target * _TOLERANCE >= most:
        message = (
            f"the {scaling.metric} limit is {most} % of the request, so that usage never gets a "
            f"tenth above the target of {scaling.target} %, and no replica is ever added"
        )
        hint = f"at most `target: {int(most / _TOLERANCE) - 1}`, or a limit above the request"
        yield at_setting(release, ("scaling", "target"), message, hint)


@lru_cache(1024, typed=True)
def _percent(limit: str, request: str) -> int:
    return int(100 * quantities.parse(limit) / quantities.parse(request))


_FIXED = BOOK.warning(
    "A008",
    "A metric moves nothing between a minimum and a maximum that are equal.",
    evidence="kserve/kserve@pkg/controller/v1beta1/inferenceservice/reconcilers/hpa",
    remedy="Raise `max`, or remove `metric` and `target`.",
)


@_FIXED.on_release
def _metric_without_a_range(release: Release) -> Iterator[Finding]:
    scaling = release.stable.scaling
    if scaling.minimum != scaling.maximum:
        return
    owner = next(
        (layer for layer in reversed(release.layers) if layer.has(("scaling", "metric"))), None
    )
    if owner is None or owner.document is not release.document:
        return
    is_its_own = owner.has(("scaling", "min")) and owner.has(("scaling", "max"))
    if is_its_own and (owner.prefix or not _has_another_range(release)):
        message = (
            f"`min` and `max` are both {scaling.minimum}, so that "
            f"`metric: {scaling.metric}` has no effect"
        )
        hint = "raise `max`, or remove `metric` and `target`"
        yield at_setting(release, ("scaling", "metric"), message, hint)


def _has_another_range(release: Release) -> bool:
    """Say whether an environment of the model has bounds that its metric is for."""
    blocks = release.document.data["environments"].values()
    return any({"min", "max"} & block.get("scaling", {}).keys() for block in blocks)


_LARGER_CANARY = BOOK.warning(
    "A009",
    "A canary with less traffic keeps more replicas than the version that it is compared with.",
    evidence="kserve/kserve#5672",
    remedy="Give `canary.scaling.min` at most what the stable version has.",
)


@_LARGER_CANARY.on_release_with("several")
def _canary_above_stable(release: Release) -> Iterator[Finding]:
    for variant in release.variants[1:]:
        least, most = variant.scaling.minimum, release.stable.scaling.minimum
        if variant.role == "canary" and least > most and variant.traffic < 50:
            message = (
                f"the canary keeps {least} replicas for {variant.traffic} % of the requests, and "
                f"{release.stable.artifact.version} keeps {most} for the rest"
            )
            hint = f"at most `min: {most}`"
            yield in_live(release, ("canary", "scaling", "min"), message, hint)


_OTHER_SCALER = BOOK.warning(
    "A014",
    "KServe copies the annotation that says who scales to the Pods: another autoscaler restarts "
    "them when the version is promoted.",
    evidence="kserve/kserve@pkg/controller/v1beta1/inferenceservice/components/predictor.go, "
    "kserve/kserve#3710",
    remedy="Let what is on trial be scaled like the stable version: `min` below `max`, or equal to "
    "it, in both.",
)


@_OTHER_SCALER.on_release_with("several", "kserve")
def _scaled_by_another(release: Release) -> Iterator[Finding]:
    stable = release.stable.scaling
    for variant in release.variants[1:] if release.strategy == "route" else ():
        is_copied = variant.role == "shadow" and stable.interceptor is not None
        if variant.scaling.autoscaler != stable.autoscaler and not is_copied:
            message = (
                f"{variant.artifact.version} is scaled by {_WHO[variant.scaling.autoscaler]} and "
                f"{release.stable.artifact.version} by {_WHO[stable.autoscaler]}: to promote it "
                "would restart its Pods"
            )
            hint = "give both a range of replicas and the same metric, or both a fixed number"
            yield in_live(release, (variant.role, "scaling"), message, hint)


_WHO: dict[Autoscaler, str] = {
    "kserve-hpa": "KServe's HPA",
    "hpa": "an HPA",
    "keda": "KEDA",
    "none": "nobody",
}


_SMALL_CANARY = BOOK.warning(
    "A010",
    "A canary cannot grow to its share of what the stable version keeps running.",
    evidence="kserve/kserve#5672",
    remedy="Raise `canary.scaling.max`, or give the canary less traffic.",
)


@_SMALL_CANARY.on_release_with("several")
def _canary_below_its_share(release: Release) -> Iterator[Finding]:
    for variant in release.variants[1:]:
        most, stable = variant.scaling.maximum, release.stable.scaling.minimum
        share = -(-variant.traffic * stable // 100)
        if variant.role == "canary" and most < share and stable > 1:
            message = (
                f"the canary has at most {most} replicas for {variant.traffic} % of the requests, "
                f"and {release.stable.artifact.version} never has less than {stable} for all of it"
            )
            hint = f"at least `max: {share}`, or less traffic"
            yield in_live(release, ("canary", "scaling"), message, hint)


_EXTENSION = BOOK.warning(
    "A011",
    "Knative scales on cpu and memory only where its HPA extension is installed beside it.",
    evidence="knative/docs@docs/install/yaml-install/serving/install-serving-with-yaml.md",
    remedy="Use `metric: concurrency` or `requests-per-second`; or install serving-hpa.yaml and "
    "silence this rule.",
)


@_EXTENSION.on_release_with("knative")
def _knative_hpa(release: Release) -> Iterator[Finding]:
    scaling = release.stable.scaling
    if scaling.autoscaler == "knative-hpa" and scaling.minimum < scaling.maximum:
        message = (
            f"Knative leaves `metric: {scaling.metric}` to an extension that is not part of it: "
            "without serving-hpa.yaml the revision never becomes ready"
        )
        hint = "use `metric: concurrency`, which Knative itself knows"
        yield at_setting(release, ("scaling", "metric"), message, hint)


_SWITCHED_OFF = BOOK.error(
    "A012",
    "An argument keeps the runtime from reporting the metric that KEDA scales on.",
    evidence="kserve/kserve@python/huggingfaceserver/huggingfaceserver/__main__.py, "
    "vllm-project/vllm@vllm/engine/arg_utils.py, "
    "triton-inference-server/server@docs/user_guide/metrics.md",
    remedy="Remove the argument, or scale on cpu or on a query of your own.",
)

_SILENCING = {
    "kserve-huggingfaceserver": re.compile(
        r"--backend[= ]huggingface|--disable[-_]log[-_]stats(?:[= ]true)?"
    ),
    "kserve-vllmserver": re.compile(r"--disable[-_]log[-_]stats(?:[= ]true)?"),
    "kserve-tritonserver": re.compile(r"--allow-metrics[= ](?:false|0)"),
}


@_SWITCHED_OFF.on_release_with("keda")
def _metric_switched_off(release: Release) -> Iterator[Finding]:
    pattern = _SILENCING.get(release.serving.runtime)
    if pattern is None or any(layer.has(("scaling", "query")) for layer in release.layers):
        return
    for variant in release.variants:
        args = variant.artifact.args
        pairs = [*args, *(f"{one} {two}" for one, two in pairwise(args))]
        found = next(filter(pattern.fullmatch, pairs), "")
        if variant.scaling.autoscaler == "keda" and found:
            metric = variant.scaling.metric
            message = f"with `{found}` {release.serving.runtime} reports no `{metric}`"
            hint = "remove the argument, use `metric: cpu`, or add `scaling.query`"
            index = args.index(found.split(" ")[0])
            yield at_argument(release, variant, index, message, hint)


_TINY = BOOK.error(
    "A013",
    "KEDA counts a threshold in thousandths: below one it is 0, which the API server refuses.",
    evidence="kedacore/keda#5857, kedacore/keda@pkg/scalers/prometheus_scaler.go",
    remedy="Write at least `target: 0.001`, or let the query give a larger number.",
)


@_TINY.on_release_with("keda")
def _threshold_of_nothing(release: Release) -> Iterator[Finding]:
    for variant in release.variants:
        scaling = variant.scaling
        if scaling.autoscaler == "keda" and scaling.target < 0.001:
            message = f"KEDA would round a target of {scaling.target} down to 0"
            own = own_scaling(release, variant, "target")
            hint = "at least `target: 0.001`; multiply query and target where that is too much"
            if own:
                yield in_live(release, own, message, hint)
            else:
                yield at_setting(release, ("scaling", "target"), message, hint)
                return


_ADDRESS = ("platform", "prometheus", "address")
_SCALER = "kedacore/keda@pkg/scalers/prometheus_scaler.go"

_NOT_THE_ROOT = BOOK.error(
    "A086",
    "KEDA puts `/api/v1/query` behind the address of Prometheus, whatever it ends with.",
    evidence=_SCALER,
    remedy="Write the address without the path of its pages or of its API.",
)
_PAGES = ("/api/v1/query", "/api/v1", "/api", "/graph", "/query", "/targets", "/metrics")


@_NOT_THE_ROOT.on_environment
def _address_of_a_page(environment: Environment) -> Iterator[Finding]:
    address = environment.prometheus.rstrip("/")
    page = next((page for page in _PAGES if environment.keda and address.endswith(page)), "")
    if page:
        message = f"KEDA would ask {address}/api/v1/query, which is no address of Prometheus"
        hint = f"write `{address.removesuffix(page)}`"
        yield in_environment(environment, _ADDRESS, message, hint)


_NEARBY = BOOK.warning(
    "A087",
    "KEDA looks a Service without its namespace up in the namespace that KEDA itself runs in.",
    evidence="kubernetes/website@content/en/docs/concepts/services-networking/dns-pod-service.md, "
    + _SCALER,
    remedy="Write a Service with its namespace, such as `prometheus.monitoring`.",
)
_SHORT = re.compile(r"https?://([a-z][a-z0-9-]*)([:/].*)?", re.IGNORECASE)


@_NEARBY.on_environment
def _address_without_a_namespace(environment: Environment) -> Iterator[Finding]:
    found = _SHORT.fullmatch(environment.prometheus) if environment.keda else None
    if found:
        message = f"`{found[1]}` is a Service of KEDA's own namespace, if there is one there"
        hint = f"write `{environment.prometheus.replace(found[1], f'{found[1]}.<namespace>', 1)}`"
        yield in_environment(environment, _ADDRESS, message, hint)


@_NEARBY.on_release_with("keda")
def _brokers_without_a_namespace(release: Release) -> Iterator[Finding]:
    for trigger in release.stable.scaling.triggers:
        servers = trigger["metadata"].get("bootstrapServers", "").split(",")
        found = next(filter(None, map(_BROKER.fullmatch, servers)), None)
        if found:
            message = f"`{found[1]}` is a Service of KEDA's own namespace, if there is one there"
            hint = f"write `{found[1]}.<namespace>{found[2] or ''}`"
            yield at_setting(release, ("scaling", "triggers"), message, hint)


_BROKER = re.compile(r"\s*([a-z][a-z0-9-]*)(:[0-9]+)?\s*", re.IGNORECASE)
