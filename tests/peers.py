"""Programs of others, which run in an environment of their own: `make peers` installs them."""

from __future__ import annotations

from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parents[1] / ".tools" / "peers"


def program(name: str) -> Path:
    """Return a program of the peers' environment, or skip the test, which is counted."""
    found = HOME / "bin" / name
    if not found.exists():
        pytest.skip(f"{name} is not there: `make peers` installs it")
    return found
