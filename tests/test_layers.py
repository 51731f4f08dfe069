"""The architecture as a test: who may import whom, and how large anything may grow."""

from __future__ import annotations

import ast
import io
import statistics
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pytest

from generator import cli

PACKAGE = Path(__file__).parents[1] / "generator"

COMMANDS = frozenset(home.partition(":")[0] for home in cli.COMMANDS.values())
"""The modules that hold the commands, which are imported when they are asked for."""

_RANKS = """
__main__

cli

COMMANDS

commands.asking commands.shared

terminal

promotions.amend

diff.differences pipeline promotions.registry reports.capacity_report reports.codeowners
reports.completion reports.diff_report reports.explain reports.gate_report reports.health
reports.history_report reports.reporting reports.rule_texts start

gate.gating promotions.artifacts state subjects workers

promotions.promotion revisions.commits revisions.history revisions.steps

check fleet gate.prometheus load needed plan render resolve revisions.git validate write

contradictions diff.summary rules.catalogue

serving.native

rules.argocd.access rules.argocd.sets rules.argocd.windows rules.lineage

aspects.registry rules.kueue.queueing rules.namespace.grants rules.namespace.network

drift.__main__

drift.comparison drift.pushgateway drift.tables

drift.measured

rules.monitoring.models rules.monitoring.objects

aspects.drift

aspects.monitoring

monitoring.dashboards

monitoring.alerts

monitoring.records

monitoring.watched

gate.measures

aspects.access aspects.admission aspects.disruption aspects.model_cache aspects.network
aspects.priority aspects.quota aspects.scaling aspects.secrets aspects.spread aspects.storage
aspects.topology rules.workloads.models rules.workloads.seldon

inventory.environments rules.argocd.applications rules.argocd.delivery rules.argocd.projects
rules.autoscaling.models rules.autoscaling.objects rules.autoscaling.triggers
rules.canary.routes rules.canary.strategies rules.changes.environments
rules.changes.language_models rules.changes.releases rules.changes.specs rules.changes.training
rules.changes.withdrawals rules.gpu.devices rules.gpu.flavors rules.gpu.nodes rules.gpu.requests
rules.graphs.models rules.graphs.objects rules.keda.objects rules.keda.queries
rules.keda.targets rules.keda.triggers rules.kserve.canaries rules.kserve.metadata
rules.kserve.objects rules.kueue.capacity rules.kueue.devices rules.kueue.objects
rules.kueue.policies rules.kueue.queued rules.kueue.quota rules.kueue.resource_quotas
rules.kueue.workloads rules.language_models.models rules.language_models.objects rules.naming
rules.policy rules.serving.artifacts rules.serving.components rules.serving.containers
rules.serving.credentials rules.serving.formats rules.serving.storage rules.serving.variables
rules.training.jobs rules.training.models rules.training.workflows rules.versions
rules.workloads.metadata rules.workloads.objects rules.workloads.pods scaling.autoscaling

aspects.training.aspect

aspects.training.asked aspects.training.manifests aspects.training.retraining

aspects.training.block

aspects.contract inventory.kueue inventory.priorities

rules.kueue.accessors

rules.kserve.accessors

backends.registry

backends.deployment backends.graph backends.kserve backends.kserve_llm backends.seldon

backends.pods serving.components serving.graphs

backends.contract scaling.pace

diff.impact inventory.delivery objects.alike queues.capacity rules.changes.transitions
rules.fields rules.namespace.reach rules.places scaling.triggers silences

diff.comparison diff.runs objects.leaves objects.traces queues.assignment rules

objects.kustomize objects.object_schemas queues.outcomes queues.quotas schema settings
templating.sandbox templating.shortcut

queues.demand queues.llm_memory serving.predictors templating.prepared

scaling.keda serving.language_models serving.sizes

inventory.namespaces records

files inventory.records

compiled documents inventory.queueing promotions.edits training.runtimes

codes digests gate.verdict lock naming promotions.withdrawals promql queues.accelerators
queues.packing revisions.timeline scalars serving.runtimes training.runs values.addresses
values.durations values.identity values.minors values.quantities yamlio

lineage problems tickets values.cron web

__init__ aspects aspects.training backends commands diff drift gate inventory monitoring objects
promotions queues reports revisions rules.argocd rules.autoscaling rules.canary rules.changes
rules.gpu rules.graphs rules.keda rules.kserve rules.kueue rules.language_models
rules.monitoring rules.namespace rules.serving rules.training rules.workloads scaling serving
templating training values
"""
LAYERS = tuple(
    {*layer.replace("COMMANDS", " ".join(f"commands.{name}" for name in COMMANDS)).split()}
    for layer in _RANKS.split("\n\n")
)
"""Whoever stands higher may import whoever stands lower, and nobody imports a neighbour.

From the top: the command; what it shows and runs; what a run is made of; the stages, which do not
know each other; their helpers; what these share; what passes between stages; a file that a person
wrote; knowledge without a state; what can be wrong.
"""

