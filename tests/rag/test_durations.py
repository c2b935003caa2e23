import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.durations import seconds_of, worded
from rag.errors import ValueRangeError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90m", 5400), ("6h", 21600), ("1h30m", 5400), (" 2D ", 172800), ("45s", 45), ("1d2h", 93600)],
)
def test_lengths_of_time_are_understood(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "6", "0h", "h", "6x", "-6h", "1.5h", "30m1h", "6 h", "9" * 5000 + "h", "٣h"]
)
def test_anything_else_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ValueRangeError, match="90m, 6h or 1h30m"):
        seconds_of(text)


@given(st.integers(1, 10**6))
def test_minutes_round_trip(minutes: int) -> None:
    assert seconds_of(f"{minutes}m") == 60 * minutes


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (-3, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (3599.9, "1 h"),
        (7260, "2 h 1 min"),
        (90000, "1 d 1 h"),
        (86400 + 60, "1 d 1 min"),
        (86400, "1 d"),
    ],
)
def test_lengths_of_time_are_worded(seconds: float, text: str) -> None:
    assert worded(seconds) == text
