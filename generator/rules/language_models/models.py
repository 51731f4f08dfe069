"""Rules of language models that KServe serves as LLMInferenceServices."""

from __future__ import annotations

from collections.abc import Iterator

from generator.records import Release, Variant
from generator.rules import Book, Finding
from generator.rules.kserve.accessors import Flag, flags
from generator.rules.places import at_argument, at_setting, in_live
from generator.serving import language_models as llm
from generator.serving.language_models import LanguageModel, Parallelism, Part

BOOK = Book("language model")

_BACKEND = "kserve-llm"
_VALIDATED = "kserve/kserve@pkg/apis/serving/v1alpha2/llm_inference_service_validation.go"
_SIZES = "kserve/kserve@pkg/apis/serving/v1alpha2/llm_inference_service_types_func.go"
_GROUP = "kserve/kserve@pkg/controller/v1alpha2/llmisvc/router_group.go"
_PRESETS = "kserve/kserve@config/llmisvcconfig"
_CANARY = (
    "kserve/website@docs/model-serving/generative-inference/llmisvc/canary-rollout.md, " + _GROUP
)

_LLM = ("serving", "llm")
_SPREAD = (*_LLM, "parallelism")
_PREFILL = (*_LLM, "prefill")

BOOK.error(
    "L001",
    "An LLMInferenceService in a group needs KServe 0.20 and the controller that runs it.",
    evidence=_GROUP,
    remedy="Install both, and write `llm: true` in `platform.kserve`; or serve with `backend: "
    "kserve` and `format: huggingface`.",
)

BOOK.error(
    "L002",
    "KServe routes a group of LLMInferenceServices through a Gateway, and refuses an Ingress.",
    evidence=_VALIDATED,
    remedy="Add `gateway` and `domain` to the environment's `platform.kserve`.",
)

BOOK.error(
    "L003",
    "The route of a group is KServe's own, which copies no request and looks at no header.",
    evidence=_GROUP,
    remedy="Remove `shadow` or `header`, or try the version with `canary`.",
)

BOOK.error(
    "L004",
    "A replica of several Pods is not scaled by gen: metrics are counted by Pod.",
    evidence="kserve/kserve@pkg/controller/v1alpha2/llmisvc/workload_multi_node.go",
    remedy="Write `min` equal to `max`.",
)

BOOK.error(
    "L005",
    "KServe makes no HPA of an LLMInferenceService, and cores say nothing of its GPUs.",
    evidence="kserve/kserve#5646, kserve/kserve@pkg/controller/v1alpha2/llmisvc/scaling.go",
    remedy="Use `metric: concurrency` with a `target`, or `min` equal to `max`.",
)


def _facts(release: Release) -> LanguageModel | None:
    found: LanguageModel | None = release.facts.get(llm.FACTS)
    return found


def _parts(release: Release) -> Iterator[tuple[Part, tuple[str, ...]]]:
    """Give the Pods that write answers, and those that read prompts, with the way to them."""
    facts = _facts(release)
    if facts:
        yield facts.decode, _LLM
        if facts.prefill:
            yield facts.prefill, _PREFILL


_WIDER = BOOK.error(
    "L006",
    "A Pod is spread over more GPUs than it asks for, so that vLLM does not start.",
    evidence="vllm-project/vllm#15217",
    remedy="Let `tensor` times `dataLocal` be `gpu.count`.",
)
_NARROWER = BOOK.warning(
    "L007",
    "A Pod is spread over fewer GPUs than it asks for: the others idle and are paid for.",
    evidence="kserve/kserve#6044, kserve/kserve#5773",
    remedy="Let `tensor` times `dataLocal` be `gpu.count`, or leave `tensor` out.",
)


@_WIDER.on_release_with(_BACKEND, "gpu")
def _wider(release: Release) -> Iterator[Finding]:
    for spread, count, pointer in _counted(release):
        if spread.gpus > count:
            message = f"{_product(spread)} GPUs of a Pod, which asks for {count}"
            hint = f"write `gpu.count: {spread.gpus}`"
            yield at_setting(release, pointer, message, hint)


@_NARROWER.on_release_with(_BACKEND, "gpu")
def _narrower(release: Release) -> Iterator[Finding]:
    for spread, count, pointer in _counted(release):
        if spread.gpus < count:
            message = f"{_product(spread)} of the {count} GPUs of a Pod, and the others idle"
            hint = f"write `gpu.count: {spread.gpus}`, or a larger `tensor`"
            yield at_setting(release, pointer, message, hint)


def _counted(release: Release) -> Iterator[tuple[Parallelism, int, tuple[str, ...]]]:
    for part, pointer in _parts(release):
        if part.placement is not None:
            keys = ("dataLocal", "tensor")
            said = next((key for key in keys if _is_said(release, pointer, key)), "")
            place = (*pointer, "parallelism", *((said,) if said else ()))
            yield part.parallelism, part.placement.count, place


