"""What is written once on a file system before anything is timed, and the folders of the runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from benchmarks import fleet, objects
from generator.objects import object_schemas

Item = TypeVar("Item")

KUBERNETES = "1.35"
BUILT_IN = ("Deployment", "HorizontalPodAutoscaler", "Service", "ServiceAccount")
"""The kinds of a model's objects that Kubernetes brings itself."""
SAMPLE = 60
"""Files that stand for all of built-in kinds."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the runs read and none of them changes, and how much gen makes of it."""

    folder: Path
    models: int
    files: int = 0
    objects: int = 0
    built_in_total: int = 0

    @property
    def specs(self) -> Path:
        """The models and environments."""
        return self.folder / "specs"

    @property
    def composed(self) -> Path:
        """The composed objects, a file an overlay."""
        return self.folder / "composed"

    @property
    def built_in(self) -> Path:
        """A sample of composed objects of built-in kinds, a file each."""
        return self.folder / "built-in"

    @property
    def schemas(self) -> Path:
        """All schemas, as kubeconform reads them."""
        return self.folder / "schemas"

    @property
    def kapitan(self) -> Path:
        """The fleet as a Kapitan project, where there is one."""
        return self.folder / "kapitan"


@dataclass(frozen=True, slots=True)
class Round:
    """The folder of one round, new and empty, and what was prepared on the same file system."""

    folder: Path
    prepared: Prepared

    def path(self, name: str) -> Path:
        """Name something within the round's folder."""
        return self.folder / name


def prepare(folder: Path, models: int) -> Prepared:
    """Write a fleet's specs, its composed objects and the schemas."""
    prepared = Prepared(folder, models)
    fleet.write(prepared.specs, models)
    counts = objects.write_composed(prepared.specs, prepared.composed)
    for path, text in object_schemas.exported([KUBERNETES]):
        target = prepared.schemas / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
    return Prepared(folder, models, *counts, _write_built_in(prepared))


def _write_built_in(prepared: Prepared) -> int:
    found = [
        item
        for path in sorted(prepared.composed.rglob("*.yaml"))
        for item in objects.parsed(path)
        if item["kind"] in BUILT_IN
    ]
    prepared.built_in.mkdir()
    for index, item in enumerate(spread(found, SAMPLE)):
        (prepared.built_in / f"{index:03}.yaml").write_text(fleet.text(item), "utf-8")
    return len(found)


def spread(items: list[Item], count: int) -> list[Item]:
    """Choose so many items, evenly; all of them if there are not more."""
    count = min(count, len(items))
    return [items[len(items) * index // count] for index in range(count)]
