"""Render every overlay of a fleet with Helm's own engine, in one process.

    python render.py SPECS OUTPUT

Values are a model's spec and an environment's, as two `--values` files would be; the chart does the
rest. One file an overlay.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import yaml

_CHART = Path(__file__).parent / "chart"


def load(path: Path) -> Any:
    """Read a spec."""
    return yaml.load(path.read_text("utf-8"), Loader=yaml.CSafeLoader)


def main(specs: Path, output: Path) -> None:
    """Write one file an overlay."""
    helm: Any = importlib.import_module("helm_python")
    environments = [load(path) for path in sorted((specs / "environments").iterdir())]
    for environment in environments:
        (output / environment["name"]).mkdir(parents=True)
    with helm.Chart.load(_CHART) as chart:
        for path in sorted((specs / "models").iterdir()):
            model = load(path)
            for environment in environments:
                values = {"model": model, "environment": environment}
                manifests = chart.render(values, name=path.stem, namespace=environment["namespace"])
                target = output / environment["name"] / path.name
                target.write_text("".join(manifests.values()), "utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
