"""What can be said of a PromQL expression without asking Prometheus.

How many series it gives, whether it can be empty, what it is restricted to, and what Prometheus or
KEDA would refuse. Nothing is said of what is not understood, so that an unusual expression passes.
Source: prometheus/prometheus@docs/querying, kedacore/keda@pkg/scalers/prometheus_scaler.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import IntEnum
from functools import lru_cache

from msgspec import Struct

Tokens = tuple[str, ...]

_TOKEN = re.compile(
    r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|`[^`]*`'
    r"|[0-9][0-9.a-zA-Z_]*|\.[0-9]+|[a-zA-Z_:][a-zA-Z0-9_:]*"
    r"|=~|!~|==|!=|>=|<=|[-+*/%^=<>,(){}\[\]@$]"
)
_VARIABLE = re.compile(r"\$\{?[a-zA-Z_]")
_SPACE = re.compile(r"\s+|#[^\n]*")
_CLOSING = {"(": ")", "{": "}", "[": "]"}
_AGGREGATIONS = frozenset(
    ("sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "quantile")
)
_CHOOSING = frozenset(("topk", "bottomk", "limitk", "limit_ratio", "count_values"))
_OVER_A_RANGE = frozenset(
    ("rate", "irate", "increase", "delta", "idelta", "deriv", "resets", "changes", "predict_linear")
)
_SCALARS = frozenset(("scalar", "time", "pi"))
_ALWAYS_ONE = frozenset(("vector", "absent", "absent_over_time"))
_ARITHMETIC = frozenset(("+", "-", "*", "/", "%", "^", "==", "!=", ">", "<", ">=", "<=", "atan2"))
_MATCHING = frozenset(("on", "ignoring", "group_left", "group_right"))
_GROUPING = frozenset(("by", "without"))
_WORDS = _MATCHING | _GROUPING | {"or", "and", "unless", "bool", "offset", "atan2", "start", "end"}


class Series(IntEnum):
    """How many series an expression gives, by how sure that is."""

    SCALAR = 0
    ONE = 1
    UNKNOWN = 2
    SEVERAL = 3


class Answer(Struct, frozen=True):
    """What an expression gives, and by which labels it keeps series apart."""

    series: Series
    labels: tuple[str, ...] = ()


class _Unclear(Exception):
    """The expression has a part that is not understood here."""


@lru_cache(1024)
def flaw(query: str) -> str:
    """Say why Prometheus or KEDA refuses an expression; empty if there is no reason."""
    if _VARIABLE.search(query) and "label_replace" not in query:
        return "`$` is Grafana's way to name a variable, and Prometheus has none"
    tokens = _tokens(query)
    if tokens is None:
        return "a quote is opened and not closed" if _is_quoted_badly(query) else ""
    unbalanced = _unbalanced(tokens)
    if unbalanced:
        return unbalanced
    if tokens and tokens[-1] == "]":
        return "a range such as `[2m]` is no number: it needs a function such as `rate`"
    without = next(_without_a_range(tokens), "")
    if without:
        return f"`{without}` needs a range, such as `[2m]`"
    if answer(query).series is Series.SCALAR:
        return "it is a plain number, and KEDA reads a vector: put `vector(...)` around it"
    return ""


@lru_cache(1024)
def answer(query: str) -> Answer:
    """Say how many series an expression gives."""
    tokens = _tokens(query)
    try:
        return _answer(tokens) if tokens else Answer(Series.UNKNOWN)
    except (_Unclear, IndexError):
        return Answer(Series.UNKNOWN)


_OF_PODS = re.compile(
    r"\b(?:vllm:|sglang:|tgi_|nv_inference|request_(?:pre|post)?(?:process|predict|explain)_seconds"
    r"|model_infer_request|revision_(?:app_)?request|container_(?:cpu|memory)|DCGM_FI_)"
)


def is_of_pods(query: str, workload: str) -> bool:
    """Say whether only the Pods of a workload report what a query asks for."""
    return bool(_OF_PODS.search(query)) or f'pod=~"{workload}' in query


def may_be_empty(query: str) -> bool:
    """Say whether nothing in an expression stands in for series that are not there."""
    tokens = _tokens(query) or ()
    return not any(token in _ALWAYS_ONE for token in tokens)


@lru_cache(1024)
def unrestricted(query: str) -> str:
    """Name a metric that an expression takes from everywhere, whatever its labels; or nothing."""
    tokens = _tokens(query) or ()
    depth = 0
    for index, token in enumerate(tokens):
        depth += (token == "{") - (token == "}")
        if depth == 0 and _is_metric(tokens, index) and not _has_matcher(tokens, index):
            return token
    return ""


@lru_cache(1024)
def _tokens(query: str) -> Tokens | None:
    found, place = [], 0
    while place < len(query):
        space = _SPACE.match(query, place)
        if space:
            place = space.end()
            continue
        token = _TOKEN.match(query, place)
        if token is None:
            return None
        found.append(token[0])
        place = token.end()
    return tuple(found)


def _is_quoted_badly(query: str) -> bool:
    rest = re.sub(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|`[^`]*`', "", query)
    return any(quote in rest for quote in "\"'`")


def _unbalanced(tokens: Tokens) -> str:
    opened: list[str] = []
    for token in tokens:
        if token in _CLOSING:
            opened.append(_CLOSING[token])
        elif token in _CLOSING.values() and (not opened or opened.pop() != token):
            return f"`{token}` closes nothing"
    return f"`{opened[-1]}` is missing" if opened else ""


def _without_a_range(tokens: Tokens) -> Iterator[str]:
    for index, token in enumerate(tokens[:-1]):
        ranged = token in _OVER_A_RANGE or token.endswith("_over_time")
        if ranged and tokens[index + 1] == "(" and "[" not in _inside(tokens, index + 1):
            yield token


def _is_metric(tokens: Tokens, index: int) -> bool:
    token = tokens[index]
    if not (token[0].isalpha() or token[0] in "_:") or token in _WORDS:
        return False
    following = tokens[index + 1] if index + 1 < len(tokens) else ""
    is_called = following == "(" or (following in _GROUPING and index + 2 < len(tokens))
    return not is_called and not _is_label(tokens, index) and token.lower() not in ("inf", "nan")


def _is_label(tokens: Tokens, index: int) -> bool:
    """Say whether a word stands in the braces of a selector or in the list of a grouping."""
    depth = 0
    for place in range(index - 1, -1, -1):
        token = tokens[place]
        depth += token in ")}]"
        if token in ("(", "{", "["):
            if depth == 0:
                return token in "{[" or (place > 0 and tokens[place - 1] in _GROUPING | _MATCHING)
            depth -= 1
    return False


def _has_matcher(tokens: Tokens, index: int) -> bool:
    return tokens[index + 1 : index + 2] == ("{",) and bool(_inside(tokens, index + 1))


def _inside(tokens: Tokens, start: int) -> Tokens:
    """Give what stands between a bracket and the one that closes it."""
    return tokens[start + 1 : _end(tokens, start)]


def _end(tokens: Tokens, start: int) -> int:
    depth = 0
    for place in range(start, len(tokens)):
        depth += (tokens[place] in _CLOSING) - (tokens[place] in _CLOSING.values())
        if not depth:
            return place
    raise _Unclear


def _split(tokens: Tokens, at: frozenset[str]) -> list[Tokens]:
    """Cut at operators that stand outside of all brackets."""
    parts: list[list[str]] = [[]]
    depth = 0
    for token in tokens:
        depth += (token in _CLOSING) - (token in _CLOSING.values())
        if depth == 0 and token in at and parts[-1]:
            parts.append([])
        else:
            parts[-1].append(token)
    return [tuple(part) for part in parts]


def _answer(tokens: Tokens) -> Answer:
    either = [_joined(part) for part in _split(tokens, frozenset(("or",)))]
    return max(either, key=lambda found: found.series)


def _joined(tokens: Tokens) -> Answer:
    first = _split(tokens, frozenset(("and", "unless")))[0]
    operands = [_unmatched(part) for part in _split(first, _ARITHMETIC)]
    answers = [_operand(part) for part in operands if part]
    if any(found is None for found in answers):
        raise _Unclear
    vectors = [found for found in answers if found and found.series is not Series.SCALAR]
    if not vectors:
        return Answer(Series.SCALAR)
    is_grouped = any(token.startswith("group_") for token in first)
    choose = max if is_grouped else min
    return choose(vectors, key=lambda found: found.series)


def _unmatched(tokens: Tokens) -> Tokens:
    """Drop what a binary operator says of labels: `on (a)`, `ignoring (b)`, `bool`."""
    while tokens and (tokens[0] in _MATCHING or tokens[0] in ("bool", "-", "+")):
        has_list = tokens[0] in _MATCHING and tokens[1:2] == ("(",)
        tokens = tokens[_end(tokens, 1) + 1 :] if has_list else tokens[1:]
    return tokens


def _operand(tokens: Tokens) -> Answer | None:
    first = tokens[0]
    if first == "(":
        return _answer(_inside(tokens, 0))
    if first[0].isdigit() or first[0] in ".\"'`" or first.lower() in ("inf", "nan"):
        return Answer(Series.SCALAR)
    if first in _AGGREGATIONS or first in _CHOOSING:
        return _aggregated(tokens)
    if tokens[1:2] == ("(",):
        return _called(first, _inside(tokens, 1))
    is_selector = first == "{" or first[0].isalpha() or first[0] in "_:"
    return Answer(Series.UNKNOWN) if is_selector else None


def _aggregated(tokens: Tokens) -> Answer:
    clause, labels, body = _parts(tokens)
    if tokens[0] in _CHOOSING:
        is_one = tokens[0] in ("topk", "bottomk", "limitk") and body[:2] == ("1", ",")
        return Answer(Series.ONE if is_one and not clause else Series.UNKNOWN)
    if not clause:
        return Answer(Series.ONE)
    if clause == "without":
        return Answer(Series.UNKNOWN)
    free = tuple(label for label in labels if not _is_pinned(label, body))
    return Answer(Series.SEVERAL, free) if free else Answer(Series.ONE)


def _parts(tokens: Tokens) -> tuple[str, Tokens, Tokens]:
    """Take an aggregation apart: `by` or `without`, its labels, and what is aggregated."""
    if tokens[1:2] == ("(",):
        end = _end(tokens, 1)
        body, rest = tokens[2:end], tokens[end + 1 :]
        clause = rest[0] if rest and rest[0] in _GROUPING else ""
        labels = _inside(rest, 1) if clause else ()
    else:
        clause, end = tokens[1], _end(tokens, 2)
        labels, body = tokens[3:end], _inside(tokens, end + 1)
    return clause, tuple(label for label in labels if label != ","), body


def _is_pinned(label: str, body: Tokens) -> bool:
    return any(body[i] == label and body[i + 1] == "=" for i in range(len(body) - 1))


def _called(function: str, body: Tokens) -> Answer:
    if function in _SCALARS:
        return Answer(Series.SCALAR)
    if function in _ALWAYS_ONE:
        return Answer(Series.ONE)
    answers = [_answer(part) for part in _split(body, frozenset((",",))) if part]
    vectors = [found for found in answers if found.series is not Series.SCALAR]
    if not vectors:
        return Answer(Series.ONE)
    most = max(vectors, key=lambda found: found.series)
    if function == "histogram_quantile" and most.series is Series.SEVERAL:
        rest = tuple(label for label in most.labels if label != "le")
        return Answer(Series.SEVERAL, rest) if rest else Answer(Series.ONE)
    return most
