"""What gen composes in memory is what `kustomize build` makes of the same files, or is refused."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers import tries
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from generator import yamlio
from generator.files import RenderedFile
from generator.objects.kustomize import Files, composed
from generator.problems import GenError, Problem
from generator.scalars import block

Json = dict[str, Any]

ROOT = Path(__file__).resolve().parents[1]
TREES = [ROOT, *sorted((ROOT / "tests" / "cases" / "valid").glob("*/expected"))]
APPLIED = [
    (tree, path.parent.relative_to(tree).as_posix())
    for tree in TREES
    for path in sorted(tree.glob("rendered/[!_.]*/*/kustomization.yaml"))
]
"""What Argo CD applies: every overlay and every platform folder of every tree."""
BUILT = [
    pytest.param(tree, folder, marks=[pytest.mark.slow] if tree != ROOT and place % 10 else [])
    for place, (tree, folder) in enumerate(APPLIED)
]


def label(part: Path | str) -> str:
    if isinstance(part, Path):
        return "repository" if part == ROOT else part.parent.name
    return part.removeprefix("rendered/")


@cache
def rendered(tree: Path) -> Files:
    paths = (path.relative_to(tree).as_posix() for path in tree.glob("rendered/**/*.yaml"))
    return {path: _file(path, (tree / path).read_text("utf-8")) for path in paths}


def _file(path: str, text: str) -> RenderedFile:
    return RenderedFile(path, "some.yaml.j2", "models/some.yaml", text, yamlio.load(text))


def built(kustomize: str, folder: Path) -> list[Json]:
    """Build with the real tool and read the result with another parser than gen's own."""
    run = subprocess.run([kustomize, "build", folder], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return list(yaml.load_all(run.stdout, yaml.CSafeLoader))


def canonical(objects: Iterable[Json]) -> list[str]:
    """Write objects so that 1 is not true and their order does not matter."""
    return sorted(json.dumps(item, sort_keys=True) for item in objects)


@pytest.mark.tools
@pytest.mark.parametrize(("tree", "folder"), BUILT, ids=label)
def test_composes_what_kustomize_builds(kustomize: str, tree: Path, folder: str) -> None:
    objects = composed(rendered(tree), folder)

    assert canonical(objects) == canonical(built(kustomize, tree / folder))


# The same of anything else that could be rendered: it is equal, or refused.

AMBIGUOUS = ["012", "1e3", "y", "no", "~", "null", "0x1f", "1_0", "12:30", "2001-01-01", "", ".5"]
HARD = [
    "a: b",
    "# c",
    "- d",
    " lead",
    "tail ",
    "a\nb",
    "a\n\nb\n",
    "\ta",
    "*a",
    "&b",
    "'",
    '"',
    "{}",
]
KEYS = st.sampled_from(["a", "b", "c", "a.b/c", "ü", *AMBIGUOUS[:8]])
ANY_TEXT = st.text(st.characters(exclude_categories=["C"]), max_size=9)
TEXTS = st.sampled_from([*AMBIGUOUS, *HARD]) | ANY_TEXT.filter(lambda text: text not in ("=", "<<"))
NUMBERS = (
    st.booleans() | st.integers(-(2**60), 2**60) | st.integers(-99, 99).map(lambda n: n + 0.25)
)
SCALARS = TEXTS | NUMBERS | st.none()
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3)
)
MAPS = st.dictionaries(KEYS, VALUES, max_size=4)


@st.composite
def patched(draw: st.DrawFn, base: Json) -> Json:
    """Draw a patch of a map: keys of it are removed, replaced or patched, others are added."""
    patch = draw(st.dictionaries(KEYS, VALUES, max_size=2))
    for key, below in base.items():
        fitting = patched(below) if isinstance(below, dict) else TEXTS
        if not isinstance(below, list):
            patch[key] = draw(fitting if draw(st.integers(0, 9)) else VALUES)
    removed = draw(st.sets(st.sampled_from(sorted(base)))) if base else set()
    return patch | dict.fromkeys(removed)


