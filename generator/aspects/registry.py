"""All aspects, in the order in which their files are planned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from generator.aspects.access import Access
from generator.aspects.admission import Checks, OtherNamespaces
from generator.aspects.contract import Ask, Aspect, Piece
from generator.aspects.disruption import Budget
from generator.aspects.drift import DriftCheck
from generator.aspects.model_cache import Cache
from generator.aspects.monitoring import Monitoring
from generator.aspects.network import Network
from generator.aspects.priority import Priorities
from generator.aspects.quota import Quota
from generator.aspects.scaling import Scaled
from generator.aspects.secrets import Secrets
from generator.aspects.spread import Spreading
from generator.aspects.storage import ConfigMaps, Volumes
from generator.aspects.topology import NearEachOther
from generator.aspects.training.aspect import TrainingAspect
from generator.inventory.records import Environment
from generator.problems import Problem
from generator.records import Release, Variant

ASPECTS: tuple[Aspect, ...] = (
    Scaled(),
    Spreading(),
    Budget(),
    Cache(),
    TrainingAspect(),
    Monitoring(),
    DriftCheck(),
    Priorities(),
    NearEachOther(),
    OtherNamespaces(),
    Checks(),
    Quota(),
    Network(),
    Access(),
    Volumes(),
    ConfigMaps(),
    Secrets(),
)


def _asked(ask: Ask) -> list[Aspect]:
    """List the aspects that a model asks for; an empty block asks for nothing."""
    return [aspect for aspect in ASPECTS if ask.merged.data.get(aspect.name)]


def _given(release: Release) -> list[Aspect]:
    """List the aspects that a release has, which most have none of."""
    return [aspect for aspect in ASPECTS if aspect.name in release.facts] if release.facts else []


def problems(ask: Ask) -> Iterator[Problem]:
    """Find what the blocks of a model ask of an environment and cannot get."""
    for aspect in _asked(ask):
        yield from aspect.problems(ask)


def facts(ask: Ask) -> dict[str, Any]:
    """Resolve the blocks of a model in an environment, by name."""
    return {
        aspect.name: found for aspect in _asked(ask) if (found := aspect.facts(ask)) is not None
    }


def files(release: Release) -> Iterator[Piece]:
    """List what aspects add to a release."""
    for aspect in _given(release):
        yield from aspect.files(release, release.facts[aspect.name])


def files_of(release: Release, variant: Variant) -> Iterator[Piece]:
    """List what aspects add to one version of a release."""
    for aspect in _given(release):
        yield from aspect.files_of(release, variant, release.facts[aspect.name])


def environment_problems(environment: Environment) -> Iterator[Problem]:
    """Find what an environment says of its aspects and cannot have."""
    for aspect in ASPECTS:
        yield from aspect.environment_problems(environment)


def platform(environment: Environment) -> Iterator[Piece]:
    """List what aspects add to an environment itself."""
    for aspect in ASPECTS:
        yield from aspect.platform(environment)
