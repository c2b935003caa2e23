"""Documents that are answerable at once, and get their vectors later."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ingest.build import Dense
from ingest.cli import main
from ingest.embed import EmbedReport, EmbedRequest, embed
from ingest.manifest import Manifest
from ingest.progress import Progress
from ingest.publish import writing
from ingest.status import collection_status
from ingest.sync import SyncRequest, sync
from rag.adapters.edge_index import EdgeIndex
from rag.adapters.hash_embedder import HashEmbedder
from rag.adapters.memory_index import MemoryIndex
from rag.build import build_answering, build_live_index
from rag.demand import DEMAND, DemandCounter, read_demand
from rag.errors import BackendError, IndexStateError, RagError, UsageError
from rag.generation import ReaderSlot, read_current
from rag.results import Question
from rag.settings import load_settings
from rag.types import Chunk, Filter, PassageVectors

PARTS = ("inlet valve", "feed pump", "flow sensor", "oil gauge", "drive motor", "air filter")
LATER = {"vectors": "later"}


class Flaky(HashEmbedder):
    """An embedder that ends with an error after so many chunks, as at Ctrl-C or a full disk."""

    left = 0

    def embed_passage(self, chunk: Chunk) -> PassageVectors:
        """Return the vectors, as long as it works."""
        if type(self).left <= 0:
            raise RagError("the embedder failed", "test", "mend it")
        type(self).left -= 1
        return super().embed_passage(chunk)


def flaky(good: int) -> Dense:
    Flaky.left = good
    return Dense(partial(Flaky, 16), HashEmbedder(16).fingerprint, 16)


def write_parts(workshop: Any) -> None:
    for number, part in enumerate(PARTS):
        text = f"# {part}\n\nThe {part} was seen on day {number}.\n"
        workshop.write(f"{number}.md", text)


def run_embed(
    workshop: Any, dense: Dense | None = None, tenant: str = "default", **request: Any
) -> EmbedReport:
    kit = workshop.toolkit(tenant=tenant)
    kit = replace(kit, dense=dense) if dense else kit
    return embed(EmbedRequest(**request), kit, Progress())


def later(workshop: Any, dense: Dense | None = None, **settings: Any) -> Any:
    kit = workshop.toolkit(**(LATER | settings))
    kit = replace(kit, dense=dense) if dense else kit
    return sync(SyncRequest((workshop.docs,), delete_missing=True), kit, Progress())


@contextmanager
def opened(workshop: Any) -> Iterator[EdgeIndex]:
    slot = ReaderSlot.take(workshop.collection)
    assert slot is not None
    with slot, EdgeIndex.open(slot.path) as index:
        yield index


def embedded(workshop: Any) -> set[str]:
    """Return the documents whose chunks have vectors for a reader."""
    ids = [chunk.id for chunk in workshop.chunks()]
    with opened(workshop) as index:
        found = index.fetch("default", ids)
    return {item.chunk.doc_id for item in found if item.sentence_vectors is not None}


def ask_for(workshop: Any, *doc_ids: str) -> None:
    """Count the documents' chunks as needed, the first once, the second twice, and so on."""
    counter = DemandCounter(workshop.collection / DEMAND)
    for times, doc_id in enumerate(doc_ids, start=1):
        wanted = [chunk.id for chunk in workshop.chunks() if chunk.doc_id == doc_id]
        for _ in range(times):
            counter.count("default", wanted)
    counter.close()


def test_a_later_sync_embeds_nothing_and_loads_no_model(workshop: Any) -> None:
    write_parts(workshop)
    report = later(workshop, flaky(good=0))
    assert (report.published, report.chunks.added, report.chunks.waiting) == (True, 6, 6)
    assert (report.chunks.embedded, report.chunks.cached) == (0, 0)
    assert embedded(workshop) == set()
    current = read_current(workshop.collection)
    assert (current.unembedded, current.shape.dimension) == (6, 16)
    assert not later(workshop).published


def test_embedding_makes_the_index_that_a_sync_would_have_made(workshop: Any) -> None:
    write_parts(workshop)
    later(workshop)
    ids = [chunk.id for chunk in workshop.chunks()]
    report = run_embed(workshop)
    assert (report.published, report.embedded, report.cached, report.waiting) == (True, 6, 0, 0)
    current = read_current(workshop.collection)
    assert (current.number, current.parent, current.unembedded) == (2, 1, 0)
    assert current.added() == current.removed() == frozenset()
    with opened(workshop) as index:
        filled = [item.sentence_vectors.tolist() for item in index.fetch("default", ids)]
    other = workshop.data.parent / "other"
    workshop.data = other
    workshop.sync()
    with opened(workshop) as index:
        assert [v.sentence_vectors.tolist() for v in index.fetch("default", ids)] == filled


