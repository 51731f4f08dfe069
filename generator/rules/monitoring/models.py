"""Rules of what is watched: objectives that no metric can tell of, and checks that nobody hears."""

from __future__ import annotations

from collections.abc import Iterator

from generator.aspects.drift import Drift
from generator.aspects.monitoring import platform
from generator.inventory.records import Environment
from generator.monitoring.watched import Watched
from generator.records import Release
from generator.rules import Book, EnvironmentStep, Finding
from generator.rules.places import at_key, at_setting, in_environment, of_setting
from generator.values import durations, minors

BOOK = Book("monitoring")

_OPERATOR = "prometheus-operator/prometheus-operator@Documentation/api-reference/api.md"

# What an environment says

_UNLABELLED = BOOK.warning(
    "M001",
    "A Prometheus that selects its monitors by a label ignores those without it, silently.",
    evidence="prometheus-community/helm-charts#430, prometheus-community/helm-charts#1631",
    remedy="Write the labels that its selectors ask for, or `{}` if they ask for none.",
)


@_UNLABELLED.on_environment
def _unlabelled(environment: Environment) -> Iterator[Finding]:
    prometheus = platform(environment, "prometheus")
    if prometheus.get("operator") and "labels" not in prometheus:
        message = (
            "nothing says which monitors and rules this Prometheus takes: that of "
            "kube-prometheus-stack takes those with `release: <its Helm release>` alone"
        )
        hint = "add `labels: {release: <name>}`, or `labels: {}` if it takes them all"
        yield at_key(environment, ("platform", "prometheus"), message, hint)


_NO_INSTANCE = BOOK.error(
    "M002",
    "The Grafana operator writes a dashboard only to the instances that it selects.",
    evidence="grafana/grafana-operator@docs/docs/dashboards.md",
    remedy="Add the operator's version and the labels of the Grafanas.",
)


@_NO_INSTANCE.on_environment
def _no_instance(environment: Environment) -> Iterator[Finding]:
    grafana = platform(environment, "grafana")
    examples = {"version": '"5.20"', "instanceSelector": "{dashboards: grafana}"}
    for key, example in examples.items() if grafana.get("via") == "operator" else ():
        if key not in grafana:
            message = f"`via: operator` needs `{key}`"
            hint = f"add for example `{key}: {example}`"
            yield in_environment(environment, ("platform", "grafana", "via"), message, hint)


_OTHER_WAY = BOOK.error(
    "M003",
    "What the Grafana operator reads means nothing to the sidecar, and the other way round.",
    evidence="grafana/helm-charts@charts/grafana/values.yaml, "
    "grafana/grafana-operator@docs/docs/dashboards.md",
    remedy="Remove it, or change `via`.",
)


@_OTHER_WAY.on_environment
def _other_way(environment: Environment) -> Iterator[Finding]:
    grafana = platform(environment, "grafana")
    via = grafana.get("via", "sidecar")
    own = {"sidecar": "operator", "operator": "sidecar"}[via] if grafana else ""
    foreign = {"operator": ("instanceSelector", "version"), "sidecar": ("labels",)}.get(own, ())
    for key in foreign:
        if key in grafana:
            message = f"`{key}` is for `via: {own}`, and this is `via: {via}`"
            yield at_key(environment, ("platform", "grafana", key), message, "remove it")


_IMMUTABLE = BOOK.error(
    "M004",
    "The API server refuses another `instanceSelector` for a dashboard that is there.",
    evidence="grafana/grafana-operator@api/v1beta1/grafanadashboard_types.go",
    remedy="Change the labels of the Grafana instead, or delete the dashboards first.",
)


@_IMMUTABLE.on_environment_step
def _another_selector(step: EnvironmentStep) -> Iterator[Finding]:
    before, after = (
        platform(each, "grafana").get("instanceSelector") for each in (step.before, step.after)
    )
    if before and after and before != after:
        message = "`instanceSelector` of a GrafanaDashboard never changes: every sync would fail"
        hint = "give the new Grafana the old labels, or delete the GrafanaDashboards by hand first"
        yield at_key(step.after, ("platform", "grafana", "instanceSelector"), message, hint)


