from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hostile import BOUNDED
from hypothesis import given
from hypothesis import strategies as st

from generator import schema
from generator.values import quantities

DECIMAL = ("", "k", "M", "G", "T", "P", "E")
BINARY = ("Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
AMOUNTS = {"m": Fraction(1, 1000)} | {
    suffix: Fraction(base**power)
    for base, suffixes, first in ((1000, DECIMAL, 0), (1024, BINARY, 1))
    for power, suffix in enumerate(suffixes, start=first)
}
numbers = st.builds(
    "{}{}".format,
    st.integers(0, 10**6),
    st.one_of(st.just(""), st.integers(0, 9_999).map(lambda part: f".{part}")),
)
exponents = st.builds("{}{}".format, st.sampled_from("eE"), st.integers(0, 12))
written = st.builds("{}{}".format, numbers, st.sampled_from([*AMOUNTS, "Ki", "Mi"]) | exponents)

# What k8s.io/apimachinery v0.37.2 (`resource.Quantity`) writes for the same text. Where it keeps
# the text itself, or parts of a byte or of a thousandth, the second table has our own choice.
KUBERNETES = (
    *(("1000m", "1"), ("1500m", "1500m"), ("100m", "100m"), ("1.5", "1500m"), ("0", "0")),
    *(("0Mi", "0"), ("0.0", "0"), ("2", "2"), ("2000", "2k"), ("2048", "2048"), ("1e2", "100")),
    *(("1024Mi", "1Gi"), ("1536Mi", "1536Mi"), ("1.5Gi", "1536Mi"), ("1023Ki", "1023Ki")),
    *(("1024Ki", "1Mi"), ("1000Ki", "1000Ki"), ("0.5Ki", "512"), ("0.9765625Ki", "1k")),
    *(("1048576", "1048576"), ("1500k", "1500k"), ("1000P", "1E"), ("1024Pi", "1Ei")),
    *(("1000Pi", "1000Pi"), ("0.25Gi", "256Mi"), ("2k", "2k"), ("512Mi", "512Mi"), ("1Ti", "1Ti")),
)
OURS = (
    *(("1e3", "1k"), ("12e6", "12M"), ("100E3", "100k"), ("00012", "12"), ("1.953125Ki", "2k")),
    *(("0.1Gi", "107374183"), ("0.0001", "1m"), ("0.1m", "1m"), ("1.5m", "2m"), ("0.0001Ki", "1")),
)


@pytest.mark.parametrize(("text", "expected"), KUBERNETES + OURS)
def test_a_quantity_is_written_as_the_api_server_would(text: str, expected: str) -> None:
    assert quantities.canonical(text) == expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [(1, "1"), (0, "0"), (0.5, "500m"), (4.0, "4"), (1e-05, "1m"), (2.5e20, "250E"), (0.1, "100m")],
)
def test_a_number_is_a_quantity(number: float, expected: str) -> None:
    assert quantities.canonical(number) == expected


@pytest.mark.parametrize(
    "text",
    ["", "a", "-1", "+1", "1 Gi", "1gi", "1K", "1.", ".5", "1e", "1Gii", "1Gi\n", "\u0661", "nan"],
)
def test_what_is_no_quantity_is_refused(text: str) -> None:
    for read in (quantities.parse, quantities.canonical):
        with pytest.raises(ValueError, match="is not a quantity"):
            read(text)


def test_a_boolean_is_no_quantity_though_a_number_was_read_before() -> None:
    assert quantities.parse(1) == 1
    with pytest.raises(ValueError, match="True is not a quantity"):
        quantities.parse(True)


@BOUNDED
@given(written)
def test_canonical_is_idempotent(text: str) -> None:
    once = quantities.canonical(text)
    assert quantities.canonical(once) == once


@BOUNDED
@given(written)
def test_the_amount_stays_but_for_parts_that_no_resource_has(text: str) -> None:
    before, after = quantities.parse(text), quantities.parse(quantities.canonical(text))
    grain = Fraction(1) if quantities.is_binary(text) else Fraction(1, 1000)
    assert before <= after < before + grain
    assert before == after or before % grain


@BOUNDED
@given(written)
def test_no_other_spelling_of_the_family_is_shorter(text: str) -> None:
    canonical = quantities.canonical(text)
    amount = quantities.parse(canonical)
    digits = canonical.rstrip("mkKMGTPEi")
    family = BINARY if canonical.endswith("i") else (*DECIMAL, "m")
    spellings = [amount / AMOUNTS[suffix] for suffix in family]
    whole = [int(spelling) for spelling in spellings if spelling.denominator == 1]
    assert int(digits) == min(whole)


@pytest.mark.parametrize("value", [1e-05, 0.0001, 1e16, 1e300, 10**400, "1e99", "0.0000Ki", 0.0])
def test_whatever_the_schema_of_a_spec_lets_pass_is_a_quantity(value: Any) -> None:
    definitions = schema.document_schema("model")["$defs"]
    assert schema.Validator({"$defs": definitions, "$ref": "#/$defs/quantity"}).accepts(value)
    assert quantities.parse(quantities.canonical(value)) >= quantities.parse(value)
