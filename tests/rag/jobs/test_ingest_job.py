"""Uploads into the index by real processes of ``rag-ingest``."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ingest.publish import writing
from rag.access import OPERATOR, Caller, acting
from rag.documents import DocumentList
from rag.errors import IndexStateError, RagError
from rag.jobs.ingest_job import IngestWorker
from rag.jobs.job import Job, Later, Order, Stopped
from rag.settings import Settings, load_settings
from rag.upload_table import Upload
from rag.uploads import upload_store

ALPHA = b"# Alpha\n\nThe alpha gauge reads seven bar at the inlet valve.\n"


@dataclass
class Running:
    """A run that goes on until it is told to stop."""

    folder: Path
    stop_after: float = float("inf")
    told: list[tuple[int, int]] = field(default_factory=list)

    def pause(self, seconds: float = 0.0) -> None:
        self.stop_after -= seconds
        if self.stop_after < 0:
            raise Stopped("cancelled")
        time.sleep(seconds)

    def progress(
        self, done: int, failed: int = 0, detail: Mapping[str, object] | None = None
    ) -> None:
        assert detail is None
        self.told.append((done, failed))


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A collection in the lexical tier, as the processes find it too; in memory if possible."""
    memory = Path("/dev/shm")  # noqa: S108 -- a folder of its own is made in it
    place = memory if os.access(memory, os.W_OK) else tmp_path
    with tempfile.TemporaryDirectory(dir=place) as folder:
        yield _settings(Path(folder), monkeypatch)


def _settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    given = {"RAG_TIER": "lexical", "RAG_INGEST_WORKERS": "1", "RAG_DATA_DIR": str(folder / "d")}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    path = os.pathsep.join(entry for entry in sys.path if entry)
    monkeypatch.setenv("PYTHONPATH", path)
    return load_settings()


@pytest.fixture
def run(tmp_path: Path) -> Running:
    return Running(tmp_path)


def job(caller: Caller = OPERATOR, tenant: str = "default") -> Job:
    return Job("job_1", Order("ingest", tenant), caller, "running", 0.0)


def send(settings: Settings, name: str, content: bytes, *labels: str) -> Upload:
    store = upload_store(settings)
    upload = Upload("default", name, hashlib.sha256(content).hexdigest(), len(content), labels)
    with store.part() as part:
        part.write_bytes(content)
        store.keep(part, upload)
    return upload


def documents(settings: Settings) -> Iterator[tuple[str, tuple[str, ...]]]:
    page = DocumentList(settings.data_dir / settings.collection).page("default", "", 100)
    return ((each.doc_id, each.access) for each in page.documents)


def test_what_was_sent_is_published_and_what_is_damaged_is_told(
    settings: Settings, run: Running
) -> None:
    send(settings, "a.md", ALPHA, "hr")
    torn = send(settings, "b.docx", b"no archive")
    empty = send(settings, "c.md", b"   \n")
    worker = IngestWorker(settings)
    detail = worker.work(job(), run)
    assert dict(documents(settings)) == {"a.md": ("hr",)}
    assert (detail["generation"], detail["published"]) == (1, True)
    assert run.told == [(1, 2)]
    failures = detail["failures"]
    assert isinstance(failures, list)
    assert [failure["name"] for failure in failures] == ["b.docx", "c.md"]
    assert failures[0]["problem"].startswith("damaged container: b.docx")
    assert failures[1]["problem"] == "no text was found in it"
    assert str(settings.data_dir) not in json.dumps(detail)
    store = upload_store(settings)
    assert store.find("default", "b.docx")[0].problem == failures[0]["problem"]
    assert store.find("default", "c.md")[0].problem == "no text was found in it"
    assert (torn.problem, empty.problem) == ("", "")

    send(settings, "b.docx", b"neither")  # noted anew, and the same again changes nothing
    assert store.find("default", "b.docx")[0].problem == ""
    again = worker.work(job(), run)
    assert (again["published"], run.told[-1]) == (False, (1, 2))


