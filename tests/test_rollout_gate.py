"""The script that asks about every canary and opens pull requests, with a GitHub of our own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from helpers import gen, write_tree
from test_gate import HEALTHY, HOUR, ROLLOUT, ROUTE, SPEC, Handle, answering, git, numbers, serving

from generator.commands.gate import gate

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "scripts" / "rollout-gate"

GH = """\
#!{python}
import json, pathlib, subprocess, sys
book = pathlib.Path(__file__).with_name("requests.json")
known = json.loads(book.read_text()) if book.exists() else []
verb, words = sys.argv[2], sys.argv[3:]
options = dict(zip(words[words[0].isdecimal()::2], words[words[0].isdecimal() + 1::2]))
if verb == "create":
    known.append({{"state": "OPEN", "number": len(known) + 1, "head": options["--head"]}})
if verb in ("create", "edit"):
    about = known[int(words[0]) - 1] if verb == "edit" else known[-1]
    shown = subprocess.run(["git", "ls-remote", "origin", about["head"]], capture_output=True)
    about["headRefOid"] = shown.stdout.decode().split()[0]
    about["title"] = options["--title"]
    about["body"] = pathlib.Path(options["--body-file"]).read_text()
for each in known if verb == "list" else ():
    if each["head"] == options["--head"] and f'"{{each["state"]}}"' in options["--jq"]:
        print(each[options["--jq"].rpartition(".")[2]])
