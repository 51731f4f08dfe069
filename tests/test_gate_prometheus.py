"""The gate of a rollout against a real Prometheus, filled with an hour of synthetic requests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from string import Template
from unittest import mock

import pytest
from helpers import Ran, gen, write_tree
from test_gate import HOUR, ROLLOUT, ROUTE, SPEC, answering, git, serving

from generator.gate import measures
from generator.gate.prometheus import Prometheus
from generator.serving import runtimes

STEP = 30
"""Seconds between two scrapes."""
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


@dataclass(frozen=True)
class Pod:
    """What the Pods of a version count: requests a second, a part that fails, and seconds each."""

    rate: float = 2.0
    failing: float = 0.0
    seconds: float = 0.02


GOOD, IDLE = Pod(), Pod(rate=0)
SCENES: dict[str, tuple[Pod | None, Pod | None]] = {
    "healthy": (GOOD, Pod(rate=0.2)),
    "failing": (GOOD, Pod(failing=0.2)),
    "broken": (GOOD, Pod(failing=1)),
    "both": (Pod(failing=0.2), Pod(failing=0.2)),
    "slow": (GOOD, Pod(seconds=0.2)),
    "quiet": (GOOD, Pod(rate=0.02)),
    "idle": (GOOD, IDLE),
    "absent": (GOOD, None),
    "unlabelled": (GOOD, GOOD),
    "nan": (GOOD, GOOD),
    "several": (GOOD, GOOD),
}
"""A model of each name, with its version that serves and its canary."""


def lines(model: str, version: str, pod: Pod, times: range) -> dict[str, list[str]]:
    """Write the series of one Pod, by metric."""
    name = f'pod="{model}-{version}-predictor-6d4b75cb6d-hwmb2"'
    labels = f'{name},namespace="{"elsewhere" if model == "unlabelled" else "ml-prod"}"'
    found: dict[str, list[str]] = {}
    for moment in times:
        count = int(pod.rate * (moment - times.start))
        fine = count - int(count * pod.failing)
        told = found.setdefault("request_predict_seconds", [])
        for bound in (*BUCKETS, "+Inf"):
            held = count if bound == "+Inf" or float(bound) > pod.seconds else 0
            bucket = f'request_predict_seconds_bucket{{{labels},le="{bound}"}}'
            told.append(f"{bucket} {held} {moment}")
        told.append(f"request_predict_seconds_count{{{labels}}} {count} {moment}")
        told.append(f"request_predict_seconds_sum{{{labels}}} {count * pod.seconds} {moment}")
        if fine:
            post = found.setdefault("request_postprocess_seconds", [])
            post.append(f"request_postprocess_seconds_count{{{labels}}} {fine} {moment}")
        found.setdefault("up", []).append(f"up{{{labels}}} 1 {moment}")
    return found


def openmetrics(now: int) -> str:
    """Write an hour of everything."""
    times = range(now - HOUR, now, STEP)
    told: dict[str, list[str]] = {}
    for model, pods in SCENES.items():
        for version, pod in zip(("v1", "v2"), pods, strict=True):
            for metric, series in (lines(model, version, pod, times) if pod else {}).items():
                told.setdefault(metric, []).extend(series)
    kinds = {"up": "gauge"}
    text = "".join(
        f"# TYPE {metric} {kinds.get(metric, 'histogram')}\n" + "\n".join(series) + "\n"
        for metric, series in told.items()
    )
    return f"{text}# EOF\n"


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not on PATH: `apt-get install prometheus` brings it")
    return found


OPTIONS = ("--config.file=prometheus.yml", "--storage.tsdb.path=data")


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a Prometheus that has seen an hour of every scene, and give its address."""
    server, tool = program("prometheus"), program("promtool")
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "series.txt").write_text(openmetrics(int(time.time())))
    (folder / "prometheus.yml").write_text("global: {scrape_interval: 1m}\n")
    backfill = ("tsdb", "create-blocks-from", "openmetrics", "series.txt", "data")
    subprocess.run([tool, *backfill], cwd=folder, check=True, capture_output=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"127.0.0.1:{port}"
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(
            [server, *OPTIONS, f"--web.listen-address={address}"],
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    try:
        wait_for(f"http://{address}/-/ready")
        yield f"http://{address}"
    finally:
        running.kill()
        running.wait()


def wait_for(url: str) -> None:
    reach = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
    for _ in range(200):
        try:
            with reach(url, timeout=1):
                return
        except (OSError, urllib.error.URLError):
            time.sleep(0.05)
    pytest.fail(f"{url} has not answered")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a model for each scene, committed two hours ago."""
    root = tmp_path_factory.mktemp("fleet")
    specs = {f"models/{name}.yaml": (SPEC + ROLLOUT).replace("churn", name) for name in SCENES}
    own = ROLLOUT.replace("}", ", gate: {queries: {latency: %s}}}")
    specs["models/nan.yaml"] = (SPEC + own % "'0 * max(up{$pods}) / 0'").replace("churn", "nan")
    specs["models/several.yaml"] = (
        SPEC + own % "'up{$pods} or 2*(up{$pods}) or vector(1)'"
    ).replace("churn", "several")
    specs["models/wrong.yaml"] = (SPEC + own % "'avg_over_time(nonsense($pods)[5m])'").replace(
        "churn", "wrong"
    )
    write_tree(root, {**specs, "environments/prod.yaml": ROUTE})
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message=Start", age=2 * HOUR)
    return root


def gate(root: Path, model: str, address: str, *more: str) -> Ran:
    arguments = ("gate", model, "--env", "prod", "--address", address, *more)
    return gen(*arguments, root=root, no_proxy="*")


DECIDED = {
    "healthy": (0, "advance to 25 %"),
    "failing": (11, "roll back, 20 % of v2 fail"),
    "broken": (11, "roll back, 100 % of v2 fail"),
    "both": (10, "wait, 20 % of v2 fail, and v1 fails no less"),
    "slow": (11, "roll back, p95 of v2 is 24"),
    "quiet": (10, "wait, v2 has had 3"),
    "idle": (10, "wait, v2 has had 0 of at least 100 requests"),
    "absent": (10, "wait, there is no data of v2"),
    "unlabelled": (10, "wait, there is no data of v2"),
}


@pytest.mark.parametrize(("model", "decided"), DECIDED.items(), ids=DECIDED)
def test_every_scene_is_decided(
    model: str, decided: tuple[int, str], prometheus: str, fleet: Path
) -> None:
    ran = gate(fleet, model, prometheus)
    assert ran.out.startswith(f"{model} in prod: {decided[1]}")
    assert ran.code == decided[0]


def test_a_window_is_counted_as_it_was(prometheus: str, fleet: Path) -> None:
    ran = gate(fleet, "healthy", prometheus, "--window", "20m")
    (row,) = (line.split() for line in ran.out.splitlines() if line.startswith("requests"))
    assert abs(int(row[1]) - 2 * 1200) < 2 * 1200 * 0.03
    assert abs(int(row[2]) - 0.2 * 1200) < 0.2 * 1200 * 0.05


def test_a_quantile_of_nothing_is_not_a_number(prometheus: str, fleet: Path) -> None:
    assert "no p50 of v2 (NaN)" in gate(fleet, "idle", prometheus).err


def test_an_own_query_that_gives_no_number(prometheus: str, fleet: Path) -> None:
    ran = gate(fleet, "nan", prometheus)
    assert ran.code == 10
    assert "wait, nobody knows how long requests take on v2 (p95)" in ran.out
    assert "no p50 of v2 (NaN): 0 * max(up{" in ran.err


def test_an_own_query_that_gives_several_numbers(prometheus: str, fleet: Path) -> None:
    ran = gate(fleet, "several", prometheus)
    assert ran.code == 1
    assert "models/several.yaml:10:" in ran.err
    assert "2 series, and one is needed" in ran.err


def test_an_own_query_that_prometheus_refuses(prometheus: str, fleet: Path) -> None:
    ran = gate(fleet, "wrong", prometheus)
    assert ran.code == 1
    assert ran.err.startswith("models/wrong.yaml:10:")
    assert "Prometheus refuses the query: " in ran.err


@pytest.mark.parametrize(("sent", "code"), [("secret", 0), ("stale", 12), ("", 12)])
def test_a_proxy_wants_a_token(
    sent: str, code: int, prometheus: str, fleet: Path, tmp_path: Path
) -> None:
    def guarding(request: BaseHTTPRequestHandler) -> None:
        if request.headers["Authorization"] != "Bearer secret":
            return answering(401 if sent else 403)(request)
        reach = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
        with reach(f"{prometheus}{request.path.removeprefix('/below')}", timeout=5) as response:
            return answering(200, response.read())(request)

    (tmp_path / "token").write_text(f"{sent}\n")
    more = ("--bearer-token-file", str(tmp_path / "token")) if sent else ()
    with serving(guarding) as address:
        ran = gate(fleet, "healthy", f"{address}/below/", *more)
    assert ran.code == code
    assert code == 0 or "name a file with a token that is valid there" in ran.err


def test_prometheus_understands_every_built_in_query(prometheus: str) -> None:
    gauges = [runtime.gauge for runtime in (*runtimes.BY_NAME.values(), runtimes.LLM)]
    templates = {getattr(gauge, kind) for gauge in gauges for kind in measures.KINDS} - {""}
    filled = [
        Template(template).substitute(pods='pod=~"x.*"', window="60s", quantile="0.5")
        for template in sorted(templates)
    ]
    assert len(filled) > 8
    with mock.patch.dict(os.environ, no_proxy="*"):
        replies = Prometheus(prometheus).answers(filled, 5)
    assert {reply.value for reply in replies} <= {None, 0.0}
