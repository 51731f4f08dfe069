"""Who owns the number of replicas, and what can not work.

What a system would make of it has a code of the rules (`rules.autoscaling`): without it, there
would be nothing to render.
"""

from __future__ import annotations

from collections.abc import Iterator

from generator.documents import Document, Json
from generator.inventory.records import Environment
from generator.problems import Problem
from generator.records import Autoscaler, Scaling
from generator.scaling import pace, triggers
from generator.serving import runtimes
from generator.settings import Settings

_RESOURCE_METRICS = triggers.RESOURCES
_IDLE = " or vector(0)"
"""An idle model has no series; without this, KEDA cannot tell idle from a Prometheus outage."""


def autoscaler(settings: Settings, *, knative: bool) -> Autoscaler:
    """Choose the one owner: KPA, an HPA of Knative's, KServe's or ours, or KEDA."""
    by_resource = settings.scaling["metric"] in _RESOURCE_METRICS
    if knative:
        return "knative-hpa" if by_resource else "kpa"
    is_triggered = bool(triggers.said(settings))
    if settings.serving["backend"] == "deployment":
        return "hpa" if by_resource and not is_triggered else "keda"
    if settings.scaling["min"] == settings.scaling["max"]:
        return "none"
    if settings.serving["backend"] == "seldon":
        return "seldon"
    return "kserve-hpa" if by_resource and not is_triggered else "keda"


def scaling(
    settings: Settings, workload: str, environment: Environment, *, knative: bool, name: str = ""
) -> Scaling:
    """Resolve the scaling of one workload, whose Deployment is called `workload`.

    `name` is what its own objects are called.
    """
    owner = autoscaler(settings, knative=knative)
    asked = query(settings, workload, environment.namespace) if owner == "keda" else ""
    limit = settings.get("scaling", "knative", "containerConcurrency")
    return Scaling(
        minimum=settings.scaling["min"],
        maximum=settings.scaling["max"],
        metric=settings.scaling["metric"] if triggers.is_measured(settings) else "none",
        target=settings.scaling["target"],
        autoscaler=owner,
        query=asked,
        behavior=pace.behavior(settings) if owner in ("hpa", "keda") else {},
        annotations=pace.knobs(settings, owner),
        container_concurrency=limit if knative and limit else 0,
        **(_of_keda(settings, environment, name or workload, asked) if owner == "keda" else {}),
    )


def _of_keda(settings: Settings, environment: Environment, name: str, asked: str) -> Json:
    """Resolve what only a ScaledObject has."""
    return {
        "triggers": triggers.rendered(settings, environment, name, asked),
        "fallback": pace.fallback(settings, environment.keda),
        "timing": pace.timing(settings),
        "interceptor": triggers.interceptor(settings, environment),
    }


def query(settings: Settings, workload: str, namespace: str) -> str:
    """Write the PromQL of a workload: its own Pods only, one number, 0 when idle.

    Two versions of a model share every label but the Pod's name, hence the selector. Empty where
    the runtime does not report the metric.
    """
    own: str | None = settings.get("scaling", "query")
    if not _is_asked(settings):
        return ""
    if own is not None:
        return own
    runtime = runtime_of(settings)
    metric = settings.scaling["metric"]
    if runtime is None:
        return ""
    known = {
        "requests-per-second": runtime.requests_per_second,
        "concurrency": runtime.concurrency,
    }
    template = known.get(metric, "")
    selector = pods(workload, namespace)
    return f"{template.format(selector=selector)}{_IDLE}" if template else ""


def pods(workload: str, namespace: str) -> str:
    """Write the matchers of a Deployment's own Pods, those that are gone included."""
    return f'namespace="{namespace}",pod=~"{workload}-[a-z0-9]+-[a-z0-9]+"'


