from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rag import tracing
from rag.errors import BackendError, QuestionTooLongError
from rag.trace_export import Pace, TracedWorker, TraceExport, traced
from rag.tracing import Done, begun


class Kept:
    """Keeps what it is sent; fails while ``failing``, and waits for ``free``."""

    def __init__(self) -> None:
        self.batches: list[tuple[Done, ...]] = []
        self.failing = False
        self.free = threading.Event()
        self.free.set()
        self.closed = threading.Event()

    def send(self, batch: Sequence[Done]) -> None:
        while not self.free.wait(0.01):
            if self.closed.is_set():
                raise BackendError("given up", "closed", "wait")
        if self.failing:
            raise BackendError("the collector did not take traces", "x", "check it")
        self.batches.append(tuple(batch))

    def close(self) -> None:
        self.closed.set()


def one(sampled: str = "01") -> Done:
    trace = begun(f"00-{'a' * 32}-{'b' * 16}-{sampled}")
    return Done(trace, "GET /v1/cache", "server", 1, 2, {})


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture
def kept() -> Kept:
    return Kept()


def test_what_was_done_is_sent_in_batches_in_its_order(kept: Kept) -> None:
    export = TraceExport(lambda: kept, Pace(batch=3, every_seconds=60))
    dones = [one() for _ in range(7)]
    for each in dones:
        export.add(each)
    until(lambda: len(kept.batches) == 2)
    export.close()
    assert [len(batch) for batch in kept.batches] == [3, 3, 1]
    assert [each for batch in kept.batches for each in batch] == dones
    assert export.counts() == {"sent": 7, "dropped": 0, "lost": 0}
    assert kept.closed.is_set()


def test_a_single_one_is_sent_after_a_while(kept: Kept) -> None:
    export = TraceExport(lambda: kept, Pace(every_seconds=0.05))
    export.add(one())
    until(lambda: export.counts()["sent"] == 1)
    export.close()


def test_an_unused_one_starts_nothing() -> None:
    before = threading.active_count()
    export = TraceExport(lambda: pytest.fail("connected"))
    export.add(one(sampled="00"))
    assert threading.active_count() == before
    export.close()
    assert set(export.counts().values()) == {0}


def test_nobody_waits_for_a_collector_that_hangs_and_the_queue_is_bounded(kept: Kept) -> None:
    kept.free.clear()
    export = TraceExport(lambda: kept, Pace(queue=10, batch=2, every_seconds=60))
    started = time.monotonic()
    for _ in range(1000):
        export.add(one())
    assert time.monotonic() - started < 1
    until(lambda: export.counts()["dropped"] >= 988)  # 10 wait, 2 at most are being sent
    started = time.monotonic()
    export.close(0.1)
    assert time.monotonic() - started < 2
    until(lambda: sum(export.counts().values()) == 1000)
    assert export.counts()["sent"] == 0


def test_an_outage_is_counted_and_told_once_and_ends(
    kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    kept.failing = True
    export = TraceExport(lambda: kept, Pace(batch=1))
    for _ in range(3):
        export.add(one())
    until(lambda: export.counts()["lost"] == 3)
    kept.failing = False
    export.add(one())
    export.close()
    assert export.counts() == {"sent": 1, "dropped": 0, "lost": 3}
    told = [record for record in caplog.records if record.getMessage() == "traces-lost"]
    assert [record.levelno for record in told] == [logging.WARNING]


def test_a_sender_that_cannot_be_made_is_tried_again(kept: Kept) -> None:
    attempts: list[int] = []

    def connect() -> Kept:
        attempts.append(1)
        if len(attempts) == 1:
            raise BackendError("not there yet", "x", "wait")
        return kept

    export = TraceExport(connect, Pace(batch=1))
    export.add(one())
    until(lambda: export.counts()["lost"] == 1)
    export.add(one())
    export.close()
    assert export.counts()["sent"] == 1


def test_after_its_end_it_takes_nothing(kept: Kept) -> None:
    export = TraceExport(lambda: kept)
    export.close()
    export.add(one())
    assert export.counts()["dropped"] == 1


def test_work_has_a_trace_of_its_own_and_tells_how_it_ended(kept: Kept) -> None:
    export = TraceExport(lambda: kept)
    with traced(export, "batch line", {"frugal_rag.job": "j1"}) as trace:
        assert tracing.current() is trace
    with (
        pytest.raises(QuestionTooLongError),
        traced(export, "batch line", {"frugal_rag.job": "j1"}),
    ):
        raise QuestionTooLongError("too long", "secret text", "shorten it")
    with traced(None, "batch line", {}):
        assert tracing.current() is not None
    export.close()
    (well, ill) = kept.batches[0]
    assert (well.name, well.kind, well.error) == ("batch line", "internal", None)
    assert well.trace.trace_id != ill.trace.trace_id
    assert ill.error == "QuestionTooLongError"
    assert "secret text" not in json.dumps([ill.name, dict(ill.attributes), ill.error])


def test_a_job_has_a_trace_of_its_own(kept: Kept) -> None:
    class Worker:
        def work(self, job: Any, run: Any) -> dict[str, object]:  # noqa: ARG002
            return {"trace": tracing.current()}

    export = TraceExport(lambda: kept)
    job: Any = SimpleNamespace(id="j1", kind="ingest")
    told = TracedWorker(Worker(), export).work(job, cast("Any", None))
    export.close()
    ((done,),) = kept.batches
    assert done.trace is told["trace"]
    assert (done.name, dict(done.attributes)) == ("ingest job", {"frugal_rag.job": "j1"})


def test_it_loads_nothing_of_opentelemetry() -> None:
    import subprocess

    code = (
        "import sys, rag.trace_export, rag.build_traces, rag.service.traced;"
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
