"""`gen capacity`: the table for people and pipes, the comment for a pull request, and JSON."""

from __future__ import annotations

import json
import shutil
from fractions import Fraction
from pathlib import Path

import pytest
from helpers import gen

from generator.reports import capacity_report
from generator.reports.capacity_report import Line


def test_a_pipe_gets_columns_with_use_and_cost(repository: Path) -> None:
    ran = gen("capacity", "--env", "staging", root=repository)

    assert (ran.code, ran.err) == (0, "")
    assert ran.out == (
        "environment  queue    flavor  resource  asked        nominal  reachable  use\n"
        "staging      serving  cpu     cpu       600m..2      16       16         3..12 %\n"
        "staging      serving  cpu     memory    2Gi..6656Mi  64Gi     64Gi       3..10 %\n"
        "staging      serving  t4      gpu       1..2         3        3          33..66 %\n"
        "staging      serving  t4      cpu       4..8         16       16         25..50 %\n"
        "staging      serving  t4      memory    8Gi..16Gi    64Gi     64Gi       12..25 %\n"
        "\n"
        "environment  flavor  accelerators  per hour    per month\n"
        "staging      t4      1..2          0.53..1.06  386.90..773.80\n"
    )


def test_json_has_quantities_and_money_as_text(repository: Path) -> None:
    found = json.loads(gen("capacity", "--format", "json", root=repository).out)
    gpus = next(
        line
        for line in found["capacity"]
        if (line["queue"], line["resource"]) == ("training", "nvidia.com/gpu")
    )

    assert gpus == {
        "environment": "production",
        "queue": "training",
        "flavor": "a100-80gb",
        "resource": "nvidia.com/gpu",
        "minimum": "0",
        "maximum": "0",
        "nominal": "0",
        "reachable": "4",
    }
    assert found["cost"][0]["perMonth"] == {"minimum": "10716.40", "maximum": "16074.60"}
    assert found["problems"] == []


def test_what_does_not_fit_stands_below(fleet: Path) -> None:
    staging = fleet / "environments" / "staging.yaml"
    staging.write_text(staging.read_text("utf-8").replace("gpu: 3", "gpu: 1"), "utf-8")
    text = gen("capacity", "--env", "staging", root=fleet)
    comment = gen("capacity", "--env", "staging", "--format", "markdown", root=fleet).out

    assert "warning: staging: `qwen-llm` never gets its maximum replicas" in text.err
    assert "- **warning** staging: an update of `qwen-llm` could not start" in comment
    assert "| staging | serving | t4 | gpu | 1..2 | 1 | 1 | 100..200 % |" in comment


def test_models_without_a_queue_are_compared_with_nodes(fleet: Path) -> None:
    staging = fleet / "environments" / "staging.yaml"
    lines = staging.read_text("utf-8").split("\nqueues:")
    text = lines[0] + "\n\ndefaults:" + lines[1].split("\ndefaults:")[1]
    staging.write_text(text.replace("  queue: serving\n", ""), "utf-8")
    ran = gen("capacity", "--env", "staging", root=fleet)

    assert "staging      -      t4      gpu       1..2   3        3          33..66 %" in ran.out


def test_an_environment_without_anything_has_an_empty_table(fleet: Path) -> None:
    shutil.copy(fleet / "environments" / "dev.yaml", fleet / "environments" / "lab.yaml")
    lab = fleet / "environments" / "lab.yaml"
    lab.write_text(lab.read_text("utf-8").replace("dev", "lab"), "utf-8")
    ran = gen("capacity", "--env", "lab", "--format", "markdown", root=fleet)

    assert ran.code == 0
    assert ran.out.count("\n") == 2


@pytest.mark.parametrize(
    ("least", "most", "drawn"),
    [(0, 0, "··········"), (5, 10, "█████▒▒▒▒▒"), (1, 2, "█▒········"), (20, 30, "██████████")],
)
def test_a_bar_shows_the_least_and_the_most(least: int, most: int, drawn: str) -> None:
    line = Line("e", "q", "f", "gpu", least, most, 10, 10)

    assert capacity_report.bar(line) == drawn


def test_money_is_rounded_to_the_nearer_cent() -> None:
    assert capacity_report.money(Fraction("10716.405")) == "10,716.41"
    assert capacity_report.money(Fraction("0.004")) == "0.00"
