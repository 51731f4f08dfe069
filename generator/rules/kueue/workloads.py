"""Rules of workloads that wait in a queue: what Kueue reads of them, and what it cannot admit."""

from __future__ import annotations

from collections.abc import Iterator

from generator.documents import Json
from generator.inventory.records import Flavor
from generator.rules import Book, Scene, Spot
from generator.rules.fields import annotation, at, block, entries, name_of, text
from generator.rules.kserve.accessors import workload_containers
from generator.rules.kueue.accessors import (
    QUEUE,
    flavors_of,
    is_inside,
    is_served,
    label,
    pods,
    queue_of,
    queue_places,
    queued_by,
    servers,
    taint_of,
)
from generator.schema import suggestion
from generator.yamlio import Pointer

BOOK = Book("quota")

_LIMIT = "kueue.x-k8s.io/max-exec-time-seconds"
_LABEL: Pointer = ("metadata", "labels", QUEUE)


_UNKNOWN_QUEUE = BOOK.warning(
    "Q040",
    "A workload whose queue does not exist in its namespace waits for ever.",
    evidence="kubernetes-sigs/kueue@site/content/en/docs/concepts/local_queue.md",
    remedy="Name a queue of the environment; without Kueue, none.",
)


@_UNKNOWN_QUEUE.on_objects("*")
def _unknown_queue(item: Json, scene: Scene) -> Iterator[Spot]:
    place, wanted = queued_by(item)
    if not wanted:
        return
    if not scene.environment.kueue:
        message = f"{scene.environment.name} has no Kueue: nobody reads the label"
        yield Spot(message, place, "remove it, or add `platform.kueue`")
        return
    known = _queues_of(text(item, "metadata", "namespace"), scene)
    if wanted not in known and is_inside(item, scene):
        message = f"{scene.environment.name} describes no queue `{wanted}`"
        yield Spot(message, place, suggestion(wanted, sorted(known)) if known else "")
    elif wanted not in known and _is_synced(text(item, "metadata", "namespace"), scene):
        space = text(item, "metadata", "namespace")
        message = f"queue `{wanted}` is not one of namespace `{space}`, and Kueue looks there alone"
        hint = f"write `namespace: {scene.environment.namespace}`, or make a LocalQueue there"
        yield Spot(message, place, hint)


def _is_synced(namespace: str, scene: Scene) -> bool:
    """Say whether a project allows a namespace; what none allows is another rule's."""
    return any(
        text(destination, "namespace") in (namespace, "*")
        for project in scene.of_kind("AppProject")
        for _, destination in entries(project, "spec", "destinations")
    )


def _queues_of(namespace: str, scene: Scene) -> set[str]:
    """Name the queues that a workload of a namespace may wait in, an empty one being our own."""
    own = scene.environment.namespace
    made = {
        name_of(each)
        for each in scene.around("LocalQueue")
        if (text(each, "metadata", "namespace") or own) == (namespace or own)
    }
    return made if namespace not in ("", own) else {*made, *scene.environment.queues}


_ANNOTATED = BOOK.error(
    "Q041",
    "Kueue reads the queue of a workload from its label, not from an annotation.",
    evidence="kubernetes-sigs/kueue#7271",
    remedy="Write `kueue.x-k8s.io/queue-name` under `labels`.",
)


@_ANNOTATED.on_objects("*")
def _annotated(item: Json, scene: Scene) -> Iterator[Spot]:
    for place in dict.fromkeys((("metadata",), *queue_places(item))):
        if text(item, *place, "annotations", QUEUE):
            message = f"the annotation {QUEUE} is ignored: its Pods would run beside all quota"
            yield Spot(message, (*place, "annotations", QUEUE), "write it under `labels`")


_UNCOVERED = BOOK.error(
    "Q042",
    "A queue never admits a Pod that requests a resource of which the queue has no quota.",
    evidence="kubernetes-sigs/kueue@pkg/scheduler/flavorassigner/flavorassigner.go",
    remedy="Do not request it, or give the queue quota of it. If Kueue is told "
    "`quotaCheckStrategy: IgnoreUndeclared`, silence this rule.",
)


@_UNCOVERED.on_objects("*")
def _uncovered(item: Json, scene: Scene) -> Iterator[Spot]:
    queue = queue_of(item, scene)
    if queue is None:
        return
    for place, container in workload_containers(item):
        requests, limits = (block(container, "resources", key) for key in ("requests", "limits"))
        for key in dict.fromkeys((*requests, *limits)):
            if key not in queue.covered_resources:
                side = "requests" if key in requests else "limits"
                message = (
                    f"queue `{queue.name}` has quota of {', '.join(queue.covered_resources)} and "
                    f"none of {key}, so the Pod would wait for ever"
                )
                hint = "remove it, or name a queue with quota of it"
                yield Spot(message, (*place, "resources", side, key), hint)


