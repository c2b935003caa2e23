"""Jobs as callers see them: on the disk when acknowledged, and nobody else's."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.access import OPERATOR, Caller, Right, acting
from rag.errors import AccessError, NotFoundError, QuotaSpentError, StorageFullError
from rag.jobs.file import NAME
from rag.jobs.job import Job, Order
from rag.jobs.queue import JobQueue, Settled
from rag.jobs.room import JobsUnusableError
from rag.jobs.store import JobStore

QUERY: frozenset[Right] = frozenset({"query"})
ADMIN: frozenset[Right] = frozenset({"query", "admin"})


def key(name: str, tenant: str | None = "acme", rights: frozenset[Right] = QUERY) -> Caller:
    return Caller(name, tenant, rights, None)


@pytest.fixture
def store(tmp_path: Path) -> JobStore:
    return JobStore(tmp_path / "jobs")


def test_what_is_given_is_found_again_by_another_process(tmp_path: Path) -> None:
    detail = {"joules": None, "files": ["a", "b"]}
    order = Order("batch", "acme", 7, 5000.5, True, 60.0, detail)
    caller = Caller("k1", "acme", QUERY, ("board", "hr"))
    with acting(caller):
        draft = JobStore(tmp_path).draft()
        (draft.folder / "input").write_text("x")
        given_job = JobStore(tmp_path, lambda: 1000.25).add(order, draft)
        found = JobStore(tmp_path).get(given_job.id)
    assert found == given_job
    assert (found.order, found.caller, found.created) == (order, caller, 1000.25)
    assert (found.state, found.open, found.kind, found.tenant) == ("waiting", True, "batch", "acme")
    assert (JobStore(tmp_path).folder_of(found) / "input").read_text() == "x"


def test_only_the_owner_of_the_files_can_read_them(store: JobStore) -> None:
    job = store.add(Order("batch", "acme"))
    folder = store.folder_of(job)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert folder.parent.stat().st_mode & 0o777 == 0o700
    assert (folder.parent / NAME).stat().st_mode & 0o777 == 0o600


def test_a_job_for_another_tenant_is_not_taken(store: JobStore) -> None:
    with acting(key("k1")), pytest.raises(AccessError):
        store.add(Order("batch", "other"))


def test_nobody_sees_nothing(store: JobStore) -> None:
    job = store.add(Order("batch", "acme"))
    with acting(replace(key("k1"), tenant="other", rights=ADMIN)):
        assert store.list() == ()
        with pytest.raises(NotFoundError):
            store.get(job.id)
        with pytest.raises(NotFoundError):
            store.cancel(job.id)
    assert store.get(job.id).state == "waiting"


LABELS = st.none() | st.sets(st.sampled_from("abc")).map(lambda each: tuple(sorted(each)))
CALLERS = st.builds(
    Caller,
    st.sampled_from(["k1", "k2"]),
    st.sampled_from([None, "acme", "other"]),
    st.sampled_from([QUERY, ADMIN]),
    LABELS,
)


@settings(max_examples=30, deadline=None)  # each brings a job to the disk
@given(CALLERS, CALLERS)
def test_who_sees_a_job_may_read_all_that_its_giver_may(
    tmp_path_factory: pytest.TempPathFactory, giver: Caller, other: Caller
) -> None:
    store = JobStore(tmp_path_factory.mktemp("jobs"))
    with acting(giver):
        job = store.add(Order("batch", giver.tenant or "acme"))
    with acting(other):
        seen = job in store.list()
        try:
            assert store.get(job.id) == job
        except NotFoundError:
            assert not seen
        else:
            assert seen
            assert other.tenant in (None, job.tenant)
            assert other.name == giver.name or "admin" in other.rights
            assert all(other.reads((label,)) for label in "abc" if giver.reads((label,)))
    if other == giver:
        assert seen
    store.close()


def test_a_list_goes_on_where_it_ended(store: JobStore) -> None:
    jobs = [store.add(Order("batch" if i % 3 else "ingest", "acme")) for i in range(7)]
    newest = jobs[::-1]
    assert list(store.list(limit=3)) == newest[:3]
    assert list(store.list(limit=9, before=newest[2].id)) == newest[3:]
    assert [job.kind for job in store.list("ingest")] == ["ingest"] * 3
    with pytest.raises(NotFoundError):
        store.list(before="job_000000000000000000000000")


def test_a_waiting_job_is_cancelled_at_once_and_an_ended_one_stays(store: JobStore) -> None:
    job = store.add(Order("batch", "acme"))
    assert store.cancel(job.id).state == "cancelled"
    queue = JobQueue(store.folder_of(job).parent)
    assert queue.next("batch") is None
    other = store.add(Order("batch", "acme"))
    begun = queue.begin(other)
    assert begun is not None
    assert not queue.cancelling(begun)
    assert (store.cancel(other.id).cancelling, queue.cancelling(begun)) == (True, True)
    queue.settle(begun, Settled("done", detail={"n": 1}))
    assert (store.cancel(other.id).state, store.get(other.id).detail) == ("done", {"n": 1})


def test_a_cancelled_job_does_not_tell_why_it_waited(store: JobStore) -> None:
    jobs = [store.add(Order("batch", "acme")) for _ in range(3)]
    queue = JobQueue(store.folder_of(jobs[0]).parent)
    waits = Settled("waiting", "the quota is spent", look=9e9)
    for job in jobs[:2]:
        begun = queue.begin(job, "the grid emits least now")
        assert begun is not None
        if job is jobs[1]:
            store.cancel(job.id)
        queue.settle(begun, waits)
    assert store.get(jobs[0].id).reason == "the quota is spent"
    store.cancel(jobs[0].id)
    assert queue.begin(jobs[2], "the grid emits least now") is not None
    store.cancel(jobs[2].id)
    queue.recover()
    found = [store.get(job.id) for job in jobs]
    assert [(job.state, job.reason, job.starts) for job in found] == [("cancelled", "", None)] * 3


def test_no_tenant_takes_all_the_room(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag.jobs.store.MOST_OPEN", 7)
    for _ in range(7):
        store.add(Order("batch", "acme"))
    with pytest.raises(QuotaSpentError) as caught:
        store.add(Order("batch", "acme"))
    assert caught.value.retry_after
    store.cancel(store.add(Order("batch", "other")).id)
    store.cancel(store.list(limit=1, before=store.list(limit=1)[0].id)[0].id)
    assert store.add(Order("batch", "acme")).open


def test_a_full_disk_is_told_and_nothing_is_half_there(
    store: JobStore,
) -> None:
    before = store.add(Order("batch", "acme"))
    with store._file.reading() as db:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages}")
    many = {"detail": "x" * 100_000}
    with pytest.raises(StorageFullError) as caught:
        store.add(Order("batch", "acme", detail=many))
    assert (caught.value.http_status, bool(caught.value.remedy)) == (507, True)
    assert store.list() == (before,)


Damage = Callable[[Path], object]


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"no database at all, but long enough" * 100),
        lambda path: (path.unlink(), path.mkdir()),
    ],
)
def test_a_damaged_file_is_told_and_kept(tmp_path: Path, damage: Damage) -> None:
    store = JobStore(tmp_path)
    store.add(Order("batch", "acme"))
    store.close()
    damage(tmp_path / NAME)
    with pytest.raises(JobsUnusableError) as caught:
        store.list()
    assert caught.value.http_status == 503
    assert (tmp_path / NAME).exists()


def test_a_file_that_was_put_back_is_used(store: JobStore, tmp_path: Path) -> None:
    first = store.add(Order("batch", "acme"))
    folder = store.folder_of(first).parent
    with sqlite3.connect(folder / NAME) as db, sqlite3.connect(tmp_path / "copy") as copy:
        db.backup(copy)
    db.close()
    copy.close()
    store.add(Order("batch", "acme"))
    for path in folder.glob(f"{NAME}*"):
        path.unlink()
    (tmp_path / "copy").rename(folder / NAME)
    assert store.list() == (first,)


def queue_of(store: JobStore, job: Job) -> JobQueue:
    return JobQueue(store.folder_of(job).parent)


def test_the_tenant_that_waited_longest_comes_first(store: JobStore) -> None:
    given_jobs = [store.add(Order("batch", tenant)) for tenant in ("a", "a", "a", "b", "c")]
    clock = iter(range(1, 100))
    queue = JobQueue(store.folder_of(given_jobs[0]).parent, lambda: float(next(clock)))
    order = []
    while (job := queue.next("batch")) is not None:
        assert queue.begin(job) is not None
        order.append(job.tenant)
        queue.settle(job, Settled("done"))
    assert order == ["a", "b", "c", "a", "a"]


def test_old_jobs_and_drafts_that_were_left_are_removed(store: JobStore) -> None:
    day = 86_400.0
    ended, waiting = (store.add(Order("batch", "acme")) for _ in range(2))
    store.cancel(ended.id)
    draft = store.draft()
    queue = queue_of(store, ended)
    queue.tidy(30)
    assert all(store.folder_of(job).exists() for job in (ended, waiting))
    assert draft.folder.exists()
    later = JobQueue(queue.folder, lambda: store._now() + 30 * day + 60)
    later.tidy(30)
    assert [job.id for job in store.list()] == [waiting.id]
    assert store.folder_of(waiting).exists()
    assert not store.folder_of(ended).exists()
    assert not draft.folder.exists()


def test_it_is_the_operator_who_asks_in_these_tests(store: JobStore) -> None:
    assert store.add(Order("batch", "acme")).caller == OPERATOR
