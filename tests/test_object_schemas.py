from __future__ import annotations

import copy
import json
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import pytest
from helpers import sampled

from generator.objects import object_schemas
from generator.objects.object_schemas import ObjectSchemas

ROOT = Path(__file__).parents[1]
VERSIONS = object_schemas.kubernetes_versions()
CORE_KINDS = (
    ("apps/v1", "Deployment"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("policy/v1", "PodDisruptionBudget"),
    ("v1", "ConfigMap"),
    ("v1", "Namespace"),
    ("v1", "ResourceQuota"),
    ("v1", "Service"),
    ("v1", "ServiceAccount"),
)
KUSTOMIZATION = ("kustomize.config.k8s.io/v1beta1", "Kustomization")


@cache
def object_schemas_of(kubernetes: str) -> ObjectSchemas:
    return ObjectSchemas(kubernetes)


@cache
def bundle(api_version: str, kind: str, kubernetes: str = "1.35") -> dict[str, Any]:
    schema = object_schemas_of(kubernetes).bundle(api_version, kind)
    assert schema is not None
    return schema


def refusals(document: dict[str, Any], kubernetes: str = "1.35") -> list[str]:
    """Name what is refused, as `place keyword`, in the order of the document."""
    schema = bundle(document["apiVersion"], document["kind"], kubernetes)
    errors = jsonschema_rs.Draft202012Validator(schema).iter_errors(document)
    return [f"{'/'.join(map(str, error.instance_path))} {error.kind.name}" for error in errors]


def resource(api_version: str, kind: str, **parts: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "sample"}, **parts}


def inference_service(**predictor: Any) -> dict[str, Any]:
    model = {"modelFormat": {"name": "sklearn"}, "storageUri": "gs://models/fraud/3"}
    spec = {"predictor": {"model": model, **predictor}}
    return resource("serving.kserve.io/v1beta1", "InferenceService", spec=spec)


def scaled_object(**spec: Any) -> dict[str, Any]:
    trigger = {"type": "prometheus", "metadata": {"threshold": "4"}}
    spec = {"scaleTargetRef": {"name": "fraud-predictor"}, "triggers": [trigger], **spec}
    return resource("keda.sh/v1alpha1", "ScaledObject", spec=spec)


def cluster_queue(**spec: Any) -> dict[str, Any]:
    return resource("kueue.x-k8s.io/v1beta2", "ClusterQueue", spec=spec)


def resource_flavor(**spec: Any) -> dict[str, Any]:
    return resource("kueue.x-k8s.io/v1beta2", "ResourceFlavor", spec=spec)


def http_route(**rule: Any) -> dict[str, Any]:
    return resource("gateway.networking.k8s.io/v1", "HTTPRoute", spec={"rules": [rule]})


def kustomization(**fields: Any) -> dict[str, Any]:
    return {"apiVersion": KUSTOMIZATION[0], "kind": KUSTOMIZATION[1], **fields}


def quota(**limits: Any) -> list[dict[str, Any]]:
    resources = [{"name": "nvidia.com/gpu", "nominalQuota": "8", **limits}]
    flavors = [{"name": "a100", "resources": resources}]
    return [{"coveredResources": ["nvidia.com/gpu"], "flavors": flavors}]


# What is known, and what is not


def test_versions_are_in_the_order_of_their_numbers() -> None:
    numbers = [tuple(map(int, version.split("."))) for version in VERSIONS]
    assert numbers == sorted(numbers)
    assert (1, 35) in numbers


def test_an_unknown_version_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=rf"'1\.9'.* {VERSIONS[0]} to {VERSIONS[-1]}"):
        ObjectSchemas("1.9")


def test_an_unknown_version_is_refused_in_an_export() -> None:
    with pytest.raises(ValueError, match=r"'\.\./1'"):
        list(object_schemas.exported(["1.35", "../1"]))


def test_own_kinds_are_known_beside_the_core_ones() -> None:
    kinds = ObjectSchemas("1.35").kinds()
    assert {*object_schemas.own_kinds(), *CORE_KINDS} <= {*kinds}
    assert list(kinds) == sorted(kinds)


@pytest.mark.parametrize(
    "version", [pytest.param(VERSIONS[0], marks=pytest.mark.slow), VERSIONS[-1]]
)
@pytest.mark.parametrize(
    "kind", sampled([*object_schemas.own_kinds(), *CORE_KINDS], 3), ids=" ".join
)
def test_every_bundle_is_a_schema_in_itself(kind: tuple[str, str], version: str) -> None:
    schema = bundle(*kind, version)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema_rs.Draft202012Validator(schema)
    assert {reference.removeprefix("#/$defs/") for reference in references(schema)} == {
        *schema["$defs"]
    }


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


