"""Counting which chunks were needed before they had vectors."""

import logging
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag import bm25, demand
from rag.adapters.analysis import EnglishAnalyzer
from rag.adapters.hash_embedder import HashEmbedder
from rag.adapters.memory_index import MemoryIndex
from rag.demand import CountedIndex, DemandCounter, forget_demand, read_demand
from rag.types import Chunk, Filter, Point, SearchQuery

COUNTS = st.lists(
    st.tuples(st.sampled_from("ab"), st.lists(st.sampled_from(["x", "y", "z"]), max_size=4)),
    max_size=12,
)


@settings(deadline=None, max_examples=30)
@given(counts=COUNTS, flushed=st.sets(st.integers(0, 12)))
def test_whenever_it_is_written_nothing_is_lost_or_doubled(
    tmp_path_factory: pytest.TempPathFactory, counts: list[tuple[str, list[str]]], flushed: set[int]
) -> None:
    path = tmp_path_factory.mktemp("demand") / "demand.sqlite"
    counter, expected = DemandCounter(path), {"a": Counter[str](), "b": Counter[str]()}
    for number, (tenant, chunk_ids) in enumerate(counts):
        counter.count(tenant, chunk_ids)
        expected[tenant].update(chunk_ids)
        if number in flushed:
            counter.flush()
    counter.close()
    for tenant, counted in expected.items():
        assert read_demand(path, tenant) == counted


def test_it_is_written_by_itself_and_nothing_is_made_without_need(tmp_path: Path) -> None:
    path = tmp_path / "demand.sqlite"
    counter = DemandCounter(path, flush_seconds=0.01)
    counter.count("a", [])
    counter.flush()
    assert not path.exists()
    counter.count("a", ["x"])
    deadline = time.monotonic() + 10
    while not read_demand(path, "a") and time.monotonic() < deadline:
        time.sleep(0.01)
    assert read_demand(path, "a") == {"x": 1}
    counter.close()


def test_several_counters_add_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "demand.sqlite"
    counters = [DemandCounter(path) for _ in range(4)]

    def work(counter: DemandCounter) -> None:
        for _ in range(5):
            counter.count("a", ["x", "y"])
            counter.flush()
        counter.close()

    threads = [threading.Thread(target=work, args=(counter,)) for counter in counters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read_demand(path, "a") == {"x": 20, "y": 20}


def test_what_cannot_be_written_is_kept_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "missing" / "demand.sqlite"
    counter = DemandCounter(path)
    with caplog.at_level(logging.WARNING, logger="rag.demand"):
        for _ in range(3):
            counter.count("a", ["x"])
            counter.flush()
    assert [record.message for record in caplog.records] == ["demand-not-written"]
    path.parent.mkdir()
    counter.close()
    assert read_demand(path, "a") == {"x": 3}


def test_a_damaged_file_starts_anew(tmp_path: Path) -> None:
    path = tmp_path / "demand.sqlite"
    path.write_bytes(b"no database at all, but long enough to be taken for one" * 30)
    assert read_demand(path, "a") == {}
    forget_demand(path, "a", ["x"])
    counter = DemandCounter(path)
    counter.count("a", ["x"])
    counter.close()
    assert read_demand(path, "a") == {"x": 1}


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demand, "_MOST_PENDING", 2)
    counter = DemandCounter(tmp_path / "demand.sqlite")
    counter.count("a", ["x", "y", "z", "x"])
    counter.close()
    assert read_demand(tmp_path / "demand.sqlite", "a") == {"x": 2, "y": 1}


def test_demand_that_is_met_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "demand.sqlite"
    forget_demand(path, "a", ["x"])
    assert not path.exists()
    counter = DemandCounter(path)
    counter.count("a", ["x", "y"])
    counter.count("b", ["x"])
    counter.close()
    forget_demand(path, "a", ["x", "unknown"])
    assert (read_demand(path, "a"), read_demand(path, "b")) == ({"y": 1}, {"x": 1})


def test_only_fetched_chunks_without_vectors_are_counted(
    tmp_path: Path, make_chunk: Callable[..., Chunk]
) -> None:
    path, embedder, index = tmp_path / "demand.sqlite", HashEmbedder(8), MemoryIndex(8)
    chunks = [make_chunk([f"The pump number {n} runs."], doc_id=str(n)) for n in range(3)]
    terms = EnglishAnalyzer().terms("pump")
    vectors = [None, embedder.embed_passage(chunks[1]), None]
    sparse = bm25.document_vector(terms, 4.0)
    index.upsert(
        [Point("a", chunk, sparse, held) for chunk, held in zip(chunks, vectors, strict=True)]
    )
    counter = DemandCounter(path)
    counted = CountedIndex(index, counter)
    query = SearchQuery(Filter("a"), bm25.query_vector(terms), None, 5)
    assert counted.search(query) == index.search(query)
    assert counted.count(Filter("a")) == 3
    found = counted.fetch("a", [chunks[0].id, chunks[1].id, "unknown"])
    assert [stored.chunk for stored in found] == chunks[:2]
    counter.close()
    assert read_demand(path, "a") == {chunks[0].id: 1}


def test_nothing_of_a_question_is_kept(tmp_path: Path) -> None:
    counter = DemandCounter(tmp_path / "demand.sqlite")
    counter.count("a", ["x"])
    counter.close()
    with sqlite3.connect(tmp_path / "demand.sqlite") as db:
        columns = [row[1] for row in db.execute("PRAGMA table_info(asked)")]
    db.close()
    assert columns == ["tenant", "chunk_id", "times"]
