"""The composition root of the service: from settings to all the parts behind its routes."""

from __future__ import annotations

from contextlib import ExitStack

from rag.audit import AuditLog
from rag.build import (
    build_analyzer,
    build_answering,
    build_cache,
    build_ledger,
    build_live_index,
)
from rag.build_jobs import build_jobs
from rag.build_quotas import build_quotas
from rag.build_traces import build_traces, with_traces
from rag.cache.answer_cache import AnswerCache
from rag.confined import ConfinedIndex
from rag.document_desk import DocumentDesk
from rag.frontier import read_frontier
from rag.jobs.ingest_job import IngestWorker
from rag.jobs.parts import Jobs
from rag.keyring import Keyring
from rag.service.served import Served
from rag.settings import Settings
from rag.sources import SourceReader
from rag.trace_export import TracedWorker, TraceExport


def build_served(settings: Settings, keyring: Keyring, kept: ExitStack) -> Served:
    """Return the parts of the service; ``kept`` lets go of them, the last one first.

    Raises:
        SettingsError: The audit log cannot be appended to.
        RagError: A part cannot be built.
    """
    audit = AuditLog(settings.audit_log)
    audit.check()
    frontier = read_frontier(settings.frontier) if settings.frontier else None
    traces = build_traces(settings)
    ledger, cache = build_ledger(settings), build_cache(settings)
    for part in (traces, ledger, cache):
        if part is not None:
            kept.callback(part.close)
    live = build_live_index(settings)
    kept.callback(live.close)
    live.refresh()  # so that the first question finds the documents
    live.follow()
    answering = build_answering(settings, live, ledger, cache)
    jobs = _jobs(settings, keyring, cache, traces)
    kept.callback(jobs.close)
    return Served(
        answering=with_traces(answering, settings),
        ready=live.problem,
        keyring=keyring,
        audit=audit,
        ledger=ledger,
        cache=cache,
        quotas=build_quotas(settings),
        reader=SourceReader(ConfinedIndex(live), build_analyzer()),
        jobs=jobs,
        desk=_desk(settings, jobs, cache),
        traces=traces,
        frontier=frontier,
    )


def _jobs(
    settings: Settings, keyring: Keyring, cache: AnswerCache | None, traces: TraceExport | None
) -> Jobs:
    if cache is None:
        ingest = IngestWorker(settings)
    else:
        ingest = IngestWorker(settings, cache.purge.document)
    return build_jobs(settings, {"ingest": TracedWorker(ingest, traces)}, keyring.valid)


def _desk(settings: Settings, jobs: Jobs, cache: AnswerCache | None) -> DocumentDesk:
    if cache is None:
        return DocumentDesk(settings, jobs.store)
    return DocumentDesk(settings, jobs.store, cache.purge.document)
