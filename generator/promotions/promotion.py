"""What a promotion and a rollback are: what is live before and after, and the edits in between.

Nothing is read or written here. Every function takes what is live, says what should be, and refuses
in the words of whoever asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import takewhile
from typing import Any, NoReturn

from msgspec import Struct
from msgspec.structs import replace

from generator import contradictions, resolve, settings
from generator.documents import Document, Json
from generator.inventory.records import Environment
from generator.problems import GenError
from generator.promotions import withdrawals
from generator.promotions.edits import Edit, Keys, Put, Remove
from generator.promotions.withdrawals import Withdrawal
from generator.records import WEIGHTED, Strategy
from generator.schema import suggestion
from generator.settings import Settings
from generator.values import durations

ORDER = ("version", "canary", "standby", "shadow")
"""The keys of a promotion in a model's block for an environment, as they stand there."""

Past = tuple[float, Any]
"""When something was committed, and what a model's block for an environment was then."""

History = Callable[[str, str], Iterable[Past]]
"""Tells what was committed of a model and an environment, the newest first."""


class Live(Struct, frozen=True):
    """The versions of a model in one environment; what there is not is empty."""

    version: str
    canary: str = ""
    traffic: int = 0
    standby: str = ""
    shadow: str = ""


class Wish(Struct, frozen=True):
    """What a person asks of a promotion.

    `source` is an environment whose version is taken. `standby` tells whether the version that
    served stays warm, `shadow` whether a version gets copies; None leaves open what nobody asked
    about.
    """

    version: str = ""
    source: str = ""
    traffic: int | None = None
    next_step: bool = False
    finish: bool = False
    standby: bool | None = None
    shadow: bool | None = None


class Move(Struct, frozen=True):
    """Edits of a model's document, in words: a sentence, the subject of a commit, what to heed.

    Without edits, what was asked for is so already.
    """

    edits: tuple[Edit, ...]
    sentence: str
    subject: str
    notes: tuple[str, ...] = ()


class Situation(Struct, frozen=True):
    """A model in one of its environments, before anything is changed."""

    model: Document
    environment: Environment
    merged: Settings
    strategy: Strategy
    live: Live

    @property
    def place(self) -> str:
        """The name of the environment."""
        return self.environment.name

    @property
    def command(self) -> str:
        """What a command about this model and environment ends with."""
        return f"{self.model.name} --env {self.place}"

    def refuse(self, message: str, *keys: str, hint: str, code: str = "E801") -> NoReturn:
        """Raise GenError at a key of the model's block for the environment."""
        pointer = ("environments", self.place, *keys)
        raise GenError([self.model.problem(code, message, pointer, hint=hint, key=not keys)])

    def known(self, version: str) -> str:
        """Return a version that may be live. Raises GenError for another."""
        versions = self.model.data["versions"]
        if version not in versions:
            hint = f"{suggestion(version, versions)}; `gen version add` adds one"
            message = f"there is no version `{version}`"
            raise GenError(
                [self.model.problem("E801", message, ("versions",), hint=hint, key=True)]
            )
        mark = self.withdrawal(version)
        if mark:
            message = f"{mark.told(version)} and may be live nowhere"
            hint = f"name {withdrawals.instead(versions)}"
            pointer = ("versions", mark.version, withdrawals.MARK)
            raise GenError([self.model.problem("C035", message, pointer, hint=hint, key=True)])
        return version

    def withdrawal(self, version: str) -> Withdrawal | None:
        """Find what withdraws a version, if anything does."""
        versions = self.model.data["versions"]
        return withdrawals.of(versions, version) if version in versions else None


def situation(model: Document, environment: Environment) -> Situation:
    """Look at a model in an environment. Raises GenError if it is not live there."""
    blocks = model.data["environments"]
    if environment.name not in blocks:
        message = f"{model.name} is not live in {environment.name}"
        hint = f"write `{environment.name}: {{version: <version>}}` here first"
        raise GenError([model.problem("E801", message, ("environments",), hint=hint, key=True)])
    merged = settings.of(model, environment)
    strategy = resolve.strategy_of(environment, merged)
    return Situation(model, environment, merged, strategy, live_in(blocks[environment.name]))


