"""What the serving runtimes that ship with KServe need to be told, and what they report.

Source: kserve/kserve@config/runtimes (0.20) and the runtimes' own metrics. Runtime and protocol are
always rendered, because KServe's own selection depends on what else is installed
(kserve/kserve@pkg/apis/serving/v1beta1/predictor_model.go).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from msgspec import Struct

_VLLM_IN_FLIGHT = (
    "sum(vllm:num_requests_running{{{selector}}}) + sum(vllm:num_requests_waiting{{{selector}}})"
)


class Gauge(Struct, frozen=True):
    """How requests, failed ones and a quantile of the seconds they take are counted.

    PromQL with `$pods` for the matchers of the Pods, `$window` for the time that is looked at and
    `$quantile`, such as 0.95. Empty where the runtime reports nothing of the kind.
    """

    requests: str = ""
    errors: str = ""
    latency: str = ""


_UNKNOWN = Gauge()

_QUANTILE = "histogram_quantile($quantile, sum by (le) (increase({metric}[$window])))"


def _quantile(metric: str) -> str:
    return _QUANTILE.replace("{metric}", metric)


_PREDICTED = "sum(increase(request_predict_seconds_count{$pods}[$window]))"
_PREDICTIONS = Gauge(
    requests=_PREDICTED,
    errors=(
        f"clamp_min({_PREDICTED}"
        " - (sum(increase(request_postprocess_seconds_count{$pods}[$window])) or vector(0)), 0)"
    ),
    latency=_quantile("request_predict_seconds_bucket{$pods}"),
)
"""A prediction that fails is timed like any other, and is never postprocessed
(kserve/kserve@python/kserve/kserve/model.py)."""

_TRITON_ERRORS = 'sum(increase(nv_inference_request_failure{$pods,reason!="CANCELED"}[$window]))'
_TRITON_REQUESTS = Gauge(
    requests=(
        "sum(increase(nv_inference_request_success{$pods}[$window]))"
        f" + ({_TRITON_ERRORS} or vector(0))"
    ),
    errors=_TRITON_ERRORS,
    latency='max(nv_inference_request_summary_us{$pods,quantile="$quantile"}) / 1e6',
)
"""The summary is there with `--metrics-config summary_latencies=true` alone, and the quantiles of
several Pods cannot be added up: the slowest counts
(triton-inference-server/server@docs/user_guide/metrics.md)."""

_MLSERVER_ERRORS = "sum(increase(model_infer_request_failure_total{$pods}[$window]))"
_INFERENCES = Gauge(
    requests=(
        "sum(increase(model_infer_request_success_total{$pods}[$window]))"
        f" + ({_MLSERVER_ERRORS} or vector(0)) or {_MLSERVER_ERRORS}"
    ),
    errors=f"{_MLSERVER_ERRORS} or vector(0)",
    latency=_quantile('rest_server_request_duration_seconds_bucket{$pods,path=~".*infer.*"}'),
)
"""Neither has a series before the first of its kind; probes are requests too, and fast ones
(SeldonIO/MLServer@docs/user-guide/metrics.md)."""

_FINISHED = "sum(increase(vllm:request_success_total{$pods}[$window]))"
_GENERATED = _quantile("vllm:e2e_request_latency_seconds_bucket{$pods}")
_GENERATIONS = Gauge(_FINISHED, "", _GENERATED)
"""vLLM's engine counts what it finished, and not what failed around it."""

_OPENAI_ERRORS = (
    'sum(increase(http_requests_total{$pods,handler=~"/v1/.*",status="5xx"}[$window])) or vector(0)'
)
_OPENAI_REQUESTS = Gauge(
    requests='sum(increase(http_requests_total{$pods,handler=~"/v1/.*",method="POST"}[$window]))',
    errors=_OPENAI_ERRORS,
    latency=_GENERATED,
)
"""vLLM's own server counts what it answers, by the hundreds of the status
(vllm-project/vllm@docs/design/metrics.md)."""


