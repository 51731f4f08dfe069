"""Who may do what in a namespace by hand: Roles of the least that is needed.

What is deployed is what Git says, so that nobody may create or change a model here. Nobody may read
a Secret, and nobody may `exec`, which shows them just as well
(kubernetes/website@content/en/docs/concepts/security/rbac-good-practices.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from msgspec import Struct

from generator.aspects.contract import Aspect, Kind, Piece
from generator.documents import Document, Json
from generator.inventory.records import Environment
from generator.problems import Problem

_SEE = ["get", "list", "watch"]

_ALWAYS = {
    "": (
        "configmaps",
        "endpoints",
        "events",
        "limitranges",
        "persistentvolumeclaims",
        "pods",
        "pods/log",
        "pods/status",
        "resourcequotas",
        "serviceaccounts",
        "services",
    ),
    "apps": ("deployments", "replicasets", "statefulsets"),
    "autoscaling": ("horizontalpodautoscalers",),
    "batch": ("cronjobs", "jobs"),
    "discovery.k8s.io": ("endpointslices",),
    "events.k8s.io": ("events",),
    "networking.k8s.io": ("networkpolicies",),
    "policy": ("poddisruptionbudgets",),
    "serving.kserve.io": (
        "inferencegraphs",
        "inferenceservices",
        "llminferenceserviceconfigs",
        "llminferenceservices",
        "servingruntimes",
    ),
}
_INSTALLED: dict[str, dict[str, tuple[str, ...]]] = {
    "kueue": {"kueue.x-k8s.io": ("localqueues", "workloads")},
    "keda": {"keda.sh": ("scaledjobs", "scaledobjects", "triggerauthentications")},
    "trainer": {"trainer.kubeflow.org": ("trainingruntimes", "trainjobs")},
    "externalSecrets": {"external-secrets.io": ("externalsecrets",)},
    "prometheus": {"monitoring.coreos.com": ("podmonitors", "prometheusrules", "servicemonitors")},
}
_KNATIVE = {"serving.knative.dev": ("configurations", "revisions", "routes", "services")}
_GATEWAY = {"gateway.networking.k8s.io": ("httproutes",)}

_EVERYBODY = ("system:authenticated", "system:unauthenticated", "system:anonymous")


class Grant(Struct, frozen=True):
    """What one role may, and who has it."""

    name: str
    rules: list[Json]
    subjects: list[Json]


class Access(Aspect):
    """A Role and a RoleBinding for each kind of people."""

    name = "access"

    def environment_problems(self, environment: Environment) -> Iterator[Problem]:
        """Refuse to let everybody in."""
        for role, names in environment.document.data.get("access", {}).items():
            for index, name in enumerate(names):
                if name.removeprefix("group:").removeprefix("user:") in _EVERYBODY:
                    message = f"`{name}` is everybody who reaches the API server"
                    hint = "name a group of people"
                    pointer = ("access", role, index)
                    yield environment.document.problem("Q108", message, pointer, hint=hint)

    def platform(self, environment: Environment) -> Iterator[Piece]:
        """List roles and bindings."""
        for grant in grants(environment.document):
            for kind in ("role", "role-binding"):
                file = f"{kind}-{grant.name}.yaml"
                yield Piece(file, f"platform/{kind}.yaml.j2", {"role": grant})

    def platform_kinds(self, environment: Environment) -> tuple[Kind, ...]:
        """List Role and RoleBinding."""
        if not grants(environment.document):
            return ()
        group = "rbac.authorization.k8s.io"
        return (Kind(group, "Role"), Kind(group, "RoleBinding"))


@lru_cache(256)
def grants(document: Document) -> tuple[Grant, ...]:
    """Resolve who may what; nothing if nobody may anything."""
    said = document.data.get("access", {})
    rules = {"viewers": _seen(document.data), "deployers": [*_seen(document.data), *_HANDS_ON]}
    return tuple(
        Grant(f"model-{role}", rules[role], [_subject(name) for name in names])
        for role, names in said.items()
    )


_HANDS_ON: list[Json] = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["delete"]},
    {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["create"]},
]


def _seen(data: Json) -> list[Json]:
    platform = data["platform"]
    found: dict[str, tuple[str, ...]] = dict(_ALWAYS)
    for system, resources in _INSTALLED.items():
        found |= resources if system in platform else {}
    found |= _GATEWAY if "gateway" in platform["kserve"] else {}
    found |= _KNATIVE if platform["kserve"]["mode"] == "Knative" else {}
    return [
        {"apiGroups": [group], "resources": list(found[group]), "verbs": _SEE}
        for group in sorted(found)
    ]


def _subject(name: str) -> Json:
    kind, _, rest = name.partition(":")
    if kind == "serviceAccount":
        namespace, _, account = rest.partition("/")
        return {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    is_user = kind == "user" and bool(rest)
    called = rest if is_user else name.removeprefix("group:")
    wanted = "User" if is_user else "Group"
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": wanted, "name": called}