def live_in(block: Json) -> Live:
    """Read which versions a model's block for an environment names."""
    canary = block.get("canary", {})
    return Live(
        version=block["version"],
        canary=canary.get("version", ""),
        traffic=canary.get("traffic", 0),
        standby=block.get("standby", ""),
        shadow=settings.shadow_of(block)["version"] if "shadow" in block else "",
    )


# Promote


def promote(now: Situation, wish: Wish, history: History, clock: float) -> Move:
    """Make a step of a promotion at a time of the clock. Raises GenError with what hinders it."""
    version = _asked_for(now, wish)
    if wish.shadow is not None:
        after = _shadowed(now, version) if wish.shadow else replace(now.live, shadow="")
    elif wish.finish:
        after = _finished(now, version, wish.standby)
    elif wish.next_step:
        _refuse_hurry(now, history, clock)
        after = _next(now, version, wish.standby)
    elif wish.traffic is not None:
        after = _shared(now, version, wish.traffic, wish.standby)
    elif version:
        after = _replaced(now, version, wish.standby)
    else:
        after = replace(now.live, standby="")
    return _move(now, after, "promote")


def _asked_for(now: Situation, wish: Wish) -> str:
    if not wish.source:
        return now.known(wish.version) if wish.version else ""
    blocks = now.model.data["environments"]
    if wish.source not in blocks:
        now.refuse(
            f"{now.model.name} is not live in {wish.source}", hint=suggestion(wish.source, blocks)
        )
    return now.known(blocks[wish.source]["version"])


def _replaced(now: Situation, version: str, standby: bool | None) -> Live:
    """Make a version the one that serves."""
    live = now.live
    if live.canary and live.canary != version:
        _refuse_another(now)
    if live.version == version:
        return replace(live, standby="") if standby is False else live
    if standby:
        _refuse_alone(now, "standby")
    standing_by = live.version if standby else ""
    return Live(version, standby=standing_by, shadow=_other_shadow(live, version))


def _other_shadow(live: Live, version: str) -> str:
    """Keep a shadow, unless it is the version that comes out of it."""
    return "" if version == live.shadow else live.shadow


def _shadowed(now: Situation, version: str) -> Live:
    """Let a version get copies of the requests."""
    live = now.live
    if not version:
        now.refuse("no version is named that could get copies", hint="name it with `--version`")
    if version in (live.version, live.canary, live.standby):
        now.refuse(f"{version} is live here already", hint="name another one with `--version`")
    if live.shadow not in ("", version):
        hint = f"`gen promote {now.command} --no-shadow` stops it"
        now.refuse(f"{live.shadow} gets copies here already", "shadow", hint=hint)
    _refuse_alone(now, "shadow")
    return replace(live, shadow=version)


def _finished(now: Situation, version: str, standby: bool | None) -> Live:
    """Make the canary the version; without one, there is nothing left to do."""
    live = now.live
    if version and version not in (live.canary, live.version):
        now.refuse(
            f"{version} is not on trial here",
            "canary",
            hint=f"leave out `--finish`, and {version} becomes the version at once",
        )
    return _replaced(now, live.canary or live.version, standby)


def _shared(now: Situation, version: str, traffic: int, standby: bool | None = None) -> Live:
    """Give a canary its share: a new one, or the one that there is."""
    live = now.live
    if live.canary:
        if version not in ("", live.canary):
            _refuse_another(now)
        if traffic < 100:
            return replace(live, traffic=traffic)
        return _finished(now, version, standby)
    if not version:
        now.refuse("there is no canary here", hint="name the version with `--version`")
    if traffic == 100:
        return _replaced(now, version, standby)
    if version == live.version:
        message = f"{version} serves here already, and a canary is another version"
        now.refuse(message, "version", hint="name another one with `--version`")
    _refuse_alone(now, "canary")
    return replace(
        live,
        canary=version,
        traffic=traffic,
        standby="" if version == live.standby else live.standby,
        shadow=_other_shadow(live, version),
    )


def _next(now: Situation, version: str, standby: bool | None) -> Live:
    """Take the next step of `rollout.steps`; behind the last, the canary becomes the version.

    Weights lead to a version whether it has loaded or not, so there the first step is none.
    """
    steps = now.merged.get("rollout", "steps")
    if not steps:
        hint = "add `rollout: {steps: [5, 25, 50]}` to the model, or name a share: `--traffic`"
        now.refuse("there are no `rollout.steps` to go by", hint=hint)
    if not now.live.canary:
        start = 0 if now.strategy in WEIGHTED else steps[0]
        return now.live if version == now.live.version else _shared(now, version, start)
    return _shared(now, version, following(steps, now.live.traffic), standby)


