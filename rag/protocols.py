"""The seams: small synchronous protocols, each with a deterministic fake and a contract suite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rag.types import (
    Chunk,
    Filter,
    PassageVectors,
    Point,
    SearchHits,
    SearchQuery,
    Span,
    StoredChunk,
    Vector,
)


class Tokenizer(Protocol):
    """Counts tokens the way the generator will."""

    @property
    def name(self) -> str:
        """Name under which counts are recorded, such as ``cl100k_base``."""

    def count(self, text: str) -> int:
        """Return the number of tokens of ``text``; special-token strings count as plain text."""


class SentenceSplitter(Protocol):
    """Finds sentence boundaries."""

    def split(self, text: str) -> tuple[Span, ...]:
        """Return ordered, disjoint, non-blank spans that cover every non-space character."""


class Analyzer(Protocol):
    """Turns text into index terms for the lexical leg."""

    def terms(self, text: str) -> list[int]:
        """Return term ids (unsigned 32 bits) in text order, stop words removed, repeats kept."""


class Embedder(Protocol):
    """Maps text to unit vectors; a vector never depends on the texts embedded beside it."""

    @property
    def fingerprint(self) -> str:
        """Identity of model, pooling and limits: cached vectors are valid for equal ones."""

    def embed_passage(self, chunk: Chunk) -> PassageVectors:
        """Return the vectors of a chunk and of its sentences."""

    def embed_question(self, text: str) -> Vector:
        """Return the (dim,) float32 unit vector of a question."""


class Reranker(Protocol):
    """Judges passages by reading each together with the question."""

    def rerank(self, question: str, chunks: Sequence[Chunk]) -> tuple[float, ...]:
        """Return how well each chunk answers the question: more is better, on any scale."""


class GroundednessScorer(Protocol):
    """Judges statements by the evidence that was packed for them."""

    def score(self, statements: Sequence[str], evidence: Sequence[str]) -> tuple[float, ...]:
        """Return for each statement the probability that the evidence supports it, in [0, 1]."""


class EnergyCounter(Protocol):
    """A counter of energy in the machine; it never raises, and warns once when it cannot be read.

    A read may be dear and is made by one sampler, not by each request.
    """

    @property
    def name(self) -> str:
        """What is counted, such as ``rapl``."""

    def read(self) -> float | None:
        """Return the energy since the counter was opened [J], never less than before.

        None where it cannot be read, or where what passed since the last read is not known (a
        reset, or perhaps more than one wrap-around); the next reading then goes on from there.
        """


class IndexReader(Protocol):
    """The read side of an index over chunks."""

    def search(self, query: SearchQuery) -> SearchHits:
        """Return both legs' best ``query.limit`` chunks within ``query.where``."""

    def fetch(self, tenant: str, chunk_ids: Sequence[str]) -> tuple[StoredChunk, ...]:
        """Return the chunks of one tenant in the order asked for; unknown ids are left out."""

    def count(self, where: Filter) -> int:
        """Return the exact number of chunks within ``where``."""


class IndexWriter(Protocol):
    """The write side of an index over chunks."""

    def upsert(self, points: Sequence[Point]) -> None:
        """Store points by ``chunk.id``, replacing what had the same id."""

    def delete(self, tenant: str, chunk_ids: Sequence[str]) -> None:
        """Remove chunks of one tenant by id; unknown ids are ignored."""

    def commit(self) -> None:
        """Make all writes durable and searchable at full speed."""
