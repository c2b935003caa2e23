"""What only the embedded index does: directories, locks, layouts, kills."""

import json
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rag import bm25
from rag.adapters.edge_index import EdgeIndex
from rag.adapters.edge_layout import IndexConfig, Layout
from rag.errors import IndexStateError, ValueRangeError
from rag.types import Chunk, Filter, PassageVectors, Point, SearchQuery, Vector

WHERE = Filter("a")


def unit_rows(count: int, dimension: int, seed: int = 0) -> Vector:
    rows = np.random.default_rng(seed).normal(size=(count, dimension))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def points(rows: Vector, *, tenant: str = "a", prefix: str = "") -> list[Point]:
    made = []
    for number, row in enumerate(rows):
        key = f"{prefix}{number:0{32 - len(prefix)}x}"
        chunk = Chunk(key, "d", "T", "text", 0, 4, 1, ())
        vectors = PassageVectors(row, np.zeros((0, len(row)), np.float32))
        made.append(Point(tenant, chunk, bm25.document_vector([number % 7, 99], 2.0), vectors))
    return made


def asked(row: Vector, limit: int = 10) -> SearchQuery:
    return SearchQuery(WHERE, bm25.query_vector([3, 99]), row, limit)


def recall(index: EdgeIndex, rows: Vector, queries: Vector, limit: int = 20) -> float:
    shares = []
    for query in queries:
        exact = {f"{n:032x}" for n in np.argsort(-(rows @ query))[:limit]}
        found = {hit.chunk_id for hit in index.search(asked(query, limit)).dense}
        shares.append(len(exact & found) / limit)
    return float(np.mean(shares))


def test_a_shard_made_before_there_were_labels_takes_them(tmp_path: Path) -> None:
    import qdrant_edge as edge

    rows = unit_rows(20, 8)
    with EdgeIndex.create(tmp_path / "i", IndexConfig(8)) as index:
        shard = index._engine._shard
        shard.update(edge.UpdateOperation.delete_field_index("access"))
        index.upsert(points(rows))
        shard.optimize()
    with EdgeIndex.open(tmp_path / "i") as index:
        everybody = replace(asked(rows[3], 20), where=Filter("a", labels=()))
        assert index.search(everybody) == index.search(asked(rows[3], 20))
        hidden = points(rows)[3]
        index.upsert([replace(hidden, chunk=replace(hidden.chunk, access=("hr",)))])
        assert index.count(everybody.where) == 19
        index.commit()
        assert "access" in index._engine._shard.info().payload_schema
        found = index.search(everybody)
        left = {f"{number:032x}" for number in range(20)} - {hidden.chunk.id}
        assert {hit.chunk_id for hit in found.dense} == left
        assert hidden.chunk.id not in {hit.chunk_id for hit in found.sparse}


def test_a_committed_index_answers_the_same_after_reopening(tmp_path: Path) -> None:
    rows = unit_rows(50, 8)
    with EdgeIndex.create(tmp_path / "i", IndexConfig(8, flat_limit=77)) as index:
        index.upsert(points(rows))
        index.commit()
        before = index.search(asked(rows[3]))
    with EdgeIndex.open(tmp_path / "i") as index:
        assert index.config == IndexConfig(8, flat_limit=77)
        assert index.search(asked(rows[3])) == before
        assert index.count(WHERE) == 50
        index.upsert(points(unit_rows(1, 8, seed=1), prefix="f"))
        assert index.count(WHERE) == 51


def test_the_lexical_tier_reopens_without_vectors(tmp_path: Path) -> None:
    EdgeIndex.create(tmp_path / "i", IndexConfig(None)).close()
    with EdgeIndex.open(tmp_path / "i") as index:
        assert index.config.dimension is None
        assert index.search(SearchQuery(WHERE, bm25.query_vector([1]), None, 3)).sparse == ()


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    with (
        EdgeIndex.create(tmp_path / "i", IndexConfig(8)),
        pytest.raises(IndexStateError, match="index is in use"),
    ):
        EdgeIndex.open(tmp_path / "i")
    EdgeIndex.open(tmp_path / "i").close()


def test_a_closed_index_says_so(tmp_path: Path) -> None:
    index = EdgeIndex.create(tmp_path / "i", IndexConfig(8))
    index.close()
    for call in (
        lambda: index.count(WHERE),
        lambda: index.search(asked(unit_rows(1, 8)[0])),
        lambda: index.fetch("a", ["0" * 32]),
        lambda: index.upsert(points(unit_rows(1, 8))),
        lambda: index.delete("a", ["0" * 32]),
        index.commit,
    ):
        with pytest.raises(IndexStateError):
            call()


