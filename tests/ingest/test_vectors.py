import logging
import re
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ingest.vectors import VectorStore, cache_key
from rag.adapters.hash_embedder import HashEmbedder
from rag.errors import IndexStateError
from rag.types import Chunk, PassageVectors, Span

DIMENSION = 384
EMBEDDER = HashEmbedder(DIMENSION)
TEXT = "The pump starts.\nThe valve opens at 3 bar.\nStop it."


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vectors.sqlite"


@pytest.fixture
def chunks() -> list[Chunk]:
    return [chunk_of(f"{TEXT}\nRow {i} of many.") for i in range(1200)]


def chunk_of(text: str) -> Chunk:
    """A chunk with one sentence per line; its text is its id."""
    sentences = tuple(Span(m.start(), m.end()) for m in re.finditer(r"[^\n]+", text))
    return Chunk(text, "doc", "Manual", text, 0, len(text), len(text.split()), sentences)


def embedded(chunks: list[Chunk]) -> list[tuple[Chunk, PassageVectors]]:
    return [(chunk, EMBEDDER.embed_passage(chunk)) for chunk in chunks]


def test_what_was_put_is_there_after_reopening_close_to_the_original(
    path: Path, chunks: list[Chunk]
) -> None:
    pairs = embedded(chunks[:50])
    with VectorStore(path) as store:
        store.put_many("hash", pairs)
    with VectorStore(path) as store:
        known = store.get_many("hash", chunks)
    assert set(known) == {chunk.id for chunk in chunks[:50]}
    for chunk, vectors in pairs:
        again = known[chunk.id]
        assert {again.passage.dtype, again.sentences.dtype} == {np.dtype(np.float32)}
        assert again.passage @ vectors.passage > 0.9999
        assert ((again.sentences * vectors.sentences).sum(axis=1) > 0.999).all()


@settings(deadline=None)
@given(
    hnp.arrays(np.float32, (4, 96), elements=st.floats(-1, 1, width=32, allow_subnormal=False)),
    st.integers(0, 3),
)
def test_any_unit_vectors_keep_their_direction_in_storage(
    rows: np.ndarray[tuple[int, int], np.dtype[np.float32]], spike: int
) -> None:
    rows[spike, 0] = 50.0
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
    given_rows = rows[np.linalg.norm(rows, axis=1) > 0.9]
    vectors = PassageVectors(given_rows[0], given_rows)
    chunk = chunk_of(TEXT)
    with TemporaryDirectory() as folder, VectorStore(Path(folder) / "vectors.sqlite") as store:
        store.put_many("hash", [(chunk, vectors)])
        stored = store.get_many("hash", [chunk])[chunk.id]
    assert stored.passage @ vectors.passage > 0.9999
    assert ((stored.sentences * vectors.sentences).sum(axis=1) > 0.999).all()
    assert np.allclose(np.linalg.norm(stored.sentences, axis=1), 1, atol=1e-5)


def test_a_chunk_without_sentences_is_stored(path: Path, chunks: list[Chunk]) -> None:
    bare = replace(chunks[0], sentences=())
    with VectorStore(path) as store:
        store.put_many("hash", embedded([bare]))
        assert store.get_many("hash", [bare])[bare.id].sentences.shape == (0, DIMENSION)


def test_the_key_covers_exactly_what_the_vectors_depend_on(chunks: list[Chunk]) -> None:
    chunk = chunks[0]
    others = [
        replace(chunk, title="Other"),
        replace(chunk, headings=("Section",)),
        replace(chunk, text=chunk.text.replace("pump", "fans")),
        replace(chunk, sentences=chunk.sentences[:-1]),
        replace(chunk, sentences=(Span(0, 10), *chunk.sentences[1:])),
    ]
    keys = {cache_key("hash", other) for other in [chunk, *others]} | {cache_key("new", chunk)}
    assert len(keys) == 7
    moved = replace(chunk, id="x", doc_id="y", start=9, end=9 + len(chunk.text), page=4)
    assert cache_key("hash", moved) == cache_key("hash", chunk)


def test_equal_texts_under_two_ids_share_a_row(path: Path, chunks: list[Chunk]) -> None:
    twin = replace(chunks[0], id="twin", doc_id="elsewhere")
    with VectorStore(path) as store:
        store.put_many("hash", embedded([chunks[0]]))
        assert set(store.get_many("hash", [twin, chunks[0]])) == {"twin", chunks[0].id}
        assert store.get_many("other embedder", [twin]) == {}
        assert store.get_many("hash", []) == {}


