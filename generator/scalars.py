"""How a value is written in YAML so that 1.1 and 1.2 parsers read the same value back.

Everything that either version could take for another type is double-quoted. Nothing here can
change the structure of the document around it.
"""

from __future__ import annotations

import math
import re
from json.encoder import encode_basestring
from typing import Any

# A string stays plain only if no parser, in block or flow context, can read it otherwise.
_PLAIN = re.compile(
    r"[A-Za-z_/][\w./@+=-]*(?: [A-Za-z0-9_./@+=(-][\w./@+=()-]*)*"
    r"|[A-Za-z_][\w./@+-]*(?::[\w/.@+-]+)+",
    re.ASCII,
)
_RESERVED = frozenset(
    spelling
    for word in ("null", "true", "false", "yes", "no", "on", "off", "y", "n")
    for spelling in (word, word.title(), word.upper())
)
# Characters that JSON leaves alone but a YAML parser folds, drops or refuses.
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
# What a literal block can hold: printable lines, none of which starts or ends ambiguously.
_LITERAL = re.compile(
    r"[^\s\x00-\x1f][^\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]*"
)
_MEMO_LIMIT = 100_000

_memo: dict[str, str] = {}


def text(value: str) -> str:
    """Write a string as one scalar, plain where that is certain and double-quoted elsewhere."""
    written = _memo.get(value)
    if written is None:
        if len(_memo) >= _MEMO_LIMIT:
            _memo.clear()
        written = _memo[value] = _text(value)
    return written


def _text(value: str) -> str:
    if _PLAIN.fullmatch(value) and value not in _RESERVED:
        return value
    quoted = encode_basestring(value)
    if quoted.isascii() and "\x7f" not in quoted:
        return quoted
    return _ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", quoted)


def scalar(value: Any) -> str:
    """Write a string, number, boolean or None as one scalar.

    Raises TypeError for anything else and ValueError for a float that is not finite.
    """
    if value.__class__ is str:
        return text(value)
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    if value.__class__ is int:
        return str(value)
    if value.__class__ is float:
        return _float(value)
    if isinstance(value, str):
        return text(str.__str__(value))
    raise TypeError(f"{type(value).__name__} is not a scalar")


def _float(value: float) -> str:
    if not math.isfinite(value):
        raise ValueError(f"{value} is not a finite number")
    written = repr(value)
    if "e" not in written:
        return written
    mantissa, exponent = written.split("e")  # YAML 1.1 wants a dot and a sign
    mantissa = mantissa if "." in mantissa else f"{mantissa}.0"
    return f"{mantissa}e{exponent if exponent[0] in '+-' else '+' + exponent}"


def is_literal(value: str) -> bool:
    """Say whether a text of several lines can stand as a literal block (`|`)."""
    return "\n" in value and not value.endswith("\n\n") and bool(_LITERAL.fullmatch(value))


def literal(value: str, indent: str) -> str:
    """Write a text of several lines as a literal block, from its indicator on, no final newline."""
    body = value.removesuffix("\n")
    lines = [indent + line if line else "" for line in body.split("\n")]
    return "\n".join(["|" if body != value else "|-", *lines])


def block(value: Any, indent: str) -> str:
    """Write a value as it stands after `key:` or at the start of a document, from its first line.

    A non-empty mapping or list takes lines of its own, each one starting with `indent`, and no
    newline at the end; anything else is one scalar without indentation.
    """
    if value.__class__ is str and is_literal(value):
        return literal(value, indent)
    if value.__class__ is dict and value:
        return "\n".join([indent + _entry(key, item, indent) for key, item in value.items()])
    if isinstance(value, list | tuple) and value:
        return "\n".join([f"{indent}- {_item(item, indent + '  ')}" for item in value])
    return flow(value)


def _entry(key: Any, value: Any, indent: str) -> str:
    written = block(value, indent + "  ")
    gap = "\n" if is_block(value) else " "
    return f"{scalar(key)}:{gap}{written}"


def _item(value: Any, indent: str) -> str:
    return block(value, indent).removeprefix(indent) if is_block(value) else block(value, indent)


def is_block(value: Any) -> bool:
    """Say whether `block` gives the value lines of its own."""
    return bool(value) and (value.__class__ is dict or isinstance(value, list | tuple))


def flow(value: Any) -> str:
    """Write a value on one line, collections in flow style."""
    if value.__class__ is dict:
        return "{" + ", ".join(f"{scalar(k)}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    return scalar(value)