@pytest.mark.parametrize("kind", sampled(object_schemas.own_kinds(), 4), ids=" ".join)
def test_a_bundle_of_a_clusters_own_says_nothing_large_twice(
    kind: tuple[str, str], tmp_path: Path
) -> None:
    path = f"{kind[0]}/{kind[1].lower()}.json"
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_bytes((object_schemas.OBJECTS / path).read_bytes())
    schema = ObjectSchemas("1.35", tmp_path).bundle(*kind)
    texts = [json.dumps(each, sort_keys=True) for each in subschemas(schema)]
    large = [text for text in texts if len(text) >= 200]
    assert len(large) == len(set(large))


def subschemas(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if {"type", "$ref", "properties"} & {*node}:
            yield node
        for value in node.values():
            yield from subschemas(value)
    elif isinstance(node, list):
        for value in node:
            yield from subschemas(value)


@pytest.mark.parametrize("version", [VERSIONS[0], VERSIONS[-1]])
def test_every_known_kind_has_a_bundle_that_compiles(version: str) -> None:
    for kind in ObjectSchemas(version).kinds():
        jsonschema_rs.Draft202012Validator(bundle(*kind, version))


def test_a_schema_of_schemas_is_not_taken_for_one() -> None:
    fields: dict[str, Any] = {"$ref": {"type": "string"}, "items": {"type": "array"}}
    schema = {"type": "object", "properties": fields}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "things", "kind": "Thing"}
    spec = {"group": "example.com", "names": names, "scope": "Namespaced", "versions": [version]}
    kind = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")
    assert refusals(resource(*kind, spec=spec)) == []
    fields["items"]["typ"] = "array"
    assert len(refusals(resource(*kind, spec=spec))) == 1


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [
        ("v1", "Deployment"),
        ("apps.example.com/v1", "Deployment"),
        ("apps/v2", "Deployment"),
        ("apps/v1", "deployment"),
        ("serving.kserve.io/v1beta1", "inferenceservice"),
        ("serving.kserve.io/v1beta1", "InferenceService\n"),
        ("serving.kserve.io/v1beta1/../v1beta1", "InferenceService"),
        ("../objects/serving.kserve.io/v1beta1", "InferenceService"),
        ("serving.kserve.io/v1beta1", "../v1beta1/InferenceService"),
        ("..", "shared"),
        ("../..", "objects/shared"),
        ("", "shared"),
        ("/etc/v1", "passwd"),
        ("apps/v1", ""),
        ("v1", "ServiceList"),
        ("v1", "Status"),
        ("v1", "\0"),
        ("a" * 5000 + "/v1", "A"),
        ("a/v1", "A" * 5000),
    ],
)
def test_a_name_of_no_kind_leads_nowhere(api_version: str, kind: str) -> None:
    assert object_schemas_of("1.35").bundle(api_version, kind) is None


# Core kinds


@pytest.mark.parametrize("key", ["apiVersion", "kind", "metadata"])
def test_core_kinds_say_what_they_are(key: str) -> None:
    namespace = resource("v1", "Namespace")
    validator = jsonschema_rs.Draft202012Validator(bundle("v1", "Namespace"))
    assert validator.is_valid(namespace)
    assert not validator.is_valid({**namespace, key: None})
    del namespace[key]
    assert not validator.is_valid(namespace)


@pytest.mark.parametrize("metadata", [{}, {"name": None}, {"name": ""}, {"name": "a", "x": 1}])
def test_core_kinds_have_a_name(metadata: dict[str, Any]) -> None:
    assert refusals({**resource("v1", "Namespace"), "metadata": metadata}) != []


def test_core_kinds_refuse_unknown_fields_and_permit_null_as_kubernetes_does() -> None:
    service = resource("v1", "Service", spec={"selector": None, "ports": [{"port": 80}]})
    assert refusals(service) == []
    service["spec"]["ports"][0]["prot"] = "TCP"
    assert refusals(service) == ["spec/ports/0 additionalProperties"]


@pytest.mark.parametrize("amount", ["1", "500m", "64Gi", "1e3", 2, 0.5, "+.5", "12E2"])
def test_amounts_are_known_by_their_form(amount: object) -> None:
    assert refusals(resource("v1", "ResourceQuota", spec={"hard": {"cpu": amount}})) == []


