"""Names that KServe and Knative derive from ours, and how long ours may be for that.

Sources: kserve/kserve@pkg/constants/constants.go, kserve/kserve#4807 (hosts). The HPA that KEDA
makes, `keda-hpa-<name>`, is always shorter than the label.
"""

from __future__ import annotations

LABEL_LIMIT = 63
"""Longest DNS label and label value."""


def workload(name: str, backend: str) -> str:
    """Name the Deployment, and the Service before it, that run a workload."""
    return f"{name}-predictor" if backend == "kserve" else name


def derived(
    name: str, backend: str, namespace: str, *, knative: bool = False
) -> tuple[tuple[str, str, str], ...]:
    """List what is derived from a workload's name and has to fit into 63 characters.

    Each with the code of the rule that says so.
    """
    if backend == "deployment":
        return (("N001", "its Service", name),)
    labels = [
        ("N001", "the label that KServe puts on its Pods", f"isvc.{name}-predictor"),
        ("N002", "the host of its predictor", f"{name}-predictor-{namespace}"),
    ]
    if knative:
        labels.append(("N001", "its first Knative revision", f"{name}-predictor-00001"))
    return tuple(labels)


def host(model: str, namespace: str, domain: str) -> str:
    """Name the public host of a model, by KServe's own default template."""
    return f"{model}-{namespace}.{domain}"
