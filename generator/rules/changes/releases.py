"""Rules of what is legal alone and not as a change of a model that runs.

Git says what is to be and a cluster gets there by itself, so the way is only safe if every step of
it is. These rules look at one step: from the base of a pull request to what it would merge.
"""

from __future__ import annotations

from collections.abc import Iterator

from generator.records import Release, Variant
from generator.rules import Book, Finding, Step
from generator.rules.changes.transitions import (
    about,
    both,
    experimented,
    grouped,
    is_steady,
    is_updated,
    kept,
    native,
    routed,
)
from generator.rules.places import at_setting, in_live

BOOK = Book("change")

_MODE = BOOK.error(
    "R001",
    "KServe refuses to change the deployment mode of an InferenceService that exists.",
    evidence="kserve/kserve@pkg/apis/serving/v1beta1/inference_service_validation.go",
    remedy="Describe the other mode as another environment with a namespace of its own, add the "
    "models there, move their callers, then remove them here.",
)

_NAMES = BOOK.error(
    "R002",
    "With or without a route, a model has other InferenceServices: the old ones are deleted while "
    "the new ones still start, and the public host changes.",
    evidence="argoproj/argo-cd@gitops-engine/pkg/sync/sync_context.go",
    remedy="Describe it as another environment with a namespace of its own, add the models there, "
    "move their callers, then remove them here.",
)

_SECOND_ENVIRONMENT = (
    "leave this environment as it is, and describe the new one beside it, with a namespace of its "
    "own; add the models there, and remove them here once nobody calls them"
)


_ROUTED = (
    "with a route every version is an InferenceService of its own: the one that serves would be "
    "deleted while those still start, and the public host changes"
)
_UNROUTED = (
    "without a route a model is one InferenceService: those that serve would be deleted while it "
    "still starts, and the public host changes"
)


@_MODE.on_step
def _other_mode(step: Step) -> Iterator[Finding]:
    pair = both(step)
    if pair is None or not _are_kserve(*pair):
        return
    before, after = pair
    if before.environment.mode != after.environment.mode and not _routes(before, after):
        was, now = before.environment.mode, after.environment.mode
        message = f"KServe refuses {now} for an InferenceService that runs in {was} mode"
        yield _at_kserve(after, ("mode",), message)


@_NAMES.on_step
def _other_names(step: Step) -> Iterator[Finding]:
    pair = both(step)
    if pair is None or not _run_alike(*pair):
        return
    before, after = pair
    if _is_by_wish(before, after):
        out = f"take the model out of {after.environment.name}"
        hint = f"keep the strategy, or {out} and put it back in a later commit"
        yield about(at_setting(after, ("canaryStrategy",), _OTHERWISE_NAMED, hint), after)
    elif before.strategy != after.strategy and _routes(before, after):
        message = _ROUTED if after.strategy == "route" else _UNROUTED
        other = before.environment.mode != after.environment.mode
        key = "mode" if other else "gateway"
        has = after.environment.document.has(("platform", "kserve", key))
        yield _at_kserve(after, (key,) if has else (), message)


_OTHERWISE_NAMED = (
    "with another strategy the model's Deployments have other names: those that serve would be "
    "deleted while the new ones still start"
)


def _is_by_wish(before: Release, after: Release) -> bool:
    """Say whether canaries of another kind come or go, and not the mode of KServe with them."""
    strategies = {before.strategy, after.strategy}
    if before.serving.backend == "deployment":
        return strategies == {"single", "route"}
    return "native" in strategies and strategies in ({"native", "route"}, {"native", "single"})


def _routes(before: Release, after: Release) -> bool:
    return "route" in (before.strategy, after.strategy)


def _are_kserve(before: Release, after: Release) -> bool:
    return before.serving.backend == after.serving.backend == "kserve"


def _run_alike(before: Release, after: Release) -> bool:
    """Say whether both are KServe's, or both plain Deployments."""
    backend = after.serving.backend
    return before.serving.backend == backend and backend in ("kserve", "deployment")


def _at_kserve(release: Release, keys: tuple[str, ...], message: str) -> Finding:
    document = release.environment.document
    where = document.where("platform", "kserve", *keys, key=True)
    return Finding(message, where, _SECOND_ENVIRONMENT, release.model)


_QUEUE = BOOK.error(
    "R003",
    "Kueue refuses to change, add or remove the queue of a Deployment that has ready Pods.",
    evidence="kubernetes-sigs/kueue@pkg/controller/jobs/deployment/deployment_webhook.go",
    remedy="Add the model under another name with the new queue, move its callers, then remove "
    "this one; or take it out of the environment and put it back in a later commit.",
)


