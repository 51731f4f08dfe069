from __future__ import annotations

import contextlib
import dataclasses
import itertools
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from helpers import tries
from hostile import BOUNDED, HOSTILE, assert_read, texts
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct, structs

from generator import pipeline, render
from generator.files import PlannedFile, RenderedFile
from generator.problems import GenError, Problem
from generator.render import Engine

ROOT = Path(__file__).parents[1]
NAME = "overlay/own.yaml.j2"
PATH = "rendered/dev/m/own.yaml"
BUILT_IN = {
    path.relative_to(render.BUILT_IN).as_posix(): path
    for path in sorted(render.BUILT_IN.rglob("*.j2"))
}
EXTRA_MODELS = {
    "wide": """
name: wide
owner: risk-ml
description: Uses what no other example does.
serving:
  backend: deployment
  probes: {liveness: /healthz, readiness: /readyz}
  resources: {cpu: 250m, memory: 512Mi}
  args: [--verbose]
  env: {LEVEL: info}
  serviceAccount: {annotations: {role: reader}, secrets: [key]}
  gpu: {flavor: a100-80gb, count: 1}
versions:
  v1: {image: "ghcr.io/example/wide@sha256:DIGEST"}
environments:
  production: {version: v1, scaling: {min: 2, max: 4, metric: cpu, target: 70}}
""".replace("DIGEST", "0" * 64),
    "deep": """
name: deep
owner: risk-ml
description: Uses what no other example does.
serving:
  format: sklearn
  resources: {cpu: 250m, memory: 512Mi}
  args: [--verbose]
  env: {LEVEL: info}
  serviceAccount: {annotations: {role: reader}}
versions:
  v1: {uri: "s3://models/deep/v1/"}
environments:
  dev: {version: v1}
  production: {version: v1, scaling: {min: 2, max: 4, metric: requests-per-second, target: 7}}
""",
}


def write(root: Path, name: str, source: str | bytes) -> None:
    path = root / render.OWN / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(source if isinstance(source, bytes) else source.encode())


def planned(context: dict[str, Any], name: str = NAME) -> PlannedFile:
    return PlannedFile(PATH, name, context, "models/m.yaml")


def agreed(root: Path, file: PlannedFile) -> RenderedFile:
    """Render by a new engine, by one that has seen the template before, and by a paranoid one."""
    first = Engine(root, paranoid=True).file(file)
    used = Engine(root)
    used.file(file)
    assert shown(Engine(root).file(file)) == shown(first)
    assert shown(used.file(file)) == shown(first)
    assert_read(first.text, first.data)
    return first


def shown(file: RenderedFile) -> tuple[Any, ...]:
    """Return all of a file but the statement that made it, which is each engine's own."""
    return structs.astuple(file)[:5]


def rendered(root: Path, source: str | bytes, **context: Any) -> dict[str, Any]:
    write(root, NAME, source)
    return agreed(root, planned(context)).data


def problem(root: Path, source: str | bytes, **context: Any) -> Problem:
    """Return the one problem that every engine finds."""
    write(root, NAME, source)
    found: set[Problem] = set()
    for engine in (Engine(root), Engine(root, paranoid=True)):
        with pytest.raises(GenError) as caught:
            engine.file(planned(context))
        found.update(caught.value.problems)
    (only,) = found
    return only


MACRO = "{% macro host(name, port=80) %}{{ name }}.svc:{{ port }}{% endmacro %}\n"
LOOP = "a:\n{% for i in items %}\n  - {{ i }}-{{ loop.index }}\n{% endfor %}\nb: {{ n }}\n"
KEYS = "{% for k, v in table.items() %}\n{{ k }}: {{ v }}\n{% endfor %}\n"
BRANCHES = "a: 1\n{% if not n %}\nb: {{ x }}\n{% elif n == 7 %}\nc: {{ y }}\n{% endif %}\n"
CALL = "{% macro m() %}{{ caller() }}!{% endmacro %}\na: {% call m() %}{{ x }}{% endcall %}\n\n"
SET = "{% set s %}{{ x }}/{{ y }}{% endset %}\na: {{ s }}\nb: x{{ s }}\n"


