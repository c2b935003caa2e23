import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import ValueRangeError
from rag.labels import checked_labels, reads

GOOD = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}\Z")


@given(st.lists(GOOD, max_size=5))
def test_labels_are_sorted_and_stand_once(labels: list[str]) -> None:
    assert checked_labels(labels) == tuple(sorted(set(labels)))


@pytest.mark.parametrize(
    "label", ["", " hr", "hr ", "h r", "hr,board", "-hr", "ä", "a" * 65, "hr\n", "hr|x", "٣", "*"]
)
def test_what_is_no_label_is_refused_with_what_is(label: str) -> None:
    with pytest.raises(ValueRangeError, match=r"use|Use 1 to 64") as refused:
        checked_labels(["fine", label])
    assert len(str(refused.value.value)) <= 80
    assert str(refused.value).isascii()


@given(st.none() | st.frozensets(GOOD), st.frozensets(GOOD, max_size=3))
def test_who_reads_what(labels: frozenset[str] | None, access: frozenset[str]) -> None:
    held = None if labels is None else tuple(sorted(labels))
    may = labels is None or not access or bool(labels & access)
    assert reads(held, tuple(sorted(access))) == may
