"""What gen makes of a fleet, and whether a contender makes the same.

Files are compared as data, path by path, and objects by group, kind, namespace and name: neither
the order of keys and documents nor the quotes around a text are anybody's business.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from generator import plan
from generator.files import ARGOCD, RENDERED, RenderedFile
from generator.objects import kustomize
from generator.problems import GenError, errors
from generator.subjects import EVERYTHING, Repository

Json = dict[str, Any]
SHOWN = 3
"""Differences that are told one by one."""


def rendered(root: Path) -> Iterator[list[RenderedFile]]:
    """Render a fleet, one list of files for each environment and model. Raises GenError."""
    repository = Repository(root, EVERYTHING)
    for subject in repository.subjects:
        (found,) = repository.rendered([subject])
        wrong = errors(found.problems)
        if wrong:
            raise GenError(wrong)
        yield found.files


def files(root: Path) -> dict[str, Json]:
    """Give the data of every file that gen writes, by path."""
    return {file.path: _plain(file.data) for each in rendered(root) for file in each}


def composed(root: Path) -> Iterator[tuple[str, list[Json]]]:
    """Compose every overlay, with what Argo CD reads of it: its path and its objects.

    The path is `<environment>/<model>`, and `<environment>/_platform` for what is no model's.
    """
    for each in rendered(root):
        yield from _composed({file.path: file for file in each})


def _composed(by_path: dict[str, RenderedFile]) -> Iterator[tuple[str, list[Json]]]:
    applications = [path for path in by_path if path.startswith(f"{ARGOCD}/")]
    for path in by_path:
        parts = path.split("/")
        is_overlay = parts[0] == RENDERED and len(parts) == 4 and parts[1] != "_base"
        if is_overlay and parts[3] == plan.KUSTOMIZATION:
            environment, name = parts[1:3]
            own = [p for p in applications if p.removesuffix(".yaml").split("/")[1] == environment]
            objects = kustomize.composed(by_path, path.rpartition("/")[0])
            yield (
                f"{environment}/{name}",
                [_plain(item) for item in (*objects, *(by_path[p].data for p in own))],
            )


def of_models(root: Path) -> dict[str, Json]:
    """Give the objects of all models, by identity: what the other tools are to make."""
    return by_identity(
        item for path, objects in composed(root) if "/_" not in path for item in objects
    )


def by_identity(objects: Iterable[Json]) -> dict[str, Json]:
    """Index objects by group, kind, namespace and name."""
    return {" ".join(kustomize.identity(item)): item for item in objects}


def _plain(data: Any) -> Any:
    return json.loads(json.dumps(data))


def parsed(path: Path) -> list[Json]:
    """Read all documents of a file of YAML or JSON."""
    return [item for item in yaml.load_all(path.read_bytes(), yaml.CSafeLoader) if item is not None]


def written_files(folder: Path) -> dict[str, Json]:
    """Read the one document of every file below a folder, by path."""
    return {path.relative_to(folder).as_posix(): parsed(path)[0] for path in folder.rglob("*.yaml")}


def written_objects(folder: Path) -> dict[str, Json]:
    """Read all objects below a folder, by identity."""
    found = (item for path in sorted(folder.rglob("*")) if path.is_file() for item in parsed(path))
    return by_identity(found)


def differences(wanted: dict[str, Json], found: dict[str, Json]) -> list[str]:
    """Say what differs: what is missing, what nobody wants, and where two are not equal."""
    missing = [f"missing: {key}" for key in wanted.keys() - found.keys()]
    unwanted = [f"not wanted: {key}" for key in found.keys() - wanted.keys()]
    changed = [
        f"{key}: {_first(wanted[key], found[key], '')}"
        for key in wanted.keys() & found.keys()
        if wanted[key] != found[key]
    ]
    return [*sorted(missing), *sorted(unwanted), *sorted(changed)]


def _first(wanted: Any, found: Any, path: str) -> str:
    """Find the first place where two values differ."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key in sorted(wanted.keys() | found.keys()):
            if wanted.get(key) != found.get(key):
                return _first(wanted.get(key), found.get(key), f"{path}.{key}")
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for index, pair in enumerate(zip(wanted, found, strict=True)):
            if pair[0] != pair[1]:
                return _first(*pair, f"{path}[{index}]")
    return f"{path or 'it'} is {found!r} instead of {wanted!r}"


def write_composed(root: Path, output: Path) -> tuple[int, int]:
    """Write what validators read, one file of several documents an overlay.

    Returns how many files gen would write, and how many objects these make.
    """
    files_count = objects_count = 0
    for each in rendered(root):
        files_count += len(each)
        for path, objects in _composed({file.path: file for file in each}):
            target = output / f"{path}.yaml"
            target.parent.mkdir(parents=True, exist_ok=True)
            text = yaml.dump_all(objects, Dumper=yaml.CSafeDumper, sort_keys=False, width=1000)
            target.write_text(text, "utf-8")
            objects_count += len(objects)
    return files_count, objects_count
