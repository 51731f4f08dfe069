"""Rules of what may not happen to a model's document once the model runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from generator.documents import Document
from generator.problems import Where
from generator.promotions.withdrawals import artifact
from generator.records import Release, Variant
from generator.rules import Book, Finding, ModelStep, Step
from generator.rules.changes.transitions import is_other, is_steady, leaving, listed, live_versions

BOOK = Book("change")

_EDITED = BOOK.error(
    "R012",
    "A version is what it was when it went live: with another artifact under its name, all its "
    "Pods are replaced without a canary, and no rollback leads back.",
    evidence="kserve/kserve@pkg/controller/v1beta1/inferenceservice/components/predictor.go",
    remedy="Leave it as it is, add the new artifact as another version, and promote that.",
)

_EDITED_AT_REST = BOOK.warning(
    "R013",
    "A version that is not live may have been, and may be what a rollback leads to: with another "
    "artifact it is no longer that.",
    evidence="kserve/kserve@pkg/controller/v1beta1/inferenceservice/components/predictor.go",
    remedy="Add the new artifact as another version. One that never served anywhere may be edited.",
)


@_EDITED.on_model_step
def _edited_while_live(step: ModelStep) -> Iterator[Finding]:
    for version, live, keys in _edited(step):
        if live:
            message = (
                f"{version} is live in {listed(live)} with another {_quoted(keys)}: all its Pods "
                "would be replaced at once, and no rollback leads back"
            )
            hint = f"leave {version} as it is, add another version with this, and promote that"
            yield Finding(message, _at_artifact(step.after, version, keys), hint)


@_EDITED_AT_REST.on_model_step
def _edited_at_rest(step: ModelStep) -> Iterator[Finding]:
    for version, live, keys in _edited(step):
        if not live:
            message = (
                f"{version} had another {_quoted(keys)} until now: if it ever served, going back "
                "to it is no longer going back"
            )
            hint = "add another version instead, unless this one never served anywhere"
            yield Finding(message, _at_artifact(step.after, version, keys), hint)


def _edited(step: ModelStep) -> Iterator[tuple[str, list[str], list[str]]]:
    """Give each version that has another artifact, where it is live, and what differs."""
    if step.before.name != step.after.name or _backend(step.before) != _backend(step.after):
        return
    versions, known = step.after.data["versions"], live_versions(step.before.data)
    for version, was in step.before.data["versions"].items():
        now = versions.get(version, was)
        if artifact(now) != artifact(was):
            keys = [key for key in _ARTIFACT if now.get(key) != was.get(key)]
            yield version, known.get(version, []), keys


_ARTIFACT = ("uri", "image", "args", "env", "transformer", "graph")
"""The keys of a version that change what it answers."""


def _backend(model: Document) -> object:
    return model.data["serving"].get("backend", "kserve")


def _at_artifact(model: Document, version: str, keys: list[str]) -> Where:
    written = [key for key in keys if model.has(("versions", version, key))]
    return model.where("versions", version, *written[:1], key=not written)


def _quoted(keys: Iterable[str]) -> str:
    return listed([f"`{key}`" for key in keys])


_FORGOTTEN = BOOK.warning(
    "R014",
    "A version that was live until this change is removed with it: what served a moment ago can "
    "no longer be named.",
    evidence="argoproj/argo-cd@docs/user-guide/auto_sync.md",
    remedy="Keep the version until nobody would go back to it, and remove it in a later commit.",
)


@_FORGOTTEN.on_model_step
def _forgotten(step: ModelStep) -> Iterator[Finding]:
    if step.before.name != step.after.name:
        return
    live = live_versions(step.before.data)
    gone = [v for v in step.before.data["versions"] if v not in step.after.data["versions"]]
    for version in gone:
        if version in live:
            message = (
                f"{version} was live in {listed(live[version])} until now and is no version any "
                "more: a rollback could not name it"
            )
            where = step.after.where("versions", key=True)
            yield Finding(message, where, "keep it, and remove it in a later commit")


_RENAMED = BOOK.error(
    "R015",
    "A model with another name is another model: it has another host and starts cold, and of the "
    "old one the Application is deleted.",
    evidence="argoproj/argo-cd#16721, argoproj/argo-cd@docs/user-guide/app_deletion.md",
    remedy="Add the new name beside the old one, move the callers, then remove the old one.",
)


@_RENAMED.on_model_step
def _renamed(step: ModelStep) -> Iterator[Finding]:
    was, now = step.before.name, step.after.name
    if was != now:
        live = [name for name in step.before.data["environments"]]
        message = (
            f"`{was}`, which is live in {listed(live)}, becomes `{now}`: its callers lose their "
            "host, and nothing that is loaded is kept"
        )
        hint = f"keep models/{was}.yaml beside this one until its callers have moved"
        yield Finding(message, step.after.where("name"), hint)


_DELETED = BOOK.error(
    "R016",
    "In an environment with `argocd.cascade`, removing a model deletes what serves as soon as it "
    "is merged; a file that gets lost does the same.",
    evidence="argoproj/argo-cd@docs/user-guide/app_deletion.md, argoproj/applicationset#431",
    remedy="Announce it: silence this rule in the model's spec, with the reason, in a commit "
    "before the spec is removed, or together with the removal from one environment.",
)

_ORPHANED = BOOK.warning(
    "R017",
    "Without `argocd.cascade`, removing a model deletes its Application and nothing else: its Pods "
    "run on, and nobody looks after them.",
    evidence="argoproj/argo-cd@docs/user-guide/app_deletion.md",
    remedy="Delete what is left by its label once nobody calls it.",
)


@_DELETED.on_step
def _deleted(step: Step) -> Iterator[Finding]:
    before = leaving(step)
    if before is not None and before.environment.argocd.cascade:
        message = (
            f"{before.model} serves, and is deleted with all its Pods: the environment has "
            "`cascade: true`"
        )
        silence = '`silence: {R016: {reason: "..."}}`'
        hint = (
            f"once nobody calls it, add {silence} to the model"
            if step.model
            else f"put the file back with {silence}, and remove it in the commit after that"
        )
        yield Finding(message, _at_removal(step, before), hint, before.environment.name)


@_ORPHANED.on_step
def _orphaned(step: Step) -> Iterator[Finding]:
    before = leaving(step)
    if before is not None and not before.environment.argocd.cascade:
        message = f"{before.model} runs on after this: only its Application is deleted"
        hint = (
            "once nobody calls it, delete what has the label `app.kubernetes.io/name: "
            f"{before.model}` in the namespace"
        )
        yield Finding(message, _at_removal(step, before), hint, before.environment.name)


def _at_removal(step: Step, before: Release) -> Where:
    if step.model is None:
        return Where(before.document.path)
    return step.model.where("environments", key=True)


_FORMAT = BOOK.warning(
    "R018",
    "Format, runtime and protocol are the model's, not a version's: every version that runs is "
    "restarted with another server and the artifact that it has.",
    evidence="kserve/kserve@pkg/controller/v1beta1/inferenceservice/components/predictor.go",
    remedy="Add a model of another name for the other format, move the callers, then remove this "
    "one.",
)


@_FORMAT.on_model_step
def _other_format(step: ModelStep) -> Iterator[Finding]:
    hit = [s.after for s in step.steps if s.after and is_other(s, _server)]
    if not hit:
        return
    before, after = step.before.data["serving"], step.after.data["serving"]
    keys = ("format", "runtime", "protocol")
    key = next((key for key in keys if before.get(key) != after.get(key)), "")
    if key:
        versions = {v.artifact.version: None for release in hit for v in release.variants}
        message = (
            f"another {key} is for all versions: {listed(list(versions))} in "
            f"{listed([r.environment.name for r in hit])} would be restarted with it at once"
        )
        where = step.after.where("serving", *((key,) if key in after else ()), key=key not in after)
        yield Finding(message, where, "add a model of another name for it, and move the callers")


_EVERYWHERE = BOOK.warning(
    "R019",
    "A model's own `serving` is for all its environments: a change of it restarts the Pods of all "
    "with one commit, and nothing is tried first.",
    evidence="kserve/kserve@pkg/controller/v1beta1/inferenceservice/components/predictor.go",
    remedy="Write it below one environment first, and move it up once it has proven itself there. "
    "The rule holds where one of the environments promises replicas by its `policy`.",
)

_OVERRIDABLE = ("args", "env", "resources", "gpu", "serviceAccount")


@_EVERYWHERE.on_model_step
def _everywhere_at_once(step: ModelStep) -> Iterator[Finding]:
    before, after = step.before.data["serving"], step.after.data["serving"]
    keys = [key for key in _OVERRIDABLE if before.get(key) != after.get(key)]
    if not keys:
        return
    hit = [s.after.environment for s in step.steps if s.after and is_other(s, _pods)]
    if len(hit) > 1 and any(is_steady(environment) for environment in hit):
        names = [environment.name for environment in hit]
        message = (
            f"`serving.{keys[0]}` restarts {step.after.name} in {listed(names)} with one commit"
        )
        first = next((e.name for e in hit if not is_steady(e)), names[0])
        hint = (
            f"write it below `environments.{first}.serving` first, and here once it has proven "
            "itself"
        )
        has = keys[0] in after
        where = step.after.where("serving", *((keys[0],) if has else ()), key=True)
        yield Finding(message, where, hint)


def _server(release: Release, variant: Variant) -> object:
    return release.serving.format, release.serving.runtime, release.serving.protocol


def _pods(release: Release, variant: Variant) -> object:
    serving, artifact = release.serving, variant.artifact
    return (
        serving.resources,
        serving.service_account,
        release.placement,
        artifact.args,
        artifact.env,
    )
