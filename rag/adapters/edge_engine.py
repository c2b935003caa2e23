"""Qdrant Edge in this project's types: one open shard, and what is asked of it."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self, TypeAlias
from uuid import UUID

import qdrant_edge as edge

from rag import dates
from rag.adapters.edge_contents import Contents
from rag.adapters.edge_layout import Layout, hold
from rag.errors import IndexStateError, ValueRangeError
from rag.labels import Labels
from rag.payload import (
    chunk_id_of,
    from_payload,
    from_stored,
    has_vectors,
    point_id,
    tenant_mask,
    to_payload,
)
from rag.types import Filter, Hit, Point, SearchHits, SearchQuery, SparseVector, StoredChunk

# Source: measured with 50,000 hardly clustered vectors of 384 components: recall@50 is .862
# without oversampling, .997 with 2 and .9997 with 3, each at 1.2 ms.
_OVERSAMPLING = 3.0
# Source: measured with 20,000 such vectors, the worst case for a graph: recall@50 is .69 at the
# engine's default and .92 with 512, at 0.6 ms.
_GRAPH_BREADTH = 512
# Source: Qdrant documentation, Indexing, "Vector Index": the engine's defaults.
_GRAPH_EDGES = 16
_GRAPH_CANDIDATES = 100
_SCAN_BELOW_KILOBYTES = 10_000
_SCAN_ALWAYS = 10_000_000
# Source: measured with 20,000 passage vectors of MiniLM: half the bytes of float32 at the same
# speed, recall@50 .9997 instead of 1, and no score off by more than 7e-5.
_STORED_AS = edge.VectorStorageDatatype.Float16

# True of points without the key as well, as all are that were stored before there were labels.
_UNLABELLED = edge.IsEmptyCondition("access")

_Opened: TypeAlias = Callable[[str, edge.EdgeConfig], edge.EdgeShard]


class Engine:
    """One open shard; every failure of the engine is an ``IndexStateError``."""

    def __init__(self, path: Path, layout: Layout, opened: _Opened) -> None:
        self._path = path
        self._dense = layout.config.dimension is not None
        # Without a log the engine keeps nobody else out.
        self._let_go = weakref.finalize(self, os.close, hold(path))
        try:
            with _failures(path):
                self._shard = opened(str(path), _shard_config(layout))
        except IndexStateError:
            self._let_go()
            raise

    @classmethod
    def create(cls, path: Path, layout: Layout) -> Self:
        """Make an empty shard in an empty directory and open it."""
        return cls(path, layout, _created)

    @classmethod
    def load(cls, path: Path, layout: Layout) -> Self:
        """Open a shard, asking for this layout from the next ``optimize`` on."""
        return cls(path, layout, edge.EdgeShard.load)

    def close(self) -> None:
        """Keep all writes and release the directory."""
        with _failures(self._path):
            self._shard.close()
        self._let_go()

    def optimize(self) -> None:
        """Rewrite segments, and index fields, as is asked for by now; blocks all threads."""
        with _failures(self._path):
            _index_fields(self._shard)
            self._shard.optimize()

    def flush(self) -> None:
        """Make all writes safe against a kill and against power loss."""
        with _failures(self._path):
            self._shard.flush()

    def survey(self) -> Contents:
        """Return what is true of all points."""
        request = edge.FacetRequest("tenant", limit=2, exact=True)
        opaque = edge.CountRequest(exact=True, filter=edge.Filter(must=[_match("opaque", "yes")]))
        waiting = edge.CountRequest(
            exact=True, filter=edge.Filter(must_not=[edge.HasVectorCondition("dense")])
        )
        labelled = edge.CountRequest(exact=True, filter=edge.Filter(must_not=[_UNLABELLED]))
        with _failures(self._path):
            tenants = [str(hit.value) for hit in self._shard.facet(request).hits]
            sole_tenant = tenants[0] if len(tenants) == 1 else None
            return Contents(
                sole_tenant,
                opaque_ids=self._shard.count(opaque) > 0,
                unembedded=self._dense and self._shard.count(waiting) > 0,
                labelled=self._shard.count(labelled) > 0,
            )

    def search(
        self, query: SearchQuery, probes: Sequence[int], contents: Contents
    ) -> tuple[SearchHits, dict[int, float | None]]:
        """Return both legs' rankings with an empty ``idf``, and the IDF of the probed terms."""
        legs = _leg_requests(query, contents)
        corpus = _corpus(query.where, contents)
        requests = [*legs.values(), *(_idf_request(term, corpus) for term in probes)]
        with _failures(self._path):
            found = self._shard.query_batch(edge.QueryBatchRequest(requests)) if requests else []
        mask = None if contents.opaque_ids else tenant_mask(query.where.tenant)
        results = dict(zip(legs, found, strict=False))
        dense, sparse = results.get("dense", ()), results.get("bm25", ())
        told = contents.unembedded and "dense" in legs
        hits = SearchHits(
            dense=_ranking(dense, mask),
            sparse=_ranking(sparse, mask),
            idf={},
            unembedded=_unembedded(sparse, mask) if told else frozenset(),
        )
        return hits, dict(zip(probes, map(_idf_of, probes, found[len(legs) :]), strict=True))

    def fetch(self, tenant: str, ids: Sequence[UUID]) -> dict[UUID, StoredChunk]:
        """Return the chunks of one tenant by the UUID of their point."""
        with _failures(self._path):
            records = self._shard.retrieve(list(ids), True, False)
            return {
                _uuid(record.id): from_payload(record.payload)
                for record in records
                # An id made up for the purpose can reach a point of another tenant.
                if record.payload and record.payload["tenant"] == tenant
            }

    def points(self, tenant: str, ids: Sequence[UUID]) -> list[Point]:
        """Return points of one tenant as they are stored, vectors and all, in any order."""
        with _failures(self._path):
            records = self._shard.retrieve(list(ids), True, True)
        theirs = [r for r in records if r.payload and r.payload["tenant"] == tenant]
        return [from_stored(record.payload or {}, record.vector) for record in theirs]

    def count(self, where: Filter | None = None) -> int:
        """Return the exact number of chunks within ``where``, or of all."""
        request = edge.CountRequest(exact=True, filter=_filter(where) if where else None)
        with _failures(self._path):
            return self._shard.count(request)

    def upsert(self, points: Sequence[Point]) -> None:
        """Store points; no two may have the same id."""
        with _failures(self._path):
            batch = [_edge_point(point) for point in points]
            self._shard.update(edge.UpdateOperation.upsert_points(batch))

    def delete(self, tenant: str, ids: Sequence[UUID]) -> None:
        """Remove points of one tenant."""
        theirs = edge.Filter(must=[_match("tenant", tenant), edge.HasIdCondition({*ids})])
        with _failures(self._path):
            self._shard.update(edge.UpdateOperation.delete_points_by_filter(theirs))


