"""Language models of LLMInferenceServices: how a replica is spread, and what its Pods ask for.

A replica is a Deployment's Pod, or a group of Pods that a LeaderWorkerSet runs together: as many as
`data` has room for, or as `pipeline` says (GetSize in
kserve/kserve@pkg/apis/serving/v1alpha2/llm_inference_service_types_func.go).
"""

from __future__ import annotations

from msgspec import Struct

from generator.documents import Json
from generator.records import Placement

FACTS = "llm"
"""The key of these facts in `Release.facts`, and the name that templates know them by."""


class Parallelism(Struct, frozen=True):
    """How one replica is spread. `data` is 0, and `pipeline` 1, where nothing is.

    `tensor` GPUs share every layer, `pipeline` Pods have some of the layers each, `data` copies
    answer together, `data_local` of them in one Pod.
    """

    tensor: int
    pipeline: int
    data: int
    data_local: int
    expert: bool

    @property
    def pods(self) -> int:
        """How many Pods one replica is."""
        return max(self.data // self.data_local, 1) if self.data else self.pipeline

    @property
    def gpus(self) -> int:
        """How many GPUs one Pod uses."""
        return self.tensor * self.data_local

    @property
    def is_distributed(self) -> bool:
        """Say whether a LeaderWorkerSet runs the Pods: nothing else is told of `data`."""
        return self.data > 0 or self.pipeline > 1

    @property
    def sharing(self) -> int:
        """How many GPUs hold the weights once; the experts of a mixture are on all of them."""
        return self.tensor * (max(self.data, 1) if self.expert else self.pipeline)

    @property
    def spec(self) -> Json:
        """What the object says of it; empty if nothing is spread."""
        tensor = {"tensor": self.tensor} if self.tensor > 1 or self.is_distributed else {}
        pipeline = {"pipeline": self.pipeline} if self.pipeline > 1 else {}
        data = {"data": self.data, "dataLocal": self.data_local} if self.data else {}
        return {**tensor, **pipeline, **data, **({"expert": True} if self.expert else {})}


class Part(Struct, frozen=True):
    """The Pods that do one part of the work: those that write answers, or those that read prompts.

    `replicas` are of those that read prompts; the others are scaled like any model.
    """

    parallelism: Parallelism
    placement: Placement | None
    resources: Json
    replicas: int = 0


class LanguageModel(Struct, frozen=True):
    """What is the same for every version of a language model.

    `prefill` reads prompts apart; None where one kind of Pods does both. `base_refs` and `lora` are
    ready to be placed. `uri` is of the first version, which the base shows, because an object
    without an address is none.
    """

    decode: Part
    prefill: Part | None
    scheduler: bool
    base_refs: list[Json]
    lora: Json
    uri: str


def parallelism(spec: Json | None, gpus: int) -> Parallelism:
    """Read how a replica is spread, so that all GPUs of a Pod are used unless something is said.

    They share every layer, or hold a copy each where there are copies. vLLM itself uses one GPU.
    """
    said = spec or {}
    is_copied = "data" in said and "dataLocal" not in said
    local = max(gpus // said.get("tensor", 1), 1) if is_copied else said.get("dataLocal", 1)
    return Parallelism(
        tensor=said.get("tensor", 1 if is_copied else max(gpus // local, 1)),
        pipeline=said.get("pipeline", 1),
        data=said.get("data", 0),
        data_local=local,
        expert=said.get("expert", False),
    )


def path(namespace: str, model: str) -> str:
    """Write where requests to all versions of a group go, below the address of the Gateway."""
    return f"/publishers/{namespace}/models/{model}/v1"
