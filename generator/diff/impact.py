"""What a change does to a cluster, in sentences: versions, traffic, replicas, GPUs, cost, Pods.

Sources: kserve/kserve@pkg/controller/v1beta1/inferenceservice (what reaches a Pod template),
argoproj/argo-cd@gitops-engine/pkg/sync/sync_context.go (what is deleted before what is applied).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from msgspec import Struct

from generator.diff import runs
from generator.diff.comparison import ABSENT, FieldChange, Item, ObjectChange, Path, Verb
from generator.diff.runs import Runs
from generator.documents import Json
from generator.inventory.records import Flavor, Queue
from generator.problems import Problem
from generator.queues import demand
from generator.queues.demand import HOURS_A_MONTH, Demand
from generator.records import NAMED, PRUNED, Release, Strategy
from generator.serving.predictors import BESIDE_THE_PODS, named


class Live(NamedTuple):
    """One version that runs: its role, share of the requests, place in the spec, and replicas.

    `header` leads requests to it, as `name: value`; `mirrored` is the percentage of copies.
    """

    version: str
    role: str
    traffic: int
    order: int
    minimum: int
    maximum: int
    header: str = ""
    mirrored: int = 0


class Span(Struct, frozen=True):
    """An amount at the minimum and at the maximum of replicas."""

    minimum: float
    maximum: float

    def __add__(self, other: Span) -> Span:
        return Span(self.minimum + other.minimum, self.maximum + other.maximum)

    def __sub__(self, other: Span) -> Span:
        return Span(self.minimum - other.minimum, self.maximum - other.maximum)

    def __bool__(self) -> bool:
        return bool(self.minimum or self.maximum)

    def times(self, factor: float) -> Span:
        """Multiply both ends."""
        return Span(round(self.minimum * factor, 2), round(self.maximum * factor, 2))


NOTHING = Span(0, 0)


@dataclasses.dataclass(frozen=True, slots=True)
class Pool:
    """Where accelerators come from: a flavor, the queue that grants it, and how many it has.

    A pool stays the same one when its quota changes.
    """

    flavor: str
    queue: str
    quota: str = dataclasses.field(compare=False)


class Use(Struct, frozen=True):
    """Accelerators out of one pool; `price` is for one and an hour."""

    pool: Pool
    gpus: Span
    price: float


class State(Struct, frozen=True):
    """What a release comes to, small enough to keep two of each of a fleet."""

    strategy: Strategy
    live: tuple[Live, ...]
    uses: tuple[Use, ...]
    runs: Runs = runs.NONE

    def role(self, role: str) -> Live | None:
        """Find the version that is stable, canary, standby or shadow."""
        return next((live for live in self.live if live.role == role), None)

    def version(self, version: str) -> Live | None:
        """Find a version, whatever its role."""
        return next((live for live in self.live if live.version == version), None)

    @property
    def stable(self) -> Live:
        """The version that the spec calls `version`."""
        return self.live[0]

    @property
    def replicas(self) -> Span:
        """The replicas of all versions together."""
        return Span(sum(v.minimum for v in self.live), sum(v.maximum for v in self.live))

    @property
    def gpus(self) -> Span:
        """The accelerators of all versions together."""
        return sum((use.gpus for use in self.uses), NOTHING)

    @property
    def cost(self) -> Span:
        """What the accelerators cost in a month."""
        costs = (use.gpus.times(use.price * HOURS_A_MONTH) for use in self.uses)
        return sum(costs, NOTHING)


def state(release: Release) -> State:
    """Keep of a release what a change is told by."""
    uses = (_use(release, asked) for asked in demand.all_of(release) if asked.flavor)
    return State(release.strategy, tuple(_live(release)), tuple(uses), runs.of(release))


def _use(release: Release, asked: Demand) -> Use:
    environment = release.environment
    flavor = environment.flavors[asked.flavor]
    least = sum(pods.accelerators * pods.minimum for pods in asked.pods)
    most = sum(pods.accelerators * pods.maximum for pods in asked.pods)
    quota = _quota(environment.queues.get(release.queue), flavor)
    return Use(Pool(flavor.name, release.queue, quota), Span(least, most), flavor.price_per_hour)


def _live(release: Release) -> Iterator[Live]:
    for variant in release.variants:
        scaling = variant.scaling
        yield Live(
            variant.artifact.version,
            variant.role,
            variant.traffic,
            variant.order,
            scaling.minimum,
            scaling.maximum,
            f"{variant.header.name}: {variant.header.value}" if variant.header else "",
            variant.mirrored,
        )


def _quota(queue: Queue | None, flavor: Flavor | None) -> str:
    """Say how many accelerators of a flavor a queue has; empty if nobody counts them."""
    if queue is None or flavor is None:
        return ""
    granted = (grant for grant in queue.flavors if grant["name"] == flavor.name)
    amounts = (r for grant in granted for r in grant["resources"] if r["name"] == flavor.resource)
    return next((str(amount["nominalQuota"]) for amount in amounts), "")


class SubjectChange(Struct, frozen=True):
    """A model in one environment, or an environment itself (`model` is empty), that differs.

    `before` and `after` are None where it is not live, and for an environment. With `cascade`, Argo
    CD deletes what it made of a model that is gone.
    """

    environment: str
    model: str
    before: State | None
    after: State | None
    objects: tuple[ObjectChange, ...]
    cascade: bool = False

    @property
    def verb(self) -> Verb:
        """Say whether the model is new here, another, or gone."""
        if self.after is None and self.before is not None:
            return "delete"
        return "create" if self.before is None and self.after is not None else "update"


class EnvironmentChange(Struct, frozen=True):
    """Everything that differs in one environment: first the environment itself, then models."""

    name: str
    verb: Verb
    subjects: tuple[SubjectChange, ...]


class TreeChange(Struct, frozen=True):
    """What differs between two trees, and what of either could not be compared.

    A change is blind if nothing of the earlier tree can be made out. `withdrawn` says in sentences
    which versions may be live nowhere from now on, or may again.
    """

    environments: tuple[EnvironmentChange, ...]
    problems: tuple[Problem, ...] = ()
    problems_before: tuple[Problem, ...] = ()
    is_blind: bool = False
    withdrawn: tuple[str, ...] = ()


# Versions


def versions(before: State | None, after: State | None) -> str:
    """Say which versions come, go and change their roles; empty if none does."""
    if before is None and after is None:
        return ""
    if before is None:
        return f"new: {_all_live(after)}"
    if after is None:
        return f"removed: {_all_live(before)}"
    told = [*_stable(before, after), *_canary(before, after)]
    told += [*_standby(before, after), *_shadow(before, after)]
    if before.strategy != after.strategy:
        told.append(f"strategy `{before.strategy}` -> `{after.strategy}`")
    return ", ".join(told)


def _all_live(state: State | None) -> str:
    return ", ".join(map(_in_its_role, state.live)) if state else ""


def _in_its_role(live: Live) -> str:
    if live.role == "canary":
        return f"{live.version} at {live.traffic} %{_with(live.header)}"
    if live.role == "shadow":
        return f"{live.version} as shadow{_of(live.mirrored)}"
    return f"{live.version} on standby" if live.role == "standby" else live.version


def _with(header: str) -> str:
    return f" and by `{header}`" if header else ""


def _of(mirrored: int) -> str:
    return f" of {mirrored} %" if mirrored < 100 else ""


def _stable(before: State, after: State) -> Iterator[str]:
    old, new = before.stable, after.stable
    if old.version == new.version:
        return
    former = before.version(new.version)
    yield f"{old.version} -> {new.version}{_manner(old, new, former)}"
    left = after.version(old.version)
    if left is not None and left.role == "standby":
        yield f"{old.version} on standby"


def _manner(old: Live, new: Live, former: Live | None) -> str:
    if former is not None and former.role == "canary":
        return f" promoted from {former.traffic} %"
    if new.order < old.order:
        return " rolled back"
    return f" promoted from {former.role}" if former is not None else ""


def _canary(before: State, after: State) -> Iterator[str]:
    old, new = before.role("canary"), after.role("canary")
    if old is not None and after.version(old.version) is None:
        yield f"canary {old.version} ended"
    if new is None:
        return
    if old is None or old.version != new.version:
        yield f"{after.stable.version} -> {new.version} at {new.traffic} %{_with(new.header)}"
        return
    if old.traffic != new.traffic:
        yield f"canary {new.version} {old.traffic} % -> {new.traffic} %"
    if old.header != new.header:
        told = f"by `{new.header}` too" if new.header else "by no header any more"
        yield f"canary {new.version} {told}"


def _standby(before: State, after: State) -> Iterator[str]:
    old, new = before.role("standby"), after.role("standby")
    if old is not None and after.version(old.version) is None:
        yield f"standby {old.version} ended"
    known = {old.version if old else "", before.stable.version}
    if new is not None and new.version not in known:
        yield f"{new.version} on standby"


def _shadow(before: State, after: State) -> Iterator[str]:
    old, new = before.role("shadow"), after.role("shadow")
    if old is not None and after.version(old.version) is None:
        yield f"shadow {old.version} ended"
    if new is not None and (old is None or old.version != new.version):
        yield _in_its_role(new)
    elif old is not None and new is not None and old.mirrored != new.mirrored:
        yield f"shadow {new.version} of {old.mirrored} % -> {new.mirrored} %"


# Traffic, replicas, GPUs, cost


def traffic(before: State | None, after: State | None) -> str:
    """Say whose share of the requests changes; empty if nobody's does."""
    if before is None or after is None:
        return ""
    old, new = _shares(before), _shares(after)
    changed = (v for v in {**old, **new} if old.get(v, 0) != new.get(v, 0))
    return ", ".join(f"{v} {old.get(v, 0)} % -> {new.get(v, 0)} %" for v in changed)


