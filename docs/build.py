"""Write the reference pages from what the code itself says.

    python docs/build.py            writes docs/reference/*.md
    python docs/build.py --check    writes nothing, exits 1 if a page is not current

Nothing is described twice: keys come from the JSON Schemas, codes from `generator.codes` and the
rules, variables from the contexts that the plan makes of this repository's own fleet, commands from
the command line.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from msgspec import Struct, structs

from generator import cli, pipeline, plan, render, resolve, scalars, schema, start, yamlio
from generator.codes import CODES
from generator.commands.completion import commands_of
from generator.documents import Document
from generator.files import PlannedFile
from generator.inventory.records import Cohort
from generator.reports import rule_texts
from generator.rules import Rule
from generator.rules.catalogue import BOOKS

if TYPE_CHECKING:
    import click

ROOT = Path(__file__).resolve().parent.parent
CASES = ROOT / "tests" / "cases" / "valid"

Node = dict[str, Any]
"""A piece of a JSON Schema."""

_NOTICE = "<!-- Written by docs/build.py. Change what it reads, not this. -->"


def _page(title: str, *parts: str) -> str:
    return "\n\n".join([_NOTICE, f"# {title}", *parts]) + "\n"


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(header)
    lines = [head, ["---"] * len(head), *(list(row) for row in rows)]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _code(text: str) -> str:
    return f"`{text}`"


def _anchor(heading: str) -> str:
    """Name the anchor that GitHub gives a heading."""
    kept = re.sub(r"[^\w\- ]", "", heading.lower())
    return kept.replace(" ", "-")


def _link(heading: str) -> str:
    return f"[{_code(heading)}](#{_anchor(heading)})"


# The two documents

_TYPES = {
    "string": ("text", "texts"),
    "integer": ("whole number", "whole numbers"),
    "number": ("number", "numbers"),
    "boolean": ("`true` or `false`", "`true` or `false`"),
    "object": ("block", "blocks"),
    "array": ("list", "lists"),
}
_PLACEHOLDERS = {
    "versions": "version",
    "environments": "environment",
    "flavors": "flavor",
    "queues": "queue",
    "cohorts": "cohort",
    "priorities": "priority",
    "multiKueue": "cluster",
    "quota": "flavor",
}
"""What the keys of a map are, where that is a name that the document gives itself."""


class _Documented:
    """The blocks of one schema, each described once, at the first path that leads to it."""

    def __init__(self, kind: str) -> None:
        self.root = schema.document_schema(kind)
        self.homes: dict[str, str] = {}
        self.sections: list[str] = []
        self._section("", self.root)

    def _section(self, path: str, block: Node) -> None:
        """Describe a block and then the blocks in it, depth first."""
        place = len(self.sections)
        self.sections.append("")
        rows = [
            self._row(block, name, self._join(path, name), node)
            for name, node in block["properties"].items()
        ]
        heading = f"## {_code(path)}\n\n{block.get('description', '')}\n\n" if path else ""
        self.sections[place] = heading + _table(("key", "type", "needed", "what it means"), rows)

    def _join(self, path: str, name: str) -> str:
        return f"{path}.{name}" if path else name

    def _row(self, block: Node, name: str, path: str, raw: Node) -> tuple[str, ...]:
        node = schema.resolve_reference(self.root, raw)
        required = "yes" if name in block.get("required", ()) else ""
        default = f"no: {_code(scalars.flow(node['default']))}" if "default" in node else "no"
        needs = block.get("dependentRequired", {}).get(name, ())
        meaning = [
            node.get("description", ""),
            *(f"Needs {_code(other)} beside it." for other in needs),
            *self._forms(node),
            self._examples(node),
            self._inner(path, name, raw, node),
        ]
        said = " ".join(part for part in meaning if part)
        return _code(name), self._type(node), required or default, said

    def _type(self, node: Node) -> str:
        if "enum" in node:
            return "one of " + ", ".join(_code(str(option)) for option in node["enum"])
        item = self._items(node)
        words = _words(node, singular=True) if item is None else self._collection(node, item)
        return ", ".join([words, *_bounds(node)])

    def _items(self, node: Node) -> Node | None:
        inner = node.get("items") or node.get("additionalProperties")
        return schema.resolve_reference(self.root, inner) if isinstance(inner, dict) else None

    def _collection(self, node: Node, item: Node) -> str:
        return f"{'list' if node['type'] == 'array' else 'map'} of {_words(item, singular=False)}"

    def _forms(self, node: Node) -> Iterator[str]:
        """Say in words what patterns ask of the value, of its items and of its keys."""
        keys = schema.resolve_reference(self.root, node.get("propertyNames", {}))
        item = self._items(node) or {}
        for what, inner in (("Form", node), ("Keys", keys), ("Items", item)):
            if "x-pattern-means" in inner:
                yield f"{what}: {inner['x-pattern-means']}."

    def _examples(self, node: Node) -> str:
        shown = " or ".join(_code(scalars.flow(value)) for value in node.get("examples", ()))
        return f"Example: {shown}." if shown else ""

    def _inner(self, path: str, name: str, raw: Node, node: Node) -> str:
        """Link to the block below a key, and describe it if nobody has."""
        item = self._items(node)
        if item is not None and "properties" in item:
            placeholder = _PLACEHOLDERS.get(name, "name")
            below = f"{path}[]" if node["type"] == "array" else f"{path}.<{placeholder}>"
            return self._home(below, node.get("items") or node["additionalProperties"], item)
        return self._home(path, raw, node) if "properties" in node else ""

    def _home(self, path: str, raw: Node, node: Node) -> str:
        home = self.homes.setdefault(raw.get("$ref", path), path)
        if home != path:
            return f"The keys are those of {_link(home)}."
        self._section(path, node)
        return f"Its keys: {_link(path)}."


def _words(node: Node, *, singular: bool) -> str:
    types = node["type"] if isinstance(node.get("type"), list) else [node.get("type", "object")]
    return " or ".join(_TYPES[name][0 if singular else 1] for name in types)


def _bounds(node: Node) -> Iterator[str]:
    least, most = node.get("minimum"), node.get("maximum")
    if least is not None and most is not None:
        yield f"{least} to {most}"
    elif least is not None:
        yield f"at least {least}"
    if "exclusiveMinimum" in node:
        yield f"above {node['exclusiveMinimum']}"
        yield f"at most {most}"
    if node.get("maxLength"):
        yield f"at most {node['maxLength']} characters"
    if node.get("minItems") or node.get("minProperties") or node.get("minLength"):
        yield "not empty"
    if limit := node.get("maxItems") or node.get("maxProperties"):
        yield f"at most {limit}"
    if node.get("uniqueItems"):
        yield "nothing twice"


_LAYERS = {
    "model": (
        "`serving`, `scaling` and `queue` have layers: what gen itself says, the environment's "
        "`defaults`, the model's block, the model's block for that environment; the last one that "
        "has a value wins. Maps merge key by key, lists are replaced whole. `no: value` in the "
        "tables is what gen itself says. Where Knative serves, the metric is `concurrency` and the "
        "target 100 unless a layer says otherwise. `gen explain` shows where each value came from."
    ),
    "environment": (
        "The block `defaults` is a layer below every model of the environment; all other blocks "
        "say what the cluster is."
    ),
}


def _document(kind: str) -> str:
    documented = _Documented(kind)
    top, *blocks = documented.sections
    description = documented.root["description"]
    how = (
        f"Unknown keys are refused everywhere. `gen schema {kind}` prints the same as a JSON "
        "Schema, which [editors](../how-to/editor-completion.md) read."
    )
    return _page(f"{kind.title()}: every key", description, _LAYERS[kind], how, top, *blocks)


# Problems

_STAGES = {
    "1": "Reading files",
    "2": "The documents and their schemas",
    "3": "A model in an environment",
    "4": "The plan of files",
    "5": "Templates",
    "6": "Rendered objects",
    "7": "Writing",
}


def _problems() -> str:
    intro = (
        "Every problem has a code that never changes its meaning, the place that a person wrote, "
        "and mostly a hint. An error refuses the run, and then nothing is written. A warning lets "
        "it pass. The first digit of an `E` code is the stage that found it; the other codes are "
        "[rules](rules.md). `gen explain CODE` says the same in a terminal."
    )
    stages = [_stage(digit, title) for digit, title in _STAGES.items()]
    return _page("Problems", intro, *stages)


def _stage(digit: str, title: str) -> str:
    entries = [f"### {code}\n\n{text}" for code, text in CODES.items() if code[1] == digit]
    return "\n\n".join([f"## {title}", *entries])


def _rules() -> str:
    count = sum(len(book.rules) for book in BOOKS)
    intro = (
        f"What a schema passes and a cluster ignores, refuses or leaves pending: {count} rules, "
        "`gen rules` lists them. A rule that has an exception can be silenced for one model, with "
        "a reason and until a day, in its [`silence`](model.md#silencename) block."
    )
    return _page("Rules", intro, *map(_family, dict.fromkeys(book.family for book in BOOKS)))


def _family(family: str) -> str:
    """Describe the rules of a family, which may have several books."""
    found = [rule for book in BOOKS if book.family == family for rule in book.rules]
    rules = sorted(found, key=lambda rule: rule.code)
    return "\n\n".join([f"## {family[0].upper()}{family[1:]}", *map(_rule, rules)])


def _rule(rule: Rule) -> str:
    kind = "An error." if rule.severity == "error" else "A warning."
    span = f" Holds for {rule_texts.holds_for(rule)}." if rule.versions else ""
    exception = "" if rule.may_be_silenced else " Knows no exception."
    evidence = f"Evidence: {_code(rule.evidence)}."
    said = f"{kind} {rule.summary}{span}{exception}"
    return f"### {rule.code}\n\n{said}\n\n{rule.remedy} {evidence}"


# Templates

_MORE = """\
name: example
owner: docs
description: What the fleet itself has no example of.
serving:
  backend: deployment
  probes: {liveness: /healthz, readiness: /readyz}
  gpu: {flavor: a100-80gb}
  resources: {cpu: "1"}
  serviceAccount: {secrets: [credentials]}
