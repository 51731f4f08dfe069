"""Rules of own templates of Applications and AppProjects."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from posixpath import normpath

from generator.documents import Json
from generator.files import RENDERED
from generator.inventory.records import Environment
from generator.rules import Book, Scene, Spot
from generator.rules.fields import annotated, annotation_at, at, spec
from generator.schema import nearest

BOOK = Book("delivery")

_OPTIONS_DOC = "argoproj/argo-cd@docs/user-guide/sync-options.md"
_SYNC_OPTIONS = "argocd.argoproj.io/sync-options"

_OPTIONS: dict[str, tuple[str, ...]] = {
    "Validate": ("true", "false"),
    "CreateNamespace": ("true", "false"),
    "Prune": ("true", "false", "confirm"),
    "Delete": ("true", "false", "confirm"),
    "PrunePropagationPolicy": ("foreground", "background", "orphan"),
    "PruneLast": ("true", "false"),
    "ApplyOutOfSyncOnly": ("true", "false"),
    "Replace": ("true", "false"),
    "Force": ("true", "false"),
    "ServerSideApply": ("true", "false"),
    "ClientSideApplyMigration": ("true", "false"),
    "FailOnSharedResource": ("true", "false"),
    "RespectIgnoreDifferences": ("true", "false"),
    "SkipDryRunOnMissingResource": ("true", "false"),
}


def _options(item: Json) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    """Give the sync options of an Application and of any object, with the ways to them."""
    for index, option in enumerate(at(item, "spec", "syncPolicy", "syncOptions", default=()) or ()):
        yield str(option), ("spec", "syncPolicy", "syncOptions", index)
    for option in str(annotated(item).get(_SYNC_OPTIONS) or "").split(","):
        if option.strip():
            yield option.strip(), annotation_at(_SYNC_OPTIONS)


@BOOK.error(
    "D010",
    "Argo CD ignores a sync option that it does not know, letter for letter.",
    evidence=_OPTIONS_DOC,
    remedy="Write the option as the documentation does, such as `ServerSideApply=true`.",
).on_objects("*")
def _unknown_option(item: Json, scene: Scene) -> Iterator[Spot]:
    for option, pointer in _options(item):
        key, _, value = option.partition("=")
        if key not in _OPTIONS:
            meant = nearest(key, _OPTIONS)
            hint = f"did you mean `{meant}={value or 'true'}`?" if meant else "remove it"
            yield Spot(f"Argo CD knows no sync option `{key}`", pointer, hint)
        elif value not in _OPTIONS[key]:
            message = f"`{option}` has no effect: Argo CD compares the value letter for letter"
            yield Spot(message, pointer, f"`{key}=` and one of {', '.join(_OPTIONS[key])}")


_CORE = frozenset(
    (
        *("ConfigMap", "Namespace", "PersistentVolumeClaim", "Pod", "Secret", "Service", "Event"),
        *("ServiceAccount", "Endpoints", "LimitRange", "Node", "PersistentVolume", "*"),
        *("ReplicationController", "ResourceQuota"),
    )
)


@BOOK.error(
    "D011",
    "A difference without a group is one of the core group, and matches no other kind.",
    evidence="argoproj/argo-cd#28590",
    remedy="Add the group, such as `group: apps`.",
).on_objects("Application")
def _difference_without_a_group(item: Json, scene: Scene) -> Iterator[Spot]:
    for index, ignored in enumerate(spec(item).get("ignoreDifferences") or ()):
        if not ignored.get("group") and ignored.get("kind") not in _CORE:
            kind = ignored.get("kind")
            message = f"without a group this matches no {kind}, so that nothing is ignored"
            groups = {"Deployment": "apps", "InferenceService": "serving.kserve.io"}
            hint = f"add `group: {groups.get(str(kind), '...')}`"
            yield Spot(message, ("spec", "ignoreDifferences", index, "kind"), hint)


@BOOK.warning(
    "D012",
    "A difference that is ignored in the comparison is overwritten by the next sync all the same.",
    evidence=f"argoproj/argo-cd#6520, {_OPTIONS_DOC}",
    remedy="Add the sync option `RespectIgnoreDifferences=true`.",
).on_objects("Application")
def _difference_overwritten(item: Json, scene: Scene) -> Iterator[Spot]:
    options = {option for option, _ in _options(item)}
    if spec(item).get("ignoreDifferences") and "RespectIgnoreDifferences=true" not in options:
        message = "a sync for any other reason writes these fields back"
        hint = "add `RespectIgnoreDifferences=true` to `syncOptions`"
        yield Spot(message, ("spec", "ignoreDifferences"), hint)


@BOOK.error(
    "D013",
    "With `allowEmpty`, an Application whose folder comes out empty deletes all that it had.",
    evidence="argoproj/argo-cd@docs/user-guide/auto_sync.md",
    remedy="Write `allowEmpty: false`.",
).on_objects("Application")
def _empty_deletes_all(item: Json, scene: Scene) -> Iterator[Spot]:
    if at(item, "spec", "syncPolicy", "automated", "allowEmpty") is True:
        pointer = ("spec", "syncPolicy", "automated", "allowEmpty")
        yield Spot("an empty folder would delete everything", pointer, "write false")


_FINALIZERS = (
    "resources-finalizer.argocd.argoproj.io",
    "resources-finalizer.argocd.argoproj.io/background",
    "resources-finalizer.argocd.argoproj.io/foreground",
    "post-delete-finalizer.argocd.argoproj.io",
    "post-delete-finalizer.argocd.argoproj.io/cleanup",
    "pre-delete-finalizer.argocd.argoproj.io",
    "pre-delete-finalizer.argocd.argoproj.io/cleanup",
)


@BOOK.error(
    "D014",
    "A finalizer that nobody removes keeps an Application from ever being deleted.",
    evidence="argoproj/argo-cd@docs/user-guide/app_deletion.md",
    remedy="Write `resources-finalizer.argocd.argoproj.io`.",
).on_objects("Application")
def _unknown_finalizer(item: Json, scene: Scene) -> Iterator[Spot]:
    for index, finalizer in enumerate(at(item, "metadata", "finalizers", default=()) or ()):
        meant = "" if finalizer in _FINALIZERS else nearest(str(finalizer), _FINALIZERS)
        if meant:
            message = f"Argo CD does not know the finalizer {finalizer}, and so never removes it"
            yield Spot(message, ("metadata", "finalizers", index), f"did you mean `{meant}`?")


@BOOK.error(
    "D015",
    "An Application that leads elsewhere deploys what was checked for another environment.",
    evidence="argoproj/argo-cd@docs/operator-manual/application.yaml",
    remedy="Place the environment's own values, as the built-in template does.",
).on_objects("Application")
def _leads_elsewhere(item: Json, scene: Scene) -> Iterator[Spot]:
    environment = scene.environment
    if scene.release is None:
        return
    expected = {
        **_cluster_of(environment),
        ("spec", "destination", "namespace"): (environment.namespace, "environment.namespace"),
        ("spec", "project"): (environment.argocd.project, "environment.argocd.project"),
        ("spec", "source", "repoURL"): (environment.argocd.repo_url, "environment.argocd.repo_url"),
        ("spec", "source", "targetRevision"): (
            environment.argocd.revision,
            "environment.argocd.revision",
        ),
        ("spec", "source", "path"): (
            f"{RENDERED}/{environment.name}/{scene.release.model}",
            "path",
        ),
    }
    for pointer, (wanted, value) in expected.items():
        found = at(item, *pointer)
        if found is not None and found != wanted:
            told = "the files are in" if pointer[-1] == "path" else f"{environment.name} has"
            message = f"`{pointer[-1]}` is {found}, and {told} {wanted}"
            yield Spot(message, pointer, f"place `{{{{ {value} }}}}`")


def _cluster_of(environment: Environment) -> dict[tuple[str, ...], tuple[str, str]]:
    """Say where the cluster stands in a destination, what it is there, and how it is placed."""
    if environment.cluster_name:
        place = ("spec", "destination", "name")
        return {place: (environment.cluster_name, "environment.cluster_name")}
    return {("spec", "destination", "server"): (environment.server, "environment.server")}


@BOOK.error(
    "D016",
    "An Application that syncs by itself takes no notice of `autoSync: false`.",
    evidence="argoproj/argo-cd@docs/user-guide/auto_sync.md",
    remedy="Place `sync_policy`, which follows the environment.",
).on_objects("Application")
def _syncs_by_itself(item: Json, scene: Scene) -> Iterator[Spot]:
    automated = at(item, "spec", "syncPolicy", "automated")
    is_on = automated is not None and automated.get("enabled", True)
    if is_on and not scene.environment.argocd.auto_sync:
        message = f"{scene.environment.name} says `autoSync: false`, and this syncs all the same"
        pointer = ("spec", "syncPolicy", "automated")
        yield Spot(message, pointer, "place `{{ sync_policy }}`")


@BOOK.warning(
    "D017",
    "`PruneLast` adds a wave that waits until the model is healthy: a revert waits with it.",
    evidence="argoproj/argo-cd#11494, argoproj/argo-cd@gitops-engine/pkg/sync/sync_context.go",
    remedy="Leave it out of what serves models.",
).on_objects("*")
def _prunes_last(item: Json, scene: Scene) -> Iterator[Spot]:
    for option, pointer in _options(item):
        if scene.release is not None and option == "PruneLast=true":
            message = "a candidate that never becomes healthy keeps this sync, and the revert too"
            yield Spot(message, pointer, "remove it")


_REMADE = ("Job", "CustomResourceDefinition", "ConfigMap")
"""Kinds of which nothing runs that would stop."""


@BOOK.error(
    "D018",
    "`Replace` and `Force` delete what serves and make it anew at every sync.",
    evidence=_OPTIONS_DOC,
    remedy="Leave them out; `ServerSideApply=true` is for objects that are too large.",
).on_objects("*")
def _replaces(item: Json, scene: Scene) -> Iterator[Spot]:
    for option, pointer in _options(item):
        if option in ("Replace=true", "Force=true") and item["kind"] not in _REMADE:
            message = f"`{option}` makes running objects anew, and their Pods with them"
            yield Spot(message, pointer, "remove it, or use `ServerSideApply=true`")


@BOOK.error(
    "D022",
    "Argo CD edits the kustomization before it builds it: what runs is not what was checked.",
    evidence="argoproj/argo-cd@docs/operator-manual/high_availability.md",
    remedy="Put it into the template of the object.",
).on_objects("Application")
def _edited_after_the_check(item: Json, scene: Scene) -> Iterator[Spot]:
    edits = [key for key in at(item, "spec", "source", "kustomize", default={}) if key != "version"]
    if edits:
        message = f"`kustomize.{edits[0]}` changes the objects after gen has checked them"
        pointer = ("spec", "source", "kustomize", edits[0])
        yield Spot(message, pointer, "remove it, and change the template of the object")


@BOOK.error(
    "D023",
    "Argo CD ignores `managedNamespaceMetadata` unless it makes the namespace.",
    evidence=_OPTIONS_DOC,
    remedy="Put labels of the namespace into an own `templates/platform/namespace.yaml.j2`.",
).on_objects("Application")
def _namespace_without_effect(item: Json, scene: Scene) -> Iterator[Spot]:
    managed = at(item, "spec", "syncPolicy", "managedNamespaceMetadata")
    if managed and "CreateNamespace=true" not in {option for option, _ in _options(item)}:
        message = "without `CreateNamespace=true` nobody reads this"
        pointer = ("spec", "syncPolicy", "managedNamespaceMetadata")
        yield Spot(message, pointer, "put it into `templates/platform/namespace.yaml.j2`")


_PATHS = "argocd.argoproj.io/manifest-generate-paths"


@BOOK.warning(
    "D024",
    "Without the paths that it is made of, an Application is generated anew at every commit.",
    evidence="argoproj/argo-cd@docs/operator-manual/high_availability.md, argoproj/argo-cd#21086",
    remedy=f"Keep the annotation {_PATHS} of the built-in template.",
).on_objects("Application")
def _generated_at_every_commit(item: Json, scene: Scene) -> Iterator[Spot]:
    if _PATHS not in annotated(item):
        message = "any commit to the repository makes Argo CD generate this Application anew"
        hint = f'add the annotation `{_PATHS}: ".;/{{{{ base }}}}"`'
        yield Spot(message, ("metadata",), hint)


@BOOK.error(
    "D026",
    "Argo CD generates an Application anew only if a file of its paths changed.",
    evidence="argoproj/argo-cd@docs/operator-manual/high_availability.md",
    remedy='Write `".;/{{ base }}"`, as the built-in template does.',
).on_objects("Application")
def _never_generated(item: Json, scene: Scene) -> Iterator[Spot]:
    paths = [path.strip() for path in str(annotated(item).get(_PATHS) or "").split(";")]
    folder = at(item, "spec", "source", "path", default="")
    if not any(paths) or scene.release is None:
        return
    full = [path if path.startswith("/") else f"/{normpath(f'{folder}/{path}')}" for path in paths]
    if not any(_leads_to(path, f"/{folder}") for path in full if path):
        message = f"nothing in {folder} is among these paths, so that no change is ever synced"
        yield Spot(message, annotation_at(_PATHS), 'write `".;/{{ base }}"`')


def _leads_to(path: str, folder: str) -> bool:
    above = path.rstrip("/")
    return folder == above or folder.startswith(f"{above}/") or fnmatchcase(folder, f"{above}*")


@BOOK.error(
    "D027",
    "Argo CD ignores `source` where an Application has `sources`.",
    evidence="argoproj/argo-cd@docs/user-guide/multiple_sources.md",
    remedy="Keep `source`; what else is needed is a template in `templates/overlay/extra/`.",
).on_objects("Application")
def _source_that_nobody_reads(item: Json, scene: Scene) -> Iterator[Spot]:
    if spec(item).get("sources") and "source" in spec(item):
        message = "with `sources`, Argo CD does not read `source`, which leads to the model"
        yield Spot(message, ("spec", "sources"), "remove it, or add the model's folder to it")