@contextmanager
def _failures(path: Path) -> Iterator[None]:
    try:
        yield
    except (IndexStateError, ValueRangeError):
        raise
    except BaseException as exc:
        # A panic of the engine, such as over a truncated file, is no Exception.
        if not isinstance(exc, Exception) and type(exc).__name__ != "PanicException":
            raise
        full = any(said in str(exc) for said in ("No space left", "File too large"))
        usual = "close the other process that has it open, or rebuild the index"
        remedy = "free disk space" if full else usual
        raise IndexStateError(f"index engine failed at {path}", exc, remedy) from exc


def _created(path: str, config: edge.EdgeConfig) -> edge.EdgeShard:
    shard = edge.EdgeShard.create(path, config)
    _index_fields(shard)
    return shard


def _shard_config(layout: Layout) -> edge.EdgeConfig:
    sparse = {"bm25": edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)}
    # One search thread: with more processes than one, the engine's own pool halves throughput.
    # No write-ahead log: whoever writes publishes a copy after commit or throws it away, so all
    # that the log does is double the size of each copy.
    if layout.config.dimension is None:
        return edge.EdgeConfig(
            sparse_vectors=sparse,
            payload_memory=edge.Memory.Cached,
            max_search_threads=1,
            wal_enabled=False,
        )
    dense = edge.EdgeVectorParams(
        size=layout.config.dimension, distance=edge.Distance.Cosine, datatype=_STORED_AS
    )
    return edge.EdgeConfig(
        vectors={"dense": dense},
        sparse_vectors=sparse,
        quantization_config=edge.TurboQuantQuantizationConfig(
            bits=edge.TurboQuantBitSize.Bits4, memory=edge.Memory.Pinned
        ),
        hnsw_config=edge.HnswIndexConfig(
            m=_GRAPH_EDGES if layout.graph else 0,
            ef_construct=_GRAPH_CANDIDATES,
            full_scan_threshold=_SCAN_BELOW_KILOBYTES if layout.graph else _SCAN_ALWAYS,
        ),
        payload_memory=edge.Memory.Cached,
        max_search_threads=1,
        wal_enabled=False,
    )


def _index_fields(shard: edge.EdgeShard) -> None:
    """Index the fields that filters look at; those that are indexed stay as they are."""
    # Graph links of their own would multiply the building time by the number of these fields.
    plain = edge.KeywordIndexParams(enable_hnsw=False)
    fields: list[tuple[str, edge.PayloadSchemaParams]] = [
        ("tenant", edge.KeywordIndexParams(is_tenant=True)),
        *((name, plain) for name in ("documents", "tags", "access", "opaque")),
        ("at", edge.DatetimeIndexParams(enable_hnsw=False)),
    ]
    for field, params in fields:
        shard.update(edge.UpdateOperation.create_field_index(field, params))


