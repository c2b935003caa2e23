"""The smallest pieces of a document: sentences of its blocks, and cuts inside what is too long."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator
from itertools import pairwise

from rag.errors import ValueRangeError
from rag.protocols import SentenceSplitter, Tokenizer
from rag.types import Block, Document, Span

# No real text has more characters per token: what is longer is cut before it is counted.
_MOST_CHARS_PER_TOKEN = 16
# English prose has about four characters per token: the first guess for what is not counted.
_USUAL_CHARS_PER_TOKEN = 4
_LONGEST_KNOWN_GAP = 8  # characters
_RAISE = "raise chunk_tokens"
_ZERO_WIDTH_JOINER = "\u200d"


def covering_blocks(document: Document) -> Iterator[Block]:
    """Yield the blocks in order, and a paragraph for all text that lies in no block.

    Nothing a loader has read is lost, even where it left a gap in the structure.
    """
    at, page = 0, None
    headings: tuple[str, ...] = ()
    for block in document.blocks:
        if block.start > at and document.text[at : block.start].strip():
            yield Block(at, block.start, "paragraph", headings, page)
        yield block
        at, headings, page = block.end, block.headings, block.page
    if document.text[at:].strip():
        yield Block(at, len(document.text), "paragraph", headings, page)


def sentences_of(text: str, block: Block, splitter: SentenceSplitter) -> tuple[Span, ...]:
    """Return the block's sentences as spans of ``text``: ordered, disjoint, without outer space.

    A heading and a table row are one sentence; code has one per line that is not blank.
    """
    piece = text[block.start : block.end]
    if block.kind == "code":
        return tuple(_lines(piece, block.start))
    if block.kind in {"heading", "table_row"}:
        return _trimmed(piece, block.start)
    return tuple(Span(s.start + block.start, s.end + block.start) for s in splitter.split(piece))


def _lines(piece: str, offset: int) -> Iterator[Span]:
    for line in piece.split("\n"):
        yield from _trimmed(line, offset)
        offset += len(line) + 1


def _trimmed(piece: str, offset: int) -> tuple[Span, ...]:
    """Return the span of ``piece`` without outer space, or nothing if it is blank."""
    stripped = piece.strip()
    if not stripped:
        return ()
    start = offset + len(piece) - len(piece.lstrip())
    return (Span(start, start + len(stripped)),)


class CountedText:
    """A text and its tokenizer: counts spans, and what lies between them."""

    def __init__(self, text: str, tokenizer: Tokenizer) -> None:
        self.text = text
        self._tokenizer = tokenizer
        self._gaps: dict[str, int] = {}

    def tokens(self, span: Span) -> int:
        """Return the tokens of a span."""
        return self._tokenizer.count(self.text[span.start : span.end])

    def gap(self, before: Span, after: Span) -> int:
        """Return about how many tokens the text between two spans adds when both are joined.

        A space costs nothing where it becomes part of the next word's token, so gaps are weighed
        between two letters.
        """
        gap = self.text[before.end : after.start]
        if len(gap) > _LONGEST_KNOWN_GAP:
            return self._tokenizer.count(gap)
        known = self._gaps.get(gap)
        if known is None:
            joined = self._tokenizer.count(f"a{gap}a")
            known = self._gaps[gap] = max(0, joined - 2 * self._tokenizer.count("a"))
        return known

    def fits(self, span: Span, limit_tokens: int) -> bool:
        """Return whether a span has at most so many tokens, without counting what is far over."""
        if span.end - span.start > _MOST_CHARS_PER_TOKEN * limit_tokens:
            return False
        return self.tokens(span) <= limit_tokens

    def fitting(self, span: Span, limit_tokens: int) -> Iterator[tuple[Span, int]]:
        """Yield the span cut into near-equal pieces that fit, each with its tokens.

        Cuts are made at white space, where there is none near between graphemes, and inside a
        grapheme only if it is over the limit by itself.

        Raises:
            ValueRangeError: A single character has more tokens than the limit.
        """
        length = span.end - span.start
        tokens = length // _USUAL_CHARS_PER_TOKEN
        if length <= _MOST_CHARS_PER_TOKEN * limit_tokens:
            tokens = self.tokens(span)
            if tokens <= limit_tokens:
                yield span, tokens
                return
        if length <= 1:
            raise ValueRangeError("a character is over the chunk limit", limit_tokens, _RAISE)
        parts = min(length, max(2, math.ceil(tokens / limit_tokens)))
        for start, end in pairwise(_cuts(self.text, span, parts)):
            for piece in _trimmed(self.text[start:end], start):
                yield from self.fitting(piece, limit_tokens)


def _cuts(text: str, span: Span, parts: int) -> list[int]:
    """Return the ends of ``parts`` or fewer pieces, from the span's start to its end."""
    length = span.end - span.start
    reach = length // parts // 2
    cuts = [span.start]
    for part in range(1, parts):
        ideal = span.start + length * part // parts
        low, high = max(cuts[-1] + 1, ideal - reach), min(span.end - 1, ideal + reach)
        if low <= high:
            cuts.append(_nearest_cut(text, low, min(max(ideal, low), high), high))
    return [*cuts, span.end]


def _nearest_cut(text: str, low: int, ideal: int, high: int) -> int:
    near = sorted(range(low, high + 1), key=lambda at: abs(at - ideal))
    space = next((at for at in near if text[at].isspace()), None)
    if space is not None:
        return space
    return next((at for at in near if not _inside_grapheme(text, at)), ideal)


def _inside_grapheme(text: str, at: int) -> bool:
    """Return whether a cut before ``text[at]`` would tear what a reader sees as one character.

    Source: Unicode Standard Annex 29, rules GB3, GB6 to GB9a, GB11 and GB12, simplified.
    """
    left, right = text[at - 1], text[at]
    if left == "\r" and right == "\n":
        return True
    if right < "\u0300":
        return left == _ZERO_WIDTH_JOINER
    if _ZERO_WIDTH_JOINER in (left, right) or unicodedata.category(right).startswith("M"):
        return True
    if "\U0001f3fb" <= right <= "\U0001f3ff" or "\U000e0020" <= right <= "\U000e007f":
        return True  # skin tones and flag tags
    if "\u1160" <= right <= "\u11ff":
        return True  # medial vowels and final consonants of Hangul
    return _is_regional(right) and _regionals_before(text, at) % 2 == 1


def _is_regional(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _regionals_before(text: str, at: int) -> int:
    first = at
    while first > 0 and _is_regional(text[first - 1]):
        first -= 1
    return at - first
