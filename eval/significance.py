"""Whether a difference between two systems could be chance: exact and randomised paired tests."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from eval.statistics import Column, Matrix, as_table
from rag.errors import ValueRangeError

SWAPS: Final = 9999  # the smallest p value is 1 in 10,000; Source: Davison and Hinkley 1997, 4.2.5
_EXACT_PAIRS = 13  # 2^13 swaps are fewer than SWAPS: all are tried
_SWAPS_AT_ONCE = 2_000_000  # 16 MB
Flags: TypeAlias = NDArray[np.bool_]
_ROUNDING = 1e-9  # a sum in another order must not look smaller than itself


@dataclass(frozen=True, slots=True)
class Chance:
    """A two-sided p value, and the ``least`` that the same values could have given.

    ``least`` is that of the values dealt to the two systems as unevenly as can be: where few
    questions differ no result at all would be significant.
    """

    p: float
    least: float


def mcnemar(ours: Column, theirs: Column) -> Chance:
    """Return McNemar's exact test for a measure of 0 and 1.

    Of the ``b + c`` questions that differ, ``b`` one way and ``c`` the other, each goes either way
    with probability 1/2 if the systems are alike: ``p = min(1, 2 P(X <= min(b, c)))`` with
    ``X ~ Binomial(b + c, 1/2)``. Questions without a value on both sides are left out. The least p
    is ``min(1, 2 / 2^(b + c))``: all of them going one way.

    Source: McNemar 1947; the exact form: Fleiss, Levin and Paik 2003, section 13.1.

    Raises:
        ValueRangeError: A value is neither 0 nor 1.
    """
    pairs = _pairs(ours, theirs)
    if other := {value for pair in pairs for value in pair} - {0.0, 1.0}:
        raise ValueRangeError("value for McNemar's test", min(other), "use 0 and 1 only")
    won = sum(mine > other for mine, other in pairs)
    lost = sum(mine < other for mine, other in pairs)
    differing = won + lost
    ways = sum(math.comb(differing, i) for i in range(min(won, lost) + 1))
    return Chance(min(1.0, 2 * ways / (1 << differing)), min(1.0, 2 / (1 << differing)))


def _pairs(ours: Column, theirs: Column) -> list[tuple[float, float]]:
    return [
        (mine, other)
        for mine, other in zip(ours, theirs, strict=True)
        if mine is not None and other is not None
    ]


def swap_test(ours: Column, theirs: Column, seed: int = 0) -> Chance | None:
    """Return the paired randomisation test of a difference of means.

    If the systems are alike, swapping what they got at any question changes nothing: p is the share
    of swaps whose difference is as large as the real one. Where all questions have both values this
    is the sign-flip test of the paired differences; where some have none, the "none" is swapped
    too. All swaps are tried where few questions differ, else ``SWAPS`` random ones, the real one
    counted among them. None where a side has no value at all.

    Source: Noreen 1989, Computer-Intensive Methods for Testing Hypotheses, section 2; Fisher 1935,
    The Design of Experiments, section 21; ``(1 + m) / (1 + n)``: Davison and Hinkley 1997, 4.2.5.
    """
    table = as_table([ours, theirs])
    known = ~np.isnan(table)
    if not known.any(axis=0).all():
        return None
    values = np.where(known, table, 0.0)
    apart = (values[:, 0] != values[:, 1]) | (known[:, 0] != known[:, 1])
    pairs = int(apart.sum())
    exact = pairs <= _EXACT_PAIRS
    swaps = [_all_swaps(pairs)] if exact else _random_swaps(pairs, seed)
    found = np.concatenate([_swapped(values, known, apart, some) for some in swaps])
    real = _swapped(values, known, apart, np.zeros((1, pairs)))[0]
    rounding = _ROUNDING * float(np.abs(values).max())
    p, least = (
        _share(found >= edge - rounding, exact=exact) for edge in (real, max(real, found.max()))
    )
    return Chance(p, least)


def _swapped(values: Matrix, known: Flags, apart: Flags, swaps: Matrix) -> Matrix:
    """Return how far apart the two means are after each of the swaps.

    A swap that leaves a side without values counts as the largest: the careful side.
    """
    sums, counts = values.sum(axis=0), known.sum(axis=0).astype(np.float64)
    moved = swaps @ (values[apart, 1] - values[apart, 0])
    shifted = swaps @ (known[apart, 1].astype(np.float64) - known[apart, 0])
    with np.errstate(divide="ignore", invalid="ignore"):
        mine, other = (sums[0] + moved) / (counts[0] + shifted), sums[1] - moved
        swapped = np.abs(mine - other / (counts[1] - shifted))
    return np.where(np.isnan(swapped), np.inf, swapped)


def _share(as_large: Flags, *, exact: bool) -> float:
    """Return the share of the swaps that are as large, the real one among them."""
    count = int(as_large.sum())
    return count / len(as_large) if exact else (1 + count) / (1 + len(as_large))


def _all_swaps(pairs: int) -> Matrix:
    return (np.arange(2**pairs)[:, None] >> np.arange(pairs) & 1).astype(np.float64)


def _random_swaps(pairs: int, seed: int) -> Iterator[Matrix]:
    draw = np.random.default_rng(seed)
    step = max(1, _SWAPS_AT_ONCE // pairs)
    for start in range(0, SWAPS, step):
        rows = min(step, SWAPS - start)
        yield draw.integers(2, size=(rows, pairs), dtype=np.int8).astype(np.float64)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return the p values as they are when all of them are asked at once, in the same order.

    The i-th smallest of m is multiplied by ``m - i + 1``, never falls below the one before it, and
    never rises over 1: with those at most 0.05 called real, the probability of any false call is at
    most 5 %.

    Source: Holm 1979, A Simple Sequentially Rejective Multiple Test Procedure.
    """
    corrected, largest = [1.0] * len(p_values), 0.0
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = largest
    return tuple(corrected)
