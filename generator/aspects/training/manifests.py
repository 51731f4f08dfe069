"""The object that a run is, for each version of Kubeflow Trainer and for the operator before it.

A TrainJob never changes: its name is made of what it is, so that another spec is another object
(kubeflow/trainer@pkg/apis/trainer/v1alpha1/trainjob_types.go has the rules).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from generator.aspects.training.block import Block
from generator.documents import Json
from generator.inventory.records import Flavor
from generator.training.runs import OUTPUT_VARIABLES, Job
from generator.training.runtimes import NODE, TORCHTUNE, TrainingRuntime, longest_name
from generator.values import quantities

GROUP, VERSION = "trainer.kubeflow.org", "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
LEGACY = "kubeflow.org/v1"
MANAGER = "gen/training"
"""Whose patch it is: Kueue adds one of its own to the same list."""

_DIGITS = 8
_RANDOM = 5
"""Characters that tell runs apart: of what a run is, or the API server's own."""

QUEUE = "kueue.x-k8s.io/queue-name"
PRIORITY = "kueue.x-k8s.io/priority-class"
_TOPOLOGY = "kueue.x-k8s.io/podset-{}-topology"
_VOLCANO_QUEUE = "scheduling.volcano.sh/queue-name"
_STEP = "trainer.kubeflow.org/trainjob-ancestor-step"

_RUN_LABEL = {
    "trainjob": "jobset.sigs.k8s.io/jobset-name",
    "pytorchjob": "training.kubeflow.org/job-name",
}
"""The label of the Pods that has the name of their run."""


def of_run(block: Block, label: str, runtime: TrainingRuntime, template: Json | None) -> Job:
    """Make the object of a run that has a label."""
    spec, labels = _spec(block, runtime, template), _labels(block, "training")
    labels["app.kubernetes.io/version"] = label
    what = json.dumps([block.ask.model.name, labels, spec, template], sort_keys=True)
    name = _named(block, runtime, sha256(what.encode()).hexdigest()[:_DIGITS])
    return _job(block, name, "", labels, _annotations(block, spec), spec)


def to_be_created(block: Block, runtime: TrainingRuntime, template: Json | None) -> Job:
    """Make what a schedule creates: the API server completes the name."""
    prefix = _named(block, runtime, "x" * _RANDOM).removesuffix("x" * _RANDOM)
    spec = _spec(block, runtime, template)
    return _job(block, "", prefix, _labels(block, "retraining"), {}, spec)


def _job(block: Block, name: str, prefix: str, labels: Json, annotations: Json, spec: Json) -> Job:
    version, kind = (API_VERSION, "TrainJob") if block.is_trainjob else (LEGACY, "PyTorchJob")
    return Job(version, kind, name, prefix, labels, annotations, spec)


def _named(block: Block, runtime: TrainingRuntime, ending: str) -> str:
    """Put an ending behind the model's name, as much of it as fits."""
    room = longest_name(runtime, block.nodes) - len(ending) - 1
    return f"{block.ask.model.name[:room].rstrip('-')}-{ending}"


def _labels(block: Block, component: str) -> Json:
    """Label what Kueue reads: the run itself, whoever makes it (kubernetes-sigs/kueue#74)."""
    labels = {
        "app.kubernetes.io/name": block.ask.model.name,
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/managed-by": "gen",
    }
    if block.queue and block.scheduler == "kueue":
        labels[QUEUE] = block.queue
        if block.priority:
            labels[PRIORITY] = block.priority
    return labels


def _annotations(block: Block, spec: Json) -> Json:
    """Tell Argo CD how to apply a run, and what to do once it is not in Git any more.

    Kueue adds to `runtimePatches`, which a client-side apply would replace; what the API server
    fills in is no difference to itself alone (argoproj/argo-cd#11143). A run that is kept is none
    either (argoproj/argo-cd@docs/user-guide/compare-options.md).
    """
    is_shared, is_kept = "runtimePatches" in spec, bool(block.get("keep"))
    compare = ["IgnoreExtraneous"] * is_kept + ["ServerSideDiff=true"] * is_shared
    sync = ["Prune=false"] * is_kept + ["ServerSideApply=true"] * is_shared
    found = {"compare-options": ",".join(compare), "sync-options": ",".join(sync)}
    return {f"argocd.argoproj.io/{key}": value for key, value in found.items() if value}


