"""Writing into the ledger: what each answer cost, before it is given, and what ingest cost."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

from rag.answering import Answering
from rag.generating import Listener
from rag.ledger import Ledger, ledger_folder
from rag.ledger_entry import Asker, Kind, entry_of
from rag.ledger_run import Run, entry_of_run
from rag.listening import NOBODY
from rag.results import Answer, Question, Receipt, Retrieved
from rag.settings import Settings

# Source: the threshold of the evaluation's grounded answers, docs/adr/0012-groundedness.md.
_GROUNDED = 0.5


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
        self._record(found.receipt, self._asker(question, "retrieve"))
        return found

    def answer(self, question: Question, listener: Listener = NOBODY) -> Answer:
        """Return an answer; see ``Answering.answer``."""
        answer = self._answering.answer(question, listener)
        asker = replace(
            self._asker(question, "answer"),
            model=answer.receipt.model,
            abstained=answer.abstained,
            grounded=answer.groundedness is not None and answer.groundedness >= _GROUNDED,
        )
        self._record(answer.receipt, asker)
        return answer

    def _asker(self, question: Question, kind: Kind) -> Asker:
        return Asker(question.where.tenant, self._tier, None, kind, abstained=False)

    def _record(self, receipt: Receipt, asker: Asker) -> None:
        self._ledger.add(entry_of(receipt, asker, self._now()))


def record_run(settings: Settings, run: Run, *, now: Callable[[], float] = time.time) -> bool:
    """Write a run of ingest that has just ended into the collection's ledger, if one is kept.

    A disk that fails is warned of and never stops the run. Return False if the entry is lost then.
    """
    if not settings.ledger:
        return True
    with closing(Ledger(ledger_folder(settings), settings.ledger_months)) as ledger:
        ledger.add(entry_of_run(run, now()))
    return not ledger.lost
