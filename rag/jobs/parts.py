"""The jobs of a collection, put together: given, queued, and what does them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rag.jobs.job import JobKind, Worker
from rag.jobs.queue import JobQueue
from rag.jobs.runner import JobRunner, Terms
from rag.jobs.store import JobStore


@dataclass(frozen=True, slots=True)
class Jobs:
    """Where jobs are given and queued, on what terms they run, and who does those of other kinds.

    ``workers`` are of all kinds but ``batch``, which needs the running service's parts.
    """

    store: JobStore
    queue: JobQueue
    terms: Terms
    workers: Mapping[JobKind, Worker]

    def runner(self, batches: Worker) -> JobRunner:
        """Return what runs the jobs; ``batches`` does the batches."""
        return JobRunner(self.queue, {**self.workers, "batch": batches}, self.terms)

    def close(self) -> None:
        """Close the files."""
        self.store.close()
        self.queue.close()
