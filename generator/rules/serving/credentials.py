"""Rules of how KServe gets at a model: what of a ServiceAccount each storage reads."""

from __future__ import annotations

from collections.abc import Iterator

from generator.records import Release, Variant
from generator.rules import Book, Finding
from generator.rules.places import at_setting, in_version
from generator.values import minors

BOOK = Book("storages")

_CREDENTIALS = "kserve/kserve@pkg/credentials/service_account_credentials.go"
_MODELCAR = "kserve/kserve@pkg/utils/storage.go"

_UNREAD = BOOK.warning(
    "I050",
    "Secrets of a ServiceAccount are for the storage initializer, which not every address has.",
    evidence=f"{_CREDENTIALS}, {_MODELCAR}",
    remedy="Use `imagePullSecrets` for `oci://`; a claim of `pvc://` needs none, and a model that "
    "the runtime fetches itself needs a variable.",
)
_KUBELETS = ("oci://", "oci+native://")


def _why_unread(variant: Variant) -> tuple[str, str] | None:
    uri = variant.artifact.uri
    if uri.startswith(_KUBELETS):
        return (
            f"{uri} is pulled by the kubelet, which reads `imagePullSecrets` alone",
            "write `imagePullSecrets`",
        )
    if uri.startswith("pvc://"):
        return f"{uri} is mounted, and nothing reads a Secret for that", "remove it"
    if not uri:
        return (
            "the runtime fetches the model itself, and KServe gives these Secrets to its own "
            "initializer alone",
            "write `uri: hf://<organisation>/<model>:<revision>`, or `serving.secrets` for the "
            "variable",
        )
    return None


@_UNREAD.on_release_with("fetched", "account")
def _secrets_that_nobody_reads(release: Release) -> Iterator[Finding]:
    for variant in release.variants if release.serving.service_account_secrets else ():
        found = _why_unread(variant)
        if found:
            yield at_setting(release, ("serving", "serviceAccount", "secrets"), *found)
            return


_STRANGER = BOOK.warning(
    "I051",
    "The identity of one cloud opens no storage of another.",
    evidence=f"{_CREDENTIALS}, "
    "Azure/azure-workload-identity@docs/book/src/topics/service-account-labels-and-annotations.md",
    remedy="Annotate the ServiceAccount for the cloud that the model lies in, or use `secrets`.",
)
_CLOUDS = {
    "eks.amazonaws.com/role-arn": "s3",
    "iam.gke.io/gcp-service-account": "gs",
    "azure.workload.identity/client-id": "azure",
}
_CALLED = {"s3": "s3 of AWS", "gs": "Google Cloud Storage", "azure": "Azure"}


def _cloud(uri: str) -> str:
    """Say whose storage an address is; empty where anybody's could be."""
    if ".blob.core.windows.net/" in uri or ".file.core.windows.net/" in uri:
        return "azure"
    scheme = uri.partition("://")[0]
    return scheme if scheme in ("s3", "gs") else ""


@_STRANGER.on_release_with("fetched", "account")
def _identity_of_another_cloud(release: Release) -> Iterator[Finding]:
    annotations = release.serving.service_account_annotations
    given = {_CLOUDS[key]: key for key in annotations if key in _CLOUDS}
    for variant in release.variants if given else ():
        asked = _cloud(variant.artifact.uri)
        if asked and asked not in given and not release.serving.service_account_secrets:
            key = next(iter(given.values()))
            message = f"`{key}` opens nothing in {_CALLED[asked]}, where {variant.artifact.uri} is"
            place = ("serving", "serviceAccount", "annotations", key)
            hint = "annotate it for that cloud, or name `secrets`"
            yield at_setting(release, place, message, hint)
            return


_YOUNG = BOOK.error(
    "I052",
    "KServe reads images as volumes since 0.20, and unpacks them itself since 0.21.",
    evidence="kserve/kserve@pkg/controller/v1beta1/inferenceservice/utils/utils.go",
    remedy="Write `oci://`, or update KServe.",
)
_SINCE = {"oci+native": (0, 20), "oci+fetch": (0, 21)}


@_YOUNG.on_release_with("kserve")
def _image_before_its_time(release: Release) -> Iterator[Finding]:
    for variant in release.variants:
        scheme, _, rest = variant.artifact.uri.partition("://")
        since = _SINCE.get(scheme)
        found = release.environment.kserve
        if since and minors.parsed(found) < since:
            wanted = ".".join(map(str, since))
            message = f"`{scheme}://` needs KServe {wanted}, and this is {found}"
            yield in_version(release, variant, ("uri",), message, f"write `oci://{rest}`")


_VOLUME = BOOK.warning(
    "I053",
    "An image as a volume is behind a feature gate before Kubernetes 1.35.",
    evidence="kubernetes/website@content/en/docs/tasks/configure-pod-container/image-volumes.md",
    remedy="Write `oci://`, unless the cluster has the gate ImageVolume on.",
)
_VOLUMES_SINCE = (1, 35)


@_VOLUME.on_release_with("kserve", "oci+native:")
def _image_behind_a_gate(release: Release) -> Iterator[Finding]:
    if minors.parsed(release.environment.kubernetes) >= _VOLUMES_SINCE:
        return
    for variant in release.variants:
        scheme, _, rest = variant.artifact.uri.partition("://")
        if scheme == "oci+native":
            version = release.environment.kubernetes
            message = f"Kubernetes {version} mounts no image unless its gate ImageVolume is on"
            yield in_version(release, variant, ("uri",), message, f"write `oci://{rest}`")
