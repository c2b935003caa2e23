"""One contract for everything that stores and finds chunks.

Longer than other files: a contract is read, and run over every index, as one piece.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rank_bm25 import BM25Okapi

from rag import bm25
from rag.adapters.edge_index import EdgeIndex
from rag.adapters.edge_layout import IndexConfig
from rag.adapters.memory_index import MemoryIndex
from rag.adapters.server_config import ServerConfig
from rag.adapters.server_index import QdrantServerIndex
from rag.errors import ValueRangeError
from rag.types import (
    Chunk,
    Filter,
    Hit,
    PassageVectors,
    Point,
    SearchQuery,
    Span,
    SparseVector,
    Vector,
)

Index: TypeAlias = MemoryIndex | EdgeIndex | QdrantServerIndex
Make: TypeAlias = Callable[..., Index]
Write: TypeAlias = tuple[str, Any, Any]

pytestmark = pytest.mark.filterwarnings(
    "ignore:Payload indexes have no effect",
    "ignore:Local mode performs exact",
)
DIMENSION = 8
LEXICAL = None
NAUGHTY = (
    "",
    " ",
    "\x00 nul",
    "Ω≈ç√ 田中さん 🧑‍💻",
    "'; DROP TABLE chunks; --",
    '{"tenant": "a"}',
    "a\r\nb\t\u2028\ufeff",
    "../../etc/passwd",
    "x" * 5_000,
)


@pytest.fixture(params=["memory", "edge", "server"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Return a function from a dimension to an empty index of each kind."""
    opened: list[EdgeIndex | QdrantServerIndex] = []

    def build(dimension: int | None = DIMENSION) -> Index:
        if request.param == "memory":
            return MemoryIndex(dimension)
        if request.param == "edge":
            path = tmp_path / f"edge{len(opened)}"
            opened.append(EdgeIndex.create(path, IndexConfig(dimension)))
        else:
            from qdrant_client import QdrantClient

            config = ServerConfig(dimension=dimension, batch_size=64)
            server = QdrantServerIndex(config, QdrantClient(":memory:"))
            server.ensure_collection()
            opened.append(server)
        return opened[-1]

    yield build
    for index in opened:
        index.close()


@pytest.fixture
def index(make: Make) -> Index:
    return make()


def chunk_id(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()[:32]


def unit(rng: np.random.Generator, *shape: int) -> Vector:
    rows = rng.normal(size=shape)
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), np.float32)


