"""What the last run proved, so that an unchanged model is not rendered again.

Everything is by content: a subject is unchanged if the bytes of its document, of whatever all
subjects share, and of its own output are those of the last run. A state that is lost, damaged, from
another version or made elsewhere is no state: the run takes longer and comes to the same result.
Only the standard library is imported here, because a run that changes nothing needs no more.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NoReturn

from generator import __version__
from generator.compiled import installed
from generator.digests import contents, digest, read
from generator.tickets import Tickets, parts

_FORMAT = 8
_WORTH_A_FORK = 100
"""Subjects for which one more process costs less than it takes off looking at their files."""
_PART = 16
"""Subjects that a process looks at before it asks for more."""

_NAME = "*"
"""Stands for the subject's name in a layout; no name has one."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What is known of one subject: digests of its document and of its output, and the counts.

    `layout` is the paths of its files with the name left out, one to a line; `entries` counts what
    its own folders hold, folders included. `claims` and `needs` are those of `fleet`, `demands` is
    what its Pods ask for. After the day `until`, the rules may say something else: the proof is
    none.
    """

    source: str
    output: str
    layout: str
    releases: int
    objects: int
    warnings: int
    entries: int
    claims: bytes
    demands: str = ""
    silenced: int = 0
    until: str = ""
    needs: bytes = b""

    def paths(self, name: str) -> list[str]:
        """List the subject's files."""
        return self.layout.replace(_NAME, name).splitlines()

    def own(self, name: str) -> list[str]:
        """List what is the subject's alone: folders, and files in folders that all share."""
        return [root.replace(_NAME, name) for root in _own(self.layout)]

    @property
    def files(self) -> int:
        """How many files the subject has."""
        return len(self.layout.splitlines())


@dataclass(slots=True)
class State:
    """The proofs of all subjects by their document's path, valid while `shared` is the same.

    `together` counts the warnings of all subjects together.
    """

    shared: str
    together: int = 0
    proofs: dict[str, Proof] = field(default_factory=dict)


def layout(paths: Iterable[str], name: str) -> str:
    """Write paths with the subject's name left out, so that most subjects share one layout."""
    return "\n".join(paths).replace(name, _NAME)


def is_intact(root: str, name: str, proof: Proof) -> bool:
    """Say whether a subject's files are byte for byte what they were, and no others beside them."""
    paths = proof.paths(name)
    try:
        if digest(read(f"{root}/{path}") for path in paths) != proof.output:
            return False
        own = dict.fromkeys(path.rpartition("/")[0] for path in paths if path.count("/") > _SHARED)
        return sum(len(os.listdir(f"{root}/{folder}")) for folder in own) == proof.entries
    except OSError:
        return False


_SHARED = 2
"""Slashes up to which a folder is not a subject's own: argocd/<environment>/<file>."""


@lru_cache(256)
def _own(layout: str) -> list[str]:
    """Say of a layout what `Proof.own` says of a subject."""
    paths = ("/".join(path.split("/")[: _SHARED + 1]) for path in layout.splitlines())
    return list(dict.fromkeys(paths))


@lru_cache(256)
def entries(layout: str) -> int:
    """Count what stands in a subject's own folders if its files are all there is."""
    found: set[str] = set()
    for path in layout.splitlines():
        while path.count("/") > _SHARED:
            found.add(path)
            path = path.rpartition("/")[0]
    return len(found)


def place(cache: Path, root: Path) -> Path:
    """Name the file that holds the state of a repository, in the user's cache."""
    return cache / f"{sha256(str(root.resolve()).encode()).hexdigest()[:24]}.json"


def load(path: Path) -> State | None:
    """Read a state; None unless it is whole and of this version."""
    try:
        body, _, checksum = read(str(path)).rpartition(b"\n")
        if checksum.decode() != sha256(body).hexdigest():
            return None
        lines = body.split(b"\n")
        form, digest_of_shared, together, layouts = json.loads(lines[0])
        if form != [_FORMAT, __version__]:
            return None
        return State(digest_of_shared, together, dict(_proof(line, layouts) for line in lines[1:]))
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