EVERYTHING = 100


def following(steps: Iterable[int], traffic: int) -> int:
    """Find the share behind one; behind the last step, that is everything."""
    return next((step for step in steps if step > traffic), EVERYTHING)


def _refuse_hurry(now: Situation, history: History, clock: float) -> None:
    """Let a step last as long as it should; without requests, there is nothing to wait for."""
    soak = now.merged.get("rollout", "soak")
    if not soak or not now.live.traffic:
        return
    lasted = age(now.live, history(now.model.name, now.place), clock)
    left = durations.seconds(soak) - lasted
    if left > 0:
        so_far = f"{durations.told(lasted)} of {soak}"
        now.refuse(
            f"{now.live.canary} has had its {now.live.traffic} % for {so_far}",
            "canary",
            "traffic",
            hint=f"wait {durations.told(left)}, or name the share yourself: `--traffic`",
        )


def _refuse_another(now: Situation) -> NoReturn:
    """Leave a canary alone that was not asked about."""
    live = now.live
    now.refuse(
        f"{live.canary} is on trial here with {live.traffic} %",
        "canary",
        hint=f"`gen promote {now.command} --finish` makes it the version, "
        f"`gen rollback {now.command}` removes it",
    )


def _refuse_alone(now: Situation, key: str) -> None:
    """Refuse what the environment cannot do: a second version, or one without traffic."""
    if contradictions.takes(now.strategy, key):
        return
    code, reason, _ = contradictions.why_alone(now.environment, now.merged, now.strategy, key)
    hint = {
        "canary": "promote at once, without `--traffic` and `--next`",
        "standby": "leave out `--standby`",
        "shadow": "try it as a canary: `--traffic`",
    }[key]
    now.refuse(f"no `{key}` here: {reason}", hint=hint, code=code)


# Roll back


def roll_back(now: Situation, version: str, history: History) -> Move:
    """Go back: without the canary, to the standby, or to what was live before.

    Raises GenError where nobody knows what that is.
    """
    after, passed_over = _rolled_back(now, version, history)
    move = _move(now, after, "rollback")
    return replace(move, notes=(*passed_over, *move.notes))


def _rolled_back(now: Situation, version: str, history: History) -> tuple[Live, list[str]]:
    live = now.live
    if version:
        return _returned(now, now.known(version)), []
    if live.canary:
        return _alone(live), []
    version, passed_over = _before(now, history)
    return _returned(now, version), passed_over


def _returned(now: Situation, version: str) -> Live:
    live = now.live
    if version == live.canary:
        hint = f"`gen promote {now.command} --finish` makes it the version"
        now.refuse(f"{version} is on trial here, which is no way back", "canary", hint=hint)
    back = replace(_alone(live), version=version, shadow=_other_shadow(live, version))
    stays_warm = version == live.standby and not now.withdrawal(live.version)
    if version == live.standby or now.withdrawal(live.standby):
        return replace(back, standby=live.version if stays_warm else "")
    return back


def _before(now: Situation, history: History) -> tuple[str, list[str]]:
    """Find the version to go back to, and say which are passed over because they are withdrawn."""
    passed_over: dict[str, str] = {}
    for version in _former(now, history):
        mark = now.withdrawal(version)
        if mark is None:
            return now.known(version), list(passed_over.values())
        passed_over[version] = f"{mark.told(version)}, so it is passed over"
    message = f"Git knows of no version that was live here before {now.live.version}"
    message += f": {'; '.join(passed_over.values())}" if passed_over else ""
    return now.refuse(message, "version", hint="name the version with `--to`")


def _former(now: Situation, history: History) -> Iterator[str]:
    """Give the versions that a rollback may lead to; Git is asked if the standby is not one."""
    if now.live.standby:
        yield now.live.standby
    past = _known(history(now.model.name, now.place))
    yield from (live.version for _, live in past if live.version != now.live.version)


def age(now: Live, past: Iterable[Past], clock: float) -> float:
    """Count the seconds since the commit that made things as they are; 0 if there is none yet.

    A shadow makes no difference to a canary beside it.
    """
    known = ((seconds, replace(live, shadow=now.shadow)) for seconds, live in _known(past))
    same = takewhile(lambda moment: moment[1] == now, known)
    return max((clock - seconds for seconds, _ in same), default=0.0)


