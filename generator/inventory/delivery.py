"""What an environment says of Argo CD: windows, notifications, roles, differences.

Sources: argoproj/argo-cd@docs/user-guide/sync_windows.md,
argoproj/argo-cd@docs/user-guide/projects.md,
argoproj/argo-cd@docs/operator-manual/notifications/subscriptions.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from generator.documents import Document, Json
from generator.inventory.records import ArgoCD
from generator.problems import Problem
from generator.values import minors

TRIGGERS = ("on-sync-failed", "on-health-degraded")
"""What is told unless somebody asks for something else."""

_SUBSCRIBE = "notifications.argoproj.io/subscribe"

_ACTIONS = {"view": ("get",), "logs": (), "sync": ("sync",), "actions": ("action/*",)}
"""Argo CD's own words (argoproj/argo-cd@docs/operator-manual/rbac.md)."""

_SERVER_SIDE_DIFF = (2, 10)


def argocd(spec: Json) -> ArgoCD:
    """Resolve an environment's block."""
    told = spec.get("notifications", {})
    project = spec["project"]
    return ArgoCD(
        version=spec.get("version", ""),
        repo_url=spec["repoURL"],
        revision=spec.get("revision", "main"),
        namespace=spec.get("namespace", "argocd"),
        project=project,
        auto_sync=spec.get("autoSync", True),
        cascade=spec.get("cascade", False),
        application_set=spec.get("applicationSet", False),
        server_side_diff=spec.get("serverSideDiff", False),
        sync_windows=[_window(window) for window in spec.get("syncWindows", ())],
        roles=_roles(spec, project),
        platform_roles=_roles(spec, f"{project}-platform"),
        ignored=spec.get("ignoreDifferences", []),
        subscriptions=_subscriptions(told, told.get("recipients", {})),
        subscriptions_of={
            owner: _subscriptions(told, recipients)
            for owner, recipients in told.get("owners", {}).items()
        },
    )


def _window(spec: Json) -> Json:
    """Write a window as an AppProject has it, for every Application of the project."""
    return {
        "kind": spec["kind"],
        "schedule": spec["schedule"],
        "duration": spec["duration"],
        "timeZone": spec.get("timeZone", "UTC"),
        "applications": ["*"],
        "manualSync": spec.get("manualSync", True),
        **({"description": spec["reason"]} if "reason" in spec else {}),
    }


def _roles(spec: Json, project: str) -> list[Json]:
    return [_role(name, role, project) for name, role in spec.get("roles", {}).items()]


def _role(name: str, spec: Json, project: str) -> Json:
    """Write a role, whose policies name the project twice: Argo CD refuses those of another.

    A group with a comma stands in quotes, or the project would be refused.
    """
    granted = dict.fromkeys(("get", *(each for may in spec["may"] for each in _ACTIONS[may])))
    rules = [("applications", action) for action in granted]
    rules += [("logs", "get")] if "logs" in spec["may"] else []
    return {
        "name": name,
        "groups": [f'"{group}"' if "," in group else group for group in spec["groups"]],
        "policies": [
            f"p, proj:{project}:{name}, {resource}, {action}, {project}/*, allow"
            for resource, action in rules
        ],
    }


def _subscriptions(spec: Json, recipients: Mapping[str, str]) -> dict[str, str]:
    """Write what subscribes recipients to triggers, as annotations."""
    return {
        f"{_SUBSCRIBE}.{trigger}.{service}": whom
        for trigger in spec.get("triggers", TRIGGERS)
        for service, whom in recipients.items()
    }


def problems(document: Document) -> Iterator[Problem]:
    """Find what an environment says of Argo CD or of its cluster that comes to nothing."""
    yield from _clusters(document)
    spec = document.data["argocd"]
    told = spec.get("notifications")
    if told is not None and not told.keys() & {"recipients", "owners"}:
        pointer = ("argocd", "notifications")
        hint = "add `recipients: {slack: <channel>}`, or `owners`"
        yield document.problem("E302", "nobody is told of anything", pointer, hint=hint, key=True)
    if spec.get("serverSideDiff") and _is_before(spec, _SERVER_SIDE_DIFF):
        pointer = ("argocd", "serverSideDiff")
        message = f"Argo CD {spec['version']} lets no API server compute differences"
        yield document.problem("E303", message, pointer, hint="it needs 2.10; remove it")


def _is_before(spec: Json, minor: tuple[int, int]) -> bool:
    return bool(spec.get("version")) and minors.parsed(spec["version"]) < minor


def _clusters(document: Document) -> Iterator[Problem]:
    """Let a cluster be named in one way.

    Both are one too many (argoproj/argo-cd@docs/operator-manual/application.yaml).
    """
    cluster = document.data["cluster"]
    if "server" in cluster and "name" in cluster:
        message = "Argo CD takes a cluster by its address or by its name, and refuses both"
        hint = "remove `name` or `server`"
        pointer = ("cluster", "name")
        yield document.problem("E303", message, pointer, hint=hint, key=True)
    elif "server" not in cluster and "name" not in cluster:
        message = "the cluster has neither an address nor a name"
        hint = "add `server: https://kubernetes.default.svc` for the one that Argo CD runs in"
        yield document.problem("E302", message, ("cluster",), hint=hint, key=True)
