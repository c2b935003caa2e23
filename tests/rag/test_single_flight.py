import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from pathlib import Path

import pytest

from rag import access
from rag.access import OPERATOR, Caller
from rag.errors import AccessError, BackendError, DeadlineError, UsageError
from rag.generating import Listener, Message, Sampling
from rag.guard import writing_deadline
from rag.ledger import Ledger
from rag.ledger_sums import Days, read_report
from rag.listening import NOBODY
from rag.meter import RequestMeter
from rag.place import Place
from rag.provider_calls import PassingError
from rag.recording import RecordedAnswering
from rag.results import (
    Answer,
    Context,
    Question,
    Receipt,
    Retrieved,
    Sparing,
    TraceStep,
    Usage,
)
from rag.single_flight import SharedAnswering
from rag.types import Filter

PLACE = Place(300.0, 1.0, "here", 1.0)
THREADS = 50


def meter() -> RequestMeter:
    return RequestMeter(PLACE)


@dataclass
class Desk:
    """Answers slowly, and counts what it was asked; ``opened`` lets the answers out."""

    opened: threading.Event = field(default_factory=threading.Event)
    asked: Counter[Question] = field(default_factory=Counter)
    busy: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    fails: list[Exception] = field(default_factory=list)
    told: Callable[[Question], str | None] = lambda question: f"about {question.text}"

    def retrieve(self, _question: Question) -> Retrieved:
        return Retrieved(CONTEXT, self._receipt(meter()))

    def answer(self, question: Question, listener: Listener = NOBODY) -> Answer:
        own = meter()
        self.asked[replace(question, deadline=0.0)] += 1
        self.busy.release()
        with own.stage("answer"):
            if not self.opened.wait(max(0.0, question.deadline - time.monotonic())):
                raise DeadlineError("late", 0, "ask again")
            work(0.01)
        if self.fails:
            raise self.fails.pop()
        text = self.told(question)
        if text is not None:
            listener.say(text)
        missing = text is None
        receipt = self._receipt(own)
        return Answer(
            text, (), missing, "none" if missing else None, 0.9, None, (), CONTEXT, receipt
        )

    def _receipt(self, own: RequestMeter) -> Receipt:
        usage = Usage(7, 100, 90, 10, 20, "words", reported=True)
        return Receipt(
            usage, own.impact(), None, "miss", own.trace(), "f00", 3, own.seconds(), "large"
        )


CONTEXT = Context("a b c d e f g", 7, 100, ())


def work(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(100))


@dataclass
class Ear:
    said: list[str] = field(default_factory=list)
    left: bool = False

    def say(self, text: str) -> None:
        self.said.append(text)

    def gone(self) -> bool:
        return self.left


def question(text: str = "How?", seconds: float = 60.0, **more: object) -> Question:
    known = Question(text, Filter("here"), 100, time.monotonic() + seconds)
    return replace(known, **more)  # type: ignore[arg-type]


class Carrying(ThreadPoolExecutor):
    """Does what it is given for whoever asks when it is given, as the service's threads do."""

    def submit(self, work, /, *args, **more):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN003, ANN201
        return super().submit(access.carried(partial(work, *args, **more)))


@contextmanager
def crowd(count: int = THREADS) -> Iterator[ThreadPoolExecutor]:
    with Carrying(count) as pool:
        yield pool


def waiting(shared: SharedAnswering, count: int) -> None:
    """Wait until so many threads wait for one answer; nothing tells it from outside."""
    (flight,) = shared._flights.values()
    until = time.monotonic() + 10
    while len(flight.landed._cond._waiters) < count:  # type: ignore[attr-defined]
        assert time.monotonic() < until
        time.sleep(0.001)


def led(
    pool: ThreadPoolExecutor, desk: Desk, shared: SharedAnswering, first: Question, *ear: Listener
) -> Future[Answer]:
    """Return the first one's answer, which is then on its way."""
    leader = pool.submit(shared.answer, first, *ear)
    assert desk.busy.acquire(timeout=10)
    return leader


def test_many_who_ask_the_same_get_one_answer() -> None:
    desk = Desk()
    shared = SharedAnswering(desk, meter)
    ears = [Ear() for _ in range(THREADS)]
    with crowd() as pool:
        futures = [pool.submit(shared.answer, question(), ear) for ear in ears]
        desk.busy.acquire()
        waiting(shared, THREADS - 1)
        desk.opened.set()
        answers = [future.result() for future in futures]
    assert sum(desk.asked.values()) == 1
    assert {answer.text for answer in answers} == {"about How?"}
    assert all(ear.said == ["about How?"] for ear in ears)
    assert Counter(a.receipt.cache for a in answers) == {"miss": 1, "shared": THREADS - 1}
    assert not shared._flights


