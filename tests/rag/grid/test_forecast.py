"""The start that a forecast advises: the greenest window before the deadline, found exactly."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import ValueRangeError
from rag.grid.forecast import Forecast, Job, Start, best_start

HOUR = 3600.0
NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z


def hourly(*values: float, begins: float = NOW) -> Forecast:
    return Forecast(tuple((begins + i * HOUR, v) for i, v in enumerate(values)), HOUR, "made")


def job(hours: float, within: float, now: float = NOW) -> Job:
    return Job(now, hours * HOUR, now + within * HOUR)


def mean_by_hand(forecast: Forecast, start: float, end: float) -> float:
    """The mean as its definition says, a period at a time."""
    total = 0.0
    for begins, value in forecast.points:
        inside = min(end, begins + forecast.step_seconds) - max(start, begins)
        total += max(0.0, inside) * value
    return total / (end - start)


@pytest.mark.parametrize(
    ("points", "step"),
    [
        ((), HOUR),
        (((NOW, 1.0), (NOW + 2 * HOUR, 1.0)), HOUR),
        (((NOW, 1.0), (NOW, 1.0)), HOUR),
        (((NOW, -1.0),), HOUR),
        (((NOW, math.nan),), HOUR),
        (((math.nan, 1.0),), HOUR),
        (((NOW, 1.0),), 0.0),
        (((NOW, 1.0),), math.inf),
    ],
)
def test_what_is_no_forecast_is_refused(
    points: tuple[tuple[float, float], ...], step: float
) -> None:
    with pytest.raises(ValueRangeError):
        Forecast(points, step, "made")


def test_a_mean_counts_parts_of_periods() -> None:
    forecast = hourly(100, 200, 400)
    assert forecast.mean(NOW, NOW + 3 * HOUR) == pytest.approx(700 / 3)
    assert forecast.mean(NOW + HOUR / 2, NOW + 1.5 * HOUR) == pytest.approx(150)
    assert forecast.mean(NOW + 2 * HOUR, NOW + 2 * HOUR) == 400
    with pytest.raises(ValueRangeError):
        forecast.mean(NOW, NOW + 3.1 * HOUR)


def test_the_best_window_lies_between_the_hours_where_it_has_to() -> None:
    # 1.5 h of work: the last half hour at 100 belongs before the hour at 50.
    start = best_start(job(1.5, within=10), hourly(300, 100, 50, 400, 400, 400, 400, 400, 400, 400))
    assert start.at == NOW + 1.5 * HOUR
    assert start.then_gco2e_per_kwh == pytest.approx((50 + 25) / 0.75 * 2 / 3)
    assert start.now_gco2e_per_kwh == pytest.approx((300 + 50) / 1.5)
    assert start.saved_share == pytest.approx(1 - start.then_gco2e_per_kwh / (350 / 1.5))
    assert "waits" in start.reason


def test_of_equal_windows_the_earliest_is_taken() -> None:
    assert best_start(job(1, within=6), hourly(9, 5, 7, 5, 5, 8)).at == NOW + HOUR
    flat = best_start(job(1, within=6), hourly(5, 5, 5, 5, 5, 5))
    assert (flat.at, flat.saved_gco2e_per_kwh, flat.saved_share) == (NOW, 0, 0)
    assert "saves nothing" in flat.reason


def test_a_job_never_ends_after_its_deadline() -> None:
    start = best_start(job(2, within=4.5), hourly(9, 8, 7, 6, 5, 1, 1, 1))
    assert start.at == NOW + 2.5 * HOUR


WRONG_TIME = "not of this time"


@pytest.mark.parametrize(
    ("forecast", "reason"),
    [
        (None, "no forecast (it is down)"),
        (hourly(9, 1, begins=NOW - 48 * HOUR), WRONG_TIME),
        (hourly(9, 1, begins=NOW + HOUR), WRONG_TIME),
        (hourly(9, begins=NOW), "ends before the job"),
    ],
)
def test_without_a_forecast_of_this_time_it_starts_now(
    forecast: Forecast | None, reason: str
) -> None:
    start = best_start(job(1.5, within=6), forecast, "it is down")
    assert start.at == NOW
    assert reason in start.reason
    assert start.saved_gco2e_per_kwh is None


def test_a_deadline_that_cannot_be_met_is_not_missed_by_more() -> None:
    start = best_start(job(3, within=2), hourly(9, 1, 1, 1))
    assert (start.at, start.saved_gco2e_per_kwh) == (NOW, 0)
    assert "longer than the deadline" in start.reason


def test_a_forecast_that_ends_before_the_deadline_is_used_as_far_as_it_reaches() -> None:
    start = best_start(job(1, within=24), hourly(9, 7, 3, 8))
    assert start.at == NOW + 2 * HOUR
    assert "as far as the forecast reaches" in start.reason


def test_emissions_of_nothing_have_no_share() -> None:
    assert best_start(job(1, within=3), hourly(0, 0, 0)).saved_share is None
    assert Start(NOW, "unknown").saved_share is None


@pytest.mark.parametrize("duration", [-1.0, math.nan, math.inf])
def test_what_is_no_duration_is_refused(duration: float) -> None:
    with pytest.raises(ValueRangeError):
        Job(NOW, duration, NOW + HOUR)


values = st.lists(st.floats(0, 2000), min_size=1, max_size=40)


@given(
    values, st.floats(-2, 30), st.floats(0.01, 12), st.floats(0, 40), st.sampled_from([300, 3600])
)
def test_no_start_before_the_deadline_is_better(
    found: list[float], offset: float, hours: float, within: float, step: int
) -> None:
    points = tuple((NOW + i * step, v) for i, v in enumerate(found))
    forecast = Forecast(points, float(step), "made")
    asked = Job(NOW + offset * step, hours * step, NOW + (offset + within) * step)
    start = best_start(asked, forecast)
    assert start.at >= asked.now
    assert start.at <= max(asked.now, asked.latest)
    if start.then_gco2e_per_kwh is None:
        assert start.at == asked.now
        return
    by_hand = mean_by_hand(forecast, start.at, start.at + asked.duration_seconds)
    assert start.then_gco2e_per_kwh == pytest.approx(by_hand, rel=1e-6, abs=1e-6)
    latest = min(asked.latest, forecast.ends - asked.duration_seconds)
    for i in range(41):
        tried = asked.now + (latest - asked.now) * i / 40
        if asked.now <= tried <= latest:
            mean = mean_by_hand(forecast, tried, tried + asked.duration_seconds)
            assert start.then_gco2e_per_kwh <= mean + 1e-6 * max(1.0, mean)


@given(values, st.floats(0, 1), st.floats(0, 1))
def test_waiting_never_costs_by_the_forecast(found: list[float], a: float, b: float) -> None:
    forecast = hourly(*found)
    length = len(found) * a
    start = best_start(job(length, within=length + b * len(found)), forecast)
    saved = start.saved_gco2e_per_kwh
    assert saved is None or saved >= -1e-6
