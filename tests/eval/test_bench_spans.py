"""Spans: overlap of characters, the usual cuts, how far relevant text got, and its mapping."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.bench import cuts, limits, spans
from eval.bench.overlap import Overlap, overlap, shared, size, union
from eval.bench.ranked_cuts import RankedCuts
from eval.bench.watched import WatchedIndex
from rag.adapters.hash_embedder import HashEmbedder
from rag.adapters.memory_index import MemoryIndex
from rag.adapters.vocabulary import TiktokenTokenizer
from rag.bm25 import document_vector, query_vector
from rag.build import build_analyzer
from rag.errors import LoadError, ValueRangeError
from rag.types import Block, Chunk, Document, Filter, Point, SearchQuery, Span

Cut: TypeAlias = Callable[[str, int, TiktokenTokenizer], Iterator[Span]]
TOKENIZER = TiktokenTokenizer()
SPANS = st.builds(
    lambda start, length: Span(start, start + length), st.integers(0, 60), st.integers(0, 20)
)
PLACES = st.dictionaries(st.sampled_from("abc"), st.lists(SPANS, max_size=6), max_size=3)


def characters(places: dict[str, list[Span]]) -> set[tuple[str, int]]:
    return {(d, i) for d, found in places.items() for s in found for i in range(s.start, s.end)}


@given(retrieved=PLACES, relevant=PLACES)
def test_overlap_is_that_of_the_sets_of_characters(
    retrieved: dict[str, list[Span]], relevant: dict[str, list[Span]]
) -> None:
    taken, wanted = characters(retrieved), characters(relevant)
    assert size(retrieved) == len(taken)
    assert shared(retrieved, relevant) == len(taken & wanted)
    if not wanted:
        with pytest.raises(ValueRangeError):
            overlap(retrieved, relevant)
        return
    expected = Overlap(
        recall=len(taken & wanted) / len(wanted),
        precision=len(taken & wanted) / len(taken) if taken else 0.0,
        iou=len(taken & wanted) / len(taken | wanted),
    )
    assert overlap(retrieved, relevant) == expected


@given(found=st.lists(SPANS))
def test_a_union_is_disjoint_and_in_order(found: list[Span]) -> None:
    joined = union(found)
    assert all(a.end < b.start for a, b in pairwise(joined))
    assert characters({"a": joined}) == characters({"a": found})


@pytest.mark.parametrize("cut", [cuts.fixed, cuts.recursive])
@given(
    text=st.text(alphabet="ab c.?!\n€", max_size=200) | st.text(max_size=40),
    length=st.integers(8, 40),
)
def test_cuts_join_up_to_the_text_and_fit(cut: Cut, text: str, length: int) -> None:
    pieces = list(cut(text, length, TOKENIZER))
    assert "".join(text[p.start : p.end] for p in pieces) == text
    assert all(p.end > p.start for p in pieces) or text == ""
    assert all(TOKENIZER.count(text[p.start : p.end]) <= length for p in pieces)


def test_a_recursive_cut_is_made_at_the_coarsest_separator() -> None:
    text = "One two three four. Five six.\n\nSeven eight nine ten. Eleven twelve."
    pieces = [text[p.start : p.end] for p in cuts.recursive(text, 12, TOKENIZER)]
    assert pieces == ["One two three four. Five six.\n\n", "Seven eight nine ten. Eleven twelve."]


def test_fixed_cuts_are_as_long_as_they_may_be() -> None:
    text = "word " * 100
    pieces = list(cuts.fixed(text, 30, TOKENIZER))
    longer = [text[p.start : p.end + 1] for p in pieces[:-1]]
    assert all(TOKENIZER.count(piece) > 30 for piece in longer)


def chunk(name: str, start: int, text: str) -> Chunk:
    sentences = (Span(0, len(text)),)
    return Chunk(name, "doc", "Doc", text, start, start + len(text), 5, sentences)


def test_relevant_characters_are_told_apart_by_how_far_they_got() -> None:
    relevant = {"doc": [Span(0, 40)]}
    packed = {"doc": [Span(0, 4)]}
    offered, left_out = [chunk("a", 0, "x" * 10)], [chunk("b", 10, "x" * 20)]
    shares = spans.reached(relevant, packed, offered, left_out)
    assert shares == pytest.approx((0.1, 0.15, 0.5, 0.25))


@pytest.mark.parametrize(
    ("context", "offered", "left_out", "stage"),
    [
        ("It sank in 1628.", "", "", 0),
        ("It sank.", "It sank in 1628.", "", 1),
        ("It sank.", "It floats.", "It sank in 1628.", 2),
        ("It sank.", "It floats.", "It swims.", 3),
    ],
)
def test_the_first_stage_that_holds_the_answer_counts(
    context: str, offered: str, left_out: str, stage: int
) -> None:
    rest = [chunk("b", 0, left_out)] if left_out else []
    shown = [chunk("a", 0, offered)] if offered else []
    assert limits.reached(["1628"], context, shown, lambda: rest) == limits.STAGES[stage]


def test_a_watched_index_tells_candidates_from_what_was_offered() -> None:
    analyzer = build_analyzer()
    index = MemoryIndex()
    texts = {"a": "ships sink", "b": "ships float", "c": "trees grow"}
    index.upsert(
        [
            Point("t", chunk(name, 0, text), document_vector(analyzer.terms(text), 2.0), None)
            for name, text in texts.items()
        ]
    )
    watched = WatchedIndex(index)
    query = query_vector(analyzer.terms("ships"))
    watched.search(SearchQuery(Filter("t"), query, None, 10))
    watched.fetch("t", ["a"])
    assert watched.candidates == {"a", "b"}
    assert set(watched.offered) == {"a"}
    assert [left.id for left in watched.left_out("t")] == ["b"]
    watched.forget()
    assert not watched.candidates
    assert not watched.offered


def test_whole_chunks_are_ranked_within_one_document_or_all() -> None:
    documents = [
        Document(name, name, text, (Block(0, len(text), "paragraph"),), "text/plain")
        for name, text in (("boats", "The Vasa sank."), ("trees", "The Vasa was of oak. It grew."))
    ]
    found = [
        c for d in documents for c in cuts.passages(d, cuts.fixed(d.text, 16, TOKENIZER), TOKENIZER)
    ]
    ranked = RankedCuts.over(found, HashEmbedder(), build_analyzer(), TOKENIZER)
    for ranking in ("MiniLM", "BM25", "hybrid"):
        assert {c.doc_id for c in ranked.best("Vasa", ranking, "boats")} == {"boats"}
        assert {c.doc_id for c in ranked.best("Vasa", ranking, None)} == {"boats", "trees"}


def test_documents_keep_the_places_of_the_raw_text(tmp_path: Path) -> None:
    raw = "\n First part. \n\n\n  Second part, at 28.\n"
    (tmp_path / "ships.md").write_text(raw, encoding="utf-8")
    at = raw.index("at 28")
    folder_with(tmp_path, at)
    data = spans.load(tmp_path)
    (document,) = data.documents
    assert document.text == raw
    blocks = [raw[block.start : block.end] for block in document.blocks]
    assert blocks == ["First part.", "Second part, at 28."]
    folder_with(tmp_path, at - 1)
    with pytest.raises(LoadError):
        spans.load(tmp_path)


def folder_with(folder: Path, at: int) -> None:
    reference = {"content": "at 28", "start_index": at, "end_index": at + 5}
    row = {"_id": "q", "text": "When?", "corpus_id": "ships", "references": [reference]}
    (folder / "queries.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
