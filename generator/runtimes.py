"""What the serving runtimes that ship with KServe need to be told, and what they report.

Source: kserve/kserve@config/runtimes (0.20) and the runtimes' own metrics. Runtime and protocol are
always rendered, because KServe's own selection depends on what else is installed
(kserve/kserve@pkg/apis/serving/v1beta1/predictor_model.go).
"""

from __future__ import annotations

from dataclasses import dataclass

_VLLM_IN_FLIGHT = (
    "sum(vllm:num_requests_running{{{selector}}}) + sum(vllm:num_requests_waiting{{{selector}}})"
)


@dataclass(frozen=True, slots=True)
class Runtime:
    """How one ClusterServingRuntime is used.

    `served_name_arg` and `served_name_env` tell it the name that requests carry, where it would
    otherwise take the InferenceService's. The queries are PromQL with a `{selector}` for the pods
    and, for the rate, a `[2m]` window; empty where the runtime reports no such metric.
    """

    name: str
    protocol: str
    served_name_arg: str = ""
    served_name_env: str = ""
    requests_per_second: str = ""
    concurrency: str = ""


def _kserve_server(name: str) -> Runtime:
    """One of KServe's own Python servers (kserve/kserve@python/kserve/kserve/metrics.py)."""
    return Runtime(
        name,
        "v1",
        served_name_arg="--model_name",
        requests_per_second="sum(rate(request_predict_seconds_count{{{selector}}}[2m]))",
    )


_TRITON = Runtime(
    "kserve-tritonserver",
    "v2",
    requests_per_second="sum(rate(nv_inference_request_success{{{selector}}}[2m]))",
)
_MLSERVER = Runtime(
    "kserve-mlserver",
    "v2",
    served_name_env="MLSERVER_MODEL_NAME",
    requests_per_second="sum(rate(model_infer_request_success_total{{{selector}}}[2m]))",
)
_TENSORFLOW = Runtime("kserve-tensorflow-serving", "v1", served_name_arg="--model_name")
_TORCHSERVE = Runtime("kserve-torchserve", "v1")
_HUGGINGFACE = Runtime(
    "kserve-huggingfaceserver",
    "v2",
    served_name_arg="--model_name",
    requests_per_second="sum(rate(vllm:request_success_total{{{selector}}}[2m]))",
    concurrency=_VLLM_IN_FLIGHT,
)
_VLLM = Runtime(
    "kserve-vllmserver",
    "",
    served_name_arg="--served-model-name",
    requests_per_second="sum(rate(vllm:request_success_total{{{selector}}}[2m]))",
    concurrency=_VLLM_IN_FLIGHT,
)

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
    "triton": _TRITON,
    "pytorch": _TORCHSERVE,
    "huggingface": _HUGGINGFACE,
    "vLLM": _VLLM,
}
"""The runtime of each modelFormat, by KServe's own priorities."""

BY_NAME = {runtime.name: runtime for runtime in BY_FORMAT.values()}

SELF_LOADING_ARGS = ("--model_id=", "--model-id=", "--model=")
"""Arguments by which a runtime fetches the model itself, so that no storage URI is needed."""
