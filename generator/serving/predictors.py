"""The predictors of an InferenceService that has them by name, each as far as its Pods show it.

KServe makes a Deployment of each: `<InferenceService>-<name>-predictor`. A canary is laid over a
copy of the stable predictor, so that what it leaves out is the stable one's (buildCanaryPredictor
in kserve/kserve@pkg/controller/v1beta1/inferenceservice/components/predictor.go). Objects may
be whatever an own template wrote: what is not as it should be is empty.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from generator.documents import Json

BESIDE_THE_PODS = frozenset(
    (
        "minReplicas",
        "maxReplicas",
        "scaleMetric",
        "scaleMetricType",
        "scaleTarget",
        "autoScaling",
        "canaryTrafficPercent",
        "containerConcurrency",
        "deploymentStrategy",
        "timeout",
    )
)
"""Fields of a component that Standard mode puts into a Deployment, a scaler or a route
(kserve/kserve@pkg/controller/v1beta1/inferenceservice/reconcilers)."""


def named(service: Json | None) -> dict[str, Json]:
    """Give what reaches the Pods of each predictor, by name; nothing if the stable one has none."""
    spec = _map((service or {}).get("spec"))
    stable = _map(spec.get("predictor"))
    if not isinstance(stable.get("name"), str):
        return {}
    found = [stable, *(_laid_over(stable, canary) for canary in _canaries(spec))]
    shared = _map((service or {}).get("metadata"))
    return {str(predictor.get("name")): _seen(predictor, shared) for predictor in found}


def _map(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _canaries(spec: Json) -> Iterator[Json]:
    entries = spec.get("canary")
    for entry in entries if isinstance(entries, list) else ():
        yield _map(_map(entry).get("predictor"))


def _laid_over(under: Json, over: Json) -> Json:
    """Merge maps key by key, and replace what is not empty."""
    merged = dict(under)
    for key, value in over.items():
        below = under.get(key)
        if isinstance(value, dict) and isinstance(below, dict):
            merged[key] = _laid_over(below, value)
        elif value:
            merged[key] = value
    return merged


def _seen(predictor: Json, shared: Json) -> Json:
    """Leave out what no Pod shows; all labels and annotations of the service are each Pod's."""
    own = {key: value for key, value in predictor.items() if key not in BESIDE_THE_PODS}
    for kind in ("labels", "annotations"):
        own[kind] = {**_map(shared.get(kind)), **_map(predictor.get(kind))}
    own.pop("name", None)
    return own