@pytest.mark.parametrize("amount", ["abc", "1 Gi", "", "1gi", "1e", "--1", True, []])
def test_what_is_no_amount_is_refused(amount: object) -> None:
    assert refusals(resource("v1", "ResourceQuota", spec={"hard": {"cpu": amount}})) != []


@pytest.mark.parametrize(
    ("key", "value"),
    [("a b", "x"), ("a//b", "x"), ("team", "x y"), ("team", "x" * 64), ("team", 1), ("-", "x")],
)
def test_labels_are_labels(key: str, value: object) -> None:
    document = resource("v1", "Namespace")
    document["metadata"]["labels"] = {"app.kubernetes.io/name": "fraud", "version": "", key: value}
    assert refusals(document) != []


def test_a_field_is_known_from_the_version_on_that_has_it() -> None:
    pod = resource("v1", "Pod", spec={"containers": [], "resources": {"limits": {"cpu": "1"}}})
    assert refusals(pod, "1.31") == ["spec additionalProperties"]
    assert refusals(pod, "1.32") == []


# References and extensions


def write(folder: Path, schema: object) -> Path:
    path = folder / "example.com" / "v1" / "thing.json"
    path.parent.mkdir(parents=True)
    path.write_text(schema if isinstance(schema, str) else json.dumps(schema), "utf-8")
    return folder


def thing(spec: dict[str, Any], **more: Any) -> dict[str, Any]:
    identity = {"apiVersion": {"const": "example.com/v1"}, "kind": {"const": "Thing"}}
    return {"type": "object", "properties": {**identity, "spec": spec}, **more}


def accepts(folder: Path, value: object, kubernetes: str = "1.35") -> bool:
    schema = ObjectSchemas(kubernetes, folder).bundle("example.com/v1", "Thing")
    assert schema is not None
    document = {"apiVersion": "example.com/v1", "kind": "Thing", "spec": value}
    return jsonschema_rs.is_valid(schema, document)


def test_a_reference_is_a_definition_of_kubernetes_without_null(tmp_path: Path) -> None:
    folder = write(tmp_path, thing({"$ref": "k8s:io.k8s.api.core.v1.Container"}))
    assert accepts(folder, {"name": "a", "image": "b"})
    assert not accepts(folder, {"name": "a", "image": None})
    assert not accepts(folder, {"image": "b"})
    assert not accepts(folder, {"name": "a", "resources": {"limits": {"cpu": 0.5}}})


def test_an_extension_adds_replaces_and_takes_away(tmp_path: Path) -> None:
    spec = {
        "extends": "k8s:io.k8s.api.core.v1.Container",
        "properties": {"runtime": {"type": "string"}, "image": {"const": "only"}, "tty": False},
    }
    folder = write(tmp_path, thing(spec))
    assert accepts(folder, {"runtime": "a", "image": "only", "args": ["b"]})
    for wrong in ({"image": "other"}, {"tty": True}, {"args": [1]}, {"neither": 1}, "text"):
        assert not accepts(folder, wrong)


def test_what_an_extension_requires_replaces_what_was_required(tmp_path: Path) -> None:
    first = {"extends": "k8s:io.k8s.api.core.v1.Container", "required": ["image"]}
    second = {"extends": "#/$defs/first", "properties": {"runtime": {"type": "string"}}}
    folder = write(
        tmp_path, thing({"$ref": "#/$defs/second"}, **{"$defs": locals_of(first, second)})
    )
    assert accepts(folder, {"runtime": "a"})
    assert not accepts(folder, {"image": 1})


