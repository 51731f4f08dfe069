"""What a model's training comes to in one environment, as templates and arithmetic see it."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

Json = dict[str, Any]

OUTPUT_VARIABLES = ("MODEL_OUTPUT_URI", "TRAINING_RUN")
"""What a run learns of its output: where trained models go, and which run it is."""


class PodSet(Struct, frozen=True):
    """The Pods of one step that are alike: cores in thousandths, memory in bytes, each."""

    name: str
    count: int
    cpu: int
    memory: int
    accelerators: int


class Job(Struct, frozen=True):
    """One run as an object: what it is, and all of its spec.

    `name` is empty for what a schedule starts: the API server completes `prefix` then.
    """

    api_version: str
    kind: str
    name: str
    prefix: str
    labels: Json
    annotations: Json
    spec: Json


class Creator(Struct, frozen=True):
    """What starts runs inside of the cluster, for a schedule and for whoever else asks.

    A Pod that uses ServiceAccount `name`, mounts ConfigMap `name` at `folder` and runs `command` in
    `image` with `env` starts one run, unless the script finds a reason not to. `rules` are what the
    ServiceAccount may do, `manifest` is what it creates.
    """

    name: str
    image: str
    folder: str
    command: list[str]
    env: list[Json]
    rules: list[Json]
    manifest: str


class Schedule(Struct, frozen=True):
    """When runs start by themselves; `six_fields` is `cron` with the seconds before it."""

    engine: str
    cron: str
    six_fields: str
    time_zone: str
    concurrency: str
    history: int


class Training(Struct, frozen=True):
    """The training of one model in one environment: the run by hand, and what starts others.

    `run` is None without a label, `schedule` without one that is enabled; `creator` is there for a
    schedule and for drift. `runtime_template` is a runtime of the model's own, for Volcano. A run
    takes `pods` at once from `queue`, which is Kueue's only where `is_queued`. `framework` is the
    runtime's, `env` is what the spec sets, `variables` names those out of Secrets too, `priority`
    is as the spec calls it, and `processes` are those of a node, 0 where Trainer decides.
    `is_shipped` says that no runtime of somebody's own makes the Pods.
    """

    api: str
    scheduler: str
    label: str
    run: Job | None
    schedule: Schedule | None
    creator: Creator | None
    runtime: str
    is_shipped: bool
    runtime_template: Json | None
    framework: str
    image: str
    args: tuple[str, ...]
    env: Json
    variables: tuple[str, ...]
    queue: str
    priority: str
    flavor: str
    resource: str
    nodes: int
    processes: int
    pods: tuple[PodSet, ...]
    on_drift: bool

    @property
    def is_kept(self) -> bool:
        """Say whether a run stays once Git names another one."""
        return self.run is not None and "Prune=false" in str(self.run.annotations)

    @property
    def is_queued(self) -> bool:
        """Say whether Kueue admits the runs."""
        return bool(self.queue) and self.scheduler == "kueue"

    @property
    def per_node(self) -> int:
        """The accelerators of each node."""
        return max(pods.accelerators for pods in self.pods)

    @property
    def accelerators(self) -> int:
        """The accelerators of a whole run."""
        return sum(pods.count * pods.accelerators for pods in self.pods)
