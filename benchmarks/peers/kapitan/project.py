"""The same fleet as a Kapitan project: a class for each environment and model, a target an overlay.

Kapitan merges environment, model and override by its inventory, Jinja writes one file an overlay.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from benchmarks.facts import Json
from benchmarks.plain_jinja import load

_HERE = Path(__file__).parent
_MERGED = ("serving", "scaling", "queue")
_LIVE = ("version", "canary", "standby")
_COMPILE: Json = {
    "output_path": ".",
    "output_type": "yaml",
    "input_type": "kadet",
    "input_paths": ["components/overlay"],
}


def write(specs: Path, project: Path) -> None:
    """Write the project of a fleet; nothing of this is timed."""
    component = project / "components/overlay"
    component.mkdir(parents=True)
    (component / "__init__.py").write_bytes((_HERE / "component.py").read_bytes())
    for path in sorted((specs / "environments").iterdir()):
        _class(project, "environments", path.stem, _environment(load(path)))
    for path in sorted((specs / "models").iterdir()):
        model = load(path)
        _class(project, "models", path.stem, _model(model))
        for environment, block in model["environments"].items():
            _target(project, environment, path.stem, block)


def _environment(spec: Json) -> Json:
    return {"environment": {**spec, "defaults": {}}, **spec["defaults"]}


def _model(spec: Json) -> Json:
    kept = ("name", "owner", "description", "versions")
    return {"model": {key: spec[key] for key in kept}, **_merged(spec)}


def _merged(layer: Json) -> Json:
    return {key: layer[key] for key in _MERGED if key in layer}


def _class(project: Path, kind: str, name: str, parameters: Json) -> None:
    _write(project / "inventory/classes" / kind / f"{name}.yml", {"parameters": parameters})


def _target(project: Path, environment: str, model: str, block: Json) -> None:
    name = f"{environment}-{model}"
    parameters = {
        "kapitan": {"vars": {"target": name}, "compile": [_COMPILE]},
        "live": {key: block[key] for key in _LIVE if key in block},
        **_replacing(_merged(block)),
    }
    classes = [f"environments.{environment}", f"models.{model}"]
    document = {"classes": classes, "parameters": parameters}
    _write(project / "inventory/targets" / f"{name}.yml", document)


def _replacing(layer: Json) -> Json:
    """Mark lists with the `~` by which Kapitan replaces instead of appends."""
    serving = layer.get("serving", {})
    if "args" not in serving:
        return layer
    others = {key: value for key, value in serving.items() if key != "args"}
    return {**layer, "serving": {**others, "~args": serving["args"]}}


def _write(path: Path, document: Json) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False), "utf-8")
