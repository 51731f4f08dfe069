"""The capacity of queues and nodes, compared with what all models ask for.

`Capacity.alone` judges one model, `Capacity.together` all of an environment, `of_fleet` everything.
Nothing is found without a proof: where Pods might fit and nobody knows how, nothing is said.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Literal

from msgspec.structs import replace

from generator.documents import Json
from generator.inventory.records import Environment, Flavor
from generator.queues import assignment, demand, packing, quotas
from generator.queues.assignment import Claim, Kind, Load, Placement
from generator.queues.demand import CPU, MEMORY, Demand, Pods
from generator.queues.outcomes import Cause, Outcome, Part
from generator.queues.packing import Nodes
from generator.queues.quotas import Cell, Pool, Usage
from generator.records import Release
from generator.values.identity import Same

Level = Literal["minimum", "maximum"]
"""How many replicas of each version there are."""


Row = tuple[str, Pods, Kind]
"""Pods with their model and as Kueue sees them."""

_Same = tuple[str, str, tuple[tuple[int, ...], ...]]
"""Queue, flavor, and of each version what a Pod asks for and how many there are."""

_MOST_PROOFS = 20
"""Updates that are looked at one by one where Pods have a choice of flavors."""


class Capacity:
    """What one environment can hold."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.pools: dict[Cell, Pool] = quotas.pools(environment)
        self._kinds: dict[tuple[str, str, int, int, int], Kind] = {}
        self._suits: dict[tuple[str, str], tuple[str, ...]] = {}
        self._reach: dict[tuple[Cell, str], int] = {}
        self._placements: dict[frozenset[tuple[Kind, int]], Placement] = {}
        self._alones: dict[_Same, Outcome | None] = {}
        self._ceilings: dict[_Same, Outcome | None] = {}
        self._largest_nodes: dict[str, int] = {}

    def kind(self, asked: Demand, pods: Pods) -> Kind:
        """Describe Pods as Kueue sees them."""
        key = (asked.queue, asked.flavor, pods.cpu, pods.memory, pods.accelerators)
        known = self._kinds.get(key)
        if known is None:
            known = self._kinds[key] = self._kind(asked, pods)
        return known

    def _kind(self, asked: Demand, pods: Pods) -> Kind:
        amounts = {CPU: pods.cpu, MEMORY: pods.memory}
        if asked.flavor:
            amounts[self.environment.flavors[asked.flavor].resource] = pods.accelerators
        sizes = tuple((name, size) for name, size in amounts.items() if size)
        kind = Kind(asked.queue, self._suited(asked.queue, asked.flavor), sizes)
        able = tuple(flavor for flavor in kind.flavors if self._holds(kind, flavor))
        return kind._replace(flavors=able) if able else kind

    def _suited(self, queue: str, flavor: str) -> tuple[str, ...]:
        """Name the flavors that may admit Pods if there is quota, in the queue's order."""
        known = self._suits.get((queue, flavor))
        if known is None:
            flavors = self.environment.flavors
            own = flavors.get(flavor)
            names = [grant["name"] for grant in self.environment.queues[queue].flavors]
            known = tuple(name for name in names if is_suited(own, flavors[name]))
            self._suits[queue, flavor] = known
        return known

    def reachable(self, cell: Cell, queue: str) -> int:
        """Say how much a queue could ever use; 0 of what it has no quota of."""
        known = self._reach.get((cell, queue))
        if known is None:
            pool = self.pools.get(cell, {})
            known = quotas.reachable(pool, queue) if queue in pool else 0
            self._reach[cell, queue] = known
        return known

    def _holds(self, kind: Kind, flavor: str) -> bool:
        """Say whether a flavor could ever hold one Pod of a kind."""
        return all(
            size <= self.reachable((flavor, resource), kind.queue) for resource, size in kind.sizes
        )

    def _rows(self, demands: Iterable[Demand]) -> list[Row]:
        """List the Pods that Kueue admits, without those that ask for nothing."""
        found = []
        for asked in demands:
            for pods in asked.pods if asked.queue else ():
                kind = self.kind(asked, pods)
                if kind.sizes and kind.flavors:
                    found.append((asked.model, pods, kind))
        return found

    def usage(self, demands: Iterable[Demand], level: Level) -> Usage:
        """Place Pods as Kueue would; those without room count for the first flavor of theirs."""
        return assignment.place(self.pools, _load(self._rows(demands), level)).usage

    def _placed(self, load: Load) -> Placement:
        """Place Pods, the same ones only once."""
        key = frozenset(load.items())
        known = self._placements.get(key)
        if known is None:
            known = self._placements[key] = assignment.place(self.pools, load)
        return known

    def alone(self, asked: Demand) -> Outcome | None:
        """Find out whether a model could never run, even if nothing else did.

        A flavor that its queue does not have is another rule's.
        """
        if not asked.queue or not self.has_quota(asked):
            return None
        level: Level = "maximum" if asked.is_run else "minimum"
        return _once(self._alones, self._alone, asked, level)

    def has_quota(self, asked: Demand) -> bool:
        """Say whether a model's queue has the flavor that it asks for."""
        if not asked.queue:
            return True
        grants = self.environment.queues[asked.queue].flavors
        return not asked.flavor or any(grant["name"] == asked.flavor for grant in grants)

    def _alone(self, asked: Demand, level: Level) -> Outcome | None:
        for kind in {self.kind(asked, pods): None for pods in asked.pods}:
            if not self._is_possible(kind):
                flavors = (asked.flavor,) if asked.flavor in kind.flavors else kind.flavors
                where = (self.environment.name, (asked.queue,), flavors)
                return Outcome("never", *where, self._beyond(kind._replace(flavors=flavors)), ())
        placed = self._placed(_load(self._rows([asked]), level))
        return self._outcome("never", placed, {}) if placed.shortage else None

    def ceiling(self, asked: Demand) -> Outcome | None:
        """Find out whether a model could never have its maximum, even if nothing else ran."""
        if not asked.queue or not self.has_quota(asked) or self._is_larger_than_a_node(asked):
            return None
        if self.alone(asked):
            return None
        return _once(self._ceilings, self._ceiling, asked, "maximum")

    def _ceiling(self, asked: Demand, level: Level) -> Outcome | None:
        placed = self._placed(_load(self._rows([asked]), level))
        return self._outcome("ceiling", placed, {}) if placed.shortage else None

    def _is_possible(self, kind: Kind) -> bool:
        """Say whether one Pod of a kind could ever run."""
        return bool(kind.flavors) and self._holds(kind, kind.flavors[0])

    def _beyond(self, kind: Kind) -> tuple[Part, ...]:
        """Say what of a single Pod is more than any flavor could hold."""
        found = []
        for resource, size in kind.sizes if kind.flavors else ():
            cells = [(flavor, resource) for flavor in kind.flavors]
            held = max(self.reachable(cell, kind.queue) for cell in cells)
            if size > held:
                found.append(Part(resource, size, held))
        return tuple(found)

    def _outcome(
        self, cause: Cause, placed: Placement, models: Mapping[Kind, Counter[str]]
    ) -> Outcome:
        """Turn a shortage into an outcome, with those who compete, the largest first."""
        shortage = placed.shortage
        assert shortage is not None
        hit: Counter[str] = Counter()
        for kind, counts in models.items():
            if shortage.is_of(kind):
                size = dict(kind.sizes).get(shortage.lacks[0].resource, 0) if shortage.lacks else 1
                hit.update({model: count * size for model, count in counts.items()})
        return Outcome(
            cause,
            self.environment.name,
            tuple(dict.fromkeys(queue for queue, _ in shortage.claims)),
            tuple(dict.fromkeys(name for _, names in shortage.claims for name in names)),
            tuple(Part(lack.resource, lack.asked, lack.held) for lack in shortage.lacks),
            _largest_first(hit),
        )

    def together(self, demands: Iterable[Demand]) -> list[Outcome]:
        """Find out what does not fit at once, of models that would fit alone.

        Runs take turns: each has to fit beside the replicas that are always there.
        """
        everything = list(demands)
        fitting = self._fitting(asked for asked in everything if not asked.is_run)
        modest = self._modest(fitting)
        found = list(self._quota(self._rows(fitting), self._rows(modest)))
        nodes = list(self._nodes(fitting, modest, found))
        full = {outcome.flavors for outcome in nodes if outcome.cause == "nodes"}
        quota = [o for o in found if o.cause != "update" or o.flavors not in full]
        short = {flavor for outcome in (*quota, *nodes) for flavor in outcome.flavors}
        runs = [asked for asked in everything if asked.is_run and asked.flavor not in short]
        return [*quota, *nodes, *self._runs(fitting, runs), *self._hardware()]

    def _runs(self, fitting: list[Demand], runs: list[Demand]) -> Iterator[Outcome]:
        """Find runs that could start alone, and never beside the minimum replicas of all models."""
        found: dict[Outcome, Counter[str]] = {}
        always = _load(self._rows(fitting), "minimum") if runs else {}
        for run in runs:
            if self.alone(run) is None and self.has_quota(run):
                outcome = self._beside(always, run) or self._housed(fitting, run)
                if outcome is not None:
                    size = {run.model: accelerators(run, "maximum") or 1}
                    found.setdefault(outcome, Counter()).update(size)
        for outcome, models in found.items():
            yield replace(outcome, models=_largest_first(models))

    def _beside(self, always: Load, run: Demand) -> Outcome | None:
        """Place a run beside what is always there, as far as that is in its way."""
        own = _load(self._rows([run]), "maximum")
        load = {**always, **{kind: always.get(kind, 0) + count for kind, count in own.items()}}
        for part in assignment.parts(self.pools, load) if own else ():
            if not own.keys().isdisjoint(part):
                placed = self._placed(part)
                if placed.shortage:
                    return self._outcome("run", placed, {})
        return None

    def _housed(self, fitting: list[Demand], run: Demand) -> Outcome | None:
        """Look for nodes for a run, beside the replicas that can be nowhere else."""
        flavor = self.environment.flavors.get(run.flavor)
        nodes = nodes_of(self.environment, flavor) if flavor else []
        if flavor is None or not nodes or self._is_larger_than_a_node(run):
            return None
        bound = [asked for asked in fitting if self._is_bound(asked, flavor, nodes)]
        sizes = _by_size(bound, "minimum") + _by_size([run], "maximum")
        if not packing.is_impossible(sizes, nodes):
            return None
        held = sum(has * count for has, count in nodes)
        asked_for = sum(size * count for size, count in sizes.items())
        parts = (Part(flavor.resource, asked_for, held),) if asked_for > held else ()
        return Outcome("run-nodes", self.environment.name, (), (flavor.name,), parts, ())

    def _fitting(self, demands: Iterable[Demand]) -> list[Demand]:
        """Leave out what fails alone; where all fit at once, nothing does."""
        possible = [
            asked
            for asked in demands
            if not asked.queue
            or (
                self.has_quota(asked)
                and not self._is_larger_than_a_node(asked)
                and all(self._is_possible(self.kind(asked, pods)) for pods in asked.pods)
            )
        ]
        parts = assignment.parts(self.pools, _load(self._rows(possible), "minimum"))
        if all(self._placed(part).shortage is None for part in parts):
            return possible
        return [asked for asked in possible if self.alone(asked) is None]

    def _modest(self, demands: list[Demand]) -> list[Demand]:
        """Leave out what has no room for its maximum alone; where all have it at once, nothing."""
        parts = assignment.parts(self.pools, _load(self._rows(demands), "maximum"))
        if all(self._placed(part).shortage is None for part in parts):
            return demands
        return [asked for asked in demands if self.ceiling(asked) is None]

    def _is_larger_than_a_node(self, asked: Demand) -> bool:
        return 0 < self._largest_node(asked.flavor) < _largest(asked)

    def _largest_node(self, name: str) -> int:
        """Count the accelerators of a flavor's largest node; 0 where its nodes are not known."""
        known = self._largest_nodes.get(name)
        if known is None:
            flavor = self.environment.flavors.get(name)
            nodes = nodes_of(self.environment, flavor) if flavor else []
            known = self._largest_nodes[name] = max(nodes)[0] if nodes else 0
        return known

    def _quota(self, rows: list[Row], modest: list[Row]) -> Iterator[Outcome]:
        short: set[Kind] = set()
        for part in assignment.parts(self.pools, _load(rows, "minimum")):
            placed = self._placed(part)
            if placed.shortage:
                short.update(part)
                yield self._outcome("minimum", placed, _models(rows, "minimum"))
            else:
                yield from self._stuck(_updates(rows, part), part, placed.usage)
        for part in assignment.parts(self.pools, _load(modest, "maximum")):
            placed = self._placed(part)
            if placed.shortage and short.isdisjoint(part):
                yield self._outcome("maximum", placed, _models(modest, "maximum"))

    def _stuck(
        self, wanted: Mapping[tuple[Kind, int], Counter[str]], part: Load, usage: Usage
    ) -> Iterator[Outcome]:
        """Prove what is wanted impossible, once for all Pods that compete for the same."""
        is_plain = all(len(kind.flavors) == 1 for kind in part)
        found: dict[Claim, tuple[Outcome, Counter[str]]] = {}
        attempts = 0
        for (kind, extra), models in sorted(wanted.items()):
            if max(usage.fits(name, kind.queue, kind.sizes) for name in kind.flavors) >= extra:
                continue
            if not (is_plain and kind.claim in found):
                attempts += 1
                if attempts > _MOST_PROOFS:
                    break
                placed = self._placed({**part, kind: part[kind] + extra})
                if not placed.shortage:
                    continue
                found.setdefault(kind.claim, (self._outcome("update", placed, {}), Counter()))
            found[kind.claim][1].update(models)
        for outcome, counts in found.values():
            yield replace(outcome, models=_largest_first(counts))

    def _nodes(
        self, demands: list[Demand], modest: list[Demand], found: list[Outcome]
    ) -> Iterator[Outcome]:
        """Find accelerators that there are not nodes for, where quota is no problem already."""
        for flavor in self.environment.flavors.values():
            causes = {outcome.cause for outcome in found if flavor.name in outcome.flavors}
            nodes = nodes_of(self.environment, flavor)
            if not nodes or "minimum" in causes:
                continue
            users = [asked for asked in demands if self._is_bound(asked, flavor, nodes)]
            scaled = [asked for asked in modest if self._is_bound(asked, flavor, nodes)]
            if packing.is_impossible(_by_size(users, "minimum"), nodes):
                yield self._unhoused("nodes", flavor, users, nodes)
            elif "maximum" not in causes and packing.is_impossible(
                _by_size(scaled, "maximum"), nodes
            ):
                yield self._unhoused("nodes-at-maximum", flavor, scaled, nodes)

    def _is_bound(self, asked: Demand, flavor: Flavor, nodes: Nodes) -> bool:
        """Say whether Pods can run on these nodes alone; too large a Pod is another rule's."""
        if asked.flavor != flavor.name or _largest(asked) > max(nodes)[0]:
            return False
        return not asked.queue or all(
            self.kind(asked, pods).flavors == (flavor.name,) for pods in asked.pods
        )

    def _unhoused(self, cause: Cause, flavor: Flavor, users: list[Demand], nodes: Nodes) -> Outcome:
        level: Level = "minimum" if cause == "nodes" else "maximum"
        counts = Counter({a.model: accelerators(a, level) for a in users})
        held = sum(has * count for has, count in nodes)
        part = Part(flavor.resource, counts.total(), held)
        parts = (part,) if part.asked > part.held else ()
        models = _largest_first(counts)
        return Outcome(cause, self.environment.name, (), (flavor.name,), parts, models)

    def _hardware(self) -> Iterator[Outcome]:
        """Find quota of more accelerators than all nodes of a flavor have."""
        for flavor in self.environment.flavors.values():
            nodes = nodes_of(self.environment, flavor)
            pool = self.pools.get((flavor.name, flavor.resource), {})
            held = sum(has * count for has, count in nodes)
            granted = sum(share.nominal for share in pool.values())
            if nodes and granted > held:
                part = Part(flavor.resource, granted, held)
                name = self.environment.name
                yield Outcome("hardware", name, (), (flavor.name,), (part,), ())


