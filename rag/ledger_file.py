"""One month of the ledger in an SQLite file: single entries, and running sums a day.

Write-ahead log, because reports then read while answers are written, and a commit is one append
without an fsync (``synchronous=NORMAL``): after ``write`` returns, an entry is with the operating
system and survives the death of the process. A power cut may take the last seconds' commits,
never the file's consistency. The log needs shared memory, so the folder must be on a local disk.

The format is in the file's name. A file of a former format is read for ever and never written by
this code: its month goes on in a file of the present format beside it. So nothing has to be
rewritten, and a process of an earlier version that still runs loses nothing.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeAlias

from rag.ledger_entry import SUMMED, Bounds, Entry, StageCost, Sums, stage_sums, sums_of

_Key: TypeAlias = tuple[str, str, str, str, str, str]  # _KEYS
FORMAT: Final = 2  # of what is written; 1 had neither groundedness nor the sums of _SINCE_2
_SUFFIX: Final = f".v{FORMAT}.sqlite"
_NAME: Final = re.compile(r"(\d{4}-\d\d)(?:\.v(\d+))?\.sqlite")
_WHOLE = ""  # the stage of a whole answer, and the model where no generator was called
_KEYS = ("day", "tenant", "tier", "model", "kind", "stage")
# How long a write waits for other processes' writes.
# Source: eight processes that wrote without pause waited 1.5 s at most (2 cores, 2026-11-22).
_RETRY_SECONDS = 0.005
_WAIT_SECONDS = 5.0
_USELESS = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_COLUMNS = (
    *("at", "tenant", "tier", "model", "kind", "abstained", "nanoseconds"),
    *("joules_low", "joules_high", "gco2e_low", "gco2e_high", "litres_low", "litres_high", "basis"),
    *("context_tokens", "prompt_tokens", "cached_tokens", "completion_tokens"),
    *("stages", "fingerprint", "generation"),
    *("grounded", "embodied_gco2e_low", "embodied_gco2e_high"),
    *("market_gco2e_low", "market_gco2e_high", "chunks"),
)
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS answers ({", ".join(_COLUMNS)});
CREATE INDEX IF NOT EXISTS answers_of ON answers (tenant, at);
CREATE TABLE IF NOT EXISTS sums (
    {" TEXT, ".join(_KEYS)} TEXT, {", ".join(f"{name} INTEGER NOT NULL" for name in SUMMED)},
    PRIMARY KEY ({", ".join(_KEYS)})
) WITHOUT ROWID;
"""
_INSERT = f"INSERT INTO answers VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608
_ADD = (
    f"INSERT INTO sums VALUES ({', '.join('?' * (len(_KEYS) + len(SUMMED)))})"  # noqa: S608
    f" ON CONFLICT DO UPDATE SET {', '.join(f'{name}={name}+excluded.{name}' for name in SUMMED)}"
)
# What the sums of a file of format 1 mean, as SQL; what it did not keep is unknown.
_SINCE_2: Final[Mapping[str, str]] = {
    **dict.fromkeys(("grounded", "runs", "chunks"), "0"),
    "grounded_unknown": "CASE kind WHEN 'answer' THEN answers - abstained ELSE 0 END",
    **dict.fromkeys(("embodied_gco2e_low", "embodied_gco2e_high"), "0"),
    **dict.fromkeys(("market_gco2e_low", "market_gco2e_high"), "0"),
    **dict.fromkeys(("embodied_gco2e_unknown", "market_gco2e_unknown"), "answers"),
}


@dataclass(frozen=True, slots=True, order=True)
class MonthPath:
    """A month's file as it is found: which month [UTC], its format, where."""

    month: str
    written_as: int
    path: Path

    @property
    def understood(self) -> bool:
        """Whether the file is of a format that this version knows."""
        return self.written_as <= FORMAT

    def summed(self) -> str:
        """Return the terms of a SELECT that gives each of SUMMED over rows of ``sums``.

        Raises:
            sqlite3.NotSupportedError: A later version has written the file.
        """
        if not self.understood:
            what = f"written by a later version (format {self.written_as})"
            raise sqlite3.NotSupportedError(what)
        former = _SINCE_2 if self.written_as == 1 else {}
        return ", ".join(f"SUM({former.get(name, name)})" for name in SUMMED)


def month_of(at: int) -> str:
    """Return the month of a POSIX time [us] in UTC, such as 2026-11."""
    return day_of(at)[:7]


