"""Rules of which versions go together, and which nobody has tried."""

from __future__ import annotations

from collections.abc import Iterator

from generator.inventory.records import Environment
from generator.rules import Book, Finding
from generator.rules.places import in_environment
from generator.values import minors
from generator.values.minors import Minor

BOOK = Book("versions")

BOOK.error(
    "V001",
    "Objects are checked against the schemas of the cluster's Kubernetes, and gen has none of it.",
    evidence="kubernetes/website@content/en/releases/version-skew-policy.md",
    remedy="Correct the number, or install a newer gen.",
)

BOOK.error(
    "V002",
    "A system is older than the fields that gen renders for it.",
    evidence="kserve/kserve#4701, kubernetes-sigs/kueue@CHANGELOG/CHANGELOG-0.16.md",
    remedy="Correct the number, or upgrade that system first.",
)

_NEWEST: dict[str, Minor] = {
    "kserve": (0, 21),
    "kueue": (0, 19),
    "keda": (2, 20),
    "trainer": (2, 3),
}
_OLDEST: dict[str, Minor] = {
    "kserve": (0, 16),
    "kueue": (0, 16),
    "keda": (2, 14),
    "trainer": (2, 0),
}
"""Between these, gen's schemas and rules were compared with the system's own API and code."""

_UNTRIED = BOOK.warning(
    "V003",
    "A system is newer than what gen was compared with: a field may mean something else by now.",
    evidence="kserve/kserve@RELEASES.md, kubernetes-sigs/kueue@CHANGELOG/CHANGELOG-0.19.md, "
    "kedacore/keda@CHANGELOG.md",
    remedy="Read that system's release notes for the kinds that are rendered, or update gen.",
)


@_UNTRIED.on_environment
def _newer_than_tried(environment: Environment) -> Iterator[Finding]:
    for system, newest in _NEWEST.items():
        found = getattr(environment, system)
        if found and minors.parsed(found) > newest:
            span = f"{minors.said(_OLDEST[system])} to {minors.said(newest)}"
            message = f"gen was compared with {system} {span}, and {found} is newer"
            hint = "correct the number, or read the release notes of what lies between"
            yield in_environment(environment, ("platform", system, "version"), message, hint)


_KEDAS_KUBERNETES: dict[Minor, tuple[Minor, Minor]] = {
    (2, 14): ((1, 27), (1, 29)),
    (2, 15): ((1, 28), (1, 30)),
    (2, 16): ((1, 29), (1, 31)),
    (2, 17): ((1, 30), (1, 32)),
    (2, 18): ((1, 31), (1, 33)),
    (2, 19): ((1, 32), (1, 34)),
    (2, 20): ((1, 33), (1, 35)),
    (2, 21): ((1, 34), (1, 36)),
}

_KEDA = BOOK.warning(
    "V004",
    "KEDA tests each version on three minor versions of Kubernetes, and this is none of them.",
    evidence="kedacore/keda-docs@content/docs/2.20/operate/cluster.md",
    remedy="Upgrade the one that is behind.",
)


@_KEDA.on_environment
def _keda_untested(environment: Environment) -> Iterator[Finding]:
    window = _KEDAS_KUBERNETES.get(minors.parsed(environment.keda)) if environment.keda else None
    if window and not window[0] <= minors.parsed(environment.kubernetes) <= window[1]:
        message = (
            f"KEDA {environment.keda} is tested on Kubernetes {minors.said(window[0])} to "
            f"{minors.said(window[1])}, and this is {environment.kubernetes}"
        )
        hint = "upgrade the one that is behind"
        yield in_environment(environment, ("platform", "keda", "version"), message, hint)


_KSERVE = BOOK.warning(
    "V005",
    "KServe asks for Kubernetes 1.32 or newer.",
    evidence="kserve/website@docs/admin-guide/kubernetes-deployment.md",
    remedy="Upgrade the cluster before KServe.",
    kserve=">=0.19",
    kubernetes="<1.32",
)


@_KSERVE.on_environment
def _kserve_untested(environment: Environment) -> Iterator[Finding]:
    message = (
        f"KServe {environment.kserve} asks for Kubernetes 1.32 or newer, and this is "
        f"{environment.kubernetes}"
    )
    hint = "upgrade the cluster, or correct the number"
    yield in_environment(environment, ("cluster", "kubernetes"), message, hint)


_BROKEN = BOOK.warning(
    "V006",
    "Kueue 0.16.0 keeps Argo CD from reading the cluster, so that no Application syncs.",
    evidence="kubernetes-sigs/kueue#8873",
    remedy="Install a later patch of 0.16, or 0.17.",
    kueue=">=0.16,<0.17",
)


@_BROKEN.on_environment
def _kueue_that_stops_argocd(environment: Environment) -> Iterator[Finding]:
    message = "with Kueue 0.16.0 Argo CD cannot read the cluster's API, and syncs nothing there"
    hint = "make sure that it is a later patch of 0.16, or upgrade to 0.17"
    yield in_environment(environment, ("platform", "kueue", "version"), message, hint)


_TRAINER = BOOK.error(
    "V007",
    "Kueue since 0.17 starts a TrainJob by a field that Trainer has since 2.2: before, the job "
    "holds its quota and never starts.",
    evidence="kubernetes-sigs/kueue#11931, kubernetes-sigs/kueue#14886",
    remedy="Upgrade Trainer to 2.2, or keep Kueue at 0.16 for Trainer 2.1.",
    kueue=">=0.17",
)


@_TRAINER.on_environment
def _jobs_that_never_start(environment: Environment) -> Iterator[Finding]:
    found = environment.trainer
    if found and minors.parsed(found) < (2, 2):
        pair = f"Kueue {environment.kueue} would admit TrainJobs of Trainer {found}"
        message = f"{pair} and never start them"
        hint = 'upgrade Trainer to "2.2"'
        yield in_environment(environment, ("platform", "trainer", "version"), message, hint)


_ARGOCD: tuple[Minor, Minor] = (3, 0), (3, 5)

_OTHER_ARGOCD = BOOK.warning(
    "V008",
    "Argo CD is older or newer than what gen was compared with.",
    evidence="argoproj/argo-cd@docs/operator-manual/upgrading/overview.md",
    remedy="Correct the number, or read the upgrade notes of what lies between.",
)


@_OTHER_ARGOCD.on_environment
def _argocd_untried(environment: Environment) -> Iterator[Finding]:
    found = environment.argocd.version
    if found and not _ARGOCD[0] <= minors.parsed(found) <= _ARGOCD[1]:
        span = f"{minors.said(_ARGOCD[0])} to {minors.said(_ARGOCD[1])}"
        message = f"gen was compared with Argo CD {span}, and this is {found}"
        hint = "correct the number, or read the upgrade notes of what lies between"
        yield in_environment(environment, ("argocd", "version"), message, hint)
