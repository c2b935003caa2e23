"""The manifest and its duplicates against a plain model, and whole runs against a fresh index."""

import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.dedupe import NearDuplicates
from ingest.duplicates import (
    content_digest,
    mark_near_duplicates,
    resolve_points,
    stored_chunks,
)
from ingest.manifest import DocumentRecord, Manifest
from rag.errors import IndexStateError
from rag.types import Chunk

SENTENCES = ("The gauge reads seven.", "The pump is off.", "The valve leaks.", "All is well.")
DOCUMENTS = st.sampled_from(("a", "b", "c", "d"))
EDITS = st.lists(
    st.tuples(DOCUMENTS, st.lists(st.sampled_from(SENTENCES), max_size=4)), max_size=12
)


def record(doc_id: str) -> DocumentRecord:
    return DocumentRecord(doc_id, f"/{doc_id}", 1, "0" * 64, "s", doc_id, "text/plain", (), None)


def test_a_document_costs_the_same_however_many_there_are(
    make_chunk: Callable[..., Chunk],
) -> None:
    manifest, steps = Manifest.empty(), 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    def cost_of(number: int) -> int:
        before = steps
        doc_id = str(number)
        chunks = [make_chunk([f"{number}, {i}."], doc_id=doc_id, start=20 * i) for i in range(5)]
        manifest.put_document("t", record(doc_id), [(content_digest(c), c) for c in chunks])
        return steps - before

    manifest.connection.set_progress_handler(count, 1)
    costs = [cost_of(number) for number in range(300)]
    assert max(costs[-10:]) < 1.5 * max(costs[5:15])
    manifest.connection.set_progress_handler(None, 0)
    manifest.close()


def near() -> NearDuplicates:
    return NearDuplicates(0.9)


@settings(max_examples=60, deadline=None)
@given(edits=EDITS, batch=st.integers(1, 4))
def test_points_follow_any_sequence_of_edits(
    edits: list[tuple[str, list[str]]], batch: int, make_chunk: Callable[..., Chunk]
) -> None:
    manifest = Manifest.empty()
    model: dict[str, list[str]] = {}
    index: dict[str, Chunk] = {}
    for start in range(0, len(edits), batch):
        for doc_id, texts in edits[start : start + batch]:
            _edit(manifest, model, make_chunk, doc_id, texts)
        before = dict(index)
        mark_near_duplicates(manifest, "t", near, drop=False)
        changes = resolve_points(manifest, lambda chunk: len(chunk.text))
        stored = {chunk.id: chunk for _, chunk in stored_chunks(manifest)}
        for _, chunk_id in changes.deleted:
            del index[chunk_id]
        index |= {chunk_id: stored[chunk_id] for _, chunk_id in changes.upserted}
        assert index == stored
        _check(model, index, before)
    totals = manifest.totals("t")
    assert totals.occurrences == sum(map(len, model.values()))
    assert totals.chunks == len(index)
    assert totals.terms == sum(len(chunk.text) for chunk in index.values())


def _edit(
    manifest: Manifest,
    model: dict[str, list[str]],
    make_chunk: Callable[..., Chunk],
    doc_id: str,
    texts: list[str],
) -> None:
    if not texts:
        manifest.remove_document("t", doc_id)
        model.pop(doc_id, None)
        return
    chunks, start = [], 0
    for text in texts:
        chunks.append(make_chunk([text], doc_id=doc_id, start=start, title=doc_id))
        start += len(text) + 1
    manifest.put_document("t", record(doc_id), [(content_digest(c), c) for c in chunks])
    model[doc_id] = texts


def _check(model: dict[str, list[str]], index: dict[str, Chunk], before: dict[str, Chunk]) -> None:
    places: defaultdict[str, set[str]] = defaultdict(set)
    for doc_id, texts in model.items():
        for text in texts:
            places[text].add(doc_id)
    assert {c.text: {c.doc_id, *c.also_in} for c in index.values()} == places
    earlier = {chunk.text: chunk.doc_id for chunk in before.values()}
    for chunk in index.values():
        kept = earlier.get(chunk.text)
        expected = kept if kept in places[chunk.text] else min(places[chunk.text])
        assert chunk.doc_id == expected


