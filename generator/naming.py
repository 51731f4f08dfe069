"""How long a name may be, and the public host of a model."""

from __future__ import annotations

LABEL_LIMIT = 63
"""Longest DNS label and label value."""


def host(model: str, namespace: str, domain: str) -> str:
    """Name the public host of a model, by KServe's own default template."""
    return f"{model}-{namespace}.{domain}"
