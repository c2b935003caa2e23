"""The vocabulary of frugal-rag: the values that every stage takes and returns.

Scores are higher-is-better everywhere. Spans are half-open character offsets. An unknown
quantity is ``None``, never 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from rag.errors import ValueRangeError

if TYPE_CHECKING:  # without vectors nothing needs it, and its import is a tenth of a start
    import numpy as np
    from numpy.typing import NDArray

Vector: TypeAlias = "NDArray[np.float32]"
BlockKind: TypeAlias = Literal["heading", "paragraph", "list_item", "table_row", "code"]
Basis: TypeAlias = Literal["measured", "estimated"]


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open character range ``[start, end)``."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise ValueRangeError("span", f"[{self.start}, {self.end})", "use 0 <= start <= end")


@dataclass(frozen=True, slots=True)
class Block:
    """One structural piece of a document: where it lies, what it is, what it stands under."""

    start: int
    end: int
    kind: BlockKind
    headings: tuple[str, ...] = ()
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """Plain text of one source with its structure; blocks are in order and do not overlap."""

    id: str
    title: str
    text: str
    blocks: tuple[Block, ...]
    media_type: str
    tags: tuple[str, ...] = ()
    date: str | None = None  # ISO 8601, for range filters
    access: tuple[str, ...] = ()  # who holds one of these labels may read it; empty: everybody


@dataclass(frozen=True, slots=True)
class Chunk:
    """A retrievable piece of a document: ``document.text[start:end] == text``.

    ``sentences`` are spans relative to ``text``, in order. ``tokens`` counts ``text`` in the
    configured tokenizer. ``also_in`` names further documents with the same text, stored once.
    ``headlines`` are the indices of those sentences that are headings inside the chunk. ``access``
    are its document's labels, sorted; whoever holds one of them may read it, all where it has none.
    """

    id: str
    doc_id: str
    title: str
    text: str
    start: int
    end: int
    tokens: int
    sentences: tuple[Span, ...]
    headings: tuple[str, ...] = ()
    page: int | None = None
    tags: tuple[str, ...] = ()
    date: str | None = None
    also_in: tuple[str, ...] = ()
    headlines: tuple[int, ...] = ()
    access: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.end - self.start != len(self.text):
            raise ValueRangeError(
                "chunk span", f"[{self.start}, {self.end})", f"make it {len(self.text)} long"
            )

    def sentence(self, index: int) -> str:
        """Return the text of one sentence."""
        span = self.sentences[index]
        return self.text[span.start : span.end]

    def headline(self, index: int) -> str | None:
        """Return the nearest heading above a sentence inside the chunk, if there is one."""
        above = [i for i in self.headlines if i < index]
        return self.sentence(above[-1]) if above else None


@dataclass(frozen=True, slots=True)
class SparseVector:
    """Term weights by term id; ``indices`` are unique unsigned 32-bit integers."""

    indices: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class PassageVectors:
    """What the embedder makes of one chunk.

    ``passage`` is (dim,) float32 with unit norm; ``sentences`` is (number of sentences, dim)
    float32 with unit rows, each sentence seen in the context of its chunk.
    """

    passage: Vector
    sentences: Vector


@dataclass(frozen=True, slots=True)
class Point:
    """What an index stores for one chunk.

    ``vectors`` is None in the lexical tier, and while a chunk waits to be embedded.
    """

    tenant: str
    chunk: Chunk
    sparse: SparseVector
    vectors: PassageVectors | None


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """What an index gives back: the chunk and its sentence vectors, if it has any."""

    chunk: Chunk
    sentence_vectors: Vector | None


@dataclass(frozen=True, slots=True)
class Filter:
    """What may be looked at. The tenant is always named; an empty tuple means no restriction.

    ``documents``: any of these ids. ``tags``: all of these. ``since``/``until``: inclusive
    ISO 8601 bounds on the document's date; documents without a date fail a bound. ``labels`` are
    those of whoever asks, sorted: of labelled documents only those with one of them are found; None
    sees all. ``rag.access`` says what may stand in ``tenant`` and ``labels``.
    """

    tenant: str
    documents: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    since: str | None = None
    until: str | None = None
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """Both legs of one search; a leg whose vector is None is not run.

    Without ``weigh_terms`` the hits' ``idf`` is empty; reading it costs a small query a term.
    """

    where: Filter
    sparse: SparseVector | None
    dense: Vector | None
    limit: int
    weigh_terms: bool = True


@dataclass(frozen=True, slots=True)
class Hit:
    """One chunk of one leg's ranking."""

    chunk_id: str
    score: float


@dataclass(frozen=True, slots=True)
class SearchHits:
    """Both legs' rankings, best first, and the corpus IDF of the sparse query's terms.

    ``idf`` maps term id to inverse document frequency; a term that no document holds is absent.
    ``unembedded`` are the sparse hits that the dense leg could not find because they have no
    vector yet; it is empty where the dense leg was not run.
    """

    dense: tuple[Hit, ...]
    sparse: tuple[Hit, ...]
    idf: dict[int, float]
    unembedded: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Interval:
    """A quantity known to lie in ``[low, high]``, in the unit its field's name states."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high:
            raise ValueRangeError("interval", f"[{self.low}, {self.high}]", "use 0 <= low <= high")

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.low + other.low, self.high + other.high)

    def __mul__(self, factor: Interval) -> Interval:
        return Interval(self.low * factor.low, self.high * factor.high)
