"""Answers come back from bytes as they were."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.cache.clues import clue_from, clue_to
from rag.cache.record import from_bytes, to_bytes
from rag.cache.values import Clue


def test_an_answer_and_an_abstention(world: Any) -> None:
    for context in (world.context(), world.context("Å is so.", "🦊 is not.")):
        for text in ("It is so 🦊.", None):
            said = world.said(context, text)
            assert from_bytes(to_bytes(said)) == said


def test_two_sentences_of_one_chunk_hold_it_once(world: Any) -> None:
    context = world.context("So it is." * 20)
    twice = replace(
        context, evidence=(*context.evidence, replace(context.evidence[0], sentence=1, source=2))
    )
    said = world.said(twice)
    back = from_bytes(to_bytes(said))
    assert back == said
    assert back.context.evidence[0].chunk is back.context.evidence[1].chunk


@given(st.binary(max_size=40))
def test_damage_is_told(data: bytes) -> None:
    with pytest.raises(ValueError, match="damaged"):
        from_bytes(data)


def test_clues(world: Any) -> None:
    clue = world.clue(1.0, 2.0, 3.0)
    assert (clue_from(clue_to(clue)).vector == clue.vector).all()
    words = clue_from(clue_to(Clue(None, (3, 5, 3), {5: 2.0})))
    assert (words.vector, words.terms, dict(words.idf)) == (None, (3, 5), {3: 2.0, 5: 2.0})