def _known(past: Iterable[Past]) -> Iterator[tuple[float, Live]]:
    """Read what was live, back to where the model was not or its document was no document."""
    for seconds, block in past:
        if not isinstance(block, dict) or not isinstance(block.get("version"), str):
            return
        if isinstance(block.get("canary", {}), dict):
            yield seconds, live_in(block)


# Words and edits


def _move(now: Situation, after: Live, verb: str) -> Move:
    live, place = now.live, f"{now.model.name} in {now.place}"
    if after == live:
        return Move((), f"{place}: {_state(live)} already", "")
    subject = f"{verb}({now.model.name}): {now.place} {_way(live, after)}"
    pointer = ("environments", now.place)
    return Move(
        edits=tuple(_edits(pointer, live, after)),
        sentence=f"{place}: {_state(after)}{_gone(live, after)}",
        subject=subject,
        notes=tuple(_notes(now, after)),
    )


def _edits(block: Keys, before: Live, after: Live) -> Iterator[Edit]:
    if after.version != before.version:
        yield Put((*block, "version"), after.version)
    if before.canary and not after.canary:
        yield Remove((*block, "canary"))
    elif after.canary != before.canary:
        canary = {"version": after.canary, "traffic": after.traffic}
        yield Put((*block, "canary"), canary, ORDER)
    elif after.traffic != before.traffic:
        yield Put((*block, "canary", "traffic"), after.traffic)
    if before.standby and not after.standby:
        yield Remove((*block, "standby"))
    elif after.standby != before.standby:
        yield Put((*block, "standby"), after.standby, ORDER)
    if before.shadow and not after.shadow:
        yield Remove((*block, "shadow"))
    elif after.shadow != before.shadow:
        yield Put((*block, "shadow"), after.shadow, ORDER)


def _state(live: Live) -> str:
    """Say what is live."""
    parts = [f"{live.version} serves"]
    if live.canary:
        share = 100 - live.traffic
        parts = [f"{live.canary} gets {live.traffic} %", f"{live.version} {share} %"]
    parts += [f"{live.standby} is on standby"] if live.standby else []
    parts += [f"{live.shadow} gets copies"] if live.shadow else []
    return ", ".join(parts)


def _gone(before: Live, after: Live) -> str:
    """Say which versions stop."""
    gone = [version for version in _weights(before) if version not in _weights(after)]
    return f"; {' and '.join(gone)} {'stops' if len(gone) == 1 else 'stop'}" if gone else ""


def _way(before: Live, after: Live) -> str:
    """Say in a subject's few words from where to where."""
    if replace(before, shadow=after.shadow) == after:
        return f"shadow {after.shadow}" if after.shadow else f"without shadow {before.shadow}"
    if after.canary:
        return f"{after.version} -> {after.canary} at {after.traffic} %"
    if before.version != after.version:
        kept = f", {after.standby} on standby" if after.standby else ""
        return f"{before.version} -> {after.version}{kept}"
    if before.canary:
        return f"{before.canary} at {before.traffic} % -> {after.version}"
    return f"{after.version} without standby {before.standby}"


def _notes(now: Situation, after: Live) -> Iterator[str]:
    """Tell what dropping a canary costs: no rule of changes stands in the way of that."""
    live, idle = now.live, f"`gen promote {now.command} --traffic 0` first"
    if not live.traffic or live.canary in _weights(after):
        return
    if now.strategy == "group":
        yield f"{live.canary} stops once no route of the group names it: no request is lost"
    elif now.strategy == "experiment":
        yield f"as soon as {live.canary} is gone, Seldon gives its requests to {after.version}"
    elif now.strategy == "knative":
        yield f"{after.version} starts anew, as another revision; {idle} needs no start"
    else:
        yield f"{live.canary} stops while the route still leads to it; {idle} loses no request"


def _alone(live: Live) -> Live:
    return replace(live, canary="", traffic=0)


def _weights(live: Live) -> dict[str, int]:
    shares = {live.version: 100 - live.traffic, live.canary: live.traffic, live.standby: 0}
    shares[live.shadow] = 0
    return {version: share for version, share in shares.items() if version}
