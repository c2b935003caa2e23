"""Doing the jobs that wait, without a service: for a cron job, or where nothing runs otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from rag.audit import AuditLog
from rag.build import build_answering, build_cache, build_ledger, build_live_index
from rag.build_jobs import build_jobs
from rag.build_quotas import build_quotas
from rag.build_traces import build_traces, with_traces
from rag.cache.answer_cache import AnswerCache
from rag.jobs.ingest_job import IngestWorker
from rag.jobs.job import Job, Run, Worker
from rag.keyring import Keyring, keys_path
from rag.quotas import QuotaAnswering
from rag.service.job_runs import BatchParts, batch_worker
from rag.settings import Settings
from rag.trace_export import TracedWorker, TraceExport

_ALL = 10_000  # jobs that are looked at


@dataclass(frozen=True, slots=True)
class WorkedOff:
    """What came of the jobs: how many ended, how many of them not well, how many still wait."""

    ended: int
    failed: int
    left: int


def worked_off(settings: Settings) -> WorkedOff:
    """Do all jobs that can be done now; ingest comes first, so that batches ask its documents.

    Raises:
        ConflictError: A service does the jobs.
        RagError: The jobs cannot be read or kept.
    """
    with ExitStack() as kept:
        cache = build_cache(settings)
        if cache is not None:
            kept.callback(cache.close)
        traces = build_traces(settings)
        if traces is not None:
            kept.callback(traces.close)
        ingest = TracedWorker(_ingest(settings, cache), traces)
        jobs = build_jobs(settings, {"ingest": ingest}, _keys(settings).valid)
        kept.callback(jobs.close)
        before = {job.id for job in jobs.store.list(limit=_ALL) if job.open}
        jobs.runner(_WhenNeeded(settings, kept, cache, traces)).drain()
        after = [job for job in jobs.store.list(limit=_ALL) if job.id in before]
    ended = [job for job in after if not job.open]
    failed = sum(job.state in ("failed", "expired") for job in ended)
    return WorkedOff(len(ended), failed, len(after) - len(ended))


class _WhenNeeded:
    """Does batches, and builds what answers when the first one comes."""

    def __init__(
        self,
        settings: Settings,
        kept: ExitStack,
        cache: AnswerCache | None,
        traces: TraceExport | None,
    ) -> None:
        self._settings = settings
        self._traces = traces
        self._kept = kept
        self._cache = cache
        self._worker: Worker | None = None

    def work(self, job: Job, run: Run) -> Mapping[str, object]:
        """Do a batch; see ``Worker.work``."""
        if self._worker is None:
            self._worker = self._built()
        return self._worker.work(job, run)

    def _built(self) -> Worker:
        settings, kept = self._settings, self._kept
        ledger = build_ledger(settings)
        if ledger is not None:
            kept.callback(ledger.close)
        live = build_live_index(settings)
        kept.callback(live.close)
        live.refresh()
        answering = with_traces(build_answering(settings, live, ledger, self._cache), settings)
        quotas = build_quotas(settings)
        if quotas is not None:
            answering = QuotaAnswering(answering, quotas)
        audit = AuditLog(settings.audit_log)
        return batch_worker(settings, BatchParts(answering, _nobody, audit, traces=self._traces))


def _nobody() -> bool:
    """Return that nobody else is answered by this process."""
    return False


def _ingest(settings: Settings, cache: AnswerCache | None) -> Worker:
    if cache is None:
        return IngestWorker(settings)
    return IngestWorker(settings, cache.purge.document)


def _keys(settings: Settings) -> Keyring:
    return Keyring(keys_path(settings))
