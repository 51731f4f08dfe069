from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[3] / "shared"


@pytest.fixture(scope="session", autouse=True)
def shared() -> Path:
    """Lead to the definitions and manifests of others, which are no part of this repository."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared beside the repository: nothing to judge by")
    return SHARED