def _shares(state: State) -> dict[str, int]:
    return {live.version: live.traffic for live in state.live}


def replicas(before: State | None, after: State | None) -> str:
    """Say how many replicas all versions have together; empty if as many as before."""
    old, new = (state.replicas if state else NOTHING for state in (before, after))
    if old == new:
        return ""
    if before is None or after is None:
        return _range(old if after is None else new)
    return f"{_range(old)} -> {_range(new)}"


def _range(span: Span) -> str:
    return f"{span.minimum}..{span.maximum}"


def used(state: State | None) -> dict[Pool, Span]:
    """Say how many accelerators a release takes from which pool."""
    return {use.pool: use.gpus for use in state.uses if use.gpus} if state is not None else {}


def gpus(before: State | None, after: State | None) -> dict[Pool, Span]:
    """Say how many accelerators more or less are taken from which pool."""
    old, new = used(before), used(after)
    changes = {pool: new.get(pool, NOTHING) - old.get(pool, NOTHING) for pool in {**new, **old}}
    return {pool: change for pool, change in changes.items() if change}


def cost(before: State | None, after: State | None) -> Span:
    """Say how much more or less a month costs."""
    old, new = (state.cost if state else NOTHING for state in (before, after))
    return new - old


def gpus_told(changes: dict[Pool, Span]) -> str:
    """Write accelerators as in `+2 of 8 a100-80gb in queue serving`."""
    return ", ".join(_pool_told(pool, change) for pool, change in changes.items())


