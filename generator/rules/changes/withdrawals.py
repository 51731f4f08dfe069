"""Rules of withdrawn versions in a change: what a revert brings back without meaning it.

The base of a change knows the marks of one tree, the last one that both sides share. A mark that
was taken away before is not known any more, which is why taking one away is told by itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from generator.documents import Document
from generator.promotions import withdrawals
from generator.promotions.withdrawals import Versions, Withdrawal
from generator.rules import Book, Finding, ModelStep
from generator.rules.changes.transitions import listed, live_versions

BOOK = Book("change")

_BACK = BOOK.error(
    "R034",
    "A revert restores what its commit took away, and with it the version that was withdrawn "
    "since: it is live again, and the mark that would have said so is gone.",
    evidence="git/git@Documentation/git-revert.txt",
    remedy="Put `withdrawn` back and make another version the live one. A mark that was a mistake "
    "is taken away in a change of its own, before the version is live.",
)

_UNMARKED = BOOK.warning(
    "R035",
    "Nothing but its mark keeps a withdrawn version from being live: without the mark, or without "
    "the version that carries it, the next promotion or revert may bring it back.",
    evidence="git/git@Documentation/git-revert.txt",
    remedy="Keep the version and its `withdrawn`, unless the withdrawal was a mistake.",
)


def _versions(model: Document) -> Versions:
    versions: Versions = model.data["versions"]
    return versions


def _returned(step: ModelStep) -> dict[str, Withdrawal]:
    """Find the live versions that were withdrawn before the change and are not after it."""
    was, now = _versions(step.before), _versions(step.after)
    found = {}
    for version in live_versions(step.after.data):
        mark = withdrawals.of(was, version, now[version])
        if mark and not withdrawals.of(now, version):
            found[version] = mark
    return found


@_BACK.on_model_step
def _live_again(step: ModelStep) -> Iterator[Finding]:
    if step.before.name != step.after.name:
        return
    live = live_versions(step.after.data)
    for version, mark in _returned(step).items():
        message = (
            f"{mark.told(version, 'was')} until now, and is live in {listed(live[version])} "
            "without the mark"
        )
        instead = withdrawals.instead({**_versions(step.after), **_versions(step.before)})
        hint = (
            f"put the mark back and name {instead}; if it was a mistake, take it away in a change "
            "before this one"
        )
        where = step.after.where("versions", version, key=True)
        yield Finding(message, where, hint)


@_UNMARKED.on_model_step
def _may_be_live_again(step: ModelStep) -> Iterator[Finding]:
    if step.before.name != step.after.name:
        return
    was, now = _versions(step.before), _versions(step.after)
    told = {mark.version for mark in _returned(step).values()}
    for version, entry in was.items():
        is_lost = withdrawals.MARK in entry and not withdrawals.of(now, version, entry)
        if is_lost and version not in told:
            yield _lost(step.after, version, str(entry[withdrawals.MARK]))


def _lost(after: Document, version: str, reason: str) -> Finding:
    if version in after.data["versions"]:
        message = f"{version} was withdrawn until now ({reason}), and may be live again after this"
        hint = "put `withdrawn` back, unless it was a mistake"
        return Finding(message, after.where("versions", version, key=True), hint)
    message = (
        f"{version} was withdrawn ({reason}) and is no version any more: whoever adds it again is "
        "told nothing"
    )
    return Finding(message, after.where("versions", key=True), "keep it with its mark")
