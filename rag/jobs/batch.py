"""A file of questions, asked one after the other while nobody waits; the answers are another file.

The answers are the record of what is done: a line is either whole in them or was not answered.
After a death of the process they are read again, and the first question without one comes next.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final, Protocol

from rag.errors import (
    AuditError,
    BackendError,
    BackendRejectedError,
    BudgetSpentError,
    DeadlineError,
    IndexStateError,
    OverloadedError,
    QuotaSpentError,
    RagError,
    StorageFullError,
)
from rag.jobs.job import Job, Later, Run
from rag.jobs.room import mapped
from rag.types import Interval

INPUT: Final = "input.jsonl"
OUTPUT: Final = "output.jsonl"
_KEEP_SECONDS = 1.0  # between two flushes to the disk: what may be asked again after a power cut
_BUSY_SECONDS = 0.02
# What will pass by itself: the job waits, and goes on where it was.
_WAITS: Final = (
    *(IndexStateError, QuotaSpentError, BudgetSpentError, OverloadedError),
    *(StorageFullError, AuditError),
)
_WAIT_SECONDS: Final[Mapping[type[RagError], float]] = {BudgetSpentError: 3600.0}
_USUAL_WAIT_SECONDS = 60.0
# Before the second and the third attempt at one question [s]. Source: chosen.
_RETRY_SECONDS: Final = (1.0, 5.0)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a job's input: its number, from 1, and what stands in it."""

    job_id: str
    number: int
    content: bytes

    @property
    def name(self) -> str:
        """Its name among all lines of all jobs."""
        return f"{self.job_id}-{self.number}"

    @property
    def custom_id(self) -> str:
        """Its name among those of its job, given by the client."""
        return str(json.loads(self.content)["custom_id"])


@dataclass(frozen=True, slots=True)
class Reply:
    """What a question got: an HTTP status, a body as JSON, and its energy [J], None if unknown."""

    status: int
    body: bytes
    joules: Interval | None = None

    @property
    def well(self) -> bool:
        """Whether it is an answer, and no problem."""
        return self.status < 400


class Asker(Protocol):
    """Answers the lines of a batch."""

    def ask(self, line: Line) -> Reply:
        """Return what a line gets.

        Raises:
            RagError: It cannot be answered now, or at all.
        """

    def refusal(self, line: Line, error: RagError) -> Reply:
        """Return what a line gets that cannot be answered."""


@dataclass(slots=True)
class _Tally:
    """What came of the lines so far; joules are of those where they are known."""

    done: int = 0
    failed: int = 0
    unmetered: int = 0
    joules: list[float] = field(default_factory=lambda: [0.0, 0.0])

    @property
    def lines(self) -> int:
        return self.done + self.failed

    def add(self, *, well: bool, joules: Interval | None) -> None:
        self.done += well
        self.failed += not well
        if joules is not None:
            self.joules = [self.joules[0] + joules.low, self.joules[1] + joules.high]
        elif well:
            self.unmetered += 1

    def detail(self) -> dict[str, object]:
        low, high = self.joules
        known = self.done > self.unmetered
        joules = {"low": low, "high": high} if known else None
        return {"joules": joules, "unmetered": self.unmetered}


class BatchWorker:
    """Asks the lines of a job's input in their order, and appends what each got to its output."""

    def __init__(self, asker: Asker, busy: Callable[[], bool]) -> None:
        self._asker = asker
        self._busy = busy

    def work(self, job: Job, run: Run) -> Mapping[str, object]:
        """Answer what is not answered yet; see ``Worker.work``.

        Raises:
            StorageFullError: There is no room for the answers.
        """
        tally = _resumed(job, run.folder)
        with _keeping(run, tally) as kept:
            for line in numbered(job, run.folder, tally.lines):
                reply = self._asked(line, run)
                kept.add(_told(line, reply), reply)
        return tally.detail()

    def _asked(self, line: Line, run: Run) -> Reply:
        for seconds in (*_RETRY_SECONDS, None):
            run.pause()
            while self._busy():
                run.pause(_BUSY_SECONDS)
            try:
                return self._asker.ask(line)
            except _WAITS as exc:
                raise Later(_wait(exc), str(exc)) from exc
            except RagError as exc:
                passes = isinstance(exc, BackendError | DeadlineError)
                if seconds is None or not passes or isinstance(exc, BackendRejectedError):
                    return self._asker.refusal(line, exc)
                run.pause(seconds)
        raise AssertionError  # the last attempt has returned


