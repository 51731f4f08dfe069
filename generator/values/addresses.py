"""What an address of HTTP leads to."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit


def parts(address: str) -> SplitResult:
    """Part an address; all parts are empty of what is none, such as `http://[x`."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


def namespace_of(address: str) -> str:
    """Read the namespace of a Service from its address; empty where it is none of the cluster."""
    labels = (parts(address).hostname or "").split(".")
    is_inside = len(labels) == 2 or (len(labels) > 2 and labels[2] == "svc")
    return labels[1] if is_inside else ""
