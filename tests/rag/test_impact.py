import ast
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rag.impact
from rag.impact import (
    JOULES_PER_KWH,
    WATTS_PER_BUSY_CPU,
    carbon,
    cpu_energy,
    embodied_carbon,
    joules_of,
    kilowatt_hours,
    litres_per_kwh,
    sci,
    total,
    water,
)
from rag.place import Embodied
from rag.types import Interval

finite = st.floats(0, 1e6)
intervals = st.tuples(finite, finite).map(lambda ends: Interval(min(ends), max(ends)))
RAG = Path(rag.impact.__file__).parent
LINES_ABOVE = 6


@given(intervals, st.floats(1, 3))
def test_energy_is_time_by_power_by_overhead(seconds: Interval, pue: float) -> None:
    joules = cpu_energy(seconds, watts=Interval(2.0, 5.0), pue=pue)
    assert joules.low == pytest.approx(seconds.low * 2 * pue)
    assert joules.high == pytest.approx(seconds.high * 5 * pue)


@given(intervals, intervals)
def test_energies_of_stages_add_up(first: Interval, second: Interval) -> None:
    total = cpu_energy(first + second)
    parts = cpu_energy(first) + cpu_energy(second)
    assert (parts.low, parts.high) == pytest.approx((total.low, total.high))


@given(intervals, st.floats(0, 2000))
def test_carbon_and_water_keep_the_interval_in_order(joules: Interval, intensity: float) -> None:
    for cost in (carbon(joules, intensity), water(joules, intensity)):
        assert cost is not None
        assert 0 <= cost.low <= cost.high
        assert cost.high == pytest.approx(joules.high * intensity / JOULES_PER_KWH)


@given(intervals)
def test_unknown_intensity_is_unknown_and_a_clean_grid_is_zero(joules: Interval) -> None:
    assert carbon(joules, None) is None
    assert water(joules, None) is None
    assert carbon(joules, 0.0) == Interval(0.0, 0.0)


def test_one_kilowatt_hour() -> None:
    assert JOULES_PER_KWH == 1000 * 60 * 60
    grams = carbon(Interval(3.6e6, 7.2e6), 400.0)
    assert grams is not None
    assert (grams.low, grams.high) == pytest.approx((400.0, 800.0))


def test_one_busy_core_draws_a_few_watts() -> None:
    assert cpu_energy(Interval(1.0, 1.0)) == WATTS_PER_BUSY_CPU
    assert Interval(2.76, 4.26) == Interval(
        round(WATTS_PER_BUSY_CPU.low, 2), WATTS_PER_BUSY_CPU.high
    )


maybe = st.one_of(st.none(), intervals)
machines = st.builds(
    Embodied, st.floats(0, 1e5), st.floats(0.1, 50), st.floats(0.001, 1), st.just("a test")
)


@given(st.floats(0, 1e15))
def test_kilowatt_hours_and_joules_are_each_others_way_back(joules: float) -> None:
    assert joules_of(kilowatt_hours(joules)) == pytest.approx(joules, rel=1e-12)
    assert kilowatt_hours(joules_of(joules)) == pytest.approx(joules, rel=1e-12)


@given(st.lists(maybe, max_size=6), st.randoms(use_true_random=False))
def test_sums_commute_and_the_unknown_stays_unknown(
    parts: list[Interval | None], order: random.Random
) -> None:
    shuffled = list(parts)
    order.shuffle(shuffled)
    first, second = total(parts), total(shuffled)
    if None in parts:
        assert first is None
        assert second is None
        return
    assert first is not None
    assert second is not None
    assert (first.low, first.high) == pytest.approx((second.low, second.high))
    assert first.low <= first.high
    assert first.low == pytest.approx(sum(part.low for part in parts if part))


@given(intervals, intervals, st.floats(0, 2000))
def test_carbon_of_a_sum_is_the_sum_of_carbons(
    first: Interval, second: Interval, intensity: float
) -> None:
    whole = carbon(first + second, intensity)
    parts = total((carbon(first, intensity), carbon(second, intensity)))
    assert whole is not None
    assert parts is not None
    assert (whole.low, whole.high) == pytest.approx((parts.low, parts.high))


