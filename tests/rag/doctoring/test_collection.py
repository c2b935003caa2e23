"""The published generation: sound, damaged in each part, or not there yet."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from rag.build import build_analyzer, build_live_index
from rag.doctor import Finding
from rag.doctoring.collection import (
    check_generation,
    check_ingest,
    check_reading,
    check_vectors,
)
from rag.errors import IndexStateError
from rag.settings import Settings

GENERATION = Path("default/generations/000001")


def reading(settings: Settings) -> Finding:
    return check_reading(settings, partial(build_live_index, settings), build_analyzer)


def changed(settings: Settings, **fields: object) -> None:
    path = settings.data_dir / GENERATION / "generation.json"
    state = json.loads(path.read_text(encoding="utf-8"))
    shape = state["shape"] | fields.pop("shape", {})  # type: ignore[operator]
    path.write_text(json.dumps(state | fields | {"shape": shape}), encoding="utf-8")


def test_a_sound_one(published: Settings) -> None:
    generation = check_generation(published)
    assert (generation.verdict, "2 documents, 2 chunks, 1 tenant" in generation.found) == (
        "ok",
        True,
    )
    assert reading(published).found == "edge: 2 chunks counted, 2 read and found"
    assert check_vectors(published).found == "none: lexical tier"
    assert check_ingest(published).verdict == "ok"


@pytest.mark.parametrize("check", [check_generation, reading, check_vectors])
def test_nothing_published_is_a_warning(
    nothing: Settings, check: Callable[[Settings], Finding]
) -> None:
    finding = check(nothing)
    assert (finding.verdict, finding.found) == ("warn", "nothing is published yet")
    assert "rag-ingest sync" in finding.remedy
    assert check_ingest(nothing).verdict == "ok"
    assert not nothing.data_dir.exists()


def test_a_pointer_to_nowhere(collection: Settings) -> None:
    (collection.data_dir / "default/CURRENT").write_text("000009\n", encoding="utf-8")
    with pytest.raises(IndexStateError, match="missing or damaged"):
        check_generation(collection)


def test_an_altered_manifest(collection: Settings) -> None:
    with closing(sqlite3.connect(collection.data_dir / GENERATION / "manifest.sqlite")) as db:
        db.execute("UPDATE contents SET text = 'other'")
        db.commit()
    with pytest.raises(IndexStateError, match="altered manifest"):
        check_generation(collection)
    with pytest.raises(IndexStateError, match="missing or altered"):
        reading(collection)


def test_counts_that_disagree(collection: Settings) -> None:
    changed(collection, chunks=5)
    with pytest.raises(IndexStateError, match="counts of chunks differ"):
        check_generation(collection)


def test_an_altered_index(collection: Settings) -> None:
    import shutil

    shutil.rmtree(collection.data_dir / "default/readers")
    files = (collection.data_dir / GENERATION / "index").rglob("*")
    path = max((f for f in files if f.is_file()), key=lambda f: f.stat().st_size)
    with path.open("r+b") as file:
        file.write(b"\xff" * 64)
    with pytest.raises(IndexStateError, match="altered index"):
        reading(collection)


def test_an_index_elsewhere(collection: Settings) -> None:
    finding = check_generation(collection.model_copy(update={"index": "server"}))
    assert (finding.verdict, "index to edge" in finding.remedy) == ("fail", True)


def test_a_tier_that_the_index_has_no_vectors_for(collection: Settings) -> None:
    finding = check_vectors(collection.model_copy(update={"tier": "neural"}))
    assert (finding.verdict, "no vectors" in finding.found) == ("fail", True)


def test_chunks_that_wait(collection: Settings) -> None:
    changed(collection, unembedded=1, shape={"embedder": "some"})
    finding = check_vectors(collection)
    assert finding.found == "1 of 2 chunks wait for theirs"
    assert "rag-ingest embed" in finding.remedy
    changed(collection, unembedded=0)
    assert check_vectors(collection).verdict == "ok"


def test_what_an_unfinished_run_left(collection: Settings) -> None:
    (collection.data_dir / "default/staging").mkdir()
    assert "being made" in check_ingest(collection).found
    (collection.data_dir / "default/server-pending.jsonl").touch()
    assert check_ingest(collection).verdict == "warn"
