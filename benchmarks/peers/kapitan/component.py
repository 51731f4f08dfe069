"""The Kadet component of the Kapitan project: what Kapitan has merged becomes objects."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

from benchmarks.facts import Json, release

_MERGED = ("serving", "scaling", "queue")
_RETRY = {"duration": "10s", "factor": 2, "maxDuration": "3m"}


def main() -> Json:
    """Make the files of one target: one, with all of its objects."""
    kadet: Any = importlib.import_module("kapitan.inputs.kadet")
    parameters: Json = kadet.inventory().parameters.to_dict()
    environment, model = parameters["environment"], parameters["model"]
    facts = release(model, environment, parameters["live"], _merged(parameters))
    return {"overlay": list(objects(facts))}


def _merged(parameters: Json) -> Json:
    return {key: parameters[key] for key in _MERGED if key in parameters}


def objects(facts: Json) -> Iterator[Json]:
    """Make the objects of one overlay, and its Application."""
    for variant in facts["workloads"]:
        if facts["backend"] == "kserve":
            yield _inference_service(facts, variant)
        else:
            yield _deployment(facts, variant)
            yield _service(facts)
        if variant["scaler"] == "keda":
            yield _scaled_object(facts, variant)
        if variant["scaler"] == "hpa":
            yield _autoscaler(facts, variant)
    if facts["is_published"]:
        yield _route(facts)
    if "serviceAccount" in facts["serving"]:
        yield _account(facts)
    yield _application(facts)


def _metadata(facts: Json, name: str, labels: Json | None = None, **more: Json) -> Json:
    own = {"app.kubernetes.io/name": facts["name"], "app.kubernetes.io/managed-by": "gen"}
    labelled = {"labels": {**own, **(labels or {})}}
    return {"name": name, "namespace": facts["namespace"], **labelled, **more}


def _queue(facts: Json) -> Json:
    return {"kueue.x-k8s.io/queue-name": facts["queue"]} if facts["queue"] else {}


def _inference_service(facts: Json, variant: Json) -> Json:
    labels = {"app.kubernetes.io/version": variant["version"], **_queue(facts)}
    if facts["strategy"] == "route":
        labels["networking.kserve.io/visibility"] = "cluster-local"
    key, value = variant["scaler_class"]
    annotations = {"serving.kserve.io/deploymentMode": facts["mode"], key: value}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": _metadata(facts, variant["name"], labels, annotations=annotations),
        "spec": {"predictor": _predictor(facts, variant)},
    }


def _predictor(facts: Json, variant: Json) -> Json:
    scaling = variant["scaling"]
    predictor: Json = {
        "minReplicas": scaling["min"],
        "maxReplicas": scaling["max"],
        "timeout": facts["serving"]["timeout"],
        "model": _model(facts, variant),
    }
    if variant["scale_metric"]:
        predictor |= {"scaleMetric": variant["scale_metric"], "scaleTarget": scaling["target"]}
    if variant["role"] == "canary" and facts["strategy"] == "knative":
        predictor["canaryTrafficPercent"] = variant["traffic"]
    if "serviceAccount" in facts["serving"]:
        predictor["serviceAccountName"] = facts["name"]
    if facts["placement"]:
        taints = facts["placement"]["taints"]
        predictor["nodeSelector"] = facts["placement"]["nodeLabels"]
        predictor["tolerations"] = [{**taint, "operator": "Equal"} for taint in taints]
    return predictor


def _model(facts: Json, variant: Json) -> Json:
    return {
        "modelFormat": {"name": facts["format"]},
        "protocolVersion": facts["protocol"],
        "runtime": facts["runtime"],
        **({"storageUri": variant["uri"]} if variant["uri"] else {}),
        **_container(facts, variant),
    }


def _container(facts: Json, variant: Json) -> Json:
    env = [{"name": key, "value": value} for key, value in variant["env"].items()]
    return {
        **({"args": variant["args"]} if variant["args"] else {}),
        **({"env": env} if env else {}),
        "resources": {
            "requests": {key: str(value) for key, value in facts["requests"].items()},
            "limits": {key: str(value) for key, value in facts["limits"].items()},
        },
    }


def _deployment(facts: Json, variant: Json) -> Json:
    own = {"app.kubernetes.io/name": facts["name"]}
    labels = {
        "app.kubernetes.io/managed-by": "gen",
        "app.kubernetes.io/version": variant["version"],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(facts, facts["name"], _queue(facts)),
        "spec": {
            "selector": {"matchLabels": own},
            "template": {"metadata": {"labels": own | labels}, "spec": _pod(facts, variant)},
        },
    }


def _pod(facts: Json, variant: Json) -> Json:
    has_account = "serviceAccount" in facts["serving"]
    account = {"serviceAccountName": facts["name"]} if has_account else {}
    container = {
        "name": facts["name"],
        "image": variant["image"],
        **_container(facts, variant),
        "ports": [
            {"name": "http", "containerPort": facts["serving"]["port"], "protocol": "TCP"},
        ],
        **_probes(facts["probes"]),
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    return {
        **account,
        "automountServiceAccountToken": has_account,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }


def _probes(probes: Json) -> Json:
    def probe(path: str, **times: int) -> Json:
        return {"httpGet": {"path": path, "port": "http"}, **times}

    attempts = {"periodSeconds": 5, "failureThreshold": probes["attempts"]}
    return {
        "startupProbe": probe(probes["startup"], **attempts),
        "livenessProbe": probe(probes["liveness"], periodSeconds=10, timeoutSeconds=5),
        "readinessProbe": probe(probes["readiness"], periodSeconds=5, timeoutSeconds=5),
    }


def _service(facts: Json) -> Json:
    port = facts["serving"]["port"]
    ports = [{"name": "http", "port": port, "targetPort": "http", "protocol": "TCP"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(facts, facts["name"]),
        "spec": {"selector": {"app.kubernetes.io/name": facts["name"]}, "ports": ports},
    }


def _scaled_object(facts: Json, variant: Json) -> Json:
    scaling = variant["scaling"]
    trigger = {
        "type": "prometheus",
        "name": scaling["metric"],
        "metricType": "AverageValue",
        "metadata": {
            "serverAddress": facts["platform"]["prometheus"]["address"],
            "query": variant["query"],
            "threshold": str(scaling["target"]),
            "ignoreNullValues": "false",
        },
    }
    fallback = {"failureThreshold": 3, "behavior": "currentReplicasIfHigher"}
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": _metadata(facts, variant["name"]),
        "spec": {
            "scaleTargetRef": _target(variant),
            "minReplicaCount": scaling["min"],
            "maxReplicaCount": scaling["max"],
            "fallback": {**fallback, "replicas": scaling["min"]},
            "triggers": [trigger],
        },
    }


def _target(variant: Json) -> Json:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "name": variant["workload"]}


def _autoscaler(facts: Json, variant: Json) -> Json:
    scaling = variant["scaling"]
    target = {"type": "Utilization", "averageUtilization": scaling["target"]}
    metric = {"type": "Resource", "resource": {"name": scaling["metric"], "target": target}}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": _metadata(facts, facts["name"]),
        "spec": {
            "scaleTargetRef": _target(variant),
            "minReplicas": scaling["min"],
            "maxReplicas": scaling["max"],
            "metrics": [metric],
        },
    }


def _route(facts: Json) -> Json:
    kserve = facts["platform"]["kserve"]
    gateway = {"group": "gateway.networking.k8s.io", "kind": "Gateway", **kserve["gateway"]}
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
        "timeouts": {"request": f"{facts['serving']['timeout']}s"},
        "backendRefs": [_backend(variant) for variant in facts["variants"]],
    }
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": _metadata(facts, facts["name"]),
        "spec": {
            "parentRefs": [gateway],
            "hostnames": [f"{facts['name']}-{facts['namespace']}.{kserve['domain']}"],
            "rules": [rule],
        },
    }


def _backend(variant: Json) -> Json:
    target = {"group": "", "kind": "Service", "name": variant["workload"]}
    return {**target, "port": variant["port"], "weight": variant["traffic"]}


def _account(facts: Json) -> Json:
    account = facts["serving"]["serviceAccount"]
    annotations = {"annotations": account["annotations"]} if "annotations" in account else {}
    secrets = [{"name": name} for name in account.get("secrets", ())]
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": _metadata(facts, facts["name"], **annotations),
        **({"secrets": secrets} if secrets else {}),
    }


def _application(facts: Json) -> Json:
    name, environment = facts["name"], facts["environment"]
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {
            "name": f"{environment['name']}-{name}",
            "namespace": "argocd",
            "labels": {
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/part-of": environment["name"],
                "app.kubernetes.io/managed-by": "gen",
                "owner": facts["owner"],
            },
            "annotations": {
                "argocd.argoproj.io/manifest-generate-paths": f".;/rendered/_base/{name}",
                "argocd.argoproj.io/sync-wave": "0",
            },
        },
        "spec": _application_spec(facts, f"rendered/{environment['name']}/{name}"),
    }


def _application_spec(facts: Json, path: str) -> Json:
    argocd, server = facts["argocd"], facts["environment"]["cluster"]["server"]
    return {
        "project": argocd["project"],
        "source": {"repoURL": argocd["repoURL"], "targetRevision": "main", "path": path},
        "destination": {"server": server, "namespace": facts["namespace"]},
        "info": [{"name": "description", "value": facts["description"]}],
        "syncPolicy": {
            "automated": {"prune": True, "selfHeal": True, "allowEmpty": False},
            "retry": {"limit": 5, "refresh": True, "backoff": _RETRY},
            "syncOptions": ["ApplyOutOfSyncOnly=true", "FailOnSharedResource=true"],
        },
    }
