"""Versions that a tracking server resolves: against a server of ours, and against MLflow itself."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import peers
import pytest
import yaml
from helpers import Ran, gen, write_tree
from test_gate import git

from generator.promotions import registry
from generator.promotions.registry import Credentials, Registry
from generator.web import Unanswered

Json = dict[str, Any]

RUN = "3f2a91c0d4e84b6c8a5f0e1d2c3b4a59"
COMMIT = "9c1e4f27b0d3a58c6e1f2d4b7a90c3e5f8d6b1a2"
LOGGED = f"m-{RUN}"
ENVIRONMENT = """\
name: prod
namespace: ml
cluster: {server: https://prod.example.com, kubernetes: "1.35"}
platform:
  kserve: {version: "0.20", mode: Knative}
  mlflow: {address: "http://mlflow.invalid"}
argocd: {repoURL: https://github.com/example/ml-models, project: ml}
"""
MODEL = """\
name: fraud
owner: risk
description: Scores payments.
serving: {format: sklearn, resources: {cpu: "1", memory: 2Gi}}
versions:
  v1: {uri: s3://models/fraud/1}   # the first
environments:
  prod: {version: v1}
"""


def tag(key: str, value: str) -> Json:
    return {"key": key, "value": value}


def dataset(name: str, context: str = "") -> Json:
    tags = [tag("mlflow.data.context", context)] if context else []
    return {"tags": tags, "dataset": {"name": name, "digest": "8f3c21aa", "source": "{}"}}


def run(**parts: Any) -> Json:
    info = {"artifact_uri": f"s3://runs/{RUN}/artifacts", "lifecycle_stage": "active"}
    data = {"tags": [tag("mlflow.source.git.commit", COMMIT)], "metrics": []}
    inputs = {"dataset_inputs": [dataset("holdout", "eval"), dataset("payments", "training")]}
    return {"run": {"info": info, "data": data, "inputs": inputs, **parts}}


def version(number: str = "5", **more: Any) -> Json:
    known = {"name": "fraud", "version": number, "run_id": RUN, "status": "READY"}
    return {"model_version": {**known, **more}}


def answers(**changed: Any) -> Json:
    """Say what a server of ours answers, by what it is asked for."""
    return {
        "model-versions/get": version(),
        "registered-models/alias": version("4"),
        "model-versions/get-download-uri": {"artifact_uri": "s3://models/fraud/5"},
        "runs/get": run(),
        f"logged-models/{LOGGED}": {
            "model": {
                "info": {
                    "name": "model",
                    "artifact_uri": "s3://logged/1",
                    "source_run_id": RUN,
                    "status": "LOGGED_MODEL_READY",
                }
            }
        },
        **{key.replace("__", "-").replace("_s_", "/"): value for key, value in changed.items()},
    }


@contextmanager
def serving(known: Json, seen: list[Any] | None = None) -> Iterator[str]:
    """Serve answers; a number is a status, a text is sent as it is, a tuple is both."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if seen is not None:
                seen.append((parts.path, parse_qs(parts.query), self.headers.get("Authorization")))
            said = known.get(parts.path.removeprefix("/api/2.0/mlflow/"), 404)
            status, body = said if isinstance(said, tuple) else (200, said)
            if isinstance(body, int):
                status, body = body, ""
            text = body if isinstance(body, str) else json.dumps(body)
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "https://login.example.com/")
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def refused(uri: str, known: Json, **settings: Any) -> Unanswered:
    with serving(known) as address, pytest.raises(Unanswered) as caught:
        Registry(address, **settings).resolved(uri, 10)
    return caught.value


def resolved(uri: str, known: Json, **settings: Any) -> registry.Resolved:
    with serving(known) as address:
        return Registry(address, **settings).resolved(uri, 10)


# What is resolved

SOURCE = {"run": RUN, "commit": COMMIT, "datasets": ["payments@8f3c21aa"]}


def test_a_number_becomes_a_place_and_a_lineage() -> None:
    found = resolved("models:/fraud/5", answers())
    assert found == ("s3://models/fraud/5", {"registry": "models:/fraud/5", **SOURCE}, ())


def test_an_alias_becomes_the_number_that_it_stands_for_today() -> None:
    seen: list[Any] = []
    with serving(answers(), seen) as address:
        found = Registry(address).resolved("models:/fraud@champion", 10)
    assert found.source["registry"] == "models:/fraud/4"
    assert seen[0][1] == {"name": ["fraud"], "alias": ["champion"]}
    assert seen[1][1] == {"name": ["fraud"], "version": ["4"]}


def test_a_logged_model_needs_no_registration() -> None:
    found = resolved(f"models:/{LOGGED}", answers())
    assert found.uri == "s3://logged/1"
    assert found.source == {"registry": f"models:/{LOGGED}", **SOURCE}


def test_a_path_of_a_run_is_below_its_artifacts() -> None:
    found = resolved(f"runs:/{RUN}/export/model", answers())
    assert found == (f"s3://runs/{RUN}/artifacts/export/model", SOURCE, ())


def test_a_model_of_a_run_is_where_it_was_logged_since_mlflow_3() -> None:
    known = answers(runs_s_get=run(outputs={"model_outputs": [{"model_id": LOGGED}]}))
    assert resolved(f"runs:/{RUN}/model", known).uri == "s3://logged/1"
    assert resolved(f"runs:/{RUN}/other", known).uri == f"s3://runs/{RUN}/artifacts/other"


def test_a_name_may_have_spaces_and_signs() -> None:
    seen: list[Any] = []
    with serving(answers(), seen) as address:
        Registry(f"{address}/").resolved("models:/Fraud & co/5", 10)
    assert seen[0][1]["name"] == ["Fraud & co"]


def test_data_without_a_purpose_counts_all() -> None:
    inputs = {"dataset_inputs": [dataset("a"), dataset("b"), dataset("a")]}
    found = resolved("models:/fraud/5", answers(runs_s_get=run(inputs=inputs)))
    assert found.source["datasets"] == ["a@8f3c21aa", "b@8f3c21aa"]


def test_what_a_run_does_not_know_is_a_note() -> None:
    bare = run(inputs={}, data={"tags": [tag("mlflow.source.git.commit", "not a commit")]})
    found = resolved("models:/fraud/5", answers(runs_s_get=bare))
    assert found.source == {"registry": "models:/fraud/5", "run": RUN}
    assert found.notes == (f"the run {RUN} logged no commit and no dataset",)


def test_a_run_that_is_gone_is_a_note() -> None:
    gone = (404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such run"})
    found = resolved("models:/fraud/5", answers(runs_s_get=gone))
    assert found.source == {"registry": "models:/fraud/5", "run": RUN}
    assert "is gone" in found.notes[0]
    registered = answers(**{"model__versions_s_get": version(run_id="")})
    assert "knows no run" in resolved("models:/fraud/5", registered).notes[0]


@pytest.mark.parametrize(
    "nonsense", [[], "text", {"run": []}, {"run": {"data": [], "inputs": 3, "outputs": {}}}]
)
def test_a_run_in_another_form_breaks_nothing(nonsense: Any) -> None:
    known = answers(runs_s_get=nonsense if isinstance(nonsense, dict) else {"run": nonsense})
    assert resolved("models:/fraud/5", known).uri == "s3://models/fraud/5"


@pytest.mark.parametrize(
    ("location", "kept", "wanted"),
    [
        ("gs://a/b", "", "gs://a/b"),
        (
            "mlflow-artifacts:/1/abc/artifacts",
            "s3://bucket/mlflow/",
            "s3://bucket/mlflow/1/abc/artifacts",
        ),
        ("mlflow-artifacts://host:5000/1/abc", "gs://b", "gs://b/1/abc"),
        (
            "wasbs://models@acme.blob.core.windows.net/a",
            "",
            "https://acme.blob.core.windows.net/models/a",
        ),
        (
            "abfss://models@acme.dfs.core.windows.net/a/b",
            "",
            "https://acme.blob.core.windows.net/models/a/b",
        ),
    ],
)
def test_where_kserve_fetches_a_location(location: str, kept: str, wanted: str) -> None:
    assert registry.reachable(location, kept) == wanted


@pytest.mark.parametrize(
    ("location", "said", "hint"),
    [
        ("/mlruns/1/abc", "on the disk of whoever logged them", "artifact location"),
        ("file:///mlruns/1", "on the disk of whoever logged them", "artifact location"),
        ("./mlruns/1", "on the disk of whoever logged them", "artifact location"),
        ("", "nowhere", "artifact location"),
        ("mlflow-artifacts:/1/abc", "hands out", "--artifacts s3://<bucket>"),
        ("dbfs:/models/1", "KServe fetches nothing from dbfs:/models/1", "copy them to s3://"),
        ("s3a://models/1", "KServe fetches nothing from", "copy them to s3://"),
        ("ftp://models/1", "KServe fetches nothing from", "copy them to s3://"),
    ],
)
def test_a_location_that_no_cluster_reaches(location: str, said: str, hint: str) -> None:
    with pytest.raises(Unanswered) as caught:
        registry.reachable(location)
    assert said in caught.value.message
    assert hint in caught.value.hint


# What is refused


def error(code: str, message: str) -> Json:
    return {"error_code": code, "message": message}


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("models:/fraud", "names no version"),
        ("models:/fraud/Production", "`Production` is no number"),
        ("models:/fraud/latest", "`latest` is no number"),
        ("models:/", "no address in a tracking server"),
        ("models:/a/1/2", "no address in a tracking server"),
        ("runs:/abc", "no address in a tracking server"),
    ],
)
def test_an_address_of_no_form(uri: str, said: str) -> None:
    found = refused(uri, answers())
    assert said in found.message
    assert "models:/" in found.hint


@pytest.mark.parametrize(
    ("uri", "known", "said"),
    [
        (
            "models:/fraud/9",
            {"model-versions/get": (404, error("RESOURCE_DOES_NOT_EXIST", "not found"))},
            "knows no version 9 of the model `fraud`: not found",
        ),
        (
            "models:/fraud@best",
            {"registered-models/alias": (400, error("INVALID_PARAMETER_VALUE", "not found"))},
            "knows no alias `best` of the model `fraud`: not found",
        ),
        (
            f"runs:/{RUN}/model",
            {"runs/get": (404, error("RESOURCE_DOES_NOT_EXIST", "no such run"))},
            f"knows no run {RUN}",
        ),
        (
            "models:/fraud/5",
            {"model-versions/get": version(status="PENDING_REGISTRATION")},
            "version 5 of the model `fraud` is PENDING_REGISTRATION",
        ),
        (
            "models:/fraud/5",
            {
                "model-versions/get": version(
                    status="FAILED_REGISTRATION", status_message="disk\nfull"
                )
            },
            "FAILED_REGISTRATION: disk full",
        ),
        ("models:/fraud/5", {"model-versions/get": (401, "who are you")}, "answers 401"),
        ("models:/fraud/5", {"model-versions/get": (403, error("PERMISSION_DENIED", "no"))}, "403"),
        (
            "models:/fraud/5",
            {"model-versions/get": (302, "")},
            "leads to https://login.example.com/",
        ),
        ("models:/fraud/5", {"model-versions/get": (500, "oops")}, "answers 500"),
        ("models:/fraud/5", {"model-versions/get": "<html>"}, "the answer is not JSON: <html>"),
        ("models:/fraud/5", {"model-versions/get": "[1]"}, "not MLflow's"),
        ("models:/fraud/5", {}, "answers 404"),
    ],
)
def test_what_a_server_does_not_give(uri: str, known: Json, said: str) -> None:
    found = refused(uri, known)
    assert said in found.message
    assert found.hint


def test_a_server_that_is_not_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    for where, said in (
        (address, "cannot be reached"),
        ("mlflow.example.com", "is no address"),
        ("http://ada:secret@mlflow.example.com", "holds no credentials"),
    ):
        with pytest.raises(Unanswered) as caught:
            Registry(where).resolved("models:/fraud/5", 5)
        assert said in caught.value.message
        assert "secret" not in caught.value.message


def test_a_server_that_says_nothing() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        address = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        with pytest.raises(Unanswered) as caught:
            Registry(address).resolved("models:/fraud/5", 0.2)
    assert "answer" in caught.value.message


@pytest.mark.parametrize(
    ("credentials", "header"),
    [
        (Credentials("t0ken", "ada", "pw"), "Bearer t0ken"),
        (Credentials("", "ada", "pw"), "Basic YWRhOnB3"),
        (Credentials(), None),
    ],
)
def test_who_asks(credentials: Credentials, header: str | None) -> None:
    seen: list[Any] = []
    with serving(answers(), seen) as address:
        Registry(address, credentials).resolved("models:/fraud/5", 10)
    assert {asked[2] for asked in seen} == {header}
    assert "t0ken" not in repr(credentials)
    assert "pw" not in repr(credentials)


# The command


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {"models/fraud.yaml": MODEL, "environments/prod.yaml": ENVIRONMENT}
    write_tree(tmp_path, {path: text.encode() for path, text in files.items()})
    return tmp_path


def add(root: Path, uri: str, *options: str, **environ: str) -> Ran:
    return gen("version", "add", "fraud", "v5", "--uri", uri, *options, root=root, **environ)


def test_a_version_is_written_with_its_lineage_and_nothing_else_moves(root: Path) -> None:
    with serving(answers()) as address:
        found = add(root, "models:/fraud@champion", "--tracking-uri", address)
    assert (found.code, "live nowhere yet" in found.out) == (0, True), found.err
    text = (root / "models/fraud.yaml").read_text()
    written = yaml.safe_load(text)["versions"]["v5"]
    source = {"registry": "models:/fraud/4", **SOURCE}
    assert written == {"uri": "s3://models/fraud/5", "source": source}
    lines = text.splitlines()
    assert [line for line in MODEL.splitlines() if line not in lines] == []
    assert "models:/" not in (root / "rendered/prod/fraud/patch-version.yaml").read_text()


def test_the_server_is_named_in_three_places(root: Path) -> None:
    environment = root / "environments/prod.yaml"
    with serving(answers()) as address:
        options = ("--dry-run",)
        assert add(root, "models:/fraud/5", *options, MLFLOW_TRACKING_URI=address).code == 0
        environment.write_text(ENVIRONMENT.replace("http://mlflow.invalid", address))
        assert add(root, "models:/fraud/5", *options).code == 0
    environment.write_text(
        ENVIRONMENT.replace('  mlflow: {address: "http://mlflow.invalid"}\n', "")
    )
    found = add(root, "models:/fraud/5", *options)
    assert found.code == 2
    assert "nobody named one" in found.err


def test_environments_may_name_several_servers(root: Path) -> None:
    first = ENVIRONMENT.replace("mlflow.invalid", "a.example.com")
    (root / "environments/prod.yaml").write_text(first)
    other = first.replace("name: prod", "name: dev").replace("a.example", "b.example")
    other = other.replace("namespace: ml", "namespace: dev").replace("project: ml", "project: dev")
    (root / "environments/dev.yaml").write_text(other)
    both = MODEL.replace("prod: {version: v1}", "prod: {version: v1}\n  dev: {version: v1}")
    (root / "models/fraud.yaml").write_text(both)
    found = add(root, "models:/fraud/5")
    assert found.code == 2
    assert "http://a.example.com and http://b.example.com" in found.err


def test_what_the_server_hands_out_is_found_where_it_keeps_it(root: Path) -> None:
    proxied = {"artifact_uri": "mlflow-artifacts:/1/abc"}
    known = answers(**{"model__versions_s_get__download__uri": proxied})
    with serving(known) as address:
        said = ENVIRONMENT.replace("http://mlflow.invalid", address)
        (root / "environments/prod.yaml").write_text(said)
        found = add(root, "models:/fraud/5", "--dry-run")
        assert (found.code, "platform.mlflow.artifacts" in found.err) == (1, True)
        own = said.replace("}\nargocd", ", artifacts: s3://kept}\nargocd")
        (root / "environments/prod.yaml").write_text(own)
        assert "s3://kept/1/abc" in add(root, "models:/fraud/5", "--dry-run").out
        found = add(root, "models:/fraud/5", "--dry-run", "--artifacts", "gs://here")
        assert "gs://here/1/abc" in found.out


def test_a_refusal_changes_nothing(root: Path) -> None:
    with serving({}) as address:
        found = add(root, "models:/fraud/5", "--tracking-uri", address)
    assert found.code == 1
    assert "answers 404" in found.err
    assert "nothing was changed" in found.err
    assert (root / "models/fraud.yaml").read_text() == MODEL


def test_a_spec_holds_no_address_of_a_server(root: Path) -> None:
    said = MODEL.replace("s3://models/fraud/1", "models:/fraud/1")
    (root / "models/fraud.yaml").write_text(said)
    found = gen("render", root=root)
    assert found.code == 1
    assert "gen version add fraud" in found.err


# What is known later


def test_what_was_live_says_what_it_came_from(root: Path) -> None:
    def commit(message: str) -> None:
        for arguments in (("add", "-A"), ("commit", "-qm", message)):
            git(root, *arguments)

    git(root, "init", "-q")
    assert gen("render", root=root).code == 0
    commit("start")
    with serving(answers()) as address:
        assert add(root, "models:/fraud/5", "--tracking-uri", address).code == 0
    assert gen("promote", "fraud", "-e", "prod", "--version", "v5", root=root).code == 0
    difference = gen("diff", "--base", "HEAD", root=root).out
    assert "models:/fraud/5" in difference
    assert "payments@8f3c21aa" in difference
    commit("promote v5")
    history = gen("history", "fraud", root=root).out.splitlines()
    assert history[-2].split() == ["version", "registered", "run", "code", "data"]
    assert history[-1].split() == [
        "v5",
        "models:/fraud/5",
        RUN[:12],
        COMMIT[:12],
        "payments@8f3c21aa",
    ]
    now, before = json.loads(gen("history", "fraud", "--format", "json", root=root).out)
    assert now["live"][0]["source"] == {"registry": "models:/fraud/5", **SOURCE}
    assert "source" not in before["live"][0]
    status = gen("status", root=root).out.splitlines()
    assert status[0].endswith("from")
    assert status[1].endswith("models:/fraud/5")


def test_a_source_that_is_added_later_restarts_nothing(root: Path) -> None:
    git(root, "init", "-q")
    assert gen("render", root=root).code == 0
    git(root, "add", "-A")
    git(root, "commit", "-qm", "start")
    traced = MODEL.replace("/1}", "/1, source: {registry: models:/fraud/1}}")
    (root / "models/fraud.yaml").write_text(traced)
    assert gen("render", root=root).code == 0
    changed = git(root, "diff", "--name-only").split()
    assert changed == ["argocd/prod/application-fraud.yaml", "models/fraud.yaml"]


# MLflow itself, as one process first: a server of its own takes half a minute to start


_ANSWER = f'''
import os, sys
from mlflow import MlflowClient, server
from mlflow.entities import Dataset, DatasetInput, InputTag
from werkzeug.serving import make_server

place = f"sqlite:///{{sys.argv[1]}}/mlflow.db"
os.environ[server.BACKEND_STORE_URI_ENV_VAR] = place
os.environ[server.ARTIFACT_ROOT_ENV_VAR] = sys.argv[1]
client = MlflowClient(place)
known = client.create_experiment("known", artifact_location=sys.argv[1])
run = client.create_run(known, tags={{"mlflow.source.git.commit": "{COMMIT}"}}).info.run_id
for name, context in (("payments", "training"), ("holdout", "eval")):
    tags = [InputTag("mlflow.data.context", context)]
    client.log_inputs(run, [DatasetInput(Dataset(name, "8f3c21aa", "local", "{{}}"), tags)])
client.create_registered_model("fraud")
for number in (1, 2):
    client.create_model_version("fraud", source=f"s3://models/fraud/{{number}}", run_id=run)
client.set_registered_model_alias("fraud", "champion", "2")
answering = make_server("127.0.0.1", 0, server.app)
print(answering.port, run, flush=True)
answering.serve_forever()
'''


@pytest.fixture
def answering(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Let MLflow answer without the servers and workers around it: its address, and its run."""
    folder = tmp_path_factory.mktemp("answering")
    command = [str(peers.program("python")), "-W", "ignore", "-c", _ANSWER, str(folder)]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        assert process.stdout
        try:
            said = process.stdout.readline().split()
            assert len(said) == 2, (folder / "log").read_text()
            yield f"http://127.0.0.1:{said[0]}", said[1]
        finally:
            process.terminate()


@pytest.mark.peers
def test_mlflow_says_what_a_version_is(answering: tuple[str, str], root: Path) -> None:
    address, known_run = answering
    assert_resolved("models:/fraud@champion", address, known_run, root)
    found = add(root, "models:/fraud/9", "--tracking-uri", address)
    assert found.code == 1
    assert "knows no version 9 of the model `fraud`" in found.err


def assert_resolved(uri: str, address: str, run: str, root: Path) -> None:
    found = add(root, uri, "--tracking-uri", address)
    assert found.code == 0, found.err
    written = yaml.safe_load((root / "models/fraud.yaml").read_text())["versions"]["v5"]
    source = written["source"]
    assert written["uri"] == "s3://models/fraud/2"
    assert (source["registry"], source["run"]) == ("models:/fraud/2", run)
    assert source["commit"] == COMMIT
    assert [each.partition("@")[0] for each in source["datasets"]] == ["payments"]


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a tracking server, with its artifacts beside its database."""
    folder = tmp_path_factory.mktemp("mlflow")
    program = peers.program("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    place = ("--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--no-serve-artifacts")
    kept = ("--default-artifact-root", str(folder / "artifacts"), "--workers", "1")
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [program, "server", *place, *kept, "--host", "127.0.0.1", "--port", port],
            stdout=log,
            stderr=log,
            cwd=folder,
            start_new_session=True,
        )
        address = f"http://127.0.0.1:{port}"
        try:
            _wait_for(f"{address}/health", server)
            yield address
        finally:
            os.killpg(server.pid, 15)
            server.wait(30)


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    pytest.fail("MLflow did not start")


_REGISTER = f'''
import json, sys
import mlflow, pandas
from mlflow import MlflowClient
from sklearn.linear_model import LogisticRegression

mlflow.set_tracking_uri(sys.argv[1])
client = MlflowClient()
with mlflow.start_run(tags={{"mlflow.source.git.commit": "{COMMIT}"}}) as run:
    for name, context in (("payments", "training"), ("holdout", "eval")):
        data = mlflow.data.from_pandas(pandas.DataFrame({{"a": [1.0, 2.0]}}), name=name)
        mlflow.log_input(data, context=context)
    model = LogisticRegression().fit([[0], [1]], [0, 1])
    info = mlflow.sklearn.log_model(model, name="model")
client.create_registered_model("fraud")
known = dict(run_id=run.info.run_id, model_id=info.model_id)
client.create_model_version("fraud", source=info.model_uri, **known)
client.create_model_version("fraud", source="s3://models/fraud/2", run_id=run.info.run_id)
client.set_registered_model_alias("fraud", "champion", "2")
print(json.dumps({{"run": run.info.run_id, "model": info.model_id}}))
'''


@pytest.fixture(scope="module")
def registered(mlflow: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Log a model with MLflow's own client, and register it."""
    ran = subprocess.run(
        [peers.program("python"), "-W", "ignore", "-c", _REGISTER, mlflow],
        cwd=tmp_path_factory.mktemp("client"),
        env={**os.environ, "GIT_PYTHON_REFRESH": "quiet"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, str] = json.loads(ran.stdout.splitlines()[-1])
    return found


@pytest.mark.peers
@pytest.mark.slow
@pytest.mark.parametrize("uri", ["models:/fraud@champion", "models:/fraud/2"])
def test_mlflow_resolves_a_version(
    uri: str, mlflow: str, registered: dict[str, str], root: Path
) -> None:
    assert_resolved(uri, mlflow, registered["run"], root)


@pytest.mark.peers
@pytest.mark.slow
def test_mlflow_finds_what_was_logged(mlflow: str, registered: dict[str, str], root: Path) -> None:
    for uri in (
        "models:/fraud/1",
        f"models:/{registered['model']}",
        f"runs:/{registered['run']}/model",
    ):
        found = add(root, uri, "--tracking-uri", mlflow)
        assert found.code == 1
        assert f"/models/{registered['model']}/artifacts, on the disk" in found.err


@pytest.mark.peers
@pytest.mark.slow
@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("models:/fraud/9", "knows no version 9 of the model `fraud`"),
        ("models:/churn/1", "knows no version 1 of the model `churn`"),
        ("models:/fraud@best", "knows no alias `best` of the model `fraud`"),
        (f"runs:/{RUN}/model", f"knows no run {RUN}"),
        (f"models:/{LOGGED}", f"knows no logged model {LOGGED}"),
    ],
)
def test_mlflow_does_not_know(
    uri: str, said: str, mlflow: str, registered: dict[str, str], root: Path
) -> None:
    found = add(root, uri, "--tracking-uri", mlflow)
    assert found.code == 1
    assert said in found.err
