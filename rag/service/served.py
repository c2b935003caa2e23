"""What the service is made of: the parts that the composition root hands to the application."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from rag.answering import Answering
from rag.audit import AuditLog
from rag.cache.answer_cache import AnswerCache
from rag.document_desk import DocumentDesk
from rag.errors import RagError
from rag.frontier import Frontier
from rag.jobs.parts import Jobs
from rag.keyring import Keyring
from rag.ledger import Ledger
from rag.quotas import Quotas
from rag.sources import SourceReader
from rag.trace_export import TraceExport


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """The parts behind the routes; where one is None its routes say so or are not there.

    Attributes:
        answering: What answers questions; called from several threads. Whoever asks it for somebody
            writes that into ``audit``.
        ready: Returns why no question can be answered now, or None when it can.
        keyring: The API keys; where there never was one, only this machine is answered.
        audit: Where it is noted who was given or changed what; it may keep nothing.
        ledger: Where ``answering`` writes what answers cost, to be read over HTTP.
        cache: What ``answering`` keeps its answers in, to be read and purged over HTTP.
        quotas: What tenants may use; none of them has any without.
        reader: What opens the passages around citations, for the page.
        jobs: What is to be done later, and who does it.
        desk: What takes, lists and deletes documents.
        traces: Where what was done is sent.
        frontier: What an evaluation measured, for the page.
    """

    answering: Answering
    ready: Callable[[], RagError | None]
    keyring: Keyring
    audit: AuditLog = field(default_factory=lambda: AuditLog(None))
    ledger: Ledger | None = None
    cache: AnswerCache | None = None
    quotas: Quotas | None = None
    reader: SourceReader | None = None
    jobs: Jobs | None = None
    desk: DocumentDesk | None = None
    traces: TraceExport | None = None
    frontier: Frontier | None = None
