"""Rules of what an own template must leave to others: metadata, hooks, defaults and secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from generator.documents import Json
from generator.rules import Book, Scene, Spot
from generator.rules.fields import (
    annotated,
    annotation_at,
    at,
    group,
    labels,
    name_of,
    pods,
    spec,
)
from generator.schema import nearest
from generator.values import quantities
from generator.yamlio import Pointer

BOOK = Book("delivery")

_SYNC = "argoproj/argo-cd@gitops-engine/pkg/sync/sync_context.go"
_WAVE = "argocd.argoproj.io/sync-wave"
_HOOK = "argocd.argoproj.io/hook"
_SERVING = ("InferenceService", "Deployment", "StatefulSet", "LLMInferenceService")


@BOOK.error(
    "D030",
    "Argo CD tells by this label or annotation what is its own, and prunes or adopts by it.",
    evidence="argoproj/argo-cd@docs/user-guide/resource_tracking.md, gitpod-io/gitpod#4624",
    remedy="Leave it out; `app.kubernetes.io/name` says which model an object is of.",
).on_objects("*")
def _tracking(item: Json, scene: Scene) -> Iterator[Spot]:
    hint = "remove it; `app.kubernetes.io/name` is for the model's name"
    if "app.kubernetes.io/instance" in labels(item):
        message = "Argo CD writes the label app.kubernetes.io/instance where it tracks by label"
        yield Spot(message, ("metadata", "labels", "app.kubernetes.io/instance"), hint)
    if "argocd.argoproj.io/tracking-id" in annotated(item):
        message = "Argo CD writes argocd.argoproj.io/tracking-id itself"
        yield Spot(message, annotation_at("argocd.argoproj.io/tracking-id"), hint)


@BOOK.error(
    "D031",
    "Argo CD deletes a hook before each sync and makes it anew.",
    evidence="argoproj/argo-cd@docs/user-guide/resource_hooks.md",
    remedy="Remove the annotation from what serves; a hook is a Job.",
).on_objects(*_SERVING, "ScaledObject", "Service", "HTTPRoute")
def _serving_hook(item: Json, scene: Scene) -> Iterator[Spot]:
    if annotated(item).get(_HOOK, "Skip") != "Skip":
        message = f"as a hook, this {item['kind']} would be deleted and made anew at each sync"
        yield Spot(message, annotation_at(_HOOK), "remove the annotation")


@BOOK.warning(
    "D032",
    "A sync with a hook or several waves waits until the model is healthy, and a revert with it.",
    evidence=f"argoproj/argo-cd#11494, argoproj/argo-cd#17314, {_SYNC}",
    remedy="Let what serves be in the last wave, and run hooks in an Application of their own.",
).on_objects("*")
def _waits_for_the_model(item: Json, scene: Scene) -> Iterator[Spot]:
    if scene.release is None or item["kind"] == "Application":
        return
    hook = str(annotated(item).get(_HOOK, ""))
    if hook.startswith(("PostSync", "Sync")) and item["kind"] not in _SERVING:
        message = f"a {hook} hook waits for the model: one that never gets ready blocks the revert"
        yield Spot(message, annotation_at(_HOOK), "move it to an Application of its own")
    served = [_wave(other) for other in scene.of_kind(*_SERVING)]
    if not hook and served and _wave(item) > max(served) and _WAVE in annotated(item):
        message = (
            f"wave {_wave(item)} waits until the model of wave {max(served)} is healthy: one that "
            "never gets ready blocks the revert"
        )
        yield Spot(message, annotation_at(_WAVE), f"write a wave of at most {max(served)}")


def _wave(item: Json) -> int:
    try:
        return int(str(annotated(item).get(_WAVE, "0")))
    except ValueError:
        return 0


_HOOKS = ("PreSync", "Sync", "PostSync", "SyncFail", "Skip", "PostDelete", "PreDelete")
_POLICIES = ("HookSucceeded", "HookFailed", "BeforeHookCreation")


@BOOK.error(
    "D033",
    "Argo CD takes a wave that is no whole number for 0, and never runs an unknown hook.",
    evidence="argoproj/argo-cd@docs/user-guide/sync-waves.md, "
    "argoproj/argo-cd@docs/user-guide/resource_hooks.md",
    remedy="Write a whole number in quotes, and the hook as the documentation does.",
).on_objects("*")
def _unknown_wave_or_hook(item: Json, scene: Scene) -> Iterator[Spot]:
    wave = annotated(item).get(_WAVE)
    if wave is not None and not re.fullmatch(r"[-+]?[0-9]{1,6}", str(wave)):
        yield Spot(f"a wave is a whole number, not `{wave}`", annotation_at(_WAVE), 'such as `"1"`')
    for key, known in ((_HOOK, _HOOKS), (f"{_HOOK}-delete-policy", _POLICIES)):
        for word in str(annotated(item).get(key, "")).split(","):
            if word.strip() and word.strip() not in known:
                meant = nearest(word.strip(), known)
                hint = f"did you mean `{meant}`?" if meant else f"one of {', '.join(known)}"
                message = f"Argo CD knows no `{word.strip()}`"
                yield Spot(message, annotation_at(key), hint)


_FRAMEWORKS = (
    *("sklearn", "xgboost", "tensorflow", "pytorch", "triton", "onnx", "huggingface", "pmml"),
    *("lightgbm", "paddle"),
)


@BOOK.error(
    "D034",
    "KServe rewrites a framework block to `model`, which Argo CD shows as a difference for ever.",
    evidence="kserve/kserve#2232",
    remedy="Write `model: {modelFormat: {name: ...}}`.",
).on_objects("InferenceService")
def _legacy_framework(item: Json, scene: Scene) -> Iterator[Spot]:
    for key in _FRAMEWORKS:
        if key in (spec(item).get("predictor") or {}):
            message = f"KServe stores `{key}` as `model`, and so never what Git says"
            hint = f"write `model: {{modelFormat: {{name: {key}}}}}`"
            yield Spot(message, ("spec", "predictor", key), hint)


_MODES = {"RawDeployment": "Standard", "Serverless": "Knative"}
_MODE = "serving.kserve.io/deploymentMode"


@BOOK.error(
    "D035",
    "KServe rewrites the former names of its modes, which Argo CD shows as a difference for ever.",
    evidence="kserve/kserve#4701",
    remedy="Write `Standard` or `Knative`.",
).on_objects("InferenceService")
def _legacy_mode(item: Json, scene: Scene) -> Iterator[Spot]:
    found = annotated(item).get(_MODE)
    if found in _MODES:
        message = f"KServe stores {found} as {_MODES[found]}"
        yield Spot(message, annotation_at(_MODE), f"write `{_MODES[found]}`")


@BOOK.error(
    "D036",
    "A webhook writes amounts back in one form: any other is a difference for ever.",
    evidence="argoproj/argo-cd@docs/faq.md, argoproj/argo-cd#12463",
    remedy="Write the canonical form: 1 instead of 1000m, 500m instead of 0.5, 1Gi, not 1024Mi.",
).on_objects("InferenceService")
def _amount_in_another_form(item: Json, scene: Scene) -> Iterator[Spot]:
    for value, pointer in _amounts(item.get("spec"), ("spec",)):
        try:
            wanted = quantities.canonical(value)
        except ValueError:
            continue
        if str(value) != wanted:
            message = f"the cluster stores {value} as {wanted}, and Argo CD syncs again and again"
            yield Spot(message, pointer, f'write `"{wanted}"`')


def _amounts(node: Any, pointer: Pointer) -> Iterator[tuple[Any, Pointer]]:
    """Give the amounts of resources below a node, with the ways to them."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("requests", "limits") and pointer[-1] == "resources":
                yield from ((amount, (*pointer, key, each)) for each, amount in value.items())
            else:
                yield from _amounts(value, (*pointer, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _amounts(value, (*pointer, index))


@BOOK.error(
    "D037",
    "A Secret with its values in Git can be read by whoever reads the repository.",
    evidence="argoproj/argo-cd@docs/operator-manual/secret-management.md",
    remedy="Write an ExternalSecret or a SealedSecret, or make the Secret in the cluster.",
).on_objects("Secret")
def _secret_in_git(item: Json, scene: Scene) -> Iterator[Spot]:
    for key in ("data", "stringData"):
        values = item.get(key) or {}
        if any(not re.fullmatch(r"<.*>", str(value)) for value in values.values()):
            message = f"the values of Secret `{name_of(item)}` would be in Git for ever"
            yield Spot(message, (key,), "make it in the cluster, and refer to it by its name")


_VOLATILE = re.compile(
    r"[0-9a-f]{40}|[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]{5,}.*|[0-9]{10}(?:[0-9]{3})?"
)


@BOOK.warning(
    "D038",
    "KServe passes metadata on to the Pods: what changes with every commit restarts the model.",
    evidence="kserve/kserve@pkg/controller/v1beta1/inferenceservice/components/predictor.go",
    remedy="Put commits and times into the Application, not into what serves.",
).on_objects("InferenceService", "Deployment", "StatefulSet")
def _restarts_at_every_commit(item: Json, scene: Scene) -> Iterator[Spot]:
    places: tuple[Pointer, ...] = (("metadata",), ("spec", "template", "metadata"))
    for place in places if item["kind"] != "InferenceService" else places[:1]:
        for kind in ("labels", "annotations"):
            for key, value in (at(item, *place, kind, default={}) or {}).items():
                is_served = place == ("metadata",) and item["kind"] != "InferenceService"
                if not is_served and _VOLATILE.fullmatch(str(value)):
                    message = f"{key} is a commit or a time: with the next one the Pods restart"
                    yield Spot(message, (*place, kind, key), "put it into the Application")


_DISABLED = "serving.kserve.io/disable-auto-update"


@BOOK.error(
    "D039",
    "With this annotation KServe ignores every change of a model that is ready.",
    evidence="kserve/kserve@pkg/controller/v1beta1/inferenceservice/controller.go",
    remedy="Remove it: promotions and rollbacks would have no effect.",
).on_objects("InferenceService")
def _changes_ignored(item: Json, scene: Scene) -> Iterator[Spot]:
    if str(annotated(item).get(_DISABLED, "")).lower() == "true":
        message = "a promotion would be merged and synced, and KServe would not act on it"
        yield Spot(message, annotation_at(_DISABLED), "remove it")


_OF_THE_SERVER = (
    *("uid", "resourceVersion", "generation", "managedFields", "selfLink", "deletionTimestamp"),
)
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@BOOK.error(
    "D041",
    "What the API server or kubectl writes into an object makes a later sync fail or lie.",
    evidence="kubernetes/website@content/en/docs/reference/using-api/api-concepts.md, "
    "argoproj/argo-cd@docs/user-guide/diffing.md",
    remedy="Remove it: an export of a live object is no manifest.",
).on_objects("*")
def _copied_from_a_cluster(item: Json, scene: Scene) -> Iterator[Spot]:
    for key in _OF_THE_SERVER:
        if key in (item.get("metadata") or {}):
            message = f"`metadata.{key}` is the API server's"
            yield Spot(message, ("metadata", key), "remove it")
    if _APPLIED in annotated(item):
        yield Spot(f"{_APPLIED} is kubectl's", annotation_at(_APPLIED), "remove it")
    if "status" in item and group(item) != "argoproj.io":
        yield Spot("`status` is the cluster's", ("status",), "remove it")


@BOOK.warning(
    "D040",
    "A Pod of its own is never updated: the API server refuses nearly every change of it.",
    evidence="kubernetes/website@content/en/docs/concepts/workloads/pods/_index.md",
    remedy="Write a Deployment or a Job.",
).on_objects("Pod")
def _pod_of_its_own(item: Json, scene: Scene) -> Iterator[Spot]:
    if next(pods(item), None) and _HOOK not in annotated(item):
        message = "the next change of this Pod cannot be synced"
        yield Spot(message, ("kind",), "write a Deployment or a Job")
