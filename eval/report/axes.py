"""Axes of a plot: where a value lies, and which values are written beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

# From this ratio of largest to smallest on, equal steps are equal ratios.
_WIDE: Final = 4.0
_STEPS: Final = (1, 2, 5)
_DENSE: Final = (1, 1.5, 2, 3, 4, 5, 7)
_MARGIN: Final = 0.07  # of the axis, left free at both ends
_MOST_TICKS: Final = 8


@dataclass(frozen=True, slots=True)
class Axis:
    """Values from ``low`` to ``high`` along ``start`` to ``end`` [px], by ratio if ``wide``."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]
    wide: bool = False

    def at(self, value: float) -> float:
        """Return where a value lies [px]."""
        low, high, here = (self._scaled(each) for each in (self.low, self.high, value))
        return self.start + (here - low) / (high - low) * (self.end - self.start)

    def _scaled(self, value: float) -> float:
        return math.log(max(value, self.low)) if self.wide else value


def amounts(values: Sequence[float], start: float, end: float) -> Axis:
    """Return an axis for amounts above 0: by ratio where they lie far apart."""
    positive = [value for value in values if value > 0] or [1.0]
    low, high = min(positive), max(positive)
    if high / low < _WIDE:
        top = high * (1 + 2 * _MARGIN)
        return Axis(0.0, top, start, end, _even(0.0, top))
    room = (high / low) ** _MARGIN
    low, high = low / room, high * room
    return Axis(low, high, start, end, _ratios(low, high), wide=True)


def shares(values: Sequence[float], start: float, end: float) -> Axis:
    """Return an axis for shares: from some way below the smallest up to 1."""
    low = max(0.0, math.floor(10 * min(values, default=0.0) - 0.2) / 10)
    low = min(low, 0.8)
    return Axis(low, 1.0, start, end, _even(low, 1.0))


def _even(low: float, high: float) -> tuple[float, ...]:
    rough = (high - low) / 5
    power = 10 ** math.floor(math.log10(rough))
    step = next(s * power for s in (*_STEPS, 10) if s * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return tuple(round(i * step, 12) for i in range(first, last + 1))


def _ratios(low: float, high: float) -> tuple[float, ...]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in (_DENSE, _STEPS, (1, 3), (1,)):
        ticks = [step * 10.0**power for power in powers for step in steps]
        inside = tuple(tick for tick in ticks if low <= tick <= high)
        if len(inside) <= _MOST_TICKS:
            return inside
    return inside[:: math.ceil(len(inside) / _MOST_TICKS)]
