"""What people copy to run gen in CI does what it says: each shell step is run, as CI would run it.

Around it, everything is a stand-in: `pip`, `gh` and `curl` are scripts that keep what they are told
in a file and refuse what the real ones would, the repository is a clone in a temporary folder.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers import Ran, gen, sampled, write_tree

from generator import start

ROOT = Path(__file__).resolve().parents[1]
MARK = "<!-- gen diff -->"
ALONE = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{role}_NAME": "Ada" for role in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{role}_EMAIL": "ada@example.com" for role in ("AUTHOR", "COMMITTER")},
}

# Whoever has the token may write; a body over GitHub's limit is refused, as GitHub does.
GH = """\
import json, os, re, sys
arguments = sys.argv[1:]
assert arguments.pop(0) == "api", arguments
known = {"--jq": 1, "--method": 1, "--field": 1, "--paginate": 0, "--silent": 0}
given, paths = {}, []
while arguments:
    word = arguments.pop(0)
    if word.startswith("-"):
        given[word] = arguments.pop(0) if known[word] else True
    else:
        paths.append(word)
(path,) = paths
state = os.environ["STATE"]
comments = json.load(open(state))
token = os.environ.get("GH_TOKEN")
if not token:
    sys.exit("gh: To use GitHub CLI in a GitHub Actions workflow, set the GH_TOKEN")
method = given.get("--method", "GET")
if method == "GET":
    assert path == "repos/example/models/issues/7/comments", path
    mark = re.search(r'startswith\\("(.*)"\\)', given["--jq"])[1]
    mine = f'.[] | select(.user.type == "Bot" and (.body | startswith("{mark}"))) | .id'
    assert given["--jq"] == mine, given["--jq"]
    for comment in comments:
        if comment["type"] == "Bot" and comment["body"].startswith(mark):
            print(comment["id"])
    sys.exit()
if token == "read-only":
    sys.exit("gh: Resource not accessible by integration (HTTP 403)")
key, _, name = given["--field"].partition("=@")
body = open(name, encoding="utf-8").read()
assert key == "body"
if len(body.encode("utf-16-le")) // 2 > 65536:
    sys.exit("gh: Validation Failed (HTTP 422)")
if method == "POST":
    assert path == "repos/example/models/issues/7/comments", path
    comments.append({"id": len(comments) + 1, "type": "Bot", "body": body})
else:
    place = re.fullmatch("repos/example/models/issues/comments/([0-9]+)", path)[1]
    (comment,) = [c for c in comments if c["id"] == int(place)]
    comment["body"] = body
json.dump(comments, open(state, "w"))
"""
CURL = """\
import json, os, re, sys
arguments = sys.argv[1:]
known = {"--header": 1, "--request": 1, "--data-urlencode": 1, "--output": 1}
known |= {"--fail": 0, "--silent": 0, "--show-error": 0}
given, urls = {}, []
while arguments:
    word = arguments.pop(0)
    if word.startswith("-"):
        given[word] = arguments.pop(0) if known[word] else True
    else:
        urls.append(word)
(url,) = urls
state = os.environ["STATE"]
notes = json.load(open(state))
notes_of = "https://gitlab.example.com/api/v4/projects/3/merge_requests/7/notes"
if given["--header"] not in ("PRIVATE-TOKEN: secret", "PRIVATE-TOKEN: reader"):
    sys.exit("curl: (22) The requested URL returned error: 401")
method = given.get("--request", "GET")
if method == "GET":
    assert url == notes_of + "?sort=asc&per_page=100", url
    print(json.dumps(notes))
    sys.exit()
if given["--header"].endswith("reader"):
    sys.exit("curl: (22) The requested URL returned error: 403")
key, _, name = given["--data-urlencode"].partition("@")
body = open(name, encoding="utf-8").read()
assert key == "body"
if method == "POST":
    assert url == notes_of, url
    notes.append({"id": len(notes) + 1, "body": body})
else:
    assert method == "PUT" and url.startswith(notes_of + "/"), url
    (note,) = [n for n in notes if n["id"] == int(url.rpartition("/")[2])]
    note["body"] = body
