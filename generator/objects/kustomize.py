"""What `kustomize build` makes of a folder, composed in memory.

Only what gen renders is composed, and exactly; whatever Kustomize would do beyond that, or do
differently from what a person means, is a problem. Source: kubernetes-sigs/kustomize@api and the
traps listed at each refusal. A test compares every overlay with the real tool, object by object.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from posixpath import normpath
from typing import Any

from msgspec.structs import replace

from generator import scalars
from generator.documents import Json
from generator.files import RenderedFile
from generator.problems import GenError, Problem, Where, one

Files = Mapping[str, RenderedFile]

_Id = tuple[str, str, str, str]
"""apiVersion, kind, namespace and name, by which a patch finds its target."""
Identity = tuple[str, str, str, str]
"""Group, kind, namespace and name, by which a cluster tells objects apart."""
_Built = tuple[Json, frozenset[_Id]]
"""An object with every id that it has had: Kustomize finds a target by the former ones too."""

DEFAULT = "default"
"""The namespace of an object that says none, when Kustomize compares."""

_COMPOSED = frozenset(
    ("apiVersion", "kind", "resources", "patches", "namespace", "namePrefix", "nameSuffix")
)
_PATH = frozenset(("path",))
_MERGED_BY_NAME = ("containers", "initContainers")
_WITH_CONTAINERS = frozenset(
    (
        ("v1", "Pod"),
        ("apps/v1", "DaemonSet"),
        ("apps/v1", "Deployment"),
        ("apps/v1", "ReplicaSet"),
        ("apps/v1", "StatefulSet"),
        ("batch/v1", "CronJob"),
        ("batch/v1", "Job"),
    )
)
"""Kinds whose containers Kustomize merges by name: it has no schema of any other."""
_NEVER_RENAMED = ("Namespace", "CustomResourceDefinition")
_REFERRED_TO = frozenset(
    (
        "ConfigMap",
        "Secret",
        "Service",
        "ServiceAccount",
        "PersistentVolumeClaim",
        "Deployment",
        "StatefulSet",
        "ReplicaSet",
        "ReplicationController",
        "Role",
        "ClusterRole",
        "Ingress",
        "IngressClass",
        "PersistentVolume",
        "PriorityClass",
        "StorageClass",
        "APIService",
        "ValidatingAdmissionPolicy",
    )
)
"""Kinds whose new name Kustomize writes into other objects, though only into kinds it knows
(kubernetes-sigs/kustomize@api/internal/konfig/builtinpluginconsts/namereference.go)."""

REFERRERS: dict[str, frozenset[str]] = {
    "Deployment": frozenset(),
    "Service": frozenset({"Ingress", "StatefulSet", "APIService"})
    | {"ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"},
}
"""Kinds that may be renamed where nobody of the folder refers to them, with those who do whatever
they say. Beside them, an HPA refers to a Deployment by name."""

_UNREPEATABLE = re.compile(
    r"(?P<character>[\x7f-\x9f]|(?<!\\)(?:\\\\)*\\u00(?:7f|[89][0-9a-f]))"
    r'|(?P<key>(?<!\\)"":\s)'
)
"""In a text as gen writes it, what Kustomize cannot: it unescapes control characters, which no
parser takes then, and loses its place at an empty key."""
_DIRECTIVE = re.compile(r"\$patch[\"']?\s*:")
_ITS_OWN = frozenset(
    (
        "config.kubernetes.io",
        "internal.config.kubernetes.io",
        "alpha.config.kubernetes.io",
        "config.k8s.io",
        "kustomize.config.k8s.io",
    )
)
"""Prefixes of annotations that Kustomize obeys or drops
(kubernetes-sigs/kustomize@kyaml/kio/kioutil/kioutil.go)."""

CLUSTER_SCOPED = frozenset(
    (
        "Namespace",
        "ResourceFlavor",
        "ClusterQueue",
        "Cohort",
        "WorkloadPriorityClass",
        "AdmissionCheck",
        "Topology",
        "PriorityClass",
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "ClusterServingRuntime",
        "ClusterStorageContainer",
        "ClusterTriggerAuthentication",
        "ClusterTrainingRuntime",
        "Queue",
        "PersistentVolume",
        "StorageClass",
        "GatewayClass",
        "LocalModelCache",
        "LocalModelNodeGroup",
        "MultiKueueConfig",
        "MultiKueueCluster",
        "ProvisioningRequestConfig",
        "DeviceClass",
        "RuntimeClass",
        "APIService",
        "CertificateSigningRequest",
        "ComponentStatus",
        "CSIDriver",
        "CSINode",
        "FlowSchema",
        "IngressClass",
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
        "MutatingWebhookConfiguration",
        "Node",
        "PriorityLevelConfiguration",
        "ServiceCIDR",
        "IPAddress",
        "ResourceSlice",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
        "VolumeAttachment",
        "VolumeAttributesClass",
    )
)
"""Kinds without a namespace; Kustomize knows the built-in ones alone (kustomize#2498)."""


def composed(files: Files, folder: str) -> list[Json]:
    """Build the objects of a folder. Raises GenError with what cannot be composed exactly."""
    return [item for item, _ in _built(files, folder)]


def _built(files: Files, folder: str) -> list[_Built]:
    kustomization = files.get(f"{folder}/kustomization.yaml")
    if kustomization is None:
        raise one("E601", f"{folder} has no kustomization.yaml", Where(folder))
    spec = kustomization.data
    if not spec.keys() - {"apiVersion", "kind"}:
        raise _refused(kustomization, "Kustomize builds nothing of an empty kustomization")
    problems = [] if is_plain(spec) else list(_unsupported(kustomization))
    if problems:
        raise GenError(problems)
    objects = list(_resources(files, folder, kustomization))
    for patch in spec.get("patches", ()):
        file = files.get(path_of(folder, patch["path"]))
        if file is None:
            raise _refused(kustomization, f"the patch {patch['path']} does not exist")
        _apply(objects, _exact(file))
    _refuse_references(objects, kustomization)
    built = []
    for item, ids in objects:
        try:
            built.append(_renamed(item, ids, kustomization))
        except GenError as error:
            raise _at_its_file(error, item, files, folder) from None
    _refuse_doubles(built, kustomization, files)
    return built


def _at_its_file(error: GenError, item: Json, files: Files, folder: str) -> GenError:
    """Tell of an object where it is written, unless that is below a folder of its own."""
    for file in files.values():
        is_here = file.path.rpartition("/")[0] == folder
        if is_here and _id(file.data) == _id(item):
            return GenError([replace(problem, where=_where(file)) for problem in error.problems])
    return error


def path_of(folder: str, entry: str) -> str:
    """Resolve an entry of a kustomization; most are names in its own folder."""
    path = f"{folder}/{entry}"
    return path if "/" not in str(entry) else normpath(path)


def is_plain(spec: Json) -> bool:
    """Say whether a kustomization asks for nothing but what is composed here."""
    return spec.keys() <= _COMPOSED and all(
        patch.keys() == _PATH for patch in spec.get("patches", ())
    )


def _unsupported(kustomization: RenderedFile) -> Iterator[Problem]:
    where = _where(kustomization)
    for key in kustomization.data:
        if key not in _COMPOSED:
            hint = "render the objects as they should be: gen checks what it can compose"
            message = f"`{key}` in {kustomization.path} is not composed by gen"
            yield Problem("E601", message, where, hint)
    for patch in kustomization.data.get("patches", ()):
        if set(patch) != {"path"}:
            message = f"a patch of {kustomization.path} has more than a `path`"
            hint = "a patch is a file with apiVersion, kind and name of its target"
            yield Problem("E601", message, where, hint)


def _resources(files: Files, folder: str, kustomization: RenderedFile) -> Iterator[_Built]:
    for entry in kustomization.data.get("resources", ()):
        path = path_of(folder, entry)
        if path in files:
            item = copied(_exact(files[path]).data)
            yield item, frozenset((_id(item),))
        elif f"{path}/kustomization.yaml" in files:
            yield from _built(files, path)
        else:
            raise _refused(kustomization, f"the resource {entry} does not exist")


def _exact(file: RenderedFile) -> RenderedFile:
    """Refuse a file of which Kustomize would make something else, or nothing."""
    kind = file.data.get("kind")
    if not (kind and _name(file.data)):
        raise _refused(file, "no `kind` or no `metadata.name`, and Kustomize asks for both")
    if str(kind).endswith("List") and "items" in file.data:
        raise _refused(file, f"Kustomize would unpack this {kind}", "one object per file")
    found = _UNREPEATABLE.search(file.text) if may_be_unrepeatable(file.text) else None
    if found:
        what = "an empty key" if found.lastgroup == "key" else "a control character"
        raise _refused(file, f"{what}, which Kustomize cannot write", "remove it")
    return file


def may_be_unrepeatable(text: str) -> bool:
    """Look quickly for what the exact pattern needs; nearly no file has any of it."""
    return not text.isascii() or "\\u00" in text or "\x7f" in text or '"":' in text


def _apply(objects: list[_Built], patch: RenderedFile) -> None:
    """Patch the one object that has, or had in a folder below, the patch's kind and name."""
    if "$patch" in patch.text and _DIRECTIVE.search(patch.text):
        raise _refused(patch, "`$patch` is not composed by gen", "a null removes a key")
    wanted = _id(patch.data)
    found = [index for index, (_, ids) in enumerate(objects) if wanted in ids]
    if len(found) != 1:
        how_many = "more than one" if found else "no"
        raise _refused(patch, f"{how_many} {patch.data.get('kind')} `{_name(patch.data)}` to patch")
    target = objects[found[0]][0]
    before = _called(target)
    merge(target, patch.data, patch)
    if _called(target) != before:
        hint = "a kustomization's `namespace` and `nameSuffix` do that"
        raise _refused(patch, "a patch cannot change what its target is called", hint)


def _called(item: Json) -> tuple[Any, ...]:
    metadata = item.get("metadata") or {}
    own = metadata.get("name"), metadata.get("namespace")
    return (*own, item.get("kind"), item.get("apiVersion"))


def _refuse_doubles(built: list[_Built], kustomization: RenderedFile, files: Files) -> None:
    seen: set[tuple[str, ...]] = set()
    for item, _ in built if len(built) > 1 else ():
        group, kind, namespace, name = identity(item)
        key = group, kind, namespace or DEFAULT, name
        if key in seen:
            folder = kustomization.path.rpartition("/")[0]
            writers = [
                file
                for file in files.values()
                if file.path.rpartition("/")[0] == folder
                and (file.data.get("kind"), _name(file.data)) == (kind, name)
            ]
            last = (writers or [kustomization])[-1]
            raise _refused(last, f"two objects are {kind} `{name}`", "rename one of them")
        seen.add(key)


def _id(item: Json) -> _Id:
    namespace = (item.get("metadata") or {}).get("namespace") or DEFAULT
    return str(item.get("apiVersion")), str(item.get("kind")), namespace, str(_name(item))


def identity(item: Json) -> Identity:
    """Tell an object from all others of its cluster: group, kind, namespace, name."""
    metadata = item.get("metadata") or {}
    group = str(item.get("apiVersion", "")).rpartition("/")[0]
    return group, str(item.get("kind")), metadata.get("namespace", ""), metadata.get("name", "")


def _name(item: Json) -> Any:
    return (item.get("metadata") or {}).get("name")


def merge(target: Json, over: Json, patch: RenderedFile) -> None:
    """Merge the object of a patch into its target in place. Raises GenError if it does not fit."""
    _merge(target, over, patch, (), by_name=_merges_containers(target))


def _merge(
    target: Json, over: Json, patch: RenderedFile, path: tuple[str, ...], *, by_name: bool
) -> None:
    """Merge a patch into a map in place; null removes a key."""
    for key, value in over.items():
        below = target.get(key)
        if value is None:
            target.pop(key, None)
        elif (
            below is not None and value.__class__ is not below.__class__ and not _fits(value, below)
        ):
            shapes = f"a {_shape(below)} in the base and a {_shape(value)} in this patch"
            raise _refused(patch, f"`{'.'.join((*path, key))}` is {shapes}")
        elif value.__class__ is dict:
            if below is None:
                below = target[key] = {}
            _merge(below, value, patch, (*path, key), by_name=by_name)
        elif isinstance(value, list | tuple):
            target[key] = _merged_list(below, value, patch, (*path, key), by_name=by_name)
        else:
            target[key] = value


def copied(item: Json) -> Json:
    """Copy the maps of an object that patches may change; lists are only ever replaced."""
    return {key: copied(value) if value.__class__ is dict else value for key, value in item.items()}


def _fits(over: Any, under: Any) -> bool:
    """Say whether a value can replace another: no number a text, whose quotes Kustomize keeps."""
    return _shape(over) == _shape(under) or (_shape(over), _shape(under)) == ("text", "scalar")


def _shape(value: Any) -> str:
    if isinstance(value, dict):
        return "map"
    if isinstance(value, list | tuple):
        return "list"
    return "text" if isinstance(value, str) else "scalar"


def _merges_containers(item: Json) -> bool:
    return (item.get("apiVersion"), item.get("kind")) in _WITH_CONTAINERS


def _merged_list(
    under: Any, over: Any, patch: RenderedFile, path: tuple[str, ...], *, by_name: bool
) -> list[Any]:
    """Merge containers by name, those of the patch first, as Kustomize does.

    Any other list on both sides would lose what stands below.
    """
    where = ".".join(path)
    if not under:
        if by_name and _holds_null(over):
            raise _refused(patch, f"a null in the list `{where}`", "leave its key out")
        return over if isinstance(over, list) else list(over)
    if not (by_name and path[-1] in _MERGED_BY_NAME):
        raise _refused(
            patch,
            f"the list `{where}` is in the base and in this patch: Kustomize would drop the base's",
            "a list stands either wholly in the base or wholly in the overlay",
        )
    below, patches = _by_name(under, patch, where), _by_name(over, patch, where)
    strangers = patches.keys() - below.keys()
    if strangers:
        raise _refused(
            patch, f"`{where}` has no item named {', '.join(sorted(strangers))} to patch"
        )
    merged = []
    for name, item in patches.items():
        container = copied(below[name])
        _merge(container, item, patch, (*path, name), by_name=by_name)
        merged.append(container)
    return [*merged, *(item for name, item in below.items() if name not in patches)]


def _by_name(items: Any, patch: RenderedFile, where: str) -> dict[str, Json]:
    named = {str(item.get("name")): item for item in items if isinstance(item, dict)}
    if len(named) != len(items) or "None" in named:
        raise _refused(patch, f"the items of `{where}` need names, each one its own")
    return named


def _holds_null(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_null, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_holds_null, value))
    return value is None


