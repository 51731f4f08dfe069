"""The drift check, run as its CronJob runs it: with Evidently, on tables of every kind."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import NamedTuple

import peers
import pytest

from generator.drift.measured import DISTANCES, METHODS, Column, Result

ROOT = Path(__file__).resolve().parents[1]

TABLES = """
import sys
from pathlib import Path
import numpy as np
import pandas as pd

chance, folder = np.random.default_rng(1), Path(sys.argv[1])
known = pd.DataFrame(
    {
        "amount": chance.normal(0, 1, 400),
        "country": chance.choice(["de", "fr"], 400),
        "age": chance.integers(18, 80, 400),
        "vip": chance.choice([True, False], 400),
        "at": pd.date_range("2026-01-01", periods=400, freq="h"),
    }
)
known.to_parquet(folder / "known.parquet")
same = known.sample(300, random_state=2).assign(at=pd.Timestamp("2026-02-01"))
same.to_parquet(folder / "same.parquet")
same.to_csv(folder / "same.csv.gz", index=False)
(folder / "day").mkdir()
same.iloc[:150].to_parquet(folder / "day" / "a.parquet")
same.iloc[150:].to_parquet(folder / "day" / "b.parquet")
moved = same.assign(amount=same.amount + 3, country="us")
moved.to_parquet(folder / "moved.parquet")
moved.to_parquet(folder / f"moved-{pd.Timestamp.now('UTC') - pd.Timedelta('1D'):%Y-%m-%d}.parquet")
same.iloc[:0].to_parquet(folder / "empty.parquet")
same.iloc[:5].to_parquet(folder / "few.parquet")
same.drop(columns="age").to_parquet(folder / "other-columns.parquet")
same.assign(amount=same.amount.map(str)).to_parquet(folder / "other-types.parquet")
same.assign(amount=np.nan).to_parquet(folder / "no-values.parquet")
known[["at"]].to_parquet(folder / "times.parquet")
(folder / "no-table.parquet").write_text("no table")
(folder / "nothing.csv").write_text("")
"""


@pytest.fixture(scope="module")
def python() -> str:
    return str(peers.program("python"))


@pytest.fixture(scope="module")
def tables(python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    subprocess.run([python, "-W", "ignore", "-c", TABLES, folder], check=True)
    return folder


DRIVER = """
import contextlib, io, json, sys
from generator.drift.__main__ import main

for line in sys.stdin:
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(json.loads(line))
        except SystemExit as leaving:
            code = leaving.code or 0
    print(json.dumps([code, out.getvalue(), err.getvalue()]), flush=True)
