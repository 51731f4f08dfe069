"""Argo CD as it reads what gen renders: checks in Lua, templates of Go, a plugin's command."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers import gen

from generator.reports import health
from generator.values import cron

ROOT = Path(__file__).resolve().parents[1]
CASE = ROOT / "tests" / "cases" / "valid" / "everything-argocd"
PLUGIN = ROOT / "examples" / "argocd-plugin"

Json = dict[str, Any]


# Health checks, run by Lua 5.1 without a library, as Argo CD does


def judged(kind: str, **item: Any) -> tuple[str, str]:
    lua51 = pytest.importorskip("lupa.lua51")
    lua = lua51.LuaRuntime(register_eval=False, register_builtins=False)
    for library in ("string", "io", "os", "math", "debug", "package", "require", "python"):
        lua.globals()[library] = None
    lua.globals()["obj"] = lua.table_from(item, recursive=True)
    found = lua.execute(health.check(kind))
    return found["status"], found["message"]


def conditions(*found: tuple[str, str] | tuple[str, str, str], seen: int = 2) -> list[Json]:
    return [
        {
            "type": each[0],
            "status": each[1],
            "reason": each[2] if len(each) > 2 else "Because",
            "message": "said so",
            "observedGeneration": seen,
        }
        for each in found
    ]


def status(*found: Any, seen: int = 2) -> Json:
    return {"metadata": {"generation": 2}, "status": {"conditions": conditions(*found, seen=seen)}}


STALE = {"seen": 1}
TRAIN = "trainer.kubeflow.org_TrainJob"
QUEUE, LOCAL = "kueue.x-k8s.io_ClusterQueue", "kueue.x-k8s.io_LocalQueue"
WORKLOAD, LWS = "kueue.x-k8s.io_Workload", "leaderworkerset.x-k8s.io_LeaderWorkerSet"
LLM, GRAPH = "serving.kserve.io_LLMInferenceService", "serving.kserve.io_InferenceGraph"
TORCH, VOLCANO = "kubeflow.org_PyTorchJob", "batch.volcano.sh_Job"

HEALTH: tuple[tuple[str, Json, str], ...] = (
    (TRAIN, status(("Complete", "True")), "Healthy"),
    (TRAIN, status(("Suspended", "False"), ("Complete", "True")), "Healthy"),
    (TRAIN, status(("Failed", "True")), "Degraded"),
    (TRAIN, status(("Suspended", "True")), "Suspended"),
    (TRAIN, {"spec": {"suspend": True}}, "Suspended"),
    (TRAIN, status(("Suspended", "False")), "Progressing"),
    (TRAIN, status(("Suspended", "True"), **STALE), "Progressing"),
    ("jobset.x-k8s.io_JobSet", status(("Completed", "True")), "Healthy"),
    (TORCH, status(("Running", "False"), ("Succeeded", "True")), "Healthy"),
    (TORCH, {"spec": {"runPolicy": {"suspend": True}}}, "Suspended"),
    (VOLCANO, {"status": {"state": {"phase": "Completed"}}}, "Healthy"),
    (VOLCANO, {"status": {"state": {"phase": "Failed", "message": "no"}}}, "Degraded"),
    (VOLCANO, {"status": {"state": {"phase": "Running"}}}, "Progressing"),
    (QUEUE, status(("Active", "True")), "Healthy"),
    (QUEUE, status(("Active", "False", "FlavorNotFound")), "Degraded"),
    (QUEUE, status(("Active", "False", "Stopped")), "Suspended"),
    (QUEUE, {"spec": {"stopPolicy": "Hold"}, **status(("Active", "True"))}, "Suspended"),
    (QUEUE, {"spec": {"stopPolicy": "None"}, **status(("Active", "True"))}, "Healthy"),
    (QUEUE, status(("Active", "True"), **STALE), "Progressing"),
    (LOCAL, status(("Active", "Unknown")), "Progressing"),
    (LOCAL, status(("Active", "False", "ClusterQueueIsInactive")), "Degraded"),
    (WORKLOAD, status(("QuotaReserved", "True"), ("Admitted", "True")), "Healthy"),
    (WORKLOAD, status(("QuotaReserved", "False", "Pending")), "Suspended"),
    (WORKLOAD, status(("QuotaReserved", "False", "Inadmissible")), "Degraded"),
    (WORKLOAD, status(("Finished", "True", "Failed")), "Degraded"),
    (WORKLOAD, status(("Finished", "True", "Succeeded")), "Healthy"),
    (LWS, status(("Available", "True"), ("UpdateInProgress", "False")), "Healthy"),
    (LWS, status(("Available", "True"), ("UpdateInProgress", "True")), "Progressing"),
    (LWS, status(("Progressing", "True"), ("Available", "False")), "Progressing"),
    (LLM, status(("Ready", "True")), "Healthy"),
    (LLM, status(("Ready", "True"), **STALE), "Progressing"),
    (LLM, status(("Ready", "False"), ("WorkloadsReady", "False")), "Progressing"),
    (LLM, status(("Ready", "False"), ("MainWorkloadReady", "False", "Stopped")), "Suspended"),
    (LLM, status(("Ready", "False"), ("PresetsCombined", "False")), "Degraded"),
    (
        LLM,
        status(("Ready", "False"), ("MainWorkloadReady", "False", "ProgressDeadlineExceeded")),
        "Degraded",
    ),
    (GRAPH, status(("Ready", "True")), "Healthy"),
    (GRAPH, status(("Ready", "False")), "Degraded"),
    (GRAPH, status(("Ready", "Unknown")), "Progressing"),
    (GRAPH, status(("Ready", "False"), ("Stopped", "True")), "Suspended"),
)


@pytest.mark.parametrize(("kind", "item", "wanted"), HEALTH)
def test_health_of_an_object(kind: str, item: Json, wanted: str) -> None:
    assert judged(kind, **item)[0] == wanted


@pytest.mark.parametrize("kind", health.CHECKS)
def test_what_no_controller_has_seen_makes_progress(kind: str) -> None:
    samples: tuple[Json, ...] = ({}, {"status": {}}, {"metadata": {"generation": 1}})
    for item in samples:
        assert judged(kind, **item)[0] == "Progressing"


@pytest.mark.parametrize("kind", health.CHECKS)
def test_what_is_deleted_makes_progress(kind: str) -> None:
    item = {**status(("Ready", "True"), ("Active", "True")), "spec": {}}
    item["metadata"] = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
    assert judged(kind, **item)[0] == "Progressing"


def test_a_message_says_why() -> None:
    found = judged(QUEUE, **status(("Active", "False", "FlavorNotFound")))
    assert found == ("Degraded", "said so")


def test_the_part_of_argocd_cm_is_a_config_map_of_those_keys() -> None:
    said = yaml.safe_load(gen("argocd", "settings", "--namespace", "argo", root=ROOT).out)
    assert said["metadata"]["namespace"] == "argo"
    assert said["metadata"]["name"] == "argocd-cm"
    checks = {key for key in said["data"] if ".health." in key}
    assert checks == {f"resource.customizations.health.{kind}" for kind in health.CHECKS}
    assert said["data"][f"resource.customizations.health.{TRAIN}"] == health.check(TRAIN)
    (types,) = (value for key, value in said["data"].items() if ".knownTypeFields." in key)
    assert {field["type"] for field in yaml.safe_load(types)} == {"core/v1/ResourceRequirements"}


# The ApplicationSet makes what the Applications would be


def placed(text: str, values: Json) -> str:
    """Fill what the template of an ApplicationSet uses of Go's language."""

    def fill(found: re.Match[str]) -> str:
        value: Any = values
        for step in found["path"].strip(".").split("."):
            value = value[step]
        return json.dumps(value) if found["json"] else str(value)

    return re.sub(r"\{\{ (?P<json>toJson )?(?P<path>[.\w]+) \}\}", fill, text)