@pytest.mark.parametrize(
    ("source", "data"),
    [
        ("a: {{ x }}-{{ y }}\nb: '{{ x }} {{ n }}'\n", {"a": "v: 1-w #", "b": "v: 1 7"}),
        ("a: {{ x ~ '-' ~ n }}\nb: {{ x|upper }}\n", {"a": "v: 1-7", "b": "V: 1"}),
        ("a: {{ n + 1 }}\nb: {{ n > 3 }}\nc: {{ none }}\n", {"a": 8, "b": True, "c": None}),
        ("a: {{ items|length }}\nb: {{ items|join('+') }}\n", {"a": 2, "b": "p+q: r"}),
        ("a: {{ items }}\nb: {{ {'k': [x, n]} }}\n", {"a": ["p", "q: r"], "b": {"k": ["v: 1", 7]}}),
        ("a: {{ 'yes' }}\nb: {{ '012' }}\nc: {{ 1.5 }}\n", {"a": "yes", "b": "012", "c": 1.5}),
        ("a: {% if n %}{{ x }}{% else %}0{% endif %}\n\nb: 1\n", {"a": "v: 1", "b": 1}),
        (BRANCHES, {"a": 1, "c": "w #"}),
        (LOOP, {"a": ["p-1", "q: r-2"], "b": 7}),
        (KEYS, {"a: b": 1, "c": [2]}),
        (
            MACRO + "a: {{ host(x) }}\nb: [{{ host(y, n) }}]\n",
            {"a": "v: 1.svc:80", "b": ["w #.svc:7"]},
        ),
        (MACRO + "a: x-{{ host(host(n)) }}\n", {"a": "x-7.svc:80.svc:80"}),
        ("{% set s = x ~ y %}\na: {{ s }}\n", {"a": "v: 1w #"}),
        (SET, {"a": "v: 1/w #", "b": "xv: 1/w #"}),
        (CALL, {"a": "v: 1!"}),
        ("{# {{ nothing }} #}\na: {{ x }}\n", {"a": "v: 1"}),
        ("a: {% raw %}'{{ x }}'{% endraw %}\n\nb: {{ n }}\n", {"a": "{{ x }}", "b": 7}),
        ("a: |\n  {{ x }}\n  {{ n }}{% if n %}!{% endif %}\n\nb: 1\n", {"a": "v: 1\n7!\n", "b": 1}),
        (b"a: {{ x }}\r\nb:\r\n  - {{ text }}\r\n", {"a": "v: 1", "b": ["l\nm\n"]}),
        ("a: {{ items|tojson }}\n", {"a": '["p", "q: r"]'}),
    ],
)
def test_templates_are_plain_jinja(
    tmp_path: Path, source: str | bytes, data: dict[str, Any]
) -> None:
    names = {"x": "v: 1", "y": "w #", "n": 7, "items": ["p", "q: r"], "text": "l\nm\n"}
    assert rendered(tmp_path, source, table={"a: b": 1, "c": [2]}, **names) == data


def test_a_file_begins_with_who_wrote_it_and_its_comments(tmp_path: Path) -> None:
    write(tmp_path, NAME, "a: {{ x }}\n")
    file = structs.replace(planned({"x": 1}), comments=("base sha256:00", "more"))
    header = "# Rendered by gen from models/m.yaml. Change that, not this.\n"
    text = header + "# base sha256:00\n# more\na: 1\n"
    assert shown(agreed(tmp_path, file)) == (PATH, NAME, "models/m.yaml", text, {"a": 1})


