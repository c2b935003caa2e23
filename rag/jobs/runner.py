"""Runs the jobs of a collection: one process at a time, one job of each kind at a time."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from rag import access
from rag.errors import ConflictError, RagError, StorageFullError
from rag.grid.forecast import ForecastSource
from rag.jobs.file import make_folder
from rag.jobs.green import GreenStarts, look_again
from rag.jobs.job import Ending, Job, JobKind, Later, Stopped, Worker
from rag.jobs.queue import JobQueue, Settled
from rag.jobs.room import JobsUnusableError, mapped

_LOG = logging.getLogger(__name__)
LOCK: Final = "runner.lock"
_LOOK_SECONDS = 1.0
_STOP_SECONDS = 0.25  # within which a job learns that it is to end
_TIDY_SECONDS = 3600.0
_UNUSABLE_SECONDS = 10.0  # after which jobs that cannot be read are looked for again
_NO_ROOM_SECONDS = 60.0  # after which a full disk is tried again
# After which a job gives way to another tenant's, where breaking off costs it nothing.
# Source: chosen; a thousandth of it is lost in going over the answers again.
_TURN_SECONDS: Final[Mapping[JobKind, float]] = {"batch": 60.0}
_ENDINGS: Final[Mapping[Ending, Settled]] = {
    "cancelled": Settled("cancelled"),
    "expired": Settled("expired", "its deadline passed"),
    "revoked": Settled("failed", "the key that gave it is revoked or has expired"),
    "closing": Settled("waiting", "the service ended while it was worked on"),
    # Whose turn it is is not said: its giver would know that another tenant has work here.
    "yielding": Settled("waiting", "it goes on in turn"),
}


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms jobs are run.

    Attributes:
        job_days: How long ended jobs are kept [days].
        forecast: What tells when the grid emits least; None is nothing.
        still_valid: Whether the key of this id may still be acted for.
        look_seconds: How often to look for what is to be done [s].
        turn_seconds: After what time a job of a kind gives way to another tenant's [s].
    """

    job_days: float
    forecast: ForecastSource | None = None
    still_valid: Callable[[str], bool] = lambda _: True
    look_seconds: float = _LOOK_SECONDS
    turn_seconds: Mapping[JobKind, float] = field(default_factory=lambda: _TURN_SECONDS)


