"""An exact index in dictionaries: the fake behind the index seam, for tests and small corpora."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from rag import bm25, dates
from rag.errors import ValueRangeError
from rag.labels import reads
from rag.payload import check_dense, check_points
from rag.types import (
    Filter,
    Hit,
    Point,
    SearchHits,
    SearchQuery,
    SparseVector,
    StoredChunk,
    Vector,
)


class MemoryIndex:
    """Exact cosine and BM25 over points held in memory; ties go to the smaller chunk id.

    Every search looks at every point, so it is meant for thousands of chunks. Sentence vectors
    come back as they were given, without the rounding of a stored index.
    """

    def __init__(self, dimension: int | None = None) -> None:
        self._dimension = dimension
        self._points: dict[tuple[str, str], Point] = {}

    def search(self, query: SearchQuery) -> SearchHits:
        """Return both legs' best ``query.limit`` chunks within ``query.where``.

        Raises:
            ValueRangeError: The limit is below 1, or vector or dates do not fit.
        """
        if query.limit < 1:
            raise ValueRangeError("search limit", query.limit, "use 1 or more")
        check_dense(query.dense, self._dimension)
        points = self._within(query.where)
        idf = self._idf(query.sparse, query.where)
        sparse = _best(_bm25_scores(points, query.sparse, idf), query.limit)
        waiting = {p.chunk.id for p in points if query.dense is not None and p.vectors is None}
        return SearchHits(
            dense=_best(_cosines(points, query.dense), query.limit),
            sparse=sparse,
            idf=idf if query.weigh_terms else {},
            unembedded=frozenset(hit.chunk_id for hit in sparse if hit.chunk_id in waiting),
        )

    def fetch(self, tenant: str, chunk_ids: Sequence[str]) -> tuple[StoredChunk, ...]:
        """Return the chunks of one tenant in the order asked for; unknown ids are left out."""
        found = (self._points.get((tenant, chunk_id)) for chunk_id in chunk_ids)
        return tuple(
            StoredChunk(point.chunk, point.vectors.sentences if point.vectors else None)
            for point in found
            if point
        )

    def count(self, where: Filter) -> int:
        """Return the exact number of chunks within ``where``."""
        return len(self._within(where))

    def upsert(self, points: Sequence[Point]) -> None:
        """Store points by ``chunk.id``, replacing what had the same id.

        Raises:
            ValueRangeError: A point does not fit the index.
        """
        check_points(points, self._dimension)
        self._points.update({(point.tenant, point.chunk.id): point for point in points})

    def delete(self, tenant: str, chunk_ids: Sequence[str]) -> None:
        """Remove chunks of one tenant by id; unknown ids are ignored."""
        for chunk_id in chunk_ids:
            self._points.pop((tenant, chunk_id), None)

    def commit(self) -> None:
        """Do nothing: memory is as durable as it gets."""

    def _within(self, where: Filter) -> list[Point]:
        admits = _predicate(where)
        return [point for point in self._points.values() if admits(point)]

    def _idf(self, sparse: SparseVector | None, where: Filter) -> dict[int, float]:
        wanted = set(sparse.indices) if sparse else set()
        corpus = self._within(Filter(where.tenant, labels=where.labels)) if wanted else []
        frequencies = dict.fromkeys(wanted, 0)
        for point in corpus:
            for term in wanted.intersection(point.sparse.indices):
                frequencies[term] += 1
        # As the engine counts: a chunk without any term is not part of the corpus.
        size = sum(1 for point in corpus if point.sparse.indices)
        return {term: bm25.idf(size, held) for term, held in frequencies.items() if held}


def _predicate(where: Filter) -> Callable[[Point], bool]:
    since, until = dates.bounds(where)
    tags = set(where.tags)

    def admits(point: Point) -> bool:
        chunk = point.chunk
        if point.tenant != where.tenant or not tags.issubset(chunk.tags):
            return False
        if not reads(where.labels, chunk.access):
            return False
        if where.documents and not {chunk.doc_id, *chunk.also_in} & set(where.documents):
            return False
        if since is None and until is None:
            return True
        covered = dates.covered(chunk.date) if chunk.date else None
        if covered is None:
            return False
        return (since is None or covered[0] >= since) and (until is None or covered[0] <= until)

    return admits


def _cosines(points: Sequence[Point], vector: Vector | None) -> list[Hit]:
    held = [(point.chunk.id, point.vectors.passage) for point in points if point.vectors]
    if vector is None or not held:
        return []
    rows = np.stack([row for _, row in held])
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(vector)
    cosines = rows @ vector / np.where(lengths > 0, lengths, 1)
    return [
        Hit(chunk_id, float(cosine)) for (chunk_id, _), cosine in zip(held, cosines, strict=True)
    ]


def _bm25_scores(
    points: Sequence[Point], sparse: SparseVector | None, idf: dict[int, float]
) -> list[Hit]:
    if sparse is None:
        return []
    weights = {
        term: weight * idf[term]
        for term, weight in zip(sparse.indices, sparse.values, strict=True)
        if term in idf
    }
    return [
        Hit(
            point.chunk.id,
            sum(
                weights[term] * value
                for term, value in zip(point.sparse.indices, point.sparse.values, strict=True)
                if term in weights
            ),
        )
        for point in points
        if not weights.keys().isdisjoint(point.sparse.indices)
    ]


def _best(hits: Iterable[Hit], limit: int) -> tuple[Hit, ...]:
    return tuple(sorted(hits, key=lambda hit: (-hit.score, hit.chunk_id))[:limit])
