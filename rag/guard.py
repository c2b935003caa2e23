"""The guard stage: what may come in at all, and until when."""

from __future__ import annotations

import time

from rag.errors import DeadlineError, OverloadedError, QuestionTooLongError, UsageError
from rag.results import Question

# Of a question's time, for what comes after a model's answer. Source: 100 times what it takes.
_RESERVED_SECONDS = 0.25


def check(question: Question, max_chars: int) -> None:
    """Refuse questions that are blank, too long or already late.

    Raises:
        UsageError: The question is blank.
        QuestionTooLongError: It has more than ``max_chars`` characters.
        DeadlineError: Its deadline has passed.
    """
    if not question.text.strip():
        raise UsageError("the question is blank", repr(question.text[:20]), "ask something")
    if len(question.text) > max_chars:
        size = f"{len(question.text)} characters"
        raise QuestionTooLongError("the question is too long", size, f"use at most {max_chars}")
    check_deadline(question, "guard")


def check_deadline(question: Question, stage: str) -> None:
    """Stop work whose deadline has passed before the stage begins.

    Raises:
        DeadlineError: The deadline has passed.
    """
    late = time.monotonic() - question.deadline
    if late > 0:
        raise DeadlineError(
            "the question's deadline passed",
            f"{late:.2f} s before {stage}",
            "ask again later or raise deadline_seconds",
        )


def check_search(question: Question) -> None:
    """Stop a question that the cache has no answer to, where there is time for nothing else.

    Raises:
        OverloadedError: It would have to be looked up.
    """
    if question.sparing is not None and question.without("search"):
        what = "only what is in the cache can be answered now"
        raise OverloadedError(what, question.sparing.reason, "ask again later")


def writing_deadline(question: Question) -> float:
    """Return until when a model may write, so that there is time to answer without it [s]."""
    return question.deadline - _RESERVED_SECONDS