def _edge_point(point: Point) -> edge.Point:
    vectors: dict[str, list[float] | edge.SparseVector] = {"bm25": _edge_sparse(point.sparse)}
    if point.vectors is not None:
        vectors["dense"] = point.vectors.passage.tolist()
    key = point_id(point.tenant, point.chunk.id)
    return edge.Point(key, vectors, to_payload(point))  # type: ignore[arg-type] # invariant dict


def _edge_sparse(sparse: SparseVector) -> edge.SparseVector:
    return edge.SparseVector(indices=list(sparse.indices), values=list(sparse.values))


def _match(key: str, value: str) -> edge.FieldCondition:
    return edge.FieldCondition(key=key, match=edge.MatchValue(value=value))


def _filter(where: Filter, contents: Contents | None = None) -> edge.Filter | None:
    must: list[edge.ConditionType] = [_match("tags", tag) for tag in where.tags]
    if contents is None or where.tenant != contents.sole_tenant:
        must.append(_match("tenant", where.tenant))
    if where.labels is not None and (contents is None or contents.labelled):
        must.append(_readable(where.labels))
    if where.documents:
        any_of = edge.MatchAny(list(where.documents))
        must.append(edge.FieldCondition(key="documents", match=any_of))
    since, until = dates.bounds(where)
    if since or until:
        span = edge.RangeDateTime(
            gte=since.isoformat() if since else None, lte=until.isoformat() if until else None
        )
        must.append(edge.FieldCondition(key="at", range=span))
    return edge.Filter(must=must) if must else None


def _readable(labels: Labels) -> edge.ConditionType:
    held = edge.FieldCondition(key="access", match=edge.MatchAny(list(labels)))
    return edge.Filter(should=[held, _UNLABELLED]) if labels else _UNLABELLED


def _corpus(where: Filter, contents: Contents) -> edge.Filter | None:
    seen = contents.corpus(where)
    return _filter(seen, contents) if seen else None


def _idf_over(corpus: edge.Filter | None) -> edge.SearchParams | None:
    return edge.SearchParams(idf=edge.IdfParams(corpus)) if corpus else None


def _leg_requests(query: SearchQuery, contents: Contents) -> dict[str, edge.QueryRequest]:
    where = _filter(query.where, contents)
    named = ["id"] if contents.opaque_ids else []
    told = ["dim"] if contents.unembedded and query.dense is not None else []
    legs: dict[str, edge.QueryRequest] = {}
    if query.dense is not None:
        rescored = edge.QuantizationSearchParams(rescore=True, oversampling=_OVERSAMPLING)
        legs["dense"] = edge.QueryRequest(
            limit=query.limit,
            query=edge.Query.Nearest(query.dense.tolist(), using="dense"),
            filter=where,
            params=edge.SearchParams(hnsw_ef=_GRAPH_BREADTH, quantization=rescored),
            with_payload=named or False,
        )
    if query.sparse is not None and query.sparse.indices:
        legs["bm25"] = edge.QueryRequest(
            limit=query.limit,
            query=edge.Query.Nearest(_edge_sparse(query.sparse), using="bm25"),
            filter=where,
            params=_idf_over(_corpus(query.where, contents)),
            with_payload=named + told or False,
        )
    return legs


def _idf_request(term: int, corpus: edge.Filter | None) -> edge.QueryRequest:
    alone = edge.SparseVector(indices=[term], values=[1.0])
    return edge.QueryRequest(
        limit=1,
        query=edge.Query.Nearest(alone, using="bm25"),
        filter=corpus,
        params=_idf_over(corpus),
        with_vector=["bm25"],
    )


def _idf_of(term: int, hits: Sequence[edge.ScoredPoint]) -> float | None:
    if not hits or not isinstance(hits[0].vector, dict):
        return None
    sparse = hits[0].vector["bm25"]
    if not isinstance(sparse, edge.SparseVector):
        return None
    return hits[0].score / sparse.values[sparse.indices.index(term)]


def _ranking(found: Sequence[edge.ScoredPoint], mask: int | None) -> tuple[Hit, ...]:
    hits = [Hit(_chunk_id(point, mask), point.score) for point in found]
    return tuple(sorted(hits, key=lambda hit: (-hit.score, hit.chunk_id)))


def _unembedded(found: Sequence[edge.ScoredPoint], mask: int | None) -> frozenset[str]:
    """Return those that were read with ``dim`` and have none."""
    return frozenset(_chunk_id(p, mask) for p in found if not has_vectors(p.payload or {}))


def _uuid(number: object) -> UUID:
    return number if isinstance(number, UUID) else UUID(str(number))


def _chunk_id(point: edge.ScoredPoint, mask: int | None) -> str:
    number = point.id  # a new object on each access
    if mask is None or not isinstance(number, UUID):
        return str((point.payload or {})["id"])
    return chunk_id_of(number, mask)
