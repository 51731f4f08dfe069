"""Rules of arguments and variables: what is refused, overridden, or nobody else's business."""

from __future__ import annotations

import re
from collections.abc import Iterator

from generator.documents import Json
from generator.records import Release
from generator.rules import Book, Finding, Scene, Spot
from generator.rules.fields import at, entries, looks_secret, text
from generator.rules.kserve.accessors import containers, flags, is_standard, workload_containers
from generator.rules.places import at_argument, at_variable

BOOK = Book("serving")

_VALIDATED = "kserve/kserve@pkg/apis/serving/v1beta1/inference_service_validation.go"
_KNATIVE = "knative/serving@pkg/apis/serving/k8s_validation.go"
_MERGED = "kserve/kserve@pkg/controller/v1beta1/inferenceservice/utils/utils.go"
_SECRETS = "kubernetes/website@content/en/docs/concepts/configuration/secret.md"

_BLOCKED = BOOK.error(
    "S021",
    "KServe's webhook refuses the variable PYTHONPATH in every container.",
    evidence=f"{_VALIDATED}, kserve/kserve@pkg/validation",
    remedy="Put the code into the image, or use a ServingRuntime of your own.",
)
_PYTHON = "PYTHONPATH"
_WHY_PYTHON = "KServe refuses a model that sets PYTHONPATH: it would load code of anybody"
_NO_PYTHON = "remove it; what is needed on the path belongs into the runtime's image"


@_BLOCKED.on_release_with("kserve", "variables")
def _python_path(release: Release) -> Iterator[Finding]:
    if release.serving.backend != "kserve":
        return
    for variant in release.variants:
        if any(entry["name"] == _PYTHON for entry in variant.artifact.env):
            yield at_variable(release, variant, _PYTHON, _WHY_PYTHON, _NO_PYTHON)


@_BLOCKED.on_objects("InferenceService")
def _python_path_in_object(item: Json, scene: Scene) -> Iterator[Spot]:
    for place, container in containers(item):
        for index, entry in entries(container, "env"):
            if entry.get("name") == _PYTHON:
                yield Spot(_WHY_PYTHON, (*place, "env", index, "name"), _NO_PYTHON)


_RESERVED = BOOK.error(
    "S022",
    "Knative refuses the variables that it sets itself.",
    evidence=_KNATIVE,
    remedy="Use another name; Knative gives the container its port in PORT.",
)
_KNATIVES = frozenset({"PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION"})


@_RESERVED.on_release_with("knative", "variables")
def _variable_of_knative(release: Release) -> Iterator[Finding]:
    if release.strategy != "knative":
        return
    for variant in release.variants:
        for entry in variant.artifact.env:
            if entry["name"] in _KNATIVES:
                message = f"Knative sets {entry['name']} itself and refuses a model that does"
                yield at_variable(release, variant, entry["name"], message, "use another name")


@_RESERVED.on_objects("InferenceService")
def _variable_of_knative_in_object(item: Json, scene: Scene) -> Iterator[Spot]:
    if is_standard(item, scene):
        return
    for place, container in containers(item):
        for index, entry in entries(container, "env"):
            if text(entry, "name") in _KNATIVES:
                message = f"Knative sets {entry['name']} itself and refuses a model that does"
                yield Spot(message, (*place, "env", index, "name"), "use another name")


_TWICE = BOOK.warning(
    "S023",
    "Of an argument that is given twice, runtimes take the last one.",
    evidence=f"{_MERGED}, python/cpython@Doc/library/argparse.rst",
    remedy="Give it once: in `serving.args` if all versions share it, in the version otherwise.",
)
_NAMES = frozenset({"model_name", "served_model_name"})
"""What the rules of the route look at."""


@_TWICE.on_release
def _argument_given_twice(release: Release) -> Iterator[Finding]:
    for variant in release.variants:
        if len(variant.artifact.args) < 2:
            continue
        first: dict[str, str] = {}
        for flag in flags(variant.artifact.args):
            earlier = first.setdefault(flag.name, flag.value)
            if earlier != flag.value and flag.name not in _NAMES:
                shown = f"`--{flag.name.replace('_', '-')}`"
                message = f"{shown} is {earlier} before and {flag.value} here, which counts"
                hint = "give it once, where it belongs"
                yield at_argument(release, variant, flag.place, message, hint)


