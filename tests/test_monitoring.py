"""What is rendered for Prometheus and Grafana, read by Prometheus itself: does each alert fire?"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from helpers import sampled

pytestmark = pytest.mark.tools

ROOT = Path(__file__).resolve().parents[1]
CASES = ROOT / "tests" / "cases" / "valid"
TREES = (ROOT, *sorted(CASES.glob("*/expected")))
OBJECTS = [path for tree in TREES for path in sorted(tree.glob("rendered/*/*/*.yaml"))]
RULES = [path for path in OBJECTS if path.name.startswith("prometheus-rule")]
DASHBOARDS = [path for path in OBJECTS if "dashboard" in path.name]

WATCHED = CASES / "everything-monitoring" / "expected" / "rendered"
CHECKED = CASES / "everything-drift" / "expected" / "rendered"


def _label(path: Path) -> str:
    return path.relative_to(ROOT).as_posix().removeprefix("tests/cases/valid/")


def _object(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load(path.read_text("utf-8"), yaml.CSafeLoader)
    return loaded


def _run(promtool: str, *command: str | Path) -> str:
    run = subprocess.run([promtool, *command], capture_output=True, text=True, check=False)
    return "" if run.returncode == 0 else run.stdout + run.stderr


def _rule_file(paths: list[Path], folder: Path) -> Path:
    groups = [group for path in paths for group in _object(path)["spec"]["groups"]]
    target = folder / "rules.yaml"
    target.write_text(yaml.safe_dump({"groups": groups}), "utf-8")
    return target


@pytest.mark.parametrize("path", sampled(RULES, 3), ids=_label)
def test_prometheus_loads_every_rule(promtool: str, path: Path, tmp_path: Path) -> None:
    assert _run(promtool, "check", "rules", _rule_file([path], tmp_path)) == ""


@pytest.mark.parametrize("path", RULES, ids=_label)
def test_every_alert_says_who_what_and_what_to_do(path: Path) -> None:
    rules = [rule for group in _object(path)["spec"]["groups"] for rule in group["rules"]]
    for alert in (rule for rule in rules if "alert" in rule):
        assert {"environment", "model", "owner", "severity"} <= alert["labels"].keys()
        assert alert["labels"]["severity"] in ("critical", "warning", "info")
        assert {"summary", "description"} <= alert["annotations"].keys()
        assert "for" in alert


def _queries(dashboard: dict[str, Any]) -> Iterator[str]:
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel["targets"])


@pytest.mark.parametrize("path", DASHBOARDS, ids=_label)
def test_prometheus_reads_every_query_of_a_dashboard(
    promtool: str, path: Path, tmp_path: Path
) -> None:
    item = _object(path)
    text = item["spec"]["json"] if "spec" in item else next(iter(item["data"].values()))
    dashboard = json.loads(text)
    queries = list(_queries(dashboard))
    rules = [{"record": f"q{number}", "expr": query} for number, query in enumerate(queries)]
    target = tmp_path / "rules.yaml"
    target.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}), "utf-8")

    assert len(queries) >= 5
    assert len(dashboard["uid"]) <= 40
    assert len(text.encode()) < 100_000
    assert _run(promtool, "check", "rules", target) == ""
    recorded = _recorded(path.parent)
    assert {query.partition("{")[0] for query in queries} <= recorded | {
        "gen_drift_share",
        "gen_drift_threshold",
    }


def _recorded(folder: Path) -> set[str]:
    groups = _object(folder / "prometheus-rule.yaml")["spec"]["groups"]
    return {rule["record"] for group in groups for rule in group["rules"] if "record" in rule}


class Scene(NamedTuple):
    """Series over time, one value a minute, and which alerts fire in the end."""

    name: str
    folder: Path
    series: dict[str, str]
    minutes: int
    firing: dict[str, int]


KNATIVE, ROUTED, OF_OWN = WATCHED / "dev/fraud", WATCHED / "prod/churn", WATCHED / "prod/scorer"
DRIFTING = CHECKED / "prod/fraud"


def _knative(version: str, number: int) -> str:
    pod = f"fraud-predictor-0000{number}-deployment-7d9f8b-x{number}"
    return f'namespace="ml-dev",pod="{pod}",app_kubernetes_io_version="{version}"'


def _answers(pods: str, made: int, failed: int, seconds: float = 0.01) -> dict[str, str]:
    """Make the counters of KServe's own servers: so many a minute, so many of them failed."""
    quick = made if seconds <= 0.5 else 0
    return {
        f"request_predict_seconds_count{{{pods}}}": f"0+{made}x60",
        f"request_postprocess_seconds_count{{{pods}}}": f"0+{made - failed}x60",
        f'request_predict_seconds_bucket{{{pods},le="0.5"}}': f"0+{quick}x60",
        f'request_predict_seconds_bucket{{{pods},le="5"}}': f"0+{made}x60",
        f'request_predict_seconds_bucket{{{pods},le="+Inf"}}': f"0+{made}x60",
        f"up{{{pods}}}": "1x60",
    }


