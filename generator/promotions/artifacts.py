"""What is done to the versions of a model, live or not: one is added, or withdrawn for good."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

from generator.documents import Document, Json
from generator.problems import GenError, Problem
from generator.promotions import withdrawals
from generator.promotions.edits import Keys, Put
from generator.promotions.promotion import Live, Move, live_in
from generator.schema import suggestion


def add(model: Document, version: str, artifact: Json) -> Move:
    """Append a version. Raises GenError if it is there already and is something else."""
    versions = model.data["versions"]
    mark = withdrawals.of(versions, version, artifact)
    if mark:
        hint = "give what is mended an address and a name of its own"
        _refuse(model, (mark.version,), f"{mark.told(version)} and may be live nowhere", hint)
    if versions.get(version, artifact) != artifact:
        message = f"version {version} is there already, and is something else"
        hint = "give the new one a name of its own: what was live once never changes"
        _refuse(model, (version,), message, hint)
    subject = f"version({model.name}): add {version}"
    if version in versions:
        return Move((), f"{model.name} has this version {version} already", subject)
    edit = Put(("versions", version), artifact)
    return Move((edit,), f"{model.name} has a version {version} now, live nowhere yet", subject)


def withdraw(model: Document, version: str, reason: str) -> Move:
    """Mark a version, so that it is never live again. Raises GenError while it is."""
    versions = model.data["versions"]
    if version not in versions:
        _refuse(model, (), f"there is no version `{version}`", suggestion(version, versions))
    problems = list(_hindrances(model, version))
    if problems:
        raise GenError(problems)
    subject = f"version({model.name}): withdraw {version}"
    if versions[version].get(withdrawals.MARK) == reason:
        return Move((), f"{model.name}: {version} is withdrawn for this reason already", subject)
    edit = Put(("versions", version, withdrawals.MARK), reason)
    return Move((edit,), f"{model.name}: {version} is withdrawn and may be live nowhere", subject)


def _refuse(model: Document, version: Keys, message: str, hint: str) -> NoReturn:
    pointer = ("versions", *version)
    raise GenError([model.problem("E801", message, pointer, hint=hint, key=True)])


def _hindrances(model: Document, version: str) -> Iterator[Problem]:
    """Say where a version is live, and what takes it out of there."""
    for name, block in model.data["environments"].items():
        live, command = live_in(block), f"{model.name} --env {name}"
        role = _role(live, version)
        if role:
            key, message, way = role
            pointer = ("environments", name, *key)
            hint = f"`gen {way.format(command)}` first"
            text = f"{version} {message} in {name}"
            yield model.problem("E801", text, pointer, hint=hint, key=True)


def _role(live: Live, version: str) -> tuple[Keys, str, str] | None:
    """Give the keys that name a version, what it does there, and the command that ends it."""
    roles: dict[str, tuple[Keys, str, str]] = {
        live.version: (("version",), "serves", "rollback {}"),
        live.canary: (("canary", "version"), "is on trial", "rollback {}"),
        live.standby: (("standby",), "is on standby", "promote {} --no-standby"),
        live.shadow: (("shadow",), "gets copies", "promote {} --no-shadow"),
    }
    return roles.get(version)
