"""A day's budget of energy or carbon for each tenant: near its end answers get sparing, then stop.

The day is UTC's. What was spent is read from the ledger at the high ends of its intervals, so that
a budget is rather kept than passed; what has an unknown cost counts nothing, and is warned of.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal, Protocol, TypeAlias

from rag.answering import Answering
from rag.errors import BudgetSpentError
from rag.generating import Listener
from rag.ledger_sums import Spent
from rag.listening import NOBODY
from rag.results import Answer, Question, Retrieved, Sparing

OnceSpent: TypeAlias = Literal["sparing", "refuse"]

_LOG = logging.getLogger(__name__)
# Source: chosen, so that a fifth of the day's budget is left to be spread or to be raised.
_SPARING_FROM: Final = 0.8
_DAY_SECONDS: Final = 86_400
_LEAST_TOKENS: Final = 16  # of a context budget
# Source: eval/bench/frugality.py: recall lost in about 10 of 100 contexts on the development sets.
_SPARING_FRUGALITY: Final = 0.1


@dataclass(frozen=True, slots=True)
class DailyBudget:
    """What a tenant may spend in a day: ``joules`` [J], ``gco2e`` [g]; None is no limit."""

    joules: float | None = None
    gco2e: float | None = None
    once_spent: OnceSpent = "sparing"

    @property
    def limited(self) -> bool:
        """Whether there is any limit."""
        return self.joules is not None or self.gco2e is not None


class Ledgered(Protocol):
    """Tells what was spent; see ``rag.ledger.Ledger``."""

    def spent_on(self, tenant: str, day_seconds: float) -> Spent:
        """Return what a tenant's answers cost on the day (UTC) that begins at a POSIX time [s]."""


class BudgetedAnswering:
    """Answers by another one while the tenant's budget of the day lasts.

    From 80 % on questions are looked up by words alone, with half the context budget and at least
    a frugality of 0.1. Once it is spent they stay so, or are refused, as configured. Questions
    under way are not counted: a budget can be passed by what is being answered at once.
    """

    def __init__(
        self,
        answering: Answering,
        ledger: Ledgered,
        budget: DailyBudget,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._answering = answering
        self._ledger = ledger
        self._budget = budget
        self._now = now
        self._warned = False

    def retrieve(self, question: Question) -> Retrieved:
        """Return the context for a question; see ``Answering.retrieve``.

        Raises:
            BudgetSpentError: The day's budget is spent, and questions are refused then.
        """
        return self._answering.retrieve(self._within_budget(question))

    def answer(self, question: Question, listener: Listener = NOBODY) -> Answer:
        """Return an answer; see ``Answering.answer``.

        Raises:
            BudgetSpentError: The day's budget is spent, and questions are refused then.
        """
        return self._answering.answer(self._within_budget(question), listener)

    def _within_budget(self, question: Question) -> Question:
        now = self._now()
        midnight = now - now % _DAY_SECONDS
        spent = self._ledger.spent_on(question.where.tenant, midnight)
        share, unit = max(_shares(spent, self._budget), default=(0.0, ""))
        self._warn_of_unknown(spent)
        if share < _SPARING_FROM:
            return question
        if share >= 1 and self._budget.once_spent == "refuse":
            hours = (midnight + _DAY_SECONDS - now) / 3600
            remedy = f"ask again in {hours:.1f} hours, at midnight UTC, or raise the budget"
            what = f"the day's budget of {unit} is spent"
            raise BudgetSpentError(what, f"{share:.0%} of it", remedy)
        return sparing(question, f"{share:.0%} of the day's {unit} are spent")

    def _warn_of_unknown(self, spent: Spent) -> None:
        unknown = spent.joules_unknown if self._budget.gco2e is None else spent.gco2e_unknown
        if unknown and not self._warned:
            self._warned = True
            _LOG.warning("budget-counts-unknown-as-nothing", extra={"fields": {"answers": unknown}})


def sparing(question: Question, reason: str) -> Question:
    """Return a question to be answered with less.

    Half the tokens, more frugality, words alone, and nothing that a model writes.
    """
    return replace(
        question.spared(Sparing("generate", reason)),
        generate="never",
        budget_tokens=max(_LEAST_TOKENS, question.budget_tokens // 2),
        frugality=max(question.frugality, _SPARING_FRUGALITY),
    )


def _shares(spent: Spent, budget: DailyBudget) -> list[tuple[float, str]]:
    """Return the share of each limit that is spent; a limit of 0 is spent from the start."""
    pairs = ((spent.joules, budget.joules, "joules"), (spent.gco2e, budget.gco2e, "gCO2e"))
    return [
        ((used.high if used else 0.0) / limit if limit else 1.0, unit)
        for used, limit, unit in pairs
        if limit is not None
    ]
