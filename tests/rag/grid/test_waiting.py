"""Waiting for a greener grid, on a clock that does not tick by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import BackendError
from rag.grid.forecast import Forecast, Start
from rag.grid.waiting import (
    READ_AGAIN_SECONDS,
    Clock,
    Waited,
    Wish,
    advice,
    saved_emissions,
    wait_for_green,
)
from rag.types import Interval

HOUR = 3600.0
NOW = 1_767_225_600.0


@dataclass
class Hands:
    """A clock that a sleeper turns; each sleep wakes a little late, as real ones do."""

    at: float = NOW
    late: float = 0.02
    slept: list[float] = field(default_factory=list)

    def clock(self) -> Clock:
        return Clock(lambda: self.at, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds + self.late


@dataclass
class Told:
    """A source that tells what it is asked to, whatever that raises."""

    answer: Callable[[], Forecast]
    read: int = 0

    def forecast(self) -> Forecast:
        self.read += 1
        return self.answer()


def hourly(*values: float) -> Forecast:
    return Forecast(tuple((NOW + i * HOUR, v) for i, v in enumerate(values)), HOUR, "made")


def down() -> Forecast:
    raise BackendError("grid service cannot be reached", "timeout", "try later")


def waited(
    source: Told | None, hands: Hands, hours: float = 1, within: float = 6
) -> tuple[Waited, Sequence[str]]:
    lines: list[str] = []
    wish = Wish(hours * HOUR, within * HOUR)
    return wait_for_green(wish, source, lines.append, hands.clock()), lines


def test_it_waits_for_the_greenest_window_and_looks_again_each_half_hour() -> None:
    hands, source = Hands(), Told(lambda: hourly(400, 300, 200, 300, 400, 500, 600))
    found, lines = waited(source, hands)
    assert found.asked == NOW
    assert found.started == pytest.approx(NOW + 2 * HOUR, abs=1)
    assert max(hands.slept) <= READ_AGAIN_SECONDS
    assert source.read == len(lines) == 4
    assert lines[0].endswith("in 2 h, 200 instead of 400 gCO2e/kWh (50% less)")
    assert found.start.now_gco2e_per_kwh == 400
    assert found.start.then_gco2e_per_kwh == pytest.approx(200)


def test_a_forecast_that_changes_changes_the_start() -> None:
    hands = Hands()
    later = hourly(400, 300, 200, 100, 100, 500, 600)
    source = Told(
        lambda: hourly(400, 300, 200, 300, 300, 300, 300) if hands.at < NOW + HOUR else later
    )
    found, _ = waited(source, hands)
    assert found.started == pytest.approx(NOW + 3 * HOUR, abs=1)


@pytest.mark.parametrize("source", [None, Told(down)])
def test_without_a_forecast_it_starts_at_once_with_the_reason(source: Told | None) -> None:
    hands = Hands()
    found, lines = waited(source, hands)
    assert (found.started, hands.slept) == (NOW, [])
    assert lines == [found.start.reason]
    assert ("timeout" if source else "no source is set") in found.start.reason
    assert saved_emissions(found.start, Interval(1, 2)) is None


def test_an_outage_while_it_waits_leaves_the_last_forecast_in_use() -> None:
    hands = Hands()
    source = Told(lambda: hourly(400, 300, 200, 300, 400, 500, 600) if hands.at == NOW else down())
    found, lines = waited(source, hands)
    assert found.started == pytest.approx(NOW + 2 * HOUR, abs=1)
    assert "could not be read again: grid service cannot be reached" in lines[1]


def test_what_cannot_be_done_in_time_starts_at_once() -> None:
    hands = Hands()
    found, _ = waited(Told(lambda: hourly(9, 1, 1, 1)), hands, hours=3, within=2)
    assert found.started == NOW


def test_the_deadline_does_not_move_with_the_time() -> None:
    """An hour that is always greener later would else be waited for without end."""
    hands = Hands(late=0.0)
    found, _ = waited(Told(lambda: hourly(*range(900, 0, -30))), hands, hours=1, within=4)
    assert found.started == NOW + 3 * HOUR


@given(
    st.lists(st.lists(st.floats(0, 900), min_size=1, max_size=30), min_size=1, max_size=8),
    st.floats(0.1, 5),
    st.floats(0.1, 24),
)
def test_whatever_the_forecasts_say_the_deadline_is_met(
    changes: list[list[float]], hours: float, within: float
) -> None:
    hands = Hands(late=0.0)
    source = Told(lambda: hourly(*changes[source.read % len(changes)]))
    found, _ = waited(source, hands, hours, within)
    assert found.started <= NOW + max(0.0, within - hours) * HOUR + 1e-3


def test_advice_is_the_start_without_the_wait() -> None:
    found = advice(Wish(HOUR, 6 * HOUR), Told(lambda: hourly(9, 8, 1, 9, 9, 9)), NOW)
    assert found.at == NOW + 2 * HOUR


def test_saved_emissions_are_energy_times_the_difference() -> None:
    start = Start(NOW, "", now_gco2e_per_kwh=400, then_gco2e_per_kwh=100)
    saved = saved_emissions(start, Interval(3.6e6, 7.2e6))
    assert saved is not None
    assert (saved.low, saved.high) == (300, 600)
    cost = saved_emissions(Start(NOW, "", 100, 400), Interval(3.6e6, 7.2e6))
    assert cost is not None
    assert (cost.low, cost.high) == (-600, -300)
    assert saved_emissions(start, None) is None