def locals_of(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    return {"first": first, "second": second, "unused": {"$ref": "k8s:no.such.definition"}}


def test_a_property_may_bear_the_name_of_a_keyword(tmp_path: Path) -> None:
    spec = {"properties": {"properties": {"type": "string"}, "extends": {"type": "integer"}}}
    folder = write(tmp_path, thing({**spec, "additionalProperties": False}))
    assert accepts(folder, {"properties": "a", "extends": 1})
    assert not accepts(folder, {"properties": 1})


def test_an_api_built_on_an_older_kubernetes_does_not_know_newer_fields(tmp_path: Path) -> None:
    reference = {"$ref": "k8s:io.k8s.api.core.v1.PodSpec"}
    folder = write(tmp_path, thing(reference, **{"x-built-on-kubernetes": "1.31"}))
    assert not accepts(folder, {"containers": [], "resources": {}}, "1.35")
    assert accepts(folder, {"containers": [], "hostname": "a"}, "1.35")


def test_a_repository_s_own_schema_goes_first(tmp_path: Path) -> None:
    path = tmp_path / "keda.sh" / "v1alpha1" / "scaledobject.json"
    path.parent.mkdir(parents=True)
    kind = {"apiVersion": {"const": "keda.sh/v1alpha1"}, "kind": {"const": "ScaledObject"}}
    path.write_text(json.dumps({"properties": kind}), "utf-8")
    schema = ObjectSchemas("1.35", tmp_path).bundle("keda.sh/v1alpha1", "ScaledObject")
    assert schema is not None
    assert schema["properties"] == kind


def test_a_folder_of_schemas_may_be_absent(tmp_path: Path) -> None:
    schemas = ObjectSchemas("1.35", tmp_path / "absent")
    assert schemas.kinds() == ObjectSchemas("1.35").kinds()
    assert schemas.bundle(*KUSTOMIZATION) == ObjectSchemas("1.35").bundle(*KUSTOMIZATION)


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("{", "not JSON"),
        ([], "not a JSON object"),
        ({"type": "object"}, "state apiVersion and kind"),
        (thing({"$ref": "k8s:io.k8s.api.core.v1.Nothing"}), "no definition k8s:io.k8s.api.core.v1"),
        (thing({"$ref": "#/$defs/nothing"}), "no definition #/\\$defs/nothing"),
        (thing({"$ref": "https://example.com/schema"}), "no definition https://"),
        (thing({"extends": "shared:nothing"}), "no definition shared:nothing"),
        (thing({}, **{"x-built-on-kubernetes": "2.0"}), "no schemas for Kubernetes '2.0'"),
    ],
)
def test_a_file_that_is_no_schema_is_named(tmp_path: Path, schema: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ObjectSchemas("1.35", write(tmp_path, schema)).bundle("example.com/v1", "Thing")


def test_a_repository_s_large_schema_is_folded(tmp_path: Path) -> None:
    fields = {f"field{number}": {"type": "string", "maxLength": number} for number in range(30)}
    part = {"type": "object", "properties": fields}
    folder = write(tmp_path, thing({"properties": {name: part for name in "abcdefgh"}}))
    schema = ObjectSchemas("1.35", folder).bundle("example.com/v1", "Thing")
    assert len(json.dumps(schema)) < 2 * len(json.dumps(part))
    assert accepts(folder, {"a": {"field2": "xx"}})
    assert not accepts(folder, {"h": {"field2": "xxx"}})


# InferenceService


def test_a_predictor_is_a_pod_and_a_model_is_a_container() -> None:
    document = inference_service(
        minReplicas=1,
        nodeSelector={"pool": "gpu"},
        tolerations=[{"key": "nvidia.com/gpu", "operator": "Exists"}],
        deploymentStrategy={"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "25%"}},
    )
    document["spec"]["predictor"]["model"] |= {
        "args": ["--backend=vllm"],
        "resources": {"limits": {"nvidia.com/gpu": "1"}},
    }
    assert refusals(document) == []


@pytest.mark.parametrize(
    ("predictor", "refused"),
    [
        ({"minReplica": 1}, "spec/predictor additionalProperties"),
        ({"minReplicas": "1"}, "spec/predictor/minReplicas type"),
        ({"minReplicas": -1}, "spec/predictor/minReplicas minimum"),
        ({"canaryTrafficPercent": 101}, "spec/predictor/canaryTrafficPercent maximum"),
        ({"scaleMetric": "gpu"}, "spec/predictor/scaleMetric enum"),
        ({"nodeSelector": {"a": 1}}, "spec/predictor/nodeSelector/a type"),
        ({"nodeSelector": None}, "spec/predictor/nodeSelector type"),
        ({"model": {}}, "spec/predictor/model required"),
        ({"ephemeralContainers": []}, "spec/predictor additionalProperties"),
        ({"storageUris": []}, "spec/predictor/storageUris minItems"),
    ],
)
def test_a_mistake_in_a_predictor_is_refused(predictor: dict[str, Any], refused: str) -> None:
    assert refusals(inference_service(**predictor)) == [refused]


def test_a_status_is_refused() -> None:
    assert refusals({**inference_service(), "status": {}}) == [" additionalProperties"]


def test_a_canary_states_its_name_and_no_framework() -> None:
    document = inference_service()
    model = document["spec"]["predictor"]["model"]
    canary = {"trafficPercent": 10, "predictor": {"name": "v4", "model": {**model, "name": ""}}}
    document["spec"]["canary"] = [canary]
    assert refusals(document) == []
    canary["predictor"] = {"name": "v4", "model": model, "sklearn": {"storageUri": "gs://a/b"}}
    assert sorted(refusals(document)) == [
        "spec/canary/0/predictor additionalProperties",
        "spec/canary/0/predictor/model required",
    ]


# The rules that the definitions state in CEL


def test_a_minimum_stays_below_the_maximum_that_is_not_written() -> None:
    assert refusals(scaled_object(minReplicaCount=101, maxReplicaCount=200)) == []
    assert refusals(scaled_object(minReplicaCount=101)) == ["spec/minReplicaCount maximum"]


@pytest.mark.parametrize("value", [4, True, None])
def test_what_a_trigger_says_is_text(value: object) -> None:
    trigger = {"type": "cron", "metadata": {"desiredReplicas": value}}
    assert refusals(scaled_object(triggers=[trigger])) == [
        "spec/triggers/0/metadata/desiredReplicas type"
    ]


def test_only_a_queue_of_a_cohort_borrows() -> None:
    borrowing = quota(borrowingLimit="4")
    assert refusals(cluster_queue(cohortName="ml", resourceGroups=borrowing)) == []
    assert refusals(cluster_queue(resourceGroups=quota(lendingLimit="4"))) == []
    assert len(refusals(cluster_queue(resourceGroups=borrowing))) == 1


@pytest.mark.parametrize(
    ("preemption", "accepted"),
    [
        ({"reclaimWithinCohort": "Any", "borrowWithinCohort": {"policy": "LowerPriority"}}, True),
        ({"reclaimWithinCohort": "Never", "borrowWithinCohort": {"policy": "Never"}}, True),
        ({"reclaimWithinCohort": "Never", "borrowWithinCohort": {}}, True),
        ({"borrowWithinCohort": {"policy": "LowerPriority"}}, False),
    ],
)
def test_who_borrows_by_preemption_also_reclaims(
    preemption: dict[str, Any], accepted: bool
) -> None:
    assert (refusals(cluster_queue(preemption=preemption)) == []) is accepted


@pytest.mark.parametrize(
    ("fungibility", "accepted"),
    [
        ({"whenCanBorrow": "TryNextFlavor", "preference": "BorrowingOverPreemption"}, True),
        ({"preference": "BorrowingOverPreemption"}, False),
        ({"whenCanBorrow": "MayStopSearch", "preference": "BorrowingOverPreemption"}, False),
    ],
)
def test_a_preference_tries_the_next_flavor(fungibility: dict[str, Any], accepted: bool) -> None:
    assert (refusals(cluster_queue(flavorFungibility=fungibility)) == []) is accepted


def test_a_topology_needs_node_labels() -> None:
    assert refusals(resource_flavor(topologyName="dc", nodeLabels={"rack": "a"})) == []
    assert refusals(resource_flavor(topologyName="dc")) == ["spec required"]
    assert refusals(resource_flavor(topologyName="dc", nodeLabels={})) == [
        "spec/nodeLabels minProperties"
    ]


@pytest.mark.parametrize(
    ("toleration", "accepted"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "gpu", "value": "present", "effect": "NoSchedule"}, True),
        ({"key": "gpu", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}, True),
        ({"effect": "NoSchedule"}, False),
        ({"operator": "Equal", "value": "a"}, False),
        ({"key": "gpu", "operator": "Exists", "value": "a"}, False),
        ({"key": "gpu", "tolerationSeconds": 5}, False),
        ({"key": "gpu", "operator": "Gt", "value": "5"}, False),
    ],
)
def test_a_toleration_makes_sense(toleration: dict[str, Any], accepted: bool) -> None:
    assert (refusals(resource_flavor(tolerations=[toleration])) == []) is accepted