def runtime_of(settings: Settings) -> runtimes.Runtime | None:
    """Find what is known of the runtime; None for a Deployment or the cluster's own runtime."""
    if settings.serving["backend"] == runtimes.LLM_BACKEND:
        return runtimes.LLM
    if settings.serving["backend"] == "seldon":
        return None
    named = settings.serving.get("runtime")
    if named is not None:
        return runtimes.BY_NAME.get(named)
    return runtimes.BY_FORMAT.get(settings.serving.get("format", ""))


def problems(
    settings: Settings, environment: Environment, *, knative: bool, routed: bool = False
) -> Iterator[Problem]:
    """Find what no autoscaler could do; `routed` says that a route of gen's own leads here."""
    yield from _bounds(settings)
    owner = autoscaler(settings, knative=knative)
    yield from _target(settings, owner)
    yield from _metric(settings, owner)
    yield from pace.problems(settings, owner)
    if owner == "keda":
        yield from _keda(settings, environment)
        yield from triggers.problems(settings, environment, routed=routed)
    elif triggers.said(settings):
        yield from _untriggered(settings, environment, knative=knative)


def unseen(model: Document, environment: str, own: Settings, *, knative: bool) -> Iterator[Problem]:
    """Find what a shadow would scale on and never gets."""
    if autoscaler(own, knative=knative) == "keda":
        yield from triggers.unseen(model, environment, own)


def _metric(settings: Settings, owner: Autoscaler) -> Iterator[Problem]:
    """Find metrics that nobody asks for, and models that none would wake."""
    metric = settings.scaling["metric"]
    if owner != "kpa" and settings.scaling["min"] == 0 and not triggers.wakes(settings):
        yield _asleep(settings, owner)
    if metric == "none" and not triggers.said(settings):
        message = "`metric: none` leaves everything to `triggers`, and there are none"
        hint = "add `triggers`, or write what the replicas follow"
        yield settings.problem("E303", message, ("scaling", "metric"), hint)
    elif settings.get("scaling", "query") is not None:
        yield from _unasked(settings, owner)
    if owner == "hpa" and settings.get("serving", "resources", metric) is None:
        message = (
            f"`scaling.metric: {metric}` is a percentage of the {metric} request, and there is none"
        )
        hint = f"add `serving.resources.{metric}`"
        yield settings.problem("A006", message, ("scaling", "metric"), hint)


def _unasked(settings: Settings, owner: Autoscaler) -> Iterator[Problem]:
    metric = settings.scaling["metric"]
    if owner != "keda":
        message = f"`scaling.query` is read by KEDA alone, and here {_OWNERS[owner]} decides"
    elif _is_asked(settings) or not triggers.is_of_the_model(settings, "scaling", "query"):
        return
    else:
        message = (
            f"`scaling.query` is another way to read a metric, and `metric: {metric}` has none"
        )
    hint = "remove it, or use `metric: requests-per-second`"
    yield settings.problem("A005", message, ("scaling", "query"), hint)


def _is_asked(settings: Settings) -> bool:
    """Say whether the metric is one that a query gives."""
    is_resource = settings.scaling["metric"] in _RESOURCE_METRICS
    return triggers.is_measured(settings) and not is_resource


def _untriggered(
    settings: Settings, environment: Environment, *, knative: bool
) -> Iterator[Problem]:
    """Refuse triggers where KEDA has nothing to scale."""
    place = f"`environments.{environment.name}.scaling`"
    if knative:
        message = "Knative scales its revisions itself, and no trigger of KEDA's can"
        hint = f"write `triggers: []` in {place}, or serve it in an environment in Standard mode"
        yield triggers.problem(settings, "A101", message, triggers.KEY, hint, key=True)
    elif not triggers.is_of_a_role(settings):
        most = settings.scaling["max"]
        message = f"`min` and `max` are both {most}, so that no trigger adds a replica"
        hint = "raise `max`"
        yield triggers.problem(settings, "A008", message, triggers.KEY, hint, key=True)


_OWNERS = {
    "kpa": "Knative's autoscaler",
    "knative-hpa": "Knative's HPA",
    "kserve-hpa": "KServe's HPA",
    "hpa": "an HPA",
    "seldon": "Seldon",
    "none": "a fixed number",
}


