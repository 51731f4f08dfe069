"""Rules of jobs, runtimes and PyTorchJobs that own templates write."""

from __future__ import annotations

from collections.abc import Iterator

from generator.documents import Json
from generator.rules import Book, Scene, Spot
from generator.rules.fields import (
    annotation,
    annotation_at,
    at,
    block,
    entries,
    name_of,
    number,
    text,
)
from generator.rules.kueue.accessors import QUEUE, label
from generator.training import runtimes as training_runtimes
from generator.training.runtimes import DATASET, MODEL, NODE
from generator.values import minors
from generator.yamlio import Pointer

BOOK = Book("training objects")

_TYPES = "kubeflow/trainer@pkg/apis/trainer/v1alpha1/trainjob_types.go"
_PYTORCH = "kubeflow/training-operator@pkg/webhooks/pytorch/pytorchjob_webhook.go"

_FIELDS = BOOK.error(
    "T030",
    "Kubeflow Trainer renames fields from minor to minor, and drops one that it does not have.",
    evidence="kubeflow/trainer@CHANGELOG/CHANGELOG-2.1.md, "
    "kubeflow/trainer@CHANGELOG/CHANGELOG-2.2.md",
    remedy="Write the field of the version that the environment pins.",
)

_SPANS = {
    "podSpecOverrides": "<2.1",
    "podTemplateOverrides": ">=2.1,<2.2",
    "runtimePatches": ">=2.2",
    "activeDeadlineSeconds": ">=2.2",
    "labels": "<2.2",
    "annotations": "<2.2",
}


@_FIELDS.on_objects("TrainJob")
def _fields_of_another_version(item: Json, scene: Scene) -> Iterator[Spot]:
    version = scene.environment.trainer
    for key, span in _SPANS.items() if version else ():
        if key in block(item, "spec") and not minors.within(version, span):
            hint = f"the field is of Trainer {span}"
            yield Spot(f"Trainer {version} has no `{key}`", ("spec", key), hint)
    processes = at(item, "spec", "trainer", "numProcPerNode")
    if version and isinstance(processes, str) and minors.within(version, ">=2.2"):
        message = f"Trainer {version} takes a number of processes, and not `{processes}`"
        yield Spot(message, ("spec", "trainer", "numProcPerNode"), "remove it, or write a number")


_LONG = BOOK.error(
    "T031",
    "A job's name leaves room for those of its Pods, which end in job, index and 5 characters.",
    evidence="kubernetes-sigs/jobset@pkg/webhooks/jobset_webhook.go",
    remedy="Shorten the name.",
)


@_LONG.on_objects("TrainJob")
def _name_too_long(item: Json, scene: Scene) -> Iterator[Spot]:
    runtime = training_runtimes.BY_NAME.get(text(item, "spec", "runtimeRef", "name"))
    runtime = runtime or training_runtimes.BY_NAME[training_runtimes.DEFAULT]
    nodes = max(number(item, "spec", "trainer", "numNodes", default=1), 1)
    most, size = training_runtimes.longest_name(runtime, nodes), len(name_of(item))
    if size > most:
        message = f"the name has {size} characters, and its Pods leave it {most}"
        yield Spot(message, ("metadata", "name"), f"shorten it by {size - most}")


_UNLIKE = BOOK.error(
    "T032",
    "Accelerators have a limit, and a request that equals it: other Pods are refused.",
    evidence="kubernetes/website@content/en/docs/tasks/manage-gpus/scheduling-gpus.md",
    remedy="Write the same whole number into `limits` and `requests`.",
)


@_UNLIKE.on_objects("TrainJob")
def _request_without_a_limit(item: Json, scene: Scene) -> Iterator[Spot]:
    place = ("spec", "trainer", "resourcesPerNode")
    limits, requests = (block(item, *place, key) for key in ("limits", "requests"))
    for resource, amount in requests.items():
        if "/" in resource and str(limits.get(resource, "")) != str(amount):
            limit = limits.get(resource)
            message = f"{amount} x {resource} requested, and {limit or 'nothing'} as the limit"
            hint = f'write `{resource}: "{amount}"` into `limits` too'
            yield Spot(message, (*place, "requests", resource), hint)


_PATCHED = BOOK.error(
    "T033",
    "Variables of the node and of the initializers are not for patches: Trainer refuses them.",
    evidence="kubeflow/trainer@pkg/runtime/framework/plugins/jobset/jobset.go",
    remedy="Write them into `trainer.env` or `initializer.dataset.env`.",
)

_OWNED = (NODE, DATASET, MODEL)


@_PATCHED.on_objects("TrainJob")
def _variables_in_a_patch(item: Json, scene: Scene) -> Iterator[Spot]:
    for place, pod in _patched_pods(item):
        for key in ("containers", "initContainers"):
            for index, container in entries(pod, key):
                if container.get("env") and text(container, "name") in _OWNED:
                    name = text(container, "name")
                    message = f"a patch sets no variables of the container `{name}`"
                    hint = "write them into `trainer.env`, or into the initializer's `env`"
                    yield Spot(message, (*place, key, index, "env"), hint)


def _patched_pods(item: Json) -> Iterator[tuple[Pointer, Json]]:
    """Give the Pod specs that patches hold, with the ways to them."""
    for index, _ in entries(item, "spec", "runtimePatches"):
        jobs: Pointer = ("spec", "runtimePatches", index, "trainingRuntimeSpec", "template", "spec")
        jobs = (*jobs, "replicatedJobs")
        for each, _ in entries(item, *jobs):
            place = (*jobs, each, "template", "spec", "template", "spec")
            yield place, block(item, *place)