class _Kept:
    """Brings the answers to the disk, and then how far the job got."""

    def __init__(self, output: IO[bytes], run: Run, tally: _Tally) -> None:
        self._output = output
        self._run = run
        self._tally = tally
        self._at = time.monotonic()

    def add(self, line: bytes, reply: Reply) -> None:
        with mapped(self._run.folder / OUTPUT):
            self._output.write(line)
            self._output.flush()  # so that the death of the process takes no answer
        self._tally.add(well=reply.well, joules=reply.joules)
        if time.monotonic() - self._at >= _KEEP_SECONDS:
            self.now()

    def now(self) -> None:
        with mapped(self._run.folder / OUTPUT):
            os.fsync(self._output.fileno())
        self._run.progress(self._tally.done, self._tally.failed, self._tally.detail())
        self._at = time.monotonic()


@contextmanager
def _keeping(run: Run, tally: _Tally) -> Iterator[_Kept]:
    """Give what keeps the answers, and keep them also where the work breaks off."""
    path = run.folder / OUTPUT
    with mapped(path):
        output = path.open("ab")
    kept = _Kept(output, run, tally)
    try:
        yield kept
    finally:
        with mapped(path), output:
            kept.now()


def lines_of(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file that are not blank, without their ends."""
    with path.open("rb") as file:
        for line in file:
            if line.strip():
                yield line.rstrip(b"\r\n")


def numbered(job: Job, folder: Path, after: int) -> Iterator[Line]:
    """Yield the lines of a job's input after the first few."""
    lines = islice(lines_of(folder / INPUT), after, None)
    for number, content in enumerate(lines, after + 1):
        yield Line(job.id, number, content)


def output_of(job: Job, folder: Path) -> Iterator[bytes]:
    """Yield the answers so far; once a job has ended, also what says that a line has none.

    Each is one line with its end; the lines are in the order of the input.
    """
    count = 0
    path = folder / OUTPUT
    if path.exists():
        for told in _whole(path):
            count += 1
            yield told
    if not job.open:
        for line in numbered(job, folder, count):
            yield _unanswered(job, line)


def _whole(path: Path) -> Iterator[bytes]:
    """Yield the lines that were written to their end."""
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                return
            yield line


def _resumed(job: Job, folder: Path) -> _Tally:
    """Return what came of the lines that have an answer, and cut off what is half written."""
    path, tally, size = folder / OUTPUT, _Tally(), 0
    with mapped(path):
        path.touch(mode=0o600)
        for line, told in zip(numbered(job, folder, 0), _whole(path), strict=False):
            reply = _read(line, told)
            if reply is None:
                break
            tally.add(well=reply.well, joules=reply.joules)
            size += len(told)
        os.truncate(path, size)
    return tally


def _read(line: Line, told: bytes) -> Reply | None:
    """Return what stands in a line of the answers, None if it is not the answer to this one."""
    try:
        answer = json.loads(told)
        response = answer["response"]
        right = (answer["id"], answer["custom_id"]) == (line.name, line.custom_id)
        joules = _joules(response["body"])
        return Reply(response["status_code"], b"", joules) if right else None
    except (ValueError, KeyError, TypeError):  # a power cut may leave anything at the end
        return None


def _joules(body: Mapping[str, Any]) -> Interval | None:
    joules = (body.get("frugal_rag") or body).get("impact", {}).get("joules")
    return None if joules is None else Interval(joules["low"], joules["high"])


def _told(line: Line, reply: Reply) -> bytes:
    """Return a line of the answers.

    Source: OpenAI API reference, "The request output object" of batches, 2025-08.
    """
    name = json.dumps(line.name)
    head = f'{{"id": {name}, "custom_id": {json.dumps(line.custom_id)}, "response": '
    status = f'{{"status_code": {reply.status}, "request_id": {name}, "body": '
    return (head + status).encode() + reply.body + b'}, "error": null}\n'


def _unanswered(job: Job, line: Line) -> bytes:
    error = {"code": f"batch_{job.state}", "message": job.reason or f"the batch was {job.state}"}
    told = {"id": line.name, "custom_id": line.custom_id, "response": None, "error": error}
    return json.dumps(told).encode() + b"\n"


def _wait(error: RagError) -> float:
    asked = getattr(error, "retry_after", None)
    return float(asked) if asked else _WAIT_SECONDS.get(type(error), _USUAL_WAIT_SECONDS)