def _pool_told(pool: Pool, change: Span) -> str:
    of = f" of {pool.quota}" if pool.quota else ""
    where = f" in queue {pool.queue}" if pool.queue else ""
    return f"{signed(change)}{of} {pool.flavor}{where}"


def signed(change: Span) -> str:
    """Write what comes on top: at the minimum of replicas, and at the maximum if that differs."""
    least, most = map(_signed, (change.minimum, change.maximum))
    return least if least == most else f"{least} (at most {most})"


def _signed(value: float) -> str:
    told = f"{value:+,.0f}" if abs(value) >= 10 or value == int(value) else f"{value:+,.2f}"
    return told if value else "0"


# Pods


class Restart(NamedTuple):
    """A workload whose Pods are replaced, and the fields that do it."""

    workload: str
    fields: tuple[Path, ...]


class Pods(NamedTuple):
    """What happens to Pods: workloads that start, that end, and whose Pods are replaced."""

    starts: tuple[str, ...]
    ends: tuple[str, ...]
    restarts: tuple[Restart, ...]


def pods(before: State | None, after: State | None, objects: Iterable[ObjectChange]) -> Pods:
    """Say what happens to the Pods of a release, from the objects that differ."""
    changes = list(objects)
    workloads = [change for change in changes if change.identity.kind in _WORKLOADS]
    restarts = [*_restarts(changes, _moves)]
    apart = [change for change in workloads if named(change.before) and named(change.after)]
    if not _is_new_revision(before, after):
        whole = (change for change in workloads if change not in apart)
        restarts += _restarts(whole, _reaches_pods)
    restarts += [restart for change in apart for restart in _restarts_apart(change)]
    starts = (*_names(workloads, "create"), *_more(apart, after=True), *_within(changes, "create"))
    ends = (*_names(workloads, "delete"), *_more(apart, after=False), *_within(changes, "delete"))
    return Pods(starts, ends, tuple(restarts))


