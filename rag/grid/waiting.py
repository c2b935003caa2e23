"""Waiting for the start that a forecast advises, looking at the forecast again meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from rag.durations import worded
from rag.errors import RagError
from rag.grid.forecast import Forecast, ForecastSource, Job, Start, best_start
from rag.impact import JOULES_PER_KWH
from rag.results import SignedInterval
from rag.types import Interval

# Forecasts are renewed every half hour or less often: a sooner look would see the same.
# Source: National Energy System Operator, Carbon Intensity API (carbon-intensity.github.io,
# read 2026-11): intensities are given by half hours.
READ_AGAIN_SECONDS = 1800.0


@dataclass(frozen=True, slots=True)
class Clock:
    """What time it is [POSIX s], and how to let time pass [s]."""

    now: Callable[[], float] = time.time
    sleep: Callable[[float], object] = time.sleep


@dataclass(frozen=True, slots=True)
class Wish:
    """Work that may wait: how long it is expected to take, and after what it must be done [s]."""

    duration_seconds: float
    deadline_seconds: float


@dataclass(frozen=True, slots=True)
class Waited:
    """When the work was asked for and when it started [POSIX s], and by what advice.

    ``start`` holds the forecast's means: at the time of asking as forecast then, and at the start
    as forecast last.
    """

    asked: float
    started: float
    start: Start


def wait_for_green(
    wish: Wish,
    source: ForecastSource | None,
    tell: Callable[[str], object],
    clock: Clock = Clock(),
) -> Waited:
    """Return when the start has come: the greenest that meets the deadline, as known by then.

    A forecast that cannot be read again stays in use while it reaches; without any the work starts
    at once. Nothing is held meanwhile: whoever waits may be interrupted at any time.
    """
    asked = clock.now()
    first: Start | None = None
    forecast: Forecast | None = None
    while True:
        now = clock.now()
        forecast, problem = _read(source, forecast)
        job = Job(now, wish.duration_seconds, asked + wish.deadline_seconds)
        start = best_start(job, forecast, problem)
        first = first or start
        tell(_told(start, now, problem))
        pause = start.at - now
        if pause > 0:
            clock.sleep(min(pause, READ_AGAIN_SECONDS))
        if pause <= READ_AGAIN_SECONDS:
            break
    means = (first.now_gco2e_per_kwh, start.then_gco2e_per_kwh)
    return Waited(asked, clock.now(), Start(start.at, start.reason, *means, start.source))


def advice(wish: Wish, source: ForecastSource | None, now: float) -> Start:
    """Return when the work would start if it were asked for now [POSIX s]."""
    forecast, problem = _read(source, None)
    return best_start(
        Job(now, wish.duration_seconds, now + wish.deadline_seconds), forecast, problem
    )


def saved_emissions(start: Start, joules: Interval | None) -> SignedInterval | None:
    """Return what the start saved against starting at once [gCO2e]: ``E / 3.6e6 * (I0 - I1)``.

    By the forecast; None where it or the energy is unknown, below 0 where waiting cost.

    Args:
        start: The start that was taken.
        joules: What the work took [J].
    """
    per_kwh = start.saved_gco2e_per_kwh
    if per_kwh is None or joules is None:
        return None
    ends = sorted(bound / JOULES_PER_KWH * per_kwh for bound in (joules.low, joules.high))
    return SignedInterval(*ends)


def _read(source: ForecastSource | None, earlier: Forecast | None) -> tuple[Forecast | None, str]:
    if source is None:
        return None, "no source is set"
    try:
        return source.forecast(), ""
    except RagError as exc:
        return earlier, f"{exc.what}: {exc.value}"


def _told(start: Start, now: float, problem: str) -> str:
    line = start.reason
    if start.at > now:
        line += f": in {worded(start.at - now)}"
    share = start.saved_share
    if share and start.at > now:
        line += (
            f", {start.then_gco2e_per_kwh:.0f} instead of {start.now_gco2e_per_kwh:.0f} gCO2e/kWh"
            f" ({share:.0%} less)"
        )
    unread = f" (the forecast could not be read again: {problem})"
    return line + (unread if problem and start.source else "")
