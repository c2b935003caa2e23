"""What goes over the wire to a Qdrant server."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rag.adapters.server_config import ServerConfig, Sharding
from rag.adapters.server_index import QdrantServerIndex
from rag.errors import (
    BackendError,
    BackendTimeoutError,
    IndexStateError,
    SettingsError,
    ValueRangeError,
)
from rag.payload import point_id, to_payload
from rag.types import (
    Chunk,
    Filter,
    PassageVectors,
    Point,
    SearchQuery,
    SparseVector,
)

Connect = Callable[..., QdrantServerIndex]
WHERE = Filter("a")
CUSTOM = Sharding(method="custom", own_shard_tenants=("big",), shard_number=2, replication_factor=3)


def point(number: int, tenant: str = "a") -> Point:
    chunk = Chunk(f"{number:032x}", "d", "T", "text", 0, 4, 1, ())
    vectors = PassageVectors(np.eye(4, dtype=np.float32)[0], np.zeros((0, 4), np.float32))
    return Point(tenant, chunk, SparseVector((1, 2), (0.5, 1.5)), vectors)


def ask(**fields: Any) -> SearchQuery:
    values = {
        "where": WHERE,
        "sparse": SparseVector((1, 7), (1.0, 2.0)),
        "dense": np.eye(4, dtype=np.float32)[1],
        "limit": 5,
    }
    return SearchQuery(**(values | fields))


def searches(qdrant: Any) -> list[dict[str, Any]]:
    (request,) = qdrant.asked("POST", "/points/query/batch")
    bodies: list[dict[str, Any]] = request.body["searches"]
    return bodies


def test_the_collection_is_made_as_configured(qdrant: Any, connect: Connect) -> None:
    sharding = Sharding(shard_number=6, replication_factor=3, write_consistency_factor=2)
    connect(sharding=sharding, on_disk=True, batch_size=100).ensure_collection()
    (made,) = qdrant.asked("PUT", "/collections/c")
    assert made.body["vectors"] == {"dense": {"size": 4, "distance": "Cosine", "on_disk": True}}
    assert made.body["sparse_vectors"] == {"bm25": {"modifier": "idf"}}
    assert made.body["shard_number"] == 6
    assert made.body["replication_factor"] == 3
    assert made.body["write_consistency_factor"] == 2
    assert made.body["sharding_method"] == "auto"
    assert made.body["on_disk_payload"] is True
    assert made.body["hnsw_config"] == {"m": 0, "payload_m": 16}
    assert made.body["quantization_config"] == {"turbo": {"bits": "bits4", "memory": "pinned"}}
    strict = made.body["strict_mode_config"]
    assert strict["enabled"] is True
    assert strict["upsert_max_batchsize"] == 100
    assert strict["unindexed_filtering_retrieve"] is False
    assert strict["unindexed_filtering_update"] is False
    assert strict["search_allow_exact"] is False
    assert made.query["timeout"] == "60"
    assert not qdrant.asked("PUT", "/shards")


def test_the_fields_that_filters_use_are_indexed(qdrant: Any, connect: Connect) -> None:
    connect().ensure_collection()
    made = {r.body["field_name"]: r.body["field_schema"] for r in qdrant.asked("PUT", "/index")}
    assert made["tenant"] == {"type": "keyword", "is_tenant": True}
    assert made["documents"] == made["tags"] == {"type": "keyword", "enable_hnsw": False}
    assert made["at"] == {"type": "datetime", "enable_hnsw": False}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"quantization": "none"}, None),
        (
            {"quantization": "int8"},
            {"scalar": {"type": "int8", "quantile": 0.99, "memory": "pinned"}},
        ),
    ],
)
def test_quantization_can_be_chosen(
    qdrant: Any, connect: Connect, fields: dict[str, Any], expected: Any
) -> None:
    index = connect(strict_mode=False, **fields)
    index.ensure_collection()
    (made,) = qdrant.asked("PUT", "/collections/c")
    assert made.body.get("quantization_config") == expected
    assert made.body.get("strict_mode_config") is None
    index.search(ask(sparse=None))
    assert ("quantization" in searches(qdrant)[0]["params"]) == (expected is not None)


def test_the_lexical_tier_makes_no_dense_vectors(qdrant: Any, connect: Connect) -> None:
    qdrant.dimension = None
    connect(dimension=None).ensure_collection()
    (made,) = qdrant.asked("PUT", "/collections/c")
    assert made.body["vectors"] == {}
    assert made.body.get("quantization_config") is None


def test_an_existing_collection_is_kept(qdrant: Any, connect: Connect) -> None:
    qdrant.existing = True
    connect().ensure_collection()
    assert not qdrant.asked("PUT", "/collections/c")
    assert qdrant.asked("PUT", "/index")


def test_a_collection_made_by_somebody_else_meanwhile_is_taken(
    qdrant: Any, connect: Connect
) -> None:
    qdrant.replies = [
        qdrant.result({"exists": False}),
        qdrant.error(409),
        qdrant.result({"exists": True}),
    ]
    connect().ensure_collection()
    assert len(qdrant.asked("PUT", "/index")) == 5


def test_a_collection_of_another_dimension_is_refused(qdrant: Any, connect: Connect) -> None:
    qdrant.existing, qdrant.dimension = True, 768
    with pytest.raises(IndexStateError, match="768"):
        connect().ensure_collection()


def test_custom_sharding_makes_the_missing_keys(qdrant: Any, connect: Connect) -> None:
    qdrant.shard_keys = ["shared"]
    connect(sharding=CUSTOM).ensure_collection()
    assert qdrant.asked("PUT", "/collections/c")[0].body["sharding_method"] == "custom"
    (made,) = qdrant.asked("PUT", "/shards")
    assert made.body == {"shard_key": "big", "shards_number": 2, "replication_factor": 3}


@pytest.mark.parametrize(("tenant", "key"), [("big", "big"), ("small", "shared")])
def test_every_call_names_the_shard_key_of_its_tenant(
    qdrant: Any, connect: Connect, tenant: str, key: str
) -> None:
    index = connect(sharding=CUSTOM)
    index.search(ask(where=Filter(tenant)))
    index.fetch(tenant, ["0" * 32])
    index.count(Filter(tenant))
    index.upsert([point(1, tenant)])
    index.delete(tenant, ["0" * 32])
    assert [search["shard_key"] for search in searches(qdrant)] == [key] * 4
    others = [r for r in qdrant.requests if not r.path.endswith("/batch")]
    assert [request.body["shard_key"] for request in others] == [key] * 4


def test_both_legs_and_the_idf_travel_in_one_request(qdrant: Any, connect: Connect) -> None:
    mine = {"points": [{"id": str(point_id("a", "x")), "version": 1, "score": 0.9}]}
    mine["points"][0]["payload"] = {"id": "x"}
    stored = {"bm25": {"indices": [1, 5], "values": [0.5, 2.0]}}
    held = {"points": [{"id": 1, "version": 1, "score": 1.5, "vector": stored}]}
    qdrant.replies = [qdrant.result([mine, {"points": []}, held, {"points": []}])]
    hits = connect(api_key="secret").search(ask())
    assert [(hit.chunk_id, hit.score) for hit in hits.dense] == [("x", 0.9)]
    assert hits.sparse == ()
    assert hits.idf == {1: 3.0}
    dense, sparse, first, second = searches(qdrant)
    assert dense["query"] == {"nearest": [0, 1, 0, 0]}
    rescored = {"rescore": True, "oversampling": 3.0}
    assert dense["params"] == {"hnsw_ef": 512, "quantization": rescored}
    assert sparse["query"] == {"nearest": {"indices": [1, 7], "values": [1.0, 2.0]}}
    tenant_only = {"must": [{"key": "tenant", "match": {"value": "a"}}]}
    for leg, read in ((dense, ["id"]), (sparse, ["id", "dim"])):
        assert leg["filter"] == tenant_only
        assert leg["limit"] == 5
        assert leg["with_payload"] == read
    assert [probe["query"]["nearest"]["indices"] for probe in (first, second)] == [[1], [7]]
    for leg in (sparse, first, second):
        assert leg["params"] == {"idf": {"corpus": tenant_only}}
    assert first["filter"] == second["filter"] == tenant_only
    assert qdrant.requests[0].headers["api-key"] == "secret"


def test_a_filter_is_sent_whole(qdrant: Any, connect: Connect) -> None:
    where = Filter("a", documents=("d", "e"), tags=("x", "y"), since="2024-05", until="2024-05-31")
    assert connect().count(where) == 3
    (request,) = qdrant.requests
    assert request.body["exact"] is True
    assert request.body["filter"]["must"] == [
        {"key": "tenant", "match": {"value": "a"}},
        {"key": "tags", "match": {"value": "x"}},
        {"key": "tags", "match": {"value": "y"}},
        {"key": "documents", "match": {"any": ["d", "e"]}},
        {
            "key": "at",
            "range": {"gte": "2024-05-01T00:00:00Z", "lte": "2024-05-31T23:59:59.999999Z"},
        },
    ]


@pytest.mark.parametrize(
    ("labels", "condition"),
    [
        ((), {"is_empty": {"key": "access"}}),
        (
            ("board", "hr"),
            {
                "should": [
                    {"key": "access", "match": {"any": ["board", "hr"]}},
                    {"is_empty": {"key": "access"}},
                ]
            },
        ),
    ],
)
def test_labels_are_sent_with_legs_counts_and_the_corpus_of_idf(
    qdrant: Any, connect: Connect, labels: tuple[str, ...], condition: dict[str, Any]
) -> None:
    seen = {"must": [{"key": "tenant", "match": {"value": "a"}}, condition]}
    qdrant.replies = [qdrant.result([{"points": []}] * 4)]
    question = replace(ask(), where=Filter("a", labels=labels))
    connect().search(question)
    dense, *others = searches(qdrant)
    assert [leg["filter"] for leg in (dense, *others)] == [seen] * 4
    assert [leg["params"]["idf"]["corpus"] for leg in others] == [seen] * 3
    assert "idf" not in dense["params"]
    connect().count(question.where)
    assert qdrant.requests[-1].body["filter"] == seen


def test_a_check_indexes_the_fields_that_a_collection_of_before_lacks(
    qdrant: Any, connect: Connect
) -> None:
    connect().check()
    assert not qdrant.asked("PUT", "/index")
    qdrant.existing = True
    connect().check()
    made = {request.body["field_name"] for request in qdrant.asked("PUT", "/index")}
    assert "access" in made


def test_a_tenant_with_shards_of_its_own_needs_no_corpus(qdrant: Any, connect: Connect) -> None:
    sharding = Sharding(method="custom", own_shard_tenants=("a",))
    for tenant, corpus in (("a", False), ("b", True)):
        qdrant.replies = [qdrant.result([{"points": []}] * 4)]
        connect(sharding=sharding).search(replace(ask(), where=Filter(tenant)))
        _, *others = qdrant.requests[-1].body["searches"]
        assert [leg.get("params") is not None for leg in others] == [corpus] * 3


def test_writes_are_batched_ordered_and_waited_for(qdrant: Any, connect: Connect) -> None:
    connect(batch_size=2).upsert([point(n) for n in range(3)] + [point(1), point(9, "b")])
    batches = qdrant.asked("PUT", "/points")
    sent = [[stored["id"] for stored in batch.body["points"]] for batch in batches]
    keys = [str(point_id("a", f"{n:032x}")) for n in range(3)]
    assert sent == [keys[:2], keys[2:], [str(point_id("b", f"{9:032x}"))]]
    assert all(b.query["wait"] == "true" for b in batches)
    assert all(b.query["ordering"] == "medium" for b in batches)
    first = batches[0].body["points"][0]
    assert first["payload"] == to_payload(point(0))
    assert first["vector"]["bm25"] == {"indices": [1, 2], "values": [0.5, 1.5]}


def test_a_delete_names_the_tenant_and_the_points(qdrant: Any, connect: Connect) -> None:
    connect(batch_size=2).delete("a", [f"{n:032x}" for n in range(3)])
    first, second = qdrant.asked("POST", "/points/delete")
    assert first.query["ordering"] == "medium"
    assert first.query["wait"] == "true"
    tenant, chosen = first.body["filter"]["must"]
    assert tenant == {"key": "tenant", "match": {"value": "a"}}
    assert chosen == {"has_id": [str(point_id("a", f"{n:032x}")) for n in range(2)]}
    assert len(second.body["filter"]["must"][1]["has_id"]) == 1


def test_commit_waits_until_the_optimizer_is_done(qdrant: Any, connect: Connect) -> None:
    qdrant.statuses = ["yellow", "grey", "green"]
    connect().commit()
    assert len(qdrant.requests) == 3


def test_commit_gives_up_at_its_deadline_and_on_damage(qdrant: Any, connect: Connect) -> None:
    qdrant.statuses = ["yellow"]
    with pytest.raises(BackendTimeoutError, match="yellow"):
        connect(commit_timeout_seconds=0.1).commit()
    qdrant.statuses = ["red"]
    with pytest.raises(BackendError, match="red"):
        connect().commit()


def test_too_few_answers_to_a_batch_are_an_error(qdrant: Any, connect: Connect) -> None:
    qdrant.replies = [qdrant.result([{"points": []}])]
    with pytest.raises(BackendError, match="answers to 4 searches: 1"):
        connect().search(ask())


def test_nothing_is_sent_for_nothing(qdrant: Any, connect: Connect) -> None:
    index = connect()
    empty: Sequence[str] = ()
    assert index.fetch("a", empty) == ()
    index.delete("a", empty)
    index.upsert([])
    assert index.search(ask(sparse=None, dense=None)).idf == {}
    assert qdrant.requests == []


@pytest.mark.parametrize("limit", [0, 1001])
def test_limits_that_strict_mode_refuses_are_refused_here(connect: Connect, limit: int) -> None:
    with pytest.raises(ValueRangeError, match="limit"):
        connect().search(ask(limit=limit))


@pytest.mark.parametrize(
    "fields",
    [
        {"url": "localhost:6333"},
        {"url": "ftp://host"},
        {"url": "http://qdrant.example.org", "api_key": "secret"},
        {"timeout_seconds": 0},
        {"attempts": 0},
        {"batch_size": -1},
    ],
)
def test_settings_that_cannot_work_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        ServerConfig(**({"dimension": 4} | fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"shard_number": 0},
        {"replication_factor": 2, "write_consistency_factor": 3},
        {"own_shard_tenants": ("shared",)},
    ],
)
def test_sharding_that_cannot_work_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        Sharding(**fields)


def test_the_key_does_not_show() -> None:
    assert "secret" not in repr(ServerConfig(dimension=4, api_key="secret"))
