"""A reranker by a cross-encoder that the user has."""

from __future__ import annotations

from collections.abc import Sequence

from rag.adapters.fastembed_models import cross_encoder
from rag.adapters.tokenizers import encodable
from rag.terms import indexed_text
from rag.types import Chunk


class CrossEncoderReranker:
    """Scores chunks, with their titles and headings, by a cross-encoder.

    Args:
        model: A name that fastembed lists, or the path of a folder.
        threads: Threads of one forward pass.

    Raises:
        AssetError: It is neither, or cannot be loaded or downloaded.
    """

    def __init__(self, model: str, threads: int = 1) -> None:
        self._model = cross_encoder(model, threads)

    def rerank(self, question: str, chunks: Sequence[Chunk]) -> tuple[float, ...]:
        """Return the model's score of each chunk: any real number, more is better."""
        texts = [encodable(indexed_text(chunk)) for chunk in chunks]
        # One by one: without padding a score does not depend on what is scored beside it.
        scores = self._model.rerank(encodable(question), texts, batch_size=1)
        return tuple(float(score) for score in scores)
