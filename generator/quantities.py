"""Kubernetes quantities: read exactly, written in the canonical form.

The API server and typed webhooks write `1000m` back as `1` and `1024Mi` as `1Gi`. Whatever Git
says otherwise is a difference that Argo CD shows for ever (argoproj/argo-cd@docs/faq.md), so only
the canonical form is ever rendered.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50}
_DECIMAL = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
_FACTORS: dict[str, int] = _BINARY | _DECIMAL
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(?:[eE]([0-9]{1,2})|(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi))?")


@lru_cache(4096, typed=True)
def parse(value: str | float) -> Fraction:
    """Read a quantity into its exact amount: cores, bytes or pieces.

    Raises ValueError for what is not a quantity.
    """
    match = _QUANTITY.fullmatch(str(value))
    if match is None:
        raise ValueError(f"{value!r} is not a quantity")
    number, exponent, suffix = Fraction(match[1]), match[2], match[3]
    if exponent is not None:
        return Fraction(number * 10 ** int(exponent))
    if suffix == "m":
        return number / 1000
    factor: int = _FACTORS.get(suffix, 1)
    return Fraction(number * factor)


def is_binary(value: str | float) -> bool:
    """Say whether a quantity was written in powers of two, as memory is."""
    return str(value).endswith("i")


@lru_cache(4096, typed=True)
def canonical(value: str | float) -> str:
    """Write a quantity as the API server does.

    No fraction, the largest suffix that leaves a whole number, the family of suffixes as it was
    written. Amounts below a thousandth are rounded up, as Kubernetes does for resources.
    """
    amount = parse(value)
    if amount.denominator != 1 and is_binary(value):
        amount = Fraction(_up(amount))
    thousandths = _up(amount * 1000)
    if thousandths % 1000:
        return f"{thousandths}m"
    amount = Fraction(thousandths, 1000)
    return _whole(amount, _BINARY if is_binary(value) else _DECIMAL)


def _up(amount: Fraction) -> int:
    return -(-amount.numerator // amount.denominator)


def _whole(amount: Fraction, suffixes: dict[str, int]) -> str:
    for suffix, factor in reversed(suffixes.items()):
        if amount and amount % factor == 0:
            return f"{amount / factor}{suffix}"
    return str(amount)
