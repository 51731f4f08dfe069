"""The gate of a rollout: what is decided by which numbers, and whatever a server may answer."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from helpers import ENVIRONMENT, MODEL, Ran, gen, write_tree
from msgspec.structs import replace

from generator import promql, schema
from generator.gate import measures, prometheus, verdict
from generator.gate.measures import Reply
from generator.gate.prometheus import Prometheus, Unanswered
from generator.gate.verdict import Limits, Numbers, Trial
from generator.serving import runtimes

# Decisions

LIMITS = Limits(100, 0.02, 2, 1.5, "p95")
FAST = {"p50": 0.01, "p95": 0.1, "p99": 0.2}
STABLE = Numbers("v1", 9000, 9, FAST, 3)
CANARY = Numbers("v2", 1000, 1, FAST, 1)


def trial(canary: Numbers = CANARY, stable: Numbers = STABLE, **other: Any) -> Trial:
    return Trial(
        **{"traffic": 10, "lasted": 3600, "soak": 1800, **other}, canary=canary, stable=stable
    )


def of(numbers: Numbers, **other: Any) -> Numbers:
    return replace(numbers, **other)


def slow(numbers: Numbers, p95: float | None) -> Numbers:
    return of(numbers, latency={**FAST, "p95": p95})


DECIDED: dict[str, tuple[Trial, Limits, str, str]] = {
    "healthy": (trial(), LIMITS, "advance", "no worse than v1"),
    "no errors at all": (trial(of(CANARY, errors=0), of(STABLE, errors=0)), LIMITS, "advance", ""),
    "one error more": (trial(of(CANARY, errors=1), of(STABLE, errors=0)), LIMITS, "advance", ""),
    "soaking": (trial(lasted=1799), LIMITS, "wait", "not had its 10 % for long"),
    "soaked": (trial(lasted=1800), LIMITS, "advance", ""),
    "no soak": (trial(lasted=0, soak=0), LIMITS, "advance", ""),
    "failing": (trial(of(CANARY, errors=100)), LIMITS, "roll back", "10 % of v2 fail, more than 2"),
    "failing early": (trial(of(CANARY, errors=100), lasted=9), LIMITS, "roll back", "10 % of v2"),
    "failing, and nothing is known of stable": (
        trial(of(CANARY, errors=100), Numbers("v1")),
        LIMITS,
        "roll back",
        "more than 2 %",
    ),
    "all fail": (trial(of(CANARY, errors=1000)), LIMITS, "roll back", "100 % of v2"),
    "more than all fail": (trial(of(CANARY, errors=1003.7)), LIMITS, "roll back", "100 % of v2"),
    "few more than allowed": (trial(of(CANARY, errors=23)), LIMITS, "roll back", "times the 0.1 %"),
    "may be chance": (
        trial(of(CANARY, requests=100, errors=3), of(STABLE, errors=300)),
        Limits(100, 0.02, 20, 1.5, "p95"),
        "wait",
        "fails no less",
    ),
    "few requests, few errors": (
        trial(of(CANARY, requests=100, errors=3), of(STABLE, errors=90)),
        LIMITS,
        "wait",
        "may be chance still",
    ),
    "both fail": (
        trial(of(CANARY, errors=100), of(STABLE, errors=900)),
        LIMITS,
        "wait",
        "v1 fails no less",
    ),
    "both fail, one more": (
        trial(of(CANARY, errors=500), of(STABLE, errors=900)),
        LIMITS,
        "roll back",
        "2 times the 10 %",
    ),
    "errors are not judged": (
        trial(of(CANARY, errors=500)),
        Limits(100, 1, 2, 1.5, "p95"),
        "advance",
        "",
    ),
    "slow": (trial(slow(CANARY, 0.16)), LIMITS, "roll back", "p95 of v2 is 160 ms"),
    "as slow as allowed": (trial(slow(CANARY, 0.15)), LIMITS, "advance", ""),
    "slow early": (trial(slow(CANARY, 9), lasted=9), LIMITS, "wait", "for long"),
    "slow elsewhere": (trial(of(CANARY, latency={**FAST, "p99": 9.0})), LIMITS, "advance", ""),
    "latency is not judged": (
        trial(slow(CANARY, None)),
        Limits(100, 0.02, 2, 1.5, "none"),
        "advance",
        "",
    ),
    "no latency": (trial(slow(CANARY, None)), LIMITS, "wait", "how long requests take on v2"),
    "no latency of stable": (trial(stable=slow(STABLE, None)), LIMITS, "wait", "take on v1"),
    "no errors known": (trial(of(CANARY, errors=None)), LIMITS, "wait", "how many requests fail"),
    "no errors of stable": (trial(stable=of(STABLE, errors=None)), LIMITS, "wait", "fail on v1"),
    "nothing known": (trial(Numbers("v2")), LIMITS, "wait", "no data of v2"),
    "nothing known, no Pod": (
        trial(Numbers("v2", pods=0)),
        LIMITS,
        "wait",
        "no data of v2, and none",
    ),
    "nothing known of stable": (trial(stable=Numbers("v1")), LIMITS, "wait", "no data of v1"),
    "too little": (trial(of(CANARY, requests=99)), LIMITS, "wait", "99 of at least 100 requests"),
    "too little, all fail": (trial(of(CANARY, requests=9, errors=9)), LIMITS, "wait", "9 of at"),
    "nothing": (trial(of(CANARY, requests=0, pods=0)), LIMITS, "wait", "none of its Pods"),
    "too little of stable": (trial(stable=of(STABLE, requests=5)), LIMITS, "wait", "v1 has had 5"),
    "stable gets nothing": (trial(stable=Numbers("v1"), traffic=100), LIMITS, "advance", ""),
    "ready": (trial(Numbers("v2", pods=1), traffic=0, lasted=0), LIMITS, "advance", "is ready"),
    "not ready": (trial(Numbers("v2", pods=0), traffic=0), LIMITS, "wait", "no Pod of v2"),
    "nobody knows": (trial(Numbers("v2"), traffic=0), LIMITS, "wait", "nothing is known of v2's"),
    "doubtful": (trial(warned=True), LIMITS, "wait", "warns"),
    "doubtful and failing": (trial(of(CANARY, errors=100), warned=True), LIMITS, "roll back", ""),
}


@pytest.mark.parametrize(("numbers", "limits", "decision", "reason"), DECIDED.values(), ids=DECIDED)
def test_a_decision_follows_from_the_numbers(
    numbers: Trial, limits: Limits, decision: str, reason: str
) -> None:
    found = verdict.decide(numbers, limits)
    assert found.decision == decision
    assert reason in found.reason


# Questions


KNOWN = {**runtimes.BY_NAME, "language models": runtimes.LLM}


@pytest.mark.parametrize("runtime", KNOWN.values(), ids=KNOWN)
@pytest.mark.parametrize("kind", measures.KINDS)
def test_built_in_queries_are_sound(runtime: runtimes.Runtime, kind: str) -> None:
    template = getattr(runtime.gauge, kind)
    if template:
        assert measures.flaw(template) is None
        assert "$pods" in template
        filled = template.replace("$pods", 'pod="x"').replace("$window", "60s")
        answer = promql.answer(filled.replace("$quantile", "0.5"))
        assert answer.series is promql.Series.ONE


FLAWS = {
    "sum(increase(a[$window]))": "the same number for the canary",
    "sum(increase(a{$pod}[$window]))": "no `$pod` to fill in",
    "sum(increase(a{$pods}))": "needs a range",
    "sum by (code) (increase(a{$pods}[$window]))": "several numbers",
    "sum(increase(a{$pods}[$window])": "`)` is missing",
    "sum(increase(a{backend='$service'}[$window]))": None,
    "sum(increase(a{version='${version}',code=~'5..$'}[5m]))": None,
}


@pytest.mark.parametrize(("template", "message"), FLAWS.items(), ids=FLAWS)
def test_own_queries_are_looked_at(template: str, message: str | None) -> None:
    found = measures.flaw(template)
    assert (found is None) if message is None else (found is not None and message in found[0])


# Answers


def said(result: Any, kind: str = "vector", **more: Any) -> bytes:
    body = {"status": "success", "data": {"resultType": kind, "result": result}, **more}
    return json.dumps(body).encode()


def sample(value: str) -> dict[str, Any]:
    return {"metric": {}, "value": [1.5, value]}


REPLIES = {
    "a number": (said([sample("1.5")]), Reply(1.5)),
    "a scalar": (said([1, "2"], "scalar"), Reply(2.0)),
    "nothing": (said([]), Reply(None, "no series")),
    "not a number": (said([sample("NaN")]), Reply(None, "NaN")),
    "infinite": (said([sample("+Inf")]), Reply(None, "+Inf")),
    "negative infinite": (said([sample("-Inf")]), Reply(None, "-Inf")),
    "warned": (
        said([sample("1")], warnings=["a store\nis away"]),
        Reply(1.0, "", ("a store is away",)),
    ),
    "informed": (said([sample("1")], infos=["might be no counter"]), Reply(1.0)),
}


@pytest.mark.parametrize(("body", "reply"), REPLIES.values(), ids=REPLIES)
def test_an_answer_is_a_number_or_says_why_not(body: bytes, reply: Reply) -> None:
    assert prometheus.reply(body) == reply


NO_REPLIES = {
    "several": (said([sample("1"), sample("2")]), "2 series"),
    "matrix": (said([], "matrix"), "gives a matrix"),
    "string": (said([1, "x"], "string"), "gives a string"),
    "error": (b'{"status": "error", "error": "no\\nluck"}', "Prometheus says: no luck"),
    "error without words": (b'{"status": "error"}', "no reason"),
    "empty": (b"", "not JSON: it is empty"),
    "a page": (b"<html>Log in</html>", "not JSON: <html>"),
    "not UTF-8": (b"\xff\xfe{", "not JSON"),
    "deep": (b"[" * 100_000, "not JSON"),
    "long": (b" " * 1_000_001, "more than a megabyte"),
    "a list": (b"[]", "not Prometheus's"),
    "another object": (b'{"message": "hi"}', "not Prometheus's"),
    "no data": (b'{"status": "success"}', "another form"),
    "no value": (said([{"metric": {}, "histogram": []}]), "another form"),
    "no number": (said([sample("many")]), "another form"),
    "null": (said(None), "another form"),
    "scalar of nothing": (said([], "scalar"), "another form"),
}


@pytest.mark.parametrize(("body", "message"), NO_REPLIES.values(), ids=NO_REPLIES)
def test_what_is_no_answer_says_so(body: bytes, message: str) -> None:
    with pytest.raises(Unanswered) as refusal:
        prometheus.reply(body)
    assert message in refusal.value.message


@pytest.mark.parametrize(
    "address",
    [
        *("", "prometheus:9090", "ftp://a", "file:///etc/passwd", "http://", "http://[::1"),
        *("http://a b", "http://a:x", "http://a:0", "http://ada:secret@a", "http://a?b=c"),
        *("http://a#b", "http://a\n"),
    ],
)
def test_an_address_is_one_of_http(address: str) -> None:
    with pytest.raises(Unanswered) as refusal:
        prometheus.url(address)
    assert "secret" not in refusal.value.message


def test_an_address_may_have_a_path() -> None:
    assert prometheus.url("https://a:8443/prometheus/") == "https://a:8443/prometheus"


# Servers

Handle = Callable[[BaseHTTPRequestHandler], None]


@contextlib.contextmanager
def serving(handle: Handle, wrap: ssl.SSLContext | None = None) -> Iterator[str]:
    """Answer GET on a free port, and give the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with contextlib.suppress(OSError):
                handle(self)

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            """Print nothing: who asked has hung up."""

    server = Quiet(("127.0.0.1", 0), Handler)
    if wrap is not None:
        server.socket = wrap.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"{'https' if wrap else 'http'}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def answering(code: int, body: bytes = b"", **headers: str) -> Handle:
    def handle(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

    return handle


def sleeping(request: BaseHTTPRequestHandler) -> None:
    time.sleep(1)


def dripping(request: BaseHTTPRequestHandler) -> None:
    for _ in range(20):
        request.wfile.write(b"H")
        time.sleep(0.05)


def hanging_up(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Length", "100")
    request.end_headers()
    request.wfile.write(b"{")


def babbling(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"220 mail.example.com ESMTP\r\n")


REFUSED = b'{"status": "error", "errorType": "bad_data", "error": "parse error: x"}'
TIMED_OUT = b'{"status": "error", "errorType": "timeout", "error": "query timed out"}'

SERVERS: dict[str, tuple[Handle, str, str]] = {
    "401": (answering(401), "answers 401 Unauthorized", "--bearer-token-file"),
    "403": (answering(403, b"<html>"), "answers 403 Forbidden", "--bearer-token-file"),
    "404": (answering(404), "answers 404 Not Found", "with the path"),
    "405": (answering(405), "answers 405", "with the path"),
    "400 of Prometheus": (answering(400, REFUSED), "refuses the query: parse error", "query:"),
    "400 of another": (answering(400, b"Client sent an HTTP request"), "answers 400", "address"),
    "422": (answering(422, REFUSED), "refuses the query: parse error", "query:"),
    "429": (answering(429), "answers 429", "ask again"),
    "500": (answering(500, b"oops"), "answers 500 Internal Server Error", "ask again"),
    "503": (answering(503, TIMED_OUT), "answers 503 Service Unavailable: query timed out", "again"),
    "redirect": (answering(302, Location="https://sso.example.com/login"), "sso.example", "--addr"),
    "307": (answering(307, Location="/prometheus/api"), "leads to /prometheus/api", "--address"),
    "a page": (answering(200, b"<html>Welcome"), "not JSON: <html>Welcome", "with the path"),
    "204": (answering(204), "not JSON: it is empty", "with the path"),
    "sleeping": (sleeping, "has not answered", "--timeout"),
    "dripping": (dripping, "has not answered", "--timeout"),
    "hanging up": (hanging_up, "hung up halfway", ""),
    "not HTTP": (babbling, "does not speak HTTP", ""),
    "several": (answering(200, said([sample("1"), sample("2")])), "2 series", "sum(...)"),
}

ROUTE = ENVIRONMENT.replace("dev", "prod").replace(
    "mode: Knative}",
    "mode: Standard, gateway: {name: gate, namespace: gates}, domain: example.com}\n"
    '  prometheus: {address: "http://127.0.0.1:9"}',
)
SPEC = MODEL.replace(
    "  dev: {version: v1}", "  prod: {version: v1, canary: {version: v2, traffic: 5}}"
)
ROLLOUT = "rollout: {steps: [5, 25, 50], soak: 30m}\n"
HOUR = 3600


def git(root: Path, *arguments: str, age: float = 0) -> str:
    """Run Git as of so many seconds ago."""
    date = f"{int(time.time() - age)} +0000"
    who = {"NAME": "Ada", "EMAIL": "ada@example.com", "DATE": date}
    environment = {
        **os.environ,
        **{f"GIT_{role}_{key}": who[key] for role in ("AUTHOR", "COMMITTER") for key in who},
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    ran = subprocess.run(
        ["git", *arguments], cwd=root, env=environment, check=True, capture_output=True, text=True
    )
    return ran.stdout


def repository(root: Path, spec: str = SPEC + ROLLOUT, age: float = 2 * HOUR) -> Path:
    """Make a repository whose canary has its traffic for so many seconds."""
    write_tree(root, {"models/churn.yaml": spec, "environments/prod.yaml": ROUTE})
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message=Start", age=age)
    return root


@pytest.fixture(scope="module")
def trial_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repository(tmp_path_factory.mktemp("trial"))


def gate(root: Path, *arguments: str) -> Ran:
    return gen("gate", "churn", "--env", "prod", *arguments, root=root, no_proxy="*")


@pytest.mark.parametrize(("handle", "message", "hint"), SERVERS.values(), ids=SERVERS)
def test_no_server_makes_a_traceback(
    handle: Handle, message: str, hint: str, trial_repository: Path
) -> None:
    with serving(handle) as address:
        ran = gate(trial_repository, "--address", address, "--timeout", "0.3")
    assert (ran.code, ran.out) == (12, "")
    assert ran.err.startswith("Error: ")
    assert message in ran.err
    assert hint in ran.err
    assert "Traceback" not in ran.err


def test_nobody_there(trial_repository: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    ran = gate(trial_repository, "--address", f"http://127.0.0.1:{port}")
    assert ran.code == 12
    assert "cannot be reached: Connection refused" in ran.err


def test_no_such_host(trial_repository: Path) -> None:
    ran = gate(trial_repository, "--address", "http://prometheus.invalid:9090")
    assert ran.code == 12
    assert "nobody knows the host of http://prometheus.invalid:9090" in ran.err


def test_tls_with_a_server_that_has_none(trial_repository: Path) -> None:
    with serving(answering(200)) as address:
        ran = gate(trial_repository, "--address", address.replace("http", "https"))
    assert ran.code == 12
    assert "no TLS with https://127.0.0.1" in ran.err


def test_a_certificate_that_nobody_trusts(tmp_path: Path, trial_repository: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not on PATH, which makes the certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    how = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost")
    subprocess.run(
        [openssl, *how, "-keyout", key, "-out", certificate], check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with serving(answering(200), context) as address:
        ran = gate(trial_repository, "--address", address)
    assert ran.code == 12
    assert "is not trusted: self" in ran.err


def test_a_token_goes_to_the_address_and_nowhere_else() -> None:
    seen: list[str | None] = []

    def remembering(request: BaseHTTPRequestHandler) -> None:
        seen.append(request.headers["Authorization"])
        answering(302, Location=elsewhere)(request)

    def stealing(request: BaseHTTPRequestHandler) -> None:
        raise AssertionError("nobody should ask")

    with (
        serving(stealing) as elsewhere,
        serving(remembering) as address,
        pytest.raises(Unanswered),
    ):
        Prometheus(address, "secret").answers(["up"], 5)
    assert seen == ["Bearer secret"]
    assert "secret" not in repr(Prometheus(address, "secret"))


# The command


def numbers(values: dict[str, str | None]) -> Handle:
    """Answer each query by the first key that is part of it; None is no series."""

    def handle(request: BaseHTTPRequestHandler) -> None:
        (query,) = parse_qs(urlsplit(request.path).query)["query"]
        value = next(value for part, value in values.items() if part in query)
        answering(200, said([] if value is None else [sample(value)]))(request)

    return handle


def versions(canary: dict[str, str | None], stable: dict[str, str | None]) -> Handle:
    def handle(request: BaseHTTPRequestHandler) -> None:
        numbers(canary if "churn-v2-" in request.path else stable)(request)

    return handle


HEALTHY: dict[str, str | None] = {
    "clamp_min": "1",
    "quantile": "0.0213",
    "seconds_count": "1204.3",
    "ready": "2",
}


def test_a_healthy_canary_advances(trial_repository: Path) -> None:
    with serving(versions(HEALTHY, HEALTHY | {"seconds_count": "20844"})) as address:
        ran = gate(trial_repository, "--address", address)
    assert ran.out == (
        "churn in prod: advance to 25 %, v2 is no worse than v1\n"
        "\n"
        "last 30m    v1 (95 %)     v2 (5 %)      allowed\n"
        "requests    20844         1204          at least 100\n"
        "errors      1 (0.0048 %)  1 (0.0831 %)  2 %, 2 times\n"
        "p50         21.3 ms       21.3 ms       not judged\n"
        "p95         21.3 ms       21.3 ms       1.5 times\n"
        "p99         21.3 ms       21.3 ms       not judged\n"
        "ready Pods  2             2\n"
        "\n"
        "gen promote churn --env prod --next\n"
    )
    assert ran.err == "note: v2 has had its 5 % for 2h of 30m\n"
    assert ran.code == 0


def test_as_json_it_has_every_query(trial_repository: Path) -> None:
    with serving(numbers(HEALTHY)) as address:
        ran = gate(trial_repository, "--address", f"{address}/", "--format", "json")
    told = json.loads(ran.out)
    assert ran.code == 0
    assert (told["decision"], told["step"]) == ("advance", 25)
    assert told["command"] == "gen promote churn --env prod --next"
    assert told["windowSeconds"] == 1800
    assert [each["version"] for each in told["versions"]] == ["v1", "v2"]
    assert len(told["queries"]) == 12
    assert told["queries"][0] == {
        "version": "v2",
        "of": "requests",
        "query": 'sum(increase(request_predict_seconds_count{namespace="ml-prod",'
        'pod=~"churn-v2-predictor-[a-z0-9]+-[a-z0-9]+"}[1800s]))',
        "value": 1204.3,
        "remark": None,
    }


def test_a_failing_canary_is_rolled_back(trial_repository: Path) -> None:
    with serving(versions(HEALTHY | {"clamp_min": "300"}, HEALTHY)) as address:
        ran = gate(trial_repository, "--address", address)
    assert ran.code == 11
    assert ran.out.startswith("churn in prod: roll back, 24.9 % of v2 fail, more than 2 times")
    assert ran.out.endswith("\ngen rollback churn --env prod\n")


def test_no_data_says_what_was_asked(trial_repository: Path) -> None:
    with serving(versions(dict.fromkeys(HEALTHY), HEALTHY)) as address:
        ran = gate(trial_repository, "--address", address)
    assert ran.code == 10
    assert ran.out.startswith("churn in prod: wait, there is no data of v2\n")
    assert "note: no requests of v2 (no series): sum(increase(request_predict_seconds_c" in ran.err
    assert "if nobody scrapes these Pods" in ran.err
    assert "gen " not in ran.out.partition("\n")[2]


def variant(root: Path, spec: str, age: float, handle: Handle, *arguments: str) -> Ran:
    with serving(handle) as address:
        return gate(repository(root, spec, age), "--address", address, *arguments)


def test_a_soak_begins_with_the_commit(tmp_path: Path) -> None:
    ran = variant(tmp_path, SPEC + ROLLOUT, 600, numbers(HEALTHY))
    assert ran.code == 10
    assert "v2 has not had its 5 % for long" in ran.out
    assert "last 10m" in ran.out
    assert "v2 has had its 5 % for 10m of 30m" in ran.err


def test_what_is_not_committed_has_not_begun(tmp_path: Path) -> None:
    root = repository(tmp_path, SPEC + ROLLOUT)
    path = root / "models/churn.yaml"
    path.write_text(path.read_text().replace("traffic: 5", "traffic: 25"))
    with serving(numbers(HEALTHY)) as address:
        ran = gate(root, "--address", address)
    assert ran.code == 10
    assert "25 % for 0s of 30m" in ran.err


def test_the_last_step_keeps_the_old_version_warm(tmp_path: Path) -> None:
    spec = SPEC.replace("traffic: 5", "traffic: 50") + ROLLOUT
    ran = variant(tmp_path, spec, HOUR, numbers(HEALTHY))
    assert "advance to 100 %" in ran.out
    assert ran.out.endswith("\ngen promote churn --env prod --next --standby\n")


def test_without_steps_the_share_is_a_persons(tmp_path: Path) -> None:
    ran = variant(tmp_path, SPEC, HOUR, numbers(HEALTHY), "--window", "90s")
    assert ran.out.startswith("churn in prod: advance, v2 is no worse than v1\n")
    assert "last 90s" in ran.out
    assert ran.out.endswith("--traffic <percent>\n")


def test_a_canary_without_requests_has_to_be_ready(tmp_path: Path) -> None:
    spec = SPEC.replace("traffic: 5", "traffic: 0") + ROLLOUT
    nothing: dict[str, str | None] = {"ready": "1", "": None}
    ran = variant(tmp_path, spec, 5, numbers(nothing))
    assert ran.code == 0
    assert ran.out.startswith("churn in prod: advance to 5 %, v2 is ready")


def test_own_limits_and_queries(tmp_path: Path) -> None:
    own = (
        "rollout:\n  gate:\n    minRequests: 5000\n    queries:\n"
        '      requests: sum(increase(seen{$pods,version="$version"}[$window]))\n'
    )
    handle = numbers({'version="v2"': "4000", 'version="v1"': "6000", **HEALTHY})
    ran = variant(tmp_path, SPEC + own, HOUR, handle)
    assert ran.code == 10
    assert "v2 has had 4000 of at least 5000 requests" in ran.out


def test_an_own_query_that_is_refused_is_a_problem_on_its_line(tmp_path: Path) -> None:
    own = "rollout: {gate: {queries: {errors: 'topk(3, failed{$pods})'}}}\n"
    ran = variant(tmp_path, SPEC + own, HOUR, answering(422, REFUSED))
    assert ran.code == 12, "the first query is a built-in one"
    own = own.replace("errors", "requests")
    ran = variant(tmp_path / "again", SPEC + own, HOUR, answering(422, REFUSED))
    assert ran.code == 1
    assert ran.err.startswith("models/churn.yaml:10:38: error E303: Prometheus refuses the query")


def test_a_runtime_that_reports_no_errors(tmp_path: Path) -> None:
    spec = SPEC.replace("sklearn", "huggingface")
    handle = numbers({"quantile": "1.5", "success": "5000", "ready": "1"})
    ran = variant(tmp_path, spec, HOUR, handle)
    assert ran.code == 10
    assert "nobody knows how many requests fail" in ran.out
    assert "does not report errors" in ran.err
    spec += "rollout: {gate: {maxErrorRate: 1}}\n"
    assert variant(tmp_path / "again", spec, HOUR, handle).code == 0


ABSENT = {
    "no canary": (SPEC.replace(", canary: {version: v2, traffic: 5}", ""), "there is no canary"),
    "unknown runtime": (SPEC.replace("sklearn", "pytorch"), "how pytorch counts"),
    "own runtime": (SPEC.replace("sklearn", "sklearn, runtime: mine"), "how mine counts"),
}


@pytest.mark.parametrize(("spec", "message"), ABSENT.values(), ids=ABSENT)
def test_nothing_to_ask_is_a_problem(spec: str, message: str, tmp_path: Path) -> None:
    ran = gate(repository(tmp_path, spec))
    assert ran.code in (1, 2)
    assert message in ran.err


def test_knative_names_no_versions(tmp_path: Path) -> None:
    spec = SPEC.replace("  prod: {", "  dev: {")
    root = repository(tmp_path, spec)
    (root / "environments/dev.yaml").write_text(ENVIRONMENT)
    ran = gen("gate", "churn", "--env", "dev", "--address", "http://127.0.0.1:9", root=root)
    assert ran.code == 1
    assert "cannot tell the two versions apart" in ran.err


def test_no_address(tmp_path: Path) -> None:
    root = repository(tmp_path)
    path = root / "environments/prod.yaml"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "prometheus" not in line))
    ran = gate(root)
    assert ran.code == 1
    assert (
        "environments/prod.yaml:4:1: error E302: environment prod has no `platform.prom" in ran.err
    )


def test_limits_left_out_are_those_of_the_schema(trial_repository: Path) -> None:
    with serving(numbers(HEALTHY)) as address:
        ran = gate(trial_repository, "--address", address, "--format", "json")
    written = schema.described(schema.document_schema("model"), ("rollout", "gate"))["properties"]
    defaults = {key: node["default"] for key, node in written.items() if "default" in node}
    assert json.loads(ran.out)["limits"] == defaults


USAGE = {
    "window": (("--window", "soon"), "no duration"),
    "timeout": (("--timeout", "0"), "range"),
    "token": (("--bearer-token-file", "none"), "cannot be read"),
    "format": (("--format", "xml"), "xml"),
}


@pytest.mark.parametrize(("arguments", "message"), USAGE.values(), ids=USAGE)
def test_usage(arguments: tuple[str, ...], message: str, trial_repository: Path) -> None:
    ran = gate(trial_repository, *arguments)
    assert ran.code == 2
    assert message in ran.err


@pytest.mark.parametrize("content", [b"", b" \n", b"two words", b"\xff"])
def test_a_file_without_a_token(content: bytes, tmp_path: Path, trial_repository: Path) -> None:
    (tmp_path / "token").write_bytes(content)
    ran = gate(trial_repository, "--bearer-token-file", str(tmp_path / "token"))
    assert ran.code == 2


def test_no_git_no_soak(tmp_path: Path) -> None:
    write_tree(tmp_path, {"models/churn.yaml": SPEC, "environments/prod.yaml": ROUTE})
    ran = gen("gate", "churn", "--env", "prod", root=tmp_path, GIT_CEILING_DIRECTORIES="/")
    assert ran.code == 2
    assert "in no Git repository" in ran.err