def test_every_branch_of_a_template_is_taken_by_the_context_in_hand(tmp_path: Path) -> None:
    test = "y and not z or x == 'p'"
    source = f"a: {{{{ x }}}}\n{{% if {test} %}}\nb: {{{{ y }}}}\n{{% else %}}\nc: {{{{ z }}}}\n"
    source += "{% endif %}\n"
    write(tmp_path, NAME, source)
    engine, seen = Engine(tmp_path), set()
    for _ in range(2):
        for x, y, z in itertools.product(("p", "q: "), (None, "y"), ("", 0, True)):
            found = engine.file(planned({"x": x, "y": y, "z": z}))
            taken = {"b": y} if (y and not z) or x == "p" else {"c": z}
            assert found.data == {"a": x, **taken}
            assert_read(found.text, found.data)
            seen.add(tuple(found.data))
    assert seen == {("a", "b"), ("a", "c")}


@pytest.mark.parametrize(
    "test",
    [
        *("x", "not x", "x and y", "x or y", "not (x or y)", "x and not y or z", "x == 'p'"),
        *("x == y", "not x == y", "x and (y or z)", "x == 'p' and y == 1 or not z", "none or true"),
    ],
)
def test_conditions_mean_the_same_once_a_template_is_known(tmp_path: Path, test: str) -> None:
    branches = (
        "{% if TEST %}",
        "a: 1",
        "{% elif z %}",
        "b: 1",
        "{% else %}",
        "c: 1",
        "{% endif %}",
    )
    write(tmp_path, NAME, "\n".join(branches).replace("TEST", test) + "\n")
    engine = Engine(tmp_path)
    for x, y, z in [*itertools.product(("p", "", None), (1, 0, "p"), (0, True))] * 2:
        names = {"x": x, "y": y, "z": z, "none": None, "true": True}
        taken = "a" if eval(test, names) else "b" if z else "c"
        assert engine.file(planned({"x": x, "y": y, "z": z})).data == {taken: 1}


# Values that would be something else


@dataclasses.dataclass
class Haunting:
    """Replaces texts by marks of their own, or by what a mark stands for."""

    texts: tuple[str, ...] = ()
    count: int = 0

    KEYED = (
        *("node_selector", "node_labels", "service_account_annotations", "annotations"),
        "subscriptions",
    )
    KEPT = ("strategy", "role", "kind")

    def text(self) -> str:
        self.count += 1
        if not self.texts:
            return f"mark{self.count}x"
        return self.texts[self.count % len(self.texts)]

    def value(self, value: Any, name: str = "") -> Any:
        if isinstance(value, str):
            return self.text() if value and name not in self.KEPT else value
        if isinstance(value, dict):
            keyed = name.endswith(self.KEYED)
            return {
                f"k{n}{self.text()}" if keyed else key: self.value(item)
                for n, (key, item) in enumerate(value.items())
            }
        if isinstance(value, list | tuple):
            made = getattr(type(value), "_make", type(value))  # a NamedTuple takes no iterable
            return made(self.value(item) for item in value)
        if isinstance(value, Struct):
            return self.record(value)
        return value

    def record(self, value: Struct) -> Any:
        changed = {
            name: self.value(getattr(value, name), name)
            for name in value.__struct_fields__
            if name not in ("document", "layers")
        }
        return structs.replace(value, **changed)

    def file(self, file: PlannedFile) -> PlannedFile:
        context = {name: self.value(item, name) for name, item in file.context.items()}
        return structs.replace(file, context=context)


