"""Who reviews what: a section of CODEOWNERS, from the owners that the specs name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

_BEGIN = "# gen codeowners: models by their owners; written by gen, not by hand"
_END = "# gen codeowners: end"
_OF_PLATFORM = (
    "CODEOWNERS",
    "/environments/",
    "/templates/",
    "/schemas/",
    "/argocd/",
    "/rendered/*/_platform/",
)
_OF_MODEL = ("/models/{}.yaml", "/rendered/*/{}/", "/argocd/*/application-{}.yaml")
_REVIEWER = re.compile(r"@[\w.-]+(?:/[\w.-]+)*|[^\s@#]+@[^\s@#]+\.[^\s@#]+", re.ASCII)


def is_reviewer(text: str) -> bool:
    """Say whether a text is what CODEOWNERS takes: `@org/team`, `@user` or an e-mail address."""
    return _REVIEWER.fullmatch(text) is not None


def section(
    owners: Mapping[str, str], reviewers: Mapping[str, Sequence[str]], platform: Iterable[str]
) -> str:
    """Write who reviews each model, its owner by name, and who reviews what all models share.

    The last pattern that fits a path wins, so what is shared comes first.
    """
    shared = " ".join(platform)
    of_platform = [f"{pattern} {shared}" for pattern in _OF_PLATFORM] if shared else []
    of_models = [
        f"{pattern.format(model)} {' '.join(reviewers[owners[model]])}"
        for model in sorted(owners)
        for pattern in _OF_MODEL
    ]
    return "\n".join([_BEGIN, *of_platform, *of_models, _END, ""])


def found(text: str) -> str:
    """Return the section that a CODEOWNERS file has; empty if it has none."""
    return "".join(f"{line}\n" for line in _lines(text.splitlines()))


def _lines(lines: Sequence[str]) -> Iterator[str]:
    if _BEGIN in lines:
        start = lines.index(_BEGIN)
        end = lines.index(_END, start) if _END in lines[start:] else len(lines) - 1
        yield from lines[start : end + 1]
