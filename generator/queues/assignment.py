"""Whether Pods fit into queues all at once: each lands on one flavor, with all that it asks for.

Most Pods have one flavor to go to, and then fitting is addition. Pods that may go to several are
placed as Kueue does it, flavor by flavor in the queue's order
(kubernetes-sigs/kueue@pkg/scheduler/flavorassigner/flavorassigner.go). If some are left over, a
maximum flow per resource may prove that no placement could hold them, and else a search tries the
others. A search that takes too long proves nothing: whoever asks is told that they may fit.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from typing import NamedTuple

from msgspec import Struct

from generator.queues.quotas import Cell, Pool, Share, Usage, root

_PATIENCE = 2_000
"""Placements that a search looks at, about a thirtieth of a second."""

_MOST_KINDS = 60
"""Kinds with a choice beyond which a search would end in doubt anyway."""

Claim = tuple[str, tuple[str, ...]]
"""A queue, and the flavors that some of its Pods may go to."""


class Kind(NamedTuple):
    """Pods that are alike to Kueue: their queue, where one may land, and what one asks for."""

    queue: str
    flavors: tuple[str, ...]
    sizes: tuple[tuple[str, int], ...]

    @property
    def claim(self) -> Claim:
        """What it competes for with other kinds."""
        return self.queue, self.flavors


Load = Mapping[Kind, int]
"""How many Pods there are of each kind."""


class Lack(Struct, frozen=True):
    """Of one resource, what is asked for and the most that there could ever be."""

    resource: str
    asked: int
    held: int


class Shortage(Struct, frozen=True):
    """The Pods that cannot be placed, by their claims, and the proof.

    Without `lacks`, every resource would be enough if Pods could be split, and they cannot.
    """

    claims: tuple[Claim, ...]
    lacks: tuple[Lack, ...]

    def is_of(self, kind: Kind) -> bool:
        """Say whether a kind is among those that compete."""
        resources = {resource for resource, _ in kind.sizes}
        wanted = not self.lacks or any(lack.resource in resources for lack in self.lacks)
        return wanted and kind.claim in self.claims


class Placement(Struct, frozen=True):
    """Where Pods were placed; `shortage` is None if all of them fit, or might."""

    usage: Usage
    shortage: Shortage | None = None


def parts(pools: Mapping[Cell, Pool], load: Load) -> list[Load]:
    """Take a load apart into what shares neither cohort nor flavor, and can be placed alone."""
    found: list[tuple[set[Cell], dict[Kind, int]]] = []
    roots = _roots(pools)
    for kind, count in load.items():
        own = {(roots.get(kind.queue, kind.queue), flavor) for flavor in kind.flavors}
        part = {kind: count}
        apart = []
        for cells, other in found:
            if cells.isdisjoint(own):
                apart.append((cells, other))
            else:
                own |= cells
                part = other | part
        found = [*apart, (own, part)]
    return [part for _, part in found]


def _roots(pools: Mapping[Cell, Pool]) -> dict[str, str]:
    return {node: root(pool, node) for pool in pools.values() for node in pool}


def place(pools: Mapping[Cell, Pool], load: Load) -> Placement:
    """Place Pods in empty queues; those that do not fit count for the first flavor of theirs."""
    usage = Usage(pools)
    left = _in_order(usage, load)
    if not left:
        return Placement(usage)
    shortage = _proof(pools, load)
    if shortage is None:
        found = _searched(pools, load)
        if isinstance(found, Usage):
            return Placement(found)
        shortage = found
    for kind, count in left.items():
        usage.admit(kind.flavors[0], kind.queue, kind.sizes, count)
    return Placement(usage, shortage)


def _in_order(usage: Usage, load: Load) -> dict[Kind, int]:
    """Place Pods like Kueue, those with least choice and the largest first; return the rest."""
    claims: dict[Claim, list[Kind]] = {}
    for kind in load:
        claims.setdefault(kind.claim, []).append(kind)
    left: dict[Kind, int] = {}
    for claim in sorted(claims, key=lambda claim: (len(claim[1]), claim)):
        if not _all_on_first(usage, claim, {kind: load[kind] for kind in claims[claim]}):
            left |= _one_by_one(usage, {kind: load[kind] for kind in claims[claim]})
    return left


def _all_on_first(usage: Usage, claim: Claim, load: Load) -> bool:
    """Admit Pods to the flavor that they try first, if there is room for all of them."""
    queue, flavors = claim
    sums: Counter[str] = Counter()
    for kind, count in load.items():
        for resource, size in kind.sizes:
            sums[resource] += size * count
    is_enough = usage.fits(flavors[0], queue, sums.items()) > 0
    if is_enough:
        usage.admit(flavors[0], queue, sums.items(), 1)
    return is_enough


def _one_by_one(usage: Usage, load: Load) -> dict[Kind, int]:
    """Admit as many Pods as there is room for, flavor by flavor; return the rest."""
    left = {}
    for kind in sorted(load, key=_difficulty):
        rest = load[kind]
        for flavor in kind.flavors:
            count = min(rest, usage.fits(flavor, kind.queue, kind.sizes))
            usage.admit(flavor, kind.queue, kind.sizes, count)
            rest -= count
        if rest:
            left[kind] = rest
    return left


def _difficulty(kind: Kind) -> tuple[int, list[int], Kind]:
    """Order kinds so that those come first that are hardest to place."""
    return len(kind.flavors), [-size for _, size in reversed(kind.sizes)], kind


# A proof by the maximum flow of one resource, as if Pods could be split


def _proof(pools: Mapping[Cell, Pool], load: Load) -> Shortage | None:
    """Find the resources that are not enough, even if Pods could be split over flavors."""
    resources = {resource for kind in load for resource, _ in kind.sizes}
    claims: dict[Claim, None] = {}
    lacks = []
    for resource in sorted(resources, key=lambda name: ("/" not in name, name)):
        lack, starved = _lack(pools, load, resource)
        if lack.asked > lack.held:
            lacks.append(lack)
            claims.update(dict.fromkeys(starved))
    return Shortage(tuple(sorted(claims)), tuple(lacks)) if lacks else None


_Point = tuple[str, ...] | Claim
_Edges = dict[_Point, dict[_Point, int]]

_SOURCE: _Point = ("source",)
_SINK: _Point = ("sink",)


def _lack(pools: Mapping[Cell, Pool], load: Load, resource: str) -> tuple[Lack, list[Claim]]:
    """Compare what is asked for with what there is, for the claims that do not get enough."""
    asked: Counter[Claim] = Counter()
    for kind, count in load.items():
        asked[kind.claim] += dict(kind.sizes).get(resource, 0) * count
    edges = _network(pools, asked, resource)
    flow = _pushed(edges)
    near = _reached(edges)
    starved = [claim for claim in asked if claim in near]
    served = sum(amount for claim, amount in asked.items() if claim not in near)
    return Lack(resource, asked.total() - served, flow - served), starved


def _network(pools: Mapping[Cell, Pool], asked: Mapping[Claim, int], resource: str) -> _Edges:
    """Lead what is asked for through queues and cohorts to what there is."""
    boundless = sum(asked.values())
    edges: _Edges = {_SOURCE: {claim: asked[claim] for claim in asked}, _SINK: {}}
    for queue, flavors in asked:
        reached = [f for f in flavors if queue in pools.get((f, resource), ())]
        edges[queue, flavors] = {(flavor, queue): boundless for flavor in reached}
        for flavor in reached:
            _climb(edges, pools[flavor, resource], (flavor, queue), boundless)
    return edges


def _climb(edges: _Edges, pool: Pool, point: tuple[str, str], boundless: int) -> None:
    """Let a node use what it keeps, and whatever it may take of its parent's; a root its all."""
    flavor, node = point
    while (flavor, node) not in edges:
        share = pool[node]
        if not share.parent:
            edges[flavor, node] = {_SINK: share.total}
            return
        above = (flavor, share.parent)
        edges[flavor, node] = {_SINK: share.kept, above: _taken(share, boundless)}
        node = share.parent