_NO_FLAVOR = BOOK.error(
    "Q043",
    "No flavor of the queue has the labels that a Pod selects its nodes by.",
    evidence="kubernetes-sigs/kueue@pkg/scheduler/flavorassigner/flavorassigner.go",
    remedy="Select by the labels of one of the queue's flavors, or leave that to Kueue.",
)


@_NO_FLAVOR.on_objects("*")
def _no_flavor(item: Json, scene: Scene) -> Iterator[Spot]:
    """Leave the release's own workload to the rule of its placement."""
    queue = queue_of(item, scene)
    if queue is None or is_served(item, scene):
        return
    flavors = flavors_of(queue, scene)
    for place, pod in pods(item):
        suited = [flavor for flavor in flavors if _suits(flavor, pod)]
        selector = block(pod, "nodeSelector")
        if suited and selector and not any(_is_selected(each, selector) for each in suited):
            message = (
                f"no flavor of queue `{queue.name}` has these labels: the Pod would wait for ever"
            )
            hint = f"select the nodes of {' or '.join(f'`{flavor.name}`' for flavor in suited)}"
            yield Spot(message, (*place, "nodeSelector"), hint)


def _suits(flavor: Flavor, pod: Json) -> bool:
    """Say whether a flavor has the accelerators that a Pod asks for, or neither has any."""
    limits = (block(container, "resources", "limits") for container in servers(pod))
    asked = {key for each in limits for key in each if "/" in key}
    return asked == ({flavor.resource} if flavor.resource else set())


def _is_selected(flavor: Flavor, selector: Json) -> bool:
    return all(selector.get(key, value) == value for key, value in flavor.node_labels.items())


_KEPT_OUT = BOOK.error(
    "Q071",
    "Kueue admits no Pod to a flavor whose taints neither it nor the flavor tolerates.",
    evidence="kubernetes-sigs/kueue@pkg/scheduler/flavorassigner/flavorassigner.go",
    remedy="Write the tolerations in the Pod, or in the ResourceFlavor, which adds them.",
)


@_KEPT_OUT.on_objects("*")
def _kept_out(item: Json, scene: Scene) -> Iterator[Spot]:
    """Leave accelerators to the rule of their nodes' taints, and the release to its document."""
    queue = queue_of(item, scene)
    if queue is None or is_served(item, scene):
        return
    flavors = flavors_of(queue, scene)
    for place, pod in pods(item) if len(flavors) == len(queue.flavors) else ():
        suited = [flavor for flavor in flavors if _may_take(flavor, pod, scene)]
        tolerations = [each for _, each in entries(pod, "tolerations")]
        taints = [taint_of(flavor, tolerations) for flavor in suited]
        if taints and all(taints):
            message = (
                f"flavor `{suited[0].name}` of queue `{queue.name}` has the taint {taints[0]}, "
                "which this Pod does not tolerate: Kueue never admits it"
            )
            hint = "add a toleration to the Pod, or to the flavor's `tolerations`"
            yield Spot(message, (*place, "tolerations"), hint)


def _may_take(flavor: Flavor, pod: Json, scene: Scene) -> bool:
    """Say whether a Pod without accelerators may land on a flavor, or one with those of its own."""
    limits = (block(container, "resources", "limits") for container in servers(pod))
    asked = {key for each in limits for key in each if "/" in key}
    return not asked or (flavor.resource in asked and flavor.name not in scene.environment.flavors)


_FIXED_SET = BOOK.error(
    "Q044",
    "Kueue lets a StatefulSet of a queue scale to 0 and back, and to nothing else.",
    evidence="kubernetes-sigs/kueue@pkg/controller/jobs/statefulset/statefulset_webhook.go",
    remedy="Remove the autoscaler, or use a Deployment, whose Pods are admitted one by one.",
)


@_FIXED_SET.on_objects("HorizontalPodAutoscaler", "ScaledObject")
def _fixed_set(item: Json, scene: Scene) -> Iterator[Spot]:
    scaled = block(item, "spec", "scaleTargetRef")
    wanted = text(scaled, "name")
    for each in scene.of_kind("StatefulSet"):
        is_meant = text(scaled, "kind") == "StatefulSet" and name_of(each) == wanted
        if is_meant and label(each, QUEUE):
            message = "the StatefulSet waits in a queue as one: Kueue refuses to scale it"
            yield Spot(message, ("spec", "scaleTargetRef", "name"), "use a Deployment instead")


_NOT_ON_THE_JOB = BOOK.error(
    "Q045",
    "Kueue queues the Jobs that a CronJob makes, by the label of its `jobTemplate`.",
    evidence="kubernetes-sigs/kueue@site/content/en/docs/tasks/run/run_cronjobs.md",
    remedy="Move the label to `jobTemplate.metadata.labels`.",
)


@_NOT_ON_THE_JOB.on_objects("CronJob")
def _not_on_the_job(item: Json, scene: Scene) -> Iterator[Spot]:
    inner = text(item, "spec", "jobTemplate", "metadata", "labels", QUEUE)
    if label(item, QUEUE) and not inner:
        message = "nobody reads the queue of a CronJob: its Jobs would run beside all quota"
        yield Spot(message, _LABEL, "move it to `spec.jobTemplate.metadata.labels`")


