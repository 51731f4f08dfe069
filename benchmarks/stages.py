"""Where the time of `gen render` goes: clocks around the stages, one process, no profiler.

    python -m benchmarks.stages ROOT

renders the repository at ROOT and prints a JSON object of seconds by stage. A stage's time is its
own: what it spends in another stage counts there.
"""

from __future__ import annotations

import functools
import gc
import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

RENDERING, RULES, CAPACITY = "render files", "run rules", "answer for capacity"
STAGES = {
    "read models": ("load:document", "load:workspace"),
    "check documents": ("validate:problems",),
    "resolve releases": ("resolve:releases", "resolve:environments"),
    "plan files": (
        "plan:base",
        "plan:overlay",
        "plan:application",
        "plan:platform",
        "plan:delivery",
        "plan:write_once",
    ),
    RENDERING: ("render:Engine.files", "render:Engine.__init__"),
    "match overlays": ("objects.alike:Verdicts.identities", "objects.kustomize:composed"),
    "check objects": ("check:folder", "check:standalone"),
    RULES: ("rules.catalogue:of_release", "rules.catalogue:of_environment"),
    CAPACITY: ("subjects:Repository.short_of", "queues.demand:packed"),
    "claim for the fleet": (
        "fleet:of_objects",
        "fleet:of_identities",
        "fleet:of_release",
        "fleet:Fleet.problems",
    ),
    "digest": ("pipeline:digest", "state:layout", "subjects:sha256", "fleet:digest"),
    "write to staging": ("write:Tree.put", "write:Tree.leftovers", "write:Tree.keep_all"),
    "move into place": ("write:Tree.commit",),
    "save the state": ("state:Memory.save",),
}
REST = "everything else"


class Clock:
    """Seconds by stage; a stage that calls another one stands still meanwhile."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._running = [REST]
        self._since = 0.0

    def start(self) -> None:
        """Start from zero."""
        self.seconds = dict.fromkeys([*STAGES, REST], 0.0)
        self._since = perf_counter()

    def _turn(self) -> None:
        now = perf_counter()
        self.seconds[self._running[-1]] += now - self._since
        self._since = now

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function; an iterator that it returns is run to its end at once."""

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            self._turn()
            self._running.append(stage)
            try:
                result = function(*args, **kwargs)
                return iter(list(result)) if isinstance(result, Iterator) else result
            finally:
                self._turn()
                self._running.pop()

        return wrapper

    def stop(self) -> dict[str, float]:
        """Return the seconds by stage."""
        self._turn()
        return self.seconds


def lost() -> list[str]:
    """Name the functions that are not there any more."""
    return [name for names in STAGES.values() for name in names if _found(name) is None]


def _found(name: str) -> tuple[Any, str] | None:
    """Find what holds a function, and what it is called there."""
    module, _, path = name.partition(":")
    *holders, attribute = path.split(".")
    holder: Any = importlib.import_module(f"generator.{module}")
    for each in holders:
        holder = getattr(holder, each, None)
    return (holder, attribute) if hasattr(holder, attribute) else None


def install(clock: Clock) -> None:
    """Put clocks around all stages."""
    for stage, names in STAGES.items():
        for name in names:
            found = _found(name)
            if found is not None:
                holder, attribute = found
                setattr(holder, attribute, clock.timed(stage, getattr(holder, attribute)))


def main(root: Path) -> None:
    """Render a repository with clocks."""
    from generator import pipeline  # imports are no stage
    from generator.__main__ import GARBAGE
    from generator.state import Memory

    gc.set_threshold(GARBAGE)
    clock = Clock()
    install(clock)
    clock.start()
    memory = Memory(root, Path(f"{root}-cache"), "")
    pipeline.apply_locked(root, memory=memory, jobs=1)
    sys.stdout.write(json.dumps({"seconds": clock.stop(), "lost": lost()}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
