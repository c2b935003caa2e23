"""MiniLM with its vectors kept on disk, so that an evaluation pays for each text once."""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

from rag.errors import UsageError
from rag.protocols import Embedder
from rag.terms import embedded_prefix
from rag.types import Chunk, PassageVectors, Vector

_LOG = logging.getLogger(__name__)
_WRITTEN_AT_ONCE = 50
_FLOAT_BYTES = 4
_PATIENCE_SECONDS = 60.0
# SQLITE_ERROR: a table of that name with other columns.
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)


class VectorCache:
    """Float32 matrices by content hash in one SQLite file; several processes may share it.

    A damaged file is moved aside with a warning and the cache starts empty: it can always be
    computed again.

    Raises:
        UsageError: The file cannot be opened or written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pending: dict[bytes, Vector] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise _unusable(path, exc) from exc
        try:
            self._db = _connected(path)
        except sqlite3.DatabaseError as exc:
            self._db = self._reopened(exc)

    def get(self, key: bytes) -> Vector | None:
        """Return the (rows, dim) matrix kept under ``key``, or None."""
        if key in self._pending:
            return self._pending[key]
        try:
            row = self._db.execute("SELECT dim, data FROM v WHERE key = ?", (key,)).fetchone()
            return None if row is None else _matrix(*row)
        except (sqlite3.DatabaseError, _DamagedError) as exc:
            self._begin_anew(exc)
            return None

    def put(self, key: bytes, matrix: Vector) -> None:
        """Keep a (rows, dim) float32 matrix."""
        self._pending[key] = matrix
        if len(self._pending) >= _WRITTEN_AT_ONCE:
            self.commit()

    def commit(self) -> None:
        """Make what was put so far durable."""
        try:
            self._write()
        except sqlite3.DatabaseError as exc:
            self._begin_anew(exc)
            self._write()
        self._pending = {}

    def _write(self) -> None:
        rows = [(key, m.shape[1], m.tobytes()) for key, m in self._pending.items()]
        # One short transaction: an open one would keep all other processes from writing.
        with self._db:
            self._db.executemany("INSERT OR REPLACE INTO v VALUES (?, ?, ?)", rows)

    def _begin_anew(self, cause: Exception) -> None:
        self._db.close()
        self._db = self._reopened(cause)

    def _reopened(self, cause: Exception) -> sqlite3.Connection:
        """Move a damaged file aside and open an empty one; any other cause is an error."""
        if isinstance(cause, sqlite3.Error) and _code(cause) not in _DAMAGED:
            raise _unusable(self._path, cause) from cause
        aside = self._path.with_name(f"{self._path.name}.damaged")
        try:
            for suffix in ("", "-wal", "-shm"):
                # Another process may have moved it already.
                with suppress(FileNotFoundError):
                    part = self._path.with_name(self._path.name + suffix)
                    part.replace(aside.with_name(aside.name + suffix))
            _LOG.warning(
                "cache of vectors is damaged (%s): moved to %s, starts empty", cause, aside
            )
            return _connected(self._path)
        except (OSError, sqlite3.Error) as exc:
            raise _unusable(self._path, exc) from exc


class _DamagedError(Exception):
    """A row that is not what was written."""


def _connected(path: Path) -> sqlite3.Connection:
    """Open a file, made if it is new.

    Two processes that make it at once get in each other's way, and SQLite does not wait then.
    """
    end = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return _opened(path)
        except sqlite3.OperationalError as exc:
            if _code(exc) != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.01)


def _code(error: Exception) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF  # what Python itself raises has none


def _opened(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=_PATIENCE_SECONDS)
    try:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute("CREATE TABLE IF NOT EXISTS v (key BLOB PRIMARY KEY, dim INT, data BLOB)")
        db.commit()
        db.execute("SELECT key, dim, data FROM v LIMIT 1").fetchone()
    except sqlite3.Error:
        db.close()
        raise
    return db


def _matrix(dim: object, data: object) -> Vector:
    if not isinstance(dim, int) or not isinstance(data, bytes) or dim < 1 or not data:
        raise _DamagedError("a row without a matrix")
    if len(data) % (dim * _FLOAT_BYTES):
        raise _DamagedError(f"{len(data)} bytes are no rows of {dim} numbers")
    return np.frombuffer(data, dtype=np.float32).reshape(-1, dim)


def _unusable(path: Path, cause: Exception) -> UsageError:
    what = "the cache of vectors cannot be used"
    return UsageError(
        what, f"{path} ({cause})", "name another folder with --cache, or free this one"
    )


class CachedEmbedder:
    """An embedder that asks the cache first; an ``Embedder`` itself.

    ``computed`` counts the texts that were not in the cache.
    """

    def __init__(self, embedder: Embedder, cache: VectorCache) -> None:
        self._embedder = embedder
        self._cache = cache
        self.computed = 0

    @property
    def fingerprint(self) -> str:
        """Identity of the embedder behind it."""
        return self._embedder.fingerprint

    def embed_question(self, text: str) -> Vector:
        """Return the (dim,) unit vector: the mean over the first 256 tokens."""
        key = _key(self.fingerprint, "plain", text)
        kept = self._cache.get(key)
        if kept is None:
            kept = self._embedder.embed_question(text)[np.newaxis]
            self._keep(key, kept)
        vector: Vector = kept[0]
        return vector

    def embed_passage(self, chunk: Chunk) -> PassageVectors:
        """Return the vectors of a chunk and of its sentences."""
        key = self._passage_key(chunk)
        kept = self._cache.get(key)
        if kept is None:
            vectors = self._embedder.embed_passage(chunk)
            kept = np.vstack([vectors.passage[np.newaxis], vectors.sentences])
            self._keep(key, kept)
        return PassageVectors(kept[0], kept[1:])

    def kept(self, chunk: Chunk) -> PassageVectors | None:
        """Return the vectors of a chunk if they need no computing."""
        matrix = self._cache.get(self._passage_key(chunk))
        return None if matrix is None else PassageVectors(matrix[0], matrix[1:])

    def flush(self) -> None:
        """Make everything computed so far durable."""
        self._cache.commit()

    def _passage_key(self, chunk: Chunk) -> bytes:
        spans = json.dumps([(span.start, span.end) for span in chunk.sentences])
        return _key(self.fingerprint, "passage", embedded_prefix(chunk), chunk.text, spans)

    def _keep(self, key: bytes, matrix: Vector) -> None:
        self._cache.put(key, matrix)
        self.computed += 1


def _key(*parts: str) -> bytes:
    return hashlib.sha256(json.dumps(parts).encode("utf-8", "surrogatepass")).digest()