def _spec(block: Block, runtime: TrainingRuntime, template: Json | None) -> Json:
    if not block.is_trainjob:
        return _pytorch_spec(block)
    reference = {
        "apiGroup": GROUP,
        "kind": "TrainingRuntime" if template else "ClusterTrainingRuntime",
        "name": template_name(block, template) if template else block.runtime_name,
    }
    return {
        "runtimeRef": reference,
        **_initializer(block),
        "trainer": _trainer(block, runtime),
        **({} if template else _patched(block, runtime)),
        **_deadline(block),
    }


def _deadline(block: Block) -> Json:
    """Say how long a run may take: a TrainJob knows it since 2.2 (kubeflow/trainer#3258)."""
    return {"activeDeadlineSeconds": block.deadline} if block.deadline else {}


def _initializer(block: Block) -> Json:
    steps = {key: _source(block.get(key)) for key in ("dataset", "model") if block.get(key)}
    return {"initializer": steps} if steps else {}


def _source(source: Json) -> Json:
    found: Json = {"storageUri": source["uri"]}
    if "secret" in source:
        found["secretRef"] = {"name": source["secret"]}
    if source.get("env"):
        found["env"] = _plain(source["env"])
    return found


def _trainer(block: Block, runtime: TrainingRuntime) -> Json:
    image, command, args = block.get("image"), block.get("command"), block.get("args")
    processes = _processes(block, runtime)
    if runtime.has_recipe and args and not command:
        command = TORCHTUNE
    return {
        **({"image": image} if image else {}),
        **({"command": command} if command else {}),
        **({"args": args} if args else {}),
        "numNodes": block.nodes,
        **({"numProcPerNode": processes} if processes else {}),
        **resources(block),
        **_env(block),
    }


def _processes(block: Block, runtime: TrainingRuntime) -> int:
    """Say how many processes a node has; 0 leaves it to Trainer.

    Trainer counts the accelerators whose resource has `gpu` in its name and takes CPU cores
    otherwise (kubeflow/trainer@pkg/runtime/framework/plugins/torch/torch.go).
    """
    said: int = block.get("processesPerNode") or 0
    if said or block.flavor is None:
        return said
    is_seen = "gpu" in block.flavor.resource.lower() and runtime.framework != "mpi"
    return 0 if is_seen else block.accelerators


def resources(block: Block) -> Json:
    """Requests and limits of a node; accelerators in both, equal, as Kubernetes demands of them."""
    spec = block.get("resources") or {}
    requests = {key: quantities.canonical(spec[key]) for key in ("cpu", "memory") if key in spec}
    limits = requests | {
        key: quantities.canonical(value) for key, value in spec.get("limits", {}).items()
    }
    devices = {block.flavor.resource: str(block.accelerators)} if block.flavor else {}
    found = {"limits": limits | devices, "requests": requests | devices}
    if not found["limits"]:
        return {}
    return {"resourcesPerNode": {key: value for key, value in found.items() if value}}


def _resources(block: Block) -> Json:
    """Write the same as a container has it."""
    found = resources(block).get("resourcesPerNode")
    return {"resources": found} if found else {}


def _env(block: Block) -> Json:
    variables = [*_plain(block.get("env") or {}), *_secrets(block), *_output(block)]
    return {"env": variables} if variables else {}


def _plain(env: Json) -> list[Json]:
    return [{"name": name, "value": value} for name, value in env.items()]


