"""Rules of triggers, of how fast replicas come and go, and of models that sleep."""

from __future__ import annotations

from collections.abc import Iterator

from generator import promql
from generator.documents import Json
from generator.inventory.records import Environment
from generator.records import Release, Variant
from generator.rules import Book, Finding
from generator.rules.places import at_key, at_setting, in_environment, in_live
from generator.scaling import keda, pace
from generator.values import minors

BOOK = Book("autoscaling")

_DOCS = "kedacore/keda-docs@content/docs/2.20"
_ADDON = "kedacore/keda-docs@content/http-add-on/0.15"
_WEBHOOK = "kedacore/keda@apis/keda/v1alpha1/scaledobject_webhook.go"
_KNATIVE = "knative/docs@docs/serving/autoscaling"

BOOK.error(
    "A101",
    "Knative scales its revisions itself, each a Deployment of another name.",
    evidence="kserve/kserve@pkg/controller/v1beta1/inferenceservice/reconcilers/knative",
    remedy="Write `triggers: []` for that environment, or use one in Standard mode.",
)

BOOK.error(
    "A102",
    "KEDA's webhook refuses cpu and memory triggers of a Deployment that is not there yet.",
    evidence="kedacore/keda#5973, kedacore/keda#5348",
    remedy="Use `metric: requests-per-second`, or another trigger.",
)

BOOK.error(
    "A103",
    "A schedule is a floor: below the minimum it adds nothing, and never more than the maximum.",
    evidence=f"kedacore/keda@pkg/scalers/cron_scaler.go, {_DOCS}/scalers/cron.md",
    remedy="Write `replicas` above `min` and at most `max`.",
)

BOOK.error(
    "A104",
    "A schedule alone never adds more replicas than it says.",
    evidence=f"{_DOCS}/scalers/cron.md",
    remedy="Lower `max` to that, or add a metric or a trigger that counts work.",
)

BOOK.error(
    "A105",
    "KEDA's webhook refuses a fallback where no trigger asks anybody.",
    evidence=_WEBHOOK,
    remedy="Remove `fallback`: cpu, memory and a schedule are always known.",
)

BOOK.error(
    "A106",
    "A fallback never gets more replicas than the maximum.",
    evidence="kedacore/keda@pkg/fallback/fallback.go",
    remedy="Write `replicas` of at most `max`.",
)

BOOK.error(
    "A107",
    "Whoever decides the number of replicas ignores what it does not know.",
    evidence="kserve/kserve@pkg/controller/v1beta1/inferenceservice/reconcilers/hpa",
    remedy="Remove the key, or scale by something that reads it.",
)

BOOK.error(
    "A109",
    "The HTTP add-on sees only requests that pass its interceptor.",
    evidence=f"{_ADDON}/user-guide/configure-ingress.md",
    remedy="Use it where a route of gen's own leads to the model: Standard mode with a Gateway.",
)

BOOK.error(
    "A113",
    "Of a consumer group, as many replicas get messages as there are partitions.",
    evidence=f"{_DOCS}/scalers/apache-kafka.md",
    remedy="Write `max` of at most the partitions, or give the topic more of them.",
)

BOOK.error(
    "A114",
    "Copies of requests go to a shadow past the interceptor, so that it would never wake.",
    evidence=f"{_ADDON}/concepts/architecture.md, kubernetes-sigs/gateway-api@geps/gep-3171",
    remedy="Give the shadow a fixed number of replicas.",
)

BOOK.error(
    "A116",
    "Of a target and a hard limit of concurrency, Knative takes the smaller.",
    evidence=f"{_KNATIVE}/concurrency.md",
    remedy="Write a `target` of at most `containerConcurrency`.",
)

BOOK.error(
    "A118",
    "The interceptor waits for the Service that it leads to, and not for what that one calls.",
    evidence=f"{_ADDON}/concepts/scaling.md",
    remedy="Scale without `http`, or serve without a transformer and an explainer.",
)


# Releases

_ONLY_AT_ZERO = BOOK.warning(
    "A108",
    "KEDA waits and polls between 0 and 1 replicas alone; above, the HPA decides.",
    evidence=_WEBHOOK,
    remedy="Write `min: 0`, or remove the key; `behavior` says how fast replicas go above 1.",
)


