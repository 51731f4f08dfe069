"""An environment's document, resolved: flavors, queues with their quota, versions, policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from generator import minors, quantities
from generator.documents import Document
from generator.objects import object_schemas
from generator.problems import GenError, Problem
from generator.records import ArgoCD, Cohort, Environment, Flavor, Gateway, Json, Policy, Queue
from generator.schema import suggestion

_OLDEST = {"kserve": (0, 16), "kueue": (0, 16), "keda": (2, 14)}
"""KServe's mode is called Standard since 0.16 (kserve/kserve#4701), and Kueue stores v1beta2
since 0.16 (kubernetes-sigs/kueue@CHANGELOG/CHANGELOG-0.16.md)."""


def environment(document: Document) -> Environment:
    """Resolve one environment. Raises GenError with everything that contradicts itself."""
    problems = [*_versions(document), *_references(document), *_limits(document)]
    if problems:
        raise GenError(problems)
    data = document.data
    platform, cluster = data["platform"], data["cluster"]
    flavors = {name: _flavor(name, spec) for name, spec in data.get("flavors", {}).items()}
    return Environment(
        name=data["name"],
        namespace=data["namespace"],
        server=cluster["server"],
        kubernetes=cluster["kubernetes"],
        kserve=platform["kserve"]["version"],
        mode=platform["kserve"]["mode"],
        gateway=_gateway(platform["kserve"]),
        kueue=platform.get("kueue", {}).get("version", ""),
        keda=platform.get("keda", {}).get("version", ""),
        trainer=platform.get("trainer", {}).get("version", ""),
        prometheus=platform.get("prometheus", {}).get("address", ""),
        flavors=flavors,
        queues=_queues(data, flavors),
        cohorts=_cohorts(data, flavors),
        policy=_policy(data.get("policy", {})),
        argocd=_argocd(data["argocd"]),
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


def _references(document: Document) -> Iterator[Problem]:
    data = document.data
    queues, flavors = data.get("queues", {}), data.get("flavors", {})
    for kind in ("queues", "cohorts"):
        if data.get(kind) and "kueue" not in data["platform"]:
            hint = f'add `platform.kueue: {{version: "0.19"}}`, or remove the {kind}'
            message = f"{kind} are Kueue's, and the environment has no Kueue"
            yield document.problem("Q002", message, (kind,), hint=hint, key=True)
    default = data.get("defaults", {}).get("queue")
    if default is not None and default not in queues:
        message = f"there is no queue `{default}`"
        hint = suggestion(default, queues)
        yield document.problem("E301", message, ("defaults", "queue"), hint=hint)
    for pointer, _ in _quotas(document):
        flavor = pointer[-1]
        if flavor not in flavors:
            hint = suggestion(flavor, flavors)
            message = f"there is no flavor `{flavor}`"
            yield document.problem("E301", message, pointer, hint=hint, key=True)
    yield from _parents(document)


def _quotas(document: Document) -> Iterator[tuple[tuple[str, ...], Json]]:
    """Give the quota of every flavor in every queue and cohort, with the way to it."""
    for kind in ("queues", "cohorts"):
        for name, spec in document.data.get(kind, {}).items():
            for flavor, quota in spec.get("quota", {}).items():
                yield (kind, name, "quota", flavor), quota


def _parents(document: Document) -> Iterator[Problem]:
    """Find parents that are not described, and cohorts that are within each other.

    Kueue makes up a cohort that nobody describes, and stops every queue below a circle
    (kubernetes-sigs/kueue@apis/kueue/v1beta2/cohort_types.go).
    """
    cohorts = document.data.get("cohorts", {})
    for name, spec in cohorts.items():
        parent, pointer = spec.get("parent"), ("cohorts", name, "parent")
        if parent is not None and parent not in cohorts:
            hint = f"{suggestion(parent, cohorts)} (or add `{parent}: {{}}` beside it)"
            yield document.problem("E301", f"there is no cohort `{parent}`", pointer, hint=hint)
        elif name == min(_circle(cohorts, name), default=""):
            way = " in ".join(f"`{each}`" for each in (*_circle(cohorts, name), name))
            message = f"cohorts cannot be within each other: {way}"
            hint = "remove one `parent`, so that one cohort is the root"
            yield document.problem("Q005", message, pointer, hint=hint)


def _circle(cohorts: Json, start: str) -> list[str]:
    """Walk up from a cohort; empty unless the way leads back to it."""
    way, name = [start], cohorts[start].get("parent")
    while name in cohorts and name not in way:
        way.append(name)
        name = cohorts[name].get("parent")
    return way if name == start else []


def _limits(document: Document) -> Iterator[Problem]:
    flavors = document.data.get("flavors", {})
    for pointer, quota in _quotas(document):
        if "resource" not in flavors.get(pointer[-1], {"resource": ""}):
            yield from _nothing_to_grant(document, pointer, quota)
        elif pointer[0] == "queues":
            yield from _quota_limits(document, pointer, quota)
        else:
            yield from _pool_limits(document, pointer, quota)


def _nothing_to_grant(
    document: Document, pointer: tuple[str, ...], quota: Json
) -> Iterator[Problem]:
    for key in ("gpu", "lend", "borrow"):
        if key in quota:
            message = f"flavor `{pointer[-1]}` has no accelerators, so there are none to grant"
            hint = f"give the flavor a `resource`, or remove `{key}`"
            yield document.problem("E303", message, (*pointer, key), hint=hint, key=True)


def _quota_limits(document: Document, pointer: tuple[str, ...], quota: Json) -> Iterator[Problem]:
    """Say what Kueue's webhook would (kueue@pkg/webhooks/clusterqueue_webhook.go)."""
    queue = document.data["queues"][pointer[1]]
    owned, lent = quota.get("gpu", 0), quota.get("lend", 0)
    for key in ("lend", "borrow"):
        if key in quota and "cohort" not in queue:
            message = f"`{key}` is between the queues of a cohort, and this queue has none"
            hint = f"add `cohort` to the queue, or remove `{key}`"
            yield document.problem("Q003", message, (*pointer, key), hint=hint, key=True)
    if "cohort" in queue and lent > owned:
        message = f"the queue lends {lent} and owns {owned}"
        hint = f"lend at most {owned}, or raise `gpu`"
        yield document.problem("Q004", message, (*pointer, "lend"), hint=hint)


