"""Rules of what models ask of queues beside quota: who goes first, how near, and where at all."""

from __future__ import annotations

from collections.abc import Iterator

from generator.aspects.priority import Rank
from generator.aspects.topology import Nearness
from generator.documents import Json
from generator.inventory.queueing import AdmissionCheck
from generator.inventory.records import Environment, Flavor
from generator.records import Release
from generator.rules import Book, EnvironmentStep, Finding, Step
from generator.rules.changes.transitions import about, both, is_updated
from generator.rules.places import at_setting, in_environment
from generator.training.runs import Training
from generator.values import quantities

BOOK = Book("quota")

# Told apart while an environment is resolved

BOOK.error(
    "Q101",
    "`stop: HoldAndDrain` evicts what runs in the queue, so that somebody has to confirm it.",
    evidence="kubernetes-sigs/kueue@apis/kueue/v1beta2/clusterqueue_types.go",
    remedy="Write `evictsRunning: true` beside it, or `stop: Hold`.",
)

BOOK.error(
    "Q102",
    "Kueue refuses a queue that borrows by preemption and never reclaims, or prefers without "
    "a choice.",
    evidence="kubernetes-sigs/kueue@apis/kueue/v1beta2/clusterqueue_types.go",
    remedy="Let `reclaimWithinCohort` be more than `Never`; keep a `preference` for queues that "
    "try the next flavor in both cases.",
)

BOOK.error(
    "Q103",
    "Kueue finds the nodes of a topology by the labels of the flavor, and asks for one at least.",
    evidence="kubernetes-sigs/kueue@apis/kueue/v1beta2/resourceflavor_types.go",
    remedy="Add `nodeLabels` to the flavor.",
)

BOOK.error(
    "Q104",
    "Workloads name their priority class by a label, whose value has at most 63 characters.",
    evidence="kubernetes-sigs/kueue@site/content/en/docs/concepts/workload_priority_class.md",
    remedy="Shorten the name of the priority or of the environment.",
)

BOOK.error(
    "Q105",
    "The API server takes one PriorityClass as the default of the cluster.",
    evidence="kubernetes/kubernetes@plugin/pkg/admission/priority/admission.go",
    remedy="Let one class have `globalDefault: true`.",
)

BOOK.error(
    "Q128",
    "A queue leads to other clusters by one check, for all flavors, and asks no autoscaler beside "
    "it: otherwise it is idle.",
    evidence="kubernetes-sigs/kueue@pkg/cache/scheduler/clusterqueue.go",
    remedy="Name one such check, for all flavors of the queue, and no `provisioning` there.",
)

# What a model asks for

_STOPPED = BOOK.warning(
    "Q112",
    "A model whose queue is stopped loses every Pod that goes, because none is admitted again.",
    evidence="kubernetes-sigs/kueue@apis/kueue/v1beta2/clusterqueue_types.go",
    remedy="Move the model to another queue, or let the queue admit again.",
)


@_STOPPED.on_release_with("queue", "queue.stopped")
def _stopped(release: Release) -> Iterator[Finding]:
    queue = release.environment.queues.get(release.queue)
    if queue is not None and queue.stop:
        what = (
            "every Pod is evicted" if queue.stop == "HoldAndDrain" else "no Pod that goes returns"
        )
        message = f"queue `{release.queue}` has `stop: {queue.stop}`: {what}"
        hint = "name another queue, or remove `stop` from this one"
        yield at_setting(release, ("queue",), message, hint)


_EQUALS = BOOK.warning(
    "Q113",
    "Runs that are as important as the model that they train stop it to have its accelerators.",
    evidence="kubernetes-sigs/kueue@site/content/en/docs/concepts/workload_priority_class.md, "
    "kubernetes-sigs/kueue#1603",
    remedy="Give what serves a class of a higher value than what trains.",
)


@_EQUALS.on_release_with("training")
def _training_first(release: Release) -> Iterator[Finding]:
    training: Training | None = release.facts.get("training")
    rank: Rank | None = release.facts.get("priority")
    run = release.environment.priorities.get(training.priority) if training else None
    if training is None or run is None or not _compete(release, training.queue):
        return
    serves = rank.value if rank else 0
    if run.value > serves or (rank is not None and run.value == serves):
        own = f"priority `{rank.name}`, {serves}" if rank else "no priority, which counts as 0"
        message = (
            f"runs have priority `{run.name}`, {run.value}, and the model has {own}: a run may "
            "stop what serves"
        )
        hint = "let the model's `priority` be higher than that of its runs"
        yield at_setting(release, ("training", "priority"), message, hint)


