import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from rag.errors import BackendError
from rag.grid.intensity import Intensity, Reading
from rag.grid.live import LiveIntensity

AVERAGE = Intensity(400.0, "location", "a yearly average", "2025")
LATER = 3600.0


@dataclass
class Grid:
    """A source on a clock of its own: what it says is the number of the call, for an hour."""

    now: float = 0.0
    calls: int = 0
    down: bool = False
    lasts: float = LATER
    open: threading.Event = field(default_factory=threading.Event)

    name = "a grid"

    def __post_init__(self) -> None:
        self.open.set()

    def clock(self) -> float:
        return self.now

    def latest(self) -> Reading:
        self.calls += 1
        assert self.open.wait(10)
        if self.down:
            raise BackendError("a grid cannot be reached", "down", "wait")
        value = Intensity(float(self.calls), "location", self.name, f"call {self.calls}")
        return Reading(value, self.now + self.lasts)


@pytest.fixture
def grid() -> Grid:
    return Grid()


@pytest.fixture
def live(grid: Grid) -> LiveIntensity:
    return LiveIntensity(grid, AVERAGE, grid.clock)


def at(intensity: Intensity | None) -> tuple[float, bool]:
    assert intensity is not None
    return intensity.gco2e_per_kwh, intensity.fallback


def test_a_value_is_asked_for_once_in_its_time(live: LiveIntensity, grid: Grid) -> None:
    live.refresh()
    for grid.now in (0.0, 1000.0, LATER - 1):
        assert at(live.now()) == (1.0, False)
    assert grid.calls == 1


def test_a_value_past_its_time_is_renewed_on_the_side(
    live: LiveIntensity, grid: Grid, settled: Callable[[], None]
) -> None:
    live.refresh()
    grid.now = LATER
    grid.open.clear()
    assert at(live.now()) == (1.0, False)
    grid.open.set()
    settled()
    assert at(live.now()) == (2.0, False)


def test_no_request_waits_and_only_one_asks(
    live: LiveIntensity, grid: Grid, settled: Callable[[], None]
) -> None:
    live.refresh()
    grid.open.clear()
    grid.now = LATER + 1
    started = time.monotonic()
    with_many = [live.now() for _ in range(1000)]
    assert time.monotonic() - started < 1
    assert {at(value) for value in with_many} == {(1.0, False)}
    grid.open.set()
    settled()
    assert grid.calls == 2
    assert at(live.now()) == (2.0, False)


def test_the_fallback_says_that_it_is_one_and_for_what(live: LiveIntensity, grid: Grid) -> None:
    grid.down = True
    live.refresh()
    value = live.now()
    assert value is not None
    assert at(value) == (400.0, True)
    assert (value.source, value.at) == ("a yearly average, in place of a grid", "2025")
    assert value.kind == "location"


def test_an_expired_value_gives_way_to_the_fallback(
    live: LiveIntensity, grid: Grid, settled: Callable[[], None]
) -> None:
    live.refresh()
    grid.down = True
    grid.now = LATER + 60
    assert at(live.now()) == (1.0, False)
    settled()
    grid.now = LATER + 601
    assert at(live.now()) == (400.0, True)
    settled()


def test_a_source_that_is_down_is_asked_once_a_minute_and_told_once(
    live: LiveIntensity,
    grid: Grid,
    settled: Callable[[], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    grid.down = True
    with caplog.at_level(logging.WARNING):
        live.refresh()
        for grid.now in (1.0, 30.0, 59.0, 61.0, 62.0, 122.0):
            live.now()
            settled()
    assert grid.calls == 3
    assert [r.getMessage() for r in caplog.records] == [
        "no intensity from a grid: a grid cannot be reached: down. Wait."
    ]
    grid.down = False
    grid.now = 300.0
    live.now()
    settled()
    assert at(live.now()) == (4.0, False)


def test_without_a_fallback_it_is_unknown(grid: Grid) -> None:
    grid.down = True
    live = LiveIntensity(grid, None, grid.clock)
    live.refresh()
    assert live.now() is None


def test_a_clock_that_is_set_back_does_not_hold_a_value_for_years(
    live: LiveIntensity, grid: Grid, settled: Callable[[], None]
) -> None:
    grid.now = 4e9
    live.refresh()
    grid.now = 1e9
    grid.open.clear()
    assert at(live.now()) == (400.0, True)  # what was read holds for another time
    grid.open.set()
    settled()
    assert at(live.now()) == (2.0, False)
    assert grid.calls == 2


def test_a_clock_that_is_set_back_a_little_changes_nothing(
    live: LiveIntensity, grid: Grid, settled: Callable[[], None]
) -> None:
    grid.now = 1000.0
    live.refresh()
    grid.now = 999.0
    assert at(live.now()) == (1.0, False)
    settled()
    assert grid.calls == 1


def test_a_value_that_is_past_when_it_comes_is_not_asked_for_without_end(
    live: LiveIntensity, grid: Grid, settled: Callable[[], None]
) -> None:
    grid.lasts = -1.0
    live.refresh()
    for grid.now in (1.0, 30.0, 59.0):
        live.now()
        settled()
    assert grid.calls == 1
