import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.grid.intensity import Intensity
from rag.impact import WATTS_PER_BUSY_CPU
from rag.meter import RequestMeter
from rag.metering.power import CpuPower
from rag.place import Embodied, Place
from rag.types import Interval

NOWHERE = Place(None, None, None, 1.0)


def work(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(100))


def test_stages_are_traced_in_order_with_their_decisions_and_cost() -> None:
    meter = RequestMeter(NOWHERE)
    with meter.stage("retrieve") as step:
        work(0.02)
        step.decision = "3 passages"
    with meter.stage("pack"):
        pass
    first, second = meter.trace()
    assert (first.stage, first.decision, second.stage) == ("retrieve", "3 passages", "pack")
    assert first.joules is not None
    assert second.joules is not None
    assert first.seconds >= 0.02
    assert first.joules.low >= 0.02 * WATTS_PER_BUSY_CPU.low
    assert second.joules.low < first.joules.low


def test_waiting_costs_no_energy() -> None:
    meter = RequestMeter(NOWHERE)
    time.sleep(0.05)
    used = meter.impact().cpu_seconds
    assert meter.seconds() >= 0.05
    assert used is not None
    assert used.low < 0.03


def test_work_on_other_threads_is_in_the_high_bound_only() -> None:
    meter = RequestMeter(NOWHERE)
    other = threading.Thread(target=work, args=(0.1,))
    other.start()
    other.join()
    used = meter.impact().cpu_seconds
    assert used is not None
    assert used.low < 0.05
    assert used.high >= 0.1


def test_the_whole_is_at_least_its_stages() -> None:
    meter = RequestMeter(NOWHERE)
    for _ in range(3):
        with meter.stage("pack"):
            work(0.005)
    joules = meter.impact().joules
    assert joules is not None
    assert joules.low >= sum(step.joules.low for step in meter.trace() if step.joules)
    assert joules.low <= joules.high


def test_what_the_place_does_not_tell_stays_unknown() -> None:
    impact = RequestMeter(NOWHERE).impact()
    assert (impact.gco2e, impact.litres, impact.region) == (None, None, None)
    assert impact.basis == "estimated"


def test_the_place_turns_energy_into_carbon_and_water() -> None:
    meter = RequestMeter(Place(360.0, 1.8, "somewhere", 1.5))
    work(0.01)
    impact = meter.impact()
    assert impact.joules is not None
    assert impact.gco2e is not None
    assert impact.litres is not None
    assert impact.cpu_seconds is not None
    assert impact.joules.low == pytest.approx(impact.cpu_seconds.low * WATTS_PER_BUSY_CPU.low * 1.5)
    assert impact.gco2e.high == pytest.approx(impact.joules.high * 1e-4)
    assert impact.litres.low == pytest.approx(impact.joules.low * 5e-7)
    assert impact.region == "somewhere"
    assert (impact.embodied_gco2e, impact.market_gco2e) == (None, None)


def test_the_machine_and_the_contract_are_counted_apart() -> None:
    machine = Embodied(kgco2e=365.25 * 86.4, lifetime_years=1, share=0.5, cpus=4)  # 1 g a second
    market = Intensity(36.0, "market", "a contract")
    meter = RequestMeter(Place(360.0, None, None, 1.0, market=market, embodied=machine))
    work(0.01)
    impact = meter.impact()
    assert impact.cpu_seconds is not None
    assert impact.embodied_gco2e is not None
    assert impact.market_gco2e is not None
    assert impact.gco2e is not None
    assert impact.embodied_gco2e.low == pytest.approx(impact.cpu_seconds.low / 8)
    assert impact.embodied_gco2e.high == pytest.approx(impact.cpu_seconds.high / 8)
    assert impact.market_gco2e.high == pytest.approx(impact.gco2e.high / 10)


def test_a_stage_that_fails_lets_the_error_through() -> None:
    meter = RequestMeter(NOWHERE)
    with pytest.raises(KeyError), meter.stage("answer"):
        raise KeyError


class Scripted:
    """Says one power after the other, and then the last for ever."""

    def __init__(self, *powers: CpuPower) -> None:
        self._powers: Iterator[CpuPower] = iter(powers)
        self._last = powers[-1]
        self.asked = 0

    def now(self) -> CpuPower:
        self.asked += 1
        self._last = next(self._powers, self._last)
        return self._last


WATTS = st.tuples(st.floats(0.1, 50), st.floats(0, 50)).map(lambda w: Interval(w[0], w[0] + w[1]))
POWERS = st.builds(CpuPower, WATTS, st.sampled_from(["measured", "estimated"]))


@given(st.lists(POWERS, min_size=1, max_size=6), st.floats(1, 2), st.integers(0, 5), st.booleans())
def test_intervals_never_invert_and_stages_are_no_more_than_the_whole(
    powers: list[CpuPower], pue: float, stages: int, trace_first: bool
) -> None:
    meter = RequestMeter(Place(300.0, None, None, pue), Scripted(*powers))
    for _ in range(stages):
        with meter.stage("pack"):
            sum(range(200))
    steps = meter.trace() if trace_first else ()
    impact = meter.impact()
    steps = steps or meter.trace()
    assert impact.joules is not None
    assert impact.gco2e is not None
    assert impact.litres is None  # unknown stays unknown
    for interval in (impact.joules, impact.gco2e, *(step.joules for step in steps)):
        assert interval is not None
        assert 0 <= interval.low <= interval.high
    low = sum(step.joules.low for step in steps if step.joules)
    high = sum(step.joules.high for step in steps if step.joules)
    assert low <= impact.joules.low * (1 + 1e-9)
    assert high <= impact.joules.high * (1 + 1e-9)


def test_a_measured_power_gives_a_measured_cost() -> None:
    meter = RequestMeter(
        Place(None, None, None, 1.2), Scripted(CpuPower(Interval(8, 9), "measured"))
    )
    work(0.01)
    impact = meter.impact()
    assert impact.basis == "measured"
    assert impact.joules is not None
    assert impact.cpu_seconds is not None
    assert impact.joules.low == pytest.approx(impact.cpu_seconds.low * 8 * 1.2)
    assert impact.joules.high == pytest.approx(impact.cpu_seconds.high * 9 * 1.2)


def test_the_counters_are_asked_twice_a_request_and_not_for_each_stage() -> None:
    power = Scripted(CpuPower(Interval(8, 9), "measured"))
    meter = RequestMeter(NOWHERE, power)
    for _ in range(50):
        with meter.stage("pack"):
            pass
    meter.impact()
    meter.trace()
    assert power.asked == 2


def test_what_a_failed_stage_used_is_in_the_whole_only() -> None:
    meter = RequestMeter(NOWHERE)

    def fail() -> None:
        work(0.01)
        raise KeyError

    with pytest.raises(KeyError), meter.stage("answer"):
        fail()
    assert meter.trace() == ()
    used = meter.impact().cpu_seconds
    assert used is not None
    assert used.low >= 0.01
