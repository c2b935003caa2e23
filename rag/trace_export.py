"""Sending traces to a collector: from a bounded queue, on a thread of its own, in batches.

Nothing waits for it. What finds the queue full, or cannot be sent, is lost and counted: a trace is
for looking at, what must not be lost stands in the ledger and the audit log.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from rag import tracing
from rag.answering import Answering
from rag.errors import RagError
from rag.generating import Listener
from rag.jobs.job import Job, Run, Worker
from rag.listening import NOBODY
from rag.results import Answer, Question, Retrieved
from rag.tracing import Done, Trace, Value

_LOG = logging.getLogger(__name__)
# Source: OpenTelemetry specification 1.56, batching processor: 2048 and 512 spans, every 5 s. A
# request is about 10 spans, so that a full queue is some 3 MB.
_QUEUE: Final = 512
_BATCH: Final = 64
_EVERY_SECONDS: Final = 5.0


class Sender(Protocol):
    """Sends what was done to a collector, within a deadline of its own."""

    def send(self, batch: Sequence[Done]) -> None:
        """Send it; raises BackendError where it has not arrived."""

    def close(self) -> None:
        """Give up what is being sent, and let go of the connection."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How many requests wait at most, how many are sent at once, and how often [s]."""

    queue: int = _QUEUE
    batch: int = _BATCH
    every_seconds: float = _EVERY_SECONDS


class TraceExport:
    """Takes what was done from any thread, and sends it later; never waits and never raises."""

    def __init__(self, connect: Callable[[], Sender], pace: Pace | None = None) -> None:
        """Send by what ``connect`` returns; called once, when there is something to send."""
        self._connect = connect
        self._pace = pace or Pace()
        self._waiting: deque[Done] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._sender: Sender | None = None
        self._failing = False
        self._sent = self._dropped = self._lost = 0

    def add(self, done: Done) -> None:
        """Take what is to be sent; dropped where too much waits already."""
        if not done.trace.sampled:
            return
        with self._changed:
            if self._closing or len(self._waiting) >= self._pace.queue:
                self._dropped += 1
                return
            self._waiting.append(done)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
                self._thread.start()
            if len(self._waiting) >= self._pace.batch:
                self._changed.notify_all()

    def counts(self) -> Mapping[str, float]:
        """Return how many were sent, dropped as too many waited, and lost on the way, so far."""
        return {"sent": self._sent, "dropped": self._dropped, "lost": self._lost}

    def close(self, seconds: float = 3.0) -> None:
        """Send what waits, for so long at most [s]; what has not gone by then counts as lost."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is None:
            return
        self._thread.join(seconds)
        if self._thread.is_alive():
            if self._sender is not None:
                self._sender.close()  # ends the pause before another attempt
            self._thread.join(1.0)
        with self._changed:
            self._lost += len(self._waiting)
            self._waiting.clear()

    def _run(self) -> None:
        until = time.monotonic() + self._pace.every_seconds
        while batch := self._batch(until):
            self._send(batch)
            until = time.monotonic() + self._pace.every_seconds
        if self._sender is not None:
            self._sender.close()

    def _batch(self, until: float) -> tuple[Done, ...]:
        """Return what is to be sent now, once there is enough or it is time; none at the end."""
        with self._changed:
            while not self._closing and len(self._waiting) < self._pace.batch:
                left = until - time.monotonic()
                if left <= 0 and self._waiting:
                    break
                # Without an end where nothing waits: an idle service is not to wake up.
                self._changed.wait(max(left, 0.0) if self._waiting else None)
            count = min(self._pace.batch, len(self._waiting))
            return tuple(self._waiting.popleft() for _ in range(count))

    def _send(self, batch: Sequence[Done]) -> None:
        try:
            self._sender = self._sender or self._connect()
            self._sender.send(batch)
        except RagError as error:
            self._lost += len(batch)
            if not self._failing:
                fields = {"why": error.what, "requests": len(batch)}
                _LOG.warning("traces-lost", extra={"fields": fields})
            self._failing = True
            return
        self._sent += len(batch)
        self._failing = False


class TracedAnswering:
    """Answers by another one, and notes each result in the trace of what is being done."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering

    def retrieve(self, question: Question) -> Retrieved:
        """Return the context for a question; see ``Answering.retrieve``."""
        found = self._answering.retrieve(question)
        tracing.note(question.where.tenant, "retrieve", found.receipt)
        return found

    def answer(self, question: Question, listener: Listener = NOBODY) -> Answer:
        """Return an answer; see ``Answering.answer``."""
        answer = self._answering.answer(question, listener)
        tracing.note(question.where.tenant, "answer", answer.receipt)
        return answer


class TracedWorker:
    """Does jobs by another worker, each under a trace of its own; an attempt is one."""

    def __init__(self, worker: Worker, export: TraceExport | None) -> None:
        self._worker = worker
        self._export = export

    def work(self, job: Job, run: Run) -> Mapping[str, object]:
        """Do a job; see ``Worker.work``."""
        with traced(self._export, f"{job.kind} job", {"frugal_rag.job": job.id}):
            return self._worker.work(job, run)


@contextmanager
def traced(
    export: TraceExport | None, name: str, attributes: Mapping[str, Value]
) -> Iterator[Trace]:
    """Do what stands within under a trace of its own, and send that when it ends.

    Args:
        export: Where to; None only gives the log lines their identifier.
        name: What is done, in few different words: ``batch line``.
        attributes: What is known of it; no text of questions or documents.
    """
    trace, started, error = tracing.begun(), time.time_ns(), None
    try:
        with tracing.following(trace):
            yield trace
    except BaseException as exc:  # whatever it ends with, its span says so
        error = type(exc).__name__
        raise
    finally:
        if export is not None:
            ended = max(started, time.time_ns())
            export.add(Done(trace, name, "internal", started, ended, attributes, error))
