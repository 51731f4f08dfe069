"""Git, where gen adds to it: a commit of exactly the files that one command changed.

Whatever else is staged or changed stays as it is. What could go wrong is asked before anything is
written.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from generator.revisions.git import Git, GitError

_UNFINISHED = {
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
}
"""What Git keeps while something is in progress, and what it is."""


class Commits(Git):
    """The Git repository that a folder is in, for one more commit."""

    def refuse_now(self, path: str) -> None:
        """Raise GitError if a commit of a document could not be made, or would hold more."""
        self._asked("rev-parse", "--git-dir")
        if self._run("symbolic-ref", "--quiet", "HEAD").returncode:
            raise GitError("HEAD is on no branch", "`git switch` to one, or leave out `--commit`")
        places = [word for name in _UNFINISHED for word in ("--git-path", name)]
        found = self._asked("rev-parse", *places).splitlines()
        for place, what in zip(found, _UNFINISHED.values(), strict=True):
            if (self.folder / place).exists():
                raise GitError(f"a {what} is in progress", "finish it, or leave out `--commit`")
        if self._run("var", "GIT_AUTHOR_IDENT").returncode:
            hint = "`git config user.name <name>` and `git config user.email <address>`"
            raise GitError("Git does not know who you are", hint)
        if self._asked("status", "--porcelain", "--", path):
            message = f"{path} has changes that are in no commit, and this one would hold them"
            raise GitError(message, "commit them first, or leave out `--commit`")

    def commit(self, message: str, paths: Sequence[str]) -> str:
        """Commit some files as they are on disk, and return the commit's short name.

        Raises GitError if Git or a hook refuses, and then nothing is staged.
        """
        tracked = set(self._asked("ls-files", "-z", "--", *paths).split("\0"))
        new = [path for path in paths if path not in tracked and (self.folder / path).exists()]
        if new:
            self._asked("add", "--", *new)
        kept = [path for path in paths if path in tracked or path in new]
        ran = self._run("commit", "--quiet", "--only", "--message", message, "--", *kept)
        if ran.returncode:
            if new:
                self._asked("rm", "--quiet", "--cached", "--force", "--", *new)
            said = os.fsdecode(ran.stdout + ran.stderr).split("\n")
            raise GitError(f"the commit was refused: {' / '.join(filter(None, said))}")
        return self._asked("rev-parse", "--short", "HEAD").strip()