def _renamed(item: Json, ids: frozenset[_Id], kustomization: RenderedFile) -> _Built:
    renamed = transformed(item, kustomization)
    return renamed, ids | {_id(renamed)}


def _unreached(kind: object) -> tuple[str, str]:
    message = f"a suffix on a {kind} would not reach what refers to it"
    return message, "render it outside of this folder, under its final name"


def _refuse_references(objects: list[_Built], kustomization: RenderedFile) -> None:
    """Refuse what calls an object by a name that it loses here, or has lost in a folder below.

    Kustomize would write the new name there, or not know which of several.
    """
    spec = kustomization.data
    renames = bool(spec.get("namePrefix") or spec.get("nameSuffix"))
    lost = {
        (kind, name)
        for item, ids in objects
        if item.get("kind") in REFERRERS
        for _, kind, _, name in ids
        if renames or name != _name(item)
    }
    if not lost:
        return
    kinds = {item.get("kind") for item, _ in objects}
    for kind, _ in sorted(lost & set(_scaled(objects))):
        raise _refused(kustomization, *_unreached(kind))
    for kind in sorted({kind for kind, _ in lost}):
        if kinds & REFERRERS[kind]:
            raise _refused(kustomization, *_unreached(kind))


def _scaled(objects: list[_Built]) -> Iterator[tuple[str, str]]:
    """Name what HPAs scale."""
    for item, _ in objects:
        if item.get("kind") == "HorizontalPodAutoscaler":
            target = (item.get("spec") or {}).get("scaleTargetRef") or {}
            yield str(target.get("kind")), str(target.get("name"))


