"""A clock that jumps under a running service and under ingest, by days and by years."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from rag.budgets import BudgetedAnswering, DailyBudget
from rag.errors import BudgetSpentError
from rag.jobs.job import Job, Later, Order, Run
from rag.jobs.queue import JobQueue
from rag.jobs.runner import JobRunner, Terms
from rag.jobs.store import JobStore
from rag.ledger import Ledger
from rag.ledger_entry import Asker, entry_of
from rag.results import Answer, Impact, Question, Receipt, Retrieved, Usage
from rag.types import Filter, Interval

Published = Callable[..., Any]
_QUESTION = "How long is the pump covered?"
_DAY = 86_400.0
_NOON = 20_000.5 * _DAY
# The wall clock of the process runs as far ahead as a file says [s]; the monotonic one does not.
_JUMPING = """
import datetime, time
_real = time.time
def _ahead():
    try:
        with open({path!r}) as file:
            return float(file.read())
    except (OSError, ValueError):
        return 0.0
time.time = lambda: _real() + _ahead()
class _Jumping(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return super().now(tz) + datetime.timedelta(seconds=_ahead())
datetime.datetime = _Jumping
"""


class Clock:
    """Where a process reads how far its clock is off."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "ahead"
        self.before = _JUMPING.format(path=str(self._path))

    def jump(self, days: float) -> None:
        """Let it be so many days ahead, behind if negative."""
        other = self._path.with_suffix(".new")
        other.write_text(str(days * _DAY))
        other.replace(self._path)


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path)


def test_every_answer_is_counted_in_its_own_time(
    published: Published, tmp_path: Path, clock: Clock
) -> None:
    made = published(tmp_path, cache="off")
    jumps = (0, 40, -400, 3000, 0, -0.01)
    with made.serving(before=clock.before) as service:
        for days in jumps:
            clock.jump(days)
            answered = httpx.post(f"{service.url}/v1/query", json={"question": _QUESTION})
            assert answered.status_code == 200, answered.text
            assert "24 months" in answered.json()["answer"]
            assert answered.json()["seconds"] < 60  # measured on a clock that does not jump
            assert httpx.get(f"{service.url}/readyz").status_code == 200
        clock.jump(0)
        kept = httpx.get(
            f"{service.url}/v1/impact", params={"from": "2020-01-01", "to": "2049-12-31"}
        ).json()
        assert kept["total"]["answers"] == len(jumps)
        assert service.stop() == 0
        assert not [line for line in service.lines if "internal-error" in line]
        assert not [line for line in service.lines if '"level": "error"' in line]


def test_what_was_cached_ahead_of_time_is_not_kept_until_then(
    published: Published, tmp_path: Path, clock: Clock
) -> None:
    made = published(tmp_path, cache="exact")

    def cache() -> str:
        response = httpx.post(f"{service.url}/v1/query", json={"question": _QUESTION})
        assert "24 months" in response.json()["answer"]
        return str(response.json()["cache"])

    with made.serving(before=clock.before) as service:
        clock.jump(3650)
        assert cache() == "miss"
        assert cache() == "exact"
        clock.jump(0)
        assert cache() == "miss"
        assert cache() == "exact"
        clock.jump(-3650)
        assert cache() == "miss"
        clock.jump(8)  # past the days that an answer is kept
        assert cache() == "miss"


def test_a_key_ends_by_the_clock_and_lives_again_when_it_is_mended(
    published: Published, tmp_path: Path, clock: Clock
) -> None:
    made = published(tmp_path)
    added = made.rag(
        "keys", "add", "--all-tenants", "--right", "query", "--expires", "2d", "--json"
    )
    assert added.returncode == 0, added.stderr
    token = json.loads(added.stdout)["token"]
    with made.serving(before=clock.before) as service:

        def status(days: float) -> int:
            clock.jump(days)
            return httpx.post(
                f"{service.url}/v1/query",
                json={"question": _QUESTION},
                headers={"Authorization": f"Bearer {token}"},
            ).status_code

        assert [status(days) for days in (0, 1.9, 2.1, 400, 0, -400)] == [
            200,
            200,
            401,
            401,
            200,
            200,
        ]


def test_an_ingest_with_a_wrong_clock_sees_what_changed(
    published: Published, tmp_path: Path, clock: Clock
) -> None:
    """Times of files lie in its future or long past; that decides nothing but what is read."""
    made = published(tmp_path)
    for number, days in enumerate((-800.0, 3000.0, 0.0)):
        clock.jump(days)
        made.write({"pump.md": f"# Pump\n\nThe pump is covered for 3{number} months.\n"})
        done = made.ingest("sync", str(made.documents), before=clock.before)
        assert done.returncode == 0, done.stderr
        assert f"3{number} months" in made.rag("ask", _QUESTION).stdout
    unchanged = made.ingest("sync", str(made.documents), "--json")
    assert json.loads(unchanged.stdout)["published"] is False


class Dial:
    """A wall clock that a test sets, by days from its noon."""

    def __init__(self) -> None:
        self.days = 0.0

    def __call__(self) -> float:
        return _NOON + self.days * _DAY


class Work:
    """Does a job as it is told, and keeps which were done."""

    def __init__(self, does: Callable[[Run], None] = lambda _: None) -> None:
        self._does = does
        self.done: list[str] = []

    def work(self, job: Job, run: Run) -> Mapping[str, object]:
        self._does(run)
        self.done.append(job.id)
        return {}


@pytest.fixture
def dial() -> Dial:
    return Dial()