def _compete(release: Release, other: str) -> bool:
    """Say whether a run's queue may take back or preempt what the model's queue uses."""
    queues = release.environment.queues
    if release.queue not in queues or other not in queues:
        return False
    cohort = queues[release.queue].cohort
    return other == release.queue or bool(cohort and queues[other].cohort == cohort)


_BEHIND_A_FLAG = BOOK.warning(
    "Q114",
    "Knative refuses a priority class of Pods unless its feature flag allows it.",
    evidence="knative/serving@config/core/configmaps/features.yaml",
    remedy="Enable `kubernetes.podspec-priorityclassname` in the ConfigMap `config-features`, or "
    "write `for: queues` in the class.",
)


@_BEHIND_A_FLAG.on_release_with("priority", "knative")
def _behind_a_flag(release: Release) -> Iterator[Finding]:
    rank: Rank | None = release.facts.get("priority")
    if release.strategy == "knative" and rank is not None and rank.class_name:
        message = (
            f"priority `{rank.name}` is a class of Pods too, which Knative refuses unless "
            "kubernetes.podspec-priorityclassname is enabled"
        )
        hint = "enable that in `config-features` and silence Q114, or write `for: queues`"
        yield at_setting(release, ("priority",), message, hint)


_ALONE = BOOK.warning(
    "Q115",
    "Every Pod of a Deployment is a workload of its own: a topology keeps no two of them together.",
    evidence="kubernetes-sigs/kueue@site/content/en/docs/tasks/run/deployment.md, "
    "kubernetes-sigs/kueue@site/content/en/docs/concepts/topology_aware_scheduling.md",
    remedy="Keep `topology` for what has several Pods that work together, such as runs; `spread` "
    "says where replicas stand.",
)
_OF_ONE_POD = ("kserve", "deployment")


@_ALONE.on_release_with("topology")
def _alone(release: Release) -> Iterator[Finding]:
    nearness: Nearness | None = release.facts.get("topology")
    if nearness is None or release.serving.backend not in _OF_ONE_POD:
        return
    if nearness.value != "true":
        message = (
            "Kueue admits every replica by itself, so that nothing keeps them in one place of "
            f"`{nearness.value}`"
        )
        hint = "remove it, or write `mode: unconstrained` to have Kueue choose nodes with room"
        yield at_setting(release, ("topology",), message, hint)


_ELSEWHERE = BOOK.error(
    "Q116",
    "What a queue sends to other clusters runs there, and the model's Service and route stay here.",
    evidence="kubernetes-sigs/kueue@site/content/en/docs/concepts/multikueue.md",
    remedy="Serve from a queue without `multiKueue`; keep it for runs.",
)


@_ELSEWHERE.on_release_with("queue", "queue.checked")
def _elsewhere(release: Release) -> Iterator[Finding]:
    for check in _checks(release):
        if check.clusters:
            message = (
                f"queue `{release.queue}` runs its work in other clusters, where no request to "
                "this model arrives"
            )
            hint = "name a queue whose checks have no `multiKueue`"
            yield at_setting(release, ("queue",), message, hint)
            return


def _checks(release: Release) -> Iterator[AdmissionCheck]:
    queue = release.environment.queues.get(release.queue)
    known = {check.called: check for check in release.environment.checks.values()}
    yield from (known[each["name"]] for each in (queue.checks if queue else ()))


# What cannot be changed once it is there

_IMMUTABLE = BOOK.error(
    "Q110",
    "The API server refuses to change this once it is there, and the platform's sync fails.",
    evidence="kubernetes/kubernetes@pkg/apis/scheduling/validation/validation.go, "
    "kubernetes-sigs/kueue@apis/kueue/v1beta2/resourceflavor_types.go, "
    "kubernetes-sigs/kueue@apis/kueue/v1beta2/topology_types.go, "
    "kubernetes-sigs/kueue@apis/kueue/v1beta2/admissioncheck_types.go, "
    "kubernetes/kubernetes@pkg/apis/core/validation/validation.go",
    remedy="Add another one under a new name, and move to it who names the old one.",
)


