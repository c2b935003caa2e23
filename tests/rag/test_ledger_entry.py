"""Whole numbers of small units: exact, and unknown stays unknown."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.ledger_entry import LARGEST, PER_UNIT, QUANTITIES, Asker, Sums, entry_of, sums_of, whole
from rag.results import Impact, Receipt, TraceStep, Usage
from rag.types import Interval

ASKER = Asker("acme", "lexical", None, "answer", abstained=False)
IMPACT = Impact(Interval(0.25, 0.5), None, None, None, "estimated", None)
RECEIPT = Receipt(
    usage=Usage(100, 256, None, None, None, "x"),
    impact=IMPACT,
    saved=None,
    cache="off",
    trace=(
        TraceStep("retrieve", "", 0.25, Interval(0.125, 0.25)),
        TraceStep("pack", "", 0.5, None),
        TraceStep("retrieve", "again", 0.25, Interval(0.125, 0.25)),
    ),
    fingerprint="f" * 12,
    generation=7,
    seconds=1.5,
)

amounts = st.none() | st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)).map(
    lambda pair: Interval(min(pair) / 1000, max(pair) / 1000)
)


@st.composite
def receipts(draw: st.DrawFn) -> Receipt:
    impact = replace(IMPACT, **{name: draw(amounts) for name in QUANTITIES})
    usage = replace(RECEIPT.usage, prompt_tokens=draw(st.none() | st.integers(0, 10**6)))
    return replace(RECEIPT, impact=impact, usage=usage)


@given(st.floats(0, 1e6), st.sampled_from(sorted(PER_UNIT)))
def test_a_value_becomes_the_nearest_whole_number(value: float, unit: str) -> None:
    number = whole(value, unit)
    exact = Fraction(value) * PER_UNIT[unit]
    if number is None:
        assert exact > LARGEST
    else:
        assert abs(number - exact) <= Fraction(1, 2)


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -1.0, 1e300])
def test_what_no_receipt_can_mean_is_unknown(value: float | None) -> None:
    assert whole(value, "joules") is None


def test_decimals_of_the_unit_are_kept_as_they_are() -> None:
    assert (whole(0.1, "joules"), whole(0.3, "gco2e"), whole(0, "litres")) == (10**8, 3 * 10**11, 0)


@given(st.lists(receipts(), max_size=8), st.randoms(use_true_random=False))
def test_sums_commute_and_count_what_is_unknown(parts: list[Receipt], order: object) -> None:
    shuffled = list(parts)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = Sums(), Sums()
    for receipt in parts:
        one += sums_of(entry_of(receipt, ASKER, 0.0))
    for receipt in shuffled:
        other += sums_of(entry_of(receipt, ASKER, 0.0))
    assert one == other
    for name in ("gco2e", "embodied_gco2e", "market_gco2e"):
        known = [each for r in parts if (each := getattr(r.impact, name)) is not None]
        assert getattr(one, f"{name}_unknown") == len(parts) - len(known)
        high = sum(round(1000 * each.high) for each in known) * 10**9
        assert getattr(one, f"{name}_high") == high
        assert (one.known(name) is None) == (bool(parts) and not known)
    prompts = [r.usage.prompt_tokens for r in parts if r.usage.prompt_tokens is not None]
    assert one.known_tokens("prompt") == (sum(prompts) if prompts or not parts else None)


def test_the_passes_of_a_stage_are_one_cost() -> None:
    entry = entry_of(RECEIPT, ASKER, 12.5)
    assert entry.at == 12_500_000
    assert [(c.stage, c.nanoseconds, c.joules) for c in entry.stages] == [
        ("retrieve", 5 * 10**8, (25 * 10**7, 5 * 10**8)),
        ("pack", 5 * 10**8, None),
    ]


def test_the_basis_of_a_sum_is_that_of_its_entries() -> None:
    estimated = sums_of(entry_of(RECEIPT, ASKER, 0.0))
    measured = replace(estimated, measured=1)
    assert Sums().basis is None
    assert estimated.basis == (estimated + estimated).basis == "estimated"
    assert (measured + measured).basis == "measured"
    assert (measured + estimated).basis == "mixed"
