"""What Argo CD itself has to be told, once for each Argo CD."""

from __future__ import annotations

import click


@click.group()
def argocd() -> None:
    """What Argo CD has to know of the kinds that gen renders."""


@argocd.command()
@click.option(
    "--namespace",
    default="argocd",
    show_default=True,
    metavar="NAMESPACE",
    help="The namespace that Argo CD runs in.",
)
def settings(namespace: str) -> None:
    """Print health checks and known types, as a part of Argo CD's ConfigMap argocd-cm.

    Argo CD counts a kind without a health check as done at once, so that nothing waits for it. The
    part holds only keys that gen writes: apply it with `kubectl apply --server-side`, which leaves
    the others alone, or add it as a patch to what installs Argo CD.
    """
    from generator.reports import health

    click.echo(health.config_map(namespace), nl=False)