_OLD = BOOK.error(
    "M005",
    "A Prometheus operator this old does not know what is rendered for it.",
    evidence="prometheus-operator/prometheus-operator@CHANGELOG.md",
    remedy="Upgrade the operator.",
)


@_OLD.on_environment
def _old_operator(environment: Environment) -> Iterator[Finding]:
    version = platform(environment, "prometheus").get("operator")
    if version and minors.parsed(version) < (0, 45):
        message = f"the Prometheus operator {version} is older than what gen renders for"
        hint = 'upgrade it; "0.45" is the oldest'
        yield in_environment(environment, ("platform", "prometheus", "operator"), message, hint)


# What a model asks


def _watched(release: Release) -> Watched | None:
    return release.facts.get("monitoring")


_LATER = BOOK.warning(
    "M010",
    "A request that is given up is never measured as slow.",
    evidence="kserve/kserve@pkg/apis/serving/v1beta1/component.go",
    remedy="Ask for less than `serving.timeout`.",
)


@_LATER.on_release_with("monitoring")
def _later_than_the_timeout(release: Release) -> Iterator[Finding]:
    watched, timeout = _watched(release), release.serving.timeout
    for quantile, seconds in watched.latency.items() if watched and timeout else ():
        if seconds >= timeout:
            message = (
                f"{quantile} may be {seconds:g} s, and a request is given up after {timeout} s: "
                "this alarms nobody"
            )
            hint = f"ask for less than {timeout} s, or for more `serving.timeout`"
            yield at_setting(release, ("monitoring", "latency", quantile), message, hint)


_BEYOND = BOOK.error(
    "M011",
    "A histogram tells of no quantile above its last bucket.",
    evidence="prometheus/client_python@prometheus_client/metrics.py, "
    "kserve/kserve@python/kserve/kserve/metrics.py",
    remedy="Ask for less than the last bucket.",
)
_LAST_BUCKET = 10.0
"""Of the histograms of KServe's own servers, which are those that the client makes by itself."""


@_BEYOND.on_release_with("monitoring")
def _beyond_the_buckets(release: Release) -> Iterator[Finding]:
    watched = _watched(release)
    if watched is None or "request_predict_seconds_bucket" not in watched.queries.get(
        "latency", ""
    ):
        return
    for quantile, seconds in watched.latency.items():
        if seconds >= _LAST_BUCKET:
            message = (
                f"{release.serving.runtime} counts answers up to 10 s: {quantile} is never found "
                f"to be more than {seconds:g} s"
            )
            hint = "ask for less than 10 s, or write `monitoring.queries.latency`"
            yield at_setting(release, ("monitoring", "latency", quantile), message, hint)


_SHORT = BOOK.error(
    "M012",
    "A rate needs two scrapes within its window.",
    evidence="prometheus/prometheus@docs/querying/functions.md",
    remedy="Let `window` be four times `interval`, or more.",
)


@_SHORT.on_release_with("monitoring")
def _shorter_than_two_scrapes(release: Release) -> Iterator[Finding]:
    watched = _watched(release)
    if watched is None or not watched.interval:
        return
    if durations.seconds(watched.window) < 2 * durations.seconds(watched.interval):
        message = (
            f"in {watched.window} there are no two scrapes {watched.interval} apart, so that "
            "nothing is ever counted"
        )
        hint = "write a `window` of four times `interval`"
        yield at_setting(release, ("monitoring", "metrics", "interval"), message, hint)


_NO_SUMMARY = BOOK.warning(
    "M013",
    "Triton tells of quantiles only if it is asked to.",
    evidence="triton-inference-server/server@docs/user_guide/metrics.md",
    remedy="Add the argument `--metrics-config=summary_latencies=true`.",
)