BACKEND = {"name": "fraud-v3-predictor", "port": 80}
REDIRECT = {"type": "RequestRedirect", "requestRedirect": {"scheme": "https"}}
PREFIX = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}
REWRITE = {"type": "URLRewrite", "urlRewrite": {"path": PREFIX}}
MIRROR = {"type": "RequestMirror", "requestMirror": {"backendRef": BACKEND}}
HEADERS = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["a"]}}
EXACT = {"path": {"type": "Exact", "value": "/a"}}


@pytest.mark.parametrize(
    "rule",
    [
        {"backendRefs": [{**BACKEND, "weight": 90}, {**BACKEND, "weight": 10}]},
        {"backendRefs": [{"group": "example.com", "kind": "Pool", "name": "a"}]},
        {"filters": [REDIRECT]},
        {"filters": [REDIRECT], "backendRefs": []},
        {"filters": [MIRROR, MIRROR, HEADERS], "backendRefs": [BACKEND]},
        {"filters": [REWRITE]},
        {"filters": [REWRITE], "matches": [{"path": {"value": "/a"}}]},
        {"matches": [EXACT, {"path": {"type": "RegularExpression", "value": "a//b"}}]},
    ],
)
def test_a_rule_of_a_route_is_accepted(rule: dict[str, Any]) -> None:
    assert refusals(http_route(**rule)) == []


