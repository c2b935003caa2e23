"""The server's index against a cluster behind HTTP: nodes that go, come back, flap and dawdle."""

import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rag.adapters.server_config import ServerConfig, Sharding
from rag.adapters.server_index import QdrantServerIndex
from rag.errors import BackendError, BackendTimeoutError, IndexStateError, RagError
from rag.payload import point_id
from rag.types import Chunk, Filter, PassageVectors, Point, SearchQuery, Span, SparseVector

pytestmark = pytest.mark.filterwarnings(
    "ignore:Payload indexes have no effect",
    "ignore:Local mode performs exact",
)
OWN = Sharding(method="custom", own_shard_tenants=("big",), shard_number=2)
Connect = Callable[..., QdrantServerIndex]


@pytest.fixture
def connect(gateway: Any) -> Iterator[Connect]:
    """Return a function from configuration fields to an index; pauses shrink to ``pause`` [s]."""
    opened: list[QdrantServerIndex] = []

    def build(pause: float = 0.01, **fields: Any) -> QdrantServerIndex:
        given: dict[str, Any] = {"dimension": 4, "url": gateway.url, "collection": "c"}
        index = QdrantServerIndex(ServerConfig(**(given | fields)))
        for name in ("_reading", "_writing"):
            retries = getattr(index._server, name)
            short = replace(retries, sleep=lambda seconds: time.sleep(min(seconds, pause)))
            setattr(index._server, name, short)
        opened.append(index)
        return index

    yield build
    for index in opened:
        index.close()