def patched(under: Any, over: Any) -> Any:
    if not (isinstance(under, dict) and isinstance(over, dict)):
        return over
    return {**under, **{key: patched(under.get(key), value) for key, value in over.items()}}


def made(folder: Path, name: str) -> Iterator[tuple[Json, Json]]:
    """Give each Application that an ApplicationSet makes, and the file that it was made of."""
    spec = yaml.safe_load((folder / f"{name}/applicationset.yaml").read_text())["spec"]
    (generator,) = spec["generators"]
    (file,) = generator["git"]["files"]
    for path in sorted(folder.parent.glob(file["path"])):
        values = yaml.safe_load(path.read_text())
        template = yaml.safe_load(placed(json.dumps(spec["template"]), values))
        yield patched(template, yaml.safe_load(placed(spec["templatePatch"], values))), values


def test_an_application_set_makes_the_applications_that_are_rendered() -> None:
    found = list(made(CASE / "expected" / "argocd", "production"))
    assert [file["metadata"]["name"] for _, file in found] == [
        "production-churn",
        "production-fraud",
    ]
    for application, file in found:
        assert application["spec"] == file["spec"]
        assert application["metadata"] == {
            key: value for key, value in file["metadata"].items() if key != "namespace"
        }


def test_the_root_leaves_out_what_the_application_set_reads() -> None:
    root = yaml.safe_load((CASE / "expected/argocd/production.yaml").read_text())
    excluded = root["spec"]["source"]["directory"]["exclude"]
    folder = CASE / "expected" / "argocd" / "production"
    names = {path.name for path in folder.glob(excluded)}
    assert names == {"application-churn.yaml", "application-fraud.yaml"}


