"""Whole chunks ranked three ways: by MiniLM, by rank-bm25, and by both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from eval.bench.wholes import Ranked, ranked
from rag.fuse import fuse
from rag.protocols import Analyzer, Embedder, Tokenizer
from rag.types import Chunk, Hit, Vector

Ranking: TypeAlias = Literal["MiniLM", "BM25", "hybrid"]
RANKINGS: tuple[Ranking, ...] = get_args(Ranking)
_CANDIDATES = 50  # of each leg
_DENSE_WEIGHT = 0.5


@dataclass(frozen=True, slots=True)
class RankedCuts:
    """Chunks with the means to rank them; ``vectors`` is (chunks, dim) with unit rows."""

    lexical: Ranked
    vectors: Vector
    embedder: Embedder

    @classmethod
    def over(
        cls, chunks: Sequence[Chunk], embedder: Embedder, analyzer: Analyzer, tokenizer: Tokenizer
    ) -> Self:
        """Return the chunks made ready; each is embedded as the embedder reads plain text."""
        vectors = np.vstack([embedder.embed_question(chunk.text) for chunk in chunks])
        return cls(ranked(chunks, analyzer, tokenizer), vectors, embedder)

    def best(self, question: str, ranking: Ranking, doc_id: str | None) -> list[Chunk]:
        """Return the best chunks, best first, of one document if its id is given."""
        chunks = self.lexical.chunks
        allowed = np.array([doc_id in {None, chunk.doc_id} for chunk in chunks])
        dense = _top(self.vectors @ self.embedder.embed_question(question), allowed)
        terms = self.lexical.analyzer.terms(question)
        sparse = _top(np.asarray(self.lexical.bm25.get_scores(terms)), allowed)
        weight = {"MiniLM": 1.0, "BM25": 0.0, "hybrid": _DENSE_WEIGHT}[ranking]
        hits = fuse(dense if weight > 0 else (), sparse if weight < 1 else (), weight)
        return [chunks[int(hit.chunk_id)] for hit in hits]


def _top(scores: NDArray[np.floating], allowed: NDArray[np.bool_]) -> list[Hit]:
    """Return the best candidates by their places, written so that ties keep their order."""
    order = (-np.where(allowed, scores, -np.inf)).argsort(kind="stable")[:_CANDIDATES]
    return [Hit(f"{place:07d}", float(scores[place])) for place in order if allowed[place]]
