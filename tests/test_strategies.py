"""Steps between live versions: whatever stays live keeps its Pods, and every request has a backend.

What a cluster would run is read from the composed objects alone, by what facts are known of KServe,
and not by the code that renders them.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, cast

import pytest
from helpers import ENVIRONMENT, problems_of, tries
from hypothesis import given, settings
from hypothesis import strategies as st

from generator import contradictions, plan, resolve, yamlio
from generator.documents import Document, Json
from generator.inventory import environments as inventory
from generator.inventory.records import Environment
from generator.objects import kustomize
from generator.problems import GenError
from generator.promotions import edits, promotion
from generator.promotions.promotion import Past, Wish
from generator.records import APART, Strategy
from generator.render import Engine

_STANDARD = 'mode: Standard, gateway: {name: gate, namespace: gates, version: "1.3"}, domain: a.b}'
_ROUTE = ENVIRONMENT.replace("mode: Knative}", _STANDARD) + (
    "flavors: {a100: {resource: nvidia.com/gpu, nodeLabels: {gpu: a}, nodes: 1, gpusPerNode: 8}}\n"
    "queues: {serving: {quota: {a100: {cpu: 8, memory: 8Gi, gpu: 8}}}}\n"
)
_ROUTE = _ROUTE.replace("platform:\n", 'platform:\n  kueue: {version: "0.19"}\n')
TEXTS = {
    "route": _ROUTE,
    "group": _ROUTE.replace("domain: a.b}", "domain: a.b, llm: true}").replace(
        "platform:\n",
        'platform:\n  keda: {version: "2.20"}\n  prometheus: {address: "http://prometheus:9090"}\n',
    ),
    "native": _ROUTE.replace('"0.20"', '"0.21"') + "defaults: {canaryStrategy: native}\n",
    "knative": ENVIRONMENT,
    "images": _ROUTE,
    "experiment": _ROUTE.replace("platform:\n", 'platform:\n  seldon: {version: "2.9"}\n'),
    "predictors": _ROUTE.replace("platform:\n", 'platform:\n  seldon: {version: "1.18"}\n'),
    "single": ENVIRONMENT.replace("Knative", "Standard"),
}
STRATEGIES = tuple(TEXTS)
"""The ways in which versions share traffic; `images` is `route` for Deployments of one's own."""

WITH_CANARIES = STRATEGIES[:-1]
VERSIONS = ("v1", "v2", "v3", "v4")
Block = dict[str, Any]


def document(kind: str, data: Json, text: str = "") -> Document:
    return Document(kind, f"{kind}s/{data['name']}.yaml", data["name"], text, data)


@cache
def environment(strategy: str) -> Environment:
    text = TEXTS[strategy]
    return inventory.environment(document("environment", yamlio.load(text), text))


def model(block: Block, **said: Any) -> Document:
    versions = {name: {"uri": f"gs://models/churn/{name}"} for name in VERSIONS}
    data = {
        "name": "churn",
        "owner": "growth",
        "description": "Predicts who leaves.",
        "serving": {"format": "sklearn", "resources": {"cpu": "1", "memory": "2Gi"}},
        "scaling": {"min": 2, "max": 4, "metric": "cpu", "target": 70},
        "versions": versions,
        "environments": {"dev": block},
    }
    return document("model", {**data, **said})


def named(strategy: str) -> Strategy:
    """Give the strategy's own name."""
    return "route" if strategy == "images" else cast(Strategy, strategy)


def spoken(spec: Document, strategy: str) -> Document:
    """Say the same to the backend that has the strategy."""
    if strategy == "images":
        return of_an_image(spec)
    if strategy in ("experiment", "predictors"):
        return of_seldon(spec, has_pods=strategy == "predictors")
    return of_a_language_model(spec) if strategy == "group" else spec


