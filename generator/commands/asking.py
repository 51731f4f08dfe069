"""How Git is asked what was live, for commands that may have to know."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from generator.promotions.promotion import History


def asking_git(root: Path, way_out: str) -> History:
    """Let Git be asked what was live, if anybody has to know; the way out is for who has no Git."""

    def past(model: str, environment: str) -> Iterator[tuple[float, Any]]:
        from datetime import datetime

        from generator.revisions import history, timeline
        from generator.revisions.git import Git, GitError

        repository = Git(root, os.environ)
        try:
            for revision in history.revisions(repository, model):
                if not isinstance(revision.content, timeline.Broken):
                    block = timeline.blocks(revision.content).get(environment)
                    yield datetime.fromisoformat(revision.date).timestamp(), block
            if repository.is_shallow():
                raise GitError("the clone is shallow: what was before is not known here")
        except GitError as error:
            hint = ", or ".join(filter(None, (error.hint, way_out)))
            raise GitError(error.message, hint) from None

    return past
