"""How much a time or an energy moves when nothing is changed, from a run's own repeats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rag.errors import ValueRangeError

CONFIDENCE: Final = 0.95
_PAIRED_FROM = 3  # of two pairs one degree of freedom is left, and t is 12.7


@dataclass(frozen=True, slots=True)
class Noise:
    """What two sets of repeats say about each other.

    ``band``: the difference of their means that chance alone stays under in 95 % of cases, in the
    measure's unit. ``p``: two-sided, of the difference that they have.
    """

    band: float
    p: float


def noise(ours: Sequence[float], theirs: Sequence[float]) -> Noise | None:
    """Return the noise between repeats' means, in order; None where one side has not two.

    The first repeat is dearer than the others, as caches are cold: a place has its own cost. With
    three or more on both sides repeat i is therefore held to repeat i, and what varies are the
    differences ``d``: ``band = t(0.975, n - 1) sd(d) / sqrt(n)``. Else the standard deviation ``s``
    is pooled over both sides: ``band = t(0.975, n + m - 2) s sqrt(1/n + 1/m)``. Both are Student's
    tests, read backwards.

    Source: Student 1908; Snedecor and Cochran 1989, Statistical Methods, sections 6.3 and 6.9.
    """
    n, m = len(ours), len(theirs)
    if min(n, m) < 2:
        return None
    difference = abs(math.fsum(ours) / n - math.fsum(theirs) / m)
    if n == m and n >= _PAIRED_FROM:
        apart = [mine - other for mine, other in zip(ours, theirs, strict=True)]
        return _noise(difference, math.sqrt(_squares(apart) / (n - 1) / n), n - 1)
    freedom = n + m - 2
    pooled = (_squares(ours) + _squares(theirs)) / freedom
    return _noise(difference, math.sqrt(pooled * (1 / n + 1 / m)), freedom)


def _noise(difference: float, error: float, freedom: int) -> Noise:
    if error == 0:
        return Noise(0.0, 0.0 if difference else 1.0)
    return Noise(t_quantile(freedom) * error, 1 - t_within(difference / error, freedom))


def _squares(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values)


def t_within(t: float, freedom: int) -> float:
    """Return P(|T| <= t) of Student's t with ``freedom`` degrees of freedom, t >= 0.

    With ``a = atan(t / sqrt(freedom))`` a finite sum in cos a, by whether freedom is odd or even.

    Source: Abramowitz and Stegun 1964, 26.7.3 and 26.7.4.

    Raises:
        ValueRangeError: ``freedom`` is below 1, or t below 0.
    """
    if freedom < 1 or t < 0:
        raise ValueRangeError("t and its freedom", f"{t}, {freedom}", "use t >= 0, freedom >= 1")
    angle = math.atan(t / math.sqrt(freedom))
    cosine, odd = math.cos(angle), freedom % 2
    term, total = (cosine if odd else 1.0), 0.0
    for k in range(odd, freedom - 1, 2):
        total += term
        term *= cosine**2 * (k + 1) / (k + 2)
    if odd:
        return 2 / math.pi * (angle + math.sin(angle) * total)
    return math.sin(angle) * total


def t_quantile(freedom: int, within: float = CONFIDENCE) -> float:
    """Return the t with ``P(|T| <= t) = within``, to 1e-9 of itself, by bisection.

    Raises:
        ValueRangeError: ``freedom`` is below 1, or ``within`` not in (0, 1).
    """
    if not 0 < within < 1:
        raise ValueRangeError("confidence", within, "use a share between 0 and 1")
    low, high = 0.0, 1.0
    while t_within(high, freedom) < within:
        low, high = high, 2 * high
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if t_within(middle, freedom) < within else (low, middle)
    return (low + high) / 2
