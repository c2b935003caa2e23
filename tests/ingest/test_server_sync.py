"""Runs against an index that is changed in place, as a server's is, and dies in between."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ingest.progress import Progress
from ingest.publish import rollback, writing
from ingest.sync import SyncRequest, sync
from rag.adapters.memory_index import MemoryIndex
from rag.errors import BackendError, IndexStateError, RagError, SettingsError
from rag.types import Filter, Point

ALPHA = "# Alpha\n\nThe alpha gauge reads seven bar at the inlet valve.\n"
BETA = "# Beta\n\nThe beta pump delivers forty litres of water a minute.\n"


class Server(MemoryIndex):
    """An index that outlives its connections and can fail at its n-th write."""

    writes_left = 1_000_000

    def close(self) -> None:
        """Keep everything: only the connection ends."""

    def upsert(self, points: Any) -> None:
        for point in points:
            self._count()
            super().upsert([point])

    def delete(self, tenant: str, chunk_ids: Any) -> None:
        self._count()
        super().delete(tenant, chunk_ids)

    def _count(self) -> None:
        self.writes_left -= 1
        if self.writes_left < 0:
            raise BackendError("server does not answer", "test", "start it")


@pytest.fixture
def server() -> Server:
    return Server(16)


@pytest.fixture
def run(workshop: Any, server: Server) -> Callable[..., Any]:
    def run_sync() -> Any:
        kit = workshop.toolkit(index="server")
        kit = replace(kit, open_index=lambda *_: server, check_index=lambda: None)
        return sync(SyncRequest((workshop.docs,), delete_missing=True), kit, Progress())

    return run_sync


def texts(server: Server) -> dict[str, set[str]]:
    points: list[Point] = list(server._points.values())
    assert server.count(Filter("default")) == len(points)
    return {p.chunk.text: {p.chunk.doc_id, *p.chunk.also_in} for p in points}


def test_publishes_a_manifest_and_no_index(workshop: Any, server: Server, run: Any) -> None:
    workshop.write("a.md", ALPHA)
    workshop.write("b.md", BETA)
    report = run()
    assert (report.generation, len(texts(server))) == (1, 2)
    assert not (workshop.collection / "generations/000001/index").exists()
    (workshop.docs / "a.md").unlink()
    run()
    assert [*texts(server).values()] == [{"b.md"}]


@pytest.mark.parametrize("writes", range(4))
def test_what_a_dead_run_left_is_finished_or_undone(
    workshop: Any, server: Server, run: Any, writes: int
) -> None:
    workshop.write("a.md", ALPHA)
    run()
    workshop.write("a.md", ALPHA.replace("seven", "eight"))
    workshop.write("b.md", BETA)
    server.writes_left = writes
    if writes < 3:
        with pytest.raises(BackendError):
            run()
    else:
        run()
    server.writes_left = 1_000_000
    # Meanwhile the files are as they were: only the note tells what the server may hold.
    workshop.write("a.md", ALPHA)
    (workshop.docs / "b.md").unlink()
    run()
    assert [*texts(server).values()] == [{"a.md"}]
    assert any("seven" in text for text in texts(server))
    assert not (workshop.collection / "server-pending.jsonl").exists()


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"server_url": "http://qdrant.invalid", "server_api_key": "k"}, SettingsError, "https"),
        ({"server_url": "qdrant:6333"}, SettingsError, "server url"),
        ({"server_url": "http://127.0.0.1:1"}, BackendError, "Check server_url"),
    ],
)
def test_a_server_that_cannot_be_used_costs_no_parsing(
    workshop: Any, settings: dict[str, str], error: type[RagError], said: str
) -> None:
    workshop.write("a.md", ALPHA)
    with pytest.raises(error, match=said):
        workshop.sync(index="server", server_timeout_seconds=1.0, **settings)
    assert workshop.parsed == []
    assert not (workshop.collection / "staging").exists()


def test_no_rollback_on_a_server(workshop: Any, run: Any) -> None:
    for text in (ALPHA, BETA):
        workshop.write("a.md", text)
        run()
    with writing(workshop.collection), pytest.raises(IndexStateError, match="no rollback"):
        rollback(workshop.collection)
