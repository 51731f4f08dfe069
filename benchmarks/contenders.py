"""Who runs: gen in its ways, the yardsticks, and what else makes or checks the same objects."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import fleet, tools
from benchmarks.clock import Command
from benchmarks.peers.kapitan import project
from benchmarks.preparation import KUBERNETES, SAMPLE, Prepared, Round, spread
from generator.objects import object_schemas

PYTHON, VERSION = "`python -c pass`", "`gen --version`"
COLD, COPY = "`gen render`, nothing there yet", "`cp -r` of the finished tree"
ALONE = "`gen render`, nothing there yet, one processor"
IDLE, ONE = "`gen render`, nothing changed", "`gen render`, one model changed"
CHECK, VALIDATE = "`gen render --check`", "`gen validate`"
PLAIN = "Jinja script, unchecked"
HELM, JSONNET = "Helm's engine, in one process", "Jsonnet (Rust), in one process"
CDK8S, KAPITAN = "cdk8s", "Kapitan"
KUBECONFORM = {1: "kubeconform, `-n 1`", 2: "kubeconform, `-n 2`"}
KUSTOMIZE, KUBERNETES_VALIDATE = "`kustomize build`, overlay by overlay", "kubernetes-validate"

OVERLAYS = 30
"""Overlays that are built where they stand for all."""
_PEERS = Path(__file__).parent / "peers"


def _nothing(_: Round) -> None:
    """Do nothing before a run."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One row: a command, what is done before it untimed, and how it counts.

    What is measured of a sample is multiplied by `factor`. Of `repeats` runs in a round, the median
    counts. `makes` names the folder of a round whose objects have to be gen's. One that `deletes`
    many files runs after the others, whose files it would make dearer.
    """

    name: str
    command: Callable[[Round], Command]
    before: Callable[[Round], None] = _nothing
    note: str = ""
    factor: float = 1.0
    repeats: int = 1
    makes: str = ""
    deletes: bool = False


@dataclass(frozen=True, slots=True)
class Absent:
    """A row that cannot be measured, and why."""

    name: str
    reason: str


def gen(*arguments: str, root: Path, processors: int = 0) -> Command:
    """Make a command of gen's, whose cache is beside its repository."""
    program = Path(sys.executable).parent / "gen"
    start = [str(program)] if program.exists() else [sys.executable, "-m", "generator"]
    cache = {"GEN_CACHE_DIR": f"{root}-cache"}
    return Command([*start, *arguments], root, cache, processors)


def starts() -> Iterator[Contender]:
    """What a start takes."""
    python = [sys.executable, "-c", "pass"]
    yield Contender(PYTHON, lambda now: Command(python, now.folder), repeats=5)
    yield Contender(VERSION, lambda now: gen("--version", root=now.folder), repeats=5)


def ours() -> Iterator[Contender]:
    """Render a fleet with gen, copy the result, and render again in every way."""
    yield Contender(COLD, lambda now: gen("render", root=now.path("gen")), _specs_for("gen"))
    yield Contender(COPY, _copy, lambda now: now.path("copy").mkdir())
    yield Contender(IDLE, lambda now: gen("render", root=now.path("gen")))
    yield Contender(CHECK, lambda now: gen("render", "--check", root=now.path("gen")))
    yield Contender(VALIDATE, lambda now: gen("validate", root=now.path("gen")))
    yield Contender(ONE, lambda now: gen("render", root=now.path("gen")), _change_one)


def alone() -> Iterator[Contender]:
    """Render a fleet on one processor, as the scripts that it is compared with do."""
    yield Contender(
        ALONE,
        lambda now: gen("render", root=now.path("alone"), processors=1),
        _specs_for("alone"),
        note="what the contenders without a second process have",
    )


def _specs_for(name: str) -> Callable[[Round], None]:
    return lambda now: copy_specs(now.prepared.specs, now.path(name))


def copy_specs(specs: Path, root: Path) -> None:
    """Make a repository with specs and nothing else."""
    shutil.copytree(specs, root)


def _copy(now: Round) -> Command:
    tree = [str(now.path("gen") / name) for name in ("rendered", "argocd")]
    return Command(["cp", "-r", *tree, str(now.path("copy"))], now.folder)


