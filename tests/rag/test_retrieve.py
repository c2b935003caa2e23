import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag import bm25
from rag.adapters.analysis import EnglishAnalyzer
from rag.adapters.hash_embedder import HashEmbedder
from rag.adapters.memory_index import MemoryIndex
from rag.fuse import fuse
from rag.results import Question
from rag.retrieve import Asked, Found, Retrieval
from rag.retrieve import retrieve as retrieve_for
from rag.types import Chunk, Filter, Point, SearchQuery

MakeChunk = Callable[..., Chunk]
ANALYZER = EnglishAnalyzer()
EMBEDDER = HashEmbedder()
HERE = Filter("here")
WIDE = Retrieval(candidates=50, passages=20, dense_weight=0.5)
TEXTS = (
    ("Access logs are kept for 30 days.", "Then they are deleted."),
    ("Invoices are kept for ten years.",),
    ("The canteen opens at noon.", "Soup is free.", "Bring a mug."),
    ("Backups of logs are kept for a year.",),
)


def asked(text: str, *, neural: bool = True) -> Asked:
    vector = EMBEDDER.embed_question(text) if neural else None
    return Asked(text, tuple(ANALYZER.terms(text)), vector)


def retrieve(asked: Asked, where: Filter, index: MemoryIndex, settings: Retrieval) -> Found:
    return retrieve_for(asked, Question(asked.text, where, 256, 0.0), index, settings)


def point(chunk: Chunk, tenant: str, *, neural: bool) -> Point:
    sparse = bm25.document_vector(ANALYZER.terms(chunk.text), 6.0)
    return Point(tenant, chunk, sparse, EMBEDDER.embed_passage(chunk) if neural else None)


def index_of(make_chunk: MakeChunk, *, neural: bool = True) -> MemoryIndex:
    index = MemoryIndex(64 if neural else None)
    chunks = [make_chunk(texts, doc_id=f"doc{n}") for n, texts in enumerate(TEXTS)]
    index.upsert([point(chunk, "here", neural=neural) for chunk in chunks])
    index.upsert([point(make_chunk(["Their logs."], doc_id="x"), "there", neural=neural)])
    return index


@pytest.fixture(scope="session")
def index(make_chunk: MakeChunk) -> MemoryIndex:
    return index_of(make_chunk)


def documents(found: Found) -> list[str]:
    return [passage.chunk.doc_id for passage in found.passages]


def test_the_best_passage_comes_first_with_falling_scores(index: MemoryIndex) -> None:
    found = retrieve(asked("How long are access logs kept?"), HERE, index, WIDE)
    assert documents(found)[0] == "doc0"
    scores = [passage.score for passage in found.passages]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == pytest.approx(1.0)


def test_passages_are_the_fused_ranking_of_both_legs(index: MemoryIndex) -> None:
    question = asked("logs kept")
    assert question.vector is not None
    hits = index.search(SearchQuery(HERE, bm25.query_vector(question.terms), question.vector, 50))
    expected = [(hit.chunk_id, hit.score) for hit in fuse(hits.dense, hits.sparse, 0.5)[:2]]
    found = retrieve(question, HERE, index, Retrieval(50, 2, 0.5))
    assert [(passage.chunk.id, passage.score) for passage in found.passages] == expected


def test_cosines_are_those_of_the_sentences_to_the_question(index: MemoryIndex) -> None:
    question = asked("Soup is free")
    assert question.vector is not None
    found = retrieve(question, HERE, index, WIDE)
    for passage in found.passages:
        rows = EMBEDDER.embed_passage(passage.chunk).sentences
        assert passage.cosines == pytest.approx(tuple(np.dot(rows, question.vector)), abs=1e-5)
        assert len(passage.cosines) == len(passage.chunk.sentences)
    canteen = next(passage for passage in found.passages if passage.chunk.doc_id == "doc2")
    assert np.argmax(canteen.cosines) == 1


def test_the_lexical_tier_finds_by_words_and_has_no_cosines(make_chunk: MakeChunk) -> None:
    index = index_of(make_chunk, neural=False)
    found = retrieve(asked("free soup", neural=False), HERE, index, WIDE)
    assert documents(found) == ["doc2"]
    assert found.passages[0].cosines == ()


def test_a_chunk_that_still_waits_for_its_vector_is_not_ranked_as_if_it_were_far_off(
    make_chunk: MakeChunk,
) -> None:
    index = index_of(make_chunk)
    waiting = make_chunk(["Access logs are kept for 30 days."], doc_id="waiting")
    index.upsert([point(waiting, "here", neural=False)])
    found = retrieve(asked("How long are access logs kept?"), HERE, index, WIDE)
    assert documents(found)[0] == "waiting"


