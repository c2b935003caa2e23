"""Answering that is written into the audit log, whoever asks it and through whatever door."""

from __future__ import annotations

from rag.answering import Answering
from rag.audit import AuditLog, documents_of
from rag.generating import Listener
from rag.listening import NOBODY, Waiting
from rag.results import Answer, Question, Retrieved


class AuditedAnswering:
    """Answers by another one, and gives nothing that is not in the audit log."""

    def __init__(self, answering: Answering, audit: AuditLog, job: str | None = None) -> None:
        self._answering = answering
        self._audit = audit
        self._job = job

    def retrieve(self, question: Question) -> Retrieved:
        """Return the context for a question; see ``Answering.retrieve``.

        Raises:
            AuditError: It could not be written down.
        """
        found = self._answering.retrieve(question)
        tenant, documents = question.where.tenant, documents_of(found)
        self._audit.note("retrieve", tenant, documents, found.receipt, self._job)
        return found

    def answer(self, question: Question, listener: Listener = NOBODY) -> Answer:
        """Return an answer; see ``Answering.answer``.

        Raises:
            AuditError: It could not be written down.
        """
        tenant = question.where.tenant
        if listener is not NOBODY and not isinstance(listener, Waiting):
            listener = _Noting(listener, self._audit, tenant, self._job)
        answer = self._answering.answer(question, listener)
        self._audit.note("answer", tenant, documents_of(answer), answer.receipt, self._job)
        return answer


class _Noting:
    """Writes that an answer has begun before its first piece is heard."""

    def __init__(self, listener: Listener, audit: AuditLog, tenant: str, job: str | None) -> None:
        self._listener = listener
        self._audit = audit
        self._tenant = tenant
        self._job = job
        self._noted = False

    def say(self, text: str) -> None:
        """Hand the piece on.

        Raises:
            AuditError: That it begins could not be written down.
        """
        if not self._noted:
            self._audit.note("begin", self._tenant, job=self._job)
            self._noted = True
        self._listener.say(text)

    def gone(self) -> bool:
        """Return whether nobody listens any more."""
        return self._listener.gone()
