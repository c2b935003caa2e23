"""When to start: the window of a carbon forecast in which work emits least before its deadline."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from rag.errors import ValueRangeError

# Means closer than this are equal: what sums of floats differ by is no reason to wait.
_SAME = 1e-9
# How far a period may lie from where its number says [s]; clocks in files are cut to seconds.
_SLACK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Forecast:
    """Carbon intensity to come, in periods of equal length without gaps.

    ``points`` are (start of the period as POSIX seconds, intensity in it [gCO2e/kWh]), in order,
    each period ``step_seconds`` long [s]. ``source`` names who made it.
    """

    points: tuple[tuple[float, float], ...]
    step_seconds: float
    source: str
    _sums: tuple[float, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.step_seconds) and self.step_seconds > 0):
            raise ValueRangeError(
                "length of a forecast's periods [s]", self.step_seconds, "give one above 0"
            )
        if not self.points:
            raise ValueRangeError("forecast", "no periods", "give one or more")
        first, sums = self.points[0][0], [0.0]
        for i, (start, value) in enumerate(self.points):
            self._check(start, first + i * self.step_seconds, value)
            sums.append(sums[-1] + value * self.step_seconds)
        if not math.isfinite(sums[-1]):
            raise ValueRangeError("sum of a forecast", sums[-1], "give intensities in gCO2e/kWh")
        object.__setattr__(self, "_sums", tuple(sums))

    def _check(self, start: float, expected: float, value: float) -> None:
        if not (math.isfinite(value) and value >= 0):
            raise ValueRangeError(
                "intensity in a forecast [gCO2e/kWh]", value, "give finite ones, 0 or more"
            )
        if not abs(start - expected) <= _SLACK_SECONDS:
            remedy = f"give periods of {self.step_seconds:g} s without gaps: {expected:.0f}"
            raise ValueRangeError("start of a forecast's period", start, remedy)

    @property
    def begins(self) -> float:
        """Start of the first period [POSIX s]."""
        return self.points[0][0]

    @property
    def ends(self) -> float:
        """End of the last period [POSIX s]."""
        return self.begins + len(self.points) * self.step_seconds

    def covers(self, start: float, end: float) -> bool:
        """Return whether all of a window is forecast."""
        return self.begins <= start <= end <= self.ends

    def mean(self, start: float, end: float) -> float:
        """Return the mean intensity over a window [gCO2e/kWh]: ``(S(end) - S(start)) / length``.

        Parts of periods count by their length. A window of no length has the intensity of its
        moment.

        Raises:
            ValueRangeError: The window is not wholly forecast.
        """
        if not self.covers(start, end):
            raise ValueRangeError(
                "window outside the forecast", f"[{start}, {end}]", "ask for one inside it"
            )
        if end - start <= _SAME * self.step_seconds:
            return self.points[self._period(start)][1]
        return max(0.0, (self._integral(end) - self._integral(start)) / (end - start))

    def borders(self, start: float, end: float) -> Iterator[float]:
        """Yield the starts of the periods that lie in a range, and the end of the last."""
        first = max(0, math.ceil((start - self.begins) / self.step_seconds))
        last = min(len(self.points), math.floor((end - self.begins) / self.step_seconds))
        for i in range(first, last + 1):
            yield self.begins + i * self.step_seconds

    def _period(self, moment: float) -> int:
        index = math.floor((moment - self.begins) / self.step_seconds)
        return min(max(index, 0), len(self.points) - 1)

    def _integral(self, moment: float) -> float:
        """Return intensity times time from the beginning to a moment [gCO2e/kWh s]."""
        index = self._period(moment)
        inside = moment - (self.begins + index * self.step_seconds)
        return self._sums[index] + self.points[index][1] * inside


class ForecastSource(Protocol):
    """Where a forecast comes from."""

    def forecast(self) -> Forecast:
        """Return the forecast as it is now.

        Raises:
            RagError: There is none to be had.
        """


@dataclass(frozen=True, slots=True)
class Job:
    """Work that may wait: ``now`` and ``deadline`` are POSIX seconds, the duration is expected."""

    now: float
    duration_seconds: float
    deadline: float

    def __post_init__(self) -> None:
        times = (self.now, self.duration_seconds, self.deadline)
        if not (all(map(math.isfinite, times)) and self.duration_seconds >= 0):
            raise ValueRangeError(
                "duration of a job [s]", self.duration_seconds, "give 0 or more, and finite times"
            )

    @property
    def latest(self) -> float:
        """When it has to start to be done by its deadline [POSIX s]; before now: too late."""
        return self.deadline - self.duration_seconds


@dataclass(frozen=True, slots=True)
class Start:
    """When to start [POSIX s], why, and the mean intensity of the job now and then [gCO2e/kWh].

    The intensities are None where no forecast tells them; ``source`` made the forecast.
    """

    at: float
    reason: str
    now_gco2e_per_kwh: float | None = None
    then_gco2e_per_kwh: float | None = None
    source: str | None = None

    @property
    def saved_gco2e_per_kwh(self) -> float | None:
        """What waiting saves against starting now [gCO2e/kWh]; negative where it costs."""
        if self.now_gco2e_per_kwh is None or self.then_gco2e_per_kwh is None:
            return None
        return self.now_gco2e_per_kwh - self.then_gco2e_per_kwh

    @property
    def saved_share(self) -> float | None:
        """The same as a share of starting now; None where that emits nothing or is unknown."""
        saved = self.saved_gco2e_per_kwh
        if saved is None or not self.now_gco2e_per_kwh:
            return None
        return saved / self.now_gco2e_per_kwh


def best_start(job: Job, forecast: Forecast | None, missing: str = "there is none") -> Start:
    """Return the start with the least mean emissions, never later than the deadline allows.

    The mean over a window that slides over a step function is linear between the starts at which
    either end meets a border of a period, so the least stands at one of those: exact, without a
    grid of trial starts. Of equal ones the earliest is taken. Where the forecast ends before the
    deadline, only windows inside it are looked at. Where there is none for the time from now on,
    the job starts now: waiting without a reason saves nothing.

    Args:
        job: What is to be started.
        forecast: What is known of the grid; None: nothing.
        missing: Why nothing is known.
    """
    if forecast is None:
        return Start(job.now, f"starts now: no forecast ({missing})")
    if job.latest < job.now:
        return _now(job, forecast, "starts now: it takes longer than the deadline allows")
    end = job.now + job.duration_seconds
    if not forecast.begins <= job.now < forecast.ends:
        return Start(
            job.now, "starts now: the forecast is not of this time", source=forecast.source
        )
    if not forecast.covers(job.now, end):
        return _now(job, forecast, "starts now: the forecast ends before the job would")
    return _chosen(job, forecast)


def _now(job: Job, forecast: Forecast, reason: str) -> Start:
    end = job.now + job.duration_seconds
    mean = forecast.mean(job.now, end) if forecast.covers(job.now, end) else None
    return Start(job.now, reason, mean, mean, forecast.source)


def _chosen(job: Job, forecast: Forecast) -> Start:
    duration = job.duration_seconds
    latest = min(job.latest, forecast.ends - duration)
    means = [(forecast.mean(s, s + duration), s) for s in _candidates(job, forecast, latest)]
    least = min(mean for mean, _ in means)
    mean, at = next(pair for pair in means if pair[0] <= least + _SAME * max(1.0, least))
    reason = (
        "waits for the least emissions" if at > job.now else "starts now: waiting saves nothing"
    )
    if job.latest > forecast.ends - duration:
        reason += ", as far as the forecast reaches"
    return Start(at, reason, means[0][0], mean, forecast.source)


def _candidates(job: Job, forecast: Forecast, latest: float) -> list[float]:
    """Return the starts at which the least can stand, in order, the first of them now."""
    duration = job.duration_seconds
    starts = {job.now, latest, *forecast.borders(job.now, latest)}
    starts |= {b - duration for b in forecast.borders(job.now + duration, latest + duration)}
    return sorted(start for start in starts if job.now <= start <= latest)