def of_an_image(spec: Document) -> Document:
    """Say it of a server that brings its model."""
    unheard = ("format", "args")
    heard = {key: value for key, value in spec.data["serving"].items() if key not in unheard}
    serving = {"resources": {"cpu": "1"}, **heard}
    probes = {"liveness": "/live", "readiness": "/ready"}
    versions = {
        name: {key: value for key, value in each.items() if key != "uri"}
        | {"image": f"example.com/churn:{name}"}
        for name, each in spec.data["versions"].items()
    }
    data = {
        **spec.data,
        "canaryStrategy": "route",
        "serving": {**serving, "backend": "deployment", "probes": probes},
        "versions": versions,
    }
    return document("model", data)


def of_seldon(spec: Document, *, has_pods: bool) -> Document:
    """Say what Seldon Core reads of it: 2.x has no Pods of a model's own."""
    heard = ("format", "resources", "timeout", *(("env", "gpu") if has_pods else ()))
    serving = {key: value for key, value in spec.data["serving"].items() if key in heard}
    scaling = dict(spec.data["scaling"])
    if not has_pods:
        serving["resources"] = {"memory": "2Gi"}
        scaling = {key: scaling[key] for key in ("min", "max")}
    heard = ("uri", "env") if has_pods else ("uri",)
    data = {key: value for key, value in spec.data.items() if key != "queue"} | {
        "serving": {**serving, "backend": "seldon", "format": "sklearn"},
        "scaling": scaling,
        "versions": {
            name: {key: value for key, value in each.items() if key in heard}
            for name, each in spec.data["versions"].items()
        },
    }
    return document("model", data)


def of_a_language_model(spec: Document) -> Document:
    """Say it of a language model."""
    unheard = ("format", "timeout")
    serving = {key: value for key, value in spec.data["serving"].items() if key not in unheard}
    versions = {
        name: {**each, "uri": f"hf://models/{name}"} for name, each in spec.data["versions"].items()
    }
    data = {
        **spec.data,
        "serving": {**serving, "backend": "kserve-llm"},
        "scaling": {**spec.data["scaling"], "metric": "concurrency", "target": 8},
        "versions": versions,
    }
    return document("model", data)


@cache
def engine() -> Engine:
    return Engine(Path(__file__).parent / "cases" / "valid" / "canary-route")


def objects_of(spec: Document, strategy: str) -> list[Json]:
    """Render a model in an environment of a strategy, and compose what comes out."""
    (release,) = resolve.releases(spec, {"dev": environment(strategy)})
    assert release.strategy == named(strategy)
    planned = [*plan.base(release), *plan.overlay(release, "")]
    files = {file.path: file for file in engine().files(planned)}
    return kustomize.composed(files, plan.overlay_path("dev", "churn"))


# What a cluster would run


BESIDE = ("minReplicas", "maxReplicas", "scaleMetric", "scaleTarget", "timeout", "name")
"""Fields of a predictor that no Pod of its Deployment shows (facts: kserve/kserve 6.3)."""


def pods(objects: list[Json]) -> dict[str, Json]:
    """Give what each version's Pods are made from, as far as the objects say it."""
    found: dict[str, Json] = {}
    for item in objects:
        if item["kind"] == "LLMInferenceService":
            found[item["spec"]["model"]["uri"].rpartition("/")[2]] = model_of(item)
        if item["kind"] == "InferenceService":
            for predictor in predictors(item):
                template = template_of(item, predictor)
                found[predictor["model"]["storageUri"].rpartition("/")[2]] = template
        if item["kind"] == "Deployment":
            template = item["spec"]["template"]
            found[template["metadata"]["labels"][VERSION]] = deployed(item)
        if item["kind"] == "Model":
            found[item["spec"]["storageUri"].rpartition("/")[2]] = loaded(item)
        if item["kind"] == "SeldonDeployment":
            for predictor in item["spec"]["predictors"]:
                found[predictor["name"]] = orchestrated(item, predictor)
    return found


VERSION = "app.kubernetes.io/version"


