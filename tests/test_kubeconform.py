"""A second opinion on all that is rendered: kubeconform, offline, with the exported schemas."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import sampled

from generator import yamlio
from generator.objects.object_schemas import SCHEMA_LOCATION, exported

pytestmark = pytest.mark.tools

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = [path.parent for path in sorted(ROOT.glob("rendered/[!_.]*/*/kustomization.yaml"))]
VERSIONS = {
    path.stem: yamlio.load(path.read_text("utf-8"))["cluster"]["kubernetes"]
    for path in sorted(ROOT.glob("environments/*.yaml"))
}

Summary = dict[str, int]
Judge = Callable[[str, str], Summary]


@pytest.fixture(scope="session")
def judge(kubeconform: str, tmp_path_factory: pytest.TempPathFactory) -> Judge:
    """Count what kubeconform says of a stream of objects, for a version of Kubernetes."""
    schemas = tmp_path_factory.mktemp("schemas")
    for path, text in exported(VERSIONS.values()):
        (schemas / path).parent.mkdir(parents=True, exist_ok=True)
        (schemas / path).write_text(text, "utf-8")

    def summary(kubernetes: str, stream: str) -> Summary:
        location = f"{schemas}/{SCHEMA_LOCATION}"
        options = ["-strict", "-summary", "-output=json", f"-kubernetes-version={kubernetes}.0"]
        command = [kubeconform, *options, f"-schema-location={location}"]
        run = subprocess.run(command, input=stream, capture_output=True, text=True, check=False)
        assert not run.stderr, run.stderr
        verdict: dict[str, Any] = json.loads(run.stdout)
        for resource in verdict["resources"]:
            print(resource["kind"], resource["name"], resource["msg"])  # noqa: T201 shown on failure
        return {key: count for key, count in verdict["summary"].items() if count}

    return summary


def build(kustomize: str, folder: Path) -> str:
    run = subprocess.run([kustomize, "build", folder], capture_output=True, text=True, check=True)
    return run.stdout


@pytest.mark.parametrize("folder", sampled(FOLDERS, 3), ids=lambda path: "/".join(path.parts[-2:]))
def test_every_object_of_a_folder_is_valid(kustomize: str, judge: Judge, folder: Path) -> None:
    stream = build(kustomize, folder)

    assert judge(VERSIONS[folder.parent.name], stream) == {"valid": stream.count("\n---\n") + 1}


def test_every_object_of_argocd_is_valid(judge: Judge, repository: Path) -> None:
    texts = [path.read_text("utf-8") for path in sorted(repository.glob("argocd/**/*.yaml"))]

    assert texts
    assert judge(max(VERSIONS.values()), "\n---\n".join(texts)) == {"valid": len(texts)}


@pytest.mark.parametrize("planted", ["spec.replica", "metadata.label"])
def test_an_unknown_field_is_refused(judge: Judge, planted: str) -> None:
    section, field = planted.split(".")
    item: dict[str, Any] = {
        "apiVersion": "kueue.x-k8s.io/v1beta2",
        "kind": "ResourceFlavor",
        "metadata": {"name": "a"},
        "spec": {},
    }
    assert judge("1.35", json.dumps(item)) == {"valid": 1}

    item[section][field] = 1

    assert judge("1.35", json.dumps(item)) == {"invalid": 1}


def test_an_unknown_kind_is_an_error_and_no_silent_pass(judge: Judge) -> None:
    item = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "a"}}

    assert judge("1.35", json.dumps(item)) == {"errors": 1}
