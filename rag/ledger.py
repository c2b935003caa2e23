"""The ledger: what all answers and runs of ingest cost, append-only, in one file a month.

``Ledger.add`` returns when the entry is durable against the death of the process, and an answer is
given only after that. Threads that wait for each other are committed together. What cannot be
written is kept in memory, tried again every few seconds on a thread that runs only meanwhile, and
warned of once: a question never fails for it.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

from rag.ledger_entry import Entry
from rag.ledger_file import (
    MonthFile,
    day_of,
    files_in,
    forget_entries,
    is_damage,
    month_of,
    path_of,
    set_aside,
)
from rag.ledger_sums import Spent, spent_since
from rag.settings import Settings

_LOG = logging.getLogger(__name__)
_FOLDER: Final = "ledger"
KEEP_MONTHS: Final = 24
_MOST_UNWRITTEN = 10_000  # entries: about 10 MB
_RETRY_SECONDS = 5.0  # or every answer would wait for a disk that does not answer


@dataclass(slots=True)
class _Waiting:
    entry: Entry
    written: bool | None = None  # None: nobody has tried


class Ledger:
    """Appends entries to a folder; its threads may share it, and processes the folder.

    Single entries are kept for ``keep_months`` months, the sums of each day for ever.
    """

    def __init__(
        self,
        folder: Path,
        keep_months: int = KEEP_MONTHS,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self._keep_months = keep_months
        self._clock = clock
        self._queueing = threading.Lock()
        self._writing = threading.Lock()
        self._waiting: list[_Waiting] = []
        self._unwritten: list[Entry] = []
        self._lost = 0
        self._failed_at: float | None = None
        self._complained = False
        self._given_up: threading.Event | None = None  # of the thread that tries again
        self._month = ""
        self._file: MonthFile | None = None

    @property
    def unwritten(self) -> int:
        """Number of entries that wait for a disk that failed."""
        return len(self._unwritten)

    @property
    def lost(self) -> int:
        """Number of entries that were given up, as too many were waiting."""
        return self._lost

    def add(self, entry: Entry) -> bool:
        """Write an entry; True when it is in the file, False when it is only to be tried again."""
        waiting = _Waiting(entry)
        with self._queueing:
            self._waiting.append(waiting)
        with self._writing:
            if waiting.written is None:  # else another thread has written it with its own
                self._write_waiting()
                self._keep_trying()
        return bool(waiting.written)

    def spent(self, tenant: str, since_seconds: float) -> Spent:
        """Return what a tenant's answers have cost since a POSIX time [s], from all processes."""
        return spent_since(self.folder, tenant, round(since_seconds * 1e6))

    def spent_on(self, tenant: str, day_seconds: float) -> Spent:
        """Return what a tenant's answers cost on the day (UTC) that begins at a POSIX time [s]."""
        begins = round(day_seconds * 1e6)
        return spent_since(self.folder, tenant, begins, day_of(begins))

    def close(self) -> None:
        """Write what is left and close the file; what still cannot be written is lost."""
        with self._writing:
            self._failed_at = None
            if self._given_up is not None:
                self._given_up.set()
                self._given_up = None
            self._write_waiting()
            self._close_file()
            self._lost += len(self._unwritten)
            self._unwritten = []
            if self._lost:
                fields = {"path": os.fspath(self.folder), "entries": self._lost}
                _LOG.warning("ledger-entries-lost", extra={"fields": fields})

    def _write_waiting(self) -> None:
        with self._queueing:
            batch, self._waiting = self._waiting, []
        entries = [*self._unwritten, *(each.entry for each in batch)]
        left = entries if self._resting() else self._left_after_writing(entries)
        missing = {id(entry) for entry in left}
        for each in batch:
            each.written = id(each.entry) not in missing
        self._unwritten = left[:_MOST_UNWRITTEN]
        self._lost += len(left) - len(self._unwritten)

    def _keep_trying(self) -> None:
        """See to it that what waits is written though nothing more is asked."""
        if self._unwritten and self._given_up is None:
            self._given_up = threading.Event()
            threading.Thread(
                target=self._try_again, args=(self._given_up,), name="ledger", daemon=True
            ).start()

    def _try_again(self, given_up: threading.Event) -> None:
        while not given_up.wait(_RETRY_SECONDS):
            with self._writing:
                if given_up.is_set():
                    return
                self._write_waiting()
                if not self._unwritten:
                    self._given_up = None
                    return

    def _resting(self) -> bool:
        return self._failed_at is not None and self._clock() < self._failed_at + _RETRY_SECONDS

    def _left_after_writing(self, entries: list[Entry]) -> list[Entry]:
        """Return the entries that are not in their files; a fault is warned of the first time."""
        left = sorted(entries, key=_month)
        try:
            for month, some in groupby(sorted(entries, key=_month), key=_month):
                written = list(some)
                self._write_month(month, written)
                left = left[len(written) :]
        except (sqlite3.Error, OSError) as exc:
            self._close_file()
            if not self._complained:
                _warn("ledger-not-written", self.folder, exc)
            self._complained = True
            self._failed_at = self._clock()
        else:
            self._complained, self._failed_at = False, None
        return left

    def _write_month(self, month: str, entries: Sequence[Entry]) -> None:
        try:
            self._opened(month).write(entries)
        except sqlite3.DatabaseError as exc:
            if not is_damage(exc):
                raise
            self._set_aside(month, exc)
            self._opened(month).write(entries)

    def _opened(self, month: str) -> MonthFile:
        if self._file is not None and (self._month != month or self._file.replaced):
            self._close_file()
        if self._file is None:
            self._file = MonthFile(self.folder, month)
            self._month = month
            old = self._past_keeping(month)
            if old:
                threading.Thread(target=_forget, args=(old,), daemon=True).start()
        return self._file

    def _past_keeping(self, month: str) -> tuple[Path, ...]:
        year, number = divmod(_months(month) - self._keep_months, 12)
        first_kept = f"{year:04}-{number + 1:02}"
        files = (each for each in files_in(self.folder) if each.understood)
        return tuple(each.path for each in files if each.month <= first_kept)

    def _set_aside(self, month: str, error: sqlite3.Error) -> None:
        file, self._file = self._file, None
        if file is not None:
            replaced = file.replaced
            file.close()
            if replaced:  # another process has done it
                return
        moved = set_aside(path_of(self.folder, month), time.time())
        _warn("ledger-damaged", moved, error)

    def _close_file(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with suppress(sqlite3.Error):
                file.close()


def ledger_folder(settings: Settings) -> Path:
    """Return where a collection's ledger is kept."""
    return settings.data_dir / settings.collection / _FOLDER


def _month(entry: Entry) -> str:
    return month_of(entry.at)


def _months(month: str) -> int:
    year, number = month.split("-")
    return 12 * int(year) + int(number) - 1


def _forget(paths: Sequence[Path]) -> None:
    for path in paths:
        try:
            forget_entries(path)
        except (sqlite3.Error, OSError) as exc:
            _warn("ledger-not-pruned", path, exc)


def _warn(event: str, path: Path, error: Exception) -> None:
    fields = {"path": os.fspath(path), "reason": str(error)}
    _LOG.warning(event, extra={"fields": fields})
