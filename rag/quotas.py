"""What a tenant may use in a time: questions, tokens and joules, so that none takes it all.

A window begins with the tenant's first use of it and ends after its time; then all is there again.
A question is counted before it is worked on. What it took in tokens and joules is known only
afterwards: it is charged then, and whoever has passed a quota is refused until the window ends.
What is counted stands in memory: each process of a service counts for itself.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from rag.answering import Answering
from rag.errors import QuotaSpentError
from rag.generating import Listener
from rag.listening import NOBODY
from rag.results import Answer, Question, Receipt, Retrieved
from rag.windows import Window, Windows

Quantity: TypeAlias = Literal["requests", "tokens", "joules"]

_LOG = logging.getLogger(__name__)
# Windows count whole numbers, and most questions take less than a joule.
_MILLIJOULES: Final = 1000
_UNITS: Final[Mapping[Quantity, int]] = {"requests": 1, "tokens": 1, "joules": _MILLIJOULES}


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a tenant may use, each as an amount in a time: ``600/minute``; None is no limit."""

    requests: str | None = None
    tokens: str | None = None
    joules: str | None = None

    def limits(self) -> tuple[tuple[Quantity, str], ...]:
        """Return the limits that there are."""
        pairs: tuple[tuple[Quantity, str | None], ...] = (
            ("requests", self.requests),
            ("tokens", self.tokens),
            ("joules", self.joules),
        )
        return tuple((quantity, rate) for quantity, rate in pairs if rate is not None)


class Quotas:
    """The quotas of all tenants; safe to use from several threads."""

    def __init__(
        self,
        usual: Allowance,
        own: Mapping[str, Allowance],
        windows: Windows,
    ) -> None:
        """Hold each tenant to its own allowance, or to the usual one."""
        self._usual = usual
        self._own = own
        self._windows = windows
        self._warned = False

    def take(self, tenant: str) -> None:
        """Count a question that is about to be worked on.

        Raises:
            QuotaSpentError: The tenant has used what it may; ``retry_after`` [s] says until when.
        """
        limits = self._limits(tenant)
        for quantity, rate in limits:
            window = self._windows.window(_name(tenant, quantity), rate, _UNITS[quantity])
            if window.left <= 0:
                raise _spent(quantity, rate, window)
        for quantity, rate in limits:
            name = _name(tenant, quantity)
            if quantity == "requests" and not self._windows.used(name, rate, 1, 1):
                raise _spent(quantity, rate, self._windows.window(name, rate, 1))

    def charge(self, tenant: str, receipt: Receipt) -> None:
        """Count what a question took: its tokens, and its energy at the upper bound."""
        for quantity, rate in self._limits(tenant):
            cost = self._cost(quantity, receipt)
            if cost:
                self._windows.used(_name(tenant, quantity), rate, _UNITS[quantity], cost)

    def _limits(self, tenant: str) -> tuple[tuple[Quantity, str], ...]:
        return self._own.get(tenant, self._usual).limits()

    def _cost(self, quantity: Quantity, receipt: Receipt) -> int:
        if quantity == "tokens":
            used = receipt.usage
            return sum((used.context_tokens, used.prompt_tokens or 0, used.completion_tokens or 0))
        if quantity == "requests":
            return 0
        joules = receipt.impact.joules
        if joules is None:
            self._warn_of_unknown()
            return 0
        return math.ceil(joules.high * _MILLIJOULES)

    def _warn_of_unknown(self) -> None:
        if not self._warned:
            self._warned = True
            _LOG.warning("quota-counts-unknown-as-nothing")


class QuotaAnswering:
    """Answers by another one within the tenants' quotas: for what comes through no door."""

    def __init__(self, answering: Answering, quotas: Quotas) -> None:
        self._answering = answering
        self._quotas = quotas

    def retrieve(self, question: Question) -> Retrieved:
        """Return the context for a question; see ``Answering.retrieve``.

        Raises:
            QuotaSpentError: The tenant has used what it may.
        """
        self._quotas.take(question.where.tenant)
        found = self._answering.retrieve(question)
        self._quotas.charge(question.where.tenant, found.receipt)
        return found

    def answer(self, question: Question, listener: Listener = NOBODY) -> Answer:
        """Return an answer; see ``Answering.answer``.

        Raises:
            QuotaSpentError: The tenant has used what it may.
        """
        self._quotas.take(question.where.tenant)
        answer = self._answering.answer(question, listener)
        self._quotas.charge(question.where.tenant, answer.receipt)
        return answer


def quotas_of(
    usual: Allowance, own: Mapping[str, Allowance], windows: Callable[[], Windows]
) -> Quotas | None:
    """Return the quotas, or None where nobody has any; ``windows`` is not called then."""
    if any(allowance.limits() for allowance in (usual, *own.values())):
        return Quotas(usual, own, windows())
    return None


def _name(tenant: str, quantity: Quantity) -> str:
    return f"{quantity}/{tenant}"


def _spent(quantity: Quantity, rate: str, window: Window) -> QuotaSpentError:
    what = f"the tenant's quota of {quantity} is spent"
    remedy = f"ask again in {math.ceil(window.ends_in)} s, or raise quota_{quantity}"
    error = QuotaSpentError(what, rate, remedy)
    error.retry_after = window.ends_in
    return error
