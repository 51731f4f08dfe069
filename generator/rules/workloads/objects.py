"""Rules of workloads and what selects them: Deployments, Jobs, Services, budgets and policies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from generator.documents import Json
from generator.rules import Book, Scene, Spot
from generator.rules.fields import at, containers, labels, name_of, pods, spec
from generator.values import quantities
from generator.yamlio import Pointer

BOOK = Book("serving")

_APPS = "kubernetes/kubernetes@pkg/apis/apps/validation/validation.go"
_BATCH = "kubernetes/kubernetes@pkg/apis/batch/validation/validation.go"
_CORE = "kubernetes/kubernetes@pkg/apis/core/validation/validation.go"
_SERVICE = "kubernetes/website@content/en/docs/concepts/services-networking/service.md"

_KEPT_RUNNING = ("Deployment", "StatefulSet", "DaemonSet")
_RUN_ONCE = ("Job", "CronJob")


_TEMPLATES: tuple[Pointer, ...] = (
    ("spec", "template", "metadata", "labels"),
    ("spec", "jobTemplate", "spec", "template", "metadata", "labels"),
)


def _pod_labels(item: Json) -> Json:
    """Give the labels of the Pods that a workload of Kubernetes itself makes."""
    return next(filter(None, (at(item, *pointer) for pointer in _TEMPLATES)), {})


def _missed(wanted: Json, found: Json) -> str:
    """Name the first label that is asked for and not there; empty if none is."""
    return next((key for key, value in wanted.items() if found.get(key) != value), "")


@BOOK.error(
    "S070",
    "The API server refuses a workload whose selector does not match the Pods that it makes.",
    evidence=_APPS,
    remedy="Write the same labels under `selector.matchLabels` and `template.metadata.labels`.",
).on_objects(*_KEPT_RUNNING)
def _does_not_select_its_own(item: Json, scene: Scene) -> Iterator[Spot]:
    wanted = at(item, "spec", "selector", "matchLabels", default={}) or {}
    key = _missed(wanted, _pod_labels(item))
    if key:
        message = f"the Pods of the {item['kind']} have no label `{key}: {wanted[key]}`"
        hint = "write it under `template.metadata.labels` too, or select by one that is there"
        yield Spot(message, ("spec", "selector", "matchLabels", key), hint)


def _selected(selector: Json, scene: Scene) -> list[Json]:
    """Give the workloads whose Pods a selector matches."""
    found = [
        item
        for item in scene.of_kind(*_KEPT_RUNNING, *_RUN_ONCE)
        if not _missed(selector, _pod_labels(item))
    ]
    found += [
        item
        for item in scene.of_kind("InferenceService")
        if any(_may_have(selector, each) for each in _labels_of_kserve(item))
    ]
    return found


def _labels_of_kserve(item: Json) -> Iterator[Json]:
    """Give the labels that KServe writes on the Pods of each component."""
    called = name_of(item)
    for component in ("predictor", "transformer", "explainer"):
        block = at(item, "spec", component)
        if isinstance(block, dict):
            middle = f"-{block['name']}" if block.get("name") else ""
            yield {
                **labels(item),
                **(block.get("labels") or {}),
                "app": f"isvc.{called}{middle}-{component}",
                "component": component,
                "serving.kserve.io/inferenceservice": called,
            }


def _may_have(selector: Json, found: Json) -> bool:
    """Say whether Pods of KServe may have these labels; runtime, Knative and others add some."""
    return all(found.get(key, value) == value for key, value in selector.items())


_MAKES_PODS = ("LLMInferenceService", "InferenceGraph", "RayService", "RayCluster", "Pod")


def _has_others(scene: Scene) -> bool:
    """Say whether there are Pods here whose labels nobody knows."""
    known = (*_KEPT_RUNNING, *_RUN_ONCE, "Application")
    return any(
        item["kind"] in _MAKES_PODS or (item["kind"] not in known and "template" in spec(item))
        for item in scene.objects
    )


_SELECTORS: dict[str, Pointer] = {
    "Service": ("spec", "selector"),
    "PodDisruptionBudget": ("spec", "selector", "matchLabels"),
    "NetworkPolicy": ("spec", "podSelector", "matchLabels"),
    "PodMonitor": ("spec", "selector", "matchLabels"),
}


@BOOK.error(
    "S071",
    "What selects no Pod does nothing: a Service answers nobody, a budget or policy guards none.",
    evidence=f"{_SERVICE}, "
    "kubernetes/website@content/en/docs/concepts/overview/working-with-objects/labels.md",
    remedy="Select by a label that the Pods have, such as `app.kubernetes.io/name`.",
).on_objects(*_SELECTORS)
def _selects_nothing(item: Json, scene: Scene) -> Iterator[Spot]:
    release, pointer = scene.release, _SELECTORS[item["kind"]]
    wanted = at(item, *pointer)
    if release is None or not wanted or not isinstance(wanted, dict):
        return
    if _selected(wanted, scene) or _has_others(scene):
        return
    key, value = next(iter(wanted.items()))
    message = f"no Pod of `{release.model}` has the label `{key}: {value}`"
    if len(wanted) > 1:
        message = f"no Pod of `{release.model}` has these {len(wanted)} labels"
    hint = "select by `app.kubernetes.io/name: {{ release.model }}`"
    yield Spot(message, (*pointer, key), hint)


def _ports(item: Json) -> dict[str, Json]:
    """Give the named ports of the containers of a workload."""
    return {
        str(port["name"]): port
        for pod, _ in pods(item)
        for container in pod.get("containers") or ()
        for port in container.get("ports") or ()
        if port.get("name")
    }


@BOOK.error(
    "S072",
    "A Service finds a port by its name in the container; without it no request arrives.",
    evidence=_SERVICE,
    remedy="Name the port as the container does, or write its number.",
).on_objects("Service")
def _port_that_nobody_has(item: Json, scene: Scene) -> Iterator[Spot]:
    found = _selected(spec(item).get("selector") or {"": ""}, scene)
    if not found or any(each["kind"] == "InferenceService" for each in found):
        return
    known = {port for each in found for port in _ports(each)}
    probed = {_port_of(probe) for each in found for probe, _, _ in _probes(each)}
    for index, port in enumerate(spec(item).get("ports") or ()):
        target = port.get("targetPort")
        if isinstance(target, str) and not target.isdecimal() and target not in known | probed:
            message = f"no container of {name_of(found[0])} has a port `{target}`"
            hint = f"known there: {', '.join(f'`{each}`' for each in sorted(known)) or 'no name'}"
            yield Spot(message, ("spec", "ports", index, "targetPort"), hint)


def _port_of(probe: Json) -> str:
    return str(at(probe, "httpGet", "port") or at(probe, "tcpSocket", "port"))


_PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


def _probes(item: Json) -> Iterator[tuple[Json, Json, Pointer]]:
    """Give the probes of a workload with their containers and the ways to them."""
    for pod, place in pods(item):
        for index, container in enumerate(pod.get("containers") or ()):
            for key in _PROBES:
                if isinstance(container.get(key), dict):
                    yield container[key], container, (*place, "containers", index, key)


@BOOK.error(
    "S073",
    "A probe of a port that the container does not name fails for ever: the Pod is never ready.",
    evidence="kubernetes/website@content/en/docs/tasks/configure-pod-container/"
    "configure-liveness-readiness-startup-probes.md",
    remedy="Name the port as the container does, or write its number.",
).on_objects(*_KEPT_RUNNING)
def _probe_of_no_port(item: Json, scene: Scene) -> Iterator[Spot]:
    told: set[str] = set()
    for probe, container, place in _probes(item):
        known = [str(port.get("name")) for port in container.get("ports") or ()]
        for way in ("httpGet", "tcpSocket"):
            port = at(probe, way, "port")
            if isinstance(port, str) and not port.isdecimal() and {port} - told - {*known}:
                told.add(port)
                message = f"container `{container.get('name')}` has no port `{port}`"
                hint = f"known there: {', '.join(f'`{each}`' for each in known) or 'none'}"
                yield Spot(message, (*place, way, "port"), hint)


@BOOK.error(
    "S074",
    "The API server refuses a startup or liveness probe that has to succeed more than once.",
    evidence=_CORE,
    remedy="Leave `successThreshold` to the readiness probe.",
).on_objects(*_KEPT_RUNNING)
def _success_more_than_once(item: Json, scene: Scene) -> Iterator[Spot]:
    for probe, _, place in _probes(item):
        if place[-1] != "readinessProbe" and probe.get("successThreshold", 1) != 1:
            message = f"`successThreshold` of a {place[-1]} is 1, and not more"
            yield Spot(message, (*place, "successThreshold"), "remove it")


@BOOK.error(
    "S075",
    "The API server takes `Never` or `OnFailure` for a Job and `Always` for what keeps running.",
    evidence=f"{_BATCH}, {_APPS}",
    remedy="Write the restart policy of the kind.",
).on_objects(*_RUN_ONCE, *_KEPT_RUNNING)
def _restarts_as_another_kind(item: Json, scene: Scene) -> Iterator[Spot]:
    is_once = item["kind"] in _RUN_ONCE
    for pod, place in pods(item):
        policy = pod.get("restartPolicy", "Always")
        if is_once == (policy == "Always"):
            said = f"`{policy}`" if "restartPolicy" in pod else "none, which means `Always`"
            message = f"the Pods of a {item['kind']} cannot have this restart policy: {said}"
            hint = "write `restartPolicy: Never`" if is_once else "write `restartPolicy: Always`"
            yield Spot(message, (*place, "restartPolicy"), hint)


_FIELDS = 5
_ZONES = ("TZ=", "CRON_TZ=")


@BOOK.error(
    "S076",
    "The API server refuses a schedule that is not five fields, or that names a time zone.",
    evidence=f"{_BATCH}, "
    "kubernetes/website@content/en/docs/concepts/workloads/controllers/cron-jobs.md",
    remedy="Write minute, hour, day, month and weekday, and the zone as `timeZone` beside it.",
).on_objects("CronJob")
def _schedule_that_is_none(item: Json, scene: Scene) -> Iterator[Spot]:
    schedule = str(spec(item).get("schedule", ""))
    pointer: Pointer = ("spec", "schedule")
    if schedule.startswith(_ZONES):
        zone, _, rest = schedule.partition(" ")
        hint = f"write `schedule: {rest}` and `timeZone: {zone.partition('=')[2]}`"
        yield Spot("a schedule names no time zone", pointer, hint)
    elif not schedule.startswith("@") and len(schedule.split()) != _FIELDS:
        message = f"`{schedule}` has {len(schedule.split())} fields, and a schedule has 5"
        yield Spot(message, pointer, "such as `0 3 * * *`, at three o'clock every day")


_LONGEST = 52


@BOOK.error(
    "S077",
    "Kubernetes adds 11 characters to a CronJob's name, so that it takes 52 of them.",
    evidence=f"{_BATCH}, "
    "kubernetes/website@content/en/docs/concepts/workloads/controllers/cron-jobs.md",
    remedy="Shorten the name.",
).on_objects("CronJob")
def _name_of_a_cron_job(item: Json, scene: Scene) -> Iterator[Spot]:
    excess = len(name_of(item)) - _LONGEST
    if excess > 0:
        message = f"`{name_of(item)}` has {len(name_of(item))} characters of at most {_LONGEST}"
        yield Spot(message, ("metadata", "name"), f"shorten it by {excess}")


@BOOK.error(
    "S078",
    "The API server refuses a container that mounts a volume which its Pod does not have.",
    evidence=_CORE,
    remedy="Add the volume to the Pod, or mount one that is there.",
).on_objects(*_KEPT_RUNNING, *_RUN_ONCE)
def _mounts_nothing(item: Json, scene: Scene) -> Iterator[Spot]:
    claims = [
        str(at(each, "metadata", "name")) for each in spec(item).get("volumeClaimTemplates") or ()
    ]
    for pod, place in pods(item):
        known = [*claims, *(str(each.get("name")) for each in pod.get("volumes") or ())]
        for key in ("containers", "initContainers"):
            for index, container in enumerate(pod.get(key) or ()):
                for mount, each in enumerate(container.get("volumeMounts") or ()):
                    if each.get("name") not in known:
                        pointer = (*place, key, index, "volumeMounts", mount, "name")
                        hint = f"add `{{name: {each.get('name')}, ...}}` under `volumes`"
                        yield Spot(f"the Pod has no volume `{each.get('name')}`", pointer, hint)


def _is_above(one: Any, other: Any) -> bool:
    try:
        return quantities.parse(str(one)) > quantities.parse(str(other))
    except ValueError:
        return False


@BOOK.error(
    "S079",
    "The API server refuses a container that requests more than its own limit.",
    evidence=_CORE,
    remedy="Raise the limit, or lower the request.",
).on_objects("*")
def _request_above_the_limit(item: Json, scene: Scene) -> Iterator[Spot]:
    for container, place in containers(item):
        resources = container.get("resources") or {}
        limits = resources.get("limits") or {}
        for key, asked in (resources.get("requests") or {}).items():
            if key in limits and "/" not in key and _is_above(asked, limits[key]):
                message = f"the {key} request {asked} is above the limit {limits[key]}"
                hint = f"write at least `{key}: {asked}` under `limits`"
                yield Spot(message, (*place, "resources", "requests", key), hint)
