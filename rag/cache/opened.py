"""The cache's file, opened when first needed; whatever it cannot do is a miss, warned of once."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

from rag.cache.store import NAME, Store
from rag.errors import RagError

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")
_USELESS: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_RETRY_SECONDS = 30.0  # or every question would wait for a disk that does not answer


class Opened:
    """A folder with the file in it; one thread works with it at a time."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._lock = threading.RLock()
        self._store: Store | None = None
        self._failed_at: float | None = None
        self._complained = False
        self._closed = False

    def tried(self, work: Callable[[Store], _T], otherwise: _T) -> _T:
        """Return what work with the file gives, or ``otherwise`` where it fails."""
        with self._lock:
            if self._closed or self._resting():
                return otherwise
            try:
                done = work(self._opened())
            except (sqlite3.Error, OSError) as exc:
                self._note(exc)
                return otherwise
            self._failed_at, self._complained = None, False
            return done

    def done(self, work: Callable[[Store], _T]) -> _T:
        """Return what work with the file gives.

        Raises:
            RagError: It could not be done.
        """
        with self._lock:
            try:
                return work(self._opened())
            except (sqlite3.Error, OSError) as exc:
                path = self._folder / NAME
                remedy = "stop the service and delete this file, with -wal and -shm"
                raise RagError("cache cannot be purged", f"{path} ({exc})", remedy) from exc

    def close(self) -> None:
        """Close the file; every question is a miss from then on."""
        with self._lock:
            self._closed = True
            self._let_go()

    def _opened(self) -> Store:
        if self._store is not None and self._store.replaced:
            self._let_go()
        if self._store is None:
            self._store = Store(self._folder)
        return self._store

    def _resting(self) -> bool:
        return self._failed_at is not None and self._clock() < self._failed_at + _RETRY_SECONDS

    def _note(self, exc: Exception) -> None:
        self._let_go()
        if isinstance(exc, sqlite3.Error) and _is_damage(exc):
            self._set_aside(exc)
            return
        self._failed_at = self._clock()
        if not self._complained:
            _warn("cache-unusable", self._folder, exc)
        self._complained = True

    def _set_aside(self, exc: Exception) -> None:
        """Delete a damaged file: it holds nothing that cannot be made again."""
        for suffix in ("-wal", "-shm", ""):
            (self._folder / f"{NAME}{suffix}").unlink(missing_ok=True)
        _warn("cache-damaged", self._folder, exc)

    def _let_go(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            with suppress(sqlite3.Error):
                store.close()


def _is_damage(error: sqlite3.Error) -> bool:
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF in _USELESS


def _warn(event: str, folder: Path, error: Exception) -> None:
    fields = {"path": os.fspath(folder), "reason": str(error)}
    _LOG.warning(event, extra={"fields": fields})
