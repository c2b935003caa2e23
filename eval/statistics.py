"""Means and differences over questions with their intervals; everything random takes a seed.

A measure need not have a value at every question: a set's value is the mean over those that have
one. Every interval comes from drawing questions, so such a mean varies in both its parts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rag.errors import ValueRangeError

Column: TypeAlias = Sequence[float | None]  # one measure, question by question
Matrix: TypeAlias = NDArray[np.float64]

RESAMPLES: Final = 2000  # Source: Efron and Tibshirani 1993, section 13.5: 1,000 or more
_TAILS = (0.025, 0.975)
_DRAWS_AT_ONCE = 2_000_000  # 32 MB of question numbers and their counts


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over ``n`` questions with its 95 % bootstrap interval ``[low, high]``."""

    mean: float
    low: float
    high: float
    n: int


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least ``percent`` % of the values do not exceed.

    The nearest-rank definition: always one of the values.

    Raises:
        ValueRangeError: There are no values, or ``percent`` is not in (0, 100].
    """
    if not values or not 0 < percent <= 100:
        raise ValueRangeError(
            "percentile", f"{percent} of {len(values)} values", "use (0, 100] of 1 or more"
        )
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


def mean_of(column: Column) -> float | None:
    """Return the mean over the questions that have a value, None where none has."""
    known = [value for value in column if value is not None]
    return math.fsum(known) / len(known) if known else None


def set_means(
    columns: Sequence[Column], seed: int = 0, resamples: int = RESAMPLES
) -> tuple[Estimate | None, ...]:
    """Return the mean of each measure with its 95 % percentile bootstrap interval.

    Questions are drawn, the same for all measures; None where a measure has no value at all.

    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, section 13.3.

    Raises:
        ValueRangeError: The columns are not of one length.
    """
    table = as_table(columns)
    drawn = _resampled_means(table, seed, resamples)
    return tuple(
        None if (mean := mean_of(column)) is None else _estimate(mean, drawn[:, i], values)
        for i, (column, values) in enumerate(zip(columns, table.T, strict=True))
    )


def set_differences(
    ours: Sequence[Column], theirs: Sequence[Column], seed: int = 0, resamples: int = RESAMPLES
) -> tuple[Estimate | None, ...]:
    """Return for each measure the mean of ours less that of theirs, with its 95 % interval.

    Both are taken over the same drawn questions each time, each mean over those that have a value
    on its own side. Where all questions have both this is the paired difference. ``n`` counts the
    questions with a value on either side; None where a side has none at all.

    Source: as ``set_means``; drawing pairs: section 8.3 of the same.

    Raises:
        ValueRangeError: The columns are not of one length and number.
    """
    if len(ours) != len(theirs):
        raise ValueRangeError(
            "paired measures", f"{len(ours)} and {len(theirs)}", "give both sides of each"
        )
    table = as_table([*ours, *theirs])
    drawn = _resampled_means(table, seed, resamples)
    count = len(ours)
    return tuple(
        _difference(
            (mean_of(ours[i]), mean_of(theirs[i])),
            drawn[:, i] - drawn[:, count + i],
            table[:, [i, count + i]],
        )
        for i in range(count)
    )


def _difference(
    means: tuple[float | None, float | None], drawn: Matrix, pair: Matrix
) -> Estimate | None:
    mine, other = means
    if mine is None or other is None:
        return None
    either = pair[~np.isnan(pair).all(axis=1)]
    return _estimate(mine - other, drawn, either[:, 0] - either[:, 1], len(either))


def mean_estimate(values: Sequence[float], seed: int = 0, resamples: int = 1000) -> Estimate:
    """Return the mean with its 95 % percentile bootstrap interval.

    Raises:
        ValueRangeError: There are no values.
    """
    found = set_means([values], seed, resamples)[0] if values else None
    if found is None:
        raise ValueRangeError("values", 0, "give one or more")
    return found


def paired_difference(ours: Sequence[float], theirs: Sequence[float], seed: int = 0) -> Estimate:
    """Return the mean of ``ours - theirs`` question by question, with its interval.

    The difference is significant at 5 % where the interval does not hold 0.

    Raises:
        ValueRangeError: The two are not of one length, or empty.
    """
    if len(ours) != len(theirs):
        raise ValueRangeError(
            "paired values", f"{len(ours)} and {len(theirs)}", "give both for each question"
        )
    return mean_estimate([a - b for a, b in zip(ours, theirs, strict=True)], seed)


def as_table(columns: Sequence[Column]) -> Matrix:
    """Return (questions, columns) float64 with NaN where there is no value.

    Raises:
        ValueRangeError: The columns are not of one length.
    """
    lengths = {len(column) for column in columns}
    if len(lengths) > 1:
        raise ValueRangeError("values by question", sorted(lengths), "give one a question in each")
    return np.array(columns, dtype=np.float64).T.reshape(*lengths or {0}, len(columns))


def _resampled_means(table: Matrix, seed: int, resamples: int) -> Matrix:
    """Return (resamples, columns); NaN where no drawn question has a value."""
    if not table.size:
        return np.full((resamples, table.shape[1]), np.nan)
    known = ~np.isnan(table)
    values, weights = np.where(known, table, 0.0), known.astype(np.float64)
    blocks = []
    for counts in _drawn_counts(len(table), seed, resamples):
        totals = counts @ weights
        empty = totals == 0
        blocks.append(np.where(empty, np.nan, counts @ values / np.where(empty, 1.0, totals)))
    return np.concatenate(blocks)


def _drawn_counts(questions: int, seed: int, resamples: int) -> Iterator[Matrix]:
    """Yield (some resamples, questions): how often each question is drawn."""
    draw = np.random.default_rng(seed)
    step = max(1, _DRAWS_AT_ONCE // questions)
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = draw.integers(questions, size=(rows, questions))
        places = drawn + questions * np.arange(rows)[:, None]
        counts = np.bincount(places.ravel(), minlength=rows * questions)
        yield counts.reshape(rows, questions).astype(np.float64)


def _estimate(mean: float, drawn: Matrix, values: Matrix, n: int | None = None) -> Estimate:
    """Return the estimate; ``values`` are the questions' own, NaN where one has none.

    Resamples without any value are left out. Where all values are the same there is no spread, and
    rounding must not make one.
    """
    known = values[~np.isnan(values)]
    count = len(known) if n is None else n
    drawn = drawn[~np.isnan(drawn)]
    if len(known) == count and known.min() == known.max():
        return Estimate(mean, mean, mean, count)
    low, high = (float(edge) for edge in np.quantile(drawn, _TAILS, method="inverted_cdf"))
    return Estimate(mean, min(low, mean), max(high, mean), count)
