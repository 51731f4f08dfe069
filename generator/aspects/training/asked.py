"""What a training asks of an environment and cannot get, each said on the line that asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeGuard

from generator.aspects.training.block import NAME, Block
from generator.documents import Json
from generator.inventory.records import Environment, Flavor
from generator.problems import Problem
from generator.schema import suggestion
from generator.training import runtimes as training_runtimes
from generator.training.runs import OUTPUT_VARIABLES
from generator.training.runtimes import DATASET, MODEL, TrainingRuntime
from generator.values import cron as schedules
from generator.values import minors, quantities


def problems(block: Block) -> Iterator[Problem]:
    """Find what keeps the block from being rendered; nothing if it starts nothing here."""
    if not block.is_of_the_model or not block.starts:
        return
    missing = list(_systems(block))
    yield from missing
    yield from _schedule(block)
    if missing:
        return
    yield from _references(block)
    yield from _gpu(block)
    yield from _limits(block)
    yield from _command(block)
    yield from _variables(block)
    if not block.is_trainjob:
        yield from _pytorch(block)
    elif block.runtime is None:
        yield _unknown_runtime(block)
    else:
        yield from _runtime(block, block.runtime)
        yield from _volcano(block, block.runtime)


def _problem(block: Block, code: str, message: str, keys: tuple[str, ...], hint: str) -> Problem:
    return block.ask.merged.problem(code, message, (NAME, *keys), hint)


_SYSTEMS = {
    "trainer": ("Kubeflow Trainer runs TrainJobs", "2.3"),
    "trainingOperator": ("the training operator runs PyTorchJobs", "1.9"),
    "volcano": ("`scheduler: volcano` needs Volcano", "1.15"),
    "argoWorkflows": ("`engine: argo` needs Argo Workflows", "4.1"),
    "kubeflowPipelines": ("`engine: kubeflow-pipelines` needs Kubeflow Pipelines", "2.17"),
}
_ENGINES = {"argo": "argoWorkflows", "kubeflow-pipelines": "kubeflowPipelines"}


def _needed(block: Block) -> Iterator[tuple[str, str]]:
    """Name the systems that the block needs, each with the key that asks for it."""
    yield ("trainer", block.starts[0]) if block.is_trainjob else ("trainingOperator", "api")
    if block.scheduler == "volcano":
        yield "volcano", "scheduler"
    if "schedule" in block.starts and block.engine in _ENGINES:
        yield _ENGINES[block.engine], "engine"


def _systems(block: Block) -> Iterator[Problem]:
    for system, key in _needed(block):
        if system not in block.platform:
            why, version = _SYSTEMS[system]
            message = f"{why}, and environment {block.environment.name} has no `platform.{system}`"
            hint = f'add `{system}: {{version: "{version}"}}` to its `platform`, or {_way_out(key)}'
            yield _problem(block, "T001", message, (key,), hint)


def _way_out(key: str) -> str:
    if key in ("schedule", "onDrift"):
        return f"write `{key}` only below the environments that train"
    return f"remove `{key}`"


def _schedule(block: Block) -> Iterator[Problem]:
    system = "trainer" if block.is_trainjob else "trainingOperator"
    key = next((key for key in ("schedule", "onDrift") if key in block.starts), "")
    if key and not block.creator and system in block.platform:
        message = f"`training.{key}` starts runs inside of the cluster, and nothing is there for it"
        hint = f"add `platform.{system}.creator` to the environment: an image with `kubectl`, `sh`"
        yield _problem(block, "E302", message, (key,), hint)
    if "schedule" in block.starts:
        yield from _cron(block)
    if "onDrift" in block.starts and not block.looks_for_drift:
        message = "`training.onDrift` waits for drift, and nothing looks for it"
        is_off = bool(block.ask.merged.get("drift"))
        mend = "switch its `drift` on here" if is_off else "add a `drift` block to the model"
        hint = f"{mend}, or use `schedule`"
        yield _problem(block, "E303", message, ("onDrift",), hint)


def _cron(block: Block) -> Iterator[Problem]:
    cron = block.get("schedule", "cron")
    if cron is None:
        message, hint = "`schedule` does not say when", 'add for example `cron: "0 3 * * 0"`'
        yield _problem(block, "E302", message, ("schedule",), hint)
        return
    zone = block.get("schedule", "timeZone")
    if block.engine == "kubeflow-pipelines" and zone not in (None, "Etc/UTC", "UTC"):
        message = "Kubeflow Pipelines reads all schedules in one time zone of its own"
        hint = "remove it and write `cron` in that zone, or use another `engine`"
        yield _problem(block, "E303", message, ("schedule", "timeZone"), hint)
    fault = schedules.fault(cron)
    if fault:
        hint = "write five fields such as `0 3 * * 0`: minute, hour, day, month, day of the week"
        yield _problem(block, "E204", f"`{cron}` {fault}", ("schedule", "cron"), hint)


def _references(block: Block) -> Iterator[Problem]:
    """Find a queue or a class of priority that is not there."""
    is_volcano = block.scheduler == "volcano"
    queues: Iterable[str] = block.volcano_queues if is_volcano else block.environment.queues
    if block.queue and block.queue not in queues:
        whose = "Volcano of environment" if is_volcano else "environment"
        message = f"{whose} {block.environment.name} has no queue `{block.queue}`"
        yield _problem(block, "E301", message, ("queue",), suggestion(block.queue, queues))
    classes = block.environment.document.data.get("priorities", {})
    name = block.get("priority")
    if name and name not in classes:
        message = f"environment {block.environment.name} has no priority `{name}`"
        yield _problem(block, "E301", message, ("priority",), suggestion(name, classes))
    unwanted = "queues" if is_volcano else "pods"
    if name in classes and classes[name].get("for") == unwanted:
        message = f"priority `{name}` is for {unwanted} alone, and nothing would read it here"
        hint = "write `for: both` in the class, or name another one"
        yield _problem(block, "E303", message, ("priority",), hint)
    if block.priority and not block.queue and block.says_itself("priority"):
        message = "`priority` is for queues, and no queue admits this run"
        yield _problem(block, "E303", message, ("priority",), "add `queue`, or remove it")
    if block.get("topology"):
        yield from _topology(block, block.get("topology"))


def _topology(block: Block, asked: Json) -> Iterator[Problem]:
    """Find a request that nobody would read, or that no place could answer."""
    flavor = block.flavor
    levels = block.environment.topologies[flavor.topology].levels if _stands(flavor) else ()
    if block.scheduler == "volcano" or not block.queue:
        message = "`topology` is for Kueue alone to read, and no queue of Kueue's admits this run"
        yield _problem(block, "E303", message, ("topology",), "remove it")
    elif not levels:
        message = "the run is on no flavor with a `topology`"
        hint = "name a flavor that has one, or remove it"
        yield _problem(block, "E303", message, ("topology",), hint)
    elif asked.get("mode") != "unconstrained" and asked.get("level") not in levels:
        found = f"no level `{asked['level']}`" if "level" in asked else "no `level`"
        hint = suggestion(asked.get("level", ""), levels)
        yield _problem(block, "E301", f"the topology has {found}", ("topology",), hint)


def _stands(flavor: Flavor | None) -> TypeGuard[Flavor]:
    return flavor is not None and bool(flavor.topology)


def _gpu(block: Block) -> Iterator[Problem]:
    if not block.accelerators:
        return
    flavors = block.environment.flavors
    usable = [flavor.name for flavor in flavors.values() if flavor.resource]
    name = block.get("gpu", "flavor")
    if name is None:
        message = "`training.gpu` does not say which accelerators"
        hint = f"add `flavor: {usable[0] if usable else '<flavor>'}`"
        yield _problem(block, "E302", message, ("gpu",), hint)
    elif name not in flavors:
        message = f"environment {block.environment.name} has no flavor `{name}`"
        yield _problem(block, "E301", message, ("gpu", "flavor"), suggestion(name, usable))
    elif not flavors[name].resource:
        message = f"flavor `{name}` has no accelerators"
        hint = "name another flavor, or write `count: 0`"
        yield _problem(block, "E303", message, ("gpu", "flavor"), hint)


def _limits(block: Block) -> Iterator[Problem]:
    spec = block.get("resources") or {}
    for key, limit in spec.get("limits", {}).items():
        if key in spec and quantities.is_less(limit, spec[key]):
            message = f"the {key} limit {limit} is below the request {spec[key]}"
            hint = "a limit is at least the request"
            yield _problem(block, "E303", message, ("resources", "limits", key), hint)


def _command(block: Block) -> Iterator[Problem]:
    """Find a line where words are wanted: no shell takes it apart."""
    first = (block.get("command") or [""])[0]
    words = first.split()
    if len(words) > 1 and len(block.get("command")) == 1:
        message = f"no program is called `{first}`: nothing takes the words apart"
        yield _problem(block, "E204", message, ("command",), f"write `[{', '.join(words)}]`")


def _variables(block: Block) -> Iterator[Problem]:
    """Find a variable that has two values: the API server takes each name once."""
    own = OUTPUT_VARIABLES if block.get("output") else ()
    plain, secret = block.get("env") or {}, block.get("secrets", "variables") or {}
    for keys, names in ((("env",), plain), (("secrets", "variables"), secret)):
        for name in names:
            if name in own:
                message = f"`{name}` is what `output` sets"
                hint = "remove it, or remove `output`"
                yield _problem(block, "E303", message, (*keys, name), hint)
            elif names is secret and name in plain:
                message, hint = f"{name} has two values", "keep the one that counts"
                yield _problem(block, "E303", message, (*keys, name), hint)


_OF_TRAINER = ("runtime", "dataset", "model")


def _pytorch(block: Block) -> Iterator[Problem]:
    for key in _OF_TRAINER:
        if block.get(key):
            message = f"`training.{key}` is for TrainJobs, and this is `api: pytorchjob`"
            yield _problem(block, "E303", message, (key,), "remove it, or write `api: trainjob`")
    if not block.get("image"):
        message = "a PyTorchJob has no runtime that brings an image: `training.image` is missing"
        hint = "add `image: <repository>@sha256:<digest>`"
        yield _problem(block, "E302", message, ("api",), hint)


def _unknown_runtime(block: Block) -> Problem:
    name = block.runtime_name
    known = [*block.own_runtimes, *training_runtimes.BY_NAME]
    message = f"nothing is known of the runtime `{name}`: its steps, and what it asks for"
    hint = f"{suggestion(name, known)} (or list it in `platform.trainer.runtimes`)"
    return _problem(block, "E301", message, ("runtime",), hint)


def of_environment(environment: Environment) -> Iterator[Problem]:
    """Find runtimes of an environment that are like nothing."""
    trainer = environment.document.data["platform"].get("trainer") or {}
    for name, spec in trainer.get("runtimes", {}).items():
        like = spec["like"]
        if like not in training_runtimes.BY_NAME:
            message = f"`{like}` is no runtime that ships with Kubeflow Trainer"
            where = ("platform", "trainer", "runtimes", name, "like")
            hint = suggestion(like, training_runtimes.BY_NAME)
            yield environment.document.problem("E301", message, where, hint=hint)


def _runtime(block: Block, runtime: TrainingRuntime) -> Iterator[Problem]:
    if block.trainer < runtime.since:
        since = minors.said(runtime.since)
        message = f"runtime `{runtime.name}` ships with Trainer {since}, and this is older"
        hint = "upgrade Trainer, or name another runtime"
        yield _problem(block, "T002", message, ("runtime",), hint)
    for key, step in (("dataset", DATASET), ("model", MODEL)):
        if block.get(key) and step not in runtime.jobs:
            message = f"runtime `{runtime.name}` has no step that fetches a {key}"
            hint = "let the training code fetch it, by `args` or `env`, or name a runtime that does"
            yield _problem(block, "T003", message, (key,), hint)
    if not runtime.has_recipe and not block.get("command"):
        message = (
            f"`training.command` is missing, and runtime `{runtime.name}` trains nothing itself"
        )
        hint = "add for example `command: [torchrun, /app/train.py]`"
        keys = [key for key in ("image", "runtime") if block.get(key)]
        yield _problem(block, "E302", message, tuple(keys[:1]), hint)
    yield from _of_version(block)


def _of_version(block: Block) -> Iterator[Problem]:
    """Find what this version of Trainer has no field for."""
    if block.deadline and block.trainer < (2, 2):
        message = "a TrainJob has a deadline since Trainer 2.2: nobody would stop this run"
        hint = "upgrade Trainer, or remove `timeout` and let the training code stop itself"
        yield _problem(block, "T004", message, ("timeout",), hint)
    if block.get("topology") and block.trainer < (2, 1):
        message = "Trainer 2.0 takes no annotations of Pods, which Kueue reads the topology from"
        yield _problem(block, "T004", message, ("topology",), "upgrade Trainer, or remove it")


def _volcano(block: Block, runtime: TrainingRuntime) -> Iterator[Problem]:
    if block.scheduler != "volcano":
        return
    if block.trainer < (2, 1):
        message = "Trainer makes PodGroups of Volcano since 2.1"
        yield _problem(block, "T004", message, ("scheduler",), "upgrade Trainer")
    if runtime.jobs != (training_runtimes.NODE,):
        message = (
            f"a runtime asks for Volcano itself: gen makes one like `torch-distributed` for this "
            f"model, and cannot make one like `{runtime.name}`"
        )
        hint = "use a runtime without steps, or `scheduler: kueue`"
        yield _problem(block, "E303", message, ("runtime",), hint)
    if not block.get("image"):
        message = "with `scheduler: volcano` the runtime is made here: `training.image` is missing"
        hint = "add `image: <repository>@sha256:<digest>`"
        yield _problem(block, "E302", message, ("scheduler",), hint)
