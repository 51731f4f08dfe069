"""What a backend says of itself: one subclass per value of `serving.backend`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from generator.documents import Document
from generator.problems import Problem
from generator.records import Environment, Json, Release, Strategy, Variant
from generator.settings import Settings


class Ask(NamedTuple):
    """What one model asks of one environment, with the layers merged."""

    model: Document
    environment: Environment
    merged: Settings


class Kind(NamedTuple):
    """A kind of objects, as an AppProject allows it."""

    group: str
    kind: str


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

    `keys` of `serving` are read by this backend and those that list them too. `needed` is the key
    without which there is nothing to run, with what to write. `folder` below `overlay/` has the
    patches of its workload.
    """

    name: str
    keys: tuple[str, ...] = ()
    needed: tuple[str, str] = ("", "")
    folder: str

    def strategy(self, environment: Environment, *, native: bool) -> Strategy:
        """Say how versions share traffic; `native` is asked for and possible."""
        raise NotImplementedError

    def workload(self, name: str) -> str:
        """Name the Deployment, and the Service before it, that run a workload."""
        return name

    def derived(self, name: str, namespace: str, *, knative: bool = False) -> list[Derived]:
        """List what is derived from a workload's name and has to fit into 63 characters."""
        raise NotImplementedError

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
    if release.serving.resources["requests"] or release.serving.resources["limits"]:
        yield "resources"
    if release.placement:
        yield "placement"
    if release.serving.service_account:
        yield "service-account"
    if release.queue:
        yield "queue"