def test_more_chunks_than_one_query_takes(path: Path, chunks: list[Chunk]) -> None:
    with VectorStore(path) as store:
        store.put_many("hash", embedded(chunks))
        assert len(store.get_many("hash", chunks)) == len(chunks) == 1200


def test_a_file_that_is_no_database_is_moved_aside(
    path: Path, chunks: list[Chunk], caplog: pytest.LogCaptureFixture
) -> None:
    path.write_bytes(b"not a database at all" * 500)
    with caplog.at_level(logging.WARNING), VectorStore(path) as store:
        assert store.get_many("hash", chunks[:3]) == {}
        store.put_many("hash", embedded(chunks[:3]))
        assert len(store.get_many("hash", chunks[:3])) == 3
    assert "moved to" in caplog.text
    aside = path.with_name("vectors.sqlite.damaged")
    assert aside.read_bytes().startswith(b"not a database")


def test_damage_found_while_reading_starts_the_cache_anew(
    path: Path, chunks: list[Chunk], caplog: pytest.LogCaptureFixture
) -> None:
    with VectorStore(path) as store:
        store.put_many("hash", embedded(chunks[:300]))
    data = bytearray(path.read_bytes())
    data[3 * 16384 :] = b"\xa5" * (len(data) - 3 * 16384)
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING), VectorStore(path) as store:
        known = store.get_many("hash", chunks[:300])
        assert len(known) < 300
        store.put_many("hash", embedded(chunks[:300]))
        assert len(store.get_many("hash", chunks[:300])) == 300
    assert "damaged" in caplog.text


def test_a_row_with_a_flipped_bit_counts_as_unknown(path: Path, chunks: list[Chunk]) -> None:
    with VectorStore(path) as store:
        store.put_many("hash", embedded(chunks[:2]))
    key = cache_key("hash", chunks[0])
    with sqlite3.connect(path) as raw:
        (data,) = raw.execute("SELECT data FROM vectors WHERE key=?", (key,)).fetchone()
        flipped = bytes([data[0] ^ 1]) + data[1:]
        raw.execute("UPDATE vectors SET data=? WHERE key=?", (flipped, key))
    raw.close()
    with VectorStore(path) as store:
        assert set(store.get_many("hash", chunks[:2])) == {chunks[1].id}


def test_the_schema_of_another_version_is_replaced(path: Path, chunks: list[Chunk]) -> None:
    with sqlite3.connect(path) as raw:
        raw.execute("CREATE TABLE vectors (something TEXT)")
        raw.execute("PRAGMA user_version=99")
    raw.close()
    with VectorStore(path) as store:
        store.put_many("hash", embedded(chunks[:1]))
        assert len(store.get_many("hash", chunks[:1])) == 1


def test_a_place_that_cannot_be_opened_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(IndexStateError, match="embedding cache cannot be used"):
        VectorStore(tmp_path / "missing" / "vectors.sqlite")


WRITER = """
import sys
from pathlib import Path
from ingest.vectors import VectorStore
from rag.adapters.hash_embedder import HashEmbedder
from rag.types import Chunk, Span

embedder = HashEmbedder(384)
store = VectorStore(Path(sys.argv[1]))
for batch in range(10_000):
    texts = [f"batch {batch} row {row}" for row in range(20)]
    chunks = [Chunk(t, "d", "Manual", t, 0, len(t), 4, (Span(0, len(t)),)) for t in texts]
    store.put_many("hash", [(c, embedder.embed_passage(c)) for c in chunks])
    print(batch, flush=True)
"""


def test_a_killed_writer_loses_no_batch_that_it_had_stored(path: Path) -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as writer:
        assert writer.stdout is not None
        while int(writer.stdout.readline()) < 30:
            pass
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split()
    last = int(rest[-1]) if rest else 30
    rows = [(batch, row) for batch in range(last + 1) for row in range(20)]
    chunks = [chunk_of(f"batch {batch} row {row}") for batch, row in rows]
    with VectorStore(path) as store:
        known = store.get_many("hash", chunks)
    assert len(known) == len(chunks)
    for chunk in chunks[:: len(chunks) // 20]:
        assert known[chunk.id].passage @ EMBEDDER.embed_passage(chunk).passage > 0.9999
