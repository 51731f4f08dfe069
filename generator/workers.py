"""The same work on several processors: forked children take a slice each and send back results."""

from __future__ import annotations

import gc
import io
import os
import pickle
import signal
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NoReturn, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

WORTH_A_FORK = 60
"""Items below which a second process costs more than it saves."""


FIRST = 16
"""Items done before the fork, so that what they compile and load is there for every process."""


_CHUNK = 1 << 20


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
    children = [_Child(function, items[a:b]) for a, b in pairwise(cuts[1:])]
    try:
        for item in items[: cuts[1]]:
            yield function(item)
            for child in children:
                child.listen()
        for child in children:
            yield from child.results()
    finally:
        gc.unfreeze()
        for child in children:
            child.end()


class _Child:
    """A forked process with a slice of the items, and what has come from it so far."""

    def __init__(self, function: Callable[[Item], Any], items: Sequence[Item]) -> None:
        self._received = bytearray()
        self._pipe, writing = os.pipe()
        self._process = os.fork()
        if not self._process:
            _work(function, items, writing)
        os.close(writing)
        os.set_blocking(self._pipe, False)

    def listen(self) -> None:
        """Take what is there, so that the child never waits for this process."""
        try:
            self._received += os.read(self._pipe, _CHUNK)
        except BlockingIOError:
            return

    def results(self) -> Iterator[Any]:
        """Wait for the end and give the results, one by one. Raises WorkerError without an end."""
        os.set_blocking(self._pipe, True)
        while chunk := os.read(self._pipe, _CHUNK):
            self._received += chunk
        _, status = os.waitpid(self._process, 0)
        self._process = 0
        if status:
            raise WorkerError(f"a worker ended with status {os.waitstatus_to_exitcode(status)}")
        stream = io.BytesIO(self._received)
        while stream.tell() < len(self._received):
            yield pickle.load(stream)

    def end(self) -> None:
        """End a child that nobody waits for any more."""
        os.close(self._pipe)
        if self._process:
            os.kill(self._process, signal.SIGKILL)
            os.waitpid(self._process, 0)


def _work(function: Callable[[Item], Any], items: Sequence[Item], writing: int) -> NoReturn:
    """Be the child: send every result as soon as it is there, and never return."""
    code = 1
    try:
        with os.fdopen(writing, "wb", buffering=0) as pipe:
            for item in items:
                pipe.write(pickle.dumps(function(item), pickle.HIGHEST_PROTOCOL))
        code = 0
    except KeyboardInterrupt:
        code = 130
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)  # never back into the caller's code