def _secrets(block: Block) -> Iterator[Json]:
    for name, place in (block.get("secrets", "variables") or {}).items():
        secret, _, key = place.partition("/")
        yield {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def _output(block: Block) -> Iterator[Json]:
    """Say where the trained model goes, and which run it is, so that runs do not collide."""
    if block.get("output"):
        place, run = OUTPUT_VARIABLES
        yield {"name": place, "value": block.get("output")}
        path = f"metadata.labels['{_RUN_LABEL[block.api]}']"
        yield {"name": run, "valueFrom": {"fieldRef": {"fieldPath": path}}}


# Placement


def placement(flavor: Flavor | None) -> Json:
    """Place Pods onto the nodes of a flavor."""
    if flavor is None:
        return {}
    return {
        **({"nodeSelector": dict(flavor.node_labels)} if flavor.node_labels else {}),
        **({"tolerations": flavor.tolerations} if flavor.taints else {}),
    }


def _pod(block: Block) -> Json:
    account = block.get("serviceAccount")
    return {**({"serviceAccountName": account} if account else {}), **placement(block.flavor)}


def topology(block: Block) -> Json:
    """Ask Kueue for nodes that are near, in the Pods' own annotations."""
    asked = block.get("topology")
    if not asked:
        return {}
    mode = asked.get("mode", "preferred")
    level = "true" if mode == "unconstrained" else asked["level"]
    return {_TOPOLOGY.format(mode): level}


def _patched(block: Block, runtime: TrainingRuntime) -> Json:
    """Write what the Pods of the runtime get, in the words of the version that is there.

    All steps of a job are admitted to one flavor, so that they tolerate the same taints. The field
    has another name in every minor version up to 2.2
    (kubeflow/trainer@CHANGELOG/CHANGELOG-2.1.md, CHANGELOG-2.2.md).
    """
    pod, annotations = _pod(block), topology(block)
    if not pod and not annotations:
        return {}
    if block.trainer >= (2, 2):
        return {"runtimePatches": [_patch(runtime.jobs, pod, annotations)]}
    targets = [{"name": job} for job in runtime.jobs]
    if block.trainer < (2, 1):
        return {"podSpecOverrides": [{"targetJobs": targets, **pod}]}
    metadata = {"metadata": {"annotations": annotations}} if annotations else {}
    return {"podTemplateOverrides": [{"targetJobs": targets, **metadata, "spec": pod}]}


def _patch(jobs: tuple[str, ...], pod: Json, annotations: Json) -> Json:
    metadata = {"metadata": {"annotations": annotations}} if annotations else {}
    template = {**metadata, **({"spec": pod} if pod else {})}
    patches = [{"name": job, "template": {"spec": {"template": template}}} for job in jobs]
    return {
        "manager": MANAGER,
        "trainingRuntimeSpec": {"template": {"spec": {"replicatedJobs": patches}}},
    }


# A runtime of the model's own


def runtime_template(block: Block, runtime: TrainingRuntime) -> Json:
    """Make the runtime that lets Volcano start all nodes at once: only a runtime can ask for it.

    It has the resources of a node too: Trainer 2.1 adds up those, and not the run's
    (kubeflow/trainer@pkg/runtime/framework/plugins/volcano/volcano.go, kubeflow/trainer#2980).
    """
    priority = {"priorityClassName": block.priority} if block.priority else {}
    container = {"name": NODE, "image": block.get("image"), **_resources(block)}
    pod = {"schedulerName": "volcano", **priority, **_pod(block), "containers": [container]}
    step = {"metadata": {"labels": {_STEP: "trainer"}}, "spec": {"template": {"spec": pod}}}
    queue = {_VOLCANO_QUEUE: volcano_queue(block)} if block.queue else {}
    return {
        "mlPolicy": {"numNodes": block.nodes, runtime.framework: {}},
        "podGroupPolicy": {"volcano": {}},
        "template": {
            **({"metadata": {"annotations": queue}} if queue else {}),
            "spec": {"replicatedJobs": [{"name": NODE, "template": step}]},
        },
    }


def volcano_queue(block: Block) -> str:
    """Name a queue of Volcano as the cluster does: it is cluster-scoped."""
    return f"{block.environment.name}-{block.queue}"


def template_name(block: Block, template: Json) -> str:
    """Name a runtime by what it is: jobs that run keep theirs."""
    digest = sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:_DIGITS]
    return f"{block.ask.model.name}-{digest}"


# The operator before Kubeflow Trainer


def _pytorch_spec(block: Block) -> Json:
    """Write a PyTorchJob: one master, and workers for the other nodes.

    Source: kubeflow/training-operator@pkg/webhooks/pytorch/pytorchjob_webhook.go.
    """
    replicas = {"Master": 1, "Worker": block.nodes - 1}
    processes = block.get("processesPerNode") or block.accelerators
    return {
        "runPolicy": {"cleanPodPolicy": "Running", **_deadline(block), **_scheduling(block)},
        **({"nprocPerNode": str(processes)} if processes else {}),
        "pytorchReplicaSpecs": {
            role: {"replicas": count, "restartPolicy": "OnFailure", "template": _replica(block)}
            for role, count in replicas.items()
            if count
        },
    }


def _scheduling(block: Block) -> Json:
    if block.scheduler != "volcano":
        return {}
    queue = {"queue": volcano_queue(block)} if block.queue else {}
    priority = {"priorityClass": block.priority} if block.priority else {}
    return {"schedulingPolicy": {"minAvailable": block.nodes, **queue, **priority}}


def _replica(block: Block) -> Json:
    args: Any = block.get("args")
    container = {
        "name": "pytorch",
        "image": block.get("image"),
        **({"command": block.get("command")} if block.get("command") else {}),
        **({"args": args} if args else {}),
        **_env(block),
        **_resources(block),
    }
    annotations = topology(block)
    metadata = {"metadata": {"annotations": annotations}} if annotations else {}
    return {**metadata, "spec": {**_pod(block), "containers": [container]}}
