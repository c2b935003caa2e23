"""The runner: each job once, for whoever gave it, to the end that it deserves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import pytest

from rag.access import Caller, acting
from rag.errors import ConflictError, RagError, StorageFullError
from rag.grid.forecast import Forecast
from rag.jobs.file import update
from rag.jobs.job import Job, JobState, Later, Order, Run
from rag.jobs.queue import MOST_ATTEMPTS, JobQueue
from rag.jobs.runner import JobRunner, Terms
from rag.jobs.store import JobStore

Running: TypeAlias = Callable[..., AbstractContextManager[JobRunner]]
Until: TypeAlias = Callable[[Callable[[], bool]], None]
HOUR = 3600.0


def ended(store: JobStore, job: Job, state: JobState) -> Callable[[], bool]:
    def so() -> bool:
        found = store.get(job.id)
        assert found.open or found.state == state, found
        return found.state == state

    return so


def test_a_job_is_done_for_whoever_gave_it(
    store: JobStore, running: Running, doing: type, until: Until
) -> None:
    giver = Caller("k1", None, frozenset({"query"}), ("hr",))
    with acting(giver):
        job = store.add(Order("batch", "acme", 2, detail={"a": 1}))

    def does(_: Job, run: Run) -> Mapping[str, object]:
        run.progress(1, 1, {"b": 2})
        return {"c": 3}

    worker = doing(does)
    with running({"batch": worker}):
        until(ended(store, job, "done"))
    found = store.get(job.id)
    assert worker.callers == [replace(giver, tenant="acme")]
    assert (found.done, found.failed, found.detail) == (1, 1, {"a": 1, "b": 2, "c": 3})
    assert found.started is not None
    assert found.ended is not None
    assert found.created <= found.started <= found.ended


def test_what_goes_wrong_ends_one_job_and_not_the_next(
    store: JobStore, running: Running, doing: type, until: Until
) -> None:
    faults = {"ours": RagError("no", "way", "try another"), "fault": ZeroDivisionError("secret")}

    def does(job: Job, _: Run) -> Mapping[str, object]:
        fault = faults.get(str(job.detail.get("fault")))
        if fault is not None:
            raise fault
        return {}

    jobs = [store.add(Order("batch", "acme", detail={"fault": name})) for name in faults]
    well = store.add(Order("batch", "acme"))
    with running({"batch": doing(does)}):
        until(ended(store, well, "done"))
    found = [store.get(job.id) for job in jobs]
    assert [job.state for job in found] == ["failed", "failed"]
    assert found[0].reason == "no: way. Try another."
    assert found[1].id in found[1].reason
    assert "secret" not in found[1].reason


def test_what_cannot_be_done_now_is_done_later(
    store: JobStore, running: Running, doing: type, until: Until
) -> None:
    raised = [Later(0.1, "somebody else is at it"), StorageFullError("no room", "disk", "free it")]
    worker = doing()

    def does(_: Job, __: Run) -> Mapping[str, object]:
        if len(worker.jobs) <= len(raised):
            raise raised[len(worker.jobs) - 1]
        return {}

    worker.does = does
    job, other = store.add(Order("batch", "acme")), store.add(Order("ingest", "acme"))
    with running({"batch": worker, "ingest": doing()}) as runner:
        until(lambda: len(worker.jobs) == 2 and store.get(job.id).state == "waiting")
        assert "no room: disk" in store.get(job.id).reason
        until(ended(store, other, "done"))
        with runner._queue._file.changing() as db:  # rather than to wait for a minute
            update(db, job.id, look=0)
        until(ended(store, job, "done"))
    assert [each.attempts for each in worker.jobs] == [1, 1, 1]


def endless(_: Job, run: Run) -> Mapping[str, object]:
    run.progress(1)
    while True:
        run.pause(10)


def test_a_running_job_is_cancelled(
    store: JobStore, running: Running, doing: type, until: Until
) -> None:
    job = store.add(Order("batch", "acme", 9))
    with running({"batch": doing(endless)}):
        until(lambda: store.get(job.id).done == 1)
        asked = time.monotonic()
        assert store.cancel(job.id).cancelling
        until(ended(store, job, "cancelled"))
        assert time.monotonic() - asked < 2
    assert store.get(job.id).done == 1


def test_a_job_ends_at_its_deadline_running_or_waiting(
    store: JobStore, running: Running, doing: type, until: Until
) -> None:
    soon = time.time() + 0.4
    first, second = (store.add(Order("batch", "acme", 2, deadline=soon)) for _ in range(2))
    worker = doing(endless)
    with running({"batch": worker}):
        until(ended(store, first, "expired"))
        until(ended(store, second, "expired"))
    assert (store.get(first.id).done, store.get(second.id).started) == (1, None)
    assert "deadline" in store.get(first.id).reason
    assert len(worker.jobs) == 1


def test_a_revoked_key_has_nothing_done(
    store: JobStore, running: Running, doing: type, until: Until
) -> None:
    jobs = []
    for name in ("k1", "k2"):
        with acting(Caller(name, "acme", frozenset({"query"}), None)):
            jobs.append(store.add(Order("batch", "acme")))
    valid = {"k1", "k2"}
    worker = doing(endless)
    with running({"batch": worker}, still_valid=lambda name: name in valid):
        until(lambda: store.get(jobs[0].id).done == 1)
        valid.clear()
        until(ended(store, jobs[0], "failed"))
        until(ended(store, jobs[1], "failed"))
    assert "revoked" in store.get(jobs[1].id).reason
    assert len(worker.jobs) == 1  # the second was never begun


def test_what_a_stop_interrupts_is_done_after_the_next_start(
    store: JobStore, running: Running, doing: type, until: Until
) -> None:
    job = store.add(Order("batch", "acme"))
    for _ in range(MOST_ATTEMPTS + 2):  # stops do not count as deaths
        with running({"batch": doing(endless)}):
            until(lambda: store.get(job.id).state == "running")
        assert store.get(job.id).state == "waiting"
    with running({"batch": doing()}):
        until(ended(store, job, "done"))


def test_one_of_several_processes_does_the_jobs_and_another_takes_over(
    store: JobStore, running: Running, doing: type, until: Until
) -> None:
    workers = [doing(), doing()]
    with running({"batch": workers[0]}) as first:
        jobs = [store.add(Order("batch", "acme"))]
        until(ended(store, jobs[0], "done"))
        with running({"batch": workers[1]}):
            jobs += [store.add(Order("batch", "acme")) for _ in range(20)]
            until(lambda: all(not job.open for job in store.list()))
            assert not workers[1].jobs
            with pytest.raises(ConflictError):
                JobRunner(first._queue, {"batch": doing()}, Terms(1)).drain()
            first.close()
            jobs.append(store.add(Order("batch", "acme")))
            until(ended(store, jobs[-1], "done"))
    assert [job.id for job in workers[0].jobs + workers[1].jobs] == [job.id for job in jobs]


def test_a_job_that_ends_its_process_again_and_again_is_given_up(
    store: JobStore, folder: Path
) -> None:
    job, fine = store.add(Order("batch", "acme")), store.add(Order("batch", "other"))
    for death in range(MOST_ATTEMPTS):
        queue = JobQueue(folder)
        begun = queue.begin(job)
        assert begun is not None
        assert begun.attempts == death + 1
        queue.recover()
        queue.close()
    assert (store.get(job.id).state, store.get(fine.id).state) == ("failed", "waiting")
    assert "died 5 times" in store.get(job.id).reason


def test_one_that_gets_on_is_not_given_up(store: JobStore, folder: Path) -> None:
    job, queue = store.add(Order("batch", "acme", 99)), JobQueue(folder)
    for done in range(1, 3 * MOST_ATTEMPTS):
        assert queue.begin(job) is not None
        queue.progress(job, done, 0, {})
        queue.recover()
    assert (store.get(job.id).state, store.get(job.id).done) == ("waiting", done)


def test_cancelled_while_the_process_was_dead(store: JobStore, folder: Path) -> None:
    job, queue = store.add(Order("batch", "acme")), JobQueue(folder)
    assert queue.begin(job) is not None
    store.cancel(job.id)
    queue.recover()
    assert store.get(job.id).state == "cancelled"


class Dirty:
    """Dirty for two hours from some time on, clean after."""

    def __init__(self, begins: float) -> None:
        hours = (800.0, 800.0, 50.0, 50.0, 900.0, 900.0)
        points = tuple((begins + i * HOUR, value) for i, value in enumerate(hours))
        self.made = Forecast(points, HOUR, "test")

    def forecast(self) -> Forecast:
        return self.made


def test_a_job_waits_for_the_least_emissions_and_says_so(
    store: JobStore, running: Running, doing: type, until: Until
) -> None:
    now = time.time()
    green = Order("batch", "acme", 1, now + 6 * HOUR, when_green=True, expected_seconds=HOUR)
    job = store.add(green)
    plain = store.add(Order("batch", "acme"))
    with running({"batch": doing()}, forecast=Dirty(now - 60)):
        until(ended(store, plain, "done"))
        until(lambda: store.get(job.id).starts is not None)
    found = store.get(job.id)
    assert found.state == "waiting"
    assert found.starts == pytest.approx(now - 60 + 2 * HOUR)
    assert "least emissions" in found.reason
    told = found.detail["green"]
    assert isinstance(told, dict)
    assert told["now_gco2e_per_kwh"] > told["then_gco2e_per_kwh"] == 50


def test_it_starts_once_the_time_has_come_or_nothing_is_known(
    store: JobStore, folder: Path, doing: type
) -> None:
    clock = [time.time()]
    order = Order("batch", "acme", 1, clock[0] + 6 * HOUR, when_green=True, expected_seconds=HOUR)
    job, worker = store.add(order), doing()
    terms = Terms(30, forecast=Dirty(clock[0] - 60))

    def drained(terms: Terms) -> None:
        queue = JobQueue(folder, lambda: clock[0])
        JobRunner(queue, {"batch": worker}, terms).drain()
        queue.close()

    drained(terms)
    clock[0] += 1.9 * HOUR
    drained(terms)
    assert not worker.jobs
    clock[0] += 0.2 * HOUR
    drained(terms)
    assert (store.get(job.id).state, len(worker.jobs)) == ("done", 1)
    blind = store.add(replace(order, deadline=clock[0] + HOUR))
    drained(Terms(30))
    assert store.get(blind.id).state == "done"
    assert "no forecast" in worker.jobs[-1].reason


def test_nothing_is_done_in_two_threads_of_a_kind(
    store: JobStore, running: Running, doing: type, until: Until
) -> None:
    together, most, lock = [0], [0], threading.Lock()

    def does(_: Job, run: Run) -> Mapping[str, object]:
        with lock:
            together[0] += 1
            most[0] = max(most[0], together[0])
        run.pause(0.05)
        with lock:
            together[0] -= 1
        return {}

    for _ in range(4):
        store.add(Order("batch", "acme"))
    with running({"batch": doing(does)}):
        until(lambda: all(not job.open for job in store.list()))
    assert most == [1]


def test_a_long_job_gives_way_to_other_tenants(
    store: JobStore, running: Running, doing: type, until: Until
) -> None:
    long, mine = (store.add(Order("batch", "acme", 9)) for _ in range(2))
    short = store.add(Order("batch", "other", 1))

    def does(job: Job, run: Run) -> Mapping[str, object]:
        done = job.done
        while done < job.order.total:
            run.pause(0.1)
            done += 1
            run.progress(done)
        return {}

    worker = doing(does)
    with running({"batch": worker}, turn_seconds={"batch": 0.2}):
        until(ended(store, mine, "done"))
    ends = [store.get(job.id).ended or 0.0 for job in (short, long, mine)]
    assert ends == sorted(ends)
    assert [job.tenant for job in worker.jobs] == ["acme", "other", "acme", "acme"]
    assert worker.jobs[2].done >= 1  # it went on where it was


def test_one_that_would_begin_anew_does_not_give_way(
    store: JobStore, running: Running, doing: type, until: Until
) -> None:
    long, other = (store.add(Order("ingest", tenant)) for tenant in ("acme", "other"))

    def does(_: Job, run: Run) -> Mapping[str, object]:
        run.pause(0.6)
        return {}

    worker = doing(does)
    with running({"ingest": worker}, turn_seconds={"batch": 0.1}):
        until(ended(store, other, "done"))
    assert [job.id for job in worker.jobs] == [long.id, other.id]