def test_a_question_without_terms_or_vector_finds_nothing(make_chunk: MakeChunk) -> None:
    index = index_of(make_chunk, neural=False)
    assert retrieve(asked("what is it?", neural=False), HERE, index, WIDE) == Found((), {})
    assert retrieve(asked("unheard", neural=False), HERE, index, WIDE).passages == ()


def test_a_question_without_terms_still_has_its_vector(index: MemoryIndex) -> None:
    found = retrieve(asked("what is it?"), HERE, index, WIDE)
    assert len(found.passages) == len(TEXTS)
    assert found.idf == {}


def test_a_term_that_no_document_holds_weighs_more_than_the_rarest(index: MemoryIndex) -> None:
    found = retrieve(asked("kept invoices in Ouagadougou"), HERE, index, WIDE)
    kept, invoices, unknown = (
        found.idf[ANALYZER.terms(word)[0]] for word in ("kept", "invoices", "Ouagadougou")
    )
    assert kept < invoices < unknown
    nowhere = retrieve(asked("Ouagadougou"), HERE, index, WIDE)
    assert list(nowhere.idf.values()) == [pytest.approx(math.log(3))]


def test_only_what_the_filter_admits_is_found(index: MemoryIndex) -> None:
    only = Filter("here", documents=("doc1", "doc3"))
    assert set(documents(retrieve(asked("logs"), only, index, WIDE))) == {"doc1", "doc3"}
    assert documents(retrieve(asked("logs"), Filter("there"), index, WIDE)) == ["x"]
    assert documents(retrieve(asked("logs"), Filter("nobody"), index, WIDE)) == []


@given(
    candidates=st.integers(1, 6),
    passages=st.integers(1, 6),
    weight=st.floats(0, 1),
    text=st.sampled_from(("logs", "kept for years", "soup at noon", "?", "unheard of")),
)
def test_never_more_passages_than_asked_for(
    index: MemoryIndex, candidates: int, passages: int, weight: float, text: str
) -> None:
    question = asked(text)
    found = retrieve(question, HERE, index, Retrieval(candidates, passages, weight))
    assert len(found.passages) <= min(passages, 2 * candidates)
    assert len({passage.chunk.id for passage in found.passages}) == len(found.passages)
    assert found.idf.keys() == set(question.terms)
    assert all(value > 0 for value in found.idf.values())


@given(st.integers(1, 100), st.integers(16, 32768), st.integers(0, 1000))
def test_a_larger_budget_is_offered_no_fewer_passages(most: int, budget: int, more: int) -> None:
    settings = Retrieval(50, most, 0.5)
    assert 1 <= settings.passages_for(budget) <= settings.passages_for(budget + more) <= most
    assert settings.passages_for(32768) == most


def test_a_small_budget_looks_at_few_passages(make_chunk: MakeChunk) -> None:
    index = MemoryIndex()
    chunks = [make_chunk([f"Log {n}."], doc_id=f"doc{n}") for n in range(40)]
    index.upsert([point(chunk, "here", neural=False) for chunk in chunks])
    asked_for = Question("log", HERE, 32, 0.0)
    found = retrieve_for(asked("log", neural=False), asked_for, index, WIDE)
    assert len(found.passages) == WIDE.passages_for(32) == 8


def test_a_compound_that_no_document_joins_is_not_missed(index: MemoryIndex) -> None:
    together = Asked.prepare("How long are access-logs kept?", ANALYZER, None)
    apart = Asked.prepare("How long are access logs kept?", ANALYZER, None)
    found = retrieve(together, HERE, index, WIDE)
    assert found == retrieve(apart, HERE, index, WIDE)
    assert found.unknown == frozenset()


def test_a_compound_finds_the_place_that_writes_it_so(make_chunk: MakeChunk) -> None:
    texts = ("Max size of a WAL size file.", "Set max_wal_size.", "The wal is of max size, wal.")
    index = MemoryIndex()
    chunks = [make_chunk([text], doc_id=f"doc{n}") for n, text in enumerate(texts)]
    index.upsert([point(chunk, "here", neural=False) for chunk in chunks])
    question = Asked.prepare("What is max_wal_size?", ANALYZER, None)
    found = retrieve(question, HERE, index, WIDE)
    assert documents(found)[0] == "doc1"
    assert found.idf.keys() == set(ANALYZER.terms("max wal size maxwalsize"))