json.dump(notes, open(state, "w"))
"""
PIP = "import os, sys\nopen(os.environ['STATE'] + '.pip', 'a').write(' '.join(sys.argv[1:]))\n"
PROGRAMS = {
    "gen": "import generator.__main__\ngenerator.__main__.main()\n",
    "pip": PIP,
    "gh": GH,
    "curl": CURL,
}


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments],
        cwd=root,
        env={**os.environ, **ALONE},
        check=True,
        capture_output=True,
        text=True,
    ).stdout


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bin")
    for name, text in PROGRAMS.items():
        (folder / name).write_text(f"#!{sys.executable}\n{text}", "utf-8")
        (folder / name).chmod(0o755)
    (folder / "python3").symlink_to(sys.executable)
    return folder


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository that `gen init` began, rendered and committed."""
    folder = tmp_path_factory.mktemp("origin") / "models"
    folder.mkdir()
    gen("init", ".", "--ci", "github", "--ci", "gitlab", root=folder)
    assert gen("render", root=folder).code == 0
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "Begin")
    return folder


@dataclass
class Job:
    """A clone on a branch of its own, and what CI runs in it."""

    root: Path
    programs: Path
    environ: dict[str, str]

    @property
    def state(self) -> Path:
        return Path(self.environ["STATE"])

    def told(self) -> list[str]:
        """List the comments or notes that there are."""
        return [each["body"] for each in json.loads(self.state.read_text())]

    def run(self, script: str, *how: str, **environ: str) -> Ran:
        file = Path(f"{self.root}.sh")
        file.write_text(script)
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", *how, file],
            cwd=self.root,
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def change(self, path: str, before: str, after: str, *, render: bool = True) -> None:
        text = (self.root / path).read_text()
        assert before in text
        self.commit({path: text.replace(before, after)}, render=render)

    def commit(self, files: dict[str, str | bytes], *, render: bool = True) -> None:
        write_tree(self.root, files)
        if render:
            assert gen("render", root=self.root).code == 0
        git(self.root, "add", ".")
        git(self.root, "commit", "-qm", "Change")


@pytest.fixture
def job(origin: Path, programs: Path, tmp_path: Path) -> Job:
    root = tmp_path / "a clone"
    git(tmp_path, "clone", "-q", f"file://{origin}", str(root))
    git(root, "checkout", "-q", "-b", "change")
    state = tmp_path / "state.json"
    state.write_text("[]")
    environ = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
        "STATE": str(state),
        "GEN_CACHE_DIR": str(tmp_path / "cache"),
        **ALONE,
    }
    return Job(root, programs, environ)


def more_traffic(job: Job) -> None:
    """Make a change of what runs that nothing has anything against."""
    job.change("models/iris.yaml", "target: 75", "target: 60")


def broken(job: Job) -> None:
    job.change("models/iris.yaml", "owner", "onwer", render=False)


def many_models(job: Job) -> None:
    """Change so many fields of so many models, none like another, that no comment holds all."""
    spec = (job.root / "models/iris.yaml").read_text()
    for value in ("before", "after"):
        files: dict[str, str | bytes] = {}
        for number in range(100):
            env = ", ".join(f"LONG_VARIABLE_{n}: {value}-{number}-{'x' * 40}" for n in range(20))
            text = spec.replace("iris", f"model-{number}")
            text = text.replace("  format:", f"  env: {{{env}}}\n  format:")
            files[f"models/model-{number}.yaml"] = text
        job.commit(files)
    git(job.root, "update-ref", "refs/remotes/origin/main", "HEAD~1")


def shallow(job: Job) -> None:
    origin = git(job.root, "remote", "get-url", "origin").strip()
    job.change("models/iris.yaml", "target: 75", "target: 60")
    git(job.root, "push", "-q", "--force", "origin", "HEAD:refs/heads/shallow")
    shutil.rmtree(job.root)
    clone = ("clone", "-q", "--depth=1", "--branch=shallow", origin, str(job.root))
    git(job.root.parent, *clone)


# GitHub

GITHUB: dict[str, Any] = yaml.safe_load((start.STARTER / "ci/github-actions.yaml").read_text())
ON_GITHUB = {
    "GITHUB_BASE_REF": "main",
    "GITHUB_REPOSITORY": "example/models",
    "GH_TOKEN": "secret",
    "NUMBER": "7",
}


