"""Prometheus, which is asked for single numbers.

Whatever can go wrong on the way is an Unanswered, in a sentence.
"""

from __future__ import annotations

import math
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from generator import web
from generator.gate.measures import Reply
from generator.web import Unanswered as Unanswered

_MOST_BYTES = 1_000_000
"""An answer of one number has some hundred."""

_ONE = "put `sum(...)` around the query"
_TRY = "try the query in Prometheus first"
_WRONG_PLACE = "is that address Prometheus's, with the path if it has one?"

_ADVICE = web.Advice(
    example="http://prometheus:9090",
    credentials="`--bearer-token-file` is for credentials",
    wrong_place=_WRONG_PLACE,
    from_here="an environment's address is that inside of its cluster; `--address` names another",
)


class Unfit(Unanswered):
    """A query that Prometheus refuses, or that gives something else than one number."""

    query = ""


@dataclass(frozen=True, slots=True)
class Prometheus:
    """The server at an address, which may have a path; `token` may be empty."""

    address: str
    token: str = field(default="", repr=False)

    def answers(self, queries: Sequence[str], seconds: float) -> list[Reply]:
        """Ask all queries, one after the other, within so many seconds. Raises Unanswered."""
        message = f"{self.address} has not answered {len(queries)} queries in {seconds:g} s"
        hint = "`--timeout` waits longer; a shorter `--window` is less work for Prometheus"
        late = Unanswered(message, hint)
        return web.within(seconds, lambda: [self._ask(query, seconds) for query in queries], late)

    def _ask(self, query: str, seconds: float) -> Reply:
        try:
            return reply(self._body(query, seconds))
        except Unfit as error:
            error.query = query
            raise
        except web.Refused as error:
            _refuse(error, self.address, query)
        except web.FAILURES as error:
            raise web.unreachable(error, self.address, _ADVICE) from None

    def _body(self, query: str, seconds: float) -> bytes:
        asked = urllib.parse.urlencode({"query": query})
        whole = f"{url(self.address)}/api/v1/query?{asked}"
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return web.body(whole, headers, seconds, _MOST_BYTES)


def url(address: str) -> str:
    """Return an address without its last slash. Raises Unanswered for what is none of HTTP."""
    return web.url(address, _ADVICE)


# Answers


def reply(body: bytes) -> Reply:
    """Read the number out of an answer. Raises Unanswered for what Prometheus would never say."""
    if len(body) > _MOST_BYTES:
        raise Unfit("the answer is more than a megabyte: these are many series", _ONE)
    said = _parsed(body)
    if said.get("status") != "success":
        raise Unfit(f"Prometheus says: {web.line(said.get('error', 'no reason'))}", _TRY)
    data = said.get("data")
    warnings = tuple(map(web.line, said.get("warnings") or ()))
    try:
        found = _sample(data["resultType"], data["result"])  # type: ignore[index]
    except (KeyError, TypeError, ValueError, IndexError):
        raise Unanswered("the answer has another form than Prometheus's", _WRONG_PLACE) from None
    return found._replace(warnings=warnings)


def _parsed(body: bytes) -> dict[str, Any]:
    said = web.parsed(body, "Prometheus", _ADVICE)
    if "status" not in said:
        raise Unanswered("the answer is JSON, and not Prometheus's", _WRONG_PLACE)
    return said


def _sample(kind: str, result: Any) -> Reply:
    if kind == "scalar":
        return _number(result[1])
    if kind != "vector":
        raise Unfit(f"the query gives a {kind}, and one number is needed", _TRY)
    if len(result) > 1:
        raise Unfit(f"the query gives {len(result)} series, and one is needed", _ONE)
    return _number(result[0]["value"][1]) if result else Reply(None, "no series")


def _number(text: str) -> Reply:
    value = float(text)
    return Reply(value) if math.isfinite(value) else Reply(None, str(text))


# Refusals


def _refuse(error: web.Refused, address: str, query: str) -> NoReturn:
    """Say what a status means. Raises Unanswered, or Unfit if it is the query's fault."""
    said = f"{address} answers {error.status} {error.reason}"
    if error.status in (400, 422):
        _refuse_query(error, said, query)
    if 300 <= error.status < 400:
        hint = "if that is Prometheus, name it with `--address`; it may be where to log in"
        message = f"{address} leads to {error.location}, which is not followed"
        raise Unanswered(message, hint)
    raise Unanswered(f"{said}{_reason(error)}", _REMEDIES.get(error.status, _LATER))


_TOKEN = "name a file with a token that is valid there: `--bearer-token-file`"
_LATER = "look at Prometheus and at what stands in front of it, and ask again"
_REMEDIES = {
    401: _TOKEN,
    403: _TOKEN,
    404: _WRONG_PLACE,
    405: _WRONG_PLACE,
    407: "the proxy of HTTP_PROXY or HTTPS_PROXY wants credentials; NO_PROXY leaves it out",
}


def _refuse_query(error: web.Refused, said: str, query: str) -> NoReturn:
    reason = _reason(error)
    if not reason:
        raise Unanswered(said, _WRONG_PLACE)
    unfit = Unfit(f"Prometheus refuses the query{reason}", _TRY)
    unfit.query = query
    raise unfit


def _reason(error: web.Refused) -> str:
    """Find the reason that Prometheus gives with a status; empty if somebody else answers."""
    try:
        said = _parsed(error.body)
    except Unanswered:
        return ""
    return f": {web.line(said['error'])}" if said.get("error") else ""
