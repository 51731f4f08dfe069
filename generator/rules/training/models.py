"""Rules of a model's training: what Kubeflow Trainer, Kueue and Volcano make of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from generator.inventory import namespaces
from generator.inventory.records import Environment
from generator.queues import capacity, demand, outcomes
from generator.records import Release
from generator.rules import Book, Finding, Rule
from generator.rules.places import at_setting, in_environment, of_setting
from generator.settings import origin
from generator.training import runtimes as training_runtimes
from generator.training.runs import Training
from generator.values import minors

BOOK = Book("training")

_SHIPPED = "kubeflow/trainer@manifests/base/runtimes"
_JOBSET = "kubeflow/trainer@pkg/runtime/framework/plugins/jobset/jobset.go"
_TORCH = "kubeflow/trainer@pkg/runtime/framework/plugins/torch/torch.go"
_TORCHTUNE = "kubeflow/trainer@pkg/runtime/framework/plugins/torch/torchtune.go"
_ASSIGNED = "kubernetes-sigs/kueue@pkg/scheduler/flavorassigner/flavorassigner.go"

BOOK.error(
    "T001",
    "A run is an object of a system that is installed: elsewhere nobody reads it.",
    evidence="kubeflow/trainer@docs/operator-guides/migration.md",
    remedy="Pin the system in the environment's `platform`, or start runs in another environment.",
)

BOOK.error(
    "T002",
    "A TrainJob is refused unless its runtime is there, and this version ships none of that name.",
    evidence=_SHIPPED,
    remedy="Upgrade Kubeflow Trainer, name another runtime, or list it in "
    "`platform.trainer.runtimes`.",
)

BOOK.error(
    "T003",
    "Steps of the runtime fetch datasets and models; a job that asks for a step that it has not is "
    "refused.",
    evidence=_JOBSET,
    remedy="Let the training code fetch it, or name a runtime with that step.",
)

BOOK.error(
    "T004",
    "This version of Kubeflow Trainer has no field for it, and drops it without a word.",
    evidence="kubeflow/trainer@CHANGELOG/CHANGELOG-2.2.md, kubeflow/trainer#3258",
    remedy="Upgrade Kubeflow Trainer, or do without.",
)


TrainingCheck = Callable[[Release, Training], Iterator[Finding]]


def _on_training(rule: Rule) -> Callable[[TrainingCheck], TrainingCheck]:
    """Let a function look at every release that is trained, and at its training."""

    def attach(check: TrainingCheck) -> TrainingCheck:
        @rule.on_release_with("training")
        def of_release(release: Release) -> Iterator[Finding]:
            training = release.facts.get("training")
            if training is not None:
                yield from check(release, training)

        return check

    return attach


def _at(release: Release, message: str, hint: str, *keys: str) -> Finding:
    return at_setting(release, ("training", *keys), message, hint)


_RESERVED = BOOK.error(
    "T005",
    "Trainer sets these variables itself, by nodes and processes, and takes none from a job.",
    evidence=_TORCH,
    remedy="Remove the variable: `nodes` and `processesPerNode` decide it.",
)


@_on_training(_RESERVED)
def _reserved_variables(release: Release, training: Training) -> Iterator[Finding]:
    reserved = training_runtimes.reserved(training.framework)
    for name in training.variables if training.api == "trainjob" else ():
        if name in reserved:
            message = f"`{name}` is Trainer's own, which sets it on every node"
            hint = "remove it: `nodes` and `processesPerNode` decide it"
            places = (("training", "env", name), ("training", "secrets", "variables", name))
            said = (place for place in places if origin(release.layers, place))
            yield at_setting(release, next(said, places[0]), message, hint)


_ONE_NODE = BOOK.error(
    "T006",
    "The runtimes of torchtune fine-tune on one node: Trainer's webhook refuses more.",
    evidence=_TORCHTUNE,
    remedy="Write `nodes: 1` with more accelerators, or train with `torch-distributed`.",
)


@_on_training(_ONE_NODE)
def _several_nodes_of_torchtune(release: Release, training: Training) -> Iterator[Finding]:
    if training.framework == "torchtune" and training.nodes > 1:
        message = f"runtime `{training.runtime}` trains on one node, and these are {training.nodes}"
        hint = "write `nodes: 1` with more accelerators, or `runtime: torch-distributed`"
        yield _at(release, message, hint, "nodes")


_OWN_PATHS = BOOK.error(
    "T007",
    "A runtime of torchtune decides where model and output are: Trainer's webhook refuses others.",
    evidence=_TORCHTUNE,
    remedy="Remove the argument.",
)


@_on_training(_OWN_PATHS)
def _paths_of_torchtune(release: Release, training: Training) -> Iterator[Finding]:
    for arg in training.args if training.framework == "torchtune" else ():
        key = arg.partition("=")[0]
        if key in training_runtimes.IMMUTABLE:
            message = f"`{key}` is for the runtime `{training.runtime}` alone to decide"
            yield _at(release, message, "remove it", "args")


_OWN_ACCELERATORS = BOOK.error(
    "T008",
    "A runtime asks for accelerators by itself, and what a run says is merged over it: without a "
    "flavor of the same resource, its Pods ask for both or for nodes that nobody chose.",
    evidence="kubeflow/trainer@pkg/util/trainingruntime, " + _SHIPPED,
    remedy="Name a flavor of `nvidia.com/gpu` in `training.gpu`.",
)


_OF_TORCHTUNE = max(each.accelerators for each in training_runtimes.SHIPPED)


@_on_training(_OWN_ACCELERATORS)
def _accelerators_of_the_runtime(release: Release, training: Training) -> Iterator[Finding]:
    if training.framework != "torchtune" or training.resource == "nvidia.com/gpu":
        return
    said = f"and `{training.resource}` would be asked for beside them" if training.flavor else ""
    message = (
        f"runtime `{training.runtime}` asks for {_OF_TORCHTUNE} x nvidia.com/gpu by itself, "
        f"{said or 'wherever those are'}"
    )
    hint = "add `gpu: {flavor: <flavor>, count: 2}` with a flavor of nvidia.com/gpu"
    yield _at(release, message, hint, "gpu" if training.flavor else "runtime")


_SLICES = BOOK.warning(
    "T009",
    "Processes on slices or shares of GPUs do not train together: NCCL wants a GPU for each.",
    evidence="NVIDIA/nccl#431, pytorch/pytorch#130181",
    remedy="Train on one slice, or on whole GPUs.",
)


@_on_training(_SLICES)
def _training_on_slices(release: Release, training: Training) -> Iterator[Finding]:
    flavor = release.environment.flavors.get(training.flavor)
    if flavor is None or training.accelerators < 2:
        return
    product = flavor.node_labels.get("nvidia.com/gpu.product", "")
    is_part = flavor.resource.startswith("nvidia.com/mig-") or flavor.resource.endswith(".shared")
    if is_part or "-MIG-" in product or product.endswith("-SHARED"):
        message = (
            f"flavor `{flavor.name}` is of parts of GPUs, and NCCL does not connect "
            f"{training.accelerators} of them"
        )
        hint = "train on one part (`nodes: 1`, `count: 1`), or name a flavor of whole GPUs"
        yield _at(release, message, hint, "gpu", "flavor")


_UNQUEUED_JOBS = BOOK.error(
    "T010",
    "Kueue since 0.19 leaves PyTorchJobs alone: the queue of one is ignored, and it takes its GPUs "
    "outside of every quota.",
    evidence="kubernetes-sigs/kueue#12601, "
    "kubernetes-sigs/kueue@config/components/manager/controller_manager_config.yaml",
    remedy="Write `api: trainjob`, or remove the queue and leave the GPUs out of the quota.",
    kueue=">=0.19",
)


@_on_training(_UNQUEUED_JOBS)
def _queue_of_a_pytorchjob(release: Release, training: Training) -> Iterator[Finding]:
    if training.api == "pytorchjob" and training.is_queued:
        message = (
            f"Kueue {release.environment.kueue} does not look at PyTorchJobs: queue "
            f"`{training.queue}` would not hold it back"
        )
        yield _at(release, message, "write `api: trainjob`, or `scheduler: volcano`", "api")


_LEGACY = BOOK.warning(
    "T011",
    "The training operator is followed by Kubeflow Trainer, which gets what is new.",
    evidence="kubeflow/trainer@docs/operator-guides/migration.md",
    remedy="Write `api: trainjob`: image, command, nodes and gpu mean the same. The variables that "
    "torchrun reads are called `PET_...` there.",
)


@_on_training(_LEGACY)
def _legacy_api(release: Release, training: Training) -> Iterator[Finding]:
    is_ignored = training.is_queued and minors.within(release.environment.kueue, ">=0.19")
    if training.api == "pytorchjob" and not is_ignored:
        message = "PyTorchJobs are of the operator before Kubeflow Trainer"
        hint = "write `api: trainjob` once Trainer is there; torchrun then reads `PET_...`"
        yield _at(release, message, hint, "api")


_FREE = BOOK.warning(
    "T012",
    "A run without a queue takes accelerators that the queues have promised to others.",
    evidence="kubernetes-sigs/kueue@site/content/en/docs/concepts/workload.md",
    remedy="Name a queue, in `training.queue` or in the environment's `defaults.training.queue`.",
    kueue=">=0.16",
)


@_on_training(_FREE)
def _without_a_queue(release: Release, training: Training) -> Iterator[Finding]:
    queues = release.environment.queues
    granted = {grant["name"] for queue in queues.values() for grant in queue.flavors}
    if training.flavor in granted and not training.queue and training.scheduler == "kueue":
        message = (
            f"a run takes {training.accelerators} x {training.resource} that no queue counts, "
            f"and the queues grant flavor `{training.flavor}` to others"
        )
        named = [name for name in queues if "train" in name] or [*queues]
        hint = f"add `queue: {named[0]}`, here or in `defaults.training`"
        yield _at(release, message, hint, "gpu", "flavor")


_TOO_LARGE = BOOK.error(
    "T013",
    "A node of the run asks for more accelerators than one node of the flavor has.",
    evidence="kubernetes/website@content/en/docs/tasks/manage-gpus/scheduling-gpus.md",
    remedy="Ask for at most what a node has, and for more nodes.",
)


@_on_training(_TOO_LARGE)
def _larger_than_a_node(release: Release, training: Training) -> Iterator[Finding]:
    flavor = release.environment.flavors.get(training.flavor)
    if flavor and flavor.gpus_per_node and training.per_node > flavor.gpus_per_node:
        message = (
            f"each node of a run asks for {training.per_node} x {flavor.resource}, and a node of "
            f"flavor `{flavor.name}` has {flavor.gpus_per_node}"
        )
        hint = f"at most `count: {flavor.gpus_per_node}`, and more `nodes`"
        yield _at(release, message, hint, "gpu", "count")


_PROCESSES = BOOK.warning(
    "T014",
    "One process drives one accelerator: the others fail to start, or idle.",
    evidence="pytorch/pytorch@docs/source/elastic/run.rst",
    remedy="Leave `processesPerNode` out, or let it be `gpu.count`.",
)


@_on_training(_PROCESSES)
def _processes_and_accelerators(release: Release, training: Training) -> Iterator[Finding]:
    if training.processes and training.flavor and training.processes != training.per_node:
        message = (
            f"{training.processes} processes on each node, which has {training.per_node} x "
            f"{training.resource}"
        )
        yield _at(release, message, f"write {training.per_node}, or remove it", "processesPerNode")


_UNPINNED = BOOK.error(
    "T015",
    "An environment with `policy.pinnedArtifacts` trains only with images that keep their content.",
    evidence="kubernetes/website@content/en/docs/concepts/containers/images.md",
    remedy="Pin the image by its digest.",
)


@_on_training(_UNPINNED)
def _unpinned_image(release: Release, training: Training) -> Iterator[Finding]:
    image = training.image
    if release.environment.policy.pinned_artifacts and image and "@sha256:" not in image:
        message = f"{image} has no digest, and {release.environment.name} takes pinned images only"
        yield _at(release, message, "write `image: <repository>@sha256:<digest>`", "image")


@_UNPINNED.on_environment
def _unpinned_creator(environment: Environment) -> Iterator[Finding]:
    platform = environment.document.data["platform"]
    for system in ("trainer", "trainingOperator"):
        image = (platform.get(system) or {}).get("creator", "")
        if environment.policy.pinned_artifacts and image and "@sha256:" not in image:
            message = f"{image} has no digest, and may start runs in {environment.name}"
            hint = "write `creator: <repository>@sha256:<digest>`"
            yield in_environment(environment, ("platform", system, "creator"), message, hint)


_UNCOUNTED = BOOK.warning(
    "T016",
    "Kueue counts what a run requests: one that requests nothing is admitted always.",
    evidence="kubernetes-sigs/kueue@pkg/workload/resources.go",
    remedy="Add `training.resources`.",
)


@_on_training(_UNCOUNTED)
def _requests_nothing(release: Release, training: Training) -> Iterator[Finding]:
    asked = demand.of_run(release)
    if asked is None or not asked.queue:
        return
    if not any(pods.cpu or pods.memory or pods.accelerators for pods in asked.pods):
        message = f"a run requests nothing, so that queue `{training.queue}` never holds it back"
        yield _at(release, message, "add for example `resources: {cpu: 4, memory: 16Gi}`", "queue")


_ABOVE_CAPABILITY = BOOK.error(
    "T018",
    "Volcano starts all Pods of a run or none, and none that are more than its queue may ever use.",
    evidence="volcano-sh/volcano@docs/design/queue/queue-management.md",
    remedy="Train on less, or raise the queue's `capability`.",
)


@_on_training(_ABOVE_CAPABILITY)
def _above_capability(release: Release, training: Training) -> Iterator[Finding]:
    if training.scheduler != "volcano" or not training.queue:
        return
    queues = release.environment.document.data["platform"]["volcano"].get("queues", {})
    most = queues.get(training.queue, {}).get("capability", {})
    asked = {
        demand.CPU: sum(pods.count * pods.cpu for pods in training.pods),
        demand.MEMORY: sum(pods.count * pods.memory for pods in training.pods),
        training.resource: training.accelerators,
    }
    for resource, amount in asked.items():
        held = demand.amount(resource, most[resource]) if resource in most else amount
        if amount > held:
            told = demand.told(resource, amount), demand.told(resource, held)
            message = (
                f"a run asks for {told[0]} {resource}, and queue `{training.queue}` has {told[1]}"
            )
            keys = ("nodes",) if training.nodes > 1 else ("gpu", "count")
            yield _at(release, message, "fewer `nodes`, or a higher `capability`", *keys)
            return


_UNNAMED = BOOK.error(
    "T019",
    "A namespace that counts CPU or memory refuses Pods that request none, steps of a runtime too.",
    evidence="kubernetes/website@content/en/docs/concepts/policy/resource-quotas.md, " + _SHIPPED,
    remedy="Add `training.resources`; `limitRange.defaultRequest` fills in what steps do not say.",
)


@_on_training(_UNNAMED)
def _requests_that_are_counted(release: Release, training: Training) -> Iterator[Finding]:
    environment = release.environment
    for pods in training.pods if training.is_shipped else ():
        named = [key for key, amount in (("cpu", pods.cpu), ("memory", pods.memory)) if amount]
        missing = namespaces.uncounted(environment.document, named)
        if missing:
            is_step = pods.name in training_runtimes.STEPS
            who = f"step `{pods.name}` of runtime `{training.runtime}`" if is_step else "a node"
            message = (
                f"{who} requests no {' and no '.join(missing)}, which {environment.name} counts by "
                "its `resourceQuota`: the Pod is refused, and the run never starts"
            )
            some = ", ".join(_SOME[key] for key in missing)
            fill = f"add `limitRange: {{defaultRequest: {{{some}}}}}` to the environment"
            hint = fill if is_step else f"add `{some}` to `training.resources`, or {fill}"
            keys = ("runtime",) if is_step else ("resources", "image", "runtime")
            said = [key for key in keys if origin(release.layers, ("training", key))]
            yield _at(release, message, hint, *said[:1])
            return


_SOME = {"cpu": "cpu: 500m", "memory": "memory: 1Gi"}


_LIST = BOOK.error(
    "T044",
    "A CronWorkflow has a list of `schedules` since Argo Workflows 3.6: an older one never starts.",
    evidence="argoproj/argo-workflows@docs/cron-workflows.md, "
    "argoproj/argo-workflows@docs/upgrading.md",
    remedy="Upgrade Argo Workflows, or use another `training.engine`.",
)


@_on_training(_LIST)
def _one_schedule_alone(release: Release, training: Training) -> Iterator[Finding]:
    if training.schedule is None or training.schedule.engine != "argo":
        return
    argo = str(release.environment.document.data["platform"]["argoWorkflows"]["version"])
    if minors.parsed(argo) < (3, 6):
        message = f"Argo Workflows {argo} knows no `schedules`, and would never start a run"
        yield _at(release, message, "upgrade it to 3.6 or later, or use another `engine`", "engine")


_NEVER = BOOK.error(
    "T060",
    "Kueue admits a run with all its nodes and steps or not at all, and never one that is more "
    "than a queue and its cohort could ever hold.",
    evidence=f"kubernetes-sigs/kueue@pkg/cache/scheduler/resource_node.go, {_ASSIGNED}",
    remedy="Train on fewer nodes or accelerators, name another queue, or raise the quota.",
)


@_on_training(_NEVER)
def _never_admitted(release: Release, training: Training) -> Iterator[Finding]:
    asked, held = demand.of_run(release), capacity.of(release.environment)
    if asked is None or not asked.queue or (training.per_node and not training.flavor):
        return
    if not held.has_quota(asked):
        message = f"queue `{asked.queue}` has no quota of flavor `{asked.flavor}`"
        is_own = of_setting(release, "training", "queue").file == release.document.path
        keys = ("queue",) if is_own else ("gpu", "flavor")
        granted = [grant["name"] for grant in release.environment.queues[asked.queue].flavors]
        hint = f"name a flavor of the queue ({', '.join(granted)}), another queue, or add the quota"
        yield _at(release, message, hint, *keys)
        return
    found = held.alone(asked)
    if found is not None:
        message = f"a run could never start, even if nothing else did: {outcomes.shortage(found)}"
        hint = "fewer `nodes`, less in `gpu` or `resources`, another queue, or more quota"
        yield _at(release, message, hint, *_what_is_too_much(found, asked))


def _what_is_too_much(found: outcomes.Outcome, asked: demand.Demand) -> tuple[str, ...]:
    """Lead to the setting that decides: the nodes, unless one of them is too large."""
    part = found.parts[0] if found.parts else None
    if part is None:
        return ("queue",)
    sizes = {demand.CPU: "cpu", demand.MEMORY: "memory"}
    node = asked.pods[-1]
    if part.resource not in sizes:
        is_whole = node.accelerators <= part.held and node.maximum > 1
        return ("nodes",) if is_whole else ("gpu", "count")
    key = sizes[part.resource]
    size: int = getattr(node, key)
    is_whole = size <= part.held and node.maximum > 1
    return ("nodes",) if is_whole else ("resources", key)
