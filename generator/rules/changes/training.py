"""Rules of what may not happen to a run once it is there."""

from __future__ import annotations

from collections.abc import Iterator

from generator.rules import Book, Finding, Step
from generator.rules.changes.transitions import about
from generator.rules.places import of_setting
from generator.training.runs import Job, Training

BOOK = Book("training change")

_EDITED = BOOK.warning(
    "T017",
    "A run never changes: under the same label another one starts from the beginning, and the "
    "first one is stopped unless it is kept.",
    evidence="kubeflow/trainer@pkg/apis/trainer/v1alpha1/trainjob_types.go",
    remedy="Write another `run` if this is meant, or remove `run` if the first one is done.",
)


@_EDITED.on_step
def _another_run_of_one_label(step: Step) -> Iterator[Finding]:
    if step.before is None or step.after is None:
        return
    before, after = (_training(each.facts) for each in (step.before, step.after))
    old, new = before and before.run, after and after.run
    if not (before and after and old and new):
        return
    if before.label == after.label and old.name != new.name:
        fate = "goes on" if before.is_kept else "is removed"
        message = (
            f"run `{after.label}` is not what it was: {old.name} {fate}, and {new.name} starts "
            f"from the beginning{_what(old, new)}"
        )
        hint = "write another `run` if that is meant, or remove `run` if the first one is done"
        where = of_setting(step.after, "training", "run")
        yield about(Finding(message, where, hint), step.after)


def _training(facts: object) -> Training | None:
    found: Training | None = facts.get("training") if isinstance(facts, dict) else None
    return found


_SHOWN = 3


def _what(old: Job, new: Job) -> str:
    """Name the first fields that differ."""
    pairs = [("labels", old.labels, new.labels), *_inner(old, new)]
    keys = [key for key, was, now in pairs if was != now]
    return f", because of `{'`, `'.join(keys[:_SHOWN])}`" if keys else ""


def _inner(old: Job, new: Job) -> Iterator[tuple[str, object, object]]:
    """Pair the fields of two specs, those of `trainer` one by one."""
    for key in dict.fromkeys([*old.spec, *new.spec]):
        was, now = old.spec.get(key), new.spec.get(key)
        if isinstance(was, dict) and isinstance(now, dict) and key == "trainer":
            fields = dict.fromkeys([*was, *now])
            yield from ((f"{key}.{field}", was.get(field), now.get(field)) for field in fields)
        else:
            yield key, was, now