def _largest(asked: Demand) -> int:
    return max(pods.accelerators for pods in asked.pods)


def _once(
    known: dict[_Same, Outcome | None],
    judge: Callable[[Demand, Level], Outcome | None],
    asked: Demand,
    level: Level,
) -> Outcome | None:
    """Judge a model, and all that ask for the same only once."""
    sizes = [(p.cpu, p.memory, p.accelerators, _count(p, level)) for p in asked.pods]
    key = asked.queue, asked.flavor, tuple(sizes)
    if key not in known:
        known[key] = judge(asked, level)
    found = known[key]
    return found and replace(found, models=(asked.model,))


def _count(pods: Pods, level: Level) -> int:
    return pods.minimum if level == "minimum" else pods.maximum


def _load(rows: Iterable[Row], level: Level) -> dict[Kind, int]:
    counts: dict[Kind, int] = defaultdict(int)
    for _, pods, kind in rows:
        counts[kind] += _count(pods, level)
    return {kind: count for kind, count in counts.items() if count}


def _models(rows: Iterable[Row], level: Level) -> dict[Kind, Counter[str]]:
    """Count the Pods of every kind by model."""
    found: dict[Kind, Counter[str]] = defaultdict(Counter)
    for model, pods, kind in rows:
        found[kind][model] += _count(pods, level)
    return found


