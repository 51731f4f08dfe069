"""What a schema passes and a cluster ignores, refuses or leaves pending.

A rule is a record with a stable code, and small functions that look for what it is about: in a
release, in an environment, in composed objects, or in a change. A book holds the rules of a family,
the catalogue all books. Adding a rule is one record, one function and its cases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import compress

from msgspec import Struct, field

from generator.documents import Document, Json
from generator.inventory.records import Environment
from generator.problems import Severity, Where
from generator.records import Release
from generator.values.identity import Same
from generator.yamlio import Pointer


class Finding(Struct, frozen=True):
    """What a rule found in the documents: why it fails there, where, and what to write instead.

    `about` is whom it hits where the place is the cause, such as a line of an environment that many
    models live in: findings that differ in nothing else are one.
    """

    message: str
    where: Where
    hint: str = ""
    about: str = ""


class Spot(Struct, frozen=True):
    """What a rule found in a composed object; the template that wrote the field is found later.

    `setting` leads to the setting of the release that the field has its value from, where it is
    not the template's.
    """

    message: str
    pointer: Pointer
    hint: str = ""
    setting: tuple[str, ...] = ()


class Scene(Struct, frozen=True):
    """Composed objects that stand together: of one release, or of an environment itself.

    `platform` are those of the environment that a release is in, empty for the environment itself.
    """

    environment: Environment
    release: Release | None
    objects: Sequence[Json]
    platform: Sequence[Json] = ()

    def of_kind(self, *kinds: str) -> Iterator[Json]:
        """Give the objects of some kinds."""
        return (item for item in self.objects if item["kind"] in kinds)

    def around(self, *kinds: str) -> Iterator[Json]:
        """Give the objects of some kinds, those of the environment among them."""
        return (item for item in (*self.objects, *self.platform) if item["kind"] in kinds)


class Step(Struct, frozen=True):
    """One model in one environment before and after a change; None where it is not live.

    `model` is its document and `environment` the environment as they are after the change, None if
    they are gone.
    """

    before: Release | None
    after: Release | None
    model: Document | None
    environment: Environment | None


class ModelStep(Struct, frozen=True):
    """A model before and after a change, with a step for each environment that is not as it was.

    The names differ if the model was renamed; then there are no steps.
    """

    before: Document
    after: Document
    steps: tuple[Step, ...] = ()


class EnvironmentStep(Struct, frozen=True):
    """An environment before and after a change; the names differ if it was renamed."""

    before: Environment
    after: Environment


ReleaseCheck = Callable[[Release], Iterator[Finding]]
EnvironmentCheck = Callable[[Environment], Iterator[Finding]]
ObjectCheck = Callable[[Json, Scene], Iterator[Spot]]
StepCheck = Callable[[Step], Iterator[Finding]]
ModelStepCheck = Callable[[ModelStep], Iterator[Finding]]
EnvironmentStepCheck = Callable[[EnvironmentStep], Iterator[Finding]]

Trait = str
"""What most releases are not, and what a rule may be about.

