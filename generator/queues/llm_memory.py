"""How much GPU memory a language model needs at least, as far as its name and arguments tell.

An estimate that is too low rather than too high, because nothing can be downloaded here: what does
not fit by it does not fit. vLLM refuses to start where the weights and the cache of one request of
full length are more than its share of the GPUs (vllm-project/vllm#2418).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from math import isqrt

from msgspec import Struct
from msgspec.structs import replace

from generator.queues import accelerators
from generator.records import Placement, Release
from generator.serving import language_models as llm
from generator.serving.language_models import LanguageModel, Parallelism

_FORMATS = ("huggingface", "vLLM")

_GIB = 2**30

_SHARE = Fraction(92, 100)
"""Of a GPU's memory, what vLLM uses unless told otherwise (vllm-project/vllm@vllm/config/cache.py,
gpu_memory_utilization); it was 0.9 before."""

_CACHE_PER_TOKEN = 12 * 1024
"""Bytes of cache for a token in 16 bits, times the root of the billions of active parameters.

Layers and heads, which decide, are not in a name. Two vectors of each head that is not shared, in
each layer, are 12 KiB for Qwen2.5 0.5B, 56 for 7B, 40 for GLM-4 9B, 128 for Llama 3.1 8B, 320 for
70B and 504 for 405B: this stays below all of them. Models with one shared head for all need less,
and have short contexts.
"""

_BYTES_BY_DTYPE = {
    "float32": Fraction(4),
    "float": Fraction(4),
    "auto": Fraction(2),
    "half": Fraction(2),
    "float16": Fraction(2),
    "bfloat16": Fraction(2),
}
_QUARTERS_BY_NAME = (
    (re.compile(r"int4|w4a|4[-_]?bit"), 2),
    (re.compile(r"int8|w8a|8[-_]?bit|fp8"), 4),
    (re.compile(r"awq|gptq|marlin|bitsandbytes|bnb|nf4|fp4|gguf|exl[23]|aqlm|hqq|gpt-oss"), 2),
    (re.compile(r"compressed|torchao|quark|modelopt|eetq|deepspeedfp|squeezellm"), 2),
)
"""Quarters of a byte per parameter, by the name of a method or what a model's name says of it; the
least that a method is known for."""

_SIZE = re.compile(r"(?:^|[-_./])(?:(\d+)x)?(\d+(?:\.\d+)?)([bm])(?=[-_.:/]|$)")
_ACTIVE = re.compile(r"[-_]a(\d+(?:\.\d+)?)b(?=[-_.:/]|$)")
_SHARED_BY_EXPERTS = Fraction(8, 10)
"""What `8x7B` is of 8 x 7 billion, as its experts share the rest (Mixtral: 46.7)."""


class Need(Struct, frozen=True):
    """What one replica needs of its GPUs' memory, and what it has, in bytes.

    `parameters` are in millions. `tokens` is the length of one request, 0 where that is not said.
    `most` is how many GPUs one node has, 0 where that is not known, and 1 where a replica can use
    no second one. `is_told` says that gen tells the server how many there are.
    """

    version: str
    model: str
    parameters: int
    quarters: int
    weights: int
    tokens: int
    cache: int
    gpus: int
    each: int
    available: int
    most: int
    is_told: bool = False

    @property
    def fits(self) -> bool:
        """Say whether it may fit."""
        return self.weights + self.cache <= self.available


def needs(release: Release) -> Iterator[Need]:
    """Estimate each version of a release; nothing where its size or the GPU is not known."""
    facts: LanguageModel | None = release.facts.get(llm.FACTS)
    if facts is None:
        is_one = release.serving.format in _FORMATS
        yield from _needs(release, release.placement, None) if is_one else ()
        return
    for part in (facts.decode, facts.prefill):
        yield from _needs(release, part.placement, part.parallelism) if part else ()


def _needs(
    release: Release, placement: Placement | None, spread: Parallelism | None
) -> Iterator[Need]:
    each = accelerators.memory(placement.resource, placement.node_selector) if placement else None
    if placement is None or not each:
        return
    flavor = release.environment.flavors[placement.flavor]
    is_part = "/mig-" in flavor.resource or "-MIG-" in "".join(flavor.node_labels.values())
    gpus = spread.sharing if spread else placement.count
    for variant in release.variants:
        made = variant.artifact
        most = 1 if is_part else flavor.gpus_per_node
        need = _need(made.version, made.uri, tuple(made.args), gpus, each, most)
        if need is not None:
            yield replace(need, is_told=spread is not None)


@lru_cache(1024)  # a version is the same in every environment, as most of what it gets is
def _need(
    version: str, uri: str, args: tuple[str, ...], gpus: int, each: int, most: int
) -> Need | None:
    given = arguments(args)
    model = _model(uri, given)
    parameters = millions(model)
    if not parameters:
        return None
    quarters = _quarters(model, given)
    tokens = _whole(given.get("max-model-len", ""))
    at_once = min(active(model) or parameters, parameters)
    cache = tokens * isqrt(_CACHE_PER_TOKEN**2 * at_once // 1000)
    used = min(gpus, _parallel(given) or gpus)
    return Need(
        version=version,
        model=model,
        parameters=parameters,
        quarters=quarters,
        weights=parameters * 10**6 * quarters // 4,
        tokens=tokens,
        cache=cache // (2 if "fp8" in given.get("kv-cache-dtype", "") else 1),
        gpus=used,
        each=each * _GIB,
        available=int(used * each * _GIB * _share(given)),
        most=most,
    )


def arguments(args: Sequence[str]) -> Mapping[str, str]:
    """Read `--max-model-len=4096`, `--max_model_len 4096` and flags, by their name with dashes."""
    given: dict[str, str] = {}
    name = ""
    for word in args:
        if word.startswith("--"):
            name, _, value = word.removeprefix("--").partition("=")
            name = name.replace("_", "-")
            given[name] = value
        elif name and not given[name]:
            given[name] = word
    return given


def _model(uri: str, given: Mapping[str, str]) -> str:
    for name in ("model-id", "model"):
        if given.get(name):
            return given[name]
    return uri.removeprefix("hf://").partition(":")[0] if uri.startswith("hf://") else ""


def millions(model: str) -> int:
    """Read millions of parameters from a name such as `Llama-3.1-70B` or `opt-125m`.

    0 where the name does not say.
    """
    sizes = [_size(*match) for match in _SIZE.findall(model.rpartition("/")[2].lower())]
    return max(sizes, default=0)


def _size(experts: str, number: str, unit: str) -> int:
    size = Fraction(number) * (1000 if unit == "b" else 1)
    return int(size * int(experts) * _SHARED_BY_EXPERTS) if experts else int(size)


def active(model: str) -> int:
    """Read the millions of parameters that serve one token: `A3B`, or one expert of `8x7B`.

    0 where all do.
    """
    name = model.rpartition("/")[2].lower()
    named = _ACTIVE.search(name)
    if named:
        return int(Fraction(named[1]) * 1000)
    experts = [match for match in _SIZE.findall(name) if match[0]]
    return int(Fraction(experts[0][1]) * 1000) if experts else 0


def _quarters(model: str, given: Mapping[str, str]) -> int:
    """Count quarters of a byte per parameter."""
    said = f"{given.get('quantization', '')} {given.get('load-format', '')} {model}".lower()
    for pattern, quarters in _QUARTERS_BY_NAME:
        if pattern.search(said):
            return quarters
    return int(_BYTES_BY_DTYPE.get(given.get("dtype", "auto"), Fraction(2)) * 4)


def _parallel(given: Mapping[str, str]) -> int:
    """Multiply the GPUs that the arguments spread a model over; 0 if they say nothing."""
    sizes = [_whole(given.get(f"{way}-parallel-size", "")) for way in ("tensor", "pipeline")]
    return max(sizes[0], 1) * max(sizes[1], 1) if any(sizes) else 0


def _share(given: Mapping[str, str]) -> Fraction:
    said = given.get("gpu-memory-utilization", "")
    try:
        share = Fraction(said)
    except (ValueError, ZeroDivisionError):
        return _SHARE
    return share if 0 < share <= 1 else _SHARE


def _whole(text: str) -> int:
    """Read `4096`, `4k` as 4,000 and `4K` as 4,096, as vLLM does; 0 for anything else."""
    factors = {"k": 1000, "K": 1024, "m": 10**6, "M": 2**20}
    number, factor = (text[:-1], factors[text[-1]]) if text[-1:] in factors else (text, 1)
    return int(number) * factor if number.isdecimal() else 0


def message(need: Need) -> str:
    """Show the arithmetic of what does not fit."""
    cache = (
        f" + {_gib(need.cache)} cache of one request of {need.tokens} tokens" if need.cache else ""
    )
    return (
        f"version {need.version}, {need.model}, needs about {_gib(need.weights + need.cache)} "
        f"of GPU memory: {_billions(need.parameters)} parameters x {_bytes(need.quarters)} = "
        f"{_gib(need.weights)}{cache}; a replica has {_gib(need.available)} of {need.gpus} x "
        f"{_gib(need.each)}"
    )


def hint(need: Need) -> str:
    """Say what to write instead; a number of GPUs only where one node may have as many.

    vLLM divides a model's attention heads among its GPUs, and their number is rarely a multiple of
    anything but powers of two (vllm-project/vllm#2652).
    """
    least = -(-(need.weights + need.cache) * need.gpus // need.available)
    enough = 1 << (least - 1).bit_length()
    told = "" if need.is_told else f" with `--tensor-parallel-size={enough}`"
    spread = f"`count: {enough}`{told}, "
    more = spread if not need.most or enough <= need.most else ""
    shorter = ", a lower `--max-model-len`" if need.weights < need.available else ""
    return f"{more}a flavor with more memory, a quantised model{shorter}"


def _gib(amount: int) -> str:
    tenths = amount * 10 // _GIB
    return f"{tenths // 10}.{tenths % 10} GiB" if tenths % 10 else f"{tenths // 10} GiB"


def _billions(parameters: int) -> str:
    if parameters < 1000:
        return f"{parameters} million"
    tenths = parameters // 100
    return f"{tenths // 10}{f'.{tenths % 10}' if tenths % 10 else ''} billion"


def _bytes(quarters: int) -> str:
    if quarters == 4:
        return "1 byte"
    return f"{quarters // 4} bytes" if quarters % 4 == 0 else f"{quarters}/4 byte"
