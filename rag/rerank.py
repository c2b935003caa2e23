"""The rerank stage: a second opinion on the first passages, only where their scores are flat.

A reranker reads question and passage together and costs as much as all the rest, many times over.
Where one passage stands out it changes nothing, so it is not asked.
"""

from __future__ import annotations

from dataclasses import replace

from rag.protocols import Reranker
from rag.retrieve import Found, lead

_READ = 5  # passages


def rerank(found: Found, question: str, reranker: Reranker, below: float) -> tuple[Found, str]:
    """Return the passages in a better order, and in words whether that was worth asking for.

    They are read where the first is ahead of the second by no more than ``below``. Those read keep
    the scores they had among them, dealt out anew: a reranker's own scores are on any scale, and
    the packer's weights are made for these.
    """
    first, rest = found.passages[:_READ], found.passages[_READ:]
    ahead = lead([p.score for p in first])
    if len(first) < 2 or ahead > below:
        return found, f"first passage ahead by {ahead:.2f}"
    said = reranker.rerank(question, [p.chunk for p in first])
    order = sorted(range(len(first)), key=lambda i: (-said[i], i))
    scores = (p.score for p in first)
    read = [replace(first[i], score=score) for i, score in zip(order, scores, strict=True)]
    return replace(found, passages=(*read, *rest)), f"{len(first)} passages read again"