def thing(**content: Any) -> Json:
    return {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "a"}, **content}


def kustomization(**content: Any) -> Json:
    header = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
    return {**header, **content}


def written(objects: Mapping[str, Json]) -> Files:
    """Write files as gen does; they have to read as what was meant."""
    files = {path: _file(path, f"{block(data, '')}\n") for path, data in objects.items()}
    assert {path: file.data for path, file in files.items()} == objects
    return files


def saved(files: Files, folder: Path) -> Path:
    for path, file in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(file.text, "utf-8")
    return folder


@pytest.mark.tools
@settings(
    max_examples=tries(32),
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data(), base=MAPS, suffix=st.sampled_from(["", "-v1"]))
def test_composes_any_patch_as_kustomize_does_or_refuses_it(
    kustomize: str,
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
    base: Json,
    suffix: str,
) -> None:
    patch = data.draw(patched(base))
    files = written(
        {
            "base/kustomization.yaml": kustomization(resources=["thing.yaml"]),
            "base/thing.yaml": thing(spec=base),
            "overlay/kustomization.yaml": kustomization(
                namespace="no",
                nameSuffix=suffix,
                resources=["../base"],
                patches=[{"path": "patch.yaml"}],
            ),
            "overlay/patch.yaml": thing(spec=patch),
        }
    )
    try:
        objects = composed(files, "overlay")
    except GenError:
        return

    folder = saved(files, tmp_path_factory.mktemp("any")) / "overlay"

    assert canonical(objects) == canonical(built(kustomize, folder))


@pytest.mark.tools
def test_puts_patched_containers_first_as_kustomize_does(kustomize: str, tmp_path: Path) -> None:
    def deployment(*containers: Json) -> Json:
        workload = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}}
        return {**workload, "spec": {"template": {"spec": {"containers": list(containers)}}}}

    files = written(
        {
            "o/kustomization.yaml": kustomization(
                resources=["base.yaml"], patches=[{"path": "patch.yaml"}]
            ),
            "o/base.yaml": deployment({"name": "a"}, {"name": "b", "args": ["x"]}, {"name": "c"}),
            "o/patch.yaml": deployment({"name": "c", "image": "i:1"}, {"name": "b", "tty": True}),
        }
    )

    (item,) = composed(files, "o")

    names = [container["name"] for container in item["spec"]["template"]["spec"]["containers"]]
    assert names == ["c", "b", "a"]
    assert canonical([item]) == canonical(built(kustomize, saved(files, tmp_path) / "o"))


@pytest.mark.tools
def test_a_former_name_finds_a_target_as_well(kustomize: str, tmp_path: Path) -> None:
    files = written(
        {
            "base/kustomization.yaml": kustomization(resources=["thing.yaml"]),
            "base/thing.yaml": thing(),
            "o/v1/kustomization.yaml": kustomization(resources=["../../base"], nameSuffix="-v1"),
            "o/kustomization.yaml": kustomization(
                resources=["v1", "../base"], patches=[{"path": "patch.yaml"}]
            ),
            "o/patch.yaml": thing(spec={"a": 1}),
        }
    )

    assert refusal(files).text == "more than one Thing `a` to patch (in o/patch.yaml)"
    with pytest.raises(AssertionError, match="multiple matches for Id"):
        built(kustomize, saved(files, tmp_path) / "o")


def versions_of_a_deployment(target: str, root: Json | None = None) -> Files:
    """Write two versions of a Deployment and its Service, whose HPAs say `target`."""
    scaler = named("HorizontalPodAutoscaler", "autoscaling/v2")
    files = {
        "base/kustomization.yaml": kustomization(resources=["deployment.yaml", "service.yaml"]),
        "base/deployment.yaml": named("Deployment", "apps/v1"),
        "base/service.yaml": named("Service"),
        "o/kustomization.yaml": kustomization(
            namespace="no", resources=["v1", "v2", *(["root.yaml"] if root else [])]
        ),
        **({"o/root.yaml": root} if root else {}),
    }
    for version in ("v1", "v2"):
        files[f"o/{version}/kustomization.yaml"] = kustomization(
            resources=["../../base", "scaler.yaml"], nameSuffix=f"-{version}"
        )
        name = target.format(version=version)
        reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
        spec = {"scaleTargetRef": reference, "maxReplicas": 2}
        files[f"o/{version}/scaler.yaml"] = {**scaler, "spec": spec}
    return written(files)


