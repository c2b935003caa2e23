"""Means and differences with their intervals; everything with randomness takes a seed."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from rag.errors import ValueRangeError


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


def mean_estimate(values: Sequence[float], seed: int = 0, resamples: int = 1000) -> Estimate:
    """Return the mean with its 95 % percentile bootstrap interval.

    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, section 13.3.

    Raises:
        ValueRangeError: There are no values.
    """
    if not values:
        raise ValueRangeError("values", 0, "give one or more")
    n = len(values)
    mean = math.fsum(values) / n
    if min(values) == max(values):
        return Estimate(mean, mean, mean, n)
    draw = random.Random(seed)  # noqa: S311 -- reproducible resampling, not a secret
    means = sorted(math.fsum(draw.choices(values, k=n)) / n for _ in range(resamples))
    low, high = percentile(means, 2.5), percentile(means, 97.5)
    return Estimate(mean, min(low, mean), max(high, mean), n)


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