def deployed(item: Json) -> Json:
    """Give what makes a Deployment roll, or be refused: its selector cannot change."""
    parts = {key: item["spec"][key] for key in ("template", "selector")}
    return {**parts, "deployment": item["metadata"]["name"]}


def loaded(item: Json) -> Json:
    """Give what a Server loads a Model by: the number of replicas loads no other one anew."""
    spec = item["spec"]
    shown = {key: value for key, value in spec.items() if "replicas" not in key.lower()}
    return {**shown, "model": item["metadata"]["name"]}


def orchestrated(item: Json, predictor: Json) -> Json:
    """Give what the Pods of a predictor show: the orchestrator has all of it but two as a variable
    (SeldonIO/seldon-core@operator/controllers/seldondeployment_engine.go).
    """
    shown = {key: value for key, value in predictor.items() if key not in ("traffic", "replicas")}
    return {**shown, "protocol": item["spec"]["protocol"], "deployment": item["metadata"]["name"]}


def model_of(item: Json) -> Json:
    """Give what the Pods of a language model show (facts: kserve/kserve 6.3 and 9)."""
    shown = {key: value for key, value in item["spec"].items() if key not in ("replicas", "router")}
    queued = {key: value for key, value in item["metadata"]["labels"].items() if "kueue" in key}
    return {**shown, "labels": queued, "deployment": item["metadata"]["name"]}


def predictors(item: Json) -> Iterator[Json]:
    stable = item["spec"]["predictor"]
    yield stable
    for entry in item["spec"].get("canary", ()):
        yield laid_over(deepcopy(stable), entry["predictor"])


def laid_over(under: Any, over: Any) -> Any:
    """Let what is not zero win, replace lists, merge maps (facts: kserve/kserve 3.3)."""
    if not isinstance(under, dict) or not isinstance(over, dict):
        return over or under
    return {key: laid_over(under.get(key), over.get(key)) for key in {**under, **over}}


def template_of(item: Json, predictor: Json) -> Json:
    shown = {key: value for key, value in predictor.items() if key not in BESIDE}
    shown.pop("canaryTrafficPercent", None)
    shown["model"] = {key: value for key, value in predictor["model"].items() if value}
    for kind in ("labels", "annotations"):
        shown[kind] = {**item["metadata"].get(kind, {}), **predictor.get(kind, {})}
    return {**shown, "deployment": [item["metadata"]["name"], predictor.get("name", "")]}


def shares(objects: list[Json]) -> dict[str, int]:
    """Say how many of all requests each version answers."""
    for item in objects:
        if item["kind"] == "Experiment":
            return shares_of(item, [each for each in objects if each["kind"] == "Model"])
    for item in objects:
        if item["kind"] == "HTTPRoute":
            backends = item["spec"]["rules"][-1]["backendRefs"]
            return {version_of(each["name"]): each["weight"] for each in backends}
    members = [item for item in objects if item["kind"] == "LLMInferenceService"]
    if members:
        routes = {version_of(each["metadata"]["name"]): each["spec"]["router"] for each in members}
        assert {router["route"]["group"] for router in routes.values()} == {"churn"}
        assert {each["spec"]["model"]["name"] for each in members} == {"churn"}
        return {name: router["route"]["weight"] for name, router in routes.items()}
    (service,) = (item for item in objects if item["kind"] == "InferenceService")
    stable, *canaries = predictors(service)
    share = [entry["trafficPercent"] for entry in service["spec"].get("canary", ())]
    own = stable.get("canaryTrafficPercent", 100 - sum(share))
    return {
        each["model"]["storageUri"].rpartition("/")[2]: percent
        for each, percent in zip((stable, *canaries), (own, *share), strict=True)
    }


