"""Drift: a CronJob that compares what a model sees with what it was made with.

It runs `python -m generator.drift` in an image that has the extra `drift`, and succeeds whatever it
finds: a CronJob whose last run failed makes an Application Degraded
(argoproj/argo-cd@resource_customizations/batch/CronJob/health.lua), and what is found is an alert.

With `training.onDrift` the check comes first and marks what it finds, and what starts runs comes
after it: the script of the training's own starter, which the mark lets pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from generator.aspects.contract import Ask, Aspect, Kind, Piece
from generator.aspects.monitoring import is_of_model, platform
from generator.documents import Json
from generator.inventory.records import Environment
from generator.problems import Problem
from generator.records import Release
from generator.values import cron as schedules
from generator.values import quantities

_CRON, _ZONE = "0 6 * * *", "Etc/UTC"
_RESOURCES: Json = {"cpu": "1", "memory": "2Gi"}
_MOUNTS = "/mnt/drift"
_SCRATCH = "/tmp"
_MARK = f"{_SCRATCH}/drift-found"
_CREDENTIALS = "/var/secrets/gcs"
_KEY_FILE = "gcloud-application-credentials.json"
"""Both are KServe's (kserve/kserve@pkg/credentials/gcs/gcs_secret.go)."""

_ADDRESSES = ("reference", "current", "report")


class Drift(Struct, frozen=True):
    """A check as the CronJob has it: what it is called with, and where it finds its data.

    `addresses` are as the spec has them, by its keys; `claims` are the volumes by name, each with
    whether the check writes there. `push` is empty where nobody is told.
    """

    name: str
    image: str
    cron: str
    time_zone: str
    timeout: int
    args: list[str]
    env: Json
    resources: Json
    addresses: dict[str, str]
    claims: dict[str, bool]
    push: str


class DriftCheck(Aspect):
    """A CronJob of Evidently."""

    name = "drift"

    def problems(self, ask: Ask) -> Iterator[Problem]:
        """Find what a check cannot be made without."""
        if not _is_on(ask):
            return
        yield from _missing(ask)
        cron = ask.merged.get("drift", "schedule", "cron")
        fault = schedules.fault(cron) if cron is not None else ""
        if fault:
            hint = "write five fields: minute, hour, day, month, day of the week"
            pointer = ("drift", "schedule", "cron")
            yield ask.merged.problem("E204", f"`{cron}` {fault}", pointer, hint)
        yield from _limits(ask)

    def facts(self, ask: Ask) -> Drift | None:
        """Resolve the check; None where it is switched off."""
        return _drift(ask) if _is_on(ask) and not any(_missing(ask)) else None

    def files(self, release: Release, facts: Drift) -> Iterator[Piece]:
        """List the CronJob, with what goes on from there if drift starts a training."""
        training = release.facts.get("training")
        starter = training.creator if training is not None and training.on_drift else None
        context = {"drift": facts, "check": _check(release, facts, starter)}
        if starter is not None:
            context |= {"starter": starter, "guard": _guard(starter)}
        kind = "cron-job-drift" if starter is None else "cron-job-drift-training"
        yield Piece("cron-job-drift.yaml", f"overlay/{kind}.yaml.j2", context)

    def kinds(self, environment: Environment) -> tuple[Kind, ...]:
        """List the CronJob where checks are made."""
        return (Kind("batch", "CronJob"),) if platform(environment, "drift") else ()


def _is_on(ask: Ask) -> bool:
    """Say whether there is something to check: defaults alone have no data of a model's own."""
    is_asked = is_of_model(ask, "drift") or ask.merged.get("drift", "reference") is not None
    return is_asked and ask.merged.get("drift", "enabled") is not False


def _missing(ask: Ask) -> Iterator[Problem]:
    for key, example in (("reference", "reference"), ("current", "%Y-%m-%d")):
        if ask.merged.get("drift", key) is None:
            message = f"a check needs `{key}`: a table of what the model {_MEANS[key]}"
            hint = f"add for example `{key}: s3://<bucket>/{ask.model.name}/{example}.parquet`"
            yield ask.merged.problem("E302", message, ("drift",), hint)
    if not platform(ask.environment, "drift"):
        name = ask.environment.name
        message = f"environment {name} has no `platform.drift` that checks anything"
        hint = (
            "add `platform.drift.image` to the environment: one with `gen-manifests[drift]`; or "
            f"write `drift: {{enabled: false}}` in the model's `environments.{name}`"
        )
        yield ask.merged.problem("E302", message, ("drift",), hint)


def _limits(ask: Ask) -> Iterator[Problem]:
    """Find a limit that is below what is requested, be it said or what a check has anyway."""
    spec = _RESOURCES | (ask.merged.get("drift", "resources") or {})
    for key, limit in spec.get("limits", {}).items():
        if quantities.is_less(limit, spec[key]):
            message = f"the {key} limit {limit} is below the request {spec[key]}"
            pointer = ("drift", "resources", "limits", key)
            yield ask.merged.problem("E303", message, pointer, "a limit is at least the request")


_MEANS = {"reference": "was made with", "current": "sees"}


def _image(ask: Ask) -> str:
    own: str | None = ask.merged.get("drift", "image")
    return own or str(platform(ask.environment, "drift")["image"])


