"""The same work on several processors: forked children take a slice each and send back results."""

from __future__ import annotations

import fcntl
import gc
import os
import pickle
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from types import FrameType
from typing import Any, NoReturn, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_Handler = Callable[[int, FrameType | None], Any] | int | None
"""What a process does about a signal, as `signal.signal` takes and gives it."""

WORTH_A_FORK = 60
"""Items below which a second process costs more than it saves."""


FIRST = 4
"""Items done before the fork, so that what they compile and load is there for every process."""


_ROUNDS = 12
"""Rounds after which the first process sits out one."""


_AHEAD = 1 << 20
"""Bytes of results that a child may be ahead of this process."""


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
    gc.freeze()  # what is here by now is shared; collecting it would copy it into every child
    turns = _turns(len(items), jobs)
    children: list[_Child] = []
    try:
        for job in range(1, jobs):
            own = [item for item, turn in zip(items, turns, strict=True) if turn == job]
            with _undisturbed() as handler:
                children.append(_Child(function, own, handler))
        for item, turn in zip(items, turns, strict=True):
            yield children[turn - 1].result() if turn else function(item)
        for child in children:
            child.finish()
    finally:
        gc.unfreeze()
        for child in children:
            child.end()


@contextmanager
def _undisturbed() -> Iterator[_Handler]:
    """Let Ctrl-C wait until a child is known: nobody would end one that is not.

    Gives what the child does about it. Its handler is changed and not its mask, because a thread
    that draws may get it too.
    """
    late: list[tuple[int, FrameType | None]] = []
    before = signal.signal(signal.SIGINT, lambda *what: late.append(what))
    try:
        yield before
    finally:
        signal.signal(signal.SIGINT, before)
        if late and callable(before):
            before(*late[0])


def _turns(count: int, jobs: int) -> list[int]:
    """Say which process does which item: neighbours cost alike, so all end together.

    The first one, which takes in the results of all, sits out every so many rounds.
    """
    rounds = [*list(range(jobs)) * _ROUNDS, *range(1, jobs)]
    return [turn for _, turn in zip(range(count), cycle(rounds), strict=False)]


class _Child:
    """A forked process with some of the items."""

    def __init__(
        self, function: Callable[[Item], Any], items: Sequence[Item], handler: _Handler
    ) -> None:
        reading, writing = os.pipe()
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _AHEAD)
        self._process = os.fork()
        if not self._process:
            os.close(reading)
            signal.signal(signal.SIGINT, handler)
            _work(function, items, writing)
        os.close(writing)
        self._pipe = os.fdopen(reading, "rb")

    def result(self) -> Any:
        """Wait for the next result. Raises WorkerError if none comes any more."""
        try:
            return pickle.load(self._pipe)
        except (EOFError, pickle.UnpicklingError):
            self.finish()
            raise WorkerError("a worker ended without a word") from None

    def finish(self) -> None:
        """Wait for the end. Raises WorkerError unless it is a good one."""
        _, status = os.waitpid(self._process, 0)
        self._process = 0
        if status:
            raise WorkerError(f"a worker ended with status {os.waitstatus_to_exitcode(status)}")

    def end(self) -> None:
        """End a child that nobody waits for any more."""
        self._pipe.close()
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