def _ready(namespace: str, pod: str, values: str) -> dict[str, str]:
    labels = f'namespace="{namespace}",pod="{pod}",condition="true"'
    return {f"kube_pod_status_ready{{{labels}}}": values}


_FIRST, _SECOND = _knative("v1", 1), _knative("v2", 2)
_UP = _ready("ml-dev", "fraud-predictor-00001-deployment-7d9f8b-x1", "1x60")
_CHURN = 'namespace="ml-prod",pod="churn-v1-predictor-7d9f8b-x1"'
_TRIAL = 'namespace="ml-prod",pod="churn-v2-predictor-7d9f8b-x1"'
_SCORER = 'namespace="ml-prod",pod="scorer-7d9f8b-x1"'
_HEALTHY = {**_UP, **_answers(_FIRST, 60, 0), **_answers(_SECOND, 60, 0)}
_CRON = '{namespace="ml-prod",cronjob="fraud-drift"}'
_DRIFT = '{environment="prod",model="fraud",job="gen-drift"}'
_OF_ONE = {
    **_ready("ml-prod", "churn-v1-predictor-7d9f8b-x1", "1x60"),
    **_ready("ml-prod", "churn-v2-predictor-7d9f8b-x1", "1x60"),
    f"up{{{_CHURN}}}": "1x60",
    f"up{{{_TRIAL}}}": "1x60",
}
_EXPORTED = 'exported_namespace="ml-prod",exported_pod="churn-v1-predictor-7d9f8b-x1"'


def _replicas(scaler: str, count: int) -> dict[str, str]:
    labels = f'namespace="ml-prod",horizontalpodautoscaler="{scaler}"'
    return {
        f"kube_horizontalpodautoscaler_status_current_replicas{{{labels}}}": f"{count}x60",
        f"kube_horizontalpodautoscaler_spec_max_replicas{{{labels}}}": "4x60",
    }


