"""What starts runs inside of the cluster: a script, what it creates, and what it may do."""

from __future__ import annotations

from generator import scalars
from generator.aspects.training.block import Block
from generator.documents import Json
from generator.training.runs import Creator, Job, Schedule

FOLDER = "/etc/training"
SCRIPT, MANIFEST = "create.sh", "job.yaml"

_RESOURCES = {
    "trainjob": "trainjobs.trainer.kubeflow.org",
    "pytorchjob": "pytorchjobs.kubeflow.org",
}

_OF_ARGO = {
    "apiGroups": ["argoproj.io"],
    "resources": ["workflowtaskresults"],
    "verbs": ["create", "patch"],
}
"""What every Pod of a Workflow needs to tell how it went
(argoproj/argo-workflows@docs/workflow-rbac.md)."""


def schedule(block: Block) -> Schedule | None:
    """Read when runs start by themselves; None if they do not."""
    spec = block.get("schedule") or {}
    if "schedule" not in block.starts:
        return None
    cron = " ".join(spec["cron"].split())
    return Schedule(
        engine=block.engine,
        cron=cron,
        six_fields=f"0 {cron}",
        time_zone=spec.get("timeZone", "Etc/UTC"),
        concurrency=spec.get("concurrency", "Forbid"),
        history=spec.get("history", 3),
    )


def creator(block: Block, job: Job) -> Creator:
    """Make what starts runs of a job, by the clock or because something else asks."""
    spec = block.get("schedule") or {}
    resource = _RESOURCES[block.api]
    variables = {
        "NAMESPACE": block.environment.namespace,
        "RESOURCE": resource,
        "SELECTOR": f"app.kubernetes.io/name={block.ask.model.name},"
        "app.kubernetes.io/component=retraining",
        "MANIFEST": f"{FOLDER}/{MANIFEST}",
        "CONCURRENCY": spec.get("concurrency", "Forbid"),
        "HISTORY": str(spec.get("history", 3)),
    }
    return Creator(
        name=f"{block.ask.model.name}-training",
        image=block.creator,
        folder=FOLDER,
        command=["sh", f"{FOLDER}/{SCRIPT}"],
        env=[{"name": name, "value": value} for name, value in variables.items()],
        rules=_rules(block, resource),
        manifest=scalars.block(_manifest(block, job), "") + "\n",
    )


def _rules(block: Block, resource: str) -> list[Json]:
    """Say what the script may do: see what runs, start one, and remove what is done."""
    plural, _, group = resource.partition(".")
    own = {"apiGroups": [group], "resources": [plural], "verbs": ["create", "delete", "list"]}
    is_workflow = "schedule" in block.starts and block.engine != "cronjob"
    return [own, _OF_ARGO] if is_workflow else [own]


def _manifest(block: Block, job: Job) -> Json:
    return {
        "apiVersion": job.api_version,
        "kind": job.kind,
        "metadata": {
            "generateName": job.prefix,
            "namespace": block.environment.namespace,
            "labels": job.labels,
        },
        "spec": job.spec,
    }