def _drift(ask: Ask) -> Drift:
    said: Json = ask.merged.data["drift"]
    addresses = {key: said[key] for key in _ADDRESSES if key in said}
    schedule, push = said.get("schedule", {}), platform(ask.environment, "prometheus")
    return Drift(
        name=f"{ask.model.name}-drift",
        image=_image(ask),
        cron=" ".join(schedule.get("cron", _CRON).split()),
        time_zone=schedule.get("timeZone", _ZONE),
        timeout=said.get("timeout", 3600),
        args=list(_arguments(ask, said)),
        env=said.get("env", {}),
        resources=_resources(_RESOURCES | said.get("resources", {})),
        addresses=addresses,
        claims=_claims(addresses),
        push=push.get("pushgateway", ""),
    )


def _arguments(ask: Ask, said: Json) -> Iterator[str]:
    """Write what the check is called with; defaults of its own are left out."""
    yield f"--model={ask.model.name}"
    yield f"--environment={ask.environment.name}"
    for key in ("reference", "current"):
        yield f"--{key}={_local(said[key])}"
    yield from (f"--column={name}" for name in said.get("columns", ()))
    for key, option in _OPTIONS.items():
        if key in said:
            value = _local(said[key]) if key == "report" else said[key]
            yield f"--{option}={value}"
    push = platform(ask.environment, "prometheus").get("pushgateway")
    if push:
        yield f"--push={push}"


_OPTIONS = {
    "lookback": "lookback",
    "threshold": "threshold",
    "method": "method",
    "minRows": "min-rows",
    "report": "report",
}


def _local(address: str) -> str:
    """Write an address as the Pod sees it: a claim is a folder."""
    return address.replace("pvc://", f"{_MOUNTS}/") if address.startswith("pvc://") else address


def _claims(addresses: dict[str, str]) -> dict[str, bool]:
    """Find the claims by name, and which of them are written to."""
    found: dict[str, bool] = {}
    for key, address in addresses.items():
        scheme, _, path = address.partition("://")
        if scheme == "pvc":
            claim = path.partition("/")[0]
            found[claim] = found.get(claim, False) or key == "report"
    return found


def _resources(said: Json) -> Json:
    requests = {key: quantities.canonical(said[key]) for key in ("cpu", "memory") if key in said}
    more = {key: quantities.canonical(value) for key, value in said.get("limits", {}).items()}
    memory = {key: value for key, value in requests.items() if key == "memory"}
    limits = memory | more
    return {"requests": requests, **({"limits": limits} if limits else {})}


# What the Pod has


def _check(release: Release, facts: Drift, starter: Any) -> Json:
    serving = release.serving
    has_secrets = bool(serving.service_account_secrets)
    schemes = {address.partition("://")[0] for address in facts.addresses.values()}
    is_google = has_secrets and "gs" in schemes
    account = starter.name if starter else serving.service_account
    args = [*facts.args, f"--mark={_MARK}"] if starter else facts.args
    return {
        "service_account_name": account,
        "args": args,
        "env": _variables(facts, is_google=is_google),
        "env_from": _from_secrets(serving.service_account_secrets) if "s3" in schemes else [],
        "mounts": list(_mounts(facts, is_google=is_google)),
        "volumes": list(_volumes(facts, serving.service_account_secrets, is_google=is_google)),
    }


def _guard(starter: Any) -> list[str]:
    """Run the starter's command if the check left its mark."""
    return ["sh", "-c", f'test -e {_MARK} || exit 0; exec "$@"', "sh", *starter.command]


def _variables(facts: Drift, *, is_google: bool) -> list[Json]:
    known = {"GOOGLE_APPLICATION_CREDENTIALS": f"{_CREDENTIALS}/{_KEY_FILE}"} if is_google else {}
    scratch = {"HOME": _SCRATCH, "MPLCONFIGDIR": _SCRATCH}
    both = scratch | known | facts.env
    return [{"name": name, "value": value} for name, value in both.items()]


def _from_secrets(names: tuple[str, ...]) -> list[Json]:
    """Take credentials as variables: KServe does that for its own Pods alone."""
    return [{"secretRef": {"name": name}} for name in names]


def _mounts(facts: Drift, *, is_google: bool) -> Iterator[Json]:
    yield {"name": "scratch", "mountPath": _SCRATCH}
    for number, (claim, is_written) in enumerate(facts.claims.items(), 1):
        readonly = {} if is_written else {"readOnly": True}
        yield {"name": f"data-{number}", "mountPath": f"{_MOUNTS}/{claim}", **readonly}
    if is_google:
        yield {"name": "credentials", "mountPath": _CREDENTIALS, "readOnly": True}


def _volumes(facts: Drift, secrets: tuple[str, ...], *, is_google: bool) -> Iterator[Json]:
    yield {"name": "scratch", "emptyDir": {}}
    for number, (claim, is_written) in enumerate(facts.claims.items(), 1):
        readonly = {} if is_written else {"readOnly": True}
        yield {"name": f"data-{number}", "persistentVolumeClaim": {"claimName": claim, **readonly}}
    if is_google:
        yield {"name": "credentials", "secret": {"secretName": secrets[0]}}