def _proof(line: bytes, layouts: list[str]) -> tuple[str, Proof]:
    subject, source, output, layout, counts, claims, demands, until, needs = json.loads(line)
    releases, objects, warnings, entries, silenced = counts
    return subject, Proof(
        source=source,
        output=output,
        layout=layouts[layout],
        releases=releases,
        objects=objects,
        warnings=warnings,
        entries=entries,
        claims=bytes.fromhex(claims),
        demands=demands,
        silenced=silenced,
        until=until,
        needs=bytes.fromhex(needs),
    )


def save(path: Path, state: State) -> None:
    """Write a state whole or not at all; a cache that cannot be written is no problem."""
    temporary = path.with_suffix(f".{os.getpid()}")
    hashed = sha256()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            for number, line in enumerate(_lines(state)):
                written = b"\n" + line if number else line
                hashed.update(written)
                file.write(written)
            file.write(f"\n{hashed.hexdigest()}".encode())
        temporary.replace(path)
    except OSError:
        return


def _lines(state: State) -> Iterator[bytes]:
    """Write the form, then a line per proof, so that it is never in memory as a whole."""
    layouts = dict.fromkeys(proof.layout for proof in state.proofs.values())
    order = {text: index for index, text in enumerate(layouts)}
    yield _line([[_FORMAT, __version__], state.shared, state.together, list(order)])
    for subject, proof in state.proofs.items():
        counts = proof.releases, proof.objects, proof.warnings, proof.entries, proof.silenced
        layout, claims, demands = order[proof.layout], proof.claims.hex(), proof.demands
        line = [subject, proof.source, proof.output, layout, counts, claims, demands, proof.until]
        yield _line([*line, proof.needs.hex()])


