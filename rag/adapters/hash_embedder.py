"""The shipped fake of the embedder seam: deterministic vectors from hashed words, no model."""

from __future__ import annotations

import hashlib
import re

import numpy as np

from rag.errors import ValueRangeError
from rag.terms import embedded_prefix
from rag.types import Chunk, PassageVectors, Vector

_WORD = re.compile(r"\w+")
_CONTEXT_WEIGHT = 0.25


class HashEmbedder:
    """Maps each word to a pseudo-random direction; texts that share words are close.

    Picklable and quick to build, so that it also stands in for a model in worker processes.
    """

    def __init__(self, dimension: int = 64) -> None:
        if not 2 <= dimension <= 4096:
            raise ValueRangeError("embedding dimension", dimension, "use 2 to 4096")
        self._dimension = dimension

    @property
    def fingerprint(self) -> str:
        """Identity of the hashing: depends on the dimension only."""
        return f"hashed-words/shake128/{self._dimension}"

    def embed_passage(self, chunk: Chunk) -> PassageVectors:
        """Return (dim,) for the chunk with its title and (number of sentences, dim).

        A sentence's vector leans towards its passage's, as it does in a contextual model.
        """
        passage = self._vector(embedded_prefix(chunk) + chunk.text)
        rows = [self._vector(chunk.text[s.start : s.end]) for s in chunk.sentences]
        sentences = np.array(rows, dtype=np.float32).reshape(len(rows), self._dimension)
        return PassageVectors(passage, _unit(sentences + _CONTEXT_WEIGHT * passage))

    def embed_question(self, text: str) -> Vector:
        """Return the (dim,) unit vector of a question."""
        return self._vector(text)

    def _vector(self, text: str) -> Vector:
        words = _WORD.findall(text.lower()) or [text]
        return _unit(np.sum([self._direction(word) for word in words], axis=0, dtype=np.float32))

    def _direction(self, word: str) -> Vector:
        digest = hashlib.shake_128(word.encode("utf-8", "surrogatepass")).digest(self._dimension)
        # Half a step off zero, so that no direction can be the null vector.
        return np.frombuffer(digest, dtype=np.int8).astype(np.float32) + 0.5


def _unit(vectors: Vector) -> Vector:
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-12), dtype=np.float32)
