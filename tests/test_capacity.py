"""Kueue's arithmetic by Kueue's own examples, and every verdict against trying everything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import pytest
from helpers import tries
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.documents import Document
from generator.inventory import environments as inventory
from generator.inventory.records import Environment
from generator.queues import assignment, capacity, demand, outcomes, packing, quotas
from generator.queues.assignment import Kind
from generator.queues.capacity import Capacity
from generator.queues.demand import Demand, Pods
from generator.queues.outcomes import Outcome, Part

Spec = dict[str, Any]

GPU = "nvidia.com/gpu"
TAINT = {"key": GPU, "value": "present", "effect": "NoSchedule"}
A100: Spec = {"resource": GPU, "nodeLabels": {"product": "a100"}, "taints": [TAINT]}
H100: Spec = {"resource": GPU, "nodeLabels": {"product": "h100"}, "taints": [TAINT]}


def environment(
    queues: Spec, flavors: Spec | None = None, cohorts: Spec | None = None
) -> Environment:
    """Resolve an environment of one name with these queues, as a document would."""
    data = {
        "name": "prod",
        "namespace": "ml",
        "cluster": {"server": "https://prod.example.com", "kubernetes": "1.35"},
        "platform": {
            "kserve": {"version": "0.20", "mode": "Standard"},
            "kueue": {"version": "0.19"},
        },
        "flavors": {"cpu": {}, "a100": A100} if flavors is None else flavors,
        "queues": queues,
        "cohorts": cohorts or {},
        "argocd": {"repoURL": "https://example.com/ml.git", "project": "ml"},
    }
    return inventory.environment(
        Document("environment", "environments/prod.yaml", "prod", "", data)
    )


def asks(
    model: str,
    *,
    queue: str = "serving",
    cpu: int = 0,
    memory: int = 0,
    gpus: int = 0,
    flavor: str = "",
    least: int = 1,
    most: int | None = None,
) -> Demand:
    """Ask for Pods of one version; `cpu` in whole cores, `memory` in bytes."""
    most = least if most is None else most
    extra = demand.surge(least)
    pods = Pods("v1", cpu * 1000, memory, gpus, least, most, extra)
    return Demand(model, "prod", queue, flavor or ("a100" if gpus else ""), (pods,))


def gpus(**quota: int) -> Spec:
    return {"quota": {"a100": {"gpu": 0, **quota}}}


def found(environment: Environment, *demands: Demand) -> list[Outcome]:
    """Find what fails alone, then what fails together."""
    each = (capacity.of(environment).alone(asked) for asked in demands)
    return [*filter(None, each), *capacity.of_fleet({"prod": environment}, demands)]


def causes(environment: Environment, *demands: Demand) -> list[str]:
    return [outcome.cause for outcome in found(environment, *demands)]


# Kueue's own examples, by their numbers

TREES: dict[str, tuple[Spec, Spec, dict[str, int]]] = {
    "no cohort": ({"a": gpus(gpu=5)}, {}, {"a": 5}),
    "a pool of the cohort, and a queue that lends 9 of 10": (
        {"a": {"cohort": "c", **gpus(gpu=10)}, "b": {"cohort": "c", **gpus(gpu=10, lend=9)}},
        {"c": gpus(gpu=10)},
        {"a": 29, "b": 30},
    ),
    "a queue that neither lends nor borrows": (
        {
            "a": {"cohort": "c", **gpus(gpu=10)},
            "b": {"cohort": "c", **gpus(gpu=10, lend=0, borrow=0)},
        },
        {"c": gpus(gpu=10)},
        {"a": 20, "b": 10},
    ),
    "limits of lending and borrowing": (
        {
            "a": {"cohort": "c", **gpus(gpu=10)},
            "b": {"cohort": "c", **gpus(gpu=10, borrow=2)},
            "d": {"cohort": "c", **gpus(gpu=10, lend=5)},
        },
        {"c": gpus(gpu=10)},
        {"a": 35, "b": 12, "d": 40},
    ),
    "two cohorts below a root": (
        {"a": {"cohort": "left", **gpus(gpu=10)}, "b": {"cohort": "right", **gpus(gpu=10, lend=0)}},
        {
            "root": {},
            "left": {"parent": "root", **gpus(gpu=10)},
            "right": {"parent": "root", **gpus(gpu=10)},
        },
        {"a": 30, "b": 40},
    ),
    "a cohort that borrows 5 at most": (
        {
            "a": {"cohort": "left", **gpus(gpu=10)},
            "b": {"cohort": "left", **gpus(gpu=10, borrow=5)},
            "d": {"cohort": "right", **gpus(gpu=10)},
        },
        {
            "root": {},
            "left": {"parent": "root", **gpus(gpu=10, borrow=5)},
            "right": {"parent": "root", **gpus(gpu=10)},
        },
        {"a": 35, "b": 15, "d": 50},
    ),
    "a cohort that lends 5 at most, without a pool": (
        {
            "a": {"cohort": "left", **gpus(gpu=10, lend=5)},
            "b": {"cohort": "left", **gpus(gpu=10)},
            "d": {"cohort": "right", **gpus()},
            "e": {"cohort": "root", **gpus()},
        },
        {
            "root": {},
            "left": {"parent": "root", **gpus(lend=5)},
            "right": {"parent": "root", **gpus()},
        },
        {"a": 20, "b": 15, "d": 5, "e": 5},
    ),
}
"""What queues can reach (kubernetes-sigs/kueue@pkg/cache/scheduler/resource_test.go)."""


@pytest.mark.parametrize("name", TREES)
def test_queues_reach_what_kueue_says(name: str) -> None:
    queues, cohorts, reached = TREES[name]
    pool = quotas.pools(environment(queues, cohorts=cohorts))["a100", GPU]

    assert {queue: quotas.reachable(pool, queue) for queue in reached} == reached


def test_what_others_use_leaves_the_room_that_kueue_says() -> None:
    """kubernetes-sigs/kueue@pkg/cache/scheduler/resource_test.go, lending and borrowing limits"""
    queues, cohorts, _ = TREES["limits of lending and borrowing"]
    usage = quotas.Usage(quotas.pools(environment(queues, cohorts=cohorts)))
    for queue, used in (("a", 20), ("b", 10), ("d", 6)):
        usage.take(("a100", GPU), queue, used)

    rooms = {queue: usage.room(("a100", GPU), queue) for queue in queues}
    assert rooms == {"a": 4, "b": 2, "d": 4}


def test_two_teams_borrow_from_each_other() -> None:
    """kubernetes-sigs/kueue@site/content/en/docs/concepts/cluster_queue.md, borrowing example"""
    teams = environment(
        {
            "a": {"cohort": "ab", "quota": {"cpu": {"cpu": 9, "memory": "36Gi"}}},
            "b": {"cohort": "ab", "quota": {"cpu": {"cpu": 12, "memory": "48Gi"}}},
        }
    )

    assert causes(teams, asks("one", queue="a", cpu=7, memory=28 * 2**30, least=3)) == ["update"]
    assert causes(teams, asks("one", queue="a", cpu=22)) == ["never"]
    assert causes(teams, asks("one", queue="a", memory=85 * 2**30)) == ["never"]


def test_a_borrowing_limit_bounds_one_team_and_not_the_other() -> None:
    """kubernetes-sigs/kueue@site/content/en/docs/concepts/cluster_queue.md, BorrowingLimit"""
    pool = quotas.pools(
        environment(
            {
                "a": {"cohort": "ab", **gpus(gpu=9, borrow=1)},
                "b": {"cohort": "ab", **gpus(gpu=12)},
            }
        )
    )["a100", GPU]

    assert quotas.reachable(pool, "a") == 10
    assert quotas.reachable(pool, "b") == 21


def test_a_queue_without_quota_uses_the_pool_of_its_cohort() -> None:
    """kubernetes-sigs/kueue@site/content/en/docs/concepts/cohort.md, configuring quotas"""
    shared = environment(
        {"serving": {"cohort": "hello", **gpus()}}, cohorts={"hello": gpus(gpu=12)}
    )

    assert causes(shared, asks("m", gpus=4, least=3)) == ["update"]
    assert causes(shared, asks("m", gpus=4, least=4)) == ["never"]


def test_what_is_admitted_on_a_tainted_flavor_has_to_tolerate_it() -> None:
    only_gpus = environment({"serving": {"quota": {"a100": {"cpu": 64, "gpu": 8}}}})
    (outcome,) = found(only_gpus, asks("m", cpu=1))

    assert (outcome.cause, outcome.flavors, outcome.parts) == ("never", (), ())
    assert causes(only_gpus, asks("m", cpu=1, gpus=1)) == []


# What fails, and how it is told


def test_one_pod_that_no_flavor_could_hold_is_named_with_its_numbers() -> None:
    small = environment({"serving": {"quota": {"a100": {"cpu": 4, "memory": "8Gi", "gpu": 8}}}})
    (outcome,) = found(small, asks("llm", cpu=16, memory=64 * 2**30, gpus=1, least=0, most=1))

    assert outcome.cause == "never"
    assert outcome.parts == (Part("cpu", 16000, 4000), Part("memory", 64 * 2**30, 8 * 2**30))
    assert outcomes.message(outcome) == (
        "`llm` could not run even if nothing else did: queue `serving` of flavor `a100`: "
        "16 of 4 cpu, 64Gi of 8Gi memory"
    )


def test_models_that_compete_are_one_problem_with_the_largest_first() -> None:
    eight = environment({"serving": {"quota": {"a100": {"cpu": 99, "gpu": 8}}}})
    demands = [asks(f"m{n}", gpus=n, least=1) for n in (1, 4, 2, 3)]
    (outcome,) = found(eight, *demands)

    assert outcome.cause == "minimum"
    assert outcome.models == ("m4", "m3", "m2", "m1")
    assert outcome.parts == (Part(GPU, 10, 8),)
    assert outcome.pointer(eight) == ("queues", "serving", "quota", "a100")
    assert outcomes.message(outcome) == (
        "`m4`, `m3`, `m2` and 1 more model ask for more than there is at minimum replicas: "
        "queue `serving` of flavor `a100`: 10 of 8 nvidia.com/gpu"
    )


def test_a_ceiling_that_all_cannot_reach_is_a_warning() -> None:
    eight = environment({"serving": gpus(gpu=8)})
    (outcome,) = found(eight, *(asks(f"m{n}", gpus=1, least=2, most=4) for n in range(3)))

    assert outcome.cause == "maximum"
    assert str(outcome.severity) == "warning"
    assert outcome.parts == (Part(GPU, 12, 8),)


def test_what_fails_alone_is_not_told_again_of_all() -> None:
    eight = environment({"serving": gpus(gpu=8)})

    (outcome,) = found(eight, asks("large", gpus=9), asks("small", gpus=1))

    assert (outcome.cause, outcome.models) == ("never", ("large",))


def test_an_update_needs_a_pod_more_unless_a_quarter_may_be_missing() -> None:
    four = environment({"serving": gpus(gpu=4)})

    assert causes(four, asks("m", gpus=1, least=3)) == []
    assert causes(four, asks("m", gpus=2, least=2)) == ["update"]
    assert causes(four, asks("m", gpus=1, least=4)) == []


def test_models_of_one_bottleneck_share_the_warning_of_their_updates() -> None:
    four = environment({"serving": gpus(gpu=4)})
    (outcome,) = found(four, *(asks(f"m{n}", gpus=1, least=1) for n in range(4)))

    assert outcome.models == ("m0", "m1", "m2", "m3")
    assert outcome.parts == (Part(GPU, 5, 4),)


def test_a_lender_gives_up_what_it_does_not_keep() -> None:
    lending = environment(
        {
            "serving": {"cohort": "ml", **gpus(gpu=8, lend=4)},
            "training": {"cohort": "ml", **gpus(borrow=4)},
        }
    )
    trainer = asks("trainer", queue="training", gpus=1, least=4)

    assert causes(lending, asks("server", gpus=1, least=4), trainer) == []
    assert causes(lending, asks("server", gpus=1, least=5), trainer) == ["minimum"]
    assert causes(lending, asks("big", queue="training", gpus=5)) == ["never"]


def test_pods_without_accelerators_spread_over_flavors_pod_by_pod() -> None:
    two = environment(
        {"serving": {"quota": {"cpu": {"cpu": 4, "memory": 9}, "other": {"cpu": 4, "memory": 9}}}},
        {"cpu": {}, "other": {}},
    )

    assert causes(two, asks("m", cpu=2, least=4)) == []
    assert causes(two, asks("m", cpu=3, least=2)) == ["update"]
    (outcome,) = found(two, asks("m", cpu=3, least=1), asks("n", cpu=3, least=1), asks("o", cpu=2))
    assert (outcome.cause, outcome.parts) == ("minimum", ())
    assert outcomes.message(outcome).endswith("enough in sum, but not Pod by Pod")


def test_a_model_without_a_queue_is_nobodys_to_admit() -> None:
    none = environment({"serving": gpus(gpu=1)})

    assert causes(none, asks("m", queue="", gpus=8, least=100)) == []


# Nodes


def housed(nodes: int, each: int, **more: int) -> Environment:
    flavor = {**A100, "nodes": nodes, "gpusPerNode": each}
    return environment({"serving": gpus(gpu=nodes * each, **more)}, {"a100": flavor})


def test_a_pod_of_two_does_not_fit_into_one_and_one() -> None:
    """Two Pods of 3 leave one accelerator on each node of 4, and 8 were asked for."""
    two = housed(2, 4)
    demands = asks("m", gpus=3, least=2), asks("n", gpus=2, least=1)
    (outcome,) = (each for each in found(two, *demands) if each.cause != "update")

    assert (outcome.cause, outcome.parts, outcome.queues) == ("nodes", (), ())
    assert outcome.models == ("m", "n")
    assert outcome.pointer(two) == ("flavors", "a100")
    assert outcomes.message(outcome) == (
        "`m` and `n` ask for more than there are nodes for, at minimum replicas: flavor `a100`: "
        "enough in sum, but not Pod by Pod"
    )


def test_nodes_that_only_the_ceiling_exceeds_are_a_warning() -> None:
    two = housed(2, 5)
    (outcome,) = found(two, asks("m", gpus=3, least=1, most=3))

    assert (outcome.cause, outcome.parts) == ("nodes-at-maximum", ())
    assert causes(two, asks("m", gpus=3, least=1, most=2)) == []


def test_how_many_nodes_there_are_may_be_unknown() -> None:
    flavor = {**A100, "gpusPerNode": 8}
    scaled = environment({"serving": gpus(gpu=80)}, {"a100": flavor})

    assert causes(scaled, asks("m", gpus=7, least=5)) == []


def test_quota_beyond_the_hardware_admits_what_no_node_can_run() -> None:
    flavors = {"a100": {**A100, "nodes": 1, "gpusPerNode": 8}}
    (outcome,) = found(environment({"serving": gpus(gpu=9)}, flavors))

    assert (outcome.cause, outcome.parts) == ("hardware", (Part(GPU, 9, 8),))


def test_flavors_of_the_same_nodes_share_them() -> None:
    spot = {**A100, "nodeLabels": {"product": "a100", "spot": "true"}, "nodes": 1, "gpusPerNode": 8}
    flavors = {"a100": {**A100, "nodes": 1, "gpusPerNode": 4}, "spot": spot}
    both = environment({"serving": gpus(gpu=12)}, flavors)

    assert causes(both, asks("m", gpus=1, least=12)) == []


# By reference: nothing but trying everything


def placements(kinds: Mapping[Kind, int]) -> Iterator[list[tuple[Kind, str]]]:
    pods = [kind for kind, count in kinds.items() for _ in range(count)]
    for flavors in product(*(kind.flavors for kind in pods)):
        yield list(zip(pods, flavors, strict=True))


def holds(prod: Environment, placed: list[tuple[Kind, str]]) -> bool:
    cells = {(flavor, name) for kind, flavor in placed for name, _ in kind.sizes}
    return all(cell_holds(prod, cell, placed) for cell in cells)


def cell_holds(prod: Environment, cell: tuple[str, str], placed: list[tuple[Kind, str]]) -> bool:
    """Walk down from the roots: nobody uses more than it has, with what it may borrow."""
    used = {queue: 0 for queue in prod.queues}
    for kind, flavor in placed:
        if flavor == cell[0]:
            used[kind.queue] += dict(kind.sizes).get(cell[1], 0)

    def amount(holder: Any, key: str) -> int | None:
        for flavor in holder.flavors if holder else ():
            for grant in flavor["resources"]:
                if (flavor["name"], grant["name"]) == cell and key in grant:
                    return demand.amount(cell[1], grant[key])
        return None

    def node(holder: Any, parent: str, children: list[tuple[int, int, bool]], own: int) -> Any:
        """Give what a node has, what it passes on of its use, and whether that is allowed."""
        has = (amount(holder, "nominalQuota") or 0) + sum(lent for lent, _, _ in children)
        use = own + sum(spilt for _, spilt, _ in children)
        lend, borrow = amount(holder, "lendingLimit"), amount(holder, "borrowingLimit")
        kept = 0 if lend is None else max(0, has - lend)
        top = has if not parent else None if borrow is None else has + borrow
        fine = all(fine for _, _, fine in children) and (top is None or use <= top)
        return has - kept, max(0, use - kept), fine

    def below(name: str) -> Any:
        cohort = prod.cohorts.get(name)
        parts = [below(c.name) for c in prod.cohorts.values() if c.parent == name]
        parts += [leaf(q) for q in prod.queues if prod.queues[q].cohort == name]
        return node(cohort, cohort.parent if cohort else "", parts, 0)

    def leaf(queue: str) -> Any:
        return node(prod.queues[queue], prod.queues[queue].cohort, [], used[queue])

    tops = {q.cohort for q in prod.queues.values() if q.cohort} | set(prod.cohorts)
    roots = [name for name in tops if name not in prod.cohorts or not prod.cohorts[name].parent]
    alone = [name for name, queue in prod.queues.items() if not queue.cohort]
    return all(below(name)[2] for name in roots) and all(leaf(name)[2] for name in alone)


small = st.integers(0, 4)
limits = st.fixed_dictionaries({}, optional={"lend": small, "borrow": small})


@st.composite
def trees(draw: st.DrawFn) -> Environment:
    """Draw a few queues on two flavors of GPUs and two of CPUs, in cohorts up to three deep."""
    parents = {"top": None, "mid": draw(st.sampled_from([None, "top"])), "low": "mid"}
    cohorts: Spec = {}
    for name, parent in parents.items():
        cohorts[name] = {"parent": parent} if parent else {}
        if draw(st.booleans()):
            pool = {"gpu": draw(small), "cpu": draw(small), **(draw(limits) if parent else {})}
            cohorts[name]["quota"] = {
                "a100": pool,
                "one": {"cpu": draw(small), "memory": draw(small)},
            }
    queues: Spec = {}
    for name in draw(st.sampled_from([["q"], ["q", "r"], ["q", "r", "s"]])):
        cohort = draw(st.sampled_from([None, "top", "mid", "low", "other"]))
        quota: Spec = {
            "one": {"cpu": draw(small), "memory": draw(small)},
            "two": {"cpu": draw(small), "memory": draw(small)},
            "a100": {"cpu": draw(small), "memory": 4, "gpu": draw(small)},
        }
        own: dict[str, int] = draw(limits) if cohort else {}
        if "lend" in own:
            own["lend"] = min(own["lend"], quota["a100"]["gpu"])
        quota["a100"] |= own
        queues[name] = {"quota": quota, **({"cohort": cohort} if cohort else {})}
    return environment(queues, {"one": {}, "two": {}, "a100": A100}, cohorts)


@st.composite
def fleets(draw: st.DrawFn, prod: Environment) -> list[Demand]:
    return [
        asks(
            f"m{number}",
            queue=draw(st.sampled_from(sorted(prod.queues))),
            cpu=draw(st.integers(0, 3)),
            memory=draw(st.integers(0, 3)),
            gpus=draw(st.integers(0, 2)),
            least=draw(st.integers(0, 3)),
        )
        for number in range(draw(st.integers(1, 3)))
    ]


@given(st.data())
@settings(max_examples=tries(400), deadline=None)
def test_pods_fit_exactly_if_some_placement_holds(data: st.DataObject) -> None:
    prod = data.draw(trees())
    held = Capacity(prod)
    demands = data.draw(fleets(prod))
    kinds: dict[Kind, int] = {}
    for asked in demands:
        kind = held.kind(asked, asked.pods[0])
        if kind.sizes and asked.pods[0].minimum:
            kinds[kind] = kinds.get(kind, 0) + asked.pods[0].minimum

    placed = assignment.place(held.pools, kinds)
    expected = any(holds(prod, each) for each in placements(kinds))
    assert (placed.shortage is None) == expected

    apart = [assignment.place(held.pools, part) for part in assignment.parts(held.pools, kinds)]
    assert all(each.shortage is None for each in apart) == expected


@given(trees(), st.sampled_from("qrs"))
@settings(max_examples=tries(200), deadline=None)
def test_a_queue_reaches_as_much_as_it_can_use(prod: Environment, queue: str) -> None:
    if queue not in prod.queues:
        return
    pool = quotas.pools(prod)["a100", GPU]
    most = quotas.reachable(pool, queue)
    kind = Kind(queue, ("a100",), ((GPU, 1),))

    assert holds(prod, [(kind, "a100")] * most)
    assert not holds(prod, [(kind, "a100")] * (most + 1))


def fit(pods: list[int], nodes: list[int]) -> bool:
    if not pods:
        return True
    tried = {room for room in nodes if room >= pods[0]}
    return any(
        fit(pods[1:], [*nodes[:at], room - pods[0], *nodes[at + 1 :]])
        for at, room in ((nodes.index(room), room) for room in tried)
    )


@given(st.lists(st.integers(1, 8), max_size=7), st.lists(st.integers(1, 9), min_size=1, max_size=4))
@settings(max_examples=tries(400), deadline=None)
def test_pods_fit_onto_nodes_exactly_if_some_packing_does(
    pods: list[int], nodes: list[int]
) -> None:
    counted = {size: pods.count(size) for size in pods}
    impossible = packing.is_impossible(counted, [(has, 1) for has in nodes])

    assert impossible == (not fit(sorted(pods, reverse=True), nodes))


def test_many_uneven_pods_are_never_called_impossible_without_a_proof() -> None:
    assert not packing.is_impossible({5: 300, 3: 500, 2: 250}, [(16, 250)])
    assert packing.is_impossible({5: 301, 3: 500, 2: 500}, [(16, 250)])


# The line between processes and runs


names = st.from_regex(r"[a-z]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
counts = st.integers(0, 2**40)
pods = st.builds(Pods, names, counts, counts, counts, counts, counts, counts)


@given(
    st.builds(Demand, names, names, st.just("") | names, st.just("") | names, st.tuples(pods, pods))
)
def test_a_packed_demand_is_read_back_as_it_was(asked: Demand) -> None:
    line = demand.packed(asked)

    assert demand.unpacked(asked.model, line) == asked
    assert "\n" not in line
