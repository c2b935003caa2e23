"""Where things are kept and when: the data directory, its disk, the clock."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rag.doctor import Finding
from rag.errors import IndexStateError
from rag.generation import Generation, read_current
from rag.settings import Settings

_MEGABYTE: Final = 1e6
# Below this a run of ingest may fail over its own temporary files.
# Source: our choice: a hundred times what the sample documents take in the neural tier.
_LEAST_FREE_BYTES: Final = 200e6
_LEAST_FREE_INODES: Final = 10_000  # Source: our choice; an index of one segment has 120 files
# A release cannot be older than itself, nor the clock of a sound machine this far ahead.
_FIRST_YEAR, _LAST_YEAR = 2025, 2100
_WAIT_SECONDS: Final = 0.05
# Source: RFC 5905 (NTPv4), 10: a clock is disciplined at 500 ppm at most; ours is a hundred times
# that, plus the tick of a busy machine.
_MOST_DRIFT: Final = 0.05
_TICK_SECONDS: Final = 0.02
_AHEAD_SECONDS: Final = 300.0  # as in Kerberos (RFC 4120, 1.6): five minutes


def check_data_dir(settings: Settings) -> Finding:
    """Look whether the data directory can be read and written, and whether it has space."""
    data = settings.data_dir
    there = next(path for path in (data, *data.absolute().parents) if path.exists())
    if not there.is_dir():
        return Finding("fail", f"{there} is no directory", "set data_dir to another place")
    if not os.access(there, os.R_OK | os.W_OK | os.X_OK):
        remedy = "fix its permissions, or set data_dir to another place"
        return Finding("fail", f"{there} cannot be read and written by this user", remedy)
    if problem := _write_problem(there):
        return Finding("fail", f"{there}: {problem}", "free disk space, or mount it writable")
    return _space(settings, there)


def check_clock(
    settings: Settings,
    *,
    wall: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
) -> Finding:
    """Look whether wall clock and monotonic clock agree, and whether the date can be true."""
    started = wall(), monotonic()
    time.sleep(_WAIT_SECONDS)
    passed = wall() - started[0], monotonic() - started[1]
    now = datetime.fromtimestamp(started[0], UTC)
    remedy = "set the clock, best by NTP: ledger, budgets and caches go by it"
    if not _FIRST_YEAR <= now.year <= _LAST_YEAR:
        return Finding("fail", f"it is {now:%Y-%m-%d} by the clock", remedy)
    if abs(passed[0] - passed[1]) > _MOST_DRIFT * passed[1] + _TICK_SECONDS:
        found = f"{passed[0]:.3f} s by the wall clock, {passed[1]:.3f} s by the monotonic one"
        return Finding("warn", found, remedy)
    made = _published_at(settings)
    if made is not None and made > started[0] + _AHEAD_SECONDS:
        found = f"{now:%Y-%m-%d %H:%M} UTC, but documents were published later"
        return Finding("warn", found, remedy)
    return Finding("ok", f"{now:%Y-%m-%d %H:%M} UTC, steady")


def _write_problem(folder: Path) -> str:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
    except OSError as exc:
        return str(exc)
    return ""


def _space(settings: Settings, there: Path) -> Finding:
    free = shutil.disk_usage(there).free
    inodes = os.statvfs(there)
    needed = max(_LEAST_FREE_BYTES, _next_run(settings))
    found = f"{there}: {free / _MEGABYTE:,.0f} MB free"
    if free < needed:
        more = f"{found}, {needed / _MEGABYTE:,.0f} MB wanted for the next run"
        return Finding("warn", more, "free space, run rag-ingest prune, or lower keep_generations")
    if inodes.f_files and inodes.f_favail < _LEAST_FREE_INODES:
        more = f"{found}, but only {inodes.f_favail:,} more files"
        return Finding("warn", more, "remove files, or use a file system with more inodes")
    return Finding("ok", found if settings.data_dir.exists() else f"{found}; to be made")


def _next_run(settings: Settings) -> float:
    """Return what a run of ingest and a service's swap take beside what is there [bytes].

    One more generation while it is made, and one more copy of it for a reader.
    Source: docs/generations.md, "Disk".
    """
    current = _current(settings)
    return 0.0 if current is None else 2.0 * _blocks(current.path)


def _blocks(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def _published_at(settings: Settings) -> float | None:
    current = _current(settings)
    try:
        return datetime.fromisoformat(current.created).timestamp() if current else None
    except ValueError:
        return None


def _current(settings: Settings) -> Generation | None:
    try:
        return read_current(settings.data_dir / settings.collection)
    except (IndexStateError, OSError):
        return None  # another check says so
