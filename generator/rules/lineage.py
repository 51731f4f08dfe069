"""Rules of where versions came from: what an audit will ask for."""

from __future__ import annotations

from collections.abc import Iterator

from generator import lineage
from generator.records import Release
from generator.rules import Book, Finding, ModelStep
from generator.rules.changes.transitions import live_versions
from generator.rules.places import in_version

BOOK = Book("lineage")

_SERVER = "mlflow/mlflow@mlflow/protos/model_registry.proto"


@BOOK.error(
    "O001",
    "Nobody can say later which data and code served, where a version does not say it now.",
    evidence="mlflow/mlflow@mlflow/protos/service.proto",
    remedy="Add the version from the tracking server: `gen version add MODEL VERSION --uri "
    "models:/<name>/<number>`; or write its `source` by hand.",
).on_release_with("policy.lineage")
def _from_nowhere(release: Release) -> Iterator[Finding]:
    if not release.environment.policy.lineage:
        return
    for variant in release.variants:
        if not lineage.told(variant.artifact.source):
            version = variant.artifact.version
            message = (
                f"{release.environment.name} wants to know where versions come from, and "
                f"{version} does not say it"
            )
            hint = "add `source: {registry: models:/<name>/<number>, run: <id>, commit: <hash>}`"
            yield in_version(release, variant, (), message, hint)


@BOOK.warning(
    "O002",
    "What a version came from never changes: another source under its name rewrites its history.",
    evidence=_SERVER,
    remedy="Leave it as it is; what came from elsewhere is another version.",
).on_model_step
def _rewritten(step: ModelStep) -> Iterator[Finding]:
    live = live_versions(step.before.data)
    for version, was in step.before.data["versions"].items():
        now = step.after.data["versions"].get(version, {})
        before, after = was.get(lineage.KEY, {}), now.get(lineage.KEY, {})
        lost = [key for key in before if after.get(key) != before[key]]
        if version in live and now and lost:
            keys = " and ".join(f"`{key}`" for key in lost)
            message = f"{version} is live, and its source has another {keys} than until now"
            pointer = ("versions", version, *((lineage.KEY,) if after else ()))
            where = step.after.where(*pointer, key=True)
            yield Finding(message, where, "leave it as it is, or add another version")


@BOOK.warning(
    "O003",
    "One registered version is one artifact: two places for it are a copy, or a slip of the pen.",
    evidence=_SERVER,
    remedy="Correct the `source`, or leave it out of the version that it is not of.",
).on_release_with("several")
def _registered_twice(release: Release) -> Iterator[Finding]:
    versions = release.document.data["versions"]
    for variant in release.variants:
        registry = variant.artifact.source.get("registry")
        if registry is None:
            continue
        for other, spec in versions.items():
            is_same = spec.get(lineage.KEY, {}).get("registry") == registry
            if other != variant.artifact.version and is_same and _uri(spec) != variant.artifact.uri:
                message = f"{other} is {registry} too, and its files are elsewhere"
                keys = (lineage.KEY, "registry")
                yield in_version(release, variant, keys, message, "which of them is it?")


def _uri(spec: object) -> str:
    return str(spec.get("uri", "")) if isinstance(spec, dict) else ""
