"""Drafts come from the real pipeline over a real collection."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from eval.collecting.collection import documents, opened
from eval.collecting.drafts import Grounding, built_grounding, drafted
from rag.answering import Answering
from rag.errors import DeadlineError, IndexStateError
from rag.generating import Listener
from rag.listening import NOBODY
from rag.results import Answer, Question, Retrieved
from rag.settings import Settings

QUESTIONS = ("How long is the pump covered?", "Who is the queen of Zanzibar?")


@pytest.fixture(scope="module")
def grounding(collection: Settings) -> Grounding:
    return built_grounding(collection)


def test_an_answer_and_an_abstention(collection: Settings, grounding: Grounding) -> None:
    with opened(collection) as answering:
        drafts = list(drafted(QUESTIONS, answering, collection, grounding))
        again = list(drafted(reversed(QUESTIONS), answering, collection, grounding))
    assert list(reversed(again)) == drafts
    answer, none = drafts
    assert "24 months" in answer.draft_answer
    assert answer.source == ("pump.txt",)
    assert answer.quote == "[1] The pump is covered for 24 months from delivery."
    assert answer.grounded_automatic is not None
    assert answer.confidence is not None
    assert not answer.judged
    assert (none.draft_answer, none.grounded_automatic) == ("", None)
    assert answer.id != none.id


def test_a_question_that_takes_too_long_has_a_note(
    collection: Settings, grounding: Grounding
) -> None:
    class Slow:
        def __init__(self, inner: Answering) -> None:
            self.inner = inner

        def retrieve(self, question: Question) -> Retrieved:
            return self.inner.retrieve(question)

        def answer(self, question: Question, _: Listener = NOBODY) -> Answer:
            if "queen" in question.text:
                time.sleep(max(0.0, question.deadline - time.monotonic()) + 0.01)
            return self.inner.answer(question)

    hasty = collection.model_copy(update={"deadline_seconds": 0.5})
    with opened(collection) as answering:
        answer, late = drafted(QUESTIONS, Slow(answering), hasty, grounding)
    assert answer.draft_answer
    assert late.note.startswith("not drafted: ")
    assert DeadlineError.__name__ not in late.note


def test_groundedness_is_scored_not_taken_from_the_service(
    collection: Settings, grounding: Grounding
) -> None:
    class Inventing:
        def __init__(self, inner: Answering) -> None:
            self.inner = inner

        def retrieve(self, question: Question) -> Retrieved:
            return self.inner.retrieve(question)

        def answer(self, question: Question, _: Listener = NOBODY) -> Answer:
            said = "The pump is covered for 36 months by Acme of Boston. It never breaks."
            found = self.inner.answer(question)
            return replace(found, text=said, short=None, groundedness=1.0)

    with opened(collection) as answering:
        (fine,) = drafted(QUESTIONS[:1], answering, collection, grounding)
        (invented,) = drafted(QUESTIONS[:1], Inventing(answering), collection, grounding)
    assert fine.grounded_automatic is not None
    assert invented.grounded_automatic is not None
    assert invented.grounded_automatic < 0.5 < fine.grounded_automatic


def test_documents_are_those_of_the_index(collection: Settings) -> None:
    assert [(text.id, text.title, text.text) for text in documents(collection)] == [
        (
            *("pump.txt", "pump"),
            "The pump is covered for 24 months from delivery. It weighs 12 kg.",
        ),
        ("tax.txt", "tax", "Invoices are paid within 30 days of receipt."),
    ]
    assert list(documents(collection.model_copy(update={"tenant": "other"}))) == []


def test_without_a_collection_it_says_what_to_do(collection: Settings) -> None:
    absent = collection.model_copy(update={"collection": "absent"})
    with pytest.raises(IndexStateError, match="rag-ingest sync"), opened(absent):
        pass
    with pytest.raises(IndexStateError, match="rag-ingest sync"):
        list(documents(absent))