def unmarked(node: Any, texts: list[str]) -> Any:
    """Put the texts in for the marks, wherever these have come to."""
    if isinstance(node, dict):
        return {unmarked(key, texts): unmarked(item, texts) for key, item in node.items()}
    if isinstance(node, list | tuple):
        return [unmarked(item, texts) for item in node]
    if isinstance(node, str):
        return re.sub("mark([0-9]+)x", lambda mark: texts[int(mark[1]) % len(texts)], node)
    return node


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[PlannedFile]]:
    """What is planned for the repository's models, two more, a cohort and cases, by template."""
    root = tmp_path_factory.mktemp("fleet")
    for folder in ("models", "environments"):
        shutil.copytree(ROOT / folder, root / folder)
    with (root / "environments/production.yaml").open("a") as environment:
        environment.write("cohorts:\n  ml: {quota: {a100-80gb: {gpu: 1}}}\n")
    for name, source in EXTRA_MODELS.items():
        (root / "models" / f"{name}.yaml").write_text(source)
    found: dict[str, list[PlannedFile]] = {}

    def files(engine: Engine, planned: list[PlannedFile]) -> list[RenderedFile]:
        for file in planned:
            found.setdefault(file.template, []).append(file)
        return [engine.file(file) for file in planned]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Engine, "files", files)
        cases = ROOT / "tests/cases/valid"
        for fleet in (root, cases / "canary-native", *sorted(cases.glob("everything*"))):
            with contextlib.suppress(GenError):  # what the rules say of these does not matter here
                pipeline.everything(fleet)
    return found


def assert_harmless(file: PlannedFile, texts: tuple[str, ...], engines: list[Engine]) -> None:
    marked = Haunting().file(file)
    haunted = Haunting(texts).file(file)
    calm = engines[0].file(marked)
    found = [engine.file(haunted) for engine in engines]
    assert all(shown(other) == shown(found[0]) for other in found)
    assert found[0].data == unmarked(calm.data, list(texts))
    assert_read(found[0].text, found[0].data)


def test_every_built_in_template_has_an_example(examples: dict[str, list[PlannedFile]]) -> None:
    assert examples.keys() == BUILT_IN.keys()


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize(
    "chosen",
    [pytest.param(slice(1), id="one"), pytest.param(slice(1, 6), id="six", marks=pytest.mark.slow)],
)
def test_no_value_of_a_built_in_template_gets_out_of_its_place(
    name: str, chosen: slice, tmp_path: Path, examples: dict[str, list[PlannedFile]]
) -> None:
    engines = [Engine(tmp_path), Engine(tmp_path, paranoid=True)]
    hostile = [text for text in HOSTILE if 0 < len(text) < 600]
    for file, start in itertools.product(examples[name][chosen], range(0, len(hostile), 20)):
        assert_harmless(file, tuple(hostile[start:] + hostile[:start]), engines)


@settings(BOUNDED, max_examples=tries(60))
@given(st.data())
def test_no_generated_value_gets_out_of_its_place(
    examples: dict[str, list[PlannedFile]], data: st.DataObject
) -> None:
    file = data.draw(st.sampled_from(examples[data.draw(st.sampled_from(list(BUILT_IN)))][:6]))
    hostile = data.draw(st.lists(texts.filter(lambda text: 0 < len(text) < 170), min_size=1))
    assert_harmless(file, tuple(hostile), [Engine(ROOT), Engine(ROOT, paranoid=True)])


def outcome(root: Path, source: str, **context: Any) -> Any:
    """Render by an engine that has seen the template before; a refusal is its message."""
    write(root, NAME, source)
    engine = Engine(root)
    try:
        engine.file(planned(dict.fromkeys(context, "calm")))
        found = engine.file(planned(context))
    except GenError as error:
        return error.problems[0].text
    assert_read(found.text, found.data)
    return found.data


@pytest.mark.parametrize(
    "expression", ["host(x) ~ y", "y ~ host(x)", "host(x)|replace('svc', y)", "[host(x), y]|join"]
)
def test_a_value_joined_to_the_result_of_a_macro_stays_a_value(
    tmp_path: Path, expression: str
) -> None:
    for value in ("\nevil: true", " # gone"):
        found = outcome(tmp_path, f"{MACRO}a: {{{{ {expression} }}}}\n", x="m", y=value)
        assert "macro" in found or value in found["a"]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        *(("host(x)|upper", "MM.SVC:80"), ("host(x)|length", 9), ("host(x)[0]", "m")),
        *(("1 if host(x) == 'mm.svc:80' else 2", 1), ("[host(x)]", ["mm.svc:80"])),
        *(("host(x).startswith('mm')", True), ("{'k': host(x)}", {"k": "mm.svc:80"})),
    ],
)
def test_the_result_of_a_macro_is_a_text_to_code_or_is_refused(
    tmp_path: Path, expression: str, value: Any
) -> None:
    found = outcome(tmp_path, f"{MACRO}a: {{{{ {expression} }}}}\n", x="mm")
    assert "macro" in found or found == {"a": value}


