"""The vectors of the benchmarks: computed once and kept, or random where those cost too much."""

from __future__ import annotations

import numpy as np

from eval.bench.records import CACHE
from eval.vectors import CachedEmbedder, VectorCache
from rag.protocols import Embedder
from rag.types import Chunk, PassageVectors, Vector


def kept_vectors() -> VectorCache:
    """Return the cache of vectors that all benchmarks share."""
    return VectorCache(CACHE / "vectors.sqlite")


def cached(embedder: Embedder) -> CachedEmbedder:
    """Return the embedder behind the vectors that all benchmarks share."""
    return CachedEmbedder(embedder, kept_vectors())


class FilledEmbedder:
    """Cached vectors where there are some, else random unit vectors; an ``Embedder``.

    For measuring time and memory only. ``real`` and ``random`` count the passages of each kind.
    """

    def __init__(self, embedder: CachedEmbedder, dimension: int) -> None:
        self._embedder = embedder
        self._dimension = dimension
        self._draw = np.random.default_rng(0)
        self.real = 0
        self.random = 0

    @property
    def fingerprint(self) -> str:
        """That of the real embedder, so that the service takes the index."""
        return self._embedder.fingerprint

    def embed_question(self, text: str) -> Vector:
        """Return the real vector."""
        return self._embedder.embed_question(text)

    def embed_passage(self, chunk: Chunk) -> PassageVectors:
        """Return the cached vectors, or random ones of the same shape."""
        kept = self._embedder.kept(chunk)
        if kept is not None:
            self.real += 1
            return kept
        self.random += 1
        drawn = self._draw.standard_normal((len(chunk.sentences) + 1, self._dimension))
        rows = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
        return PassageVectors(rows[0].astype(np.float32), rows[1:].astype(np.float32))
