"""Sentence boundaries by nupunkt: its only importer."""

from __future__ import annotations

import re

from rag.types import Span

# A text without an end mark followed by a space or a line break holds one sentence.
_MAYBE_TWO = re.compile(r"[.!?…。！？][\"'”’)\]]*\s+\S|\n\s*\n")
_LONGEST = 50_000


class NupunktSplitter:
    """Splits prose into sentences with nupunkt's packaged English model.

    Text longer than 50,000 characters is cut at white space first, so that time grows linearly.
    """

    def split(self, text: str) -> tuple[Span, ...]:
        """Return ordered, disjoint, non-blank spans that cover every non-space character."""
        spans: list[Span] = []
        start = 0
        while start < len(text):
            end = _cut(text, start)
            piece = text[start:end]
            spans += [_trimmed(text, start + a, start + b) for a, b in _boundaries(piece)]
            start = end
        return tuple(span for span in spans if span.end > span.start)


def _cut(text: str, start: int) -> int:
    end = start + _LONGEST
    if end >= len(text):
        return len(text)
    space = max(text.rfind("\n", start, end), text.rfind(" ", start, end))
    return space + 1 if space > start else end


def _boundaries(text: str) -> list[tuple[int, int]]:
    if not _MAYBE_TWO.search(text):
        return [(0, len(text))]
    import nupunkt

    starts = [0, *(start for start, _ in nupunkt.sent_spans(text)[1:])]
    return list(zip(starts, [*starts[1:], len(text)], strict=True))


def _trimmed(text: str, start: int, end: int) -> Span:
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    return Span(start + left, start + left + len(piece.strip()))
