"""The index on a Qdrant server or cluster: one collection, tenants apart by payload and shard.

Scores of different shards are not exactly comparable: every shard weighs terms with its own
document frequencies. Writes are confirmed by the server before a call returns and may be repeated,
since equal chunks have equal point ids.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Self
from uuid import UUID

from rag.adapters.server_calls import Deadline
from rag.adapters.server_client import ServerClient
from rag.adapters.server_config import ServerConfig
from rag.adapters.server_requests import MAX_LIMIT
from rag.errors import (
    BackendError,
    BackendRejectedError,
    BackendTimeoutError,
    IndexStateError,
    ValueRangeError,
)
from rag.payload import check_dense, check_points, point_id
from rag.types import Filter, Point, SearchHits, SearchQuery, StoredChunk

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

_POLL_SECONDS = 0.5


class QdrantServerIndex:
    """An index over chunks in one collection; reader and writer in one object.

    Every method raises ``BackendTimeoutError`` past its deadline, ``BackendRejectedError`` when
    the server refuses and ``BackendError`` when it fails or cannot be reached.
    """

    def __init__(
        self,
        config: ServerConfig,
        client: QdrantClient | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._config = config
        self._server = ServerClient(config, client)
        self._sleep = sleep

    def close(self) -> None:
        """Close the connections."""
        self._server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ensure_collection(self) -> None:
        """Make the collection, its shard keys and payload indexes where they are missing.

        Raises:
            IndexStateError: The collection is there with another dimension or sharding.
            BackendError: The server failed, refused, or did not answer in time.
        """
        if not self._server.exists():
            self._create()
        dimension = self._server.dimension()
        if dimension != self._config.dimension:
            remedy = f"use another collection or the embedder of {dimension} dimensions"
            raise IndexStateError("collection of another dimension", dimension, remedy)
        sharding = self._config.sharding
        spread = self._server.sharding()
        if spread not in (None, sharding.method):
            remedy = "use another collection: a server cannot change that of one that is there"
            raise IndexStateError("collection is sharded in another way", spread, remedy)
        if sharding.method == "custom":
            keys = (sharding.shared_key, *sharding.own_shard_tenants)
            self._server.create_missing_shard_keys(keys)
        self._server.create_field_indexes()

    def check(self) -> None:
        """Ask the server about the collection, to learn early that it cannot be reached.

        One that was made before a field got its index gets that.

        Raises:
            BackendError: The server failed, refused, or did not answer in time.
        """
        if self._server.exists():
            self._server.create_field_indexes()

    def search(self, query: SearchQuery) -> SearchHits:
        """Return both legs' best ``query.limit`` chunks within ``query.where``.

        Raises:
            ValueRangeError: The limit is not 1 to 1000, or vector or dates do not fit.
            BackendError: The server failed, refused, or did not answer in time.
        """
        if not 1 <= query.limit <= MAX_LIMIT:
            raise ValueRangeError("search limit", query.limit, f"use 1 to {MAX_LIMIT}")
        check_dense(query.dense, self._config.dimension)
        return self._server.search(query)

    def fetch(self, tenant: str, chunk_ids: Sequence[str]) -> tuple[StoredChunk, ...]:
        """Return the chunks of one tenant in the order asked for; unknown ids are left out.

        Raises:
            BackendError: The server failed, refused, or did not answer in time.
        """
        ids = [point_id(tenant, chunk_id) for chunk_id in chunk_ids]
        stored = self._server.fetch(tenant, list(dict.fromkeys(ids))) if ids else {}
        return tuple(stored[key] for key in ids if key in stored)

    def count(self, where: Filter) -> int:
        """Return the exact number of chunks within ``where``.

        Raises:
            ValueRangeError: A date bound is not ISO 8601.
            BackendError: The server failed, refused, or did not answer in time.
        """
        return self._server.count(where)

    def upsert(self, points: Sequence[Point]) -> None:
        """Store points by ``chunk.id``, replacing what had the same id; returns when confirmed.

        Raises:
            ValueRangeError: A point does not fit the index; then none is stored.
            BackendError: The server failed, refused, or did not answer in time; batches before
                the failing one are stored.
        """
        check_points(points, self._config.dimension)
        latest: defaultdict[str, dict[str, Point]] = defaultdict(dict)
        for point in points:
            latest[point.tenant][point.chunk.id] = point
        size = self._config.batch_size
        for tenant, by_id in latest.items():
            theirs = list(by_id.values())
            for start in range(0, len(theirs), size):
                self._server.upsert(tenant, theirs[start : start + size])

    def delete(self, tenant: str, chunk_ids: Sequence[str]) -> None:
        """Remove chunks of one tenant by id; unknown ids are ignored.

        Raises:
            BackendError: The server failed, refused, or did not answer in time.
        """
        self.discard(tenant, [point_id(tenant, chunk_id) for chunk_id in chunk_ids])

    def stored_ids(self) -> Iterator[tuple[str, UUID]]:
        """Yield tenant and id of all points there are, whoever wrote them.

        Raises:
            BackendError: The server failed, refused, or did not answer in time.
        """
        return self._server.stored_ids()

    def discard(self, tenant: str, ids: Sequence[UUID]) -> None:
        """Remove points of one tenant by the ids that ``stored_ids`` gave.

        Raises:
            BackendError: The server failed, refused, or did not answer in time.
        """
        size = self._config.batch_size
        for start in range(0, len(ids), size):
            self._server.delete(tenant, ids[start : start + size])

    def commit(self) -> None:
        """Wait until the server has optimized what was written; it was durable before.

        Raises:
            BackendTimeoutError: The optimizer has not finished within ``commit_timeout_seconds``.
            BackendError: The collection is damaged, or the server cannot be reached.
        """
        deadline = Deadline(self._config.commit_timeout_seconds)
        while (status := self._server.status()) != "green":
            if status == "red":
                raise BackendError("collection status", status, "look at the server's log")
            if deadline.remaining() < _POLL_SECONDS:
                remedy = "wait until the server has optimized, then run again"
                raise BackendTimeoutError("collection status", status, remedy)
            self._sleep(_POLL_SECONDS)

    def _create(self) -> None:
        try:
            self._server.create()
        except BackendRejectedError:
            # Another worker may have made it in the meantime.
            if not self._server.exists():
                raise
