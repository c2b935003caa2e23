"""What of a chunk is indexed and embedded besides its own text, and which terms are optional."""

from __future__ import annotations

import re

from rag.protocols import Analyzer
from rag.types import Chunk

# Raise it when a chunk gets other terms than before, by what is indexed of it or by the analyzer:
# an index and the questions asked of it have to agree.
TERMS_VERSION = 2

_JOIN = re.compile(r"(?<=\w)[-_.](?=\w)")
_LONGEST_PREFIX = 200  # characters: about 50 tokens of the embedder's 256


def source_line(chunk: Chunk) -> str:
    """Return the title and those headings above the chunk that its text does not show itself."""
    names = [chunk.title, *(h for h in chunk.headings if h not in chunk.text)]
    unique = list(dict.fromkeys(name for name in names if name))
    return ", ".join(unique)[:_LONGEST_PREFIX]


def indexed_text(chunk: Chunk) -> str:
    """Return what the lexical leg indexes: source line and text."""
    return f"{source_line(chunk)}\n{chunk.text}"


def embedded_prefix(chunk: Chunk) -> str:
    """Return what the embedder reads before the chunk's text; ends with a separator."""
    line = source_line(chunk)
    return f"{line}: " if line else ""


def compounds(text: str, analyzer: Analyzer) -> frozenset[int]:
    """Return the terms of ``text`` that stand for joined words beside the terms of each.

    Where no document joins them, nothing is missing: the words are terms of their own.
    """
    apart = _JOIN.sub(" ", text)
    if apart == text:
        return frozenset()
    return frozenset(analyzer.terms(text)).difference(analyzer.terms(apart))
