"""Rules of sync windows: when Argo CD may sync, and who can go back when it may not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from generator.documents import Json
from generator.inventory.records import Environment
from generator.records import Release
from generator.rules import Book, Finding, Scene, Spot
from generator.rules.fields import spec
from generator.rules.places import in_environment, of_setting
from generator.values import cron, durations
from generator.values.cron import YEAR, Span

BOOK = Book("delivery")

_DOC = "argoproj/argo-cd@docs/user-guide/sync_windows.md"
_DURATION = re.compile(r"(?:(?P<h>[0-9]+)h)?(?:(?P<m>[0-9]+)m)?(?:(?P<s>[0-9]+)s)?")
_NEVER = "it opens on no day of any year"


class _Window(NamedTuple):
    """A window that can be read: its place in the list, and when it is open in a year."""

    place: int
    data: Json
    spans: list[Span]

    @property
    def allows(self) -> bool:
        """Say whether it opens the environment rather than closing it."""
        return bool(self.data["kind"] == "allow")


def _seconds(duration: str) -> int:
    found = _DURATION.fullmatch(duration)
    parts = found.groupdict(default="0") if found else {}
    return sum(
        int(parts.get(unit, 0)) * worth for unit, worth in (("h", 3600), ("m", 60), ("s", 1))
    )


def _fault(window: Json) -> str:
    """Say why a window never opens; empty if it does."""
    schedule = str(window.get("schedule", ""))
    if schedule.startswith("@"):
        return f"`{schedule}` is a word, and Argo CD reads five fields"
    try:
        if cron.never_fires(schedule):
            return _NEVER
    except cron.Unreadable as error:
        return str(error)
    return "" if _seconds(str(window.get("duration", ""))) else "it closes when it opens"


def _windows(environment: Environment) -> list[_Window]:
    """Read the windows of an environment, unless one of them cannot be read."""
    given = environment.argocd.sync_windows
    if not given or any(map(_fault, given)):
        return []
    return [
        _Window(index, data, cron.open_in(data["schedule"], _seconds(data["duration"])))
        for index, data in enumerate(given)
    ]


def _all_open(windows: Sequence[_Window], *, allows: bool) -> list[Span]:
    spans = sorted(span for each in windows if each.allows is allows for span in each.spans)
    return cron.merged(iter(spans))


def _open(windows: Sequence[_Window]) -> list[Span]:
    """List when something may sync by itself: `deny` wins, and one `allow` denies the rest."""
    any_allow = any(window.allows for window in windows)
    allowed = _all_open(windows, allows=True) if any_allow else [(0, YEAR)]
    return cron.without(allowed, _all_open(windows, allows=False))


def _in_one_zone(windows: Sequence[_Window]) -> bool:
    """Say whether the windows can be compared: zones move against each other in the year."""
    return len({window.data["timeZone"] for window in windows}) == 1


_CLOSED = BOOK.error(
    "D101",
    "A window that never opens denies everything, or nothing.",
    evidence=f"{_DOC}, robfig/cron@parser.go",
    remedy="Write minute, hour, day of the month, month and day of the week, such as "
    "`0 8 * * 1-5`; Sunday is 0.",
)


@_CLOSED.on_environment
def _never_opens(environment: Environment) -> Iterator[Finding]:
    for index, window in enumerate(environment.argocd.sync_windows):
        why = _fault(window)
        if why:
            key = "duration" if why.startswith("it closes") else "schedule"
            message = f"this window never opens: {why}"
            hint = "such as `0 8 * * 1-5` with `duration: 9h`; Sunday is 0, not 7"
            yield in_environment(environment, ("argocd", "syncWindows", index, key), message, hint)


@_CLOSED.on_objects("AppProject")
def _never_opens_in_a_template(item: Json, scene: Scene) -> Iterator[Spot]:
    for index, window in enumerate(spec(item).get("syncWindows") or ()):
        why = _fault(window)
        if why:
            message = f"this window never opens: {why}"
            pointer = ("spec", "syncWindows", index)
            yield Spot(message, pointer, "such as `0 8 * * 1-5` with `duration: 9h`")


@BOOK.error(
    "D102",
    "Where `deny` covers every `allow`, nothing is ever synced.",
    evidence=_DOC,
    remedy="Leave a time that is allowed and not denied.",
).on_environment
def _always_closed(environment: Environment) -> Iterator[Finding]:
    windows = _windows(environment)
    if windows and _in_one_zone(windows) and not _open(windows):
        denied = next(window for window in windows if not window.allows)
        message = "the windows leave no time at which Argo CD may sync"
        hint = "shorten this one, or `allow` another time"
        pointer = ("argocd", "syncWindows", denied.place)
        yield in_environment(environment, pointer, message, hint)


@BOOK.warning(
    "D103",
    "A window without which everything would be as it is was meant otherwise.",
    evidence=_DOC,
    remedy="Remove it, or change its time: outside of every `allow` all is denied already.",
).on_environment
def _changes_nothing(environment: Environment) -> Iterator[Finding]:
    windows = _windows(environment)
    if not _in_one_zone(windows) or not _open(windows):
        return
    for window in windows:
        others = [each for each in windows if each is not window]
        if others and _open(others) == _open(windows):
            verb = "allows" if window.allows else "denies"
            message = f"this window {verb} nothing that the others do not"
            pointer = ("argocd", "syncWindows", window.place)
            yield in_environment(environment, pointer, message, "remove it, or change its time")


@BOOK.warning(
    "D104",
    "Windows that let people sync hold nobody back where nothing syncs by itself.",
    evidence=_DOC,
    remedy="Write `manualSync: false` to hold people back, or `autoSync: true`.",
).on_environment
def _holds_nobody_back(environment: Environment) -> Iterator[Finding]:
    windows = environment.argocd.sync_windows
    if windows and not environment.argocd.auto_sync and all(w["manualSync"] for w in windows):
        message = "with `autoSync: false` people alone sync, and `manualSync` lets them at any time"
        hint = "write `manualSync: false`, or remove the windows"
        yield in_environment(environment, ("argocd", "syncWindows"), message, hint)


def _longest(spans: list[Span]) -> int:
    return max((end - start for start, end in spans), default=0)


def _closed(windows: Sequence[_Window]) -> int:
    """Count the seconds of the longest time in which nothing syncs; a year wraps around."""
    closed = cron.without([(0, YEAR)], _open(windows))
    if len(closed) > 1 and closed[0][0] == 0 and closed[-1][1] == YEAR:
        around = closed[0][1] + closed[-1][1] - closed[-1][0]
        return max(around, _longest(closed))
    return _longest(closed)


@BOOK.warning(
    "D105",
    "While a window holds everybody back, a revert reaches the cluster for nobody.",
    evidence=f"{_DOC}, argoproj/argo-cd#2441",
    remedy="Let people sync: `manualSync: true`, with `roles` that say who.",
).on_environment
def _nobody_goes_back(environment: Environment) -> Iterator[Finding]:
    windows = _windows(environment)
    strict = [window for window in windows if not window.data["manualSync"]]
    if strict and _in_one_zone(windows):
        closed = durations.told(_closed(windows))
        message = f"for up to {closed} nobody can go back to what was live, by a commit or by hand"
        hint = "write `manualSync: true`, and say who may sync with `roles`"
        pointer = ("argocd", "syncWindows", strict[0].place, "manualSync")
        yield in_environment(environment, pointer, message, hint)


@BOOK.warning(
    "D106",
    "A canary that soaks longer than a window is open goes on trial while no commit takes it back.",
    evidence=_DOC,
    remedy="Shorten `rollout.soak`, open the window for longer, or sync by hand to go back.",
).on_release_with("several")
def _soaks_through_the_night(release: Release) -> Iterator[Finding]:
    environment, canary = release.environment, release.canary
    soak = _soak(release)
    if not soak or canary is None or not canary.traffic or not environment.argocd.auto_sync:
        return
    windows = _windows(environment)
    if not windows or not _in_one_zone(windows):
        return
    longest = _longest(_open(windows))
    if 0 < longest < durations.seconds(soak):
        message = (
            f"{canary.artifact.version} soaks for {soak}, and Argo CD syncs for at most "
            f"{durations.told(longest)} at a time: in between, a rollback waits"
        )
        hint = f"sync by hand then: `argocd app sync {environment.name}-{release.model}`"
        yield Finding(message, of_setting(release, "rollout", "soak"), hint)


def _soak(release: Release) -> str:
    """Find how long a step lasts, in the nearest layer that says it."""
    for layer in reversed(release.layers):
        if layer.has(("rollout", "soak")):
            return str(layer.data["rollout"]["soak"])
    return ""
