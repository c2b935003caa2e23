"""A batch: each line is answered, in order, once, whatever happens in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.access import OPERATOR, acting
from rag.errors import (
    BackendRejectedError,
    BackendTimeoutError,
    QuotaSpentError,
    RagError,
    StorageFullError,
)
from rag.jobs.batch import INPUT, OUTPUT, BatchWorker, Line, Reply, output_of
from rag.jobs.job import Job, Later, Order, Stopped
from rag.jobs.store import JobStore
from rag.types import Interval

Until: TypeAlias = Callable[[Callable[[], bool]], None]


TAKEN = Interval(1.0, 2.0)


@dataclass
class Echo:
    """Answers each line with its own custom_id; raises first what is to be raised for it."""

    faults: dict[str, list[RagError]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    joules: Interval | None = TAKEN

    def ask(self, line: Line) -> Reply:
        self.asked.append(line.custom_id)
        faults = self.faults.get(line.custom_id)
        if faults:
            raise faults.pop(0)
        known = {"low": self.joules.low, "high": self.joules.high} if self.joules else None
        body = {"echo": line.custom_id, "impact": {"joules": known}}
        return Reply(200, json.dumps(body).encode(), self.joules)

    def refusal(self, line: Line, error: RagError) -> Reply:  # noqa: ARG002
        return Reply(error.http_status, json.dumps({"detail": error.what}).encode())


@dataclass
class Underway:
    """A run that is stopped after some looks."""

    folder: Path
    looks: int = 10**9
    progressed: list[tuple[int, int]] = field(default_factory=list)
    full: bool = False

    def pause(self, seconds: float = 0.0) -> None:  # noqa: ARG002
        self.looks -= 1
        if self.looks < 0:
            raise Stopped("closing")

    def progress(self, done: int, failed: int = 0, detail: object = None) -> None:  # noqa: ARG002
        if self.full:
            raise StorageFullError("no room", "here", "make some")
        self.progressed.append((done, failed))


def content(names: Sequence[str]) -> bytes:
    lines = [{"custom_id": name, "method": "POST", "url": "/", "body": {}} for name in names]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def job_of(total: int, **fields: Any) -> Job:
    return Job("job_1", Order("batch", "acme", total), OPERATOR, "running", 0.0, **fields)


def told(folder: Path, job: Job) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output_of(job, folder)]


def idle() -> bool:
    return False


NAMES = ("a", "b", "ü\ud800 \u2028", "d")


@pytest.fixture
def run(tmp_path: Path) -> Underway:
    (tmp_path / INPUT).write_bytes(content(NAMES))
    return Underway(tmp_path)


def test_each_line_is_answered_in_order_with_what_it_took(run: Underway) -> None:
    detail = BatchWorker(Echo(), idle).work(job_of(4), run)
    assert detail == {"joules": {"low": 4.0, "high": 8.0}, "unmetered": 0}
    lines = told(run.folder, job_of(4))
    assert [line["custom_id"] for line in lines] == list(NAMES)
    assert lines[1] == {
        "id": "job_1-2",
        "custom_id": "b",
        "response": {
            "status_code": 200,
            "request_id": "job_1-2",
            "body": {"echo": "b", "impact": {"joules": {"low": 1.0, "high": 2.0}}},
        },
        "error": None,
    }
    assert run.progressed[-1] == (4, 0)


def test_blank_lines_and_windows_ends_are_no_lines(run: Underway) -> None:
    text = content(NAMES).replace(b"\n", b"\r\n\r\n  \r\n")
    (run.folder / INPUT).write_bytes(text.rstrip())
    BatchWorker(Echo(), idle).work(job_of(4), run)
    assert [line["custom_id"] for line in told(run.folder, job_of(4))] == list(NAMES)


def test_what_is_not_known_is_not_counted(run: Underway) -> None:
    detail = BatchWorker(Echo(joules=None), idle).work(job_of(4), run)
    assert detail == {"joules": None, "unmetered": 4}


def test_a_line_that_cannot_be_answered_fails_alone(run: Underway) -> None:
    echo = Echo({"b": [BackendRejectedError("refused", "key", "mend it")] * 9})
    BatchWorker(echo, idle).work(job_of(4), run)
    assert echo.asked == list(NAMES)  # what was refused is not asked again
    statuses = [line["response"]["status_code"] for line in told(run.folder, job_of(4))]
    assert (statuses, run.progressed[-1]) == ([200, 502, 200, 200], (3, 1))


def test_what_passes_is_tried_three_times(run: Underway) -> None:
    late = BackendTimeoutError("late", "1 s", "wait")
    echo = Echo({"a": [late, late], "b": [late] * 9})
    BatchWorker(echo, idle).work(job_of(4), run)
    assert echo.asked == ["a"] * 3 + ["b"] * 3 + list(NAMES[2:])
    statuses = [line["response"]["status_code"] for line in told(run.folder, job_of(4))]
    assert statuses == [200, 504, 200, 200]


def test_a_spent_quota_is_waited_for(run: Underway) -> None:
    spent = QuotaSpentError("spent", "acme", "wait")
    spent.retry_after = 12.5
    echo = Echo({"b": [spent]})
    with pytest.raises(Later) as caught:
        BatchWorker(echo, idle).work(job_of(4), run)
    assert caught.value.seconds == 12.5
    assert run.progressed[-1] == (1, 0)
    BatchWorker(echo, idle).work(job_of(4), run)
    assert echo.asked == ["a", "b", *NAMES[1:]]


def test_a_line_waits_while_somebody_waits(run: Underway) -> None:
    echo, looks = Echo(), count()
    BatchWorker(echo, lambda: next(looks) < 50).work(job_of(4), run)
    assert echo.asked == list(NAMES)
    assert next(looks) == 54  # fifty times told to wait, then once a line
    with pytest.raises(Stopped):
        BatchWorker(echo, lambda: True).work(job_of(5), Underway(_folder(run, 5), looks=99))


def _folder(run: Underway, total: int) -> Path:
    (run.folder / INPUT).write_bytes(content([*NAMES, "e"][:total]))
    return run.folder


@settings(max_examples=60, deadline=None)  # each brings two batches to the disk
@given(cut=st.integers(0, 2000), tail=st.binary(max_size=40), stops=st.integers(0, 5))
def test_wherever_it_breaks_off_each_line_is_there_once_at_the_end(
    tmp_path_factory: pytest.TempPathFactory, cut: int, tail: bytes, stops: int
) -> None:
    folder = tmp_path_factory.mktemp("batch")
    (folder / INPUT).write_bytes(content(NAMES))
    worker = BatchWorker(Echo(), idle)
    whole = worker.work(job_of(4), Underway(folder))
    expected = (folder / OUTPUT).read_bytes()
    (folder / OUTPUT).write_bytes(expected[:cut] + tail)
    with suppress(Stopped):
        worker.work(job_of(4), Underway(folder, looks=stops))
    again = worker.work(job_of(4), Underway(folder))
    assert (folder / OUTPUT).read_bytes() == expected
    assert again == whole


def test_answers_of_another_job_are_not_taken_for_ours(run: Underway) -> None:
    BatchWorker(Echo(), idle).work(job_of(4), run)
    other = Job("job_2", Order("batch", "acme", 4), OPERATOR, "running", 0.0)
    echo = Echo()
    BatchWorker(echo, idle).work(other, run)
    assert echo.asked == list(NAMES)
    assert {line["id"][:5] for line in told(run.folder, other)} == {"job_2"}


def test_lines_without_an_answer_say_why_once_the_job_has_ended(run: Underway) -> None:
    with pytest.raises(Stopped):
        BatchWorker(Echo(), idle).work(job_of(4), Underway(run.folder, looks=2))
    with (run.folder / OUTPUT).open("ab") as file:
        file.write(b'{"id": "job_1-3", "half a')
    assert len(told(run.folder, job_of(4))) == 2
    job = Job("job_1", Order("batch", "acme", 4), OPERATOR, "expired", 0.0, reason="too late")
    lines = told(run.folder, job)
    assert [line["custom_id"] for line in lines] == list(NAMES)
    assert lines[3] == {
        "id": "job_1-4",
        "custom_id": "d",
        "response": None,
        "error": {"code": "batch_expired", "message": "too late"},
    }
    unbegun = run.folder / "unbegun"
    unbegun.mkdir()
    (unbegun / INPUT).write_bytes(content(NAMES))
    cancelled = Job("job_1", Order("batch", "acme", 4), OPERATOR, "cancelled", 0.0)
    codes = [line["error"]["code"] for line in told(unbegun, cancelled)]
    assert codes == ["batch_cancelled"] * 4


PROGRAM = """
import json, resource, sys, time
from pathlib import Path
from rag.jobs.batch import BatchWorker, Reply
from rag.jobs.queue import JobQueue
from rag.jobs.runner import JobRunner, Terms

