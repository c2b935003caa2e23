"""What is sent to a Qdrant server, as the JSON of its REST API, version 1.20."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

from rag import dates
from rag.adapters.server_config import ServerConfig
from rag.labels import Labels
from rag.payload import point_id, to_payload
from rag.types import Filter, Point, SearchQuery, SparseVector

Json: TypeAlias = dict[str, Any]

MAX_LIMIT = 1_000
# Source: as for the embedded index, which runs the same engine.
_OVERSAMPLING = 3.0
_GRAPH_BREADTH = 512
# Source: Qdrant documentation, Multitenancy: no global graph, 16 links within each tenant.
_TENANT_LINKS = 16
# Source: Qdrant documentation, Quantization, "Setting up Scalar Quantization".
_QUANTILE = 0.99

_PLAIN_KEYWORD: Json = {"type": "keyword", "enable_hnsw": False}
FIELD_INDEXES: tuple[tuple[str, Json], ...] = (
    ("tenant", {"type": "keyword", "is_tenant": True}),
    ("documents", _PLAIN_KEYWORD),
    ("tags", _PLAIN_KEYWORD),
    ("access", _PLAIN_KEYWORD),
    ("at", {"type": "datetime", "enable_hnsw": False}),
)


def collection(config: ServerConfig) -> Json:
    """Return the body that creates the collection."""
    sharding = config.sharding
    dense = {"size": config.dimension, "distance": "Cosine", "on_disk": config.on_disk}
    return {
        "vectors": {"dense": dense} if config.dimension else {},
        "sparse_vectors": {"bm25": {"modifier": "idf"}},
        "shard_number": sharding.shard_number,
        "sharding_method": sharding.method,
        "replication_factor": sharding.replication_factor,
        "write_consistency_factor": sharding.write_consistency_factor,
        "on_disk_payload": config.on_disk,
        "hnsw_config": {"m": 0, "payload_m": _TENANT_LINKS},
        "quantization_config": _quantization(config),
        "strict_mode_config": _strict_mode(config),
    }


def condition(where: Filter) -> Json:
    """Return the filter for ``where``.

    Raises:
        ValueRangeError: A date bound is not ISO 8601.
    """
    must = [match("tenant", where.tenant), *(match("tags", tag) for tag in where.tags)]
    if where.labels is not None:
        must.append(_readable(where.labels))
    if where.documents:
        must.append({"key": "documents", "match": {"any": list(where.documents)}})
    since, until = dates.bounds(where)
    if since or until:
        edges = {"gte": since, "lte": until}
        span = {name: edge.isoformat() for name, edge in edges.items() if edge}
        must.append({"key": "at", "range": span})
    return {"must": must}


def _readable(labels: Labels) -> Json:
    # Points stored before there were labels have no such key: they are empty too.
    unlabelled: Json = {"is_empty": {"key": "access"}}
    held: Json = {"key": "access", "match": {"any": list(labels)}}
    return {"should": [held, unlabelled]} if labels else unlabelled


def _corpus(where: Filter, config: ServerConfig) -> Json | None:
    """Return the filter for all that whoever asks may see, None where the shard holds no more."""
    if where.labels is None and config.sharding.is_alone(where.tenant):
        return None
    return condition(Filter(where.tenant, labels=where.labels))


def _idf_over(corpus: Json | None) -> Json | None:
    return {"idf": {"corpus": corpus}} if corpus else None


def match(key: str, value: str) -> Json:
    """Return the condition that a field holds a value."""
    return {"key": key, "match": {"value": value}}


def legs(query: SearchQuery, config: ServerConfig) -> dict[str, Json]:
    """Return the request of each leg by the name of its vector.

    Raises:
        ValueRangeError: A date bound is not ISO 8601.
    """
    common = {
        "filter": condition(query.where),
        "limit": query.limit,
        "with_payload": ["id"],
        "shard_key": config.sharding.key_of(query.where.tenant),
    }
    requests: dict[str, Json] = {}
    if query.dense is not None:
        params: Json = {"hnsw_ef": _GRAPH_BREADTH}
        if config.quantization != "none":
            params["quantization"] = {"rescore": True, "oversampling": _OVERSAMPLING}
        vector = query.dense.tolist()
        requests["dense"] = {"query": vector, "using": "dense", "params": params, **common}
    if query.sparse is not None and query.sparse.indices:
        corpus = _corpus(query.where, config)
        requests["bm25"] = {
            "query": _sparse(query.sparse),
            "using": "bm25",
            "params": _idf_over(corpus),
            **common,
        }
        if query.dense is not None:
            requests["bm25"]["with_payload"] = ["id", "dim"]  # "dim" tells that it has a vector
    return requests


def idf_probe(term: int, where: Filter, config: ServerConfig) -> Json:
    """Return the request for the best chunk of one term, with its stored weights.

    Only among what whoever asks may see, and with the IDF of that.
    """
    corpus = _corpus(where, config)
    return {
        "query": {"indices": [term], "values": [1.0]},
        "using": "bm25",
        "filter": corpus,
        "params": _idf_over(corpus),
        "limit": 1,
        "with_vector": ["bm25"],
        "shard_key": config.sharding.key_of(where.tenant),
    }


def stored_point(point: Point) -> Json:
    """Return what is stored for a point."""
    vectors: Json = {"bm25": _sparse(point.sparse)}
    if point.vectors is not None:
        vectors["dense"] = point.vectors.passage.tolist()
    key = str(point_id(point.tenant, point.chunk.id))
    return {"id": key, "vector": vectors, "payload": to_payload(point)}


def _sparse(sparse: SparseVector) -> Json:
    return {"indices": list(sparse.indices), "values": list(sparse.values)}


def _quantization(config: ServerConfig) -> Json | None:
    if config.quantization == "none" or config.dimension is None:
        return None
    if config.quantization == "turbo4":
        return {"turbo": {"bits": "bits4", "memory": "pinned"}}
    return {"scalar": {"type": "int8", "quantile": _QUANTILE, "memory": "pinned"}}


def _strict_mode(config: ServerConfig) -> Json | None:
    if not config.strict_mode:
        return None
    return {
        "enabled": True,
        "max_query_limit": MAX_LIMIT,
        "max_timeout": math.ceil(max(config.timeout_seconds, config.write_timeout_seconds)),
        "unindexed_filtering_retrieve": False,
        "unindexed_filtering_update": False,
        "search_allow_exact": False,
        "upsert_max_batchsize": config.batch_size,
    }