class JobRunner:
    """Does the jobs of a queue on threads of its own, one for each kind.

    Of several processes with the same queue one holds its lock and does them all; another takes
    over when it ends. A job is done for whoever gave it, and sees no other tenant.
    """

    def __init__(self, queue: JobQueue, workers: Mapping[JobKind, Worker], terms: Terms) -> None:
        self._queue = queue
        self._workers = workers
        self._terms = terms
        self._green = GreenStarts(terms.forecast)
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look for jobs."""
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)
        self._thread.start()

    def close(self, seconds: float = 10.0) -> None:
        """Stop what is being worked on, which waits for the next start; wait for that [s]."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(seconds)

    def drain(self) -> None:
        """Do what can be done now.

        Raises:
            ConflictError: Another process does the jobs.
        """
        with _locked(self._queue.folder) as ours:
            if not ours:
                remedy = "leave them to it, or stop it first"
                raise ConflictError("another process does the jobs", LOCK, remedy)
            self._queue.recover()
            for kind in self._workers:
                while self._one_of(kind):
                    pass
            self._queue.tidy(self._terms.job_days)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                with _locked(self._queue.folder) as ours:
                    if ours:
                        self._queue.recover()
                        self._serve()
            except RagError as exc:
                _warn("jobs-unusable", exc)
                self._closing.wait(_UNUSABLE_SECONDS)
            self._closing.wait(self._terms.look_seconds)

    def _serve(self) -> None:
        threads = [
            threading.Thread(
                target=self._serve_kind, args=(kind,), name=f"{kind}-jobs", daemon=True
            )
            for kind in self._workers
        ]
        for thread in threads:
            thread.start()
        while not self._closing.is_set():
            self._tidy()
            self._closing.wait(_TIDY_SECONDS)
        for thread in threads:
            thread.join()

    def _tidy(self) -> None:
        try:
            self._queue.tidy(self._terms.job_days)
        except RagError as exc:
            _warn("jobs-untidy", exc)

    def _serve_kind(self, kind: JobKind) -> None:
        while not self._closing.is_set():
            try:
                found = self._one_of(kind)
            except RagError as exc:
                _warn("jobs-unusable", exc)
                self._closing.wait(_UNUSABLE_SECONDS)
                continue
            if not found:
                self._closing.wait(self._terms.look_seconds)

    def _one_of(self, kind: JobKind) -> bool:
        """Do the next job of a kind, or look when it may start; return whether there was one."""
        self._queue.expire()
        job = self._queue.next(kind)
        if job is None:
            return False
        now = self._queue.now()
        start = self._green.start(job, now)
        if start.at > now:
            self._queue.postpone(job, start, look_again(start, now))
            return True
        begun = self._queue.begin(job, start.reason)
        if begun is not None:
            self._do(begun)
        return True

    def _do(self, job: Job) -> None:
        began = time.monotonic()
        run = _Underway(self._queue, job, self._terms, self._closing)
        with access.acting(replace(job.caller, tenant=job.tenant)):
            settled = self._settled(job, run)
        fields = {"job": job.id, "kind": job.kind, "tenant": job.tenant, "state": settled.state}
        seconds = round(time.monotonic() - began, 3)
        _LOG.info("job", extra={"fields": {**fields, "seconds": seconds}})
        self._keep(job, settled)

    def _settled(self, job: Job, run: _Underway) -> Settled:
        try:
            run.pause()
            return Settled("done", detail=self._workers[job.kind].work(job, run))
        except Stopped as exc:
            return _ENDINGS[exc.why]
        except Later as exc:
            return Settled("waiting", exc.why, look=self._queue.now() + exc.seconds)
        except (StorageFullError, JobsUnusableError) as exc:
            _warn("job-waits", exc)
            return Settled("waiting", str(exc), look=self._queue.now() + _NO_ROOM_SECONDS)
        except RagError as exc:
            return Settled("failed", str(exc))
        except Exception:  # noqa: BLE001  # the boundary: a fault of one job must not end the others
            _LOG.exception("job-fault", extra={"fields": {"job": job.id}})
            return Settled("failed", f"a fault of ours; the log has it under {job.id}")

    def _keep(self, job: Job, settled: Settled) -> None:
        """Keep how a job ended, for as long as it takes; else the next start does it again."""
        while True:
            try:
                self._queue.settle(job, settled)
            except RagError as exc:
                _warn("job-unsettled", exc)
                if self._closing.wait(self._terms.look_seconds):
                    return
            else:
                return


class _Underway:
    """A job under way, as its worker sees it."""

    def __init__(self, queue: JobQueue, job: Job, terms: Terms, closing: threading.Event) -> None:
        self._queue = queue
        self._job = job
        self._terms = terms
        self._closing = closing
        self._looked = -_STOP_SECONDS
        turn = terms.turn_seconds.get(job.kind)
        self._turn_ends = None if turn is None else time.monotonic() + turn

    @property
    def folder(self) -> Path:
        return self._queue.folder / self._job.id

    def pause(self, seconds: float = 0.0) -> None:
        until = time.monotonic() + seconds
        while True:
            self._look()
            left = until - time.monotonic()
            if left <= 0:
                return
            self._closing.wait(min(left, _STOP_SECONDS))

    def progress(
        self, done: int, failed: int = 0, detail: Mapping[str, object] | None = None
    ) -> None:
        self._queue.progress(self._job, done, failed, detail or {})

    def _look(self) -> None:
        if self._closing.is_set():
            raise Stopped("closing")
        deadline = self._job.order.deadline
        if deadline is not None and self._queue.now() >= deadline:
            raise Stopped("expired")
        if time.monotonic() - self._looked < _STOP_SECONDS:
            return
        self._looked = time.monotonic()
        if self._queue.cancelling(self._job):
            raise Stopped("cancelled")
        if not self._terms.still_valid(self._job.caller.name):
            raise Stopped("revoked")
        over = self._turn_ends is not None and time.monotonic() >= self._turn_ends
        if over and self._queue.others_wait(self._job):
            raise Stopped("yielding")


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Hold the lock of a folder's runner meanwhile, or tell that another process holds it."""
    with mapped(folder / LOCK):
        make_folder(folder)
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)


def _warn(event: str, error: RagError) -> None:
    _LOG.warning(event, extra={"fields": {"reason": str(error)}})
