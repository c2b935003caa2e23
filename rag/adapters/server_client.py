"""qdrant-client in this project's types: each method is one call within one deadline."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from rag.adapters import server_requests as requests
from rag.adapters.server_calls import Deadline, Health, Retries
from rag.adapters.server_config import ServerConfig
from rag.adapters.server_connection import connect
from rag.adapters.server_failures import classify, vendor_errors
from rag.errors import BackendError, BackendRejectedError
from rag.payload import from_payload, has_vectors
from rag.types import Filter, Hit, Point, SearchHits, SearchQuery, StoredChunk

if TYPE_CHECKING:
    from qdrant_client import QdrantClient, models
    from qdrant_client.grpc import PointId

Result = TypeVar("Result")


class ServerClient:
    """A connection to one collection; failures are ``BackendError`` and its children."""

    def __init__(self, config: ServerConfig, client: QdrantClient | None = None) -> None:
        self._config = config
        self._current = threading.local()
        self._client = client or connect(config, lambda: self._current.deadline)
        health, judge = Health(), partial(classify, secret=config.secret)
        self._reading = Retries(config.attempts, vendor_errors(), judge, health=health)
        # Equal writes leave the same points, so one whose answer was lost is simply repeated.
        self._writing = Retries(None, vendor_errors(), judge, health=health)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def exists(self) -> bool:
        """Return whether the collection is there."""
        return self._read(lambda _: self._client.collection_exists(self._config.collection))

    def create(self) -> None:
        """Make the collection."""
        from qdrant_client import models

        body = models.CreateCollection.model_validate(requests.collection(self._config))
        self._write(
            lambda seconds: self._client.create_collection(
                self._config.collection,
                vectors_config=body.vectors,
                sparse_vectors_config=body.sparse_vectors,
                shard_number=body.shard_number,
                sharding_method=body.sharding_method,
                replication_factor=body.replication_factor,
                write_consistency_factor=body.write_consistency_factor,
                on_disk_payload=body.on_disk_payload,
                hnsw_config=body.hnsw_config,
                quantization_config=body.quantization_config,
                strict_mode_config=body.strict_mode_config,
                timeout=seconds,
            )
        )

    def create_field_indexes(self) -> None:
        """Make the payload indexes; those that are there already stay."""
        from qdrant_client import models

        for field, body in requests.FIELD_INDEXES:
            request = {"field_name": field, "field_schema": body}
            schema = models.CreateFieldIndex.model_validate(request).field_schema
            self._create_field_index(field, schema)

    def dimension(self) -> int | None:
        """Return the size of the collection's dense vectors, None if it has none."""
        info = self._read(lambda _: self._client.get_collection(self._config.collection))
        vectors = info.config.params.vectors
        dense = vectors.get("dense") if isinstance(vectors, dict) else None
        return dense.size if dense else None

    def sharding(self) -> str | None:
        """Return how the collection is spread, ``auto`` or ``custom``; None if that is not told."""
        info = self._read(lambda _: self._client.get_collection(self._config.collection))
        method = info.config.params.sharding_method
        return method.value if method else None

    def status(self) -> str:
        """Return ``green``, ``yellow`` or ``grey`` (still optimizing) or ``red`` (damaged)."""
        info = self._read(lambda _: self._client.get_collection(self._config.collection))
        return info.status.value

    def create_missing_shard_keys(self, keys: Sequence[str]) -> None:
        """Make the shard keys of a collection with custom sharding."""
        for key in sorted({*keys} - self._shard_keys()):
            try:
                self._create_shard_key(key)
            except BackendRejectedError:
                # Another worker may have made it, or this one before an answer that got lost.
                if key not in self._shard_keys():
                    raise

    def search(self, query: SearchQuery) -> SearchHits:
        """Return both legs and the IDF of the query's terms, in one request."""
        from qdrant_client import models

        legs = requests.legs(query, self._config)
        terms = query.sparse.indices if query.sparse and query.weigh_terms else ()
        probes = (requests.idf_probe(term, query.where, self._config) for term in terms)
        bodies = [*legs.values(), *probes]
        if not bodies:
            return SearchHits((), (), {})
        batch = [models.QueryRequest.model_validate(body) for body in bodies]
        name = self._config.collection
        found = self._read(
            lambda seconds: self._client.query_batch_points(name, batch, timeout=seconds)
        )
        if len(found) != len(batch):
            what = f"answers to {len(batch)} searches"
            raise BackendError(what, len(found), "check server_url: this is no Qdrant server")
        rankings = dict(zip(legs, map(_ranking, found), strict=False))
        idf = dict(zip(terms, map(_idf_of, terms, found[len(legs) :]), strict=True))
        return SearchHits(
            dense=rankings.get("dense", ()),
            sparse=rankings.get("bm25", ()),
            idf={term: value for term, value in idf.items() if value is not None},
            unembedded=_unembedded(found[1]) if len(legs) > 1 else frozenset(),
        )

    def fetch(self, tenant: str, ids: Sequence[UUID]) -> dict[UUID, StoredChunk]:
        """Return the chunks of one tenant by the UUID of their point."""
        key = self._config.sharding.key_of(tenant)
        records = self._read(
            lambda seconds: self._client.retrieve(
                self._config.collection,
                [str(point) for point in ids],
                shard_key_selector=key,
                timeout=seconds,
            )
        )
        return {
            UUID(str(record.id)): from_payload(record.payload)
            for record in records
            # An id made up for the purpose can reach a point of another tenant.
            if record.payload and record.payload["tenant"] == tenant
        }

    def count(self, where: Filter) -> int:
        """Return the exact number of chunks within ``where``."""
        from qdrant_client import models

        key = self._config.sharding.key_of(where.tenant)
        condition = models.Filter.model_validate(requests.condition(where))
        answer = self._read(
            lambda seconds: self._client.count(
                self._config.collection,
                condition,
                exact=True,
                shard_key_selector=key,
                timeout=seconds,
            )
        )
        return answer.count

    def stored_ids(self) -> Iterator[tuple[str, UUID]]:
        """Yield tenant and id of all points, of every tenant and shard."""
        page: int | str | UUID | PointId | None = None
        while True:
            records, page = self._page(page)
            for record in records:
                yield str((record.payload or {}).get("tenant", "")), UUID(str(record.id))
            if page is None:
                return

    def _page(
        self, after: int | str | UUID | PointId | None
    ) -> tuple[list[models.Record], int | str | UUID | PointId | None]:
        return self._read(
            lambda seconds: self._client.scroll(
                self._config.collection,
                limit=requests.MAX_LIMIT,
                offset=after,
                with_payload=["tenant"],
                timeout=seconds,
            )
        )

    def upsert(self, tenant: str, points: Sequence[Point]) -> None:
        """Store points of one tenant and wait until they are searchable."""
        from qdrant_client import models

        key = self._config.sharding.key_of(tenant)
        bodies = map(requests.stored_point, points)
        batch = [models.PointStruct.model_validate(body) for body in bodies]
        self._write(
            lambda seconds: self._client.upsert(
                self._config.collection,
                batch,
                wait=True,
                ordering=models.WriteOrdering.MEDIUM,
                shard_key_selector=key,
                timeout=seconds,
            )
        )

    def delete(self, tenant: str, ids: Sequence[UUID]) -> None:
        """Remove points of one tenant and wait until they are gone."""
        from qdrant_client import models

        key = self._config.sharding.key_of(tenant)
        chosen = {"has_id": [str(point) for point in ids]}
        theirs = models.Filter.model_validate({"must": [requests.match("tenant", tenant), chosen]})
        self._write(
            lambda seconds: self._client.delete(
                self._config.collection,
                models.FilterSelector(filter=theirs),
                wait=True,
                ordering=models.WriteOrdering.MEDIUM,
                shard_key_selector=key,
                timeout=seconds,
            )
        )

    def _shard_keys(self) -> set[str]:
        name = self._config.collection
        known = self._read(lambda _: self._client.list_shard_keys(name)).shard_keys or []
        return {str(entry.key) for entry in known}

    def _create_shard_key(self, key: str) -> None:
        name, sharding = self._config.collection, self._config.sharding
        self._write(
            lambda _: self._client.create_shard_key(
                name, key, sharding.shard_number, sharding.replication_factor
            )
        )

    def _create_field_index(self, field: str, schema: models.PayloadFieldSchema | None) -> None:
        self._write(
            lambda seconds: self._client.create_payload_index(
                self._config.collection, field, field_schema=schema, timeout=seconds
            )
        )

    def _read(self, operation: Callable[[int], Result]) -> Result:
        return self._within(self._config.timeout_seconds, self._reading, operation)

    def _write(self, operation: Callable[[int], Result]) -> Result:
        return self._within(self._config.write_timeout_seconds, self._writing, operation)

    def _within(
        self, seconds: float, retries: Retries, operation: Callable[[int], Result]
    ) -> Result:
        deadline = Deadline(seconds)
        self._current.deadline = deadline
        # The server takes whole seconds, so it may give up a little after we do.
        return retries.run(lambda: operation(max(1, math.ceil(deadline.remaining()))), deadline)


def _idf_of(term: int, found: models.QueryResponse) -> float | None:
    from qdrant_client import models

    if not found.points:
        return None
    best = found.points[0]
    sparse = best.vector.get("bm25") if isinstance(best.vector, dict) else None
    if not isinstance(sparse, models.SparseVector) or term not in sparse.indices:
        return None
    return best.score / sparse.values[sparse.indices.index(term)]


def _unembedded(sparse: models.QueryResponse) -> frozenset[str]:
    payloads = [point.payload or {} for point in sparse.points]
    return frozenset(payload["id"] for payload in payloads if not has_vectors(payload))


def _ranking(found: models.QueryResponse) -> tuple[Hit, ...]:
    hits = [Hit((point.payload or {})["id"], point.score) for point in found.points]
    return tuple(sorted(hits, key=lambda hit: (-hit.score, hit.chunk_id)))
