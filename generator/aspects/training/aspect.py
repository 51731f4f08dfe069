"""Training as an aspect: a TrainJob per run, and what starts runs by itself.

What a run is, is its name: the same spec renders the same object, and another spec another one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from generator.aspects.contract import Ask, Aspect, Kind, Piece
from generator.aspects.training import asked, manifests, retraining
from generator.aspects.training.block import NAME, Block
from generator.documents import Json
from generator.inventory.records import Environment
from generator.problems import Problem
from generator.queues import demand
from generator.records import Release
from generator.training.runs import PodSet, Training
from generator.training.runtimes import LAUNCHER, NODE, TrainingRuntime
from generator.values import quantities

_PYTORCH = TrainingRuntime("", "torch", ("worker",))
"""The names that the operator before Trainer gives: its Pods are called like steps."""


class TrainingAspect(Aspect):
    """The block `training`."""

    name = NAME

    def problems(self, ask: Ask) -> Iterator[Problem]:
        """Find what is asked for and not there."""
        yield from asked.problems(Block(ask))

    def facts(self, ask: Ask) -> Training | None:
        """Resolve the block; None if it starts nothing here."""
        block = Block(ask)
        if not block.is_of_the_model or not block.starts:
            return None
        return _training(block)

    def files(self, release: Release, facts: Any) -> Iterator[Piece]:
        """List the run, the runtime of its own, and what starts other runs."""
        training: Training = facts
        if training.runtime_template is not None:
            yield _piece("training-runtime", {"runtime_annotations": _first(training)})
        if training.run is not None:
            kind = "train-job" if training.api == "trainjob" else "pytorch-job"
            yield _piece(kind, {"run": training.run})
        if training.creator is not None:
            for kind in ("config-map", "service-account", "role", "role-binding"):
                yield Piece(f"{kind}-training.yaml", f"overlay/training/{kind}.yaml.j2")
        if training.schedule is not None:
            kind = _STARTERS[training.schedule.engine]
            yield Piece(f"{kind}-training.yaml", f"overlay/training/{kind}.yaml.j2")

    def kinds(self, environment: Environment) -> tuple[Kind, ...]:
        """List what may be rendered where the systems are there, and what starts runs by itself."""
        platform = environment.document.data["platform"]
        creators = ((platform.get(system) or {}).get("creator") for system in _OPERATORS)
        found = [kind for system, kind in _RUNS if system in platform]
        if "trainer" in platform and "volcano" in platform:
            found.append(Kind("trainer.kubeflow.org", "TrainingRuntime"))
        if any(creators):
            found += [*_CREATES, *(kind for system, kind in _ENGINES if system in platform)]
        return tuple(found)

    def environment_problems(self, environment: Environment) -> Iterator[Problem]:
        """Find runtimes that are like nothing."""
        yield from asked.of_environment(environment)

    def platform(self, environment: Environment) -> Iterator[Piece]:
        """List the queues of Volcano."""
        for name, spec in _volcano_queues(environment).items():
            queue = {"name": f"{environment.name}-{name}", "spec": _volcano_queue(spec)}
            yield Piece(f"queue-{name}.yaml", "platform/volcano-queue.yaml.j2", {"volcano": queue})

    def cluster_kinds(self, environment: Environment) -> tuple[Kind, ...]:
        """List the queues of Volcano, which no namespace has."""
        return (Kind("scheduling.volcano.sh", "Queue"),) if _volcano_queues(environment) else ()


_STARTERS = {
    "cronjob": "cron-job",
    "argo": "cron-workflow",
    "kubeflow-pipelines": "scheduled-workflow",
}

_CREATES = (
    Kind("", "ConfigMap"),
    Kind("rbac.authorization.k8s.io", "Role"),
    Kind("rbac.authorization.k8s.io", "RoleBinding"),
    Kind("batch", "CronJob"),
)
_OPERATORS = ("trainer", "trainingOperator")
_RUNS = (
    ("trainer", Kind("trainer.kubeflow.org", "TrainJob")),
    ("trainingOperator", Kind("kubeflow.org", "PyTorchJob")),
)
_ENGINES = (
    ("argoWorkflows", Kind("argoproj.io", "CronWorkflow")),
    ("kubeflowPipelines", Kind("kubeflow.org", "ScheduledWorkflow")),
)


def _piece(kind: str, context: Json | None = None) -> Piece:
    return Piece(f"{kind}.yaml", f"overlay/training/{kind}.yaml.j2", context)


def _first(training: Training) -> Json:
    """Have the runtime before its run, which is refused without it, and while runs need it.

    Git does not name the runs of a schedule, and no more those that are kept.
    """
    first = {"argocd.argoproj.io/sync-wave": "-1"}
    if training.creator is None and not training.is_kept:
        return first
    return first | {
        "argocd.argoproj.io/compare-options": "IgnoreExtraneous",
        "argocd.argoproj.io/sync-options": "Prune=false",
    }


def _volcano_queues(environment: Environment) -> Json:
    volcano = environment.document.data["platform"].get("volcano") or {}
    queues: Json = volcano.get("queues", {})
    return queues


def _volcano_queue(spec: Json) -> Json:
    """Write a queue's spec, amounts in the form that the API server keeps."""
    capability = {
        resource: quantities.canonical(amount)
        for resource, amount in spec.get("capability", {}).items()
    }
    return {
        "weight": spec.get("weight", 1),
        "reclaimable": spec.get("reclaimable", True),
        **({"capability": capability} if capability else {}),
    }