def _stays(binding: Json, namespace: str) -> bool:
    """Say whether the subjects of a RoleBinding are where the kustomization would put them."""
    subjects = binding.get("subjects") or []
    return bool(subjects) and all(each.get("namespace") == namespace for each in subjects)


def transformed(item: Json, kustomization: RenderedFile) -> Json:
    """Give an object the kustomization's namespace and its name's prefix and suffix.

    Raises GenError where Kustomize would do more, or less.
    """
    spec, kind = kustomization.data, item.get("kind")
    prefix, suffix, namespace = (spec.get(key) for key in ("namePrefix", "nameSuffix", "namespace"))
    metadata = dict(item.get("metadata") or {})
    if (prefix or suffix) and kind not in _NEVER_RENAMED:
        if kind in _REFERRED_TO and kind not in REFERRERS:
            raise _refused(kustomization, *_unreached(kind))
        metadata["name"] = f"{prefix or ''}{metadata.get('name', '')}{suffix or ''}"
    if namespace:
        if kind in CLUSTER_SCOPED:
            hint = "move its template to `templates/platform/extra/`"
            raise _refused(
                kustomization, f"a {kind} has no namespace, and this would give it one", hint
            )
        if kind == "RoleBinding" and not _stays(item, namespace):
            hint = "say the namespace of its subjects, and render it outside of this folder"
            raise _refused(
                kustomization, "Kustomize would move the subjects of a RoleBinding", hint
            )
        metadata["namespace"] = namespace
    if not metadata.get("annotations", True):
        del metadata["annotations"]  # as Kustomize does, of annotations alone
    _refuse_annotations(metadata.get("annotations", {}), kustomization)
    return {**item, "metadata": metadata}


def _refuse_annotations(annotations: Json, kustomization: RenderedFile) -> None:
    """Refuse what Kustomize would drop, obey, or write without the quotes that it needs."""
    if not isinstance(annotations, dict):
        raise _refused(kustomization, "annotations are a map")
    for key, value in annotations.items():
        prefix, slash, _ = key.partition("/")
        if slash and prefix in _ITS_OWN:
            raise _refused(kustomization, f"the annotation `{key}` is Kustomize's own")
        if not isinstance(value, str):
            raise _refused(kustomization, f"the annotation `{key}` is not a text", "quote it")
        if not slash and scalars.text(key) != key:
            message = f"Kustomize would not quote the annotation key `{key}`"
            raise _refused(kustomization, message, f"give it a prefix, as in `example.com/{key}`")


def _where(file: RenderedFile) -> Where:
    return Where(f"templates/{file.template}")


def _refused(file: RenderedFile, message: str, hint: str = "") -> GenError:
    return one("E601", message, _where(file), hint, about=f"in {file.path}")