def _updates(rows: Iterable[Row], part: Load) -> dict[tuple[Kind, int], Counter[str]]:
    """Count the versions by the Pods that have to start beside the old ones."""
    found: dict[tuple[Kind, int], Counter[str]] = defaultdict(Counter)
    for model, pods, kind in rows:
        if pods.surge and pods.minimum and kind in part:
            found[kind, pods.surge][model] += 1
    return found


def _largest_first(amounts: Mapping[str, int]) -> tuple[str, ...]:
    asking = (name for name, amount in amounts.items() if amount)
    return tuple(sorted(asking, key=lambda name: (-amounts[name], name)))


def accelerators(asked: Demand, level: Level) -> int:
    """Count the accelerators of a model."""
    return sum(pods.accelerators * _count(pods, level) for pods in asked.pods)


def _by_size(demands: Iterable[Demand], level: Level) -> Counter[int]:
    found: Counter[int] = Counter()
    for asked in demands:
        for pods in asked.pods:
            found[pods.accelerators] += _count(pods, level)
    return found


def is_suited(own: Flavor | None, other: Flavor) -> bool:
    """Say whether Kueue may admit Pods that ask for one flavor, or none, to another one.

    Their tolerations have to cover its taints, and their node selector must not contradict its
    labels; keys that it has no label for do not count
    (kubernetes-sigs/kueue@pkg/scheduler/flavorassigner/flavorassigner.go, checkFlavorForPodSets).
    """
    selector = own.node_labels if own else {}
    tolerations = own.tolerations if own else []
    agrees = all(selector.get(key, value) == value for key, value in other.node_labels.items())
    hard = [taint for taint in other.taints if taint["effect"] in ("NoSchedule", "NoExecute")]
    return agrees and all(any(_tolerates(each, taint) for each in tolerations) for taint in hard)