@pytest.mark.parametrize(
    "rule",
    [
        {"backendRefs": [{"name": "a"}]},
        {"backendRefs": [{"group": "", "kind": "Service", "name": "a"}]},
        {"backendRefs": [{**BACKEND, "weight": 1_000_001}]},
        {"filters": [REDIRECT], "backendRefs": [BACKEND]},
        {"filters": [REDIRECT, REWRITE]},
        {"filters": [HEADERS, HEADERS]},
        {"filters": [{"type": "CORS"}]},
        {"filters": [{**HEADERS, "cors": {}}]},
        {"filters": [REWRITE], "matches": [EXACT]},
        {"filters": [REWRITE], "matches": [{}, {}]},
        {"backendRefs": [{**BACKEND, "filters": [REWRITE]}], "matches": [EXACT]},
        {"matches": [{"path": {"value": "a"}}]},
        {"matches": [{"path": {"value": "/a//b"}}]},
        {"matches": [{"path": {"value": "/a/.."}}]},
        {"matches": [{"path": {"value": "/a%2Fb"}}]},
        {"timeouts": {"request": "1.5s"}},
    ],
)
def test_a_rule_of_a_route_is_refused(rule: dict[str, Any]) -> None:
    assert refusals(http_route(**rule)) != []


@pytest.mark.parametrize(
    ("cors", "accepted"),
    [
        ({"allowOrigins": ["*"], "allowMethods": ["GET", "POST"]}, True),
        ({"allowOrigins": ["https://*.example.com:8443", "http://a"]}, True),
        ({"allowOrigins": ["*", "https://a"]}, False),
        ({"allowOrigins": ["ftp://a"]}, False),
        ({"allowMethods": ["GET", "GET"]}, False),
    ],
)
def test_a_star_stands_alone(cors: dict[str, Any], accepted: bool) -> None:
    filters = [{"type": "CORS", "cors": cors}]
    assert (refusals(http_route(filters=filters)) == []) is accepted


@pytest.mark.parametrize(
    ("mirrored", "accepted"),
    [
        ({"percent": 10}, True),
        ({"fraction": {"numerator": 1, "denominator": 1000}}, True),
        ({"fraction": {"numerator": 101}}, False),
        ({"percent": 10, "fraction": {"numerator": 1}}, False),
    ],
)
def test_a_mirror_takes_one_share(mirrored: dict[str, Any], accepted: bool) -> None:
    mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": BACKEND, **mirrored}}
    assert (refusals(http_route(filters=[mirror])) == []) is accepted


# Kustomization, which has no definition: kustomize itself is the judge

