"""What an environment's document says of Kueue: queues, cohorts, topologies and admission checks.

What Kueue's webhooks and its CEL rules would refuse is a problem here, on the line that asks for it
(kubernetes-sigs/kueue@pkg/webhooks, kubernetes-sigs/kueue@apis/kueue/v1beta2).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from generator.documents import Document, Json
from generator.inventory.queueing import AdmissionCheck, NodeTopology, Preemption, WorkerCluster
from generator.inventory.records import Cohort, Flavor, Queue
from generator.problems import Problem
from generator.schema import suggestion
from generator.values import quantities

_KUEUES = ("queues", "cohorts", "topologies", "admissionChecks")
HOSTNAME = "kubernetes.io/hostname"


def problems(document: Document) -> Iterator[Problem]:
    """Find what queues, cohorts, topologies and checks contradict."""
    yield from _references(document)
    yield from _limits(document)
    for name, queue in document.data.get("queues", {}).items():
        yield from _strategy(document, name, queue)
        yield from _preemption(document, name, queue)
        yield from _weight(document, ("queues", name), queue, "cohort")
    for name, cohort in document.data.get("cohorts", {}).items():
        yield from _weight(document, ("cohorts", name), cohort, "parent")
    yield from _topologies(document)
    yield from _checks(document)


def _references(document: Document) -> Iterator[Problem]:
    data = document.data
    queues, flavors = data.get("queues", {}), data.get("flavors", {})
    for kind in _KUEUES:
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


def _strategy(document: Document, name: str, queue: Json) -> Iterator[Problem]:
    """Ask for a word of confirmation before a merge may evict what serves."""
    stop, pointer = queue.get("stop"), ("queues", name)
    confirmed = queue.get("evictsRunning", False)
    if stop == "HoldAndDrain" and not confirmed:
        message = "`HoldAndDrain` evicts every model and every run of the queue at the next sync"
        hint = "write `evictsRunning: true` beside it if that is meant, or `stop: Hold`"
        yield document.problem("Q101", message, (*pointer, "stop"), hint=hint)
    if stop == "Hold" and confirmed:
        message = "`Hold` evicts nothing, so there is nothing to confirm"
        hint = "remove it, or write `stop: HoldAndDrain`"
        yield document.problem("E303", message, (*pointer, "evictsRunning"), hint=hint, key=True)
    if document.data["namespace"] in queue.get("namespaces", ()):
        place = (*pointer, "namespaces", queue["namespaces"].index(document.data["namespace"]))
        message = "the environment's own namespace has the queue already"
        yield document.problem("E303", message, place, hint="remove it")
    fungibility = queue.get("flavorFungibility", {})
    tries = {fungibility.get(key) for key in ("whenCanBorrow", "whenCanPreempt")}
    if "preference" in fungibility and tries != {"TryNextFlavor"}:
        message = "there is a preference only where borrowing and stopping others both come last"
        hint = "write `whenCanBorrow: TryNextFlavor` and `whenCanPreempt: TryNextFlavor` beside it"
        place = (*pointer, "flavorFungibility", "preference")
        yield document.problem("Q102", message, place, hint=hint, key=True)


def _preemption(document: Document, name: str, queue: Json) -> Iterator[Problem]:
    spec, pointer = queue.get("preemption", {}), ("queues", name, "preemption")
    for key in ("reclaimWithinCohort", "borrowWithinCohort"):
        if spec.get(key, "Never") != "Never" and "cohort" not in queue:
            message = f"`{key}` is between the queues of a cohort, and this queue has none"
            hint = "add `cohort` to the queue, or remove it"
            yield document.problem("Q003", message, (*pointer, key), hint=hint, key=True)
    borrows = spec.get("borrowWithinCohort", "Never") != "Never"
    if borrows and "cohort" in queue and spec.get("reclaimWithinCohort") == "Never":
        message = "who may stop others to borrow may also take back what is its own"
        hint = "write `reclaimWithinCohort: LowerPriority` or `Any`, or remove it"
        place = (*pointer, "borrowWithinCohort")
        yield document.problem("Q102", message, place, hint=hint, key=True)
    if "maxPriorityThreshold" in spec and spec.get("borrowWithinCohort") == "Never":
        message = "nothing is stopped to borrow, so there is no highest priority for it"
        hint = "write `borrowWithinCohort: LowerPriority`, or remove it"
        place = (*pointer, "maxPriorityThreshold")
        yield document.problem("E303", message, place, hint=hint, key=True)


_LEAST_WEIGHT = 1e-9


def _weight(
    document: Document, pointer: tuple[str, str], spec: Json, around: str
) -> Iterator[Problem]:
    weight = spec.get("fairSharing", {}).get("weight")
    place = (*pointer, "fairSharing", "weight")
    if weight is None:
        return
    if around not in spec:
        what = "queue" if pointer[0] == "queues" else "cohort"
        message = f"a weight counts beside others of a cohort, and this {what} is in none"
        hint = f"add `{around}` to the {what}, or remove it"
        yield document.problem("Q003", message, (*pointer, "fairSharing"), hint=hint, key=True)
    elif 0 < weight <= _LEAST_WEIGHT:
        message = f"Kueue refuses the weight {weight}, which is not above a billionth"
        yield document.problem("Q025", message, place, hint="write 0, or for example 0.1")


def _topologies(document: Document) -> Iterator[Problem]:
    topologies = document.data.get("topologies", {})
    for name, levels in topologies.items():
        if HOSTNAME in levels[:-1]:
            message = f"`{HOSTNAME}` is a single node, so that no level can be within it"
            place = ("topologies", name, levels.index(HOSTNAME))
            yield document.problem("Q072", message, place, hint="let it be the last level")
    for name, flavor in document.data.get("flavors", {}).items():
        wanted, pointer = flavor.get("topology"), ("flavors", name, "topology")
        if wanted is None:
            continue
        if wanted not in topologies:
            hint = suggestion(wanted, topologies)
            yield document.problem("E301", f"there is no topology `{wanted}`", pointer, hint=hint)
        elif not flavor.get("nodeLabels"):
            message = "Kueue finds the nodes of a topology by labels, and this flavor has none"
            yield document.problem("Q103", message, pointer, hint="add `nodeLabels` to the flavor")


def _checks(document: Document) -> Iterator[Problem]:
    checks = document.data.get("admissionChecks", {})
    for name, spec in checks.items():
        kinds = [key for key in ("provisioning", "multiKueue") if key in spec]
        if len(kinds) != 1:
            message = "a check asks either an autoscaler or other clusters"
            hint = "keep one of `provisioning` and `multiKueue`" if kinds else _ONE_KIND
            yield document.problem("E303", message, ("admissionChecks", name), hint=hint, key=True)
        yield from _counted(document, name, spec)
        if "multiKueue" in spec and "flavors" in spec:
            message = "work goes to other clusters whatever its flavor: Kueue stops such a queue"
            place = ("admissionChecks", name, "flavors")
            yield document.problem("Q128", message, place, hint="remove it", key=True)
    for name, queue in document.data.get("queues", {}).items():
        yield from _elsewhere(document, name, queue, checks)
        for index, check in enumerate(queue.get("admissionChecks", ())):
            pointer = ("queues", name, "admissionChecks", index)
            if check not in checks:
                hint = suggestion(check, checks)
                message = f"there is no admission check `{check}`"
                yield document.problem("E301", message, pointer, hint=hint)
            else:
                yield from _on_flavors(document, pointer, checks[check], queue)


def _counted(document: Document, name: str, spec: Json) -> Iterator[Problem]:
    """Find a resource that nothing asks for: a check for it agrees to everything, unasked."""
    flavors = document.data.get("flavors", {}).values()
    known = ["cpu", "memory", *sorted({f["resource"] for f in flavors if "resource" in f})]
    for index, resource in enumerate(spec.get("provisioning", {}).get("resources", ())):
        if resource not in known:
            message = f"no flavor has the resource `{resource}`, so that nothing asks for it"
            place = ("admissionChecks", name, "provisioning", "resources", index)
            hint = suggestion(resource, known)
            yield document.problem("E301", message, place, hint=hint)


_ONE_KIND = "add `provisioning: {class: check-capacity.autoscaling.x-k8s.io}` or `multiKueue`"


def _elsewhere(document: Document, name: str, queue: Json, checks: Json) -> Iterator[Problem]:
    """Say what makes a queue inactive: MultiKueueAdmissionCheckAppliedPerFlavor and the like."""
    asked = [
        (check, key, ("queues", name, "admissionChecks", index))
        for index, check in enumerate(queue.get("admissionChecks", ()))
        for key in ("multiKueue", "provisioning")
        if key in checks.get(check, {})
    ]
    remote = next((check for check, key, _ in asked if key == "multiKueue"), None)
    for check, key, pointer in asked:
        if remote is not None and check != remote:
            hint = f"remove it, or `{remote}`"
            message = f"`{remote}` leads to other clusters already, and a queue asks once"
            if key == "provisioning":
                message = f"`{remote}` leads to other clusters, and nodes are provided there"
            yield document.problem("Q128", message, pointer, hint=hint)


def _on_flavors(
    document: Document, pointer: tuple[str | int, ...], check: Json, queue: Json
) -> Iterator[Problem]:
    strangers = [name for name in check.get("flavors", ()) if name not in queue.get("quota", {})]
    if strangers:
        name = queue["admissionChecks"][pointer[-1]]
        message = (
            f"check `{name}` is for flavor `{strangers[0]}`, of which this queue has no quota: "
            "Kueue refuses the queue"
        )
        hint = f"remove it from `admissionChecks.{name}.flavors`, or name another check here"
        yield document.problem("Q023", message, pointer, hint=hint)


def queues(data: Json, flavors: Mapping[str, Flavor]) -> dict[str, Queue]:
    """Resolve the queues."""
    return {
        name: _queue(data, name, spec, flavors) for name, spec in data.get("queues", {}).items()
    }


def _queue(data: Json, name: str, spec: Json, flavors: Mapping[str, Flavor]) -> Queue:
    covered = _covered(spec["quota"], flavors)
    return Queue(
        name=name,
        cluster_queue=f"{data['name']}-{name}",
        cohort=spec.get("cohort", ""),
        covered_resources=covered,
        flavors=_grants(spec["quota"], covered, flavors),
        namespaces=(data["namespace"], *spec.get("namespaces", ())),
        strategy=spec.get("strategy", "BestEffortFIFO"),
        stop=spec.get("stop", ""),
        preemption=_preempts(spec.get("preemption", {}), "Any" if "cohort" in spec else "Never"),
        fungibility=spec.get("flavorFungibility", {}),
        weight=_weighed(spec),
        checks=_asked(data, spec),
    )


def _preempts(spec: Json, reclaim: str) -> Preemption:
    """Add what is not said: who has lent takes back, as models have to (kueue#1603)."""
    policy, threshold = spec.get("borrowWithinCohort", "Never"), spec.get("maxPriorityThreshold")
    bound = {} if threshold is None else {"maxPriorityThreshold": threshold}
    return Preemption(
        within=spec.get("withinClusterQueue", "LowerPriority"),
        reclaim=spec.get("reclaimWithinCohort", reclaim),
        borrow={"policy": policy, **bound} if policy != "Never" else {},
    )


def _weighed(spec: Json) -> str:
    weight = spec.get("fairSharing", {}).get("weight")
    return "" if weight is None else quantities.canonical(weight)


def _asked(data: Json, spec: Json) -> list[Json]:
    """List the checks of a queue as its ClusterQueue does."""
    known = data.get("admissionChecks", {})
    return [
        {
            "name": f"{data['name']}-{name}",
            **({"onFlavors": known[name]["flavors"]} if "flavors" in known[name] else {}),
        }
        for name in spec.get("admissionChecks", ())
    ]


def cohorts(data: Json, flavors: Mapping[str, Flavor]) -> dict[str, Cohort]:
    """Resolve the cohorts."""
    return {name: _cohort(name, spec, flavors) for name, spec in data.get("cohorts", {}).items()}


def _cohort(name: str, spec: Json, flavors: Mapping[str, Flavor]) -> Cohort:
    quota = spec.get("quota", {})
    covered = _covered(quota, flavors)
    grants = _grants(quota, covered, flavors)
    return Cohort(name, spec.get("parent", ""), covered, grants, _weighed(spec))


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


def topologies(data: Json) -> dict[str, NodeTopology]:
    """Resolve the topologies."""
    return {
        name: NodeTopology(name, tuple(levels))
        for name, levels in data.get("topologies", {}).items()
    }


def checks(data: Json) -> dict[str, AdmissionCheck]:
    """Resolve the admission checks."""
    return {
        name: _check(f"{data['name']}-{name}", spec)
        for name, spec in data.get("admissionChecks", {}).items()
    }


def _check(called: str, spec: Json) -> AdmissionCheck:
    if "multiKueue" in spec:
        clusters = tuple(
            WorkerCluster(f"{called}-{name}", each["kubeconfigSecret"])
            for name, each in spec["multiKueue"].items()
        )
        return AdmissionCheck(called, "kueue.x-k8s.io/multikueue", "MultiKueueConfig", {}, clusters)
    asked = spec["provisioning"]
    chosen = {
        **({"managedResources": asked["resources"]} if "resources" in asked else {}),
        **({"parameters": asked["parameters"]} if "parameters" in asked else {}),
    }
    retries = {
        "backoffLimitCount": asked.get("retries", 3),
        "backoffBaseSeconds": asked.get("backoff", 60),
        "backoffMaxSeconds": asked.get("backoffMax", 1800),
    }
    config = {"provisioningClassName": asked["class"], **chosen, "retryStrategy": retries}
    return AdmissionCheck(
        called, "kueue.x-k8s.io/provisioning-request", "ProvisioningRequestConfig", config, ()
    )
