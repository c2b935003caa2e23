"""The desk: who may replace and delete what, and which job does it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.build import build_toolkit
from ingest.labels import AccessRule
from ingest.progress import Progress
from ingest.sync import SyncRequest, sync
from rag.access import Caller, acting
from rag.document_desk import DocumentDesk
from rag.errors import ConflictError, NotFoundError, QuotaSpentError
from rag.jobs.job import Job
from rag.jobs.queue import JobQueue
from rag.jobs.store import MOST_OPEN, JobStore
from rag.settings import Settings, load_settings
from rag.upload_table import Upload
from rag.uploads import upload_store

RIGHTS = frozenset({"ingest"})
ALL = Caller("all", "acme", RIGHTS, None)  # type: ignore[arg-type]
HR = Caller("hr", "acme", RIGHTS, ("hr",))  # type: ignore[arg-type]
BOARD = Caller("board", "acme", RIGHTS, ("board",))  # type: ignore[arg-type]
NARROWED = "---\naccess: [hr]\n---\n# Pay\n\nThe pay of the valve is nine.\n"


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """A collection in the lexical tier, in memory where there is such a folder."""
    memory = Path("/dev/shm")  # noqa: S108 -- a folder of its own is made in it
    place = memory if os.access(memory, os.W_OK) else tmp_path
    with tempfile.TemporaryDirectory(dir=place) as folder:
        yield load_settings(
            data_dir=Path(folder) / "data", tier="lexical", tenant="acme", ingest_workers=1
        )


@pytest.fixture
def jobs(settings: Settings) -> Iterator[JobStore]:
    store = JobStore(settings.data_dir / settings.collection / "jobs")
    yield store
    store.close()


@pytest.fixture
def desk(settings: Settings, jobs: JobStore) -> DocumentDesk:
    return DocumentDesk(settings, jobs)


def send(desk: DocumentDesk, name: str, text: str, *labels: str) -> Job:
    with desk.part() as part:
        part.write_text(text, encoding="utf-8")
        _, job = desk.send(part, Upload("acme", name, "", 0, labels))
    return job


def publish(settings: Settings) -> None:
    folder = upload_store(settings).folder("acme")
    request = SyncRequest((folder,), delete_missing=True)
    sync(request, build_toolkit(settings), Progress())


def test_a_job_that_has_not_begun_takes_in_what_its_giver_sends(
    settings: Settings, desk: DocumentDesk, jobs: JobStore
) -> None:
    queue = JobQueue(settings.data_dir / settings.collection / "jobs")
    with acting(ALL):
        first = send(desk, "a.txt", "one")
        assert send(desk, "b.txt", "two").id == first.id
        assert desk.delete("acme", "b.txt").id == first.id
    with acting(HR):
        assert send(desk, "c.txt", "three").id != first.id
    with acting(Caller("all", "acme", RIGHTS, ("hr",))):  # type: ignore[arg-type]
        assert send(desk, "d.txt", "four").id != first.id  # the key holds less than it did
    begun = queue.begin(first, "")
    assert begun is not None
    with acting(ALL):
        later = send(desk, "e.txt", "five")
        assert later.id != first.id  # it may have passed the file by
        jobs.cancel(later.id)
        assert send(desk, "f.txt", "six").id not in {first.id, later.id}
    queue.close()


def test_what_a_file_itself_narrows_is_hidden_and_not_to_be_replaced(
    settings: Settings, desk: DocumentDesk
) -> None:
    with acting(ALL):
        send(desk, "pay.md", NARROWED)
        assert desk.find("acme", "pay.md").document is None
        publish(settings)
        found = desk.find("acme", "pay.md")
        assert found.document is not None
        assert found.document.access == ("hr",)
    with acting(HR):
        assert desk.page("acme", "", 10)[0] == (found,)
    with acting(BOARD):
        assert desk.page("acme", "", 10) == ((), None)
        with pytest.raises(NotFoundError):
            desk.find("acme", "pay.md")
        with pytest.raises(NotFoundError):
            desk.delete("acme", "pay.md")
        with pytest.raises(ConflictError, match="taken"):
            send(desk, "pay.md", "nothing")
    assert (upload_store(settings).folder("acme") / "pay.md").read_text() == NARROWED


def test_a_document_that_waits_under_other_labels_is_not_deleted_by_the_old_ones(
    settings: Settings, desk: DocumentDesk
) -> None:
    with acting(ALL):
        send(desk, "pay.md", "# Pay\n\nThe pay of the valve is nine.\n")
        publish(settings)
        send(desk, "pay.md", "# Pay\n\nThe pay of the valve is ten.\n", "hr")
    with acting(BOARD):
        assert desk.find("acme", "pay.md").document is not None  # until the job has run
        with pytest.raises(NotFoundError):
            desk.delete("acme", "pay.md")
    with acting(HR):
        desk.delete("acme", "pay.md")


def test_forgetting_is_for_the_document(settings: Settings, jobs: JobStore) -> None:
    forgotten: list[tuple[str, str]] = []
    desk = DocumentDesk(settings, jobs, lambda *what: forgotten.append(what))
    with acting(ALL):
        send(desk, "a.txt", "one")
        assert forgotten == []
        desk.delete("acme", "a.txt")
    assert forgotten == [("acme", "a.txt")]
    assert upload_store(settings).table.gone("acme") == ("a.txt",)


def test_a_name_that_is_anothers_id_leaves_that_one_alone(
    settings: Settings, jobs: JobStore, tmp_path: Path
) -> None:
    forgotten: list[tuple[str, str]] = []
    desk = DocumentDesk(settings, jobs, lambda *what: forgotten.append(what))
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "pay.txt").write_text("The pay of the valve is nine.")
    rules = (AccessRule(str(tmp_path / "theirs"), ("hr",)),)
    request = SyncRequest((tmp_path / "theirs",), access=rules)
    sync(request, build_toolkit(settings), Progress())
    with acting(BOARD):
        send(desk, "pay.txt", "The pay of the pump is ten.")
        publish(settings)
        ours = desk.find("acme", "pay.txt").document
        assert ours is not None
        assert ours.doc_id != "pay.txt"
        assert [found.document for found in desk.page("acme", "", 9)[0]] == [ours]
        desk.delete("acme", "pay.txt")
    assert forgotten == [("acme", ours.doc_id)]
    assert upload_store(settings).table.gone("acme") == (ours.doc_id,)
    with acting(HR):
        theirs = desk.find("acme", "pay.txt").document
        assert theirs is not None
        assert theirs.access == ("hr",)


@pytest.mark.parametrize("doc_id", ["", "..", "a/../b.txt", "/etc/passwd", "x" * 500, "a\0b"])
def test_an_id_is_never_a_path(desk: DocumentDesk, doc_id: str) -> None:
    with acting(ALL):
        send(desk, "b.txt", "one")
        with pytest.raises(NotFoundError):
            desk.find("acme", doc_id)
        with pytest.raises(NotFoundError):
            desk.delete("acme", doc_id)


def test_a_tenant_has_so_many_jobs_and_a_key_that_has_one_may_go_on(desk: DocumentDesk) -> None:
    for number in range(MOST_OPEN):
        with acting(Caller(f"k{number}", "acme", RIGHTS, None)):  # type: ignore[arg-type]
            send(desk, f"{number}.txt", "one")
    with acting(ALL), pytest.raises(QuotaSpentError):
        send(desk, "x.txt", "one")
    with acting(Caller("k0", "acme", RIGHTS, None)):  # type: ignore[arg-type]
        send(desk, "y.txt", "one")
