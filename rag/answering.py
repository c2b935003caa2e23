"""What answers questions, as the service and the command line see it."""

from __future__ import annotations

from typing import Protocol

from rag.generating import Listener
from rag.listening import NOBODY
from rag.live_index import LiveIndex
from rag.results import Answer, Question, Retrieved


class Answering(Protocol):
    """Answers questions; safe to use from several threads."""

    def retrieve(self, question: Question) -> Retrieved:
        """Return the context for a question, without an answer."""

    def answer(self, question: Question, listener: Listener = NOBODY) -> Answer:
        """Return a grounded answer, or an abstention with its reason.

        What a listener was told before is the beginning of the answer's text, or all of it.
        """


class PinnedAnswering:
    """Keeps each question on one generation of a live index from its first call to its last."""

    def __init__(self, answering: Answering, live: LiveIndex) -> None:
        self._answering = answering
        self._live = live

    def retrieve(self, question: Question) -> Retrieved:
        """Return the context for a question; see ``Answering.retrieve``.

        Raises:
            IndexStateError: There is no generation to ask.
        """
        with self._live.pinned():
            return self._answering.retrieve(question)

    def answer(self, question: Question, listener: Listener = NOBODY) -> Answer:
        """Return an answer; see ``Answering.answer``.

        Raises:
            IndexStateError: There is no generation to ask.
        """
        with self._live.pinned():
            return self._answering.answer(question, listener)
