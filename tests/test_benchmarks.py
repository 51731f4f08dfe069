"""The fleets, the contenders and the tables of the benchmarks, on fleets too small to time."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import contenders as who
from benchmarks import fleet, growth, limits, objects, plain_jinja, preparation, report, stages
from benchmarks.clock import Command, Run, RunError, measure
from benchmarks.contenders import Absent, Contender
from benchmarks.equality import only_equal
from benchmarks.facts import facts
from benchmarks.peers.kapitan import component, project
from benchmarks.race import Results, race
from generator import pipeline

SMALL = 40


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a fleet that is read by many tests and changed by none."""
    root = tmp_path_factory.mktemp("fleet") / "specs"
    fleet.write(root, SMALL)
    return root


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sync", lambda: None)


# Fleets


def _texts(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): path.read_text("utf-8") for path in root.rglob("*.yaml")
    }


def test_a_fleet_is_the_same_each_time(small: Path, tmp_path: Path) -> None:
    fleet.write(tmp_path / "again", SMALL)
    assert _texts(tmp_path / "again") == _texts(small)


def test_a_smaller_fleet_is_the_beginning_of_a_larger_one(small: Path, tmp_path: Path) -> None:
    fleet.write(tmp_path / "smaller", 5)
    models = {path: text for path, text in _texts(tmp_path / "smaller").items() if "models" in path}
    assert len(models) == 5
    assert models.items() <= _texts(small).items()


def test_names_are_distinct() -> None:
    names = list(fleet.names(2000))
    assert len(set(names)) == 2000


def test_every_spec_is_valid(small: Path) -> None:
    outcome = pipeline.everything(small)
    assert outcome.releases == SMALL * len(fleet.ENVIRONMENTS)
    assert {problem.code for problem in outcome.warnings} <= {"C001"}


def test_a_fleet_has_variety() -> None:
    specs = [fleet.model(name) for name in fleet.names(300)]
    formats = {spec["serving"].get("format") for spec in specs}
    live = [block for spec in specs for block in spec["environments"].values()]
    assert formats == {None, *plain_formats()}
    assert all(any(key in block for block in live) for key in ("canary", "standby", "queue"))


def plain_formats() -> set[str]:
    return {"sklearn", "xgboost", "lightgbm", "mlflow", "tensorflow", "onnx", "huggingface"}


def test_a_change_is_one_line_of_one_spec(small: Path, tmp_path: Path) -> None:
    fleet.write(tmp_path / "changed", SMALL)
    fleet.change(tmp_path / "changed", 7)
    before, after = _texts(small), _texts(tmp_path / "changed")
    changed = [path for path in before if before[path] != after[path]]
    assert changed == [f"models/{fleet.name(7)}.yaml"]
    lines = [texts[changed[0]].splitlines() for texts in (before, after)]
    assert sum(one != other for one, other in zip(*lines, strict=True)) == 1


# Contenders


@pytest.mark.slow
def test_the_plain_script_writes_the_same_files(small: Path, tmp_path: Path) -> None:
    plain_jinja.main(small, tmp_path)
    assert objects.differences(objects.files(small), objects.written_files(tmp_path)) == []


def test_the_kapitan_component_makes_the_same_objects(small: Path) -> None:
    environments = [plain_jinja.load(path) for path in (small / "environments").iterdir()]
    models = [plain_jinja.load(path) for path in (small / "models").iterdir()]
    made = objects.by_identity(
        item
        for model in models
        for environment in environments
        for item in component.objects(facts(model, environment))
    )
    assert objects.differences(objects.of_models(small), made) == []


def test_a_kapitan_project_has_a_target_an_overlay(small: Path, tmp_path: Path) -> None:
    project.write(small, tmp_path)
    targets = list((tmp_path / "inventory/targets").iterdir())
    assert len(targets) == SMALL * len(fleet.ENVIRONMENTS)


def test_a_difference_is_named() -> None:
    wanted = {"a": {"spec": {"replicas": [1, 2]}}, "b": {}}
    found = {"a": {"spec": {"replicas": [1, 3]}}, "c": {}}
    assert objects.differences(wanted, found) == [
        "missing: b",
        "not wanted: c",
        "a: .spec.replicas[1] is 3 instead of 2",
    ]


def _writes(text: str) -> Contender:
    script = f"import os; os.mkdir('made'); open('made/x.yaml', 'w').write({text!r})"
    command = [sys.executable, "-c", script]
    return Contender("other", lambda now: Command(command, now.folder), makes="made")


def test_who_makes_other_objects_is_not_timed(tmp_path: Path) -> None:
    other = _writes("apiVersion: v1\nkind: Service\nmetadata: {name: x}\n")
    (judged,) = only_equal([other], tmp_path, 10)
    assert isinstance(judged, Absent)
    assert "differ from gen's, the first: missing: " in judged.reason