@given(intervals, machines)
def test_no_equation_inverts_an_interval(seconds: Interval, machine: Embodied) -> None:
    share = embodied_carbon(seconds, machine)
    rate = sci(cpu_energy(seconds), share, 7)
    assert share is not None
    assert rate is not None
    assert 0 <= share.low <= share.high
    assert 0 <= rate.low <= rate.high


@given(maybe, maybe, machines)
def test_what_depends_on_the_unknown_is_unknown(
    operational: Interval | None, embodied: Interval | None, machine: Embodied
) -> None:
    known = operational is not None and embodied is not None
    assert (sci(operational, embodied, 3) is not None) == known
    assert sci(operational, embodied, None) is None
    assert sci(operational, embodied, 0) is None
    assert (embodied_carbon(operational, machine) is None) == (operational is None)
    assert embodied_carbon(operational, None) is None
    assert (carbon(operational, 3.0) is None) == (operational is None)
    assert (water(operational, 3.0) is None) == (operational is None)


@given(machines)
def test_a_machine_reserved_for_its_life_emits_its_share(machine: Embodied) -> None:
    life = machine.lifetime_years * 365.25 * 86400
    share = embodied_carbon(Interval(life, life), machine)
    assert share is not None
    assert share.low == pytest.approx(machine.kgco2e * 1000 * machine.share)


def test_a_software_carbon_intensity_by_hand() -> None:
    """1 kWh at 400 g, and a tenth of a 1,461 kg machine of four years for a day: 100 g."""
    operational = carbon(Interval(3.6e6, 3.6e6), 400.0)
    machine = Embodied(1461.0, 4.0, 0.1)
    made = embodied_carbon(Interval(86400, 86400), machine)
    assert made is not None
    assert made.low == pytest.approx(100.0)
    rate = sci(operational, made, 50)
    assert rate is not None
    assert (rate.low, rate.high) == pytest.approx((10.0, 10.0))


@given(st.floats(0, 100), st.floats(0, 100), st.floats(1, 3), intervals)
def test_water_on_site_is_for_the_machines_alone(
    site: float, grid: float, pue: float, machines_joules: Interval
) -> None:
    rate = litres_per_kwh(site, grid, pue)
    litres = water(machines_joules * Interval(pue, pue), rate)
    assert litres is not None
    kwh = kilowatt_hours(machines_joules.high)
    assert litres.high == pytest.approx(kwh * site + kwh * pue * grid)


def test_water_is_unknown_if_a_part_of_it_is() -> None:
    assert litres_per_kwh(None, 2.0, 1.0) is None
    assert litres_per_kwh(1.0, None, 1.0) is None
    assert litres_per_kwh(0.0, 2.0, 1.0) == 2.0


def constants_without_source(source: str) -> list[str]:
    """Return the numeric constants of a module that no comment close above them accounts for.

    A unit conversion and a bound on work, explained on its own line, need no source.
    """
    lines = source.splitlines()
    missing = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and _is_numeric(node.value):
            *above, line = lines[max(0, node.lineno - 1 - LINES_ABOVE) : node.lineno]
            if "#" not in line and not any("Source:" in comment for comment in above):
                missing.append(ast.unparse(node.targets[0]))
    return missing


def _is_numeric(value: ast.expr) -> bool:
    parts = list(ast.walk(value))
    numbers = [p for p in parts if isinstance(p, ast.Constant) and isinstance(p.value, int | float)]
    return bool(numbers) and not any(isinstance(p, ast.Dict | ast.List) for p in parts)


GRID = sorted(f"grid/{path.stem}" for path in (RAG / "grid").glob("*.py"))


@pytest.mark.parametrize("name", ["impact", "bm25", "pack", "answer", "retrieve", "fuse", *GRID])
def test_every_constant_has_a_source(name: str) -> None:
    tolerances = {"_SAME", "_SLACK_SECONDS"}  # of arithmetic and clocks, explained where they stand
    missing = constants_without_source((RAG / f"{name}.py").read_text(encoding="utf-8"))
    assert set(missing) <= tolerances


def test_a_constant_without_a_source_is_noticed() -> None:
    assert constants_without_source("X = 1.5\n\nY = f(2, 3)\n") == ["X", "Y"]
    assert constants_without_source("# Source: a paper\nX = 1.5\n") == []
    assert constants_without_source("X = 3  # tokens: with less nothing fits\n") == []
    assert constants_without_source("NAME = 'x'\nPATTERN = g('y')\n") == []
