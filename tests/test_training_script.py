"""The script that starts runs inside of a cluster, played with a kubectl that only takes notes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

CONFIG_MAP = (
    Path(__file__).parent
    / "cases/valid/everything-training/expected/rendered/prod/churn/config-map-training.yaml"
)
SHELLS = [name for name in ("dash", "bash", "busybox") if shutil.which(name)]
KUBECTL = """\
#!/bin/sh
echo "$*" >> {notes}
if [ "$1" = get ]; then printf '%s' '{runs}'; fi
"""

shells = pytest.mark.parametrize("shell", SHELLS)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "create.sh"
    path.write_text(yaml.safe_load(CONFIG_MAP.read_text())["data"]["create.sh"])
    return path


def played(
    shell: str, script: Path, runs: str, concurrency: str, history: int = 2
) -> tuple[int, list[str]]:
    """Run the script where these runs are, and return its exit code and the calls that change."""
    folder, notes = script.parent, script.parent / "notes"
    kubectl = folder / "kubectl"
    kubectl.write_text(KUBECTL.format(notes=notes, runs=runs))
    kubectl.chmod(0o755)
    environ = {"PATH": f"{folder}:/usr/bin:/bin", "NAMESPACE": "ml", "RESOURCE": "trainjobs"}
    environ |= {"SELECTOR": "a=b", "MANIFEST": "/m.yaml", "HISTORY": str(history)}
    words = [shell, "sh"] if shell == "busybox" else [shell]
    ran = subprocess.run(
        [*words, str(script)], env={**environ, "CONCURRENCY": concurrency}, check=False
    )
    return ran.returncode, notes.read_text().splitlines()[1:]


CREATED = "create --filename=/m.yaml"


@shells
@pytest.mark.parametrize("concurrency", ["Forbid", "Replace", "Allow"])
def test_first_run_is_created(shell: str, script: Path, concurrency: str) -> None:
    assert played(shell, script, "", concurrency) == (0, [CREATED])


@shells
@pytest.mark.parametrize(
    ("concurrency", "calls"),
    [
        ("Forbid", []),
        ("Replace", ["delete trainjobs --namespace=ml b", CREATED]),
        ("Allow", [CREATED]),
    ],
)
def test_run_that_waits_in_its_queue_is_still_going(
    shell: str, script: Path, concurrency: str, calls: list[str]
) -> None:
    assert played(shell, script, "a=Complete, b=Suspended, ", concurrency) == (0, calls)


@shells
def test_run_that_has_only_been_made_is_still_going(shell: str, script: Path) -> None:
    assert played(shell, script, "a= ", "Forbid") == (0, [])


@shells
def test_oldest_finished_runs_go_once_another_one_is_there(shell: str, script: Path) -> None:
    runs = "a=Complete, b=Suspended,Failed, c=Succeeded, d=Complete, "
    gone = [f"delete trainjobs --namespace=ml {name}" for name in "ab"]
    assert played(shell, script, runs, "Forbid") == (0, [CREATED, *gone])
