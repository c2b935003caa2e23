"""Emissions per functional unit: all that was spent counts, and one unknown part is enough."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.ledger_entry import PER_UNIT, Sums
from rag.ledger_sci import sci_of
from rag.types import Interval

GRAM = PER_UNIT["gco2e"]
KNOWN = Sums(
    answers=4,
    abstained=2,
    grounded=1,
    gco2e_low=4 * GRAM,
    gco2e_high=8 * GRAM,
    embodied_gco2e_low=4 * GRAM,
    embodied_gco2e_high=4 * GRAM,
    market_gco2e_low=1000 * GRAM,
    market_gco2e_high=1000 * GRAM,
)


def test_abstentions_are_paid_for_and_the_market_does_not_count() -> None:
    assert sci_of(KNOWN, "question") == Interval(2, 3)
    assert sci_of(KNOWN, "grounded_answer") == Interval(8, 12)


def test_ingest_is_per_thousand_chunks() -> None:
    runs = replace(KNOWN, answers=0, runs=1, chunks=250)
    assert sci_of(runs, "thousand_chunks") == Interval(32, 48)


@pytest.mark.parametrize("unknown", ["gco2e_unknown", "embodied_gco2e_unknown"])
def test_one_unknown_part_makes_it_unknown(unknown: str) -> None:
    sums = replace(KNOWN, **{unknown: 1})
    assert sci_of(sums, "question") is None
    assert sci_of(sums, "grounded_answer") is None


def test_without_a_unit_or_its_number_there_is_no_rate() -> None:
    assert sci_of(Sums(), "question") is None
    assert sci_of(KNOWN, "thousand_chunks") is None
    assert sci_of(replace(KNOWN, grounded=0), "grounded_answer") is None
    not_kept = replace(KNOWN, grounded_unknown=1)
    assert sci_of(not_kept, "grounded_answer") is None
    assert sci_of(not_kept, "question") == Interval(2, 3)


@given(st.integers(1, 50), st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_rate_times_its_units_is_the_sum(
    answers: int, low: int, more: int, embodied: int
) -> None:
    sums = Sums(
        answers=answers,
        gco2e_low=low,
        gco2e_high=low + more,
        embodied_gco2e_low=embodied,
        embodied_gco2e_high=embodied,
    )
    rate = sci_of(sums, "question")
    assert rate is not None
    assert rate.low * answers == pytest.approx((low + embodied) / GRAM)
    assert rate.high * answers == pytest.approx((low + more + embodied) / GRAM)