HOMES = {
    "yaml": "yamlio",
    "jinja2": "render templating.sandbox templating.shortcut",
    "jsonschema_rs": "schema",
    "click": " ".join(
        ["cli drift.__main__ terminal commands.shared", *map("commands.{}".format, COMMANDS)]
    ),
    "rich": "terminal",
    "subprocess": "revisions.git",
    "fcntl": "lock workers",
    "pickle": "workers",
    "evidently": "drift.comparison",
    "fsspec": "drift.tables",
    "pandas": "drift.comparison drift.tables",
}
"""What has one home in the package; other modules ask there."""

RECORDS = "msgspec"
"""What records are made of, as the standard library's dataclasses would be."""

OUTSIDE = frozenset(
    {"time", "datetime", "random", "secrets", "uuid", "socket", "ssl", "urllib", "http"}
    | {"getpass", "locale", "platform", "tempfile", "importlib.metadata"}
)
"""What differs from run to run or machine to machine: the command line alone may ask."""

NETWORK = frozenset({"urllib", "http", "ssl", "socket"})
"""What leads out of the machine: one module holds it, and the command line alone asks that one."""

_PRIVATE = frozenset(
    {"os.environ", "os.environb", "os.getenv", "os.urandom", "os.getcwd", "os.getlogin"}
    | {"Path.home", "Path.cwd", "os.path.expanduser", "os.path.abspath"}
)

READERS = {
    "__main__",
    "cli",
    "commands.codeowners",
    "commands.gate",
    "commands.shared",
    "compiled",
    "digests",
    "drift.tables",
    "reports.health",
    "terminal",
    "revisions.git",
    "load",
    "lock",
    "objects.object_schemas",
    "render",
    "schema",
    "start",
    "state",
    "write",
}
"""Who may touch files: inputs, templates and schemas are read, output is compared and written."""

_TOUCHING = {"open", "read_text", "read_bytes", "write_text", "write_bytes", "iterdir", "rglob"}


@dataclass(frozen=True)
class Module:
    """One module of the package, parsed."""

    name: str
    source: str
    tree: ast.Module

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @cached_property
    def imports(self) -> set[str]:
        """Whatever the module imports anywhere, with what it takes from it."""
        found: set[str] = set()
        for node in self.nodes:
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{self.name} imports by dots"
                found.update(f"{node.module}.{alias.name}" for alias in node.names)
        return found


def paths() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" and parts[:-1] else parts)] = path
    return found


@cache
def modules() -> dict[str, Module]:
    sources = {name: path.read_text("utf-8") for name, path in paths().items()}
    return {name: Module(name, source, ast.parse(source)) for name, source in sources.items()}


def own_imports(module: Module) -> set[str]:
    """Name the modules of the package that a module imports."""
    found = set()
    for name in module.imports:
        own = name.removeprefix("generator.")
        if own != name or name == "generator":
            known = (own, own.rpartition(".")[0] or "__init__")
            found.add(next(each for each in known if each in modules()))
    return found


def rank(name: str) -> int:
    (found,) = (level for level, names in enumerate(LAYERS) if name in names)
    return found


every_module = pytest.mark.parametrize("name", paths())


def test_every_module_has_its_layer() -> None:
    listed = [name for names in LAYERS for name in names]
    assert sorted(listed) == sorted(modules())


@every_module
def test_imports_go_strictly_downward(name: str) -> None:
    wrong = {other for other in own_imports(modules()[name]) if rank(other) <= rank(name)}
    assert not wrong, f"{name} imports {wrong}, which stand beside or above it"


@pytest.mark.parametrize(
    "library",
    HOMES,
)
def test_a_library_has_one_home(library: str) -> None:
    users = {
        name
        for name, module in modules().items()
        if any(each.partition(".")[0] == library for each in module.imports)
    }
    assert users <= set(HOMES[library].split())