# Schedules


@pytest.mark.parametrize(
    ("schedule", "opened"),
    [
        ("0 8 * * 1-5", 262),
        ("@monthly", 12),
        ("0 0 13 * FRI", 62),
        ("0 0 29 2 *", 1),
        ("0 0 1 jan,jul ?", 2),
        ("30 */6 * * *", 4 * 366),
    ],
)
def test_how_often_a_window_opens_in_a_leap_year(schedule: str, opened: int) -> None:
    assert len(cron.open_in(schedule, 60)) == opened


def test_windows_that_touch_are_one() -> None:
    assert cron.open_in("0 * * * *", 3600) == [(0, cron.YEAR)]
    assert cron.without([(0, 10)], [(2, 3), (5, 12)]) == [(0, 2), (3, 5)]


# Rendering inside of Argo CD


def plugin() -> Json:
    spec: Json = yaml.safe_load((PLUGIN / "plugin.yaml").read_text())["spec"]
    return spec


def ran(command: Json, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{ROOT / '.tools' / 'bin'}"
    return subprocess.run(
        [*command["command"], *command.get("args", ())],
        cwd=cwd,
        env={"PATH": f"{path}{os.pathsep}{os.environ['PATH']}", "HOME": str(cwd), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    for folder in ("models", "environments"):
        shutil.copytree(CASE / folder, tmp_path / folder)
    return tmp_path


def test_a_plugin_finds_a_repository_of_models(specs: Path, tmp_path: Path) -> None:
    found = ran(plugin()["discover"]["find"], specs)
    assert found.returncode == 0
    assert found.stdout.strip()
    (tmp_path / "elsewhere").mkdir()
    assert not ran(plugin()["discover"]["find"], tmp_path / "elsewhere").stdout.strip()


@pytest.mark.tools
def test_a_plugin_generates_what_is_committed_otherwise(specs: Path) -> None:
    model = ran(
        plugin()["generate"], specs, ARGOCD_ENV_GEN_ENV="production", ARGOCD_ENV_GEN_MODEL="fraud"
    )
    assert model.returncode == 0, model.stderr
    kinds = [item["kind"] for item in yaml.safe_load_all(model.stdout)]
    assert sorted(kinds) == ["HTTPRoute", "InferenceService", "InferenceService"]
    platform = ran(plugin()["generate"], specs, ARGOCD_ENV_GEN_ENV="production")
    assert [item["kind"] for item in yaml.safe_load_all(platform.stdout)] == ["Namespace"]


@pytest.mark.tools
@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"ARGOCD_ENV_GEN_ENV": "nowhere"},
        {"ARGOCD_ENV_GEN_ENV": "production", "ARGOCD_ENV_GEN_MODEL": "nobody"},
        {"ARGOCD_ENV_GEN_ENV": "../production"},
    ],
)
def test_a_plugin_fails_rather_than_generating_nothing(specs: Path, asked: dict[str, str]) -> None:
    found = ran(plugin()["generate"], specs, **asked)
    assert found.returncode != 0
    assert not found.stdout
    assert found.stderr


def test_the_plugin_is_mounted_where_argo_cd_looks_for_it() -> None:
    patch = yaml.safe_load((PLUGIN / "repo-server-patch.yaml").read_text())
    (sidecar,) = patch["spec"]["template"]["spec"]["containers"]
    assert sidecar["command"] == ["/var/run/argocd/argocd-cmp-server"]
    assert sidecar["securityContext"]["runAsUser"] == 999
    mounts = {mount["mountPath"]: mount["name"] for mount in sidecar["volumeMounts"]}
    assert "/home/argocd/cmp-server/config/plugin.yaml" in mounts
    kustomization = yaml.safe_load((PLUGIN / "kustomization.yaml").read_text())
    assert kustomization["configMapGenerator"][0]["files"] == ["plugin.yaml"]
