import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rag.impact
from rag.impact import JOULES_PER_KWH, WATTS_PER_BUSY_CPU, carbon, cpu_energy, water
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


@pytest.mark.parametrize("name", ["impact", "bm25", "pack", "answer", "retrieve", "fuse"])
def test_every_constant_has_a_source(name: str) -> None:
    allowed = {"JOULES_PER_KWH"}  # a definition
    missing = constants_without_source((RAG / f"{name}.py").read_text(encoding="utf-8"))
    assert set(missing) <= allowed


def test_a_constant_without_a_source_is_noticed() -> None:
    assert constants_without_source("X = 1.5\n\nY = f(2, 3)\n") == ["X", "Y"]
    assert constants_without_source("# Source: a paper\nX = 1.5\n") == []
    assert constants_without_source("X = 3  # tokens: with less nothing fits\n") == []
    assert constants_without_source("NAME = 'x'\nPATTERN = g('y')\n") == []