def _bounds(settings: Settings) -> Iterator[Problem]:
    least, most = settings.scaling["min"], settings.scaling["max"]
    if least <= most:
        return
    nearer, other = (
        ("min", "max")
        if settings.rank("scaling", "min") >= settings.rank("scaling", "max")
        else ("max", "min")
    )
    place = settings.where("scaling", other)
    said = f" (set in {place})" if place else " (gen's default)"
    near, far = settings.get("scaling", nearer), settings.get("scaling", other)
    message = f"`scaling.{nearer}` is {near} and `scaling.{other}` is {far}{said}"
    hint = f"set `{other}` beside it: min is at most max"
    yield settings.problem("E303", message, ("scaling", nearer), hint)


def _target(settings: Settings, owner: Autoscaler) -> Iterator[Problem]:
    """A target belongs to its metric: a farther layer's would be in the wrong unit."""
    metric, target = settings.scaling["metric"], settings.scaling["target"]
    if not triggers.is_measured(settings):
        return
    if settings.rank("scaling", "metric") > settings.rank("scaling", "target"):
        message = (
            f"`scaling.metric: {metric}` needs a `target` beside it: how much one replica takes"
        )
        yield settings.problem("E302", message, ("scaling", "metric"), "for example `target: 10`")
    elif metric in _RESOURCE_METRICS and owner not in ("hpa", "keda") and target > 100:
        message = (
            f"`scaling.target` is in percent of the {metric} request, and {target} is above 100"
        )
        yield settings.problem("A001", message, ("scaling", "target"), "for example `target: 80`")
    elif owner != "keda" and not isinstance(target, int):
        message = f"{_OWNERS[owner]} takes whole numbers, not {target}"
        hint = f"write `{max(1, round(target))}`"
        yield settings.problem("A002", message, ("scaling", "target"), hint)


def _asleep(settings: Settings, owner: Autoscaler) -> Problem:
    message = f"`scaling.min: 0` would never wake up: {_WHY_ASLEEP.get(owner, _WHY_ASLEEP['hpa'])}"
    hint = "use `min: 1`"
    if owner == "knative-hpa":
        hint += ", or `metric: concurrency`, by which Knative itself wakes a model"
        return settings.problem("A003", message, ("scaling", "min"), hint)
    if owner != "seldon":
        hint += ", add a trigger that exists without Pods (`kafka`, `sqs`, `cron`, `http`)"
    if settings.serving["backend"] not in (runtimes.LLM_BACKEND, "seldon"):
        hint += ", or use an environment with `mode: Knative` and the metric `concurrency`"
    return settings.problem("A003", message, ("scaling", "min"), hint)


_WHY_ASLEEP = {
    "hpa": "cpu and memory are measured on Pods, and there are none",
    "keda": "the metric comes from the scaled Pods, and there are none (kedacore/keda#6040)",
    "seldon": "Seldon measures what is loaded, and nothing is",
}


def _keda(settings: Settings, environment: Environment) -> Iterator[Problem]:
    metric = settings.scaling["metric"]
    if not triggers.is_measured(settings):
        return
    if metric in _RESOURCE_METRICS:
        yield from triggers.of_metric(settings)
        return
    absent = [name for name in ("keda", "prometheus") if not getattr(environment, name)]
    if absent:
        systems = " and ".join(f"`platform.{name}`" for name in absent)
        message = f"`scaling.metric: {metric}` needs {systems} in environment {environment.name}"
        hint = "add it to the environment, or use `metric: cpu`"
        yield settings.problem("E302", message, ("scaling", "metric"), hint)
    if not query(settings, "x", "x"):
        what = (
            settings.get("serving", "runtime") or settings.get("serving", "format") or "your image"
        )
        message = f"gen does not know how {what} reports `{metric}`"
        hint = "add `scaling.query` with a PromQL expression, or use `metric: cpu`"
        yield settings.problem("A004", message, ("scaling", "metric"), hint)
