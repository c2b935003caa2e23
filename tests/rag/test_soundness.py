"""An index is compared with its manifest: what differs is found, whatever it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rag.adapters.memory_index import MemoryIndex
from rag.bm25 import document_vector
from rag.build import build_analyzer
from rag.errors import IndexStateError
from rag.generation import Generation, IndexShape
from rag.protocols import Analyzer
from rag.soundness import analyzer_for, check_index, read_holdings
from rag.terms import TERMS_VERSION, indexed_text
from rag.types import Chunk, Point

TEXTS = ("The pump is covered for 24 months.", "Invoices are due.", "It weighs 12 kg.")
SHAPE = IndexShape("edge", "lexical", None, None, "cl100k_base", 192, 5.0, TERMS_VERSION)


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return build_analyzer()


@pytest.fixture
def chunks(make_chunk: Callable[..., Chunk]) -> list[Chunk]:
    return [make_chunk([text], doc_id=f"d{n}") for n, text in enumerate(TEXTS)]


@pytest.fixture
def generation(tmp_path: Path, chunks: list[Chunk]) -> Generation:
    with closing(sqlite3.connect(tmp_path / "manifest.sqlite")) as db:
        db.execute("CREATE TABLE points (tenant, chunk_id, digest, doc_id)")
        db.execute("CREATE TABLE contents (tenant, digest, text)")
        for tenant in ("a", "b"):
            for chunk in chunks:
                db.execute(
                    "INSERT INTO points VALUES (?,?,?,?)",
                    (tenant, chunk.id, chunk.id, chunk.doc_id),
                )
                db.execute("INSERT INTO contents VALUES (?,?,?)", (tenant, chunk.id, chunk.text))
        db.commit()
    return Generation(tmp_path, 1, None, "", SHAPE, 3, 6, 40, "")


def index_of(chunks: Sequence[Chunk], analyzer: Analyzer, **more: Any) -> MemoryIndex:
    index = MemoryIndex(**more)
    for tenant in ("a", "b"):
        index.upsert(
            [
                Point(tenant, c, document_vector(analyzer.terms(indexed_text(c)), 5.0), None)
                for c in chunks
            ]
        )
    index.commit()
    return index


def test_what_agrees_passes(
    generation: Generation, chunks: list[Chunk], analyzer: Analyzer
) -> None:
    holdings = read_holdings(generation)
    assert holdings.counts == (("a", 3), ("b", 3))
    assert {sample.text for sample in holdings.samples} == set(TEXTS)
    check_index(index_of(chunks, analyzer), holdings, analyzer)


def test_a_missing_chunk_is_found(
    generation: Generation, chunks: list[Chunk], analyzer: Analyzer
) -> None:
    with pytest.raises(IndexStateError, match="2 of tenant a instead of 3"):
        check_index(index_of(chunks[1:], analyzer), read_holdings(generation), analyzer)


def test_an_altered_chunk_is_found(
    generation: Generation,
    chunks: list[Chunk],
    analyzer: Analyzer,
    make_chunk: Callable[..., Chunk],
) -> None:
    other = make_chunk(["The pump is covered for 12 months."], doc_id="d0", id=chunks[0].id)
    with pytest.raises(IndexStateError, match="missing or altered"):
        check_index(index_of([other, *chunks[1:]], analyzer), read_holdings(generation), analyzer)


def test_a_chunk_that_is_not_found_by_its_words_is_found_out(
    generation: Generation, chunks: list[Chunk], analyzer: Analyzer
) -> None:
    class Forgetful:
        def terms(self, text: str) -> list[int]:
            return [len(text)]

    index = index_of(chunks, Forgetful())
    with pytest.raises(IndexStateError, match="not found by its own words"):
        check_index(index, read_holdings(generation), analyzer)
    check_index(index, read_holdings(generation), None)


def test_counts_that_disagree_are_found(generation: Generation) -> None:
    with pytest.raises(IndexStateError, match=r"6 in the manifest, 7 in generation\.json"):
        read_holdings(replace(generation, chunks=7))


def test_a_manifest_that_is_none_is_an_error(generation: Generation) -> None:
    generation.manifest_path.write_bytes(b"nothing")
    with pytest.raises(IndexStateError, match="cannot be read"):
        read_holdings(generation)


def test_terms_of_another_release_are_not_asked_for(
    generation: Generation, analyzer: Analyzer
) -> None:
    assert analyzer_for(generation, analyzer) is analyzer
    old = replace(generation, shape=replace(SHAPE, terms=TERMS_VERSION - 1))
    assert analyzer_for(old, analyzer) is None
