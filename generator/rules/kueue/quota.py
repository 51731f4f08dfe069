"""Rules of Kueue's queues, flavors and cohorts, and of who is admitted."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

from generator.documents import Json
from generator.inventory import namespaces
from generator.inventory.records import Environment, Flavor, Queue
from generator.records import Release
from generator.rules import Book, Finding, Scene, Spot
from generator.rules.fields import block
from generator.rules.kserve.accessors import workload_containers
from generator.rules.kueue.accessors import QUEUE, is_inside, is_served, queue_places, queued_by
from generator.rules.places import at_key, at_setting, in_environment
from generator.values import quantities

BOOK = Book("quota")

_NO_QUOTA = BOOK.error(
    "Q001",
    "A model's queue has no quota of the flavor that the model asks for.",
    evidence="kubernetes-sigs/kueue@pkg/scheduler/flavorassigner/flavorassigner.go",
    remedy="Name a flavor that the queue has, name another queue, or give the queue quota of it.",
)


@_NO_QUOTA.on_release_with("gpu", "queue")
def _queue_without_flavor(release: Release) -> Iterator[Finding]:
    queue = release.environment.queues.get(release.queue)
    if queue is None or release.placement is None:
        return
    granted = [f.name for f in _flavors(release.environment, queue) if f.resource]
    if release.placement.flavor not in granted:
        message = (
            f"queue `{release.queue}` of {release.environment.name} has no quota of flavor "
            f"`{release.placement.flavor}`, so the Pods would wait for ever"
        )
        usable = f"a flavor of the queue ({', '.join(granted)}), " if granted else ""
        hint = f"use {usable}another queue, or add the quota"
        yield at_setting(release, ("serving", "gpu", "flavor"), message, hint)


def _flavors(environment: Environment, queue: Queue) -> list[Flavor]:
    return [environment.flavors[grant["name"]] for grant in queue.flavors]


BOOK.error(
    "Q002",
    "Queues and cohorts are Kueue's: without Kueue nobody reads them.",
    evidence="kubernetes-sigs/kueue@site/content/en/docs/concepts/cluster_queue.md",
    remedy="Add `platform.kueue` to the environment, or remove them.",
)


_GATED_REVISION = BOOK.warning(
    "Q007",
    "A Knative revision whose Pods wait for quota fails after Knative's progress deadline.",
    evidence="knative/serving@config/core/configmaps/deployment.yaml, kubernetes-sigs/kueue#1603",
    remedy="Serve what has a queue in an environment in Standard mode, or without a queue.",
)


@_GATED_REVISION.on_release_with("queue", "knative")
def _gated_revision(release: Release) -> Iterator[Finding]:
    if release.queue and release.strategy == "knative":
        message = (
            f"Pods that wait for quota of queue `{release.queue}` do not start, and Knative gives "
            "up on a revision that is not ready after ten minutes"
        )
        hint = "use an environment with `mode: Standard`, or remove the queue"
        yield at_setting(release, ("queue",), message, hint)


_SLOW_START = BOOK.warning(
    "Q008",
    "Kueue evicts a Pod that is not ready 30 minutes after it was admitted, and starts it anew.",
    evidence="kubernetes-sigs/kueue#11855",
    remedy="Start within 30 minutes, or raise `waitForPodsReady.timeout` of Kueue.",
    kueue=">=0.19",
)
_READY_WITHIN = 1800
"""Seconds; `waitForPodsReady` has been on by default since Kueue 0.19."""


@_SLOW_START.on_release_with("queue", "probes")
def _slow_start(release: Release) -> Iterator[Finding]:
    probes = release.serving.probes
    if not release.queue or probes is None:
        return
    budget = probes.period * probes.attempts
    if budget > _READY_WITHIN:
        message = (
            f"loading may take {budget} s, and Kueue evicts a Pod of a queue that is not ready "
            f"after {_READY_WITHIN}: it would start over and over"
        )
        hint = "write at most `startupSeconds: 1800`, or raise Kueue's `waitForPodsReady.timeout`"
        pointer = ("serving", "probes", "startupSeconds")
        yield at_setting(release, pointer, message, hint)


_BESIDE_QUOTA = BOOK.warning(
    "Q009",
    "A model without a queue takes accelerators that the queues have promised to others.",
    evidence="kubernetes-sigs/kueue@site/content/en/docs/tasks/run/deployment.md",
    remedy="Give the model a queue, or the environment `defaults.queue`.",
)


@_BESIDE_QUOTA.on_release_with("gpu")
def _beside_quota(release: Release) -> Iterator[Finding]:
    environment, placement = release.environment, release.placement
    if release.queue or placement is None:
        return
    having = [
        queue.name
        for queue in environment.queues.values()
        if any(grant["name"] == placement.flavor for grant in queue.flavors)
    ]
    if having:
        message = (
            f"the model has no queue, and {environment.name} grants flavor `{placement.flavor}` "
            "by queue: Kueue would admit others to the GPUs that this one has taken"
        )
        yield at_setting(release, ("serving", "gpu"), message, f"add `queue: {having[0]}`")


_HOOK = "argocd.argoproj.io/hook"
"""A hook has no queue: it would hold up the sync until it is admitted (argoproj/argo-cd#10600)."""


@_BESIDE_QUOTA.on_objects("Pod", "Job", "CronJob", "Deployment", "StatefulSet")
def _beside_quota_in(item: Json, scene: Scene) -> Iterator[Spot]:
    """Ask beside a model that has a queue; a queue in the wrong place is another rule's."""
    if scene.release is None or not scene.release.queue:
        return
    said = [block(item, "metadata", key) for key in ("labels", "annotations")]
    said += [block(item, *place, "annotations") for place in queue_places(item)]
    if any(QUEUE in each or _HOOK in each for each in said) or queued_by(item)[1]:
        return
    if is_served(item, scene) or not is_inside(item, scene):
        return
    granted = {
        scene.environment.flavors[grant["name"]].resource: queue.name
        for queue in scene.environment.queues.values()
        for grant in queue.flavors
    }
    for place, container in workload_containers(item):
        limits = block(container, "resources", "limits")
        for resource in [key for key in limits if "/" in key and key in granted][:1]:
            message = (
                f"the {item['kind']} has no queue, and {scene.environment.name} grants {resource} "
                "by queue: Kueue would admit others to what this one has taken"
            )
            hint = f"add the label `{QUEUE}: {granted[resource]}`"
            yield Spot(message, (*place, "resources", "limits", resource), hint)


_UNCOUNTED = BOOK.warning(
    "Q010",
    "Kueue counts what a container requests: one that requests nothing is admitted always.",
    evidence="kubernetes-sigs/kueue@pkg/workload/resources.go",
    remedy="Write `serving.resources` with cpu and memory.",
)


@_UNCOUNTED.on_release_with("queue", "deployment")
def _uncounted(release: Release) -> Iterator[Finding]:
    serving = release.serving
    if not release.queue or serving.backend != "deployment":
        return  # a ServingRuntime has requests of its own
    filled = namespaces.limits(release.environment.document).request
    said = {**serving.resources["limits"], **filled}
    missing = [key for key in ("cpu", "memory") if key not in said]
    if missing:
        message = (
            f"queue `{release.queue}` counts no {' and no '.join(missing)} for this model: it has "
            "no request, and what it uses is promised to others"
        )
        hint = f"add `resources: {{{', '.join(f'{key}: ...' for key in missing)}}}`"
        yield at_setting(release, ("serving", "resources"), message, hint)


_NOTHING_TO_RUN_ON = BOOK.warning(
    "Q011",
    "A flavor without cpu or memory in its quota admits no Pod that requests them.",
    evidence="kubernetes-sigs/kueue@pkg/scheduler/flavorassigner/flavorassigner.go",
    remedy="Grant the cpu and memory that the Pods on these nodes request.",
)


@_NOTHING_TO_RUN_ON.on_environment
def _nothing_to_run_on(environment: Environment) -> Iterator[Finding]:
    for name, queue in environment.document.data.get("queues", {}).items():
        for flavor, quota in queue["quota"].items():
            missing = [key for key in ("cpu", "memory") if not _amount(quota.get(key))]
            if missing and quota.get("gpu") and "cohort" not in queue:
                message = (
                    f"{quota['gpu']} accelerators and no {' and no '.join(missing)}: all resources "
                    "of a Pod come from one flavor, so whatever requests that waits for ever"
                )
                hint = f"add {' and '.join(f'`{key}`' for key in missing)} for these Pods"
                yield at_key(environment, ("queues", name, "quota", flavor), message, hint)


def _amount(written: str | float | None) -> bool:
    return written is not None and quantities.parse(written) > 0


_ON_GPU_NODES = BOOK.warning(
    "Q012",
    "A model without accelerators is admitted to the first flavor of its queue that takes it.",
    evidence="kubernetes-sigs/kueue@site/content/en/docs/concepts/cluster_queue.md",
    remedy="Put a flavor of CPU nodes first in the queue's quota, or taint the GPU nodes.",
)


@_ON_GPU_NODES.on_release_with("queue")
def _on_gpu_nodes(release: Release) -> Iterator[Finding]:
    queue = release.environment.queues.get(release.queue)
    if queue is None or release.placement is not None:
        return
    first = next((f for f in _flavors(release.environment, queue) if not _keeps_out(f)), None)
    if first is not None and first.resource:
        message = (
            f"Kueue tries the flavors of queue `{queue.name}` in order, and this model needs no "
            f"accelerators: it would run on nodes of `{first.name}`"
        )
        hint = f"put a flavor without `resource` before `{first.name}`, or taint its nodes"
        yield at_setting(release, ("queue",), message, hint)


def _keeps_out(flavor: Flavor) -> bool:
    return any(taint["effect"] != "PreferNoSchedule" for taint in flavor.taints)


_MIXED_UP = BOOK.warning(
    "Q013",
    "Kueue compares a node selector with the labels of a flavor, and skips keys it does not have.",
    evidence="kubernetes-sigs/kueue@pkg/scheduler/flavorassigner/flavorassigner.go, "
    "kubernetes-sigs/kueue#15136",
    remedy="Select the flavors of one resource by the same label key, with different values.",
)


@_MIXED_UP.on_environment
def _mixed_up(environment: Environment) -> Iterator[Finding]:
    told: set[tuple[str, str]] = set()
    for queue in environment.queues.values():
        for asked, other in permutations(_flavors(environment, queue), 2):
            if (asked.name, other.name) in told or not _is_taken_for(asked, other):
                continue
            told |= {(asked.name, other.name), (other.name, asked.name)}
            message = (
                f"Kueue cannot tell `{other.name}` from `{asked.name}`, which has no label of it: "
                f"it may admit a model for `{asked.name}` to `{other.name}`, whose labels are then "
                "added, and no node may have both"
            )
            hint = f"give both a value of one key, such as {next(iter(asked.node_labels))}"
            pointer = ("flavors", other.name, "nodeLabels")
            yield at_key(environment, pointer, message, hint)


def _is_taken_for(asked: Flavor, other: Flavor) -> bool:
    """Say whether Pods of one flavor may be admitted to another one with labels of its own.

    Taints of the other one that they do not tolerate keep them out.
    """
    mine, its = asked.node_labels, other.node_labels
    if not asked.resource or asked.resource != other.resource or not mine or not its:
        return False
    if any(key in mine for key in its):
        return False
    tolerated = [(t["key"], t.get("value", ""), t["effect"]) for t in asked.taints]
    return all(
        (t["key"], t.get("value", ""), t["effect"]) in tolerated
        for t in other.taints
        if t["effect"] != "PreferNoSchedule"
    )


_TAINTED_CPU = BOOK.warning(
    "Q014",
    "Nothing tolerates the taints of a flavor without accelerators: no model can name it.",
    evidence="kubernetes-sigs/kueue@pkg/scheduler/flavorassigner/flavorassigner.go",
    remedy="Remove the taints, or the flavor's quota.",
)


@_TAINTED_CPU.on_environment
def _tainted_cpu(environment: Environment) -> Iterator[Finding]:
    used = {grant["name"] for queue in environment.queues.values() for grant in queue.flavors}
    for flavor in environment.flavors.values():
        if flavor.name in used and not flavor.resource and _keeps_out(flavor):
            message = (
                f"models without accelerators have no tolerations, so that Kueue admits none of "
                f"them to `{flavor.name}`"
            )
            hint = "remove the taints here, and from nodes that such models may use"
            yield in_environment(environment, ("flavors", flavor.name, "taints"), message, hint)
