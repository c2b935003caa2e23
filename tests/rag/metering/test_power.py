"""What a second of CPU time costs, from counters that all requests share."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.adapters.recorded_energy import RecordedCounter
from rag.impact import WATTS_PER_BUSY_CPU
from rag.metering.power import (
    EstimatedPower,
    PowerSampler,
    Sources,
    Window,
    full_watts,
    machine_watts,
    own_watts,
)
from rag.metering.processor import IDLE_SHARE
from rag.types import Interval

CPUS = 8
SECONDS = st.floats(0.05, 100)
SHARES = st.floats(0.06, 1)
POWERS = st.floats(1, 900)


def window(seconds: float, share: float, watts: float, cpus: int = CPUS) -> Window:
    return Window(seconds, share * seconds * cpus, 1.0, watts * seconds, 0.0)


@given(SECONDS, SHARES, POWERS, st.integers(1, 512))
def test_intervals_never_invert(seconds: float, share: float, watts: float, cpus: int) -> None:
    found = machine_watts(window(seconds, share, watts, cpus), cpus)
    assert found is not None
    assert 0 < found.low <= found.high


@given(SECONDS, SHARES, POWERS)
def test_all_requests_together_never_get_more_than_was_counted(
    seconds: float, share: float, watts: float
) -> None:
    passed = window(seconds, share, watts)
    found = machine_watts(passed, CPUS)
    assert found is not None
    assert found.high * passed.busy <= passed.machine_joules * (1 + 1e-9)


def test_more_than_all_cpus_cannot_have_been_busy() -> None:
    assert full_watts(window(1.0, 1.5, 200), CPUS, 0.3) == pytest.approx(200)  # ticks are coarse


@given(SHARES, st.floats(0, 0.9), POWERS)
def test_the_linear_model_gives_back_what_went_in(share: float, idle: float, full: float) -> None:
    drawn = full * (idle + (1 - idle) * share)
    assert full_watts(window(3.0, share, drawn), CPUS, idle) == pytest.approx(full)


@given(st.sampled_from([0.1, 0.3, 1.0]), st.floats(IDLE_SHARE.low, IDLE_SHARE.high))
def test_the_truth_is_in_the_interval_at_every_load(share: float, idle: float) -> None:
    drawn = 200 * (idle + (1 - idle) * share)
    found = machine_watts(window(1.0, share, drawn), CPUS)
    assert found is not None
    assert found.low <= (1 - idle) * 200 / CPUS * (1 + 1e-9)  # what the work adds
    assert found.high >= 200 / CPUS * (1 - 1e-9)  # and its CPU's idle part


@pytest.mark.parametrize(
    "passed",
    [
        Window(0.0, 0.0, 0.0, 0.0, 0.0),
        Window(1.0, 0.0, 0.0, 50.0, 0.0),
        Window(1.0, 0.3, 0.3, 50.0, 0.0),  # 3.75 % of eight CPUs
    ],
)
def test_a_window_that_says_too_little_is_unknown(passed: Window) -> None:
    assert machine_watts(passed, CPUS) is None


def test_energy_elsewhere_goes_by_the_process_s_own_cpu_time() -> None:
    assert own_watts(Window(1.0, 4.0, 0.5, 100.0, 60.0)) == pytest.approx(120)
    assert own_watts(Window(1.0, 4.0, 0.0, 100.0, 0.0)) == 0
    assert own_watts(Window(1.0, 4.0, 0.001, 100.0, 60.0)) is None


@pytest.mark.parametrize("seconds", [0.0, -0.001])
def test_energy_elsewhere_in_no_time_is_unknown(seconds: float) -> None:
    assert own_watts(Window(seconds, 0.0, 0.0, 0.0, 60.0)) is None
    assert own_watts(Window(seconds, 0.0, 5e-5, 0.0, 60.0)) is None


@dataclass
class Bench:
    """A sampler over recorded counters, with its clock and its machine's busy time."""

    readings: list[float | None]
    own: list[float | None] = field(default_factory=list)
    at: float = 0.0
    busy: float | None = 0.0

    def __post_init__(self) -> None:
        own = (RecordedCounter(self.own, "gpu"),) if self.own else ()
        self.machine = RecordedCounter(self.readings)
        sources = Sources(
            2, (self.machine,), own, lambda: self.busy, lambda: self.at, lambda: self.at
        )
        self.sampler = PowerSampler(sources, Interval(2, 3))

    def after(self, seconds: float, busy: float | None) -> str:
        self.at += seconds
        self.busy = None if self.busy is None or busy is None else self.busy + busy
        return self.sampler.now().basis


def test_it_is_estimated_until_a_window_has_passed_and_measured_then() -> None:
    bench = Bench([0.0, 40.0])
    assert bench.sampler.now().watts == Interval(2, 3)
    assert bench.after(1.0, 2.0) == "measured"
    assert bench.sampler.now().watts == Interval(0.5 * 20, 20)


