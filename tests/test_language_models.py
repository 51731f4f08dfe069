"""Language models: how a replica is spread, and what its Pods add up to."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from helpers import ENVIRONMENT

from generator import resolve, yamlio
from generator.backends import registry as backends
from generator.diff import impact
from generator.documents import Document
from generator.inventory import environments as inventory
from generator.inventory.records import Environment
from generator.queues import capacity, demand, llm_memory
from generator.records import Release
from generator.reports import explain
from generator.serving import language_models as llm
from generator.serving import runtimes

Spread = tuple[int, int, int, int]
"""`tensor`, Pods of a replica, copies in a Pod, GPUs of a Pod."""

SPREADS: dict[str, tuple[dict[str, Any], int, Spread]] = {
    "nothing said, no GPU": ({}, 0, (1, 1, 1, 1)),
    "nothing said": ({}, 4, (4, 1, 1, 4)),
    "fewer than there are": ({"tensor": 2}, 4, (2, 1, 1, 2)),
    "layers over Pods": ({"pipeline": 2}, 4, (4, 2, 1, 4)),
    "a copy for each GPU": ({"data": 16}, 8, (1, 2, 8, 8)),
    "copies of two GPUs": ({"data": 8, "tensor": 2}, 8, (2, 2, 4, 8)),
    "so many copies in a Pod": ({"data": 8, "dataLocal": 4}, 8, (2, 2, 4, 8)),
    "copies in one Pod": ({"data": 4, "dataLocal": 4}, 4, (1, 1, 4, 4)),
    "more copies in a Pod than there are": ({"data": 2, "dataLocal": 4}, 4, (1, 1, 4, 4)),
}


@pytest.mark.parametrize(("said", "gpus", "wanted"), SPREADS.values(), ids=SPREADS)
def test_a_replica_is_spread_over_what_it_has(
    said: dict[str, Any], gpus: int, wanted: Spread
) -> None:
    found = llm.parallelism(said, gpus)
    assert (found.tensor, found.pods, found.data_local, found.gpus) == wanted
    assert found.is_distributed == bool({"data", "pipeline"} & said.keys())
    assert ("tensor" in found.spec) == (found.tensor > 1 or found.is_distributed)


_MODE = (
    "mode: Standard, gateway: {name: gate, namespace: gates}, domain: a.b, llm: true}\n"
    '  lws: {version: "0.8"}'
)
TEXT = ENVIRONMENT.replace("mode: Knative}", _MODE) + (
    "flavors:\n"
    "  a100: {resource: nvidia.com/gpu, nodeLabels: {nvidia.com/gpu.product: A100-SXM4-80GB},"
    " nodes: 9, gpusPerNode: 8, pricePerHour: 2}\n"
    "  h100: {resource: nvidia.com/gpu, nodeLabels: {nvidia.com/gpu.product: H100-80GB-HBM3},"
    " nodes: 9, gpusPerNode: 8, pricePerHour: 5}\n"
)


def document(kind: str, text: str) -> Document:
    data = yamlio.load(text)
    return Document(kind, f"{kind}s/{data['name']}.yaml", data["name"], text, data)


@cache
def environment() -> Environment:
    return inventory.environment(document("environment", TEXT))


def release(serving: str, block: str = "{version: v1}", replicas: int = 2) -> Release:
    text = (
        "name: chat\nowner: a\ndescription: b\n"
        f"serving: {{backend: kserve-llm, resources: {{cpu: 2, memory: 4Gi}}, {serving}}}\n"
        f"scaling: {{min: {replicas}, max: {replicas}}}\n"
        'versions: {v1: {uri: "hf://example/Big-70B:1"}, v2: {uri: "pvc://models/v2"}}\n'
        f"environments: {{dev: {block}}}\n"
    )
    (found,) = resolve.releases(document("model", text), {"dev": environment()})
    return found


def counted(found: Release) -> list[tuple[str, list[tuple[str, int, int]]]]:
    return [
        (asked.flavor, [(pods.version, pods.accelerators, pods.minimum) for pods in asked.pods])
        for asked in demand.all_of(found)
    ]


def test_every_pod_of_a_replica_counts() -> None:
    found = release("gpu: {flavor: a100, count: 8}, llm: {parallelism: {data: 16}}")
    assert counted(found) == [("a100", [("v1", 8, 4)])]
    assert [pods.surge for pods in demand.of(found).pods] == [0]
    assert impact.state(found).gpus == impact.Span(32, 32)


def test_pods_that_read_prompts_count_for_every_version() -> None:
    said = "gpu: {flavor: a100, count: 2}, llm: {prefill: {replicas: 3}}"
    found = release(said, "{version: v1, standby: v2}")
    own, reading = [("v1", 2, 2), ("v2", 2, 2)], [("v1", 2, 3), ("v2", 2, 3)]
    assert counted(found) == [("a100", [*own, *reading])]


def test_pods_that_read_prompts_count_for_their_own_flavor() -> None:
    said = "gpu: {flavor: a100, count: 2}, llm: {prefill: {gpu: {flavor: h100, count: 4}}}"
    found = release(said)
    assert counted(found) == [("a100", [("v1", 2, 2)]), ("h100", [("v1", 4, 1)])]
    state = impact.state(found)
    assert state.gpus == impact.Span(8, 8)
    assert state.cost.minimum == (4 * 2 + 4 * 5) * demand.HOURS_A_MONTH
    assert capacity.of_release(found) is None


def test_the_memory_of_all_gpus_that_share_the_weights_counts() -> None:
    spread = release("gpu: {flavor: a100, count: 1}, llm: {parallelism: {pipeline: 4}}")
    (need,) = llm_memory.needs(spread)
    assert need.gpus == 4
    assert need.fits
    copied = release("gpu: {flavor: a100, count: 4}, llm: {parallelism: {data: 4}}")
    (need,) = llm_memory.needs(copied)
    assert need.gpus == 1
    assert not need.fits
    assert "tensor-parallel" not in llm_memory.hint(need)


def test_each_part_is_weighed_apart() -> None:
    found = release("gpu: {flavor: a100, count: 4}, llm: {prefill: {gpu: {count: 1}}}")
    assert [need.fits for need in llm_memory.needs(found)] == [True, False]


def test_arguments_are_for_a_shell() -> None:
    found = release(
        "gpu: {flavor: a100}, args: ['--max-model-len=8', '--a={\"b\": [1, $x]}', \"it's\"]"
    )
    first, second, third = found.stable.artifact.args
    assert first == "--max-model-len=8"
    assert second == "'--a={\"b\": [1, $x]}'"
    assert third == "'it'\"'\"'s'"


def test_what_kserve_makes_is_claimed() -> None:
    said = "gpu: {flavor: a100, count: 8}, llm: {parallelism: {data: 16}, prefill: {replicas: 1}}"
    found = release(said)
    backend = backends.of_release(found)
    made = {(each.kind, each.name) for each in backend.made(found)}
    assert made == {
        ("LeaderWorkerSet", "chat-v1-kserve-mn"),
        ("Deployment", "chat-v1-kserve-prefill"),
        ("Deployment", "chat-v1-kserve-router-scheduler"),
        ("InferencePool", "chat-v1-inference-pool"),
        ("Service", "chat-v1-kserve-workload-svc"),
        ("HTTPRoute", "chat-v1-kserve-route"),
    }


def test_vllm_tells_of_itself_where_it_answers() -> None:
    found = release("gpu: {flavor: a100, count: 1}")
    assert runtimes.LLM.metrics_port == found.stable.port == 8000
    assert runtimes.BY_FORMAT["vLLM"].metrics_port == int(runtimes.PORT)


def test_requests_go_to_all_versions_at_one_path() -> None:
    told = {origin.setting: origin for origin in explain.origins(release("args: []"))}
    assert told["path"].value == "/publishers/ml-dev/models/chat/v1"
