"""Rules of changes of language models that run."""

from __future__ import annotations

from collections.abc import Iterator

from generator.records import Release
from generator.rules import Book, Finding, Step
from generator.rules.changes.transitions import both, kept
from generator.rules.places import at_setting
from generator.serving import language_models as llm
from generator.serving.language_models import LanguageModel, Part

BOOK = Book("language model")

_SPREAD = ("serving", "llm", "parallelism")
_PREFILL = ("serving", "llm", "prefill")

_SIZE = BOOK.error(
    "L030",
    "KServe refuses another number of Pods of a replica that exists, and deletes a Deployment "
    "before the LeaderWorkerSet in its place runs.",
    evidence="kserve/kserve@pkg/apis/serving/v1alpha2/llm_inference_service_validation.go",
    remedy="Add the model under another name with the other spread, move its callers, then remove "
    "this one; or take it out of the environment and put it back in a later commit.",
)

_AFRESH = (
    "add the model under another name with this spread and move its callers, or take it out of "
    "the environment and put it back in a later commit"
)


@_SIZE.on_step
def _other_size(step: Step) -> Iterator[Finding]:
    pair = _running(step)
    if pair is None:
        return
    after = pair[1]
    for old, new, pointer in _parts(pair):
        if old and new and _shape(old) != _shape(new):
            message = f"a replica is {_shape(old)} as it runs, which never becomes {_shape(new)}"
            yield at_setting(after, pointer, message, _AFRESH)


def _shape(part: Part) -> str:
    """Say what a replica is; a LeaderWorkerSet of one Pod is no Deployment either."""
    count = part.parallelism.pods
    return f"a group of {count}" if part.parallelism.is_distributed else "one Pod"


def _running(step: Step) -> tuple[Release, Release] | None:
    """Give a model before and after, if a version runs as an LLMInferenceService all along."""
    pair = both(step)
    is_one = pair is not None and all(llm.FACTS in release.facts for release in pair)
    return pair if pair and is_one and kept(*pair) else None


def _parts(
    pair: tuple[Release, Release],
) -> Iterator[tuple[Part | None, Part | None, tuple[str, ...]]]:
    old, new = map(_facts, pair)
    yield old.decode, new.decode, _SPREAD
    yield old.prefill, new.prefill, (*_PREFILL, "parallelism")


def _facts(release: Release) -> LanguageModel:
    found: LanguageModel = release.facts[llm.FACTS]
    return found


_FIXED = BOOK.error(
    "L031",
    "Kueue lets nobody change the Pods of a LeaderWorkerSet that it has admitted.",
    evidence="kubernetes-sigs/kueue#13809",
    remedy="Make the change a new version: its group of Pods is admitted beside the old one.",
)


@_FIXED.on_step
def _other_pods(step: Step) -> Iterator[Finding]:
    pair = _running(step)
    if pair is None or not (pair[0].queue and pair[1].queue and pair[1].environment.kueue):
        return
    groups = list(_groups(pair))
    alike = _shown_by_all(pair[0]) == _shown_by_all(pair[1])
    alike = alike and all(_shown(old) == _shown(new) for old, new in groups)
    for old, new in kept(*pair) if groups else ():
        same = alike and old.artifact == new.artifact
        if old.artifact.version == new.artifact.version and not same:
            message = (
                f"the Pods of {new.artifact.version} would change while they run, and Kueue "
                "refuses that for a LeaderWorkerSet"
            )
            hint = "write it as `args` or `env` of a new version, or add the model by another name"
            yield at_setting(pair[1], ("serving",), message, hint)
            return


def _groups(pair: tuple[Release, Release]) -> Iterator[tuple[Part, Part]]:
    """Give Pods that go together before and after, and as many: another rule tells of others."""
    for old, new, _ in _parts(pair):
        if old and new and new.parallelism.is_distributed and _shape(old) == _shape(new):
            yield old, new


def _shown(part: Part) -> tuple[object, ...]:
    """Give what the Pods of a part show; how many groups there are may change."""
    return part.parallelism, part.placement, part.resources


def _shown_by_all(release: Release) -> tuple[object, ...]:
    """Give what all Pods show beside the version."""
    facts, others = _facts(release), (release.facts.get(key) for key in ("mounts", "priority"))
    return facts.base_refs, facts.lora, release.serving.service_account, *others


_ROLE = BOOK.warning(
    "L032",
    "Pods that read prompts give the others another role, which the selector of their Deployment "
    "names: it cannot change, and KServe's update is refused.",
    evidence="kserve/kserve@pkg/controller/v1alpha2/llmisvc/workload_single_node.go, "
    "kubernetes/website@content/en/docs/concepts/workloads/controllers/deployment.md",
    remedy="Add the model under another name with or without `prefill`, and move its callers.",
)


@_ROLE.on_step
def _other_role(step: Step) -> Iterator[Finding]:
    pair = _running(step)
    if pair is None:
        return
    had, has = (_facts(release).prefill is not None for release in pair)
    if had != has:
        message = (
            "Pods that read prompts come: those that run answer alone, and a Deployment never "
            "changes what it selects"
            if has
            else "Pods that read prompts go, and a Deployment never changes what it selects"
        )
        hint = "add the model under another name, move its callers, then remove this one"
        yield at_setting(pair[1], _PREFILL if has else _PREFILL[:1], message, hint)
