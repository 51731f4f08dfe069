"""Rules of Argo CD and Git: what syncs from where, and what never belongs into a repository."""

from __future__ import annotations

import re
from collections.abc import Iterator

from generator.documents import Json
from generator.inventory.records import Environment
from generator.records import Release
from generator.rules import Book, Finding, Scene, Spot
from generator.rules.fields import containers, looks_secret
from generator.rules.places import at_argument, at_variable, in_environment

BOOK = Book("delivery")

_STUCK = BOOK.warning(
    "D001",
    "A revision that never moves keeps Argo CD from what is merged.",
    evidence="argoproj/argo-cd@docs/user-guide/tracking_strategies.md, "
    "argoproj/argo-cd@docs/operator-manual/high_availability.md",
    remedy="Name the branch that is live, such as `main`.",
)

_FIXED = re.compile(r"(?=.*[0-9])[0-9a-f]{7,40}|refs/tags/.+|v[0-9]+(\.[0-9]+){1,2}([-+].*)?")


@_STUCK.on_environment
def _revision_that_stays(environment: Environment) -> Iterator[Finding]:
    revision, pointer = environment.argocd.revision, ("argocd", "revision")
    if environment.argocd.auto_sync and _FIXED.fullmatch(revision):
        message = f"{revision} never moves, so that `autoSync` finds nothing new after a merge"
        yield in_environment(environment, pointer, message, "name a branch, such as `main`")
    elif revision == "HEAD":
        message = "`HEAD` is whatever the Git server calls its default branch at that time"
        yield in_environment(environment, pointer, message, "name the branch, such as `main`")


_CREDENTIALS = BOOK.error(
    "D002",
    "Credentials in a Git address are readable by whoever reads the repository or Argo CD.",
    evidence="argoproj/argo-cd@docs/operator-manual/declarative-setup.md",
    remedy="Leave them to the repository Secret of Argo CD.",
)

_USER = re.compile(r"https?://[^/@\s]+:[^/@\s]+@")


@_CREDENTIALS.on_environment
def _address_with_a_password(environment: Environment) -> Iterator[Finding]:
    if _USER.match(environment.argocd.repo_url):
        message = "this address holds a password or token, and ends up in every Application"
        hint = "remove it, and give Argo CD a repository Secret"
        yield in_environment(environment, ("argocd", "repoURL"), message, hint)


_DEFAULT = BOOK.error(
    "D003",
    "Every Application that names no project is in `default`, the root Applications among them.",
    evidence="argoproj/argo-cd@docs/user-guide/projects.md",
    remedy="Name a project of the environment's own.",
)


@_DEFAULT.on_environment
def _project_of_everybody(environment: Environment) -> Iterator[Finding]:
    if environment.argocd.project == "default":
        message = (
            "gen would narrow the project `default` down to this environment, and Argo CD would "
            "refuse all others in it, the root Application first"
        )
        hint = f"name one of its own, such as `project: ml-{environment.name}`"
        yield in_environment(environment, ("argocd", "project"), message, hint)


_SYSTEM = BOOK.error(
    "D004",
    "KServe and Kueue leave the Pods of system namespaces alone: no model is fetched, none queued.",
    evidence="kserve/kserve@config/webhook/manifests.yaml, "
    "kubernetes-sigs/kueue@apis/config/v1beta2/defaults.go",
    remedy="Give the models a namespace of their own.",
)

_SYSTEM_NAMESPACES = frozenset(
    ("kube-system", "kube-public", "kube-node-lease", "kueue-system", "knative-serving")
)


@_SYSTEM.on_environment
def _namespace_of_the_system(environment: Environment) -> Iterator[Finding]:
    namespace = environment.namespace
    whose = "Argo CD's own" if namespace == environment.argocd.namespace else "the system's"
    if namespace in _SYSTEM_NAMESPACES or namespace == environment.argocd.namespace:
        message = f"{namespace} is {whose}, and its Pods get neither a model nor a quota"
        hint = f"a namespace of its own, such as `ml-{environment.name}`"
        yield in_environment(environment, ("namespace",), message, hint)


_SECRET = BOOK.error(
    "D005",
    "A secret in Git stays readable in its history, whoever deletes it later.",
    evidence="argoproj/argo-cd@docs/operator-manual/secret-management.md",
    remedy="Revoke it, and refer to a Secret of the cluster: `serving.serviceAccount.secrets`.",
)

_REVOKE = "revoke it, and refer to a Secret: `serving.serviceAccount.secrets`"


@_SECRET.on_release
def _secret_in_a_document(release: Release) -> Iterator[Finding]:
    for variant in release.variants:
        for variable in variant.artifact.env:
            if looks_secret(variable["value"]):
                message = f"`{variable['name']}` holds what looks like a secret"
                yield at_variable(release, variant, variable["name"], message, _REVOKE)
        for index, arg in enumerate(variant.artifact.args):
            if looks_secret(arg):
                message = f"`{arg.partition('=')[0]}` holds what looks like a secret"
                yield at_argument(release, variant, index, message, _REVOKE)


@_SECRET.on_objects("ConfigMap")
def _secret_in_a_config_map(item: Json, scene: Scene) -> Iterator[Spot]:
    for key, value in (item.get("data") or {}).items():
        if looks_secret(str(value)):
            message = f"`{key}` holds what looks like a secret"
            hint = "revoke it, and keep it in a Secret that is made in the cluster"
            yield Spot(message, ("data", key), hint)


@_SECRET.on_objects("*")
def _secret_in_an_object(item: Json, scene: Scene) -> Iterator[Spot]:
    for container, pointer in containers(item):
        for index, variable in enumerate(container.get("env") or ()):
            if looks_secret(str(variable.get("value") or "")):
                message = f"`{variable['name']}` holds what looks like a secret"
                place = (*pointer, "env", index, "value")
                yield Spot(message, place, "revoke it, and use `valueFrom.secretKeyRef`")
        for key in ("args", "command"):
            for index, arg in enumerate(container.get(key) or ()):
                if looks_secret(str(arg)):
                    message = f"`{str(arg).partition('=')[0]}` holds what looks like a secret"
                    yield Spot(message, (*pointer, key, index), "revoke it, and use a Secret")
