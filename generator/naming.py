"""Names that KServe, KEDA and Knative derive from ours, and how long ours may be for that.

Sources: kserve/kserve@pkg/constants/constants.go, kserve/kserve#4807 (hosts), kedacore/keda#6998.
"""

from __future__ import annotations

LABEL_LIMIT = 63
"""Longest DNS label and label value."""


def workload(name: str, backend: str) -> str:
    """Name the Deployment, and the Service before it, that run a workload."""
    return f"{name}-predictor" if backend == "kserve" else name


def derived(name: str, backend: str, namespace: str) -> tuple[tuple[str, str], ...]:
    """List what is derived from a workload's name and has to fit into 63 characters."""
    if backend == "deployment":
        return (("its Service", name),)
    return (
        ("the label that KServe puts on its Pods", f"isvc.{name}-predictor"),
        ("the host of its predictor", f"{name}-predictor-{namespace}"),
        ("the autoscaler that KEDA makes", f"keda-hpa-{name}"),
        ("its first Knative revision", f"{name}-predictor-00001"),
    )


def host(model: str, namespace: str, domain: str) -> str:
    """Name the public host of a model, by KServe's own default template."""
    return f"{model}-{namespace}.{domain}"
