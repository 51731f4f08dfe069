"""Kubernetes quantities: read exactly, written in the canonical form.

The API server and typed webhooks write `1000m` back as `1` and `1024Mi` as `1Gi`. Whatever Git
says otherwise is a difference that Argo CD shows for ever (argoproj/argo-cd@docs/faq.md), so only
the canonical form is ever rendered.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60}
_DECIMAL = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18}
_FACTORS: dict[str, int] = _BINARY | _DECIMAL
_QUANTITY = re.compile(
    r"([0-9]+(?:\.[0-9]+)?)(?:[eE]([-+]?[0-9]{1,3})|(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei))?"
)


@lru_cache(4096, typed=True)
def is_less(one: str | float, other: str | float) -> bool:
    """Compare two quantities. Raises ValueError for what is not one."""
    return parse(one) < parse(other)


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
        return number * Fraction(10) ** int(exponent)
    if suffix == "m":
        return number / 1000
    factor: int = _FACTORS.get(suffix, 1)
    return Fraction(number * factor)


def is_binary(value: str | float) -> bool:
    """Say whether a quantity was written in powers of two, as memory is."""
    return str(value).endswith("i")


@lru_cache(4096, typed=True)
def canonical(value: str | float) -> str:
    """Write a quantity so that the API server writes it back as it is.

    No fraction, the largest suffix that leaves a whole number, the family of suffixes as it was
    written if that takes one. What is written in powers of two is bytes, of which a part is rounded
    up to a whole one; elsewhere what is below a thousandth is.
    """
    amount = parse(value)
    thousandths = _up(amount) * 1000 if is_binary(value) else _up(amount * 1000)
    whole, rest = divmod(thousandths, 1000)
    if rest:
        return f"{thousandths}m"
    powers_of_two = is_binary(value) and whole % 1024 == 0
    return _whole(whole, _BINARY if powers_of_two else _DECIMAL)


def _up(amount: Fraction) -> int:
    return -(-amount.numerator // amount.denominator)


def _whole(amount: int, suffixes: dict[str, int]) -> str:
    for suffix, factor in reversed(suffixes.items()):
        if amount and amount % factor == 0:
            return f"{amount // factor}{suffix}"
    return str(amount)
