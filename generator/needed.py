"""What to say of a model that another one needs beside it and does not find."""

from __future__ import annotations

from collections.abc import Collection

from generator.inventory.records import Environment
from generator.problems import Problem
from generator.records import Need, Release
from generator.schema import suggestion
from generator.serving import language_models, runtimes


def no_model(need: Need, known: Collection[str]) -> Problem:
    """Say that nobody has a model of that name."""
    message = f"there is no model `{need.model}`"
    others = [name for name in known if need.where.file != f"models/{name}.yaml"]
    return Problem("E301", message, need.where, suggestion(need.model, others))


def not_live(need: Need, environment: Environment) -> Problem:
    """Say that a model is not live where it is needed."""
    message = (
        f"`{need.model}` is not live in environment {environment.name}, so that every request "
        "which comes to this step would fail"
    )
    hint = f"add `{environment.name}` to `environments` in models/{need.model}.yaml first"
    return Problem("I040", message, need.where, hint)


def not_answering(need: Need, release: Release, spoken: Collection[str]) -> Problem:
    """Say that a model is live and does not answer as it is asked."""
    if spoken:
        others = " and ".join(spoken)
        message = f"`{need.model}` answers over {others} and not over {need.protocol}"
        hint = f"write `protocol: {next(iter(spoken))}` beside it"
        return Problem("I041", message, need.where, hint)
    hint = f"write `url: http://{_address(release)}`"
    backend, runtime = release.serving.backend, release.serving.runtime
    message = f"a graph asks over v1 or v2, and `{need.model}`, `backend: {backend}`, over neither"
    if backend == "graph":
        message = f"`{need.model}` is a graph itself, and answers at an address of its own"
    elif backend == "kserve" and runtime not in runtimes.SHIPPED and not release.serving.protocol:
        message = f"nobody says over which protocol `{need.model}` answers, by runtime `{runtime}`"
        hint = f"add `serving.protocol` to models/{need.model}.yaml, or {hint}"
    return Problem("I041", message, need.where, hint)


def _address(release: Release) -> str:
    """Write where a graph in the same namespace reaches a model, whichever version answers."""
    namespace, stable = release.environment.namespace, release.stable
    if release.strategy == "group":
        return f"<the Gateway>{language_models.path(namespace, release.model)}/<path>"
    if release.host and release.strategy != "single":
        return f"{release.host}/<path>"
    port = "" if stable.port == 80 else f":{stable.port}"
    return f"{stable.service}{port}/{'' if release.serving.backend == 'graph' else '<path>'}"
