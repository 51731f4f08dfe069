"""Rules of storages: what KServe fetches from, and how an address has to look."""

from __future__ import annotations

import re
from collections.abc import Iterator

from generator.documents import Json
from generator.records import Release
from generator.rules import Book, Finding, Scene, Spot
from generator.rules.fields import entries, text
from generator.rules.kserve.accessors import components, uris
from generator.rules.places import in_version
from generator.schema import nearest
from generator.yamlio import Pointer

BOOK = Book("serving")

_STORAGE = "kserve/kserve@python/storage/kserve_storage/kserve_storage.py"
_SERVER = "kserve/kserve@python/huggingfaceserver/huggingfaceserver/__main__.py"
_VALIDATED = "kserve/kserve@pkg/apis/serving/v1beta1/inference_service_validation.go"


def _uris(release: Release) -> Iterator[tuple[int, str]]:
    for place, variant in enumerate(release.variants):
        if variant.artifact.uri:
            yield place, variant.artifact.uri


_SCHEME = BOOK.error(
    "S011",
    "KServe fetches from a fixed list of storages and refuses any other.",
    evidence="kserve/kserve@pkg/controller/v1beta1/inferenceservice/utils/utils.go, "
    "kserve/kserve@config/storagecontainers/default.yaml",
    remedy="Write the address as KServe knows it, or copy the model to a storage that it reads.",
)
_SCHEMES = frozenset(
    {"gs", "s3", "pvc", "file", "https", "http", "hdfs", "webhdfs", "hf", "modelscope"}
    | {"oci", "oci+native", "oci+fetch"}
)
_INSTEAD = {
    "az": "https://<account>.blob.core.windows.net/<container>/<path>",
    "abfs": "https://<account>.blob.core.windows.net/<container>/<path>",
    "abfss": "https://<account>.blob.core.windows.net/<container>/<path>",
    "wasbs": "https://<account>.blob.core.windows.net/<container>/<path>",
    "models": "the artifact's own address, which MLflow shows with the version",
    "mlflow": "the artifact's own address, which MLflow shows with the version",
    "runs": "the artifact's own address, which MLflow shows with the run",
    "gcs": "gs://<bucket>/<path>",
    "s3a": "s3://<bucket>/<path>",
    "huggingface": "hf://<organisation>/<model>:<revision>",
    "docker": "oci://<image>@sha256:<digest>",
    "file": "pvc://<claim>/<path>",
}
_ITS_OWN = "file"
"""What KServe takes and looks for in the container of its own initializer, where nothing is."""


@_SCHEME.on_release_with("kserve")
def _storage_that_nobody_knows(release: Release) -> Iterator[Finding]:
    for place, uri in _uris(release):
        scheme = uri.partition(":/")[0]
        if scheme in _SCHEMES and scheme != _ITS_OWN and "://" in uri:
            continue
        near = _INSTEAD.get(scheme) or _near(scheme, uri)
        message = f"KServe fetches nothing from `{scheme}:/`, so {uri} would never be loaded"
        yield in_version(release, release.variants[place], ("uri",), message, f"write {near}")


def _near(scheme: str, uri: str) -> str:
    likely = nearest(scheme, _SCHEMES - {_ITS_OWN})
    rest = uri.partition(":/")[2].lstrip("/")
    return f"`{likely}://{rest}`" if likely else f"one of {_USUAL}"


_USUAL = "gs://, s3://, hf://, pvc://, oci://, https://, hdfs://"


@_SCHEME.on_objects("InferenceService")
def _storage_that_is_not_known(item: Json, scene: Scene) -> Iterator[Spot]:
    for place, uri in uris(item):
        scheme, _, rest = uri.partition(":/")
        if rest and scheme not in _SCHEMES:
            message = f"KServe fetches nothing from `{scheme}:/`, so {uri} would never be loaded"
            yield Spot(message, place, f"write {_INSTEAD.get(scheme, f'one of {_USUAL}')}")


_PLAIN = BOOK.warning(
    "S012",
    "A model that is fetched over plain http is whatever somebody on the way makes of it.",
    evidence=_STORAGE,
    remedy="Write https://, or keep the model in a storage that checks what it gives.",
)


def _plain(uri: str) -> tuple[str, str] | None:
    if not uri.startswith("http://"):
        return None
    message = f"{uri} comes without encryption or checksum, and loading a model can run its code"
    return message, "write `https://`, or a storage such as s3:// or gs://"