def _training(block: Block) -> Training:
    runtime = block.runtime if block.is_trainjob else _PYTORCH
    assert runtime is not None
    is_volcano = block.is_trainjob and block.scheduler == "volcano"
    template = manifests.runtime_template(block, runtime) if is_volcano else None
    label = block.here.get("run", "")
    others = [key for key in block.starts if key != "run"]
    created = manifests.to_be_created(block, runtime, template) if others else None
    flavor = block.flavor
    return Training(
        api=block.api,
        scheduler=block.scheduler,
        label=label,
        run=manifests.of_run(block, label, runtime, template) if label else None,
        schedule=retraining.schedule(block),
        creator=retraining.creator(block, created) if created else None,
        runtime=manifests.template_name(block, template) if template else block.runtime_name,
        is_shipped=block.runtime_name not in block.own_runtimes,
        runtime_template=template,
        framework=runtime.framework,
        image=block.get("image") or "",
        args=tuple(block.get("args") or ()),
        env=block.get("env") or {},
        variables=(*(block.get("env") or {}), *(block.get("secrets", "variables") or {})),
        queue=block.queue,
        priority=block.get("priority") or "",
        flavor=flavor.name if flavor else "",
        resource=flavor.resource if flavor else "",
        nodes=block.nodes,
        processes=block.get("processesPerNode") or 0,
        pods=tuple(_pods(block, runtime)),
        on_drift=bool(block.get("onDrift")),
    )


def _pods(block: Block, runtime: TrainingRuntime) -> Iterator[PodSet]:
    """Count the Pods that a run takes at once: its nodes, and the steps before them.

    With MPI the launcher is a node itself
    (kubeflow/trainer@manifests/base/runtimes/deepspeed_distributed.yaml, runLauncherAsNode).
    """
    for step in runtime.initializers:
        yield PodSet(step, 1, 0, 0, 0)
    requests = manifests.resources(block).get("resourcesPerNode", {}).get("requests", {})
    cpu, memory = (
        demand.amount(key, requests[key]) if key in requests else 0 for key in ("cpu", "memory")
    )
    own = runtime.accelerators if block.flavor is None else block.accelerators
    nodes = block.nodes
    if LAUNCHER in runtime.jobs:
        yield PodSet(LAUNCHER, 1, cpu, memory, own)
        nodes -= 1
    if nodes:
        yield PodSet(NODE, nodes, cpu, memory, own)