def test_the_counter_is_read_once_a_period() -> None:
    bench = Bench([0.0, 40.0, 80.0, 120.0])
    for _ in range(100):
        bench.after(0.01, 0.02)
    assert bench.machine.read() is None  # asked a hundred times in a second: all four are used up
    assert bench.after(0, 0) == "measured"  # and not a fifth, which would have been None


def test_a_failed_reading_voids_two_windows_and_the_last_good_one_stands() -> None:
    bench = Bench([0.0, 40.0, None, 90.0, 130.0])
    bench.after(0, 0)
    assert bench.after(1, 2) == "measured"
    before = bench.sampler.now()
    assert bench.after(1, 2) == "measured"
    assert bench.sampler.now() == before


def test_a_counter_that_stays_silent_ends_in_the_estimate() -> None:
    bench = Bench([0.0, 40.0])
    bench.after(0, 0)
    assert bench.after(1, 2) == "measured"
    assert bench.after(30, 1) == "measured"
    assert bench.after(31, 1) == "estimated"
    assert bench.sampler.now().watts == Interval(2, 3)


def test_without_busy_times_or_with_one_counter_of_two_nothing_is_measured() -> None:
    bench = Bench([0.0, 40.0, 80.0])
    bench.after(0, None)
    assert bench.after(1, 2) == "estimated"
    bench = Bench([0.0, 40.0, 80.0], own=[0.0, None, None])
    bench.after(0, 0)
    assert bench.after(1, 2) == "estimated"


def test_a_gpu_s_energy_comes_on_top_of_what_is_measured() -> None:
    bench = Bench([0.0, 40.0], own=[0.0, 30.0])
    bench.after(0, 0)
    assert bench.after(1.0, 2.0) == "measured"
    assert bench.sampler.now().watts == Interval(0.5 * 20 + 30, 20 + 30)


def test_a_gpu_s_energy_comes_on_top_of_what_is_estimated() -> None:
    at = 0.0
    gpu = RecordedCounter([0.0, 30.0])
    sources = Sources(2, (), (gpu,), lambda: 2 * at, lambda: at, lambda: at)
    sampler = PowerSampler(sources, Interval(2, 3))
    assert sampler.now().watts == Interval(2, 3)
    at = 1.0
    assert sampler.now().watts == Interval(32, 33)
    assert sampler.now().basis == "estimated"  # as is the weaker of the two


def test_many_threads_take_one_reading() -> None:
    bench = Bench([0.0, 40.0])
    bench.after(0, 0)
    bench.at, bench.busy = 1.0, 2.0
    threads = [threading.Thread(target=bench.sampler.now) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bench.sampler.now().basis == "measured"
    assert bench.machine.read() is None


class Gate:
    """A lock before which something happens once."""

    def __init__(self) -> None:
        self.first: Callable[[], object] | None = None

    def acquire(self, *, blocking: bool) -> bool:
        assert not blocking
        happens, self.first = self.first, None
        if happens:
            happens()
        return True

    def release(self) -> None:
        pass


def test_who_comes_late_with_an_old_time_does_not_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between a look at the clock and the lock another thread may have read."""
    gate, times = Gate(), [0.0]
    monkeypatch.setattr("rag.metering.power.threading.Lock", lambda: gate)
    gpu = RecordedCounter([0.0, 30.0, 60.0])
    sources = Sources(2, (), (gpu,), lambda: 2.0, lambda: times[-1], lambda: times[-1])
    sampler = PowerSampler(sources, Interval(2, 3), period_seconds=1.0)
    sampler.now()

    def another() -> None:
        times.append(1.5)
        sampler.now()

    times.append(1.0)
    gate.first = another
    sampler.now()
    assert gpu.read() == 60.0  # the late one left it alone
    assert sampler.now().watts == Interval(22, 23)


def test_nobody_waits_for_a_counter() -> None:
    reading, go_on = threading.Event(), threading.Event()

    class Slow(RecordedCounter):
        def read(self) -> float | None:
            reading.set()
            assert go_on.wait(5)
            return super().read()

    sampler = PowerSampler(Sources(2, (Slow([0.0]),), busy=lambda: 0.0), Interval(2, 3))
    reader = threading.Thread(target=sampler.now)
    reader.start()
    assert reading.wait(5)
    started = time.monotonic()
    assert sampler.now().watts == Interval(2, 3)
    assert time.monotonic() - started < 2
    go_on.set()
    reader.join()


def test_the_estimate_is_the_clouds_range_if_nothing_is_known() -> None:
    assert EstimatedPower().now().watts == WATTS_PER_BUSY_CPU
    assert EstimatedPower().now().basis == "estimated"
