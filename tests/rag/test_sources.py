from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag import bm25
from rag.adapters.memory_index import MemoryIndex
from rag.build import build_analyzer
from rag.sources import Place, SourceReader
from rag.types import Chunk, Filter, Point, Span

ANALYZER = build_analyzer()
WORDS = st.sampled_from("pump valve motor gasket flange bolt seal rotor \U0001f527 été".split())
SENTENCES = st.lists(st.lists(WORDS, min_size=1, max_size=5).map(" ".join), min_size=1, max_size=6)


def chunk_of(doc_id: str, sentences: list[str], start: int = 0) -> Chunk:
    text, spans = "", []
    for sentence in sentences:
        spans.append(Span(len(text), len(text) + len(sentence)))
        text += f"{sentence}. "
    return Chunk(f"{doc_id}-{start}", doc_id, doc_id, text, start, start + len(text), 9, (*spans,))


def reader_of(**chunks: list[Chunk]) -> SourceReader:
    index = MemoryIndex()
    for tenant, owned in chunks.items():
        for chunk in owned:
            sparse = bm25.document_vector(ANALYZER.terms(chunk.text), 8.0)
            index.upsert([Point(tenant, chunk, sparse, None)])
    return SourceReader(index, ANALYZER)


def place_of(chunk: Chunk, sentence: int) -> Place:
    span, text = chunk.sentences[sentence], chunk.sentence(sentence)
    return Place(chunk.doc_id, chunk.start + span.start, chunk.start + span.end, text)


@given(mine=SENTENCES, theirs=SENTENCES, start=st.integers(0, 50), data=st.data())
def test_each_sentence_opens_where_it_stands_and_only_for_its_tenant(
    mine: list[str], theirs: list[str], start: int, data: st.DataObject
) -> None:
    chunk, other = chunk_of("a", mine, start), chunk_of("a", theirs, start)
    reader = reader_of(mine=[chunk], theirs=[other])
    place = place_of(chunk, data.draw(st.integers(0, len(mine) - 1)))
    found = reader.around(Filter("mine", (place.doc_id,)), place)
    if ANALYZER.terms(place.quote):
        assert found == chunk
    else:
        assert found is None
    leaked = reader.around(Filter("theirs", (place.doc_id,)), place)
    assert leaked is None or leaked == other
    assert reader.around(Filter("nobody", (place.doc_id,)), place) is None


def test_of_two_passages_with_the_same_words_the_one_that_was_cited_opens() -> None:
    chunks = [chunk_of("a", ["The pump runs"], start) for start in (0, 100, 200)]
    reader = reader_of(mine=chunks)
    for chunk in chunks:
        assert reader.around(Filter("mine", ("a",)), place_of(chunk, 0)) == chunk


@pytest.mark.parametrize(
    "place",
    [
        Place("a", 1, 14, "The pump runs"),  # stands elsewhere
        Place("a", 0, 13, "The pump halts"),  # says something else by now
        Place("a", -13, 0, "The pump runs"),
        Place("b", 0, 13, "The pump runs"),
        Place("a", 0, 3, "The"),  # no word that is indexed
    ],
)
def test_what_does_not_stand_there_is_not_opened(place: Place) -> None:
    reader = reader_of(mine=[chunk_of("a", ["The pump runs"])])
    assert reader.around(Filter("mine", (place.doc_id,)), place) is None
