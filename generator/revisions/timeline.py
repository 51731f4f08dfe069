"""Commits of a model's document as periods: which version had which traffic from when to when.

What was live is what stood on the branch itself. A merge stands for all that it brought, on the day
it was merged: that a branch had `traffic: 50` a week before says nothing about the cluster.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from generator import lineage


class Share(NamedTuple):
    """A version that is live, in its role, with its percentage of the requests."""

    version: str
    role: str
    traffic: int


class Broken(NamedTuple):
    """A document that cannot be read, and why."""

    reason: str


Content = dict[str, Any] | Broken | None
"""A document as it was; None where there was none."""


class Revision(NamedTuple):
    """A commit that changed a document."""

    commit: str
    date: str
    author: str
    message: str
    content: Content


Live = tuple[Share, ...] | Broken
"""What is live in an environment; no share at all where nothing is."""


class Period(Struct, frozen=True):
    """How long something was live in an environment, and the commit that made it so.

    `until` is empty for what is live still; `commit`, `author` and `message` are of the beginning.
    """

    environment: str
    live: Live
    since: str
    until: str
    commit: str
    author: str
    message: str

    @property
    def request(self) -> str:
        """The pull request, as `#12`, or merge request, as `!12`; empty if nobody says."""
        return request(self.message)

    @property
    def reverts(self) -> str:
        """The commit that this one reverts; empty if it reverts none."""
        found = _REVERTS.search(self.message)
        return found[1] if found else ""


_REVERTS = re.compile(r"^This reverts commit ([0-9a-f]{7,64})", re.MULTILINE)

_REQUESTS = (
    (re.compile(r"\AMerge pull request #(\d+)\b"), "#"),
    (re.compile(r"\AMerged PR (\d+):"), "#"),
    (re.compile(r"\A[^\n]*\((?:pull request )?#(\d+)\)\s*(?:\n|\Z)"), "#"),
    (re.compile(r"\A[^\n]*\(!(\d+)\)\s*(?:\n|\Z)"), "!"),
    (re.compile(r"^See merge request (?:\S*)!(\d+)\s*$", re.MULTILINE), "!"),
)
"""What GitHub, Azure, Bitbucket and GitLab write into the messages of merges and squashes."""


def request(message: str) -> str:
    """Find the number of the pull or merge request that a commit's message names."""
    for pattern, sign in _REQUESTS:
        found = pattern.search(message)
        if found:
            return f"{sign}{found[1]}"
    return ""


def periods(revisions: Iterable[Revision], environments: Collection[str] = ()) -> list[Period]:
    """Turn revisions, the newest first, into periods of all or some environments, newest first.

    A commit that leaves traffic as it was, whatever else it changed, ends no period.
    """
    latest: dict[str, int] = {}
    found: list[Period] = []
    for revision in reversed(list(revisions)):
        for name, live in _live(revision.content, latest).items():
            if environments and name not in environments:
                continue
            place = latest.get(name)
            if live == (() if place is None else found[place].live):
                continue
            if place is not None:
                found[place] = replace(found[place], until=revision.date)
            latest[name] = len(found)
            found.append(_begun(name, live, revision))
    return found[::-1]


def _live(content: Content, known: Iterable[str]) -> dict[str, Live]:
    """Say what is live in each environment, and that nothing is in those that are gone."""
    if isinstance(content, Broken):
        return dict.fromkeys(known, content)
    gone: dict[str, Live] = {name: () for name in known}
    return gone | {name: shares(block) for name, block in blocks(content).items()}


def sources(periods: Iterable[Period], revisions: Iterable[Revision]) -> dict[str, dict[str, Any]]:
    """Say where each version came from that was live, as the newest commit that knows says it."""
    live = [period.live for period in periods if not isinstance(period.live, Broken)]
    wanted = dict.fromkeys(share.version for shares in reversed(live) for share in shares)
    found: dict[str, dict[str, Any]] = {}
    for revision in revisions:
        for version, source in _sources(revision.content):
            if version in wanted:
                found.setdefault(version, source)
    return {version: found[version] for version in wanted if version in found}


def _sources(content: Content) -> Iterator[tuple[str, dict[str, Any]]]:
    versions = content.get("versions") if isinstance(content, dict) else None
    for version, said in versions.items() if isinstance(versions, dict) else ():
        source = said.get(lineage.KEY) if isinstance(said, dict) else None
        if isinstance(source, dict) and lineage.told(source):
            yield str(version), source


def _begun(environment: str, live: Live, revision: Revision) -> Period:
    return Period(
        environment=environment,
        live=live,
        since=revision.date,
        until="",
        commit=revision.commit,
        author=revision.author,
        message=revision.message,
    )


def blocks(content: Content) -> dict[str, Any]:
    """Read what a document says of each environment, as far as it says anything."""
    found = content.get("environments") if isinstance(content, dict) else None
    return found if isinstance(found, dict) else {}


def shares(block: Any) -> Live:
    """Read which versions a block makes live. A document of former times may follow other rules."""
    if not isinstance(block, dict) or not isinstance(block.get("version"), str | int | float):
        return Broken("it names no version")
    found = list(_canary(block.get("canary")))
    rest = 100 - sum(share.traffic for share in found)
    for role in ("standby", "shadow"):
        version = _named(block.get(role))
        if version is not None:
            found.append(Share(str(version), role, 0))
    return (Share(str(block["version"]), "stable", rest), *found)


def _named(said: Any) -> Any:
    """Read the version that stands alone, or in a block with more about it."""
    return said.get("version") if isinstance(said, dict) else said


def _canary(canary: Any) -> Iterator[Share]:
    if isinstance(canary, dict) and "version" in canary:
        yield Share(str(canary["version"]), "canary", _percent(canary.get("traffic")))


def _percent(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
