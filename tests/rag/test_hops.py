import time
from collections.abc import Callable, Sequence

import pytest

from rag import bm25
from rag.adapters.hash_embedder import HashEmbedder
from rag.adapters.memory_index import MemoryIndex
from rag.build import build_analyzer
from rag.hops import second_hop
from rag.results import Question
from rag.retrieve import Asked, Found, Retrieval, retrieve
from rag.terms import indexed_text
from rag.types import Chunk, Filter, Point

MakeChunk = Callable[..., Chunk]
ANALYZER = build_analyzer()
EMBEDDER = HashEmbedder()
HERE = Filter("here")
FILM = ("Night Ferry", "Night Ferry is a film of 1971, directed by Ada Brunel for Atlas Pictures.")
DIRECTOR = ("Ada Brunel (sailor)", "Brunel grew up in Lisbon. She was born in 1932.")
OTHERS = [(f"Boat {i}", f"Ferry number {i} sails at night.") for i in range(8)]
ASKED = "Where did the director of the film Night Ferry go to school?"


def index_of(make_chunk: MakeChunk, texts: Sequence[tuple[str, str]]) -> MemoryIndex:
    index = MemoryIndex(64)
    for n, (title, text) in enumerate(texts):
        chunk = make_chunk([text], title=title, doc_id=f"doc{n}")
        sparse = bm25.document_vector(ANALYZER.terms(indexed_text(chunk)), 12.0)
        index.upsert([Point("here", chunk, sparse, EMBEDDER.embed_passage(chunk))])
    return index


def hopped(
    make_chunk: MakeChunk, texts: Sequence[tuple[str, str]], text: str = ASKED, passages: int = 3
) -> tuple[Found, Found]:
    index = index_of(make_chunk, texts)
    asked = Asked.prepare(text, ANALYZER, EMBEDDER)
    question = Question(text, HERE, 128, time.monotonic() + 60)
    # By words alone, so that what stands first is plain to see.
    lexical = Asked(asked.text, asked.terms, None)
    found = retrieve(lexical, question, index, Retrieval(50, passages, 0.5))
    return found, second_hop(found, asked, HERE, index, ANALYZER)


def titles(found: Found) -> list[str]:
    return [passage.chunk.title for passage in found.passages]


def test_the_document_that_the_first_passage_names_is_added(make_chunk: MakeChunk) -> None:
    before, after = hopped(make_chunk, [FILM, DIRECTOR, *OTHERS])
    assert titles(before)[0] == "Night Ferry"
    assert DIRECTOR[0] not in titles(before)
    assert titles(after) == [*titles(before), DIRECTOR[0]]
    added = after.passages[-1]
    assert added.score == before.passages[1].score
    assert len(added.cosines) == 1
    assert after.idf == before.idf


def test_what_the_first_passage_does_not_name_is_not_added(make_chunk: MakeChunk) -> None:
    stranger = ("Bruno Adams", DIRECTOR[1])
    before, after = hopped(make_chunk, [FILM, stranger, *OTHERS])
    assert after == before


@pytest.mark.parametrize(
    "text",
    [
        "Is Night Ferry a film of 1971 directed for pictures?",
        "Where did Ada Brunel, director of the film Night Ferry, go to school?",
        "the",
    ],
)
def test_no_hop_where_nothing_is_open_or_the_name_was_asked_for(
    make_chunk: MakeChunk, text: str
) -> None:
    before, after = hopped(make_chunk, [FILM, DIRECTOR, *OTHERS], text, passages=1)
    assert after == before


def test_what_may_not_be_looked_at_is_not_found_by_its_name(make_chunk: MakeChunk) -> None:
    index = index_of(make_chunk, [FILM, DIRECTOR, *OTHERS])
    where = Filter("here", documents=("doc0", "doc2"))
    asked = Asked.prepare(ASKED, ANALYZER, None)
    question = Question(ASKED, where, 128, time.monotonic() + 60)
    found = retrieve(asked, question, index, Retrieval(50, 3, 0.5))
    assert second_hop(found, asked, where, index, ANALYZER) == found