def shares_of(experiment: Json, models: list[Json]) -> dict[str, int]:
    """Say who answers how many: a Model that is no candidate answers nobody but who names it."""
    candidates = {each["name"]: each["weight"] for each in experiment["spec"]["candidates"]}
    assert experiment["spec"]["default"] in candidates
    assert all(candidates.values())
    mirror = experiment["spec"].get("mirror", {}).get("name")
    names = [each["metadata"]["name"] for each in models]
    return {version_of(name): candidates.get(name, 0) for name in names if name != mirror}


def version_of(service: str) -> str:
    return service.removeprefix("churn-").removesuffix("-predictor")


def route_of(objects: list[Json]) -> Json:
    (route,) = (item for item in objects if item["kind"] == "HTTPRoute")
    return route


def is_sound(objects: list[Json], block: Block, strategy: str) -> None:
    """Make sure that the objects run what the block says, and lead nowhere else."""
    live = {version for _, version in contradictions.live_versions(block)}
    running = pods(objects)
    if strategy == "knative":
        described = block.get("canary", {}).get("version", block["version"])
        assert running.keys() == {described}
        return
    assert running.keys() == live
    share = block.get("canary", {}).get("traffic", 0)
    wanted = dict.fromkeys(live - shadows(block), 0) | {block["version"]: 100 - share}
    if "canary" in block:
        wanted[block["canary"]["version"]] = share
    assert shares(objects) == wanted
    if strategy in ("route", "images", "predictors"):
        is_routed(route_of(objects), block)
    if strategy == "experiment":
        is_led(objects, block)


def shadows(block: Block) -> set[str]:
    return {block["shadow"]} if "shadow" in block else set()


def is_led(objects: list[Json], block: Block) -> None:
    """Make sure that the route names the Model that serves, and the canary by its header."""
    (experiment,) = (item for item in objects if item["kind"] == "Experiment")
    assert version_of(experiment["spec"]["default"]) == block["version"]
    mirror = experiment["spec"].get("mirror", {}).get("name", "")
    assert version_of(mirror) == block.get("shadow", "")
    rules = route_of(objects)["spec"]["rules"]
    led = [
        version_of(rule["filters"][0]["requestHeaderModifier"]["set"][0]["value"]) for rule in rules
    ]
    canary = block.get("canary", {})
    assert led == [*([canary["version"]] if "header" in canary else []), block["version"]]


def is_routed(route: Json, block: Block) -> None:
    rules = route["spec"]["rules"]
    copies = [
        {
            version_of(each["requestMirror"]["backendRef"]["name"])
            for each in rule.get("filters", ())
        }
        for rule in rules
    ]
    assert copies == [shadows(block)] * len(rules)
    header = block.get("canary", {}).get("header")
    assert len(rules) == (2 if header else 1)
    if header:
        (match,), (backend,) = rules[0]["matches"], rules[0]["backendRefs"]
        assert match["headers"] == [{"type": "Exact", **header}]
        assert version_of(backend["name"]) == block["canary"]["version"]
        assert backend["weight"] > 0


def stays_the_same(before: list[Json], after: list[Json]) -> None:
    """Make sure that no version that is there before and after gets other Pods."""
    old, new = pods(before), pods(after)
    assert {name: old[name] for name in old.keys() & new} == {
        name: new[name] for name in old.keys() & new
    }


# Steps


