from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import pytest

from rag import access
from rag.access import Caller
from rag.jobs.job import Job, JobKind, Run, Worker
from rag.jobs.queue import JobQueue
from rag.jobs.runner import JobRunner, Terms
from rag.jobs.store import JobStore

Running: TypeAlias = Callable[..., AbstractContextManager[JobRunner]]
Does: TypeAlias = Callable[[Job, Run], Mapping[str, object]]


@dataclass
class Doing:
    """A worker that does what it is told, and remembers for whom."""

    does: Does = lambda _job, _run: {}
    jobs: list[Job] = field(default_factory=list)
    callers: list[Caller] = field(default_factory=list)

    def work(self, job: Job, run: Run) -> Mapping[str, object]:
        self.jobs.append(job)
        self.callers.append(access.caller())
        return self.does(job, run)


@pytest.fixture(scope="session")
def doing() -> type[Doing]:
    """Makes a worker."""
    return Doing


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the jobs are."""
    return tmp_path / "jobs"


@pytest.fixture
def store(folder: Path) -> Iterator[JobStore]:
    """The jobs as callers see them."""
    store = JobStore(folder)
    yield store
    store.close()


@pytest.fixture
def running(folder: Path) -> Running:
    """Runs jobs on threads for as long as the block lasts."""

    @contextmanager
    def running(workers: Mapping[JobKind, Worker], **terms: object) -> Iterator[JobRunner]:
        queue = JobQueue(folder)
        given = Terms(**{"job_days": 30.0, "look_seconds": 0.02, **terms})  # type: ignore[arg-type]
        runner = JobRunner(queue, workers, given)
        runner.start()
        try:
            yield runner
        finally:
            runner.close()
            queue.close()

    return running


@pytest.fixture(scope="session")
def until() -> Callable[[Callable[[], bool]], None]:
    """Waits until something is so, for ten seconds at most."""

    def until(so: Callable[[], bool]) -> None:
        end = time.monotonic() + 10
        while not so():
            assert time.monotonic() < end, "it never was"
            time.sleep(0.01)

    return until