book.write_text(json.dumps(known))
"""


@dataclass
class Site:
    """A clone with a remote, the program gh, and the pull requests that it was told of."""

    clone: Path
    programs: Path
    address: str = ""

    def run(self, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run the script as a person or a schedule would."""
        who = {"NAME": "Ada", "EMAIL": "ada@example.com"}
        environment = {
            **{f"GIT_{role}_{key}": who[key] for role in ("AUTHOR", "COMMITTER") for key in who},
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GEN_CACHE_DIR": str(self.programs / "cache"),
            "no_proxy": "*",
            **environ,
        }
        return subprocess.run(
            [SCRIPT, "prod", "--address", self.address, *options],
            cwd=self.clone,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def requests(self) -> list[dict[str, object]]:
        book = self.programs / "requests.json"
        found: list[dict[str, object]] = json.loads(book.read_text()) if book.exists() else []
        return found

    def close(self) -> None:
        closed = [each | {"state": "CLOSED"} for each in self.requests]
        (self.programs / "requests.json").write_text(json.dumps(closed))

    def branches(self) -> list[str]:
        return git(self.clone, "ls-remote", "--heads", "origin").split()[1::2]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with its remote and two programs, before anything was asked."""
    folder = tmp_path_factory.mktemp("site")
    clone, programs = folder / "clone", folder / "programs"
    calm = SPEC.replace("churn", "calm").replace(", canary: {version: v2, traffic: 5}", "")
    specs = {"models/churn.yaml": SPEC + ROLLOUT, "models/calm.yaml": calm}
    write_tree(clone, {**specs, "environments/prod.yaml": ROUTE})
    assert gen("render", root=clone).code == 0
    git(folder, "init", "--quiet", "--bare", "remote")
    git(clone, "init", "--quiet", "--initial-branch=main")
    git(clone, "remote", "add", "origin", "../remote")
    git(clone, "add", ".")
    git(clone, "commit", "--quiet", "--message=Start", age=2 * HOUR)
    git(clone, "push", "--quiet", "origin", "main")
    programs.mkdir()
    program(programs / "gen", f'#!/bin/sh\nexec {sys.executable} -m generator "$@"\n')
    program(programs / "gh", GH.format(python=sys.executable))
    return folder


@pytest.fixture
def site(pristine: Path, tmp_path: Path) -> Site:
    shutil.copytree(pristine, tmp_path, dirs_exist_ok=True)
    return Site(tmp_path / "clone", tmp_path / "programs")


def program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def asked(site: Site, handle: Handle, **environ: str) -> subprocess.CompletedProcess[str]:
    with serving(handle) as site.address:
        return site.run(**environ)


HEALTHY_SERVER = numbers(HEALTHY)
FAILING_SERVER = numbers({"clamp_min": "900", **HEALTHY} | {"clamp_min": "900"})


def failing(request: object) -> None:
    """Let the canary fail and nothing else."""
    path: str = request.path  # type: ignore[attr-defined]
    chosen = FAILING_SERVER if "churn-v2-" in path else HEALTHY_SERVER
    chosen(request)  # type: ignore[arg-type]


BRANCH = "refs/heads/gate/prod/churn"


@pytest.mark.slow
def test_a_canary_has_one_pull_request_that_says_the_last_answer(site: Site) -> None:
    (site.clone / "notes.txt").write_text("mine")
    before = git(site.clone, "status", "--porcelain", "--branch")

    ran = asked(site, HEALTHY_SERVER)
    assert ran.stdout.startswith("churn in prod: advance to 25 %"), ran.stderr
    assert (ran.returncode, ran.stderr) == (0, "")
    (made,) = site.requests
    assert made["title"] == "promote(churn): prod v1 -> v2 at 25 %"
    assert "gen promote churn --env prod --next" in str(made["body"])
    assert site.branches() == [BRANCH, "refs/heads/main"]
    changed = git(site.clone, "diff", "--name-only", "main", "origin/gate/prod/churn").split()
    assert changed == ["models/churn.yaml", "rendered/prod/churn/http-route.yaml"]
    pushed = git(site.clone, "ls-remote", "origin")

    again = asked(site, HEALTHY_SERVER)
    assert "gate/prod/churn: pull request 1 is open already" in again.stdout
    assert len(site.requests) == 1
    assert git(site.clone, "ls-remote", "origin") == pushed

    other = asked(site, failing)
    assert other.stdout.startswith("churn in prod: roll back, 74.8 % of v2 fail")
    (edited,) = site.requests
    assert edited["title"] == "rollback(churn): prod v2 at 5 % -> v1"
    git(site.clone, "fetch", "--quiet")
    assert "canary" not in git(site.clone, "show", "origin/gate/prod/churn:models/churn.yaml")

    site.close()
    closed = asked(site, failing)
    assert "somebody has closed this pull request" in closed.stdout
    assert [each["state"] for each in site.requests] == ["CLOSED"]

    assert git(site.clone, "status", "--porcelain", "--branch") == before
    assert git(site.clone, "branch", "--list").split() == ["*", "main"]
    assert len(git(site.clone, "worktree", "list").splitlines()) == 1


def test_a_canary_that_waits_gets_nothing(site: Site) -> None:
    ran = asked(site, numbers(dict.fromkeys(HEALTHY)))
    assert ran.returncode == 0
    assert ran.stdout == "churn in prod: wait, there is no data of v2\n"
    assert site.requests == []
    assert site.branches() == ["refs/heads/main"]


@pytest.mark.slow
def test_without_gh_the_command_is_printed(site: Site) -> None:
    ran = asked(site, HEALTHY_SERVER, GH="no-such-gh")
    assert ran.returncode == 0
    assert ran.stdout.endswith(
        "run this and open a pull request: gen promote churn --env prod --next --commit\n"
    )
    assert site.branches() == ["refs/heads/main"]


@pytest.mark.slow
def test_without_an_answer_the_run_fails(site: Site) -> None:
    ran = asked(site, answering(500))
    assert ran.returncode == 1
    assert "answers 500" in ran.stderr


def test_usage() -> None:
    ran = subprocess.run([SCRIPT], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "usage: " in ran.stderr


def test_the_workflow_runs_the_script_with_what_it_knows() -> None:
    workflow = yaml.safe_load((ROOT / "scripts" / "rollout-gate.yml").read_text())
    (job,) = workflow["jobs"].values()
    commands = [step["run"] for step in job["steps"] if "run" in step]
    (line,) = (line for run in commands for line in run.splitlines() if "rollout-gate p" in line)
    words = line.split()
    assert (ROOT / words[0]).samefile(SCRIPT)
    options = {option for parameter in gate.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options
    assert job["permissions"] == {"contents": "write", "pull-requests": "write"}
