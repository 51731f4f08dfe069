"""What Kustomize builds of each overlay, and what Argo CD reads, by clusters' own definitions."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from helpers import sampled

from generator.objects import object_schemas

from . import crds

ROOT = Path(__file__).parents[2]
TREES = (ROOT, *sorted((ROOT / "tests" / "cases" / "valid").glob("*/expected")))
FOLDERS = [
    path.parent
    for tree in TREES
    for path in sorted(tree.glob("rendered/*/*/kustomization.yaml"))
    if path.parent.parent.name != "_base"
]
APPLICATIONS = [path for tree in TREES for path in sorted(tree.glob("argocd/**/*.yaml"))]
UNDEFINED = ("Kustomization", "ScheduledWorkflow")
CUSTOM = {kind for kind in object_schemas.own_kinds() if kind[1] not in UNDEFINED}
FORMER = ("podSpecOverrides", "podTemplateOverrides")
"""Fields of TrainJobs before Kubeflow Trainer 2.2, which is older than the definition at hand."""


@cache
def _judge(shared: Path, api_version: str, kind: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(crds.judge(shared, api_version, kind))


def _refused(shared: Path, objects: list[dict[str, Any]]) -> list[str]:
    """List what a cluster's own definition refuses, of the kinds that have one."""
    return [
        f"{item['kind']} {item['metadata']['name']}: {error.message}"
        for item in objects
        if (item["apiVersion"], item["kind"]) in CUSTOM
        for error in _judge(shared, item["apiVersion"], item["kind"]).iter_errors(_now(item))
    ]


def _now(item: dict[str, Any]) -> dict[str, Any]:
    """Leave out what only an older version than the definition's knows."""
    if item["kind"] != "TrainJob":
        return item
    return {**item, "spec": {key: each for key, each in item["spec"].items() if key not in FORMER}}


def _label(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("folder", sampled(FOLDERS, 16), ids=_label)
def test_a_cluster_knows_every_object_of_an_overlay(
    shared: Path, kustomize: str, folder: Path
) -> None:
    built = subprocess.run([kustomize, "build", folder], capture_output=True, text=True, check=True)
    objects = list(yaml.load_all(built.stdout, yaml.CSafeLoader))

    assert objects
    assert not _refused(shared, objects)


def test_argo_cd_knows_every_application_and_project(shared: Path) -> None:
    objects = [yaml.load(path.read_text("utf-8"), yaml.CSafeLoader) for path in APPLICATIONS]

    assert objects
    assert not _refused(shared, objects)