@pytest.mark.parametrize(
    ("source", "line"),
    [("a: \ue000{{ x }}\n", 1), ("a: 1\n# \uf8ff\n", 2), ("\n{# \uf000 #}\n", 2)],
)
def test_a_private_use_character_in_a_template_is_refused(
    tmp_path: Path, source: str, line: int
) -> None:
    found = problem(tmp_path, source, x=1)
    assert found.where.line == line
    assert "private-use" in found.text


@pytest.mark.parametrize(
    "expression", ['"\\ue000"', "'%c'|format(57344)", "y", "y ~ y", "[y]", "{y: 1}", "'a' ~ y"]
)
def test_a_private_use_character_that_a_template_or_a_value_makes_is_refused(
    tmp_path: Path, expression: str
) -> None:
    found = outcome(tmp_path, f"a: {{{{ x }}}}\nb: {{{{ {expression} }}}}\n", x="s", y="\ue000")
    assert "private-use" in found


# What is wrong, and where


KEYS_IN_A_LOOP = "a: {{ x }}\n{% for k in 'bcb' %}\n{{ k }}: 1\n{% endfor %}\n"
TOO_MANY = "a: 1\nb: 1\n{% for i in range(6002) %}\nc{{ i }}: 1\n{% endfor %}\n"


@pytest.mark.parametrize(
    ("source", "line", "code", "words"),
    [
        ("a: 1\nb: {{ nothing }}\n", 2, "E502", "`nothing`"),
        ("a: 1\n\n{% if nothing %}\nb: 1\n{% endif %}\n", 3, "E502", "`nothing`"),
        ("{% if x %}\na: {{ x }}\n{% endif %}\nb: {{ x.y.z }}\n", 4, "E502", "no attribute 'y'"),
        ("a: {{ x }}\n{% for i in x %}\nb{{ i }}: {{ i.no }}\n{% endfor %}\n", 3, "E502", "'no'"),
        ("a: {{ x\n", 1, "E501", "unexpected end of template"),
        ("a: 1\n{% if x %}\nb: 1\n", 3, "E501", "Unexpected end of template"),
        ("a: 1\nb: {{ x|nonsense }}\n", 2, "E501", "No filter named 'nonsense'"),
        ("a: 1\nb: {{ x is nonsense }}\n", 2, "E501", "No test named 'nonsense'"),
        ("a: 1\n{% do x %}\n", 2, "E501", "unknown tag 'do'"),
        ("a: 1\n\n{% include 'no.j2' %}\n", 3, "E501", "no.j2"),
        ("{% extends 'no.j2' %}\n", 1, "E501", "no.j2"),
        ("a: 1\nb: {{ 1 // 0 }}\n", 2, "E503", "ZeroDivisionError"),
        ("a: 1\nb: {{ x + 1 }}\n", 2, "E503", "TypeError"),
        ("a: 1\nb: {{ range(10 ** 9)|list }}\n", 2, "E503", "OverflowError"),
        ("{% macro r() %}{{ r() }}{% endmacro %}\na: {{ r() }}\n", 1, "E503", "RecursionError"),
        ("a: 1\nb: {{ joiner }}\n", 2, "E503", "is not a scalar"),
        ("a: 1\n{# #}\nb: {{ x|map('upper') }}\n", 3, "E503", "is not a scalar"),
        ("a: 1\nb:\n  - x{{ [x] }}\n", 3, "E503", "cannot be part of a text"),
        ("a: 1\nb: 2 # {{ x }}\n", 2, "E503", "comment"),
        ("{% if x %}\na: 1\n{% endif %}\nb: &{{ x }} 1\n", 4, "E503", "anchor"),
        ("a: 1\nb: !{{ x }} 1\n", 2, "E503", "tag"),
        ("a: 1\nb: *{{ x }}\n", 2, "E503", "alias"),
        ("a: {{ x }}\nb: c: d\n", 2, "E503", "has no quotes"),
        ("{% if x %}\na: {{ x }}\nb: c: d\n{% endif %}\n", 3, "E503", "has no quotes"),
        ("a: {{ x }}\n---\nb: 1\n", 2, "E503", "a second document starts here"),
        ("- {{ x }}\n", 1, "E503", "one object"),
        ("{{ {'a': x} }}\n", 1, "E503", "one object"),
        ("{% if not x %}a: 1{% endif %}\n", 1, "E503", "one object"),
        ("", 1, "E503", "one object"),
        ("a: 1\nb:\n  c: {{ x }}\n  c: 2\n", 4, "E503", "duplicate key `c`"),
        ("{% if x %}\na: {{ x }}\n{% endif %}\nb: c: d\n", 4, "E503", "has no quotes"),
        ("a: {{ x }}\n{% if x %}\nb: c: d\n{% endif %}\n", 3, "E503", "has no quotes"),
        ("{% if x %}\na: 1\n{% endif %}\nb: c: d\n", 4, "E503", "has no quotes"),
        ("{# why #}\n\na: 1\nb: c: d\n", 4, "E503", "has no quotes"),
        (KEYS_IN_A_LOOP, 3, "E503", "the key `b` comes out twice"),
        (TOO_MANY, 4, "E503", "more than 6001 expressions"),
    ],
)
def test_what_is_wrong_is_said_with_template_line_and_file(
    tmp_path: Path, source: str, line: int, code: str, words: str
) -> None:
    found = problem(tmp_path, source, x="v")
    assert (found.where.file, found.where.line) == (f"templates/{NAME}", line)
    assert found.code == code
    assert words in found.text
    assert PATH in found.text or code == "E501"
    assert str(tmp_path) not in f"{found.text} {found.hint}"