SCENES = (
    Scene("all is well", KNATIVE, _HEALTHY, 40, {}),
    Scene(
        "a tenth fails",
        KNATIVE,
        {**_UP, **_answers(_FIRST, 60, 6), **_answers(_SECOND, 60, 6)},
        30,
        {"ModelErrors": 2},
    ),
    Scene(
        "few requests fail, and say nothing",
        KNATIVE,
        {**_UP, **_answers(_FIRST, 1, 1)},
        30,
        {},
    ),
    Scene(
        "the canary alone fails",
        KNATIVE,
        {**_UP, **_answers(_FIRST, 60, 0), **_answers(_SECOND, 60, 6)},
        30,
        {"ModelErrors": 1, "ModelCanaryErrors": 1},
    ),
    Scene(
        "the canary is slow",
        KNATIVE,
        {**_UP, **_answers(_FIRST, 60, 0), **_answers(_SECOND, 60, 0, seconds=4)},
        30,
        {"ModelCanaryLatency": 1},
    ),
    Scene(
        "the last replica is lost",
        KNATIVE,
        {**_HEALTHY, **_ready("ml-dev", "fraud-predictor-00001-deployment-7d9f8b-x1", "1x19 0x40")},
        30,
        {"ModelDown": 1},
    ),
    Scene(
        "no replica ever came up",
        KNATIVE,
        _ready("ml-dev", "fraud-predictor-00001-deployment-7d9f8b-x1", "0x60"),
        40,
        {"ModelNotReady": 1},
    ),
    Scene("nobody scrapes", KNATIVE, _UP, 30, {"ModelNotScraped": 1}),
    Scene(
        "the scrapes fail",
        KNATIVE,
        {**_UP, f"up{{{_FIRST}}}": "0x60"},
        30,
        {"ModelNotScraped": 1},
    ),
    Scene(
        "a replica waits for a node",
        KNATIVE,
        {**_HEALTHY, f'kube_pod_status_phase{{{_FIRST},phase="Pending"}}': "1x60"},
        30,
        {"ModelPending": 1},
    ),
    Scene(
        "a replica waits for quota",
        ROUTED,
        {
            **_OF_ONE,
            f'kube_pod_status_phase{{{_CHURN},phase="Pending"}}': "2x60",
            'kueue_pending_workloads{cluster_queue="prod-serving",status="active"}': "2x60",
        },
        30,
        {"ModelQueued": 1},
    ),
    Scene(
        "a replica waits for a node, and nobody for quota",
        ROUTED,
        {
            **_OF_ONE,
            f'kube_pod_status_phase{{{_CHURN},phase="Pending"}}': "2x60",
            'kueue_pending_workloads{cluster_queue="prod-serving",status="active"}': "0x60",
        },
        30,
        {"ModelPending": 1},
    ),
    Scene(
        "answers are slow, half of them and more",
        ROUTED,
        {
            **_OF_ONE,
            f"vllm:request_success_total{{{_CHURN}}}": "0+60x60",
            f'vllm:e2e_request_latency_seconds_bucket{{{_CHURN},le="1"}}': "0+0x60",
            f'vllm:e2e_request_latency_seconds_bucket{{{_CHURN},le="10"}}': "0+60x60",
            f'vllm:e2e_request_latency_seconds_bucket{{{_CHURN},le="+Inf"}}': "0+60x60",
        },
        30,
        {"ModelLatency": 3},
    ),
    Scene(
        "as many replicas as may be, by KEDA's HPA",
        ROUTED,
        {
            **_OF_ONE,
            **_replicas("keda-hpa-churn-v1", 4),
        },
        30,
        {"ModelAtMaximum": 1},
    ),
    Scene(
        "fewer replicas than may be, by an HPA of gen's own",
        OF_OWN,
        {
            f"up{{{_SCORER}}}": "1x60",
            **_ready("ml-prod", "scorer-7d9f8b-x1", "1x60"),
            **_replicas("scorer", 3),
        },
        30,
        {},
    ),
    Scene(
        "a GPU is full, by the labels of an exporter that honours none",
        ROUTED,
        {
            **_OF_ONE,
            f"DCGM_FI_DEV_FB_USED{{{_EXPORTED}}}": "79000x60",
            f"DCGM_FI_DEV_FB_FREE{{{_EXPORTED}}}": "1000x60",
        },
        30,
        {"ModelGPUMemory": 1},
    ),
    Scene(
        "drift",
        DRIFTING,
        {
            **_ready("ml-prod", "fraud-predictor-7d9f8b-x1", "1x60"),
            'up{namespace="ml-prod",pod="fraud-predictor-7d9f8b-x1"}': "1x60",
            f"gen_drift_share{_DRIFT}": "0.5x60",
            f"gen_drift_threshold{_DRIFT}": "0.25x60",
            f"kube_cronjob_status_last_schedule_time{_CRON}": "100x60",
            f"kube_cronjob_status_last_successful_time{_CRON}": "200x60",
        },
        10,
        {"ModelDrift": 1},
    ),
    Scene(
        "a GPU idles for hours",
        ROUTED,
        {
            **_ready("ml-prod", "churn-v1-predictor-7d9f8b-x1", "1x500"),
            **_ready("ml-prod", "churn-v2-predictor-7d9f8b-x1", "1x500"),
            f"up{{{_CHURN}}}": "1x500",
            f"up{{{_TRIAL}}}": "1x500",
            f"DCGM_FI_DEV_GPU_UTIL{{{_CHURN}}}": "0x500",
            f"DCGM_FI_DEV_GPU_UTIL{{{_TRIAL}}}": "80x500",
        },
        450,
        {"ModelGPUIdle": 1},
    ),
    Scene(
        "less drift than the threshold, and no check for a day",
        DRIFTING,
        {
            **_ready("ml-prod", "fraud-predictor-7d9f8b-x1", "1x200"),
            'up{namespace="ml-prod",pod="fraud-predictor-7d9f8b-x1"}': "1x200",
            f"gen_drift_share{_DRIFT}": "0.2x200",
            f"gen_drift_threshold{_DRIFT}": "0.25x200",
            f"kube_cronjob_status_last_schedule_time{_CRON}": "300x200",
            f"kube_cronjob_status_last_successful_time{_CRON}": "200x200",
        },
        180,
        {"ModelDriftUnknown": 1},
    ),
)


@pytest.mark.parametrize("scene", sampled(SCENES, 4), ids=lambda scene: scene.name)
def test_exactly_these_alerts_fire(promtool: str, scene: Scene, tmp_path: Path) -> None:
    _rule_file(sorted(scene.folder.glob("prometheus-rule*.yaml")), tmp_path)
    samples = [
        {"labels": f'{{alertname="{name}"}}', "value": count}
        for name, count in sorted(scene.firing.items())
    ]
    asked = {
        "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
        "eval_time": f"{scene.minutes}m",
        "exp_samples": samples,
    }
    test = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": series, "values": values} for series, values in scene.series.items()
                ],
                "promql_expr_test": [asked],
            }
        ],
    }
    target = tmp_path / "test.yaml"
    target.write_text(yaml.safe_dump(test), "utf-8")
    assert _run(promtool, "test", "rules", target) == ""


def test_no_two_alerts_of_a_rule_file_are_one() -> None:
    for path in RULES:
        rules = [rule for group in _object(path)["spec"]["groups"] for rule in group["rules"]]
        told = [
            (rule["alert"], sorted(rule["labels"].items())) for rule in rules if "alert" in rule
        ]
        assert all(told.count(each) == 1 for each in told), path


def test_every_alert_that_gen_knows_fires_in_a_scene() -> None:
    told = {name for scene in SCENES for name in scene.firing}
    rules = (
        rule
        for path in RULES
        for group in _object(path)["spec"]["groups"]
        for rule in group["rules"]
    )
    assert {rule["alert"] for rule in rules if "alert" in rule} == told
