"""Passages cut the usual ways, without overlap: at a token count, and at ever finer separators."""

from __future__ import annotations

from collections.abc import Iterator

from ingest.chunk import chunk_id
from rag.errors import ValueRangeError
from rag.protocols import Tokenizer
from rag.types import Chunk, Document, Span

# Source: Smith and Troynikov 2024, "Evaluating Chunking Strategies for Retrieval" (Chroma), the
# separators of their RecursiveTokenChunker.
_SEPARATORS = ("\n\n", "\n", ".", "?", "!", " ")


def fixed(text: str, size: int, tokenizer: Tokenizer) -> Iterator[Span]:
    """Yield spans that join up to the whole text, each the longest of at most ``size`` tokens.

    Raises:
        ValueRangeError: A single character has more tokens.
    """
    start = 0
    while start < len(text):
        end = _longest(text, start, size, tokenizer)
        yield Span(start, end)
        start = end


def recursive(text: str, size: int, tokenizer: Tokenizer) -> Iterator[Span]:
    """Yield spans that join up to the whole text, each of at most ``size`` tokens.

    What is too long is cut behind the first separator that it holds, and what is cut is joined
    again while it fits; a piece without any separator is cut as by ``fixed``.
    """
    yield from _recursive(text, Span(0, len(text)), size, tokenizer)


def passages(document: Document, spans: Iterator[Span], tokenizer: Tokenizer) -> list[Chunk]:
    """Return spans of a document as chunks of one sentence each, without blank ones."""
    return [
        _chunk(document, span, tokenizer)
        for span in spans
        if document.text[span.start : span.end].strip()
    ]


def _longest(text: str, start: int, size: int, tokenizer: Tokenizer) -> int:
    """Return the end of the longest piece that fits, by bisection between characters."""
    # No token is longer than this in practice, so most texts need no wider look.
    low, high = start, min(len(text), start + 16 * size)
    while low < high:
        middle = (low + high + 1) // 2
        if tokenizer.count(text[start:middle]) <= size:
            low = middle
        else:
            high = middle - 1
    if low == start:
        raise ValueRangeError("passage size [tokens]", size, "use more than one character has")
    return low


def _recursive(text: str, span: Span, size: int, tokenizer: Tokenizer) -> Iterator[Span]:
    if tokenizer.count(text[span.start : span.end]) <= size:
        yield span
        return
    inside = (s for s in _SEPARATORS if text.find(s, span.start, span.end - 1) >= 0)
    separator = next(inside, None)
    if separator is None:
        for piece in fixed(text[span.start : span.end], size, tokenizer):
            yield Span(span.start + piece.start, span.start + piece.end)
        return
    start = span.start
    for piece in _behind(text, span, separator):
        if tokenizer.count(text[start : piece.end]) <= size:
            continue
        if start < piece.start:
            yield Span(start, piece.start)
        start = piece.start
        if tokenizer.count(text[start : piece.end]) > size:
            yield from _recursive(text, piece, size, tokenizer)
            start = piece.end
    if start < span.end:
        yield Span(start, span.end)


def _behind(text: str, span: Span, separator: str) -> Iterator[Span]:
    """Yield the pieces of a span, each up to and with the next separator."""
    start = span.start
    while start < span.end:
        at = text.find(separator, start, span.end)
        end = span.end if at < 0 else at + len(separator)
        yield Span(start, end)
        start = end


def _chunk(document: Document, span: Span, tokenizer: Tokenizer) -> Chunk:
    text = document.text[span.start : span.end]
    return Chunk(
        id=chunk_id(document.id, span.start, span.end, text),
        doc_id=document.id,
        title="",
        text=text,
        start=span.start,
        end=span.end,
        tokens=tokenizer.count(text),
        sentences=(Span(0, len(text)),),
    )
