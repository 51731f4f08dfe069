"""The network: the one module that reaches it, for those who ask a server.

Whatever can go wrong on the way is an Unanswered, in a sentence. Only the address that was named is
asked: a redirect is refused, so that a token goes nowhere else. Proxies are those of the process's
environment, as for every program.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from http.client import HTTPException, HTTPResponse, IncompleteRead
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from msgspec import Struct

Answer = TypeVar("Answer")


class Unanswered(Exception):
    """Why a server could not be asked, and what to do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = message
        self.hint = hint
        super().__init__(message)


class Advice(Struct, frozen=True):
    """What to do, as one kind of server wants it: see `url`, and `unreachable`."""

    example: str
    credentials: str
    wrong_place: str
    from_here: str


class Refused(Exception):
    """A status that is no success: the number, its words, and what came with it."""

    def __init__(self, status: int, reason: str, body: bytes, location: str) -> None:
        self.status = status
        self.reason = line(reason)
        self.body = body
        self.location = line(location)
        super().__init__(f"{status} {reason}")


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Makes an error of a redirect, which urllib would follow with the token in its hand."""

    def redirect_request(self, *_: Any) -> None:
        """Follow nothing."""


def url(address: str, advice: Advice) -> str:
    """Return an address without its last slash. Raises Unanswered for what is none of HTTP."""
    try:
        parts = urllib.parse.urlsplit(address)
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_whole = False
        parts = urllib.parse.SplitResult("", "", "", "", "")
    if not is_whole or re.search(r"[\s\x00-\x1f]", address):
        raise Unanswered(f"`{address}` is no address", f"one is such as {advice.example}")
    if parts.username is not None or parts.query or parts.fragment:
        hint = f"name scheme, host, port and path only; {advice.credentials}"
        raise Unanswered(f"{parts.hostname}: an address holds no credentials and no query", hint)
    return address.rstrip("/")


def body(whole: str, headers: Mapping[str, str], seconds: float, most: int) -> bytes:
    """Fetch what stands at a URL, and one byte too many if it has more than `most`.

    Raises Refused for a status that is no success, and what `unreachable` explains.
    """
    request = urllib.request.Request(whole, headers={"Accept": "application/json", **headers})
    reach = urllib.request.build_opener(_NoRedirects).open
    response: HTTPResponse
    try:
        # `within` ends the whole: a socket that gives up at the same time would say something else
        with reach(request, timeout=2 * seconds) as response:
            found = response.read(most + 1)
            if response.length and len(found) <= most:
                raise IncompleteRead(found, response.length)
            return found
    except urllib.error.HTTPError as error:
        raise _refused(error, most) from None


def _refused(error: urllib.error.HTTPError, most: int) -> Refused:
    with error:
        try:
            told = error.read(most)
        except (OSError, HTTPException):
            told = b""
        location = error.headers.get("Location", "elsewhere")
        return Refused(error.code, str(error.reason), told, location)


FAILURES = (OSError, HTTPException, ValueError)
"""What can happen on the way, for `unreachable`."""


def unreachable(error: Exception, address: str, advice: Advice) -> Unanswered:
    """Say in our words why nobody answers."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        hint = "SSL_CERT_FILE names the certificates to trust"
        return Unanswered(f"{address} is not trusted: {line(reason.verify_message)}", hint)
    if isinstance(reason, ssl.SSLError):
        hint = "does it speak TLS, or is it http:// ?"
        return Unanswered(f"no TLS with {address}: {line(reason.reason or reason)}", hint)
    if isinstance(reason, socket.gaierror):
        return Unanswered(f"nobody knows the host of {address}", advice.from_here)
    if isinstance(reason, TimeoutError):
        return Unanswered(f"{address} does not answer", advice.from_here)
    if isinstance(reason, HTTPException):
        return Unanswered(f"{address} does not speak HTTP, or hung up halfway", advice.wrong_place)
    said = reason.strerror if isinstance(reason, OSError) and reason.strerror else reason
    return Unanswered(f"{address} cannot be reached: {line(said)}", advice.from_here)


def within(seconds: float, ask: Callable[[], Answer], late: Unanswered) -> Answer:
    """Ask within so many seconds, or raise `late`; whatever else is raised goes on from here.

    Sockets have timeouts for every single byte, and looking up a name has none: a thread that is
    left behind is the only thing that ends for sure.
    """
    replies: SimpleQueue[tuple[Answer | None, BaseException | None]] = SimpleQueue()
    Thread(target=_asking, args=(ask, replies), daemon=True).start()
    try:
        answer, error = replies.get(timeout=seconds)
    except Empty:
        raise late from None
    if error is not None:
        raise error
    return answer  # type: ignore[return-value]  # without an error, it is one


def _asking(
    ask: Callable[[], Answer], replies: SimpleQueue[tuple[Answer | None, BaseException | None]]
) -> None:
    try:
        replies.put((ask(), None))
    except BaseException as error:
        replies.put((None, error))


def parsed(found: bytes, server: str, advice: Advice) -> dict[str, Any]:
    """Read a mapping in JSON. Raises Unanswered for anything else."""
    try:
        said = json.loads(found)
    except (ValueError, RecursionError):
        start = line(found[:60].decode("utf-8", "replace"))
        message = f"the answer is not JSON: {start or 'it is empty'}"
        raise Unanswered(message, advice.wrong_place) from None
    if not isinstance(said, dict):
        raise Unanswered(f"the answer is JSON, and not {server}'s", advice.wrong_place)
    return said


def line(text: object) -> str:
    """Make one printable line of whatever somebody else wrote."""
    words = " ".join(str(text).split())
    kept = "".join(each if each.isprintable() else "?" for each in words)
    return kept if len(kept) <= 200 else f"{kept[:200]} ..."
