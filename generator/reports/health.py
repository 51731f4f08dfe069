"""Health checks of kinds that Argo CD does not know, as a part of its ConfigMap argocd-cm.

Argo CD has no check for these up to 3.5 (argoproj/argo-cd@resource_customizations), counts such an
object as done once it is applied, and orders nothing by it (argoproj/argo-cd#14442). Its Lua has no
standard library but the base (argoproj/argo-cd@docs/operator-manual/health.md). The check of
Applications is left out on purpose: it would keep the sync of a root Application running for as
long as any model makes progress, and what is merged meanwhile would wait (argoproj/argo-cd#11494).
"""

from __future__ import annotations

from pathlib import Path

from generator import scalars

LUA = Path(__file__).parents[1] / "lua"
_PRELUDE = "prelude"

CHECKS = {
    "batch.volcano.sh_Job": "volcano",
    "http.keda.sh_InterceptorRoute": "ready",
    "jobset.x-k8s.io_JobSet": "run",
    "kubeflow.org_PyTorchJob": "run",
    "kueue.x-k8s.io_AdmissionCheck": "active",
    "kueue.x-k8s.io_ClusterQueue": "active",
    "kueue.x-k8s.io_LocalQueue": "active",
    "kueue.x-k8s.io_Workload": "workload",
    "leaderworkerset.x-k8s.io_LeaderWorkerSet": "group",
    "serving.kserve.io_InferenceGraph": "ready",
    "serving.kserve.io_LLMInferenceService": "serving",
    "trainer.kubeflow.org_TrainJob": "run",
}
"""The kinds as Argo CD writes them, and the check of each."""

_KNOWN_TYPES = {
    "serving.kserve.io_InferenceService": (
        ("spec.predictor.model.resources", "core/v1/ResourceRequirements"),
    ),
}
"""Fields whose amounts are compared as amounts: `1000m` is `1` (argoproj/argo-cd#12463)."""


def check(kind: str) -> str:
    """Return the Lua of a kind."""
    return "\n".join(_read(name) for name in (_PRELUDE, CHECKS[kind]))


def _read(name: str) -> str:
    return (LUA / f"{name}.lua").read_text("utf-8")


def config_map(namespace: str) -> str:
    """Write the part of argocd-cm that gen knows of, and nothing else."""
    entries = {f"resource.customizations.health.{kind}": check(kind) for kind in CHECKS}
    entries |= {
        f"resource.customizations.knownTypeFields.{kind}": _known_types(kind)
        for kind in _KNOWN_TYPES
    }
    head = f"""\
apiVersion: v1
kind: ConfigMap
metadata:
  name: argocd-cm
  namespace: {scalars.text(namespace)}
  labels:
    app.kubernetes.io/name: argocd-cm
    app.kubernetes.io/part-of: argocd
data:
"""
    return head + "".join(f"  {key}: |\n{_indented(text)}" for key, text in entries.items())


def _known_types(kind: str) -> str:
    return "".join(f"- field: {field}\n  type: {type_}\n" for field, type_ in _KNOWN_TYPES[kind])


def _indented(text: str) -> str:
    lines = (f"    {line}\n" if line.strip() else "\n" for line in text.splitlines())
    return "".join(lines)
