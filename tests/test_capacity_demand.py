"""What the Pods of a release ask for, read from whole repositories."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import ENVIRONMENT, MODEL, write_tree

from generator import pipeline
from generator.queues import demand
from generator.queues.demand import Demand, Pods

STANDARD = ENVIRONMENT.replace("mode: Knative", "mode: Standard")
KUEUE = STANDARD.replace("argocd:", "flavors: {cpu: {}}\nargocd:")

CORE, GIB, MIB = 1000, 2**30, 2**20


def demands(root: Path, environment: str, model: str) -> list[Demand]:
    write_tree(root, {"environments/dev.yaml": environment, "models/churn.yaml": model})
    return [demand.of(release) for release in pipeline.releases(root)]


def only(root: Path, environment: str, model: str) -> Pods:
    ((pods,),) = (asked.pods for asked in demands(root, environment, model))
    return pods


def with_serving(serving: str) -> str:
    return MODEL.replace("{format: sklearn}", serving)


@pytest.mark.parametrize(
    ("serving", "cpu", "memory"),
    [
        pytest.param("{format: sklearn}", CORE, 2 * GIB, id="what the runtime asks for itself"),
        pytest.param("{format: sklearn, resources: {cpu: 4}}", 4 * CORE, 2 * GIB, id="half said"),
        pytest.param(
            "{format: sklearn, resources: {cpu: 250m, memory: 512Mi, limits: {cpu: 2}}}",
            250,
            512 * MIB,
            id="requests and not limits",
        ),
        pytest.param(
            "{format: sklearn, resources: {cpu: 10m, memory: 64Mi}}",
            100,
            100 * MIB,
            id="less than the storage-initializer",
        ),
        pytest.param(
            "{format: sklearn, runtime: our-own, resources: {limits: {memory: 4Gi}}}",
            100,
            4 * GIB,
            id="a limit stands in for a request",
        ),
    ],
)
def test_a_pod_asks_for_its_containers(tmp_path: Path, serving: str, cpu: int, memory: int) -> None:
    pods = only(tmp_path, STANDARD, with_serving(serving))

    assert (pods.cpu, pods.memory) == (cpu, memory)


@pytest.mark.parametrize(
    ("uri", "cpu", "memory"),
    [("gs://m", 100, 100 * MIB), ("pvc://claim/m", 50, 50 * MIB), ("oci://m", 60, 65 * MIB)],
)
def test_a_model_in_an_image_has_a_container_and_one_on_a_volume_none(
    tmp_path: Path, uri: str, cpu: int, memory: int
) -> None:
    serving = "{format: sklearn, resources: {cpu: 50m, memory: 50Mi}}"
    pods = only(tmp_path, STANDARD, with_serving(serving).replace("gs://models/churn/1", uri))

    assert (pods.cpu, pods.memory) == (cpu, memory)


def test_knative_adds_its_sidecar_and_starts_a_whole_revision(tmp_path: Path) -> None:
    live = "{version: v2, canary: {version: v1, traffic: 5}, scaling: {min: 5, max: 9}}"
    (asked,) = demands(tmp_path, ENVIRONMENT, MODEL.replace("{version: v1}", live))

    assert [pods.version for pods in asked.pods] == ["v2", "v1"]
    assert [pods.surge for pods in asked.pods] == [5, 5]
    assert asked.pods[0].cpu == CORE + 25


@pytest.mark.parametrize(("replicas", "extra"), [(0, 0), (1, 1), (3, 1), (4, 0), (9, 0)])
def test_a_rolling_update_starts_one_more_where_none_may_be_missing(
    replicas: int, extra: int
) -> None:
    assert demand.surge(replicas) == extra


def test_every_live_version_asks_whether_it_answers_or_not(tmp_path: Path) -> None:
    gateway = "mode: Standard, gateway: {name: a, namespace: b}, domain: c.d"
    routed = STANDARD.replace("mode: Standard", gateway)
    live = "{version: v1, shadow: {version: v2, scaling: {min: 2, max: 3}}}"
    ((stable, shadow),) = (
        asked.pods for asked in demands(tmp_path, routed, MODEL.replace("{version: v1}", live))
    )
    assert (stable.version, stable.minimum, stable.maximum) == ("v1", 1, 1)
    assert (shadow.version, shadow.minimum, shadow.maximum) == ("v2", 2, 3)


def test_a_canary_of_kserves_own_asks_for_its_share(tmp_path: Path) -> None:
    gateway = "mode: Standard, gateway: {name: a, namespace: b}, domain: c.d"
    native = STANDARD.replace("mode: Standard", gateway).replace("0.20", "0.21")
    live = "{version: v1, canaryStrategy: native, canary: {version: v2, traffic: 30}}"
    spec = MODEL.replace("{version: v1}", live) + "scaling: {min: 4, max: 9}\n"
    ((stable, canary),) = (asked.pods for asked in demands(tmp_path, native, spec))
    assert (stable.minimum, stable.maximum) == (4, 9)
    assert (canary.minimum, canary.maximum) == (2, 2)


def test_a_deployment_asks_for_what_is_written_and_no_more(tmp_path: Path) -> None:
    serving = "{backend: deployment, probes: {liveness: /l, readiness: /r}, resources: {cpu: 1}}"
    model = with_serving(serving).replace("uri: gs://models/churn/", "image: churn:")
    pods = only(tmp_path, STANDARD, model)

    assert (pods.cpu, pods.memory, pods.accelerators) == (CORE, 0, 0)


@pytest.mark.parametrize(
    ("update", "extra"),
    [
        pytest.param("{maxSurge: 0, maxUnavailable: 1}", 0, id="the old one goes first"),
        pytest.param("{maxSurge: 2, maxUnavailable: 0}", 1, id="one at least has to start first"),
        pytest.param("{maxSurge: 1, maxUnavailable: 1}", 0, id="either"),
    ],
)
def test_a_rolling_update_that_is_said_needs_the_room_that_it_says(
    tmp_path: Path, update: str, extra: int
) -> None:
    serving = f"{{format: sklearn, rollingUpdate: {update}}}"
    assert only(tmp_path, STANDARD, with_serving(serving)).surge == extra


def test_the_example_fleet_asks_for_what_its_specs_say(repository: Path) -> None:
    asked = {
        (one.model, one.environment): one for one in map(demand.of, pipeline.releases(repository))
    }
    qwen, fraud = asked["qwen-llm", "production"], asked["fraud-detector", "production"]

    assert qwen == Demand(
        "qwen-llm",
        "production",
        "serving",
        "a100-80gb",
        (Pods("v1", 4 * CORE, 8 * GIB, 1, 2, 4, 1),),
    )
    assert [(pods.version, pods.minimum, pods.maximum) for pods in fraud.pods] == [
        ("v3", 2, 5),
        ("v4", 2, 5),
    ]


@pytest.mark.parametrize(
    ("resource", "amount", "told"),
    [
        ("cpu", 1500, "1500m"),
        ("cpu", 64000, "64"),
        ("memory", 512 * MIB, "512Mi"),
        ("memory", 1000, "1000"),
        ("nvidia.com/gpu", 8, "8"),
    ],
)
def test_an_amount_is_told_as_it_would_be_written(resource: str, amount: int, told: str) -> None:
    assert demand.told(resource, amount) == told
    assert demand.amount(resource, told) == amount