@pytest.mark.tools
def test_renames_what_is_called_by_its_final_name(kustomize: str, tmp_path: Path) -> None:
    files = versions_of_a_deployment("a-{version}")
    objects = composed(files, "o")
    scalers = [item for item in objects if item["kind"] == "HorizontalPodAutoscaler"]

    assert [item["spec"]["scaleTargetRef"]["name"] for item in scalers] == ["a-v1", "a-v2"]
    assert canonical(objects) == canonical(built(kustomize, saved(files, tmp_path) / "o"))


def test_refuses_to_rename_what_a_scaler_calls_by_its_former_name() -> None:
    problem = refusal(versions_of_a_deployment("a"))
    assert problem.text.startswith("a suffix on a Deployment would not reach what refers to it")


@pytest.mark.parametrize("kind", ["Ingress", "StatefulSet"])
def test_refuses_a_former_name_that_an_object_above_may_use(kind: str) -> None:
    problem = refusal(versions_of_a_deployment("a-{version}", named(kind, "example.com/v1")))
    assert problem.text.startswith("a suffix on a Service would not reach what refers to it")


# What is refused, since Kustomize would do something else than is meant, or fail.


def refusal(files: Files) -> Problem:
    with pytest.raises(GenError) as caught:
        composed(files, "o")
    (problem,) = caught.value.problems
    return problem


def named(kind: str, api_version: str = "v1", **metadata: Any) -> Json:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "a", **metadata}}


