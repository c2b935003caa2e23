"""Jobs as those who give them see them: their own, or with admin rights their tenant's."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from rag import access
from rag.errors import NotFoundError, QuotaSpentError
from rag.filetree import sync_path, sync_tree
from rag.jobs.file import JobFile, insert, make_folder, select, update
from rag.jobs.job import Draft, Job, JobKind, Order
from rag.jobs.room import mapped

FOLDER: Final = "jobs"
# Of a tenant, so that no tenant fills the disk with work that is never done. Source: chosen.
MOST_OPEN: Final = 100
_RETRY_SECONDS = 60.0


class JobStore:
    """The jobs of a collection; safe to use from threads and from several processes."""

    def __init__(self, folder: Path, now: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._file = JobFile(folder)
        self._now = now

    def draft(self) -> Draft:
        """Return a new folder for what a job to come needs.

        Raises:
            StorageFullError: There is no room for it.
            JobsUnusableError: It cannot be made.
        """
        draft = self._draft()
        with mapped(draft.folder):
            make_folder(self._folder)
            draft.folder.mkdir(mode=0o700)
        return draft

    def drop(self, draft: Draft) -> None:
        """Remove a draft that is not to become a job."""
        shutil.rmtree(draft.folder, ignore_errors=True)

    def add(self, order: Order, draft: Draft | None = None) -> Job:
        """Return the job that an order has become; it is on the disk, with its draft's files.

        Raises:
            AccessError: It is for another tenant.
            QuotaSpentError: The tenant has too many jobs that have not ended.
            StorageFullError: There is no room for it.
            JobsUnusableError: It cannot be kept.
        """
        access.require(order.tenant)
        draft = draft or self.draft()
        with mapped(draft.folder):
            sync_tree(draft.folder)
            sync_path(draft.folder.parent)
        job = Job(draft.id, order, access.caller(), "waiting", self._now())
        with self._file.changing() as db:
            rest = "SELECT count(*) FROM jobs WHERE tenant = ? AND state IN ('waiting', 'running')"
            if db.execute(rest, (order.tenant,)).fetchone()[0] >= MOST_OPEN:
                raise _too_many(order.tenant)
            insert(db, job)
        return job

    def get(self, job_id: str) -> Job:
        """Return a job.

        Raises:
            NotFoundError: There is none of this name that the caller may see.
        """
        with self._file.reading() as db:
            found = select(db, "WHERE id = ?", (job_id,))
        if not found or not _visible(found[0]):
            remedy = "list them with GET /v1/jobs or rag jobs list"
            raise NotFoundError("no such job", job_id[:64], remedy)
        return found[0]

    def list(
        self, kind: JobKind | None = None, limit: int = 100, before: str | None = None
    ) -> tuple[Job, ...]:
        """Return the caller's latest jobs, the newest first; ``before`` names one to go on from.

        Raises:
            NotFoundError: There is none of that name.
        """
        if before is not None:
            self.get(before)
        found: list[Job] = []
        for job in self._from(kind, before):
            if _visible(job):
                found.append(job)
            if len(found) == limit:
                break
        return tuple(found)

    def cancel(self, job_id: str) -> Job:
        """Return a job after it was told to end; one that has ended stays as it is.

        Raises:
            NotFoundError: There is none of this name that the caller may see.
        """
        job = self.get(job_id)
        with self._file.changing() as db:
            db.execute(
                "UPDATE jobs SET state = 'cancelled', ended = ?, reason = '', starts = NULL"
                " WHERE id = ? AND state = 'waiting'",
                (self._now(), job.id),
            )
            running = select(db, "WHERE id = ? AND state = 'running'", (job.id,))
            if running:
                update(db, job.id, cancelling=True)
        return self.get(job_id)

    def folder_of(self, job: Job) -> Path:
        """Return where a job's files are."""
        return self._folder / job.id

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _draft(self) -> Draft:
        name = f"job_{secrets.token_hex(12)}"
        return Draft(name, self._folder / name)

    def _from(self, kind: JobKind | None, before: str | None) -> tuple[Job, ...]:
        """Return the jobs of the caller's tenant, and no more than may be theirs."""
        asking = access.caller()
        conditions: list[tuple[str, Any]] = []
        if asking.tenant is not None:
            conditions.append(("tenant = ?", asking.tenant))
        if "admin" not in asking.rights:
            conditions.append(("giver = ?", asking.name))
        if kind is not None:
            conditions.append(("kind = ?", kind))
        if before is not None:
            conditions.append(("number < (SELECT number FROM jobs WHERE id = ?)", before))
        where = f"WHERE {' AND '.join(text for text, _ in conditions)}" if conditions else ""
        values = tuple(value for _, value in conditions)
        with self._file.reading() as db:
            return select(db, f"{where} ORDER BY number DESC", values)


def _visible(job: Job) -> bool:
    """Return whether the caller may know of a job: it is theirs, or their tenant's and they admin.

    What somebody may read who gave it, they must be allowed to read as well.
    """
    asking, giver = access.caller(), job.caller
    if asking.tenant not in (None, job.tenant):
        return False
    covered = asking.labels is None or (
        giver.labels is not None and set(giver.labels) <= set(asking.labels)
    )
    return covered and (asking.name == giver.name or "admin" in asking.rights)


def _too_many(tenant: str) -> QuotaSpentError:
    remedy = "wait until some have ended, or cancel some"
    error = QuotaSpentError(f"{MOST_OPEN} jobs of the tenant have not ended", tenant, remedy)
    error.retry_after = _RETRY_SECONDS
    return error