_SECRET = BOOK.error(
    "S024",
    "A secret in `env` is in Git for ever, for everybody who can read the repository.",
    evidence=_SECRETS,
    remedy="Keep it in a Secret and name that in `serving.secrets.variables`; storage credentials "
    "in `serving.serviceAccount.secrets`. Then change the secret.",
)
CREDENTIALS = frozenset(
    {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_TOKEN", "HUGGINGFACEHUB_API_TOKEN"}
    | {"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "MINIO_SECRET_KEY", "S3_SECRET_KEY"}
    | {"AZURE_CLIENT_SECRET", "AZ_CLIENT_SECRET", "AZURE_STORAGE_ACCESS_KEY"}
    | {"GOOGLE_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "NGC_API_KEY", "WANDB_API_KEY"}
    | {"VLLM_API_KEY", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "GITHUB_TOKEN"}
    | {"DATABASE_PASSWORD", "DB_PASSWORD", "POSTGRES_PASSWORD", "PGPASSWORD", "REDIS_PASSWORD"}
)
"""What is a secret by its whole name; `rules.workload` has names that end like one."""
_KEEP = (
    "name a Secret that has it in `serving.secrets.variables`, or storage credentials in "
    "`serviceAccount.secrets`; then change the secret"
)


def _is_told(name: str, value: str) -> bool:
    """Say whether a variable is a secret by its name, and not by its value, which is D005's."""
    return name in CREDENTIALS and bool(value) and not looks_secret(value)


@_SECRET.on_release_with("variables")
def _secret_in_git(release: Release) -> Iterator[Finding]:
    for variant in release.variants:
        for entry in variant.artifact.env:
            if _is_told(entry["name"], entry["value"]):
                message = f"{entry['name']} is a secret, and here everybody can read it"
                yield at_variable(release, variant, entry["name"], message, _KEEP)


@_SECRET.on_objects("*")
def _secret_in_template(item: Json, scene: Scene) -> Iterator[Spot]:
    for place, container in workload_containers(item):
        for index, entry in entries(container, "env"):
            if _is_told(text(entry, "name"), text(entry, "value")):
                message = f"{entry['name']} is a secret, and here everybody can read it"
                hint = "take it from a Secret with `valueFrom.secretKeyRef`; then change the secret"
                yield Spot(message, (*place, "env", index, "value"), hint)


_ONE_WORD = BOOK.error(
    "S058",
    "An argument is one word of the command line: with a space in it no server knows the option.",
    evidence="kubernetes/website@content/en/docs/tasks/inject-data-application/"
    "define-command-argument-container.md, python/cpython@Lib/argparse.py",
    remedy="Write `--option=value`, or option and value as two entries of the list.",
)
_OPTION = re.compile(r"--?[A-Za-z][\w.-]*\s+\S")


def _joined(text: str) -> tuple[str, str] | None:
    if not _OPTION.match(text):
        return None
    option, _, value = text.partition(" ")
    message = f"the server would look for an option `{text}`, space included, and not start"
    return message, f'write `"{option}={value.strip()}"`'


@_ONE_WORD.on_release
def _option_with_a_space(release: Release) -> Iterator[Finding]:
    for variant in release.variants:
        for index, argument in enumerate(variant.artifact.args):
            found = _joined(argument)
            if found:
                yield at_argument(release, variant, index, *found)


@_ONE_WORD.on_objects("*")
def _option_with_a_space_in_object(item: Json, scene: Scene) -> Iterator[Spot]:
    for place, container in workload_containers(item):
        for index, argument in enumerate(at(container, "args") or ()):
            found = _joined(str(argument)) if not at(container, "command") else None
            if found:
                yield Spot(found[0], (*place, "args", index), found[1])