def test_tenants_are_resolved_apart(make_chunk: Callable[..., Chunk]) -> None:
    manifest = Manifest.empty()
    for tenant in ("red", "blue"):
        chunk = make_chunk(["Same text."], doc_id="a")
        manifest.put_document(tenant, record("a"), [(content_digest(chunk), chunk)])
    resolve_points(manifest, lambda _: 1)
    manifest.remove_document("red", "a")
    changes = resolve_points(manifest, lambda _: 1)
    assert [tenant for tenant, _ in changes.deleted] == ["red"]
    assert [tenant for tenant, _ in stored_chunks(manifest)] == ["blue"]


def test_same_span_under_another_heading_is_replaced_not_lost(
    make_chunk: Callable[..., Chunk],
) -> None:
    manifest = Manifest.empty()
    for heading in ("Old", "New"):
        chunk = make_chunk(["Same text."], doc_id="a", headings=(heading,))
        manifest.put_document("t", record("a"), [(content_digest(chunk), chunk)])
        changes = resolve_points(manifest, lambda _: 1)
    assert (len(changes.upserted), len(changes.replaced), changes.deleted) == (1, 1, ())
    ((_, stored),) = stored_chunks(manifest)
    assert stored.headings == ("New",)


def test_unreadable_manifest_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "manifest.sqlite"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(IndexStateError, match="rollback"):
        Manifest.read(path)


def test_reading_leaves_no_trace(tmp_path: Path) -> None:
    Manifest.write(tmp_path / "manifest.sqlite").close()
    before = sorted(path.name for path in tmp_path.iterdir())
    with Manifest.read(tmp_path / "manifest.sqlite") as manifest:
        assert list(manifest.documents("t")) == []
        assert sorted(path.name for path in tmp_path.iterdir()) == before


NAMES = ("a.md", "b.md", "sub/a.md", "sub/c.txt")
BODIES = (
    "# Gauge\n\nThe alpha gauge reads seven bar.\n",
    "# Pump\n\nThe beta pump delivers forty litres.\n\n## Care\n\nOil it every week.\n",
    "Plain words about the gamma sensor and its calibration.\n",
)
RUNS = st.lists(
    st.lists(
        st.tuples(st.sampled_from(NAMES), st.sampled_from((*BODIES, None))), min_size=1, max_size=4
    ),
    min_size=1,
    max_size=3,
)


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(runs=RUNS)
def test_runs_in_steps_equal_one_fresh_run(
    runs: list[list[tuple[str, str | None]]], make_workshop: Callable[[Path], Any], fast_path: Path
) -> None:
    with tempfile.TemporaryDirectory(dir=fast_path) as place:
        steps, fresh = (make_workshop(Path(place) / name) for name in ("steps", "fresh"))
        for run in runs:
            for name, body in run:
                _change(steps, name, body)
            assert steps.sync(delete_missing=True).exit_code == 0
        shutil.copytree(steps.docs, fresh.docs, dirs_exist_ok=True)
        assert fresh.sync().exit_code == 0
        assert steps.texts() == fresh.texts()
        assert _places(steps) == _places(fresh)


def _change(workshop: Any, name: str, body: str | None) -> None:
    if body is None:
        (workshop.docs / name).unlink(missing_ok=True)
    else:
        workshop.write(name, body)


def _places(workshop: Any) -> set[tuple[str, int, str]]:
    if not workshop.chunks():
        return set()
    from rag.generation import read_current

    generation = read_current(workshop.collection)
    assert generation is not None
    with Manifest.read(generation.manifest_path) as manifest:
        return set(
            manifest.connection.execute(
                "SELECT doc_id, start, text FROM occurrences JOIN contents USING (tenant, digest)"
            )
        )
