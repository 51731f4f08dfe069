"""Where a rule points: at the line of a document that decided what it found."""

from __future__ import annotations

from generator.inventory.records import Environment
from generator.problems import Where
from generator.records import Release, Variant
from generator.rules import Finding
from generator.settings import SCALED_APART, origin


def of_setting(release: Release, *pointer: str) -> Where:
    """Find where a setting was decided; the model's block for the environment otherwise."""
    return origin(release.layers, pointer) or release.document.where(*release.pointer, key=True)


def at_setting(release: Release, pointer: tuple[str, ...], message: str, hint: str) -> Finding:
    """Make the finding of a setting such as `("scaling", "min")`, where it was decided."""
    return Finding(message, of_setting(release, *pointer), hint)


def own_scaling(release: Release, variant: Variant, key: str) -> tuple[str, ...]:
    """Lead to what a variant says of its own replicas in the model's block; empty if nothing."""
    keys = (variant.role, "scaling", key)
    is_its_own = variant.role in SCALED_APART and release.document.has((*release.pointer, *keys))
    return keys if is_its_own else ()


def in_live(release: Release, keys: tuple[str, ...], message: str, hint: str) -> Finding:
    """Make the finding of a key in the model's block for the environment; its own line."""
    pointer = (*release.pointer, *keys)
    return Finding(message, release.document.where(*pointer, key=True), hint)


def in_version(
    release: Release, variant: Variant, keys: tuple[str | int, ...], message: str, hint: str
) -> Finding:
    """Make the finding of a value of one version, such as its `uri`."""
    pointer = ("versions", variant.artifact.version, *keys)
    return Finding(message, release.document.where(*pointer, key=not keys), hint)


def at_component(
    release: Release, variant: Variant, way: tuple[str, str], message: str, hint: str
) -> Finding:
    """Make the finding of a component's key, or of it whole: in the version, or in the settings."""
    version = variant.artifact.version
    for keys in (way, way[:1]):
        if release.document.has(("versions", version, *keys)):
            return in_version(release, variant, keys, message, hint)
        if any(layer.has(("serving", *keys)) for layer in release.layers):
            break
    return at_setting(release, ("serving", *keys), message, hint)


def at_argument(release: Release, variant: Variant, index: int, message: str, hint: str) -> Finding:
    """Make the finding of one of a variant's arguments, where it was written.

    What gen says comes first, then the nearest layer's list, then the version's own.
    """
    own = release.document.data["versions"][variant.artifact.version].get("args", [])
    place = index - (len(variant.artifact.args) - len(own))
    if place >= 0:
        return in_version(release, variant, ("args", place), message, hint)
    return Finding(message, _in_settings(release, place), hint)


def _in_settings(release: Release, from_the_end: int) -> Where:
    """Find an argument in the list that all versions share, counted from its end."""
    pointer = ("serving", "args")
    layer = next((each for each in reversed(release.layers) if each.has(pointer)), None)
    if layer is not None and layer.document is not None:
        place = len(layer.data["serving"]["args"]) + from_the_end
        if place >= 0:
            return layer.document.where(*layer.prefix, *pointer, place)
    return of_setting(release, *pointer)


def at_variable(release: Release, variant: Variant, name: str, message: str, hint: str) -> Finding:
    """Make the finding of one of a variant's variables, in the version or in the settings."""
    own = release.document.data["versions"][variant.artifact.version].get("env", {})
    if name in own:
        return in_version(release, variant, ("env", name), message, hint)
    return at_setting(release, ("serving", "env", name), message, hint)


def in_environment(
    environment: Environment, pointer: tuple[str | int, ...], message: str, hint: str
) -> Finding:
    """Make the finding of a value of an environment's document."""
    return Finding(message, environment.document.where(*pointer), hint)


def at_key(
    environment: Environment, pointer: tuple[str | int, ...], message: str, hint: str
) -> Finding:
    """Make the finding of a key of an environment's document, such as a flavor's name."""
    return Finding(message, environment.document.where(*pointer, key=True), hint)
