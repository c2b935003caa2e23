"""What stays in a full cache."""

from hypothesis import given
from hypothesis import strategies as st

from rag.cache.eviction import priority

_NUMBERS = st.floats(0, 1e6)


@given(_NUMBERS, st.integers(1, 1000), _NUMBERS, st.integers(1, 10**6))
def test_more_use_more_cost_and_fewer_bytes_keep_an_entry(
    clock: float, uses: int, joules: float, size: int
) -> None:
    rank = priority(clock, uses, joules, size)
    assert rank >= clock
    assert priority(clock, uses + 1, joules, size) >= rank
    assert priority(clock, uses, joules * 2, size) >= rank
    assert priority(clock, uses, joules, size * 2) <= rank
    assert priority(clock + 1, uses, joules, size) >= rank


def test_the_formula() -> None:
    assert priority(0.5, 3, 10.0, 60) == 1.0
