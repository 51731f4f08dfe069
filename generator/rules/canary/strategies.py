"""Rules of how versions share traffic: canaries, standbys, shadows and the names they answer to."""

from __future__ import annotations

from collections.abc import Iterator

from generator.inventory.records import Environment
from generator.promotions import withdrawals
from generator.records import Release, Variant
from generator.rules import Book, Finding
from generator.rules.kserve.accessors import flags
from generator.rules.places import at_argument, at_setting, at_variable, in_environment, in_live
from generator.serving import runtimes
from generator.serving.runtimes import Runtime

BOOK = Book("canary")

_ROUTE = "kserve/kserve#4074, kserve/kserve#5335"
_SERVED = "kserve/kserve@python/kserve/kserve/model_server.py"

_FRESH = BOOK.warning(
    "C001",
    "A Knative canary takes all traffic on a cluster that never served the stable version.",
    evidence="kserve/kserve#2649",
    remedy="Roll out the stable version first and add the canary once it serves, or use an "
    "environment in Standard mode with a Gateway, where each version is its own InferenceService.",
)


@_FRESH.on_release_with("several", "knative")
def _fresh_cluster(release: Release) -> Iterator[Finding]:
    if release.strategy == "knative" and len(release.variants) > 1:
        canary = release.variants[1].artifact.version
        message = (
            f"on a cluster that never served {release.stable.artifact.version}, the canary {canary}"
            " gets all requests: Knative keeps the stable version as a revision, not in Git"
        )
        hint = "roll out the stable version first, then add the canary"
        yield in_live(release, ("canary",), message, hint)


BOOK.error(
    "C002",
    "In Standard mode KServe ignores a traffic split unless a Gateway carries it.",
    evidence=_ROUTE,
    remedy="Add `platform.kserve.gateway` and `domain` to the environment, or remove the canary.",
)

BOOK.error(
    "C003",
    "Knative keeps no version that gets no traffic.",
    evidence="kserve/kserve@pkg/controller/v1beta1/inferenceservice/reconcilers/knative",
    remedy="Remove `standby`, or use an environment in Standard mode with a Gateway.",
)

BOOK.error(
    "C004",
    "A plain Deployment is updated in place: it has one version at a time.",
    evidence="kubernetes/website@content/en/docs/concepts/workloads/controllers/deployment.md",
    remedy="Remove the canary, or have a Deployment per version behind the Gateway: "
    "`canaryStrategy: route` in the model.",
)

BOOK.error(
    "C030",
    "Only a route of gen's own copies requests, or leads some of them by a header.",
    evidence="knative-extensions/net-istio#1454, kserve/kserve#2240",
    remedy="Remove `shadow` or `header`, or use an environment in Standard mode with a Gateway.",
)

BOOK.error(
    "C031",
    "Before Gateway API 1.3 a mirror has no percentage, and copies every request.",
    evidence="kubernetes-sigs/gateway-api@geps/gep-3171/index.md",
    remedy="Remove `percent`, or say that the Gateway supports it: `platform.kserve.gateway."
    "version`.",
)

_PREDICTOR = "kserve/kserve@pkg/controller/v1beta1/inferenceservice/components/predictor.go"
_WEBHOOK = "kserve/kserve@pkg/apis/serving/v1beta1/inference_service_validation.go"
_ROUTE_INSTEAD = "or leave the canary to a route of gen's own: `canaryStrategy: route`."

BOOK.error(
    "C033",
    "KServe's own canaries are a stable predictor and one on trial: nothing stands by.",
    evidence=_PREDICTOR,
    remedy=f"Remove `standby`, {_ROUTE_INSTEAD}",
)

BOOK.error(
    "C034",
    "Beside `spec.canary` replicas are fixed, or follow cpu or memory: KEDA would scale one only.",
    evidence=_PREDICTOR,
    remedy=f"Use `metric: cpu`, or `min` equal to `max`, {_ROUTE_INSTEAD}",
)

BOOK.error(
    "C036",
    "KServe's webhook lets a canary take the place of the stable predictor only with another "
    "storageUri.",
    evidence=_WEBHOOK,
    remedy=f"Give each version a `uri` of its own, {_ROUTE_INSTEAD}",
)