@_IMMUTABLE.on_environment_step
def _immutable(step: EnvironmentStep) -> Iterator[Finding]:
    before, after = step.before, step.after
    if before.name != after.name:
        return
    yield from _classes(before, after)
    yield from _flavors(before, after)
    yield from _levels(before, after)
    for name, check in after.checks.items():
        was = before.checks.get(name)
        if was is not None and was.controller != check.controller:
            message = f"check `{name}` was for another controller, which Kueue never changes"
            hint = "add a check under another name"
            yield in_environment(after, ("admissionChecks", name), message, hint)
    yield from _claims(before, after)


def _flavors(before: Environment, after: Environment) -> Iterator[Finding]:
    """Compare flavors that had a topology: the whole spec of such a ResourceFlavor stays."""
    for name, now in after.flavors.items():
        was = before.flavors.get(name)
        if was is None or not was.topology:
            continue
        for key, old, new in _described(was, now):
            if old != new:
                said = ("flavors", name, key)
                pointer = said if after.document.has(said) else ("flavors", name)
                message = (
                    f"flavor `{name}` has topology `{was.topology}`, with which Kueue never "
                    f"changes its `{key}`"
                )
                yield in_environment(after, pointer, message, "put it back, or add another flavor")


def _described(was: Flavor, now: Flavor) -> Iterator[tuple[str, object, object]]:
    """Pair what a ResourceFlavor says of nodes before and after."""
    yield "topology", was.topology, now.topology
    yield "nodeLabels", was.node_labels, now.node_labels
    yield "taints", was.taints, now.taints


def _levels(before: Environment, after: Environment) -> Iterator[Finding]:
    """Compare topologies; Kueue 0.20 is the first to take some changes (kueue#13910)."""
    for name, now in after.topologies.items():
        was = before.topologies.get(name)
        if was is not None and was.levels != now.levels:
            message = f"topology `{name}` is there with other levels, which Kueue never changes"
            hint = "put them back, or add a topology under another name, and flavors for it"
            yield in_environment(after, ("topologies", name), message, hint)


def _classes(before: Environment, after: Environment) -> Iterator[Finding]:
    """Compare the PriorityClasses; Kueue's may change, and count for what comes later."""
    for name, now in after.priorities.items():
        was = before.priorities.get(name)
        if was is None or not (was.of_pods and now.of_pods):
            continue
        for key, old, new in (
            ("value", was.value, now.value),
            ("preempts", was.policy, now.policy),
        ):
            if old != new:
                said = ("priorities", name, key)
                pointer = said if after.document.has(said) else ("priorities", name)
                message = f"PriorityClass `{now.called}` is there with {old}, and never changes"
                hint = "put it back, or add a class under another name"
                yield in_environment(after, pointer, message, hint)


def _claims(before: Environment, after: Environment) -> Iterator[Finding]:
    old: Json = before.document.data.get("volumes", {})
    for name, spec in after.document.data.get("volumes", {}).items():
        for key in ("storageClass", "accessMode"):
            if name in old and old[name].get(key) != spec.get(key):
                pointer = ("volumes", name, key) if key in spec else ("volumes", name)
                message = f"the claim `{name}` is bound, and its `{key}` never changes"
                hint = "put it back, or add a volume under another name"
                yield in_environment(after, pointer, message, hint)
        if name in old and quantities.is_less(spec["size"], old[name]["size"]):
            message = f"the claim `{name}` has {old[name]['size']}, and a claim never shrinks"
            hint = "put it back, or add a volume under another name"
            yield in_environment(after, ("volumes", name, "size"), message, hint)


_LATE = BOOK.error(
    "Q111",
    "Kueue adds a priority class to a Deployment only while no Pod is ready, and removes none.",
    evidence="kubernetes-sigs/kueue@pkg/controller/jobs/deployment/deployment_webhook.go",
    remedy="Add the model under another name with the class, move its callers, then remove this "
    "one; or take it out of the environment and put it back in a later commit.",
)


@_LATE.on_step
def _late(step: Step) -> Iterator[Finding]:
    pair = both(step)
    if pair is None or not is_updated(*pair):
        return
    before, after = pair
    was, now = _label(before), _label(after)
    if bool(was) != bool(now) and before.queue == after.queue:
        refused = (
            f"Kueue refuses `{now}` as long as one of the Pods is ready"
            if now
            else f"the Pods have `{was}`, and Kueue never takes it away"
        )
        hint = (
            "add the model under another name, or take it out of "
            f"{after.environment.name} and put it back in a later commit"
        )
        yield about(at_setting(after, ("priority",), refused, hint), after)


def _label(release: Release) -> str:
    rank: Rank | None = release.facts.get("priority")
    return rank.label if rank else ""
