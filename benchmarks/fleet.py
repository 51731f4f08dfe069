"""Repositories of any size, the same on every machine, with the variety of a real fleet.

What a model looks like follows from its name alone, so that a fleet of 1,000 is the first 1,000
models of a fleet of 10,000.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

import yaml

from generator.values import quantities

Json = dict[str, Any]
Option = TypeVar("Option")

ENVIRONMENTS = ("dev", "staging", "production")
_DOMAINS = (
    "ads",
    "churn",
    "credit",
    "fraud",
    "price",
    "rank",
    "search",
    "stock",
    "vision",
    "voice",
)
_TASKS = ("classifier", "detector", "embedder", "forecast", "matcher", "ranker", "scorer", "tagger")
_OWNERS = ("assistants", "growth", "logistics", "marketplace", "payments", "risk-ml", "search")
_STORAGES = ("gs://models-eu", "gs://models-us", "s3://models")
_LLMS = ("Qwen/Qwen2.5-7B-Instruct", "mistralai/Mistral-7B-Instruct-v0.3", "google/gemma-2-9b-it")


@dataclass(frozen=True, slots=True)
class _Profile:
    """What models of one kind have in common; `share` is how many of 20 models are of it."""

    share: int
    format: str
    metric: str
    targets: tuple[int, ...]
    sizes: tuple[tuple[str, str], ...]
    flavors: tuple[tuple[str, int], ...] = ()


_SMALL = (("100m", "512Mi"), ("250m", "1Gi"), ("500m", "2Gi"), ("1", "4Gi"))
_LARGE = (("2", "8Gi"), ("4", "16Gi"), ("8", "64Gi"))
_SLICES = (("a100-mig-1g", 1), ("l4", 1), ("a100-80gb", 1))
_WHOLE = (("a100-80gb", 1), ("a100-80gb", 2), ("h100-80gb", 1), ("h100-80gb", 4))
_PROFILES = (
    _Profile(4, "sklearn", "cpu", (70, 75, 80), _SMALL),
    _Profile(3, "xgboost", "requests-per-second", (10, 25, 100), _SMALL),
    _Profile(2, "lightgbm", "cpu", (60, 80), _SMALL),
    _Profile(1, "mlflow", "requests-per-second", (5, 20), _SMALL),
    _Profile(2, "tensorflow", "memory", (75, 80), _LARGE),
    _Profile(3, "onnx", "requests-per-second", (20, 50), _LARGE, _SLICES),
    _Profile(2, "huggingface", "concurrency", (8, 16, 32), _LARGE, _WHOLE),
    _Profile(3, "", "cpu", (65, 70), _SMALL),
)
"""The last one is a plain Deployment: its image is the model."""
_BY_SHARE = tuple(profile for profile in _PROFILES for _ in range(profile.share))


def name(index: int) -> str:
    """Name a model by its place in the fleet."""
    domain, task = _DOMAINS[index % len(_DOMAINS)], _TASKS[index // 3 % len(_TASKS)]
    return f"{domain}-{task}-{index:05d}"


def _number(model: str, topic: str) -> int:
    return int.from_bytes(blake2b(f"{model}/{topic}".encode(), digest_size=6).digest(), "big")


def _one_of(model: str, topic: str, options: tuple[Option, ...]) -> Option:
    return options[_number(model, topic) % len(options)]


def _chance(model: str, topic: str, percent: int) -> bool:
    return _number(model, topic) % 100 < percent


def _hex(model: str, topic: str, digits: int) -> str:
    return blake2b(f"{model}/{topic}".encode()).hexdigest()[:digits]


def model(name: str) -> Json:
    """Make the spec of a model."""
    profile = _one_of(name, "profile", _BY_SHARE)
    count = 2 + _number(name, "versions") % 3
    return {
        "name": name,
        "owner": _one_of(name, "owner", _OWNERS),
        "description": f"Serves the {name.rpartition('-')[0]} of its team: number {name[-5:]}.",
        "serving": _serving(name, profile),
        "scaling": _scaling(name, profile),
        "versions": {f"v{n}": _artifact(name, profile, f"v{n}") for n in range(1, count + 1)},
        "environments": {
            "dev": _dev(name, profile, count),
            "staging": _staging(name, profile, count),
            "production": _production(name, profile, count),
        },
    }


def _serving(name: str, profile: _Profile) -> Json:
    serving: Json = {"format": profile.format} if profile.format else _own_image(name)
    cpu, memory = _one_of(name, "size", profile.sizes)
    resources: Json = {"cpu": cpu, "memory": memory}
    if _chance(name, "burst", 30):
        resources["limits"] = {"cpu": "16", "memory": "128Gi"}
    serving["resources"] = resources
    if profile.flavors:
        flavor, count = _one_of(name, "flavor", profile.flavors)
        serving["gpu"] = {"flavor": flavor, "count": count}
    if profile.format == "huggingface":
        serving |= {"args": ["--max-model-len=8192", "--dtype=bfloat16"], "timeout": 300}
    elif profile.format and _chance(name, "args", 25):
        serving["args"] = [f"--workers={1 + _number(name, 'workers') % 4}", "--log-format=json"]
    if _chance(name, "env", 60):
        serving["env"] = _variables(name)
    if profile.format != "huggingface" and _chance(name, "account", 25):
        serving["serviceAccount"] = _account(name, _one_of(name, "storage", _STORAGES))
    return serving


def _own_image(name: str) -> Json:
    probes: Json = {"liveness": "/healthz", "readiness": "/readyz"}
    if _chance(name, "slow", 50):
        probes |= {"startup": "/startup", "startupSeconds": 300}
    return {"backend": "deployment", "port": _one_of(name, "port", (8000, 8080)), "probes": probes}


def _variables(name: str) -> Json:
    """In alphabetical order, because some of the others know no order of keys."""
    return {
        "BATCH_SIZE": _one_of(name, "batch", ("1", "8", "32")),
        "FEATURE_CACHE": _one_of(name, "cache", ("on", "off")),
        "LOG_LEVEL": _one_of(name, "log", ("info", "warning")),
        **({"THRESHOLD": "0.5"} if _chance(name, "threshold", 40) else {}),
    }


def _account(name: str, storage: str) -> Json:
    if storage.startswith("gs:"):
        account = f"{name}@models.iam.gserviceaccount.com"
        return {"annotations": {"iam.gke.io/gcp-service-account": account}}
    if _chance(name, "secret", 50):
        return {"secrets": ["s3-credentials"]}
    return {"annotations": {"eks.amazonaws.com/role-arn": f"arn:aws:iam::111122223333:role/{name}"}}


def _scaling(name: str, profile: _Profile) -> Json:
    return {
        "min": 1,
        "max": 2 + _number(name, "max") % 6,
        "metric": profile.metric,
        "target": _one_of(name, "target", profile.targets),
    }


def _artifact(name: str, profile: _Profile, version: str) -> Json:
    if not profile.format:
        return {"image": f"ghcr.io/example/{name}@sha256:{_hex(name, version, 64)}"}
    if profile.format == "huggingface":
        revision = f"--model_revision={_hex(name, version, 40)}"
        return {"args": [f"--model_id={_one_of(name, 'llm', _LLMS)}", revision]}
    artifact: Json = {"uri": f"{_one_of(name, 'storage', _STORAGES)}/{name}/{version}/"}
    if _chance(name, f"env-{version}", 10):
        artifact["env"] = {"VARIANT": version}
    return artifact


def _dev(name: str, profile: _Profile, count: int) -> Json:
    """Knative, no nodes with accelerators, most models asleep."""
    sleeps = bool(profile.format) and profile.metric not in ("cpu", "memory")
    scaling: Json = {"min": 0 if sleeps else 1, "max": 2}
    if profile.format and not sleeps:
        scaling |= {"metric": "concurrency", "target": 10}
    block: Json = {"version": f"v{count}", "scaling": scaling}
    if profile.format and _chance(name, "dev-canary", 3):
        block |= {"version": f"v{count - 1}", "canary": {"version": f"v{count}", "traffic": 50}}
    override: Json = {}
    if profile.flavors:
        override["gpu"] = {"count": 0}
    if profile.format == "huggingface":
        override["args"] = ["--max-model-len=1024", "--dtype=float32"]
    if _chance(name, "dev-debug", 50):
        override["env"] = {"LOG_LEVEL": "debug"}
    return block | ({"serving": override} if override else {})


def _staging(name: str, profile: _Profile, count: int) -> Json:
    block: Json = {"version": f"v{count}"}
    if profile.format and _chance(name, "staging-canary", 10):
        block |= {"version": f"v{count - 1}", "canary": {"version": f"v{count}", "traffic": 50}}
    if profile.flavors:
        block["serving"] = {"gpu": {"flavor": "l4", "count": 1}}
    return block


def _production(name: str, profile: _Profile, count: int) -> Json:
    least = 2 + _number(name, "least") % 2
    most = least if _chance(name, "fixed", 10) else least + 2 + _number(name, "most") % 5
    block: Json = {"version": f"v{count - 1}", "scaling": {"min": least, "max": most}}
    if profile.format and _chance(name, "canary", 20):
        traffic = _one_of(name, "traffic", (5, 10, 25, 50))
        block["canary"] = {"version": f"v{count}", "traffic": traffic}
        if _chance(name, "canary-scaling", 30):
            block["canary"]["scaling"] = {"min": 1, "max": 2}
    elif profile.format and _chance(name, "standby", 10):
        block["standby"] = f"v{count}"
    if _chance(name, "queue", 15):
        block["queue"] = "batch"
    return block


def environments(models: int) -> dict[str, Json]:
    """Make the environments of a fleet: its nodes and quotas suffice for as many models."""
    return {
        "dev": {
            **_place("dev", "ml-dev", models),
            "platform": {"kserve": {"version": "0.20", "mode": "Knative"}},
            "defaults": {"scaling": {"min": 1, "max": 2}, "serving": {"timeout": 60}},
        },
        "staging": {
            **_place("staging", "ml-staging", models),
            "platform": _standard("models.staging.example.com"),
            "flavors": {"cpu": {}, "l4": _flavor("NVIDIA-L4", models, 0.8)},
            "queues": {"serving": {"quota": _quota(("cpu", "l4"), models)}},
            "defaults": _defaults(1),
        },
        "production": {
            **_place("production", "ml-prod", models),
            "platform": _standard("models.example.com"),
            "flavors": {"cpu": {}, **_accelerators(models)},
            "queues": {
                "serving": {"cohort": "ml", "quota": _quota(("cpu", *_accelerators(0)), models)},
                "batch": {"cohort": "ml", "quota": _quota(("cpu", *_accelerators(0)), models)},
            },
            "defaults": _defaults(2),
            "policy": {"pinnedArtifacts": True, "minReplicas": 2, "scaleToZero": False},
        },
    }


def _place(name: str, namespace: str, models: int) -> Json:
    server = f"https://{name}.clusters.example.com:6443"
    return {
        "name": name,
        "namespace": namespace,
        "cluster": {"server": server, "kubernetes": "1.35"},
        "argocd": {"repoURL": "https://github.com/example/ml-models", "project": namespace},
    }


def _standard(domain: str) -> Json:
    gateway = {"name": "kserve-ingress-gateway", "namespace": "kserve"}
    return {
        "kserve": {"version": "0.20", "mode": "Standard", "gateway": gateway, "domain": domain},
        "kueue": {"version": "0.19"},
        "keda": {"version": "2.20"},
        "prometheus": {"address": "http://prometheus.monitoring:9090"},
    }


def _defaults(replicas: int) -> Json:
    scaling = {"min": replicas, "max": replicas + 1}
    return {"queue": "serving", "scaling": scaling, "serving": {"timeout": 60}}


def _accelerators(models: int) -> Json:
    mig = _flavor("NVIDIA-A100-SXM4-80GB", models, 0.52)
    mig |= {"resource": "nvidia.com/mig-1g.10gb", "gpusPerNode": 56}
    mig["nodeLabels"] = {**mig["nodeLabels"], "nvidia.com/mig.config": "all-1g.10gb"}
    return {
        "a100-80gb": _flavor("NVIDIA-A100-SXM4-80GB", models, 3.67),
        "h100-80gb": _flavor("NVIDIA-H100-80GB-HBM3", models, 6.98),
        "a100-mig-1g": mig,
        "l4": _flavor("NVIDIA-L4", models, 0.8),
    }


def _flavor(product: str, models: int, price: float) -> Json:
    return {
        "resource": "nvidia.com/gpu",
        "nodeLabels": {"nvidia.com/gpu.product": product},
        "taints": [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}],
        "nodes": 2 + models,
        "gpusPerNode": 8,
        "pricePerHour": price,
    }


def _quota(flavors: tuple[str, ...], models: int) -> Json:
    amounts = {
        "cpu": quantities.canonical(256 * (1 + models)),
        "memory": quantities.canonical(f"{2 * (1 + models)}Ti"),
    }
    gpus = {"gpu": min(100_000, 8 + 4 * models)}
    return {flavor: amounts | (gpus if flavor != "cpu" else {}) for flavor in flavors}


def names(models: int) -> Iterator[str]:
    """Name the models of a fleet."""
    return map(name, range(models))


def text(document: Json) -> str:
    """Write a document as YAML."""
    written: str = yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False, width=100)
    return written


def write(root: Path, models: int) -> None:
    """Write a fleet's specs to the folders models/ and environments/ of a new repository."""
    for folder in ("models", "environments"):
        (root / folder).mkdir(parents=True)
    for each in names(models):
        (root / "models" / f"{each}.yaml").write_text(text(model(each)), "utf-8")
    for each, spec in environments(models).items():
        (root / "environments" / f"{each}.yaml").write_text(text(spec), "utf-8")


def change(root: Path, index: int) -> None:
    """Give one model of a written fleet one replica more in production."""
    spec = model(name(index))
    spec["environments"]["production"]["scaling"]["max"] += 1
    (root / "models" / f"{name(index)}.yaml").write_text(text(spec), "utf-8")
