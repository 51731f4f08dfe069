"""All rules, and what they find: each problem with its rule's code and severity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType

from msgspec import Struct

from generator.documents import Json
from generator.inventory.records import Environment
from generator.problems import Problem
from generator.queues.outcomes import Outcome
from generator.records import Release
from generator.rules import (
    SYSTEMS,
    Book,
    EnvironmentCheck,
    EnvironmentStep,
    EnvironmentStepCheck,
    Finding,
    ModelStep,
    ModelStepCheck,
    ObjectCheck,
    ReleaseCheck,
    Rule,
    Scene,
    Spot,
    Step,
    StepCheck,
    Trait,
    lineage,
    naming,
    policy,
    traits,
    versions,
)
from generator.rules.argocd import access as argocd_access
from generator.rules.argocd import applications as argocd_objects
from generator.rules.argocd import delivery
from generator.rules.argocd import projects as argocd_projects
from generator.rules.argocd import sets as argocd_sets
from generator.rules.argocd import windows as argocd_windows
from generator.rules.autoscaling import models as autoscaling
from generator.rules.autoscaling import objects as autoscaling_objects
from generator.rules.autoscaling import triggers as scaling
from generator.rules.canary import routes as canary_routes
from generator.rules.canary import strategies as canary
from generator.rules.changes import environments as changes_environments
from generator.rules.changes import language_models as changes_llm
from generator.rules.changes import releases as changes
from generator.rules.changes import specs as changes_specs
from generator.rules.changes import training as training_changes
from generator.rules.changes import withdrawals as changes_withdrawals
from generator.rules.gpu import devices as gpu_devices
from generator.rules.gpu import flavors as gpu_flavors
from generator.rules.gpu import nodes as gpu_nodes
from generator.rules.gpu import requests as gpu
from generator.rules.graphs import models as graphs
from generator.rules.graphs import objects as kserve_graphs
from generator.rules.keda import objects as keda_objects
from generator.rules.keda import queries as keda_queries
from generator.rules.keda import targets as keda_targets
from generator.rules.keda import triggers as keda_triggers
from generator.rules.kserve import canaries as kserve_canary
from generator.rules.kserve import metadata as kserve_metadata
from generator.rules.kserve import objects as kserve_objects
from generator.rules.kueue import capacity, queueing, quota
from generator.rules.kueue import devices as kueue_devices
from generator.rules.kueue import objects as kueue_objects
from generator.rules.kueue import policies as kueue_policies
from generator.rules.kueue import queued as queued_objects
from generator.rules.kueue import resource_quotas as quota_objects
from generator.rules.kueue import workloads as kueue_workloads
from generator.rules.language_models import models as llm
from generator.rules.language_models import objects as kserve_llm
from generator.rules.monitoring import models as monitoring
from generator.rules.monitoring import objects as monitoring_objects
from generator.rules.namespace import grants as namespace
from generator.rules.namespace import network
from generator.rules.serving import artifacts as serving_artifacts
from generator.rules.serving import components
from generator.rules.serving import containers as serving_containers
from generator.rules.serving import credentials as storages
from generator.rules.serving import formats as serving
from generator.rules.serving import storage as serving_storage
from generator.rules.serving import variables as serving_variables
from generator.rules.training import jobs as training_jobs
from generator.rules.training import models as training
from generator.rules.training import workflows as training_workflows
from generator.rules.workloads import metadata as metadata_objects
from generator.rules.workloads import models as workload
from generator.rules.workloads import objects as workload_objects
from generator.rules.workloads import pods as pod_objects
from generator.rules.workloads import seldon
from generator.values.minors import within

BOOKS: tuple[Book, ...] = (
    serving.BOOK,
    serving_artifacts.BOOK,
    serving_storage.BOOK,
    serving_variables.BOOK,
    serving_containers.BOOK,
    kserve_objects.BOOK,
    kserve_metadata.BOOK,
    kserve_graphs.BOOK,
    components.BOOK,
    graphs.BOOK,
    storages.BOOK,
    kserve_llm.BOOK,
    llm.BOOK,
    workload.BOOK,
    seldon.BOOK,
    workload_objects.BOOK,
    canary.BOOK,
    canary_routes.BOOK,
    kserve_canary.BOOK,
    autoscaling.BOOK,
    scaling.BOOK,
    keda_queries.BOOK,
    keda_objects.BOOK,
    keda_triggers.BOOK,
    keda_targets.BOOK,
    autoscaling_objects.BOOK,
    gpu.BOOK,
    gpu_flavors.BOOK,
    gpu_devices.BOOK,
    gpu_nodes.BOOK,
    pod_objects.BOOK,
    quota.BOOK,
    kueue_objects.BOOK,
    kueue_policies.BOOK,
    kueue_workloads.BOOK,
    kueue_devices.BOOK,
    quota_objects.BOOK,
    queued_objects.BOOK,
    queueing.BOOK,
    namespace.BOOK,
    network.BOOK,
    capacity.BOOK,
    training.BOOK,
    training_jobs.BOOK,
    training_workflows.BOOK,
    naming.BOOK,
    delivery.BOOK,
    argocd_objects.BOOK,
    argocd_projects.BOOK,
    argocd_windows.BOOK,
    argocd_access.BOOK,
    argocd_sets.BOOK,
    lineage.BOOK,
    metadata_objects.BOOK,
    monitoring.BOOK,
    monitoring_objects.BOOK,
    policy.BOOK,
    versions.BOOK,
    changes.BOOK,
    changes_specs.BOOK,
    changes_withdrawals.BOOK,
    changes_environments.BOOK,
    training_changes.BOOK,
    changes_llm.BOOK,
)
"""The families, as the reference lists them."""

RULES: Mapping[str, Rule] = MappingProxyType(
    {rule.code: rule for book in BOOKS for rule in book.rules}
)

_Versions = tuple[str, ...]


class _Checks(Struct, frozen=True):
    """The checks that hold for one set of versions, flat, because a fleet runs them often."""

    environments: tuple[tuple[Rule, EnvironmentCheck], ...]
    steps: tuple[tuple[Rule, StepCheck], ...]
    model_steps: tuple[tuple[Rule, ModelStepCheck], ...]
    environment_steps: tuple[tuple[Rule, EnvironmentStepCheck], ...]


@lru_cache(64)
def _holding(pinned: _Versions) -> tuple[Rule, ...]:
    found = dict(zip(SYSTEMS, pinned, strict=True))
    return tuple(rule for rule in RULES.values() if _holds(rule, found))


@lru_cache(1024)
def _release_checks(
    pinned: _Versions, has: frozenset[Trait]
) -> tuple[tuple[Rule, ReleaseCheck], ...]:
    """List the checks that may have something to say of a release with these traits."""
    return tuple(
        (rule, check)
        for rule in _holding(pinned)
        for check, needed in rule.releases
        if needed <= has
    )


@lru_cache(64)
def _checks(pinned: _Versions) -> _Checks:
    holding = _holding(pinned)
    return _Checks(
        environments=tuple((rule, check) for rule in holding for check in rule.environments),
        steps=tuple((rule, check) for rule in holding for check in rule.steps),
        model_steps=tuple((rule, check) for rule in holding for check in rule.model_steps),
        environment_steps=tuple(
            (rule, check) for rule in holding for check in rule.environment_steps
        ),
    )


@lru_cache(1024)
def _object_checks(pinned: _Versions, kind: str) -> tuple[tuple[Rule, ObjectCheck], ...]:
    """List the checks of a kind of objects, which only own templates are judged by."""
    return tuple((rule, check) for rule in _holding(pinned) for check in rule.objects.get(kind, ()))


def _of(environment: Environment) -> _Checks:
    return _checks(_pinned(environment))


def _pinned(environment: Environment) -> _Versions:
    return tuple([getattr(environment, system) for system in SYSTEMS])


def _holds(rule: Rule, pinned: Mapping[str, str]) -> bool:
    return all(within(pinned[system], span) for system, span in rule.versions.items())


def of_release(release: Release) -> Iterator[Problem]:
    """Find what a cluster would make of a release."""
    for rule, check in _release_checks(_pinned(release.environment), traits(release)):
        for found in check(release):
            yield problem(rule, found)


def of_environment(environment: Environment) -> Iterator[Problem]:
    """Find what a cluster would make of an environment's own document."""
    for rule, check in _of(environment).environments:
        for found in check(environment):
            yield problem(rule, found)


