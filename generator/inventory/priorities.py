"""What an environment's document says of priorities: classes that Kueue and the scheduler read."""

from __future__ import annotations

from collections.abc import Iterator

from generator.documents import Document, Json
from generator.inventory.queueing import Priority
from generator.problems import Problem
from generator.schema import suggestion


def classes(data: Json) -> dict[str, Priority]:
    """Resolve the classes of priority; without Kueue they are the scheduler's alone."""
    has_kueue = "kueue" in data["platform"]
    return {
        name: Priority(
            name=name,
            called=f"{data['name']}-{name}",
            value=spec["value"],
            description=spec.get("description", ""),
            of_queues=has_kueue and spec.get("for") != "pods",
            of_pods=spec.get("for") != "queues",
            policy="PreemptLowerPriority" if spec.get("preempts", True) else "Never",
            is_default=spec.get("globalDefault", False),
        )
        for name, spec in data.get("priorities", {}).items()
    }


_LONGEST_LABEL = 63


def problems(document: Document) -> Iterator[Problem]:
    """Find classes that a cluster would refuse, and a default that is none."""
    data, known = document.data, document.data.get("priorities", {})
    default = data.get("defaults", {}).get("priority")
    if default is not None and default not in known:
        message, pointer = f"there is no priority `{default}`", ("defaults", "priority")
        yield document.problem("E301", message, pointer, hint=suggestion(default, known))
    for name, spec in known.items():
        called, pointer = f"{data['name']}-{name}", ("priorities", name)
        excess = len(called) - _LONGEST_LABEL
        if excess > 0 and spec.get("for") != "pods":
            message = f"workloads name it by a label, and `{called}` is {len(called)} long"
            hint = f"shorten it by {excess}, so that it has {_LONGEST_LABEL} characters at most"
            yield document.problem("Q104", message, pointer, hint=hint, key=True)
        if called.startswith("system-"):
            message = f"names such as `{called}` are Kubernetes' own"
            hint = "give the environment another name than `system`"
            yield document.problem("Q054", message, pointer, hint=hint, key=True)
        yield from _of_no_use(document, name, spec)
    defaults = [name for name, spec in known.items() if spec.get("globalDefault")]
    for name in defaults[1:]:
        message = f"`{defaults[0]}` is the default already, and the API server takes one"
        place = ("priorities", name, "globalDefault")
        yield document.problem("Q105", message, place, hint="remove it from one of them")


def _of_no_use(document: Document, name: str, spec: Json) -> Iterator[Problem]:
    kind, pointer = spec.get("for", "both"), ("priorities", name)
    if kind == "queues" and "kueue" not in document.data["platform"]:
        message = "a class for queues is Kueue's, and the environment has no Kueue"
        hint = 'write `for: pods`, or add `platform.kueue: {version: "0.19"}`'
        yield document.problem("Q002", message, (*pointer, "for"), hint=hint)
    for key in ("preempts", "globalDefault") if kind == "queues" else ():
        if key in spec:
            message = f"`{key}` is the scheduler's, and this class is for queues alone"
            yield document.problem("E303", message, (*pointer, key), hint="remove it", key=True)
