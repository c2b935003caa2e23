"""Simulated grids: a week of hourly carbon intensity, and forecasts of it with their errors.

The shapes are those that grids are known for, the numbers are drawn: no measurement of any place.
What is learnt from them is how a policy behaves under such shapes, not what it saves somewhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag.grid.forecast import Forecast

HOUR = 3600.0  # [s]
WEEK_HOURS = 7 * 24  # by definition
BEGINS = 1_780_272_000.0  # 2026-06-01, a Monday, 00:00 UTC [POSIX s]
_REACH_HOURS = 48  # of a forecast: the last jobs of the week run on into it

_ERROR_PERSISTENCE = 0.8  # of the news of one target hour in that of the next


@dataclass(frozen=True, slots=True)
class Shape:
    """What a grid does: the level [gCO2e/kWh], and what moves it as shares of the level.

    ``solar`` is the dip at 13 h, ``evening`` the peak at 19 h, ``night`` the dip at 3 h,
    ``weekend`` the dip on Saturday and Sunday; ``weather`` is the standard deviation of what comes
    and goes over ``weather_hours``. ``error`` is the standard deviation of the logarithm of
    forecast over truth 24 h ahead; it grows with the root of the horizon, as a sum of independent
    news does.
    """

    name: str
    level: float
    solar: float
    evening: float
    night: float
    weekend: float
    weather: float
    weather_hours: float
    error: float


# Errors: what moves more is harder to foresee. Their mean absolute values are 3 to 14 %.
# Source: Maji, Shenoy, Sitaraman, CarbonCast, BuildSys 2022: 3.4 to 20 % by region.
SHAPES = (
    Shape("solar", 300, 0.55, 0.30, 0.00, 0.10, 0.08, 12, 0.08),
    Shape("wind", 220, 0.10, 0.15, 0.15, 0.08, 0.35, 30, 0.18),
    Shape("sun and wind", 380, 0.35, 0.20, 0.05, 0.15, 0.25, 24, 0.12),
    Shape("coal", 750, 0.05, 0.04, 0.03, 0.04, 0.03, 24, 0.04),
    Shape("nuclear", 55, 0.10, 0.20, 0.10, 0.05, 0.15, 24, 0.08),
)


@dataclass(frozen=True, slots=True)
class Grid:
    """A week and what follows it: ``actual`` (hours,) [gCO2e/kWh], ``news`` (hours, hours) [-].

    ``news[issued, target]`` is the logarithm of forecast over truth.
    """

    name: str
    actual: NDArray[np.float64]
    news: NDArray[np.float64]

    @property
    def truth(self) -> Forecast:
        """What the intensity is, as a forecast without error."""
        return _forecast(self.actual, 0, f"{self.name}, truth")

    def issued(self, moment: float) -> Forecast:
        """Return the newest forecast at a moment [POSIX s], of this hour and the 47 after it."""
        hour = min(max(int((moment - BEGINS) // HOUR), 0), len(self.actual) - 1)
        end = min(hour + _REACH_HOURS, len(self.actual))
        values = self.actual[hour:end] * np.exp(self.news[hour, hour:end])
        return _forecast(values, hour, self.name)


def simulated(shape: Shape, seed: int, worse: float = 1.0) -> Grid:
    """Return a grid of a shape: a week, and the two days in which its last jobs may still run.

    The errors of its forecasts are ``worse`` times those of the shape.
    """
    random = np.random.default_rng([seed, *shape.name.encode()])
    hours = np.arange(WEEK_HOURS + _REACH_HOURS)
    relative = 1 + _day(shape, hours % 24) - shape.weekend * (hours // 24 % 7 >= 5)
    weather = shape.weather * _persistent(random, len(hours), math.exp(-1 / shape.weather_hours))
    actual = shape.level * relative * np.exp(weather)
    return Grid(shape.name, actual, _news(random, len(hours), worse * shape.error))


def _day(shape: Shape, clock: NDArray[np.int64]) -> NDArray[np.float64]:
    def bump(at: float, width: float) -> NDArray[np.float64]:
        away = np.minimum(np.abs(clock - at), 24 - np.abs(clock - at))
        bell: NDArray[np.float64] = np.exp(-0.5 * (away / width) ** 2)
        return bell

    return shape.evening * bump(19, 2) - shape.solar * bump(13, 3) - shape.night * bump(3, 2.5)


def _persistent(random: np.random.Generator, count: int, persistence: float) -> NDArray[np.float64]:
    """Return a stationary series of unit variance in which each value keeps a share of the last."""
    fresh = random.standard_normal(count)
    series = np.empty(count)
    series[0] = fresh[0]
    for i in range(1, count):
        series[i] = persistence * series[i - 1] + math.sqrt(1 - persistence**2) * fresh[i]
    return series


def _news(random: np.random.Generator, count: int, error_24h: float) -> NDArray[np.float64]:
    """Return errors by hour of issue and target: each hour brings news of all hours to come.

    An error is the sum of the news between issue and target, so it falls to 0 as the hour comes.
    """
    step = error_24h / math.sqrt(24)
    fresh = np.stack([_persistent(random, count, _ERROR_PERSISTENCE) for _ in range(count)])
    hours = np.arange(count)
    fresh[hours[:, None] >= hours] = 0.0
    ahead: NDArray[np.float64] = np.cumsum(fresh[::-1], axis=0)[::-1] * step
    return ahead


def _forecast(values: NDArray[np.float64], first: int, source: str) -> Forecast:
    points = tuple((BEGINS + (first + i) * HOUR, float(v)) for i, v in enumerate(values))
    return Forecast(points, HOUR, source)
