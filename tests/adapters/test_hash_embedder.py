import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.adapters.hash_embedder import HashEmbedder
from rag.errors import ValueRangeError
from rag.types import Chunk, Span

EMBEDDER = HashEmbedder(64)


def chunk_of(*sentences: str, title: str = "") -> Chunk:
    spans = []
    at = 0
    for sentence in sentences:
        spans.append(Span(at, at + len(sentence)))
        at += len(sentence) + 1
    text = " ".join(sentences)
    return Chunk("c", "d", title, text, 0, len(text), 1, tuple(spans))


@given(st.lists(st.text(max_size=30), max_size=5), st.text(max_size=10))
def test_all_rows_are_unit_vectors_and_the_same_every_time(
    sentences: list[str], title: str
) -> None:
    chunk = chunk_of(*sentences, title=title)
    vectors = EMBEDDER.embed_passage(chunk)
    assert vectors.passage.shape == (64,)
    assert vectors.sentences.shape == (len(sentences), 64)
    assert vectors.passage.dtype == vectors.sentences.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors.passage), 1, atol=1e-5)
    assert np.allclose(np.linalg.norm(vectors.sentences, axis=1), 1, atol=1e-5)
    again = pickle.loads(pickle.dumps(EMBEDDER)).embed_passage(chunk)  # noqa: S301 -- own bytes
    assert np.array_equal(again.sentences, vectors.sentences)


def test_a_question_is_closest_to_the_sentence_that_shares_its_words() -> None:
    vectors = EMBEDDER.embed_passage(
        chunk_of("The pump stands still.", "Invoices are paid in March.", "Call the office.")
    )
    scores = vectors.sentences @ EMBEDDER.embed_question("when are invoices paid")
    assert scores.argmax() == 1


def test_the_title_is_part_of_the_passage_only_through_context() -> None:
    bare = EMBEDDER.embed_passage(chunk_of("Call the office."))
    titled = EMBEDDER.embed_passage(chunk_of("Call the office.", title="Pumps"))
    assert bare.passage @ titled.passage < 0.999
    assert bare.sentences[0] @ titled.sentences[0] > 0.9


def test_the_fingerprint_tells_dimensions_apart() -> None:
    assert HashEmbedder(32).fingerprint != HashEmbedder(64).fingerprint == EMBEDDER.fingerprint


@pytest.mark.parametrize("dimension", [1, 0, -3, 5000])
def test_a_dimension_outside_its_bounds_is_refused(dimension: int) -> None:
    with pytest.raises(ValueRangeError):
        HashEmbedder(dimension)
