"""The same work on several processors: forked children take a slice each and send back results."""

from __future__ import annotations

import gc
import os
import pickle
import signal
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

WORTH_A_FORK = 60
"""Items below which a second process costs more than it saves."""


FIRST = 16
"""Items done before the fork, so that what they compile and load is there for every process."""


class WorkerError(Exception):
    """A child process ended without a result; it has said why on stderr."""


def spread(
    function: Callable[[Item], Result], items: Sequence[Item], jobs: int
) -> Iterator[Result]:
    """Apply a function to items in up to `jobs` processes, and yield the results in order.

    The function may write files and must not change anything else that the caller looks at.
    Raises what the function raises in this process, and WorkerError for the others.
    """
    jobs = min(jobs, len(items) // WORTH_A_FORK) if hasattr(os, "fork") else 1
    if jobs < 2:
        yield from map(function, items)
        return
    yield from map(function, items[:FIRST])
    items = items[FIRST:]
    cuts = [len(items) * job // jobs for job in range(jobs + 1)]
    gc.freeze()  # what is here by now is shared; collecting it would copy it into every child
    children = [_started(function, items[a:b]) for a, b in pairwise(cuts[1:])]
    try:
        yield from map(function, items[: cuts[1]])
        while children:
            yield from _received(*children.pop(0))
    finally:
        gc.unfreeze()
        for process, pipe in children:
            os.close(pipe)
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)


def _started(function: Callable[[Item], Result], items: Sequence[Item]) -> tuple[int, int]:
    reading, writing = os.pipe()
    process = os.fork()
    if process:
        os.close(writing)
        return process, reading
    code = 1
    try:
        os.close(reading)
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump([function(item) for item in items], pipe, pickle.HIGHEST_PROTOCOL)
        code = 0
    except KeyboardInterrupt:
        code = 130
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)  # never back into the caller's code


def _received(process: int, pipe: int) -> list[Result]:
    try:
        with os.fdopen(pipe, "rb") as stream:
            content = stream.read()
    finally:
        _, status = os.waitpid(process, 0)
    if status:
        raise WorkerError(f"a worker ended with status {os.waitstatus_to_exitcode(status)}")
    results: list[Result] = pickle.loads(content)
    return results
