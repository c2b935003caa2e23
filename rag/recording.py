"""Answering that writes what each answer cost into the ledger before it gives the answer."""

from __future__ import annotations

import time
from collections.abc import Callable

from rag.answering import Answering
from rag.ledger import Ledger
from rag.ledger_entry import Asker, Kind, entry_of
from rag.results import Answer, Question, Receipt, Retrieved


class RecordedAnswering:
    """Answers by another one; a question that fails has no receipt and leaves no entry."""

    def __init__(
        self,
        answering: Answering,
        ledger: Ledger,
        tier: str,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._answering = answering
        self._ledger = ledger
        self._tier = tier
        self._now = now

    def retrieve(self, question: Question) -> Retrieved:
        """Return the context for a question; see ``Answering.retrieve``."""
        found = self._answering.retrieve(question)
        self._record(question, found.receipt, "retrieve", abstained=False)
        return found

    def answer(self, question: Question) -> Answer:
        """Return an answer; see ``Answering.answer``."""
        answer = self._answering.answer(question)
        self._record(question, answer.receipt, "answer", abstained=answer.abstained)
        return answer

    def _record(self, question: Question, receipt: Receipt, kind: Kind, *, abstained: bool) -> None:
        # No generator is called yet, so there is no model to name.
        asker = Asker(question.where.tenant, self._tier, None, kind, abstained)
        self._ledger.add(entry_of(receipt, asker, self._now()))
