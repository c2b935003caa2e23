"""What was sent over HTTP, and the jobs, go into a backup and come back with their labels."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from rag.document_desk import DocumentDesk
from rag.errors import IndexStateError
from rag.jobs.job import Order
from rag.jobs.store import JobStore
from rag.upload_table import Upload
from rag.uploads import UploadStore, upload_store

# Names and contents that would be something else anywhere else in a collection.
SENT = {
    "plain.txt": b"one",
    "report.damaged.txt": b"two",
    "zeros.txt": bytes(200_000),
    "base.txt": b"SQLite format 3\0 and then something else",
    "CURRENT.md": b"three",
}


def send(store: UploadStore, name: str, content: bytes, tenant: str = "default") -> None:
    digest = hashlib.sha256(content).hexdigest()
    with store.part() as part:
        part.write_bytes(content)
        store.keep(part, Upload(tenant, name, digest, len(content), ("hr",)))


@pytest.fixture
def filled(shelf: Any) -> Any:
    """A published collection with uploads of three tenants and a job."""
    shelf.publish({"a.txt": "Alpha is blue."})
    store = upload_store(shelf.settings)
    for name, content in SENT.items():
        send(store, name, content)
    for tenant in ("acme-wal", "x.damaged"):
        send(store, "a.txt", b"theirs", tenant)
    (store.root / ".parts/half").write_bytes(b"half of a file")
    jobs = JobStore(shelf.collection / "jobs")
    jobs.add(Order("ingest", "default"))
    jobs.close()
    return shelf


def test_all_that_was_sent_comes_back(filled: Any, fast_path: Path) -> None:
    taken = filled.backup(fast_path / "b.tar.gz")
    assert taken.left_out == ()
    assert (taken.formats["uploads"], taken.formats["jobs"]) == (1, 1)
    assert not [file.path for file in taken.files if "/.parts" in file.path]
    other = filled.moved(fast_path / "elsewhere")
    other.restore(fast_path / "b.tar.gz")
    store = upload_store(other.settings)
    for name, content in SENT.items():
        assert (store.folder("default") / name).read_bytes() == content, name
        assert store.find("default", name)[0].access == ("hr",)
    for tenant in ("acme-wal", "x.damaged"):
        assert (store.folder(tenant) / "a.txt").read_bytes() == b"theirs"
    assert store.settled("default") == upload_store(filled.settings).settled("default")
    jobs = JobStore(other.collection / "jobs")
    assert [job.kind for job in jobs.list()] == ["ingest"]
    jobs.close()


def test_what_was_deleted_since_comes_back_to_nobody(filled: Any, fast_path: Path) -> None:
    filled.backup(fast_path / "b")
    store = upload_store(filled.settings)
    store.remove("default", "plain.txt")
    filled.restore(fast_path / "b", force=True)
    assert (store.folder("default") / "plain.txt").exists()
    digest = hashlib.sha256(b"one").hexdigest()
    assert store.table.labels("default", "plain.txt", digest) is None  # so ingest leaves it alone


def test_a_later_release_s_uploads_are_refused(filled: Any, fast_path: Path) -> None:
    filled.backup(fast_path / "b")
    path = fast_path / "b/backup.json"
    whole = json.loads(path.read_text(encoding="utf-8"))
    whole["backup"]["formats"]["uploads"] = 2
    body = json.dumps(whole["backup"], sort_keys=True).encode()
    whole["sha256"] = hashlib.sha256(body).hexdigest()
    path.write_text(json.dumps(whole), encoding="utf-8")
    with pytest.raises(IndexStateError, match="uploads of format 2; this release reads up to 1"):
        filled.moved(fast_path / "elsewhere").restore(fast_path / "b")


def test_a_document_that_lies_elsewhere_now_can_still_be_deleted(
    shelf: Any, fast_path: Path
) -> None:
    store = upload_store(shelf.settings)
    send(store, "sent.txt", b"The sent gauge is blue.")
    shelf.sync_uploads(store.folder("default"))
    shelf.backup(fast_path / "b")
    other = shelf.moved(fast_path / "elsewhere")
    other.restore(fast_path / "b")
    (store.folder("default") / "sent.txt").unlink()  # the old machine is gone
    jobs = JobStore(other.collection / "jobs")
    desk = DocumentDesk(other.settings, jobs)
    assert desk.find("default", "sent.txt").sent[0].access == ("hr",)
    assert desk.delete("default", "sent.txt").kind == "ingest"
    assert not (upload_store(other.settings).folder("default") / "sent.txt").exists()
    jobs.close()
