from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag.adapters import minilm
from rag.adapters.minilm import DIMENSION, MiniLmEmbedder
from rag.errors import AssetError
from rag.terms import embedded_prefix
from rag.types import Chunk, Span, Vector

MakeChunk = Callable[..., Chunk]
quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
texts = st.text(st.characters(), min_size=1, max_size=60)


@pytest.fixture(scope="session")
def embedder() -> MiniLmEmbedder:
    return MiniLmEmbedder()


def assert_unit(vectors: Vector, shape: tuple[int, ...]) -> None:
    assert vectors.dtype == np.float32
    assert vectors.shape == shape
    assert np.linalg.norm(vectors, axis=-1) == pytest.approx(1.0, abs=1e-5)


@quick
@given(sentences=st.lists(texts, min_size=1, max_size=3), title=st.text(max_size=30))
def test_vectors_are_unit_rows_one_for_each_sentence(
    embedder: MiniLmEmbedder, make_chunk: MakeChunk, sentences: list[str], title: str
) -> None:
    vectors = embedder.embed_passage(make_chunk(sentences, title=title))
    assert_unit(vectors.passage, (DIMENSION,))
    assert_unit(vectors.sentences, (len(sentences), DIMENSION))


@quick
@given(text=st.text(st.characters(), max_size=200))
def test_any_question_has_a_unit_vector(embedder: MiniLmEmbedder, text: str) -> None:
    assert_unit(embedder.embed_question(text), (DIMENSION,))


def test_a_vector_does_not_depend_on_what_was_embedded_before(
    embedder: MiniLmEmbedder, make_chunk: MakeChunk
) -> None:
    chunks = [
        make_chunk(["Logs are kept for 30 days.", "Then they are deleted."], title="Retention"),
        make_chunk(["Word " * 400 + "end."]),
        make_chunk(["Soup."]),
    ]
    first = [embedder.embed_passage(chunk) for chunk in chunks]
    again = [embedder.embed_passage(chunk) for chunk in reversed(chunks)][::-1]
    alone = MiniLmEmbedder().embed_passage(chunks[0])
    for a, b in [*zip(first, again, strict=True), (first[0], alone)]:
        assert np.array_equal(a.passage, b.passage)
        assert np.array_equal(a.sentences, b.sentences)


def test_a_passage_alone_and_a_question_of_the_same_words_are_the_same(
    embedder: MiniLmEmbedder, make_chunk: MakeChunk
) -> None:
    passage = embedder.embed_passage(make_chunk(["Logs are kept for 30 days."])).passage
    question = embedder.embed_question("Logs are kept for 30 days.")
    assert np.allclose(passage, question, atol=1e-6)


def test_similar_meanings_are_closer_than_shared_words(
    embedder: MiniLmEmbedder, make_chunk: MakeChunk
) -> None:
    sentences = [
        "Employees may take twenty-five days of paid leave each year.",
        "The server listens on port 8080.",
        "Milk is delivered to the kitchen on Mondays.",
    ]
    vectors = embedder.embed_passage(make_chunk(sentences)).sentences
    for best, question in enumerate(
        (
            "How much vacation do staff members get?",
            "Which network address does the service use?",
            "When do dairy products arrive?",
        )
    ):
        assert np.argmax(vectors @ embedder.embed_question(question)) == best


def test_a_sentence_is_seen_in_its_context(embedder: MiniLmEmbedder, make_chunk: MakeChunk) -> None:
    question = embedder.embed_question("How long is the parental leave in Malta?")
    sentences = ["It lasts sixteen weeks."]
    placed = embedder.embed_passage(make_chunk(sentences, title="Parental leave in Malta"))
    bare = embedder.embed_passage(make_chunk(sentences))
    assert placed.sentences[0] @ question > bare.sentences[0] @ question + 0.1


def test_a_sentence_without_tokens_takes_the_vector_of_the_passage(
    embedder: MiniLmEmbedder, make_chunk: MakeChunk
) -> None:
    vectors = embedder.embed_passage(make_chunk(["Logs are kept.", "\x00\x01"]))
    assert np.array_equal(vectors.sentences[1], vectors.passage)
    assert not np.array_equal(vectors.sentences[0], vectors.passage)


