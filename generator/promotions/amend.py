"""Change a model's document and what is rendered from it: both, or neither.

The edited document is rendered before anything is written. Only when nothing is wrong does it take
the place of the one on disk, and the files that follow from it are moved into place behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from generator import lock, pipeline, write, yamlio
from generator.documents import Document
from generator.files import Change
from generator.inventory.records import Environment
from generator.pipeline import Edited, Outcome
from generator.problems import GenError
from generator.promotions import edits
from generator.promotions.promotion import Move
from generator.subjects import Repository, Selection

Plan = Callable[[Document, Mapping[str, Environment]], Move]
"""Decides on the edits of a model, given the environments by name."""

Keep = Callable[[Move, list[str]], None]
"""Told of a move that was made and of the paths that changed; if it raises, nothing was."""


class Amended(Struct, frozen=True):
    """What was done, or would be; without a document's change, it was so already."""

    move: Move
    document: Change | None = None
    outcome: Outcome | None = None


class Refused(GenError):
    """Problems of an edited document, whose lines are on no disk."""

    def __init__(self, error: GenError, document: Document) -> None:
        super().__init__(error.problems)
        self.document = document


def amend(
    root: Path,
    model: str,
    plan: Plan,
    *,
    today: str = "",
    dry: bool = False,
    is_urgent: bool = False,
    keep: Keep | None = None,
) -> Amended:
    """Edit a model and render it; with `dry`, write nothing. Raises GenError with every problem.

    What the edit does to what runs is refused as it would be before the merge, unless it
    `is_urgent`.
    """
    amendment = _Amendment(root, Selection((model,)), today, is_urgent)
    if dry:
        return amendment.made(plan, amendment.compare)
    with lock.locked(root):
        return amendment.made(plan, amendment.apply, keep)


_Run = Callable[[Document, Document], Outcome]


class _Amendment(Struct, frozen=True):
    root: Path
    selection: Selection
    today: str
    is_urgent: bool

    def made(self, plan: Plan, run: _Run, keep: Keep | None = None) -> Amended:
        """Plan an edit, run the stages over the edited document, and let somebody keep it."""
        repository = Repository(self.root, self.selection, today=self.today)
        (subject,) = repository.subjects
        before = repository.document(subject)
        move = plan(before, repository.environments)
        if not move.edits:
            return Amended(move)
        after = _edited(before, move)
        try:
            outcome = run(before, after)
        except GenError as error:
            raise Refused(error, after) from None
        if keep is not None:
            self._keep(keep, move, before, after, outcome)
        return Amended(move, Change("update", before.path, before.text, after.text), outcome)

    def compare(self, before: Document, after: Document) -> Outcome:
        """Say what would change."""
        edit = Edited({before.path: after}, self.is_urgent)
        return pipeline.compare(self.root, self.selection, texts=True, today=self.today, edit=edit)

    def apply(self, before: Document, after: Document) -> Outcome:
        """Write the document once nothing is wrong, then what follows from it."""
        written: list[Document] = []

        def ready() -> None:
            self._put(before, after)
            written.append(after)

        try:
            return pipeline.apply_locked(
                self.root,
                self.selection,
                texts=True,
                today=self.today,
                edit=Edited({before.path: after}, self.is_urgent),
                ready=ready,
            )
        except BaseException:
            for document in written:
                self._put(document, before)
            raise

    def _put(self, before: Document, after: Document) -> None:
        write.replace_text(self.root, before.path, before.text, after.text)

    def _keep(
        self, keep: Keep, move: Move, before: Document, after: Document, outcome: Outcome
    ) -> None:
        paths = [before.path, *(change.path for change in outcome.changes.listed)]
        try:
            keep(move, paths)
        except BaseException:
            self._put(after, before)
            pipeline.apply_locked(self.root, self.selection, today=self.today)
            raise


def _edited(document: Document, move: Move) -> Document:
    """Make the edits. Raises GenError with what to write by hand where that would be a guess."""
    try:
        text = edits.applied(document.text, move.edits)
    except edits.Unsafe as refusal:
        message = f"gen cannot edit this in place: {refusal.reason}"
        hint = edits.by_hand(move.edits)
        problem = document.problem("E802", message, refusal.pointer, hint=hint, key=True)
        raise GenError([problem]) from None
    return replace(document, text=text, data=yamlio.load(text))
