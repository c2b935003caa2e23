"""What a service takes and tells beside answers: uploads, jobs, the audit log, traces."""

from __future__ import annotations

import os
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from rag.audit import AuditLog
from rag.backup.storing import check_database
from rag.doctor import Finding
from rag.jobs.file import NAME
from rag.jobs.store import FOLDER
from rag.settings import Settings
from rag.upload_table import FILE_NAME, FORMAT
from rag.uploads import upload_root

_MEGABYTE: Final = 1e6
_HOUR: Final = 3600.0
_REACH_SECONDS: Final = 2.0
_RESTORE: Final = "stop the service and restore it from a backup (rag restore)"
_DUE: Final = "state = 'waiting' AND (look IS NULL OR look <= ?)"


def check_uploads(settings: Settings) -> Finding:
    """Look whether the list of uploads can be read, and whether its tenants' folders are there."""
    root = upload_root(settings)
    path = root / FILE_NAME
    if not path.exists():
        return Finding("ok", "none so far")
    try:
        with _opened(path) as db:
            version, (count, size, unread) = _version(db), _uploads(db)
            tenants = [row[0] for row in db.execute("SELECT DISTINCT tenant FROM uploads")]
    except sqlite3.Error as exc:
        return Finding("fail", f"{path.name} cannot be read: {exc}", _RESTORE)
    if version > FORMAT:
        return Finding("fail", f"{path.name} has format {version}", "use the release that made it")
    missing = sorted(tenant for tenant in tenants if not (root / tenant).is_dir())
    if missing:
        found = f"{path.name} knows documents of {', '.join(missing)}, whose folders are not there"
        return Finding("warn", found, "restore them from a backup, or send the documents again")
    if not os.access(root, os.R_OK | os.W_OK | os.X_OK):
        remedy = "fix its permissions, or set upload_dir to another place"
        return Finding("fail", f"{root} cannot be written by this user", remedy)
    more = f", {unread:,} that could not be read" if unread else ""
    return Finding("ok", f"{count:,} documents, {size / _MEGABYTE:,.1f} MB{more}")


def check_jobs(settings: Settings, *, now: Callable[[], float] = time.time) -> Finding:
    """Look whether the jobs can be read, how they stand, and whether anybody does them."""
    path = settings.data_dir / settings.collection / FOLDER / NAME
    if not path.exists():
        return Finding("ok", "none so far")
    try:
        with _opened(path) as db:
            states = dict(db.execute("SELECT state, count(*) FROM jobs GROUP BY state"))
            oldest = _one(db, "SELECT min(created) FROM jobs WHERE state = 'waiting'")
            due = _one(db, f"SELECT min(created) FROM jobs WHERE {_DUE}", now())  # noqa: S608
    except sqlite3.Error as exc:
        return Finding("fail", f"{path.name} cannot be read: {exc}", _RESTORE)
    failed = states.get("failed", 0) + states.get("expired", 0)
    found = f"{states.get('waiting', 0):,} wait, {failed:,} failed or expired"
    if oldest is not None:
        found += f"; the oldest waits for {max(0.0, now() - oldest) / _HOUR:,.1f} h"
    if due is not None and due < now() - _HOUR and not states.get("running"):
        return Finding("warn", f"{found}; none is worked on", "run rag serve or rag jobs run")
    return Finding("ok", found)


def check_audit(settings: Settings) -> Finding:
    """Look whether the audit log can be appended to; nothing is.

    Raises:
        SettingsError: It cannot.
    """
    path = settings.audit_log
    if path is None:
        return Finding("ok", "none is kept")
    AuditLog(path).check()
    if not path.exists():
        return Finding("ok", f"{path}: to be made")
    return Finding("ok", f"{path}: {path.stat().st_size / _MEGABYTE:,.1f} MB, can be appended to")


def check_collector(url: str) -> Finding:
    """Look whether something listens where traces are sent; nothing is sent."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    shown = f"{host}:{port}"
    try:
        socket.create_connection((host, port), _REACH_SECONDS).close()
    except OSError as exc:
        remedy = "start the collector, or mend otlp_url; until then traces are lost, answers go on"
        return Finding("warn", f"{shown} cannot be reached: {exc}", remedy)
    return Finding("ok", f"something listens at {shown}")


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
        check_database(db)
        yield db


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _uploads(db: sqlite3.Connection) -> tuple[int, int, int]:
    """Return how many documents there are, their size [bytes], and how many could not be read."""
    sums = "count(DISTINCT tenant || '/' || name), coalesce(sum(bytes), 0), sum(problem <> '')"
    count, size, unread = db.execute(f"SELECT {sums} FROM uploads").fetchone()  # noqa: S608
    return count, size, unread or 0


def _one(db: sqlite3.Connection, sql: str, *values: float) -> float | None:
    (value,) = db.execute(sql, values).fetchone()
    return None if value is None else float(value)
