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
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
# What a literal block can hold: printable lines, none of which starts or ends ambiguously.
_LITERAL = re.compile(
    r"(?!\s)[^\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]+"
)
_KEY_LIMIT = 1_024
"""How far libyaml looks for the colon behind a key."""
_PRIVATE = re.compile("[\ue000-\uf8ff]")
_MEMO_LIMIT = 5_000
_BLOCKS_LIMIT = 4096

_memo: dict[str, str] = {}
_after_key: dict[str, str] = {}
_keys: dict[str, str] = {}
_blocks: dict[int, tuple[Any, str, str]] = {}


def text(value: str) -> str:
    """Write a string as one scalar, plain where that is certain and double-quoted elsewhere.

    Raises ValueError for half of a surrogate pair, which no file in UTF-8 can hold.
    """
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
    surrogate = _SURROGATE.search(value)
    if surrogate:
        raise ValueError(f"U+{ord(surrogate[0]):04X} is half of a character")
    private = _PRIVATE.search(value)
    if private:
        raise ValueError(f"U+{ord(private[0]):04X} is a private-use character")
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


def key_text(key: Any) -> str:
    """Write the key of a mapping. Raises TypeError if it is no string, ValueError if too long."""
    written = _keys.get(key) if key.__class__ is str else None
    return written if written is not None else _new_key(key)


def _new_key(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"the key {key!r} is not a text")
    written = scalar(key)
    if len(written) > _KEY_LIMIT:
        raise ValueError(f"a key of {len(written)} characters, of which parsers read 1,024")
    if len(_keys) >= _MEMO_LIMIT:
        _keys.clear()
    _keys[key] = written
    return written


def is_literal(value: str) -> bool:
    """Say whether a text of several lines can stand as a literal block (`|`)."""
    return "\n" in value and not value.endswith("\n\n") and bool(_LITERAL.fullmatch(value))


def literal(value: str, indent: str) -> str:
    """Write a text of several lines as a literal block, from its indicator on, no final newline."""
    body = value.removesuffix("\n")
    lines = [indent + line if line else "" for line in body.split("\n")]
    return "\n".join(["|" if body != value else "|-", *lines])


known_after_key = _after_key.get
"""Looks up a text as `after_key` writes it, if it was written before: most come again."""


def after_key(value: Any, indent: str) -> str:
    """Write a value as it stands after `key:`, with the gap before it.

    A non-empty mapping or list starts on a new line, each of its lines with `indent`; a text of
    several lines is a literal block where it can be; anything else is one scalar.
    """
    cls = value.__class__
    if cls is str:
        written = _after_key.get(value)
        return written if written is not None else _text_after_key(value, indent)
    if cls is dict or cls is list or cls is tuple:
        return f"\n{block(value, indent)}" if value else f" {flow(value)}"
    return f" {scalar(value)}"


def _text_after_key(value: str, indent: str) -> str:
    if is_literal(value):
        return f" {literal(value, indent)}"
    if len(_after_key) >= _MEMO_LIMIT:
        _after_key.clear()
    written = _after_key[value] = f" {text(value)}"
    return written


def after_dash(value: Any, indent: str) -> str:
    """Write a value as it stands after `- `, its further lines with `indent`."""
    if is_block(value):
        return block(value, indent).removeprefix(indent)
    return after_key(value, indent)[1:]


def block(value: Any, indent: str) -> str:
    """Write a non-empty mapping or list as lines that start with `indent`, no newline at the end.

    The lines are kept for as long as the same collection comes again, as a policy that thousands
    of files share does: nothing that is rendered is ever changed.
    """
    known = _blocks.get(id(value))
    if known is not None and known[0] is value and known[1] == indent:
        return known[2]
    lines: list[str] = []
    _collect(value, indent, lines)
    if len(_blocks) >= _BLOCKS_LIMIT:
        _blocks.clear()
    written = "\n".join(lines)
    _blocks[id(value)] = value, indent, written
    return written


def _collect(value: Any, indent: str, lines: list[str]) -> None:
    deeper = indent + "  "
    if value.__class__ is dict:
        for key, item in value.items():
            if is_block(item):
                lines.append(f"{indent}{key_text(key)}:")
                _collect(item, deeper, lines)
            else:
                lines.append(f"{indent}{key_text(key)}:{after_key(item, deeper)}")
        return
    for item in value:
        first = len(lines)
        if is_block(item):
            _collect(item, deeper, lines)
            lines[first] = f"{indent}- {lines[first][len(deeper) :]}"
        else:
            lines.append(f"{indent}- {after_key(item, deeper)[1:]}")


def is_block(value: Any) -> bool:
    """Say whether a value takes lines of its own: a mapping or list that is not empty."""
    cls = value.__class__
    return bool(value) and (cls is dict or cls is list or cls is tuple)


def flow(value: Any) -> str:
    """Write a value on one line, collections in flow style. Raises TypeError for what is none."""
    cls = value.__class__
    if cls is dict:
        return "{" + ", ".join([f"{key_text(k)}: {flow(v)}" for k, v in value.items()]) + "}"
    if cls is list or cls is tuple:
        return "[" + ", ".join([flow(item) for item in value]) + "]"
    return scalar(value)


def visible(value: str) -> str:
    """Write what a terminal would not show, or would obey, as the escape of a string."""
    if value.isprintable():
        return value
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value)
