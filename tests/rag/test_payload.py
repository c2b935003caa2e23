"""Chunks to payloads and back, and the ids of points."""

import json
import uuid

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag import payload
from rag.errors import ValueRangeError
from rag.types import Chunk, PassageVectors, Point, Span, SparseVector

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
HEX_ID = st.integers(0, 2**128 - 1).map(lambda number: f"{number:032x}")


@st.composite
def chunks(draw: st.DrawFn) -> Chunk:
    text, start = draw(TEXT), draw(st.integers(0, 10**9))
    edges = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8)))
    return Chunk(
        id=draw(HEX_ID | TEXT),
        doc_id=draw(TEXT),
        title=draw(TEXT),
        text=text,
        start=start,
        end=start + len(text),
        tokens=draw(st.integers(0, 10**6)),
        sentences=tuple(map(Span, edges[::2], edges[1::2])),
        headings=tuple(draw(st.lists(TEXT, max_size=3))),
        page=draw(st.none() | st.integers(0, 10**4)),
        tags=tuple(draw(st.lists(TEXT, max_size=3))),
        date=draw(st.none() | st.just("2024-05-31") | TEXT),
        also_in=tuple(draw(st.lists(TEXT, max_size=3))),
        headlines=tuple(draw(st.lists(st.integers(0, 9), max_size=3))),
    )


@given(chunk=chunks(), dimension=st.integers(1, 40), seed=st.integers(0, 2**31))
def test_a_point_survives_json(chunk: Chunk, dimension: int, seed: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(len(chunk.sentences), dimension))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    vectors = PassageVectors(np.zeros(dimension, np.float32), rows)
    stored = payload.to_payload(Point("a", chunk, SparseVector((), ()), vectors))
    found = payload.from_payload(json.loads(json.dumps(stored)))
    assert found.chunk == chunk
    assert found.sentence_vectors is not None
    assert found.sentence_vectors.shape == rows.shape
    assert found.sentence_vectors.dtype == np.float32
    cosines = np.einsum("ij,ij->i", found.sentence_vectors, rows)
    assert (cosines > 1 - 1e-2).all()
    assert np.linalg.norm(found.sentence_vectors, axis=1) == pytest.approx(1, abs=1e-5)


@given(dimension=st.integers(1, 400), seed=st.integers(0, 2**31), size=st.integers(0, 4))
def test_a_component_of_a_sentence_vector_takes_one_byte_of_json(
    dimension: int, seed: int, size: int
) -> None:
    rows = np.random.default_rng(seed).normal(size=(size, dimension)).astype(np.float32)
    spans = tuple(Span(n, n + 1) for n in range(size))
    chunk = Chunk("c", "d", "T", "text", 0, 4, 1, spans)
    vectors = PassageVectors(np.zeros(dimension, np.float32), rows)
    stored = payload.to_payload(Point("a", chunk, SparseVector((), ()), vectors))["vectors"]
    assert len(json.dumps(stored).encode()) == rows.size + 2


@given(components=st.lists(st.integers(-46, 46), min_size=1, max_size=93))
def test_steps_of_the_largest_component_are_stored_exactly(components: list[int]) -> None:
    row = np.array([[46, *components]], dtype=np.float32)
    row /= np.linalg.norm(row)
    chunk = Chunk("c", "d", "T", "text", 0, 4, 1, (Span(0, 4),))
    vectors = PassageVectors(np.zeros(row.size, np.float32), row)
    stored = payload.to_payload(Point("a", chunk, SparseVector((), ()), vectors))
    found = payload.from_payload(stored).sentence_vectors
    assert found is not None
    assert np.abs(found - row).max() < 1e-6


@given(chunk=chunks())
def test_a_lexical_point_has_no_vectors(chunk: Chunk) -> None:
    stored = payload.to_payload(Point("a", chunk, SparseVector((), ()), None))
    assert payload.from_payload(stored).sentence_vectors is None
    assert None not in stored.values()


@given(tenant=TEXT, chunk_id=HEX_ID)
def test_a_hexadecimal_id_can_be_read_off_the_point(tenant: str, chunk_id: str) -> None:
    point = payload.point_id(tenant, chunk_id)
    assert not payload.is_opaque(chunk_id)
    assert payload.chunk_id_of(point, payload.tenant_mask(tenant)) == chunk_id


@given(st.lists(st.tuples(TEXT, TEXT | HEX_ID), unique=True, max_size=20))
def test_different_chunks_have_different_points(pairs: list[tuple[str, str]]) -> None:
    assert len({payload.point_id(*pair) for pair in pairs}) == len(pairs)


def test_point_ids_never_change() -> None:
    # A change here orphans every stored point.
    assert payload.point_id("a", "0" * 32) == uuid.UUID("27c35e6e-9373-877f-29e5-62464e46497e")
    assert payload.point_id("a", "chunk 1") == uuid.UUID("ccfae062-78dd-efe4-793b-32237a922967")


@pytest.mark.parametrize("chunk_id", ["A" * 32, "0" * 31, "0" * 33, "g" * 32, "0" * 32 + "\n", ""])
def test_other_ids_are_opaque(chunk_id: str) -> None:
    assert payload.is_opaque(chunk_id)


def test_a_dense_query_of_two_dimensions_is_refused() -> None:
    with pytest.raises(ValueRangeError, match="shape"):
        payload.check_dense(np.zeros((1, 4), np.float32), 4)
