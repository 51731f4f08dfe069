"""The two layers of values, environment then model, and who said what.

Maps merge key by key, lists are replaced whole. Origins are not recorded while merging: the layer
that a value came from is the last one that has it, and that is only looked up when somebody asks.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from msgspec import Struct

from generator.documents import Document, Json
from generator.inventory.records import Environment
from generator.problems import Problem, Where
from generator.records import Layer
from generator.yamlio import Pointer

MERGED = ("serving", "scaling", "rollout", "queue", "canaryStrategy")
"""The blocks that every layer may have; `generator.aspects` has those that add objects."""

ASPECTS: tuple[str, ...] = (
    "training",
    "monitoring",
    "drift",
    "spread",
    "disruption",
    "cache",
    "priority",
    "topology",
)
"""The blocks of aspects, each merged like the others."""

LAYERED = (*MERGED, *ASPECTS)

_BUILT_IN: Json = {
    "serving": {"backend": "kserve", "args": [], "env": {}, "timeout": 0},
    "scaling": {"min": 1, "max": 1, "metric": "cpu", "target": 80},
    "queue": "",
}
_KNATIVES = ("kserve", "graph")
"""The backends that Knative runs where it is there."""

_LLM = "kserve-llm"

_BY_REQUESTS: Json = {"scaling": {"metric": "concurrency", "target": 100}}
"""KPA's own defaults (knative/serving@config/core/configmaps/autoscaler.yaml), and those of
language models: their cores say nothing of how busy the GPUs are."""


class Settings(Struct, frozen=True):
    """The merged settings of one model in one environment."""

    layers: tuple[Layer, ...]
    data: Json

    @property
    def serving(self) -> Json:
        """What is said of serving; gen itself says `backend`, `args`, `env` and `timeout`."""
        block: Json = self.data["serving"]
        return block

    @property
    def scaling(self) -> Json:
        """What is said of scaling; gen itself says `min`, `max`, `metric` and `target`."""
        block: Json = self.data["scaling"]
        return block

    def get(self, *pointer: str) -> Any:
        """Return a setting, or None where no layer has it."""
        node: Any = self.data
        for step in pointer:
            if node.__class__ is not dict:
                return None
            node = node.get(step)
        return node

    def rank(self, *pointer: str) -> int:
        """Return the index of the layer that decides a setting; -1 if none does."""
        rank = len(self.layers) - 1
        while rank >= 0 and not self.layers[rank].has(pointer):
            rank -= 1
        return rank

    def where(self, *pointer: str) -> Where | None:
        """Find the place that decides a setting; None if `gen` itself does."""
        return origin(self.layers, pointer)

    def problem(self, code: str, message: str, pointer: Pointer, hint: str = "") -> Problem:
        """Make the problem of a setting, where it was decided; of the whole block otherwise."""
        place = origin(self.layers, pointer)
        if place is not None:
            return Problem(code, message, place, hint)
        nearest = self.layers[-1]
        assert nearest.document is not None
        return nearest.document.problem(code, message, nearest.prefix, hint=hint, key=True)

    def over(self, layer: Layer) -> Settings:
        """Put one more layer on top."""
        return Settings((*self.layers, layer), merge(self.data, layer.data))


def of(model: Document, environment: Environment) -> Settings:
    """Merge what `gen`, the environment, the model and its block for the environment say."""
    is_by_requests = is_knative(model, environment) or _backend(model) == _LLM
    shared = _shared(environment.document, is_by_requests=is_by_requests)
    own = Layer(model, (), {key: model.data[key] for key in LAYERED if key in model.data})
    return shared.over(own).over(_live_layer(model, environment.name))


@lru_cache(256)
def _shared(environment: Document, *, is_by_requests: bool) -> Settings:
    """Merge what `gen` and the environment say, which is the same for every model."""
    settings = Settings((Layer(None, (), _BUILT_IN),), _BUILT_IN)
    if is_by_requests:
        settings = settings.over(Layer(None, (), _BY_REQUESTS))
    defaults = environment.data.get("defaults", {})
    return settings.over(Layer(environment, ("defaults",), defaults))


SCALED_APART = ("canary", "shadow")
"""The roles that may have replicas of their own, as a model's block for an environment has them."""


def of_role(model: Document, environment: str, merged: Settings, role: str) -> Settings:
    """Put what a role says about its own replicas on top; the same settings if nothing."""
    block = model.data["environments"][environment].get(role)
    if role not in SCALED_APART or not isinstance(block, dict) or "scaling" not in block:
        return merged
    prefix = ("environments", environment, role)
    return merged.over(Layer(model, prefix, {"scaling": block["scaling"]}))


def shadow_of(block: Json) -> Json:
    """Read the shadow of a model's block for an environment, as a block whatever was written."""
    shadow = block["shadow"]
    return shadow if isinstance(shadow, dict) else {"version": shadow}


def is_knative(model: Document, environment: Environment) -> bool:
    """Say whether Knative runs the model."""
    return environment.mode == "Knative" and _backend(model) in _KNATIVES


def _backend(model: Document) -> str:
    return str(model.data["serving"].get("backend", "kserve"))


def _live_layer(model: Document, environment: str) -> Layer:
    block = model.data["environments"][environment]
    merged = {key: block[key] for key in LAYERED if key in block}
    return Layer(model, ("environments", environment), merged)


def merge(under: Json, over: Json) -> Json:
    """Merge two maps key by key; what is not a map in both is replaced whole."""
    merged = under.copy()
    for key, value in over.items():
        below = merged.get(key) if value.__class__ is dict else None
        merged[key] = merge(below, value) if below.__class__ is dict else value
    return merged


def origin(layers: tuple[Layer, ...], pointer: Pointer) -> Where | None:
    """Find the place of a setting in the last layer that has it."""
    for layer in reversed(layers):
        if layer.has(pointer):
            return layer.document.where(*layer.prefix, *pointer) if layer.document else None
    return None
