"""An answer as bytes, and back: JSON, compressed, each chunk once."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

from rag.cache.values import Said
from rag.payload import from_payload, to_payload
from rag.results import Citation, Context, Evidence, Short
from rag.types import Chunk, Point, Span, SparseVector

# Raise it when entries get another form: those of a former one are then not found.
FORMAT = 1


def to_bytes(said: Said) -> bytes:
    """Return an answer as bytes."""
    chunks = {e.chunk.id: e.chunk for e in said.context.evidence}
    state = {
        "text": said.text,
        "citations": list(map(_citation_state, said.citations)),
        "abstained": said.abstained,
        "reason": said.reason,
        "confidence": said.confidence,
        "groundedness": said.groundedness,
        "nearest": list(map(_citation_state, said.nearest)),
        "context": _context_state(said.context),
        "chunks": {chunk_id: _chunk_state(chunk) for chunk_id, chunk in chunks.items()},
        "short": _short_state(said.short) if said.short else None,
    }
    # Level 1: a tenth more bytes than the default, in little more than half its time.
    return zlib.compress(json.dumps(state, separators=(",", ":")).encode("ascii"), level=1)


def from_bytes(data: bytes) -> Said:
    """Return the answer that ``to_bytes`` wrote.

    Raises:
        ValueError: It is damaged.
    """
    try:
        state = json.loads(zlib.decompress(data))
        chunks = {name: from_payload(held).chunk for name, held in state.pop("chunks").items()}
        short = state.pop("short")
        return Said(
            citations=tuple(map(_citation, state.pop("citations"))),
            nearest=tuple(map(_citation, state.pop("nearest"))),
            context=_context(state.pop("context"), chunks),
            short=_short(short) if short else None,
            **state,
        )
    except (zlib.error, KeyError, TypeError) as exc:
        raise ValueError("damaged entry") from exc


def _chunk_state(chunk: Chunk) -> dict[str, Any]:
    return to_payload(Point("", chunk, SparseVector((), ()), None))


def _citation_state(citation: Citation) -> dict[str, Any]:
    return {name: getattr(citation, name) for name in Citation.__slots__}


def _citation(state: Mapping[str, Any]) -> Citation:
    lists = {"headings": tuple(state["headings"]), "also_in": tuple(state["also_in"])}
    return Citation(**{**state, **lists})


def _context_state(context: Context) -> dict[str, Any]:
    evidence = [
        [e.chunk.id, e.sentence, e.score, e.cosine, e.coverage, e.source] for e in context.evidence
    ]
    fields = {name: getattr(context, name) for name in Context.__slots__}
    return {**fields, "evidence": evidence}


def _context(state: dict[str, Any], chunks: Mapping[str, Chunk]) -> Context:
    rows = state.pop("evidence")
    offered = tuple(state.pop("offered"))
    evidence = tuple(Evidence(chunks[row[0]], *row[1:]) for row in rows)
    return Context(evidence=evidence, offered=offered, **state)


def _short_state(short: Short) -> dict[str, Any]:
    spans = [(span.start, span.end) for span in short.spans]
    return {"form": short.form, "text": short.text, "spans": spans, "confidence": short.confidence}


def _short(state: Mapping[str, Any]) -> Short:
    spans = tuple(Span(start, end) for start, end in state["spans"])
    return Short(state["form"], state["text"], spans, state["confidence"])
