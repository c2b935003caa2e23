"""Which chunks questions needed before they were embedded, counted in one file of the collection.

A chunk is needed when it is fetched: for the packer, as a second hop's candidate, or to read what a
typo may have meant. What is kept is a number for a tenant's chunk
id: nothing of any question. Several processes may count into one file. It may be lost at any time,
as it only decides what is embedded first.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeAlias

from rag.protocols import IndexReader
from rag.types import Filter, SearchHits, SearchQuery, StoredChunk

_Key: TypeAlias = tuple[str, str]  # tenant, chunk id

DEMAND = "demand.sqlite"
_LOG = logging.getLogger(__name__)
_FLUSH_SECONDS = 10.0
_MOST_PENDING = 50_000  # chunks: about 10 MB; further ones are not counted until the next flush
_WAIT_SECONDS = 5.0
_USELESS = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS asked (
    tenant TEXT, chunk_id TEXT, times INTEGER NOT NULL, PRIMARY KEY (tenant, chunk_id)
) WITHOUT ROWID
"""


class DemandCounter:
    """Counts in memory and adds to the file from time to time, on a thread of its own.

    What cannot be written is kept for the next time and logged once: a question never fails for it.
    """

    def __init__(self, path: Path, flush_seconds: float = _FLUSH_SECONDS) -> None:
        self._path = path
        self._flush_seconds = flush_seconds
        self._pending: Counter[_Key] = Counter()
        self._counting = threading.Lock()
        self._writing = threading.Lock()
        self._timer: threading.Timer | None = None
        self._closed = False
        self._complained = False

    def count(self, tenant: str, chunk_ids: Iterable[str]) -> None:
        """Count each chunk once more; it is in the file after ``flush_seconds``."""
        with self._counting:
            for key in ((tenant, chunk_id) for chunk_id in chunk_ids):
                if key in self._pending or len(self._pending) < _MOST_PENDING:
                    self._pending[key] += 1
            if self._pending and self._timer is None and not self._closed:
                self._timer = threading.Timer(self._flush_seconds, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Add what was counted to the file now."""
        with self._writing:
            with self._counting:
                pending, self._pending = self._pending, Counter()
                self._timer = None
            try:
                if pending:
                    _add(self._path, pending)
            except sqlite3.Error as exc:
                self._keep(pending, exc)

    def close(self) -> None:
        """Write what is left; what is counted later is lost."""
        with self._counting:
            self._closed = True
            if self._timer is not None:
                self._timer.cancel()
        self.flush()

    def _keep(self, pending: Counter[_Key], error: sqlite3.Error) -> None:
        with self._counting:
            self._pending += pending
        if not self._complained:
            fields = {"error": str(error), "path": str(self._path)}
            _LOG.warning("demand-not-written", extra={"fields": fields})
        self._complained = True


class CountedIndex:
    """An ``IndexReader`` that counts the chunks fetched from another one that have no vectors."""

    def __init__(self, index: IndexReader, demand: DemandCounter) -> None:
        self._index = index
        self._demand = demand

    def search(self, query: SearchQuery) -> SearchHits:
        """Return both legs' best chunks; see ``IndexReader.search``."""
        return self._index.search(query)

    def fetch(self, tenant: str, chunk_ids: Sequence[str]) -> tuple[StoredChunk, ...]:
        """Return chunks by id; see ``IndexReader.fetch``."""
        found = self._index.fetch(tenant, chunk_ids)
        waiting = [item.chunk.id for item in found if item.sentence_vectors is None]
        if waiting:
            self._demand.count(tenant, waiting)
        return found

    def count(self, where: Filter) -> int:
        """Return the number of chunks; see ``IndexReader.count``."""
        return self._index.count(where)


def read_demand(path: Path, tenant: str) -> dict[str, int]:
    """Return how often each of a tenant's chunks was needed; nothing if the file is of no use."""
    if not path.exists():
        return {}
    try:
        with closing(sqlite3.connect(path, timeout=_WAIT_SECONDS)) as db:
            return dict(db.execute("SELECT chunk_id, times FROM asked WHERE tenant=?", (tenant,)))
    except sqlite3.Error:
        return {}


def forget_demand(path: Path, tenant: str, chunk_ids: Iterable[str]) -> None:
    """Drop the counts of chunks that are embedded or gone; if that fails they stay."""
    if not path.exists():
        return
    rows = [(tenant, chunk_id) for chunk_id in chunk_ids]
    with suppress(sqlite3.Error), closing(sqlite3.connect(path, timeout=_WAIT_SECONDS)) as db, db:
        db.executemany("DELETE FROM asked WHERE tenant=? AND chunk_id=?", rows)


def _add(path: Path, pending: Counter[_Key]) -> None:
    try:
        _insert(path, pending)
    except sqlite3.DatabaseError as exc:
        if exc.sqlite_errorcode & 0xFF not in _USELESS:
            raise
        path.unlink(missing_ok=True)
        _insert(path, pending)


def _insert(path: Path, pending: Counter[_Key]) -> None:
    rows = [(*key, times) for key, times in pending.items()]
    with closing(sqlite3.connect(path, timeout=_WAIT_SECONDS)) as db, db:
        db.execute(_SCHEMA)
        db.executemany(
            "INSERT INTO asked VALUES (?,?,?)"
            " ON CONFLICT DO UPDATE SET times = times + excluded.times",
            rows,
        )