`several` live versions, a `gpu`, a `queue`, a `query` of PromQL to scale by, `knative`, `keda`,
`fetched` by KServe from a storage, a runtime or a protocol that is `chosen`, `variables`, an
`account`, `probes`, the name of a backend or of a fact, the scheme of an address with its colon.
Of where it lives: `environment.` and the key of a block of its document, `policy.` and what is
refused, `queue.` and what is particular about its queue.
"""


def traits(release: Release) -> frozenset[Trait]:
    """Name the traits of a release."""
    serving, variants, stable = release.serving, release.variants, release.stable
    return _traits(
        len(variants) > 1,
        release.placement is not None,
        bool(release.queue),
        stable.scaling.has_query,
        release.strategy == "knative",
        any([variant.scaling.autoscaler == "keda" for variant in variants]),
        serving.backend in _FETCHED,
        serving.is_chosen,
        any([variant.artifact.env for variant in variants]),
        bool(serving.service_account),
        serving.probes is not None,
        names=(serving.backend, *release.facts),
        schemes=tuple([variant.artifact.uri.partition(":")[0] for variant in variants]),
        around=_around(Same(release.environment), release.queue),
    )


_OWN = (
    "several",
    "gpu",
    "queue",
    "query",
    "knative",
    "keda",
    "fetched",
    "chosen",
    "variables",
    "account",
    "probes",
)
"""What a release tells of itself, in the order in which `traits` asks."""


@lru_cache(1024)
def _traits(
    *has: bool, names: tuple[str, ...], schemes: tuple[str, ...], around: frozenset[Trait]
) -> frozenset[Trait]:
    return around.union(compress(_OWN, has), names, (f"{scheme}:" for scheme in schemes))


@lru_cache(1024)
def _around(same: Same[Environment], queue: str) -> frozenset[Trait]:
    """Name what is particular about an environment and a queue of it."""
    environment = same.thing
    policy, own = environment.policy, environment.queues.get(queue)
    found = {
        "policy.pinned": policy.pinned_artifacts,
        "policy.replicas": policy.min_replicas,
        "policy.awake": not policy.scale_to_zero,
        "policy.lineage": policy.lineage,
        "queue.strict": own is not None and own.strategy == "StrictFIFO",
        "queue.stopped": own is not None and own.stop,
        "queue.checked": own is not None and own.checks,
    }
    blocks = [f"environment.{key}" for key in environment.document.data]
    return frozenset([*blocks, *compress(found, found.values())])


_FETCHED = ("kserve", "kserve-llm")


SYSTEMS = ("kubernetes", "kserve", "kueue", "keda")
"""What an environment pins the version of, as a rule names it."""


class Rule(Struct, frozen=True, eq=False):
    """One rule: what it says in one sentence, the evidence, and the way out.

    `evidence` is `owner/repo@path` or `owner/repo#issue`. `versions` maps a system to the range
    that the rule holds for, such as `<0.21`; an environment without that system never meets it.
    A rule without a function is told apart while a release is resolved, because without it there
    would be nothing to render.
    """

    code: str
    severity: Severity
    summary: str
    evidence: str
    remedy: str
    versions: dict[str, str]
    releases: list[tuple[ReleaseCheck, frozenset[Trait]]] = field(default_factory=list)
    environments: list[EnvironmentCheck] = field(default_factory=list)
    objects: dict[str, list[ObjectCheck]] = field(default_factory=dict)
    steps: list[StepCheck] = field(default_factory=list)
    model_steps: list[ModelStepCheck] = field(default_factory=list)
    environment_steps: list[EnvironmentStepCheck] = field(default_factory=list)

    def on_release(self, check: ReleaseCheck) -> ReleaseCheck:
        """Let a function look at every release."""
        self.releases.append((check, frozenset()))
        return check

    def on_release_with(self, *traits: Trait) -> Callable[[ReleaseCheck], ReleaseCheck]:
        """Let a function look at the releases that have all of these traits.

        It has nothing to say of others: a fleet is spared the calls, and a test makes them.
        """

        def attach(check: ReleaseCheck) -> ReleaseCheck:
            self.releases.append((check, frozenset(traits)))
            return check

        return attach

    def on_environment(self, check: EnvironmentCheck) -> EnvironmentCheck:
        """Let a function look at every environment."""
        self.environments.append(check)
        return check

    def on_step(self, check: StepCheck) -> StepCheck:
        """Let a function look at every model in every environment against a Git base."""
        self.steps.append(check)
        return check

    def on_model_step(self, check: ModelStepCheck) -> ModelStepCheck:
        """Let a function look at every model against a Git base, with all its environments.

        It is called whatever versions the environments pin.
        """
        self.model_steps.append(check)
        return check

    def on_environment_step(self, check: EnvironmentStepCheck) -> EnvironmentStepCheck:
        """Let a function look at every environment against a Git base."""
        self.environment_steps.append(check)
        return check

    def on_objects(self, *kinds: str) -> Callable[[ObjectCheck], ObjectCheck]:
        """Let a function look at the composed objects of these kinds.

        It is called only where own templates could have written them: what the built-in ones write
        is right by construction, which a test shows.
        """

        def attach(check: ObjectCheck) -> ObjectCheck:
            for kind in kinds:
                self.objects.setdefault(kind, []).append(check)
            return check

        return attach

    @property
    def may_be_silenced(self) -> bool:
        """Say whether a model may be an exception; what cannot be rendered never is one."""
        return bool(self.releases or self.objects or self.steps or self.model_steps)

    @property
    def is_of_changes(self) -> bool:
        """Say whether only a change can break the rule, so that one tree alone tells nothing."""
        changes = self.steps or self.model_steps or self.environment_steps
        return bool(changes) and not (self.releases or self.environments or self.objects)


class Book:
    """The rules of one family, in the order in which they are written."""

    def __init__(self, family: str) -> None:
        self.family = family
        self.rules: list[Rule] = []

    def error(
        self, code: str, summary: str, *, evidence: str, remedy: str, **versions: str
    ) -> Rule:
        """Enter a rule that refuses the run."""
        return self._enter(Severity.ERROR, code, summary, evidence, remedy, versions)

    def warning(
        self, code: str, summary: str, *, evidence: str, remedy: str, **versions: str
    ) -> Rule:
        """Enter a rule that is reported and lets the run pass."""
        return self._enter(Severity.WARNING, code, summary, evidence, remedy, versions)

    def _enter(
        self,
        severity: Severity,
        code: str,
        summary: str,
        evidence: str,
        remedy: str,
        versions: dict[str, str],
    ) -> Rule:
        rule = Rule(code, severity, summary, evidence, remedy, versions)
        self.rules.append(rule)
        return rule