_OVERLAPPING = BOOK.warning(
    "Q046",
    "A CronJob that may overlap holds accelerators twice.",
    evidence="kubernetes-sigs/kueue@site/content/en/docs/tasks/run/run_cronjobs.md",
    remedy="Write `concurrencyPolicy: Forbid`.",
)


@_OVERLAPPING.on_objects("CronJob")
def _overlapping(item: Json, scene: Scene) -> Iterator[Spot]:
    policy = text(item, "spec", "concurrencyPolicy") or "Allow"
    if policy == "Allow" and _has_accelerators(item, scene):
        message = "a run that is not over when the next one is due holds its GPUs beside it"
        place = "concurrencyPolicy" if text(item, "spec", "concurrencyPolicy") else "schedule"
        yield Spot(message, ("spec", place), "write `concurrencyPolicy: Forbid`")


def _has_accelerators(item: Json, scene: Scene) -> bool:
    known = {flavor.resource for flavor in scene.environment.flavors.values()} - {""}
    return any(
        known & block(container, "resources", "limits").keys()
        for _, container in workload_containers(item)
    )


_RUN_AGAIN = BOOK.error(
    "Q047",
    "A Job that deletes itself is missing in the cluster, and Argo CD runs it again.",
    evidence="airbytehq/airbyte#15202, argoproj/argo-cd#8586",
    remedy="Leave out `ttlSecondsAfterFinished`, or make the Job a hook.",
)
_HOOK = "argocd.argoproj.io/hook"


@_RUN_AGAIN.on_objects("Job")
def _run_again(item: Json, scene: Scene) -> Iterator[Spot]:
    is_synced = scene.environment.argocd.auto_sync and not annotation(item, _HOOK)
    if is_synced and at(item, "spec", "ttlSecondsAfterFinished") is not None:
        message = "Argo CD heals what is missing: the Job would run again after each deletion"
        yield Spot(message, ("spec", "ttlSecondsAfterFinished"), "remove it")


_SUSPENDED = BOOK.error(
    "Q048",
    "Kueue owns `suspend` of what it queues: with a value in Git, Argo CD sets it back.",
    evidence="kubernetes-sigs/kueue@site/content/en/docs/concepts/workload.md, "
    "argoproj/argo-cd#24428",
    remedy="Leave `suspend` out.",
)


@_SUSPENDED.on_objects("Job", "TrainJob", "PyTorchJob")
def _suspended(item: Json, scene: Scene) -> Iterator[Spot]:
    if label(item, QUEUE) and at(item, "spec", "suspend") is not None:
        kind = item["kind"]
        message = f"Kueue suspends and starts the {kind}, and Argo CD would set `suspend` back"
        yield Spot(message, ("spec", "suspend"), "remove it")


_QUEUED_HOOK = BOOK.warning(
    "Q073",
    "A hook that waits in a queue holds up the sync of its Application until it is admitted.",
    evidence="argoproj/argo-cd#10600, argoproj/argo-cd#19126",
    remedy="Leave the hook out of the queue, or let the Job be no hook.",
)


@_QUEUED_HOOK.on_objects("Job")
def _queued_hook(item: Json, scene: Scene) -> Iterator[Spot]:
    if queued_by(item)[1] and annotation(item, _HOOK):
        message = f"the sync waits until queue `{queued_by(item)[1]}` has room for this hook"
        hint = "remove the label, or the hook"
        yield Spot(message, queued_by(item)[0], hint)


_TIMED = BOOK.error(
    "Q049",
    "A workload with `max-exec-time-seconds` is stopped for good once that time has passed.",
    evidence="kubernetes-sigs/kueue@site/content/en/docs/concepts/workload.md",
    remedy="Remove the label from what serves.",
)


@_TIMED.on_objects("InferenceService", "Deployment", "StatefulSet")
def _timed(item: Json, scene: Scene) -> Iterator[Spot]:
    if label(item, _LIMIT):
        message = f"Kueue stops it after {label(item, _LIMIT)} s, and it is to serve"
        yield Spot(message, ("metadata", "labels", _LIMIT), "remove it")


_PODSET = "kueue.x-k8s.io/podset-"

_TOPOLOGY = BOOK.error(
    "Q056",
    "Kueue reads topology requests from the Pod template: on the workload nobody reads them.",
    evidence="kubernetes-sigs/kueue@site/content/en/docs/concepts/topology_aware_scheduling.md",
    remedy="Move the annotation to `spec.template.metadata.annotations`.",
)


@_TOPOLOGY.on_objects("Job", "Deployment", "StatefulSet")
def _topology(item: Json, scene: Scene) -> Iterator[Spot]:
    for key in block(item, "metadata", "annotations"):
        if str(key).startswith(_PODSET):
            message = f"{key} is for the Pods, and stands on the {item['kind']}"
            pointer = ("metadata", "annotations", key)
            yield Spot(message, pointer, "move it to `spec.template.metadata.annotations`")