versions:
  v1: {image: "example.com/example:1"}
environments:
  production: {version: v1}
"""
_MORE_STRATEGIES = """\
name: example
owner: docs
description: What the fleet itself has no strategy for.
serving: {format: sklearn}
versions:
  v1: {uri: "gs://models/example/1"}
  v2: {uri: "gs://models/example/2"}
environments:
  staging: {version: v1, shadow: v2}
  production: {version: v1, canary: {version: v2, traffic: 10}, canaryStrategy: native}
"""
_MORE_COHORTS = {"example": Cohort("example", "", [], [])}

_VARIABLES = {
    "release": "The model in this environment, complete.",
    "serving": "`release.serving`: what is the same for every version.",
    "environment": "The environment, resolved.",
    "variant": "The version that this workload runs, with its traffic and scaling.",
    "flavor": "The flavor that the object is made for.",
    "queue": "The queue that the object is made for.",
    "cohort": "The cohort that the object is made for.",
    "queue_namespace": "The namespace that the LocalQueue is in.",
    "priority": "The model's class of priority, as a label and as a name; only where it has one.",
    "priority_class": "The class of priority that the object is made for.",
    "topology": "What the Pods ask of the topology, as one annotation; only where they do.",
    "node_topology": "The levels of the topology that the object is made for.",
    "admission_check": "The admission check that the object is made for, with what configures it.",
    "worker_cluster": "The other cluster that the object leads to.",
    "pod_security": "The labels that hold the namespace to Pod Security Standards; maybe none.",
    "hard": "What the ResourceQuota grants, by its keys.",
    "limits": "What the LimitRange fills in, and its bounds.",
    "network_policy": "Name, types and rules of one NetworkPolicy, and its wave.",
    "role": "What a role may, and who has it.",
    "claim": "The PersistentVolumeClaim that the object is made for.",
    "config_map": "Name and entries of a ConfigMap.",
    "external_secret": "Where a Secret comes from: its store, and the keys that are chosen or all.",
    "mode_annotations": "The annotations that name KServe's mode and the owner of the replicas.",
    "mirror": "The filter that sends the shadow copies; only where there is a shadow.",
    "llm": "How a language model is spread, of `backend: kserve-llm` alone.",
    "cache": "On which nodes the model is kept; only where it is.",
    "cache_name": "What the cache of this version is called.",
    "scale_metric": "KServe's word for the metric; empty where KServe does not scale.",
    "service_account_secrets": "References to the Secrets of the ServiceAccount.",
    "pull_secrets": "References to the Secrets that images are pulled with.",
    "components": "What stands beside the predictor: `transformer`, `explainer`; maybe nothing.",
    "batcher": "The batcher as KServe takes it; only where there is one.",
    "logger": "The logger as KServe takes it; only where there is one.",
    "graph": "The nodes of an InferenceGraph as KServe takes them, of `backend: graph` alone.",
    "router_timeouts": "The timeouts of a graph's router; empty without `serving.timeout`.",
    "needs": "The models that a graph leads to.",
    "ports": "The ports beside the first one; empty without any.",
    "mounts": "Volumes of Secrets, ConfigMaps and empty folders; only where there are any.",
    "container_security": "What the spec says of the container's rights; only where it does.",
    "shutdown": "How long a leaving replica answers, and has; only where the spec says it.",
    "rolling_update": "Replicas too many and too few in an update; only where the spec says it.",
    "spread": "Over what replicas stand apart; only where they do.",
    "disruption": "How many replicas evictions may take; only where the spec says it.",
    "selector": "The labels that the version's Pods have alone; empty where they have none.",
    "seldon": "What a server of Seldon's has to be and is told, of `backend: seldon` alone.",
    "candidates": "The Models that share the requests, with their weights.",
    "training": "The runs of the model: the one by hand, and what starts others; maybe neither.",
    "run": "The run by hand as an object: name, labels, annotations and the whole `spec`.",
    "runtime_annotations": "What keeps the runtime for runs that Git does not name; maybe empty.",
    "volcano": "Name and `spec` of a queue of Volcano.",
    "resources": "What the kustomization lists under `resources`.",
    "patches": "What the kustomization lists under `patches`.",
    "namespace": "The namespace that the kustomization sets; empty in a version's folder.",
    "name_suffix": "`-<version>` in a version's folder, empty elsewhere.",
    "path": "The folder that the Application syncs.",
    "base": "The folder of the model's base, on which the overlay builds.",
    "sync_policy": "The Application's `syncPolicy`.",
    "subscriptions": "Who is told of what by Argo CD: pairs of an annotation and its recipients.",
    "lineage": "Where the live versions came from, as entries of `info`; empty if nobody knows.",
    "kinds": "The namespaced kinds that gen itself may render, which the project allows.",
    "cluster_kinds": "The cluster-scoped ones of them.",
    "namespaces": "The namespaces that gen may write to beside the environment's own.",
    "authentication": "How KEDA proves who it is: name and `spec` of a TriggerAuthentication.",
    "interceptor": "The interceptor of KEDA's HTTP add-on that routes may lead to.",
    "scaling": "The interceptor that holds requests for the model; only where one does.",
    "monitoring": "How the model is watched; only where it is.",
    "labels": "All labels of a monitoring object, and those that Prometheus or Grafana select by.",
    "monitor": "The whole `spec` of the PodMonitor.",
    "groups": "The groups of a PrometheusRule: what is recorded, and who is told of what.",
    "dashboard": "The dashboard's JSON, for the operator of Grafana.",
    "data": "The dashboard's JSON by its file's name, for the sidecar of Grafana.",
    "folder": "The folder in Grafana; empty for none.",
    "instances": "The labels of the Grafanas that the operator writes to.",
    "drift": "The check for drift; only where there is one.",
    "check": "What the check's Pod has: `args`, `env`, `env_from`, `mounts`, `volumes` and "
    "`service_account_name`.",
    "starter": "What starts a training where drift does.",
    "guard": "Its command, which does nothing unless the check left its mark.",
    "extra_kinds": "The kinds of the own templates in `extra/`, which the project has to allow.",
}

_INTERNAL = ("Document", "Layer")
"""Records that lead from a value back to its line; nothing for a manifest."""


@dataclasses.dataclass(frozen=True)
class _Contexts:
    """The variables of each template: those it always has, and those that any file of it had."""

    always: dict[str, frozenset[str]]
    ever: dict[str, frozenset[str]]
    values: dict[str, Any]


def _planned() -> Iterator[PlannedFile]:
    releases = list(pipeline.releases(ROOT))
    for case in sorted(CASES.glob("everything-*")):
        broad = pipeline.releases(case)
        releases += broad
        for environment in {each.environment.name: each.environment for each in broad}.values():
            yield from plan.platform(environment)
            yield from plan.delivery(environment)
    environments = {each.environment.name: each.environment for each in reversed(releases)}
    newer = {name: structs.replace(each, kserve="0.21") for name, each in environments.items()}
    more = (
        Document("model", "models/example.yaml", "example", text, yamlio.load(text))
        for text in (_MORE, _MORE_STRATEGIES)
    )
    for environment in environments.values():
        yield from plan.platform(structs.replace(environment, cohorts=_MORE_COHORTS))
        yield from plan.delivery(environment)
    releases += (release for each in more for release in resolve.releases(each, newer))
    for release in releases:
        yield from plan.base(release)
        yield from plan.overlay(release, "")
        yield plan.application(release)


def _contexts() -> _Contexts:
    found = _Contexts({}, {}, {})
    for file in _planned():
        names, template = frozenset(file.context), file.template
        found.always[template] = found.always.get(template, names) & names
        found.ever[template] = found.ever.get(template, names) | names
        for name, value in file.context.items():
            if value or name not in found.values:
                found.values[name] = value
    return found


def _templates() -> str:
    contexts = _contexts()
    intro = (
        "A template is one Kubernetes object, or one patch of one, in Jinja. These ship with gen, "
        "in `generator/templates/`; a file of the same path in a repository's own `templates/` "
        "takes its place. [How to replace one](../how-to/replace-a-template.md), and "
        "[why they are as they are](../explanation/templates.md)."
    )
    records = (
        "A template reads the fields of a record with a dot: `{{ release.stable.name }}`. `Json` "
        "is a piece of a Kubernetes object, ready to be placed whole."
    )
    return _page(
        "Templates",
        intro,
        "## Built-in templates",
        *_groups(contexts),
        "## Variables",
        _variables(contexts.values),
        "## Records",
        records,
        *map(_record, _records(contexts.values.values())),
    )


def _groups(contexts: _Contexts) -> Iterator[str]:
    """List the templates, those with the same variables in one table.

    Raises ValueError for a template that no file comes from.
    """
    groups: dict[tuple[frozenset[str], frozenset[str]], list[tuple[str, str]]] = {}
    for path in sorted(render.BUILT_IN.rglob("*.j2")):
        name = path.relative_to(render.BUILT_IN).as_posix()
        if name not in contexts.always:
            raise ValueError(f"docs/build.py: neither the fleet nor _MORE makes a file of {name}")
        always = contexts.always[name]
        entry = _code(name), _kind(name, path.read_text("utf-8"))
        groups.setdefault((always, contexts.ever[name] - always), []).append(entry)
    for (always, sometimes), entries in groups.items():
        variables = f"Variables: {_listed(always)}."
        if sometimes:
            variables += f" In some files only: {_listed(sometimes)}."
        yield f"{_table(('template', 'makes'), entries)}\n\n{variables}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(_code(name) for name in _VARIABLES if name in names)


def _kind(name: str, text: str) -> str:
    match = re.search(r"^kind: (\w+)$", text, re.MULTILINE)
    kind = match[1] if match else "?"
    return f"a patch of {kind}" if "/patch-" in name else kind


def _variables(values: Mapping[str, Any]) -> str:
    """Describe every variable. Raises ValueError for one that has no words, or is gone."""
    if strange := values.keys() ^ _VARIABLES.keys():
        raise ValueError(f"docs/build.py: describe or drop {', '.join(sorted(strange))}")
    rows = [(_code(name), _holds(values[name]), text) for name, text in _VARIABLES.items()]
    return _table(("name", "holds", "what it is"), rows)


def _holds(value: Any) -> str:
    if isinstance(value, Struct):
        return _link(type(value).__name__)
    if isinstance(value, str):
        return "text"
    return "mapping" if isinstance(value, Mapping) else "list"


def _records(values: Iterable[Any]) -> list[type[Struct]]:
    """Find the records that values lead to, sorted by name."""
    found: dict[str, type[Struct]] = {}
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += value.values()
        elif isinstance(value, list | tuple):
            waiting += value
        elif isinstance(value, Struct) and type(value).__name__ not in _INTERNAL:
            found[type(value).__name__] = type(value)
            waiting += [getattr(value, name) for name in value.__struct_fields__]
    return [found[name] for name in sorted(found)]


def _record(record: type[Struct]) -> str:
    hints = get_type_hints(record)
    written = {name: str(record.__annotations__[name]) for name in record.__struct_fields__}
    rows = [
        (_code(name), _annotated(text, hints[name]), "")
        for name, text in written.items()
        if not any(internal in text for internal in _INTERNAL)
    ]
    derived = [
        (_code(name), _annotated(member.fget.__annotations__["return"], None), member.__doc__ or "")
        for name, member in vars(record).items()
        if isinstance(member, property) and name != "pointer"
    ]
    header, rows = ("field", "type", "derived"), rows + derived
    table = _table(header, rows) if derived else _table(header[:2], [row[:2] for row in rows])
    return f"### {record.__name__}\n\n{_paragraphs(record.__doc__)}\n\n{table}"


def _annotated(written: Any, hint: Any) -> str:
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(_code(str(value)) for value in get_args(hint))
    return _code(str(written))


def _paragraphs(text: str | None) -> str:
    """Join the lines of each paragraph of a docstring."""
    paragraphs = re.split(r"\n\s*\n", (text or "").strip())
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


# The command line


def _command_line() -> str:
    exits = next(line for line in (cli.__doc__ or "").splitlines() if line.startswith("Exit"))
    commands = dict(_commands("gen", cli.main))
    group = commands.pop("gen")
    parts = [_command(name, command) for name, command in commands.items()]
    streams = (
        "Results go to stdout, everything else to stderr. Colour is for people: a pipe gets none, "
        "and `NO_COLOR` turns it off. `gen render` keeps what it proved in the user's cache "
        "folder, or in `GEN_CACHE_DIR`; without it, a run comes to the same result. What gen "
        "compiles of its own templates and schemas stands beside Python's bytecode, where Python "
        "writes any."
    )
    return _page("Command line", _paragraphs(group.help), f"{exits} {streams}", *parts)


def _commands(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    for inner, below in sorted(commands_of(command).items()):
        yield from _commands(f"{name} {inner}", below)


def _command(name: str, command: click.Command) -> str:
    settings: dict[str, Any] = dict(cli.main.context_settings)
    with command.make_context(name, [], resilient_parsing=True, **settings) as context:
        usage = " ".join([name, *command.collect_usage_pieces(context)])
    parts = [f"## {name}", f"```text\n{usage}\n```", _paragraphs(command.help)]
    rows = [_option(param) for param in command.params if param.param_type_name == "option"]
    if rows:
        parts.append(_table(("option", "what it does"), rows))
    return "\n\n".join(parts)


def _option(param: Any) -> tuple[str, str]:
    names = ", ".join(sorted(param.opts, key=len))
    choices = getattr(param.type, "choices", ())
    value = "" if param.is_flag else param.metavar or "|".join(choices)
    is_told = choices and param.default in choices
    text = (param.help or "") + (f" Default: {_code(param.default)}." if is_told else "")
    return _code(f"{names} {value}".strip()), text


HELP = "generator/help"
"""Help as text, shown without importing what parses the command line."""


def _help_texts() -> dict[str, Callable[[], str]]:
    names = [name for name, _ in _commands("gen", cli.main)]
    return {f"{HELP}/{name.replace(' ', '-')}.txt": partial(_help_text, name) for name in names}


def _help_text(name: str) -> str:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        arguments = [*name.split()[1:], "--help"]
        cli.main(arguments, prog_name="gen", terminal_width=80, standalone_mode=False)
    return said.getvalue()


def _ci_examples() -> dict[str, Callable[[], str]]:
    """Give what `gen init --ci` writes a place where whoever has a repository already finds it."""
    files = sorted((start.STARTER / "ci").iterdir())
    return {f"examples/ci/{file.name}": partial(file.read_text, "utf-8") for file in files}


PAGES: dict[str, Callable[[], str]] = {
    "docs/reference/model.md": lambda: _document("model"),
    "docs/reference/environment.md": lambda: _document("environment"),
    "docs/reference/problems.md": _problems,
    "docs/reference/rules.md": _rules,
    "docs/reference/templates.md": _templates,
    "docs/reference/command-line.md": _command_line,
    **_help_texts(),
    **_ci_examples(),
}


def stale() -> dict[str, str]:
    """Return the pages that are not current, by name, as they should be."""
    wanted = {name: make() for name, make in PAGES.items()}
    return {name: text for name, text in wanted.items() if _read(ROOT / name) != text}


def _read(path: Path) -> str:
    return path.read_text("utf-8") if path.is_file() else ""


def main(arguments: list[str]) -> int:
    """Write the pages that are not current, or with `--check` only say which they are."""
    check = arguments == ["--check"]
    if arguments and not check:
        sys.stderr.write("usage: python docs/build.py [--check]\n")
        return 2
    found = stale()
    for name, text in found.items():
        if not check:
            (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / name).write_text(text, "utf-8")
        sys.stdout.write(f"{'stale' if check else 'wrote'} {name}\n")
    return 1 if check and found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
