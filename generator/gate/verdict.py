"""Whether a canary grows, waits or goes, by the numbers alone.

Nothing is read here and nobody is asked: the same numbers give the same answer. What is not known
never lets a canary grow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal

from msgspec import Struct

Decision = Literal["advance", "wait", "roll back"]

_Z = 1.645
"""How sure an error rate is before it is held against a version: 19 of 20 times, on one side."""


class Limits(Struct, frozen=True):
    """What `rollout.gate` says; `latency` is the name of a quantile, or `none`."""

    min_requests: int
    max_error_rate: float
    max_error_ratio: float
    max_latency_ratio: float
    latency: str


class Numbers(Struct, frozen=True):
    """What is known of a version over the window; None is what is not known."""

    version: str
    requests: float | None = None
    errors: float | None = None
    latency: Mapping[str, float | None] | None = None
    pods: float | None = None

    @property
    def count(self) -> int:
        """Whole requests: Prometheus extrapolates."""
        return max(0, round(self.requests or 0))

    @property
    def failed(self) -> int:
        """Whole failed requests, and no more than there were."""
        return min(self.count, max(0, round(self.errors or 0)))

    @property
    def error_rate(self) -> float | None:
        """The part of the requests that failed; None where nobody knows."""
        return self.failed / self.count if self.errors is not None and self.count else None

    def quantile(self, name: str) -> float | None:
        """The seconds that a quantile of the requests took; None where nobody knows."""
        return (self.latency or {}).get(name)


class Trial(Struct, frozen=True):
    """A canary beside the version that serves: `lasted` and `soak` are seconds at this traffic.

    `warned` tells that Prometheus had something to say against its own answers.
    """

    traffic: int
    lasted: float
    soak: float
    canary: Numbers
    stable: Numbers
    warned: bool = False


class Verdict(Struct, frozen=True):
    """What to do, and why in a few words that a message can be made of."""

    decision: Decision
    reason: str


Check = Callable[[Trial, Limits], Verdict | None]


def decide(trial: Trial, limits: Limits) -> Verdict:
    """Decide by the first check that has something to say."""
    for check in _CHECKS:
        verdict = check(trial, limits)
        if verdict is not None:
            return verdict
    return Verdict("advance", f"{trial.canary.version} is no worse than {trial.stable.version}")


def _too_many_errors(trial: Trial, limits: Limits) -> Verdict | None:
    """Errors that chance does not explain end a trial at once: waiting would only add to them."""
    canary, stable = trial.canary, trial.stable
    is_judged = limits.max_error_rate < 1 and canary.count >= limits.min_requests
    if canary.error_rate is None or not is_judged:
        return None
    surely, rate = _least(canary), _percent(canary.error_rate)
    if stable.error_rate is not None and surely > limits.max_error_ratio * _most(stable):
        times = f"more than {limits.max_error_ratio:g} times the {_percent(stable.error_rate)}"
        return Verdict("roll back", f"{rate} of {canary.version} fail, {times} of {stable.version}")
    if surely > limits.max_error_rate and not _fails_too(stable, limits):
        most = f"more than {_percent(limits.max_error_rate)}"
        return Verdict("roll back", f"{rate} of {canary.version} fail, {most}")
    return None


def _soaking(trial: Trial, _: Limits) -> Verdict | None:
    if not trial.traffic or trial.lasted >= trial.soak:
        return None
    return Verdict("wait", f"{trial.canary.version} has not had its {trial.traffic} % for long")


def _without_requests(trial: Trial, _: Limits) -> Verdict | None:
    """A canary that gets no requests has nothing to show but that it has loaded."""
    if trial.traffic:
        return None
    version, pods = trial.canary.version, trial.canary.pods
    if pods is None:
        return Verdict("wait", f"nothing is known of {version}'s Pods")
    if not pods:
        return Verdict("wait", f"no Pod of {version} is ready")
    return Verdict("advance", f"{version} is ready and gets no requests yet")


def _no_data(trial: Trial, _: Limits) -> Verdict | None:
    for numbers in _judged(trial):
        if numbers.requests is None:
            return Verdict("wait", f"there is no data of {numbers.version}{_pods(numbers)}")
    return None


def _too_little_traffic(trial: Trial, limits: Limits) -> Verdict | None:
    for numbers in _judged(trial):
        if numbers.count < limits.min_requests:
            so_far = f"{numbers.count} of at least {limits.min_requests} requests"
            return Verdict("wait", f"{numbers.version} has had {so_far}{_pods(numbers)}")
    return None


def _too_slow(trial: Trial, limits: Limits) -> Verdict | None:
    canary, stable = (each.quantile(limits.latency) for each in (trial.canary, trial.stable))
    if canary is None or stable is None or canary <= limits.max_latency_ratio * stable:
        return None
    slow = f"{limits.latency} of {trial.canary.version} is {told(canary)}"
    times = f"more than {limits.max_latency_ratio:g} times the {told(stable)}"
    return Verdict("roll back", f"{slow}, {times} of {trial.stable.version}")


def _unknown_errors(trial: Trial, limits: Limits) -> Verdict | None:
    for numbers in _judged(trial):
        if limits.max_error_rate < 1 and numbers.errors is None:
            return Verdict("wait", f"nobody knows how many requests fail on {numbers.version}")
    return None


def _unknown_latency(trial: Trial, limits: Limits) -> Verdict | None:
    for numbers in _judged(trial):
        if limits.latency != "none" and numbers.quantile(limits.latency) is None:
            message = f"nobody knows how long requests take on {numbers.version}"
            return Verdict("wait", f"{message} ({limits.latency})")
    return None


def _more_errors_than_allowed(trial: Trial, limits: Limits) -> Verdict | None:
    rate = trial.canary.error_rate
    if rate is None or rate <= limits.max_error_rate:
        return None
    too_many = f"{_percent(rate)} of {trial.canary.version} fail"
    if _fails_too(trial.stable, limits):
        return Verdict("wait", f"{too_many}, and {trial.stable.version} fails no less")
    return Verdict("wait", f"{too_many}, which may be chance still")


def _doubtful(trial: Trial, _: Limits) -> Verdict | None:
    return Verdict("wait", "Prometheus warns of its own answers") if trial.warned else None


_CHECKS: tuple[Check, ...] = (
    _too_many_errors,
    _soaking,
    _without_requests,
    _no_data,
    _too_little_traffic,
    _too_slow,
    _unknown_errors,
    _unknown_latency,
    _more_errors_than_allowed,
    _doubtful,
)


def _judged(trial: Trial) -> tuple[Numbers, ...]:
    """Who has to have shown something: whoever gets requests."""
    return (trial.canary, trial.stable) if trial.traffic < 100 else (trial.canary,)


def _fails_too(stable: Numbers, limits: Limits) -> bool:
    """Errors that the version that serves has too are not the canary's fault."""
    return (stable.error_rate or 0) > limits.max_error_rate


def _pods(numbers: Numbers) -> str:
    return ", and none of its Pods is ready" if numbers.pods == 0 else ""


def _least(numbers: Numbers) -> float:
    return _wilson(numbers, -_Z)


def _most(numbers: Numbers) -> float:
    return _wilson(numbers, _Z)


def _wilson(numbers: Numbers, z: float) -> float:
    """Bound an error rate from one side (Wilson, JASA 22, 1927): fit for few errors, and none."""
    count, rate = numbers.count, numbers.error_rate or 0
    spread = z * math.sqrt(rate * (1 - rate) / count + z * z / (4 * count * count))
    return (rate + z * z / (2 * count) + spread) / (1 + z * z / count)


def _percent(part: float) -> str:
    return f"{part * 100:.3g} %"


def told(seconds: float) -> str:
    """Write a latency in the unit that a person would take."""
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"
