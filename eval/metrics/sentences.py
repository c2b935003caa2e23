"""How a text is cut into what is judged piece by piece."""

from __future__ import annotations

import re

from rag.protocols import SentenceSplitter
from rag.types import Span

# A line that goes on in lower case belongs to the one before: the text was wrapped.
_LINE_END = re.compile(r"\n(?!\s*[a-z])")


def sentence_spans(text: str, splitter: SentenceSplitter) -> tuple[Span, ...]:
    """Return the sentences in order; no line that is complete is joined with the next one.

    The spans are disjoint, non-blank and cover every non-space character.
    """
    spans: list[Span] = []
    start = 0
    for end in [match.start() for match in _LINE_END.finditer(text)] + [len(text)]:
        spans += (Span(start + s.start, start + s.end) for s in splitter.split(text[start:end]))
        start = end
    return tuple(spans)


def sentences(text: str, splitter: SentenceSplitter) -> tuple[str, ...]:
    """Return the texts of ``sentence_spans``."""
    return tuple(text[span.start : span.end] for span in sentence_spans(text, splitter))
