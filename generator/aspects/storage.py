"""What a namespace holds for its models: PersistentVolumeClaims and ConfigMaps."""

from __future__ import annotations

from collections.abc import Iterator

from generator.aspects.contract import Aspect, Kind, Piece
from generator.inventory import namespaces
from generator.inventory.records import Environment
from generator.problems import Problem
from generator.rules.fields import looks_secret


class Volumes(Aspect):
    """A PersistentVolumeClaim per entry of `volumes`, which nothing deletes by itself."""

    name = "volumes"

    def platform(self, environment: Environment) -> Iterator[Piece]:
        """List the claims."""
        for claim in namespaces.claims(environment.document).values():
            file = f"persistent-volume-claim-{claim.name}.yaml"
            template = "platform/persistent-volume-claim.yaml.j2"
            yield Piece(file, template, {"claim": claim})

    def platform_kinds(self, environment: Environment) -> tuple[Kind, ...]:
        """List the PersistentVolumeClaim."""
        return (
            (Kind("", "PersistentVolumeClaim"),) if namespaces.claims(environment.document) else ()
        )


class ConfigMaps(Aspect):
    """A ConfigMap per entry of `configMaps`."""

    name = "configMaps"

    def environment_problems(self, environment: Environment) -> Iterator[Problem]:
        """Find values that should not be here."""
        for name, entries in environment.document.data.get("configMaps", {}).items():
            for key, value in entries.items():
                if looks_secret(value):
                    message = "this looks like a secret, and whoever reads the repository has it"
                    hint = "revoke it, put the new one into the store, and name it in `secrets`"
                    pointer = ("configMaps", name, key)
                    yield environment.document.problem("Q109", message, pointer, hint=hint)

    def platform(self, environment: Environment) -> Iterator[Piece]:
        """List them."""
        for name, entries in environment.document.data.get("configMaps", {}).items():
            context = {"config_map": {"name": name, "data": entries}}
            yield Piece(f"config-map-{name}.yaml", "platform/config-map.yaml.j2", context)

    def platform_kinds(self, environment: Environment) -> tuple[Kind, ...]:
        """List the ConfigMap."""
        return (Kind("", "ConfigMap"),) if environment.document.data.get("configMaps") else ()
