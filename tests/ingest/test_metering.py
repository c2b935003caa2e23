"""What a run costs: CPU time of its stages at what the counters, or the estimate, say."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.metering import RunMeter, StageMeter, Used, cpu_seconds, nowhere
from ingest.progress import Progress
from ingest.report import StageCost
from rag.grid.intensity import Intensity
from rag.impact import WATTS_PER_BUSY_CPU, embodied_of_work
from rag.metering.power import CpuPower
from rag.place import Embodied, Place
from rag.types import Interval

ESTIMATE = CpuPower(Interval(1.0, 2.0), "estimated")
HERE = Place(
    gco2e_per_kwh=360.0,
    litres_per_kwh=1.8,
    region="here",
    pue=1.5,
    intensity=Intensity(360.0, "location", "said so"),
    market=Intensity(36.0, "market", "a contract"),
    embodied=Embodied(1000.0, 4.0, 0.5, "said so", cpus=2.0),
)


def measured(watts: float) -> CpuPower:
    return CpuPower(Interval(watts, watts), "measured")


class Counters:
    """Power that is read out of a list, the last for ever; CPU time and clock by hand."""

    def __init__(self, *powers: CpuPower) -> None:
        self.powers = list(powers)
        self.cpu = 0.0
        self.at = 0.0
        self.reads = 0

    def now(self) -> CpuPower:
        self.reads += 1
        return self.powers.pop(0) if len(self.powers) > 1 else self.powers[0]

    def meter(self) -> RunMeter:
        return RunMeter(nowhere, self, lambda: self.cpu, lambda: self.at)

    def work(self, seconds: float) -> None:
        self.cpu += seconds
        self.at += seconds


def test_each_reading_is_charged_what_it_measured() -> None:
    # At the start of the run and of the stage, then one at each poll after two seconds.
    counters = Counters(ESTIMATE, ESTIMATE, measured(10), measured(20), measured(30))
    meter = counters.meter()
    stage = StageMeter(meter)
    for _ in range(2):
        counters.work(3.0)
        stage.poll()
    counters.work(1.0)
    stage.poll()  # too early
    joules, basis = meter.joules(stage.end())
    assert joules == Interval(3 * 10 + 3 * 20 + 30, 3 * 10 + 3 * 20 + 30)
    assert basis == "measured"


def test_what_ran_before_the_first_measurement_costs_what_that_says() -> None:
    counters = Counters(ESTIMATE, ESTIMATE, ESTIMATE, measured(10))
    meter = counters.meter()
    first = StageMeter(meter)
    counters.work(2.0)
    short = first.end()
    assert meter.joules(short) == (Interval(2.0, 4.0), "estimated")
    StageMeter(meter)
    assert meter.joules(short) == (Interval(20.0, 20.0), "measured")


def test_counters_that_fall_silent_leave_an_estimate_of_the_rest() -> None:
    counters = Counters(ESTIMATE, ESTIMATE, measured(10), ESTIMATE)
    meter = counters.meter()
    stage = StageMeter(meter)
    counters.work(2.0)
    stage.poll()
    counters.work(1.0)
    joules, basis = meter.joules(stage.end())
    assert joules == Interval(20.0 + 1.0, 20.0 + 2.0)
    assert basis == "estimated"


@given(parts=st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1)), min_size=1, max_size=6))
def test_parts_cost_together_what_they_cost_apart(parts: list[tuple[float, float]]) -> None:
    meter = Counters(ESTIMATE).meter()
    used = [Used(s, s * m, Interval(7 * s * m, 9 * s * m)) for s, m in parts]
    whole = meter.joules(sum(used, Used()))[0]
    apart = [meter.joules(each)[0] for each in used]
    assert whole.low == pytest.approx(sum(each.low for each in apart))
    assert whole.high == pytest.approx(sum(each.high for each in apart))


def test_carbon_water_and_making_are_those_of_the_place() -> None:
    meter = RunMeter(lambda: HERE)
    stages = [StageCost(name, 1.0, 2.0, Interval(1800.0, 3600.0)) for name in ("parse", "index")]
    impact = meter.impact(stages)
    assert impact.joules == Interval(3600.0, 7200.0)
    for found, low in ((impact.gco2e, 0.36), (impact.market_gco2e, 0.036), (impact.litres, 0.0018)):
        assert found is not None
        assert (found.low, found.high) == pytest.approx((low, 2 * low))
    assert impact.embodied_gco2e == embodied_of_work(Interval(4.0, 4.0), HERE.embodied)
    assert (impact.basis, impact.region, impact.grid) == ("estimated", "here", HERE.intensity)


def test_what_the_place_does_not_say_is_unknown() -> None:
    impact = RunMeter().impact([StageCost("parse", 1.0, 1.0, Interval(1.0, 2.0), "measured")])
    assert impact.basis == "measured"
    unknown = (impact.gco2e, impact.market_gco2e, impact.litres, impact.embodied_gco2e)
    assert unknown == (None,) * 4


def test_one_estimated_stage_makes_the_run_estimated() -> None:
    stages = [
        StageCost("parse", 1.0, 1.0, Interval(1.0, 2.0), "measured"),
        StageCost("index", 1.0, 1.0, Interval(1.0, 2.0), "estimated"),
    ]
    assert RunMeter().impact(stages).basis == "estimated"


@pytest.fixture
def spinning() -> Iterator[Progress]:
    progress = Progress(io.StringIO(), RunMeter(lambda: HERE))
    yield progress
    assert progress.impact().joules is not None


def test_a_stage_costs_its_cpu_time_with_the_overhead_of_the_place(spinning: Progress) -> None:
    with spinning.stage("parse", 1, "files") as advance:
        until = cpu_seconds() + 0.05
        while cpu_seconds() < until:
            advance(1)
    (stage,) = spinning.costs
    assert stage.cpu_seconds >= 0.05
    # The CPU time is rounded to microseconds.
    assert stage.joules.low == pytest.approx(
        stage.cpu_seconds * WATTS_PER_BUSY_CPU.low * 1.5, rel=1e-4
    )
    assert stage.basis == "estimated"


def test_a_long_stage_is_read_while_it_works() -> None:
    counters = Counters(measured(5))
    progress = Progress(None, counters.meter())
    with progress.stage("embed", 1000, "chunks") as advance:
        for _ in range(1000):
            counters.work(1.0)
            advance(1)
    assert counters.reads >= 500
    assert progress.costs[0].joules == Interval(5000.0, 5000.0)
    assert progress.joules_of(2.0) == Interval(10.0, 10.0)
