"""Jobs as what runs them sees them: which comes next, how far it got, and what is to be removed."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rag.grid.forecast import Start
from rag.jobs.file import JobFile, select, update
from rag.jobs.green import told
from rag.jobs.job import Job, JobKind, JobState

_DAY_SECONDS = 86_400.0
# A job that ended its process so often without getting on is not begun again. Source: chosen.
MOST_ATTEMPTS: Final = 5
# How far ahead a look at a job may lie [s]. One further off was set by a clock that was ahead, so
# it is due. Source: chosen; twice what a forecast is waited for.
_FURTHEST: Final = 3600.0
_READY: Final = (
    "state = 'waiting' AND kind = :kind"
    f" AND (look IS NULL OR look <= :now OR look > :now + {_FURTHEST})"
)
# Of the tenant that was served longest ago, so that none waits for all jobs of another.
_FAIR: Final = (
    "ORDER BY (SELECT max(begun) FROM jobs AS others"
    " WHERE others.tenant = jobs.tenant AND others.kind = jobs.kind) NULLS FIRST, number"
)


@dataclass(frozen=True, slots=True)
class Settled:
    """How a job stands after it was worked on; ``look`` is when to look at it again [POSIX s]."""

    state: JobState
    reason: str = ""
    detail: Mapping[str, object] = field(default_factory=dict)
    look: float | None = None


class JobQueue:
    """The jobs of a collection, for the one process that runs them."""

    def __init__(self, folder: Path, now: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self.now = now
        self._file = JobFile(folder)

    def recover(self) -> None:
        """Take up what a process left that died."""
        with self._file.changing() as db:
            for job in select(db, "WHERE state = 'running'", ()):
                if job.cancelling:
                    update(db, job.id, state="cancelled", ended=self.now(), reason="")
                elif job.attempts >= MOST_ATTEMPTS:
                    reason = f"the process died {job.attempts} times while it was worked on"
                    update(db, job.id, state="failed", ended=self.now(), reason=reason)
                else:
                    update(db, job.id, state="waiting")

    def next(self, kind: JobKind) -> Job | None:
        """Return the job of a kind that is to be begun next, None if none is."""
        with self._file.reading() as db:
            found = select(db, f"WHERE {_READY} {_FAIR} LIMIT 1", {"kind": kind, "now": self.now()})
        return found[0] if found else None

    def begin(self, job: Job, reason: str = "") -> Job | None:
        """Return a job that is now being worked on, None if it is not waiting any more."""
        with self._file.changing() as db:
            found = select(db, "WHERE id = ? AND state = 'waiting'", (job.id,))
            if not found:
                return None
            now, attempts = self.now(), found[0].attempts + 1
            times = {"started": found[0].started or now, "begun": now, "starts": None, "look": None}
            update(db, job.id, state="running", reason=reason, attempts=attempts, **times)
            return select(db, "WHERE id = ?", (job.id,))[0]

    def postpone(self, job: Job, start: Start, look: float) -> None:
        """Keep when a job is to start and why, and when to look at that again [POSIX s].

        What the first advice promised to save stays.
        """
        detail = json.dumps({**told(start), **job.detail})
        with self._file.changing() as db:
            update(db, job.id, starts=start.at, reason=start.reason, look=look, detail=detail)

    def progress(self, job: Job, done: int, failed: int, detail: Mapping[str, object]) -> None:
        """Keep how far a job got, and add to its detail."""
        with self._file.changing() as db:
            known = select(db, "WHERE id = ?", (job.id,))[0]
            attempts = 1 if done + failed > known.done + known.failed else known.attempts
            merged = json.dumps({**known.detail, **detail})
            values = {"done": done, "failed": failed, "attempts": attempts, "detail": merged}
            update(db, job.id, **values)

    def settle(self, job: Job, settled: Settled) -> None:
        """Keep how a job stands after it was worked on; one that was cancelled waits no more."""
        with self._file.changing() as db:
            known = select(db, "WHERE id = ?", (job.id,))[0]
            merged = json.dumps({**known.detail, **settled.detail})
            if settled.state == "waiting" and known.cancelling:
                settled = Settled("cancelled")  # and not why it would have waited
            values = {"reason": settled.reason, "detail": merged, "cancelling": False}
            if settled.state != "waiting":
                update(db, job.id, state=settled.state, ended=self.now(), **values)
                return
            look = settled.look and min(settled.look, self.now() + _FURTHEST)
            again = {"starts": settled.look, "look": look, "attempts": 0}
            update(db, job.id, state="waiting", **again, **values)

    def cancelling(self, job: Job) -> bool:
        """Return whether a job that is worked on is to end."""
        with self._file.reading() as db:
            found = db.execute("SELECT cancelling FROM jobs WHERE id = ?", (job.id,)).fetchone()
        return found is None or bool(found[0])

    def others_wait(self, job: Job) -> bool:
        """Return whether a job of this kind could be begun for another tenant."""
        given = {"kind": job.kind, "now": self.now(), "tenant": job.tenant}
        others = f"SELECT 1 FROM jobs WHERE {_READY} AND tenant != :tenant LIMIT 1"  # noqa: S608
        with self._file.reading() as db:
            found = db.execute(others, given).fetchone()
        return found is not None

    def counts(self) -> dict[str, int]:
        """Return how many jobs wait, are worked on, or did not end well, of those kept."""
        counted = ("waiting", "running", "failed", "expired")
        states = f"state IN {counted} GROUP BY state"
        with self._file.reading() as db:
            found = dict(db.execute(f"SELECT state, count(*) FROM jobs WHERE {states}"))  # noqa: S608
        return {state: found.get(state, 0) for state in counted}

    def expire(self) -> None:
        """End what waited until its deadline."""
        late = "state = 'waiting' AND deadline <= ?"
        with self._file.reading() as db:
            found = select(db, f"WHERE {late}", (self.now(),))
        if found:
            with self._file.changing() as db:
                db.execute(
                    "UPDATE jobs SET state = 'expired', ended = ?, reason = ?"  # noqa: S608
                    f" WHERE {late}",
                    (self.now(), "its deadline passed", self.now()),
                )

    def tidy(self, days: float) -> None:
        """Remove what ended some days ago, and what never became a job."""
        before = self.now() - days * _DAY_SECONDS
        with self._file.reading() as db:
            # No job ended before it was given, whatever a clock that was behind has said.
            late = "SELECT id FROM jobs WHERE max(ended, created) < ?"
            old = [row[0] for row in db.execute(late, (before,))]
        if old:
            with self._file.changing() as db:
                db.executemany("DELETE FROM jobs WHERE id = ?", [(name,) for name in old])
        with self._file.reading() as db:
            known = {row[0] for row in db.execute("SELECT id FROM jobs")}
        for folder in self.folder.glob("job_*"):
            if folder.name not in known and (folder.name in old or self._is_left(folder)):
                shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _is_left(self, folder: Path) -> bool:
        """Return whether a draft is so old that nobody is still writing it."""
        try:
            return folder.stat().st_mtime < self.now() - _DAY_SECONDS
        except FileNotFoundError:
            return False
