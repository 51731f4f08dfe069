"""Two versions of an object as field changes: complete, without noise, and the same backwards."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.diff.comparison import (
    ABSENT,
    FLAG,
    WHOLE,
    FieldChange,
    Item,
    Order,
    dotted,
    fields,
    objects,
)

Json = dict[str, Any]


def told(before: Json, after: Json) -> list[tuple[str, Any, Any]]:
    return [(dotted(change.path), change.before, change.after) for change in fields(before, after)]


def spec(value: Any) -> Json:
    return {"kind": "Thing", "spec": value}


# What a person sees


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param({"a": 1}, {"a": 2}, [("spec.a", 1, 2)], id="another value"),
        pytest.param({"a": 1}, {}, [("spec.a", 1, ABSENT)], id="gone"),
        pytest.param({}, {"a": None}, [("spec.a", ABSENT, None)], id="null is a value"),
        pytest.param({"a": 1}, {"a": True}, [("spec.a", 1, True)], id="a number is no truth"),
        pytest.param({"a": 1}, {"a": 1.0}, [], id="equal numbers"),
        pytest.param({"a": "1"}, {"a": 1}, [("spec.a", "1", 1)], id="a text is no number"),
        pytest.param({"a": []}, {"a": {}}, [("spec.a", [], {})], id="another shape"),
        pytest.param({"a": (1, 2)}, {"a": [1, 2]}, [], id="a tuple is a list"),
        pytest.param(
            {"x.io/y": "1"}, {"x.io/y": "2"}, [("spec[x.io/y]", "1", "2")], id="key with dots"
        ),
        pytest.param(
            [{"name": "a", "x": 1}, {"name": "b", "x": 1}],
            [{"name": "b", "x": 2}],
            [("spec[a]", {"name": "a", "x": 1}, ABSENT), ("spec[b].x", 1, 2)],
            id="by name and not by index",
        ),
        pytest.param(
            [{"name": "a"}],
            [{"name": "b"}],
            [("spec[0].name", "a", "b")],
            id="the only one is renamed",
        ),
        pytest.param(
            [{"name": "a"}, {"name": "b"}],
            [{"name": "b"}, {"name": "a"}],
            [("spec", ("a", "b"), ("b", "a"))],
            id="another order",
        ),
        pytest.param(
            [{"key": "k", "effect": "A"}, {"key": "k", "effect": "B"}],
            [{"key": "k", "effect": "B"}],
            [("spec[k/A]", {"key": "k", "effect": "A"}, ABSENT)],
            id="named by two keys",
        ),
        pytest.param(
            [{"record": "r", "labels": {"version": version}} for version in ("v1", "v2")],
            [{"record": "r", "labels": {"version": "v2"}, "expr": "1"}],
            [
                ("spec[r/v1]", {"record": "r", "labels": {"version": "v1"}}, ABSENT),
                ("spec[r/v2].expr", ABSENT, "1"),
            ],
            id="named by a key within a map",
        ),
        pytest.param(
            ["--a=1", "--b"], ["--a=2", "--b"], [("spec[--a]", "--a=1", "--a=2")], id="arguments"
        ),
        pytest.param(
            ["--a=1", "--a=2"],
            ["--a=1", "--a=3"],
            [("spec[--a=2]", "--a=2", ABSENT), ("spec[--a=3]", ABSENT, "--a=3")],
            id="an argument twice",
        ),
        pytest.param(
            ["x", "x", "y"], ["x", "x", "z", "y"], [("spec[2]", ABSENT, "z")], id="without names"
        ),
        pytest.param(
            [1, 2, 3], [1, 9, 8, 3], [("spec[1]", 2, 9), ("spec[2]", ABSENT, 8)], id="numbers"
        ),
    ],
)
def test_what_differs(before: Any, after: Any, expected: list[tuple[str, Any, Any]]) -> None:
    assert told(spec(before), spec(after)) == expected


def test_order_of_what_has_no_order_is_no_change() -> None:
    refs = [{"name": "a", "weight": 1}, {"name": "b", "weight": 2}]
    before, after = ({"kind": "HTTPRoute", "backendRefs": r} for r in (refs, refs[::-1]))

    assert told(before, after) == []


def test_order_in_a_pod_restarts_it_and_is_told() -> None:
    variables = [{"name": "A"}, {"name": "B"}]
    before, after = ({"kind": "Deployment", "env": e} for e in (variables, variables[::-1]))

    assert told(before, after) == [("env", Order(("A", "B")), Order(("B", "A")))]


def test_objects_are_known_by_what_a_cluster_knows_them_by() -> None:
    def item(version: str, name: str) -> Json:
        return {"apiVersion": version, "kind": "Job", "metadata": {"name": name, "namespace": "n"}}

    found = objects(
        [item("batch/v1", "a"), item("batch/v1", "b"), item("batch/v1", "c")],
        [item("batch/v2", "a"), item("batch/v1", "c"), item("batch/v1", "d")],
    )

    assert [(change.verb, change.identity.name) for change in found] == [
        ("update", "a"),
        ("delete", "b"),
        ("create", "d"),
    ]


# What holds for whatever is compared

scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["a", "b", "--x=1"])
names = st.sampled_from(["a", "b", "c", "d"])


def _lists(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    named = st.lists(
        st.builds(lambda name, value: {"name": name, "value": value}, names, inner),
        max_size=4,
        unique_by=lambda item: item["name"],
    )
    arguments = st.lists(st.sampled_from(["--x=1", "--x=2", "--y", "--z=0", "--z"]), max_size=4)
    return st.lists(inner, max_size=4) | named | arguments | st.lists(names, max_size=4)


values = st.recursive(
    scalars, lambda inner: _lists(inner) | st.dictionaries(names, inner, max_size=4), max_leaves=20
)
specs = st.dictionaries(names, values, max_size=4).map(spec)


@given(specs)
def test_nothing_differs_from_itself(item: Json) -> None:
    assert list(fields(item, copy.deepcopy(item))) == []


@given(specs, specs)
def test_changes_lead_from_before_to_after(before: Json, after: Json) -> None:
    assert applied(before, list(fields(before, after))) == marked(after)


@given(specs, specs)
def test_backwards_every_change_is_reversed(before: Json, after: Json) -> None:
    there = [(c.path, marked(c.before), marked(c.after), c.place) for c in fields(before, after)]
    back = [(c.path, marked(c.after), marked(c.before), c.place) for c in fields(after, before)]

    assert sorted(there, key=repr) == sorted(back, key=repr)


def marked(value: Any) -> Any:
    """Tell truth from numbers, which Python takes for equal."""
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, dict):
        return {key: marked(item) for key, item in value.items()}
    return [marked(item) for item in value] if isinstance(value, list | tuple) else value


def applied(before: Json, changes: list[FieldChange]) -> Any:
    """Do what changes say: values first, then what is gone, then orders, then what is new."""
    result = copy.deepcopy(before)
    steps = {"update": 0, "delete": 1, "create": 3}

    def turn(change: FieldChange) -> tuple[int, int]:
        rank = 2 if isinstance(change.before, Order) else steps[change.verb]
        return rank, -change.place if rank == 1 else change.place

    located = [(change, locate(result, change.path[:-1])) for change in sorted(changes, key=turn)]
    for change, parent in located:
        if isinstance(change.before, Order):
            reorder(step_into(parent, change.path[-1]), change)
        elif isinstance(parent, dict):
            parent[change.path[-1]] = copy.deepcopy(change.after)
            if change.after is ABSENT:
                del parent[change.path[-1]]
        elif change.verb == "create":
            parent.insert(change.place, copy.deepcopy(change.after))
        else:
            place = index(parent, change.path[-1])
            parent[place : place + 1] = [] if change.after is ABSENT else [change.after]
    return marked(result)


def locate(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = step_into(value, step)
    return value


def step_into(value: Any, step: Any) -> Any:
    return value[step] if isinstance(value, dict) else value[index(value, step)]


def index(items: list[Any], step: Any) -> int:
    if not isinstance(step, Item):
        return int(step)
    return [name(item, step) for item in items].index(step.name)


def name(item: Any, step: Item) -> str:
    if step.by == WHOLE:
        return str(item)
    if step.by == FLAG:
        return str(item).split("=")[0]
    return "/".join(str(item.get(key)) for key in step.by)


def reorder(items: list[Any], change: FieldChange) -> None:
    by = (FLAG, WHOLE, ("name",))
    for way in by:
        known = (
            [name(item, Item(way, "")) for item in items if isinstance(item, str | dict)]
            if (all(isinstance(item, dict) for item in items) == (way == ("name",)))
            else []
        )
        if sorted(known) == sorted(change.after):
            items[:] = [items[known.index(each)] for each in change.after]
            return
    raise AssertionError(change)
