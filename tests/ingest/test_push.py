"""A published embedded generation brought to a server that is reached over HTTP and may fail."""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ingest.build_push import kit_of
from ingest.cli import main
from ingest.manifest import Manifest
from ingest.progress import Progress
from ingest.publish import rollback, writing
from ingest.push import PushRequest, push
from ingest.push_note import PushNote, read_note, write_note
from ingest.push_report import PushReport
from rag.adapters.edge_index import EdgeIndex
from rag.adapters.server_index import QdrantServerIndex
from rag.build import build_live_index, build_pipeline
from rag.build_server import build_server_config
from rag.errors import (
    BackendError,
    ConflictError,
    IndexStateError,
    RagError,
    UsageError,
    ValueRangeError,
)
from rag.generation import read_current
from rag.payload import point_id
from rag.results import Question
from rag.settings import load_settings
from rag.types import Filter

pytestmark = pytest.mark.filterwarnings(
    "ignore:Payload indexes have no effect",
    "ignore:Local mode performs exact",
)

PARTS = ("pump", "valve", "gauge", "filter", "boiler", "sensor", "relay", "motor")
EIGHT = PushRequest(questions=8)
TENANTS = ("big", "small", "tiny")
Push = Callable[..., PushReport]


def page(tenant: str, part: str, number: int) -> str:
    return (
        f"# The {part} {number}\n\nThe {part} of {tenant} number {number} turns {number * 7} times"
        f" a minute. It is made of steel grade {number + 11}.\n\n"
        f"# Its care\n\nOil the {part} {number} every {number + 2} weeks with {tenant} oil.\n"
    )


@pytest.fixture(scope="module")
def saved(make_workshop: Any) -> Iterator[tuple[Any, Path]]:
    """Return a workshop with 24 chunks of three tenants in an embedded index, and a copy of it."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        workshop = make_workshop(Path(name) / "work")
        for share, tenant in enumerate(TENANTS):
            for number in range(4 * (3 - share)):
                part = PARTS[number % len(PARTS)]
                workshop.write(f"{tenant}/{part}-{number}.md", page(tenant, part, number))
            workshop.sync(workshop.docs / tenant, tenant=tenant)
        shutil.copytree(workshop.data.parent, Path(name) / "saved")
        yield workshop, Path(name) / "saved"


@pytest.fixture
def published(saved: tuple[Any, Path]) -> Any:
    """Return that workshop as it was."""
    workshop, copy = saved
    shutil.rmtree(workshop.data.parent)
    shutil.copytree(copy, workshop.data.parent)
    return workshop


@pytest.fixture
def run(published: Any, gateway: Any, monkeypatch: pytest.MonkeyPatch) -> Push:
    """Return a function that pushes to the gateway; pauses between attempts take no time."""
    monkeypatch.setattr("rag.adapters.server_calls._FIRST_PAUSE_SECONDS", 0.001)

    def run_push(request: PushRequest = EIGHT, **settings: Any) -> PushReport:
        kit = kit_of(published.toolkit(server_url=gateway.url, **settings))
        small = partial(_in_small_batches, kit.open_target)
        return push(request, replace(kit, open_target=small), Progress())

    return run_push


def _in_small_batches(opened: Callable[[int | None], Any], dimension: int | None) -> Any:
    index = opened(dimension)
    index._config = replace(index._config, batch_size=4)
    index._server._config = replace(index._server._config, write_timeout_seconds=3.0)
    return index


def expected_ids(published: Any) -> set[str]:
    current = read_current(published.collection)
    assert current is not None
    with Manifest.read(current.manifest_path) as manifest:
        return {str(point_id(*point)) for point in manifest.point_ids()}


def test_all_tenants_are_there_with_equal_answers(published: Any, gateway: Any, run: Push) -> None:
    report = run()
    assert (report.chunks, report.copied, report.discarded) == (24, 24, 0)
    assert report.agreement.questions == 8
    assert (report.agreement.contexts, report.agreement.passages) == (1.0, 1.0)
    assert (report.agreement.words, report.agreement.vectors) == (1.0, 1.0)
    current = read_current(published.collection)
    assert current is not None
    assert (current.number, current.parent, current.shape.index) == (4, 3, "server")
    assert not current.index_path.exists()
    assert gateway.points("default").keys() == expected_ids(published)
    assert read_note(published.collection) is None


def test_points_are_copied_as_they_are(published: Any, gateway: Any, run: Push) -> None:
    run()
    with embedded(published) as index:
        stored = gateway.cluster.local.scroll(
            "default----0", limit=1000, with_payload=True, with_vectors=True
        )[0]
        for record in stored:
            (point,) = index.points(record.payload["tenant"], [record.payload["id"]])
            assert record.vector["bm25"].indices == list(point.sparse.indices)
            assert record.vector["bm25"].values == pytest.approx(point.sparse.values)
            assert record.vector["dense"] == pytest.approx(point.vectors.passage.tolist(), abs=1e-4)


def embedded(workshop: Any) -> EdgeIndex:
    """Return the embedded index that the server's was made from."""
    path = workshop.collection / "generations" / "000003" / "index"
    return EdgeIndex.open(shutil.copytree(path, workshop.data / "copy"))


