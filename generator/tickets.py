"""Work that several processes share: each part has a number, and whoever is free takes the next."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")

_SIZE = 2
_LARGE = 2048
"""Parts of full size: their numbers, and as many of smaller ones, fit into a pipe of any system."""


class Tickets:
    """The numbers up to a count, in a pipe: each is read by one of the processes that iterate."""

    def __init__(self, count: int) -> None:
        self._reading, writing = os.pipe()
        os.write(writing, b"".join([number.to_bytes(_SIZE, "big") for number in range(count)]))
        os.close(writing)

    def __iter__(self) -> Iterator[int]:
        """Take numbers until there are no more."""
        while ticket := os.read(self._reading, _SIZE):
            yield int.from_bytes(ticket, "big")

    def close(self) -> None:
        """Take no more numbers in this process."""
        os.close(self._reading)


def parts(items: Sequence[Item], size: int, last: int = 0, jobs: int = 1) -> list[Sequence[Item]]:
    """Part items so that there is a ticket for each part.

    Parts have `size` items, and more if there would be too many. With `last`, they become smaller
    towards the end, down to that, so that all of `jobs` processes end together.
    """
    found: list[Sequence[Item]] = []
    start, most = 0, max(size, -(-len(items) // _LARGE))
    while start < len(items):
        fair = (len(items) - start) // (2 * jobs)
        own = min(most, max(last or most, fair))
        found.append(items[start : start + own])
        start += own
    return found
