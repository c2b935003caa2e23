"""The jobs' SQLite file: one row a job.

Write-ahead log, flushed to the disk with each change: what was acknowledged survives the death of
the process and a power cut. Several processes may have the file open, on a local disk.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from rag.access import Caller
from rag.filetree import sync_path
from rag.jobs.job import Job, Order
from rag.jobs.room import mapped

FORMAT: Final = 1
NAME: Final = f"jobs.v{FORMAT}.sqlite"
_WAIT_SECONDS = 5.0  # for other processes' writes
_RETRY_SECONDS = 0.005
_SCHEMA: Final = (
    (
        "CREATE TABLE IF NOT EXISTS jobs ("
        " number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,"
        " tenant TEXT NOT NULL, giver TEXT NOT NULL, caller TEXT NOT NULL, state TEXT NOT NULL,"
        " created REAL NOT NULL, started REAL, begun REAL, ended REAL, deadline REAL,"
        " when_green INTEGER NOT NULL, expected REAL, starts REAL, look REAL,"
        " reason TEXT NOT NULL, total INTEGER NOT NULL, done INTEGER NOT NULL,"
        " failed INTEGER NOT NULL, attempts INTEGER NOT NULL, detail TEXT NOT NULL,"
        " cancelling INTEGER NOT NULL)"
    ),
    "CREATE INDEX IF NOT EXISTS by_state ON jobs (state, kind)",
    "CREATE INDEX IF NOT EXISTS by_tenant ON jobs (tenant, kind, number)",
)
_COLUMNS: Final = (
    *("id", "kind", "tenant", "giver", "caller", "state", "created", "started", "ended"),
    *("deadline", "when_green", "expected", "starts", "reason", "total", "done", "failed"),
    *("attempts", "detail", "cancelling"),
)


class JobFile:
    """The file in a folder, made and opened when first needed; safe to use from threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / NAME
        self._lock = threading.RLock()
        self._db: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give the open file.

        Raises:
            StorageFullError: There is no room for it.
            JobsUnusableError: It cannot be used.
        """
        with self._lock, mapped(self.path):
            yield self._opened()

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """Give the open file for changes: all of them are on the disk afterwards, or none.

        Raises:
            StorageFullError: There is no room for them.
            JobsUnusableError: It cannot be used.
        """
        with self.reading() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:  # also an interrupt: half of it must not be kept
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the file; it is opened again where it is needed."""
        with self._lock:
            db, self._db = self._db, None
            if db is not None:
                db.close()

    def _opened(self) -> sqlite3.Connection:
        if self._db is not None and _identity(self.path) != self._identity:
            self.close()  # it was replaced: what is written would be lost
        if self._db is None:
            if not self.path.exists():
                self._make()
            self._db = _connected(self.path)
            self._identity = _identity(self.path)
        return self._db

    def _make(self) -> None:
        make_folder(self.folder)
        self.path.touch(mode=0o600)
        sync_path(self.folder)


def make_folder(folder: Path) -> None:
    """Make the folder of jobs, which only its owner may look into, unless it is there.

    Raises:
        OSError: It cannot be made.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    sync_path(folder.parent)


def insert(db: sqlite3.Connection, job: Job) -> None:
    """Add a job."""
    row = _row(job)
    marks = ", ".join("?" * len(row))
    statement = f"INSERT INTO jobs ({', '.join(row)}) VALUES ({marks})"  # noqa: S608
    db.execute(statement, tuple(row.values()))


def update(db: sqlite3.Connection, job_id: str, **values: object) -> None:
    """Set columns of a job; ``detail`` is given as JSON."""
    named = ", ".join(f"{name} = ?" for name in values)
    db.execute(f"UPDATE jobs SET {named} WHERE id = ?", (*values.values(), job_id))  # noqa: S608


def select(
    db: sqlite3.Connection, rest: str, values: tuple[Any, ...] | Mapping[str, Any]
) -> tuple[Job, ...]:
    """Return the jobs that the rest of a statement of this package's own making names."""
    found = db.execute(f"SELECT {', '.join(_COLUMNS)} FROM jobs {rest}", values)  # noqa: S608
    return tuple(_job(dict(zip(_COLUMNS, row, strict=True))) for row in found)


def _row(job: Job) -> dict[str, object]:
    order, caller = job.order, job.caller
    given = {
        "name": caller.name,
        "tenant": caller.tenant,
        "rights": sorted(caller.rights),
        "labels": caller.labels,
    }
    own = {name: getattr(job, name) for name in _COLUMNS if hasattr(job, name)}
    return {
        **own,
        "giver": caller.name,
        "caller": json.dumps(given),
        "deadline": order.deadline,
        "when_green": order.when_green,
        "expected": order.expected_seconds,
        "total": order.total,
        "detail": json.dumps(dict(order.detail)),
    }


def _job(row: dict[str, Any]) -> Job:
    given = json.loads(row.pop("caller"))
    labels = given["labels"]
    caller = Caller(
        given["name"],
        given["tenant"],
        frozenset(given["rights"]),
        None if labels is None else tuple(labels),
    )
    order = Order(
        row.pop("kind"),
        row.pop("tenant"),
        row.pop("total"),
        row.pop("deadline"),
        bool(row.pop("when_green")),
        row.pop("expected"),
        json.loads(row.pop("detail")),
    )
    row.pop("giver")
    return Job(order=order, caller=caller, **{**row, "cancelling": bool(row["cancelling"])})


def _connected(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        _prepare(db)
    except BaseException:  # also an interrupt: nobody else can close it
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection) -> None:
    until = time.monotonic() + _WAIT_SECONDS
    while True:  # where another process switches too, SQLite does not wait
        try:
            db.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as exc:
            busy = exc.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > until:
                raise
            time.sleep(_RETRY_SECONDS)
    db.execute("PRAGMA synchronous=FULL")
    for statement in _SCHEMA:
        db.execute(statement)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