def test_the_most_asked_for_come_first(workshop: Any) -> None:
    write_parts(workshop)
    later(workshop)
    ask_for(workshop, "2.md", "4.md", "1.md")
    report = run_embed(workshop, limit=1)
    assert (report.embedded, report.waiting, report.asked) == (1, 5, 2)
    assert embedded(workshop) == {"1.md"}
    assert len(read_demand(workshop.collection / DEMAND, "default")) == 2
    report = run_embed(workshop, asked_only=True)
    assert (report.embedded, report.waiting, report.asked) == (2, 3, 0)
    assert embedded(workshop) == {"1.md", "2.md", "4.md"}
    report = run_embed(workshop, asked_only=True)
    assert (report.published, report.generation, report.embedded) == (False, 3, 0)
    status = collection_status(workshop.toolkit().settings)
    assert (status.chunks, status.waiting, status.asked) == (6, 3, 0)
    assert "embedded    50% of the chunks; 3 wait" in status.to_text()


def test_time_that_is_up_begins_nothing(workshop: Any) -> None:
    write_parts(workshop)
    later(workshop)
    report = run_embed(workshop, seconds=1e-9)
    assert (report.published, report.embedded, report.waiting) == (False, 0, 6)
    assert run_embed(workshop, seconds=600).waiting == 0


def test_what_a_broken_run_embedded_is_not_computed_again(workshop: Any) -> None:
    write_parts(workshop)
    later(workshop)
    with pytest.raises(RagError, match="embedder failed"):
        run_embed(workshop, flaky(good=4))
    assert read_current(workshop.collection).number == 1
    report = run_embed(workshop, flaky(good=1), limit=1)
    assert (report.embedded, report.cached, report.waiting) == (1, 4, 1)
    assert Flaky.left == 0


