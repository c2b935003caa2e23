"""Quotas of tenants, counted by the library on a clock that the tests set."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.adapters.windows import MemoryWindows
from rag.errors import QuotaSpentError
from rag.generating import Listener
from rag.listening import NOBODY
from rag.quotas import Allowance, QuotaAnswering, Quotas, quotas_of
from rag.results import Answer, Context, Impact, Question, Receipt, Retrieved, Usage
from rag.types import Filter, Interval


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def receipt(joules: Interval | None, context: int = 100, prompt: int | None = None) -> Receipt:
    return Receipt(
        usage=Usage(context, 256, prompt, None, None if prompt is None else 7, "cl100k_base"),
        impact=Impact(joules, None, None, None, "estimated", None),
        saved=None,
        cache="off",
        trace=(),
        fingerprint="f" * 12,
        generation=1,
        seconds=0.01,
    )


def quotas(clock: Clock, usual: Allowance, **own: Allowance) -> Quotas:
    return Quotas(usual, own, MemoryWindows(clock))


def test_questions_are_counted_before_and_the_window_moves() -> None:
    clock = Clock()
    held = quotas(clock, Allowance(requests="3/minute"))
    held.take("acme")
    clock.now += 20
    held.take("acme")
    held.take("acme")
    for wait in (40.0, 15.0):
        clock.now = 1060 - wait
        with pytest.raises(QuotaSpentError, match=r"quota of requests is spent: 3/minute") as told:
            held.take("acme")
        assert told.value.retry_after == pytest.approx(wait)
    clock.now = 1060
    held.take("acme")


def test_one_tenant_takes_nothing_from_another_and_may_have_its_own() -> None:
    held = quotas(Clock(), Allowance(requests="1/hour"), big=Allowance(requests="2/hour"))
    for tenant in ("acme", "other", "big", "big"):
        held.take(tenant)
    for tenant in ("acme", "other", "big"):
        with pytest.raises(QuotaSpentError):
            held.take(tenant)


def test_tokens_of_contexts_prompts_and_answers_are_charged_afterwards() -> None:
    clock = Clock()
    held = quotas(clock, Allowance(tokens="250/day"))
    held.take("acme")
    held.charge("acme", receipt(None))
    held.take("acme")
    held.charge("acme", receipt(None, 100, prompt=500))  # what is passed is passed
    with pytest.raises(QuotaSpentError, match="quota of tokens") as told:
        held.take("acme")
    assert told.value.retry_after == pytest.approx(86_400)


def test_joules_count_at_their_upper_bound_and_to_the_thousandth() -> None:
    held = quotas(Clock(), Allowance(joules="1/hour"))
    for _ in range(3):
        held.take("acme")
        held.charge("acme", receipt(Interval(0.0, 0.333)))
    held.take("acme")
    held.charge("acme", receipt(Interval(0.0, 0.001)))
    with pytest.raises(QuotaSpentError, match="quota of joules"):
        held.take("acme")


def test_energy_that_is_unknown_counts_nothing_and_is_warned_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    held = quotas(Clock(), Allowance(joules="1/hour"))
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            held.take("acme")
            held.charge("acme", receipt(None))
    assert [record.message for record in caplog.records] == ["quota-counts-unknown-as-nothing"]


def test_a_refused_question_counts_nothing() -> None:
    clock = Clock()
    held = quotas(clock, Allowance(requests="5/minute", tokens="100/day"))
    held.take("acme")
    held.charge("acme", receipt(None))
    for _ in range(10):
        with pytest.raises(QuotaSpentError, match="tokens"):
            held.take("acme")
    clock.now += 86_400
    for _ in range(5):
        held.take("acme")


def test_where_nobody_has_a_quota_nothing_is_counted() -> None:
    def never() -> MemoryWindows:
        raise AssertionError("windows were made")

    assert quotas_of(Allowance(), {"acme": Allowance()}, never) is None
    assert quotas_of(Allowance(), {"acme": Allowance("1/day")}, MemoryWindows) is not None


class Answering:
    """Answers everything with one receipt."""

    def retrieve(self, _: Question) -> Retrieved:
        return Retrieved(Context("", 0, 256, ()), receipt(None))

    def answer(self, question: Question, _: Listener = NOBODY) -> Answer:
        raise LookupError(question.text)


def test_what_comes_through_no_door_is_counted_too() -> None:
    held = quotas(Clock(), Allowance(requests="3/day", tokens="150/day"))
    answering = QuotaAnswering(Answering(), held)
    asked = Question("Why?", Filter("acme"), 256, 0.0)
    with pytest.raises(LookupError):
        answering.answer(asked)
    answering.retrieve(asked)
    answering.retrieve(asked)
    with pytest.raises(QuotaSpentError):
        answering.retrieve(asked)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 30)), max_size=60))
def test_no_window_holds_more_than_its_amount(asked: list[tuple[str, float]]) -> None:
    clock, held_at = Clock(), dict[str, list[float]]()
    held = quotas(clock, Allowance(requests="4/minute"))
    for tenant, later in asked:
        clock.now += later
        wait = refused_for(held, tenant)
        if wait is None:
            held_at.setdefault(tenant, []).append(clock.now)
            continue
        assert 0 < wait <= 60
        began = clock.now + wait - 60
        assert sum(at >= began - 1e-6 for at in held_at[tenant]) == 4


def refused_for(held: Quotas, tenant: str) -> float | None:
    try:
        held.take(tenant)
    except QuotaSpentError as error:
        return error.retry_after
    return None
