"""Identical questions that are in flight at the same time are answered once."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from rag import access
from rag.answering import Answering
from rag.errors import DeadlineError, RagError
from rag.generating import Listener
from rag.guard import writing_deadline
from rag.listening import NOBODY
from rag.meter import RequestMeter
from rag.results import Answer, Question, Retrieved, Usage

_Key: TypeAlias = tuple[Question, str]


@dataclass(slots=True)
class _Flight:
    """An answer on its way; ``answer`` and ``error`` stay None if it is of no use to others."""

    landed: threading.Event = field(default_factory=threading.Event)
    answer: Answer | None = None
    error: RagError | None = None


class SharedAnswering:
    """Answers by another one; who asks what is just being answered waits for that answer.

    Questions are identical when all but their deadlines is, and the documents are the same. Those
    who wait pay for waiting only: their receipt says ``shared``, and what the answer cost stands in
    the first one's. If the first one runs out of its time or goes away, the next one asks.
    """

    def __init__(
        self,
        answering: Answering,
        meter: Callable[[], RequestMeter],
        generation: Callable[[], str] = str,
    ) -> None:
        """Share the answers of another one.

        Args:
            answering: Gives the answers.
            meter: Returns a meter for whoever waits.
            generation: Tells the identity of the documents now served.
        """
        self._answering = answering
        self._meter = meter
        self._generation = generation
        self._flights: dict[_Key, _Flight] = {}
        self._lock = threading.Lock()

    def retrieve(self, question: Question) -> Retrieved:
        """Return the context for a question; see ``Answering.retrieve``. Never shared."""
        return self._answering.retrieve(question)

    def answer(self, question: Question, listener: Listener = NOBODY) -> Answer:
        """Return an answer; see ``Answering.answer``.

        Raises:
            AccessError: Whoever asks may not look there: nor may they share what another found.
            DeadlineError: Another's answer was waited for until the deadline passed.
        """
        access.check(question.where)
        meter: RequestMeter | None = None
        while True:
            with self._flight(question) as (flight, first):
                if first:
                    return self._flown(flight, question, listener)
            meter = meter or self._meter()
            shared = _waited(flight, question, meter)
            if shared is not None:
                if shared.text is not None:
                    listener.say(shared.text)
                return shared

    @contextmanager
    def _flight(self, question: Question) -> Iterator[tuple[_Flight, bool]]:
        """Yield the flight of a question, and whether it is ours to fly."""
        key = (replace(question, deadline=0.0), self._generation())
        with self._lock:
            found = self._flights.get(key)
            flight = found or self._flights.setdefault(key, _Flight())
        try:
            yield flight, found is None
        finally:
            if found is None:
                with self._lock:
                    del self._flights[key]
                flight.landed.set()

    def _flown(self, flight: _Flight, question: Question, listener: Listener) -> Answer:
        try:
            answer = self._answering.answer(question, listener)
        except RagError as error:
            if _of_use(question, listener):
                flight.error = error
            raise
        if _of_use(question, listener):
            flight.answer = answer
        return answer


def _of_use(question: Question, listener: Listener) -> bool:
    """Whether what came now is what others would get too.

    What comes when no model may write any more may be for want of time, what comes when nobody
    listens is not whole.
    """
    return time.monotonic() < writing_deadline(question) and not listener.gone()


def _waited(flight: _Flight, question: Question, meter: RequestMeter) -> Answer | None:
    """Return another's answer, None if there is none to share.

    Raises:
        DeadlineError: The deadline passed while it was waited for.
        RagError: The other one failed with it.
    """
    with meter.stage("cache") as step:
        step.decision = "the same question was just being answered"
        if not flight.landed.wait(max(0.0, question.deadline - time.monotonic())):
            what, value = "the question's deadline passed", "the same was being answered"
            raise DeadlineError(what, value, "ask again later or raise deadline_seconds")
    if flight.error is not None:
        # A copy each: several threads that raise one error would write into it.
        raise copy.copy(flight.error) from flight.error
    return None if flight.answer is None else _shared(flight.answer, meter)


def _shared(answer: Answer, meter: RequestMeter) -> Answer:
    """Return another's answer with the receipt of having waited for it."""
    theirs = answer.receipt
    usage = Usage(
        context_tokens=theirs.usage.context_tokens,
        budget_tokens=theirs.usage.budget_tokens,
        prompt_tokens=None,
        cached_tokens=None,
        completion_tokens=None,
        tokenizer=theirs.usage.tokenizer,
    )
    receipt = replace(
        theirs,
        usage=usage,
        impact=meter.impact(),
        saved=None,
        cache="shared",
        trace=meter.trace(),
        seconds=meter.seconds(),
        model=None,
    )
    return replace(answer, receipt=receipt)
