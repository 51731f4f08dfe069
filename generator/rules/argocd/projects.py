"""Rules of projects, destinations and namespaces in own templates."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from generator.documents import Json
from generator.inventory.records import Environment
from generator.objects.kustomize import CLUSTER_SCOPED
from generator.rules import Book, Scene, Spot
from generator.rules.fields import at, group, name_of, spec

BOOK = Book("delivery")


@BOOK.error(
    "D019",
    "Argo CD refuses an Application whose project does not allow its repository and destination.",
    evidence="argoproj/argo-cd@docs/user-guide/projects.md",
    remedy="Add the environment's cluster, namespace and repository to the project.",
).on_objects("AppProject")
def _project_without_its_environment(item: Json, scene: Scene) -> Iterator[Spot]:
    argocd = scene.environment.argocd
    if name_of(item) not in (argocd.project, argocd.platform_project):
        return
    destinations = spec(item).get("destinations") or ()
    environment, namespace = scene.environment, scene.environment.namespace
    if not any(_covers(each, environment, namespace) for each in destinations):
        cluster = environment.cluster_name or environment.server
        message = f"no destination of the project is {namespace} on {cluster}"
        key, value = ("name", "cluster_name") if environment.cluster_name else ("server", "server")
        place = f"{key}: {{{{ environment.{value} }}}}"
        hint = f"add `{{{place}, namespace: {{{{ environment.namespace }}}}}}`"
        yield Spot(message, ("spec", "destinations"), hint)
    repositories = [str(each) for each in spec(item).get("sourceRepos") or ()]
    if not any(fnmatchcase(argocd.repo_url, pattern) for pattern in repositories):
        message = f"the project does not allow {argocd.repo_url}"
        yield Spot(message, ("spec", "sourceRepos"), "add `{{ environment.argocd.repo_url }}`")


def _covers(destination: Json, environment: Environment, namespace: str) -> bool:
    named = "name" in destination or bool(environment.cluster_name)
    server = environment.server
    is_there = named or fnmatchcase(server, str(destination.get("server", "")))
    return is_there and fnmatchcase(namespace, str(destination.get("namespace", "")))


_WIDE, _NARROW = "clusterResourceWhitelist", "namespaceResourceWhitelist"


@BOOK.error(
    "D020",
    "Argo CD refuses to sync a kind that the project of the Application does not list.",
    evidence="argoproj/argo-cd@docs/user-guide/projects.md",
    remedy="Add group and kind to the project: cluster-scoped ones to `clusterResourceWhitelist`.",
).on_objects("AppProject")
def _kind_that_is_not_allowed(item: Json, scene: Scene) -> Iterator[Spot]:
    if scene.release is not None or name_of(item) != scene.environment.argocd.platform_project:
        return
    wide, narrow = (spec(item).get(key) for key in (_WIDE, _NARROW))
    told: set[tuple[str, str]] = set()
    for other in scene.objects:
        kind, is_wide = (group(other), other["kind"]), other["kind"] in CLUSTER_SCOPED
        key = _WIDE if is_wide else _NARROW
        allowed = [*(wide or ()), *(() if is_wide else narrow or ())]
        is_open = not is_wide and narrow is None
        known = is_open or any(_allows(each, kind) for each in allowed)
        if kind[0] != "argoproj.io" and not known and kind not in told:
            told.add(kind)
            message = (
                f"the platform has the {other['kind']} `{name_of(other)}`, and `{key}` has not"
            )
            hint = f'add `{{group: "{kind[0]}", kind: {kind[1]}}}`'
            yield Spot(message, ("spec", key) if key in spec(item) else ("spec",), hint)


def _allows(entry: Json, kind: tuple[str, str]) -> bool:
    return fnmatchcase(kind[0], str(entry.get("group", ""))) and fnmatchcase(
        kind[1], str(entry.get("kind", ""))
    )


_GO_TOGETHER: tuple[tuple[tuple[str, str], tuple[str, str]], ...] = (
    (("serving.kserve.io", "InferenceService"), ("gateway.networking.k8s.io", "HTTPRoute")),
    (("serving.kserve.io", "InferenceService"), ("keda.sh", "ScaledObject")),
    (("apps", "Deployment"), ("", "Service")),
)
"""What a model is made of, by the kind that runs it."""


@BOOK.error(
    "D025",
    "Argo CD refuses the sync of a model of which the project allows one object and not another.",
    evidence="argoproj/argo-cd@docs/user-guide/projects.md",
    remedy="Keep the kinds that the built-in template lists.",
).on_objects("AppProject")
def _kind_of_a_model_that_is_not_allowed(item: Json, scene: Scene) -> Iterator[Spot]:
    environment, allowed = scene.environment, spec(item).get(_NARROW)
    if name_of(item) != environment.argocd.project or allowed is None:
        return
    needed = {
        "HTTPRoute": environment.mode == "Standard" and environment.gateway is not None,
        "ScaledObject": bool(environment.keda and environment.prometheus),
        "Service": True,
    }
    for runs, other in _GO_TOGETHER:
        has = [any(_allows(each, kind) for each in allowed) for kind in (runs, other)]
        if has == [True, False] and needed[other[1]]:
            message = f"the project allows the {runs[1]} of a model, and not its {other[1]}"
            hint = f'add `{{group: "{other[0]}", kind: {other[1]}}}`'
            yield Spot(message, ("spec", _NARROW), hint)


def _is_allowed(project: Json, scene: Scene, namespace: str) -> bool:
    """Say whether the platform's project has another namespace among its destinations."""
    is_platforms = name_of(project) == scene.environment.argocd.platform_project
    destinations = spec(project).get("destinations") or ()
    environment = scene.environment
    return is_platforms and any(_covers(each, environment, namespace) for each in destinations)


