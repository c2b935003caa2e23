"""A pool of parsing processes: bounded time and memory, no crash but the file's own."""

from __future__ import annotations

import signal
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Self

from ingest.load.limits import DEFAULT_LIMITS, ParseLimits
from ingest.load.registry import FORMATS, Format
from ingest.load.wire import LoadOutcome, Task, decode_result, encode_task
from ingest.load.worker import READY, serve
from rag.errors import LoadError, ParseLimitError, UsageError, ValueRangeError
from rag.types import Document

_DEPTH = 4  # tasks that wait in a worker's pipe, so that it never waits for the pool
_WINDOW = 64  # files per worker by which the fastest may run ahead of the slowest
_GRACE_SECONDS = 15.0  # for starting, beyond which a silent process is ended from here


@dataclass(slots=True)
class _Worker:
    """One process, and the tasks that it has been sent, in order."""

    process: SpawnProcess
    pipe: Connection
    heard: float
    ready: bool = False
    retiring: bool = False
    pending: deque[Task] = field(default_factory=deque)


class ParserPool:
    """Loads files in processes of their own, several at a time, one error per bad file.

    A context manager. One thread uses it at a time. Processes start with the ``spawn`` method:
    a script that uses a pool needs the ``if __name__ == "__main__"`` guard.
    """

    def __init__(
        self,
        workers: int = 1,
        *,
        limits: ParseLimits = DEFAULT_LIMITS,
        formats: Mapping[str, Format] = FORMATS,
    ) -> None:
        if workers < 1:
            raise ValueRangeError("workers", workers, "use 1 or more")
        self._count = workers
        self._limits = limits
        self._formats = dict(formats)
        self._workers: list[_Worker] = []
        self._busy = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all processes; the pool starts new ones if it is used again."""
        while self._workers:
            _end(self._workers.pop())

    def load(self, path: Path, doc_id: str) -> Document:
        """Return one file's document.

        Raises:
            LoadError: It cannot be read; the subclasses say why, as for ``load_document``.
            UsageError: The pool is in use already.
        """
        (outcome,) = self.load_many([(path, doc_id)])
        if outcome.document is None:
            raise outcome.error or LoadError("no document", path, "report this as a bug")
        return outcome.document

    def load_many(self, items: Iterable[tuple[Path, str]]) -> Generator[LoadOutcome, None, None]:
        """Yield one outcome per (path, document id), in the order of ``items``.

        ``items`` is consumed as workers become free. A file's own fault is in its outcome.

        Raises:
            LoadError: The processes cannot be started.
            UsageError: The pool is in use already.
        """
        if not self._busy.acquire(blocking=False):
            raise UsageError("parser pool in use", "load_many", "finish it, or use a second pool")
        try:
            yield from _in_order(self, items)
        finally:
            self._drop_unfinished()
            self._busy.release()

    @property
    def window(self) -> int:
        """Return how many files may be under way at once."""
        return self._count * _WINDOW

    def offer(self, task: Task) -> bool:
        """Send a task to the least busy worker; False if all have enough to do."""
        while len(self._workers) < self._count:
            self._workers.append(self._start())
        worker = min(self._workers, key=lambda worker: len(worker.pending))
        if len(worker.pending) >= _DEPTH:
            return False
        self._send(worker, task)
        return True

    def collect(self) -> list[tuple[int, LoadOutcome]]:
        """Wait for news and return the outcomes, by task number, that came with it."""
        waiting = [worker for worker in self._workers if worker.pending]
        if not waiting:
            return []
        patience = self._limits.wall_seconds + _GRACE_SECONDS
        ready = connection.wait([worker.pipe for worker in waiting], timeout=patience)
        found = []
        for worker in waiting:
            if worker.pipe in ready:
                found += self._receive(worker)
            elif time.monotonic() - worker.heard > patience:
                worker.process.kill()
                found += self._bury(worker, timed_out=True)
        return found

    def _start(self) -> _Worker:
        ours, theirs = get_context("spawn").Pipe()
        process = get_context("spawn").Process(
            target=serve, args=(theirs, self._formats, self._limits), daemon=True
        )
        process.start()
        theirs.close()
        return _Worker(process, ours, time.monotonic())

    def _send(self, worker: _Worker, task: Task) -> None:
        idle = not worker.pending
        if idle:
            worker.heard = time.monotonic()
        worker.pending.append(task)
        try:
            worker.pipe.send_bytes(encode_task(task))
        except OSError:  # it has died; collecting finds out why, and blames no task that it lacked
            worker.retiring = worker.retiring or idle

    def _receive(self, worker: _Worker) -> list[tuple[int, LoadOutcome]]:
        try:
            data = worker.pipe.recv_bytes()
        except (EOFError, OSError):
            return self._bury(worker, timed_out=False)
        worker.heard = time.monotonic()
        if data == READY:
            worker.ready = True
            return []
        task = worker.pending.popleft()
        outcome, worker.retiring = decode_result(data, task)
        if worker.retiring:
            self._bury(worker, timed_out=False)
        return [(task.number, outcome)]

    def _bury(self, worker: _Worker, *, timed_out: bool) -> list[tuple[int, LoadOutcome]]:
        """Replace an ended worker: its first task is to blame, the others start anew."""
        worker.process.join()
        if not worker.ready and not timed_out:
            raise LoadError(
                "parsing process does not start",
                f"exit code {worker.process.exitcode}",
                "guard the calling script with if __name__ == '__main__'",
            )
        self._workers.remove(worker)
        worker.pipe.close()
        found = []
        if not worker.retiring:
            task = worker.pending.popleft()
            error = self._verdict(task, worker.process.exitcode or 0, timed_out=timed_out)
            found.append((task.number, LoadOutcome(task.path, task.doc_id, None, error, None)))
        if worker.pending:
            successor = self._start()
            self._workers.append(successor)
            for task in worker.pending:
                self._send(successor, task)
        return found

    def _verdict(self, task: Task, exit_code: int, *, timed_out: bool) -> LoadError:
        name = task.path.name
        if timed_out or exit_code == -signal.SIGALRM:
            return ParseLimitError(
                f"parsing took longer than {self._limits.wall_seconds:g} seconds",
                name,
                "split the file or raise parse_seconds",
            )
        if exit_code == -signal.SIGKILL:
            remedy = "split the file, or lower ingest_workers"
            return ParseLimitError("parser killed, as for want of memory", name, remedy)
        cause = signal.Signals(-exit_code).name if exit_code < 0 else f"exit code {exit_code}"
        return LoadError("parser crashed", f"{name}: {cause}", "convert it to another format")

    def _drop_unfinished(self) -> None:
        for worker in [worker for worker in self._workers if worker.pending]:
            self._workers.remove(worker)
            _end(worker)


def _in_order(pool: ParserPool, items: Iterable[tuple[Path, str]]) -> Iterator[LoadOutcome]:
    tasks = (Task(number, path, doc_id) for number, (path, doc_id) in enumerate(items))
    task = next(tasks, None)
    done: dict[int, LoadOutcome] = {}
    due = given = 0
    while task is not None or due < given:
        while task is not None and task.number < due + pool.window and pool.offer(task):
            given, task = task.number + 1, next(tasks, None)
        done.update(pool.collect())
        while due in done:
            yield done.pop(due)
            due += 1


def _end(worker: _Worker) -> None:
    worker.process.kill()
    worker.process.join()
    worker.pipe.close()