def on_github(job: Job, name: str, **environ: str) -> dict[str, Ran]:
    """Run the steps of a job, each in a shell of its own; after one that failed, only some are."""
    more = {**ON_GITHUB, "GITHUB_STEP_SUMMARY": str(job.root.parent / "summary"), **environ}
    ran: dict[str, Ran] = {}
    for step in GITHUB["jobs"][name]["steps"]:
        has_failed = any(codes(ran))
        if "run" in step and (not has_failed or "!cancelled()" in step.get("if", "")):
            ran[step["name"]] = job.run(step["run"], "-e", **more)
    return ran


def codes(ran: dict[str, Ran]) -> list[int]:
    return [each.code for each in ran.values()]


def test_every_step_on_github_is_an_action_or_a_script_that_is_run_here() -> None:
    steps = [step for job in GITHUB["jobs"].values() for step in job["steps"]]
    assert all(("uses" in step) is not ("run" in step) for step in steps)
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", s["uses"]) for s in steps if "uses" in s)
    assert not any("${{" in step["run"] for step in steps if "run" in step)


def test_a_job_on_github_may_do_no_more_than_it_has_to() -> None:
    assert GITHUB["permissions"] == {"contents": "read"}
    assert "permissions" not in GITHUB["jobs"]["check"]
    assert GITHUB["jobs"]["diff"]["permissions"] == {"contents": "read", "pull-requests": "write"}


def test_a_good_change_passes_and_is_told_in_one_comment(job: Job) -> None:
    more_traffic(job)
    assert codes(on_github(job, "check")) == [0, 0, 0]
    assert codes(on_github(job, "diff")) == [0, 0, 0]
    (comment,) = job.told()
    assert comment.startswith(f"{MARK}\n**Compared with origin/main")
    assert "75 -> 60" in comment
    assert "75 -> 60" in (job.root.parent / "summary").read_text()
    assert Path(f"{job.state}.pip").read_text().startswith("install --requirement requirements.txt")

    job.change("models/iris.yaml", "target: 60", "target: 50")
    assert codes(on_github(job, "diff")) == [0, 0, 0]
    (comment,) = job.told()
    assert "75 -> 50" in comment


@pytest.mark.slow
def test_comments_of_others_stay(job: Job) -> None:
    others = [
        {"id": 1, "type": "User", "body": f"{MARK} is the mark"},
        {"id": 2, "type": "Bot", "body": "**Nothing differs** says another bot"},
    ]
    job.state.write_text(json.dumps(others))
    more_traffic(job)
    on_github(job, "diff")
    assert job.told()[:2] == [other["body"] for other in others]
    assert len(job.told()) == 3


@pytest.mark.slow
@pytest.mark.parametrize("token", ["", "read-only"])
def test_a_fork_gets_the_summary_and_no_failure(token: str, job: Job) -> None:
    more_traffic(job)
    ran = on_github(job, "diff", GH_TOKEN=token)
    assert codes(ran) == [0, 0, 0]
    assert "::notice::no comment can be written here" in [*ran.values()][-1].out
    assert job.told() == []
    assert "75 -> 60" in (job.root.parent / "summary").read_text()


@pytest.mark.slow
def test_a_change_that_does_nothing_begins_no_comment_and_ends_one(job: Job) -> None:
    job.commit({"NOTES.md": "nothing\n"})
    assert codes(on_github(job, "diff")) == [0, 0, 0]
    assert job.told() == []
    more_traffic(job)
    on_github(job, "diff")
    job.change("models/iris.yaml", "target: 60", "target: 75")
    on_github(job, "diff")
    (comment,) = job.told()
    assert comment.startswith(f"{MARK}\n**Nothing differs from origin/main")


@pytest.mark.slow
def test_a_change_that_is_too_long_for_a_comment_is_shortened(job: Job) -> None:
    many_models(job)
    assert codes(on_github(job, "diff")) == [0, 0, 0]
    (comment,) = job.told()
    assert "Left out to stay below" in comment
    assert len(comment) > 50_000


@pytest.mark.slow
def test_problems_are_put_on_their_lines(job: Job) -> None:
    broken(job)
    ran = [*on_github(job, "check").values()]
    assert [each.code for each in ran] == [0, 1, 1]
    assert ran[-1].out.startswith("::error file=models/iris.yaml,line=3,col=1,title=E201::")
    assert codes(on_github(job, "diff")) == [0, 0, 0]
    assert "not everything is compared" in (job.root.parent / "summary").read_text()


