"""`gen schema` and `gen schemas`: the contracts, for editors and other tools."""

from __future__ import annotations

from pathlib import Path

import click

from generator.commands.shared import root_option


@click.command()
@click.argument("kind", type=click.Choice(["model", "environment"]))
def schema(kind: str) -> None:
    """Print the JSON Schema of a document, for editors."""
    import json

    from generator import schema as schemas

    click.echo(json.dumps(schemas.document_schema(kind), indent=2, ensure_ascii=False))


@click.group()
def schemas() -> None:
    """The schemas that objects are checked against."""


@schemas.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), metavar="DIR")
@root_option
@click.pass_context
def export(ctx: click.Context, directory: Path, root: Path) -> None:
    """Write all schemas to DIR, so that kubeconform runs offline with the same set."""
    from generator import pipeline, write

    versions = pipeline.kubernetes_versions(root)
    count = write.export(directory, pipeline.exported_schemas(root, versions))
    click.echo(f"{count} schemas for Kubernetes {', '.join(versions)} in {directory}")