@_ONLY_AT_ZERO.on_release_with("keda")
def _timing_of_the_awake(release: Release) -> Iterator[Finding]:
    sleeps = any(variant.scaling.minimum == 0 for variant in release.variants)
    if sleeps or release.stable.scaling.autoscaler != "keda":
        return
    for key in pace.TIMING:
        pointer = ("scaling", key)
        layer = next((each for each in reversed(release.layers) if each.has(pointer)), None)
        if layer and layer.document is release.document:
            least = release.stable.scaling.minimum
            message = f"`scaling.{key}` has no effect: with `min: {least}` the model never sleeps"
            hint = "remove it, or write `min: 0`; `behavior.scaleDown` slows the way down to `min`"
            yield at_setting(release, pointer, message, hint)


_ONE_QUEUE = BOOK.warning(
    "A110",
    "Versions that read one queue share its messages evenly, whatever their traffic.",
    evidence=f"{_DOCS}/scalers/apache-kafka.md, {_DOCS}/scalers/aws-sqs.md",
    remedy="Let one version alone read the queue, and move to the next by a promotion.",
)
_QUEUES = ("kafka", "aws-sqs-queue")


@_ONE_QUEUE.on_release_with("several", "keda")
def _shared_queue(release: Release) -> Iterator[Finding]:
    own = _types(release.stable)
    for variant in release.variants[1:]:
        if any(kind in own and kind in _types(variant) for kind in _QUEUES):
            message = (
                f"{variant.artifact.version} takes messages from the same queue as "
                f"{release.stable.artifact.version}, as many as it can: a share of the traffic is "
                "one of requests"
            )
            hint = "let one version alone read it; or silence A110, if all of them may"
            yield in_live(release, (variant.role,), message, hint)


def _types(variant: Variant) -> set[str]:
    return {trigger["type"] for trigger in variant.scaling.triggers}


_CLOSED = BOOK.warning(
    "A111",
    "A model that only a schedule wakes answers no request at other times.",
    evidence="kedacore/keda#6040, kserve/kserve#4007",
    remedy="Add a trigger `http`, write `min: 1`, or say by `metric: none` that this is meant.",
)


@_CLOSED.on_release_with("keda")
def _closed_at_night(release: Release) -> Iterator[Finding]:
    """A schedule alone says what is meant; beside a metric of the Pods it looks like more."""
    scaling = release.stable.scaling
    kinds = _types(release.stable)
    if scaling.minimum == 0 and "cron" in kinds and kinds - {"cron"}:
        wakers = [t for t in scaling.triggers if t["type"] != "cron" and _wakes(t, release)]
        if not wakers:
            message = (
                "outside of its schedule the model sleeps, and no request wakes it: what else it "
                "scales on is measured on its own Pods"
            )
            hint = "add a trigger `http`, or write `min: 1`"
            yield at_setting(release, ("scaling", "min"), message, hint)


def _wakes(trigger: Json, release: Release) -> bool:
    if trigger["type"] == "prometheus":
        return not promql.is_of_pods(trigger["metadata"]["query"], release.model)
    return trigger["type"] not in ("cpu", "memory")


_GIVEN_UP = BOOK.warning(
    "A112",
    "A Gateway gives a request up while the interceptor still holds it for a model that starts.",
    evidence=f"{_ADDON}/user-guide/configure-cold-start.md, "
    "kubernetes-sigs/gateway-api@geps/gep-1742",
    remedy="Let `serving.timeout` be longer than `readiness` of the trigger `http`.",
)


@_GIVEN_UP.on_release_with("scaling")
def _given_up(release: Release) -> Iterator[Finding]:
    held, limit = release.stable.scaling.interceptor, release.serving.timeout
    if held and limit and limit <= held.readiness:
        message = (
            f"the Gateway gives a request up after {limit} s, and the interceptor may hold it for "
            f"{held.readiness} s until the model has started"
        )
        hint = f"write more than {held.readiness}, or a shorter `readiness`"
        yield at_setting(release, ("serving", "timeout"), message, hint)


_NOTHING_FIRST = BOOK.warning(
    "A115",
    "Knative starts a revision without Pods only where its ConfigMap allows it.",
    evidence="knative/serving@config/core/configmaps/autoscaler.yaml",
    remedy="Leave it out; or set `allow-zero-initial-scale` and silence this rule.",
)
_KNOBS = ("scaling", "knative")


@_NOTHING_FIRST.on_release_with("knative")
def _nothing_first(release: Release) -> Iterator[Finding]:
    annotations = release.stable.scaling.annotations
    if annotations.get("autoscaling.knative.dev/initial-scale") == "0":
        message = "KServe drops an initial scale of 0 unless Knative's ConfigMap allows it"
        yield at_setting(release, (*_KNOBS, "initialScale"), message, "remove it")