FIELD = {"group": "apps", "version": "v1", "kind": "Deployment", "name": "a", "namespace": "b"}
SELECTOR = {**FIELD, "annotationSelector": "a=b", "labelSelector": "a=b"}
FIELD_OPTIONS = {"delimiter": ".", "index": 0, "encoding": "none", "create": True}
GENERATED: dict[str, Any] = {
    "name": "a",
    "namespace": "b",
    "behavior": "create",
    "files": ["a=b"],
    "literals": ["a=b"],
    "envs": ["a.env"],
    "options": {
        "labels": {"a": "b"},
        "annotations": {"a": "b"},
        "disableNameSuffixHash": True,
        "immutable": True,
    },
}
EVERY_FIELD = kustomization(
    metadata={"name": "a", "namespace": "b", "labels": {"a": "b"}, "annotations": {"a": "b"}},
    **{field: ["../base"] for field in ("resources", "components", "crds", "configurations")},
    **{field: ["a.yaml"] for field in ("generators", "transformers", "validators")},
    namespace="a",
    namePrefix="a-",
    nameSuffix="-a",
    labels=[
        {
            "pairs": {"a": "b"},
            "includeSelectors": False,
            "includeTemplates": True,
            "fields": [
                {"group": "a", "version": "b", "kind": "c", "path": "spec/a", "create": True}
            ],
        }
    ],
    commonAnnotations={"a": "b"},
    patches=[
        {"path": "a.yaml", "options": {"allowKindChange": True, "allowNameChange": True}},
        {"patch": "[]", "target": SELECTOR},
    ],
    images=[{"name": "a", "newName": "b", "newTag": "c", "tagSuffix": "d", "digest": "e"}],
    replicas=[{"name": "a", "count": 1}],
    replacements=[
        {"path": "a.yaml"},
        {
            "sourceValue": "a",
            "source": {**FIELD, "fieldPath": "spec.a", "options": FIELD_OPTIONS},
            "targets": [
                {
                    "select": SELECTOR,
                    "reject": [SELECTOR],
                    "fieldPaths": ["spec.a"],
                    "options": FIELD_OPTIONS,
                }
            ],
        },
    ],
    configMapGenerator=[GENERATED],
    secretGenerator=[{**GENERATED, "type": "Opaque"}],
    generatorOptions=GENERATED["options"],
    helmGlobals={"chartHome": "a", "configHome": "b"},
    helmCharts=[
        {
            **dict.fromkeys(("name", "version", "repo", "releaseName", "namespace"), "a"),
            **dict.fromkeys(("nameTemplate", "valuesFile", "kubeVersion"), "a"),
            **dict.fromkeys(("includeCRDs", "skipHooks", "skipTests", "debug", "devel"), True),
            "additionalValuesFiles": ["a.yaml"],
            "apiVersions": ["a/v1"],
            "valuesInline": {"a": {"b": 1}},
            "valuesMerge": "override",
        }
    ],
    openapi={"path": "a.json"},
    sortOptions={
        "order": "legacy",
        "legacySortOptions": {"orderFirst": ["Namespace"], "orderLast": ["ConfigMap"]},
    },
    buildMetadata=["originAnnotations", "transformerAnnotations", "managedByLabel"],
)


def test_every_field_of_a_kustomization_is_accepted() -> None:
    assert refusals(EVERY_FIELD) == []
    assert {*EVERY_FIELD} == {*bundle(*KUSTOMIZATION)["properties"]}


@pytest.mark.parametrize(
    "field",
    ["bases", "commonLabels", "imageTags", "patchesJson6902", "patchesStrategicMerge", "vars"],
)
def test_a_deprecated_field_of_a_kustomization_is_refused(field: str) -> None:
    assert refusals(kustomization(**{field: []})) == [" additionalProperties"]


@pytest.mark.parametrize(
    "fields",
    [
        {"patches": [{"target": FIELD}]},
        {"patches": [{"path": "a", "patch": "b"}]},
        {"replicas": [{"name": "a", "count": "1"}]},
        {"sortOptions": {"order": "random"}},
        {"commonAnnotations": {"a": 1}},
    ],
)
def test_a_mistake_in_a_kustomization_is_refused(fields: dict[str, Any]) -> None:
    assert refusals(kustomization(**fields)) != []


# With the tools themselves


def tool(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path=ROOT / ".tools" / "bin")
    if found is None:
        pytest.skip(f"{name} is neither on PATH nor in .tools/bin")
    return found


@pytest.mark.tools
def test_kustomize_knows_every_field_that_we_know(tmp_path: Path) -> None:
    kustomize = tool("kustomize")
    for field, value in EVERY_FIELD.items():
        document = kustomization(**{"resources": ["a.yaml"], field: value})
        (tmp_path / "kustomization.yaml").write_text(json.dumps(document), "utf-8")
        ran = subprocess.run([kustomize, "build", tmp_path], capture_output=True, text=True)
        assert "invalid Kustomization" not in ran.stderr, (field, ran.stderr)