@_QUEUE.on_step
def _other_queue(step: Step) -> Iterator[Finding]:
    pair = both(step)
    if pair is None or pair[0].queue == pair[1].queue or not pair[1].environment.kueue:
        return
    before, after = pair
    if is_updated(before, after):
        hint = (
            "add the model under another name with this queue and move its callers, or take it out "
            f"of {after.environment.name} and put it back in a later commit"
        )
        message = _refused_queue(before.queue, after.queue)
        yield about(at_setting(after, ("queue",), message, hint), after)


def _refused_queue(was: str, now: str) -> str:
    if not now:
        return f"the Pods run by queue `{was}`, and Kueue never takes the queue from a Deployment"
    runs = f"by queue `{was}`" if was else "without a queue"
    return f"the Pods run {runs}, and Kueue refuses `{now}` as long as one of them is ready"


_BACKEND = BOOK.error(
    "R004",
    "Another backend under the same name is another workload at another address: the old one is "
    "deleted while the new one still starts.",
    evidence="argoproj/argo-cd@gitops-engine/pkg/sync/sync_context.go",
    remedy="Add a model with another name and the other backend, move the callers, then remove "
    "this one.",
)


@_BACKEND.on_step
def _other_backend(step: Step) -> Iterator[Finding]:
    pair = both(step)
    if pair is None or pair[0].serving.backend == pair[1].serving.backend:
        return
    before, after = pair
    message = (
        f"{before.model} runs with `backend: {before.serving.backend}`: those Pods would be "
        "deleted while the new ones still start, and the callers' address changes"
    )
    hint = "add it as a model of another name, move the callers, then remove this one"
    has = after.document.has(("serving", "backend"))
    where = after.document.where("serving", *(("backend",) if has else ()), key=True)
    yield Finding(message, where, hint)


_SCALER = BOOK.warning(
    "R005",
    "KEDA refuses a ScaledObject for a Deployment that KServe's own autoscaler still scales.",
    evidence="kserve/kserve#5196, kedacore/keda@apis/keda/v1alpha1/scaledobject_webhook.go",
    remedy="First let nobody scale the model, with `min` equal to `max`, so that KServe deletes "
    "its autoscaler; change the metric in a later commit.",
)


@_SCALER.on_step
def _other_autoscaler(step: Step) -> Iterator[Finding]:
    pair = both(step)
    if pair is None:
        return
    after = pair[1]
    for old, new in kept(*pair):
        if old.scaling.autoscaler == "kserve-hpa" and new.scaling.autoscaler == "keda":
            message = (
                f"KServe scales these Pods by {old.scaling.metric}, and until it has deleted its "
                "autoscaler KEDA refuses the ScaledObject: the sync fails and is tried again"
            )
            hint = (
                "in a commit before, write `min` equal to `max` and no metric: KServe stops scaling"
            )
            yield about(at_setting(after, ("scaling", "metric"), message, hint), after)
            return


_COLD = BOOK.error(
    "R006",
    "A route sends a version its share whether it is ready or not: one that starts with traffic "
    "answers nothing until it has loaded.",
    evidence="kubernetes-sigs/gateway-api@apis/v1/httproute_types.go",
    remedy="Start it as `canary` with `traffic: 0`, raise that once it is Healthy, and promote it "
    "with the old version as `standby`. The rule holds where `policy` promises replicas.",
)

_COLD_ELSEWHERE = BOOK.warning(
    "R007",
    "As R006, where the policy promises no replicas, or on the way back to an earlier version.",
    evidence="kubernetes-sigs/gateway-api@apis/v1/httproute_types.go",
    remedy="Start it as `canary` with `traffic: 0` and raise that once it is Healthy.",
)


@_COLD.on_step
def _cold_where_it_counts(step: Step) -> Iterator[Finding]:
    if step.after is not None and _matters(step, step.after):
        yield from _cold(step)


@_COLD_ELSEWHERE.on_step
def _cold_elsewhere(step: Step) -> Iterator[Finding]:
    if step.after is not None and not _matters(step, step.after):
        yield from _cold(step)


def _matters(step: Step, after: Release) -> bool:
    """Say whether lost requests are an error: on a way back they are the price of an emergency."""
    goes_back = step.before is not None and after.stable.order < step.before.stable.order
    return is_steady(after.environment) and not goes_back


def _cold(step: Step) -> Iterator[Finding]:
    yield from _cold_predictor(step)
    yield from _cold_group(step)
    yield from _cold_default(step)
    pair = routed(step)
    if pair is None:
        return
    before, after = pair
    warm = {variant.artifact.version for variant in before.variants}
    for variant in after.variants:
        if variant.traffic and variant.artifact.version not in warm:
            yield _too_early(before, after, variant)
            return


