"""The noise between repeats against tables and simulated runs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.noise import noise, t_quantile, t_within
from rag.errors import ValueRangeError

# Two-sided 95 % points. Source: Abramowitz and Stegun 1964, table 26.10.
TABLE = {
    1: 12.706,
    2: 4.303,
    3: 3.182,
    4: 2.776,
    5: 2.571,
    8: 2.306,
    9: 2.262,
    20: 2.086,
    29: 2.045,
    120: 1.980,
}


@pytest.mark.parametrize(("freedom", "expected"), TABLE.items())
def test_quantiles_are_those_of_the_table(freedom: int, expected: float) -> None:
    assert t_quantile(freedom) == pytest.approx(expected, abs=5e-4)


@given(freedom=st.integers(1, 60), within=st.floats(0.01, 0.999))
def test_the_quantile_undoes_the_distribution(freedom: int, within: float) -> None:
    assert t_within(t_quantile(freedom, within), freedom) == pytest.approx(within, abs=1e-6)


@pytest.mark.parametrize("call", [lambda: t_within(1, 0), lambda: t_within(-1, 2)])
def test_what_t_does_not_know(call: object) -> None:
    with pytest.raises(ValueRangeError, match="t and its freedom"):
        call()  # type: ignore[operator]
    with pytest.raises(ValueRangeError, match="confidence"):
        t_quantile(3, 1.0)


def test_the_band_of_unpaired_repeats_by_hand() -> None:
    # Squares 2 and 2 over 3 degrees of freedom: s = 1.1547; 3.182 * s * sqrt(1/3 + 1/2).
    found = noise([1.0, 2.0, 3.0], [5.0, 7.0])
    assert found is not None
    error = math.sqrt(4 / 3 * (1 / 3 + 1 / 2))
    assert found.band == pytest.approx(3.1824 * error, rel=1e-4)
    # t = 4 / 1.0541 = 3.7947 with 3 degrees of freedom: p = 0.0322.
    assert found.p == pytest.approx(0.0322, abs=1e-4)


def test_the_band_of_paired_repeats_by_hand() -> None:
    # Differences 1, 2 and 3: sd = 1; 4.303 / sqrt(3). t = 2 sqrt(3) = 3.464: p = 0.0742.
    found = noise([10.0, 7.0, 8.0], [9.0, 5.0, 5.0])
    assert found is not None
    assert found.band == pytest.approx(4.3027 / math.sqrt(3), rel=1e-4)
    assert found.p == pytest.approx(0.0742, abs=1e-4)


def test_a_first_repeat_that_is_dearer_on_both_sides_is_no_noise() -> None:
    cold = noise([9.0, 5.0, 5.1], [9.1, 5.0, 5.1])
    assert cold is not None
    assert cold.band < 0.2


@pytest.mark.parametrize("sides", [([1.0], [2.0]), ([], [1.0, 2.0]), ([1.0, 3.0], [9.0])])
def test_without_repeats_nothing_is_known(sides: tuple[list[float], list[float]]) -> None:
    assert noise(*sides) is None


def test_repeats_that_do_not_vary() -> None:
    same, other = noise([2.0, 2.0], [2.0, 2.0]), noise([2.0, 2.0], [3.0, 3.0])
    assert same is not None
    assert other is not None
    assert (same.band, same.p, other.band, other.p) == (0.0, 1.0, 0.0, 0.0)


@pytest.mark.parametrize("repeats", [(3, 3), (5, 5), (3, 2), (2, 2)])
def test_unchanged_runs_stay_in_the_band_in_about_95_of_100_cases(
    repeats: tuple[int, int],
) -> None:
    draw, inside = np.random.default_rng(4), 0
    for _ in range(1000):
        ours, theirs = ([draw.normal(10, 1) for _ in range(n)] for n in repeats)
        found = noise(ours, theirs)
        assert found is not None
        within = abs(sum(ours) / len(ours) - sum(theirs) / len(theirs)) <= found.band
        assert within == (found.p >= 0.05)
        inside += within
    assert 0.93 <= inside / 1000 <= 0.97
