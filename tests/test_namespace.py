"""What the namespace of an environment grants, derived from its document."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers import ENVIRONMENT, MODEL, write_tree

from generator import pipeline
from generator.aspects import network
from generator.inventory import namespaces
from generator.queues import demand
from generator.queues.demand import Pods
from generator.values import addresses

STANDARD = ENVIRONMENT.replace("mode: Knative", "mode: Standard")
POLICY = "networkPolicy: {enabled: true, ingressFrom: [callers]}\n"
OWN = "{format: sklearn, runtime: our-own}"

MIB = 2**20


def pods(root: Path, environment: str, serving: str) -> Pods:
    model = MODEL.replace("{format: sklearn}", serving).replace("gs://models", "pvc://models")
    write_tree(root, {"environments/dev.yaml": environment, "models/churn.yaml": model})
    (release,) = pipeline.releases(root)
    return demand.of(release).pods[0]


def policies(root: Path, environment: str) -> dict[str, network.Policy]:
    write_tree(root, {"environments/dev.yaml": environment, "models/churn.yaml": MODEL})
    (release,) = pipeline.releases(root)
    return {policy.name: policy for policy in network.policies(release.environment.document)}


@pytest.mark.parametrize(
    ("limits", "serving", "cpu", "memory"),
    [
        pytest.param("{defaultRequest: {cpu: 200m}}", OWN, 200, 0, id="fills in what nobody says"),
        pytest.param("{default: {memory: 1Mi}}", OWN, 0, MIB, id="a request is the limit"),
        pytest.param("{max: {memory: 2Mi}}", OWN, 0, 2 * MIB, id="a limit is the maximum"),
        pytest.param("{min: {memory: 3Mi}}", OWN, 0, 3 * MIB, id="a request is the minimum"),
        pytest.param(
            "{defaultRequest: {cpu: 200m, memory: 1Mi}}",
            "{format: sklearn, runtime: our-own, resources: {cpu: 1, limits: {memory: 5Mi}}}",
            1000,
            5 * MIB,
            id="what the model says comes first",
        ),
        pytest.param(
            "{defaultRequest: {cpu: 9}}",
            "{format: sklearn}",
            1000,
            2048 * MIB,
            id="a runtime's own",
        ),
    ],
)
def test_a_limit_range_fills_in_what_a_container_leaves_out(
    tmp_path: Path, limits: str, serving: str, cpu: int, memory: int
) -> None:
    found = pods(tmp_path, f"{STANDARD}limitRange: {limits}\n", serving)

    assert (found.cpu, found.memory) == (cpu, memory)


def test_a_limit_range_fills_in_the_memory_of_knatives_sidecar(tmp_path: Path) -> None:
    environment = f"{ENVIRONMENT}limitRange: {{defaultRequest: {{memory: 64Mi}}}}\n"

    assert pods(tmp_path, environment, "{format: sklearn}").memory == (2048 + 64) * MIB


@pytest.mark.parametrize(
    ("address", "namespace"),
    [
        ("http://prometheus.monitoring:9090", "monitoring"),
        ("http://prometheus.monitoring", "monitoring"),
        ("https://prometheus.monitoring.svc/prom", "monitoring"),
        ("http://prometheus.monitoring.svc.cluster.local:9090", "monitoring"),
        ("http://prometheus", ""),
        ("http://prometheus:9090", ""),
        ("https://prometheus.example.com", ""),
        ("http://10.0.0.1:9090", ""),
    ],
)
def test_the_namespace_of_prometheus_is_read_from_its_address(
    tmp_path: Path, address: str, namespace: str
) -> None:
    prometheus = f"mode: Standard}}\n  prometheus: {{address: '{address}'}}"
    found = policies(tmp_path, STANDARD.replace("mode: Standard}", prometheus) + POLICY)

    assert [_names(policy) for name, policy in found.items() if name == "allow-metrics"] == (
        [[namespace]] if namespace else []
    )


def _names(policy: network.Policy) -> list[str]:
    peers: list[Any] = [peer for rule in policy.ingress for peer in rule["from"]]
    return [
        peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for peer in peers
    ]


def test_requests_come_from_whom_the_inventory_knows(tmp_path: Path) -> None:
    addon = 'mode: Knative}\n  keda: {version: "2.20", httpAddon: {version: "0.15"}}'
    found = policies(tmp_path, ENVIRONMENT.replace("mode: Knative}", addon) + POLICY)

    assert _names(found["allow-requests"]) == ["knative-serving", "keda", "callers"]


def test_what_is_allowed_comes_before_what_is_denied(tmp_path: Path) -> None:
    found = policies(tmp_path, STANDARD + POLICY)

    assert {name for name, policy in found.items() if policy.wave == "1"} == {"deny-by-default"}
    assert found["deny-by-default"].ingress == found["deny-by-default"].egress == []


def test_nothing_is_denied_unless_somebody_asks(tmp_path: Path) -> None:
    assert policies(tmp_path, STANDARD + POLICY.replace("true", "false")) == {}


def test_a_quota_counts_accelerators_in_the_one_way_that_counts(tmp_path: Path) -> None:
    quota = "resourceQuota: {cpu: 0.5, accelerators: {nvidia.com/gpu: 4}, claims: 2}\n"
    environment = f"{STANDARD}flavors: {{a100: {{resource: nvidia.com/gpu}}}}\n{quota}"
    write_tree(tmp_path, {"environments/dev.yaml": environment, "models/churn.yaml": MODEL})
    (release,) = pipeline.releases(tmp_path)

    assert {each.key: each.amount for each in namespaces.hard(release.environment.document)} == {
        "requests.cpu": "500m",
        "persistentvolumeclaims": "2",
        "requests.nvidia.com/gpu": "4",
    }


@pytest.mark.parametrize(
    ("address", "namespace"),
    [
        ("http://prometheus.monitoring:9090/path", "monitoring"),
        ("https://collector.ml.svc.cluster.local", "ml"),
        ("http://prometheus.example.com", ""),
        ("http://10.0.0.1:9090", ""),
        ("http://[::1]:9090", ""),
        ("http://[x/data.parquet", ""),
        ("s3://bucket", ""),
        ("", ""),
    ],
)
def test_an_address_tells_the_namespace_of_a_service(address: str, namespace: str) -> None:
    assert addresses.namespace_of(address) == namespace
