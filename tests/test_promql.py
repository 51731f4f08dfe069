"""What gen says of PromQL: certain of what it says, and silent about what it does not know."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator import promql
from generator.promql import Series

RATE = 'rate(requests_total{namespace="ml"}[2m])'


@pytest.mark.parametrize(
    ("query", "series", "labels"),
    [
        (f"sum({RATE})", Series.ONE, ()),
        (f"sum by () ({RATE})", Series.ONE, ()),
        (f"sum({RATE}) or vector(0)", Series.ONE, ()),
        (f"sum({RATE}) or on() vector(0)", Series.ONE, ()),
        (f"- sum({RATE}) > bool 0", Series.ONE, ()),
        (f"sum({RATE}) / ignoring (pod) max(x)", Series.ONE, ()),
        (f"sum({RATE}) / 2", Series.ONE, ()),
        (f"max_over_time(sum({RATE})[5m:1m])", Series.ONE, ()),
        (f"topk(1, {RATE})", Series.ONE, ()),
        (f"quantile(0.9, {RATE})", Series.ONE, ()),
        ("count(up) unless absent(up)", Series.ONE, ()),
        (f"histogram_quantile(0.9, sum by (le) ({RATE}))", Series.ONE, ()),
        ('sum by (model) (x{model="churn", pod=~"churn-.*"})', Series.ONE, ()),
        (f"sum by (pod) ({RATE})", Series.SEVERAL, ("pod",)),
        (f"sum({RATE}) by (pod, node)", Series.SEVERAL, ("pod", "node")),
        (f"histogram_quantile(0.9, sum by (le, pod) ({RATE}))", Series.SEVERAL, ("pod",)),
        (f"vector(0) or sum by (pod) ({RATE})", Series.SEVERAL, ("pod",)),
        (RATE, Series.UNKNOWN, ()),
        ("up", Series.UNKNOWN, ()),
        (f"sum without (pod) ({RATE})", Series.UNKNOWN, ()),
        (f"sum({RATE}) * on (pod) group_left (node) x", Series.UNKNOWN, ()),
        ("scalar(sum(x)) + 1", Series.SCALAR, ()),
        ("1e3", Series.SCALAR, ()),
    ],
)
def test_how_many_series(query: str, series: Series, labels: tuple[str, ...]) -> None:
    assert promql.answer(query) == promql.Answer(series, labels)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("sum(x", "`)` is missing"),
        ("sum(x))", "`)` closes nothing"),
        ("sum(x{a='b})", "a quote"),
        ('x{a="b"}[5m]', "a range"),
        ("sum(rate(x))", "`rate` needs a range"),
        ("sum(max_over_time(x))", "`max_over_time` needs a range"),
        ("sum(rate(x[$__interval]))", "Grafana"),
        ('sum(x{a="$model"})', "Grafana"),
        ("scalar(sum(x))", "plain number"),
    ],
)
def test_what_is_refused(query: str, said: str) -> None:
    assert said in promql.flaw(query)


@pytest.mark.parametrize(
    "query",
    [
        f"sum({RATE})",
        'sum(x{pod=~"churn-.+$"})',
        'sum(label_replace(x, "to", "$name", "from", "(?P<name>.*)"))',
        "sum(rate(x[2m:10s] offset 1h)) # by hour",
        "sum(x @ end())",
        "sum by (pod) (é)",
        "",
    ],
)
def test_what_is_left_to_prometheus(query: str) -> None:
    assert promql.flaw(query) == ""


@pytest.mark.parametrize(
    ("query", "metric"),
    [
        ("sum(x)", "x"),
        ("sum(x{})", "x"),
        ('sum(x{a="b"}) + sum(y)', "y"),
        ('sum by (pod) (x{a="b"})', ""),
        ('sum(x{a="b"}) by (pod) or vector(0)', ""),
        ('x{a="b"} / on (pod, node) group_left (zone) y{a="b"}', ""),
        ('{__name__="x"}', ""),
        ('sum(x{a="b"} offset 5m) > inf', ""),
    ],
)
def test_what_is_taken_from_everywhere(query: str, metric: str) -> None:
    assert promql.unrestricted(query) == metric


@given(st.lists(st.sampled_from(["sum", "by", "(", ")", "x", "{", "}", "a", "=", '"b"', "[", "]"])))
def test_nothing_is_too_strange(words: list[str]) -> None:
    query = " ".join(words)
    if not promql.flaw(query):
        promql.answer(query)
        promql.unrestricted(query)
        promql.may_be_empty(query)
