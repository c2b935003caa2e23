"""Paired tests against values worked out by hand and against trying everything."""

from __future__ import annotations

from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.significance import Chance, holm, mcnemar, swap_test
from rag.errors import ValueRangeError

VALUE = st.none() | st.sampled_from([0.0, 1.0, 0.25, -3.0])
PAIRS = st.lists(st.tuples(VALUE, VALUE), min_size=1, max_size=8)
P_VALUES = st.lists(st.floats(0, 1), max_size=12)


def answered(won: int, lost: int, alike: int = 3) -> tuple[list[float], list[float]]:
    ours = [1.0] * won + [0.0] * lost + [1.0] * alike
    theirs = [0.0] * won + [1.0] * lost + [1.0] * alike
    return ours, theirs


@pytest.mark.parametrize(
    ("won", "lost", "expected"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),
        (5, 0, 2 / 32),
        (6, 0, 2 / 64),
        (8, 2, 2 * (1 + 10 + 45) / 1024),
        (2, 8, 2 * (1 + 10 + 45) / 1024),
        (5, 5, 1.0),
        (9, 1, 2 * (1 + 10) / 1024),
    ],
)
def test_mcnemar_by_hand(won: int, lost: int, expected: float) -> None:
    assert mcnemar(*answered(won, lost)).p == pytest.approx(expected)


def test_mcnemar_with_thousands_of_questions_that_differ() -> None:
    assert 0 < mcnemar(*answered(2600, 2400)).p < 0.01
    assert mcnemar(*answered(5000, 0)).p == 0.0


def test_mcnemar_looks_only_at_questions_with_both_values() -> None:
    assert mcnemar([1.0, None, 1.0], [None, 0.0, 0.0]) == mcnemar([1.0], [0.0])


def test_mcnemar_is_for_shares_of_right_and_wrong() -> None:
    with pytest.raises(ValueRangeError, match="McNemar"):
        mcnemar([0.5], [1.0])


def test_swaps_by_hand() -> None:
    # Of the 8 ways to sign differences 1, 2 and 3, two reach a sum of 6 either way.
    assert swap_test([1.0, 2.0, 3.0], [0.0, 0.0, 0.0]) == Chance(2 / 8, 2 / 8)
    # 1 + 2 - 3 = 0: nothing is smaller; all three one way would have been 2 of 8.
    assert swap_test([1.0, 2.0, 0.0], [0.0, 0.0, 3.0]) == Chance(1.0, 2 / 8)
    assert swap_test([1.0, 0.5], [1.0, 0.5]) == Chance(1.0, 1.0)
    assert swap_test([None, 1.0], [None, None]) is None


def by_brute_force(ours: list[float | None], theirs: list[float | None]) -> float:
    def apart(swaps: tuple[bool, ...]) -> float | None:
        pairs = [(b, a) if s else (a, b) for a, b, s in zip(ours, theirs, swaps, strict=True)]
        sides = [[p[i] for p in pairs if p[i] is not None] for i in range(2)]
        if not all(sides):
            return None
        return abs(sum(sides[0]) / len(sides[0]) - sum(sides[1]) / len(sides[1]))

    real = apart((False,) * len(ours))
    assert real is not None
    found = [apart(swaps) for swaps in product((False, True), repeat=len(ours))]
    return sum(d is None or d >= real - 1e-9 for d in found) / len(found)


@given(pairs=PAIRS)
def test_swaps_are_what_trying_all_of_them_gives(
    pairs: list[tuple[float | None, float | None]],
) -> None:
    ours, theirs = ([pair[i] for pair in pairs] for i in range(2))
    found = swap_test(ours, theirs)
    if found is None:
        assert not (any(v is not None for v in ours) and any(v is not None for v in theirs))
    else:
        assert found.p == pytest.approx(by_brute_force(ours, theirs))
        assert found.least <= found.p


def test_random_swaps_come_near_the_exact_test() -> None:
    ours, theirs = answered(20, 8)
    exact = 2 * sum(comb(28, i) for i in range(9)) / 2**28
    found = swap_test(ours, theirs, seed=1)
    assert found is not None
    assert found.p == pytest.approx(exact, abs=0.006)
    assert found.least <= 0.002
    assert swap_test(ours, theirs, seed=1) == found
    assert swap_test(*answered(40, 0)) == Chance(1 / 10_000, 1 / 10_000)


@pytest.mark.parametrize("differing", [3, 10, 30])
@pytest.mark.parametrize("value", [1.0, 0.95, 1 / 3])
def test_where_no_swap_changes_anything_no_result_could_be_significant(
    differing: int, value: float
) -> None:
    ours = [value] * 40
    theirs = [None] * differing + [value] * (40 - differing)
    assert swap_test(ours, theirs) == Chance(1.0, 1.0)


@pytest.mark.parametrize(("differing", "least"), [(0, 1.0), (1, 1.0), (5, 2 / 32), (6, 2 / 64)])
def test_the_least_p_is_that_of_all_questions_going_one_way(differing: int, least: float) -> None:
    for won in range(differing + 1):
        sides = answered(won, differing - won)
        found = swap_test(*sides)
        assert found is not None
        assert mcnemar(*sides).least == found.least == pytest.approx(least)


def test_alike_systems_are_called_different_in_at_most_5_of_100_cases() -> None:
    draw, called = np.random.default_rng(3), 0
    for i in range(300):
        values = [
            [draw.normal(0, 1) if draw.random() < 0.8 else None for _ in range(12)]
            for _ in range(2)
        ]
        found = swap_test(*values, seed=i)
        called += found is not None and found.p <= 0.05
    assert called / 300 <= 0.08  # 5 % and two standard errors


def test_holm_by_hand() -> None:
    # Sorted .005 .01 .03 .04 times 4 3 2 1 = .02 .03 .06 .04, and never falling: .02 .03 .06 .06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([0.9, 0.8]) == (1.0, 1.0)
    assert holm([]) == ()


@given(p_values=P_VALUES)
def test_holm_never_helps_and_keeps_the_order(p_values: list[float]) -> None:
    corrected = holm(p_values)
    both = sorted(zip(p_values, corrected, strict=True))
    assert all(p <= found <= min(1.0, p * len(p_values)) + 1e-12 for p, found in both)
    assert [found for _, found in both] == sorted(corrected)
