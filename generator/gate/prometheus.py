"""Prometheus, which is asked for single numbers: the one module that talks to the network.

Whatever can go wrong on the way is an Unanswered, in a sentence. Only the address that was named is
asked: a redirect is refused, so that a token goes nowhere else. Proxies are those of the process's
environment, as for every program.
"""

from __future__ import annotations

import json
import math
import re
import socket
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse, IncompleteRead
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, NoReturn

from generator.gate.measures import Reply

_MOST_BYTES = 1_000_000
"""An answer of one number has some hundred."""


class Unanswered(Exception):
    """Why Prometheus could not be asked, and what to do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = message
        self.hint = hint
        super().__init__(message)


class Unfit(Unanswered):
    """A query that Prometheus refuses, or that gives something else than one number."""

    query = ""


@dataclass(frozen=True, slots=True)
class Prometheus:
    """The server at an address, which may have a path; `token` may be empty."""

    address: str
    token: str = field(default="", repr=False)

    def answers(self, queries: Sequence[str], seconds: float) -> list[Reply]:
        """Ask all queries, one after the other, within so many seconds. Raises Unanswered.

        Sockets have timeouts for every single byte, and looking up a name has none: a thread that
        is left behind is the only thing that ends for sure.
        """
        replies: SimpleQueue[list[Reply] | BaseException] = SimpleQueue()
        Thread(target=self._ask_all, args=(queries, seconds, replies), daemon=True).start()
        try:
            found = replies.get(timeout=seconds)
        except Empty:
            message = f"{self.address} has not answered {len(queries)} queries in {seconds:g} s"
            hint = "`--timeout` waits longer; a shorter `--window` is less work for Prometheus"
            raise Unanswered(message, hint) from None
        if isinstance(found, BaseException):
            raise found
        return found

    def _ask_all(
        self,
        queries: Iterable[str],
        seconds: float,
        replies: SimpleQueue[list[Reply] | BaseException],
    ) -> None:
        try:
            replies.put([self._ask(query, seconds) for query in queries])
        except BaseException as error:
            replies.put(error)

    def _ask(self, query: str, seconds: float) -> Reply:
        try:
            return reply(self._body(query, seconds))
        except Unfit as error:
            error.query = query
            raise
        except urllib.error.HTTPError as error:
            with error:
                _refuse(error, self.address, query)
        except (OSError, HTTPException, ValueError) as error:
            raise _unreachable(error, self.address) from None

    def _body(self, query: str, seconds: float) -> bytes:
        asked = urllib.parse.urlencode({"query": query})
        request = urllib.request.Request(f"{url(self.address)}/api/v1/query?{asked}")
        request.add_header("Accept", "application/json")
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        reach = urllib.request.build_opener(_NoRedirects).open
        response: HTTPResponse
        with reach(request, timeout=seconds) as response:
            body = response.read(_MOST_BYTES + 1)
            if response.length and len(body) <= _MOST_BYTES:
                raise IncompleteRead(body, response.length)
            return body


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Makes an error of a redirect, which urllib would follow with the token in its hand."""

    def redirect_request(self, *_: Any) -> None:
        """Follow nothing."""


def url(address: str) -> str:
    """Return an address without its last slash. Raises Unanswered for what is none of HTTP."""
    try:
        parts = urllib.parse.urlsplit(address)
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_whole = False
        parts = urllib.parse.SplitResult("", "", "", "", "")
    if not is_whole or re.search(r"[\s\x00-\x1f]", address):
        raise Unanswered(f"`{address}` is no address", "one is such as http://prometheus:9090")
    if parts.username is not None or parts.query or parts.fragment:
        hint = "name scheme, host, port and path only; `--bearer-token-file` is for credentials"
        raise Unanswered(f"{parts.hostname}: an address holds no credentials and no query", hint)
    return address.rstrip("/")


# Answers