def test_no_library_is_used_that_has_no_home() -> None:
    known = {*sys.stdlib_module_names, *HOMES, RECORDS, "generator"}
    for name, module in modules().items():
        strangers = {each.partition(".")[0] for each in module.imports} - known
        assert not strangers, f"{name} imports {strangers}"


@every_module
def test_nothing_below_the_command_line_depends_on_when_or_where_it_runs(name: str) -> None:
    if name in ("cli", "terminal") or name.startswith("commands.") or _is_apart(name):
        return
    module = modules()[name]
    taken = module.imports | {each.rpartition(".")[0] for each in module.imports}
    assert not taken & (OUTSIDE - NETWORK)
    used = {ast.unparse(node) for node in module.nodes if isinstance(node, ast.Attribute)}
    assert not (used | taken) & _PRIVATE


def test_one_module_reaches_the_network_and_the_command_line_alone_asks_it() -> None:
    taken = {name: module.imports for name, module in modules().items()}
    tops = {
        name: {each.partition(".")[0] for each in all_ if not each.startswith("urllib.parse")}
        for name, all_ in taken.items()
    }
    assert [name for name in tops if tops[name] & NETWORK and not _is_apart(name)] == ["web"]
    users = {name: own_imports(module) for name, module in modules().items()}
    servers = [name for name, used in users.items() if "web" in used and not _is_asking(name)]
    assert sorted(servers) == ["gate.prometheus", "promotions.registry"]
    assert all(_is_asking(name) for name, used in users.items() if used & {*servers})


def _is_asking(name: str) -> bool:
    return name == "cli" or name.startswith("commands.")


def _is_apart(name: str) -> bool:
    """Say whether a module is of a program that runs in a cluster, where no command line is."""
    return name.startswith("drift.")


@every_module
def test_only_those_who_have_to_touch_files(name: str) -> None:
    calls = [node for node in modules()[name].nodes if isinstance(node, ast.Call)]
    touching = {_called(call) for call in calls} & _TOUCHING
    assert not touching or name in READERS, f"{name} calls {touching}"


def _called(call: ast.Call) -> str:
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


# How large anything is


@dataclass(frozen=True)
class Function:
    """A function and its code lines: signature and body without docstring, blanks and comments."""

    place: str
    node: ast.FunctionDef | ast.AsyncFunctionDef
    lines: int


def code_lines(source: str) -> set[int]:
    silent = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in silent:
            found.update(range(token.start[0], token.end[0] + 1))
    return found


def span(node: Any) -> set[int]:
    return set(range(node.lineno, node.end_lineno + 1))


@cache
def functions() -> tuple[Function, ...]:
    found = []
    for module in modules().values():
        code = code_lines(module.source)
        for node in module.nodes:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                has_docstring = ast.get_docstring(node, clean=False) is not None
                silent = span(node.body[0]) if has_docstring else set()
                lines = len(span(node) & code - silent)
                found.append(Function(f"{module.name}.{node.name}", node, lines))
    return tuple(found)


def test_functions_are_short() -> None:
    lines = {function.place: function.lines for function in functions()}
    assert {place: count for place, count in lines.items() if count > 40} == {}
    assert sum(count <= 20 for count in lines.values()) >= 0.9 * len(lines)
    assert statistics.median(lines.values()) <= 6


_BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.match_case)


def complexity(function: Function) -> int:
    """Count the ways through a function, inner functions apart."""
    count, nodes = 1, list(ast.iter_child_nodes(function.node))
    while nodes:
        node = nodes.pop()
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            count += isinstance(node, _BRANCHES)
            nodes += ast.iter_child_nodes(node)
    return count


def test_functions_are_simple() -> None:
    found = {function.place: complexity(function) for function in functions()}
    assert {place: count for place, count in found.items() if count > 10} == {}


def public(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Walk over what a module offers: functions, classes, and these classes' methods."""
    for node in ast.iter_child_nodes(tree):
        kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        if isinstance(node, kinds) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node)


@every_module
def test_whatever_is_public_says_what_it_is(name: str) -> None:
    module = modules()[name]
    silent = [node.name for node in public(module.tree) if not ast.get_docstring(node)]
    assert ast.get_docstring(module.tree)
    assert not silent
