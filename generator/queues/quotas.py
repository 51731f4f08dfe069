"""Kueue's arithmetic of quota: what a queue has, keeps, lends and borrows.

Each resource of each flavor is a pool of its own, a tree of cohorts with queues as its leaves
(kubernetes-sigs/kueue@pkg/cache/scheduler/resource_node.go). Amounts are whole numbers as in
`demand`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from sys import maxsize

from msgspec import Struct

from generator.documents import Json
from generator.inventory.records import Cohort, Environment, Queue
from generator.queues.demand import amount

Cell = tuple[str, str]
"""A flavor and one of its resources."""

_COHORT = "cohort "
"""Begins the node of a cohort, so that a queue may have the same name."""


class Share(Struct, frozen=True):
    """What a queue or a cohort has of one cell.

    `total` is its own quota with all that is lent to it from below; `kept` is the part of it that
    is never lent to `parent`, which is empty at the root. `borrows` is how much beyond `total` it
    may use; None means as much as there is.
    """

    nominal: int
    total: int
    kept: int
    borrows: int | None
    parent: str


Pool = Mapping[str, Share]
"""The shares of one cell by node: queues by name, cohorts by `cohort_node`."""


def cohort_node(name: str) -> str:
    """Name the node of a cohort."""
    return f"{_COHORT}{name}"


def pools(environment: Environment) -> dict[Cell, Pool]:
    """Work out every cell of an environment's quota."""
    granted = _granted(environment)
    parents = _parents(environment)
    cells = {cell for grants in granted.values() for cell in grants}
    return {cell: _pool(cell, granted, parents) for cell in sorted(cells)}


def _granted(environment: Environment) -> dict[str, dict[Cell, Json]]:
    return {
        **{name: _cells(queue) for name, queue in environment.queues.items()},
        **{cohort_node(name): _cells(cohort) for name, cohort in environment.cohorts.items()},
    }


def _cells(holder: Queue | Cohort) -> dict[Cell, Json]:
    return {
        (flavor["name"], grant["name"]): grant
        for flavor in holder.flavors
        for grant in flavor["resources"]
    }


def _parents(environment: Environment) -> dict[str, str]:
    """Lead every node to the one above it; a cohort that only a queue names is a root."""
    queues = {name: queue.cohort for name, queue in environment.queues.items()}
    cohorts = {cohort_node(name): each.parent for name, each in environment.cohorts.items()}
    above = {node: cohort_node(name) if name else "" for node, name in (queues | cohorts).items()}
    return {**dict.fromkeys(filter(None, above.values()), ""), **above}


def _pool(cell: Cell, granted: Mapping[str, Mapping[Cell, Json]], parents: Json) -> Pool:
    """Add up from the leaves to the root (resource_node.go, updateCohortResourceNode)."""
    has_part = {node for node in parents if cell in granted.get(node, ())}
    nodes = {above for node in has_part for above in _upward(node, parents)}
    totals: dict[str, int] = defaultdict(int)
    shares: dict[str, Share] = {}
    for node in sorted(nodes, key=lambda node: (-sum(1 for _ in _upward(node, parents)), node)):
        share = _share(cell[1], granted.get(node, {}).get(cell, {}), totals[node], parents[node])
        shares[node] = share
        totals[share.parent] += share.total - share.kept
    return shares


def _upward(node: str, parents: Mapping[str, str]) -> Iterator[str]:
    while node:
        yield node
        node = parents[node]


def _share(resource: str, grant: Json, lent_from_below: int, parent: str) -> Share:
    nominal = amount(resource, grant.get("nominalQuota", 0))
    total = nominal + lent_from_below
    lends, borrows = grant.get("lendingLimit"), grant.get("borrowingLimit")
    return Share(
        nominal=nominal,
        total=total,
        kept=0 if lends is None else max(0, total - amount(resource, lends)),
        borrows=None if borrows is None else amount(resource, borrows),
        parent=parent,
    )


def reachable(pool: Pool, node: str) -> int:
    """Say how much a node could ever use, if nobody else used anything.

    Source: resource_node.go, potentialAvailable.
    """
    share = pool[node]
    if not share.parent:
        return share.total
    most = share.kept + reachable(pool, share.parent)
    return most if share.borrows is None else min(most, share.total + share.borrows)


def root(pool: Pool, node: str) -> str:
    """Name the node at the top of the tree that a node is in."""
    while pool[node].parent:
        node = pool[node].parent
    return node


class Usage:
    """How much of each cell is used by each node, as Workloads are admitted."""

    def __init__(self, pools: Mapping[Cell, Pool]) -> None:
        self._pools = pools
        self._used: dict[Cell, dict[str, int]] = {}

    def copy(self) -> Usage:
        """Make one that goes its own way."""
        other = Usage(self._pools)
        other._used = {cell: dict(used) for cell, used in self._used.items()}
        return other

    def of(self, cell: Cell, node: str) -> int:
        """Say how much a node uses."""
        return self._used.get(cell, {}).get(node, 0)

    def state(self) -> frozenset[tuple[Cell, str, int]]:
        """Describe all that is used, to recognise it again."""
        return frozenset(
            (cell, node, amount)
            for cell, used in self._used.items()
            for node, amount in used.items()
            if amount
        )

    def room(self, cell: Cell, node: str) -> int:
        """Say how much more a node may use; 0 of what its queue has no quota of.

        Source: resource_node.go, available.
        """
        pool = self._pools.get(cell)
        if pool is None or node not in pool:
            return 0
        return max(0, self._room(pool, self._used.get(cell, {}), node))

    def _room(self, pool: Pool, used: Mapping[str, int], node: str) -> int:
        share, own = pool[node], used.get(node, 0)
        if not share.parent:
            return share.total - own
        above = self._room(pool, used, share.parent)
        if share.borrows is not None:
            taken = max(0, own - share.kept)
            above = min(above, share.total - share.kept - taken + share.borrows)
        return max(0, share.kept - own) + above

    def fits(self, flavor: str, node: str, sizes: Iterable[tuple[str, int]]) -> int:
        """Count how many Pods of a size a node could still admit on a flavor."""
        rooms = (self.room((flavor, resource), node) // size for resource, size in sizes)
        return min(rooms, default=maxsize)

    def take(self, cell: Cell, node: str, wanted: int) -> None:
        """Use more, whether or not there is room (resource_node.go, addUsage)."""
        used = self._used.setdefault(cell, {})
        while node:
            share = self._pools[cell][node]
            before = used.get(node, 0)
            used[node] = before + wanted
            wanted -= min(wanted, max(0, share.kept - before))
            node = share.parent if wanted else ""

    def admit(self, flavor: str, node: str, sizes: Iterable[tuple[str, int]], count: int) -> None:
        """Admit Pods of a size on a flavor."""
        for resource, size in sizes:
            if count:
                self.take((flavor, resource), node, size * count)
