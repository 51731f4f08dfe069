"""The merged block `training` of one model in one environment, read in one place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from generator.aspects.contract import Ask
from generator.documents import Json
from generator.inventory.records import Environment, Flavor
from generator.training import runtimes as training_runtimes
from generator.training.runtimes import TrainingRuntime
from generator.values import durations
from generator.values.minors import Minor, parsed

NAME = "training"


class Block:
    """What a model asks of its training in an environment, and what is there for it."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.environment: Environment = ask.environment
        self.platform: Json = ask.environment.document.data["platform"]

    def get(self, *keys: str) -> Any:
        """Return a setting of the block; None where no layer has it."""
        return self.ask.merged.get(NAME, *keys)

    def says_itself(self, key: str) -> bool:
        """Say whether the model decides a setting, and not a default of the environment."""
        where = self.ask.merged.where(NAME, key)
        return where is not None and where.file == self.ask.model.path

    @property
    def is_of_the_model(self) -> bool:
        """Say whether the model itself is trained: defaults alone train nobody."""
        live = ("environments", self.environment.name, NAME)
        return NAME in self.ask.model.data or self.ask.model.has(live)

    @property
    def starts(self) -> tuple[str, ...]:
        """Name the keys that start runs here."""
        found = {"run": "run" in self.here, "schedule": self._is_scheduled}
        found["onDrift"] = bool(self.get("onDrift"))
        return tuple(key for key, is_on in found.items() if is_on)

    @property
    def _is_scheduled(self) -> bool:
        """Say whether the clock starts runs: what an environment says of schedules is none yet."""
        said = self.get("schedule") or {}
        own = "schedule" in self.here or "schedule" in self.ask.model.data.get(NAME, {})
        return bool(said) and said.get("enabled") is not False and (own or "cron" in said)

    @property
    def looks_for_drift(self) -> bool:
        """Say whether the model has a check for drift here."""
        drift = self.ask.merged.get("drift") or {}
        return bool(drift) and drift.get("enabled") is not False

    @property
    def here(self) -> Json:
        """The model's own block for this environment; empty if it has none."""
        live: Json = self.ask.model.data["environments"][self.environment.name]
        block: Json = live.get(NAME, {})
        return block

    @property
    def api(self) -> str:
        """What runs the training."""
        return self.get("api") or "trainjob"

    @property
    def scheduler(self) -> str:
        """Who admits it."""
        return self.get("scheduler") or "kueue"

    @property
    def engine(self) -> str:
        """What starts it by the clock."""
        return self.get("engine") or "cronjob"

    @property
    def is_trainjob(self) -> bool:
        """Say whether Kubeflow Trainer runs it."""
        return self.api == "trainjob"

    @property
    def trainer(self) -> Minor:
        """The version of Kubeflow Trainer; nothing where there is none."""
        return parsed(self.environment.trainer) if self.environment.trainer else ()

    @property
    def creator(self) -> str:
        """The image in which runs are started by what is no person; empty for none."""
        system = self.platform.get("trainer" if self.is_trainjob else "trainingOperator") or {}
        image: str = system.get("creator", "")
        return image

    @property
    def own_runtimes(self) -> Mapping[str, Json]:
        """The runtimes that the environment lists."""
        return (self.platform.get("trainer") or {}).get("runtimes") or {}

    @property
    def runtime_name(self) -> str:
        """The runtime as it was named."""
        return self.get("runtime") or training_runtimes.DEFAULT

    @property
    def runtime(self) -> TrainingRuntime | None:
        """What is known of the runtime; None if nothing is."""
        like = self.own_runtimes.get(self.runtime_name, {}).get("like", self.runtime_name)
        return training_runtimes.BY_NAME.get(like)

    @property
    def nodes(self) -> int:
        """How many Pods train together."""
        return self.get("nodes") or 1

    @property
    def accelerators(self) -> int:
        """Accelerators of each node that the spec asks for."""
        gpu = self.get("gpu") or {}
        return gpu.get("count", 1) if gpu else 0

    @property
    def flavor(self) -> Flavor | None:
        """The flavor of the nodes; None for CPU, and for one that is not there."""
        name = (self.get("gpu") or {}).get("flavor", "")
        return self.environment.flavors.get(name) if self.accelerators else None

    @property
    def queue(self) -> str:
        """The queue of whoever admits it; empty for none."""
        return self.get("queue") or ""

    @property
    def volcano_queues(self) -> Mapping[str, Json]:
        """The queues of Volcano."""
        return (self.platform.get("volcano") or {}).get("queues") or {}

    @property
    def priority(self) -> str:
        """The class of priority as the cluster calls it; empty for none."""
        name = self.get("priority")
        return f"{self.environment.name}-{name}" if name else ""

    @property
    def deadline(self) -> int:
        """Seconds that a run may take; 0 if it may take for ever."""
        timeout = self.get("timeout")
        return durations.seconds(timeout) if timeout else 0
