"""The shipped fake of the reranker seam: the share of the question's words in a chunk."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.terms import indexed_text
from rag.types import Chunk

_WORD = re.compile(r"\w+")


class OverlapReranker:
    """Scores chunks by the question's words that they hold; deterministic, loads nothing."""

    def rerank(self, question: str, chunks: Sequence[Chunk]) -> tuple[float, ...]:
        """Return the share of the question's words in each chunk, in [0, 1]."""
        asked = _words(question)
        if not asked:
            return (0.0,) * len(chunks)
        return tuple(len(asked & _words(indexed_text(c))) / len(asked) for c in chunks)


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))