def _tolerates(toleration: Json, taint: Json) -> bool:
    if (toleration["key"], toleration["effect"]) != (taint["key"], taint["effect"]):
        return False
    return toleration["operator"] == "Exists" or bool(toleration["value"] == taint.get("value", ""))


def nodes_of(environment: Environment, flavor: Flavor) -> Nodes:
    """List the nodes that Pods of a flavor may run on; none if they are not all known.

    A flavor of the same resource whose labels do not differ may be the same nodes, or more of them.
    """
    alike = [
        other
        for other in environment.flavors.values()
        if flavor.resource and other.resource == flavor.resource and is_suited(flavor, other)
    ]
    known = [(other.gpus_per_node, other.nodes) for other in alike]
    return known if all(has and count for has, count in known) else []


@lru_cache(256)
def _of(same: Same[Environment]) -> Capacity:
    return Capacity(same.thing)


def of(environment: Environment) -> Capacity:
    """Work out an environment's capacity, once."""
    return _of(Same(environment))


def of_release(release: Release) -> Outcome | None:
    """Find out whether a release could never run, whatever else there is."""
    return _first(of(release.environment).alone, release)


def ceiling_of(release: Release) -> Outcome | None:
    """Find out whether a release could never have its maximum, whatever else there is."""
    return _first(of(release.environment).ceiling, release)


def _first(judge: Callable[[Demand], Outcome | None], release: Release) -> Outcome | None:
    return next((found for asked in demand.all_of(release) if (found := judge(asked))), None)


def of_fleet(environments: Mapping[str, Environment], demands: Iterable[Demand]) -> list[Outcome]:
    """Find out what does not fit, environment by environment; what fails alone is left out.

    Demands of other environments than these are nobody's.
    """
    by_environment: dict[str, list[Demand]] = {name: [] for name in environments}
    for asked in demands:
        by_environment.get(asked.environment, []).append(asked)
    return [
        outcome
        for name, found in by_environment.items()
        for outcome in of(environments[name]).together(found)
    ]
