"""Whether Pods with accelerators fit onto nodes: a Pod of 8 does not fit into 4 and 4.

Only accelerators count, because nothing else is known of a node.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import prod

_PATIENCE = 2_000
"""States that a search looks at, and ways to fill a node, before it ends in doubt."""

Nodes = Sequence[tuple[int, int]]
"""How many accelerators a node has, and how many such nodes there are."""


def is_impossible(pods: Mapping[int, int], nodes: Nodes) -> bool:
    """Say whether Pods, counted by size, certainly do not fit onto nodes.

    Where nodes and Pods are many and uneven, nobody knows, and nothing is said.
    """
    wanted = {size: count for size, count in pods.items() if size and count}
    if is_certain(wanted, nodes):
        return True
    return not _first_fit(wanted, nodes) and _search(wanted, nodes) is False


def is_certain(pods: Mapping[int, int], nodes: Nodes) -> bool:
    """Say whether counting alone proves it: too many accelerators, or too many large Pods.

    Of the Pods with `size` accelerators or more, a node takes as many as it has whole `size`s.
    """
    if sum(size * count for size, count in pods.items()) > sum(has * n for has, n in nodes):
        return True
    return any(
        sum(count for other, count in pods.items() if other >= size) > slots(size, nodes)
        for size in pods
    )


def slots(size: int, nodes: Nodes) -> int:
    """Count how many Pods of one size fit onto empty nodes."""
    return sum(has // size * count for has, count in nodes)


def _first_fit(pods: Mapping[int, int], nodes: Nodes) -> bool:
    """Put the largest Pods first, each where the least is left over."""
    free = Counter({has: count for has, count in sorted(nodes)})
    for size in sorted(pods, reverse=True):
        for _ in range(pods[size]):
            room = min((has for has, count in free.items() if has >= size and count), default=None)
            if room is None:
                return False
            free[room] -= 1
            free[room - size] += 1
    return True


_State = tuple[tuple[int, int], ...]


def _search(pods: Mapping[int, int], nodes: Nodes) -> bool | None:
    """Fill one node after the other in every way that leaves no room for a Pod; None if in doubt.

    Nodes that are larger come first, and a state that has failed is never tried again.
    """
    bins = [has for has, count in sorted(nodes, reverse=True) for _ in range(count)]
    ways = [min(count, max(bins, default=0) // size) + 1 for size, count in pods.items()]
    if prod(ways) > _PATIENCE or len(bins) > _PATIENCE:
        return None
    failed: set[tuple[int, _State]] = set()
    waiting: list[tuple[int, _State]] = [(0, tuple(sorted(pods.items(), reverse=True)))]
    while waiting:
        state = waiting.pop()
        index, left = state
        if not any(count for _, count in left):
            return True
        if index == len(bins) or state in failed:
            continue
        failed.add(state)
        if len(failed) > _PATIENCE:
            return None
        waiting += [(index + 1, rest) for rest in _fillings(bins[index], left)]
    return False


def _fillings(room: int, left: _State) -> Iterable[_State]:
    """Fill a node with Pods, largest first, until none of those that are left would fit."""
    if not left:
        return [()]
    (size, count), rest = left[0], left[1:]
    most = min(count, room // size)
    found = []
    for taken in range(most + 1):
        for other in _fillings(room - taken * size, rest):
            used = sum(s * (a - b) for (s, a), (_, b) in zip(rest, other, strict=True))
            if taken == most or room - taken * size - used < size:
                found.append(((size, count - taken), *other))
    return found
