"""The yardstick: a script that writes the same files with Jinja, and nothing else.

It quotes where its author thought of it, checks nothing, compares nothing and composes nothing.

    python -m benchmarks.plain_jinja SPECS OUTPUT
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import jinja2
import yaml

from benchmarks.facts import Json, facts

TEMPLATES = Path(__file__).parent / "templates"
_KSERVE, _DEPLOYMENT = "inference-service", "deployment"


def templates() -> dict[str, jinja2.Template]:
    """Compile the templates, each once."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    names = environment.list_templates(["j2"])
    return {name.removesuffix(".yaml.j2"): environment.get_template(name) for name in names}


def load(path: Path) -> Json:
    """Read a spec as most scripts do, but with libyaml."""
    document: Json = yaml.load(path.read_text("utf-8"), Loader=yaml.CSafeLoader)
    return document


def model_files(model: Json, environments: list[Json]) -> Iterator[tuple[str, str, Json]]:
    """Plan a model's files: path, template and context."""
    name = model["name"]
    releases = [facts(model, environment) for environment in environments]
    is_kserve = releases[0]["backend"] == "kserve"
    names = [_KSERVE] if is_kserve else [_DEPLOYMENT, "service"]
    resources = {"resources": [f"{each}.yaml" for each in names]}
    yield f"rendered/_base/{name}/kustomization.yaml", "kustomization", resources
    for each in names:
        yield f"rendered/_base/{name}/{each}.yaml", f"base-{each}", releases[0]
    for release in releases:
        place = release["environment"]["name"]
        yield f"argocd/{place}/application-{name}.yaml", "application", release
        yield from _overlay(f"rendered/{place}/{name}", release)


def _overlay(path: str, release: Json) -> Iterator[tuple[str, str, Json]]:
    shared = ["service-account"] if "serviceAccount" in release["serving"] else []
    kustomization = {"all_in": release["namespace"]}
    if release["strategy"] == "route":
        versions = [variant["version"] for variant in release["variants"]]
        for variant in release["workloads"]:
            folder = f"{path}/{variant['version']}"
            base = f"../../../_base/{release['name']}"
            yield from _workload(folder, release, variant, {"suffix": variant["version"]}, base, [])
        yield f"{path}/http-route.yaml", "http-route", release
        names = ["http-route.yaml", *(f"{each}.yaml" for each in shared)]
        resources = {"resources": [*versions, *names]}
        yield f"{path}/kustomization.yaml", "kustomization", {**kustomization, **resources}
    else:
        variant, base = release["workloads"][0], f"../../_base/{release['name']}"
        route = ["http-route"] if release["is_published"] else []
        yield from _workload(path, release, variant, kustomization, base, [*route, *shared])
        for each in route:
            yield f"{path}/{each}.yaml", each, release
    for each in shared:
        yield f"{path}/{each}.yaml", each, release


def _workload(
    path: str, release: Json, variant: Json, kustomization: Json, base: str, shared: list[str]
) -> Iterator[tuple[str, str, Json]]:
    context = {**release, "variant": variant}
    kind = _KSERVE if release["backend"] == "kserve" else _DEPLOYMENT
    patches = [f"patch-{concern}.yaml" for concern in _concerns(release, variant)]
    scalers = {"keda": ["scaled-object"], "hpa": ["horizontal-pod-autoscaler"]}
    own = scalers.get(variant["scaler"], [])
    resources = [base, *(f"{each}.yaml" for each in (*own, *shared))]
    lists = {"resources": resources, "patches": patches}
    yield f"{path}/kustomization.yaml", "kustomization", {**kustomization, **lists}
    for patch in patches:
        yield f"{path}/{patch}", f"{kind}-{patch.removesuffix('.yaml')}", context
    for each in own:
        yield f"{path}/{each}.yaml", each, context


def _concerns(release: Json, variant: Json) -> Iterator[str]:
    if release["backend"] == "kserve":
        yield from ("mode", "version", "scaling")
    else:
        yield "version"
    yield "resources"
    if release["placement"]:
        yield "placement"
    if "serviceAccount" in release["serving"]:
        yield "service-account"
    if release["queue"]:
        yield "queue"
    if release["strategy"] == "knative" and variant["role"] == "canary":
        yield "traffic"


def environment_files(environment: Json) -> Iterator[tuple[str, str, Json]]:
    """Plan an environment's own files."""
    name, queues = environment["name"], environment.get("queues", {})
    path, resources = f"rendered/{name}/_platform", ["namespace.yaml"]
    yield f"{path}/namespace.yaml", "namespace", environment
    for flavor, spec in environment["flavors"].items() if queues else ():
        resources.append(f"resource-flavor-{flavor}.yaml")
        yield f"{path}/{resources[-1]}", "resource-flavor", {"name": flavor, "spec": spec}
    for queue, spec in queues.items():
        context = {**environment, "queue": queue, "spec": spec, **_grants(environment, spec)}
        for kind in ("cluster-queue", "local-queue"):
            resources.append(f"{kind}-{queue}.yaml")
            yield f"{path}/{resources[-1]}", kind, context
    yield f"{path}/kustomization.yaml", "kustomization", {"resources": resources}
    yield f"argocd/{name}.yaml", "application-root", environment
    for kind in ("app-project-models", "app-project-platform"):
        yield f"argocd/{name}/{kind}.yaml", kind, environment
    yield f"argocd/{name}/application-_platform.yaml", "application-platform", environment


def _grants(environment: Json, queue: Json) -> Json:
    """Say what a queue grants, every resource for every flavor."""
    resources = {
        flavor: environment["flavors"][flavor].get("resource") for flavor in queue["quota"]
    }
    covered = ["cpu", "memory", *sorted({each for each in resources.values() if each})]
    grants = {
        flavor: {
            resource: quota.get(resource, quota.get("gpu", 0) if resource == own else 0)
            for resource in covered
        }
        for (flavor, quota), own in zip(queue["quota"].items(), resources.values(), strict=True)
    }
    return {"covered": covered, "grants": grants}


def files(specs: Path) -> Iterator[tuple[str, str, Json]]:
    """Plan all files of a fleet."""
    environments = [load(path) for path in sorted((specs / "environments").iterdir())]
    for environment in environments:
        yield from environment_files(environment)
    for path in sorted((specs / "models").iterdir()):
        yield from model_files(load(path), environments)


def main(specs: Path, output: Path) -> None:
    """Write all files of a fleet."""
    compiled, made = templates(), set()
    for path, template, context in files(specs):
        target = output / path
        if target.parent not in made:
            target.parent.mkdir(parents=True, exist_ok=True)
            made.add(target.parent)
        target.write_text(compiled[template].render(context), "utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