def test_who_gave_the_job_is_told_of_what_they_may_read(settings: Settings, run: Running) -> None:
    send(settings, "a.docx", b"no archive", "board")
    send(settings, "b.docx", b"no archive", "hr")
    with acting(Caller("k", "default", frozenset({"ingest"}), ("hr",))):
        detail = IngestWorker(settings).work(job(Caller("k", "default", frozenset(), ("hr",))), run)
    failures = detail["failures"]
    assert isinstance(failures, list)
    assert [failure["name"] for failure in failures] == ["b.docx"]
    assert (detail["files"], detail["chunks"], run.told) == (None, None, [(0, 1)])


def test_what_was_deleted_is_unpublished_and_forgotten(settings: Settings, run: Running) -> None:
    send(settings, "a.md", ALPHA)
    send(settings, "b.md", ALPHA.replace(b"seven", b"nine"))
    forgotten: list[tuple[str, str]] = []
    worker = IngestWorker(settings, lambda *what: forgotten.append(what))
    worker.work(job(), run)
    assert forgotten == []
    store = upload_store(settings)
    store.table.note_gone("default", "a.md")
    store.remove("default", "a.md")
    worker.work(job(), run)
    assert [doc_id for doc_id, _ in documents(settings)] == ["b.md"]
    assert forgotten == [("default", "a.md")]
    worker.work(job(), run)
    assert forgotten == [("default", "a.md")]


def test_while_another_one_works_the_job_waits(settings: Settings, run: Running) -> None:
    send(settings, "a.md", ALPHA)
    worker = IngestWorker(settings)
    with writing(settings.data_dir / "default"), pytest.raises(Later, match="changes the coll"):
        worker.work(job(), run)
    assert worker.work(job(), run)["published"]


def test_a_stopped_run_leaves_what_is_published_and_the_next_one_does_it(
    settings: Settings, run: Running
) -> None:
    send(settings, "a.md", ALPHA)
    worker = IngestWorker(settings)
    with pytest.raises(Stopped):
        worker.work(job(), Running(run.folder, stop_after=0.3))
    assert list(documents(settings)) == []
    assert worker.work(job(), run)["generation"] == 1


def test_a_folder_that_is_gone_deletes_nothing(settings: Settings, run: Running) -> None:
    send(settings, "a.md", ALPHA)
    worker = IngestWorker(settings)
    worker.work(job(), run)
    root = upload_store(settings).root
    root.rename(root.with_name("unmounted"))
    with pytest.raises(IndexStateError, match="list of uploads is gone"):
        worker.work(job(), run)
    assert [doc_id for doc_id, _ in documents(settings)] == ["a.md"]


def test_a_run_without_a_report_fails_with_its_last_words(settings: Settings, run: Running) -> None:
    send(settings, "a.md", ALPHA)
    place = f"{settings.data_dir}/default/x"
    code = f"import sys; sys.exit('noise\\nerror: no model: {place}. Fetch it.')"
    worker = IngestWorker(settings, command=(sys.executable, "-c", code))
    with pytest.raises(RagError, match=r"ingest failed: no model: x\. Fetch it\.") as failed:
        worker.work(job(), run)
    assert str(settings.data_dir) not in str(failed.value)
    silent = IngestWorker(settings, command=(sys.executable, "-c", "import os; os._exit(9)"))
    with pytest.raises(RagError, match="exit status 9"):
        silent.work(job(), run)


def test_an_index_with_vectors_is_not_made_anew_without(settings: Settings, run: Running) -> None:
    send(settings, "a.md", ALPHA)
    IngestWorker(settings).work(job(), run)
    said = "import sys; sys.exit(' '.join(sys.argv[1:]))"
    neural = settings.model_copy(update={"tier": "neural"})
    worker = IngestWorker(neural, command=(sys.executable, "-c", said))
    with pytest.raises(RagError, match="--tier lexical"):
        worker.work(job(), run)