def _change_one(now: Round) -> None:
    fleet.change(now.path("gen"), now.prepared.models // 2)


def plain() -> Iterator[Contender]:
    """The script that a person would write."""
    yield Contender(
        PLAIN,
        lambda now: _module("benchmarks.plain_jinja", now, "plain"),
        note="the same files; no quoting, no check, no composition, no comparison",
        makes="plain",
    )


def _module(name: str, now: Round, output: str) -> Command:
    argv = [sys.executable, "-m", name, str(now.prepared.specs), str(now.path(output))]
    return Command(argv, now.folder, {"PYTHONPATH": str(tools.ROOT)})


def others() -> Iterator[Contender | Absent]:
    """Other generators, each with a project of its own that makes the same objects."""
    for packages, name, makers in (
        (tools.HELM, HELM, _helm),
        (tools.JSONNET, JSONNET, _jsonnet),
        (tools.CDK8S, CDK8S, _cdk8s),
        (tools.KAPITAN, KAPITAN, _kapitan),
    ):
        try:
            tools.ensure(packages)
            yield makers()
        except tools.MissingError as error:
            yield Absent(name, str(error))


_ONE_FILE = "one file an overlay"


def _helm() -> Contender:
    return _script(HELM, tools.HELM, "helm", f"a render an overlay; {_ONE_FILE}")


def _jsonnet() -> Contender:
    return _script(JSONNET, tools.JSONNET, "jsonnet", f"a run for ten models; {_ONE_FILE}, in JSON")


def _script(name: str, packages: tools.Packages, folder: str, note: str) -> Contender:
    start = [packages.program("python"), str(_PEERS / folder / "render.py")]

    def command(now: Round) -> Command:
        return Command([*start, str(now.prepared.specs), str(now.path(folder))], now.folder)

    return Contender(name, command, note=note, makes=folder)


def _cdk8s() -> Contender:
    start = [tools.found("node"), str(_PEERS / "cdk8s" / "render.js")]
    modules = {"NODE_PATH": str(tools.CDK8S.folder / "node_modules")}

    def command(now: Round) -> Command:
        argv = [*start, str(now.prepared.specs), str(now.path("cdk8s"))]
        return Command(argv, now.folder, modules)

    return Contender(
        CDK8S, command, note=f"an app a model, a chart an overlay; {_ONE_FILE}", makes="cdk8s"
    )


def _kapitan() -> Contender:
    options = ("compile", "--quiet", "--yaml-use-rapidyaml", "--output-path")

    def before(now: Round) -> None:
        now.path("kapitan-temporary").mkdir()
        if not now.prepared.kapitan.exists():
            project.write(now.prepared.specs, now.prepared.kapitan)

    def command(now: Round) -> Command:
        argv = [tools.KAPITAN.program("kapitan"), *options, str(now.path("kapitan"))]
        places = {"TMPDIR": str(now.path("kapitan-temporary")), "PYTHONPATH": str(tools.ROOT)}
        return Command(argv, now.prepared.kapitan, places)

    note = f"a target an overlay, Kadet and rapidyaml; {_ONE_FILE}"
    return Contender(KAPITAN, command, before, note, makes="kapitan", deletes=True)


def validators(prepared: Prepared) -> Iterator[Contender | Absent]:
    """What checks objects that are there already, or composes them."""
    try:
        kubeconform = tools.found("kubeconform")
        for jobs, name in KUBECONFORM.items():
            yield _kubeconform(name, kubeconform, jobs)
    except tools.MissingError as error:
        yield Absent(KUBECONFORM[1], str(error))
    try:
        yield _kustomize(tools.found("kustomize"), prepared)
    except tools.MissingError as error:
        yield Absent(KUSTOMIZE, str(error))
    yield _kubernetes_validate(prepared)


def _kubeconform(name: str, program: str, jobs: int) -> Contender:
    options = ("-strict", "-n", str(jobs), "-kubernetes-version", f"{KUBERNETES}.0")

    def command(now: Round) -> Command:
        location = f"{now.prepared.schemas}/{object_schemas.SCHEMA_LOCATION}"
        argv = [program, *options, "-schema-location", location, str(now.prepared.composed)]
        return Command(argv, now.folder)

    note = "schemas alone, of objects that are composed already; gen's own schemas, from the disk"
    return Contender(name, command, note=note)


def _kustomize(program: str, prepared: Prepared) -> Contender:
    overlays = [
        f"rendered/{environment}/{name}"
        for name in fleet.names(prepared.models)
        for environment in fleet.ENVIRONMENTS
    ]
    sample = spread(overlays, OVERLAYS)
    script = f'for overlay in "$@"; do "{program}" build "$overlay" >/dev/null || exit 1; done'

    def command(now: Round) -> Command:
        return Command(["sh", "-c", script, "build", *sample], now.path("gen"))

    note = f"composes and checks nothing; {len(sample)} of {len(overlays)} overlays, extrapolated"
    return Contender(KUSTOMIZE, command, note=note, factor=len(overlays) / len(sample))


def _kubernetes_validate(prepared: Prepared) -> Contender:
    total = prepared.built_in_total
    size = min(SAMPLE, total)
    program = str(Path(sys.executable).parent / "kubernetes-validate")

    def command(now: Round) -> Command:
        files = sorted(str(path) for path in now.prepared.built_in.iterdir())
        argv = [program, "--strict", "--quiet", "-k", KUBERNETES, *files]
        return Command(argv, now.folder)

    note = f"built-in kinds alone; {size} of {total} objects, extrapolated"
    return Contender(KUBERNETES_VALIDATE, command, note=note, factor=total / max(1, size))