def test_an_included_template_is_named_when_the_fault_is_there(tmp_path: Path) -> None:
    write(tmp_path, "part/labels.j2", "team: {{ x }}\n\nowner: {{ who }}\n")
    found = problem(tmp_path, "a:\n  {% include 'part/labels.j2' %}\n", x=1)
    assert (found.where.file, found.where.line) == ("templates/part/labels.j2", 3)
    write(tmp_path, "part/labels.j2", "team: 1\nowner: {{ \n")
    found = problem(tmp_path, "a:\n  {% include 'part/labels.j2' %}\n", x=1)
    assert (found.where.file, found.where.line) == ("templates/part/labels.j2", 2)


def test_an_imported_macro_is_named_when_the_fault_is_there(tmp_path: Path) -> None:
    write(tmp_path, "macros.j2", "{% macro m(n) %}\n{{ n }}{{ n.no }}{% endmacro %}\n")
    found = problem(tmp_path, "{% from 'macros.j2' import m %}\na: {{ m('x') }}\n")
    assert (found.where.file, found.where.line) == ("templates/macros.j2", 2)


def test_a_built_in_template_is_named_as_one(tmp_path: Path) -> None:
    with pytest.raises(GenError) as caught:
        Engine(tmp_path).file(planned({}, "base/service.yaml.j2"))
    (found,) = caught.value.problems
    assert (found.where.file, found.where.line) == ("generator/templates/base/service.yaml.j2", 4)
    assert "`release`" in found.text