def test_who_fails_is_not_timed_and_says_why(tmp_path: Path) -> None:
    prepared = preparation.Prepared(tmp_path, 1)
    command = [sys.executable, "-c", "raise SystemExit('out of luck')"]
    failing = Contender("failing", lambda now: Command(command, now.folder))
    results = race([failing, Absent("gone", "not here")], prepared, tmp_path, 2, lambda _: None)
    assert results.runs == {}
    assert results.absent == {"gone": "not here", "failing": "exit code 1: out of luck"}


# Measuring


def test_a_run_is_measured(tmp_path: Path) -> None:
    script = "import time; b = bytearray(60 << 20); time.sleep(0.05)"
    run = measure(Command([sys.executable, "-c", script]), tmp_path / "log")
    assert run.seconds >= 0.05
    assert 60 < run.peak < 120


def test_a_command_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no-such-program"):
        measure(Command(["no-such-program"]), tmp_path / "log")


def test_stages_are_where_the_clocks_look_for_them() -> None:
    assert stages.lost() == []


def test_a_stage_within_a_stage_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(100))
    monkeypatch.setattr(stages, "perf_counter", lambda: float(next(ticks)))
    clock = stages.Clock()
    inner = clock.timed("check objects", lambda: None)
    outer = clock.timed("render files", lambda: inner())
    clock.start()
    outer()
    seconds = clock.stop()
    assert (seconds["render files"], seconds["check objects"], seconds[stages.REST]) == (2, 1, 2)


# Tables


def _results(**seconds: list[float]) -> Results:
    names = {"cold": who.COLD, "copy": who.COPY, "conform1": who.KUBECONFORM[1]}
    names["conform2"] = who.KUBECONFORM[2]
    return Results(
        {names[key]: [Run(each, each, 10.0) for each in value] for key, value in seconds.items()}
    )


def test_ratios_are_taken_round_by_round() -> None:
    results = _results(cold=[2.0, 40.0, 6.0], copy=[1.0, 10.0, 2.0])
    assert results.ratio(who.COLD, who.COPY, limits.seconds) == 3.0


def test_ratios_of_a_slow_contender_are_of_the_rounds_that_it_ran_in() -> None:
    results = _results(cold=[2.0], copy=[1.0, 10.0])
    assert results.ratio(who.COLD, who.COPY, limits.seconds) == 2.0
    assert results.ratio(who.COLD, who.PLAIN, limits.seconds) is None


def test_the_faster_of_two_bases_counts() -> None:
    (limit,) = (each for each in limits.LIMITS if len(each.bases) > 1)
    results = _results(cold=[2.0], conform1=[4.0], conform2=[2.5])
    assert limits.measured(limit, results) == 0.8


@pytest.mark.parametrize(
    ("ratio", "said"), [(None, "not measured"), (0.5, "0.5"), (0.7512, "0.751 (missed)")]
)
def test_a_missed_limit_is_said(ratio: float | None, said: str) -> None:
    assert report.verdict(ratio, 0.75) == said


def test_a_table_reads_as_text_and_as_markdown() -> None:
    assert report.table(("what", "s"), [("a", "1.25"), ("longer", "10")]) == (
        "| what   |    s |\n"
        "| ------ | ---: |\n"
        "| a      | 1.25 |\n"
        "| longer |   10 |"
    )  # fmt: skip


def test_growth_is_of_the_two_largest_fleets() -> None:
    sizes = {
        100: _results(cold=[9.0]),
        1_000: _results(cold=[10.0]),
        10_000: _results(cold=[120.0]),
    }
    seconds = {stages.RENDERING: 2.0, stages.RULES: 1.5, stages.CAPACITY: 0.1}
    promised = growth.promises(sizes, dict.fromkeys(sizes, (seconds, [])))
    assert "10,000 models / 1,000 models |    1.15 | 1.2 (missed) |" in promised
    assert "\n| rules and capacity / rendering " in promised
    assert promised.endswith(" 0.8 |")


def test_results_replace_results(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- fleet -->\nold\n<!-- end of fleet -->\nb\n", "utf-8")
    report.write("fleet", "new", page)
    report.write("fleet", "newer", page)
    wanted = "a\n<!-- fleet -->\n\nnewer\n\n<!-- end of fleet -->\nb\n"
    assert page.read_text("utf-8") == wanted


@pytest.mark.parametrize("section", ["fleet", "growth"])
def test_the_page_has_a_place_for_the_results(section: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(report.PAGE.read_text("utf-8"), "utf-8")
    report.write(section, "a table", page)
    assert "\na table\n" in page.read_text("utf-8")