@pytest.mark.slow
def test_what_was_not_rendered_is_refused(job: Job) -> None:
    job.change("models/iris.yaml", "target: 75", "target: 60", render=False)
    ran = [*on_github(job, "check").values()]
    assert [each.code for each in ran] == [0, 1, 0]
    assert "run `gen render` and commit" in ran[1].err
    assert codes(on_github(job, "diff")) == [0, 0, 0]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["check", "diff"])
def test_a_checkout_without_history_says_how_to_get_it(name: str, job: Job) -> None:
    shallow(job)
    last = [*on_github(job, name).values()][-1]
    assert last.code == 2
    assert "fetch-depth: 0" in last.err
    assert job.told() == []


@pytest.mark.slow
def test_a_push_has_no_base(job: Job) -> None:
    assert codes(on_github(job, "check", GITHUB_BASE_REF="")) == [0, 0, 0]


@pytest.mark.slow
def test_a_base_that_is_gone_is_told(job: Job) -> None:
    last = [*on_github(job, "diff", GITHUB_BASE_REF="release").values()][-1]
    assert last.code == 2
    assert "there is no commit `origin/release` here" in last.err


# GitLab

GITLAB: dict[str, Any] = yaml.safe_load((start.STARTER / "ci/gitlab-ci.yaml").read_text())
JOBS = [name for name in GITLAB if not name.startswith(".")]


def on_gitlab(job: Job, name: str, *, base: str = "origin/main", **environ: str) -> Ran:
    """Run a job as a runner does: `before_script` and `script` in one shell."""
    commit = git(job.root, "rev-parse", base).strip() if base else ""
    variables = {
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": commit,
        "CI_MERGE_REQUEST_PROJECT_ID": "3",
        "CI_MERGE_REQUEST_IID": "7",
        "CI_API_V4_URL": "https://gitlab.example.com/api/v4",
        "GEN_NOTE_TOKEN": "secret",
        **environ,
    }
    own, base_job = GITLAB[name], GITLAB[GITLAB[name]["extends"]]
    script = "\n".join([*base_job["before_script"], *own["script"]])
    return job.run(script, "-eo", "pipefail", **variables)


def quality(job: Job) -> list[dict[str, Any]]:
    report = GITLAB["gen validate"]["artifacts"]["reports"]["codequality"]
    found: list[dict[str, Any]] = json.loads((job.root / report).read_text())
    return found


@pytest.mark.slow
def test_a_good_change_passes_and_is_told_in_one_note(job: Job) -> None:
    more_traffic(job)
    assert [on_gitlab(job, name).code for name in JOBS] == [0, 0, 0]
    assert quality(job) == []
    (note,) = job.told()
    assert note.startswith(f"{MARK}\n**Compared with ")
    assert "75 -> 60" in note
    job.change("models/iris.yaml", "target: 60", "target: 50")
    assert on_gitlab(job, "gen diff").code == 0
    (note,) = job.told()
    assert "75 -> 50" in note


@pytest.mark.slow
def test_a_merged_result_is_compared_with_the_target_as_it_is_now(job: Job) -> None:
    more_traffic(job)
    git(job.root, "checkout", "-q", "main")
    job.change("environments/dev.yaml", "max: 2", "max: 3")
    target = git(job.root, "rev-parse", "HEAD").strip()
    git(job.root, "merge", "-q", "--no-edit", "change")
    assert on_gitlab(job, "gen diff", CI_MERGE_REQUEST_TARGET_BRANCH_SHA=target).code == 0
    (note,) = job.told()
    assert "75 -> 60" in note
    assert "2 -> 3" not in note


@pytest.mark.slow
@pytest.mark.parametrize(
    ("token", "why"),
    [
        ("", "there is no GEN_NOTE_TOKEN here"),
        ("expired", "the notes cannot be read"),
        ("reader", "the note cannot be written"),
    ],
)
def test_whoever_may_write_no_note_has_the_artifact(token: str, why: str, job: Job) -> None:
    more_traffic(job)
    ran = on_gitlab(job, "gen diff", GEN_NOTE_TOKEN=token)
    assert ran.code == 0
    assert why in ran.out
    assert "75 -> 60" in (job.root / "diff.md").read_text()
    assert job.told() == []


