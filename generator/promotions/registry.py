"""An MLflow tracking server, which is asked where a version's files are and what made them.

A spec keeps what the server said on that day: an alias moves, and a registered version can be
deleted. What the server says and no cluster can use is refused with the way out. Sources:
mlflow/mlflow@mlflow/protos/model_registry.proto, mlflow/mlflow@mlflow/protos/service.proto,
mlflow/mlflow@docs/docs/self-hosting/architecture/artifact-store.mdx.
"""

from __future__ import annotations

import re
import urllib.parse
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn

from generator import web
from generator.web import Unanswered

Json = dict[str, Any]

SCHEMES = ("models:/", "runs:/")
"""How an address in a tracking server begins."""

_MOST_BYTES = 10_000_000
"""A run with all its metrics may be long."""
_WRONG_PLACE = "is that address the tracking server's, with the path if it has one?"
_ADVICE = web.Advice(
    example="https://mlflow.example.com",
    credentials="MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, "
    "are for credentials",
    wrong_place=_WRONG_PLACE,
    from_here="`--tracking-uri` or MLFLOW_TRACKING_URI names the address that is reached from here",
)
_LOGIN = (
    "set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, to what "
    "the server takes"
)
_REMEDIES = {
    401: _LOGIN,
    403: _LOGIN,
    404: _WRONG_PLACE,
    405: _WRONG_PLACE,
    407: "the proxy of HTTP_PROXY or HTTPS_PROXY wants credentials; NO_PROXY leaves it out",
}
_LATER = "look at the server and at what stands in front of it, and try again"


class Resolved(NamedTuple):
    """Where the files of a version are, what made them, and what a person should know of it."""

    uri: str
    source: Json
    notes: tuple[str, ...] = ()