_APPLIED = BOOK.error(
    "T034",
    "Kueue adds its own entry to the patches of a TrainJob, and a client-side apply takes it out.",
    evidence=_TYPES,
    remedy="Annotate the TrainJob with `argocd.argoproj.io/sync-options: ServerSideApply=true`.",
)

_OPTIONS = "argocd.argoproj.io/sync-options"


@_APPLIED.on_objects("TrainJob")
def _applied_by_the_client(item: Json, scene: Scene) -> Iterator[Spot]:
    is_patched = bool(at(item, "spec", "runtimePatches")) and bool(label(item, QUEUE))
    if is_patched and "ServerSideApply=true" not in annotation(item, _OPTIONS):
        message = "Argo CD would replace the patches of Kueue, and be refused while the job runs"
        hint = f"add the annotation `{_OPTIONS}: ServerSideApply=true`"
        is_there = bool(annotation(item, _OPTIONS))
        yield Spot(message, annotation_at(_OPTIONS) if is_there else ("metadata",), hint)


_STEPLESS = BOOK.error(
    "T035",
    "A job with an initializer is refused if its runtime has no such step.",
    evidence="kubeflow/trainer@pkg/runtime/framework/plugins/jobset/jobset.go",
    remedy="Remove it, or name a runtime with that step.",
)


@_STEPLESS.on_objects("TrainJob")
def _initializer_without_a_step(item: Json, scene: Scene) -> Iterator[Spot]:
    steps = _steps(text(item, "spec", "runtimeRef", "name"), scene)
    for key, step in (("dataset", DATASET), ("model", MODEL)):
        if steps and block(item, "spec", "initializer", key) and step not in steps:
            message = f"the runtime has no step `{step}`"
            yield Spot(message, ("spec", "initializer", key), "remove it, or name another runtime")


def _steps(name: str, scene: Scene) -> tuple[str, ...]:
    """List the jobs of a runtime that is rendered here or ships with Trainer; empty if unknown."""
    for runtime in scene.around("TrainingRuntime", "ClusterTrainingRuntime"):
        if name_of(runtime) == name:
            jobs = entries(runtime, "spec", "template", "spec", "replicatedJobs")
            return tuple(text(job, "name") for _, job in jobs)
    known = training_runtimes.BY_NAME.get(name)
    return known.jobs if known else ()


_TWICE = BOOK.error(
    "T036",
    "What waits for Kueue and for Volcano gets quota from the one and no node from the other.",
    evidence="kubernetes-sigs/kueue@site/content/en/docs/concepts/workload.md, "
    "volcano-sh/volcano@docs/design/podgroup-scheduling.md",
    remedy="Remove the queue's label, or the group of Volcano.",
)


@_TWICE.on_objects("TrainJob", "PyTorchJob")
def _two_that_admit(item: Json, scene: Scene) -> Iterator[Spot]:
    if label(item, QUEUE) and _is_of_volcano(item, scene):
        message = "Kueue admits it by its label, and Volcano by its group"
        yield Spot(message, ("metadata", "labels", QUEUE), "remove the label, or Volcano's part")


def _is_of_volcano(item: Json, scene: Scene) -> bool:
    name = text(item, "spec", "runtimeRef", "name")
    runtimes = scene.around("TrainingRuntime", "ClusterTrainingRuntime")
    own = [each for each in runtimes if name_of(each) == name]
    policies = [at(each, "spec", "podGroupPolicy", "volcano") for each in own]
    return bool(block(item, "spec", "runPolicy", "schedulingPolicy")) or any(
        policy is not None for policy in policies
    )


_MASTER = BOOK.error(
    "T037",
    "A PyTorchJob has one master, and its containers are called `pytorch`.",
    evidence=_PYTORCH,
    remedy="Write `replicas: 1` for the master, and call the container `pytorch`.",
)


@_MASTER.on_objects("PyTorchJob")
def _not_as_the_operator_wants_it(item: Json, scene: Scene) -> Iterator[Spot]:
    replicas: Pointer = ("spec", "pytorchReplicaSpecs")
    if number(item, *replicas, "Master", "replicas", default=1) != 1:
        place = (*replicas, "Master", "replicas")
        yield Spot("there is one master", place, "write 1, and more workers")
    for role in block(item, *replicas):
        place = (*replicas, role, "template", "spec", "containers")
        if "pytorch" not in [text(each, "name") for _, each in entries(item, *place)]:
            message = f"no container of the {role} is called `pytorch`"
            yield Spot(message, place, "call the one that trains `pytorch`")


_SHORT_LIVED = BOOK.error(
    "T038",
    "A job that deletes itself is missing in the cluster, and Argo CD trains it again.",
    evidence="airbytehq/airbyte#15202, argoproj/argo-cd#8586",
    remedy="Remove `ttlSecondsAfterFinished`.",
)


@_SHORT_LIVED.on_objects("PyTorchJob")
def _deletes_itself(item: Json, scene: Scene) -> Iterator[Spot]:
    place = ("spec", "runPolicy", "ttlSecondsAfterFinished")
    if at(item, *place) is not None:
        message = "Argo CD heals what is missing: the job would train again after each deletion"
        yield Spot(message, place, "remove it")
