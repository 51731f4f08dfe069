"""The PromQL of every ScaledObject, parsed and evaluated by Prometheus' own tool.

Needs promtool, which comes with Prometheus (`apt-get install prometheus`); without it the tests are
skipped, and nothing else depends on it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from generator.records import Layer
from generator.scaling import autoscaling
from generator.serving import runtimes
from generator.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
NAMESPACE, WORKLOAD = "ml-prod", "churn-v1-predictor"
OWN = tuple(f'namespace="{NAMESPACE}",pod="{WORKLOAD}-7d4b9c{n}-x2k{n}z"' for n in (1, 2))
OTHERS = (
    f'namespace="{NAMESPACE}",pod="churn-v2-predictor-7d4b9c1-x2k1z"',
    f'namespace="{NAMESPACE}",pod="churn-v1-7d4b9c1-x2k1z"',
    f'namespace="ml-dev",pod="{WORKLOAD}-7d4b9c1-x2k1z"',
)
"""Pods of another version, of a model that is called alike, and of another namespace."""

_SELECTED = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\{[^}]*\}(\[)?")

promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")


def _queries() -> list[tuple[str, str, str]]:
    """List runtime, metric and query of all that gen knows how to scale by."""
    found = []
    for name in runtimes.BY_NAME:
        for metric in ("requests-per-second", "concurrency"):
            serving = {"backend": "kserve", "runtime": name}
            spec = {"serving": serving, "scaling": {"metric": metric}}
            settings = Settings((Layer(None, (), spec),), spec)
            query = autoscaling.query(settings, WORKLOAD, NAMESPACE)
            found += [(name, metric, query)] if query else []
    return found


def _series(query: str, pods: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Make series of each metric: counters that grow by one a second, or gauges of three."""
    for metric, is_counted in sorted({*_SELECTED.findall(query)}):
        for pod in pods:
            values = "0+60x10" if is_counted else "3x10"
            yield {"series": f"{metric}{{{pod}}}", "values": values}


def _expected(query: str) -> float:
    counted = {bool(ranged) for _, ranged in _SELECTED.findall(query)}
    assert len(counted) == 1, query
    each = 1 if counted == {True} else 3
    return each * len(OWN) * len({name for name, _ in _SELECTED.findall(query)})


def _tested(query: str, series: list[dict[str, str]], value: float) -> dict[str, Any]:
    sample = {"labels": "{}", "value": value}
    check = {"expr": query, "eval_time": "5m", "exp_samples": [sample]}
    return {"interval": "1m", "input_series": series, "promql_expr_test": [check]}


def _promtool(folder: Path, *arguments: str, **content: Any) -> str:
    (folder / "rules.yaml").write_text(yaml.safe_dump(content))
    command = ["promtool", *arguments, "rules.yaml"]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return "" if ran.returncode == 0 else ran.stdout + ran.stderr


def test_every_runtime_that_reports_something_is_here() -> None:
    reporting = {r.name for r in runtimes.BY_NAME.values() if r.requests_per_second}
    assert {name for name, _, _ in _queries()} == reporting
    assert len(reporting) > 5


@promtool
@pytest.mark.parametrize(
    ("name", "metric", "query"), _queries(), ids=lambda value: value if " " not in value else ""
)
def test_a_query_counts_its_own_pods_and_is_0_without_any(
    name: str, metric: str, query: str, tmp_path: Path
) -> None:
    groups = [
        _tested(query, [*_series(query, (*OWN, *OTHERS))], _expected(query)),
        _tested(query, [*_series(query, OTHERS)], 0),
        _tested(query, [], 0),
    ]
    assert _promtool(tmp_path, "test", "rules", rule_files=[], tests=groups) == ""


def _rendered() -> Iterator[tuple[str, str]]:
    """Give the queries of all ScaledObjects that are committed, with their places."""
    for folder in (ROOT / "rendered", ROOT / "tests" / "cases" / "valid"):
        for path in sorted(folder.rglob("scaled-object*.yaml")):
            for trigger in yaml.safe_load(path.read_text("utf-8"))["spec"]["triggers"]:
                if trigger["type"] == "prometheus":
                    yield path.relative_to(ROOT).as_posix(), trigger["metadata"]["query"]


@promtool
def test_prometheus_parses_every_query_that_is_rendered(tmp_path: Path) -> None:
    found = list(_rendered())
    assert len(found) > 10
    rules = [{"record": f"query:{index}", "expr": each[1]} for index, each in enumerate(found)]
    groups = [{"name": "rendered", "rules": rules}]
    assert _promtool(tmp_path, "check", "rules", "--lint=none", groups=groups) == "", found


@promtool
def test_prometheus_refuses_a_query_that_is_none(tmp_path: Path) -> None:
    groups = [{"name": "wrong", "rules": [{"record": "query:0", "expr": "sum(rate(a))"}]}]
    assert "parse error" in _promtool(tmp_path, "check", "rules", groups=groups)