_ONE_BY_ONE = BOOK.warning(
    "A117",
    "A server that batches requests is given one at a time.",
    evidence=f"vllm-project/vllm@docs/usage/v1_guide.md, {_KNATIVE}/concurrency.md",
    remedy="Leave `containerConcurrency` out, and scale by `metric: concurrency`.",
)
_BATCHING = ("kserve-huggingfaceserver", "kserve-vllmserver", "kserve-tritonserver")


@_ONE_BY_ONE.on_release_with("knative")
def _one_by_one(release: Release) -> Iterator[Finding]:
    limit = release.stable.scaling.container_concurrency
    if limit == 1 and release.serving.runtime in _BATCHING:
        message = f"{release.serving.runtime} batches requests, and is given one at a time"
        hint = "remove it, or write what one replica can batch"
        yield at_setting(release, (*_KNOBS, "containerConcurrency"), message, hint)


# Environments

_TAKEN = BOOK.error(
    "A119",
    "Two TriggerAuthentications of one name are one.",
    evidence="kedacore/keda@apis/keda/v1alpha1/triggerauthentication_types.go",
    remedy="Call the own one otherwise: `prometheus` is that of `platform.prometheus.auth`.",
)


@_TAKEN.on_environment
def _taken(environment: Environment) -> Iterator[Finding]:
    own = keda.platform(environment, "keda").get("auth", {})
    if keda.PROMETHEUS in own and keda.modes(environment):
        message = f"`{keda.PROMETHEUS}` is called what `platform.prometheus.auth` becomes"
        pointer = ("platform", "keda", "auth", keda.PROMETHEUS)
        yield at_key(environment, pointer, message, "give it another name")


_OTHER_CLOUD = BOOK.error(
    "A120",
    "An identity has the settings of its own cloud, and one that exists has none.",
    evidence="kedacore/keda@apis/keda/v1alpha1/triggerauthentication_webhook.go",
    remedy="Keep `roleArn` for `aws`, `identityId` for `azure-workload`, and `kind` alone.",
)
_OF_CLOUD = {"roleArn": "aws", "identityId": "azure-workload"}


@_OTHER_CLOUD.on_environment
def _other_cloud(environment: Environment) -> Iterator[Finding]:
    for name, said in keda.platform(environment, "keda").get("auth", {}).items():
        place = ("platform", "keda", "auth", name)
        for key, cloud in _OF_CLOUD.items():
            if key in said and said.get("podIdentity") != cloud:
                message = f"`{key}` is of `podIdentity: {cloud}`, and this is another"
                yield at_key(environment, (*place, key), message, "remove it")
        if "kind" in said and len(said) > 1:
            message = "the cluster has this one already: nothing else of it is rendered"
            hint = "remove the rest, or `kind`"
            yield in_environment(environment, (*place, "kind"), message, hint)


_TWO_WAYS = BOOK.error(
    "A121",
    "KEDA proves itself to Prometheus by TLS and at most one way beside it.",
    evidence="kedacore/keda@pkg/scalers/authentication/authentication_helpers.go",
    remedy="Keep one of bearer, basic and custom.",
)


@_TWO_WAYS.on_environment
def _two_ways(environment: Environment) -> Iterator[Finding]:
    asked = keda.platform(environment, keda.PROMETHEUS).get("auth", {})
    place = ("platform", keda.PROMETHEUS, "auth")
    beside = [mode for mode in asked.get("modes", ()) if mode != "tls"]
    if len(beside) > 1:
        message = f"Prometheus is asked by {' and '.join(beside)} at once"
        yield in_environment(environment, (*place, "modes"), message, "keep one of them")
    needed = {name for mode in asked.get("modes", ()) for name in keda.PARAMETERS[mode]}
    for key in asked.get("keys", {}):
        if key not in needed:
            message = f"`{key}` is of none of these `modes`"
            yield at_key(environment, (*place, "keys", key), message, "remove it")


_HOSTS_ALONE = BOOK.error(
    "A122",
    "Before 0.12 the HTTP add-on tells versions of one host not apart.",
    evidence="kedacore/http-add-on@docs/ref/v0.12.0/http_scaled_object.md",
    remedy="Upgrade the add-on.",
)


@_HOSTS_ALONE.on_environment
def _hosts_alone(environment: Environment) -> Iterator[Finding]:
    version = keda.addon(environment).get("version")
    if version and minors.parsed(version) < keda.HEADERS_SINCE:
        message = f"the add-on {version} looks at no header, by which versions are told apart"
        pointer = ("platform", "keda", "httpAddon", "version")
        yield in_environment(environment, pointer, message, 'upgrade it; "0.12" is the oldest')