def test_who_waited_pays_for_waiting_only() -> None:
    desk = Desk()
    shared = SharedAnswering(desk, meter)
    with crowd(2) as pool:
        leader = led(pool, desk, shared, question())
        follower = pool.submit(shared.answer, question())
        waiting(shared, 1)
        desk.opened.set()
        first, second = leader.result().receipt, follower.result().receipt
    assert first.usage.prompt_tokens == 90
    usage = second.usage
    assert (usage.context_tokens, usage.budget_tokens, usage.tokenizer) == (7, 100, "words")
    assert (usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens) == (None,) * 3
    assert (usage.reported, second.model, second.saved) == (None, None, None)
    assert (second.fingerprint, second.generation) == ("f00", 3)
    (step,) = second.trace
    assert isinstance(step, TraceStep)
    assert (step.stage, step.decision) == ("cache", "the same question was just being answered")
    assert first.impact.cpu_seconds is not None
    assert second.impact.cpu_seconds is not None
    assert first.impact.cpu_seconds.low >= 0.01 > second.impact.cpu_seconds.low
    assert 0 < second.seconds < 10


def test_the_ledgers_sums_stay_true(tmp_path: Path) -> None:
    desk = Desk()
    shared = SharedAnswering(desk, meter)
    with closing(Ledger(tmp_path)) as ledger, crowd(5) as pool:
        recorded = RecordedAnswering(shared, ledger, "lexical")
        futures = [pool.submit(recorded.answer, question()) for _ in range(5)]
        desk.busy.acquire()
        waiting(shared, 4)
        desk.opened.set()
        receipts = [future.result().receipt for future in futures]
    report = read_report(tmp_path, Days(date(2000, 1, 1), date(2100, 1, 1)), "model")
    joules = [receipt.impact.joules for receipt in receipts]
    assert report.total.answers == 5
    assert report.total.known_tokens("prompt") == 90  # of one call, not of five
    assert report.total.known_tokens("completion") == 20
    assert {line.group: line.sums.answers for line in report.lines} == {"large": 1, None: 4}
    known = report.total.known("joules")
    assert known is not None
    assert known[0] / 1e9 == pytest.approx(sum(each.low for each in joules if each), rel=1e-6)


