"""Rules of what Argo CD tells, lets people do, and leaves alone."""

from __future__ import annotations

import re
from collections.abc import Iterator

from generator.documents import Json
from generator.inventory.records import Environment
from generator.records import Release
from generator.rules import Book, Finding, Scene, Spot
from generator.rules.fields import looks_secret, name_of, spec
from generator.rules.places import in_environment
from generator.schema import nearest

BOOK = Book("delivery")

_CATALOGUE = (
    "on-created",
    "on-deleted",
    "on-deployed",
    "on-health-degraded",
    "on-sync-failed",
    "on-sync-running",
    "on-sync-status-unknown",
    "on-sync-succeeded",
)
"""Triggers that Argo CD brings (argoproj/argo-cd@notifications_catalog/triggers)."""


@BOOK.warning(
    "D107",
    "A subscription to a trigger that nobody configured tells nobody of anything.",
    evidence="argoproj/argo-cd@docs/operator-manual/notifications/catalog.md",
    remedy="Name a trigger of `argocd-notifications-cm`.",
).on_environment
def _misspelt_trigger(environment: Environment) -> Iterator[Finding]:
    told = environment.document.data["argocd"].get("notifications", {})
    for index, trigger in enumerate(told.get("triggers", ())):
        meant = "" if trigger in _CATALOGUE else nearest(trigger, _CATALOGUE)
        if meant:
            message = f"Argo CD brings no trigger `{trigger}`"
            hint = f"did you mean `{meant}`? An own one needs a name that is less alike"
            pointer = ("argocd", "notifications", "triggers", index)
            yield in_environment(environment, pointer, message, hint)


_HOOK = re.compile(r"https?://[^\s/]+/.+")


@BOOK.error(
    "D108",
    "Whoever has the address of a webhook can write to it, and this one would be in Git.",
    evidence="argoproj/argo-cd@docs/operator-manual/notifications/services/webhook.md, "
    "argoproj/argo-cd@docs/operator-manual/notifications/services/teams.md",
    remedy="Keep the address in `argocd-notifications-secret`, and name the recipient here.",
).on_environment
def _recipient_that_is_a_secret(environment: Environment) -> Iterator[Finding]:
    told = environment.document.data["argocd"].get("notifications", {})
    for keys, whom in _recipients(told):
        if _HOOK.match(whom) or looks_secret(whom):
            message = f"this recipient of {keys[-1]} is an address that lets everybody write"
            hint = "keep it in `argocd-notifications-secret`, and write the recipient's name"
            yield in_environment(environment, ("argocd", "notifications", *keys), message, hint)


def _recipients(told: Json) -> Iterator[tuple[tuple[str, ...], str]]:
    """Give everybody who is told of something, with the way there."""
    for service, whom in told.get("recipients", {}).items():
        yield ("recipients", service), whom
    for owner, known in told.get("owners", {}).items():
        for service, whom in known.items():
            yield ("owners", owner, service), whom


_POLICY = re.compile(r"\s*p\s*,\s*(?P<who>[^,]+?)\s*,.*,\s*(?P<what>[^,]+?)\s*,\s*(allow|deny)\s*")


@BOOK.error(
    "D111",
    "Argo CD refuses a project with a policy of another role or for another project.",
    evidence="argoproj/argo-cd@docs/user-guide/projects.md",
    remedy="Write `p, proj:<project>:<role>, applications, <action>, <project>/*, allow`.",
).on_objects("AppProject")
def _policy_of_another_project(item: Json, scene: Scene) -> Iterator[Spot]:
    project = name_of(item)
    for index, role in enumerate(spec(item).get("roles") or ()):
        for place, policy in enumerate(role.get("policies") or ()):
            found = _POLICY.fullmatch(str(policy))
            own = f"proj:{project}:{role.get('name')}"
            is_right = (
                found is not None
                and found["who"] == own
                and found["what"].startswith(f"{project}/")
            )
            if not is_right:
                message = f"this is no policy of the role {role.get('name')} of {project}"
                hint = f"begin with `p, {own},` and end with `{project}/*, allow`"
                yield Spot(message, ("spec", "roles", index, "policies", place), hint)


_MOVED: dict[tuple[str, str], tuple[tuple[str, ...], str]] = {
    ("gateway.networking.k8s.io", "HTTPRoute"): (("spec", "rules"), "how versions share traffic"),
    ("serving.kserve.io", "InferenceService"): (
        ("spec", "predictor", "model", "storageUri"),
        "the version that serves",
    ),
    ("apps", "Deployment"): (
        ("spec", "template", "spec", "containers"),
        "the version that serves",
    ),
}
"""What a promotion changes, by group and kind."""


@BOOK.error(
    "D117",
    "A difference that is ignored is left alone by the sync: what a promotion changes never "
    "arrives.",
    evidence="argoproj/argo-cd@docs/user-guide/sync-options.md, argoproj/argo-cd#6520",
    remedy="Ignore the one field that something else writes, and nothing above it.",
).on_environment
def _ignores_promotions(environment: Environment) -> Iterator[Finding]:
    for index, ignored in enumerate(environment.argocd.ignored):
        moved = _MOVED.get((ignored["group"], ignored["kind"]))
        for place, pointer in enumerate(ignored.get("jsonPointers", ()) if moved else ()):
            field, what = moved or ((), "")
            steps = tuple(pointer.strip("/").split("/"))
            common = min(len(steps), len(field))
            if steps[:common] == field[:common]:
                message = f"Argo CD would leave alone what is at {pointer}: {what}"
                hint = "name only the field that something else writes"
                where = ("argocd", "ignoreDifferences", index, "jsonPointers", place)
                yield in_environment(environment, where, message, hint)


@BOOK.warning(
    "D118",
    "Subscriptions for an owner that no model has tell nobody, and the owner that was meant has "
    "none.",
    evidence="argoproj/argo-cd@docs/operator-manual/notifications/subscriptions.md",
    remedy="Write the owner as the models do.",
).on_release
def _owner_that_is_spelt_otherwise(release: Release) -> Iterator[Finding]:
    argocd = release.environment.argocd
    if release.owner not in argocd.subscriptions_of and argocd.subscriptions_of:
        alike = {owner.lower(): owner for owner in argocd.subscriptions_of}
        meant = alike.get(release.owner.lower())
        if meant:
            message = f"Argo CD tells the owner {meant}, and this one is {release.owner}"
            where = release.document.where("owner")
            yield Finding(message, where, f"write `owner: {meant}`", release.environment.name)
