"""Whether the semantic level may stay on: false hits among those that were answered anew.

The level is switched off once the one-sided lower 95 % bound of the false-hit share is beyond the
limit, that is when it is shown to be too high. With the upper bound it could not be switched on
before some 300 hits without a fault (1 - 0.05^(1/299) < 1 %), with the plain share the first fault
would end it. Looking after each check makes a false alarm likelier than 5 %: the safe side.
"""

from __future__ import annotations

import math
from typing import Final

from rag.cache.keys import normalised
from rag.cache.values import Said
from rag.quantities import in_digits, quantities

_ONE_SIDED: Final = 0.05
_TWO_SIDED: Final = 0.025
_STEPS = 60  # of bisection: 2^-60


def is_due(hits: int, share: float) -> bool:
    """Return whether the hit of this number, from 1, is one of the share answered anew.

    Evenly spaced: the number of those due among the first ``n`` is ``floor(n share)``.
    """
    return math.floor(hits * share) > math.floor((hits - 1) * share)


def agrees(kept: Said, fresh: Said) -> bool | None:
    """Return whether a kept answer says what a fresh one to the same question says.

    None where either abstains: a word more or less in a question moves its confidence over the
    threshold, which tells nothing about the answer. Else they agree if they have the same text, or
    the same short answer, or texts with the same numbers that rest on the same cited sentences.
    Where both have a short answer, that alone decides.
    """
    if kept.text is None or fresh.text is None:
        return None
    if kept.short is not None and fresh.short is not None:
        return normalised(kept.short.text) == normalised(fresh.short.text)
    if normalised(kept.text) == normalised(fresh.text):
        return True
    cited = [{(c.doc_id, c.quote) for c in said.citations} for said in (kept, fresh)]
    numbers = [quantities(in_digits(text)) for text in (kept.text, fresh.text)]
    return bool(cited[0]) and cited[0] == cited[1] and numbers[0] == numbers[1]


def surely(false: int, checked: int) -> float:
    """Return the one-sided lower 95 % bound of the share that is false."""
    return _lower(false, checked, _ONE_SIDED)


def bounds(false: int, checked: int) -> tuple[float, float]:
    """Return the exact two-sided 95 % bounds of the share that is false."""
    return _lower(false, checked, _TWO_SIDED), 1 - _lower(checked - false, checked, _TWO_SIDED)


def _lower(found: int, checked: int, alpha: float) -> float:
    """Return the ``p`` at which ``P(X >= found) = alpha`` for ``X ~ B(checked, p)``.

    Source: Clopper and Pearson 1934, The use of confidence or fiducial limits illustrated in the
    case of the binomial, Biometrika 26(4), 404-413.
    """
    if not found:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _at_least(found, checked, middle) < alpha:
            low = middle
        else:
            high = middle
    return low


def _at_least(found: int, checked: int, p: float) -> float:
    """Return ``P(X >= found)``, summed over the side with the fewer terms."""
    if not 0 < p < 1:
        return float(p >= 1)
    if found <= checked - found:
        return 1 - math.fsum(_mass(k, checked, p) for k in range(found))
    return math.fsum(_mass(k, checked, p) for k in range(found, checked + 1))


def _mass(k: int, n: int, p: float) -> float:
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(ways + k * math.log(p) + (n - k) * math.log1p(-p))
