"""Who reviews what, as CODEOWNERS says it."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import ENVIRONMENT, MODEL, gen, write_tree

MAP = ("--map", "growth=@example/growth", "--map", "risk-ml=@example/risk,@ada")
SECTION = """\
# gen codeowners: models by their owners; written by gen, not by hand
CODEOWNERS @example/platform
/environments/ @example/platform
/templates/ @example/platform
/schemas/ @example/platform
/argocd/ @example/platform
/rendered/*/_platform/ @example/platform
/models/churn.yaml @example/growth
/rendered/*/churn/ @example/growth
/argocd/*/application-churn.yaml @example/growth
/models/fraud.yaml @example/risk @ada
/rendered/*/fraud/ @example/risk @ada
/argocd/*/application-fraud.yaml @example/risk @ada
# gen codeowners: end
"""
PLATFORM = ("--platform", "@example/platform")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    fraud = MODEL.replace("churn", "fraud").replace("growth", "risk-ml")
    files: dict[str, str | bytes] = {
        "environments/dev.yaml": ENVIRONMENT,
        "models/churn.yaml": MODEL,
        "models/fraud.yaml": fraud,
    }
    return write_tree(tmp_path / "repository", files)


def test_each_model_is_reviewed_by_its_owner_and_the_rest_by_the_platform(root: Path) -> None:
    ran = gen("codeowners", *MAP, *PLATFORM, root=root)
    assert (ran.code, ran.out, ran.err) == (0, SECTION, "")


def test_nothing_is_said_of_what_nobody_was_named_for(root: Path) -> None:
    lines = gen("codeowners", *MAP, root=root).out.splitlines()
    assert len(lines) == 2 + 2 * 3
    assert not any("environments" in line for line in lines)


def test_a_map_goes_before_the_organization(root: Path) -> None:
    ran = gen("codeowners", "--org", "example", "--map", "growth=ada@example.com", root=root)
    assert "/models/churn.yaml ada@example.com\n" in ran.out
    assert "/models/fraud.yaml @example/risk-ml\n" in ran.out
    assert gen("codeowners", "--org", "@example", root=root).code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--map", "growth=@x/y"),
            "nobody is known to review for risk-ml: --map risk-ml=@ORG/TEAM",
        ),
        (("--map", "growth"), "Invalid value for '--map': '' is neither @ORG/TEAM nor @USER"),
        (("--map", "growth=risk team"), "'risk team' is neither @ORG/TEAM nor @USER"),
        (("--platform", "platform"), "'platform' is neither @ORG/TEAM nor @USER"),
        (("--org", "an org"), "'@an org' is neither @ORG/TEAM nor @USER"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_who_cannot_review_is_a_usage_error(
    arguments: tuple[str, ...], message: str, root: Path
) -> None:
    ran = gen("codeowners", *arguments, root=root)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err.replace("\n", " ")


def check(root: Path) -> tuple[int, str]:
    ran = gen("codeowners", *MAP, *PLATFORM, "--check", "CODEOWNERS", root=root)
    return ran.code, ran.out


@pytest.mark.parametrize(
    "text",
    [
        SECTION,
        f"* @example/all\n\n{SECTION}\n/docs/ @ada\n",
        SECTION.rstrip("\n"),
        SECTION.replace("\n", "\r\n"),
        "\ufeff" + SECTION,
    ],
    ids=["alone", "among others", "no last line end", "Windows", "byte order mark"],
)
def test_a_file_with_the_section_passes(text: str, root: Path) -> None:
    write_tree(root, {"CODEOWNERS": text})
    assert check(root) == (0, "CODEOWNERS says who reviews what\n")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "* @example/all\n",
        SECTION.replace("/models/churn.yaml @example/growth\n", ""),
        SECTION.replace("@ada", "@bob"),
        SECTION.replace("# gen codeowners: end\n", ""),
        SECTION.replace("# gen codeowners: models", "# models"),
    ],
    ids=["empty", "without", "a model lacks", "another reviewer", "no end", "no beginning"],
)
def test_a_file_without_it_is_refused_and_left_alone(text: str, root: Path) -> None:
    write_tree(root, {"CODEOWNERS": text})
    code, out = check(root)
    assert code == 1
    assert out.startswith("--- a/CODEOWNERS\n+++ b/CODEOWNERS\n@@ ")
    assert (root / "CODEOWNERS").read_text() == text


def test_a_file_that_is_not_there_lacks_the_section(root: Path) -> None:
    code, out = check(root)
    assert code == 1
    assert out.count("\n+") == 1 + len(SECTION.splitlines())


def test_a_model_that_comes_or_changes_hands_is_noticed(root: Path) -> None:
    write_tree(root, {"CODEOWNERS": SECTION})
    write_tree(root, {"models/churn.yaml": MODEL.replace("growth", "risk-ml")})
    code, out = check(root)
    assert code == 1
    assert "-/models/churn.yaml @example/growth\n" in out
    assert "+/models/churn.yaml @example/risk @ada\n" in out


def test_a_file_that_is_no_text_is_told(root: Path) -> None:
    write_tree(root, {"CODEOWNERS": b"\xff"})
    ran = gen("codeowners", *MAP, "--check", "CODEOWNERS", root=root)
    assert ran.code == 2
    assert "CODEOWNERS cannot be read" in ran.err
