import time

import pytest

from rag import guard
from rag.errors import DeadlineError, QuestionTooLongError, UsageError
from rag.results import Question
from rag.types import Filter


def question(text: str, seconds: float = 60.0) -> Question:
    return Question(text, Filter("default"), 64, time.monotonic() + seconds)


@pytest.mark.parametrize("text", ["", "   ", "\n\t\u2003"])
def test_a_blank_question_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="blank") as caught:
        guard.check(question(text), 100)
    assert caught.value.http_status == 400


def test_a_question_may_be_exactly_as_long_as_allowed() -> None:
    guard.check(question("é" * 100), 100)
    with pytest.raises(QuestionTooLongError, match=r"101 characters\. Use at most 100\.") as caught:
        guard.check(question("é" * 101), 100)
    assert caught.value.http_status == 413


def test_the_refusal_does_not_repeat_a_long_question() -> None:
    with pytest.raises(QuestionTooLongError) as caught:
        guard.check(question("secret " * 100), 100)
    assert "secret" not in str(caught.value)


def test_a_question_past_its_deadline_is_refused() -> None:
    guard.check_deadline(question("in time?"), "search")
    with pytest.raises(DeadlineError, match=r"before pack.*deadline_seconds") as caught:
        guard.check_deadline(question("in time?", seconds=-2.0), "pack")
    assert str(caught.value.value).startswith("2.0")
    with pytest.raises(DeadlineError):
        guard.check(question("in time?", seconds=-2.0), 100)