folder, seconds, limit = Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
if limit:
    import signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

class Echo:
    def ask(self, line):
        time.sleep(seconds)
        body = {"echo": line.custom_id, "impact": {"joules": {"low": 1.0, "high": 2.0}}}
        return Reply(200, json.dumps({**body, "filling": "x" * 500}).encode(), None)
    def refusal(self, line, error):
        raise error

queue = JobQueue(folder)
JobRunner(queue, {"batch": BatchWorker(Echo(), lambda: False)}, Terms(30)).drain()
"""


def start(folder: Path, seconds: float, limit: int = 0) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", PROGRAM, str(folder), str(seconds), str(limit)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONWARNINGS": "error"})


def given_batch(store: JobStore, total: int) -> tuple[Job, list[str]]:
    names = [f"q{i}" for i in range(total)]
    draft = store.draft()
    (draft.folder / INPUT).write_bytes(content(names))
    with acting(OPERATOR):
        return store.add(Order("batch", "acme", total), draft), names


def larger(path: Path, size: int) -> bool:
    return path.exists() and path.stat().st_size > size


def test_kill_9_loses_nothing_and_answers_nothing_twice(store: JobStore, until: Until) -> None:
    job, names = given_batch(store, 400)
    output = store.folder_of(job) / OUTPUT
    for least in (4_000, 40_000):
        with start(store.folder_of(job).parent, 0.003) as process:
            try:
                until(partial(larger, output, least))
                time.sleep(0.05)
            finally:
                process.send_signal(signal.SIGKILL)
        assert store.get(job.id).state == "running"
        before = len(told(output.parent, store.get(job.id)))
        assert 0 < before < len(names)
    with start(store.folder_of(job).parent, 0) as process:
        assert process.wait(30) == 0
    found = store.get(job.id)
    assert (found.state, found.done, found.failed) == ("done", 400, 0)
    assert found.detail["joules"] is not None
    lines = told(output.parent, found)
    assert [line["custom_id"] for line in lines] == names
    assert {line["response"]["body"]["echo"] for line in lines} == set(names)


def test_a_full_disk_keeps_what_was_answered_and_the_rest_waits(store: JobStore) -> None:
    job, names = given_batch(store, 300)
    with start(store.folder_of(job).parent, 0, limit=120_000) as process:
        assert process.wait(30) == 0
    found = store.get(job.id)
    assert found.state == "waiting"
    assert "no room" in found.reason
    assert found.starts is not None
    kept = told(store.folder_of(job), found)
    assert 0 < len(kept) < 300
    with store._file.changing() as db:  # rather than to wait for a minute
        db.execute("UPDATE jobs SET look = NULL")
    with start(store.folder_of(job).parent, 0) as process:
        assert process.wait(30) == 0
    assert store.get(job.id).state == "done"
    lines = told(store.folder_of(job), store.get(job.id))
    assert lines[: len(kept)] == kept
    assert [line["custom_id"] for line in lines] == names


def test_no_room_for_how_far_it_got_is_no_failure(run: Underway) -> None:
    run.full = True
    with pytest.raises(StorageFullError):
        BatchWorker(Echo(), idle).work(job_of(4), run)
    run.full = False
    echo = Echo()
    BatchWorker(echo, idle).work(job_of(4), run)
    assert echo.asked == []  # all answers were there already
    assert len(told(run.folder, job_of(4))) == 4