def _is_said(release: Release, pointer: tuple[str, ...], key: str) -> bool:
    return any(layer.has((*pointer, "parallelism", key)) for layer in release.layers)


def _product(spread: Parallelism) -> str:
    if spread.data_local == 1:
        return f"`tensor` takes {spread.tensor}"
    return f"{spread.data_local} copies with {spread.tensor} each take {spread.gpus}"


_PIPELINE = BOOK.error(
    "L008",
    "KServe ships no preset for `pipeline`: it would wait for an LLMInferenceServiceConfig.",
    evidence="kserve/kserve#5047, kserve/kserve#5315, kserve/kserve#6044",
    remedy="Spread by `tensor`, or by `data`; or make the preset, and silence this with its name.",
)


@_PIPELINE.on_release_with(_BACKEND)
def _pipeline(release: Release) -> Iterator[Finding]:
    facts = _facts(release)
    for part, pointer in _parts(release):
        if part.parallelism.pipeline > 1 and facts:
            kind = ("prefill-" if part is facts.prefill else "decode-") if facts.prefill else ""
            message = (
                f"KServe would look for `kserve-config-llm-{kind}worker-pipeline-parallel`, which "
                "it does not ship: nothing would start"
            )
            hint = "use `tensor` or `data`, unless the cluster has this LLMInferenceServiceConfig"
            yield at_setting(release, (*pointer, "parallelism", "pipeline"), message, hint)


_TWICE = BOOK.error(
    "L009",
    "How a model is spread stands in `serving.llm.parallelism`, by which gen counts GPUs and Pods.",
    evidence=f"{_PRESETS}/config-llm-template.yaml, kserve/kserve#5782",
    remedy="Remove the argument, and write `parallelism`.",
)

_KEYS = {
    "tensor_parallel_size": "tensor",
    "pipeline_parallel_size": "pipeline",
    "data_parallel_size": "data",
    "data_parallel_size_local": "dataLocal",
    "enable_expert_parallel": "expert",
}


@_TWICE.on_release_with(_BACKEND)
def _spread_by_arguments(release: Release) -> Iterator[Finding]:
    for variant, flag in _said(release):
        key = _KEYS.get(flag.name)
        if key:
            value = "true" if key == "expert" else flag.value or "<number>"
            message = f"`--{flag.name.replace('_', '-')}` would override what gen counts with"
            hint = f"write `serving.llm.parallelism: {{{key}: {value}}}` instead"
            yield at_argument(release, variant, flag.place, message, hint)


def _said(release: Release) -> Iterator[tuple[Variant, Flag]]:
    for variant in release.variants if _facts(release) else ():
        for flag in flags(variant.artifact.args):
            yield variant, flag


_PRESET = BOOK.error(
    "L010",
    "KServe's presets start vLLM with arguments that its routes, probes and adapters rely on.",
    evidence=f"{_PRESETS}/config-llm-template.yaml, kserve/website@docs/model-serving/"
    "generative-inference/llmisvc/lora-adapters.md",
    remedy="Remove the argument: gen and KServe say it.",
)

_INSTEAD = {
    "served_model_name": "requests name the model as its file does, and routes look for that",
    "port": "KServe's Service and its probes expect port 8000",
    "model": "the model is fetched from the version's `uri`",
    "lora_modules": "adapters stand in `serving.llm.lora`, and KServe stops adding them",
    "enable_lora": "adapters stand in `serving.llm.lora`",
    "max_lora_rank": "it is `serving.llm.lora.maxRank`",
    "ssl_certfile": "KServe makes and mounts the certificate",
    "ssl_keyfile": "KServe makes and mounts the certificate",
    "data_parallel_address": "the leader of the group is told by KServe",
    "data_parallel_rpc_port": "the leader of the group is told by KServe",
}


@_PRESET.on_release_with(_BACKEND)
def _argument_of_a_preset(release: Release) -> Iterator[Finding]:
    for variant, flag in _said(release):
        reason = _INSTEAD.get(flag.name)
        if reason:
            message = f"`--{flag.name.replace('_', '-')}` is not to be said here: {reason}"
            yield at_argument(release, variant, flag.place, message, "remove it")


_DARK = BOOK.warning(
    "L011",
    "A Gateway may not know a version that never had a request: its first ones can fail.",
    evidence=_CANARY,
    remedy="Start the canary with `traffic: 1`: until it is ready, KServe sends it nothing.",
)


@_DARK.on_release_with(_BACKEND, "several")
def _dark(release: Release) -> Iterator[Finding]:
    canary = release.canary
    if canary and not canary.traffic and release.strategy == "group":
        message = (
            f"the Gateway learns of {canary.artifact.version} with its first request, and a group "
            "sends a version nothing before it is ready"
        )
        yield in_live(release, ("canary", "traffic"), message, "write `traffic: 1`")


