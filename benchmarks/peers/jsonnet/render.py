"""Render every overlay of a fleet with Jsonnet's Rust engine, in one process.

    python render.py SPECS OUTPUT

One file an overlay, its documents in JSON, which is YAML. A run for ten models, and its garbage
collected once at its end: a run a model, or collecting meanwhile, takes half as long again.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import yaml

_PROGRAM = str(Path(__file__).parent / "overlay.jsonnet")
_BATCH = f"function(models, environments) [(import '{_PROGRAM}')(m, environments) for m in models]"
_MODELS = 10


def load(path: Path) -> Any:
    """Read a spec."""
    return yaml.load(path.read_text("utf-8"), Loader=yaml.CSafeLoader)


def main(specs: Path, output: Path) -> None:
    """Write one file an overlay."""
    rjsonnet: Any = importlib.import_module("rjsonnet")
    environments = [load(path) for path in sorted((specs / "environments").iterdir())]
    for environment in environments:
        (output / environment["name"]).mkdir(parents=True)
    known = json.dumps(environments)
    paths = sorted((specs / "models").iterdir())
    for start in range(0, len(paths), _MODELS):
        models = [load(path) for path in paths[start : start + _MODELS]]
        arguments = {"models": json.dumps(models), "environments": known}
        made = rjsonnet.evaluate_snippet("batch", _BATCH, tla_codes=arguments, gc=False)
        rjsonnet.gc()
        for model, overlays in zip(models, json.loads(made), strict=True):
            for environment, objects in overlays.items():
                text = "".join(f"---\n{json.dumps(each)}\n" for each in objects)
                (output / environment / f"{model['name']}.yaml").write_text(text, "utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