_COMPONENTS = ("transformer", "explainer")
"""What runs in Pods of its own beside the predictor of an InferenceService."""


def _within(changes: Iterable[ObjectChange], verb: str) -> Iterator[str]:
    """Name what has Pods of its own and comes or goes while its object stays."""
    for change in changes:
        for field in change.fields:
            name = _part(change.identity.kind, field)
            if name and field.verb == verb:
                yield f"{change.identity.name}-{name}"


def _part(kind: str, field: FieldChange) -> str:
    """Name the transformer, explainer or predictor of Seldon's that a field is as a whole."""
    step = field.path[-1] if field.path else ""
    if kind == "InferenceService" and _is_component(field):
        return str(step)
    is_predictor = kind == "SeldonDeployment" and field.path[:-1] == ("spec", "predictors")
    return step.name if is_predictor and isinstance(step, Item) else ""


def _is_component(field: FieldChange) -> bool:
    return len(field.path) == 2 and field.path[1] in _COMPONENTS


def _more(apart: Iterable[ObjectChange], *, after: bool) -> Iterator[str]:
    """Name the predictors that only one side has."""
    for change in apart:
        sides = named(change.before), named(change.after)
        here, there = (sides[1], sides[0]) if after else sides
        yield from (f"{change.identity.name}-{name}" for name in here if name not in there)


def _restarts_apart(change: ObjectChange) -> Iterator[Restart]:
    """Compare the predictors of a name, whichever is stable."""
    before, after = named(change.before), named(change.after)
    for name in sorted(before.keys() & after.keys()):
        old, new = before[name], after[name]
        keys = (key for key in {**old, **new} if old.get(key) != new.get(key))
        fields = tuple(("spec", "predictor", key) for key in keys)
        if fields:
            yield Restart(f"{change.identity.name}-{name}", fields)


_WORKLOADS = frozenset(
    (
        "InferenceService",
        "LLMInferenceService",
        "InferenceGraph",
        "SeldonDeployment",
        "Deployment",
        "StatefulSet",
        "DaemonSet",
    )
)


def _names(workloads: Sequence[ObjectChange], verb: str) -> tuple[str, ...]:
    return tuple(change.identity.name for change in workloads if change.verb == verb)


def _is_new_revision(before: State | None, after: State | None) -> bool:
    """Say whether Knative starts a canary beside the version that its service described before."""
    if before is None or after is None or after.strategy != "knative":
        return False
    described = before.role("canary") or before.stable
    return described.version == after.stable.version and after.role("canary") is not None


def _restarts(
    changes: Iterable[ObjectChange], is_cause: Callable[[ObjectChange, FieldChange], bool]
) -> Iterator[Restart]:
    for change in changes:
        found: dict[str, list[Path]] = {}
        for field in change.fields:
            if is_cause(change, field):
                found.setdefault(_workload_of(change, field), []).append(field.path)
        yield from (Restart(workload, tuple(paths)) for workload, paths in found.items())


def _workload_of(change: ObjectChange, field: FieldChange) -> str:
    """Name the workload that a field is of: a transformer restarts without its predictor."""
    name, path = change.identity.name, field.path
    is_beside = change.identity.kind == "InferenceService" and path[:1] == ("spec",)
    return f"{name}-{path[1]}" if is_beside and path[1] in _COMPONENTS else name


def _moves(change: ObjectChange, field: FieldChange) -> bool:
    """Say whether everything of a model starts anew in another cluster or namespace."""
    is_destination = field.path[:2] == ("spec", "destination")
    return is_destination and change.identity.kind == "Application"


def _reaches_pods(change: ObjectChange, field: FieldChange) -> bool:
    if change.identity.kind == "InferenceService":
        return _reaches_predictor(change.after or {}, field)
    if change.identity.kind == "InferenceGraph":  # the whole spec is an argument of its router
        return field.path[0] == "spec" or bool(_keys(field, "labels"))
    if change.identity.kind == "LLMInferenceService" and _reaches_model(field):
        return True
    if change.identity.kind == "SeldonDeployment":
        return _reaches_deployments(field)
    return field.path[:2] == ("spec", "template") or any(
        key.startswith("kueue.x-k8s.io/") for key in _keys(field, "labels")
    )


