"""When two answers agree, and what a number of faults shows."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.cache.shadow import agrees, bounds, is_due, surely


@given(st.integers(1, 2000), st.floats(0, 1))
def test_those_due_are_spaced_evenly(hits: int, share: float) -> None:
    due = sum(is_due(n, share) for n in range(1, hits + 1))
    assert abs(due - hits * share) < 1


@pytest.mark.parametrize(
    ("false", "checked", "low", "high"),
    # Source: R 4.3, binom.test(k, n)$conf.int
    [
        (0, 10, 0.0, 0.3084971),
        (1, 10, 0.002528579, 0.4450161),
        (5, 100, 0.01643188, 0.1128349),
        (10, 10, 0.6915029, 1.0),
        (999, 1000, 0.9944411, 0.9999747),
    ],
)
def test_bounds_are_those_of_clopper_and_pearson(
    false: int, checked: int, low: float, high: float
) -> None:
    assert bounds(false, checked) == pytest.approx((low, high), abs=2e-6)


def test_the_one_sided_bound_has_its_closed_forms() -> None:
    assert surely(0, 50) == 0
    assert surely(1, 1) == pytest.approx(0.05)
    assert surely(1, 20) == pytest.approx(1 - 0.95 ** (1 / 20))
    assert surely(7, 7) == pytest.approx(0.05 ** (1 / 7))


@given(st.integers(0, 60), st.integers(0, 60))
def test_more_faults_or_fewer_checks_raise_the_bound(false: int, right: int) -> None:
    checked = false + right
    if checked:
        assert surely(false, checked) <= false / checked + 1e-12
        assert surely(false, checked) <= surely(false + 1, checked + 1) + 1e-12
        assert surely(false, checked + 1) <= surely(false, checked) + 1e-12


def test_answers_agree_by_what_they_say(world: Any) -> None:
    said = world.said(world.context("It is so."), "It is 5 so.")
    plain = replace(said, short=None)
    assert agrees(said, replace(said, text="Quite other words", citations=()))  # short is the same
    assert not agrees(said, replace(said, short=replace(said.short, text="not so")))
    assert agrees(plain, replace(plain, text="it is 5  so", citations=()))
    assert agrees(plain, replace(plain, text="So it is: 5."))  # the same sentences, same numbers
    assert not agrees(plain, replace(plain, text="So it is: 6."))
    assert not agrees(plain, replace(plain, text="Or not, 5.", citations=()))
    nothing = world.said(said.context, None)
    assert agrees(said, nothing) is agrees(nothing, said) is agrees(nothing, nothing) is None