class _Unknown(Exception):
    """The server answers that it does not have what was asked for, in these words."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a server lets somebody in with; a token goes before a name and a password."""

    token: str = field(default="", repr=False)
    name: str = ""
    password: str = field(default="", repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """Write the header, if there is anything to write."""
        if self.token:
            return {"Authorization": f"Bearer {self.token}"}
        if self.name:
            pair = b64encode(f"{self.name}:{self.password}".encode()).decode()
            return {"Authorization": f"Basic {pair}"}
        return {}


@dataclass(frozen=True, slots=True)
class Registry:
    """The server at an address.

    `artifacts` is where it keeps what it hands out itself, its `--artifacts-destination`; empty if
    nobody said it.
    """

    address: str
    credentials: Credentials = Credentials()
    artifacts: str = ""

    def resolved(self, uri: str, seconds: float) -> Resolved:
        """Resolve an address in the server, within so many seconds. Raises Unanswered."""
        late = Unanswered(f"{self.address} has not answered in {seconds:g} s", _ADVICE.from_here)
        return web.within(seconds, lambda: _Question(self, seconds).resolved(uri), late)

    def get(self, what: str, seconds: float, **asked: str) -> Json:
        """Ask for one thing. Raises _Unknown if the server does not have it, or Unanswered."""
        query = f"?{urllib.parse.urlencode(asked)}" if asked else ""
        whole = f"{web.url(self.address, _ADVICE)}/api/2.0/mlflow/{what}{query}"
        try:
            found = web.body(whole, self.credentials.headers, seconds, _MOST_BYTES)
        except web.Refused as error:
            self._refuse(error)
        except web.FAILURES as error:
            raise web.unreachable(error, self.address, _ADVICE) from None
        return web.parsed(found, "MLflow", _ADVICE)

    def _refuse(self, error: web.Refused) -> NoReturn:
        said = f"{self.address} answers {error.status} {error.reason}"
        if 300 <= error.status < 400:
            message = f"{self.address} leads to {error.location}, which is not followed"
            hint = "if that is the server, name it: `--tracking-uri`; it may be where to log in"
            raise Unanswered(message, hint)
        reason = _reason(error.body)
        if reason and error.status in (400, 404):
            raise _Unknown(reason)
        told = f"{said}: {reason}" if reason else said
        raise Unanswered(told, _REMEDIES.get(error.status, _LATER))


def _reason(body: bytes) -> str:
    """Find what the server itself says with a status; empty if somebody else answers."""
    try:
        said = web.parsed(body, "MLflow", _ADVICE)
    except Unanswered:
        return ""
    return web.line(said.get("message", "")) if "error_code" in said else ""


# Addresses

_VERSION = re.compile(r"models:/(?P<name>[^/@]+)(?:/(?P<version>[0-9]+)|@(?P<alias>[^/@]+))")
_LOGGED = re.compile(r"models:/(?P<model>m-[0-9a-f]{32})")
_OF_RUN = re.compile(r"runs:/(?P<run>[0-9A-Za-z_-]+)/(?P<path>.+)")
_MOVING = re.compile(r"models:/(?P<name>[^/@]+)(?:/(?P<stage>[^/@]+))?")


@dataclass(frozen=True, slots=True)
class _Question:
    """One address that is asked about."""

    server: Registry
    seconds: float

    def resolved(self, uri: str) -> Resolved:
        """Resolve an address of any form. Raises Unanswered."""
        forms: tuple[tuple[re.Pattern[str], Callable[..., Resolved]], ...] = (
            (_LOGGED, self._logged),
            (_VERSION, self._version),
            (_OF_RUN, self._of_run),
        )
        for form, resolve in forms:
            found = form.fullmatch(uri)
            if found:
                return resolve(**found.groupdict())
        raise _formless(uri)

    def _get(self, what: str, missing: str, hint: str, **asked: str) -> Json:
        try:
            return self.server.get(what, self.seconds, **asked)
        except _Unknown as error:
            message = f"{self.server.address} knows no {missing}: {error}"
            raise Unanswered(message, hint) from None

    def _version(self, name: str, version: str | None, alias: str | None) -> Resolved:
        if alias:
            what, missing = "registered-models/alias", f"alias `{alias}` of the model `{name}`"
            asked, hint = (
                {"alias": alias},
                "set it there, or name a number: models:/<name>/<number>",
            )
        else:
            what, missing = "model-versions/get", f"version {version} of the model `{name}`"
            asked, hint = (
                {"version": version or ""},
                "look at the model's page there for its numbers",
            )
        known = _of(self._get(what, missing, hint, name=name, **asked), "model_version")
        number = str(known.get("version", version))
        _refuse_unready(known, f"version {number} of the model `{name}`", "READY")
        found = self._get(
            "model-versions/get-download-uri", missing, hint, name=name, version=number
        )
        run, notes = self._run(str(known.get("run_id") or ""))
        source = {"registry": f"models:/{name}/{number}", **run}
        return Resolved(self._reachable(str(found.get("artifact_uri", ""))), source, notes)

    def _logged(self, model: str) -> Resolved:
        """Resolve a model that a run logged and nobody registered (MLflow 3)."""
        info = self._logged_model(model)
        run, notes = self._run(str(info.get("source_run_id") or ""))
        source = {"registry": f"models:/{model}", **run}
        return Resolved(self._reachable(str(info.get("artifact_uri", ""))), source, notes)

    def _logged_model(self, model: str) -> Json:
        hint = "look at the experiment's models there"
        said = self._get(f"logged-models/{model}", f"logged model {model}", hint)
        info = _of(_of(said, "model"), "info")
        _refuse_unready(info, f"the logged model {model}", "LOGGED_MODEL_READY")
        return info

    def _of_run(self, run: str, path: str) -> Resolved:
        """Resolve what a run logged: a model since MLflow 3, or files beside its others."""
        said = self._get("runs/get", f"run {run}", "the run's page there has its id", run_id=run)
        known = _of(said, "run")
        source = {"run": run, **_made_of(known)}
        outputs = _of(known, "outputs").get("model_outputs") or ()
        for each in outputs if isinstance(outputs, list) else ():
            info = self._logged_model(str(_dict(each).get("model_id", "")))
            if info.get("name") == path:
                return Resolved(self._reachable(str(info.get("artifact_uri", ""))), source)
        root = str(_of(known, "info").get("artifact_uri", ""))
        return Resolved(self._reachable(f"{root.rstrip('/')}/{path.strip('/')}"), source)

    def _run(self, run: str) -> tuple[Json, tuple[str, ...]]:
        """Say what a run was made of; a run that is gone is a note and no failure."""
        if not run:
            return {}, ("the server knows no run of it, so nobody knows its data and its code",)
        try:
            said = self.server.get("runs/get", self.seconds, run_id=run)
        except _Unknown:
            return {"run": run}, (f"the run {run} is gone, and its data and code with it",)
        made = _made_of(_of(said, "run"))
        missing = [what for key, what in _PARTS.items() if key not in made]
        notes = (f"the run {run} logged no {' and no '.join(missing)}",) if missing else ()
        return {"run": run, **made}, notes

    def _reachable(self, location: str) -> str:
        return reachable(location, self.server.artifacts)


_PARTS = {"commit": "commit", "datasets": "dataset"}


def _formless(uri: str) -> Unanswered:
    moving = _MOVING.fullmatch(uri)
    if moving:
        name, stage = moving["name"], moving["stage"]
        said = f"`{stage}` is no number" if stage else "it names no version"
        hint = f"write models:/{name}/<number>, or an alias: models:/{name}@champion"
        return Unanswered(f"{uri}: {said}", hint)
    hint = "such as models:/<name>/<number>, models:/<name>@<alias> or runs:/<run>/<path>"
    return Unanswered(f"{uri} is no address in a tracking server", hint)


def _refuse_unready(known: Json, what: str, ready: str) -> None:
    status = str(known.get("status", ready))
    if status != ready:
        reason = web.line(known.get("status_message") or "")
        told = f"{what} is {web.line(status)}{f': {reason}' if reason else ''}"
        raise Unanswered(told, "wait until it is there, or register it anew")


def _of(said: Json, key: str) -> Json:
    return _dict(said.get(key))


def _dict(said: Any) -> Json:
    return said if isinstance(said, dict) else {}


# Lineage

_COMMIT_TAG = "mlflow.source.git.commit"
_CONTEXT_TAG = "mlflow.data.context"
_TRAINING = "training"
_COMMIT = re.compile(r"[0-9a-f]{7,64}")


def _made_of(run: Json) -> Json:
    """Read which commit and which data a run was given."""
    commit = _tags(_of(run, "data").get("tags")).get(_COMMIT_TAG, "")
    datasets = list(dict.fromkeys(_datasets(_of(run, "inputs").get("dataset_inputs"))))
    return {
        **({"commit": commit} if _COMMIT.fullmatch(commit) else {}),
        **({"datasets": datasets} if datasets else {}),
    }


def _datasets(inputs: Any) -> Iterator[str]:
    """Name what a run was trained on; all that it was given, if it does not say what for."""
    known = [_dict(each) for each in inputs] if isinstance(inputs, list) else []
    for_training = [
        each for each in known if _tags(each.get("tags")).get(_CONTEXT_TAG) == _TRAINING
    ]
    for each in for_training or known:
        data = _of(each, "dataset")
        if data.get("name") and data.get("digest"):
            yield web.line(f"{data['name']}@{data['digest']}")


def _tags(found: Any) -> Mapping[str, str]:
    known = [_dict(each) for each in found] if isinstance(found, list) else []
    return {str(each.get("key")): str(each.get("value", "")) for each in known}


# Where files are

_PROXIED = "mlflow-artifacts:"
_FETCHED = re.compile(r"(gs|s3|hf|pvc|https?|hdfs|webhdfs|oci)://[^\s]+")
_AZURE = re.compile(
    r"(?:wasbs?|abfss?)://(?P<container>[^@/]+)@(?P<account>[^./]+)\.(?:blob|dfs)"
    r"\.core\.windows\.net/(?P<path>[^\s]*)"
)


def reachable(location: str, artifacts: str = "") -> str:
    """Return a location as KServe fetches it. Raises Unanswered for one that no cluster reaches.

    KServe's storage initializer knows Azure's storage by its https address
    (kserve/kserve@python/storage/kserve_storage/kserve_storage.py).
    """
    if location.startswith(_PROXIED):
        return reachable(_kept(location, artifacts))
    azure = _AZURE.fullmatch(location)
    if azure:
        place = f"{azure['account']}.blob.core.windows.net/{azure['container']}/{azure['path']}"
        return f"https://{place}"
    if _FETCHED.fullmatch(location):
        return location
    raise _unfetched(location)


def _kept(location: str, artifacts: str) -> str:
    """Find what the server hands out itself in the place where it keeps it."""
    path = urllib.parse.urlsplit(location).path.strip("/")
    if artifacts:
        return f"{artifacts.rstrip('/')}/{path}"
    message = f"the server hands out {web.line(location)} itself, and no cluster fetches from there"
    hint = (
        "say where it keeps its files, its `--artifacts-destination`: `--artifacts s3://<bucket>`, "
        "or for everybody `platform.mlflow.artifacts` in the environment"
    )
    raise Unanswered(message, hint)


def _unfetched(location: str) -> Unanswered:
    told = web.line(location) or "nowhere"
    is_local = location.startswith(("/", "file:")) or not re.match(r"[a-z0-9+.-]+:", location)
    if is_local:
        message = f"the files are in {told}, on the disk of whoever logged them"
        hint = (
            "no cluster reaches that: give the experiment an artifact location such as "
            "s3://<bucket> and log the model again, or copy the files and name their place: "
            "`--uri s3://...`"
        )
        return Unanswered(message, hint)
    hint = "copy them to s3://, gs://, hf://, https://, pvc:// or oci:// and name that: `--uri`"
    return Unanswered(f"KServe fetches nothing from {told}", hint)


def is_address(uri: str) -> bool:
    """Say whether an address means something in a tracking server only."""
    return uri.startswith(SCHEMES)