def point(number: int, tenant: str = "small", text: str = "Some text.") -> Point:
    chunk = Chunk(
        f"{number:032x}", "d", "T", text, 0, len(text), 3, (Span(0, len(text)),), tags=("t",)
    )
    rng = np.random.default_rng(number)
    rows = rng.normal(size=(2, 4)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return Point(tenant, chunk, SparseVector((1, 2), (0.5, 1.5)), PassageVectors(rows[0], rows[1:]))


def test_flapping_loses_and_doubles_nothing(gateway: Any, connect: Connect) -> None:
    chance = random.Random(7)  # noqa: S311 - no secret
    index = connect(sharding=OWN, batch_size=8, attempts=50, timeout_seconds=300)
    gateway.faults.extend(
        chance.choice(("refuse", "reset", "lost", "half", "refuse", None)) for _ in range(150)
    )
    index.ensure_collection()
    for tenant, first in (("big", 0), ("small", 1000)):
        index.upsert([point(first + n, tenant) for n in range(80)])
        index.upsert([point(first + n, tenant, "Other text.") for n in range(40)])
        index.delete(tenant, [f"{first + n:032x}" for n in range(20)])
    gateway.faults.clear()
    lies = gateway.points("c")
    expected = {
        str(point_id(tenant, f"{first + n:032x}")): [key]
        for tenant, first, key in (("big", 0, "big"), ("small", 1000, "shared"))
        for n in range(20, 80)
    }
    assert lies == expected
    for tenant, first in (("big", 0), ("small", 1000)):
        stored = index.fetch(tenant, [f"{first + n:032x}" for n in range(20, 80)])
        assert [s.chunk.text for s in stored] == ["Other text."] * 20 + ["Some text."] * 40


@pytest.mark.parametrize("at", range(9))
def test_an_answer_that_gets_lost_while_the_collection_is_made(
    gateway: Any, connect: Connect, at: int
) -> None:
    gateway.faults.extend([None] * at + ["lost"])
    connect(sharding=OWN).ensure_collection()
    assert sorted(gateway.cluster.collections["c"].shards) == ["big", "shared"]
    assert len(gateway.requests) > at, "the fault was met"


def test_a_node_that_comes_back_is_waited_for(gateway: Any, connect: Connect) -> None:
    index = connect(pause=0.2, attempts=50)
    index.ensure_collection()
    gateway.stop()
    back = threading.Timer(0.5, gateway.start)
    back.start()
    index.upsert([point(1)])
    assert index.count(Filter("small")) == 1
    gateway.stop()
    again = threading.Timer(0.5, gateway.start)
    again.start()
    assert index.count(Filter("small")) == 1
    back.join()
    again.join()


def test_while_it_is_gone_each_question_costs_one_attempt(gateway: Any, connect: Connect) -> None:
    index = connect()
    index.ensure_collection()
    gateway.requests.clear()
    gateway.faults.extend(["refuse"] * 8)
    asked = []
    for _ in range(4):
        with pytest.raises(BackendError):
            index.count(Filter("small"))
        asked.append(len(gateway.requests))
    assert asked == [5, 6, 7, 8]
    index.count(Filter("small"))
    gateway.faults.extend(["refuse", "reset", "half"])
    assert index.count(Filter("small")) == 0, "it answered, so it is worth several attempts again"


def test_a_refusal_says_nothing_about_its_health(gateway: Any, connect: Connect) -> None:
    index = connect()
    with pytest.raises(RagError, match="404"):
        index.count(Filter("small"))
    index.ensure_collection()
    gateway.faults.extend(["refuse"] * 4)
    assert index.count(Filter("small")) == 0


@pytest.mark.parametrize("fault", ["late", "drip"])
def test_dawdling_ends_at_the_deadline(gateway: Any, connect: Connect, fault: str) -> None:
    connect().ensure_collection()
    index = connect(timeout_seconds=0.2)
    gateway.faults.append(fault)
    started = time.monotonic()
    with pytest.raises(BackendTimeoutError):
        index.count(Filter("small"))
    assert time.monotonic() - started < 0.5


def test_nobody_who_takes_the_call_leaves_time_for_another_node(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.adapters.server_connection._CONNECT_SECONDS", 0.1)
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        index = connect(url=f"http://127.0.0.1:{full.getsockname()[1]}", timeout_seconds=5.0)
        started = time.monotonic()
        with pytest.raises(BackendError, match="no connection"):
            index.count(Filter("small"))
        for one in waiting:
            one.close()
    assert 0.4 < time.monotonic() - started < 3


def test_shards_weigh_terms_each_by_its_own_chunks(connect: Connect) -> None:
    chunks = [point(n) for n in range(12)]
    rare = replace(chunks[0], sparse=SparseVector((1, 7), (0.5, 1.0)))
    query = SearchQuery(Filter("small"), SparseVector((7,), (1.0,)), None, 5)
    idf = {}
    for shards in (1, 4):
        index = connect(collection=f"c{shards}", sharding=Sharding(shard_number=shards))
        index.ensure_collection()
        index.upsert([rare, *chunks[1:]])
        idf[shards] = index.search(query).idf[7]
    # ln(1 + (N - n + 0.5) / (n + 0.5)), with N of one shard: less where it is a quarter.
    assert idf[1] == pytest.approx(np.log(1 + 11.5 / 1.5))
    assert idf[4] < idf[1]


def test_another_sharding_than_that_of_the_collection_is_refused(connect: Connect) -> None:
    connect().ensure_collection()
    with pytest.raises(IndexStateError, match="sharded in another way: auto"):
        connect(sharding=OWN).ensure_collection()


def test_all_points_are_told_whoever_wrote_them(gateway: Any, connect: Connect) -> None:
    index = connect(sharding=OWN)
    index.ensure_collection()
    index.upsert([point(n, tenant) for n in range(700) for tenant in ("big", "small")])
    stored = list(index.stored_ids())
    assert len(stored) == len(set(stored)) == 1400
    assert set(stored) == {
        (tenant, point_id(tenant, f"{n:032x}")) for n in range(700) for tenant in ("big", "small")
    }
    assert [r.body["limit"] for r in gateway.asked("POST", "/scroll")] == [1000, 1000]
    index.discard("big", [key for tenant, key in stored if tenant == "big"])
    assert {tenant for tenant, _ in index.stored_ids()} == {"small"}
