"""What a person's own script works out of the same specs before it fills in templates.

No checks, no quoting, no origins: only the rules without which the objects would be others. The
contenders that are written in Python share it; those with a language of their own say it again.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

_SCALE_METRICS = {"requests-per-second": "rps"}
_CLASSES = {
    "kpa": ("autoscaling.knative.dev/class", "kpa.autoscaling.knative.dev"),
    "knative-hpa": ("autoscaling.knative.dev/class", "hpa.autoscaling.knative.dev"),
    "kserve-hpa": ("serving.kserve.io/autoscalerClass", "hpa"),
    "keda": ("serving.kserve.io/autoscalerClass", "external"),
    "none": ("serving.kserve.io/autoscalerClass", "none"),
}
RUNTIMES: dict[str, Json] = {
    "sklearn": {"runtime": "kserve-sklearnserver", "protocol": "v1", "named_by": "--model_name"},
    "xgboost": {"runtime": "kserve-xgbserver", "protocol": "v1", "named_by": "--model_name"},
    "lightgbm": {"runtime": "kserve-lgbserver", "protocol": "v1", "named_by": "--model_name"},
    "mlflow": {"runtime": "kserve-mlserver", "protocol": "v2"},
    "tensorflow": {
        "runtime": "kserve-tensorflow-serving",
        "protocol": "v1",
        "named_by": "--model_name",
    },
    "onnx": {"runtime": "kserve-tritonserver", "protocol": "v2"},
    "huggingface": {
        "runtime": "kserve-huggingfaceserver",
        "protocol": "v2",
        "named_by": "--model_name",
    },
}
_RATES = {
    "sklearn": "request_predict_seconds_count",
    "xgboost": "request_predict_seconds_count",
    "lightgbm": "request_predict_seconds_count",
    "mlflow": "model_infer_request_success_total",
    "onnx": "nv_inference_request_success",
}


def merge(under: Json, over: Json) -> Json:
    """Merge two maps key by key; anything else is replaced."""
    merged = dict(under)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def settings(model: Json, environment: Json) -> Json:
    """Merge what the environment, the model and its block for the environment say."""
    merged: Json = environment.get("defaults", {})
    for layer in (model, model["environments"][environment["name"]]):
        own = {key: layer[key] for key in ("serving", "scaling", "queue") if key in layer}
        merged = merge(merged, own)
    return merged


def facts(model: Json, environment: Json) -> Json:
    """Work out all that the templates of one overlay place."""
    live = model["environments"][environment["name"]]
    return release(model, environment, live, settings(model, environment))


def release(model: Json, environment: Json, live: Json, merged: Json) -> Json:
    """The same from settings that somebody else has merged."""
    serving = merged["serving"]
    strategy = _strategy(environment, serving)
    placement = _placement(environment, serving.get("gpu"))
    variants = _variants(model, environment, live, merged, strategy)
    return {
        "name": model["name"],
        "owner": model["owner"],
        "description": model["description"],
        "environment": environment,
        "namespace": environment["namespace"],
        "platform": environment["platform"],
        "argocd": environment["argocd"],
        "backend": serving.get("backend", "kserve"),
        "strategy": strategy,
        "is_published": environment["platform"]["kserve"]["mode"] != "Knative",
        "format": serving.get("format", ""),
        **RUNTIMES.get(serving.get("format", ""), {}),
        "mode": environment["platform"]["kserve"]["mode"],
        "serving": serving,
        "probes": _probes(serving.get("probes")),
        "requests": _requests(serving["resources"], placement),
        "limits": _limits(serving["resources"], placement),
        "placement": placement,
        "queue": merged.get("queue", ""),
        "variants": variants,
        "workloads": variants if strategy == "route" else _alone(variants),
    }


def _alone(variants: list[Json]) -> list[Json]:
    """Knative's one InferenceService describes the canary while there is one."""
    return [variant for variant in variants if variant["role"] == "canary"] or variants[:1]


def _strategy(environment: Json, serving: Json) -> str:
    if serving.get("backend") == "deployment":
        return "single"
    return "knative" if environment["platform"]["kserve"]["mode"] == "Knative" else "route"