@_NO_SUMMARY.on_release_with("monitoring")
def _no_summary(release: Release) -> Iterator[Finding]:
    watched = _watched(release)
    if watched is None or "nv_inference_request_summary_us" not in watched.queries.get(
        "latency", ""
    ):
        return
    args = " ".join(release.stable.artifact.args)
    if watched.latency and "summary_latencies=true" not in args:
        message = "Triton tells nothing of its latency, so that this alarms nobody"
        hint = "add `--metrics-config=summary_latencies=true` to `serving.args`"
        yield at_setting(release, ("monitoring", "latency"), message, hint)


# What a check of drift is called with


def _drift(release: Release) -> Drift | None:
    return release.facts.get("drift")


_SAME = BOOK.error(
    "M020",
    "A table never drifts away from itself.",
    evidence="evidentlyai/evidently@docs/library/report.mdx",
    remedy="Name what the model sees as `current`.",
)


@_SAME.on_release_with("drift")
def _same_table(release: Release) -> Iterator[Finding]:
    drift = _drift(release)
    if drift is None:
        return
    if drift.addresses["reference"] == drift.addresses["current"]:
        message = "`current` is the table that it is compared with"
        yield at_setting(release, ("drift", "current"), message, "name what the model sees")


_UNHEARD = BOOK.warning(
    "M021",
    "Drift that no Prometheus is told of alarms nobody.",
    evidence="prometheus/pushgateway@README.md",
    remedy="Add `platform.prometheus.pushgateway`, and `monitoring` for the alert.",
)


@_UNHEARD.on_release_with("drift")
def _unheard(release: Release) -> Iterator[Finding]:
    drift = _drift(release)
    training = release.facts.get("training")
    if drift is None or drift.push or (training is not None and training.on_drift):
        return
    name = release.environment.name
    message = f"environment {name} has no Pushgateway: what is found stands in a log, and no more"
    hint = "add `pushgateway` to the environment's `platform.prometheus`"
    place = of_setting(release, "drift", "reference")
    yield Finding(message, place, hint)


_TAG = BOOK.error(
    "M022",
    "The policy asks for pinned artifacts, and an image without a digest can become another.",
    evidence="kubernetes/website@content/en/docs/concepts/containers/images.md",
    remedy="Name the image by its digest, `...@sha256:<64 hex digits>`.",
)


@_TAG.on_release_with("drift")
def _tag(release: Release) -> Iterator[Finding]:
    drift, environment = _drift(release), release.environment
    if drift is None or not environment.policy.pinned_artifacts or "@sha256:" in drift.image:
        return
    message = f"`{drift.image}` can become another image, and the policy asks for pinned ones"
    hint = "write `...@sha256:<64 hex digits>`"
    if any(layer.has(("drift", "image")) for layer in release.layers):
        yield at_setting(release, ("drift", "image"), message, hint)
    else:
        yield in_environment(environment, ("platform", "drift", "image"), message, hint)


_NO_ROLE = BOOK.warning(
    "M023",
    "A Pod has one ServiceAccount: what may start a training has no role in the cloud.",
    evidence="kubernetes/website@content/en/docs/concepts/security/service-accounts.md",
    remedy="Give the ServiceAccount of the training that role too, or read the data by a Secret.",
)


@_NO_ROLE.on_release_with("drift", "training")
def _no_role(release: Release) -> Iterator[Finding]:
    training = release.facts.get("training")
    if (
        _drift(release)
        and training
        and training.on_drift
        and release.serving.service_account_annotations
    ):
        message = (
            f"the check runs as `{training.creator.name}`, which may start a training, and not "
            f"with the role of `{release.serving.service_account}`: it may not read the data"
        )
        hint = "read it with `serviceAccount.secrets`, or let that name take the role too"
        yield at_setting(release, ("training", "onDrift"), message, hint)