@BOOK.error(
    "D021",
    "Argo CD refuses an object of a namespace that the platform's project does not allow.",
    evidence="argoproj/argo-cd@docs/user-guide/projects.md",
    remedy="Place `environment.namespace`, or give the other namespace an environment of its own.",
).on_objects("*")
def _in_another_namespace(item: Json, scene: Scene) -> Iterator[Spot]:
    found = at(item, "metadata", "namespace")
    is_platforms = scene.release is None and group(item) != "argoproj.io"
    if not is_platforms or not found or found == scene.environment.namespace:
        return
    projects = scene.of_kind("AppProject")
    if not any(_is_allowed(project, scene, str(found)) for project in projects):
        message = f"the platform's project of {scene.environment.name} does not allow {found}"
        hint = "place `{{ environment.namespace }}`, or add it to the project's destinations"
        yield Spot(message, ("metadata", "namespace"), hint)


@BOOK.error(
    "D028",
    "What is rendered for an environment waits for its namespace, which nobody makes.",
    evidence="argoproj/argo-cd@docs/user-guide/sync-options.md",
    remedy="Place `environment.namespace` as the Namespace's name.",
).on_objects("Namespace")
def _namespace_of_another_name(item: Json, scene: Scene) -> Iterator[Spot]:
    wanted = scene.environment.namespace
    if scene.release is None and all(
        name_of(each) != wanted for each in scene.of_kind("Namespace")
    ):
        message = (
            f"this makes `{name_of(item)}`, and the models of the environment are in `{wanted}`"
        )
        yield Spot(message, ("metadata", "name"), "place `{{ environment.namespace }}`")


@BOOK.error(
    "D029",
    "Argo CD refuses a destination with both the cluster's name and its address.",
    evidence="argoproj/argo-cd@docs/operator-manual/application.yaml",
    remedy="Keep `server`.",
).on_objects("Application")
def _cluster_by_name_and_address(item: Json, scene: Scene) -> Iterator[Spot]:
    destination = at(item, "spec", "destination", default={})
    if destination.get("name") and destination.get("server"):
        message = f"{destination['name']} and {destination['server']} are one too many"
        yield Spot(message, ("spec", "destination", "name"), "remove `name`")