def _probes(probes: Json | None) -> Json:
    if probes is None:
        return {}
    attempts = -(-probes.get("startupSeconds", 120) // 5)
    return {**probes, "startup": probes.get("startup", probes["liveness"]), "attempts": attempts}


def _placement(environment: Json, gpu: Json | None) -> Json:
    if not gpu or not gpu.get("count", 1):
        return {}
    return {**environment["flavors"][gpu["flavor"]], "count": gpu.get("count", 1)}


def _requests(resources: Json, placement: Json) -> Json:
    accelerators = {placement["resource"]: placement["count"]} if placement else {}
    return {"cpu": resources["cpu"], "memory": resources["memory"], **accelerators}


def _limits(resources: Json, placement: Json) -> Json:
    return {**_requests(resources, placement), **resources.get("limits", {})}


def _variants(
    model: Json, environment: Json, live: Json, merged: Json, strategy: str
) -> list[Json]:
    canary, standby = live.get("canary"), live.get("standby")
    share = canary["traffic"] if canary else 0
    found = [(live["version"], "stable", 100 - share, merged)]
    if canary:
        scaling = {"scaling": canary.get("scaling", {})}
        found.append((canary["version"], "canary", share, merge(merged, scaling)))
    if standby:
        found.append((standby, "standby", 0, merged))
    return [_variant(model, environment, strategy, *each) for each in found]


def _variant(
    model: Json,
    environment: Json,
    strategy: str,
    version: str,
    role: str,
    traffic: int,
    merged: Json,
) -> Json:
    name = f"{model['name']}-{version}" if strategy == "route" else model["name"]
    backend = merged["serving"].get("backend", "kserve")
    workload = f"{name}-predictor" if backend == "kserve" else name
    scaling = merged["scaling"]
    scaler = _scaler(strategy, backend, scaling)
    artifact = model["versions"][version]
    scales_itself = scaler in ("kpa", "knative-hpa", "kserve-hpa")
    return {
        "name": name,
        "version": version,
        "role": role,
        "traffic": traffic,
        "workload": workload,
        "port": 80 if backend == "kserve" else merged["serving"]["port"],
        "uri": artifact.get("uri", ""),
        "image": artifact.get("image", ""),
        "args": _args(model["name"], merged["serving"], artifact, strategy),
        "env": _env(model["name"], merged["serving"], artifact, strategy),
        "scaling": scaling,
        "scaler": scaler,
        "scaler_class": _CLASSES.get(scaler),
        "scale_metric": _SCALE_METRICS.get(scaling["metric"], scaling["metric"])
        if scales_itself
        else "",
        "query": _query(merged["serving"], scaling, workload, environment)
        if scaler == "keda"
        else "",
    }


def _scaler(strategy: str, backend: str, scaling: Json) -> str:
    by_resource = scaling["metric"] in ("cpu", "memory")
    if strategy == "knative":
        return "knative-hpa" if by_resource else "kpa"
    if backend == "deployment":
        return "hpa"
    if scaling["min"] == scaling["max"]:
        return "none"
    return "kserve-hpa" if by_resource else "keda"


def _args(name: str, serving: Json, artifact: Json, strategy: str) -> list[str]:
    args = [*serving.get("args", []), *artifact.get("args", [])]
    named_by = RUNTIMES.get(serving.get("format", ""), {}).get("named_by")
    return [f"{named_by}={name}", *args] if strategy == "route" and named_by else args


def _env(name: str, serving: Json, artifact: Json, strategy: str) -> Json:
    env = {**serving.get("env", {}), **artifact.get("env", {})}
    if strategy == "route" and serving.get("format") == "mlflow":
        return {"MLSERVER_MODEL_NAME": name, **env}
    return env


def _query(serving: Json, scaling: Json, workload: str, environment: Json) -> str:
    selector = f'namespace="{environment["namespace"]}",pod=~"{workload}-[a-z0-9]+-[a-z0-9]+"'
    if scaling["metric"] == "concurrency":
        running = f"sum(vllm:num_requests_running{{{selector}}})"
        return f"{running} + sum(vllm:num_requests_waiting{{{selector}}}) or vector(0)"
    rate = _RATES.get(serving["format"], "vllm:request_success_total")
    return f"sum(rate({rate}{{{selector}}}[2m])) or vector(0)"
