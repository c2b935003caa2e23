"""The documents of the published generation, as each caller sees them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as checks
from hypothesis import strategies as st

from ingest.build import build_toolkit
from ingest.manifest import DocumentRecord, Manifest
from ingest.progress import Progress
from ingest.sync import SyncRequest, sync
from rag.access import Caller, acting
from rag.documents import DocumentList
from rag.errors import AccessError, IndexStateError
from rag.settings import Settings, load_settings

LABELS = ("hr", "board", "x")


def caller(labels: tuple[str, ...] | None, tenant: str = "acme") -> Caller:
    return Caller("k", tenant, frozenset({"ingest"}), labels)


def published(settings: Settings, folder: Path) -> DocumentList:
    sync(SyncRequest((folder,)), build_toolkit(settings), Progress())
    return DocumentList(settings.data_dir / settings.collection)


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> DocumentList:
    """Twenty documents of one tenant, a quarter each without, with one, with another label."""
    place = tmp_path_factory.mktemp("documents")
    (place / "docs").mkdir()
    for number in range(20):
        own = [*LABELS[: number % 4 % 3], *(["x"] if number % 4 == 3 else [])]
        head = f"---\ntitle: Title {number}\ntags: [t]\naccess: {json.dumps(own)}\n---\n"
        text = f"{head if own else ''}# Title {number}\n\nNumber {number} is blue.\n"
        (place / f"docs/{number:02}.md").write_text(text, encoding="utf-8")
    settings = load_settings(
        data_dir=place / "data", tier="lexical", tenant="acme", ingest_workers=1
    )
    return published(settings, place / "docs")


def every(documents: DocumentList, limit: int) -> list[Any]:
    found, after = [], ""
    while True:
        page = documents.page("acme", after, limit)
        found += page.documents
        assert len(page.documents) <= limit
        if page.after is None:
            return found
        assert len(page.documents) == limit
        after = page.after


@checks(deadline=None, max_examples=40)
@given(st.integers(1, 25), st.none() | st.sets(st.sampled_from((*LABELS, "none"))))
def test_pages_hold_all_that_a_caller_may_read_once_and_in_order(
    documents: DocumentList, limit: int, labels: set[str] | None
) -> None:
    whole = every(documents, 1000)
    assert len(whole) == 20
    asking = caller(None if labels is None else tuple(sorted(labels)))
    with acting(asking):
        found = every(documents, limit)
        assert found == [each for each in whole if asking.reads(each.access)]
        for each in whole:
            reads = asking.reads(each.access)
            assert documents.find("acme", each.doc_id) == (each if reads else None)
            assert documents.at("acme", Path(each.path)) == (each if reads else None)
            assert documents.hidden_at("acme", Path(each.path)) == (not reads)


def test_a_document_is_told_with_what_is_known_of_it(documents: DocumentList) -> None:
    found = documents.find("acme", "01.md")
    assert found is not None
    assert (found.title, found.tags, found.access, found.chunks) == ("Title 1", ("t",), ("hr",), 1)
    assert found.media_type == "text/markdown"
    assert found.bytes == Path(found.path).stat().st_size


def test_another_tenant_sees_nothing(documents: DocumentList) -> None:
    calls: list[Callable[[], object]] = [
        lambda: documents.page("acme", "", 10),
        lambda: documents.find("acme", "01.md"),
        lambda: documents.at("acme", Path("x")),
        lambda: documents.hidden_at("acme", Path("x")),
    ]
    with acting(caller(None, "other")):
        for call in calls:
            with pytest.raises(AccessError):
                call()
        assert documents.page("other", "", 10).documents == ()
        assert documents.find("other", "01.md") is None


def test_where_nothing_is_published_there_is_nothing(tmp_path: Path) -> None:
    documents = DocumentList(tmp_path)
    assert documents.page("acme", "", 10).documents == ()
    assert not documents.hidden_at("acme", tmp_path)


@pytest.mark.parametrize("labels", [None, (), ("hr",)])
def test_a_manifest_from_before_there_were_labels_is_open(
    tmp_path: Path, labels: tuple[str, ...] | None
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.md").write_text("# A\n\nAlpha is blue.\n", encoding="utf-8")
    settings = load_settings(
        data_dir=tmp_path / "data", tier="lexical", tenant="acme", ingest_workers=1
    )
    documents = published(settings, tmp_path / "docs")
    (manifest,) = (tmp_path / "data/default/generations").glob("*/manifest.sqlite")
    with closing(sqlite3.connect(manifest)) as db:
        for column in ("access", "own_access"):
            db.execute(f"ALTER TABLE documents DROP COLUMN {column}")
        db.commit()
    with acting(caller(labels)):
        (found,) = documents.page("acme", "", 10).documents
    assert found.access == ()


def test_a_damaged_manifest_is_told(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.md").write_text("# A\n\nAlpha is blue.\n", encoding="utf-8")
    settings = load_settings(data_dir=tmp_path / "data", tier="lexical", ingest_workers=1)
    documents = published(settings, tmp_path / "docs")
    (manifest,) = (tmp_path / "data/default/generations").glob("*/manifest.sqlite")
    manifest.write_bytes(b"nothing" * 1000)
    with pytest.raises(IndexStateError, match="list of documents"):
        documents.find("default", "a.md")


def test_many_documents_are_paged_without_reading_all(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.md").write_text("# A\n\nAlpha is blue.\n", encoding="utf-8")
    settings = load_settings(data_dir=tmp_path / "data", tier="lexical", ingest_workers=1)
    documents = published(settings, tmp_path / "docs")
    (path,) = (tmp_path / "data/default/generations").glob("*/manifest.sqlite")
    with Manifest.write(path) as manifest:
        for number in range(3000):
            record = DocumentRecord(
                *(f"{number:05}", f"/p/{number}", 1, "", "", "t", "m"), tags=(), date=None
            )
            manifest.put_document("default", record, ())
    assert [each.doc_id for each in documents.page("default", "01499", 2).documents] == [
        "01500",
        "01501",
    ]
    assert documents.page("default", "a", 1000).documents[-1].doc_id == "a.md"
