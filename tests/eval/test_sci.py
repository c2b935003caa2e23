"""Software carbon intensities of records, and what is said where one is unknown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval import records
from eval.outcomes import Cost
from eval.records import Record
from eval.sci import differing_grids, rates, sci_line, sci_table
from eval.summary import per_grounded_answer, per_question
from rag.types import Interval

RecordOf = Callable[..., Record]
BASELINE = Path(__file__).resolve().parents[2] / "eval/baseline/samples.json"


def placed(record: Record, gco2e_per_kwh: float = 360.0, embodied: float | None = 0.001) -> Record:
    """Return a record whose costs know the grid, and the making of the machine if given [g]."""

    def at(cost: Cost) -> Cost:
        assert cost.joules is not None
        share = gco2e_per_kwh / 3.6e6
        making = None if embodied is None else Interval(embodied, embodied)
        gas = cost.joules * Interval(share, share)
        return replace(cost, gco2e=gas, embodied_gco2e=making, market_gco2e=gas)

    repeats = tuple(tuple(map(at, costs)) for costs in record.measured.repeats)
    return replace(record, measured=replace(record.measured, repeats=repeats))


def test_operation_and_making_are_paid_by_questions_and_by_grounded_answers(
    record_of: RecordOf,
) -> None:
    record = placed(record_of({"grounded": [1.0, 0.0, None, 1.0]}, cpu_seconds=(1.0, 3.0)))
    found = rates(record)
    # A question takes 2 s of 2.8 to 4.3 J in the mean of the repeats, at 1e-4 g/J, and 1 mg of
    # the machine; the two grounded answers pay for all four.
    assert found.question is not None
    assert found.question.low == pytest.approx(2 * 2.8e-4 + 1e-3)
    assert found.question.high == pytest.approx(2 * 4.3e-4 + 1e-3)
    assert found.grounded is not None
    assert found.grounded.low == pytest.approx(2 * found.question.low)
    assert (found.answers, found.missing) == (2, ())
    assert found.gco2e_per_kwh == pytest.approx(360.0)


@given(embodied=st.floats(0, 1e3), grid=st.floats(0, 2e3), grounded=st.integers(1, 4))
def test_a_grounded_answer_never_costs_less_than_a_question(
    embodied: float, grid: float, grounded: int
) -> None:
    record = placed(_made(grounded), grid, embodied)
    found = rates(record)
    assert found.question is not None
    assert found.grounded is not None
    assert found.question.low <= found.grounded.low * (1 + 1e-9)
    assert found.question.high <= found.grounded.high * (1 + 1e-9)


def _made(grounded: int) -> Record:
    record = records.read(BASELINE)
    rows = tuple(
        replace(row, scores={**row.scores, "grounded": float(i < grounded)})
        for i, row in enumerate(record.rows[:4])
    )
    repeats = tuple(costs[:4] for costs in record.measured.repeats)
    return replace(record, rows=rows, measured=replace(record.measured, repeats=repeats))


def test_an_older_record_is_read_and_says_what_it_lacks() -> None:
    assert "embodied_gco2e" not in BASELINE.read_text(encoding="utf-8")
    record = records.read(BASELINE)
    for spent in (per_question(record), per_grounded_answer(record)):
        assert spent is not None
        assert spent.joules is not None
        assert (spent.embodied_gco2e, spent.market_gco2e, spent.sci_gco2e) == (None, None, None)
    assert "embodied carbon of the machine (embodied_kgco2e" in sci_line(rates(record))


def test_a_new_record_keeps_both_figures(record_of: RecordOf, tmp_path: Path) -> None:
    record = placed(record_of({"grounded": [1.0]}))
    records.write(record, tmp_path / "record.json")
    assert records.read(tmp_path / "record.json") == record


def test_one_question_without_a_figure_makes_it_unknown(record_of: RecordOf) -> None:
    record = placed(record_of({"grounded": [1.0, 1.0]}))
    first, *others = record.measured.repeats[0]
    torn = ((replace(first, embodied_gco2e=None), *others),)
    found = rates(replace(record, measured=replace(record.measured, repeats=torn)))
    assert (found.question, found.grounded) == (None, None)
    assert len(found.missing) == 1


def test_the_table_names_standard_units_and_what_is_missing(record_of: RecordOf) -> None:
    record = record_of({"grounded": [1.0]}, cpu_seconds=(1.0,))
    table = sci_table(
        [
            ("here", placed(record)),
            ("unmade", placed(record, embodied=None)),
            ("finds", placed(record_of({"mrr": [1.0]}))),
        ]
    )
    head, here, unmade, finds, note = table.splitlines()
    assert "SCI (ISO/IEC 21031:2024) [gCO2e per R]" in head
    assert "R = a question  R = a grounded answer" in head
    assert here.split() == ["here", *["0.00128", "to", "0.00143"] * 2, "360"]
    assert unmade.split() == ["unmade", "unknown", "unknown", "360"]
    assert finds.split()[-2:] == ["none", "360"]
    assert note.startswith("unmade: unknown without embodied carbon of the machine")


def test_other_grids_are_told_apart_and_equal_ones_are_not(record_of: RecordOf) -> None:
    record = record_of({"grounded": [1.0, 1.0, 0.0]}, cpu_seconds=(0.1, 0.3))
    other = record_of({"grounded": [1.0]}, cpu_seconds=(7.0,))
    assert not differing_grids([placed(record), placed(other), other])
    assert differing_grids([placed(record), placed(other, 361.0)])
    assert not differing_grids([record, other])
