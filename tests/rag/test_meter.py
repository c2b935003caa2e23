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
from rag.remote import Remote
from rag.results import Stage
from rag.types import Interval

STAGES: tuple[Stage, ...] = ("guard", "cache", "retrieve", "pack", "cache", "answer", "verify")
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


def far(joules: float | None, grams: float | None = 2.0) -> Remote:
    known = None if joules is None else Interval(joules, 2 * joules)
    return Remote(known, None if grams is None else Interval(grams, grams), None)


def test_work_of_others_is_in_its_stage_and_in_the_whole() -> None:
    meter = RequestMeter(Place(360.0, 1.8, None, 1.0))
    with meter.stage("generate") as step:
        step.elsewhere(far(60.0, 1.0))
        step.elsewhere(far(40.0, 1.0))
    with meter.stage("generate") as step:
        step.elsewhere(far(1000.0))
    with meter.stage("verify"):
        pass
    impact, (first, second, third) = meter.impact(), meter.trace()
    assert impact.joules is not None
    assert impact.gco2e is not None
    assert first.joules is not None
    assert second.joules is not None
    assert third.joules is not None
    assert 100 <= first.joules.low < 101
    assert 2000 <= second.joules.high < 2001
    assert third.joules.high < 1
    assert 1100 <= impact.joules.low < 1101
    assert 4 <= impact.gco2e.low < 4.1
    assert impact.litres is None  # theirs is unknown, so the sum is
    assert impact.basis == "estimated"


def test_unknown_work_of_others_makes_the_whole_unknown_and_not_zero() -> None:
    market = Intensity(36.0, "market", "a contract")
    machine = Embodied(kgco2e=10.0, lifetime_years=1, share=0.5, cpus=4)
    place = Place(360.0, 1.8, None, 1.0, market=market, embodied=machine)
    meter = RequestMeter(place, Scripted(CpuPower(Interval(8, 9), "measured")))
    with meter.stage("answer"):
        pass
    with meter.stage("generate") as step:
        step.elsewhere(far(None, None))
    impact, (own, theirs) = meter.impact(), meter.trace()
    assert (impact.joules, impact.gco2e, impact.litres) == (None, None, None)
    assert (impact.embodied_gco2e, impact.market_gco2e) == (None, None)
    assert impact.basis == "estimated"
    assert theirs.joules is None
    assert own.joules is not None


def test_a_stage_that_asked_nobody_changes_nothing() -> None:
    meter = RequestMeter(NOWHERE, Scripted(CpuPower(Interval(8, 9), "measured")))
    with meter.stage("generate") as step:
        step.elsewhere(None)
    assert meter.impact().basis == "measured"
    assert meter.trace()[0].joules is not None


def test_known_work_on_other_threads_is_in_the_low_bound() -> None:
    meter = RequestMeter(NOWHERE)
    with meter.stage("generate") as step:
        before = time.process_time()
        other = threading.Thread(target=work, args=(0.2,))
        other.start()
        other.join()
        step.elsewhere(None, time.process_time() - before)
    used, (traced,) = meter.impact().cpu_seconds, meter.trace()
    assert used is not None
    assert traced.joules is not None
    assert 0.2 <= used.low <= used.high
    assert used.low >= 0.9 * used.high  # nothing else was done
    assert traced.joules.low >= 0.2 * WATTS_PER_BUSY_CPU.low


def test_the_clock_of_a_stage_may_say_less_than_it_knows_of_others() -> None:
    meter = RequestMeter(NOWHERE)
    with meter.stage("generate") as step:
        step.elsewhere(None, 5.0)  # the process has not worked that long
        step.elsewhere(None, 5.0)
    used = meter.impact().cpu_seconds
    assert used is not None
    assert 10 <= used.low <= used.high < 10.5


def test_metering_costs_little() -> None:
    def cpu_of(rounds: int) -> float:
        began = time.thread_time()
        for _ in range(rounds):
            meter = RequestMeter(NOWHERE)
            for name in STAGES:
                with meter.stage(name):
                    pass
            meter.impact()
            meter.trace()
        return (time.thread_time() - began) / rounds

    cpu_of(100)
    assert min(cpu_of(200) for _ in range(5)) < 200e-6  # 50 us; with room for a slow machine