def day_of(at: int) -> str:
    """Return the day of a POSIX time [us] in UTC, such as 2026-11-22."""
    return datetime.fromtimestamp(at // 1_000_000, UTC).date().isoformat()


def path_of(folder: Path, month: str) -> Path:
    """Return where a month is kept that is written now."""
    return folder / f"{month}{_SUFFIX}"


def files_in(folder: Path) -> tuple[MonthPath, ...]:
    """Return the files of the months that are kept, of all formats, oldest first."""
    matches = ((_NAME.fullmatch(path.name), path) for path in folder.glob("*.sqlite"))
    return tuple(sorted(MonthPath(m[1], int(m[2] or 1), path) for m, path in matches if m))


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether an error says that the file itself is of no use."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF in _USELESS


class MonthFile:
    """One month, open for writing by one thread at a time; several processes may have it open.

    Raises:
        sqlite3.Error: It cannot be opened.
        OSError: Its folder cannot be made.
    """

    def __init__(self, folder: Path, month: str) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = path_of(folder, month)
        self._db = sqlite3.connect(
            self._path, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare()
        except BaseException:  # also an interrupt: nobody else can close it
            self._db.close()
            raise
        self._identity = _identity(self._path)

    @property
    def replaced(self) -> bool:
        """Whether the file was moved or deleted, so that what is written would be lost."""
        return _identity(self._path) != self._identity

    def write(self, entries: Sequence[Entry]) -> None:
        """Add entries and their sums in one transaction: all of them or, on an error, none.

        Raises:
            sqlite3.Error: They could not be written.
        """
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany(_INSERT, map(_row, entries))
            self._db.executemany(_ADD, _sum_rows(entries))
            self._db.execute("COMMIT")
        except BaseException:  # also an interrupt: half a batch must not be kept
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _prepare(self) -> None:
        self._log_ahead()
        self._db.execute("PRAGMA synchronous=NORMAL")
        if not self._db.execute("SELECT 1 FROM sqlite_master WHERE name='sums'").fetchone():
            self._db.execute("BEGIN IMMEDIATE")  # or two processes that begin a month collide
            for statement in _SCHEMA.split(";"):
                self._db.execute(statement)
            self._db.execute("COMMIT")

    def _log_ahead(self) -> None:
        """Switch to a write-ahead log; where another process does it too, SQLite does not wait."""
        until = time.monotonic() + _WAIT_SECONDS
        while True:
            try:
                self._db.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError as exc:
                busy = exc.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() > until:
                    raise
                time.sleep(_RETRY_SECONDS)
            else:
                return


def forget_entries(path: Path) -> None:
    """Drop the single entries of a month; the sums stay.

    Raises:
        sqlite3.Error: They could not be dropped.
    """
    with closing(sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)) as db:
        if db.execute("SELECT 1 FROM answers LIMIT 1").fetchone():
            db.execute("DELETE FROM answers")
            db.execute("VACUUM")


def set_aside(path: Path, now_seconds: float) -> Path:
    """Move a damaged month out of the way, with what belongs to it, and return where to.

    Raises:
        OSError: It could not be moved.
    """
    stem = f"{path.name}.damaged-{round(now_seconds)}"
    for suffix in ("-wal", "-shm", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(path.with_name(stem + suffix))
    return path.with_name(stem)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116  # a third of the time of Path.stat, once an answer
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _row(entry: Entry) -> tuple[object, ...]:
    asker, unknown = entry.asker, (None, None)
    return (
        *(entry.at, asker.tenant, asker.tier, asker.model, asker.kind, asker.abstained),
        entry.nanoseconds,
        *(entry.joules or unknown),
        *(entry.gco2e or unknown),
        *(entry.litres or unknown),
        entry.basis,
        *(entry.context_tokens, entry.prompt_tokens, entry.cached_tokens, entry.completion_tokens),
        json.dumps({cost.stage: _stage_value(cost) for cost in entry.stages}),
        *(entry.fingerprint, entry.generation, asker.grounded),
        *(entry.embodied_gco2e or unknown),
        *(entry.market_gco2e or unknown),
        entry.chunks,
    )


def _stage_value(cost: StageCost) -> tuple[int, Bounds | None]:
    return cost.nanoseconds, cost.joules


def _sum_rows(entries: Iterable[Entry]) -> list[tuple[object, ...]]:
    added: defaultdict[_Key, Sums] = defaultdict(Sums)
    for entry in entries:
        asker = entry.asker
        model = asker.model or _WHOLE
        key = (day_of(entry.at), asker.tenant, asker.tier, model, asker.kind)
        added[*key, _WHOLE] += sums_of(entry)
        for cost in entry.stages:
            added[*key, cost.stage] += stage_sums(entry, cost)
    return [(*key, *(getattr(sums, name) for name in SUMMED)) for key, sums in added.items()]
