"""Which contexts carry an answer that was made from another."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rag.cache.grounds import Grounds, grounds_of

_NAMES = st.frozensets(st.sampled_from("abcde"), min_size=1)


@given(_NAMES, _NAMES, st.sampled_from("xy"), st.sampled_from("xy"), st.booleans())
def test_an_answer_needs_what_it_cites_and_on_another_index_the_same_context(
    kept: frozenset[str], found: frozenset[str], one: str, other: str, same: bool
) -> None:
    mine, theirs = Grounds(kept, min(kept), one, kept), Grounds(found, min(found), other)
    if theirs.carry(mine, same_index=same):
        assert mine.cited <= theirs.packed
        assert mine.best == theirs.best
        assert same or one == other
    assert Grounds(kept, min(kept), one).carry(mine, same_index=same)


def test_they_are_read_off_a_context(world: Any) -> None:
    context = world.context("Oslo is here.", "Bergen is there.")
    said = world.said(context)
    found = grounds_of(context, said)
    assert found is not None
    assert len(found.packed) == 2
    assert found.cited == found.packed
    assert Grounds.from_text(found.to_text()) == found
    assert grounds_of(context, world.said(context, None)).cited == frozenset()
    assert grounds_of(world.context()) is None
