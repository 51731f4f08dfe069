"""What the last run proved, so that an unchanged model is not rendered again.

Everything is by content: a subject is unchanged if the bytes of its document, of whatever all
subjects share, and of its own output are those of the last run. A state that is lost, damaged, from
another version or made elsewhere is no state: the run takes longer and comes to the same result.
Only the standard library is imported here, because a run that changes nothing needs no more.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NoReturn

from generator import __version__
from generator.compiled import installed
from generator.digests import contents, digest, read

_FORMAT = 8
_WORTH_A_FORK = 100
"""Subjects below which a second process would cost more than looking at their files."""

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

    def source(self, document: str) -> str:
        """Digest a subject's document as it is now; empty if it cannot be read."""
        try:
            return digest([read(f"{self._root}/{document}")])
        except OSError:
            return ""

    def proven(self, documents: Mapping[str, str], jobs: int) -> dict[str, Proof]:
        """Return what is known of subjects, name by document, that have not changed at all.

        Two processes look at half of them each. If the other one dies, its half is not proven.
        """
        items = list(documents.items())
        if not self._known or jobs < 2 or len(items) < _WORTH_A_FORK or not hasattr(os, "fork"):
            return self._proven(items)
        reading, writing = os.pipe()
        process = os.fork()
        if not process:
            self._tell(items[1::2], writing)
        os.close(writing)
        found = self._proven(items[::2])
        with os.fdopen(reading, "rb") as pipe:
            told = pipe.read().decode().split("\n")
        os.waitpid(process, 0)
        return found | {document: self._known[document] for document in told if document}

    def _tell(self, items: Sequence[tuple[str, str]], writing: int) -> NoReturn:
        """Be the other process: name what is proven, and never return."""
        try:
            with os.fdopen(writing, "wb") as pipe:
                pipe.write("\n".join(self._proven(items)).encode())
        finally:
            os._exit(0)

    def _proven(self, items: Iterable[tuple[str, str]]) -> dict[str, Proof]:
        found = {document: self._proof(document, name) for document, name in items}
        return {document: proof for document, proof in found.items() if proof is not None}

    def _proof(self, document: str, name: str) -> Proof | None:
        known = self._known.get(document)
        if known is None or not self._is_same(document, known):
            return None
        if known.until and known.until < self._today:
            return None
        return known if is_intact(self._root, name, known) else None

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
        """Sum up the last run if nothing has changed since; None if there is anything to do."""
        documents = _documents(self._root)
        if not documents or documents.keys() != self._known.keys():
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


def _documents(root: str) -> dict[str, str]:
    """Name the subjects by their documents; nothing if a folder cannot be listed."""
    try:
        return {
            f"{folder}/{name}": name.removesuffix(".yaml")
            for folder in ("environments", "models")
            for name in os.listdir(f"{root}/{folder}")
            if not name.startswith(".")
        }
    except OSError:
        return {}
