"""What a backend says of itself: one subclass per value of `serving.backend`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from generator.documents import Document, Json
from generator.inventory.records import Environment
from generator.problems import Problem
from generator.records import Component, Need, Release, Scaling, Strategy, Variant
from generator.settings import Settings


class Ask(NamedTuple):
    """What one model asks of one environment, with the layers merged."""

    model: Document
    environment: Environment
    merged: Settings

    def serves_with(self, *keys: str) -> bool:
        """Say whether any layer says one of these keys of `serving`: most models say few."""
        return not self.merged.data["serving"].keys().isdisjoint(keys)


class Kind(NamedTuple):
    """A kind of objects, as an AppProject allows it."""

    group: str
    kind: str


class Piece(NamedTuple):
    """One file that is planned: its name, its template, and names for its template alone."""

    name: str
    template: str
    context: Json | None = None


class Made(NamedTuple):
    """An object that nobody renders: a controller makes it of what is rendered."""

    group: str
    kind: str
    name: str


class Derived(NamedTuple):
    """A name that is derived from a workload's: the rule that bounds it, what it is, how it is."""

    code: str
    what: str
    name: str


class Backend:
    """One way to run a model. Stateless: everything is a function of what is passed.

    `keys` of `serving` and `versions`, keys of a version, are read by this backend and those that
    list them too. `needed` is the key without which there is nothing to run, with what to write.
    `folder` below `overlay/` has the patches of its workload. Without `has_base`, objects differ in
    kind from one environment to the next, and `whole` lists them. Without `is_queued`, Kueue sees
    nothing of it.
    """

    has_base = True
    is_queued = True
    name: str
    keys: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    needed: tuple[str, str] = ("", "")
    folder: str

    def strategy(self, environment: Environment, *, native: bool) -> Strategy:
        """Say how versions share traffic; `native` is asked for and possible."""
        raise NotImplementedError

    def on_request(self, environment: Environment, merged: Settings) -> Strategy | None:
        """Say how versions share traffic where a model asks for more than it gets otherwise."""
        return None

    def workload(self, name: str) -> str:
        """Name the Deployment, and the Service before it, that run a workload."""
        return name

    def service(self, name: str) -> str:
        """Name the Service before a workload."""
        return self.workload(name)

    def derived(self, name: str, namespace: str, *, knative: bool = False) -> list[Derived]:
        """List what is derived from a workload's name and has to fit into 63 characters."""
        raise NotImplementedError

    def arguments(self, args: list[str]) -> list[str]:
        """Write a version's arguments as what starts the server reads them."""
        return args

    def artifact_problems(self, model: Document, version: str, spec: Json) -> Iterator[Problem]:
        """Find what a version says that this backend does not read, or what it lacks."""
        raise NotImplementedError

    def problems(self, ask: Ask) -> Iterator[Problem]:
        """Find what this backend cannot get in an environment."""
        yield from ()

    def facts(self, ask: Ask) -> dict[str, Any]:
        """Resolve what no other backend knows of, by the names that templates see it under."""
        return {}

    def base(self, release: Release) -> tuple[str, ...]:
        """List the files of a model's base: `deployment.yaml` is of `base/deployment.yaml.j2`."""
        raise NotImplementedError

    def concerns(self, release: Release, variant: Variant) -> Iterator[str]:
        """List the patches of one workload, one concern each."""
        raise NotImplementedError

    def is_published(self, ask: Ask, strategy: Strategy) -> bool:
        """Say whether a route of gen's own publishes a model, on a host below the Gateway's."""
        return strategy == "route"

    def components(
        self, ask: Ask, version: str, name: str, scaling: Scaling
    ) -> tuple[Component, ...]:
        """Resolve what stands beside a version's workload, given how many there are of that."""
        return ()

    def port(self, merged: Settings) -> int:
        """Say which port the Service of a workload has."""
        return 80

    def shared(self, release: Release) -> Iterator[str]:
        """List the files that stand beside the workload of a release that has one alone."""
        yield from ()

    def whole(self, release: Release) -> Iterator[Piece]:
        """List the objects of a release that are not patches of a base."""
        yield from ()

    def selector(self, release: Release, variant: Variant) -> Mapping[str, str]:
        """Give the labels that the Pods of a version have alone; empty if nothing may select them.

        Knative makes and removes Pods on its own.
        """
        return {}

    def alone(self, environment: Environment, merged: Settings) -> tuple[str, str]:
        """Say why there is one version at a time, and the way out; empty if there may be more."""
        return "", ""

    def answers(self, release: Release) -> Iterator[str]:
        """List the protocols over which a step of an InferenceGraph may ask for predictions."""
        yield from ()

    def needs(self, release: Release) -> tuple[Need, ...]:
        """List the models that have to be live in the same environment."""
        return ()

    def made(self, release: Release) -> Iterator[Made]:
        """List what controllers make of a release, so that nobody else makes the same."""
        yield from ()

    def hosts(self, release: Release) -> Iterator[str]:
        """List the hosts that a controller publishes, without the cluster's domain."""
        yield from ()

    def kinds(self, environment: Environment) -> tuple[Kind, ...]:
        """List the kinds that this backend may render in an environment."""
        raise NotImplementedError


def shared_concerns(release: Release) -> Iterator[str]:
    """List the patches that every backend has in the same order."""
    if any(release.serving.resources.values()):
        yield "resources"
    if release.placement:
        yield "placement"
    if release.serving.service_account:
        yield "service-account"
    if release.queue:
        yield "queue"
    yield from (concern for fact, concern in _OF_FACTS.items() if fact in release.facts)


_OF_FACTS = {
    "container_security": "security",
    "mounts": "files",
    "shutdown": "shutdown",
    "rolling_update": "rolling-update",
    "spread": "spread",
    "priority": "priority",
    "topology": "topology",
}
"""The facts that are patches of a workload."""
