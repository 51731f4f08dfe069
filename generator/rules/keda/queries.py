"""Rules of the PromQL that KEDA scales on, in `scaling.query` and in triggers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

from generator import promql
from generator.documents import Json
from generator.problems import Where
from generator.records import Release
from generator.rules import Book, Finding, Rule, Scene, Spot
from generator.rules.fields import at
from generator.rules.places import of_setting, own_scaling
from generator.settings import SCALED_APART
from generator.values.identity import Same

BOOK = Book("autoscaling")

_KEY, _TRIGGERS = ("scaling", "query"), ("scaling", "triggers")
_Judge = Callable[[str, Json], tuple[str, str] | None]
"""Takes a query and what stands beside it in the trigger; gives what is wrong, and the remedy."""


def _written(release: Release) -> list[tuple[str, Where]]:
    """List the queries that people wrote for a release, with their places."""
    return _all_written(Same(release))


@lru_cache(8)  # rules ask for them one after the other
def _all_written(same: Same[Release]) -> list[tuple[str, Where]]:
    return list(_found(same.thing))


def _found(release: Release) -> Iterator[tuple[str, Where]]:
    shared = any(layer.has(_KEY) for layer in release.layers)
    for variant in release.variants:
        own = own_scaling(release, variant, "query")
        if variant.scaling.query and own:
            yield variant.scaling.query, release.document.where(*release.pointer, *own)
        elif variant.scaling.query and shared and variant is release.stable:
            yield variant.scaling.query, of_setting(release, *_KEY)
    yield from _of_triggers(release)


def _of_triggers(release: Release) -> Iterator[tuple[str, Where]]:
    """Give the queries of the triggers that a spec lists, which are of one layer."""
    layer = next((each for each in reversed(release.layers) if each.has(_TRIGGERS)), None)
    if layer is None or layer.document is None or release.stable.scaling.autoscaler != "keda":
        return
    for index, trigger in enumerate(layer.data["scaling"]["triggers"]):
        if "prometheus" in trigger:
            pointer = (*layer.prefix, *_TRIGGERS, index, "prometheus", "query")
            yield trigger["prometheus"]["query"], layer.document.where(*pointer)


def _in_triggers(item: Json) -> Iterator[tuple[str, tuple[str | int, ...], Json]]:
    """Give the queries of Prometheus triggers, with the ways to them."""
    for index, trigger in enumerate(at(item, "spec", "triggers") or ()):
        text = at(trigger, "metadata", "query")
        if trigger.get("type") == "prometheus" and isinstance(text, str):
            yield text, ("spec", "triggers", index, "metadata", "query"), trigger["metadata"]


_SHARED = BOOK.warning(
    "A020",
    "Versions that scale on one query scale on the requests of all of them together.",
    evidence="kserve/website@docs/model-serving/generative-inference/llmisvc",
    remedy="Give the canary a `scaling.query` of its own that selects its Pods, and the stable "
    "version one that selects its own; or use the built-in query.",
)


@_SHARED.on_release_with("several", "query")
def _shared_trigger(release: Release) -> Iterator[Finding]:
    """A version has no triggers of its own, so that all of them have each one."""
    others = [v.artifact.version for v in release.variants[1:] if v.scaling.autoscaler == "keda"]
    for query, where in _of_triggers(release) if others else ():
        message = (
            f"{release.stable.artifact.version} and {' and '.join(others)} scale on the same "
            "trigger, so that each gets replicas for the requests of all"
        )
        hint = "use `metric`, whose built-in query selects the Pods of each version"
        if not promql.flaw(query):
            yield Finding(message, where, f"{hint}; or silence A020")


@_SHARED.on_release_with("several", "query")
def _shared_query(release: Release) -> Iterator[Finding]:
    if len(release.variants) == 1 or not release.stable.scaling.query:
        return
    query = release.stable.scaling.query
    others = [v for v in release.variants[1:] if v.scaling.query == query]
    if others and any(layer.has(_KEY) for layer in release.layers):
        names = " and ".join(variant.artifact.version for variant in others)
        message = (
            f"{release.stable.artifact.version} and {names} scale on the same query, so that each "
            "gets replicas for the requests of all"
        )
        hint = "remove `query` for the built-in one, which selects the Pods of each version"
        if others[0].role in SCALED_APART:
            hint += f', or give the {others[0].role} its own with `pod=~"{others[0].workload}-.*"`'
        yield Finding(message, of_setting(release, *_KEY), hint)


_FLAW = BOOK.error(
    "A021",
    "Prometheus refuses the query, or KEDA cannot read what it gives.",
    evidence="kedacore/keda@pkg/scalers/prometheus_scaler.go, prometheus/prometheus@promql/parser",
    remedy="Try the query in Prometheus: as an instant query it gives one number.",
)

_SEVERAL = BOOK.error(
    "A022",
    "KEDA refuses a query that gives more than one series, and then nothing scales.",
    evidence="kedacore/keda@pkg/scalers/prometheus_scaler.go",
    remedy="Aggregate everything: `sum(...)` without `by`.",
)

_PLAIN = BOOK.warning(
    "A023",
    "A query without an aggregation gives one series per Pod, and KEDA takes only one.",
    evidence="kedacore/keda@pkg/scalers/prometheus_scaler.go",
    remedy="Put `sum(...)` or `max(...)` around it.",
)

_EMPTY = BOOK.warning(
    "A024",
    "A query that gives nothing while the model is idle looks to KEDA like a lost Prometheus.",
    evidence="kedacore/keda@pkg/scalers/prometheus_scaler.go, llm-d/llm-d#1611",
    remedy="Add `or vector(0)` at its end.",
)

_EVERYWHERE = BOOK.warning(
    "A025",
    "A metric without labels is summed over everything that Prometheus scrapes.",
    evidence="kserve/website@docs/model-serving/generative-inference/llmisvc",
    remedy='Select the Pods: `{namespace="...", pod=~"..."}`.',
)


def _flaw(query: str, _: Json) -> tuple[str, str] | None:
    reason = promql.flaw(query)
    return (f"the query is not usable: {reason}", "try it in Prometheus") if reason else None


def _several(query: str, _: Json) -> tuple[str, str] | None:
    found = promql.answer(query)
    if promql.flaw(query) or found.series is not promql.Series.SEVERAL:
        return None
    labels = ", ".join(f"`{label}`" for label in found.labels)
    message = f"the query gives a series for each {labels}, and KEDA takes exactly one"
    return message, f"remove {labels} from `by (...)`"


def _plain(query: str, _: Json) -> tuple[str, str] | None:
    if promql.flaw(query) or promql.answer(query).series is not promql.Series.UNKNOWN:
        return None
    message = "nothing adds up the series of the query: with a second Pod there are two"
    return message, f"write `sum({query}) or vector(0)`, or `max(...)`"


def _empty(query: str, metadata: Json) -> tuple[str, str] | None:
    ignored = str(metadata.get("ignoreNullValues", "true")).lower() not in ("false", "f", "0")
    if ignored or promql.flaw(query) or not promql.may_be_empty(query):
        return None
    if promql.answer(query).series is not promql.Series.ONE:
        return None
    message = "without series, such as before the first request, the query gives nothing: an error"
    return message, "add `or vector(0)` at its end"


def _everywhere(query: str, _: Json) -> tuple[str, str] | None:
    metric = "" if promql.flaw(query) else promql.unrestricted(query)
    if not metric:
        return None
    message = f"`{metric}` is taken from all namespaces and models that Prometheus scrapes"
    return message, f'select your own: `{metric}{{namespace="...", pod=~"..."}}`'


_CHECKS = (
    (_FLAW, _flaw),
    (_SEVERAL, _several),
    (_PLAIN, _plain),
    (_EMPTY, _empty),
    (_EVERYWHERE, _everywhere),
)
_AS_RENDERED: Json = {"ignoreNullValues": "false"}
"""What the built-in ScaledObject says beside the query."""


def _attach(rule: Rule, judge: _Judge) -> None:
    @rule.on_release_with("query")
    def in_document(release: Release) -> Iterator[Finding]:
        if release.stable.scaling.has_query:
            for query, where in _written(release):
                found = judge(query, _AS_RENDERED)
                if found:
                    yield Finding(found[0], where, found[1])

    @rule.on_objects("ScaledObject")
    def in_trigger(item: Json, scene: Scene) -> Iterator[Spot]:
        for query, pointer, metadata in _in_triggers(item):
            found = judge(query, metadata)
            if found:
                yield Spot(found[0], pointer, found[1])


for _rule, _judge in _CHECKS:
    _attach(_rule, _judge)
