"""One run at a time on a repository."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Wait for any other run on the same repository, then keep others waiting.

    The lock belongs to the process: however it ends, nothing is left to clean up. Raises GenError.
    """
    try:
        descriptor = os.open(root, os.O_RDONLY)
    except OSError as error:
        raise _refused(root, "opened", error) from None
    try:
        _wait(root, descriptor)
        yield
    finally:
        os.close(descriptor)


def _wait(root: Path, descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:  # not every file system of a network can
        raise _refused(root, "locked", error) from None


def _refused(root: Path, what: str, error: OSError) -> Exception:
    from generator.problems import Where, one  # a run that changes nothing needs neither

    return one("E701", f"{root} cannot be {what}: {error.strerror}", Where(str(root)))
