"""What is judged without being composed, against composing and judging it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from helpers import sampled

from generator import check, yamlio
from generator.check import Judge
from generator.files import RenderedFile
from generator.objects import kustomize
from generator.objects.alike import Verdicts
from generator.objects.kustomize import Files
from generator.objects.leaves import EntangledError, Leaves
from generator.objects.traces import Traces
from generator.problems import GenError
from generator.subjects import EVERYTHING, Repository
from generator.templating.prepared import Statement

ROOT = Path(__file__).parents[1]
CASES = sorted((ROOT / "tests/cases/valid").iterdir())
FOLDER = "rendered/dev/m"

NAMED = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n"
PATCHED = {
    "base.yaml": NAMED + "data: {data}\n",
    "patch.yaml": NAMED + "data:\n  x: {x}\n",
    "kustomization.yaml": "resources: {resources}\npatches: {patches}\nnamespace: {space}\n",
}
DEPLOYMENT = {
    "base.yaml": """apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
spec:
  selector:
    matchLabels:
      a: b
  template:
    metadata:
      labels:
        a: b
    spec:
      containers:
        - name: {container}
          image: {image}
""",
    "patch.yaml": """apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
spec:
  template:
    spec:
      containers:
        - name: {patched}
          args: {args}
""",
    "kustomization.yaml": PATCHED["kustomization.yaml"],
}
VALUES: dict[str, Any] = {
    "name": "m",
    "data": {"x": "1", "y": "2"},
    "x": "3",
    "resources": ["base.yaml"],
    "patches": [{"path": "patch.yaml"}],
    "space": "ml",
    "container": "main",
    "patched": "main",
    "image": "i:1",
    "args": ["--a"],
}
OTHERS: dict[str, list[Any]] = {
    "name": ["n", "UPPER_", "", "x" * 300, 7, "null", None, "\x7f"],
    "data": [
        {"x": "1"},
        {"x": 1},
        {},
        {"x": None},
        {"x": {"y": "z"}},
        ["x"],
        "x",
        {"x": "1", "z": "é"},
    ],
    "x": ["4", 4, None, ["4"], {}, "$patch: x", True],
    "resources": [
        [],
        ["patch.yaml"],
        ["base.yaml", "patch.yaml"],
        ["base.yaml", "base.yaml"],
        ["x"],
    ],
    "patches": [[], [{"path": "base.yaml"}], [{"path": "x"}], [{"path": "patch.yaml"}] * 2],
    "space": ["default", "", "Not A Name"],
    "container": ["other", "None", 1],
    "patched": ["other", "None", 1],
    "image": [1, "", "j:2"],
    "args": [[], [1], "--a", [None], {"a": "b"}],
}


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge("1.35")


class _Forms:
    """Prepared templates, one of each text, as an engine has them."""

    def __init__(self) -> None:
        self._known: dict[str, Statement] = {}

    def file(self, name: str, template: str, values: dict[str, Any]) -> RenderedFile:
        placed = [key for key in VALUES if f"{{{key}}}" in template]
        placed.sort(key=lambda key: template.index(f"{{{key}}}"))
        skeleton = template
        for index, key in enumerate(placed):
            skeleton = skeleton.replace(f"{{{key}}}", chr(0xE000 + index))
        form = self._known.setdefault(skeleton, Statement(skeleton))
        own = [values[key] for key in placed]
        data, text = form.fill(own)
        return RenderedFile(f"{FOLDER}/{name}", name, "models/m.yaml", text, data, form, own)

    def files(self, templates: dict[str, str], values: dict[str, Any]) -> Files:
        made = [self.file(name, text, values) for name, text in templates.items()]
        return {file.path: file for file in made}


def surely(judge: Judge, files: Files) -> bool:
    """Say whether a folder composes and every object is right, by composing it."""
    try:
        return all(judge.accepts(item) for item in kustomize.composed(files, FOLDER))
    except GenError:
        return False


def variations(names: Iterator[str]) -> Iterator[dict[str, Any]]:
    """Change one value, then two, after the usual ones."""
    known = list(names)
    yield VALUES
    for name in known:
        for other in OTHERS[name]:
            yield VALUES | {name: other}
            yield VALUES | {name: other, "name": "another"}
            yield VALUES


@pytest.mark.parametrize("templates", [PATCHED, DEPLOYMENT], ids=["patched", "deployment"])
def test_what_is_accepted_unseen_composes_and_is_right(
    templates: dict[str, str], judge: Judge
) -> None:
    forms, seen = _Forms(), 0
    whole = "".join(templates.values())
    for values in variations(key for key in VALUES if f"{{{key}}}" in whole):
        files = forms.files(templates, values)
        identities = judge.identities(files, FOLDER)
        if identities is not None:
            seen += 1
            assert surely(judge, files), values
            composed = kustomize.composed(files, FOLDER)
            assert identities == [kustomize.identity(item) for item in composed]
        assert values != VALUES or identities is not None
    assert seen > 10


@pytest.mark.parametrize("case", sampled([ROOT, *CASES], 8), ids=lambda path: path.name)
def test_a_repository_is_judged_alike_either_way(case: Path) -> None:
    quick = [_judged(case, quick=True), _judged(case, quick=False)]
    assert quick[0] == quick[1]


def _judged(case: Path, *, quick: bool) -> list[Any]:
    repository = Repository(case, EVERYTHING)
    found: list[Any] = []

    def folder(files: Files, path: str, judge: Judge, traces: Traces) -> Any:
        objects, problems = original(files, path, judge, traces)
        found.append((path, objects.identities, list(objects), problems))
        return objects, problems

    original, known = check.folder, Verdicts.identities
    way = known if quick else mock.Mock(return_value=None)
    with mock.patch.object(check, "folder", folder), mock.patch.object(Verdicts, "identities", way):
        rendered = repository.rendered(repository.subjects)
    return [found, [each.problems for each in rendered]]


class _Marked(str):
    """A text whose place is asked for."""


def apart(schema: dict[str, Any], data: Any) -> list[str]:
    return [str(mark) for mark, _ in Leaves(schema).apart(data, _Marked)]


def of(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, **more}


TEXT = {"type": "string", "minLength": 1}


@pytest.mark.parametrize(
    "schema",
    [
        of({"a": TEXT, "b": {"type": "array", "items": TEXT}}),
        of({"b": {}}, additionalProperties=TEXT),
        {"$ref": "#/$defs/x", "$defs": {"x": of({"a": TEXT, "b": {"items": TEXT}})}},
        of({"a": TEXT, "b": {"items": TEXT}}, anyOf=[{"required": ["a"]}, {"required": ["c"]}]),
        of(
            {"a": TEXT, "b": {"items": TEXT}},
            **{"if": {"required": ["c"]}, "then": of({"c": TEXT})},
        ),
    ],
)
def test_values_are_judged_one_by_one_where_a_schema_does(schema: dict[str, Any]) -> None:
    assert set(apart(schema, {"a": _Marked("1"), "b": [_Marked("2")]})) <= {"1", "2"}


@pytest.mark.parametrize(
    "more",
    [
        {"anyOf": [of({"a": {"const": "1"}})]},
        {"if": of({"a": {"const": "1"}}), "then": {"required": ["b"]}},
        {"not": of({"a": TEXT})},
        {"enum": [{"a": "1"}]},
        {"patternProperties": {"^a": TEXT}},
        {"unevaluatedProperties": False},
        {"dependentSchemas": {"a": of({})}},
        of({"b": {"uniqueItems": True}}),
        of({"b": {"prefixItems": [TEXT]}}),
        of({"b": {"contains": TEXT}}),
        {"$ref": "https://example.com/schema"},
    ],
)
def test_values_that_are_judged_together_are_told(more: dict[str, Any]) -> None:
    with pytest.raises(EntangledError):
        apart({**of({}), **more}, {"a": _Marked("1"), "b": [_Marked("2"), _Marked("2")]})


def test_a_file_that_no_template_made_is_judged_as_a_whole(judge: Judge) -> None:
    text = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: x}\n"
    file = RenderedFile("a/b.yaml", "t", "p", text, yamlio.load(text))
    assert not judge.accepts_file(file)
    traces = Traces(mock.Mock(), mock.Mock())
    assert check.standalone([file], judge, traces) == []
