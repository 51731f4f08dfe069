"""Our schemas of custom kinds against the definitions of those kinds and manifests of others.

Where others have too few, manifests of ours stand in.

Ours may refuse more than a definition does, for the reasons that `STRICTER` lists; never less.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from helpers import sampled

from generator.objects import object_schemas

from . import crds, shapes
from .mutations import mutated

KUBERNETES = "1.35"
UNDEFINED = {"Kustomization", "ScheduledWorkflow"}
"""What no cluster has a definition of: a file of Kustomize, and a kind whose definition is open."""

KINDS = tuple(kind for kind in object_schemas.own_kinds() if kind[1] not in UNDEFINED)
FIELD_LOST = "additionalProperties"
OURS = Path(__file__).parent / "manifests"
ENOUGH = 4

FEW_OF_OTHERS = {
    "AdmissionCheck": 2,
    "ClusterTriggerAuthentication": 1,
    "HTTPScaledObject": 1,
    "InterceptorRoute": 3,
    "LocalModelNamespaceCache": 2,
    "InferenceGraph": 3,
    "MultiKueueCluster": 2,
    "MultiKueueConfig": 1,
    "PodGroup": 1,
    "ProvisioningRequestConfig": 2,
    "Topology": 0,
    "TrainingRuntime": 0,
    "WorkloadPriorityClass": 1,
}
"""How many manifests others have of a kind, where that is not enough; `OURS` holds the rest."""

STRICTER: dict[str, tuple[str, ...]] = {
    "a cluster writes the status": (rf"\w+ status {FIELD_LOST}",),
    "an operation is a command, not a state to keep": (rf"Application operation {FIELD_LOST}",),
    "what stands in Git has its name": (r"\w+ metadata/name required",),
    "a rule of the definition in CEL, which the judge does not run": (
        r"HTTPRoute \S+/(backendRefs/\[\]|backendRef)/port required",
        r"HTTPRoute \S+/filters/\[\]/\w+ required",
        r"HTTPRoute \S+/filters contains",
        r"HTTPRoute \S+/path/replace\w+ required",
        r"HTTPRoute spec/rules/\[\]/matches minItems",
        r"HTTPRoute \S+/matches/\[\]/path/value pattern",
        r"InterceptorRoute spec/(scalingMetric|coldStart) minProperties",
        r"InterceptorRoute spec/(target|coldStart/fallback/service) oneOf",
        r"HTTPScaledObject spec/(scaleTargetRef|coldStartTimeoutFailoverRef) oneOf",
        r"ResourceFlavor spec/nodeLabels required",
        r"ResourceFlavor spec/nodeLabels minProperties",
        r"ResourceFlavor spec/(nodeTaints|tolerations)/\[\]/(effect|operator) enum",
        r"ClusterQueue \S+/borrowingLimit not",
        r"Topology spec/levels uniqueItems",
        r"TrainJob metadata/name (pattern|maxLength)",
        r"TrainJob spec/managedBy enum",
        r"\w*TrainingRuntime spec/mlPolicy/flux/numProcPerNode minimum",
        r"MultiKueueCluster spec/clusterSource (min|max)Properties",
        r"MultiKueueConfig spec/clusters uniqueItems",
    ),
    "KServe's webhook refuses it": (
        r"Inference(Service|Graph) metadata/name pattern",
        r"InferenceService spec/\S+/(minReplicas|maxReplicas|containerConcurrency) minimum",
        r"InferenceService \S+/(pipeline|tensor)ParallelSize minimum",
        r"InferenceService spec/\S+/(model|sklearn)/name enum",
    ),
    "Knative's webhook refuses it": (
        r"InferenceService \S+/canaryTrafficPercent (minimum|maximum)",
    ),
    "KEDA's webhook refuses it": (r"ScaledObject metadata/name maxLength",),
    "Kueue's webhook refuses it": (
        r"\w+ spec/fairSharing/weight minimum",
        r"ClusterQueue \S+/(nominalQuota|borrowingLimit) minimum",
    ),
    "a route of one's own is an HTTPRoute, which `refs` name": (
        rf"LLMInferenceService spec/router/route/http/spec {FIELD_LOST}",
    ),
    "an adapter without a name or an address is none": (
        r"LLMInferenceService spec/model/lora/adapters\S* \S+",
    ),
    "nothing is served without it": (
        r"(Model|Experiment|SeldonDeployment) spec required",
        r"HTTPScaledObject spec required",
        r"(TrainJob|PyTorchJob) spec required",
        r"LLMInferenceService spec required",
        r"LocalModelNamespaceCache spec required",
        r"Inference(Service|Graph) spec required",
        r"InferenceService \S+/model/modelFormat required",
    ),
    "the pod needs it, the definition forgets to ask": (
        r"InferenceService \S+/(httpGet|tcpSocket)/port required",
        r"InferenceService \S+/os/name required",
    ),
    "Trainer had it in an earlier version, by which a rule judges": (
        r"TrainJob spec/(labels|annotations|podSpecOverrides|podTemplateOverrides) properties",
        r"TrainJob spec/trainer/numProcPerNode type",
    ),
    "the operator's webhook refuses it": (r"PyTorchJob metadata/name (pattern|maxLength)",),
    "Prometheus loads no rule that neither records nor alerts, or does both": (
        r"PrometheusRule spec/groups/\[\]/rules/\[\] oneOf",
    ),
    "only a live pod gets ephemeral containers": (
        rf"InferenceService spec/canary/\[\]/\S+/ephemeralContainers {FIELD_LOST}",
    ),
    "KServe turns the framework block of a predictor into a model, not that of a canary": (
        rf"InferenceService spec/canary/\[\]/predictor/[a-z]+ {FIELD_LOST}",
    ),
}
"""Why ours refuses more: reasons, and what each explains as `Kind place keyword`."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What one kind showed: how many manifests of others and of ours both accept, and where not.

    `stricter` and `looser` hold `Kind place keyword` or `Kind place damage`, with a manifest that
    shows it.
    """

    others: int
    ours: int
    stricter: dict[str, str]
    looser: dict[str, str]


def _name(kind: object_schemas.Kind) -> str:
    return kind[1]


every_kind = pytest.mark.parametrize("kind", sampled(KINDS, 5), ids=_name)


def _ours(kind: object_schemas.Kind, kubernetes: str = KUBERNETES) -> dict[str, Any]:
    bundle = object_schemas.ObjectSchemas(kubernetes).bundle(*kind)
    assert bundle is not None
    return bundle


@cache
def _findings(shared: Path, kind: object_schemas.Kind) -> Findings:
    judge = jsonschema_rs.Draft202012Validator(crds.judge(shared, *kind))
    ours = jsonschema_rs.Draft202012Validator(_ours(kind))
    findings = Findings(0, 0, {}, {})
    corpus = shared / "corpus"
    accepted = {corpus: 0, OURS: 0}
    for folder, name, manifest in _every_manifest((corpus, OURS), kind):
        _compare(judge, ours, manifest, f"{kind[1]} as it stands", name, findings)
        if not (judge.is_valid(manifest) and ours.is_valid(manifest)):
            continue
        accepted[folder] += 1
        for path, damage in mutated(manifest):
            where = f"{kind[1]} {_place(path)} {damage}"
            _compare(judge, ours, manifest, where, name, findings)
    return Findings(accepted[corpus], accepted[OURS], findings.stricter, findings.looser)


def _compare(
    judge: jsonschema_rs.Draft202012Validator,
    ours: jsonschema_rs.Draft202012Validator,
    manifest: Any,
    where: str,
    name: str,
    findings: Findings,
) -> None:
    wanted, found = judge.is_valid(manifest), ours.is_valid(manifest)
    if found and not wanted:
        findings.looser.setdefault(where, name)
    if wanted and not found:
        for error in ours.iter_errors(manifest):
            findings.stricter.setdefault(f"{where.split()[0]} {_refused(error)}", name)


def _every_manifest(
    folders: tuple[Path, ...], kind: object_schemas.Kind
) -> Iterator[tuple[Path, str, dict[str, Any]]]:
    for folder in folders:
        yield from ((folder, *each) for each in _manifests(folder, kind))


def _manifests(folder: Path, kind: object_schemas.Kind) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted((folder / kind[1]).glob("*.yaml")):
        try:
            manifest = crds.read(path)
        except yaml.YAMLError:
            continue
        if isinstance(manifest, dict) and manifest.get("apiVersion") == kind[0]:
            manifest.pop("status", None)
            yield path.stem, manifest


def _place(path: Any) -> str:
    return "/".join("[]" if isinstance(step, int) else step for step in path)


def _refused(error: Any) -> str:
    keyword = "enum" if error.kind.name == "const" else error.kind.name
    path = list(error.instance_path)
    if keyword == "required":
        path.append(error.kind.property)
    return f"{_place(path)} {keyword}"


def _unexplained(found: dict[str, str]) -> dict[str, str]:
    explained = re.compile("|".join(row for rows in STRICTER.values() for row in rows))
    return {where: name for where, name in found.items() if not explained.fullmatch(where)}


def _shape_differences(
    shared: Path, kind: object_schemas.Kind, kubernetes: str = KUBERNETES
) -> dict[str, str]:
    found = shapes.differences(crds.judge(shared, *kind), _ours(kind, kubernetes))
    return {f"{kind[1]} {each.place} {each.keyword}": each.detail for each in found}


@every_kind
def test_manifests_of_others_are_there_to_judge_by(shared: Path, kind: object_schemas.Kind) -> None:
    assert _findings(shared, kind).others >= FEW_OF_OTHERS.get(kind[1], ENOUGH)


@every_kind
def test_manifests_of_ours_stand_in_only_where_others_have_too_few(
    shared: Path, kind: object_schemas.Kind
) -> None:
    findings = _findings(shared, kind)
    assert findings.others + findings.ours >= ENOUGH
    assert bool(findings.ours) == (findings.others < ENOUGH) == (kind[1] in FEW_OF_OTHERS)


@every_kind
def test_we_accept_nothing_that_a_definition_refuses(
    shared: Path, kind: object_schemas.Kind
) -> None:
    assert _findings(shared, kind).looser == {}


@every_kind
def test_we_refuse_what_a_definition_accepts_for_known_reasons_only(
    shared: Path, kind: object_schemas.Kind
) -> None:
    assert _unexplained(_findings(shared, kind).stricter) == {}


@every_kind
def test_we_know_the_same_fields_values_and_bounds(shared: Path, kind: object_schemas.Kind) -> None:
    assert _unexplained(_shape_differences(shared, kind)) == {}


@every_kind
def test_a_newer_kubernetes_adds_no_field_that_the_definition_lacks(
    shared: Path, kind: object_schemas.Kind
) -> None:
    newest = object_schemas.kubernetes_versions()[-1]
    assert _unexplained(_shape_differences(shared, kind, newest)) == {}


@pytest.mark.slow
def test_every_known_difference_still_exists(shared: Path) -> None:
    found = {
        where
        for kind in KINDS
        for where in (*_findings(shared, kind).stricter, *_shape_differences(shared, kind))
    }
    rows = [row for rows in STRICTER.values() for row in rows]
    assert [row for row in rows if not any(map(re.compile(row).fullmatch, found))] == []


def test_we_refuse_every_manifest_that_a_cluster_was_seen_to_refuse(shared: Path) -> None:
    with (shared / "corpus" / "index.csv").open(encoding="utf-8", newline="") as index:
        refused = {row["hash"]: row["cluster_error"] for row in csv.DictReader(index)}
    accepted = [
        (name, refused[name])
        for kind in KINDS
        for name, manifest in _manifests(shared / "corpus", kind)
        if refused.get(name) and jsonschema_rs.is_valid(_ours(kind), manifest)
    ]
    assert accepted == []


def test_kustomizations_of_others_miss_only_the_identity_that_kustomize_would_fill_in(
    shared: Path,
) -> None:
    ours = jsonschema_rs.Draft202012Validator(
        _ours(("kustomize.config.k8s.io/v1beta1", "Kustomization"))
    )
    read = [crds.read(path) for path in sorted(shared.glob("corpus/kustomize/**/kustomization.y*"))]
    overlays = [each for each in read if each.get("kind") != "Component"]
    refused = {_refused(error) for overlay in overlays for error in ours.iter_errors(overlay)}
    assert len(overlays) > 20
    assert refused == {"apiVersion required", "kind required"}
