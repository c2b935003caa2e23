"""From the manifest's points to an index that holds exactly them, and the check that it does."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Protocol, TypeVar

from ingest.duplicates import PointChanges, chunks_of
from ingest.embedding_pool import Embedded, EmbeddingPool
from ingest.manifest import Manifest
from ingest.progress import Advance
from ingest.vectors import VectorStore
from rag.bm25 import document_vector
from rag.errors import IndexStateError
from rag.protocols import Analyzer, IndexReader, IndexWriter
from rag.terms import indexed_text
from rag.types import Chunk, Filter, PassageVectors, Point, SearchQuery, SparseVector

_Item = TypeVar("_Item")

_BATCH = 256
_DURABLE_AFTER = 16  # chunks: about a second of embedding is all that a kill can lose
_SAMPLE = 200
_PROBES = 16
_PROBE_LIMIT = 100


class WritableIndex(IndexReader, IndexWriter, Protocol):
    """Both sides of an index, which is closed after use."""

    def close(self) -> None:
        """Release what it holds."""


@dataclass(frozen=True, slots=True)
class EmbeddingCounts:
    """What the vectors of a run came from; ``cpu_seconds`` is that of embedding alone [s]."""

    embedded: int = 0
    cached: int = 0
    cpu_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much a run may embed: so many chunks, and none is begun after ``deadline``.

    The deadline is on the monotonic clock [s].
    """

    chunks: int | None = None
    deadline: float = math.inf

    def within(self, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
        """Yield chunks as long as they are allowed."""
        for chunk in islice(chunks, self.chunks):
            if time.monotonic() >= self.deadline:
                return
            yield chunk


class Vectorizer:
    """Vectors of chunks: out of the cache, or embedded and put there."""

    def __init__(self, store: VectorStore, pool: EmbeddingPool, fingerprint: str) -> None:
        self._store = store
        self._pool = pool
        self._fingerprint = fingerprint
        self._cached = 0

    def complete(
        self, chunks: Iterable[Chunk], advance: Advance, allowance: Allowance = Allowance()
    ) -> EmbeddingCounts:
        """Embed what the cache does not hold; what is done survives a kill.

        Raises:
            RagError: A worker died or the embedder failed.
        """
        embedded, cpu, ready = 0, 0.0, list[Embedded]()
        missing = allowance.within(self._missing(chunks, advance))
        try:
            with closing(_generator(self._pool.embed(missing))) as results:
                for result in results:
                    ready.append(result)
                    embedded, cpu = embedded + 1, cpu + result.cpu_seconds
                    advance(1)
                    if len(ready) >= _DURABLE_AFTER:
                        self._keep(ready)
        finally:
            self._keep(ready)
        return EmbeddingCounts(embedded, self._cached, cpu)

    def known(self, chunks: Sequence[Chunk]) -> dict[str, PassageVectors]:
        """Return the vectors that the cache holds of these chunks, by chunk id."""
        return self._store.get_many(self._fingerprint, chunks)

    def vectors_of(self, chunks: Sequence[Chunk]) -> dict[str, PassageVectors]:
        """Return the vectors of chunks that were completed, by chunk id, as the cache has them.

        Raises:
            IndexStateError: The cache lost some in the meantime.
        """
        found = self._store.get_many(self._fingerprint, chunks)
        if len(found) < len({chunk.id for chunk in chunks}):
            raise IndexStateError("embedding cache lost vectors", len(chunks), "run again")
        return found

    def _missing(self, chunks: Iterable[Chunk], advance: Advance) -> Iterator[Chunk]:
        for batch in in_batches(chunks):
            known = self._store.get_many(self._fingerprint, batch)
            self._cached += len(known)
            advance(len(known))
            yield from (chunk for chunk in batch if chunk.id not in known)

    def _keep(self, ready: list[Embedded]) -> None:
        pairs = [(result.chunk, result.vectors) for result in ready]
        self._store.put_many(self._fingerprint, pairs)
        ready.clear()


@dataclass(frozen=True, slots=True)
class PointMaker:
    """Makes what the index stores of a chunk; without ``vectors`` for the lexical tier.

    Where chunks ``may_wait``, those that the cache does not hold get no vectors yet.
    """

    analyzer: Analyzer
    mean_length: float
    vectors: Vectorizer | None
    may_wait: bool = False

    def points(self, tenant: str, chunks: Sequence[Chunk]) -> list[Point]:
        """Return the points of one tenant's chunks, in their order."""
        dense: dict[str, PassageVectors] = {}
        if self.vectors:
            dense = (self.vectors.known if self.may_wait else self.vectors.vectors_of)(chunks)
        return [Point(tenant, chunk, self.sparse(chunk), dense.get(chunk.id)) for chunk in chunks]

    def sparse(self, chunk: Chunk) -> SparseVector:
        """Return the BM25 weights of a chunk."""
        return document_vector(self.analyzer.terms(indexed_text(chunk)), self.mean_length)


def write_points(
    index: WritableIndex,
    chunks: Iterable[tuple[str, Chunk]],
    maker: PointMaker,
    manifest: Manifest,
    advance: Advance,
) -> None:
    """Store chunks, given with their tenants, in batches; the manifest is told of their vectors."""
    for tenant, theirs in groupby(chunks, key=lambda pair: pair[0]):
        for batch in in_batches(chunk for _, chunk in theirs):
            points = maker.points(tenant, batch)
            index.upsert(points)
            if maker.vectors:
                noted = [(point.chunk.id, point.vectors is not None) for point in points]
                manifest.note_vectors(tenant, noted)
            advance(len(batch))


def delete_points(index: WritableIndex, points: Sequence[tuple[str, str]]) -> None:
    """Remove points given as tenant and chunk id."""
    for tenant, theirs in groupby(sorted(points), key=lambda pair: pair[0]):
        for batch in in_batches(chunk_id for _, chunk_id in theirs):
            index.delete(tenant, batch)


def verify(
    index: WritableIndex, manifest: Manifest, changes: PointChanges, maker: PointMaker
) -> None:
    """Check that an index holds what the manifest says.

    The number of chunks of each tenant has to agree, all changed chunks have to be there word for
    word, as must a sample of the others, each with or without vectors as noted; deleted ones must
    not be there, and some chunks are searched for.

    Raises:
        IndexStateError: It does not; nothing was published.
    """
    points = list(manifest.point_ids())
    for tenant, theirs in groupby(points, key=lambda pair: pair[0]):
        expected, counted = len(list(theirs)), index.count(Filter(tenant))
        if counted != expected:
            raise _mismatch(f"{counted} chunks of tenant {tenant} instead of {expected}")
    sample = points[:: max(1, len(points) // _SAMPLE)]
    _check_stored(index, manifest, (*changes.upserted, *sample), dense=maker.vectors is not None)
    for tenant, theirs in groupby(changes.deleted, key=lambda pair: pair[0]):
        for batch in in_batches(chunk_id for _, chunk_id in theirs):
            if index.fetch(tenant, batch):
                raise _mismatch("a deleted chunk is still there")
    _probe(index, manifest, sample[:: max(1, len(sample) // _PROBES)], maker)


def _check_stored(
    index: WritableIndex, manifest: Manifest, points: tuple[tuple[str, str], ...], *, dense: bool
) -> None:
    waiting = set(manifest.unembedded())
    unique = tuple(dict.fromkeys(sorted(points)))
    for tenant, theirs in groupby(chunks_of(manifest, unique), key=lambda pair: pair[0]):
        for batch in in_batches(chunk for _, chunk in theirs):
            stored = index.fetch(tenant, [chunk.id for chunk in batch])
            if [_place(item.chunk) for item in stored] != [_place(chunk) for chunk in batch]:
                raise _mismatch(f"chunks of tenant {tenant} are missing or altered")
            for item in stored:
                if (item.sentence_vectors is not None) != (
                    dense and (tenant, item.chunk.id) not in waiting
                ):
                    raise _mismatch(f"chunk {item.chunk.id} has vectors, or none, against the note")


def _probe(
    index: WritableIndex,
    manifest: Manifest,
    points: Sequence[tuple[str, str]],
    maker: PointMaker,
) -> None:
    for tenant, chunk in chunks_of(manifest, tuple(points)):
        query = SearchQuery(
            where=Filter(tenant, documents=(chunk.doc_id,)),
            sparse=maker.sparse(chunk),
            dense=None,
            limit=_PROBE_LIMIT,
        )
        if query.sparse is None or not query.sparse.indices:
            continue
        hits = index.search(query).sparse
        # Among that many chunks of one document with the same words, which come first is chance.
        if chunk.id not in {hit.chunk_id for hit in hits} and len(hits) < _PROBE_LIMIT:
            raise _mismatch(f"chunk {chunk.id} is not found by its own words")


def _place(chunk: Chunk) -> tuple[object, ...]:
    return (
        *(chunk.id, chunk.doc_id, chunk.title, chunk.start, chunk.text),
        *(chunk.also_in, chunk.access),
    )


def _mismatch(value: str) -> IndexStateError:
    return IndexStateError(
        "new index failed its check and was not published", value, "run rag-ingest sync again"
    )


def _generator(results: Iterator[Embedded]) -> Generator[Embedded, None, None]:
    yield from results


def in_batches(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    """Yield lists of at most as many items as an index is given at once."""
    remaining = iter(items)
    while batch := list(islice(remaining, _BATCH)):
        yield batch
