"""Statistics against results worked out by hand, and what must hold for any input."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval import statistics
from rag.errors import ValueRangeError

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30)
PAIRS = st.lists(st.tuples(*[st.none() | st.floats(-100, 100)] * 2), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("percent", "expected"), [(1, 10), (25, 10), (26, 20), (50, 20), (95, 40), (100, 40)]
)
def test_percentile_by_nearest_rank(percent: float, expected: float) -> None:
    assert statistics.percentile([40, 10, 30, 20], percent) == expected


@pytest.mark.parametrize(("values", "percent"), [([], 50), ([1.0], 0), ([1.0], 101)])
def test_percentile_refuses(values: list[float], percent: float) -> None:
    with pytest.raises(ValueRangeError, match="percentile"):
        statistics.percentile(values, percent)


@given(values=VALUES, percent=st.floats(0.1, 100))
def test_percentile_is_a_value_that_enough_do_not_exceed(
    values: list[float], percent: float
) -> None:
    found = statistics.percentile(values, percent)
    assert found in values
    assert sum(v <= found for v in values) >= len(values) * percent / 100 - 1e-9


@given(values=VALUES)
def test_the_interval_holds_the_mean_and_is_reproducible(values: list[float]) -> None:
    found = statistics.mean_estimate(values, seed=3, resamples=50)
    assert found.low <= found.mean <= found.high
    assert found.n == len(values)
    assert found == statistics.mean_estimate(values, seed=3, resamples=50)


def test_the_interval_is_about_two_standard_errors_wide() -> None:
    values = [0.0, 1.0] * 200  # standard error 0.5 / sqrt(400) = 0.025
    found = statistics.mean_estimate(values)
    assert found.mean == 0.5
    assert 0.5 - found.low == pytest.approx(1.96 * 0.025, rel=0.15)
    assert found.high - 0.5 == pytest.approx(1.96 * 0.025, rel=0.15)


def test_equal_values_have_no_spread() -> None:
    assert statistics.mean_estimate([0.1] * 7) == statistics.Estimate(
        pytest.approx(0.1), pytest.approx(0.1), pytest.approx(0.1), 7
    )


def test_paired_difference_is_narrower_than_the_two_apart() -> None:
    theirs = [0.0, 1.0] * 100
    ours = [min(1.0, value + (i % 10 == 0)) for i, value in enumerate(theirs)]
    paired = statistics.paired_difference(ours, theirs)
    assert paired.mean == pytest.approx(0.1)
    assert 0 < paired.low < paired.high < 0.2


def test_paired_values_need_one_length() -> None:
    with pytest.raises(ValueRangeError, match="paired"):
        statistics.paired_difference([1.0], [1.0, 2.0])


def in_pure_python(values: list[float], seed: int, resamples: int) -> tuple[float, float]:
    """The percentile bootstrap as its book says it, without a matrix."""
    draw = np.random.default_rng(seed)
    means = [math.fsum(draw.choice(values, len(values))) / len(values) for _ in range(resamples)]
    return statistics.percentile(means, 2.5), statistics.percentile(means, 97.5)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_intervals_agree_with_the_loop_they_replace(share: float) -> None:
    draw = np.random.default_rng(5)
    values = [float(draw.random() < share) for _ in range(150)]
    found = statistics.mean_estimate(values, resamples=4000)
    low, high = in_pure_python(values, 1, 4000)
    assert found.low == pytest.approx(low, abs=0.015)
    assert found.high == pytest.approx(high, abs=0.015)


def test_the_mean_is_over_the_questions_that_have_one() -> None:
    found, none = statistics.set_means([[1.0, None, 0.0, 1.0, None], [None] * 5])
    assert found is not None
    assert (found.mean, found.n) == (pytest.approx(2 / 3), 3)
    assert none is None


def test_no_questions_and_no_measures() -> None:
    assert statistics.set_means([]) == ()
    assert statistics.set_means([[], []]) == (None, None)
    with pytest.raises(ValueRangeError, match="by question"):
        statistics.set_means([[1.0], [1.0, 2.0]])


def test_a_measure_that_few_questions_have_is_less_certain_for_it() -> None:
    # The number of questions with a value varies from draw to draw: wider than over the ten alone.
    few = [float(i % 2) if i < 10 else None for i in range(200)]
    rare, all_of_them = statistics.set_means([few, [float(i % 2) for i in range(200)]])
    assert rare is not None
    assert all_of_them is not None
    assert rare.high - rare.low > 3 * (all_of_them.high - all_of_them.low)


def test_the_interval_holds_the_truth_in_about_95_of_100_samples() -> None:
    # Truth: 0.3, seen through 120 questions of which four in five have a value.
    draw, held = np.random.default_rng(11), 0
    for i in range(300):
        values = [float(draw.random() < 0.3) if draw.random() < 0.8 else None for _ in range(120)]
        found = statistics.set_means([values], seed=i, resamples=400)[0]
        held += found is not None and found.low <= 0.3 <= found.high
    assert 0.91 <= held / 300 <= 0.98


def test_a_difference_where_all_have_both_is_the_paired_difference() -> None:
    draw = np.random.default_rng(2)
    ours, theirs = ([draw.random() for _ in range(40)] for _ in range(2))
    found = statistics.set_differences([ours], [theirs], resamples=1000)[0]
    paired = statistics.paired_difference(ours, theirs)
    assert found is not None
    assert found.mean == pytest.approx(paired.mean)
    assert (found.low, found.high, found.n) == (
        pytest.approx(paired.low),
        pytest.approx(paired.high),
        40,
    )


def test_a_difference_of_means_over_other_questions() -> None:
    # As with refusals: each side has its own. 1/2 less 1 = -1/2.
    found, none = statistics.set_differences(
        [[1.0, 0.0, None, None], [None] * 4], [[1.0, None, 1.0, None], [1.0] * 4]
    )
    assert found is not None
    assert (found.mean, found.n) == (-0.5, 3)
    assert found.low < found.mean <= found.high
    assert none is None


def test_differences_need_both_sides_of_each_measure() -> None:
    with pytest.raises(ValueRangeError, match="both sides"):
        statistics.set_differences([[1.0]], [])


@given(pairs=PAIRS)
def test_the_difference_turns_round_with_its_sides(
    pairs: list[tuple[float | None, float | None]],
) -> None:
    ours, theirs = ([pair[i] for pair in pairs] for i in range(2))
    forth = statistics.set_differences([ours], [theirs], resamples=50)[0]
    back = statistics.set_differences([theirs], [ours], resamples=50)[0]
    assert (forth is None) == (back is None)
    if forth and back:
        assert forth.mean == -back.mean
        assert forth.low <= forth.mean <= forth.high


def test_a_thousand_questions_and_forty_measures_take_seconds_at_most() -> None:
    draw = np.random.default_rng(0)
    columns = [[draw.random() for _ in range(1000)] for _ in range(40)]
    started = time.process_time()
    statistics.set_differences(columns, columns[::-1])
    assert time.process_time() - started < 5


def test_draws_do_not_depend_on_how_many_are_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = [[0.0, 1.0, 3.0, None, 2.0, 7.0, 1.0]]
    whole = statistics.set_means(columns)
    monkeypatch.setattr(statistics, "_DRAWS_AT_ONCE", 70)
    assert statistics.set_means(columns) == whole
