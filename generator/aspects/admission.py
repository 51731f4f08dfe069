"""Who else uses a queue, and who else has to agree before Kueue admits: autoscalers, clusters.

Sources: kubernetes-sigs/kueue@site/content/en/docs/concepts/admission_check/_index.md,
kubernetes-sigs/kueue@site/content/en/docs/concepts/multikueue.md. Neither is part of the
arithmetic of capacity: what a check decides, only its controller knows.
"""

from __future__ import annotations

from collections.abc import Iterator

from generator.aspects.contract import Aspect, Kind, Piece
from generator.inventory.queueing import AdmissionCheck
from generator.inventory.records import Environment

_GROUP = "kueue.x-k8s.io"


class OtherNamespaces(Aspect):
    """A LocalQueue in every other namespace that uses a queue of the environment."""

    name = "queues"

    def platform(self, environment: Environment) -> Iterator[Piece]:
        """List the LocalQueues; that of the environment's own namespace is always there."""
        for queue in environment.queues.values():
            for namespace in queue.namespaces[1:]:
                context = {"queue": queue, "queue_namespace": namespace}
                name = f"local-queue-{queue.name}-in-{namespace}.yaml"
                yield Piece(name, _template("local-queue"), context)

    def platform_namespaces(self, environment: Environment) -> tuple[str, ...]:
        """List these namespaces."""
        queues = environment.queues.values()
        return tuple(dict.fromkeys(name for queue in queues for name in queue.namespaces[1:]))


class Checks(Aspect):
    """An AdmissionCheck per entry of `admissionChecks`, with the object that configures it."""

    name = "admissionChecks"

    def platform(self, environment: Environment) -> Iterator[Piece]:
        """List checks, what configures them, and the clusters that they lead to."""
        for name, check in environment.checks.items():
            context = {"admission_check": check}
            config = _CONFIGURED_BY[check.parameters]
            yield Piece(f"admission-check-{name}.yaml", _template("admission-check"), context)
            yield Piece(f"{config}-{name}.yaml", _template(config), context)
            for cluster in check.clusters:
                own = cluster.called.removeprefix(f"{check.called}-")
                file = f"multi-kueue-cluster-{name}-{own}.yaml"
                yield Piece(file, _template("multi-kueue-cluster"), {"worker_cluster": cluster})

    def cluster_kinds(self, environment: Environment) -> tuple[Kind, ...]:
        """List the kinds that the checks of an environment are made of."""
        found = dict.fromkeys(k for check in environment.checks.values() for k in _kinds(check))
        return tuple(Kind(_GROUP, kind) for kind in found)


_CONFIGURED_BY = {
    "ProvisioningRequestConfig": "provisioning-request-config",
    "MultiKueueConfig": "multi-kueue-config",
}


def _template(kind: str) -> str:
    return f"platform/{kind}.yaml.j2"


def _kinds(check: AdmissionCheck) -> tuple[str, ...]:
    remote = ("MultiKueueCluster",) if check.clusters else ()
    return ("AdmissionCheck", check.parameters, *remote)
