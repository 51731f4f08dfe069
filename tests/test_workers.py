"""Work in several processes gives what it gives in one, in order, or says who failed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

import pytest

from generator import workers

COUNT = 5 * workers.WORTH_A_FORK
ITEMS = range(COUNT)


def _unevenly(items: Sequence[int]) -> list[tuple[int, int]]:
    """Take long for some, so that whoever is free has to take more of the others."""
    if any(item % 97 == 0 for item in items):
        time.sleep(0.02)
    return [(item, os.getpid()) for item in items]


@pytest.mark.parametrize("jobs", [1, 2, 3, 8])
def test_each_item_is_done_once_and_results_come_in_order(jobs: int) -> None:
    found = list(workers.spread(_unevenly, ITEMS, jobs))
    assert [item for item, _ in found] == list(ITEMS)
    processes = {process for _, process in found}
    assert len(processes) == 1 if jobs == 1 else len(processes) <= jobs


def test_few_items_need_no_second_process() -> None:
    found = list(workers.spread(_unevenly, range(workers.WORTH_A_FORK), 2))
    assert {process for _, process in found} == {os.getpid()}


def test_results_may_be_larger_than_a_pipe() -> None:
    found = workers.spread(lambda items: [bytes([item % 251]) * 50_000 for item in items], ITEMS, 3)
    assert [each[0] for each in found] == [item % 251 for item in ITEMS]


def test_more_runs_than_a_pipe_holds_numbers() -> None:
    count = 80 * 4096
    found = workers.spread(list, range(count), 2)
    assert sum(found) == sum(range(count))


def test_a_child_that_dies_is_no_result(capfd: pytest.CaptureFixture[str]) -> None:
    parent = os.getpid()

    def work(items: Sequence[int]) -> Sequence[int]:
        if os.getpid() != parent:
            raise RuntimeError("no luck")
        time.sleep(0.05)
        return items

    with pytest.raises(workers.WorkerError, match="status 1"):
        list(workers.spread(work, ITEMS, 2))
    assert "RuntimeError: no luck" in capfd.readouterr().err


def test_a_child_without_a_parent_ends_without_a_word() -> None:
    code = (
        "import os, signal, sys, time; from generator import workers\n"
        "parent = os.getpid()\n"
        "def work(items):\n"
        "    if items[0] < workers.FIRST: return items\n"
        "    if os.getpid() == parent: time.sleep(0.2); os.kill(parent, signal.SIGKILL)\n"
        "    time.sleep(0.5)\n"
        "    return items\n"
        "list(workers.spread(work, range(200), 2))\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, check=False)
    assert (ended.returncode, ended.stderr) == (-signal.SIGKILL, b"")


def test_what_the_first_process_raises_ends_the_others() -> None:
    parent = os.getpid()

    def work(items: Sequence[int]) -> Sequence[int]:
        if os.getpid() != parent:
            time.sleep(20)
        elif items[0] >= workers.FIRST:
            raise KeyError(items[0])
        return items

    started = time.monotonic()
    with pytest.raises(KeyError):
        list(workers.spread(work, ITEMS, 2))
    assert time.monotonic() - started < 10
