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

    The lock belongs to the process: however it ends, nothing is left to clean up.
    """
    try:
        descriptor = os.open(root, os.O_RDONLY)
    except OSError as error:
        from generator.problems import Where, one  # a run that changes nothing needs neither

        raise one("E701", f"{root} cannot be opened: {error.strerror}", Where(str(root))) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