def _line(content: list[Any]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()


class Memory:
    """What a run may rely on from the last one, and what it leaves for the next.

    Both are nothing where a file that all subjects share cannot be read: whoever needs it says so.
    """

    def __init__(self, root: Path, cache: Path, today: str) -> None:
        self._root = str(root)
        self._today = today
        self._place = place(cache, root)
        self._shared = _shared(root)
        previous = load(self._place) if self._shared else None
        is_valid = previous is not None and previous.shared == self._shared
        self._known = previous.proofs if previous is not None and is_valid else {}
        self._together = previous.together if previous is not None else 0
        self._next = State(self._shared)
        self._layouts: dict[str, str] = {}
        self._same: dict[str, bool] = {}
        self._parts: Sequence[Sequence[str]] = ()
        self._tickets: Tickets | None = None
        self._helpers: list[_Helper] = []

    def source(self, document: str) -> str:
        """Digest a subject's document as it is now; empty if it cannot be read."""
        try:
            return digest([read(f"{self._root}/{document}")])
        except OSError:
            return ""

    def begin(self, jobs: int) -> None:
        """Let other processes look at the output, while this one does something else."""
        self._parts = parts(list(self._known), _PART)
        self._tickets = Tickets(len(self._parts))
        most = len(self._known) // _WORTH_A_FORK if hasattr(os, "fork") else 0
        for _ in range(min(jobs - 1, most)):
            self._helpers.append(_Helper(self._looked_at))

    def proven(self, documents: Iterable[str], jobs: int) -> dict[str, Proof]:
        """Return what is known of subjects, by document, that have not changed at all.

        What a helper looked at that died is not proven.
        """
        if self._tickets is None:
            self.begin(jobs)
        intact = {*self._looked_at(), *(each for helper in self._helpers for each in helper.told())}
        return {document: self._known[document] for document in documents if document in intact}

    def _looked_at(self) -> Iterator[str]:
        """Name what is proven of the parts that nobody else has taken."""
        for number in self._tickets or ():
            yield from filter(self._is_proven, self._parts[number])

    def _is_proven(self, document: str) -> bool:
        known, name = self._known[document], _subject(document)
        is_over = bool(known.until) and known.until < self._today
        same = not is_over and self._is_same(document, known)
        return same and is_intact(self._root, name, known)

    def close(self) -> None:
        """Let nobody look at anything any more."""
        for helper in self._helpers:
            helper.end()
        if self._tickets is not None:
            self._tickets.close()

    def _is_same(self, document: str, known: Proof) -> bool:
        """Say whether a document is as it was, which is looked up once."""
        if document not in self._same:
            self._same[document] = known.source == self.source(document)
        return self._same[document]

    def remember(self, document: str, proof: Proof) -> None:
        """Keep a proof for the next run; most subjects share one layout."""
        layout = self._layouts.setdefault(proof.layout, proof.layout)
        is_shared = layout is proof.layout
        self._next.proofs[document] = proof if is_shared else replace(proof, layout=layout)

    def warned_together(self, count: int) -> None:
        """Keep how many warnings there are of all subjects together."""
        self._next.together = count

    def save(self) -> None:
        """Leave what was remembered for the next run, if it is anything new."""
        is_new = (self._next.together, self._next.proofs) != (self._together, self._known)
        if self._shared and is_new:
            save(self._place, self._next)

    def unchanged(self, jobs: int) -> Summary | None:
        """Sum up the last run if all subjects are exactly as they were; None if there is work.

        Then the output is being looked at already by other processes.
        """
        documents = _documents(self._root)
        self.begin(jobs)
        if not documents or set(documents) != self._known.keys():
            return None
        if not all(self._is_same(document, known) for document, known in self._known.items()):
            return None  # and a fleet's output need not be read to learn that
        found = self.proven(documents, jobs).values()
        if len(found) < len(documents):
            return None
        return Summary(
            releases=sum(proof.releases for proof in found),
            objects=sum(proof.objects for proof in found),
            warnings=self._together + sum(proof.warnings for proof in found),
            silenced=sum(proof.silenced for proof in found),
            files=sum(proof.files for proof in found),
        )


class _Helper:
    """Another process that looks at its share of the output."""

    def __init__(self, look: Callable[[], Iterable[str]]) -> None:
        self._pipe, writing = os.pipe()
        self._process = os.fork()
        if not self._process:
            os.close(self._pipe)
            _tell(look, writing)
        os.close(writing)

    def told(self) -> list[str]:
        """Wait for what it found."""
        with os.fdopen(os.dup(self._pipe), "rb") as pipe:
            found = pipe.read().decode().split("\n")
        os.waitpid(self._process, 0)
        self._process = 0
        return found

    def end(self) -> None:
        """End it, if nobody waits for it any more."""
        os.close(self._pipe)
        if self._process:
            os.kill(self._process, signal.SIGKILL)
            os.waitpid(self._process, 0)


def _tell(look: Callable[[], Iterable[str]], writing: int) -> NoReturn:
    """Be the other process: name what is proven, and never return."""
    try:
        found = "\n".join(look())
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(found.encode())
    finally:
        os._exit(0)


@dataclass(frozen=True, slots=True)
class Summary:
    """A run that changed nothing, in numbers."""

    releases: int
    objects: int
    warnings: int
    silenced: int
    files: int


def _shared(root: Path) -> str:
    """Digest what every subject depends on: gen itself, environments, own templates and schemas.

    Empty if any of it cannot be read.
    """
    folders = [root / "environments", root / "templates", root / "schemas"]
    try:
        return digest([installed(), *contents(folders)])
    except OSError:
        return ""


def _documents(root: str) -> list[str]:
    """List the documents of the subjects; none if a folder cannot be listed."""
    try:
        return [
            f"{folder}/{name}"
            for folder in ("environments", "models")
            for name in os.listdir(f"{root}/{folder}")
            if not name.startswith(".")
        ]
    except OSError:
        return []


def _subject(document: str) -> str:
    """Name the subject of a document."""
    return document.rpartition("/")[2].removesuffix(".yaml")
