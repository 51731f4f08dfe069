"""Rules of workflows that start runs by the clock, as own templates write them."""

from __future__ import annotations

from collections.abc import Iterator

from generator.documents import Json
from generator.rules import Book, Scene, Spot
from generator.rules.fields import block, entries, text
from generator.rules.kueue.accessors import QUEUE, label
from generator.values import minors
from generator.yamlio import Pointer

BOOK = Book("training workflows")

_SCHEDULES = BOOK.error(
    "T040",
    "Argo Workflows 4 reads `schedules`, a list; `schedule` is dropped, and nothing ever starts.",
    evidence="argoproj/argo-workflows@docs/upgrading.md",
    remedy="Write `schedules` with one entry.",
)


@_SCHEDULES.on_objects("CronWorkflow")
def _former_schedule(item: Json, scene: Scene) -> Iterator[Spot]:
    spec, version = block(item, "spec"), _argo(scene)
    if "schedule" in spec and (not version or minors.parsed(version) >= (4, 0)):
        message = f"Argo Workflows {version or 4} has no `schedule`"
        yield Spot(message, ("spec", "schedule"), f'write `schedules: ["{spec["schedule"]}"]`')
    elif not spec.get("schedules") and "schedule" not in spec:
        yield Spot("it never starts: it has no `schedules`", ("spec",), "add `schedules`")


def _argo(scene: Scene) -> str:
    platform = scene.environment.document.data["platform"]
    return str((platform.get("argoWorkflows") or {}).get("version", ""))


_QUEUED = BOOK.error(
    "T041",
    "Kueue queues no Workflow: a queue's label is read from the job that the Workflow creates.",
    evidence="kubernetes-sigs/kueue#74",
    remedy="Put the label into the manifest of the job.",
)


@_QUEUED.on_objects("CronWorkflow", "Workflow", "ScheduledWorkflow")
def _queue_of_a_workflow(item: Json, scene: Scene) -> Iterator[Spot]:
    if label(item, QUEUE):
        message = f"nobody reads the queue of a {item['kind']}"
        hint = "put the label into the manifest of the job that it creates"
        yield Spot(message, ("metadata", "labels", QUEUE), hint)


_CONDITIONS = BOOK.error(
    "T042",
    "Argo compares single fields of what it creates, not entries of a list: a condition in "
    "`status.conditions` cannot be waited for.",
    evidence="argoproj/argo-workflows#7143, argoproj/argo-workflows#2288",
    remedy="Wait with `kubectl wait` in a container.",
)


@_CONDITIONS.on_objects("CronWorkflow")
def _waits_for_an_entry(item: Json, scene: Scene) -> Iterator[Spot]:
    templates: Pointer = ("spec", "workflowSpec", "templates")
    for index, template in entries(item, *templates):
        for key in ("successCondition", "failureCondition"):
            if "conditions" in text(template, "resource", key):
                message = f"`{key}` cannot look into the list `status.conditions`"
                hint = "remove it, or wait with `kubectl wait` in a container"
                yield Spot(message, (*templates, index, "resource", key), hint)


_SIX = BOOK.error(
    "T043",
    "Kubeflow Pipelines reads six fields of a schedule, the seconds first: five mean other times.",
    evidence="kubeflow/pipelines@backend/src/crd/controller/scheduledworkflow/util/cron_schedule.go",
    remedy="Put `0 ` before the five fields.",
)


@_SIX.on_objects("ScheduledWorkflow")
def _five_fields(item: Json, scene: Scene) -> Iterator[Spot]:
    place = ("spec", "trigger", "cronSchedule", "cron")
    cron = text(item, *place)
    if cron and not cron.startswith("@") and len(cron.split()) != 6:
        message = f"`{cron}` has {len(cron.split())} fields, and six are read"
        yield Spot(message, place, f"write `0 {cron}`")
