"""Entries as rows of the file, and back."""

from __future__ import annotations

from rag.cache.clues import clue_to
from rag.cache.grounds import grounds_of
from rag.cache.keys import context_digest, exact_key, question_key, scope_key
from rag.cache.record import from_bytes, to_bytes
from rag.cache.schema import Row
from rag.cache.values import Asked, Cached, Clue, Cost, Level, Said
from rag.types import Interval

_ROW_BYTES = 400  # of an entry besides what varies: keys, numbers, indexes


def row_of(asked: Asked, clue: Clue, said: Said, cost: Cost) -> Row | None:
    """Return an answer as a row, not dated or ranked yet; None if its words are no Unicode text."""
    try:
        words = len(asked.text.encode("utf-8"))
    except UnicodeEncodeError:
        return None
    grounds, answer, held = grounds_of(said.context, said), to_bytes(said), clue_to(clue)
    return Row(
        id=None,
        key=exact_key(asked),
        scope=scope_key(asked.scope),
        tenant=asked.tenant,
        question=asked.text,
        question_key=question_key(asked.tenant, asked.text),
        generation=asked.generation,
        digest=context_digest(said.context),
        grounds=grounds.to_text() if grounds else "",
        clue=held,
        semantic=grounds is not None and not said.abstained,
        answer=answer,
        created=0.0,
        joules_low=cost.joules.low if cost.joules else None,
        joules_high=cost.joules.high if cost.joules else None,
        tokens=cost.tokens,
        size=len(answer) + len(held) + words + _ROW_BYTES,
        uses=1,
        priority=0.0,
    )


def cached_of(row: Row, level: Level, *, fresh: bool) -> Cached:
    """Return a row as it is given back.

    Raises:
        ValueError: It is damaged.
    """
    return Cached(
        entry=row.id or 0,
        tenant=row.tenant,
        level=level,
        fresh=fresh,
        question=row.question,
        said=from_bytes(row.answer),
        cost=cost_of(row),
        generation=row.generation,
        created=row.created,
    )


def cost_of(row: Row) -> Cost:
    """Return what the answer of a row took."""
    low, high = row.joules_low, row.joules_high
    joules = None if low is None or high is None else Interval(low, high)
    return Cost(joules, row.tokens)


def documents_of(said: Said) -> tuple[str, ...]:
    """Return the documents that had a part in an answer: packed, cited, or only offered."""
    chunks = [evidence.chunk for evidence in said.context.evidence]
    held = [doc_id for chunk in chunks for doc_id in (chunk.doc_id, *chunk.also_in)]
    cited = [citation.doc_id for citation in (*said.citations, *said.nearest)]
    return tuple(dict.fromkeys([*held, *cited, *said.context.offered]))
