"""What does the batches inside a running process: its own answering, while no caller waits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rag.answering import Answering
from rag.audit import AuditLog
from rag.jobs.batch import BatchWorker
from rag.question_log import QuestionLog
from rag.service.batch_lines import BatchAsker, noting
from rag.service.metrics import Metrics
from rag.settings import Settings
from rag.trace_export import TraceExport


@dataclass(frozen=True, slots=True)
class BatchParts:
    """What batches are done with.

    Attributes:
        answering: What answers, within the tenants' quotas; it is not to write the audit log.
        busy: Whether callers wait, so that a line has to wait as well.
        audit: Where each line's documents are noted before it is given.
        metrics: What counts the answers; None counts nothing.
        traces: Where traces are sent, if anywhere.
    """

    answering: Answering
    busy: Callable[[], bool]
    audit: AuditLog
    metrics: Metrics | None = None
    traces: TraceExport | None = None


def batch_worker(settings: Settings, parts: BatchParts) -> BatchWorker:
    """Return what does batches."""
    kept = QuestionLog(settings.question_log) if settings.question_log else None
    noted = noting(parts.metrics, kept)
    asker = BatchAsker(settings, parts.answering, parts.audit, noted, parts.traces)
    return BatchWorker(asker, parts.busy)
