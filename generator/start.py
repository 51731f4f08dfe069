"""What a newcomer starts from: the files of a repository, and the spec of a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from generator import __version__, schema, yamlio
from generator.documents import Document
from generator.scalars import text as scalar

STARTER = Path(__file__).parent / "starter"

_ALWAYS = {
    "README.md": "README.md",
    ".gitignore": "gitignore",
    ".gitattributes": "gitattributes",
    "requirements.txt": "requirements.txt",
    "environments/dev.yaml": "environments/dev.yaml",
    "models/iris.yaml": "models/iris.yaml",
}
CI = {
    "github": {".github/workflows/manifests.yaml": "ci/github-actions.yaml"},
    "gitlab": {".gitlab-ci.yml": "ci/gitlab-ci.yaml"},
    "pre-commit": {".pre-commit-config.yaml": "ci/pre-commit-config.yaml"},
}
"""Files by what runs them: the path in a repository, and the path below STARTER."""


def repository(runners: Iterable[str]) -> list[tuple[str, str]]:
    """List the files of a repository to start from, as path and text."""
    sources = dict(_ALWAYS)
    for runner in runners:
        sources |= CI[runner]
    return [(path, _read(source)) for path, source in sources.items()]


def _read(source: str) -> str:
    return (STARTER / source).read_text("utf-8").replace("@VERSION@", __version__)


def misnamed(name: str) -> str:
    """Say what a model's name is made of, if it is not; empty if it is."""
    node = schema.described(schema.document_schema("model"), ("name",))
    return "" if schema.fits(name, node) else f"it is {node['x-pattern-means']}"


def formats() -> list[str]:
    """List the formats that a model may have."""
    root = schema.document_schema("model")
    node: dict[str, Any] = schema.described(root, ("serving", "format"))
    return list(node["enum"])


def model(
    name: str,
    owner: str,
    environments: Sequence[str],
    *,
    model_format: str = "",
    image: str = "",
    backend: str = "",
) -> Document:
    """Write a spec that says of each part what is worth knowing."""
    serving, artifact = _of_image(image) if image else _of_backend(backend, name, model_format)
    live = "".join(f"  {environment}: {{version: v1}}\n" for environment in environments)
    text = _SPEC.format(
        name=scalar(name),
        owner=scalar(owner),
        serving=serving,
        scaling="{min: 2, max: 2}" if backend in _UNSCALED else _SCALING,
        artifact=artifact,
        live=live,
    )
    return Document("model", f"models/{name}.yaml", name, text, yamlio.load(text))


_SPEC = """\
# `gen schema model` has every key. A line that is a comment is an example of what may be there.
name: {name} # as the file; it never changes
owner: {owner} # the team that answers for it
description: What {name} answers, in one sentence.

serving:
{serving}
# scaling: {scaling} # the environment's defaults otherwise

versions: # append only, so that going back is always possible: `gen version add`
  v1: {artifact}

environments: # what is live where: `gen promote` and `gen rollback` change this block
{live}"""

_FORMAT = """\
  format: {format} # decides runtime and protocol
  resources: {{cpu: 500m, memory: 1Gi}} # what one replica requests
  # gpu: {{flavor: a100-80gb, count: 1}} # a flavor of the environment
  # serviceAccount: {{secrets: [s3-credentials]}} # what opens a private bucket
"""

_LLM = """\
  backend: kserve-llm # a language model, asked through the OpenAI API
  resources: {cpu: 4, memory: 16Gi} # what one replica requests
  # gpu: {flavor: a100-80gb, count: 1} # a flavor of the environment
  # secrets: {variables: {HF_TOKEN: hf-token/HF_TOKEN}} # what opens a model that is not public
"""

_SELDON = """\
  backend: seldon # Seldon Core, of the version that the environment has
  format: {format} # decides which servers may load it
  resources: {{memory: 512Mi}} # what the server needs more once it is loaded
  # seldon: {{secret: rclone-s3}} # what opens a private bucket
"""

_SCALING = "{min: 1, max: 3, metric: cpu, target: 75}"
_UNSCALED = ("kserve-llm", "seldon")
"""Backends that scale by cpu nowhere, or not everywhere."""

BACKENDS = {"kserve": _FORMAT, "kserve-llm": _LLM, "seldon": _SELDON}
"""What a spec says of serving, by the backends that fetch a model."""

_IMAGE = """\
  backend: deployment # an image of your own, without KServe
  port: 8080 # where it listens
  probes: {liveness: /healthz, readiness: /readyz} # where it says that it lives and is ready
  resources: {cpu: 500m, memory: 1Gi} # what one replica requests
  # env: {LOG_LEVEL: info}
"""


def _of_backend(backend: str, name: str, model_format: str) -> tuple[str, str]:
    is_llm = backend == "kserve-llm"
    uri = f"hf://my-organisation/{name}" if is_llm else f"s3://models/{name}/v1/"
    artifact = f"{{uri: {scalar(uri)}}} # where the model's files are"
    text = BACKENDS[backend or "kserve"]
    return text if is_llm else text.format(format=model_format), artifact


def _of_image(image: str) -> tuple[str, str]:
    return _IMAGE, f"{{image: {scalar(image)}}}"