def test_a_misspelt_field_comes_with_the_likeliest_one(
    tmp_path: Path, examples: dict[str, list[PlannedFile]]
) -> None:
    context = dict(examples["base/service.yaml.j2"][0].context)
    found = problem(tmp_path, "a: {{ release.modle }}\n", **context)
    assert "`modle`" in found.text
    assert "`model`" in found.hint


def test_a_template_that_does_not_exist_or_is_no_text_is_a_problem(tmp_path: Path) -> None:
    write(tmp_path, "latin.j2", b"a: 1\nb: \xe9\n")
    (tmp_path / render.OWN / "folder.j2").mkdir()
    for name in ("none.j2", "latin.j2", "folder.j2", "../own.j2", "/etc/hostname"):
        with pytest.raises(GenError) as caught:
            Engine(tmp_path).file(planned({}, name))
        assert [found.code for found in caught.value.problems] == ["E501"]


def test_the_problems_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    write(tmp_path, NAME, "a: {{ x }}\n{% if y %}\nb: {{ x.no }}\n{% endif %}\n")
    files = [
        structs.replace(planned({"x": 1, "y": y}), path=f"rendered/dev/m/{n}.yaml")
        for n, y in enumerate((1, 0, 1))
    ]
    with pytest.raises(GenError) as caught:
        Engine(tmp_path).files(files)
    assert [found.text.partition(" (for ")[2] for found in caught.value.problems] == [
        *("rendered/dev/m/0.yaml)", "rendered/dev/m/2.yaml)")
    ]
    assert [file.data for file in Engine(tmp_path).files(files[1:2])] == [{"a": 1}]


def test_an_engine_goes_on_after_a_problem(tmp_path: Path) -> None:
    write(tmp_path, NAME, "a: {{ x }}\nb: {{ x.y }}\n")
    engine = Engine(tmp_path)
    for _ in range(2):
        with pytest.raises(GenError):
            engine.file(planned({"x": "no"}))
        assert engine.file(planned({"x": {"y": 1}})).data == {"a": {"y": 1}, "b": 1}


# A repository's own templates


def test_a_template_of_the_repository_replaces_the_built_in_one_of_its_path(
    tmp_path: Path, examples: dict[str, list[PlannedFile]]
) -> None:
    write(tmp_path, "base/service.yaml.j2", "kind: Service\nname: {{ release.model }}\n")
    service = examples["base/service.yaml.j2"][0]
    others = examples["base/deployment.yaml.j2"][:1]
    release = service.context["release"]
    assert agreed(tmp_path, service).data == {"kind": "Service", "name": release.model}
    for other in others:
        assert shown(Engine(tmp_path).file(other)) == shown(Engine(tmp_path / "none").file(other))


def test_templates_of_a_repository_build_on_each_other(tmp_path: Path) -> None:
    frame = "kind: X\nspec: {% block spec %}{}{% endblock %}\n\nend: 1\n"
    write(tmp_path, "parts/frame.j2", frame)
    source = "{% extends 'parts/frame.j2' %}\n{% block spec %}{{ x }}{% endblock %}\n"
    found = rendered(tmp_path, source, x={"a": "b: c"})
    assert found == {"kind": "X", "spec": {"a": "b: c"}, "end": 1}


def test_a_template_of_a_repository_may_include_a_built_in_one(
    tmp_path: Path, examples: dict[str, list[PlannedFile]]
) -> None:
    service = examples["base/service.yaml.j2"][0]
    source = "{% include 'base/service.yaml.j2' %}\nextra: {{ serving.port }}\n"
    found = rendered(tmp_path, source, **service.context)
    port = service.context["serving"].port
    assert found == {**Engine(tmp_path).file(service).data, "extra": port}


def test_a_template_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    assert rendered(tmp_path, b"\xef\xbb\xbfa: {{ x }}\n", x="v") == {"a": "v"}


