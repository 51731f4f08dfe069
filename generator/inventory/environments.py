"""An environment's document, resolved: flavors, queues with their quota, versions, policy."""

from __future__ import annotations

from collections.abc import Iterator

from generator.documents import Document, Json
from generator.inventory import delivery, priorities
from generator.inventory import kueue as kueue_inventory
from generator.inventory.records import Environment, Flavor, Gateway, Policy
from generator.objects import object_schemas
from generator.problems import GenError, Problem
from generator.values import minors

_OLDEST = {"kserve": (0, 16), "kueue": (0, 16), "keda": (2, 14), "seldon": (1, 17)}
"""KServe's mode is called Standard since 0.16 (kserve/kserve#4701), and Kueue stores v1beta2
since 0.16 (kubernetes-sigs/kueue@CHANGELOG/CHANGELOG-0.16.md). Seldon Core 1.17 makes HPAs of
autoscaling/v2, the only version that Kubernetes has since 1.26 (`metricsv2`)."""


def environment(document: Document) -> Environment:
    """Resolve one environment. Raises GenError with everything that contradicts itself."""
    problems = [*_versions(document), *_claims(document), *kueue_inventory.problems(document)]
    problems += priorities.problems(document)
    problems += delivery.problems(document)
    if problems:
        raise GenError(problems)
    data = document.data
    platform, cluster = data["platform"], data["cluster"]
    flavors = {name: _flavor(name, spec) for name, spec in data.get("flavors", {}).items()}
    return Environment(
        name=data["name"],
        namespace=data["namespace"],
        server=cluster.get("server", ""),
        cluster_name=cluster.get("name", ""),
        kubernetes=cluster["kubernetes"],
        kserve=platform["kserve"]["version"],
        mode=platform["kserve"]["mode"],
        gateway=_gateway(platform["kserve"]),
        kueue=platform.get("kueue", {}).get("version", ""),
        keda=platform.get("keda", {}).get("version", ""),
        trainer=platform.get("trainer", {}).get("version", ""),
        seldon=platform.get("seldon", {}).get("version", ""),
        seldon_scales=platform.get("seldon", {}).get("autoscaling", False),
        mlflow=platform.get("mlflow", {}).get("address", ""),
        mlflow_artifacts=platform.get("mlflow", {}).get("artifacts", ""),
        prometheus=platform.get("prometheus", {}).get("address", ""),
        flavors=flavors,
        queues=kueue_inventory.queues(data, flavors),
        cohorts=kueue_inventory.cohorts(data, flavors),
        priorities=priorities.classes(data),
        topologies=kueue_inventory.topologies(data),
        checks=kueue_inventory.checks(data),
        policy=_policy(data.get("policy", {})),
        argocd=delivery.argocd(data["argocd"]),
        document=document,
    )


def _versions(document: Document) -> Iterator[Problem]:
    supported = object_schemas.kubernetes_versions()
    version = document.data["cluster"]["kubernetes"]
    if version not in supported:
        message = f"there are no schemas for Kubernetes {version}"
        hint = f"{supported[0]} to {supported[-1]} are known"
        yield document.problem("V001", message, ("cluster", "kubernetes"), hint=hint)
    for system, oldest in _OLDEST.items():
        found = document.data["platform"].get(system, {}).get("version")
        if found is not None and minors.parsed(found) < oldest:
            message = f"{system} {found} is older than what gen renders for"
            hint = f'upgrade it; "{oldest[0]}.{oldest[1]}" is the oldest'
            yield document.problem("V002", message, ("platform", system, "version"), hint=hint)


_CLAIMED_SINCE = (1, 34)


def _claims(document: Document) -> Iterator[Problem]:
    version = document.data["cluster"]["kubernetes"]
    for name, flavor in document.data.get("flavors", {}).items():
        if "dra" in flavor and minors.parsed(version) < _CLAIMED_SINCE:
            message = f"Kubernetes {version} has no resource.k8s.io/v1; 1.34 does"
            hint = "remove it, and let `resource` be the one of the device plugin"
            yield document.problem("G101", message, ("flavors", name, "dra"), hint=hint, key=True)


def _gateway(kserve: Json) -> Gateway | None:
    gateway = kserve.get("gateway")
    return Gateway(**gateway, domain=kserve["domain"]) if gateway else None


def _flavor(name: str, spec: Json) -> Flavor:
    return Flavor(
        name=name,
        resource=spec.get("resource", ""),
        node_labels=spec.get("nodeLabels", {}),
        taints=spec.get("taints", []),
        nodes=spec.get("nodes", 0),
        gpus_per_node=spec.get("gpusPerNode", 0),
        price_per_hour=spec.get("pricePerHour", 0.0),
        topology=spec.get("topology", ""),
        runtime_class=spec.get("runtimeClassName", ""),
        device_class=spec.get("dra", {}).get("deviceClass", ""),
        selectors=tuple(spec.get("dra", {}).get("selectors", ())),
    )


def _policy(spec: Json) -> Policy:
    return Policy(
        pinned_artifacts=spec.get("pinnedArtifacts", False),
        min_replicas=spec.get("minReplicas", 0),
        scale_to_zero=spec.get("scaleToZero", True),
        lineage=spec.get("lineage", False),
    )