_LWS_NAME = BOOK.error(
    "L012",
    "Kueue takes a LeaderWorkerSet with a name of at most 51 characters.",
    evidence="kubernetes-sigs/kueue@pkg/controller/jobs/leaderworkerset",
    remedy="Shorten the model's or the version's name.",
)
_LWS_LONGEST = 51


@_LWS_NAME.on_release_with(_BACKEND, "queue")
def _long_name_of_a_group(release: Release) -> Iterator[Finding]:
    facts = _facts(release)
    if facts is None or not release.environment.kueue:
        return
    parts = {"-mn": facts.decode, "-mn-prefill": facts.prefill}
    suffixes = [key for key, part in parts.items() if part and part.parallelism.is_distributed]
    for variant in release.variants if suffixes else ():
        name = f"{variant.workload}{suffixes[-1]}"
        if len(name) > _LWS_LONGEST:
            message = f"{name} has {len(name)} characters, and Kueue takes {_LWS_LONGEST} at most"
            excess = len(name) - _LWS_LONGEST
            hint = f"shorten the model's or the version's name by {excess}"
            keys = ("version",) if variant.role == "stable" else (variant.role,)
            yield in_live(release, keys, message, hint)
            return


_LARGE = BOOK.error(
    "L013",
    "A Pod that reads prompts asks for more accelerators than one node of the flavor has.",
    evidence="kubernetes/website@content/en/docs/tasks/manage-gpus/scheduling-gpus.md",
    remedy="Ask for at most what a node has, or name a flavor with larger nodes.",
)


@_LARGE.on_release_with(_BACKEND)
def _prefill_larger_than_a_node(release: Release) -> Iterator[Finding]:
    facts = _facts(release)
    placement = facts.prefill.placement if facts and facts.prefill else None
    if placement is None or placement == release.placement:
        return
    has = release.environment.flavors[placement.flavor].gpus_per_node
    if has and placement.count > has:
        message = (
            f"a Pod that reads prompts asks for {placement.count} x {placement.resource}, and a "
            f"node of flavor `{placement.flavor}` has {has}: no node could ever run it"
        )
        yield at_setting(release, (*_PREFILL, "gpu", "count"), message, f"at most `count: {has}`")


_UNGRANTED = BOOK.error(
    "L014",
    "Pods that read prompts wait for ever if their queue has no quota of their flavor.",
    evidence="kubernetes-sigs/kueue@pkg/scheduler/flavorassigner/flavorassigner.go",
    remedy="Grant the flavor to the queue, or leave `prefill.gpu.flavor` out.",
)


@_UNGRANTED.on_release_with(_BACKEND, "queue")
def _prefill_without_quota(release: Release) -> Iterator[Finding]:
    facts = _facts(release)
    placement = facts.prefill.placement if facts and facts.prefill else None
    queue = release.environment.queues.get(release.queue)
    if placement is None or queue is None:
        return
    granted = [grant["name"] for grant in queue.flavors]
    mine = release.placement.flavor if release.placement else ""
    if placement.flavor not in (mine, *granted):
        message = f"queue `{queue.name}` has no quota of flavor `{placement.flavor}`"
        hint = f"add `{placement.flavor}` to its quota, or use one of {', '.join(granted)}"
        yield at_setting(release, (*_PREFILL, "gpu", "flavor"), message, hint)


_BRANCH = BOOK.warning(
    "L015",
    "An adapter without a commit is whatever its branch is when a Pod starts.",
    evidence="huggingface/huggingface_hub@docs/source/en/guides/download.md",
    remedy="Write `hf://<organisation>/<adapter>:<commit>`.",
)


@_BRANCH.on_release_with(_BACKEND)
def _adapter_that_moves(release: Release) -> Iterator[Finding]:
    facts = _facts(release)
    if facts is None or release.environment.policy.pinned_artifacts:
        return
    for adapter in facts.lora.get("adapters", ()):
        uri = adapter["uri"]
        if uri.startswith("hf://") and ":" not in uri.removeprefix("hf://"):
            message = f"{uri} is whatever its main branch is when a Pod starts"
            pointer = (*_LLM, "lora", "adapters", adapter["name"])
            yield at_setting(release, pointer, message, f"write `{uri}:<commit>`")


_MEMORY = BOOK.warning(
    "L016",
    "A model's weights pass through the container's memory, and nothing bounds or promises it.",
    evidence=f"{_PRESETS}/config-llm-template.yaml",
    remedy="Write `serving.resources.memory`: the weights once, and the shared memory of vLLM.",
)


@_MEMORY.on_release_with(_BACKEND, "queue")
def _without_memory(release: Release) -> Iterator[Finding]:
    missing = [key for key in ("cpu", "memory") if key not in release.serving.resources["limits"]]
    if missing and _facts(release):
        message = (
            f"the presets ask for no {' and no '.join(missing)}: queue `{release.queue}` counts "
            "none, and what the Pods use is promised to others"
        )
        hint = f"add `resources: {{{', '.join(f'{key}: ...' for key in missing)}}}`"
        yield at_setting(release, ("serving", "resources"), message, hint)
