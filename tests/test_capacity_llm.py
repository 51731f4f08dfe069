"""How much memory a language model needs, and what a GPU has."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import ENVIRONMENT, MODEL, write_tree
from msgspec.structs import replace

from generator import pipeline
from generator.queues import accelerators, llm_memory
from generator.queues.llm_memory import Need

GIB = 2**30
ENV = ENVIRONMENT.replace("mode: Knative", "mode: Standard").replace(
    "argocd:",
    "flavors:\n  gpu: {resource: nvidia.com/gpu, nodeLabels: {nvidia.com/gpu.product: PRODUCT}}\n"
    "argocd:",
)


def needs(
    root: Path, model_id: str, *args: str, gpus: int = 1, product: str = "NVIDIA-L4"
) -> list[Need]:
    model = MODEL.replace(
        "{format: sklearn}", f"{{format: huggingface, gpu: {{flavor: gpu, count: {gpus}}}}}"
    )
    listed = "".join(f'"{arg}", ' for arg in (f"--model_id={model_id}", *args))
    model = model.replace("{uri: gs://models/churn/1}", f"{{args: [{listed}]}}")
    files: dict[str, str | bytes] = {
        "environments/dev.yaml": ENV.replace("PRODUCT", product),
        "models/churn.yaml": model,
    }
    (release,) = pipeline.releases(write_tree(root, files))
    return list(llm_memory.needs(release))


@pytest.mark.parametrize(
    ("name", "millions", "active"),
    [
        ("Qwen/Qwen2.5-0.5B-Instruct", 500, 0),
        ("meta-llama/Llama-3.1-70B-Instruct", 70_000, 0),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", 44_800, 7_000),
        ("Qwen/Qwen3-235B-A22B", 235_000, 22_000),
        ("facebook/opt-125m", 125, 0),
        ("google/gemma-2-9b-it", 9_000, 0),
        ("meta-llama/Llama-4-Scout-17B-16E-Instruct", 17_000, 0),
        ("deepseek-ai/DeepSeek-V3", 0, 0),
        ("openai-community/gpt2", 0, 0),
        ("microsoft/Phi-3.5-mini-instruct", 0, 0),
        ("7b/Mystery", 0, 0),
    ],
)
def test_a_name_tells_the_parameters(name: str, millions: int, active: int) -> None:
    assert llm_memory.millions(name) == millions
    assert llm_memory.active(name) == active


@pytest.mark.parametrize(
    ("name", "args", "gigabytes"),
    [
        ("org/model-8B", (), 16),
        ("org/model-8B", ("--dtype=float32",), 32),
        ("org/model-8B", ("--dtype", "half"), 16),
        ("org/model-8B", ("--quantization=fp8",), 8),
        ("org/model-8B", ("--quantization", "awq"), 4),
        ("org/model-8B-AWQ", (), 4),
        ("org/model-8B-GPTQ-Int8", (), 8),
        ("org/model-8B-FP8", (), 8),
        ("org/model-8B-quantized.w4a16", (), 4),
        ("org/model-8B-quantized.w8a8", (), 8),
        ("org/model-8B-bnb-4bit", (), 4),
        ("openai/gpt-oss-20b", (), 10),
        ("meta-llama/Llama-4-Scout-17B-16E-Instruct", (), 34),
    ],
)
def test_weights_are_parameters_times_bytes(
    tmp_path: Path, name: str, args: tuple[str, ...], gigabytes: int
) -> None:
    (need,) = needs(tmp_path, name, *args)

    assert need.weights == gigabytes * 10**9


def test_what_does_not_fit_is_told_with_its_arithmetic(tmp_path: Path) -> None:
    (need,) = needs(tmp_path, "org/Model-9B", "--max-model-len=131072", product="Tesla-T4")

    assert not need.fits
    assert llm_memory.message(need) == (
        "version v1, org/Model-9B, needs about 21.2 GiB of GPU memory: 9 billion parameters x "
        "2 bytes = 16.7 GiB + 4.5 GiB cache of one request of 131072 tokens; a replica has "
        "14.7 GiB of 1 x 16 GiB"
    )
    assert llm_memory.hint(need) == (
        "`count: 2` with `--tensor-parallel-size=2`, a flavor with more memory, a quantised model"
    )


def test_a_model_is_spread_over_a_power_of_two(tmp_path: Path) -> None:
    """Three GPUs would be enough and 40 attention heads are no multiple of three."""
    (need,) = needs(tmp_path, "Qwen/Qwen2.5-32B-Instruct")

    assert llm_memory.hint(need) == (
        "`count: 4` with `--tensor-parallel-size=4`, a flavor with more memory, a quantised model"
    )


@pytest.mark.parametrize("most", [1, 2])
def test_no_more_gpus_are_named_than_a_node_has(tmp_path: Path, most: int) -> None:
    (need,) = needs(tmp_path, "Qwen/Qwen2.5-32B-Instruct")

    assert llm_memory.hint(replace(need, most=most)) == (
        "a flavor with more memory, a quantised model"
    )


def test_a_context_that_is_too_long_can_be_shortened(tmp_path: Path) -> None:
    (need,) = needs(tmp_path, "org/Model-9B", "--max-model-len=1M")

    assert not need.fits
    assert llm_memory.hint(need).endswith("a quantised model, a lower `--max-model-len`")


@pytest.mark.parametrize(
    ("gpus", "args", "fits"),
    [
        (1, (), False),
        (2, (), True),
        (2, ("--tensor-parallel-size=1",), False),
        (2, ("--tensor_parallel_size", "2"), True),
        (2, ("--tensor-parallel-size=2", "--gpu-memory-utilization=0.5"), False),
        (1, ("--quantization=fp8",), True),
    ],
)
def test_a_model_fits_into_the_gpus_that_it_is_spread_over(
    tmp_path: Path, gpus: int, args: tuple[str, ...], fits: bool
) -> None:
    (need,) = needs(
        tmp_path, "meta-llama/Llama-3.1-70B", *args, gpus=gpus, product="NVIDIA-A100-SXM4-80GB"
    )

    assert need.fits == fits


def test_the_cache_of_experts_is_that_of_the_active_ones(tmp_path: Path) -> None:
    (dense,) = needs(tmp_path, "org/dense-27B", "--max-model-len=32k")
    (sparse,) = needs(tmp_path, "org/sparse-27B-A3B", "--max-model-len=32k")
    (half,) = needs(tmp_path, "org/dense-27B", "--max-model-len=32k", "--kv-cache-dtype=fp8_e5m2")

    assert dense.cache == 2 * half.cache
    assert abs(dense.cache - 3 * sparse.cache) <= 32_000 * 3
    assert dense.weights == sparse.weights


@pytest.mark.parametrize(
    ("name", "kibibytes"),
    [
        ("Qwen2.5-0.5B", 12),
        ("Qwen2.5-7B", 56),
        ("glm-4-9b", 40),
        ("Llama-3.1-8B", 128),
        ("Llama-3.1-70B", 320),
        ("Llama-3.1-405B", 504),
        ("Mixtral-8x7B", 128),
        ("Qwen3-235B-A22B", 188),
    ],
)
def test_the_estimate_of_the_cache_is_never_above_the_truth(
    tmp_path: Path, name: str, kibibytes: int
) -> None:
    (need,) = needs(tmp_path, f"org/{name}", "--max-model-len=1024")

    assert need.cache <= 1024 * kibibytes * 1024


def test_what_is_not_known_is_not_guessed(tmp_path: Path) -> None:
    assert needs(tmp_path, "deepseek-ai/DeepSeek-V3") == []
    assert needs(tmp_path, "org/model-8B", product="Unheard-Of") == []
    assert needs(tmp_path, "org/model-8B", gpus=0) == []


def test_the_example_model_fits_everywhere(repository: Path) -> None:
    found = [
        need for release in pipeline.releases(repository) for need in llm_memory.needs(release)
    ]

    assert len(found) == 3
    assert all(need.fits for need in found)


def test_arguments_are_read_in_every_spelling() -> None:
    given = llm_memory.arguments(["--tensor-parallel-size", "4", "--pipeline_parallel_size=2"])
    assert given == {"tensor-parallel-size": "4", "pipeline-parallel-size": "2"}


@pytest.mark.parametrize(
    ("product", "gibibytes"),
    [
        ("NVIDIA-A100-SXM4-80GB", 80),
        ("NVIDIA-A100-80GB-PCIe", 80),
        ("NVIDIA-A100-PCIE-40GB", 40),
        ("NVIDIA-H100-80GB-HBM3", 80),
        ("NVIDIA-H100-NVL", 94),
        ("NVIDIA-H100-PCIe", 80),
        ("NVIDIA-H200", 141),
        ("Tesla-T4", 16),
        ("NVIDIA-L4", 24),
        ("NVIDIA-L40S", 48),
        ("NVIDIA-A10G", 24),
        ("NVIDIA-L4-SHARED", 24),
        ("NVIDIA-A100-SXM4-80GB-MIG-2g.20gb", 20),
        ("Something-Else", None),
    ],
)
def test_a_product_tells_its_memory(product: str, gibibytes: int | None) -> None:
    assert accelerators.memory("nvidia.com/gpu", {"nvidia.com/gpu.product": product}) == gibibytes


def test_a_label_with_the_memory_is_believed() -> None:
    labels = {"nvidia.com/gpu.product": "NVIDIA-L4", "nvidia.com/gpu.memory": "23034"}

    assert accelerators.memory("nvidia.com/gpu", labels) == 23
    assert (
        accelerators.memory("nvidia.com/gpu", {"cloud.google.com/gke-accelerator": "nvidia-l4"})
        == 24
    )
    assert accelerators.memory("nvidia.com/mig-1g.10gb", labels) == 10


@pytest.mark.parametrize(
    ("product", "profile", "per_node", "reason"),
    [
        ("NVIDIA-A100-SXM4-80GB", "1g.10gb", 56, ""),
        ("NVIDIA-A100-SXM4-80GB", "1g.10gb", 55, "55 is no multiple"),
        ("NVIDIA-A100-SXM4-80GB", "1g.10gb", 113, "no node has 17 GPUs"),
        ("NVIDIA-A100-SXM4-80GB", "1g.5gb", 7, "has no MIG profile 1g.5gb"),
        ("NVIDIA-A100-SXM4-40GB", "1g.10gb", 4, ""),
        ("NVIDIA-A100-SXM4-40GB", "1g.10gb", 7, "7 is no multiple"),
        ("NVIDIA-A100-SXM4-80GB", "1g.10gb.me", 17, "no node has 17 GPUs"),
        ("NVIDIA-H200", "3g.71gb", 16, ""),
        ("NVIDIA-B200", "1g.23gb", 1000, ""),
    ],
)
def test_slices_of_a_node_are_those_of_its_gpus(
    product: str, profile: str, per_node: int, reason: str
) -> None:
    labels = {"nvidia.com/gpu.product": product, "nvidia.com/mig.config": f"all-{profile}"}
    found = accelerators.contradiction(f"nvidia.com/mig-{profile}", labels, per_node)

    assert reason in found
    assert bool(reason) == bool(found)


def test_slices_of_a_mixed_layout_are_only_bounded() -> None:
    labels = {
        "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB",
        "nvidia.com/mig.config": "all-balanced",
    }

    assert accelerators.contradiction("nvidia.com/mig-1g.10gb", labels, 16) == ""
    assert accelerators.contradiction("nvidia.com/gpu", labels, 8) == ""
