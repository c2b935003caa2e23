from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.rerank import rerank
from rag.results import Passage
from rag.retrieve import Found
from rag.types import Chunk

MakeChunk = Callable[..., Chunk]


class Judge:
    """Says what it was told to say, and remembers what it was asked."""

    def __init__(self, *scores: float) -> None:
        self.scores = scores
        self.asked: list[str] = []

    def rerank(self, question: str, chunks: Sequence[Chunk]) -> tuple[float, ...]:
        self.asked += [f"{question} {chunk.text}" for chunk in chunks]
        return self.scores[: len(chunks)]


def found(make_chunk: MakeChunk, *scores: float) -> Found:
    passages = [
        Passage(make_chunk([f"Text {i}."], doc_id=f"doc{i}"), score, ())
        for i, score in enumerate(scores)
    ]
    return Found(tuple(passages), {1: 2.0})


def order(of: Found) -> list[str]:
    return [passage.chunk.doc_id for passage in of.passages]


def test_flat_scores_are_dealt_out_anew(make_chunk: MakeChunk) -> None:
    judge = Judge(-3.0, 7.0, 7.0)
    before = found(make_chunk, 1.0, 0.9, 0.4)
    after, decision = rerank(before, "Why?", judge, 0.25)
    assert order(after) == ["doc1", "doc2", "doc0"]
    assert [passage.score for passage in after.passages] == [1.0, 0.9, 0.4]
    assert decision == "3 passages read again"
    assert judge.asked == ["Why? Text 0.", "Why? Text 1.", "Why? Text 2."]
    assert after.idf == before.idf


def test_no_more_than_five_are_read(make_chunk: MakeChunk) -> None:
    judge = Judge(1, 2, 3, 4, 5, 6, 7)
    after, _ = rerank(found(make_chunk, *[1.0] * 7), "Why?", judge, 0.25)
    assert order(after) == ["doc4", "doc3", "doc2", "doc1", "doc0", "doc5", "doc6"]
    assert len(judge.asked) == 5


@pytest.mark.parametrize("scores", [(), (1.0,), (1.0, 0.5, 0.4)])
def test_what_stands_out_is_not_read(make_chunk: MakeChunk, scores: tuple[float, ...]) -> None:
    judge = Judge(1, 2, 3)
    before = found(make_chunk, *scores)
    after, decision = rerank(before, "Why?", judge, 0.25)
    assert after == before
    assert judge.asked == []
    assert decision.startswith("first passage ahead by")


@given(st.lists(st.floats(0, 1), max_size=9), st.floats(0, 1))
def test_passages_are_neither_lost_nor_made(
    make_chunk: MakeChunk, scores: list[float], below: float
) -> None:
    before = found(make_chunk, *sorted(scores, reverse=True))
    after, _ = rerank(before, "Why?", Judge(5, 1, 4, 2, 3), below)
    assert sorted(order(after)) == sorted(order(before))
    assert [p.score for p in after.passages] == [p.score for p in before.passages]
