"""What an aspect says of itself: one subclass per block of a spec that adds objects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from generator.backends.contract import Ask, Kind, Piece
from generator.inventory.records import Environment
from generator.problems import Problem
from generator.records import Release, Variant

__all__ = ["Ask", "Aspect", "Kind", "Piece"]


class Aspect:
    """One block that a spec may have. Stateless: everything is a function of what is passed.

    `name` is the block's key in a spec, in its block for an environment and in the environment's
    `defaults` (all merged), the key of its facts in `Release.facts`, and the name under which
    every template of a release sees them. A model without the block is not asked for anything.
    """

    name: str

    def problems(self, ask: Ask) -> Iterator[Problem]:
        """Find what the block asks of an environment and cannot get."""
        yield from ()

    def facts(self, ask: Ask) -> Any:
        """Resolve the block to a frozen record; None if it comes to nothing here."""
        raise NotImplementedError

    def files(self, release: Release, facts: Any) -> Iterator[Piece]:
        """List what all versions of a release share."""
        yield from ()

    def files_of(self, release: Release, variant: Variant, facts: Any) -> Iterator[Piece]:
        """List what every version has of its own; they get its name by the folder they are in."""
        yield from ()

    def kinds(self, environment: Environment) -> tuple[Kind, ...]:
        """List the namespaced kinds that this aspect may render in an environment."""
        return ()

    def environment_problems(self, environment: Environment) -> Iterator[Problem]:
        """Find what an environment says of this aspect and cannot have."""
        yield from ()

    def platform(self, environment: Environment) -> Iterator[Piece]:
        """List what an environment itself has of this aspect, whatever its models ask for."""
        yield from ()

    def platform_kinds(self, environment: Environment) -> tuple[Kind, ...]:
        """List the namespaced kinds of `platform`."""
        return ()

    def platform_namespaces(self, environment: Environment) -> tuple[str, ...]:
        """List the namespaces of `platform` beside the environment's own."""
        return ()

    def cluster_kinds(self, environment: Environment) -> tuple[Kind, ...]:
        """List the cluster-scoped kinds of `platform`."""
        return ()
