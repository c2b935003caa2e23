"""What an index stores beside the vectors: chunks as JSON-like payloads, and back.

Keys that filters look at: ``tenant``, ``documents`` (all that hold the text), ``tags``, ``at``
(the first instant of the chunk's date, RFC 3339 in UTC), ``access`` (the labels of its documents;
without any, and in points stored before there were labels, all of the tenant may read it) and
``opaque`` ("yes" where the chunk id cannot be computed from the point id). The rest is only
carried: ``id``, ``doc_id``, ``title``, ``text``, ``start``, ``tokens``, ``sentences`` (flat list of
span edges), ``headings``, ``headlines``, ``page``, ``date``, and ``vectors`` with ``dim``. Empty
values are left out.

``vectors`` holds the unit rows of the sentence vectors, one character a component: each row is
stretched so that its largest component is 46 and rounded, and -46..46 are the 93 characters that
JSON keeps as they are. Reading normalises the rows again, so no scale needs to be stored.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Sequence
from typing import Any, TypeAlias

from rag import dates
from rag.errors import ValueRangeError
from rag.types import Chunk, PassageVectors, Point, Span, SparseVector, StoredChunk, Vector

Payload: TypeAlias = dict[str, Any]

_TRANSPARENT_ID = re.compile(r"[0-9a-f]{32}")


def point_id(tenant: str, chunk_id: str) -> uuid.UUID:
    """Return the UUID under which a tenant's chunk is stored, the same on every machine.

    An id of 32 hexadecimal digits, as ingest makes them, is only masked, so that search can turn
    it back without reading the payload. Any other id is hashed and its payload says ``opaque``.
    """
    mask = tenant_mask(tenant)
    if is_opaque(chunk_id):
        return uuid.UUID(bytes=_digest(chunk_id, key=mask.to_bytes(16)))
    return uuid.UUID(int=int(chunk_id, 16) ^ mask)


def chunk_id_of(point: uuid.UUID, mask: int) -> str:
    """Return the chunk id behind the UUID of a point whose id is not opaque."""
    return f"{point.int ^ mask:032x}"


def tenant_mask(tenant: str) -> int:
    """Return the 128 bits that keep equal chunk ids of two tenants apart."""
    return int.from_bytes(_digest(tenant))


def is_opaque(chunk_id: str) -> bool:
    """Return whether search needs the payload to know this id again."""
    return _TRANSPARENT_ID.fullmatch(chunk_id) is None


def _digest(text: str, key: bytes = b"") -> bytes:
    # Surrogates may stand in an id that somebody asks for, though never in one that is stored.
    data = text.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=16, key=key).digest()


def to_payload(point: Point) -> Payload:
    """Return what to store for a point, beside its vectors."""
    chunk = point.chunk
    covered = dates.covered(chunk.date) if chunk.date else None
    payload: Payload = {
        "tenant": point.tenant,
        "id": chunk.id,
        "opaque": "yes" if is_opaque(chunk.id) else None,
        "doc_id": chunk.doc_id,
        "documents": [chunk.doc_id, *chunk.also_in],
        "title": chunk.title,
        "text": chunk.text,
        "start": chunk.start,
        "tokens": chunk.tokens,
        "sentences": [edge for span in chunk.sentences for edge in (span.start, span.end)],
        "headings": list(chunk.headings),
        "headlines": list(chunk.headlines),
        "page": chunk.page,
        "tags": list(chunk.tags),
        "access": list(chunk.access),
        "date": chunk.date,
        "at": covered[0].isoformat() if covered else None,
        **_packed(point.vectors),
    }
    return {key: value for key, value in payload.items() if value not in (None, [])}


def has_vectors(payload: Payload) -> bool:
    """Return whether a point was stored with vectors; only ``dim`` is looked at."""
    return "dim" in payload


def from_payload(payload: Payload) -> StoredChunk:
    """Return the chunk that ``to_payload`` stored, with float32 unit sentence vectors."""
    text, start = payload["text"], payload["start"]
    edges = iter(payload.get("sentences", ()))
    chunk = Chunk(
        id=payload["id"],
        doc_id=payload["doc_id"],
        title=payload["title"],
        text=text,
        start=start,
        end=start + len(text),
        tokens=payload["tokens"],
        sentences=tuple(Span(first, last) for first, last in zip(edges, edges, strict=True)),
        headings=tuple(payload.get("headings", ())),
        page=payload.get("page"),
        tags=tuple(payload.get("tags", ())),
        date=payload.get("date"),
        also_in=tuple(payload["documents"][1:]),
        headlines=tuple(payload.get("headlines", ())),
        access=tuple(payload.get("access", ())),
    )
    return StoredChunk(chunk, _unpacked(payload))


def from_stored(payload: Payload, vectors: object) -> Point:
    """Return a point from its payload and its vectors by name, as the engine gives them.

    ``bm25`` has ``indices`` and ``values``; ``dense``, where there is one, is a list.
    """
    named = vectors if isinstance(vectors, dict) else {}
    stored, words, passage = from_payload(payload), named["bm25"], named.get("dense")
    dense = None
    if passage is not None and stored.sentence_vectors is not None:
        from rag.packed_vectors import as_vector

        dense = PassageVectors(as_vector(passage), stored.sentence_vectors)
    sparse = SparseVector(tuple(words.indices), tuple(words.values))
    return Point(payload["tenant"], stored.chunk, sparse, dense)


def check_points(points: Sequence[Point], dimension: int | None) -> None:
    """Check that every point fits an index of this dimension; None is the lexical tier.

    A point without vectors fits everywhere: the dense leg does not find it.

    Raises:
        ValueRangeError: A point has vectors of another dimension or should not have any, or a
            string in it is not valid Unicode.
    """
    for point in points:
        _check_vectors(point, dimension)
        _check_text(point)


def check_dense(vector: Vector | None, dimension: int | None) -> None:
    """Check that a question's vector fits an index of this dimension.

    Raises:
        ValueRangeError: It has another shape, or the index holds no dense vectors.
    """
    if vector is None:
        return
    if dimension is None:
        raise ValueRangeError("dense query", "given", "leave it out: this index is lexical only")
    if vector.shape != (dimension,):
        raise ValueRangeError("dense query shape", vector.shape, f"use ({dimension},)")


def _check_vectors(point: Point, dimension: int | None) -> None:
    vectors = point.vectors
    if vectors is None:
        return
    if dimension is None:
        raise ValueRangeError(
            "vectors of chunk", point.chunk.id, "leave them out: this index is lexical only"
        )
    expected = (len(point.chunk.sentences), dimension)
    if vectors.passage.shape != (dimension,) or vectors.sentences.shape != expected:
        shapes = (vectors.passage.shape, vectors.sentences.shape)
        raise ValueRangeError("vector shapes", shapes, f"use ({dimension},) and {expected}")


def _check_text(point: Point) -> None:
    chunk = point.chunk
    strings = (point.tenant, chunk.id, chunk.doc_id, chunk.title, chunk.text, chunk.date or "")
    lists = (*chunk.headings, *chunk.tags, *chunk.also_in, *chunk.access)
    try:
        "".join((*strings, *lists)).encode("utf-8")
    except UnicodeEncodeError as exc:
        raise ValueRangeError(
            "text of chunk", ascii(chunk.id), "remove lone surrogates: they are not Unicode text"
        ) from exc


def _packed(vectors: PassageVectors | None) -> Payload:
    if vectors is None:
        return {}
    from rag.packed_vectors import packed

    return {"vectors": packed(vectors.sentences), "dim": vectors.sentences.shape[1]}


def _unpacked(payload: Payload) -> Vector | None:
    if not has_vectors(payload):
        return None
    from rag.packed_vectors import unpacked

    return unpacked(payload.get("vectors", ""), payload["dim"])
