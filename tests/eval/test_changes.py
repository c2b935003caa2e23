"""What changed from one record to another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.changes import gains, in_both, set_otherwise
from eval.measures import MEASURES
from eval.records import Record, Row

RecordOf = Callable[..., Record]
VALUES = st.lists(st.none() | st.sampled_from([0.0, 0.5, 1.0]), min_size=4, max_size=4)


@given(before=VALUES, after=VALUES)
def test_gains_add_up_to_the_change(before: list[float | None], after: list[float | None]) -> None:
    rows = [Row(f"q{i}", "", None, True, (), (), None, {}) for i in range(4)]  # type: ignore[arg-type]
    higher = gains(MEASURES["groundedness"], rows, before, after)
    lower = gains(MEASURES["unused_context"], rows, before, after)
    assert [c.gain for c in lower] == [-c.gain for c in higher]
    known = [[v for v in side if v is not None] for side in (before, after)]
    if all(known):
        means = [sum(side) / len(side) for side in known]
        total = len(known[1]) * (means[1] - means[0])
        assert sum(change.gain for change in higher) == pytest.approx(total)


@given(before=VALUES, after=VALUES)
def test_in_both_leaves_the_questions_where_both_have_a_value(
    before: list[float | None], after: list[float | None]
) -> None:
    for pair, kept in zip(
        zip(before, after, strict=True), zip(*in_both(before, after), strict=True), strict=True
    ):
        assert kept == ((None, None) if None in pair else pair)


def test_settings_that_one_record_lacks_differ_too(record_of: RecordOf) -> None:
    a = record_of({"safe": [1.0]})
    b = replace(a, settings={**a.settings, "tier": "neural", "pue": 1.2})
    assert set_otherwise(a, b) == (("pue", None, 1.2), ("tier", "lexical", "neural"))
    assert set_otherwise(b, b) == ()


def test_only_measures_without_times_are_paired() -> None:
    assert [name for name, measure in MEASURES.items() if measure.paired] == ["tokens_to_first_hit"]
