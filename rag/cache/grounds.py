"""What an answer stands on, and when a question that finds other passages may still have it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from rag.cache.keys import chunk_name, context_digest
from rag.cache.values import Said
from rag.results import Context, Evidence


@dataclass(frozen=True, slots=True)
class Grounds:
    """Names of chunks: all that were packed, the one that promises most, those that are cited.

    ``context`` is the name of the whole context, with its text.
    """

    packed: frozenset[str]
    best: str
    context: str
    cited: frozenset[str] = frozenset()

    def carry(self, kept: Grounds, *, same_index: bool) -> bool:
        """Return whether an answer with grounds of its own may be given to what finds these.

        On the index that it was made on: the same chunk must promise most, and what the answer
        cites be packed here too. On any other the whole context must be the same besides, so that
        nothing new has a say in it.
        """
        if not (same_index or self.context == kept.context):
            return False
        return self.best == kept.best and kept.cited <= self.packed

    def to_text(self) -> str:
        """Return the grounds as they are stored."""
        return json.dumps([sorted(self.packed), self.best, self.context, sorted(self.cited)])

    @classmethod
    def from_text(cls, text: str) -> Grounds:
        """Return the grounds that ``to_text`` wrote."""
        packed, best, context, cited = json.loads(text)
        return cls(frozenset(packed), best, context, frozenset(cited))


def grounds_of(context: Context, said: Said | None = None) -> Grounds | None:
    """Return the grounds of a context and of what was said from it; None where it is empty."""
    if not context.evidence:
        return None
    best = max(context.evidence, key=lambda e: e.score)
    packed = frozenset(chunk_name(e.chunk) for e in context.evidence)
    cited = (e for e in context.evidence if said is not None and _is_cited(e, said))
    return Grounds(
        packed=packed,
        best=chunk_name(best.chunk),
        context=context_digest(context),
        cited=frozenset(chunk_name(e.chunk) for e in cited),
    )


def _is_cited(evidence: Evidence, said: Said) -> bool:
    chunk = evidence.chunk
    return any(
        citation.doc_id == chunk.doc_id and chunk.start <= citation.start < chunk.end
        for citation in said.citations
    )