BOOK.error(
    "C037",
    "KServe lays a canary over a copy of the stable predictor, so that nothing can be left out.",
    evidence=_PREDICTOR,
    remedy=f"Give the version arguments and variables of its own, {_ROUTE_INSTEAD}",
)

_SAME = BOOK.warning(
    "C005",
    "Two live versions that are one artifact: the trial compares a model with itself.",
    evidence="kserve/kserve@pkg/controller/v1beta1/inferenceservice/reconcilers/deployment",
    remedy="Give the version the address of its own artifact.",
)


@_SAME.on_release_with("several")
def _same_artifact(release: Release) -> Iterator[Finding]:
    versions = release.document.data["versions"]
    for variant in release.variants[1:]:
        own, stable = variant.artifact.version, release.stable.artifact.version
        if versions[own] == versions[stable]:
            message = f"{own} is the same as {stable}, so both would answer alike"
            has = release.document.has((*release.pointer, variant.role, "version"))
            keys = (variant.role, *(("version",) if has else ()))
            yield in_live(release, keys, message, f"give {own} its own artifact under `versions`")


_ALL = BOOK.warning(
    "C006",
    "A canary with all of the traffic is a promotion that the document does not say.",
    evidence="kserve/kserve@pkg/apis/serving/v1beta1/inference_service_status.go",
    remedy="Write its version as `version` and remove `canary`.",
)


@_ALL.on_release_with("several")
def _canary_with_everything(release: Release) -> Iterator[Finding]:
    canary = release.canary
    if canary and canary.traffic == 100:
        old, new = release.stable.artifact.version, canary.artifact.version
        message = f"{new} gets every request while the document calls {old} the version that serves"
        hint = f"promote it: `version: {new}`, and `standby: {old}` if you may go back"
        yield in_live(release, ("canary", "traffic"), message, hint)


_OLDER = BOOK.warning(
    "C007",
    "A canary that is older than what serves: a way back is no trial.",
    evidence="kserve/kserve@docs/samples/v1beta1/rollout",
    remedy="Write the older version as `version`, or name the newer one as canary.",
)


@_OLDER.on_release_with("several")
def _canary_of_the_past(release: Release) -> Iterator[Finding]:
    canary = release.canary
    if canary and canary.order < release.stable.order:
        old, new = canary.artifact.version, release.stable.artifact.version
        message = f"{old} stands before {new} under `versions`: this tries out the past"
        hint = f"to go back write `version: {old}`; to try {new} swap the two"
        yield in_live(release, ("canary", "version"), message, hint)


_NAMES = BOOK.error(
    "C008",
    "Versions behind one route answer to one name: requests for another end in 404.",
    evidence=f"{_SERVED}, kserve/kserve@config/runtimes",
    remedy="Remove the argument: gen tells every version the model's name.",
)

_NAME = BOOK.warning(
    "C009",
    "The model answers to another name than its own.",
    evidence=f"{_SERVED}, kserve/kserve@config/runtimes",
    remedy="Remove the argument, unless clients know the model by that name.",
)


def _served(runtime: Runtime, variant: Variant) -> tuple[str, int]:
    """Tell the name that a variant answers to, and which argument says so; -1 for a variable."""
    wanted = runtime.served_name_arg.removeprefix("--").replace("-", "_")
    found = [flag for flag in flags(variant.artifact.args) if wanted and flag.name == wanted]
    if found:
        return found[-1].value, found[-1].place
    if runtime.served_name_env:
        for entry in variant.artifact.env:
            if entry["name"] == runtime.served_name_env:
                return entry["value"], -1
    return "", -1


def _misnamed(release: Release) -> list[tuple[Variant, str, int]]:
    """Give the variants that answer to another name than the model's."""
    runtime = runtimes.BY_NAME.get(release.serving.runtime)
    if release.strategy != "route" or runtime is None:
        return []
    served = [(variant, *_served(runtime, variant)) for variant in release.variants]
    return [each for each in served if each[1] not in ("", release.model)]