"""
"""Runs one check after the other: to import Evidently takes longer than to compare tables."""


class Ran(NamedTuple):
    """What a check came to."""

    returncode: int
    stdout: str
    stderr: str


def options(tables: Path, current: str, *more: str) -> list[str]:
    """Name what to compare, with a reference and a threshold that all tests share."""
    known = [f"--reference={tables}/known.parquet", f"--current={tables}/{current}"]
    return ["--model=fraud", "--environment=prod", *known, "--threshold=0.5", *more]


class Check:
    """The command in a process that stays."""

    def __init__(self, process: subprocess.Popen[str], tables: Path) -> None:
        self.process, self.tables = process, tables

    def run(self, current: str, *more: str) -> Ran:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(options(self.tables, current, *more)) + "\n")
        self.process.stdin.flush()
        return Ran(*json.loads(self.process.stdout.readline()))


@pytest.fixture(scope="module")
def check(python: str, tables: Path) -> Iterator[Check]:
    command, pipe = [python, "-c", DRIVER], subprocess.PIPE
    environ = {"PYTHONPATH": str(ROOT), "HOME": str(tables)}
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environ) as process:
        yield Check(process, tables)
        assert process.stdin
        process.stdin.close()


@pytest.mark.peers
@pytest.mark.slow
def test_cron_job_runs_it_as_a_module(python: str, tables: Path) -> None:
    command = [python, "-m", "generator.drift", *options(tables, "moved.parquet", "--exit-code")]
    environ = {"PYTHONPATH": str(ROOT), "HOME": str(tables)}
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("drift: 2 of 4")


@pytest.mark.peers
@pytest.mark.slow
@pytest.mark.parametrize("current", ["same.parquet", "same.csv.gz", "day/"])
def test_what_is_the_same_has_not_drifted(check: Check, current: str) -> None:
    ran = check.run(current)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == "no drift: 0 of 4 columns drifted (threshold 0.5)\n"


@pytest.mark.peers
@pytest.mark.slow
@pytest.mark.parametrize("current", ["moved.parquet", "moved-%Y-%m-%d.parquet"])
def test_what_has_moved_has_drifted(check: Check, current: str) -> None:
    ran = check.run(current)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == "drift: 2 of 4 columns drifted (threshold 0.5): amount, country\n"


@pytest.mark.peers
@pytest.mark.slow
def test_columns_choose_what_is_compared(check: Check) -> None:
    ran = check.run("moved.parquet", "--column=age", "--column=amount", "--threshold=0.6")
    assert ran.stdout == "no drift: 1 of 2 columns drifted (threshold 0.6): amount\n"


@pytest.mark.peers
@pytest.mark.slow
def test_exit_code_is_for_who_goes_on_from_there(check: Check, tmp_path: Path) -> None:
    mark = tmp_path / "found"
    assert check.run("same.parquet", "--exit-code", f"--mark={mark}").returncode == 3
    assert not mark.exists()
    assert check.run("moved.parquet", "--exit-code", f"--mark={mark}").returncode == 0
    assert mark.read_text().startswith("drift: 2 of 4")


@pytest.mark.peers
@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_every_method_compares_columns_of_every_kind(check: Check, method: str) -> None:
    outs = [check.run(f"{name}.parquet", f"--method={method}").stdout for name in ("same", "moved")]
    assert [out.partition(":")[0] for out in outs] == ["no drift", "drift"]


BROKEN = {
    "absent.parquet": "there is no current data at",
    "empty.parquet": "has 0 rows, 30 are needed",
    "few.parquet": "has 5 rows, 30 are needed",
    "no-table.parquet": "cannot be read: ",
    "nothing.csv": "cannot be read: ",
    "other-columns.parquet": "the current data has no column `age`",
    "other-types.parquet": "`amount` is not of the same type: float64 before, object now",
    "no-values.parquet": "the current data has no value at all in `amount`",
}


@pytest.mark.peers
@pytest.mark.parametrize("current", BROKEN)
def test_what_cannot_be_compared_is_told_in_a_sentence(check: Check, current: str) -> None:
    ran = check.run(current)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert BROKEN[current] in ran.stderr
    assert ran.stderr.startswith("error: ")
    assert "Traceback" not in ran.stderr
    assert ran.stderr.count("\n") == 2, "an error and a hint"


@pytest.mark.peers
def test_times_alone_are_nothing_to_compare(check: Check) -> None:
    ran = check.run("times.parquet", f"--reference={check.tables}/times.parquet")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("error: the reference data has no column that is not a time\n")


@pytest.mark.peers
@pytest.mark.slow
def test_report_is_stored_for_people_and_for_programs(check: Check, tmp_path: Path) -> None:
    ran = check.run("moved.parquet", f"--report={tmp_path}/reports/")
    assert ran.returncode == 0
    assert sorted(path.suffix for path in (tmp_path / "reports").iterdir()) == [".html", ".json"]
    latest = tmp_path / "latest.html"
    assert check.run("moved.parquet", f"--report={latest}").returncode == 0
    assert "<html" in latest.read_text("utf-8")[:1000]


@pytest.mark.peers
@pytest.mark.slow
def test_bucket_without_its_program_is_told_with_the_remedy(check: Check) -> None:
    ran = check.run("same.parquet", "--report=s3://bucket/reports/")
    assert ran.returncode == 1
    assert "gen-manifests[drift]" in ran.stderr
    assert "Traceback" not in ran.stderr


class _Pushgateway(BaseHTTPRequestHandler):
    """Keeps what it is told; below /broken it refuses."""

    told: list[tuple[str, str, str]]

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.told.append((self.path, self.headers["Content-Type"], body))
        self.send_response(400 if self.path.startswith("/broken") else 200)
        self.end_headers()
        self.wfile.write(b"inconsistent metrics\n" if self.path.startswith("/broken") else b"")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def pushgateway() -> Iterator[HTTPServer]:
    _Pushgateway.told = []
    server = HTTPServer(("127.0.0.1", 0), _Pushgateway)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.peers
@pytest.mark.slow
def test_pushgateway_is_told_what_was_found(check: Check, pushgateway: HTTPServer) -> None:
    ran = check.run("moved.parquet", f"--push=http://127.0.0.1:{pushgateway.server_port}/")
    assert (ran.returncode, ran.stderr) == (0, "")
    ((path, kind, body),) = _Pushgateway.told
    assert path == "/metrics/job/gen-drift/environment/prod/model/fraud"
    assert kind.startswith("text/plain")
    assert "gen_drift_share 0.5\n" in body
    assert 'gen_drift_column_found{column="country"} 1\n' in body


@pytest.mark.peers
@pytest.mark.slow
def test_who_cannot_be_told_fails_the_run_and_nothing_else(
    check: Check, pushgateway: HTTPServer, tmp_path: Path
) -> None:
    address = f"http://127.0.0.1:{pushgateway.server_port}/broken"
    ran = check.run("moved.parquet", f"--push={address}", f"--mark={tmp_path}/found")
    assert ran.returncode == 1
    assert "answers 400: inconsistent metrics" in ran.stderr
    assert (tmp_path / "found").exists()


def test_series_are_as_prometheus_reads_them(promtool: str) -> None:
    columns = (Column('a "b"\\', "psi", 0.2, drifted=True), Column("c", "ks", 0.9, drifted=False))
    result = Result(columns, 0.5, 100, 90)
    assert (result.share, result.found) == (0.5, True)
    run = subprocess.run(
        [promtool, "check", "metrics"],
        input=result.exposition(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_methods_are_those_that_a_spec_may_name() -> None:
    from generator import schema

    rules = schema.document_schema("model")["$defs"]["drift"]["properties"]["method"]
    assert set(rules["enum"]) == METHODS.keys() > DISTANCES
