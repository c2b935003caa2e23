"""Who is let in: as the queue grows questions are answered with less, and then refused at once.

What is left out, and from which pressure of the gate on, stands in ``LADDER``: the order is that of
what a question costs against what is lost. What would spare nothing here is left out of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Final

from rag.errors import OverloadedError
from rag.quotas import Quotas
from rag.results import Question, Receipt, Spared, Sparing
from rag.service.limits import Gate
from rag.settings import Settings

# From which pressure on. Source: chosen, in even steps to 1, from where on all are refused.
LADDER: Final[Mapping[Spared, float]] = {
    "rerank": 0.2,
    "vectors": 0.4,
    "generate": 0.6,
    "search": 0.8,
}
# Source: eval/bench/load.py: the wait that a full queue means is about half a second, for questions
# that nothing is written for; for those that take longer the deadline's share is what bounds it.
_QUEUE_PER_WORKER: Final = 16
# Who is answered from the cache alone does not stand in the queue, but takes a thread apart.
# Source: chosen; a look into the cache takes about a millisecond.
_ASIDE: Final = (1, 8)
_BUSY: Final = "many questions are waiting"
_LOOK_SECONDS: Final = 0.05  # after which the event loop should come by again


class Admission:
    """Decides what becomes of each question that comes; on the event loop.

    ``quotas`` is None where no tenant has any.
    """

    def __init__(self, settings: Settings, quotas: Quotas | None = None) -> None:
        workers, seconds = settings.concurrent_questions, settings.deadline_seconds
        self.gate = Gate(workers, _QUEUE_PER_WORKER * workers, seconds)
        self._aside = Gate(*_ASIDE, seconds)
        self._quotas = quotas
        self._rungs = rungs(settings)
        self._looking = False

    def admit(self, question: Question, *, cached: bool) -> Question:
        """Return a question that may come in, with what it has to do without.

        ``cached``: the cache may hold its answer.

        Raises:
            OverloadedError: There are too many questions.
            QuotaSpentError: Its tenant has used what it may.
        """
        self._look()
        pressure = self.gate.pressure
        passed = [step for step, least in self._rungs if pressure >= least]
        aside = "search" in passed
        if pressure >= 1 or (aside and (not cached or self._aside.full)):
            raise self._too_many()
        if self._quotas is not None:
            self._quotas.take(question.where.tenant)
        return question.spared(Sparing(passed[-1], _BUSY)) if passed else question

    def overloaded(self) -> OverloadedError | None:
        """Return why any question would be refused now; None where some would come in."""
        return self._too_many() if self.gate.full else None

    def gate_of(self, question: Question) -> Gate:
        """Return the gate to go through for a question that was admitted."""
        return self._aside if question.without("search") else self.gate

    def charge(self, tenant: str, receipt: Receipt) -> None:
        """Count what an answer took."""
        if self._quotas is not None:
            self._quotas.charge(tenant, receipt)

    def told(self, error: OverloadedError) -> OverloadedError:
        """Return an error that says when to come again."""
        if error.retry_after is None:
            error.retry_after = self.gate.wait_seconds
        return error

    def close(self) -> None:
        """Let running questions end and drop those that wait."""
        self.gate.close()
        self._aside.close()

    def _look(self) -> None:
        """Look whether the event loop comes in time, for as long as questions are worked on."""
        if not self._looking:
            self._looking = True
            self._look_again()

    def _look_again(self) -> None:
        due = time.monotonic() + _LOOK_SECONDS
        asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._looked, due)

    def _looked(self, due: float) -> None:
        self.gate.looked(time.monotonic() - due)
        if self.gate.idle:
            self._looking = False
        else:
            self._look_again()

    def _too_many(self) -> OverloadedError:
        value = f"{self.gate.waiting} waiting, for about {self.gate.wait_seconds:.1f} s"
        remedy = "ask again later, or raise concurrent_questions"
        return self.told(OverloadedError("too many questions are waiting", value, remedy))


def rungs(settings: Settings) -> tuple[tuple[Spared, float], ...]:
    """Return what is left out, from which pressure on, least first."""
    there: Mapping[Spared, bool] = {
        "rerank": settings.reranker != "none",
        "vectors": settings.tier != "lexical",
        "generate": bool(settings.generators),
        "search": settings.cache != "off",
    }
    steps = LADDER.items() if settings.degrade else ()
    return tuple((step, least) for step, least in steps if there[step])