def test_what_is_no_index_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(IndexStateError, match="no index"):
        EdgeIndex.open(tmp_path / "none")
    (tmp_path / "file").write_text("x")
    with pytest.raises(IndexStateError):
        EdgeIndex.open(tmp_path / "file")
    with pytest.raises(IndexStateError, match="not empty"):
        EdgeIndex.create(tmp_path, IndexConfig(8))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "7",
        "{}",
        '{"format": 1}',
        '{"format": 2}',
        '{"format": 2, "graph": 0, "x": 1}',
    ],
)
def test_a_damaged_description_is_refused(tmp_path: Path, text: str) -> None:
    EdgeIndex.create(tmp_path / "i", IndexConfig(8)).close()
    (tmp_path / "i" / "index.json").write_text(text)
    with pytest.raises(IndexStateError):
        EdgeIndex.open(tmp_path / "i")


def test_a_damaged_shard_is_refused(tmp_path: Path) -> None:
    with EdgeIndex.create(tmp_path / "i", IndexConfig(8)) as index:
        index.upsert(points(unit_rows(20, 8)))
        index.commit()
    (tmp_path / "i" / "shard" / "edge_config.json").write_text("{")
    with pytest.raises(IndexStateError):
        EdgeIndex.open(tmp_path / "i")


def test_another_dimension_than_the_shard_s_is_refused(tmp_path: Path) -> None:
    with EdgeIndex.create(tmp_path / "i", IndexConfig(8)) as index:
        index.upsert(points(unit_rows(20, 8)))
    state = json.loads((tmp_path / "i" / "index.json").read_text())
    (tmp_path / "i" / "index.json").write_text(json.dumps(state | {"dimension": 9}))
    with pytest.raises(IndexStateError):
        EdgeIndex.open(tmp_path / "i")


def test_leftovers_of_a_killed_commit_are_removed(tmp_path: Path) -> None:
    EdgeIndex.create(tmp_path / "i", IndexConfig(8)).close()
    left = tmp_path / "i" / "shard" / "temp_segments" / "x"
    left.mkdir(parents=True)
    EdgeIndex.open(tmp_path / "i").close()
    assert not left.exists()


@pytest.mark.parametrize(("dimension", "flat_limit"), [(0, 1), (-1, 1), (8, -1)])
def test_a_configuration_that_cannot_be_is_refused(dimension: int, flat_limit: int) -> None:
    with pytest.raises(ValueRangeError):
        IndexConfig(dimension, flat_limit)


def test_the_layout_follows_the_count_without_flapping() -> None:
    flat = Layout(IndexConfig(8, flat_limit=100))
    assert not flat.for_count(100).graph
    graph = flat.for_count(101)
    assert graph.graph
    assert graph.for_count(51).graph
    assert not graph.for_count(50).graph
    assert not Layout(IndexConfig(None, flat_limit=0)).for_count(9).graph


def test_the_scan_becomes_a_graph_and_a_scan_again(tmp_path: Path) -> None:
    rows, queries = unit_rows(2_600, 2_048), unit_rows(10, 2_048, seed=1)
    stored = points(rows)
    path = tmp_path / "i"
    with EdgeIndex.create(path, IndexConfig(2_048, flat_limit=2_540)) as index:
        index.upsert(stored[:2_540])
        index.commit()
        assert not index.uses_graph
        assert recall(index, rows[:2_540], queries) > 0.97
        index.upsert(stored[2_540:])
        index.commit()
        assert index.uses_graph
    assert graph_bytes(path) > 2_600 * 16
    with EdgeIndex.open(path) as index:
        assert index.uses_graph
        hit = index.search(asked(rows[7])).dense[0]
        assert (hit.chunk_id, hit.score) == (stored[7].chunk.id, pytest.approx(1, abs=1e-3))
        index.delete("a", [point.chunk.id for point in stored[1_200:]])
        index.commit()
        assert not index.uses_graph
        assert recall(index, rows[:1_200], queries) > 0.97


def graph_bytes(path: Path) -> int:
    return sum(f.stat().st_size for f in path.glob("shard/segments/*/*dense*/links*"))


def test_idf_is_exact_again_once_deleted_chunks_are_rewritten(tmp_path: Path) -> None:
    rows = unit_rows(2_000, 8)
    with EdgeIndex.create(tmp_path / "i", IndexConfig(8)) as index:
        index.upsert(points(rows))
        index.commit()
        index.delete("a", [f"{n:032x}" for n in range(0, 2_000, 2)])
        index.commit()
        held = sum(1 for n in range(1, 2_000, 2) if n % 7 == 3)
        idf = index.search(asked(rows[1])).idf
    assert idf == {
        3: pytest.approx(bm25.idf(1_000, held), rel=1e-4),
        99: pytest.approx(bm25.idf(1_000, 1_000), rel=1e-2),
    }


