"""The cache's SQLite file: entries, the documents they quote, and running numbers.

Write-ahead log as in the ledger: what is committed survives the death of the process, several
processes may have the file open, and the folder must be on a local disk. What is deleted is
overwritten, so that a purge leaves no text behind. Every look at an entry names its tenant.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from rag.cache.record import FORMAT
from rag.cache.schema import SCHEMA, Row

NAME: Final = f"answers.v{FORMAT}.sqlite"
_WAIT_SECONDS = 5.0  # for other processes' writes
_RETRY_SECONDS = 0.005
_NAMES: Final = tuple(field.name for field in fields(Row))
_COLUMNS = ", ".join(_NAMES)
_FIND = f"SELECT {_COLUMNS} FROM entries WHERE tenant = ? AND"  # noqa: S608
_ADD = f"INSERT INTO entries ({_COLUMNS}) VALUES ({', '.join('?' * len(_NAMES))})"  # noqa: S608


class Store:
    """The file, used by one thread at a time.

    Raises:
        sqlite3.Error: It cannot be opened.
        OSError: Its folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = folder / NAME
        self.path.touch(mode=0o600)
        self._db = sqlite3.connect(
            self.path, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare()
        except BaseException:  # also an interrupt: nobody else can close it
            self._db.close()
            raise
        self._identity = _identity(self.path)

    @property
    def replaced(self) -> bool:
        """Whether the file was deleted or replaced, so that what is written would be lost."""
        return _identity(self.path) != self._identity

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Make all changes within one transaction, or none of them."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:  # also an interrupt: half of it must not be kept
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def by_key(self, tenant: str, key: bytes) -> Row | None:
        """Return a tenant's entry of this key."""
        found = self._db.execute(f"{_FIND} key = ?", (tenant, key)).fetchone()
        return Row(*found) if found else None

    def by_id(self, tenant: str, entry: int) -> Row | None:
        """Return a tenant's entry of this number."""
        found = self._db.execute(f"{_FIND} id = ?", (tenant, entry)).fetchone()
        return Row(*found) if found else None

    def add(self, row: Row, doc_ids: Iterable[str]) -> int:
        """Add an entry in place of that of its key; return its number, which is never reused."""
        self._db.execute("DELETE FROM entries WHERE key = ?", (row.key,))
        entry = self._db.execute(_ADD, [getattr(row, name) for name in _NAMES]).lastrowid or 0
        rows = [(entry, row.tenant, doc_id) for doc_id in doc_ids]
        self._db.executemany("INSERT INTO documents VALUES (?, ?, ?)", rows)
        return entry

    def update(self, entry: int, **values: object) -> None:
        """Set columns of an entry; one that is gone stays gone."""
        named = ", ".join(f"{name} = ?" for name in values)
        self._db.execute(f"UPDATE entries SET {named} WHERE id = ?", (*values.values(), entry))  # noqa: S608

    def drop(self, condition: str, values: tuple[Any, ...]) -> int:
        """Delete the entries that a condition of this package's own making holds for."""
        return self._db.execute(f"DELETE FROM entries WHERE {condition}", values).rowcount  # noqa: S608

    def lowest(self) -> tuple[int, float] | None:
        """Return the number and the rank of the entry that is worth least."""
        found: tuple[int, float] | None = self._db.execute(
            "SELECT id, priority FROM entries ORDER BY priority, id LIMIT 1"
        ).fetchone()
        return found

    def questions(self, tenant: str) -> Iterator[tuple[int, str]]:
        """Yield the number and the text of a tenant's questions."""
        yield from self._db.execute("SELECT id, question FROM entries WHERE tenant = ?", (tenant,))

    def clues(self, after: int) -> Iterator[tuple[int, bytes, bytes]]:
        """Yield number, scope and clue of entries with higher numbers, but of abstentions."""
        yield from self._db.execute(
            "SELECT id, scope, clue FROM entries WHERE id > ? AND semantic ORDER BY id", (after,)
        )

    def ids(self) -> set[int]:
        """Return the numbers of all entries."""
        return {entry for (entry,) in self._db.execute("SELECT id FROM entries")}

    def numbers(self) -> dict[str, float]:
        """Return all running numbers; one that is not there is 0."""
        return dict(self._db.execute("SELECT name, value FROM numbers"))

    def count(self, **more: float) -> None:
        """Add to running numbers."""
        self._db.executemany(
            "INSERT INTO numbers VALUES (?, ?)"
            " ON CONFLICT DO UPDATE SET value = value + excluded.value",
            more.items(),
        )

    def put(self, **values: float) -> None:
        """Set running numbers."""
        self._db.executemany("INSERT OR REPLACE INTO numbers VALUES (?, ?)", values.items())

    def wipe(self) -> None:
        """Take what was deleted out of the write-ahead log as well, if nobody reads it now."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _prepare(self) -> None:
        until = time.monotonic() + _WAIT_SECONDS
        while True:  # where another process switches too, SQLite does not wait
            try:
                self._db.execute("PRAGMA journal_mode=WAL")
                break
            except sqlite3.OperationalError as exc:
                busy = exc.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() > until:
                    raise
                time.sleep(_RETRY_SECONDS)
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("PRAGMA secure_delete=ON")
        with self.changing():
            for statement in SCHEMA.split("|"):
                self._db.execute(statement)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