def test_long_passages_are_read_to_their_end_in_windows(
    embedder: MiniLmEmbedder, make_chunk: MakeChunk
) -> None:
    filler = [f"Paragraph {n} speaks of the weather in the mountains." for n in range(60)]
    last = "Invoices are archived for ten years."
    vectors = embedder.embed_passage(make_chunk([*filler, last]))
    assert_unit(vectors.sentences, (61, DIMENSION))
    question = embedder.embed_question("How long are invoices archived?")
    assert np.argmax(vectors.sentences @ question) == 60
    assert vectors.sentences[60] @ question > 0.6


def test_windows_are_cut_at_sentences_and_cover_the_text(
    embedder: MiniLmEmbedder, make_chunk: MakeChunk
) -> None:
    chunk = make_chunk(
        [f"Paragraph {n} speaks of the weather." for n in range(80)], title="Weather"
    )
    windows = embedder._windows(embedded_prefix(chunk), chunk)
    assert "".join(chunk.text[w.start : w.end] for w in windows) == chunk.text
    assert len(windows) >= 3
    assert {w.start for w in windows} <= {s.start for s in chunk.sentences}
    for window in windows:
        text = embedded_prefix(chunk) + chunk.text[window.start : window.end]
        assert len(embedder._tokenizer.encode(text).ids) <= 256


@pytest.mark.parametrize("sentence", ["x" * 3000, "!" * 700, "a b " * 400, "中文" * 300])
def test_a_sentence_longer_than_the_model_reads_is_cut(
    embedder: MiniLmEmbedder, make_chunk: MakeChunk, sentence: str
) -> None:
    assert_unit(embedder.embed_passage(make_chunk([sentence])).sentences, (1, DIMENSION))


@pytest.mark.parametrize("title", ["한국 " * 100, "中" * 200, "中" * 150])
def test_a_long_title_leaves_room_for_the_text(
    embedder: MiniLmEmbedder, make_chunk: MakeChunk, title: str
) -> None:
    chunk = make_chunk(["Logs are kept.", "Invoices are kept for years. " * 40], title=title)
    prefix = embedder._prefix(chunk)
    assert embedded_prefix(chunk).startswith(prefix[:-2])
    assert len(embedder._offsets(prefix)) <= 130
    assert_unit(embedder.embed_passage(chunk).sentences, (2, DIMENSION))


def test_text_that_utf8_cannot_hold_is_embedded(
    embedder: MiniLmEmbedder, make_chunk: MakeChunk
) -> None:
    assert_unit(embedder.embed_question("logs \ud800"), (DIMENSION,))
    chunk = make_chunk(["Logs \udcff are kept.", "Soup."])
    assert_unit(embedder.embed_passage(chunk).sentences, (2, DIMENSION))


def test_a_chunk_without_sentences_still_has_a_vector(embedder: MiniLmEmbedder) -> None:
    vectors = embedder.embed_passage(Chunk("c", "d", "", "Logs.", 0, 5, 1, ()))
    assert_unit(vectors.passage, (DIMENSION,))
    assert vectors.sentences.shape == (0, DIMENSION)


def test_spans_count_from_the_start_of_the_chunk(
    embedder: MiniLmEmbedder, make_chunk: MakeChunk
) -> None:
    here = make_chunk(["Logs are kept.", "Soup is free."])
    there = make_chunk(["Logs are kept.", "Soup is free."], start=5000)
    assert here.sentences == (Span(0, 14), Span(15, 28)) == there.sentences
    assert np.array_equal(
        embedder.embed_passage(here).sentences, embedder.embed_passage(there).sentences
    )


def test_the_fingerprint_names_the_model(embedder: MiniLmEmbedder) -> None:
    assert embedder.fingerprint == minilm.FINGERPRINT
    assert minilm._MODEL_SHA256[:8] in embedder.fingerprint


@pytest.mark.parametrize("name", ["_MODEL_SHA256", "_TOKENIZER_SHA256"])
def test_another_model_than_the_pinned_one_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(minilm, name, "0" * 64)
    with pytest.raises(AssetError, match="missing or altered"):
        MiniLmEmbedder()


def test_an_altered_or_missing_tokenizer_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    altered = tmp_path / "tokenizer.json"
    monkeypatch.setattr(minilm, "_TOKENIZER", altered)
    with pytest.raises(AssetError, match=r"altered: .*tokenizer\.json\. Install it again"):
        MiniLmEmbedder()
    altered.write_bytes((minilm._ASSETS / "tokenizer.json").read_bytes() + b" ")
    with pytest.raises(AssetError, match="altered"):
        MiniLmEmbedder()