def _after_a_canary(version: str, was: str, done: str) -> str:
    """Write the way on which a version has started before it serves."""
    first = f"keep `version: {was}`, add `canary: {{version: {version}, traffic: 10}}`"
    return f"{first}, and promote it once it is {done}"


def _cold_predictor(step: Step) -> Iterator[Finding]:
    """KServe waits for a canary of its own, and not for another stable predictor."""
    pair = native(step)
    if pair is None:
        return
    before, after = pair
    version, was = after.stable.artifact.version, before.stable.artifact.version
    is_refused = before.stable.artifact.uri == after.stable.artifact.uri
    warm = {variant.artifact.version for variant in before.variants}
    if version not in warm and not is_refused:
        message = (
            f"{version} does not run in {after.environment.name} yet, and {was} goes when it comes:"
            " all requests fail until it has loaded"
        )
        yield in_live(after, ("version",), message, _after_a_canary(version, was, "ready"))


def _cold_group(step: Step) -> Iterator[Finding]:
    """KServe leaves out who is not ready: somebody who is ready has to have a weight."""
    pair = grouped(step)
    if pair is None:
        return
    before, after = pair
    warm = {variant.artifact.version for variant in before.variants}
    version, was = after.stable.artifact.version, before.stable.artifact.version
    if not any(v.traffic and v.artifact.version in warm for v in after.variants):
        message = (
            f"{version} does not run in {after.environment.name} yet, and nobody who does keeps a "
            "part of the requests: all of them fail until it has loaded"
        )
        yield in_live(after, ("version",), message, _after_a_canary(version, was, "ready"))


def _cold_default(step: Step) -> Iterator[Finding]:
    """Seldon gives everything to the default of an Experiment while another is not loaded."""
    pair = experimented(step)
    if pair is None:
        return
    before, after = pair
    version, was = after.stable.artifact.version, before.stable.artifact.version
    if version not in {variant.artifact.version for variant in before.variants}:
        message = (
            f"{version} is not loaded in {after.environment.name} yet, and every request goes by "
            "its name: all of them fail until it is"
        )
        yield in_live(after, ("version",), message, _after_a_canary(version, was, "loaded"))


def _too_early(before: Release, after: Release, variant: Variant) -> Finding:
    version, was = variant.artifact.version, before.stable.artifact.version
    message = (
        f"{version} does not run in {after.environment.name} yet, and the route sends it "
        f"{variant.traffic} % of the requests at once: they fail until it has loaded"
    )
    if variant.role == "canary":
        return in_live(
            after,
            ("canary", "traffic"),
            message,
            "write `traffic: 0`, and raise it in a later commit, once it is Healthy",
        )
    hint = (
        f"keep `version: {was}` and add `canary: {{version: {version}, traffic: 0}}`; raise the "
        f"traffic once it is Healthy, then promote it with `standby: {was}`"
    )
    return in_live(after, ("version",), message, hint)


_COLD_BY_HEADER = BOOK.warning(
    "R036",
    "A header leads requests to a canary that has not loaded: they fail until it has.",
    evidence="kubernetes-sigs/gateway-api@apis/v1/httproute_types.go",
    remedy="Start the canary without `header`, and add that once it is Healthy.",
)


@_COLD_BY_HEADER.on_step
def _cold_by_a_header(step: Step) -> Iterator[Finding]:
    pair = routed(step) or experimented(step)
    if pair is None:
        return
    before, after = pair
    canary, warm = after.canary, {variant.artifact.version for variant in before.variants}
    if canary and canary.header and not canary.traffic and canary.artifact.version not in warm:
        message = (
            f"{canary.artifact.version} does not run in {after.environment.name} yet: requests "
            f"with `{canary.header.name}` fail until it has loaded"
        )
        hint = "add `header` in a later commit, once it is Healthy"
        yield in_live(after, ("canary", "header"), message, hint)


_RENAMED = BOOK.error(
    "R037",
    "KServe's webhook refuses another name of the stable predictor without another storageUri.",
    evidence="kserve/kserve@pkg/apis/serving/v1beta1/inference_service_validation.go",
    remedy="Give each version a `uri` of its own.",
)


@_RENAMED.on_step
def _same_address_under_another_name(step: Step) -> Iterator[Finding]:
    pair = native(step)
    if pair is None:
        return
    old, new = (release.stable.artifact for release in pair)
    if old.version != new.version and old.uri == new.uri:
        message = f"{new.version} has the `uri` of {old.version}, and KServe refuses the change"
        yield in_live(pair[1], ("version",), message, f"give {new.version} a `uri` of its own")


