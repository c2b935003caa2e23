"""Numbers as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.report.numbers import Scale, number, ratio, scale_of
from rag.types import Interval


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (2012.4, "2,012"),
        (73.14, "73.1"),
        (7.314, "7.31"),
        (0.01234, "0.0123"),
        (-3.5, "-3.50"),
    ],
)
def test_three_digits_or_the_whole(value: float, shown: str) -> None:
    assert number(value) == shown


@given(st.floats(1e-9, 1e9))
def test_a_number_is_read_back_within_a_digit(value: float) -> None:
    assert float(number(value).replace(",", "")) == pytest.approx(value, rel=0.006)


@given(st.floats(1e-9, 1e6))
def test_a_scale_loses_nothing(value: float) -> None:
    scale = scale_of("J", [value, None])
    shown = float(scale.shown(value).replace(",", ""))
    assert shown * scale.factor == pytest.approx(value, rel=0.006)
    assert shown >= 0.99


def test_the_largest_value_gives_the_unit() -> None:
    assert scale_of("J", [0.02, 0.0003]) == Scale("mJ", 1e-3)
    assert scale_of("g", [None, 4e-6]) == Scale("µg", 1e-6)
    assert scale_of("tokens", [0.02]) == Scale("tokens")
    assert scale_of("s", [None]) == Scale("s")


def test_what_is_unknown_is_never_a_number() -> None:
    assert Scale("J").shown(None) == "unknown"
    assert Scale("J").interval(None) == "unknown"
    assert Scale("J").shown(0.0) == "0"


def test_a_range_that_reads_alike_is_one_number() -> None:
    assert Scale("J").interval(Interval(1.0, 1.0001)) == "1.00"
    assert Scale("mJ", 1e-3).interval(Interval(0.01, 0.02)) == "10.0 to 20.0"
    assert Scale("share").ranged(0.5, 1.0) == "0.500 to 1.000"


def test_a_ratio_is_a_share_below_one_and_a_multiple_above() -> None:
    assert ratio(73, 2012, "the tokens") == "3.63 % of the tokens"
    assert ratio(3, 2, "the tokens") == "1.50 times the tokens"
    assert ratio(None, 2, "") is None
    assert ratio(1, None, "") is None
    assert ratio(1, 0, "") is None
