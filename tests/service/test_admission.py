"""Down the ladder as the queue grows: what is left out, in order, and when all are refused."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rag.adapters.windows import MemoryWindows
from rag.errors import OverloadedError, QuotaSpentError, RagError
from rag.quotas import Allowance, Quotas
from rag.results import Question, Sparing
from rag.service.admission import LADDER, Admission, rungs
from rag.settings import Settings, load_settings
from rag.types import Filter

GENERATORS = [{"name": "small", "kind": "openai", "model": "m", "url": "http://127.0.0.1:1"}]
EVERYTHING = {"tier": "neural", "reranker": "maxsim", "generators": GENERATORS, "cache": "exact"}
QUEUE = 16


def settings(**given: object) -> Settings:
    return load_settings(**({"concurrent_questions": 1, "deadline_seconds": 600.0} | given))


def asked() -> Question:
    return Question("How long?", Filter("acme"), 256, time.monotonic() + 600)


def admitted(admission: Admission, *, cached: bool = True) -> Question | RagError:
    async def admit() -> Question:
        return admission.admit(asked(), cached=cached)

    try:
        return asyncio.run(admit())
    except RagError as error:
        return error


@contextmanager
def waiting(admission: Admission, count: int) -> Iterator[None]:
    """Let so many questions wait."""
    go = threading.Event()
    for _ in range(count + 1):
        admission.gate.begin(lambda: go.wait(20))
    try:
        assert admission.gate.waiting == count
        yield
    finally:
        go.set()
        admission.close()


def rung(count: int, *, cached: bool = True, **given: object) -> str:
    """Return what becomes of a question when so many wait."""
    admission = Admission(settings(**(EVERYTHING | given)))
    with waiting(admission, count):
        found = admitted(admission, cached=cached)
    if isinstance(found, RagError):
        return type(found).__name__
    return found.sparing.upto if found.sparing else "whole"


def test_less_and_less_is_done_in_the_stated_order() -> None:
    found = [rung(count) for count in range(QUEUE + 1)]
    assert list(dict.fromkeys(found)) == ["whole", *LADDER, "OverloadedError"]
    assert found == sorted(found, key=["whole", *LADDER, "OverloadedError"].index)
    assert [found.index(step) for step in LADDER] == [4, 7, 10, 13]  # from 0.2, 0.4, 0.6, 0.8 on
    assert found[QUEUE] == "OverloadedError"


def test_where_nothing_may_be_left_out_questions_are_only_refused() -> None:
    found = {rung(count, degrade=False) for count in range(QUEUE)}
    assert found == {"whole"}
    assert rung(QUEUE, degrade=False) == "OverloadedError"


def test_what_would_spare_nothing_is_no_rung() -> None:
    plain = {"tier": "lexical", "reranker": "none", "generators": [], "cache": "off"}
    assert rungs(settings(**plain)) == ()
    assert {rung(count, **plain) for count in range(QUEUE)} == {"whole"}
    names = {"reranker": "rerank", "tier": "vectors", "generators": "generate", "cache": "search"}
    for name, step in names.items():
        assert [each for each, _ in rungs(settings(**(plain | {name: EVERYTHING[name]})))] == [step]


def test_a_context_is_in_no_cache() -> None:
    assert rung(12, cached=False) == "generate"
    assert rung(13, cached=False) == "OverloadedError"


def test_from_the_cache_alone_goes_past_the_queue_and_there_are_few_places() -> None:
    admission, go = Admission(settings(**EVERYTHING)), threading.Event()
    with waiting(admission, 14):
        spared = admitted(admission)
        assert isinstance(spared, Question)
        aside = admission.gate_of(spared)
        assert aside is not admission.gate
        assert aside.begin(lambda: "at once").result(5) == "at once"
        assert admission.gate_of(asked()) is admission.gate
        while not aside.full:
            aside.begin(lambda: go.wait(20))
        assert isinstance(admitted(admission), OverloadedError)
        go.set()


def test_a_refusal_says_how_long_to_wait() -> None:
    admission = Admission(settings(**EVERYTHING))
    with waiting(admission, QUEUE):
        time.sleep(0.05)
        error = admission.overloaded()
        assert isinstance(error, OverloadedError)
        assert error.retry_after is not None
        assert 17 * 0.05 <= error.retry_after < 17 * 20
        assert str(error.value).startswith("16 waiting, for about ")
        missed = admission.told(OverloadedError("only what is in the cache", "x", "wait"))
        assert missed.retry_after is not None
        assert missed.retry_after >= error.retry_after
    assert Admission(settings()).overloaded() is None


def test_what_was_left_out_for_another_reason_stays_left_out() -> None:
    admission = Admission(settings(**EVERYTHING))
    spent = Sparing("generate", "the budget is spent")

    async def admit() -> Question:
        return admission.admit(asked().spared(spent), cached=True)

    with waiting(admission, 5):
        assert asyncio.run(admit()).sparing == spent


def test_a_question_that_is_refused_for_the_load_takes_nothing_of_the_quota() -> None:
    quotas = Quotas(Allowance(requests="1/hour"), {}, MemoryWindows())
    admission = Admission(settings(), quotas)
    with waiting(admission, QUEUE):
        assert isinstance(admitted(admission), OverloadedError)
    fresh = Admission(settings(), quotas)
    assert isinstance(admitted(fresh), Question)
    assert isinstance(admitted(fresh), QuotaSpentError)
    fresh.close()


def test_the_event_loop_is_looked_at_only_while_there_is_work() -> None:
    admission, late = Admission(settings()), list[float]()
    admission.gate.looked = late.append  # type: ignore[method-assign]
    go = threading.Event()

    async def worked() -> tuple[int, int]:
        admission.admit(asked(), cached=True)
        admission.gate.begin(lambda: go.wait(20))
        await asyncio.sleep(0.3)
        during = len(late)
        go.set()
        await asyncio.sleep(0.2)
        before = len(late)
        await asyncio.sleep(0.3)
        return during, len(late) - before

    during, after = asyncio.run(worked())
    assert during >= 2
    assert after == 0
    assert all(-0.01 < each < 5 for each in late)
    admission.close()