def point(
    number: int,
    terms: Sequence[int] = (),
    *,
    tenant: str = "a",
    dimension: int | None = DIMENSION,
    **fields: Any,
) -> Point:
    """Return a point whose vectors and text follow from its number; fields override the chunk's."""
    text = fields.pop("text", f"Passage {number}. It has a second sentence.")
    rng = np.random.default_rng(number)
    values: dict[str, Any] = {
        "id": chunk_id(number),
        "doc_id": f"doc-{number % 3}",
        "title": "Title",
        "start": 10,
        "tokens": 9,
        "sentences": (Span(0, len(text) // 2), Span(len(text) // 2, len(text))),
    }
    chunk = Chunk(text=text, end=len(text) + fields.get("start", 10), **(values | fields))
    vectors = None
    if dimension:
        sentences = unit(rng, len(chunk.sentences), dimension)
        vectors = PassageVectors(unit(rng, dimension), sentences)
    return Point(tenant, chunk, bm25.document_vector(terms, 4.0), vectors)


def vectors_of(stored: Point) -> PassageVectors:
    assert stored.vectors is not None
    return stored.vectors


def ask(
    *,
    tenant: str = "a",
    terms: Sequence[int] | None = None,
    dense: Vector | None = None,
    limit: int = 10,
    **where: Any,
) -> SearchQuery:
    sparse = None if terms is None else bm25.query_vector(terms)
    return SearchQuery(Filter(tenant, **where), sparse, dense, limit)


def ids(hits: Sequence[Hit]) -> list[str]:
    return [hit.chunk_id for hit in hits]


def numbered(*numbers: int) -> set[str]:
    return {chunk_id(number) for number in numbers}


def bm25_oracle(corpus: list[list[int]], query: list[int]) -> list[float]:
    """Return the BM25 score of each passage, straight from the textbook."""
    k1, b = 1.2, 0.75
    mean = sum(map(len, corpus)) / len(corpus)
    scores = []
    for terms in corpus:
        score = 0.0
        for term in query:
            tf = terms.count(term)
            holding = sum(term in other for other in corpus)
            idf = math.log(1 + (len(corpus) - holding + 0.5) / (holding + 0.5))
            score += idf * tf * (k1 + 1) / (tf + k1 * (1 - b + b * len(terms) / mean))
        scores.append(score)
    return scores


def zipf_corpus(
    rng: np.random.Generator, passages: int, vocabulary: int = 400, mean_length: int = 30
) -> list[list[int]]:
    """Return term lists with the skew of language and lengths that differ."""
    lengths = rng.integers(mean_length // 3, 2 * mean_length, passages)
    return [((rng.zipf(1.3, n) - 1) % vocabulary).tolist() for n in lengths]


def corpus_points(corpus: list[list[int]]) -> list[Point]:
    mean = sum(map(len, corpus)) / len(corpus)
    return [
        replace(point(n, dimension=LEXICAL), sparse=bm25.document_vector(terms, mean))
        for n, terms in enumerate(corpus)
    ]


def test_an_empty_index_finds_nothing(index: Index) -> None:
    hits = index.search(ask(terms=[1], dense=unit(np.random.default_rng(0), DIMENSION)))
    assert (hits.dense, hits.sparse, hits.idf) == ((), (), {})
    assert index.count(Filter("a")) == 0
    assert index.fetch("a", [chunk_id(1)]) == ()
    assert index.fetch("a", []) == ()
    index.delete("a", [chunk_id(1)])
    index.delete("a", [])
    index.upsert([])
    index.commit()


def test_a_chunk_comes_back_as_it_was_stored(index: Index) -> None:
    stored = point(
        1,
        [7],
        headings=("One", "Two"),
        page=0,
        tags=("x", ""),
        access=("board", "hr"),
        date="2024-05-31T12:00:00+02:00",
        title="",
        start=1_000_000,
        sentences=(Span(0, 3), Span(3, 3), Span(4, 9)),
        also_in=("doc-7", "doc-8"),
        headlines=(0, 2),
    )
    bare = point(2, sentences=(), text="", tokens=0)
    index.upsert([stored, bare])
    first, second = index.fetch("a", [stored.chunk.id, bare.chunk.id])
    assert first.chunk == stored.chunk
    assert second.chunk == bare.chunk
    assert second.sentence_vectors is not None
    assert second.sentence_vectors.shape == (0, DIMENSION)


def test_sentence_vectors_come_back_nearly_exact(make: Make) -> None:
    index = make(384)
    stored = point(1, [7], dimension=384)
    rows = vectors_of(stored).sentences.copy()
    rows[1] = 0
    stored = replace(stored, vectors=PassageVectors(vectors_of(stored).passage, rows))
    index.upsert([stored])
    (found,) = index.fetch("a", [stored.chunk.id])
    assert found.sentence_vectors is not None
    assert found.sentence_vectors.dtype == np.float32
    assert found.sentence_vectors[0] @ rows[0] > 1 - 1e-3
    assert np.linalg.norm(found.sentence_vectors[0]) == pytest.approx(1, abs=1e-6)
    assert not found.sentence_vectors[1].any()


def naughty_point(text: str) -> Point:
    return point(
        1, [7], tenant=f"t{text}", id=f"i{text}", doc_id=text, title=text, text=text, tags=(text,)
    )


def test_strings_survive_unchanged_wherever_they_stand(index: Index) -> None:
    index.upsert([naughty_point(text) for text in NAUGHTY])
    index.commit()
    for text in NAUGHTY:
        stored = naughty_point(text)
        where = Filter(stored.tenant, documents=(text,), tags=(text,))
        hits = index.search(SearchQuery(where, bm25.query_vector([7]), None, 5))
        assert ids(hits.sparse) == [stored.chunk.id]
        assert index.fetch(stored.tenant, [stored.chunk.id])[0].chunk == stored.chunk


def test_lone_surrogates_are_refused_whole(index: Index) -> None:
    with pytest.raises(ValueRangeError, match="surrogates"):
        index.upsert([point(1), point(2, text="\ud800")])
    assert index.count(Filter("a")) == 0
    assert index.fetch("a", ["\ud800"]) == ()


def test_upsert_replaces_by_chunk_id(index: Index) -> None:
    index.upsert([point(1, [7], text="old"), point(2, [7])])
    index.upsert([point(1, [8], text="new", doc_id="moved")])
    assert index.count(Filter("a")) == 2
    assert index.fetch("a", [chunk_id(1)])[0].chunk.text == "new"
    assert ids(index.search(ask(terms=[7])).sparse) == [chunk_id(2)]
    assert ids(index.search(ask(terms=[8], documents=("moved",))).sparse) == [chunk_id(1)]


def test_the_last_of_equal_ids_in_one_call_wins(index: Index) -> None:
    index.upsert([point(1, [7], text="first"), point(1, [8], text="last")])
    assert index.count(Filter("a")) == 1
    assert index.fetch("a", [chunk_id(1)])[0].chunk.text == "last"
    assert index.search(ask(terms=[7])).sparse == ()


def test_deleted_chunks_are_gone_from_every_answer(index: Index) -> None:
    index.upsert([point(n, [7]) for n in range(5)])
    index.delete("a", [chunk_id(1), chunk_id(3), chunk_id(99)])
    index.commit()
    assert index.count(Filter("a")) == 3
    left = index.fetch("a", [chunk_id(n) for n in range(5)])
    assert [stored.chunk.id for stored in left] == [chunk_id(n) for n in (0, 2, 4)]
    hits = index.search(ask(terms=[7], dense=unit(np.random.default_rng(0), DIMENSION)))
    assert set(ids(hits.sparse)) == set(ids(hits.dense)) == numbered(0, 2, 4)


def test_fetch_keeps_the_order_asked_for_and_leaves_unknown_ids_out(index: Index) -> None:
    index.upsert([point(n) for n in range(30)])
    wanted = [chunk_id(n) for n in (20, 3, 99, 11, 3)]
    found = index.fetch("a", [*wanted, "not hexadecimal"])
    assert [stored.chunk.id for stored in found] == [chunk_id(n) for n in (20, 3, 11, 3)]


def test_tenants_never_see_each_other(index: Index) -> None:
    index.upsert([point(1, [7]), point(2, [7])])
    index.upsert([point(1, [7], tenant="b", text="theirs"), point(3, [7], tenant="b")])
    dense = unit(np.random.default_rng(0), DIMENSION)
    for tenant, mine in (("a", numbered(1, 2)), ("b", numbered(1, 3)), ("A", set())):
        hits = index.search(ask(tenant=tenant, terms=[7], dense=dense))
        assert set(ids(hits.dense)) == set(ids(hits.sparse)) == mine
        assert index.count(Filter(tenant)) == len(mine)
    index.delete("b", [chunk_id(1), chunk_id(2)])
    assert index.count(Filter("a")) == 2
    assert index.fetch("b", [chunk_id(1), chunk_id(2)]) == ()
    assert index.fetch("a", [chunk_id(1)])[0].chunk.text != "theirs"


def test_an_id_made_up_to_reach_another_tenant_reaches_nothing(index: Index) -> None:
    from rag.payload import tenant_mask

    index.upsert([point(1, [7], tenant="b"), point(2, [7])])
    crafted = f"{int(chunk_id(1), 16) ^ tenant_mask('a') ^ tenant_mask('b'):032x}"
    assert index.fetch("a", [crafted]) == ()
    index.delete("a", [crafted])
    assert index.count(Filter("b")) == 1


FILTERS: list[tuple[dict[str, Any], tuple[int, ...]]] = [
    ({}, (0, 1, 2, 3, 4)),
    ({"documents": ("doc-0",)}, (0, 3)),
    ({"documents": ("doc-0", "doc-2", "none")}, (0, 2, 3)),
    ({"tags": ("even",)}, (0, 2, 4)),
    ({"tags": ("even", "big")}, (4,)),
    ({"tags": ("even", "none")}, ()),
    ({"since": "2024-05-03"}, (2, 3)),
    ({"until": "2024-05-02"}, (0, 1)),
    ({"since": "2024-05-02", "until": "2024-05-03"}, (1, 2)),
    ({"since": "2024-05", "until": "2024"}, (0, 1, 2, 3)),
    ({"since": "2024-05-04T10:00:00Z"}, (3,)),
    ({"since": "2024-05-04T10:00:01Z"}, ()),
    ({"documents": ("doc-0",), "tags": ("even",), "until": "2024-05-09"}, (0,)),
]


def test_filters_hold_for_both_legs_and_the_count(index: Index) -> None:
    dates = ("2024-05-01", "2024-05-02T23:59:59Z", "2024-05-03", "2024-05-04T12:00:00+02:00", None)
    index.upsert(
        [
            point(n, [7], date=date, tags=("even",) * (n % 2 == 0) + ("big",) * (n > 2))
            for n, date in enumerate(dates)
        ]
    )
    index.commit()
    dense = unit(np.random.default_rng(0), DIMENSION)
    for where, expected in FILTERS:
        hits = index.search(ask(terms=[7], dense=dense, **where))
        assert set(ids(hits.dense)) == set(ids(hits.sparse)) == numbered(*expected), where
        assert index.count(Filter("a", **where)) == len(expected), where


def test_a_chunk_is_found_in_every_document_that_holds_it(index: Index) -> None:
    index.upsert([point(1, [7], doc_id="one", also_in=("two", "three")), point(2, [7])])
    for doc_id in ("one", "two", "three"):
        assert ids(index.search(ask(terms=[7], documents=(doc_id,))).sparse) == [chunk_id(1)]
        assert index.count(Filter("a", documents=(doc_id,))) == 1


def test_a_date_bound_that_is_none_is_refused(index: Index) -> None:
    with pytest.raises(ValueRangeError, match="since"):
        index.search(ask(terms=[7], since="yesterday"))
    with pytest.raises(ValueRangeError, match="until"):
        index.count(Filter("a", until="31.05.2024"))


def test_dense_scores_are_cosines_best_first(index: Index) -> None:
    points = [point(n) for n in range(40)]
    index.upsert(points)
    index.commit()
    asked = unit(np.random.default_rng(99), DIMENSION)
    hits = index.search(ask(dense=asked, limit=7))
    cosines = {p.chunk.id: float(vectors_of(p).passage @ asked) for p in points}
    best = sorted(cosines, key=lambda key: -cosines[key])[:7]
    assert ids(hits.dense) == best
    assert [hit.score for hit in hits.dense] == pytest.approx([cosines[k] for k in best], abs=5e-4)
    assert hits.sparse == ()
    assert hits.idf == {}


def test_a_leg_is_run_only_if_asked_for_and_both_at_once(index: Index) -> None:
    index.upsert([point(n, [n % 2, 5]) for n in range(6)])
    dense = unit(np.random.default_rng(1), DIMENSION)
    both = index.search(ask(terms=[1, 5, 77], dense=dense, limit=4))
    alone = index.search(ask(terms=[1, 5, 77], limit=4))
    assert both.sparse == alone.sparse
    assert alone.dense == ()
    assert both.dense == index.search(ask(dense=dense, limit=4)).dense
    assert len(both.dense) == len(both.sparse) == 4
    assert index.search(ask()).idf == {}
    assert index.search(ask(terms=[])).sparse == ()


def test_idf_is_the_formula_over_a_tenants_own_corpus(index: Index) -> None:
    index.upsert([point(n, [1] * (1 + n % 3) + [2 + n % 2, 2**32 - 1]) for n in range(20)])
    index.upsert([point(n, [1, 50], tenant="b") for n in range(5)])
    index.commit()
    corpora: dict[str, tuple[int, dict[int, int]]] = {
        "a": (20, {1: 20, 2: 10, 3: 10, 2**32 - 1: 20}),
        "b": (5, {1: 5, 50: 5}),
        "c": (0, {}),
    }
    for tenant in (*corpora, *corpora):  # the second time out of memory
        size, frequencies = corpora[tenant]
        found = index.search(ask(tenant=tenant, terms=[1, 2, 3, 2**32 - 1, 50, 77])).idf
        assert found == {
            term: pytest.approx(bm25.idf(size, held), rel=1e-5)
            for term, held in frequencies.items()
        }


LABELLED = ((), ("hr",), ("board",), ("board", "hr"), ())
READERS: list[tuple[tuple[str, ...] | None, tuple[int, ...]]] = [
    (None, (0, 1, 2, 3, 4)),
    ((), (0, 4)),
    (("hr",), (0, 1, 3, 4)),
    (("board",), (0, 2, 3, 4)),
    (("board", "hr"), (0, 1, 2, 3, 4)),
    (("Hr", "none"), (0, 4)),
]


def labelled_points() -> list[Point]:
    return [point(n, [7] * (n + 1) + [10 + n], access=labels) for n, labels in enumerate(LABELLED)]


@pytest.mark.parametrize("others", [0, 3], ids=["alone", "beside another tenant"])
def test_labels_decide_who_finds_what(index: Index, others: int) -> None:
    index.upsert([*labelled_points(), *(point(n, [7], tenant="b") for n in range(others))])
    index.commit()
    dense = unit(np.random.default_rng(0), DIMENSION)
    for labels, seen in READERS:
        for where in ({}, {"documents": ("doc-0", "doc-1", "doc-2")}):
            hits = index.search(ask(terms=[7], dense=dense, labels=labels, **where))
            assert set(ids(hits.dense)) == set(ids(hits.sparse)) == numbered(*seen), labels
            assert index.count(Filter("a", labels=labels, **where)) == len(seen), labels


@pytest.mark.parametrize("others", [0, 3], ids=["alone", "beside another tenant"])
def test_ranks_and_weights_tell_nothing_of_what_may_not_be_read(
    make: Make, index: Index, others: int
) -> None:
    index.upsert([*labelled_points(), *(point(n, [7], tenant="b") for n in range(others))])
    index.commit()
    for labels, seen in (*READERS, *READERS):
        theirs = make()
        theirs.upsert([p for n, p in enumerate(labelled_points()) if n in seen])
        theirs.commit()
        question = ask(terms=[7, 10, 11, 12, 13, 14], limit=3, labels=labels)
        found, alone = index.search(question), theirs.search(replace(question, where=Filter("a")))
        assert found.idf.keys() == alone.idf.keys() == {7, *(10 + n for n in seen)}, labels
        assert found.idf == pytest.approx(alone.idf, rel=1e-5)
        assert ids(found.sparse) == ids(alone.sparse)
        scores = [hit.score for hit in alone.sparse]
        assert [hit.score for hit in found.sparse] == pytest.approx(scores, rel=1e-5)


def test_what_was_labelled_is_hidden_and_shown_again(index: Index) -> None:
    index.upsert([point(1, [7])])
    everybody = ask(terms=[7], labels=())
    assert ids(index.search(everybody).sparse) == [chunk_id(1)]
    index.upsert([point(1, [7], access=("hr",))])
    assert index.search(everybody).sparse == ()
    assert index.search(everybody).idf == {}
    assert index.fetch("a", [chunk_id(1)])[0].chunk.access == ("hr",)
    index.upsert([point(1, [7])])
    assert ids(index.search(everybody).sparse) == [chunk_id(1)]


def test_idf_follows_a_write(index: Index) -> None:
    index.upsert([point(n, [1]) for n in range(4)])
    assert index.search(ask(terms=[1, 2])).idf == {1: pytest.approx(bm25.idf(4, 4), rel=1e-5)}
    index.upsert([point(n, [2]) for n in range(4, 8)])
    assert index.search(ask(terms=[1, 2])).idf == {
        1: pytest.approx(bm25.idf(8, 4), rel=1e-5),
        2: pytest.approx(bm25.idf(8, 4), rel=1e-5),
    }
    index.delete("a", [chunk_id(n) for n in range(4)])
    index.commit()
    assert set(index.search(ask(terms=[1, 2])).idf) == {2}


def test_sparse_scores_equal_a_textbook_bm25(make: Make) -> None:
    rng = np.random.default_rng(5)
    corpus = zipf_corpus(rng, 120)
    index = make(LEXICAL)
    index.upsert(corpus_points(corpus))
    index.commit()
    for query in ([3, 9], [0, 1, 40, 41], [17, 17, 60]):
        scores = bm25_oracle(corpus, query)
        hits = index.search(ask(terms=query, limit=120)).sparse
        found = {hit.chunk_id: hit.score for hit in hits}
        expected = {chunk_id(n): score for n, score in enumerate(scores) if score > 0}
        assert found == {key: pytest.approx(score, rel=1e-4) for key, score in expected.items()}
        assert [hit.score for hit in hits] == sorted(found.values(), reverse=True)


def test_sparse_top_ten_agrees_with_rank_bm25(make: Make) -> None:
    rng = np.random.default_rng(6)
    corpus = zipf_corpus(rng, 300, vocabulary=2_000, mean_length=60)
    index = make(LEXICAL)
    index.upsert(corpus_points(corpus))
    index.commit()
    reference = BM25Okapi(corpus, k1=1.2, b=0.75)
    overlaps = []
    for _ in range(20):
        query = sorted({int(term) for term in rng.integers(20, 400, 8)})
        scores = reference.get_scores(query)
        best = [n for n in np.argsort(-scores, kind="stable")[:10] if scores[n] > 0]
        hits = index.search(ask(terms=query, limit=10)).sparse
        overlaps.append(len(numbered(*best) & set(ids(hits))) / len(best))
    assert np.mean(overlaps) >= 0.9


def test_the_lexical_tier_holds_no_vectors(make: Make) -> None:
    index = make(LEXICAL)
    index.upsert([point(n, [n], dimension=LEXICAL) for n in range(3)])
    index.commit()
    assert ids(index.search(ask(terms=[2])).sparse) == [chunk_id(2)]
    assert index.fetch("a", [chunk_id(2)])[0].sentence_vectors is None
    with pytest.raises(ValueRangeError, match="lexical"):
        index.search(ask(dense=np.ones(DIMENSION, np.float32)))
    with pytest.raises(ValueRangeError, match="lexical"):
        index.upsert([point(4)])


def test_a_chunk_can_wait_for_its_vectors(index: Index) -> None:
    asked = unit(np.random.default_rng(1), DIMENSION)
    index.upsert([point(n, [7], dimension=DIMENSION if n < 3 else LEXICAL) for n in range(6)])
    index.commit()
    hits = index.search(ask(terms=[7], dense=asked))
    assert set(ids(hits.dense)) == numbered(0, 1, 2)
    assert set(ids(hits.sparse)) == numbered(0, 1, 2, 3, 4, 5)
    assert hits.unembedded == numbered(3, 4, 5)
    assert index.search(ask(terms=[7])).unembedded == frozenset()
    found = index.fetch("a", [chunk_id(2), chunk_id(3)])
    assert [stored.sentence_vectors is None for stored in found] == [False, True]
    index.upsert([point(4, [7])])
    index.upsert([point(0, [7], dimension=LEXICAL)])
    index.commit()
    hits = index.search(ask(terms=[7], dense=asked))
    assert set(ids(hits.dense)) == numbered(1, 2, 4)
    assert hits.unembedded == numbered(0, 3, 5)


def test_an_index_may_have_no_vector_at_all_yet(index: Index) -> None:
    index.upsert([point(n, [n], dimension=LEXICAL, id=f"name {n}") for n in range(3)])
    index.commit()
    asked = unit(np.random.default_rng(1), DIMENSION)
    hits = index.search(ask(terms=[1], dense=asked))
    assert (hits.dense, ids(hits.sparse), hits.unembedded) == ((), ["name 1"], {"name 1"})


def test_vectors_that_do_not_fit_are_refused(index: Index) -> None:
    with pytest.raises(ValueRangeError, match="shape"):
        index.search(ask(dense=np.ones(DIMENSION + 1, np.float32)))
    with pytest.raises(ValueRangeError, match="shapes"):
        index.upsert([point(1, dimension=DIMENSION * 2)])
    with pytest.raises(ValueRangeError, match="limit"):
        index.search(ask(terms=[1], limit=0))
    assert index.count(Filter("a")) == 0


def test_many_points_are_counted_and_found(make: Make, request: pytest.FixtureRequest) -> None:
    passages = 500 if "server" in request.node.name else 10_000
    rng = np.random.default_rng(8)
    index = make(16)
    terms = zipf_corpus(rng, passages, vocabulary=5_000, mean_length=12)
    points = [point(n, terms[n], dimension=16) for n in range(passages)]
    index.upsert(points)
    index.commit()
    assert index.count(Filter("a")) == passages
    assert index.count(Filter("a", documents=("doc-1",))) == len(range(1, passages, 3))
    target = points[passages // 2]
    hits = index.search(ask(dense=vectors_of(target).passage, terms=[3, 9, 27], limit=50))
    assert hits.dense[0].chunk_id == target.chunk.id
    assert hits.dense[0].score == pytest.approx(1, abs=5e-4)
    assert len(hits.dense) == len(hits.sparse) == 50
    held = Counter(term for each in terms for term in set(each))
    assert hits.idf == {
        term: pytest.approx(bm25.idf(passages, held[term]), rel=1e-4) for term in (3, 9, 27)
    }


WRITES = st.lists(
    st.one_of(
        st.tuples(
            st.just("upsert"),
            st.sampled_from("ab"),
            st.lists(
                st.tuples(st.integers(0, 12), st.lists(st.integers(0, 6), max_size=5)), max_size=6
            ),
        ),
        st.tuples(
            st.just("delete"), st.sampled_from("ab"), st.lists(st.integers(0, 12), max_size=4)
        ),
        st.tuples(st.just("commit"), st.none(), st.none()),
    ),
    max_size=8,
)


def test_terms_need_not_be_weighed(index: Index) -> None:
    index.upsert([point(1, [3, 5]), point(2, [5])])
    weighed = index.search(ask(terms=[3, 5, 9]))
    plain = index.search(replace(ask(terms=[3, 5, 9]), weigh_terms=False))
    assert weighed.idf.keys() == {3, 5}
    assert plain == replace(weighed, idf={})


@pytest.fixture(scope="module")
def shared_edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeIndex]:
    path = tmp_path_factory.mktemp("shared") / "index"
    with EdgeIndex.create(path, IndexConfig(DIMENSION)) as edge:
        yield edge


@settings(max_examples=25, deadline=None)
@given(writes=WRITES)
def test_any_writes_leave_edge_equal_to_memory(writes: list[Write], shared_edge: EdgeIndex) -> None:
    memory = MemoryIndex(DIMENSION)
    for tenant in "ab":
        shared_edge.delete(tenant, [chunk_id(number) for number in range(13)])
    for index in (memory, shared_edge):
        apply(index, writes)
    for tenant in "ab":
        assert_equal_answers(memory, shared_edge, tenant)


def apply(index: Index, writes: list[Write]) -> None:
    for kind, tenant, items in writes:
        if kind == "upsert":
            index.upsert([point(number, terms, tenant=tenant) for number, terms in items])
        elif kind == "delete":
            index.delete(tenant, [chunk_id(number) for number in items])
        else:
            index.commit()


def assert_equal_answers(memory: MemoryIndex, edge: EdgeIndex, tenant: str) -> None:
    everything = [chunk_id(number) for number in range(13)]
    assert edge.count(Filter(tenant)) == memory.count(Filter(tenant))
    assert [found.chunk for found in edge.fetch(tenant, everything)] == [
        found.chunk for found in memory.fetch(tenant, everything)
    ]
    query = SearchQuery(
        Filter(tenant),
        SparseVector(tuple(range(7)), (1.0,) * 7),
        unit(np.random.default_rng(77), DIMENSION),
        20,
    )
    found, expected = edge.search(query), memory.search(query)
    dense = {hit.chunk_id: hit.score for hit in expected.dense}
    assert {h.chunk_id: h.score for h in found.dense} == pytest.approx(dense, abs=5e-4)
    assert set(found.idf) == set(expected.idf)
    assert set(ids(found.sparse)) == set(ids(expected.sparse))
    for hit in found.sparse:
        # Deleted chunks may still count in the engine's IDF, so scores are checked against it.
        stored = memory._points[tenant, hit.chunk_id].sparse
        score = sum(found.idf[t] * w for t, w in zip(stored.indices, stored.values, strict=True))
        assert hit.score == pytest.approx(score, rel=1e-5)