class Runtime(Struct, frozen=True):
    """How one ClusterServingRuntime is used.

    `served_name_arg` and `served_name_env` tell it the name that requests carry, where it would
    otherwise take the InferenceService's. The queries are PromQL with a `{selector}` for the pods
    and, for the rate, a `[2m]` window; empty where the runtime reports no such metric. `gauge` is
    what a canary is judged by. `metrics_port` is where the container tells of all that; 0 where it
    tells nothing unless it is asked to by a file.
    """

    name: str
    protocol: str
    served_name_arg: str = ""
    served_name_env: str = ""
    requests_per_second: str = ""
    concurrency: str = ""
    gauge: Gauge = _UNKNOWN
    metrics_port: int = 8080


def _kserve_server(name: str) -> Runtime:
    """One of KServe's own Python servers (kserve/kserve@python/kserve/kserve/metrics.py)."""
    return Runtime(
        name,
        "v1",
        served_name_arg="--model_name",
        requests_per_second="sum(rate(request_predict_seconds_count{{{selector}}}[2m]))",
        gauge=_PREDICTIONS,
    )


_TRITON = Runtime(
    "kserve-tritonserver",
    "v2",
    requests_per_second="sum(rate(nv_inference_request_success{{{selector}}}[2m]))",
    gauge=_TRITON_REQUESTS,
    metrics_port=8002,
)
_MLSERVER = Runtime(
    "kserve-mlserver",
    "v2",
    served_name_env="MLSERVER_MODEL_NAME",
    requests_per_second="sum(rate(model_infer_request_success_total{{{selector}}}[2m]))",
    gauge=_INFERENCES,
    metrics_port=8082,
)
"""Its annotation says 8080, and the server answers on 8082 (kserve/kserve#6227)."""

_TENSORFLOW = Runtime(
    "kserve-tensorflow-serving", "v1", served_name_arg="--model_name", metrics_port=0
)
_TORCHSERVE = Runtime("kserve-torchserve", "v1", metrics_port=8082)
_HUGGINGFACE = Runtime(
    "kserve-huggingfaceserver",
    "v2",
    served_name_arg="--model_name",
    requests_per_second="sum(rate(vllm:request_success_total{{{selector}}}[2m]))",
    concurrency=_VLLM_IN_FLIGHT,
    gauge=_GENERATIONS,
)
_VLLM = Runtime(
    "kserve-vllmserver",
    "",
    served_name_arg="--served-model-name",
    requests_per_second="sum(rate(vllm:request_success_total{{{selector}}}[2m]))",
    concurrency=_VLLM_IN_FLIGHT,
    gauge=_OPENAI_REQUESTS,
)

LLM_BACKEND = "kserve-llm"


def _of_both(expression: str) -> str:
    """Ask for a metric by the name that KServe's PodMonitor gives it, or else by vLLM's own.

    KServe renames what it scrapes of LLMInferenceServices
    (kserve/kserve@pkg/controller/v1alpha2/llmisvc/monitoring.go); others do not.
    """
    return f"({expression.replace('$k_', 'kserve_')} or {expression.replace('$k_', '')})"


_LLM_REQUESTS = _of_both(
    'sum(increase($k_http_requests_total{$pods,handler=~"/v1/.*",method="POST"}[$window]))'
)
_LLM_ERRORS = _of_both(
    'sum(increase($k_http_requests_total{$pods,handler=~"/v1/.*",status="5xx"}[$window]))'
)
LLM = Runtime(
    "",
    "",
    requests_per_second=_of_both("sum(rate($k_vllm:request_success_total{{{selector}}}[2m]))"),
    concurrency=_of_both(
        "sum($k_vllm:num_requests_running{{{selector}}}) + "
        "sum($k_vllm:num_requests_waiting{{{selector}}})"
    ),
    gauge=Gauge(
        requests=_LLM_REQUESTS,
        errors=f"{_LLM_ERRORS} or vector(0)",
        latency=_of_both(_quantile("$k_vllm:e2e_request_latency_seconds_bucket{$pods}")),
    ),
    metrics_port=8000,
)
"""vLLM as KServe's presets of LLMInferenceServices start it; it has no ServingRuntime."""

