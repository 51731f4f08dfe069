"""Who is told of what, and what to do about it.

`critical` is what callers feel, `warning` what they will, `info` what costs money. Numbers of a
canary's traffic are in none of them, so that it can grow without a change here.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from generator.documents import Json
from generator.gate import measures
from generator.monitoring import records
from generator.monitoring import watched as where
from generator.monitoring.watched import Watched
from generator.records import Release
from generator.values import durations

_LONG = "15m"
_LATE = 7200
"""Seconds after which a check that has not succeeded is not only slow."""
_VERSION = "{{ with $labels.version }} {{ . }}{{ end }}"


class Alert(Struct, frozen=True):
    """One alert; `what` goes on after the model's name, `then` is what to do.

    `version` and `quantile` are labels where the series has none: two alerts of one name and the
    same labels would be one.
    """

    name: str
    expression: str
    hold: str
    severity: str
    what: str
    then: str
    version: str = ""
    quantile: str = ""


def rule(release: Release, watched: Watched, alert: Alert) -> Json:
    """Write an alert as Prometheus reads it."""
    model, environment = release.model, release.environment.name
    version = f" {alert.version}" if alert.version else _VERSION
    link = {"runbook_url": f"{watched.runbooks.rstrip('/')}/{alert.name}"}
    known = {"version": alert.version, "quantile": alert.quantile}
    own = {name: value for name, value in known.items() if value}
    return {
        "alert": alert.name,
        "expr": f"{alert.expression}\n",
        "for": alert.hold,
        "labels": {
            **watched.alert_labels,
            **records.identity(release),
            **own,
            "owner": release.owner,
            "severity": alert.severity,
        },
        "annotations": {
            "summary": f"{model}{version} in {environment} {alert.what}",
            "description": alert.then,
            **(link if watched.runbooks else {}),
        },
    }


def of_release(release: Release, watched: Watched) -> list[Alert]:
    """List the alerts of all versions together: each tells by a label which one it is about."""
    known = frozenset(each.name for each in records.of_release(release, watched))
    return [
        *_objectives(release, watched),
        *_availability(release, watched),
        *_limits(release, known),
        *_gpus(release, watched, known),
        *_drift(release),
    ]


def series(name: str, release: Release, version: str = "") -> str:
    """Select a recorded series of a release, of one version if it is named."""
    labels = records.identity(release) | ({"version": version} if version else {})
    return f"{name}{{{_matchers(labels)}}}"


def _matchers(labels: Json) -> str:
    return ",".join(f'{key}="{value}"' for key, value in labels.items())


def _enough(release: Release, watched: Watched, version: str = "") -> str:
    """Ask for as many requests as say something."""
    least = watched.min_requests / durations.seconds(watched.window)
    return f"{series(records.REQUESTS, release, version)} >= {_number(least)}"


def _number(value: float) -> str:
    return f"{value:.6g}"


def _objectives(release: Release, watched: Watched) -> Iterator[Alert]:
    enough = _enough(release, watched)
    back = f"`gen rollback {release.model} --env {release.environment.name}` goes back."
    if watched.errors:
        yield Alert(
            "ModelErrors",
            f"{series(records.ERRORS, release)} > {_number(watched.errors)}\n  and {enough}",
            watched.hold,
            "critical",
            "fails {{ $value | humanizePercentage }} of its requests",
            f"At most {_percent(watched.errors)} may fail. Look at its logs and at what changed "
            f"last; {back}",
        )
    for quantile, seconds in watched.latency.items():
        slow = f"{series(records.latency(quantile), release)} > {_number(seconds)}"
        yield Alert(
            "ModelLatency",
            f"{slow}\n  and {enough}",
            watched.hold,
            "critical",
            f"answers too slowly: {quantile} is {{{{ $value | humanizeDuration }}}}",
            f"{quantile} may be {_number(seconds)} s. More replicas help if they are busy, another "
            f"version if it is slow by itself; {back}",
            quantile=quantile,
        )


def _percent(share: float) -> str:
    return f"{_number(share * 100)} %"


def _availability(release: Release, watched: Watched) -> Iterator[Alert]:
    ready, pending = (series(name, release) for name in (records.READY, records.PENDING))
    if release.stable.scaling.minimum:
        yield Alert(
            "ModelDown",
            f"{ready} == 0\n  and max_over_time({ready}[1h]) > 0",
            "2m",
            "critical",
            "has lost all of its replicas",
            "Its requests fail. `kubectl get pods` says whether they wait for a node, for the "
            "model or for the queue, `kubectl describe pod` why.",
        )
        yield Alert(
            "ModelNotReady",
            f"{ready} == 0",
            "30m",
            "critical",
            "has had no replica for half an hour",
            "It never came up, or nobody mended it. `kubectl logs` of its Pods say whether the "
            "model is there and loads.",
        )
    if watched.scrape:
        yield _not_scraped(release, ready)
    yield from _pending(release, f"{pending} > 0")


def _not_scraped(release: Release, ready: str) -> Alert:
    own = " An image without metrics says `monitoring: {metrics: {scrape: false}}`."
    return Alert(
        "ModelNotScraped",
        f"{ready} > 0\n  unless {series(records.SCRAPED, release)} > 0",
        _LONG,
        "warning",
        "is ready, and Prometheus cannot read its metrics",
        "No other alert can tell of it. Look at the targets of its PodMonitor: is it the right "
        "port, does a NetworkPolicy keep Prometheus out?"
        f"{own if release.serving.backend == where.OWN else ''}",
    )


def _pending(release: Release, waiting: str) -> Iterator[Alert]:
    """Tell replicas that wait for quota from those that wait for something else."""
    what = "has {{ $value }} replicas that do not start"
    describe = "`kubectl describe pod` says whether a node, an image or a volume is missing."
    queue = release.environment.queues.get(release.queue)
    if queue is None:
        yield Alert("ModelPending", waiting, _LONG, "warning", what, describe)
        return
    full = f'sum(kueue_pending_workloads{{cluster_queue="{queue.cluster_queue}"}}) > 0'
    elsewhere = f"{waiting}\n  unless on () {full}"
    yield Alert("ModelPending", elsewhere, _LONG, "warning", what, describe)
    yield Alert(
        "ModelQueued",
        f"{waiting}\n  and on () {full}",
        _LONG,
        "warning",
        "has {{ $value }} replicas that wait for quota",
        f"ClusterQueue {queue.cluster_queue} is full: `kubectl get workloads` says who waits, `gen "
        "capacity` who has what.",
    )


def _limits(release: Release, known: frozenset[str]) -> Iterator[Alert]:
    if records.OF_MAXIMUM in known:
        yield Alert(
            "ModelAtMaximum",
            f"{series(records.OF_MAXIMUM, release)} >= 1",
            _LONG,
            "warning",
            "has as many replicas as it may have",
            "What comes on top of that waits. Raise `scaling.max` if the queue has room, which "
            "`gen capacity` tells, or find out why there are so many requests.",
        )


def _gpus(release: Release, watched: Watched, known: frozenset[str]) -> Iterator[Alert]:
    if records.GPU_BUSY not in known:
        return
    if watched.gpu_memory:
        yield Alert(
            "ModelGPUMemory",
            f"{series(records.GPU_MEMORY, release)} > {_number(watched.gpu_memory)}",
            _LONG,
            "warning",
            "uses {{ $value | humanizePercentage }} of a GPU's memory",
            "The next longer request may end it. Fewer requests at once, shorter ones, or a flavor "
            "with more memory.",
        )
    busy = series(records.GPU_BUSY, release)
    yield Alert(
        "ModelGPUIdle",
        f"avg_over_time({busy}[6h]) < {_number(watched.gpu_idle)}",
        "1h",
        "info",
        "used its GPUs {{ $value | humanizePercentage }} of six hours",
        "They cost as much as busy ones. Fewer replicas, a smaller flavor or a slice would do.",
    )


def _drift(release: Release) -> Iterator[Alert]:
    check = where.check_for_drift(release)
    if check is None:
        return
    share, threshold = (
        series(name, release) for name in ("gen_drift_share", "gen_drift_threshold")
    )
    yield Alert(
        "ModelDrift",
        f"{share}\n  >= on (environment, model) {threshold}",
        "0s",
        "warning",
        "sees other data than it was made with: {{ $value | humanizePercentage }} of the columns",
        "The report of the check says which columns. A model of newer data may be due.",
    )
    job = f'{{namespace="{release.environment.namespace}",cronjob="{check.name}"}}'
    scheduled = f"kube_cronjob_status_last_schedule_time{job}"
    succeeded = f"kube_cronjob_status_last_successful_time{job}"
    yield Alert(
        "ModelDriftUnknown",
        f"{scheduled} > {succeeded}\n  or {scheduled} unless {succeeded}",
        f"{max(_LATE, 2 * check.timeout) // 3600}h",
        "warning",
        "is not checked for drift any more",
        f"The last run of CronJob {check.name} did not succeed: the logs of its Pod say why.",
    )


# A canary beside the version that serves


def of_canary(release: Release, watched: Watched) -> list[Alert]:
    """List what tells that a canary is worse than the version that serves."""
    canary = release.canary
    if canary is None or "requests" not in watched.queries:
        return []
    return list(_worse(release, watched, canary.artifact.version))


def _worse(release: Release, watched: Watched, version: str) -> Iterator[Alert]:
    gate, stable = watched.gate, release.stable.artifact.version
    least = float(gate["minRequests"]) / 1800
    enough = f"{series(records.REQUESTS, release, version)} >= {_number(least)}"
    both = "and on (environment, model)"
    beside = f"the gate of its rollout says; version {stable} serves the rest"
    back = f"`gen rollback {release.model} --env {release.environment.name}` ends the trial"
    if "errors" in watched.queries:
        own, other = (series(records.ERRORS, release, each) for each in (version, stable))
        yield Alert(
            "ModelCanaryErrors",
            f"{own}\n  > on (environment, model) {gate['maxErrorRatio']} * {other}"
            f"\n  {both} {own} > {gate['maxErrorRate']}\n  {both} {enough}",
            watched.hold,
            "critical",
            "fails {{ $value | humanizePercentage }} of its requests on trial",
            f"That is more than {beside}. {back}.",
            version,
        )
    quantile = str(gate["latency"])
    if "latency" in watched.queries and quantile in measures.QUANTILES:
        own, other = (
            series(records.latency(quantile), release, each) for each in (version, stable)
        )
        yield Alert(
            "ModelCanaryLatency",
            f"{own}\n  > on (environment, model) {gate['maxLatencyRatio']} * {other}"
            f"\n  {both} {enough}",
            watched.hold,
            "warning",
            f"is slow on trial: {quantile} is {{{{ $value | humanizeDuration }}}}",
            f"That is more than {beside}. {back}.",
            version,
        )
