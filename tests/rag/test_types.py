import dataclasses
import inspect
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag import results, types
from rag.errors import ValueRangeError
from rag.types import Chunk, Interval, Span

finite = st.floats(0, 1e9)
intervals = st.tuples(finite, finite).map(lambda ends: Interval(min(ends), max(ends)))
VALUES = tuple(
    value
    for module in (types, results)
    for _, value in inspect.getmembers(module, dataclasses.is_dataclass)
    if value.__module__ == module.__name__
)


@pytest.mark.parametrize("value", VALUES)
def test_values_are_frozen_and_slotted(value: type) -> None:
    assert value.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert "__slots__" in vars(value)
    assert not any("list[" in str(field.type) for field in dataclasses.fields(value))


@given(st.integers(-5, 5), st.integers(-5, 5))
def test_a_span_is_never_inverted_or_negative(start: int, end: int) -> None:
    if 0 <= start <= end:
        assert Span(start, end).end - Span(start, end).start >= 0
    else:
        with pytest.raises(ValueRangeError, match=r"Use 0 <= start <= end\."):
            Span(start, end)


@pytest.mark.parametrize("end", [4, 6])
def test_a_chunk_is_as_long_as_its_span(end: int) -> None:
    with pytest.raises(ValueRangeError, match=r"Make it 3 long\."):
        Chunk("c", "d", "", "abc", 2, end, 1, ())


@pytest.mark.parametrize(
    ("low", "high"), [(2.0, 1.0), (-1.0, 1.0), (math.nan, 1.0), (0.0, math.nan)]
)
def test_an_interval_is_never_inverted_negative_or_undefined(low: float, high: float) -> None:
    with pytest.raises(ValueRangeError, match=r"Use 0 <= low <= high\."):
        Interval(low, high)


@given(intervals, intervals, intervals)
def test_sums_and_products_of_intervals(a: Interval, b: Interval, c: Interval) -> None:
    assert a + b == b + a
    assert a * b == b * a
    assert ((a + b) + c).high == pytest.approx((a + (b + c)).high)
    assert (a + Interval(0, 0), a * Interval(1, 1)) == (a, a)


@given(intervals, intervals, st.floats(0, 1), st.floats(0, 1))
def test_what_lies_in_two_intervals_lies_in_their_sum_and_product(
    a: Interval, b: Interval, s: float, t: float
) -> None:
    x = min(a.high, a.low + s * (a.high - a.low))
    y = min(b.high, b.low + t * (b.high - b.low))
    total, product = a + b, a * b
    assert total.low <= x + y <= total.high
    assert product.low <= x * y <= product.high


def test_a_sentence_and_the_nearest_heading_above_it() -> None:
    text = "Logs Kept. Backups Gone."
    spans = (Span(0, 4), Span(5, 10), Span(11, 18), Span(19, 24))
    chunk = Chunk("c", "d", "", text, 0, 24, 1, spans, headlines=(0, 2))
    assert [chunk.sentence(i) for i in range(4)] == ["Logs", "Kept.", "Backups", "Gone."]
    assert [chunk.headline(i) for i in range(4)] == [None, "Logs", "Logs", "Backups"]