def _taken(share: Share, boundless: int) -> int:
    if share.borrows is None:
        return boundless
    return share.total - share.kept + share.borrows


def _pushed(edges: _Edges) -> int:
    """Push as much as fits from source to sink, and leave what else could flow in `edges`."""
    flow = 0
    while _SINK in (came := _reached(edges)):
        path = [_SINK]
        while path[-1] != _SOURCE:
            path.append(came[path[-1]])
        steps = list(zip(path[1:], path, strict=False))
        amount = min(edges[a][b] for a, b in steps)
        for a, b in steps:
            edges[a][b] -= amount
            edges[b][a] = edges[b].get(a, 0) + amount
        flow += amount
    return flow


def _reached(edges: _Edges) -> dict[_Point, _Point]:
    """Find what more could flow to, each point with the one before it, by the shortest way."""
    came = {_SOURCE: _SOURCE}
    waiting = deque([_SOURCE])
    while waiting:
        point = waiting.popleft()
        for other, amount in edges[point].items():
            if amount and other not in came:
                came[other] = point
                waiting.append(other)
    return came


# A proof by trying everything


class _GaveUp(Exception):
    """Raised by a search that has looked at enough placements."""


def _searched(pools: Mapping[Cell, Pool], load: Load) -> Usage | Shortage | None:
    """Find a placement, or prove that there is none Pod by Pod; None if nobody knows."""
    usage = Usage(pools)
    choices = []
    for kind in sorted(load, key=_difficulty):
        if len(kind.flavors) > 1:
            choices.append((kind, load[kind]))
        else:
            usage.admit(kind.flavors[0], kind.queue, kind.sizes, load[kind])
    if len(choices) > _MOST_KINDS:
        return None
    try:
        found = _Search(choices).placed(usage)
    except _GaveUp:
        return None
    return found or Shortage(tuple(sorted({kind.claim for kind in load})), ())


class _Search:
    """Tries every way to spread Pods over their flavors, and nothing twice."""

    def __init__(self, choices: list[tuple[Kind, int]]) -> None:
        self._choices = choices
        self._failed: set[tuple[int, int, int, frozenset[tuple[Cell, str, int]]]] = set()
        self._looks = 0

    def placed(self, usage: Usage, index: int = 0) -> Usage | None:
        """Place the kinds from `index` on beside what is used. Raises _GaveUp."""
        if index == len(self._choices):
            return usage
        return self._spread(usage, index, 0, self._choices[index][1])

    def _spread(self, usage: Usage, index: int, option: int, left: int) -> Usage | None:
        """Put as many as possible on one flavor, then one fewer, and so on."""
        kind, _ = self._choices[index]
        if not left:
            return self.placed(usage, index + 1)
        if option == len(kind.flavors) or self._is_known(usage, index, option, left):
            return None
        flavor = kind.flavors[option]
        for count in range(min(left, usage.fits(flavor, kind.queue, kind.sizes)), -1, -1):
            tried = usage.copy()
            tried.admit(flavor, kind.queue, kind.sizes, count)
            found = self._spread(tried, index, option + 1, left - count)
            if found is not None:
                return found
        return None

    def _is_known(self, usage: Usage, index: int, option: int, left: int) -> bool:
        """Remember where the search has been: whoever comes back there has failed before."""
        self._looks += 1
        if self._looks > _PATIENCE:
            raise _GaveUp
        place = (index, option, left, usage.state())
        is_known = place in self._failed
        self._failed.add(place)
        return is_known