def _pool_limits(document: Document, pointer: tuple[str, ...], quota: Json) -> Iterator[Problem]:
    """Say what Kueue's webhook would (kueue@pkg/webhooks/cohort_webhook.go).

    A cohort may lend more than its own pool: what its queues do not use is lent with it.
    """
    for key in ("lend", "borrow"):
        if key in quota and "parent" not in document.data["cohorts"][pointer[1]]:
            message = f"`{key}` is between a cohort and its parent, and this cohort has none"
            hint = f"add `parent` to the cohort, or remove `{key}`"
            yield document.problem("Q003", message, (*pointer, key), hint=hint, key=True)


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
    )


def _queues(data: Json, flavors: Mapping[str, Flavor]) -> dict[str, Queue]:
    return {
        name: _queue(data["name"], name, spec, flavors)
        for name, spec in data.get("queues", {}).items()
    }


def _queue(environment_name: str, name: str, spec: Json, flavors: Mapping[str, Flavor]) -> Queue:
    covered = _covered(spec["quota"], flavors)
    return Queue(
        name=name,
        cluster_queue=f"{environment_name}-{name}",
        cohort=spec.get("cohort", ""),
        covered_resources=covered,
        flavors=_grants(spec["quota"], covered, flavors),
    )


def _cohorts(data: Json, flavors: Mapping[str, Flavor]) -> dict[str, Cohort]:
    return {name: _cohort(name, spec, flavors) for name, spec in data.get("cohorts", {}).items()}


def _cohort(name: str, spec: Json, flavors: Mapping[str, Flavor]) -> Cohort:
    quota = spec.get("quota", {})
    covered = _covered(quota, flavors)
    return Cohort(name, spec.get("parent", ""), covered, _grants(quota, covered, flavors))


def _covered(quota: Json, flavors: Mapping[str, Flavor]) -> list[str]:
    return ["cpu", "memory", *sorted({flavors[flavor].resource for flavor in quota} - {""})]


def _grants(quota: Json, covered: list[str], flavors: Mapping[str, Flavor]) -> list[Json]:
    """Every flavor with the same resources in the same order, as Kueue's webhook demands."""
    return [
        {
            "name": flavor,
            "resources": [_grant(resource, amounts, flavors[flavor]) for resource in covered],
        }
        for flavor, amounts in quota.items()
    ]


def _grant(resource: str, quota: Json, flavor: Flavor) -> Json:
    """One resource of one flavor; what the quota does not mention is 0."""
    if resource in ("cpu", "memory"):
        return {"name": resource, "nominalQuota": quantities.canonical(quota.get(resource, 0))}
    if resource != flavor.resource:
        return {"name": resource, "nominalQuota": "0"}
    grant: dict[str, Any] = {"name": resource, "nominalQuota": str(quota.get("gpu", 0))}
    if "borrow" in quota:
        grant["borrowingLimit"] = str(quota["borrow"])
    if "lend" in quota:
        grant["lendingLimit"] = str(quota["lend"])
    return grant


def _policy(spec: Json) -> Policy:
    return Policy(
        pinned_artifacts=spec.get("pinnedArtifacts", False),
        min_replicas=spec.get("minReplicas", 0),
        scale_to_zero=spec.get("scaleToZero", True),
    )


def _argocd(spec: Json) -> ArgoCD:
    return ArgoCD(
        version=spec.get("version", ""),
        repo_url=spec["repoURL"],
        revision=spec.get("revision", "main"),
        namespace=spec.get("namespace", "argocd"),
        project=spec["project"],
        auto_sync=spec.get("autoSync", True),
        cascade=spec.get("cascade", False),
    )
