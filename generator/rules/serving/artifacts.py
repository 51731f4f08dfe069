"""Rules of what a version is: storage, images, and whether it stays what it was."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from generator.documents import Json
from generator.inventory import namespaces
from generator.problems import Where
from generator.records import Release
from generator.rules import Book, Finding, Scene, Spot
from generator.rules.fields import at, block, number, text
from generator.rules.kserve.accessors import Flag, flags, models, uris, workload_containers
from generator.rules.places import at_argument, in_version
from generator.serving import runtimes

BOOK = Book("serving")

_STORAGE = "kserve/kserve@python/storage/kserve_storage/kserve_storage.py"
_SERVER = "kserve/kserve@python/huggingfaceserver/huggingfaceserver/__main__.py"
_VALIDATED = "kserve/kserve@pkg/apis/serving/v1beta1/inference_service_validation.go"


_MOVING = BOOK.warning(
    "S013",
    "An address that can mean another model tomorrow: a restart changes it, no rollback returns.",
    evidence=f"{_SERVER}, kserve/kserve@docs/samples/storage",
    remedy="Name a revision, a digest or a folder that is written once.",
)
_NAMES_THAT_MOVE = frozenset({"latest", "current", "newest"})
_STAGES = frozenset({"stable", "production", "prod", "staging", "champion"})
"""What moves where it is the whole name of a model, and may be a folder of many models."""
_BRANCHES = frozenset({"main", "master"})


def is_moving(image: str) -> bool:
    """Say whether an image has neither a digest nor a tag other than `latest`."""
    if "@" in image:
        return False
    _, _, tag = image.rpartition("/")[2].partition(":")
    return tag in ("", "latest")


def _unrevised(uri: str) -> tuple[str, str] | None:
    """Say why a Hugging Face address is none of one revision."""
    path, _, revision = uri.removeprefix("hf://").partition(":")
    if "/" not in path:
        return None
    if not revision:
        return f"{uri} is whatever its main branch is", f"write `hf://{path}:<commit>`"
    if revision in _BRANCHES:
        return f"`{revision}` of {uri} is a branch, which moves", f"write `hf://{path}:<commit>`"
    return None


@lru_cache(1024)
def _moves(uri: str) -> tuple[str, str] | None:
    """Say why an address does not always mean the same, and what would."""
    if uri.startswith("hf://"):
        return _unrevised(uri)
    if uri.startswith("oci"):
        image = uri.partition("://")[2]
        hint = "pin it by digest: `oci://...@sha256:<digest>`"
        return (f"{uri} can be another image tomorrow", hint) if is_moving(image) else None
    names = uri.rstrip("/").split("/")[3:]
    moving = _NAMES_THAT_MOVE.intersection(names) | _STAGES.intersection(names[-1:])
    if not moving:
        return None
    message = f"`{min(moving)}` in {uri} is written anew, and no Pod would restart for it"
    return message, "name a folder that is written once, such as the version"


@_MOVING.on_release
def _moving_artifact(release: Release) -> Iterator[Finding]:
    pinned = release.environment.policy.pinned_artifacts
    for variant in release.variants:
        uri, args = variant.artifact.uri, variant.artifact.args
        found = _moves(uri) if uri else None
        if found and not (pinned and uri.startswith(("hf://", "oci"))):
            yield in_version(release, variant, ("uri",), *found)
        given = {} if pinned else {flag.name: flag for flag in flags(args)}
        if "model_id" in given and not given.keys() & _REVISIONS:
            message = f"{given['model_id'].value} is loaded as its main branch is at every start"
            hint = "add `--model_revision=<commit>`"
            yield at_argument(release, variant, given["model_id"].place, message, hint)


_REVISIONS = frozenset({"model_revision", "revision"})


@_MOVING.on_objects("InferenceService")
def _moving_artifact_in_object(item: Json, scene: Scene) -> Iterator[Spot]:
    for place, uri in uris(item):
        found = _moves(uri)
        if found:
            yield Spot(found[0], place, found[1])


_IMAGE = BOOK.error(
    "S014",
    "An image without a digest or a lasting tag changes under its version.",
    evidence="kubernetes/website@content/en/docs/concepts/containers/images.md",
    remedy="Pin it by digest (`@sha256:...`) or by a tag that never moves, such as the commit.",
)
_PIN = "pin it by digest (`@sha256:...`) or by a tag that never moves, such as the commit"


@_IMAGE.on_release_with("deployment")
def _moving_image(release: Release) -> Iterator[Finding]:
    pinned = release.environment.policy.pinned_artifacts  # which a rule of policy tells of
    if release.serving.backend != "deployment" or pinned:
        return
    for version, spec in release.document.data["versions"].items():
        image = spec.get("image", "")
        if image and is_moving(image):
            message = f"{image} can be another image tomorrow: no rollback would find it"
            yield Finding(message, _of_version(release, version, "image"), _PIN)


def _of_version(release: Release, version: str, *keys: str) -> Where:
    return release.document.where("versions", version, *keys, key=not keys)


@_IMAGE.on_objects("*")
def _moving_image_in_object(item: Json, scene: Scene) -> Iterator[Spot]:
    for place, container in workload_containers(item):
        image = text(container, "image")
        if image and is_moving(image) and not scene.environment.policy.pinned_artifacts:
            message = f"{image} can be another image tomorrow: no rollback would find it"
            yield Spot(message, (*place, "image"), _PIN)


_SAME = BOOK.warning(
    "S015",
    "Two versions that are one artifact: changing between them changes nothing.",
    evidence="kserve/kserve@pkg/controller/v1beta1/inferenceservice/reconcilers/deployment",
    remedy="Give every version the address of its own artifact, or remove one of them.",
)


@_SAME.on_release
def _same_artifact(release: Release) -> Iterator[Finding]:
    versions = release.document.data["versions"]
    live = {variant.artifact.version for variant in release.variants}
    for variant in release.variants:
        own, spec = variant.artifact.version, versions[variant.artifact.version]
        for other, known in versions.items():
            if known == spec and other not in live:
                message = f"{own} is the same as {other}: going back to it would change nothing"
                hint = f"give {own} its own artifact, or remove one of them"
                yield in_version(release, variant, (), message, hint)
                break


_CLAIM = BOOK.warning(
    "S016",
    "A volume that one node may mount keeps every replica on another node from starting.",
    evidence="kserve/kserve#3409, "
    "kubernetes/website@content/en/docs/concepts/storage/persistent-volumes.md",
    remedy="Use a claim that many nodes may mount, an object storage, or one replica; list the "
    "claim in the environment's `volumes`, which says who may mount it, or silence the rule.",
)


def _shared(claim: str, replicas: int, mode: str = "") -> tuple[str, str]:
    if mode:
        message = f"up to {replicas} Pods mount volume `{claim}`, which is {mode}"
        hint = f"write `accessMode: ReadOnlyMany` in `volumes.{claim}`, or have one replica"
        return f"{message}: those on a second node never start", hint
    message = (
        f"up to {replicas} Pods mount the claim `{claim}`: unless it is ReadOnlyMany or "
        "ReadWriteMany, those on a second node never start"
    )
    return message, "use such a claim and silence the rule, or s3://, gs:// or oci://"


def _claim(uri: str) -> str:
    return uri.removeprefix("pvc://").partition("/")[0] if uri.startswith("pvc://") else ""


@_CLAIM.on_release_with("fetched", "pvc:")
def _claim_of_many(release: Release) -> Iterator[Finding]:
    pods: dict[str, int] = {}
    for variant in release.variants:
        claim = _claim(variant.artifact.uri)
        if claim:
            pods[claim] = pods.get(claim, 0) + variant.scaling.maximum
    known = namespaces.claims(release.environment.document) if pods else {}
    for variant in release.variants if pods else ():
        claim = _claim(variant.artifact.uri)
        total, own = pods.pop(claim, 0), known.get(claim)
        mode = own.access_mode if own else ""
        is_of_many = mode.endswith("Many") or (known and own is None)
        if total > 1 and not is_of_many:
            yield in_version(release, variant, ("uri",), *_shared(claim, total, mode))


@_CLAIM.on_objects("InferenceService")
def _claim_of_many_in_object(item: Json, scene: Scene) -> Iterator[Spot]:
    predictor = block(item, "spec", "predictor")
    replicas = max(number(predictor, "minReplicas"), number(predictor, "maxReplicas"))
    uri = text(predictor, "model", "storageUri")
    if _claim(uri) and replicas > 1:
        found = _shared(_claim(uri), replicas)
        yield Spot(found[0], ("spec", "predictor", "model", "storageUri"), found[1])


_TWICE = BOOK.error(
    "S017",
    "With `--model_id` the huggingface runtime never looks at what `uri` fetched.",
    evidence=_SERVER,
    remedy="Write `uri`, or `--model_id` and `--model_revision`, and not both.",
)


def _told_twice(model_format: str, uri: str, args: list[str]) -> Flag | None:
    if model_format != "huggingface" or not uri or not args:
        return None
    return next((flag for flag in flags(args) if flag.name == "model_id"), None)


@_TWICE.on_release_with("kserve")
def _told_where_twice(release: Release) -> Iterator[Finding]:
    for variant in release.variants:
        artifact = variant.artifact
        flag = _told_twice(release.serving.format, artifact.uri, artifact.args)
        if flag:
            message = f"`--model_id` loads {flag.value}, and {artifact.uri} is fetched for nothing"
            hint = "remove `--model_id`, or `uri`"
            yield at_argument(release, variant, flag.place, message, hint)


@_TWICE.on_objects("InferenceService")
def _told_where_twice_in_object(item: Json, scene: Scene) -> Iterator[Spot]:
    for place, model in models(item):
        args = at(model, "args")
        uri, name = text(model, "storageUri"), text(model, "modelFormat", "name")
        flag = _told_twice(name, uri, args if isinstance(args, list) else [])
        if flag:
            message = f"`--model_id` loads {flag.value}, and {uri} is fetched for nothing"
            yield Spot(message, (*place, "args"), "remove `--model_id`, or `storageUri`")


_UNHEARD = BOOK.error(
    "S018",
    "Only the huggingface and vLLM runtimes fetch a model that an argument names.",
    evidence=f"{_SERVER}, kserve/kserve@python/kserve/kserve/model_server.py",
    remedy="Write `uri`, or serve the model with `format: huggingface`.",
)
_LOADERS = ("huggingface", "vLLM")


@_UNHEARD.on_release_with("kserve")
def _argument_that_loads_nothing(release: Release) -> Iterator[Finding]:
    serving = release.serving
    if serving.format in _LOADERS or serving.runtime not in runtimes.SHIPPED:
        return
    for variant in release.variants:
        if variant.artifact.uri:
            continue
        for flag in flags(variant.artifact.args):
            if flag.name in ("model_id", "model"):
                message = f"`{serving.runtime}` knows no `--{flag.name}`: there would be no model"
                hint = "write `uri`, or `format: huggingface`"
                yield at_argument(release, variant, flag.place, message, hint)
