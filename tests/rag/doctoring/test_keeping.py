"""Uploads, jobs, the audit log and the collector of traces: sound, damaged, not there."""

from __future__ import annotations

import shutil
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rag.doctor import Finding
from rag.doctoring.keeping import check_audit, check_collector, check_jobs, check_uploads
from rag.errors import SettingsError
from rag.jobs.file import NAME
from rag.jobs.job import Job, Order
from rag.jobs.queue import JobQueue, Settled
from rag.jobs.store import FOLDER, JobStore
from rag.settings import Settings
from rag.upload_table import FILE_NAME, Upload, UploadTable
from rag.uploads import upload_root

NOW = 1_795_348_800.0
HOUR = 3600.0


@pytest.fixture
def uploads(nothing: Settings) -> Path:
    """Two documents of a tenant, one of which could not be read; their folder."""
    root = upload_root(nothing)
    table = UploadTable(root)
    table.put(Upload("acme", "pump.txt", "a" * 64, 1_500_000, ()), "pump.txt")
    table.put(Upload("acme", "tax.txt", "b" * 64, 500_000, ("hr",), "no text in it"), "tax.txt")
    (root / "acme").mkdir()
    return root


@pytest.fixture
def jobs(nothing: Settings) -> Iterator[tuple[JobStore, JobQueue]]:
    folder = nothing.data_dir / nothing.collection / FOLDER
    store, queue = JobStore(folder, lambda: NOW - 3 * HOUR), JobQueue(folder, lambda: NOW)
    yield store, queue
    store.close()
    queue.close()


def begun(jobs: tuple[JobStore, JobQueue]) -> Job:
    store, queue = jobs
    job = queue.begin(store.add(Order("batch", "acme")))
    assert job is not None
    return job


def jobs_of(settings: Settings) -> Finding:
    return check_jobs(settings, now=lambda: NOW)


def test_nothing_yet(nothing: Settings) -> None:
    found = [check(nothing) for check in (check_uploads, check_jobs, check_audit)]
    assert [each.verdict for each in found] == ["ok"] * 3
    assert not nothing.data_dir.exists()


def test_uploads_are_counted(nothing: Settings, uploads: Path) -> None:
    before = sorted(uploads.iterdir())
    finding = check_uploads(nothing)
    assert finding.verdict == "ok"
    assert finding.found == "2 documents, 2.0 MB, 1 that could not be read"
    assert sorted(uploads.iterdir()) == before


def test_uploads_whose_folder_is_gone(nothing: Settings, uploads: Path) -> None:
    shutil.rmtree(uploads / "acme")
    finding = check_uploads(nothing)
    assert (finding.verdict, "acme" in finding.found) == ("warn", True)


def test_uploads_that_cannot_be_read(nothing: Settings, uploads: Path) -> None:
    (uploads / FILE_NAME).write_bytes(b"garbage" * 1000)
    finding = check_uploads(nothing)
    assert (finding.verdict, "rag restore" in finding.remedy) == ("fail", True)


def test_uploads_of_a_later_release(nothing: Settings, uploads: Path) -> None:
    with closing(sqlite3.connect(uploads / FILE_NAME)) as db:
        db.execute("PRAGMA user_version=7")
    assert check_uploads(nothing).found == f"{FILE_NAME} has format 7"
    assert check_uploads(nothing).verdict == "fail"


def test_jobs_are_counted(nothing: Settings, jobs: tuple[JobStore, JobQueue]) -> None:
    store, queue = jobs
    queue.settle(begun(jobs), Settled("failed", "no way"))
    queue.settle(begun(jobs), Settled("done"))
    assert jobs_of(nothing) == Finding("ok", "0 wait, 1 failed or expired")
    begun(jobs)
    store.add(Order("ingest", "acme"))
    assert jobs_of(nothing) == Finding(
        "ok", "1 wait, 1 failed or expired; the oldest waits for 3.0 h"
    )


def test_jobs_that_nobody_does(nothing: Settings, jobs: tuple[JobStore, JobQueue]) -> None:
    jobs[0].add(Order("batch", "acme"))
    finding = jobs_of(nothing)
    assert (finding.verdict, finding.remedy) == ("warn", "run rag serve or rag jobs run")
    assert finding.found.endswith("the oldest waits for 3.0 h; none is worked on")


def test_a_job_that_is_to_wait_is_no_fault(
    nothing: Settings, jobs: tuple[JobStore, JobQueue]
) -> None:
    jobs[1].settle(begun(jobs), Settled("waiting", "too early", look=NOW + 60))
    assert jobs_of(nothing).verdict == "ok"
    assert check_jobs(nothing, now=lambda: NOW + 61).verdict == "warn"


def test_jobs_that_cannot_be_read(nothing: Settings, jobs: tuple[JobStore, JobQueue]) -> None:
    begun(jobs)
    for part in jobs:
        part.close()
    (nothing.data_dir / nothing.collection / FOLDER / NAME).write_bytes(b"garbage" * 1000)
    finding = jobs_of(nothing)
    assert (finding.verdict, "rag restore" in finding.remedy) == ("fail", True)


def test_the_audit_log(nothing: Settings, tmp_path: Path) -> None:
    log = tmp_path / "audit.jsonl"
    kept = nothing.model_copy(update={"audit_log": log})
    assert check_audit(kept) == Finding("ok", f"{log}: to be made")
    assert not log.exists()
    log.write_bytes(b"{}\n" * 1_000_000)
    assert check_audit(kept) == Finding("ok", f"{log}: 3.0 MB, can be appended to")
    assert log.stat().st_size == 3_000_000
    log.unlink()
    log.mkdir()
    with pytest.raises(SettingsError, match="audit_log"):
        check_audit(kept)


def test_a_collector_that_listens_and_one_that_does_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        url = f"http://127.0.0.1:{port}/v1/traces"
        assert check_collector(url) == Finding("ok", f"something listens at 127.0.0.1:{port}")
    finding = check_collector(url)
    assert (finding.verdict, "cannot be reached" in finding.found) == ("warn", True)


def test_a_collector_that_does_not_answer_is_waited_for_shortly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[tuple[str, int], float]] = []

    def silent(address: tuple[str, int], seconds: float) -> socket.socket:
        asked.append((address, seconds))
        raise TimeoutError("timed out")

    monkeypatch.setattr("rag.doctoring.keeping.socket.create_connection", silent)
    assert check_collector("https://collector.example").verdict == "warn"
    assert asked == [(("collector.example", 443), 2.0)]
