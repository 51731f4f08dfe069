"""Who owns the number of replicas, and what can not work.

What a system would make of it has a code of the rules (`rules.autoscaling`): without it, there
would be nothing to render.
"""

from __future__ import annotations

from collections.abc import Iterator

from generator import runtimes
from generator.problems import Problem
from generator.records import Autoscaler, Environment, Scaling
from generator.settings import Settings

_RESOURCE_METRICS = ("cpu", "memory")
_IDLE = " or vector(0)"
"""An idle model has no series; without this, KEDA cannot tell idle from a Prometheus outage."""


def autoscaler(settings: Settings, *, knative: bool) -> Autoscaler:
    """Choose the one owner: KPA, an HPA of Knative's, KServe's or ours, or KEDA."""
    by_resource = settings.get("scaling", "metric") in _RESOURCE_METRICS
    if knative:
        return "knative-hpa" if by_resource else "kpa"
    if settings.get("serving", "backend") == "deployment":
        return "hpa" if by_resource else "keda"
    if settings.get("scaling", "min") == settings.get("scaling", "max"):
        return "none"
    return "kserve-hpa" if by_resource else "keda"


def scaling(
    settings: Settings, workload: str, environment: Environment, *, knative: bool
) -> Scaling:
    """Resolve the scaling of one workload, whose Deployment is called `workload`."""
    owner = autoscaler(settings, knative=knative)
    return Scaling(
        minimum=settings.get("scaling", "min"),
        maximum=settings.get("scaling", "max"),
        metric=settings.get("scaling", "metric"),
        target=settings.get("scaling", "target"),
        autoscaler=owner,
        query=query(settings, workload, environment.namespace) if owner == "keda" else "",
    )


def query(settings: Settings, workload: str, namespace: str) -> str:
    """Write the PromQL of a workload: its own Pods only, one number, 0 when idle.

    Two versions of a model share every label but the Pod's name, hence the selector. Empty where
    the runtime does not report the metric.
    """
    own: str | None = settings.get("scaling", "query")
    if own is not None:
        return own
    runtime = runtime_of(settings)
    metric = settings.get("scaling", "metric")
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
    named = settings.get("serving", "runtime")
    if named is not None:
        return runtimes.BY_NAME.get(named)
    return runtimes.BY_FORMAT.get(settings.get("serving", "format"))


def problems(settings: Settings, environment: Environment, *, knative: bool) -> Iterator[Problem]:
    """Find what no autoscaler could do."""
    yield from _bounds(settings)
    owner = autoscaler(settings, knative=knative)
    yield from _target(settings, owner)
    if owner != "kpa" and settings.get("scaling", "min") == 0:
        yield _asleep(settings, owner)
    if owner == "keda":
        yield from _keda(settings, environment)
    elif settings.get("scaling", "query") is not None:
        message = f"`scaling.query` is read by KEDA alone, and here {_OWNERS[owner]} decides"
        hint = "remove it, or use `metric: requests-per-second`"
        yield settings.problem("A005", message, ("scaling", "query"), hint)
    if (
        owner == "hpa"
        and settings.get("serving", "resources", settings.get("scaling", "metric")) is None
    ):
        metric = settings.get("scaling", "metric")
        message = (
            f"`scaling.metric: {metric}` is a percentage of the {metric} request, and there is none"
        )
        hint = f"add `serving.resources.{metric}`"
        yield settings.problem("A006", message, ("scaling", "metric"), hint)


_OWNERS = {
    "kpa": "Knative's autoscaler",
    "knative-hpa": "Knative's HPA",
    "kserve-hpa": "KServe's HPA",
    "hpa": "an HPA",
    "none": "a fixed number",
}


def _bounds(settings: Settings) -> Iterator[Problem]:
    least, most = settings.get("scaling", "min"), settings.get("scaling", "max")
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
    metric, target = settings.get("scaling", "metric"), settings.get("scaling", "target")
    if settings.rank("scaling", "metric") > settings.rank("scaling", "target"):
        message = (
            f"`scaling.metric: {metric}` needs a `target` beside it: how much one replica takes"
        )
        yield settings.problem("E302", message, ("scaling", "metric"), "for example `target: 10`")
    elif metric in _RESOURCE_METRICS and owner != "hpa" and target > 100:
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
    hint = "use `min: 1`, or an environment with `mode: Knative` and the metric `concurrency`"
    return settings.problem("A003", message, ("scaling", "min"), hint)


_WHY_ASLEEP = {
    "hpa": "cpu and memory are measured on Pods, and there are none",
    "keda": "the metric comes from the scaled Pods, and there are none (kedacore/keda#6040)",
}


def _keda(settings: Settings, environment: Environment) -> Iterator[Problem]:
    metric = settings.get("scaling", "metric")
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