@pytest.mark.slow
def test_notes_of_others_stay_and_one_that_does_nothing_is_not_begun(job: Job) -> None:
    job.state.write_text(json.dumps([{"id": 1, "body": "Fine with me"}]))
    assert on_gitlab(job, "gen diff").code == 0
    assert job.told() == ["Fine with me"]
    more_traffic(job)
    on_gitlab(job, "gen diff")
    assert len(job.told()) == 2


@pytest.mark.slow
def test_a_long_change_is_a_note_too(job: Job) -> None:
    many_models(job)
    assert on_gitlab(job, "gen diff").code == 0
    (note,) = job.told()
    assert "Left out to stay below" in note


@pytest.mark.slow
def test_problems_are_in_the_report_and_in_the_log(job: Job) -> None:
    broken(job)
    ran = on_gitlab(job, "gen validate")
    assert ran.code == 1
    assert "models/iris.yaml:3:1: error E201: unknown key `onwer`" in ran.out
    (found,) = quality(job)
    assert found.pop("fingerprint")
    assert found == {
        "check_name": "E201",
        "description": "unknown key `onwer`: did you mean `owner`?",
        "severity": "major",
        "location": {"path": "models/iris.yaml", "lines": {"begin": 3}},
    }
    assert on_gitlab(job, "gen render").code == 1
    assert on_gitlab(job, "gen diff").code == 0
    assert "not everything is compared" in (job.root / "diff.md").read_text()


@pytest.mark.slow
def test_what_was_not_rendered_is_refused_on_gitlab(job: Job) -> None:
    job.change("models/iris.yaml", "target: 75", "target: 60", render=False)
    assert on_gitlab(job, "gen render").code == 1
    assert on_gitlab(job, "gen validate").code == 0


@pytest.mark.slow
def test_the_main_branch_has_no_base(job: Job) -> None:
    assert [on_gitlab(job, name, base="").code for name in JOBS[:2]] == [0, 0]


@pytest.mark.slow
def test_a_clone_without_history_is_told_on_gitlab(job: Job) -> None:
    base = git(job.root, "rev-parse", "origin/main").strip()
    shallow(job)
    for name in ("gen validate", "gen diff"):
        ran = on_gitlab(job, name, base="", CI_MERGE_REQUEST_TARGET_BRANCH_SHA=base)
        assert ran.code == 2
        assert "the clone is shallow" in ran.err


# pre-commit


def hooks() -> list[dict[str, Any]]:
    """List the hooks of this repository, and those that a repository may copy."""
    config = yaml.safe_load((start.STARTER / "ci/pre-commit-config.yaml").read_text())
    (local,) = config["repos"]
    assert local["repo"] == "local"
    return [*yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text()), *local["hooks"]]


@pytest.mark.parametrize(
    "hook", sampled(hooks(), 4), ids=lambda hook: f"{hook['id']}-{hook['language']}"
)
def test_a_hook_passes_what_is_right_and_refuses_what_is_not(
    hook: dict[str, Any], job: Job
) -> None:
    assert hook["pass_filenames"] is False
    assert re.search(hook["files"], "models/iris.yaml")
    assert not re.search(hook["files"], "docs/models/iris.yaml")
    assert job.run(hook["entry"]).code == 0
    write_tree(job.root, {"models/iris.yaml": "name: iris\n"})
    assert job.run(hook["entry"]).code == 1


@pytest.mark.slow
@pytest.mark.parametrize("hook", hooks(), ids=lambda hook: f"{hook['id']}-{hook['language']}")
def test_a_hook_finds_a_forgotten_render_where_that_is_what_it_is_for(
    hook: dict[str, Any], job: Job
) -> None:
    text = (job.root / "models/iris.yaml").read_text()
    write_tree(job.root, {"models/iris.yaml": text.replace("target: 75", "target: 60")})
    code = job.run(hook["entry"]).code
    changed = "rendered/" in git(job.root, "status", "--short")
    assert (code, changed) == {
        "gen-check": (1, False),
        "gen-render": (0, True),
        "gen-validate": (0, False),
    }[hook["id"]]