@pytest.mark.parametrize("source", ["a: {{ x }}", "a: {% if x %}{{ x }}{% endif %}\n"])
def test_a_file_ends_with_a_newline(tmp_path: Path, source: str) -> None:
    write(tmp_path, NAME, source)
    assert Engine(tmp_path).file(planned({"x": "v"})).text.endswith("a: v\n")


# The sandbox


@pytest.mark.parametrize(
    "expression",
    [
        *("x.__class__", "x.__class__.__mro__[1].__subclasses__()", "x['__class__']"),
        *(
            "x|attr('__class__')",
            "'{0.__class__}'.format(x)",
            "'{x.__init__}'.format_map({'x': x})",
        ),
        *("cycler.__init__.__globals__.os", "self.__init__", "range.__self__", "x.layers.__len__"),
        *("namespace.__init__", "joiner.__call__.__func__", "().__class__", "items.append(1)"),
        *("items.clear()", "table.update(a=1)", "table.pop('a')", "x.model.__class__"),
    ],
)
def test_a_template_reaches_nothing_but_its_context(
    tmp_path: Path, expression: str, examples: dict[str, list[PlannedFile]]
) -> None:
    release = examples["base/service.yaml.j2"][0].context["release"]
    items, table = ["p"], {"a": 1}
    source = f"a: 1\nb: {{{{ {expression} }}}}\n"
    found = problem(tmp_path, source, x=release, items=items, table=table)
    assert found.where.line == 2
    assert "unsafe" in found.message or "has no" in found.message
    assert (items, table) == (["p"], {"a": 1})


@pytest.mark.parametrize("name", ["os", "open", "__import__", "eval", "self.os", "environ", "env"])
def test_a_template_has_no_names_of_python(tmp_path: Path, name: str) -> None:
    assert problem(tmp_path, f"a: {{{{ {name}('x') }}}}\n").code == "E502"


@pytest.mark.parametrize(
    "name", ["../secret.j2", "/etc/hostname", "overlay/../../secret.j2", "overlay/../../../x"]
)
def test_a_template_includes_nothing_by_a_path_out_of_its_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.j2").write_text("b: secret\n")
    assert problem(tmp_path, f"a: 1\n{{% include {name!r} %}}\n").code == "E501"


def test_a_template_includes_nothing_by_a_link_out_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.j2").write_text("b: secret\n")
    write(tmp_path, "overlay/inside.j2", "b: inside\n")
    folder = tmp_path / render.OWN
    (folder / "link.j2").symlink_to(tmp_path / "secret.j2")
    (folder / "up").symlink_to(tmp_path)
    (folder / "fine.j2").symlink_to("overlay/inside.j2")
    for name in ("link.j2", "up/secret.j2"):
        assert problem(tmp_path, f"a: 1\n{{% include {name!r} %}}\n").code == "E501"
    assert rendered(tmp_path, "a: 1\n{% include 'fine.j2' %}\n") == {"a": 1, "b": "inside"}


@pytest.mark.parametrize("expression", ["lipsum(1, false, 9, 20)", "range(10 ** 5)|random"])
def test_nothing_in_a_template_is_random(tmp_path: Path, expression: str) -> None:
    assert problem(tmp_path, f"a: {{{{ {expression} }}}}\n").where.line == 1


@pytest.mark.parametrize("expression", ["x|e", "[x|safe]", "x|urlize"])
def test_html_has_no_place_in_a_manifest(tmp_path: Path, expression: str) -> None:
    found = problem(tmp_path, f"a: {{{{ {expression} }}}}\n")
    assert (found.code, "No filter named" in found.message) == ("E501", True)


@pytest.mark.parametrize(
    "source",
    [
        "{% filter upper %}a: {{ x }}{% endfilter %}\n",
        "{% set t | upper %}{{ x }}{% endset %}\na: {{ t }}\n",
    ],
)
def test_what_would_change_the_text_around_values_is_refused(tmp_path: Path, source: str) -> None:
    assert problem(tmp_path, source).code == "E501"
