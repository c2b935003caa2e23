import threading
import time

import pytest

from rag.impact import WATTS_PER_BUSY_CPU
from rag.meter import RequestMeter
from rag.place import Place

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


def test_a_stage_that_fails_lets_the_error_through() -> None:
    meter = RequestMeter(NOWHERE)
    with pytest.raises(KeyError), meter.stage("answer"):
        raise KeyError