@pytest.fixture
def jobs(tmp_path: Path, dial: Dial) -> Iterator[tuple[JobStore, JobQueue]]:
    """Jobs as those who give them and those who run them see them, by the clock of the dial."""
    store, queue = JobStore(tmp_path, dial), JobQueue(tmp_path, dial)
    yield store, queue
    store.close()
    queue.close()


def run_all(queue: JobQueue, work: Work) -> None:
    JobRunner(queue, {"batch": work}, Terms(job_days=30.0)).drain()


@pytest.mark.parametrize(
    ("days", "state"),
    [(-400.0, "done"), (0.0, "done"), (0.2, "done"), (0.3, "expired"), (3000.0, "expired")],
)
def test_a_deadline_goes_by_the_clock_and_no_job_without_one_does(
    jobs: tuple[JobStore, JobQueue], dial: Dial, days: float, state: str
) -> None:
    store, queue = jobs
    hasty = store.add(Order("batch", "acme", deadline=dial() + _DAY / 4))
    patient = store.add(Order("batch", "acme"))
    dial.days = days
    work = Work()
    run_all(queue, work)
    assert (store.get(hasty.id).state, store.get(patient.id).state) == (state, "done")
    dial.days = 0.0
    run_all(queue, work)  # what has ended has ended
    assert store.get(hasty.id).state == state
    assert work.done.count(patient.id) == 1


def test_a_jump_past_a_deadline_keeps_what_was_done(
    jobs: tuple[JobStore, JobQueue], dial: Dial
) -> None:
    store, queue = jobs
    job = store.add(Order("batch", "acme", 2, deadline=dial() + _DAY / 4))

    def jump(run: Run) -> None:
        run.progress(1)
        dial.days = 1.0
        run.pause()

    run_all(queue, Work(jump))
    found = store.get(job.id)
    assert (found.state, found.reason, found.done) == ("expired", "its deadline passed", 1)


def test_ended_jobs_are_kept_by_the_clock_and_waiting_ones_whatever_it_says(
    jobs: tuple[JobStore, JobQueue], dial: Dial
) -> None:
    store, queue = jobs
    ended = store.add(Order("batch", "acme"))
    run_all(queue, Work())
    waiting = store.add(Order("batch", "acme"))
    for days, left in ((-400.0, 2), (0.0, 2), (29.0, 2), (31.0, 1), (3000.0, 1), (0.0, 1)):
        dial.days = days
        queue.tidy(30.0)
        assert len(store.list()) == left
    assert [job.id for job in store.list()] == [waiting.id]
    assert not store.folder_of(ended).exists()
    assert store.folder_of(waiting).exists()


@pytest.mark.parametrize("seconds", [600.0, 40 * _DAY])
def test_a_job_that_was_put_off_by_a_clock_ahead_is_done_once_it_is_mended(
    jobs: tuple[JobStore, JobQueue], dial: Dial, seconds: float
) -> None:
    store, queue = jobs
    job = store.add(Order("batch", "acme"))

    def put_off(_: Run) -> None:
        raise Later(seconds, "too early")

    dial.days = 400.0
    run_all(queue, Work(put_off))
    waits = Work()
    run_all(queue, waits)
    assert waits.done == []
    dial.days = 0.0
    run_all(queue, waits)
    assert store.get(job.id).state == "done"


class Inside:
    """Answering that says that it was asked."""

    def retrieve(self, _: Question) -> Retrieved:
        raise LookupError

    def answer(self, *_: object) -> Answer:
        raise LookupError


def test_a_budget_is_of_the_day_that_the_clock_says(tmp_path: Path, dial: Dial) -> None:
    """A day of a wrong clock has a budget of its own, and takes nothing from those to come."""
    usage = Usage(10, 256, None, None, None, "cl100k_base")
    cost = Impact(Interval(9.0, 10.0), None, None, None, "estimated", None)
    receipt = Receipt(usage, cost, None, "off", (), "f" * 12, 1, 0.01)
    with closing(Ledger(tmp_path)) as ledger:
        budget = DailyBudget(joules=10.0, once_spent="refuse")
        answering = BudgetedAnswering(Inside(), ledger, budget, now=dial)

        def answers(days: float) -> bool:
            dial.days = days
            try:
                answering.retrieve(Question("How long?", Filter("acme"), 256, 0.0, 0.02))
            except BudgetSpentError:
                return False
            except LookupError:
                return True
            raise AssertionError

        def spend() -> None:
            asker = Asker("acme", "lexical", None, "retrieve", abstained=False)
            assert ledger.add(entry_of(receipt, asker, dial()))

        assert answers(0.0)
        spend()
        assert [answers(days) for days in (0.0, 0.1, -0.1, 1.0, -1.0)] == [0, 0, 0, 1, 1]
        assert answers(40.0)
        spend()
        assert not answers(40.0)
        # Mended: today is spent as it was, and no day until then is.
        assert [answers(days) for days in (0.1, 1.0, 39.0, 40.0, 41.0)] == [0, 1, 1, 0, 1]


def test_a_quota_goes_by_no_clock_that_jumps(
    published: Published, tmp_path: Path, clock: Clock
) -> None:
    made = published(tmp_path, quota_requests="2/hour")
    with made.serving(before=clock.before) as service:

        def asked(days: float) -> httpx.Response:
            clock.jump(days)
            return httpx.post(f"{service.url}/v1/query", json={"question": _QUESTION})

        assert [asked(days).status_code for days in (0, 3, 0)] == [200, 200, 429]
        for days in (400, -400):
            refused = asked(days)
            assert refused.status_code == 429
            assert 3000 < int(refused.headers["Retry-After"]) <= 3600
