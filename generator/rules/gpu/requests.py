"""Rules of accelerators: what a node has, how it is selected and what a replica may ask for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from generator.records import Placement, Release, Variant
from generator.rules import Book, Finding
from generator.rules.places import at_argument, at_setting, at_variable

BOOK = Book("GPU")

_TOO_LARGE = BOOK.error(
    "G001",
    "A replica asks for more accelerators than one node of the flavor has.",
    evidence="kubernetes/website@content/en/docs/tasks/manage-gpus/scheduling-gpus.md",
    remedy="Ask for at most what a node has, or name a flavor with larger nodes.",
)


@_TOO_LARGE.on_release_with("gpu")
def _larger_than_a_node(release: Release) -> Iterator[Finding]:
    placement = release.placement
    if placement is None:
        return
    flavor = release.environment.flavors[placement.flavor]
    if flavor.gpus_per_node and placement.count > flavor.gpus_per_node:
        message = (
            f"a replica asks for {placement.count} x {placement.resource}, and a node of flavor "
            f"`{flavor.name}` has {flavor.gpus_per_node}: no node could ever run it"
        )
        hint = f"at most `count: {flavor.gpus_per_node}`, or a flavor with larger nodes"
        yield at_setting(release, ("serving", "gpu", "count"), message, hint)


_SHARES = BOOK.warning(
    "G007",
    "Two shares of a GPU are not two GPUs, nor twice the time of one.",
    evidence="NVIDIA/k8s-device-plugin@README.md, NVIDIA/k8s-device-plugin#491",
    remedy="Ask for one share, or for a flavor of whole GPUs.",
)

_SHARED_LABELS = {"time-slicing", "mps"}


@_SHARES.on_release_with("gpu")
def _several_shares(release: Release) -> Iterator[Finding]:
    placement = release.placement
    if placement is not None and placement.count > 1 and _is_shared(placement):
        message = (
            f"{placement.count} x {placement.resource} are {placement.count} shares, maybe of one "
            f"GPU: flavor `{placement.flavor}` is of shared GPUs, and more shares are not more GPU"
        )
        hint = "write `count: 1`, or name a flavor of whole GPUs"
        yield at_setting(release, ("serving", "gpu", "count"), message, hint)


def _is_shared(placement: Placement) -> bool:
    labels = placement.node_selector
    return (
        placement.resource.endswith(".shared")
        or labels.get("nvidia.com/gpu.product", "").endswith("-SHARED")
        or labels.get("nvidia.com/gpu.sharing-strategy", "") in _SHARED_LABELS
    )


_SLICES = BOOK.warning(
    "G016",
    "A process sees one MIG slice, however many its container has.",
    evidence="pytorch/pytorch#130181, vllm-project/vllm#7211",
    remedy="Ask for one slice of a larger profile, or for a whole GPU.",
)


@_SLICES.on_release_with("gpu")
def _several_slices(release: Release) -> Iterator[Finding]:
    placement = release.placement
    if placement is not None and placement.count > 1 and _is_slice(placement):
        message = (
            f"{placement.count} x {placement.resource} do not add up: CUDA shows a process one "
            "MIG slice, and the others idle"
        )
        hint = "write `count: 1`, with a flavor of a larger profile if that is too small"
        yield at_setting(release, ("serving", "gpu", "count"), message, hint)


def _is_slice(placement: Placement) -> bool:
    product = placement.node_selector.get("nvidia.com/gpu.product", "")
    return placement.resource.startswith("nvidia.com/mig-") or "-MIG-" in product


_CPU_IMAGE = BOOK.warning(
    "G017",
    "KServe takes a runtime's CPU image unless the limits have `nvidia.com/gpu` or a MIG slice.",
    evidence="kserve/kserve#4640, kserve/kserve#4642",
    remedy="Use a flavor with one of these resources, or `serving.runtime` with an image for it.",
)

_TWO_IMAGES = {"kserve-huggingfaceserver", "kserve-tensorflow-serving", "kserve-torchserve"}


@_CPU_IMAGE.on_release_with("gpu")
def _cpu_image(release: Release) -> Iterator[Finding]:
    placement = release.placement
    if placement is None or release.serving.runtime not in _TWO_IMAGES:
        return
    resource = placement.resource
    is_seen = resource == "nvidia.com/gpu" or resource.startswith("nvidia.com/mig-")
    if placement.claim is not None:
        message = (
            f"KServe sees no GPU in a claim: {release.serving.runtime} would run its CPU image "
            "there"
        )
        hint = "name a flavor without `dra`, or a `runtime` whose image uses these GPUs"
        yield at_setting(release, ("serving", "gpu", "flavor"), message, hint)
    elif not is_seen:
        message = (
            f"KServe does not see that {placement.resource} is a GPU: {release.serving.runtime} "
            "would run its CPU image there"
        )
        hint = "name a flavor of `nvidia.com/gpu`, or a `runtime` whose image uses these GPUs"
        yield at_setting(release, ("serving", "gpu", "flavor"), message, hint)


_FEATURE_FLAGS = BOOK.warning(
    "G018",
    "Knative refuses node selectors and tolerations unless its feature flags allow them.",
    evidence="knative/serving@config/core/configmaps/features.yaml",
    remedy="Enable both flags in the ConfigMap `config-features`, or use Standard mode.",
)


@_FEATURE_FLAGS.on_release_with("gpu", "knative")
def _behind_feature_flags(release: Release) -> Iterator[Finding]:
    placement = release.placement
    if release.strategy != "knative" or placement is None or placement.claim is not None:
        return
    flags = []
    if placement.node_selector:
        flags.append("kubernetes.podspec-nodeselector")
    if placement.tolerations:
        flags.append("kubernetes.podspec-tolerations")
    if placement.runtime_class:
        flags.append("kubernetes.podspec-runtimeclassname")
    if flags:
        message = (
            f"flavor `{placement.flavor}` places its Pods by what Knative refuses unless "
            f"{' and '.join(flags)} {'is' if len(flags) == 1 else 'are'} enabled"
        )
        hint = "enable that in the ConfigMap `config-features` of Knative, then silence G018"
        yield at_setting(release, ("serving", "gpu", "flavor"), message, hint)


# Arguments and variables

_WIDER = BOOK.error(
    "G011",
    "The model is spread over more GPUs than its container has, so that the server does not start.",
    evidence="vllm-project/vllm#15217",
    remedy="Let tensor times pipeline times data parallel size be `gpu.count`.",
)
_NARROWER = BOOK.warning(
    "G012",
    "The model is spread over fewer GPUs than its container has: the others idle.",
    evidence="vllm-project/vllm#2134, huggingface/blog#3432",
    remedy="Let tensor times pipeline times data parallel size be `gpu.count`.",
)

_SIZES = (
    {"--tensor-parallel-size", "--tensor_parallel_size", "-tp"},
    {"--pipeline-parallel-size", "--pipeline_parallel_size", "-pp"},
    {"--data-parallel-size", "--data_parallel_size", "-dp"},
)
_ELSEWHERE = ("--distributed-executor-backend", "--nnodes", "--data-parallel-size-local")
"""Arguments by which GPUs of other Pods take part."""

_SizeFound = tuple[int, str]


def _spread(args: Sequence[str]) -> _SizeFound | None:
    """Multiply the parallel sizes, with the argument that says one; None where none is said."""
    size, said = 1, ""
    for position, arg in enumerate(args):
        name, _, value = arg.partition("=")
        if name.startswith(_ELSEWHERE):
            return None
        if any(name in names for names in _SIZES):
            value = value or (args[position + 1] if position + 1 < len(args) else "")
            if not value.isdecimal():
                return None
            size, said = size * int(value), said or arg
    return (size, said) if said else None


@_WIDER.on_release_with("gpu")
def _wider(release: Release) -> Iterator[Finding]:
    for variant, size, arg in _spreads(release):
        placement = release.placement
        if placement is not None and size > placement.count:
            message = (
                f"`{arg}` makes the server need {size} GPUs, and a replica has "
                f"{placement.count}: it would never start"
            )
            largest = release.environment.flavors[placement.flavor].gpus_per_node
            hint = f"write `gpu.count: {size}`"
            if 0 < largest < size:
                hint = f"spread it over {placement.count}: a node has no more than {largest}"
            yield at_argument(release, variant, variant.artifact.args.index(arg), message, hint)


@_NARROWER.on_release_with("gpu")
def _narrower(release: Release) -> Iterator[Finding]:
    for variant, size, arg in _spreads(release):
        placement = release.placement
        if placement is not None and size < placement.count and not _is_slice(placement):
            message = (
                f"`{arg}` makes the server use {size} of the {placement.count} GPUs of a replica"
            )
            hint = f"write `--tensor-parallel-size={placement.count}`, or `gpu.count: {size}`"
            yield at_argument(release, variant, variant.artifact.args.index(arg), message, hint)


def _spreads(release: Release) -> Iterator[tuple[Variant, int, str]]:
    if release.placement is None or release.serving.backend == "kserve-llm":
        return  # there it stands in the spec, and nowhere else
    for variant in release.variants:
        found = _spread(variant.artifact.args)
        if found:
            yield variant, *found


_ON_CPU = BOOK.warning(
    "G013",
    "The server is told to compute on the CPU, and its GPU idles.",
    evidence="vllm-project/vllm@vllm/engine/arg_utils.py",
    remedy="Remove `--device=cpu`, or write `gpu: {count: 0}`.",
)


@_ON_CPU.on_release_with("gpu")
def _on_cpu(release: Release) -> Iterator[Finding]:
    if release.placement is None:
        return
    for variant in release.variants:
        args = variant.artifact.args
        pairs = zip(args, [*args, ""][1:], strict=True)
        arg = next((a for a, after in pairs if (a, after) == ("--device", "cpu")), "")
        arg = "--device=cpu" if "--device=cpu" in args else arg
        if arg:
            message = f"the server computes on the CPU, and each replica holds {_held(release)}"
            hint = "remove the argument, or write `gpu: {count: 0}`"
            yield at_argument(release, variant, variant.artifact.args.index(arg), message, hint)


def _held(release: Release) -> str:
    assert release.placement is not None
    return f"{release.placement.count} x {release.placement.resource}"


_HIDDEN = BOOK.error(
    "G014",
    "`CUDA_VISIBLE_DEVICES` hides the GPUs that the container has: there they count from 0.",
    evidence="vllm-project/vllm#6551",
    remedy="Remove the variable: a container sees its own GPUs and no others.",
)

_INDEX = re.compile(r"-?[0-9]+")


@_HIDDEN.on_release_with("gpu")
def _hidden(release: Release) -> Iterator[Finding]:
    for variant, value in _variables(release, "CUDA_VISIBLE_DEVICES"):
        placement = release.placement
        reason = _why_hidden(value, placement.count) if placement else ""
        if reason:
            message = f'`CUDA_VISIBLE_DEVICES: "{value}"` {reason}'
            hint = "remove it: a container sees its own GPUs, and no others"
            yield at_variable(release, variant, "CUDA_VISIBLE_DEVICES", message, hint)


def _why_hidden(value: str, count: int) -> str:
    named = [part.strip() for part in value.split(",")]
    if not value.strip() or "-1" in named:
        return f"hides all of the {count} that a replica has"
    if not all(_INDEX.fullmatch(part) for part in named):
        return "names devices of one node, and the next node has others"
    beyond = [part for part in named if int(part) >= count]
    return f"names device {beyond[0]}, and the {count} of a replica count from 0" if beyond else ""


_ALL_OF_THE_NODE = BOOK.warning(
    "G015",
    "`NVIDIA_VISIBLE_DEVICES` shows a container GPUs that it did not ask for.",
    evidence="NVIDIA/k8s-device-plugin#61, NVIDIA/k8s-device-plugin#90",
    remedy="Remove the variable and ask for GPUs with `serving.gpu`.",
)


@_ALL_OF_THE_NODE.on_release_with("variables")
def _all_of_the_node(release: Release) -> Iterator[Finding]:
    for variant, value in _variables(release, "NVIDIA_VISIBLE_DEVICES"):
        if value not in ("", "none", "void"):
            message = (
                f"`NVIDIA_VISIBLE_DEVICES: {value}` takes GPUs of the node past the scheduler and "
                "past every quota"
            )
            hint = "remove it, and ask for GPUs with `serving.gpu`"
            yield at_variable(release, variant, "NVIDIA_VISIBLE_DEVICES", message, hint)


def _variables(release: Release, name: str) -> Iterator[tuple[Variant, str]]:
    for variant in release.variants:
        for variable in variant.artifact.env:
            if variable["name"] == name:
                yield variant, str(variable.get("value", ""))