HEADER = {"name": "x-variant", "value": "b"}
IDLE: Block = {"version": "v1", "canary": {"version": "v2", "traffic": 0}}
TRIAL: Block = {"version": "v1", "canary": {"version": "v2", "traffic": 10}}
GROWN: Block = {"version": "v1", "canary": {"version": "v2", "traffic": 50}}
BY_HEADER: Block = {"version": "v1", "canary": {"version": "v2", "traffic": 10, "header": HEADER}}
WARM: Block = {"version": "v2", "standby": "v1"}
WATCHED: Block = {"version": "v1", "shadow": "v3"}
STEPS: dict[str, tuple[Block, Block]] = {
    "start a canary": ({"version": "v1"}, TRIAL),
    "start it idle": ({"version": "v1"}, IDLE),
    "move it": (TRIAL, GROWN),
    "promote it": (GROWN, {"version": "v2"}),
    "promote it, keep the other": (GROWN, WARM),
    "stop the standby": (WARM, {"version": "v2"}),
    "roll back the canary": (GROWN, {"version": "v1"}),
    "roll back to the standby": (WARM, {"version": "v1", "standby": "v2"}),
    "roll back to nobody": ({"version": "v2"}, {"version": "v1"}),
    "start a shadow": ({"version": "v1"}, WATCHED),
    "start a shadow beside a canary": (TRIAL, {**TRIAL, "shadow": "v3"}),
    "stop a shadow": (WATCHED, {"version": "v1"}),
    "make a shadow a canary": (
        WATCHED,
        {"version": "v1", "canary": {"version": "v3", "traffic": 5}},
    ),
    "make a shadow the version": (WATCHED, {"version": "v3", "standby": "v1"}),
    "promote beside a shadow": ({**TRIAL, "shadow": "v3"}, {**WARM, "shadow": "v3"}),
    "lead a header to the canary": (TRIAL, BY_HEADER),
    "lead it there no more": (BY_HEADER, TRIAL),
    "promote what a header leads to": (BY_HEADER, WARM),
}


RICH: Json = {
    "serving": {
        "format": "huggingface",
        "resources": {"cpu": "2", "memory": "4Gi", "limits": {"memory": "8Gi"}},
        "args": ["--dtype=float16"],
        "env": {"LOG_LEVEL": "info"},
        "timeout": 60,
        "serviceAccount": {"secrets": ["token"]},
    },
    "versions": {
        name: {"uri": f"gs://models/churn/{name}", "args": [f"--seed={name}"], "env": {"IS": name}}
        for name in VERSIONS
    },
}
PLACED: Json = {
    **RICH,
    "serving": {**RICH["serving"], "gpu": {"flavor": "a100", "count": 2}},
    "queue": "serving",
}


def is_taken(block: Block, strategy: str) -> bool:
    keys: list[str] = [key for key in ("canary", "standby", "shadow") if key in block]
    keys += ["header"] if "header" in block.get("canary", {}) else []
    return all(contradictions.takes(named(strategy), key) for key in keys)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_a_step_leaves_the_pods_of_what_stays(step: tuple[Block, Block], strategy: str) -> None:
    if not all(is_taken(block, strategy) for block in step):
        refused = [block for block in step if not is_taken(block, strategy)]
        with pytest.raises(GenError):
            resolve.releases(spoken(model(refused[0]), strategy), {"dev": environment(strategy)})
        return
    is_placed = strategy not in ("knative", "single", "experiment")
    for said in ({}, RICH, *([PLACED] if is_placed else [])):
        specs = [spoken(model(block, **said), strategy) for block in step]
        before, after = (objects_of(spec, strategy) for spec in specs)
        for found, block in ((before, step[0]), (after, step[1])):
            is_sound(found, block, strategy)
        stays_the_same(before, after)


# Walks


@dataclass(frozen=True)
class Walk:
    """A model without live versions, what it goes through, and how it shares traffic."""

    said: Json
    strategy: str
    own: Json
    steps: list[tuple[str, str, int]]


SERVING = st.fixed_dictionaries(
    {"format": st.sampled_from(["sklearn", "xgboost", "mlflow"])},
    optional={
        "args": st.just(["--workers=2"]),
        "env": st.dictionaries(
            st.sampled_from(["A", "B"]), st.sampled_from(["1", "x"]), min_size=1
        ),
        "timeout": st.integers(1, 99),
        "resources": st.just({"cpu": "1", "limits": {"memory": "4Gi"}}),
        "serviceAccount": st.just({"secrets": ["token"]}),
    },
)
ARTIFACT = st.fixed_dictionaries(
    {},
    optional={
        "args": st.lists(st.sampled_from(["--fast", "--slow=1"]), min_size=1, max_size=2),
        "env": st.dictionaries(st.sampled_from(["A", "C"]), st.just("own"), min_size=1),
    },
)
MOVES = (
    *("version", "standby", "traffic", "traffic", "finish", "finish"),
    *("shadow", "no-shadow", "header", "back"),
)


