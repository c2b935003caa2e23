import time
from dataclasses import dataclass, field, replace

import pytest

from rag.build import build_analyzer
from rag.condensing import Condenser
from rag.generating import Message, TokensUsed
from rag.meter import RequestMeter
from rag.place import Place
from rag.results import Question, Sparing
from rag.types import Filter
from rag.writing import Call

ANALYZER = build_analyzer()
TALK = (
    Message("user", "How long are audit logs kept?"),
    Message("assistant", "Seven years."),
)
CALL = Call("m1", TokensUsed(30, None, 9, reported=False))


@dataclass
class Rewriter:
    """Rewrites a question as it was told to; all that a condenser asks of a writer."""

    text: str | None
    asked: list[tuple[str, float]] = field(default_factory=list)

    def condense(
        self, question: Question, deadline: float, _meter: RequestMeter
    ) -> tuple[str | None, Call | None]:
        self.asked.append((question.text, deadline))
        return self.text, CALL


def question(text: str = "And why are they?", **more: object) -> Question:
    known = Question(text, Filter("here"), 100, time.monotonic() + 60, history=TALK)
    return replace(known, **more)  # type: ignore[arg-type]


def condensed(
    asked: Question, rewriter: Rewriter | None
) -> tuple[Question, Call | None, list[str]]:
    meter = RequestMeter(Place(None, None, None, 1.0))
    condenser = Condenser(ANALYZER, rewriter)  # type: ignore[arg-type]  # it only condenses
    found, call = condenser.condensed(asked, meter)
    return found, call, [step.decision for step in meter.trace()]


def test_the_first_question_is_left_alone_and_leaves_no_trace() -> None:
    asked = question(history=())
    assert condensed(asked, Rewriter("x")) == (asked, None, [])


def test_what_stands_alone_needs_no_history_any_more() -> None:
    rewriter = Rewriter("x")
    found, call, trace = condensed(question("When does the office in Bern open?"), rewriter)
    assert (found.history, call, trace) == ((), None, ["stands alone"])
    assert not rewriter.asked


def test_rules_take_up_words_and_leave_the_history() -> None:
    found, call, trace = condensed(question(), None)
    assert found.text.startswith("And why are they? (")
    assert "audit" in found.text
    assert (found.history, call) == (TALK, None)
    assert "takes up" in trace[0]


def test_a_models_rewriting_needs_no_history() -> None:
    rewriter = Rewriter("Why are audit logs kept?")
    asked = question()
    found, call, _ = condensed(asked, rewriter)
    assert (found.text, found.history, call) == ("Why are audit logs kept?", (), CALL)
    ((text, deadline),) = rewriter.asked
    assert text == asked.text
    assert time.monotonic() + 25 < deadline < asked.deadline - 25  # half of the time


@pytest.mark.parametrize("text", [None, "", "?", "Why are audit logs on the moon?"])
def test_what_was_not_said_is_not_asked_but_paid_for(text: str | None) -> None:
    found, call, _ = condensed(question(), Rewriter(text))
    assert found.text.startswith("And why are they? (")
    assert (found.history, call) == (TALK, CALL)


@pytest.mark.parametrize(
    "asked", [{"generate": "never"}, {"sparing": Sparing("generate", "spent")}]
)
def test_no_model_is_asked_where_none_may_write(asked: dict[str, object]) -> None:
    rewriter = Rewriter("Why are audit logs kept?")
    found, call, _ = condensed(question(**asked), rewriter)
    assert found.text.startswith("And why are they? (")
    assert (call, rewriter.asked) == (None, [])
