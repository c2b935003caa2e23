"""What a date covers, and what the bounds of a filter mean."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag import dates
from rag.errors import ValueRangeError
from rag.types import Filter

TICK = timedelta(microseconds=1)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type] # parts vary in number


@pytest.mark.parametrize(
    ("text", "first", "after"),
    [
        ("2024", utc(2024, 1, 1), utc(2025, 1, 1)),
        ("2023", utc(2023, 1, 1), utc(2024, 1, 1)),
        ("2024-02", utc(2024, 2, 1), utc(2024, 3, 1)),
        ("2024-12", utc(2024, 12, 1), utc(2025, 1, 1)),
        ("2024-05-31", utc(2024, 5, 31), utc(2024, 6, 1)),
        ("20240531", utc(2024, 5, 31), utc(2024, 6, 1)),
        ("2024-W22-5", utc(2024, 5, 31), utc(2024, 6, 1)),
        (" 2024-05-31 ", utc(2024, 5, 31), utc(2024, 6, 1)),
        ("2024-05-31T12:00", utc(2024, 5, 31, 12), utc(2024, 5, 31, 12) + TICK),
        ("2024-05-31T12:00:00Z", utc(2024, 5, 31, 12), utc(2024, 5, 31, 12) + TICK),
        ("2024-05-31T00:30:00+02:00", utc(2024, 5, 30, 22, 30), utc(2024, 5, 30, 22, 30) + TICK),
    ],
)
def test_a_date_covers_all_of_itself(text: str, first: datetime, after: datetime) -> None:
    assert dates.covered(text) == (first, after - TICK)


def test_the_last_year_and_the_last_day_have_an_end() -> None:
    end = datetime.max.replace(tzinfo=UTC)
    assert dates.covered("9999") == (utc(9999, 1, 1), end)
    assert dates.covered("9999-12-31") == (utc(9999, 12, 31), end)


@pytest.mark.parametrize("text", ["", "yesterday", "31.05.2024", "2024-13", "2024-02-30", "0000"])
def test_what_is_no_date_covers_nothing(text: str) -> None:
    assert dates.covered(text) is None


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    covered = dates.covered(text)
    assert covered is None or covered[0] <= covered[1]


@given(st.datetimes(timezones=st.just(UTC)))
def test_an_instant_covers_itself_alone(moment: datetime) -> None:
    assert dates.covered(moment.isoformat()) == (moment, moment)


def test_bounds_are_inclusive_on_both_sides() -> None:
    where = Filter("a", since="2024-05", until="2024-05")
    assert dates.bounds(where) == (utc(2024, 5, 1), utc(2024, 6, 1) - TICK)
    assert dates.bounds(Filter("a")) == (None, None)


def test_a_bound_that_is_no_date_is_refused() -> None:
    with pytest.raises(ValueRangeError, match="until: soon"):
        dates.bounds(Filter("a", until="soon"))
