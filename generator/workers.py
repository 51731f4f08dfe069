"""The same work on several processors: each takes the next run of items, children tell results."""

from __future__ import annotations

import fcntl
import gc
import os
import pickle
import select
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from types import FrameType
from typing import Any, NoReturn, TypeVar

from generator.tickets import Tickets, parts

Item = TypeVar("Item")
Result = TypeVar("Result")

_Handler = Callable[[int, FrameType | None], Any] | int | None
"""What a process does about a signal, as `signal.signal` takes and gives it."""

WORTH_A_FORK = 60
"""Items below which a second process costs more than it saves."""


FIRST = 4
"""Items done before the fork, so that what they compile and load is there for every process."""


_RUN, _LAST_RUN = 64, 8
"""Items that are worked on in one go: enough that code and what it looks up stay in the processor's
caches, and few enough that what is made of them hardly counts in memory. The last runs are short,
so that all processes end together."""


_AHEAD = 1 << 20
"""Bytes of results that a child may be ahead of this process."""


class WorkerError(Exception):
    """A child process ended without a result; it has said why on stderr."""


def spread(
    function: Callable[[Sequence[Item]], Iterable[Result]], items: Sequence[Item], jobs: int
) -> Iterator[Result]:
    """Apply a function to runs of items in up to `jobs` processes, and yield the results in order.

    The function gives a result for each item. It may write files and must not change anything else
    that the caller looks at. Raises what the function raises in this process, and WorkerError for
    the others.
    """
    jobs = min(jobs, len(items) // WORTH_A_FORK) if hasattr(os, "fork") else 1
    if jobs < 2:
        for run in parts(items, _RUN):
            yield from function(run)
        return
    yield from function(items[:FIRST])
    runs = parts(items[FIRST:], _RUN, _LAST_RUN, jobs)
    gc.freeze()  # what is here by now is shared; collecting it would copy it into every child
    children: list[_Child] = []
    try:
        with closing(Tickets(len(runs))) as tickets:
            for _ in range(1, jobs):
                with _undisturbed() as handler:
                    children.append(_Child(function, runs, tickets, handler))
            yield from _in_order(_done(function, runs, tickets, children))
    finally:
        gc.unfreeze()
        for child in children:
            child.end()


def _done(
    function: Callable[[Sequence[Item]], Iterable[Result]],
    runs: Sequence[Sequence[Item]],
    tickets: Tickets,
    children: Sequence[_Child],
) -> Iterator[tuple[int, list[Result]]]:
    """Work on runs as long as there are any, and take what others have done meanwhile."""
    for number in tickets:
        yield number, list(function(runs[number]))
        for child in children:
            yield from child.ready()
    for child in children:
        yield from child.rest()


def _in_order(found: Iterable[tuple[int, list[Result]]]) -> Iterator[Result]:
    """Yield the results of runs in the order of the runs."""
    following, early = 0, dict[int, list[Result]]()
    for number, results in found:
        early[number] = results
        while following in early:
            yield from early.pop(following)
            following += 1


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


class _Child:
    """A forked process that takes its share of the runs."""

    def __init__(
        self,
        function: Callable[[Sequence[Item]], Iterable[Any]],
        runs: Sequence[Sequence[Item]],
        tickets: Tickets,
        handler: _Handler,
    ) -> None:
        self._pipe, writing = os.pipe()
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _AHEAD)
        self._process = os.fork()
        if not self._process:
            os.close(self._pipe)
            signal.signal(signal.SIGINT, handler)
            _work(function, runs, tickets, writing)
        os.close(writing)

    def ready(self) -> Iterator[tuple[int, Any]]:
        """Give what is done by now."""
        while select.select([self._pipe], [], [], 0)[0]:
            message = self._message()
            if message is None:
                return
            yield message

    def rest(self) -> Iterator[tuple[int, Any]]:
        """Give all that is still to come, and wait for the end. Raises WorkerError."""
        while (message := self._message()) is not None:
            yield message
        _, status = os.waitpid(self._process, 0)
        self._process = 0
        if status:
            raise WorkerError(f"a worker ended with status {os.waitstatus_to_exitcode(status)}")

    def _message(self) -> tuple[int, Any] | None:
        """Wait for a run and its results; None if no more come, or not the whole of them."""
        head = self._bytes(_HEAD)
        size = int.from_bytes(head, "big") if len(head) == _HEAD else 0
        body = self._bytes(size)
        if not size or len(body) < size:
            return None
        message: tuple[int, Any] = pickle.loads(body)
        return message

    def _bytes(self, size: int) -> bytes:
        chunks: list[bytes] = []
        while size and (chunk := os.read(self._pipe, size)):
            chunks.append(chunk)
            size -= len(chunk)
        return b"".join(chunks)

    def end(self) -> None:
        """End a child that nobody waits for any more."""
        os.close(self._pipe)
        if self._process:
            os.kill(self._process, signal.SIGKILL)
            os.waitpid(self._process, 0)


_HEAD = 8
"""Bytes that say how many bytes follow."""


def _work(
    function: Callable[[Sequence[Item]], Iterable[Any]],
    runs: Sequence[Sequence[Item]],
    tickets: Tickets,
    writing: int,
) -> NoReturn:
    """Be the child: send the results of every run as soon as they are there, and never return."""
    code = 1
    try:
        with os.fdopen(writing, "wb") as pipe:
            for number in tickets:
                message = number, list(function(runs[number]))
                body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
                pipe.write(len(body).to_bytes(_HEAD, "big") + body)
                pipe.flush()
        code = 0
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        pass  # the first process is no more: nobody waits for any of this
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)  # never back into the caller's code