def _at_name(release: Release, found: tuple[Variant, str, int], message: str) -> Finding:
    variant, _, index = found
    hint = f"remove it: gen tells every version to answer to `{release.model}`"
    if index >= 0:
        return at_argument(release, variant, index, message, hint)
    name = runtimes.BY_NAME[release.serving.runtime].served_name_env
    return at_variable(release, variant, name, message, hint)


@_NAMES.on_release_with("kserve")
def _names_that_differ(release: Release) -> Iterator[Finding]:
    found = _misnamed(release)
    names = {name for _, name, _ in found}
    if found and (len(names) > 1 or len(found) < len(release.variants)):
        variant, name, _ = found[0]
        message = (
            f"{variant.artifact.version} answers to `{name}` and the others do not: the route "
            "gives each request to any of them"
        )
        yield _at_name(release, found[0], message)


@_NAME.on_release_with("kserve")
def _another_name(release: Release) -> Iterator[Finding]:
    found = _misnamed(release)
    if len(found) == len(release.variants) and len({name for _, name, _ in found}) == 1:
        message = f"requests have to say `{found[0][1]}`, and the model is called `{release.model}`"
        yield _at_name(release, found[0], message)


_OWN = BOOK.warning(
    "C010",
    "A runtime of your own answers to the InferenceService's name, which has the version in it.",
    evidence="kserve/kserve@config/runtimes/kserve-sklearnserver.yaml",
    remedy="Tell it the model's name in `serving.args` or `serving.env`.",
)


@_OWN.on_release_with("kserve", "chosen")
def _name_of_an_own_runtime(release: Release) -> Iterator[Finding]:
    runtime = release.serving.runtime
    is_kserve = release.serving.backend == "kserve"
    if not is_kserve or release.strategy != "route" or runtime.startswith("kserve-"):
        return
    artifact = release.stable.artifact
    said = [*artifact.args, *(str(entry["value"]) for entry in artifact.env)]
    if not any(release.model in text for text in said):
        message = (
            f"gen does not know how to tell `{runtime}` the name: it may answer to "
            f"`{release.stable.name}`, and to another one after every promotion"
        )
        hint = f"add its argument or variable with the value `{release.model}`"
        yield at_setting(release, ("serving", "runtime"), message, hint)


_GATEWAY = BOOK.warning(
    "C011",
    "In Knative mode nothing uses `gateway`: Knative has its own ingress.",
    evidence="kserve/kserve@pkg/controller/v1beta1/inferenceservice/reconcilers/ingress",
    remedy="Remove `gateway` and `domain`, or write `mode: Standard`.",
)


@_GATEWAY.on_environment
def _gateway_that_nobody_uses(environment: Environment) -> Iterator[Finding]:
    has_groups = environment.document.data["platform"]["kserve"].get("llm")
    if environment.mode == "Knative" and environment.gateway and not has_groups:
        message = "in Knative mode no route is made for this Gateway, and no canary goes through it"
        hint = "remove `gateway` and `domain`, or write `mode: Standard`"
        yield in_environment(environment, ("platform", "kserve", "gateway"), message, hint)


_WITHDRAWN = BOOK.error(
    "C035",
    "A version that is withdrawn is live: whoever withdrew it knew a reason why it may never be.",
    evidence="golang/website@_content/ref/mod.md",
    remedy="Make another version the live one. What is wrong with an artifact is mended in another "
    "one, under another version.",
)


@_WITHDRAWN.on_release
def _withdrawn_version_is_live(release: Release) -> Iterator[Finding]:
    versions = release.document.data["versions"]
    if not any(withdrawals.MARK in entry for entry in versions.values()):
        return
    for variant in release.variants:
        version = variant.artifact.version
        mark = withdrawals.of(versions, version)
        if mark:
            message = f"{mark.told(version)} and may be live nowhere"
            keys, hint = _way_out(variant, withdrawals.instead(versions))
            yield in_live(release, keys, message, hint)


def _way_out(variant: Variant, instead: str) -> tuple[tuple[str, ...], str]:
    """Give the keys that name a live version, and what to write if it is withdrawn."""
    if variant.role == "stable":
        return ("version",), f"name {instead}"
    keys = ("canary", "version") if variant.role == "canary" else (variant.role,)
    return keys, f"remove `{variant.role}`, or name {instead}"