_HOT = BOOK.warning(
    "R008",
    "Argo CD deletes what is gone before it changes what stays: the route still sends requests to "
    "a version that is removed together with its traffic.",
    evidence="argoproj/argo-cd@gitops-engine/pkg/sync/sync_context.go",
    remedy="Keep the old version as `standby` when you promote, and remove that in a later commit.",
)


@_HOT.on_step
def _removed_while_serving(step: Step) -> Iterator[Finding]:
    pair = routed(step) or experimented(step)
    if pair is None:
        return
    before, after = pair
    warm = {variant.artifact.version for variant in before.variants}
    live = [variant.artifact.version for variant in after.variants]
    served = before.stable.artifact.version
    is_warm = all(v.artifact.version in warm for v in after.variants if v.traffic)
    if before.stable.traffic and served not in live and is_warm:
        message = (
            f"{served} is deleted before the route stops sending it {before.stable.traffic} % of "
            "the requests: for a moment they fail"
        )
        hint = f"add `standby: {served}`, and remove it in a later commit"
        yield in_live(after, ("version",), message, hint)


_UNPROVEN = BOOK.error(
    "R009",
    "Knative splits with the last revision that had all requests: a canary beside a stable version "
    "that never had them leaves that version out.",
    evidence="kserve/kserve@pkg/controller/v1beta1/inferenceservice/reconcilers/knative/"
    "ksvc_reconciler.go, kserve/kserve#2649",
    remedy="Promote first, with `version` alone; add the next canary once that version serves.",
)


@_UNPROVEN.on_step
def _canary_beside_the_unproven(step: Step) -> Iterator[Finding]:
    pair = both(step)
    if pair is None or not pair[0].strategy == pair[1].strategy == "knative":
        return
    before, after = pair
    whole = [v.artifact.version for v in before.variants if v.traffic == 100]
    stable = after.stable.artifact.version
    if len(after.variants) > 1 and stable not in (*whole, before.stable.artifact.version):
        canary, served = after.variants[1].artifact.version, before.stable.artifact.version
        message = (
            f"{stable} has never had all requests in {after.environment.name}, so Knative would "
            f"share them between {served} and {canary}, and {stable} would get none"
        )
        hint = f"write `version: {stable}` without a canary first, and add it in a later commit"
        yield in_live(after, ("canary",), message, hint)


_SMALL = BOOK.warning(
    "R010",
    "A canary that is promoted takes all requests with the replicas it has; more of them have to "
    "start first.",
    evidence="kubernetes/website@content/en/docs/concepts/workloads/autoscaling/"
    "horizontal-pod-autoscale.md",
    remedy="Give the canary the replicas of the stable version, by removing `canary.scaling`, and "
    "promote it in a later commit.",
)


_WAYS_TO_MORE = {
    "route": "remove `canary.scaling` first, and promote once the new replicas are ready",
    "group": "remove `canary.scaling` first, and promote once the new replicas are ready",
    "native": "raise `canary.scaling.min` first, and promote once the new replicas are ready",
    "predictors": "remove `canary.scaling` first, and promote once the new replicas are ready",
    "experiment": "remove `canary.scaling` first, and promote once the new replicas are loaded",
}


@_SMALL.on_step
def _promoted_with_few_replicas(step: Step) -> Iterator[Finding]:
    pair = routed(step) or grouped(step) or experimented(step) or native(step)
    if pair is None:
        return
    before, after = pair
    new = after.stable
    for old in before.variants:
        is_promoted = old.role == "canary" and old.workload == new.workload
        if is_promoted and old.scaling.minimum < new.scaling.minimum:
            few, many = old.scaling.minimum, new.scaling.minimum
            message = (
                f"{new.artifact.version} may run with {few} of the {many} replicas that it needs, "
                f"and takes {new.traffic} % of the requests before the others have started"
            )
            yield in_live(after, ("version",), message, _WAYS_TO_MORE[after.strategy])


_PORT = BOOK.warning(
    "R011",
    "The port of a Deployment is the port of its Service: whoever calls the old one is refused.",
    evidence="kubernetes/website@content/en/docs/concepts/services-networking/service.md",
    remedy="Keep the port, or move the callers in the same moment.",
)


@_PORT.on_step
def _other_port(step: Step) -> Iterator[Finding]:
    pair = both(step)
    if pair is None or pair[0].serving.port == pair[1].serving.port or not kept(*pair):
        return
    before, after = pair
    if after.serving.backend == "deployment":
        message = (
            f"the Service {after.model} goes from port {before.serving.port} to "
            f"{after.serving.port}: whoever calls the old one is refused from then on"
        )
        has = after.document.has(("serving", "port"))
        where = after.document.where("serving", *(("port",) if has else ()), key=not has)
        yield Finding(message, where, f"keep `port: {before.serving.port}`, or move the callers")
