"""A reranker by late interaction: MiniLM's token vectors, made on demand.

Each token of the question looks for its nearest one in the passage, in context:
``mean_i max_j cos(q_i, p_j)``. Weights by IDF gain more on SQuAD and lose on NQ.

Source: Khattab and Zaharia 2020, "ColBERT" (arXiv 2004.12832), equation 3; there with vectors
trained for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag.terms import embedded_prefix
from rag.types import Chunk, Vector


class TokenEncoder(Protocol):
    """Token vectors of a text; see ``MiniLmEmbedder.token_vectors``."""

    def token_vectors(self, text: str) -> tuple[Vector, NDArray[np.int64]]:
        """Return (n, dim) and the tokens' places in the text (n, 2), special tokens included."""


class MaxSimReranker:
    """Scores chunks by how near their tokens come to the question's."""

    def __init__(self, encoder: TokenEncoder) -> None:
        self._encoder = encoder

    def rerank(self, question: str, chunks: Sequence[Chunk]) -> tuple[float, ...]:
        """Return the mean similarity of each chunk to the question's tokens, in [-1, 1]."""
        asked = self._tokens(question)
        return tuple(self._score(asked, chunk) for chunk in chunks)

    def _score(self, asked: Vector, chunk: Chunk) -> float:
        told = self._tokens(embedded_prefix(chunk) + chunk.text)
        if not len(told) or not len(asked):
            return 0.0
        return float((asked @ told.T).max(axis=1).mean())

    def _tokens(self, text: str) -> Vector:
        """Return unit token vectors, without the special tokens at the ends."""
        inner = self._encoder.token_vectors(text)[0][1:-1]
        norms = np.linalg.norm(inner, axis=1, keepdims=True)
        return np.asarray(inner / np.maximum(norms, 1e-12), dtype=np.float32)