@pytest.fixture(scope="module")
def kubeconform(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Export one version, and return the command that runs on it alone."""
    program, folder = tool("kubeconform"), tmp_path_factory.mktemp("schemas")
    for name, text in object_schemas.exported(["1.35"]):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    location = f"{folder}/{object_schemas.SCHEMA_LOCATION}"
    options = ["-strict", "-kubernetes-version", "1.35.0", "-output", "json", "-verbose"]
    return [program, *options, "-schema-location", location]


def conforms(kubeconform: list[str], documents: list[dict[str, Any]]) -> list[tuple[str, str]]:
    text = "\n---\n".join(map(json.dumps, documents))
    ran = subprocess.run(kubeconform, input=text, capture_output=True, text=True)
    found = [(each["kind"], each["status"]) for each in json.loads(ran.stdout)["resources"]]
    return sorted(found)


CONTAINER = {"name": "main", "image": "registry.example/app:1", "ports": [{"containerPort": 80}]}
SAMPLES = (
    resource(
        "apps/v1",
        "Deployment",
        spec={
            "selector": {"matchLabels": {"app": "a"}},
            "template": {
                "metadata": {"labels": {"app": "a"}},
                "spec": {"containers": [CONTAINER]},
            },
        },
    ),
    resource("v1", "Service", spec={"ports": [{"port": 80, "targetPort": "http"}]}),
    resource("v1", "Namespace"),
    resource(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        spec={
            "maxReplicas": 3,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a"},
        },
    ),
    inference_service(minReplicas=1),
    cluster_queue(cohortName="ml", namespaceSelector={}, resourceGroups=quota(borrowingLimit=4)),
    scaled_object(),
    resource_flavor(nodeLabels={"pool": "gpu"}),
    resource("kueue.x-k8s.io/v1beta2", "LocalQueue", spec={"clusterQueue": "serving"}),
    resource("kueue.x-k8s.io/v1beta2", "WorkloadPriorityClass", value=1000, description="Serves."),
    resource(
        "kueue.x-k8s.io/v1beta2", "Topology", spec={"levels": [{"nodeLabel": "example/rack"}]}
    ),
    resource(
        "kueue.x-k8s.io/v1beta2",
        "AdmissionCheck",
        spec={
            "controllerName": "kueue.x-k8s.io/provisioning-request",
            "parameters": {
                "apiGroup": "kueue.x-k8s.io",
                "kind": "ProvisioningRequestConfig",
                "name": "gpu",
            },
        },
    ),
    resource(
        "kueue.x-k8s.io/v1beta2",
        "ProvisioningRequestConfig",
        spec={
            "provisioningClassName": "check-capacity.autoscaling.x-k8s.io",
            "managedResources": ["nvidia.com/gpu"],
            "retryStrategy": {"backoffLimitCount": 3},
        },
    ),
    http_route(backendRefs=[BACKEND], filters=[MIRROR, HEADERS], matches=[EXACT]),
    resource(
        "argoproj.io/v1alpha1",
        "Application",
        spec={
            "project": "ml",
            "destination": {"name": "production"},
            "source": {"repoURL": "https://git.example/ml.git", "path": "rendered"},
        },
    ),
    resource("argoproj.io/v1alpha1", "AppProject", spec={"sourceRepos": ["*"]}),
)


@pytest.mark.parametrize("sample", SAMPLES, ids=[sample["kind"] for sample in SAMPLES])
def test_a_sample_of_each_kind_is_accepted(sample: dict[str, Any]) -> None:
    assert refusals(sample) == []


@pytest.mark.tools
def test_kubeconform_accepts_a_sample_of_each_kind(kubeconform: list[str]) -> None:
    expected = sorted((sample["kind"], "statusValid") for sample in SAMPLES)
    assert conforms(kubeconform, list(SAMPLES)) == expected


@pytest.mark.tools
def test_kubeconform_refuses_an_unknown_field_in_each_kind(kubeconform: list[str]) -> None:
    wrong = [{**copy.deepcopy(sample), "unknownField": 1} for sample in SAMPLES]
    deep = [{**sample, "spec": {**sample.get("spec", {}), "unknownField": 1}} for sample in SAMPLES]
    expected = sorted((sample["kind"], "statusInvalid") for sample in SAMPLES)
    assert conforms(kubeconform, wrong) == expected
    assert conforms(kubeconform, deep) == expected


def test_an_export_is_the_same_each_time_and_every_path_is_below_its_version() -> None:
    first = dict(object_schemas.exported(["1.34", "1.30", "1.34"]))
    assert list(first.items()) == list(object_schemas.exported(["1.30", "1.34"]))
    assert {name.split("/")[0] for name in first} == {"v1.30.0", "v1.34.0"}
    assert "v1.34.0/v1/service_v1.json" in first
    assert "v1.34.0/serving.kserve.io/inferenceservice_v1beta1.json" in first


def test_an_export_has_the_schemas_of_the_repository(tmp_path: Path) -> None:
    names = [
        name for name, _ in object_schemas.exported(["1.35"], extra=write(tmp_path, thing({})))
    ]
    assert "v1.35.0/example.com/thing_v1.json" in names