def reply(body: bytes) -> Reply:
    """Read the number out of an answer. Raises Unanswered for what Prometheus would never say."""
    if len(body) > _MOST_BYTES:
        raise Unfit("the answer is more than a megabyte: these are many series", _ONE)
    said = _parsed(body)
    if said.get("status") != "success":
        raise Unfit(f"Prometheus says: {_line(said.get('error', 'no reason'))}", _TRY)
    data = said.get("data")
    warnings = tuple(map(_line, said.get("warnings") or ()))
    try:
        found = _sample(data["resultType"], data["result"])  # type: ignore[index]
    except (KeyError, TypeError, ValueError, IndexError):
        raise Unanswered("the answer has another form than Prometheus's", _WRONG_PLACE) from None
    return found._replace(warnings=warnings)


_ONE = "put `sum(...)` around the query"
_TRY = "try the query in Prometheus first"
_WRONG_PLACE = "is that address Prometheus's, with the path if it has one?"


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        start = _line(body[:60].decode("utf-8", "replace"))
        raise Unanswered(
            f"the answer is not JSON: {start or 'it is empty'}", _WRONG_PLACE
        ) from None
    if not isinstance(said, dict) or "status" not in said:
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


def _line(text: object) -> str:
    """Make one printable line of whatever somebody else wrote."""
    words = " ".join(str(text).split())
    kept = "".join(each if each.isprintable() else "?" for each in words)
    return kept if len(kept) <= 200 else f"{kept[:200]} ..."


# Refusals


def _refuse(error: urllib.error.HTTPError, address: str, query: str) -> NoReturn:
    """Say what a status means. Raises Unanswered, or Unfit if it is the query's fault."""
    said = f"{address} answers {error.code} {_line(error.reason)}"
    if error.code in (400, 422):
        _refuse_query(error, said, query)
    if 300 <= error.code < 400:
        target = _line(error.headers.get("Location", "elsewhere"))
        hint = "if that is Prometheus, name it with `--address`; it may be where to log in"
        raise Unanswered(f"{address} leads to {target}, which is not followed", hint)
    raise Unanswered(f"{said}{_reason(error)}", _REMEDIES.get(error.code, _LATER))


_TOKEN = "name a file with a token that is valid there: `--bearer-token-file`"
_LATER = "look at Prometheus and at what stands in front of it, and ask again"
_REMEDIES = {
    401: _TOKEN,
    403: _TOKEN,
    404: _WRONG_PLACE,
    405: _WRONG_PLACE,
    407: "the proxy of HTTP_PROXY or HTTPS_PROXY wants credentials; NO_PROXY leaves it out",
}


def _refuse_query(error: urllib.error.HTTPError, said: str, query: str) -> NoReturn:
    reason = _reason(error)
    if not reason:
        raise Unanswered(said, _WRONG_PLACE)
    unfit = Unfit(f"Prometheus refuses the query{reason}", _TRY)
    unfit.query = query
    raise unfit


def _reason(error: urllib.error.HTTPError) -> str:
    """Find the reason that Prometheus gives with a status; empty if somebody else answers."""
    try:
        said = _parsed(error.read(_MOST_BYTES))
    except (Unanswered, OSError, HTTPException):
        return ""
    return f": {_line(said['error'])}" if said.get("error") else ""


def _unreachable(error: Exception, address: str) -> Unanswered:
    """Say in our words why nobody answers."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        hint = "SSL_CERT_FILE names the certificates to trust"
        return Unanswered(f"{address} is not trusted: {_line(reason.verify_message)}", hint)
    if isinstance(reason, ssl.SSLError):
        hint = "does it speak TLS, or is it http:// ?"
        return Unanswered(f"no TLS with {address}: {_line(reason.reason or reason)}", hint)
    if isinstance(reason, socket.gaierror):
        return Unanswered(f"nobody knows the host of {address}", _FROM_HERE)
    if isinstance(reason, TimeoutError):
        return Unanswered(f"{address} does not answer", _FROM_HERE)
    if isinstance(reason, HTTPException):
        return Unanswered(f"{address} does not speak HTTP, or hung up halfway", _WRONG_PLACE)
    said = reason.strerror if isinstance(reason, OSError) and reason.strerror else reason
    return Unanswered(f"{address} cannot be reached: {_line(said)}", _FROM_HERE)


_FROM_HERE = "an environment's address is that inside of its cluster; `--address` names another"