@_PLAIN.on_release_with("kserve")
def _fetched_in_plain(release: Release) -> Iterator[Finding]:
    for place, uri in _uris(release):
        found = _plain(uri)
        if found:
            yield in_version(release, release.variants[place], ("uri",), *found)


@_PLAIN.on_objects("InferenceService")
def _fetched_in_plain_in_object(item: Json, scene: Scene) -> Iterator[Spot]:
    for place, uri in uris(item):
        found = _plain(uri)
        if found:
            yield Spot(found[0], place, found[1])


_SEVERAL = BOOK.error(
    "S019",
    "KServe's webhook refuses `storageUris` beside `storageUri`, or that cannot be mounted.",
    evidence=_VALIDATED,
    remedy="Write one of both, with mount paths below one folder, such as /mnt/models/a.",
)


@_SEVERAL.on_objects("InferenceService")
def _storages_that_do_not_fit(item: Json, scene: Scene) -> Iterator[Spot]:
    for name, component in components(item):
        several = entries(component, "storageUris")
        place: Pointer = ("spec", name, "storageUris")
        if several and text(component, "model", "storageUri"):
            message = "KServe takes `storageUri` or `storageUris`, and refuses both"
            yield Spot(message, place, "move the one address into `storageUris`")
        for index, entry in several:
            path = text(entry, "mountPath")
            if path == "/" or ".." in path:
                message = f"KServe mounts nothing at `{path}`"
                hint = "write a folder of its own, such as /mnt/models/tokenizer"
                yield Spot(message, (*place, index, "mountPath"), hint)


_INCOMPLETE = BOOK.error(
    "S020",
    "The storage initializer refuses an address that names no object.",
    evidence=_STORAGE,
    remedy="Write the whole address: bucket and path, organisation and model, claim, or file.",
)


_CLAIM = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")


def _incomplete(uri: str) -> tuple[str, str] | None:
    scheme, _, rest = uri.partition("://")
    first, _, path = rest.partition("/")
    if scheme == "hf" and (not path or "/" in path):
        return f"{uri} is not one model", "write `hf://<organisation>/<model>:<revision>`"
    if scheme == "pvc" and not first:
        return f"{uri} names no claim", "write `pvc://<claim>/<path>`"
    if scheme == "pvc" and not _CLAIM.fullmatch(first):
        hint = "write the name that it has: lower-case letters, digits, `-` and `.`"
        return f"no claim can be called `{first}`", hint
    if scheme in ("s3", "gs") and not first:
        return f"{uri} names no bucket", f"write `{scheme}://<bucket>/{path}`"
    if scheme in ("http", "https") and not path.rpartition("/")[2]:
        return f"{uri} names no file", "write the address of one file or archive"
    if scheme == "gs" and not path.strip("/"):
        return f"{uri} is a bucket, and KServe looks for a folder", f"write `gs://{first}/<path>`"
    return None


@_INCOMPLETE.on_release_with("fetched")
def _address_of_nothing(release: Release) -> Iterator[Finding]:
    for place, uri in _uris(release):
        found = _incomplete(uri)
        if found:
            yield in_version(release, release.variants[place], ("uri",), *found)


@_INCOMPLETE.on_objects("InferenceService")
def _address_of_nothing_in_object(item: Json, scene: Scene) -> Iterator[Spot]:
    for place, uri in uris(item):
        found = _incomplete(uri)
        if found:
            yield Spot(found[0], place, found[1])


_PREFIX = BOOK.warning(
    "S057",
    "From s3 KServe fetches whatever begins with the address, `.../10` for `.../1` too.",
    evidence=_STORAGE,
    remedy="End the address with `/`.",
)


@_PREFIX.on_release_with("fetched", "s3:")
def _address_that_others_begin_with(release: Release) -> Iterator[Finding]:
    for place, uri in _uris(release):
        if not uri.startswith("s3://") or uri.endswith("/") or "." in uri.rpartition("/")[2]:
            continue
        for version, spec in release.document.data["versions"].items():
            rest = spec.get("uri", "").removeprefix(uri)
            if rest and rest != spec["uri"] and not rest.startswith("/"):
                message = f"{spec['uri']} of {version} begins with it, and would be fetched as well"
                variant = release.variants[place]
                yield in_version(release, variant, ("uri",), message, f"write `{uri}/`")
                break
