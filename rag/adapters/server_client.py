"""qdrant-client in this project's types: each method is one call within one deadline."""

from __future__ import annotations

import math
import ssl
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from rag.adapters import server_requests as requests
from rag.adapters.server_calls import Deadline, Failure, Retries
from rag.adapters.server_config import ServerConfig
from rag.errors import BackendError, BackendRejectedError, BackendTimeoutError
from rag.payload import from_payload, has_vectors
from rag.types import Filter, Hit, Point, SearchHits, SearchQuery, StoredChunk

if TYPE_CHECKING:
    import httpx
    from qdrant_client import QdrantClient, models

Result = TypeVar("Result")

_CLOCK_SLACK_SECONDS = 0.01


class ServerClient:
    """A connection to one collection; failures are ``BackendError`` and its children."""

    def __init__(self, config: ServerConfig, client: QdrantClient | None = None) -> None:
        self._config = config
        self._current = threading.local()
        self._client = client or _connect(config, self._keep_deadline)
        self._retries = Retries(config.attempts, _vendor_errors(), _classify)

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

    def status(self) -> str:
        """Return ``green``, ``yellow`` or ``grey`` (still optimizing) or ``red`` (damaged)."""
        info = self._read(lambda _: self._client.get_collection(self._config.collection))
        return info.status.value

    def create_missing_shard_keys(self, keys: Sequence[str]) -> None:
        """Make the shard keys of a collection with custom sharding."""
        name, sharding = self._config.collection, self._config.sharding
        known = self._read(lambda _: self._client.list_shard_keys(name)).shard_keys or []
        for key in sorted({*keys} - {str(entry.key) for entry in known}):
            self._write(
                lambda _, key=key: self._client.create_shard_key(  # type: ignore[misc] # mypy 4964
                    name, key, sharding.shard_number, sharding.replication_factor
                )
            )

    def search(self, query: SearchQuery) -> SearchHits:
        """Return both legs and the IDF of the query's terms, in one request."""
        from qdrant_client import models

        legs = requests.legs(query, self._config)
        terms = query.sparse.indices if query.sparse and query.weigh_terms else ()
        key = self._config.sharding.key_of(query.where.tenant)
        bodies = [*legs.values(), *(requests.idf_probe(term, key) for term in terms)]
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

    def _create_field_index(self, field: str, schema: models.PayloadFieldSchema | None) -> None:
        self._write(
            lambda seconds: self._client.create_payload_index(
                self._config.collection, field, field_schema=schema, timeout=seconds
            )
        )

    def _read(self, operation: Callable[[int], Result]) -> Result:
        return self._within(self._config.timeout_seconds, operation)

    def _write(self, operation: Callable[[int], Result]) -> Result:
        return self._within(self._config.write_timeout_seconds, operation)

    def _within(self, seconds: float, operation: Callable[[int], Result]) -> Result:
        deadline = Deadline(seconds)
        self._current.deadline = deadline
        # The server takes whole seconds, so it may give up a little after we do.
        return self._retries.run(
            lambda: operation(max(1, math.ceil(deadline.remaining()))), deadline
        )

    def _keep_deadline(
        self, request: httpx.Request, send: Callable[[httpx.Request], httpx.Response]
    ) -> httpx.Response:
        # qdrant-client knows whole seconds only, and per attempt instead of per call.
        left = max(self._current.deadline.remaining(), 0.001)
        steps = dict.fromkeys(("connect", "read", "write", "pool"), left)
        request.extensions = {**request.extensions, "timeout": steps}
        return send(request)


def _connect(
    config: ServerConfig,
    middleware: Callable[
        [httpx.Request, Callable[[httpx.Request], httpx.Response]], httpx.Response
    ],
) -> QdrantClient:
    from qdrant_client import QdrantClient

    context = ssl.create_default_context(cafile=str(config.ca_file) if config.ca_file else None)
    client = QdrantClient(
        url=config.url,
        headers=config.headers(),
        timeout=math.ceil(config.write_timeout_seconds),
        check_compatibility=False,
        verify=context,
    )
    client.http.client.add_middleware(middleware)
    return client


def _vendor_errors() -> tuple[type[Exception], ...]:
    from qdrant_client.common.client_exceptions import QdrantException
    from qdrant_client.http.exceptions import ApiException

    # An answer that is no JSON is a ValueError here, one without a result an AssertionError.
    return ApiException, QdrantException, ValueError, AssertionError


def _classify(exc: Exception, deadline: Deadline) -> Failure:
    from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
    from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

    if isinstance(exc, ResourceExhaustedResponse):
        busy = BackendError("Qdrant is busy", f"retry in {exc.retry_after_s} s", "ask less often")
        return Failure(busy, retryable=True, wait_seconds=float(exc.retry_after_s))
    if isinstance(exc, UnexpectedResponse):
        return _classify_status(exc.status_code or 0, str(exc))
    if isinstance(exc, ResponseHandlingException) and not isinstance(exc.source, ValueError):
        # Every step may take what is left of the deadline: whatever used it up timed out.
        if deadline.remaining() < _CLOCK_SLACK_SECONDS:
            return Failure(_timeout(type(exc.source).__name__), retryable=False)
        lost = BackendError(
            "no connection to Qdrant", exc.source, "check server_url and the server"
        )
        return Failure(lost, retryable=True)
    strange = BackendError("Qdrant's answer cannot be read", repr(exc)[:200], "check server_url")
    return Failure(strange, retryable=False)


def _classify_status(status: int, message: str) -> Failure:
    if status in (408, 504):
        return Failure(_timeout(message), retryable=True)
    if status == 429:
        busy = BackendError("Qdrant is busy", message, "ask less often, or raise its rate limit")
        return Failure(busy, retryable=True)
    if 400 <= status < 500:
        refused = BackendRejectedError("Qdrant refused the request", message, "check the settings")
        return Failure(refused, retryable=False)
    return Failure(BackendError("Qdrant failed", message, "look at its log"), retryable=True)


def _timeout(detail: str) -> BackendTimeoutError:
    remedy = "raise server_timeout_seconds or relieve the server"
    return BackendTimeoutError("Qdrant did not answer in time", detail, remedy)


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
