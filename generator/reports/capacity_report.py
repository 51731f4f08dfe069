"""What queues and nodes hold, what models ask of them and what that costs, as text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from msgspec import Struct

from generator.inventory.records import Environment, Flavor
from generator.queues import capacity, outcomes
from generator.queues.capacity import Capacity
from generator.queues.demand import CPU, HOURS_A_MONTH, MEMORY, Demand, price, told
from generator.queues.outcomes import Outcome

_NOBODY = "-"


class Line(Struct, frozen=True):
    """One resource of one flavor in one queue: what is asked for and what there is.

    Without a queue, only nodes count; where their number is not known, `reachable` is None.
    """

    environment: str
    queue: str
    flavor: str
    resource: str
    minimum: int
    maximum: int
    nominal: int
    reachable: int | None


class Cost(Struct, frozen=True):
    """What the accelerators of one flavor cost in an hour, at minimum and maximum replicas."""

    environment: str
    flavor: str
    least: int
    most: int
    minimum: Fraction
    maximum: Fraction


class Report(Struct, frozen=True):
    """All that `gen capacity` shows."""

    lines: tuple[Line, ...]
    costs: tuple[Cost, ...]
    outcomes: tuple[Outcome, ...]


def report(environments: Iterable[Environment], demands: Iterable[Demand]) -> Report:
    """Compare environments with what is asked of them."""
    lines: list[Line] = []
    costs: list[Cost] = []
    found: list[Outcome] = []
    everything = list(demands)
    for environment in environments:
        own = [asked for asked in everything if asked.environment == environment.name]
        held = capacity.of(environment)
        lines += [*_queues(held, own), *_unqueued(environment, own)]
        costs += _costs(environment, own)
        by_itself = [judge(asked) for judge in (held.alone, held.ceiling) for asked in own]
        found += [*filter(None, by_itself), *held.together(own)]
    return Report(tuple(lines), tuple(costs), tuple(found))


def _queues(held: Capacity, demands: Sequence[Demand]) -> Iterator[Line]:
    """Place Pods as Kueue would, and leave out what a queue neither has, reaches nor uses."""
    least, most = held.usage(demands, "minimum"), held.usage(demands, "maximum")
    for (flavor, resource), pool in held.pools.items():
        for queue in held.environment.queues:
            cell = (flavor, resource)
            if queue not in pool:
                continue
            line = Line(
                held.environment.name,
                queue,
                flavor,
                resource,
                least.of(cell, queue),
                most.of(cell, queue),
                pool[queue].nominal,
                held.reachable(cell, queue),
            )
            if line.nominal or line.reachable or line.maximum:
                yield line


def _unqueued(environment: Environment, demands: Iterable[Demand]) -> Iterator[Line]:
    """List the accelerators of models that Kueue does not admit."""
    free = [asked for asked in demands if not asked.queue]
    for flavor in environment.flavors.values():
        least, most = _accelerators(flavor, free)
        if most:
            nodes = flavor.nodes * flavor.gpus_per_node
            where = (environment.name, _NOBODY, flavor.name, flavor.resource)
            yield Line(*where, least, most, nodes, nodes or None)


def _accelerators(flavor: Flavor, demands: Iterable[Demand]) -> tuple[int, int]:
    """Count the accelerators of a flavor at minimum and at maximum replicas."""
    own = [asked for asked in demands if asked.flavor == flavor.name]
    least = sum(capacity.accelerators(asked, "minimum") for asked in own)
    return least, sum(capacity.accelerators(asked, "maximum") for asked in own)


def _costs(environment: Environment, demands: Sequence[Demand]) -> Iterator[Cost]:
    for flavor in environment.flavors.values():
        least, most = _accelerators(flavor, demands)
        if most and flavor.price_per_hour:
            each = flavor.price_per_hour
            costs = price(least, each), price(most, each)
            yield Cost(environment.name, flavor.name, least, most, *costs)


HEADER = ("environment", "queue", "flavor", "resource", "asked", "nominal", "reachable", "use")
COSTS = ("environment", "flavor", "accelerators", "per hour", "per month")


def table(found: Report, *, bars: bool = False) -> list[tuple[str, ...]]:
    """Lay out the lines, with a bar in front of the percentage for those who look at it."""
    return [_cells(line, bars=bars) for line in _in_order(found.lines)]


def _in_order(lines: Iterable[Line]) -> list[Line]:
    """Keep environments and queues together, and in a flavor what is scarcest first."""
    scarcity = {CPU: 1, MEMORY: 2}
    return sorted(
        lines,
        key=lambda line: (
            line.environment,
            line.queue,
            line.flavor,
            scarcity.get(line.resource, 0),
            line.resource,
        ),
    )


def _cells(line: Line, *, bars: bool) -> tuple[str, ...]:
    reachable = _NOBODY if line.reachable is None else told(line.resource, line.reachable)
    return (
        line.environment,
        line.queue,
        line.flavor,
        line.resource.rpartition("/")[2],
        _span(told(line.resource, line.minimum), told(line.resource, line.maximum)),
        told(line.resource, line.nominal),
        reachable,
        f"{bar(line)} {_use(line)}" if bars and line.reachable else _use(line),
    )


def _use(line: Line) -> str:
    if not line.reachable:
        return _NOBODY
    least, most = (100 * amount // line.reachable for amount in (line.minimum, line.maximum))
    return f"{least} %" if least == most else f"{least}..{most} %"


_WIDTH = 10


def bar(line: Line) -> str:
    """Draw what is used at minimum and at maximum replicas of what is within reach."""
    whole = max(line.reachable or 0, 1)
    least, most = (
        min(_WIDTH, -(-_WIDTH * amount // whole)) for amount in (line.minimum, line.maximum)
    )
    return "█" * least + "▒" * (most - least) + "·" * (_WIDTH - most)


def cost_table(found: Report) -> list[tuple[str, ...]]:
    """Lay out the costs by flavor, and their sum if there are several of one environment."""
    rows = []
    for name in dict.fromkeys(cost.environment for cost in found.costs):
        own = [cost for cost in found.costs if cost.environment == name]
        rows += [_cost_cells(cost) for cost in own]
        if len(own) > 1:
            rows.append(_cost_cells(_sum(name, own)))
    return rows


def _sum(environment: str, costs: Sequence[Cost]) -> Cost:
    return Cost(
        environment,
        "all",
        sum(cost.least for cost in costs),
        sum(cost.most for cost in costs),
        sum((cost.minimum for cost in costs), Fraction()),
        sum((cost.maximum for cost in costs), Fraction()),
    )


def _cost_cells(cost: Cost) -> tuple[str, ...]:
    per_month = _span(money(cost.minimum * HOURS_A_MONTH), money(cost.maximum * HOURS_A_MONTH))
    count = _span(str(cost.least), str(cost.most))
    per_hour = _span(money(cost.minimum), money(cost.maximum))
    return (cost.environment, cost.flavor, count, per_hour, per_month)


def _span(least: str, most: str) -> str:
    return least if least == most else f"{least}..{most}"


def money(amount: Fraction) -> str:
    """Write an amount with two digits, rounded to the nearer one."""
    cents = int(amount * 100 + Fraction(1, 2))
    return f"{cents // 100:,}.{cents % 100:02}"


def told_outcomes(found: Report) -> list[str]:
    """Say what does not fit, one line each."""
    return [
        f"{outcome.severity}: {outcome.environment}: {outcomes.message(outcome)}"
        for outcome in found.outcomes
    ]


def markdown(found: Report) -> str:
    """Write everything as a comment of a pull request."""
    parts = [_markdown_table(HEADER, table(found))]
    costs = cost_table(found)
    if costs:
        parts.append(_markdown_table(COSTS, costs))
    if found.outcomes:
        parts.append("\n".join(f"- **{line}" for line in map(_bold, told_outcomes(found))))
    return "\n\n".join(parts)


def _bold(line: str) -> str:
    severity, _, rest = line.partition(": ")
    return f"{severity}** {rest}"


def _markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def as_json(found: Report) -> str:
    """Write everything for programs: amounts as quantities, money as text."""
    document = {
        "capacity": [_line(line) for line in _in_order(found.lines)],
        "cost": [_cost(cost) for cost in found.costs],
        "problems": [_problem(outcome) for outcome in found.outcomes],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _line(line: Line) -> Mapping[str, Any]:
    reachable = line.reachable
    return {
        "environment": line.environment,
        "queue": None if line.queue == _NOBODY else line.queue,
        "flavor": line.flavor,
        "resource": line.resource,
        "minimum": told(line.resource, line.minimum),
        "maximum": told(line.resource, line.maximum),
        "nominal": told(line.resource, line.nominal),
        "reachable": None if reachable is None else told(line.resource, reachable),
    }


def _cost(cost: Cost) -> Mapping[str, Any]:
    return {
        "environment": cost.environment,
        "flavor": cost.flavor,
        "accelerators": {"minimum": cost.least, "maximum": cost.most},
        "perHour": {"minimum": _plain(cost.minimum), "maximum": _plain(cost.maximum)},
        "perMonth": {
            "minimum": _plain(cost.minimum * HOURS_A_MONTH),
            "maximum": _plain(cost.maximum * HOURS_A_MONTH),
        },
    }


def _plain(amount: Fraction) -> str:
    return money(amount).replace(",", "")


def _problem(outcome: Outcome) -> Mapping[str, Any]:
    return {
        "severity": str(outcome.severity),
        "cause": outcome.cause,
        "environment": outcome.environment,
        "message": outcomes.message(outcome),
        "hint": outcomes.hint(outcome),
        "queues": outcome.queues,
        "flavors": outcome.flavors,
        "models": outcome.models,
    }
