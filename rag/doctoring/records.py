"""What is written down while questions are answered: the ledger and the cache."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rag.backup.formats import CACHE_FOLDER, LEDGER_FOLDER, formats_of, known_formats
from rag.backup.storing import check_database
from rag.cache.store import NAME
from rag.doctor import Finding
from rag.errors import IndexStateError
from rag.generation import read_current
from rag.ledger_file import MonthPath, files_in, month_of, path_of
from rag.settings import Settings

_MEGABYTE: Final = 1e6
_WAIT_SECONDS: Final = 2.0
_MICROSECONDS: Final = 1e6
_MENDING: Final = "restore these months from a backup (rag restore); the service goes on without"
_LATER: Final = "use that release, or restore a backup made with this one"
_TERMS: Final = "run rag-ingest sync: it writes the index anew, without embedding again"


def check_ledger(settings: Settings) -> Finding:
    """Look whether all months can be read, and whether the present one can be written."""
    folder = settings.data_dir / settings.collection / LEDGER_FOLDER
    if not settings.ledger:
        return Finding("warn", "no ledger is kept", "set ledger to true to know what answers cost")
    files = files_in(folder)
    newer = [file.path.name for file in files if not file.understood]
    if newer:
        return Finding("fail", f"{', '.join(newer)} written by a later release", _LATER)
    entries, bad = _entries(files)
    if bad:
        return Finding("fail", f"cannot be read: {', '.join(bad)}", _MENDING)
    if problem := _write_problem(folder):
        remedy = "free disk space or fix permissions: entries wait in the service's memory"
        return Finding("fail", f"this month cannot be written: {problem}", remedy)
    aside = sorted(path.name for path in folder.glob("*.damaged*") if "-wal" not in path.name)
    found = f"{len(files)} files, {entries:,} entries; this month can be written"
    if aside:
        return Finding("warn", f"{found}; damaged and set aside: {', '.join(aside)}", _MENDING)
    return Finding("ok", found if files else "empty so far")


def _entries(files: tuple[MonthPath, ...]) -> tuple[int, list[str]]:
    """Return how many single entries there are, and which files cannot be read."""
    entries, bad = 0, []
    for file in files:
        try:
            entries += _counted(file.path, "answers")
        except sqlite3.Error as exc:
            bad.append(f"{file.path.name} ({exc})")
    return entries, bad


def check_cache(settings: Settings) -> Finding:
    """Look whether the cache can be read, and whether its semantic level is on."""
    if settings.cache == "off":
        return Finding("ok", "off")
    path = settings.data_dir / settings.collection / CACHE_FOLDER / NAME
    if not path.exists():
        return Finding("ok", "empty so far")
    remedy = "stop the service and delete it with its -wal and -shm: it can be made again"
    try:
        entries, is_off = _counted(path, "entries"), _semantic_off(path)
    except sqlite3.Error as exc:
        return Finding("fail", f"{path.name} cannot be read: {exc}", remedy)
    if is_off and settings.cache == "semantic":
        found = "too many hits in other words were false: that level has switched itself off"
        return Finding("warn", found, "delete all answers over HTTP to switch it on, or use exact")
    size = path.stat().st_size / _MEGABYTE
    return Finding("ok", f"{settings.cache}: {entries:,} answers, {size:,.1f} MB")


def check_formats(settings: Settings) -> Finding:
    """Look whether this release can read all that is stored."""
    collection = settings.data_dir / settings.collection
    try:
        current = read_current(collection)
        found = formats_of(collection, current.path if current else None)
    except (IndexStateError, ValueError) as exc:
        remedy = "run rag-ingest rollback, or restore a backup"
        return Finding("fail", f"the generation's format cannot be read: {exc}", remedy)
    known = known_formats()
    shown = ", ".join(f"{name} {version}" for name, version in found.items()) or "nothing stored"
    newer = [name for name, version in found.items() if version > known[name]]
    if newer:
        return Finding("fail", f"{shown}: a later release wrote {', '.join(newer)}", _LATER)
    older = [name for name, version in found.items() if version < known[name]]
    if "terms" in older:
        return Finding("fail", f"{shown}: index terms are those of an earlier release", _TERMS)
    more = f"; {', '.join(older)} of an earlier release, still read" if older else ""
    return Finding("ok", f"{shown}{more}")


def _counted(path: Path, table: str) -> int:
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
        check_database(db)
        (count,) = db.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608  # our names
    return int(count)


def _semantic_off(path: Path) -> bool:
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
        row = db.execute("SELECT value FROM numbers WHERE name = 'semantic_off'").fetchone()
    return bool(row and row[0])


def _write_problem(folder: Path) -> str:
    """Return why nothing could be added to this month's file, if it is there; nothing is."""
    now = datetime.now(UTC).timestamp()
    path = path_of(folder, month_of(round(now * _MICROSECONDS)))
    if not path.exists():
        return ""
    uri = f"{path.resolve().as_uri()}?mode=rw"
    try:
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as db:
            db.execute(f"PRAGMA busy_timeout={round(_WAIT_SECONDS * 1000)}")
            db.execute("BEGIN IMMEDIATE")
            db.execute("CREATE TABLE doctor (x)")  # what cannot be written lets a transaction begin
            db.execute("ROLLBACK")
    except sqlite3.Error as exc:
        return str(exc)
    return ""
