"""What to say of a model that another one needs beside it and does not find."""

from __future__ import annotations

from collections.abc import Collection

from generator.problems import Problem
from generator.records import Environment, Need, Release
from generator.schema import suggestion


def no_model(need: Need, known: Collection[str]) -> Problem:
    """Say that nobody has a model of that name."""
    message = f"there is no model `{need.model}`"
    return Problem("E301", message, need.where, suggestion(need.model, known))


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
    backend, port = release.serving.backend, release.stable.port
    message = (
        f"`{need.model}` is a graph itself, and answers at an address of its own"
        if backend == "graph"
        else f"a graph asks over v1 or v2, and `{need.model}`, `backend: {backend}`, over neither"
    )
    host = f"{release.stable.service}.{release.environment.namespace}.svc.cluster.local"
    place = f"{host}{'' if port == 80 else f':{port}'}/{'' if backend == 'graph' else '<path>'}"
    return Problem("I041", message, need.where, f"write `url: http://{place}`")