@pytest.mark.parametrize(
    ("fields", "base", "message"),
    [
        pytest.param(
            {"commonLabels": {"a": "b"}},
            thing(),
            "`commonLabels` in o/kustomization.yaml is not composed by gen",
            id="a field that gen does not know",
        ),
        pytest.param(
            {"patches": [{"path": "patch.yaml", "target": {"kind": "Thing"}}]},
            thing(),
            "a patch of o/kustomization.yaml has more than a `path`",
            id="a patch with a selector",
        ),
        pytest.param(
            {"patches": [{"path": "other.yaml"}]},
            thing(),
            "the patch other.yaml does not exist (in o/kustomization.yaml)",
            id="a patch that is not there",
        ),
        pytest.param(
            {"resources": ["base.yaml", "../none"]},
            thing(),
            "the resource ../none does not exist (in o/kustomization.yaml)",
            id="a resource that is not there",
        ),
        pytest.param(
            {"resources": ["base.yaml", "base.yaml"]},
            thing(),
            "two objects are Thing `a` (in o/base.yaml)",
            id="an object twice",
        ),
        pytest.param(
            {"nameSuffix": "-v1"},
            named("ConfigMap"),
            "a suffix on a ConfigMap would not reach what refers to it (in o/kustomization.yaml)",
            id="a suffix on what others refer to",
        ),
        pytest.param(
            {"namespace": "ml"},
            named("ClusterQueue", "kueue.x-k8s.io/v1beta2"),
            "a ClusterQueue has no namespace, and this would give it one (in o/kustomization.yaml)",
            id="a namespace on a cluster's kind",
        ),
        pytest.param(
            {"namespace": "ml"},
            named("RoleBinding", "rbac.authorization.k8s.io/v1"),
            "Kustomize would move the subjects of a RoleBinding (in o/kustomization.yaml)",
            id="a namespace on subjects",
        ),
        pytest.param(
            {},
            {**named("ThingList"), "items": []},
            "Kustomize would unpack this ThingList (in o/base.yaml)",
            id="a list of objects",
        ),
        pytest.param(
            {},
            {"apiVersion": "v1", "kind": "Service", "metadata": {}},
            "no `kind` or no `metadata.name`, and Kustomize asks for both (in o/base.yaml)",
            id="an object without a name",
        ),
        pytest.param(
            {},
            thing(spec={"a": "del \x7f"}),
            "a control character, which Kustomize cannot write (in o/base.yaml)",
            id="a control character",
        ),
        pytest.param(
            {},
            thing(spec={"": 1}),
            "an empty key, which Kustomize cannot write (in o/base.yaml)",
            id="an empty key",
        ),
        pytest.param(
            {},
            named("Service", annotations={"012": "x"}),
            "Kustomize would not quote the annotation key `012` (in o/kustomization.yaml)",
            id="an annotation whose key needs quotes",
        ),
        pytest.param(
            {},
            named("Service", annotations={"config.kubernetes.io/local-config": "true"}),
            "the annotation `config.kubernetes.io/local-config` is Kustomize's own"
            " (in o/kustomization.yaml)",
            id="an annotation that Kustomize obeys",
        ),
        pytest.param(
            {},
            named("Service", annotations={"a": 1}),
            "the annotation `a` is not a text (in o/kustomization.yaml)",
            id="an annotation that is a number",
        ),
    ],
)
def test_refuses_to_compose(fields: Json, base: Json, message: str) -> None:
    overlay = {**kustomization(resources=["base.yaml"]), **fields}
    problem = refusal(written({"o/kustomization.yaml": overlay, "o/base.yaml": base}))

    assert (problem.code, problem.text) == ("E601", message)
    assert problem.where.file == "templates/some.yaml.j2"


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        pytest.param(
            thing(spec={"list": ["b"]}),
            "the list `spec.list` is in the base and in this patch:"
            " Kustomize would drop the base's (in o/patch.yaml)",
            id="a list that stands below",
        ),
        pytest.param(
            {**thing(), "metadata": {"name": "b"}},
            "no Thing `b` to patch (in o/patch.yaml)",
            id="another name",
        ),
        pytest.param(
            {**thing(), "apiVersion": "example.com/v2"},
            "no Thing `a` to patch (in o/patch.yaml)",
            id="another version",
        ),
        pytest.param(
            {**thing(), "metadata": {"name": "a", "namespace": "default"}},
            "a patch cannot change what its target is called (in o/patch.yaml)",
            id="a namespace of its own",
        ),
        pytest.param(
            thing(spec={"text": {"a": 1}}),
            "`spec.text` is a text in the base and a map in this patch (in o/patch.yaml)",
            id="a map for a text",
        ),
        pytest.param(
            thing(spec={"text": 12}),
            "`spec.text` is a text in the base and a scalar in this patch (in o/patch.yaml)",
            id="a number for a text, whose quotes Kustomize would keep",
        ),
        pytest.param(
            thing(spec={"$patch": "replace"}),
            "`$patch` is not composed by gen (in o/patch.yaml)",
            id="a directive",
        ),
    ],
)
def test_refuses_a_patch(patch: Json, message: str) -> None:
    overlay = kustomization(resources=["base.yaml"], patches=[{"path": "patch.yaml"}])
    base = thing(spec={"list": ["a"], "text": "012"})
    files = {"o/kustomization.yaml": overlay, "o/base.yaml": base, "o/patch.yaml": patch}

    problem = refusal(written(files))

    assert (problem.code, problem.text) == ("E601", message)


def test_refuses_a_folder_without_kustomization() -> None:
    assert refusal({}).text == "o has no kustomization.yaml"


def test_refuses_an_empty_kustomization() -> None:
    problem = refusal(written({"o/kustomization.yaml": kustomization()}))

    message = "Kustomize builds nothing of an empty kustomization (in o/kustomization.yaml)"
    assert (problem.code, problem.text) == ("E601", message)