def test_nothing_is_embedded_again(published: Any, run: Push, monkeypatch: Any) -> None:
    monkeypatch.setattr(
        "rag.adapters.hash_embedder.HashEmbedder.embed_passage",
        lambda *_: pytest.fail("embedded again"),
    )
    (published.collection / "vectors.sqlite").unlink()
    assert run().copied == 24


def test_a_big_tenant_has_a_shard_key_of_its_own(published: Any, gateway: Any, run: Push) -> None:
    report = run(PushRequest(questions=8, agreement=0.5), server_own_shards=("big",))
    lies = gateway.points("default")
    assert sorted({tuple(keys) for keys in lies.values()}) == [("big",), ("shared",)]
    assert sum(keys == ["big"] for keys in lies.values()) == 12
    for request in gateway.requests:
        if request.path.endswith(("/points", "/delete", "/count")):
            assert request.body["shard_key"] in ("big", "shared")
    current = read_current(published.collection)
    assert current is not None
    assert current.shape.sharding == "big"
    # Each tenant is weighed by another corpus now, which the report says.
    assert report.agreement.passages >= 0.5


def test_several_shards_weigh_terms_each_by_its_own(run: Push) -> None:
    report = run(PushRequest(questions=24, agreement=0.5), server_shards=3)
    # The same is found, but other sentences of it are worth most.
    assert report.agreement.contexts < 1.0
    assert report.agreement.passages >= 0.5
    assert report.agreement.differing


