"""The Pushgateway, which a drift check tells what it found.

It keeps what it was told until somebody tells it otherwise, so that each check replaces all of its
group (prometheus/pushgateway@README.md).
"""

from __future__ import annotations

import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPException

from generator.drift.measured import JOB, Broken

_SECONDS = 30
_PLAIN = "text/plain; version=0.0.4"


def push(address: str, model: str, environment: str, exposition: str) -> None:
    """Replace the series of a model in an environment. Raises Broken if nobody takes them."""
    group = {"job": JOB, "environment": environment, "model": model}
    path = "".join(f"/{key}/{urllib.parse.quote(value, safe='')}" for key, value in group.items())
    who, hint = f"the Pushgateway at {address}", "look at `platform.prometheus.pushgateway`"
    try:
        url = f"{address.rstrip('/')}/metrics{path}"
        request = urllib.request.Request(url, exposition.encode(), {"Content-Type": _PLAIN})
        request.method = "PUT"
        with urllib.request.urlopen(request, timeout=_SECONDS):
            return
    except urllib.error.HTTPError as error:
        with error:
            said = error.read(1000).decode("utf-8", "replace").strip().partition("\n")[0]
        raise Broken(f"{who} answers {error.code}: {said or error.reason}", hint) from None
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise Broken(f"{who} cannot be reached: {reason}", hint) from None
