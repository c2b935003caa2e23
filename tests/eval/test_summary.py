"""Means with what they are of, and costs divided by what they were spent on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.measures import MEASURES
from eval.outcomes import Cost, StageCost
from eval.records import Record
from eval.summary import by_stage, per_grounded_answer, per_question, summary
from rag.types import Interval

RecordOf = Callable[..., Record]


def cost(seconds: float, joules: Interval | None, *stages: StageCost) -> Cost:
    return Cost(seconds, None, joules, None, None, stages)


def measured(record: Record, *repeats: tuple[Cost, ...]) -> Record:
    return replace(record, measured=replace(record.measured, repeats=repeats))


def test_a_line_for_each_measure_in_the_order_of_the_table(record_of: RecordOf) -> None:
    lines = summary(record_of({"mrr": [1.0, 0.5]}))
    assert tuple(line.measure for line in lines) == tuple(MEASURES)


def test_questions_without_a_value_are_not_counted(record_of: RecordOf) -> None:
    record = record_of({"mrr": [1.0, None, 0.5, None], "map": [None] * 4})
    lines = {line.measure: line for line in summary(record)}
    assert (lines["mrr"].mean, lines["mrr"].n) == (0.75, 2)
    assert (lines["map"].mean, lines["map"].low, lines["map"].high) == (None, None, None)
    assert lines["map"].n == 0


@given(values=st.lists(st.none() | st.floats(0, 1), min_size=1, max_size=30))
def test_the_mean_lies_in_its_interval(values: list[float | None]) -> None:
    record = Rows(tuple(values))
    line = next(line for line in summary(record) if line.measure == "mrr")  # type: ignore[arg-type]
    if line.mean is None:
        assert not any(value is not None for value in values)
    else:
        assert line.low is not None
        assert line.high is not None
        assert line.low <= line.mean <= line.high


class Rows:
    """What ``summary`` reads of a record, made in microseconds."""

    def __init__(self, mrr: tuple[float | None, ...]) -> None:
        self.mrr = mrr

    def values(self, measure: str) -> tuple[float | None, ...]:
        return self.mrr if measure == "mrr" else (None,) * len(self.mrr)


def test_the_seed_draws_the_interval(record_of: RecordOf) -> None:
    record = record_of({"mrr": [i / 16 for i in range(17)]})
    assert summary(record, 1) == summary(record, 1)
    assert summary(record, 1) != summary(record, 2)


def test_grounded_answers_pay_for_all_questions(record_of: RecordOf) -> None:
    record = record_of({"grounded": [1.0, 0.0, None, 1.0]})
    costs = tuple(cost(s, Interval(s, 2 * s)) for s in (1.0, 2.0, 3.0, 4.0))
    grounded = per_grounded_answer(measured(record, costs))
    assert grounded is not None
    assert grounded.count == 2
    assert grounded.seconds == 5.0
    assert grounded.joules == Interval(5.0, 10.0)
    assert grounded.context_tokens == 4 * 20 / 2
    each = per_question(measured(record, costs))
    assert each is not None
    assert each.joules == Interval(2.5, 5.0)


def test_without_a_grounded_answer_there_is_no_cost_of_one(record_of: RecordOf) -> None:
    assert per_grounded_answer(record_of({"grounded": [0.0, None]})) is None
    assert per_grounded_answer(record_of({"mrr": [1.0]})) is None


def test_repeats_are_averaged(record_of: RecordOf) -> None:
    record = record_of({"mrr": [1.0, 1.0]})
    twice = measured(record, (cost(1.0, None),) * 2, (cost(3.0, None),) * 2)
    each = per_question(twice)
    assert each is not None
    assert each.seconds == 2.0


def test_what_is_unknown_once_is_unknown(record_of: RecordOf) -> None:
    record = record_of({"mrr": [1.0, 1.0]})
    each = per_question(measured(record, (cost(1.0, Interval(1, 2)), cost(1.0, None))))
    assert each is not None
    assert each.joules is None
    assert each.prompt_tokens is None
    assert each.gco2e is None


def test_a_generator_that_is_called_once_is_shared_by_all(record_of: RecordOf) -> None:
    record = record_of({"mrr": [1.0] * 4})
    first = replace(
        record.rows[0],
        outcome=replace(record.rows[0].outcome, prompt_tokens=80, completion_tokens=8),
    )
    each = per_question(replace(record, rows=(first, *record.rows[1:])))
    assert each is not None
    assert (each.prompt_tokens, each.completion_tokens) == (20, 2)


def test_a_stage_is_shared_by_the_questions_that_were_spared_it(record_of: RecordOf) -> None:
    record = record_of({"mrr": [1.0] * 4})
    always, seldom = StageCost("pack", 1.0, Interval(2, 3)), StageCost("rerank", 8.0, None)
    costs = (cost(9.0, None, always, seldom, seldom), *(cost(1.0, None, always),) * 3)
    pack, rerank = by_stage(measured(record, costs))
    assert (pack.stage, pack.runs, pack.seconds, pack.joules) == ("pack", 1.0, 1.0, Interval(2, 3))
    assert (rerank.runs, rerank.seconds, rerank.joules) == (0.25, 4.0, None)


def test_a_record_without_stages_has_none(record_of: RecordOf) -> None:
    record = record_of({"mrr": [1.0]})
    assert by_stage(measured(record, (cost(1.0, None),))) == ()


def test_stages_add_up_to_the_whole(record_of: RecordOf) -> None:
    record = record_of({"mrr": [1.0] * 3}, cpu_seconds=(0.01, 0.02))
    whole = per_question(record)
    assert whole is not None
    assert sum(stage.seconds for stage in by_stage(record)) == pytest.approx(whole.seconds)
