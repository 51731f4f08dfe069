"""Checks over the whole fleet: what is right in every model alone and wrong between two.

Each subject, a model or an environment, *claims* what only one may have: objects of a cluster, the
names that KServe derives, public hosts. A claim is kept as eight bytes, so that a hundred thousand
of them cost nothing, and an unchanged model's claims come from the last run.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from itertools import pairwise
from typing import NamedTuple

from generator.backends import registry as backends
from generator.documents import Json
from generator.objects import kustomize
from generator.problems import Problem, Where
from generator.records import Need, Release

_PARTS = 16
"""Parts that claims are compared in."""

DELIVERY = "argocd"
"""Stands for the cluster that Argo CD runs in, whatever its address."""


def of_objects(cluster: str, objects: Iterable[Json]) -> list[str]:
    """Claim objects of a cluster by group, kind, namespace and name."""
    return of_identities(cluster, map(kustomize.identity, objects))


def of_identities(cluster: str, identities: Iterable[kustomize.Identity]) -> list[str]:
    """Claim objects of a cluster by what tells them apart there."""
    return ["\t".join((cluster, *identity)) for identity in identities]


def of_release(release: Release) -> list[str]:
    """Claim what nobody renders and controllers make, and the hosts of a release."""
    server, namespace = release.environment.cluster, release.environment.namespace
    backend = backends.of_release(release)
    hosts = [*([release.host] if release.host else ()), *backend.hosts(release)]
    made = ("\t".join((server, m.group, m.kind, namespace, m.name)) for m in backend.made(release))
    answers = (answer(release, release.model, each) for each in backend.answers(release))
    return [*(f"{server}\t\thost\t\t{host}" for host in hosts), *made, *answers]


def answer(release: Release, model: str, protocol: str) -> str:
    """Claim to be the model that answers over a protocol beside a release; others may need it."""
    environment = release.environment
    place = (environment.cluster, "", f"answer over {protocol}", environment.namespace)
    return "\t".join((*place, model))


class Wanted(NamedTuple):
    """What a subject needs of another one: the claim, and what it says of it."""

    claim: str
    need: Need
    environment: str


def wanted_by(release: Release) -> list[Wanted]:
    """List what a release needs of others."""
    needs = backends.of_release(release).needs(release)
    name = release.environment.name
    return [Wanted(answer(release, need.model, need.protocol), need, name) for need in needs]


def digest(claim: str) -> int:
    """Shorten a claim to eight bytes, as `packed` does, and read them as an array would."""
    return int.from_bytes(_shortened(claim), sys.byteorder)


def _shortened(claim: str) -> bytes:
    return blake2b(claim.encode(), digest_size=8).digest()


def packed(claims: Iterable[str]) -> bytes:
    """Shorten claims, each once, to the eight bytes that a subject keeps of each."""
    return b"".join(sorted({_shortened(claim) for claim in claims}))


class Fleet:
    """The claims of all subjects of a run."""

    def __init__(self) -> None:
        self._claims = array("Q")
        self._ends: list[tuple[int, str]] = []
        self._needs: dict[str, array[int]] = {}

    def add(self, subject: str, claims: bytes, needs: bytes = b"") -> None:
        """Remember the packed claims of a subject: within it, Kustomize refuses doubles.

        `needs` are claims that somebody has to make, packed alike.
        """
        self._claims.frombytes(claims)
        self._ends.append((len(self._claims), subject))
        if needs:
            self._needs[subject] = array("Q", needs)

    def unmet(self) -> dict[str, set[int]]:
        """Find the needs of each subject that nobody meets."""
        asked = {need for needs in self._needs.values() for need in needs}
        missing = asked.difference(self._claims) if asked else asked
        found = {subject: missing.intersection(needs) for subject, needs in self._needs.items()}
        return {subject: needs for subject, needs in found.items() if needs}

    def problems(self, claims_of: Callable[[str], Iterable[str]]) -> list[Problem]:
        """Find what two subjects claim. `claims_of` gives a subject's claims in words again."""
        twice = self._twice()
        if not twice:
            return []
        named: dict[str, str] = {}
        return [
            problem
            for subject in self._claimants(twice)
            for problem in _clashes(subject, claims_of(subject), twice, named)
        ]

    def _twice(self) -> set[int]:
        """Find what is claimed twice, part by part: as numbers, claims take five times the room."""
        parts = [array("Q") for _ in range(_PARTS)]
        for claim in self._claims:
            parts[claim % _PARTS].append(claim)
        ordered = map(sorted, parts)
        return {left for part in ordered for left, right in pairwise(part) if left == right}

    def _claimants(self, claims: set[int]) -> Iterator[str]:
        start = 0
        for end, subject in self._ends:
            if not claims.isdisjoint(self._claims[start:end]):
                yield subject
            start = end


def _clashes(
    subject: str, claims: Iterable[str], twice: set[int], named: dict[str, str]
) -> Iterator[Problem]:
    """Say which other subjects claim the same; however much it is, two names are one cause."""
    shared: dict[str, list[str]] = {}
    for claim in dict.fromkeys(claims):
        if digest(claim) in twice:
            shared.setdefault(named.setdefault(claim, subject), []).append(claim)
    shared.pop(subject, None)
    for other, contested in shared.items():
        _, _, kind, namespace, name = contested[0].split("\t")
        place = f" in namespace {namespace}" if namespace else ""
        more = f", and {len(contested) - 1} more," if len(contested) > 1 else ""
        message = f"{kind} {name}{place}{more} would be made by {other} too"
        hint = "they would overwrite each other: rename one of them"
        yield Problem("E604", message, Where(subject, 1, 1), hint)
