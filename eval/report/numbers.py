"""Numbers for people: three digits, one unit a row, and "unknown" for what is not known."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from rag.types import Interval

UNKNOWN: Final = "unknown"
NO_BREAK: Final = "\N{NO-BREAK SPACE}"
_SHARE: Final = "share"
_PREFIXES: Final = ((1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))
_SCALED: Final = frozenset({"s", "J", "g", "gCO2e", "L"})


@dataclass(frozen=True, slots=True)
class Scale:
    """In which unit a row of values is shown: ``factor`` of the unit that they have."""

    unit: str
    factor: float = 1.0

    def shown(self, value: float | None) -> str:
        """Return a value without its unit."""
        if value is None:
            return UNKNOWN
        return f"{value:z.3f}" if self.unit == _SHARE else number(value / self.factor)

    def ranged(self, low: float | None, high: float | None) -> str:
        """Return "low to high", or one number where they read alike."""
        first, last = self.shown(low), self.shown(high)
        return first if first == last else f"{first} to {last}"

    def interval(self, interval: Interval | None) -> str:
        """Return an interval as ``ranged`` does."""
        return UNKNOWN if interval is None else self.ranged(interval.low, interval.high)


def scale_of(unit: str, values: Iterable[float | None]) -> Scale:
    """Return the scale in which the largest of the values is 1 or more, if there is one."""
    largest = max((abs(value) for value in values if value is not None), default=0.0)
    if unit not in _SCALED or not largest:
        return Scale(unit)
    for factor, prefix in _PREFIXES:
        if largest >= factor:
            return Scale(prefix + unit, factor)
    return Scale(_PREFIXES[-1][1] + unit, _PREFIXES[-1][0])


def number(value: float) -> str:
    """Return three significant digits, or all digits of the whole part, with "," by thousands."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    digits = max(0, min(2 - math.floor(math.log10(abs(value))), 12))
    return f"{value:,.{digits}f}"


def whole(value: float) -> str:
    """Return a count."""
    return f"{value:,.0f}"


def ratio(part: float | None, of: float | None, what: str) -> str | None:
    """Return how much of ``what`` the part is; None where one is unknown or ``of`` is 0."""
    if part is None or not of:
        return None
    times = part / of
    return f"{number(100 * times)} % of {what}" if times < 1 else f"{number(times)} times {what}"