def test_chunks_without_terms_are_no_part_of_the_corpus(tmp_path: Path) -> None:
    chunk = Chunk("f" * 32, "d", "T", "text", 0, 4, 1, ())
    with EdgeIndex.create(tmp_path / "i", IndexConfig(None)) as index:
        index.upsert(
            [Point("a", chunk, bm25.document_vector([], 1.0), None)]
            + [
                Point(p.tenant, p.chunk, p.sparse, None)
                for p in points(np.zeros((4, 1), np.float32))
            ]
        )
        found = index.search(SearchQuery(WHERE, bm25.query_vector([99, 3]), None, 9))
    assert found.idf == {
        99: pytest.approx(bm25.idf(4, 4), rel=1e-5),
        3: pytest.approx(bm25.idf(4, 1), rel=1e-5),
    }


def test_ids_of_any_form_can_join_later(tmp_path: Path) -> None:
    rows = unit_rows(3, 8)
    with EdgeIndex.create(tmp_path / "i", IndexConfig(8)) as index:
        index.upsert(points(rows))
        plain = {hit.chunk_id for hit in index.search(asked(rows[0])).dense}
        odd = Chunk("chunk one", "d", "T", "text", 0, 4, 1, ())
        vectors = PassageVectors(rows[0], np.zeros((0, 8), np.float32))
        index.upsert([Point("a", odd, bm25.document_vector([99], 2.0), vectors)])
        hits = index.search(asked(rows[0]))
        assert {hit.chunk_id for hit in hits.dense} == plain | {"chunk one"}
        index.delete("a", ["chunk one"])
        assert {hit.chunk_id for hit in index.search(asked(rows[0])).dense} == plain


WRITER = textwrap.dedent(
    """
    import os, sys
    from pathlib import Path
    from rag import bm25
    from rag.adapters.edge_index import EdgeIndex
    from rag.types import Chunk, Point

    index = EdgeIndex.open(Path(sys.argv[1]))
    for start in range(100, 300, 50):
        index.upsert([
            Point("a", Chunk(f"{n:032x}", "d", "T", "text", 0, 4, 1, ()),
                  bm25.document_vector([99], 1.0), None)
            for n in range(start, start + 50)
        ])
    os.kill(os.getpid(), 9)
    """
)


def test_a_killed_writer_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    rows = unit_rows(100, 8)
    with EdgeIndex.create(tmp_path / "i", IndexConfig(8)) as index:
        index.upsert(points(rows))
        index.commit()
    command = [sys.executable, "-c", WRITER, str(tmp_path / "i")]
    root = Path(__file__).parents[2]
    killed = subprocess.run(command, cwd=root, check=False, capture_output=True)
    assert killed.returncode == -9, killed.stderr.decode()
    with EdgeIndex.open(tmp_path / "i") as index:
        assert index.count(WHERE) >= 100
        assert len(index.fetch("a", [f"{n:032x}" for n in range(100)])) == 100
        assert recall(index, rows, rows[:5]) > 0.99
        everything = SearchQuery(WHERE, bm25.query_vector([99]), None, 300)
        assert {f"{n:032x}" for n in range(100)} <= {
            hit.chunk_id for hit in index.search(everything).sparse
        }


def test_a_shard_has_no_log_and_closing_keeps_what_was_written(tmp_path: Path) -> None:
    rows = unit_rows(100, 8)
    with EdgeIndex.create(tmp_path / "i", IndexConfig(8)) as index:
        index.upsert(points(rows))
    assert not (tmp_path / "i" / "shard" / "wal").exists()
    with EdgeIndex.open(tmp_path / "i") as index:
        assert index.count(WHERE) == 100
        assert recall(index, rows, unit_rows(5, 8, seed=1)) > 0.99


def test_an_index_of_an_earlier_format_says_how_to_go_on(tmp_path: Path) -> None:
    EdgeIndex.create(tmp_path / "i", IndexConfig(8)).close()
    state = json.loads((tmp_path / "i" / "index.json").read_text())
    (tmp_path / "i" / "index.json").write_text(json.dumps(state | {"format": 1}))
    with pytest.raises(IndexStateError, match=r"CURRENT file and run rag-ingest sync again"):
        EdgeIndex.open(tmp_path / "i")