_BESIDE_THE_ORCHESTRATOR = frozenset(("traffic", "replicas"))
"""Fields of a predictor that no Pod shows: the orchestrator beside the model has all others as a
variable (SeldonIO/seldon-core@operator/controllers/seldondeployment_engine.go)."""


def _reaches_deployments(field: FieldChange) -> bool:
    """Say whether a predictor that stays gets other Pods: its share is no reason, its HPA is."""
    if field.path[1:2] == ("predictors",):
        return field.path[3:4] != () and field.path[3] not in _BESIDE_THE_ORCHESTRATOR
    return field.path[:2] == ("spec", "protocol")


_BESIDE_THE_MODEL = frozenset(("replicas", "scaling", "router"))
"""Fields of an LLMInferenceService that no Pod shows, of prefill too
(kserve/kserve@pkg/controller/v1alpha2/llmisvc/workload_single_node.go)."""


def _reaches_model(field: FieldChange) -> bool:
    steps = field.path[1:]
    inner = steps[1:] if steps[:1] == ("prefill",) and len(steps) > 1 else steps
    return field.path[0] == "spec" and inner[:1] != () and inner[0] not in _BESIDE_THE_MODEL


_BESIDE_THE_REVISION = frozenset(("canaryTrafficPercent",))
"""Knative has the bounds of a scaler in the annotations of a revision, so that one more replica is
another revision (kserve/kserve@pkg/controller/v1beta1/inferenceservice/reconcilers/knative)."""

_NOT_COPIED = frozenset(
    (
        "autoscaling.knative.dev/min-scale",
        "autoscaling.knative.dev/max-scale",
        "internal.serving.kserve.io/storage-initializer-sourceuri",
        "kubectl.kubernetes.io/last-applied-configuration",
        "modelFormat",
        "networking.knative.dev/visibility",
    )
)
"""Labels and annotations that KServe keeps from the Pods, unless its ConfigMap says otherwise
(kserve/kserve@pkg/constants/constants.go)."""


def _reaches_predictor(service: Json, field: FieldChange) -> bool:
    if field.path[0] == "metadata":
        keys = (*_keys(field, "labels"), *_keys(field, "annotations"))
        return any(key not in _NOT_COPIED for key in keys)
    annotations = (service.get("metadata") or {}).get("annotations") or {}
    is_knative = annotations.get("serving.kserve.io/deploymentMode") == "Knative"
    beside = _BESIDE_THE_REVISION if is_knative else BESIDE_THE_PODS
    if _is_component(field):
        return False
    return field.path[0] == "spec" and not (len(field.path) > 2 and field.path[2] in beside)


def _keys(field: FieldChange, block: str) -> tuple[str, ...]:
    """Name the labels or annotations that a change is about: one, or all if the map is new."""
    if field.path[:2] != ("metadata", block):
        return ()
    if len(field.path) > 2:
        return (str(field.path[2]),)
    maps = (side for side in (field.before, field.after) if side is not ABSENT)
    return tuple(key for each in maps for key in each or ())


# What deserves a second look


def trained(before: State | None, after: State | None) -> Iterator[str]:
    """Say which runs of the model's training start and stop."""
    old, new = (state.runs if state else runs.NONE for state in (before, after))
    yield from runs.told(old, new)


def warnings(before: State | None, after: State | None) -> Iterator[str]:
    """Say what takes requests down with it, although each object is right."""
    if before is None or after is None or before.strategy != after.strategy:
        return
    if after.strategy not in NAMED:
        return
    gone = [v for v in before.live if v.traffic and after.version(v.version) is None]
    for live in gone:
        if before.version(after.stable.version) is None:
            yield (
                f"{live.version} ends before {after.stable.version} has started, and nobody "
                f"serves until it has loaded: make {after.stable.version} a canary first"
            )
        elif after.strategy in PRUNED:
            yield (
                f"{live.version} ends while it takes {live.traffic} % of the requests: keep it "
                "as `standby`, and remove it in a later commit"
            )