def test_answers_that_are_too_different_are_not_published(
    published: Any, run: Push, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.agreement.shared", lambda *_: 0.5)
    with pytest.raises(IndexStateError, match=r"50\.0% of passages shared, 90% asked for"):
        run()
    assert read_current(published.collection).shape.index == "edge"  # type: ignore[union-attr]
    # What is there is not brought again.
    monkeypatch.undo()
    monkeypatch.setattr("rag.adapters.server_calls._FIRST_PAUSE_SECONDS", 0.001)
    assert run().copied == 0


@pytest.mark.parametrize("seed", range(2))
def test_a_flapping_cluster_loses_and_doubles_nothing(
    published: Any, gateway: Any, run: Push, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    kinds = ("refuse", "reset", "lost", "half", None, None)
    gateway.faults.extend(chance.choice(kinds) for _ in range(60))
    for _ in range(20):
        try:
            run(server_own_shards=("big",), server_timeout_seconds=2.0)
            break
        except BackendError:
            continue
    lies = gateway.points("default")
    assert lies.keys() == expected_ids(published)
    assert all(len(keys) == 1 for keys in lies.values())


def test_a_push_that_lost_its_server_goes_on(published: Any, gateway: Any, run: Push) -> None:
    after = threading.Thread(target=_stop_after, args=(gateway, 3))
    after.start()
    with pytest.raises(BackendError):
        run(server_timeout_seconds=0.2)
    after.join()
    note = read_note(published.collection)
    assert note is not None
    assert read_current(published.collection).shape.index == "edge"  # type: ignore[union-attr]
    gateway.start()
    report = run()
    assert report.copied <= 24
    assert gateway.points("default").keys() == expected_ids(published)


def _stop_after(gateway: Any, upserts: int) -> None:
    until = time.monotonic() + 20
    while len(gateway.asked("PUT", "/points")) < upserts and time.monotonic() < until:
        time.sleep(0.001)
    gateway.stop()


def test_a_push_that_was_killed_goes_on(published: Any, gateway: Any) -> None:
    given = {"DATA_DIR": str(published.data), "TIER": "lexical", "SERVER_URL": gateway.url}
    environment = os.environ | {f"RAG_{name}": value for name, value in given.items()}
    command = [sys.executable, "-m", "ingest.cli", "push", "--json"]
    gateway.slow = 0.1
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 30
    while len(gateway.asked("PUT", "/points")) < 2 and time.monotonic() < until:
        time.sleep(0.005)
    process.kill()
    process.wait()
    gateway.slow = 0.0
    assert read_current(published.collection).shape.index == "edge"  # type: ignore[union-attr]
    assert gateway.points("default").keys() < expected_ids(published)
    done = subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)
    assert json.loads(done.stdout)["copied"] == 12, "the biggest tenant was there already"
    lies = gateway.points("default")
    assert lies.keys() == expected_ids(published)
    assert all(len(keys) == 1 for keys in lies.values())


def test_what_is_noted_is_not_brought_again(published: Any, gateway: Any, run: Push) -> None:
    current = read_current(published.collection)
    assert current is not None
    target = f"{gateway.url} default"
    run()
    with writing(published.collection):
        rollback(published.collection)
    with Manifest.read(current.manifest_path) as manifest:
        points = list(manifest.point_ids())
    write_note(published.collection, PushNote(target, current.identity, *points[14]))
    assert run().copied == 9
    # Of another generation it says nothing but that the collection is ours.
    with writing(published.collection):
        rollback(published.collection)
    write_note(published.collection, PushNote(target, "000001-another", *points[14]))
    assert run().copied == 24


def test_points_that_vanished_meanwhile_are_brought_again(
    published: Any, gateway: Any, run: Push
) -> None:
    current = read_current(published.collection)
    assert current is not None
    with Manifest.read(current.manifest_path) as manifest:
        points = list(manifest.point_ids())
    note = PushNote(f"{gateway.url} default", current.identity, *points[-1])
    write_note(published.collection, note)
    assert run().copied == 0
    assert gateway.points("default").keys() == expected_ids(published)


def test_a_collection_of_somebody_else_is_left_alone(
    published: Any, gateway: Any, run: Push
) -> None:
    run()
    with writing(published.collection):
        rollback(published.collection)
    kept = gateway.points("default")
    with pytest.raises(ConflictError, match="--replace"):
        run()
    assert gateway.points("default") == kept
    (published.docs / "big" / "pump-0.md").unlink()
    published.sync(published.docs / "big", tenant="big", delete_missing=True)
    report = run(PushRequest(questions=8, replace=True))
    assert report.discarded == 1
    assert gateway.points("default").keys() == expected_ids(published)


def test_back_to_the_embedded_one(published: Any, run: Push) -> None:
    before = published.texts("big")
    run()
    with writing(published.collection):
        generation = rollback(published.collection)
    assert generation.shape.index == "edge"
    assert published.texts("big") == before


def test_sync_goes_on_from_there(published: Any, gateway: Any, run: Push) -> None:
    run()
    published.write("big/new.md", page("big", "turbine", 99))
    report = published.sync(
        published.docs / "big", tenant="big", index="server", server_url=gateway.url
    )
    assert (report.published, report.chunks.added, report.chunks.changed) == (True, 1, 0)
    assert gateway.points("default").keys() == expected_ids(published)


def test_the_service_needs_no_key_that_writes(published: Any, gateway: Any, run: Push) -> None:
    gateway.write_key, gateway.read_key = "may-write", "only-reads"
    keys = {"server_api_key": "may-write", "server_read_api_key": "only-reads"}
    run(**keys)
    gateway.requests.clear()
    given = {"tier": "lexical", "index": "server", "data_dir": published.data}
    only_reading = {"server_read_api_key": "only-reads", "server_url": gateway.url}
    settings = load_settings(**given, **only_reading)
    live = build_live_index(settings)
    live.refresh()
    try:
        assert live.problem() is None
        pipeline = build_pipeline(settings, live, lambda: live.generation)
        question = Question("How many times turns pump 8?", Filter("big"), 64, time.monotonic() + 9)
        assert "56 times" in pipeline.retrieve(question).context.text
    finally:
        live.close()
    assert {request.key for request in gateway.requests} == {"only-reads"}
    with pytest.raises(RagError, match="403"):
        QdrantServerIndex(build_server_config(settings, 16)).delete("big", ["0" * 32])


def test_other_shards_are_noticed(published: Any, gateway: Any, run: Push) -> None:
    run(PushRequest(questions=0), server_own_shards=("big",))
    given = {"tier": "lexical", "index": "server", "data_dir": published.data}
    live = build_live_index(load_settings(**given, server_url=gateway.url))
    live.refresh()
    problem = live.problem()
    live.close()
    assert "big. Set server_own_shards" in str(problem)


def test_a_lexical_generation_is_compared_by_words(workshop: Any, gateway: Any) -> None:
    workshop.write("a.md", page("a", "pump", 3))
    workshop.sync(tier="lexical")
    report = push(PushRequest(), kit_of(workshop.toolkit(server_url=gateway.url)), Progress())
    assert report.agreement.vectors is None
    assert report.agreement.words == 1.0


@pytest.mark.parametrize("fields", [{"questions": -1}, {"agreement": 1.1}, {"agreement": -0.1}])
def test_requests_that_make_no_sense_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueRangeError):
        PushRequest(**fields)


