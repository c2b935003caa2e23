"""The verify stage: what was said against what was packed."""

from __future__ import annotations

from collections.abc import Sequence

from rag.protocols import Analyzer
from rag.results import Citation, Evidence


def cite(evidence: Evidence) -> Citation:
    """Return the citation of a packed sentence."""
    chunk, span = evidence.chunk, evidence.span
    return Citation(
        doc_id=chunk.doc_id,
        title=chunk.title,
        quote=evidence.text,
        start=span.start,
        end=span.end,
        page=chunk.page,
        headings=evidence.headings,
        also_in=chunk.also_in,
    )


def groundedness(answer: str, citations: Sequence[Citation], analyzer: Analyzer) -> float:
    """Return the share of the answer's terms that its citations hold, in [0, 1].

    An answer without terms of its own is as grounded as it is cited: 1 with citations, else 0.
    """
    said = set(analyzer.terms(answer))
    quoted = {term for c in citations for term in analyzer.terms(c.quote)}
    if not said:
        return float(bool(citations))
    return len(said & quoted) / len(said)
