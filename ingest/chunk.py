"""Documents to chunks: exact spans of the text, never over the token limit, cut at structure first.

Small neighbouring sections of one parent are joined; a section over the limit is cut into
near-equal parts, at block boundaries rather than between sentences (`ingest.partition`). Token
counts do not add up exactly, so sums only guide the cuts: every chunk is counted as a whole, and
cut again if it is over the limit.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from ingest.sections import SectionCutter, common_headings
from ingest.segments import CountedText
from ingest.units import Unit, UnitMaker, packed
from rag.errors import ValueRangeError
from rag.protocols import SentenceSplitter, Tokenizer
from rag.types import Chunk, Document, Span

_SMALLEST_LIMIT = 16  # room for a heading and the tokens of any one character


@dataclass(frozen=True, slots=True)
class Chunker:
    """What documents are cut with.

    Raises:
        ValueRangeError: ``limit_tokens`` is below 16.
    """

    tokenizer: Tokenizer
    splitter: SentenceSplitter
    limit_tokens: int

    def __post_init__(self) -> None:
        if self.limit_tokens < _SMALLEST_LIMIT:
            raise ValueRangeError("chunk limit [tokens]", self.limit_tokens, "use 16 or more")


@dataclass(frozen=True, slots=True)
class _Piece:
    """A chunk to be: what differs between the chunks of one document."""

    sentences: tuple[Span, ...]
    tokens: int
    headings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Places:
    """Where a document's blocks start, and its headings among them."""

    starts: list[int]
    headings: set[int]


def chunk_document(document: Document, chunker: Chunker) -> tuple[Chunk, ...]:
    """Return the document's chunks in order; ``()`` for a blank document.

    Chunks do not overlap, hold every character that is not white space exactly once, and none has
    more than ``chunker.limit_tokens`` tokens. Sections joined into one chunk give it the headings
    they have in common; a chunk over several pages names the first. A heading is never a chunk by
    itself where text follows, unless it takes more than half the limit. Equal documents give equal
    chunks with equal ids.

    Raises:
        ValueRangeError: A single character has more tokens than the limit.
    """
    places = _Places(
        starts=[block.start for block in document.blocks],
        headings={block.start for block in document.blocks if block.kind == "heading"},
    )
    return tuple(_chunk(document, piece, places) for piece in _pieces(document, chunker))


def chunk_id(doc_id: str, start: int, end: int, text: str) -> str:
    """Return 32 hexadecimal digits that differ where document, place or text differ."""
    unambiguous = f"{len(doc_id)}:{doc_id}{start}:{end}:{text}"
    return hashlib.sha256(unambiguous.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _pieces(document: Document, chunker: Chunker) -> Iterator[_Piece]:
    limit = chunker.limit_tokens
    counted = CountedText(document.text, chunker.tokenizer)
    maker = UnitMaker(counted, limit)
    for group in SectionCutter(counted, chunker.splitter, limit).groups(document):
        headings = common_headings(group)
        tokens = group[0].tokens
        if len(group) == 1 and tokens is not None and tokens <= limit:
            yield _Piece(group[0].sentences, tokens, headings)
            continue
        units: list[Unit] = [unit for section in group for unit in maker.units(section)]
        for unit in packed(units, counted, limit):
            yield _Piece(unit.sentences, unit.tokens, headings)


def _chunk(document: Document, piece: _Piece, places: _Places) -> Chunk:
    start, end = piece.sentences[0].start, piece.sentences[-1].end
    text = document.text[start:end]
    block = bisect_right(places.starts, start) - 1
    return Chunk(
        id=chunk_id(document.id, start, end, text),
        doc_id=document.id,
        title=document.title,
        text=text,
        start=start,
        end=end,
        tokens=piece.tokens,
        sentences=tuple(Span(s.start - start, s.end - start) for s in piece.sentences),
        headings=piece.headings,
        page=document.blocks[block].page if block >= 0 else None,
        tags=document.tags,
        date=document.date,
        headlines=tuple(i for i, s in enumerate(piece.sentences) if s.start in places.headings),
        access=document.access,
    )