BY_FORMAT = {
    "sklearn": _kserve_server("kserve-sklearnserver"),
    "xgboost": _kserve_server("kserve-xgbserver"),
    "lightgbm": _kserve_server("kserve-lgbserver"),
    "pmml": _kserve_server("kserve-pmmlserver"),
    "paddle": _kserve_server("kserve-paddleserver"),
    "autogluon": _kserve_server("kserve-autogluonserver"),
    "mlflow": _MLSERVER,
    "tensorflow": _TENSORFLOW,
    "onnx": _TRITON,
    "tensorrt": _TRITON,
    "triton": _TRITON,
    "pytorch": _TORCHSERVE,
    "huggingface": _HUGGINGFACE,
    "vLLM": _VLLM,
}
"""The runtime of each modelFormat, by KServe's own priorities."""

_PREDICTIVE = _kserve_server("kserve-predictiveserver")

BY_NAME = {runtime.name: runtime for runtime in (*BY_FORMAT.values(), _PREDICTIVE)}


class Shipped(NamedTuple):
    """What a ClusterServingRuntime of KServe's chart declares.

    `formats` maps a modelFormat to the versions that it may be asked for with. `protocols` is empty
    where none are declared. `chosen` says which formats KServe selects the runtime for by itself.
    """

    formats: Mapping[str, tuple[str, ...]]
    protocols: tuple[str, ...]
    chosen: bool = True


_REST = ("v1", "v2")

SHIPPED: Mapping[str, Shipped] = {
    "kserve-sklearnserver": Shipped({"sklearn": ("1",)}, _REST),
    "kserve-xgbserver": Shipped({"xgboost": ("2",)}, _REST),
    "kserve-lgbserver": Shipped({"lightgbm": ("4",)}, _REST),
    "kserve-mlserver": Shipped(
        {
            "sklearn": ("0", "1"),
            "xgboost": ("1", "2"),
            "lightgbm": ("3", "4"),
            "mlflow": ("1", "2"),
        },
        ("v2",),
    ),
    "kserve-predictiveserver": Shipped(
        {"sklearn": ("1",), "xgboost": ("2",), "lightgbm": ("4",)}, _REST, chosen=False
    ),
    "kserve-tritonserver": Shipped(
        {
            "tensorrt": ("8",),
            "tensorflow": ("1", "2"),
            "onnx": ("1",),
            "triton": ("2",),
            "pytorch": ("1",),
        },
        ("v2", "grpc-v2"),
    ),
    "kserve-tensorflow-serving": Shipped({"tensorflow": ("1", "2")}, ("v1", "grpc-v1")),
    "kserve-torchserve": Shipped({"pytorch": ("1",)}, ("v1", "v2", "grpc-v2")),
    "kserve-pmmlserver": Shipped({"pmml": ("3", "4")}, _REST),
    "kserve-paddleserver": Shipped({"paddle": ("2",)}, _REST),
    "kserve-autogluonserver": Shipped({"autogluon": ("1",)}, _REST),
    "kserve-huggingfaceserver": Shipped({"huggingface": ("1",)}, ("v2", "v1")),
    "kserve-huggingfaceserver-multinode": Shipped({"huggingface": ("1",)}, ("v2", "v1")),
    "kserve-vllmserver": Shipped({"vLLM": ("1",)}, ()),
}
"""The runtimes of the chart `kserve-runtime-configs`, and what KServe checks a model against."""

MULTINODE = "kserve-huggingfaceserver-multinode"
"""The one shipped runtime whose Pods are a head and workers."""

FORMATS = tuple({name: None for shipped in SHIPPED.values() for name in shipped.formats})
"""The modelFormats that some shipped runtime serves."""

REQUEST: Mapping[str, str] = {"cpu": "1", "memory": "2Gi"}
"""What the container of every shipped runtime requests, and is limited to, unless told otherwise
(kserve/kserve@config/runtimes)."""

PORT = "8080"
"""Where KServe's Service and its probes expect a shipped runtime."""


def serving(model_format: str) -> list[str]:
    """Name the shipped runtimes that serve a format."""
    return [name for name, shipped in SHIPPED.items() if model_format in shipped.formats]


SELF_LOADING_ARGS = ("--model_id=", "--model-id=", "--model=")
"""Arguments by which a runtime fetches the model itself, so that no storage URI is needed."""