def test_an_interrupted_run_keeps_what_it_did(
    workshop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_parts(workshop)
    later(workshop)
    calls = iter(range(100))
    original = HashEmbedder.embed_passage

    def interrupted(self: HashEmbedder, chunk: Chunk) -> PassageVectors:
        if next(calls) == 3:
            raise KeyboardInterrupt
        return original(self, chunk)

    monkeypatch.setattr(HashEmbedder, "embed_passage", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_embed(workshop)
    assert not (workshop.collection / "staging").exists()
    assert run_embed(workshop).cached == 3


def test_a_sync_takes_from_the_cache_what_is_there(workshop: Any) -> None:
    write_parts(workshop)
    later(workshop)
    run_embed(workshop, limit=2)
    known = embedded(workshop)
    # The same content under another name: other chunk ids, the same vectors.
    for name in known:
        (workshop.docs / name).rename(workshop.docs / f"new-{name}")
    report = later(workshop)
    assert (report.chunks.cached, report.chunks.waiting) == (2, 4)
    known = {f"new-{name}" for name in known}
    assert embedded(workshop) == known
    workshop.write("more.md", "# more\n\nThe spare valve was seen on day 9.\n")
    report = later(workshop)
    assert (report.chunks.added, report.chunks.waiting) == (1, 5)
    later(workshop, tier="lexical")
    assert read_current(workshop.collection).unembedded == 0
    report = later(workshop)  # a new shape: all points are written again
    assert (report.chunks.cached, report.chunks.waiting) == (2, 5)
    assert embedded(workshop) == known


def test_changed_and_deleted_chunks_no_longer_wait(workshop: Any) -> None:
    write_parts(workshop)
    later(workshop)
    (workshop.docs / "0.md").unlink()
    workshop.write("1.md", "# feed pump\n\nThe feed pump was seen on day 77.\n")
    report = later(workshop)
    assert (report.chunks.stored, report.chunks.waiting) == (5, 5)
    assert run_embed(workshop).embedded == 5


def test_a_sync_with_vectors_now_embeds_all_that_waited(workshop: Any) -> None:
    write_parts(workshop)
    later(workshop)
    assert workshop.preview().notes == ("6 chunks get the vectors they waited for",)
    report = workshop.sync()
    assert (report.published, report.chunks.embedded, report.chunks.waiting) == (True, 6, 0)
    assert (report.files.unchanged, report.chunks.added, report.chunks.changed) == (6, 0, 0)
    assert len(embedded(workshop)) == 6
    assert not workshop.sync().published


def test_tenants_are_embedded_apart(workshop: Any) -> None:
    write_parts(workshop)
    later(workshop)
    later(workshop, tenant="other")
    report = run_embed(workshop, tenant="other")
    assert (report.chunks, report.embedded, report.waiting) == (6, 6, 0)
    assert read_current(workshop.collection).unembedded == 6
    assert embedded(workshop) == set()


def test_what_cannot_be_embedded_is_refused(workshop: Any) -> None:
    (workshop.collection).mkdir(parents=True)
    with pytest.raises(UsageError, match="nothing is published"):
        run_embed(workshop)
    write_parts(workshop)
    workshop.sync(tier="lexical")
    with pytest.raises(IndexStateError, match="other settings: tier or embedder changed"):
        run_embed(workshop)
    with pytest.raises(UsageError, match="no vectors: lexical"):
        embed(EmbedRequest(), workshop.toolkit(tier="lexical"), Progress())
    with writing(workshop.collection), pytest.raises(IndexStateError, match="another rag-ingest"):
        run_embed(workshop)
    for wrong in ({"limit": 0}, {"seconds": 0.0}, {"seconds": float("nan")}):
        with pytest.raises(UsageError, match="embed"):
            EmbedRequest(**wrong)


def test_a_report_reads_well_and_parses(workshop: Any) -> None:
    write_parts(workshop)
    text = later(workshop).to_text()
    assert "0 embedded, 0 from the cache, 6 wait for rag-ingest embed" in text
    report = run_embed(workshop, limit=2)
    assert "Generation 2 published" in report.to_text()
    assert "2 of 6 chunks have vectors, 4 wait, 0 of them asked for" in report.to_text()
    parsed = json.loads(report.to_json())
    assert (parsed["embedded"], parsed["waiting"]) == (2, 4)
    assert parsed["joules"] == parsed["impact"]["joules"]
    assert (parsed["sci"]["chunks"], len(parsed["sci"]["missing"])) == (2, 2)
    assert [stage["name"] for stage in parsed["stages"]] == ["embed", "index", "verify", "publish"]


class Server(MemoryIndex):
    """An index that outlives its connections and fails after so many writes."""

    writes_left = 100

    def close(self) -> None:
        """Keep everything."""

    def upsert(self, points: Any) -> None:
        for point in points:
            self.writes_left -= 1
            if self.writes_left < 0:
                raise BackendError("server does not answer", "test", "start it")
            super().upsert([point])


def test_a_server_is_filled_in_place_and_a_dead_run_is_finished(workshop: Any) -> None:
    write_parts(workshop)
    server = Server(16)
    kit = replace(
        workshop.toolkit(index="server", vectors="later"),
        open_index=lambda *_: server,
        check_index=lambda: None,
    )
    sync(SyncRequest((workshop.docs,)), kit, Progress())
    assert {point.vectors for point in server._points.values()} == {None}
    server.writes_left = 3
    with pytest.raises(BackendError):
        embed(EmbedRequest(), kit, Progress())
    assert read_current(workshop.collection).unembedded == 6
    server.writes_left = 100
    report = embed(EmbedRequest(), kit, Progress())
    assert (report.embedded, report.cached, report.waiting) == (0, 6, 0)
    assert all(point.vectors is not None for point in server._points.values())
    assert not (workshop.collection / "server-pending.jsonl").exists()


def test_a_manifest_published_before_there_was_waiting_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "manifest.sqlite"
    with Manifest.write(path) as manifest:
        manifest.connection.execute("DROP TABLE unembedded")
    with Manifest.read(path) as manifest:
        assert manifest.unembedded() == []
    with Manifest.write(path) as manifest:
        manifest.note_vectors("a", [("x", False), ("y", True)])
        assert manifest.unembedded() == [("a", "x")]
        manifest.note_vectors("a", [("x", True)])
        assert manifest.unembedded("a") == []


def ask(workshop: Any, text: str, **settings: Any) -> None:
    # Without a model: a question without a vector can be asked of any index.
    given = load_settings(data_dir=workshop.data, tier="lexical", **settings)
    live = build_live_index(given)
    live.refresh()
    try:
        question = Question(text, Filter("default"), 64, time.monotonic() + 60)
        assert build_answering(given, live).retrieve(question).context.evidence
    finally:
        live.close()


def test_what_was_asked_for_is_counted_and_then_embedded(workshop: Any) -> None:
    write_parts(workshop)
    later(workshop)
    ask(workshop, "When was the oil gauge seen?")
    assert not (workshop.collection / DEMAND).exists()
    ask(workshop, "Is there a gauge?", **LATER)
    ask(workshop, "What of the oil?", **LATER)
    (gauge,) = (chunk.id for chunk in workshop.chunks() if chunk.doc_id == "3.md")
    assert read_demand(workshop.collection / DEMAND, "default") == {gauge: 2}
    run_embed(workshop, asked_only=True)
    assert embedded(workshop) == {"3.md"}
    ask(workshop, "Is there a gauge?", **LATER)
    assert read_demand(workshop.collection / DEMAND, "default") == {}


def test_the_command_line_from_ingest_to_vectors(
    workshop: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_parts(workshop)
    for name, value in (("VECTORS", "later"), ("TIER", "neural"), ("INGEST_WORKERS", "1")):
        monkeypatch.setenv(f"RAG_{name}", value)
    place = ["--data-dir", str(workshop.data), "--json"]
    assert main(["sync", str(workshop.docs), *place]) == 0
    assert json.loads(capsys.readouterr().out)["chunks"]["waiting"] == 6
    assert main(["embed", "--limit", "2", *place]) == 0
    assert json.loads(capsys.readouterr().out)["embedded"] == 2
    assert main(["status", *place]) == 0
    assert json.loads(capsys.readouterr().out)["waiting"] == 4
    assert main(["embed", "--limit", "0", *place]) == 2
    assert main(["embed", "--collection", "none", *place]) == 2
    assert "no such collection" in capsys.readouterr().err
