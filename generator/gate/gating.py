"""A canary on trial: what is asked about it, and what the answers come to.

Nothing is asked here. Who has a trial asks its questions and brings the answers back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from generator.gate import measures, verdict
from generator.gate.measures import Question, Reply
from generator.gate.verdict import Limits, Numbers, Verdict
from generator.problems import Problem
from generator.promotions import promotion
from generator.promotions.promotion import History, Situation
from generator.records import PRUNED, Release, Variant
from generator.values import durations

_WINDOW = 30 * 60
"""Seconds that are looked at where no soak says how long."""
_LEAST_WINDOW = 60
"""Less than two scrapes of a Pod give no increase."""

Asked = tuple[Variant, Question]
"""What is asked about which version."""


class Trial(Struct, frozen=True):
    """A canary in an environment, the time it has had, and the questions about it."""

    situation: Situation
    canary: Variant
    stable: Variant
    limits: Limits
    lasted: float
    soak: int
    window: int
    asked: tuple[Asked, ...]


class Judgement(Struct, frozen=True):
    """A verdict with what it was made of; `step` is the next share, 0 where no steps say."""

    trial: Trial
    verdict: Verdict
    canary: Numbers
    stable: Numbers
    replies: tuple[Reply, ...]
    step: int
    command: str

    @property
    def warnings(self) -> list[str]:
        """What Prometheus said against its own answers, each once."""
        return list(dict.fromkeys(said for reply in self.replies for said in reply.warnings))

    @property
    def gaps(self) -> list[tuple[Asked, str]]:
        """The questions without a number, and why."""
        pairs = zip(self.trial.asked, self.replies, strict=True)
        return [(asked, reply.remark) for asked, reply in pairs if reply.value is None]


def trial(release: Release, history: History, clock: float, window: int = 0) -> Trial:
    """Put a canary on trial at a time of the clock. Raises GenError where there is nothing to ask.

    `window` takes the place of the soak as the time that is looked at.
    """
    now = promotion.situation(release.document, release.environment)
    live = {variant.role: variant for variant in release.variants}
    if "canary" not in live:
        hint = f"`gen promote {now.command} --version <version> --traffic <percent>` starts one"
        now.refuse("there is no canary here, so there is nothing to decide", hint=hint)
    _refuse_silence(now)
    lasted = promotion.age(now.live, history(now.model.name, now.place), clock)
    soak = _soak(now)
    seconds = window or max(_LEAST_WINDOW, min(soak or _WINDOW, int(lasted)))
    pair = live["canary"], live["stable"]
    return Trial(
        situation=now,
        canary=pair[0],
        stable=pair[1],
        limits=_limits(now),
        lasted=lasted,
        soak=soak,
        window=seconds,
        asked=tuple(
            (variant, question)
            for variant in pair
            for question in measures.questions(
                now.merged, variant, release.environment.namespace, seconds
            )
        ),
    )


def _refuse_silence(now: Situation) -> None:
    """Refuse where nobody could tell the versions apart, or nobody knows how they count."""
    own = now.merged.get("rollout", "gate", "queries") or {}
    hint = "write `rollout.gate.queries`, with one that tells the versions apart by `$version`"
    if now.strategy == "knative" and not own:
        message = (
            "Knative names Pods after revisions, whose numbers are not in Git: gen cannot tell "
            "the two versions apart in Prometheus"
        )
        now.refuse(message, "canary", hint=hint, code="E302")
    if not measures.query(now.merged, "requests"):
        what = now.merged.get("serving", "runtime") or now.merged.get("serving", "format")
        message = f"gen does not know how {what} counts its requests"
        hint = "add `rollout.gate.queries`: `requests`, `errors` and `latency`"
        now.refuse(message, "canary", hint=hint, code="E302")


def _soak(now: Situation) -> int:
    soak = now.merged.get("rollout", "soak")
    return durations.seconds(soak) if soak else 0


def _limits(now: Situation) -> Limits:
    gate = now.merged.get("rollout", "gate") or {}
    return Limits(
        min_requests=gate.get("minRequests", 100),
        max_error_rate=gate.get("maxErrorRate", 0.02),
        max_error_ratio=gate.get("maxErrorRatio", 2),
        max_latency_ratio=gate.get("maxLatencyRatio", 1.5),
        latency=gate.get("latency", "p95"),
    )


def blame(trial: Trial, query: str, message: str, hint: str) -> Problem | None:
    """Make the problem of an own query that is at fault; None if no spec has it."""
    pointers = (
        ("rollout", "gate", "queries", question.kind)
        for _, question in trial.asked
        if question.query == query and question.kind
    )
    pointer, merged = next(pointers, None), trial.situation.merged
    if pointer is None or merged.where(*pointer) is None:
        return None
    return merged.problem("E303", message, pointer, hint)


def judged(trial: Trial, replies: Sequence[Reply]) -> Judgement:
    """Come to a verdict, and to the command that follows from it."""
    canary, stable = (_numbers(trial, each, replies) for each in (trial.canary, trial.stable))
    found = verdict.decide(
        verdict.Trial(
            traffic=trial.canary.traffic,
            lasted=trial.lasted,
            soak=trial.soak,
            canary=canary,
            stable=stable,
            warned=any(reply.warnings for reply in replies),
        ),
        trial.limits,
    )
    steps = trial.situation.merged.get("rollout", "steps") or ()
    step = promotion.following(steps, trial.canary.traffic) if steps else 0
    command = _command(trial.situation, found, step)
    return Judgement(trial, found, canary, stable, tuple(replies), step, command)


def _numbers(trial: Trial, variant: Variant, replies: Sequence[Reply]) -> Numbers:
    known = {
        question.name: reply.value
        for (about, question), reply in zip(trial.asked, replies, strict=True)
        if about is variant
    }
    return Numbers(
        version=variant.artifact.version,
        requests=known.get("requests"),
        errors=known.get("errors"),
        latency=_latency(known),
        pods=known.get(measures.PODS),
    )


def _latency(known: Mapping[str, float | None]) -> dict[str, float | None]:
    return {name: known.get(name) for name in measures.QUANTILES}


def _command(now: Situation, found: Verdict, step: int) -> str:
    """Name the command that does what the verdict says; empty where nothing is to be done."""
    if found.decision == "wait":
        return ""
    if found.decision == "roll back":
        return f"gen rollback {now.command}"
    if not step:
        return f"gen promote {now.command} --traffic <percent>"
    warm = " --standby" if step == promotion.EVERYTHING and now.strategy in PRUNED else ""
    return f"gen promote {now.command} --next{warm}"
