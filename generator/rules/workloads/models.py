"""Rules of Pods: what they may do, what they are told, how they come and go."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from generator.records import Disruption, Mounts, Release, RollingUpdate, Security, Shutdown
from generator.rules import Book, Finding, Step
from generator.rules.changes.transitions import both
from generator.rules.fields import looks_secret
from generator.rules.places import at_setting, at_variable, of_setting
from generator.rules.serving.variables import CREDENTIALS

BOOK = Book("workload")

_PDB = "kubernetes/website@content/en/docs/tasks/run-application/configure-pdb.md"
_SPREAD = "kubernetes/website@content/en/docs/concepts/scheduling-eviction/"
_TERMINATION = "kubernetes/website@content/en/docs/concepts/workloads/pods/pod-lifecycle.md"
_UPDATE = "kubernetes/website@content/en/docs/concepts/workloads/controllers/deployment.md"

_SECRET = BOOK.error(
    "W001",
    "A variable that is called like a secret and has a value: whoever reads Git reads the secret.",
    evidence="kubernetes/website@content/en/docs/concepts/configuration/secret.md",
    remedy="Put the value into a Secret, name that in `serving.secrets.variables`, and change the "
    "secret, because Git keeps it.",
)
_CALLED_SECRET = re.compile(
    r"(^|_)(PASSWORD|PASSWD|PASSPHRASE|SECRET|SECRET_KEY|PRIVATE_KEY|ACCESS_KEY|API_?KEY|"
    r"CREDENTIALS?|(AUTH|ACCESS|API|REFRESH|BEARER|SESSION)_TOKEN)$",
    re.IGNORECASE,
)
_A_TOKEN = re.compile(r"(^|_)TOKEN$", re.IGNORECASE)
_RANDOM = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9_\-.+/=]{16,}")
_ELSEWHERE = re.compile(r"/|file:|\$\(|(true|false|none|null|changeme)?$", re.IGNORECASE)
"""A path, a reference to another variable, or nothing that anybody has to hide."""


@lru_cache(4096)
def _is_secret(name: str, value: str) -> bool:
    """Say whether a variable is called like a secret and is not one of those known elsewhere."""
    if name in CREDENTIALS or looks_secret(value) or _ELSEWHERE.match(value):
        return False
    if _CALLED_SECRET.search(name):
        return True
    return bool(_A_TOKEN.search(name) and _RANDOM.fullmatch(value))


@_SECRET.on_release_with("variables")
def _value_of_a_secret(release: Release) -> Iterator[Finding]:
    for variant in release.variants:
        for entry in variant.artifact.env:
            if _is_secret(entry["name"], entry["value"]):
                name = entry["name"]
                message = f"{name} is called like a secret, and here everybody can read its value"
                reference = f"`serving.secrets: {{variables: {{{name}: <Secret>/<key>}}}}`"
                hint = f"write {reference} instead; then change the secret"
                yield at_variable(release, variant, name, message, hint)


_BLOCKED = BOOK.error(
    "W002",
    "A budget that needs every replica holds up every drain: nodes can never be upgraded.",
    evidence=_PDB,
    remedy="Write `maxUnavailable: 1`, or raise `scaling.min` above what has to be available.",
)


@_BLOCKED.on_release_with("disruption")
def _budget_without_room(release: Release) -> Iterator[Finding]:
    budget: Disruption | None = release.facts.get("disruption")
    if budget is None or budget.key != "minAvailable":
        return
    for variant in release.variants:
        least = variant.scaling.minimum
        needed = _rounded_up(budget.amount, least)
        if 0 < least <= needed:
            said = f"{budget.amount} of " if isinstance(budget.amount, str) else ""
            message = (
                f"{variant.artifact.version} runs {least} at least, and {said}{needed} have to be "
                "available: no node that runs it can be drained"
            )
            hint = "write `disruption: {maxUnavailable: 1}`, or raise `scaling.min`"
            where = of_setting(release, "disruption", budget.key)
            is_default = where.file != release.document.path
            yield Finding(message, where, hint, about=release.model if is_default else "")
            return


def _rounded_up(amount: int | str, replicas: int) -> int:
    if isinstance(amount, int):
        return amount
    return -(-replicas * int(amount.removesuffix("%")) // 100)


_LOW = BOOK.warning(
    "W003",
    "Without root and without capabilities CRI-O, and containerd before 2.0, open no port below "
    "1024.",
    evidence="containerd/containerd#9348, kubernetes/kubernetes#102612",
    remedy="Let the image listen on another port, such as 8080.",
)


@_LOW.on_release_with("deployment")
def _port_of_root(release: Release) -> Iterator[Finding]:
    said: Security | None = release.facts.get("container_security")
    if "ports" not in release.facts or (said and said.pod.get("runAsNonRoot") is False):
        return
    known: list[tuple[tuple[str, ...], int]] = [(("serving", "port"), release.serving.port)]
    known += [(("serving", "ports", port.name), port.number) for port in release.facts["ports"]]
    for pointer, number in known:
        if number < 1024:
            message = f"only root may listen on port {number} under CRI-O, or containerd before 2.0"
            hint = "let the image listen above 1023; the Gateway's own port does not change"
            yield at_setting(release, pointer, message, hint)


_TEMPORARY = BOOK.warning(
    "W004",
    "Where nothing may be written, most servers still need /tmp.",
    evidence="python/cpython@Lib/tempfile.py, benoitc/gunicorn@docs/source/faq.rst",
    remedy="Add `/tmp` to `security.writable`.",
)


@_TEMPORARY.on_release_with("container_security", "mounts")
def _nowhere_to_write(release: Release) -> Iterator[Finding]:
    mounts: Mounts | None = release.facts.get("mounts")
    said: Security | None = release.facts.get("container_security")
    if mounts is None or said is None or not said.container.get("readOnlyRootFilesystem"):
        return
    if not any(mount["mountPath"] == "/tmp" for mount in mounts.mounts):
        message = "nothing may be written to /tmp, which Python and most servers use"
        hint = "add `/tmp` to the list"
        yield at_setting(release, ("serving", "security", "writable"), message, hint)


_HIDDEN = BOOK.error(
    "W005",
    "A mount hides what the image has there: the server, the system, or the model.",
    evidence="kubernetes/website@content/en/docs/concepts/storage/volumes.md, "
    "kserve/kserve@pkg/constants/constants.go",
    remedy="Mount it in a folder of its own, such as /etc/<model>.",
)
_OF_THE_SYSTEM = frozenset(
    {"/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/opt", "/proc", "/root"}
    | {"/run", "/sbin", "/sys", "/usr", "/var"}
)
_OF_THE_MODEL = "/mnt/models"
"""Where KServe puts the model (constants.DefaultModelLocalMountPath)."""


@_HIDDEN.on_release_with("mounts")
def _mount_that_hides(release: Release) -> Iterator[Finding]:
    is_kserve = release.serving.backend == "kserve"
    mounts: Mounts | None = release.facts.get("mounts")
    for mount in mounts.mounts if mounts else ():
        path = mount["mountPath"]
        is_model = is_kserve and (path == _OF_THE_MODEL or path.startswith(f"{_OF_THE_MODEL}/"))
        if is_model or path in _OF_THE_SYSTEM or path.startswith(("/proc/", "/sys/", "/dev/")):
            what = "the model" if is_model else "what the image has there"
            message = f"{path} would hide {what}"
            hint = f"mount it in a folder of its own, such as `/etc/{release.model}`"
            yield at_setting(release, _said(release, mount), message, hint)


def _said(release: Release, mount: dict[str, str]) -> tuple[str, ...]:
    """Lead to the setting that a mount is of; the list that it stands in if it is an empty one."""
    block = mount["name"].partition("-")[0]
    if block == "writable":
        return ("serving", "security", "writable")
    return ("serving", block, "files", mount["mountPath"])


_ALONE = BOOK.warning(
    "W006",
    "One replica stands nowhere but where it is: there is nothing to spread.",
    evidence=f"{_SPREAD}topology-spread-constraints.md",
    remedy="Raise `scaling.max`, or remove `spread`.",
)


@_ALONE.on_release_with("spread")
def _nothing_to_spread(release: Release) -> Iterator[Finding]:
    is_own = release.document.has(("spread",)) or release.document.has((*release.pointer, "spread"))
    if is_own and all(variant.scaling.maximum == 1 for variant in release.variants):
        message = "there is one replica at most, so there is nothing to spread"
        yield at_setting(release, ("spread",), message, "raise `scaling.max`, or remove it")


_OUTAGE = BOOK.warning(
    "W007",
    "An update that may stop every replica before another is ready answers nobody meanwhile.",
    evidence=_UPDATE,
    remedy="Allow one replica too many, or run more of them than may be missing.",
)


@_OUTAGE.on_release_with("rolling_update")
def _update_of_all_at_once(release: Release) -> Iterator[Finding]:
    said: RollingUpdate | None = release.facts.get("rolling_update")
    least = release.stable.scaling.minimum
    if said and 0 < least <= said.max_unavailable:
        message = (
            f"{said.max_unavailable} may be missing and {least} run at least: while "
            "a version is updated nobody may answer"
        )
        hint = "write a `maxUnavailable` below `scaling.min`, or `maxSurge: 1` with 0 of them"
        yield at_setting(release, ("serving", "rollingUpdate", "maxUnavailable"), message, hint)


_CUT = BOOK.warning(
    "W008",
    "A replica is killed before the longest request that it may have is over.",
    evidence=_TERMINATION,
    remedy="Raise `shutdown.grace` to the drain and the timeout together.",
)


@_CUT.on_release_with("shutdown")
def _killed_within_a_request(release: Release) -> Iterator[Finding]:
    said: Shutdown | None = release.facts.get("shutdown")
    if said is None:
        return
    left, longest = said.grace - said.drain, release.serving.timeout
    is_said = any(layer.has(("serving", "shutdown", "grace")) for layer in release.layers)
    if is_said and release.host and longest > left:
        message = (
            f"{left} s are left to finish after draining, and a request may take {longest} s: "
            "those that begin last are cut"
        )
        hint = f"write `grace: {said.drain + longest}`, or a shorter `timeout`"
        yield at_setting(release, ("serving", "shutdown", "grace"), message, hint)


_HIDDEN_HOST = BOOK.warning(
    "W009",
    "A model that is no longer published answers 404 to whoever calls its host.",
    evidence="kubernetes-sigs/gateway-api@apis/v1/httproute_types.go",
    remedy="Move the callers first: inside of the cluster it is reached by its Service.",
)


_EXPOSED = ("deployment", "seldon")
"""The backends that `serving.expose` is for: others are published by KServe too."""


@_HIDDEN_HOST.on_step
def _no_longer_published(step: Step) -> Iterator[Finding]:
    pair = both(step)
    if pair is None or not pair[0].host or pair[1].host:
        return
    before, after = pair
    is_alike = after.serving.backend == before.serving.backend and after.environment.gateway
    if is_alike and after.serving.backend in _EXPOSED:
        message = f"{before.host} is gone with this: whoever calls it gets a 404"
        hint = f"move callers to the Service `{after.stable.service}` first"
        where = of_setting(after, "serving", "expose")
        is_default = where.file != after.document.path
        yield Finding(message, where, hint, about=after.model if is_default else "")