DIFFERENT = {
    "tenant": {"where": Filter("there")},
    "labels": {"where": Filter("here", labels=("hr",))},
    "no labels": {"where": Filter("here", labels=())},
    "documents": {"where": Filter("here", documents=("a",))},
    "since": {"where": Filter("here", since="2024")},
    "budget": {"budget_tokens": 99},
    "frugality": {"frugality": 0.1},
    "sparing": {"sparing": Sparing("generate", "the budget is spent")},
    "history": {"history": (Message("user", "What?"),)},
    "generate": {"generate": "never"},
    "sampling": {"sampling": Sampling(9)},
    "words": {"text": "how?"},
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_never_across_what_may_change_the_answer(name: str) -> None:
    desk = Desk()
    shared = SharedAnswering(desk, meter)
    other = question(**DIFFERENT[name])
    with crowd(2) as pool:
        futures = []
        for each in (question(), other):
            with access.acting(replace(OPERATOR, labels=each.where.labels)):
                futures.append(pool.submit(shared.answer, each))
        for _ in range(2):
            assert desk.busy.acquire(timeout=10)  # both are worked on
        desk.opened.set()
        assert all(future.result().receipt.cache == "miss" for future in futures)


def test_who_may_not_look_there_does_not_share_what_another_found() -> None:
    desk = Desk()
    shared = SharedAnswering(desk, meter)
    callers = [
        Caller("k", "there", frozenset(("query",)), None),
        Caller("k", "here", frozenset(("query",)), ()),
    ]
    with crowd(2) as pool:
        led(pool, desk, shared, question())
        for caller in callers:
            with access.acting(caller), pytest.raises(AccessError):
                shared.answer(question(seconds=0.2))
        desk.opened.set()


def test_never_across_generations() -> None:
    served = ["one"]
    desk = Desk()
    shared = SharedAnswering(desk, meter, lambda: served[0])
    with crowd(2) as pool:
        before = led(pool, desk, shared, question())
        served[0] = "two"
        after = led(pool, desk, shared, question())
        desk.opened.set()
        assert [f.result().receipt.cache for f in (before, after)] == ["miss", "miss"]
    assert not shared._flights


def test_deadlines_do_not_tell_questions_apart() -> None:
    desk = Desk()
    shared = SharedAnswering(desk, meter)
    with crowd(2) as pool:
        leader = led(pool, desk, shared, question(seconds=60))
        hasty = pool.submit(shared.answer, question(seconds=0.1))
        with pytest.raises(DeadlineError, match="the same was being answered"):
            hasty.result()
        desk.opened.set()
        assert leader.result().text == "about How?"
    assert sum(desk.asked.values()) == 1


def test_a_failure_is_everybodys() -> None:
    desk = Desk(fails=[PassingError("no connection", "refused", "start it")])
    shared = SharedAnswering(desk, meter)
    with crowd(10) as pool:
        futures = [pool.submit(shared.answer, question()) for _ in range(10)]
        desk.busy.acquire()
        waiting(shared, 9)
        desk.opened.set()
        errors = [future.exception() for future in futures]
    assert sum(desk.asked.values()) == 1
    assert all(isinstance(each, PassingError) for each in errors)
    assert len({id(each) for each in errors}) == 10  # no two threads write into one
    assert len({str(each) for each in errors}) == 1
    assert not shared._flights
    assert shared.answer(question()).text == "about How?"


def test_a_fault_of_ours_is_not_shared() -> None:
    desk = Desk(fails=[KeyError("bug")])
    shared = SharedAnswering(desk, meter)
    with crowd(2) as pool:
        leader = led(pool, desk, shared, question())
        follower = pool.submit(shared.answer, question())
        waiting(shared, 1)
        desk.opened.set()
        assert isinstance(leader.exception(), KeyError)
        assert follower.result().receipt.cache == "miss"


@pytest.mark.parametrize("error", [None, BackendError("slow", 1, "wait")])
def test_what_came_too_late_for_one_is_made_anew_for_the_next(error: Exception | None) -> None:
    desk = Desk(fails=[error] if error else [])
    shared = SharedAnswering(desk, meter)
    with crowd(2) as pool:
        leader = led(pool, desk, shared, question(seconds=0.2))
        follower = pool.submit(shared.answer, question(seconds=60))
        waiting(shared, 1)
        assert desk.busy.acquire(timeout=10)  # after the first one's deadline, the second asks
        desk.opened.set()
        assert isinstance(leader.exception(), DeadlineError)
        assert error is not None or follower.result().text == "about How?"
    assert sum(desk.asked.values()) == 2


def test_an_answer_for_want_of_time_is_not_shared() -> None:
    class Late(Desk):
        def answer(self, question: Question, listener: Listener = NOBODY) -> Answer:
            if not self.asked:
                self.told = lambda _: "for want of time"
                self.opened.set()
                answer = super().answer(question, listener)
                time.sleep(max(0.0, writing_deadline(question) - time.monotonic()))
                return answer
            self.told = lambda _: "in time"
            return super().answer(question, listener)

    desk = Late()
    shared = SharedAnswering(desk, meter)
    with crowd(2) as pool:
        leader = led(pool, desk, shared, question(seconds=0.6))
        follower = pool.submit(shared.answer, question(seconds=60))
        assert leader.result().text == "for want of time"
        assert follower.result().text == "in time"


@pytest.mark.parametrize("fails", [False, True])
def test_who_goes_away_leaves_the_question_to_the_next(*, fails: bool) -> None:
    desk = Desk(fails=[UsageError("gone", 0, "stay")] if fails else [])
    shared = SharedAnswering(desk, meter)
    away, here = Ear(), Ear()
    with crowd(2) as pool:
        leader = led(pool, desk, shared, question(), away)
        follower = pool.submit(shared.answer, question(), here)
        waiting(shared, 1)
        away.left = True
        desk.opened.set()
        assert follower.result().receipt.cache == "miss"
        assert here.said == ["about How?"]
        assert (leader.exception() is not None) == fails
    assert sum(desk.asked.values()) == 2


def test_an_abstention_is_shared_and_nothing_said() -> None:
    desk = Desk(told=lambda _: None)
    shared = SharedAnswering(desk, meter)
    ear = Ear()
    with crowd(2) as pool:
        led(pool, desk, shared, question())
        follower = pool.submit(shared.answer, question(), ear)
        waiting(shared, 1)
        desk.opened.set()
        answer = follower.result()
    assert (answer.abstained, answer.reason, answer.receipt.cache) == (True, "none", "shared")
    assert not ear.said


def test_one_after_the_other_is_asked_anew() -> None:
    desk = Desk()
    desk.opened.set()
    shared = SharedAnswering(desk, meter)
    assert [shared.answer(question()).receipt.cache for _ in range(3)] == ["miss"] * 3
    assert shared.retrieve(question()).context is CONTEXT


def test_a_storm_of_questions_leaves_no_flights() -> None:
    desk = Desk()
    desk.opened.set()
    desk.fails = [BackendError("now and then", n, "ask again") for n in range(20)]
    shared = SharedAnswering(desk, meter)

    def asked(number: int) -> str | None:
        try:
            return shared.answer(question(f"q{number % 7}")).text
        except BackendError:
            return f"about q{number % 7}"

    with crowd(20) as pool:
        answers = list(pool.map(asked, range(300)))
    assert answers == [f"about q{n % 7}" for n in range(300)]
    assert not shared._flights
