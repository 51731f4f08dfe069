"""Models on the disks of nodes: one LocalModelNamespaceCache per live version.

KServe looks for a cache when it takes in an InferenceService, so that the cache has to be there
before it; and the address of a cache never changes, so that every version has one of its own
(kserve/kserve@pkg/apis/serving/v1alpha1/local_model_namespace_cache_types.go).
"""

from __future__ import annotations

from collections.abc import Iterator

from generator.aspects.contract import Ask, Aspect, Kind, Piece
from generator.backends import pods
from generator.inventory.records import Environment
from generator.problems import Problem
from generator.records import ModelCache, Release
from generator.schema import suggestion
from generator.serving import components
from generator.values import minors, quantities

_SINCE = (0, 20)
_TEMPLATE = "overlay/local-model-namespace-cache.yaml.j2"
_SCHEMES = ("gs://", "s3://", "hf://", "https://", "http://")


class Cache(Aspect):
    """One cache for each version, named for both."""

    name = "cache"

    def problems(self, ask: Ask) -> Iterator[Problem]:
        """Find a group of nodes that is not there, and what KServe keeps nowhere."""
        merged, said = ask.merged, ask.merged.data["cache"]
        if not pods.is_own(ask, "cache"):
            return  # the environment offers it to those that it fits
        if merged.serving["backend"] != "kserve":
            message = "KServe keeps the models of InferenceServices alone on the disks of nodes"
            yield merged.problem("E303", message, ("cache",), "remove it")
            return
        groups = _groups(ask.environment)
        if "nodeGroup" not in said:
            message = "`cache` does not say on which nodes"
            hint = f"add `nodeGroup: {groups[0] if groups else '<group>'}`"
            yield merged.problem("E302", message, ("cache",), hint)
        elif said["nodeGroup"] not in groups:
            yield _unknown(ask, said["nodeGroup"], groups)
        if "size" not in said:
            message = "`cache` does not say how much room a version takes"
            yield merged.problem("E302", message, ("cache",), "add for example `size: 20Gi`")
        yield from _addresses(ask)

    def facts(self, ask: Ask) -> ModelCache | None:
        """Take what is said; None where it is half a word, or nothing that can be kept."""
        said = ask.merged.data["cache"]
        is_kserves = ask.merged.serving["backend"] == "kserve"
        if not is_kserves or said.keys() < {"nodeGroup", "size"} or any(_addresses(ask)):
            return None
        return ModelCache(said["nodeGroup"], quantities.canonical(said["size"]))

    def files(self, release: Release, facts: ModelCache) -> Iterator[Piece]:
        """List the caches of all live versions, which one folder may describe together."""
        for variant in release.in_order:
            version = variant.artifact.version
            context = {"variant": variant, "cache_name": f"{release.model}-{version}"}
            name = f"local-model-namespace-cache-{version}.yaml"
            yield Piece(name, _TEMPLATE, context)

    def kinds(self, environment: Environment) -> tuple[Kind, ...]:
        """List the cache where there are nodes for it."""
        kind = Kind("serving.kserve.io", "LocalModelNamespaceCache")
        return (kind,) if _groups(environment) else ()

    def environment_problems(self, environment: Environment) -> Iterator[Problem]:
        """Refuse groups where KServe has no caches of a namespace."""
        if _groups(environment) and minors.parsed(environment.kserve) < _SINCE:
            message = (
                f"KServe {environment.kserve} keeps no models for one namespace, and 0.20 does"
            )
            pointer = ("platform", "kserve", "nodeGroups")
            yield environment.document.problem("E303", message, pointer, hint="remove it", key=True)


def _groups(environment: Environment) -> list[str]:
    found: list[str] = environment.document.data["platform"]["kserve"].get("nodeGroups", [])
    return found


def _unknown(ask: Ask, name: str, groups: list[str]) -> Problem:
    environment = ask.environment.name
    if groups:
        message = f"environment {environment} has no nodes of group `{name}`"
        hint = suggestion(name, groups)
    else:
        message = f"environment {environment} keeps no models on nodes"
        listed = f"list its LocalModelNodeGroups: `platform.kserve.nodeGroups: [{name}]`"
        hint = f"{listed}, or write `cache` in the environments that have them"
    return ask.merged.problem("E301", message, ("cache", "nodeGroup"), hint)


def _addresses(ask: Ask) -> Iterator[Problem]:
    """Ask for addresses that are fetched: a claim or an image is near already."""
    for pointer, version in components.live(ask):
        spec = ask.model.data["versions"].get(version)
        if spec is not None and not spec.get("uri", "").startswith(_SCHEMES):
            said = f"`{spec['uri']}` is none" if "uri" in spec else "there is no `uri`"
            message = f"only what is downloaded is kept on nodes, and {said}"
            hint = "remove `cache`, or give the version an address of gs, s3, hf or https"
            yield ask.model.problem("E303", message, pointer, hint=hint, key=True)
