"""Budgets of the day: by hand with a real ledger, and what they do to a question."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rag.budgets import BudgetedAnswering, DailyBudget, sparing
from rag.errors import BudgetSpentError
from rag.generating import Listener
from rag.ledger import Ledger
from rag.ledger_entry import Asker, entry_of
from rag.listening import NOBODY
from rag.results import Answer, Impact, Question, Receipt, Retrieved, Sparing, Usage
from rag.types import Filter, Interval

DAY = 86_400.0
NOON = 20_000 * DAY + DAY / 2
QUESTION = Question("How long?", Filter("acme"), 256, 0.0, 0.02)


class Asked:
    """Answering that keeps what it was asked."""

    def __init__(self) -> None:
        self.questions: list[Question] = []

    def answer(self, question: Question, _: Listener = NOBODY) -> Answer:
        self.questions.append(question)
        raise LookupError

    def retrieve(self, question: Question) -> Retrieved:
        self.questions.append(question)
        raise LookupError


def receipt(joules: Interval | None, gco2e: Interval | None = None) -> Receipt:
    return Receipt(
        usage=Usage(10, 256, None, None, None, "cl100k_base"),
        impact=Impact(joules, gco2e, None, None, "estimated", None),
        saved=None,
        cache="off",
        trace=(),
        fingerprint="f" * 12,
        generation=1,
        seconds=0.01,
    )


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    kept = Ledger(tmp_path)
    yield kept
    kept.close()


def spend(ledger: Ledger, of: Receipt, tenant: str = "acme", at: float = NOON - 60) -> None:
    assert ledger.add(entry_of(of, Asker(tenant, "lexical", None, "answer", False), at))


def asked(ledger: Ledger, budget: DailyBudget, question: Question = QUESTION) -> Question:
    inside = Asked()
    answering = BudgetedAnswering(inside, ledger, budget, now=lambda: NOON)
    for ask in (answering.answer, answering.retrieve):
        with pytest.raises(LookupError):
            ask(question)
    one, other = inside.questions
    assert one == other
    return one


@pytest.mark.parametrize(("high", "expected"), [(0.0, None), (79.9, None), (80.0, 128)])
def test_from_four_fifths_on_questions_are_answered_sparingly(
    ledger: Ledger, high: float, expected: int | None
) -> None:
    spend(ledger, receipt(Interval(high / 2, high)))
    found = asked(ledger, DailyBudget(joules=100))
    if expected is None:
        assert found == QUESTION
    else:
        assert (found.budget_tokens, found.frugality) == (expected, 0.1)
        assert found.sparing == Sparing("generate", "80% of the day's joules are spent")


def test_carbon_counts_too_and_the_nearer_limit_decides(ledger: Ledger) -> None:
    spend(ledger, receipt(Interval(1, 1), Interval(0.1, 0.9)))
    found = asked(ledger, DailyBudget(joules=100, gco2e=1))
    assert found.sparing == Sparing("generate", "90% of the day's gCO2e are spent")


def test_once_spent_it_is_refused_if_so_configured(ledger: Ledger) -> None:
    spend(ledger, receipt(Interval(60, 101)))
    spent = Sparing("generate", "101% of the day's joules are spent")
    assert asked(ledger, DailyBudget(joules=100)).sparing == spent
    refusing = DailyBudget(joules=100, once_spent="refuse")
    answering = BudgetedAnswering(Asked(), ledger, refusing, now=lambda: NOON)
    with pytest.raises(BudgetSpentError, match=r"joules is spent: 101% of it.*12\.0 hours"):
        answering.answer(QUESTION)
    near = replace(refusing, joules=110)
    assert asked(ledger, near).sparing is not None


def test_yesterday_and_other_tenants_do_not_count(ledger: Ledger) -> None:
    spend(ledger, receipt(Interval(500, 500)), at=NOON - DAY)
    spend(ledger, receipt(Interval(500, 500)), tenant="other")
    assert asked(ledger, DailyBudget(joules=100)) == QUESTION


def test_what_is_unknown_counts_nothing_and_is_warned_of_once(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    spend(ledger, receipt(None))
    with caplog.at_level(logging.WARNING):
        assert asked(ledger, DailyBudget(joules=100)) == QUESTION
    assert [record.message for record in caplog.records] == ["budget-counts-unknown-as-nothing"]


def test_a_limit_of_nothing_is_spent_from_the_start(ledger: Ledger) -> None:
    answering = BudgetedAnswering(
        Asked(), ledger, DailyBudget(joules=0, once_spent="refuse"), now=lambda: NOON
    )
    with pytest.raises(BudgetSpentError):
        answering.retrieve(QUESTION)


def test_sparing_never_asks_for_more() -> None:
    small = replace(QUESTION, budget_tokens=20, frugality=0.3)
    found = sparing(small, "why")
    assert (found.budget_tokens, found.frugality) == (16, 0.3)