def of_scene(scene: Scene) -> Iterator[tuple[Rule, Json, Spot]]:
    """Find what a cluster would make of composed objects, each with the object it is about."""
    pinned = _pinned(scene.environment)
    for item in scene.objects:
        for kind in (item["kind"], ANY_KIND):
            for rule, check in _object_checks(pinned, kind):
                yield from ((rule, item, spot) for spot in check(item, scene))


ANY_KIND = "*"
"""Stands for every kind where a rule looks at objects."""


def of_step(step: Step) -> Iterator[Problem]:
    """Find what a cluster would make of a change, by the versions that are there after it."""
    release = step.after or step.before
    assert release is not None
    for rule, check in _of(step.environment or release.environment).steps:
        for found in check(step):
            yield problem(rule, found)


_UNPINNED = ("",) * len(SYSTEMS)


def of_model_step(step: ModelStep) -> Iterator[Problem]:
    """Find what clusters would make of a change of a model, in all its environments."""
    for rule, check in _checks(_UNPINNED).model_steps:
        for found in check(step):
            yield problem(rule, found)
    for each in step.steps:
        yield from of_step(each)


def of_environment_step(step: EnvironmentStep) -> Iterator[Problem]:
    """Find what a cluster would make of a change of an environment's own document."""
    for rule, check in _of(step.after).environment_steps:
        for found in check(step):
            yield problem(rule, found)


def of_outcome(outcome: Outcome, environment: Environment) -> Problem:
    """Tell of what does not fit together."""
    return problem(capacity.rule_of(outcome), capacity.finding(outcome, environment))


_ECHOES = {"Q011": "Q060", "Q014": "Q060", "Q052": "Q069"}
"""Warnings of an environment that say of it what errors at the same place say of its models."""


def without_echoes(problems: Iterable[Problem]) -> list[Problem]:
    """Leave out the warnings whose cause an error tells at the same place."""
    found = list(problems)
    told = {(problem.code, problem.where) for problem in found}
    return [p for p in found if (_ECHOES.get(p.code), p.where) not in told]


def problem(rule: Rule, found: Finding) -> Problem:
    """Give a finding its rule's code and severity."""
    return Problem(rule.code, found.message, found.where, found.hint, rule.severity, found.about)


def is_of_changes(found: Problem) -> bool:
    """Say whether a problem is one of a change, which the tree that comes of it does not show."""
    rule = RULES.get(found.code)
    return rule is not None and rule.is_of_changes