@st.composite
def walks(draw: st.DrawFn) -> Walk:
    strategy = draw(st.sampled_from(WITH_CANARIES))
    artifacts = {name: {"uri": f"gs://models/churn/{name}", **draw(ARTIFACT)} for name in VERSIONS}
    serving = draw(SERVING)
    if strategy != "knative" and draw(st.booleans()):
        serving["gpu"] = {"flavor": "a100"}
    said: Json = {"serving": serving, "versions": artifacts}
    if strategy != "knative":
        said["queue"] = draw(st.sampled_from(["serving", ""])) or "serving"
        fixed = strategy == "predictors" or draw(st.booleans())
        said["scaling"] = {"min": 3, "max": 3 if fixed else 5, "metric": "cpu", "target": 60}
        own = {"min": 2, "max": 2} if fixed else {"min": 1, "max": 4}
        own = {"min": 2} if strategy == "native" else own
    else:
        said["scaling"], own = (
            {"min": 0, "max": 3, "metric": "concurrency", "target": 5},
            {"max": 2},
        )
    step = st.tuples(st.sampled_from(MOVES), st.sampled_from(VERSIONS), st.integers(0, 99))
    steps = draw(st.lists(step, min_size=1, max_size=8))
    return Walk(said, strategy, draw(st.sampled_from([{}, own])), steps)


def nobody(model: str, environment: str) -> list[Past]:
    return [(0.0, {"version": "v1"}), (0.0, {"version": "v2"})]


def moved(walk: Walk, block: Block, move: str, version: str, traffic: int) -> Block:
    """Make a move as the commands do; a block that is as it was where they refuse."""
    if move == "header":
        canary = dict(block.get("canary", {}))
        if canary and not canary.pop("header", None):
            canary["header"] = HEADER
        return {**block, **({"canary": canary} if canary else {})}
    spec = spoken(model(block, **walk.said), walk.strategy)
    now = promotion.situation(spec, environment(walk.strategy))
    wishes = {
        "version": Wish(version=version),
        "standby": Wish(version=version, standby=True),
        "traffic": Wish(version=version, traffic=traffic),
        "finish": Wish(finish=True, standby=traffic % 2 == 0 and named(walk.strategy) in APART),
        "shadow": Wish(version=version, shadow=True),
        "no-shadow": Wish(shadow=False),
    }
    try:
        found = (
            promotion.roll_back(now, "", nobody)
            if move == "back"
            else promotion.promote(now, wishes[move], nobody, 0.0)
        )
    except GenError:
        return block
    after: Block = edits.meant(spec.data, found.edits)["environments"]["dev"]
    if walk.own and "canary" in after and "canary" not in block:
        after["canary"] = {**after["canary"], "scaling": walk.own}
    return after


def composed_into(found: list[Json], spec: Document, strategy: str) -> None:
    found += objects_of(spec, strategy)


@given(walks())
@settings(max_examples=tries(150), deadline=None)
def test_a_walk_never_restarts_what_stays(walk: Walk) -> None:
    block: Block = {"version": "v1"}
    objects = objects_of(spoken(model(block, **walk.said), walk.strategy), walk.strategy)
    for move, version, traffic in walk.steps:
        following = moved(walk, block, move, version, traffic)
        after: list[Json] = []
        spec = spoken(model(following, **walk.said), walk.strategy)
        problems = problems_of(partial(composed_into, after, spec, walk.strategy))
        assert {problem.code for problem in problems} <= {"C030", "C037", "L003"}, problems
        if problems:
            continue
        is_sound(after, following, walk.strategy)
        stays_the_same(objects, after)
        block, objects = following, after
