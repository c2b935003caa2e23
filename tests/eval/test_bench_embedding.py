"""The embedding bench: what it measures of a form, on two chunks."""

from __future__ import annotations

import numpy as np
import pytest

from eval.bench import arithmetic, embedding
from eval.bench.corpora import Corpus
from eval.bench.embedding import Form, Sample, cost, likenesses
from eval.datasets import Case
from rag.adapters.hash_embedder import HashEmbedder
from rag.adapters.minilm import MiniLmEmbedder
from rag.types import Block, Chunk, Document, Span, Vector


def chunk_of(text: str) -> Chunk:
    return Chunk(text[:3], "d", "", text, 0, len(text), 9, (Span(0, len(text)),))


SAMPLE = Sample(
    (chunk_of("The Vasa sank in 1628."), chunk_of("Logs are kept for 30 days.")),
    ("When did the Vasa sink?", "How long are logs kept?"),
)


def test_a_form_has_its_costs_and_its_vectors_are_its_texts_alone() -> None:
    measured = cost(Form("integer", 1, integer=True), SAMPLE)
    assert measured.independent
    assert min(measured.passage_ms, measured.question_ms, measured.load_seconds) > 0


def test_vectors_that_depend_on_the_order_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    class Drifting(HashEmbedder):
        calls = 0

        def embed_question(self, text: str) -> Vector:
            self.calls += 1
            return np.roll(super().embed_question(text), self.calls)

    monkeypatch.setattr(embedding, "MiniLmEmbedder", lambda *_, **__: Drifting())
    assert not cost(embedding.FORMS[0], SAMPLE).independent


def test_likeness_is_the_cosine_to_the_first() -> None:
    real, whole = likenesses([MiniLmEmbedder(integer=False), MiniLmEmbedder(integer=True)], SAMPLE)
    assert real.lowest == pytest.approx(1.0, abs=1e-5)
    assert 0.99 < whole.lowest <= whole.mean < 0.99999


def test_recall_is_compared_question_by_question() -> None:
    texts = {"vasa": "The Vasa sank in 1628.", "logs": "Logs are kept for 30 days."}
    documents = tuple(
        Document(name, "", text, (Block(0, len(text), "paragraph"),), "text/plain")
        for name, text in texts.items()
    )
    cases = (
        Case("1", "When did the Vasa sink?", ("1628",), (("vasa", 1),), answerable=True, meta={}),
        Case("2", "How long are logs kept?", ("a year",), (("logs", 1),), answerable=True, meta={}),
    )
    corpus = Corpus("two", documents, cases, "", "")
    found = arithmetic.compared(corpus, HashEmbedder(), HashEmbedder())
    assert [one.budget_tokens for one in found] == [64, 128, 256]
    for one in found:
        assert (one.real, one.integer, one.difference.mean) == (0.5, 0.5, 0.0)
        assert one.difference.n == 2
    assert "| two | 64 | 0.500 | 0.500 | +0.000 |" in arithmetic.comparisons_table(found)