def test_there_has_to_be_something_to_push(workshop: Any, gateway: Any) -> None:
    kit = kit_of(workshop.toolkit(server_url=gateway.url))
    with pytest.raises(UsageError, match="nothing is published"):
        push(PushRequest(), kit, Progress())
    workshop.write("a.md", page("a", "pump", 3))
    workshop.sync()
    push(PushRequest(), kit, Progress())
    with pytest.raises(UsageError, match="on a server already"):
        push(PushRequest(), kit, Progress())


def test_the_command(
    workshop: Any, gateway: Any, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    workshop.write("a.md", page("a", "pump", 3))
    workshop.sync(tier="lexical")
    for name, value in {
        "RAG_DATA_DIR": str(workshop.data),
        "RAG_TIER": "lexical",
        "RAG_SERVER_URL": gateway.url,
    }.items():
        monkeypatch.setenv(name, value)
    assert main(["push", "--json", "--questions", "4"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["chunks"], told["copied"], told["agreement"]["passages"]) == (1, 1, 1.0)
    assert main(["push"]) == 2
    assert "on a server already" in capsys.readouterr().err
    with writing(workshop.collection):
        rollback(workshop.collection)
    assert main(["push", "--replace"]) == 0
    assert "100.0% of passages shared" in capsys.readouterr().out


def test_a_damaged_note_is_told(tmp_path: Path) -> None:
    (tmp_path / "push.json").write_text("{")
    with pytest.raises(IndexStateError, match="--replace"):
        read_note(tmp_path)
