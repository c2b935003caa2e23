"""A simulated week: waiting for green saves what the best fixed hour saves, and is in time."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from eval.bench import __main__ as command
from eval.bench import green
from eval.bench.grids import BEGINS, HOUR, SHAPES, WEEK_HOURS, Grid, simulated
from rag.grid.forecast import Forecast
from rag.grid.waiting import Wish


@pytest.fixture(scope="module")
def weeks() -> list[green.Week]:
    return [
        green.week(simulated(shape, 7, 1.0), wish, 7, 1.0)
        for shape in SHAPES
        for wish in green.WISHES
    ]


def test_on_every_grid_waiting_saves_at_least_what_the_best_fixed_hour_saves(
    weeks: list[green.Week],
) -> None:
    by_grid: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for week in weeks:
        by_grid[week.grid].append((week.green_saved, week.fixed_saved))
    assert set(by_grid) == {shape.name for shape in SHAPES}
    for grid, saved in by_grid.items():
        ours, fixed = np.mean(saved, axis=0)
        assert ours >= fixed > 0, grid
        # A fixed hour known from the end of the week may win a little where days hardly differ.
        assert all(a >= b - 0.005 for a, b in saved), grid


def test_no_deadline_is_missed_with_or_without_outages(weeks: list[green.Week]) -> None:
    assert all((week.missed, week.broken_missed) == (0, 0) for week in weeks)
    assert all(week.jobs == WEEK_HOURS for week in weeks)


def test_outages_cost_savings_and_nothing_else(weeks: list[green.Week]) -> None:
    for week in weeks:
        assert 0 < week.broken_saved < week.green_saved <= week.perfect_saved + 1e-9


def test_a_total_outage_is_a_start_at_once() -> None:
    grid, wish = simulated(SHAPES[0], 1), Wish(HOUR, 12 * HOUR)
    assert green.green_start(grid, wish, lambda: False, BEGINS + HOUR) == BEGINS + HOUR


def test_the_same_seed_gives_the_same_week_and_another_another() -> None:
    one, again, other = (simulated(SHAPES[1], seed) for seed in (1, 1, 2))
    assert np.array_equal(one.actual, again.actual)
    assert np.array_equal(one.news, again.news)
    assert not np.array_equal(one.actual, other.actual)


def of(grid: Grid, hour: int) -> Forecast:
    return grid.issued(BEGINS + hour * HOUR)


def test_forecasts_are_right_of_now_and_wrong_by_as_much_as_they_claim_of_tomorrow() -> None:
    grid = simulated(SHAPES[1], 1)
    errors = []
    for hour in range(WEEK_HOURS):
        points = of(grid, hour).points
        assert points[0][1] == pytest.approx(grid.actual[hour])
        errors.append(np.log(points[24][1] / grid.actual[hour + 24]))
    assert 0.5 * SHAPES[1].error < np.std(errors) < 1.5 * SHAPES[1].error


def test_a_fixed_hour_is_waited_for_where_there_is_time() -> None:
    wish = Wish(HOUR, 6 * HOUR)
    assert green.fixed_start(wish, 13, BEGINS + 10 * HOUR) == BEGINS + 13 * HOUR
    assert green.fixed_start(wish, 13, BEGINS + 8 * HOUR) == BEGINS + 13 * HOUR
    assert green.fixed_start(wish, 13, BEGINS + 7 * HOUR) == BEGINS + 7 * HOUR
    assert green.fixed_start(wish, 13, BEGINS + 14 * HOUR) == BEGINS + 14 * HOUR


def test_a_late_start_is_counted_as_missed() -> None:
    truth, wish = simulated(SHAPES[0], 1).truth, Wish(HOUR, 2 * HOUR)
    starts = [(BEGINS, BEGINS + HOUR), (BEGINS, BEGINS + 1.1 * HOUR)]
    assert green.outcome(truth, wish, starts).missed == 1


def test_the_table_has_a_line_for_each_kind_of_week(weeks: list[green.Week]) -> None:
    lines = green.shown(weeks).splitlines()
    assert len(lines) == 2 + len(weeks)
    assert lines[2].startswith("| solar | 1 | 1 | 6 |")


def test_it_runs_where_there_are_no_data_and_others_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = []
    for name in ("green", "spans"):
        monkeypatch.setitem(command._BENCHES, name, lambda _, name=name: ran.append(name) or 0)
    assert command.main(["--only", "green", "--data", str(tmp_path)]) == 0
    assert command.main(["--only", "green,spans", "--data", str(tmp_path)]) == 0
    assert ran == ["green"]
    assert "bench skipped: no data" in capsys.readouterr().out
