"""A cache of embeddings in one SQLite file: what was embedded once is not embedded again.

A row's key is the hash of the embedder's fingerprint and of exactly what it reads. The passage is
stored as float16: 8-bit integers would also stay above a cosine of .9999 for the packaged model
(.99995 at least over 250 chunks), but not for every model's vectors, and a ranking must not depend
on whether a vector came out of the cache. Sentence vectors, seven or so a chunk and most of the
bytes, are 8-bit integers, each row stretched to the full range: a cosine above .999 at up to 1,024
dimensions. All rows are unit vectors, so no scale is stored.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self, TypeAlias

import numpy as np

from rag.errors import IndexStateError
from rag.terms import embedded_prefix
from rag.types import Chunk, PassageVectors, Vector

_Row: TypeAlias = tuple[bytes, int, bytes, int]  # key, dimension, data, checksum

VECTORS = "vectors.sqlite"
_LOG = logging.getLogger(__name__)
_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS vectors (
    key BLOB PRIMARY KEY, dimension INTEGER NOT NULL, data BLOB NOT NULL, checksum INTEGER NOT NULL
)
"""
_KEYS_PER_QUERY = 500
_PAGE_BYTES = 16384  # rows have 3 kB: pages of the usual 4,096 bytes would stay a quarter empty
_WAIT_SECONDS = 30.0
_INT8_MAX = 127
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class VectorStore:
    """Vectors of chunks on disk, for any number of embedders.

    What a ``put_many`` has stored survives the death of the process. A damaged file is moved aside
    with a warning and the cache starts empty: it can always be computed again.

    Raises:
        IndexStateError: The file cannot be opened, or its disk is full or locked.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = self._opened()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the store is not used again."""
        self._connection.close()

    def get_many(self, fingerprint: str, chunks: Sequence[Chunk]) -> dict[str, PassageVectors]:
        """Return the vectors known of these chunks, by chunk id; those not known are left out."""
        keys = {chunk.id: cache_key(fingerprint, chunk) for chunk in chunks}
        known: dict[bytes, PassageVectors] = {}
        try:
            for key, dimension, data, checksum in self._rows(list(set(keys.values()))):
                if zlib.crc32(data) == checksum:
                    known[key] = _unpacked(dimension, data)
        except sqlite3.DatabaseError as exc:
            self._begin_anew(exc)
        return {chunk_id: known[key] for chunk_id, key in keys.items() if key in known}

    def put_many(self, fingerprint: str, pairs: Iterable[tuple[Chunk, PassageVectors]]) -> None:
        """Store vectors in one transaction, replacing what was known of the same chunks.

        Raises:
            IndexStateError: The disk is full or the file is locked; nothing was stored.
        """
        rows = [_row(cache_key(fingerprint, chunk), vectors) for chunk, vectors in pairs]
        try:
            self._insert(rows)
        except sqlite3.DatabaseError as exc:
            self._begin_anew(exc)
            self._insert(rows)

    def _rows(self, keys: list[bytes]) -> Iterator[_Row]:
        for first in range(0, len(keys), _KEYS_PER_QUERY):
            some = keys[first : first + _KEYS_PER_QUERY]
            marks = ",".join("?" * len(some))
            query = f"SELECT key, dimension, data, checksum FROM vectors WHERE key IN ({marks})"  # noqa: S608 -- marks only
            yield from self._connection.execute(query, some)

    def _insert(self, rows: list[_Row]) -> None:
        with self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?,?,?,?)", rows)

    def _opened(self) -> sqlite3.Connection:
        try:
            return _connected(self._path)
        except sqlite3.DatabaseError as exc:
            return self._reopened(exc)

    def _begin_anew(self, cause: sqlite3.DatabaseError) -> None:
        self._connection.close()
        self._connection = self._reopened(cause)

    def _reopened(self, cause: sqlite3.DatabaseError) -> sqlite3.Connection:
        """Move a damaged file aside and open an empty one; any other cause is an error."""
        if cause.sqlite_errorcode & 0xFF not in _DAMAGED:
            raise IndexStateError(
                "the embedding cache cannot be used",
                f"{self._path} ({cause})",
                "free the disk or end what holds the file, and run again",
            ) from cause
        aside = self._path.with_name(self._path.name + ".damaged")
        for suffix in ("", "-wal", "-shm"):
            part = self._path.with_name(self._path.name + suffix)
            if part.exists():
                part.replace(aside.with_name(aside.name + suffix))
        _LOG.warning("embedding cache is damaged (%s): moved to %s, starts empty", cause, aside)
        return _connected(self._path)


def cache_key(fingerprint: str, chunk: Chunk) -> bytes:
    """Return the SHA-256 of all that a chunk's vectors depend on."""
    spans = ",".join(f"{span.start}-{span.end}" for span in chunk.sentences)
    digest = hashlib.sha256()
    for part in (fingerprint, embedded_prefix(chunk), chunk.text, spans):
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8))
        digest.update(data)
    return digest.digest()


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_WAIT_SECONDS)
    try:
        connection.execute(f"PRAGMA page_size={_PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version != _VERSION:
            with connection:
                connection.execute("DROP TABLE IF EXISTS vectors")
                connection.execute(_SCHEMA)
                connection.execute(f"PRAGMA user_version={_VERSION}")
        connection.execute("SELECT key, dimension, data, checksum FROM vectors LIMIT 1").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _row(key: bytes, vectors: PassageVectors) -> _Row:
    dimension, data = _packed(vectors)
    return key, dimension, data, zlib.crc32(data)


def _packed(vectors: PassageVectors) -> tuple[int, bytes]:
    """Return the dimension and the data: the passage as float16, then the sentences as int8."""
    peaks = np.abs(vectors.sentences).max(axis=1, keepdims=True, initial=1e-12)
    rows = np.rint(vectors.sentences * (_INT8_MAX / peaks)).astype(np.int8)
    return len(vectors.passage), vectors.passage.astype("<f2").tobytes() + rows.tobytes()


def _unpacked(dimension: int, data: bytes) -> PassageVectors:
    passage = np.frombuffer(data, "<f2", count=dimension)
    rows = np.frombuffer(data, np.int8, offset=2 * dimension).reshape(-1, dimension)
    return PassageVectors(_unit(passage.astype(np.float32)), _unit(rows.astype(np.float32)))


def _unit(vectors: Vector) -> Vector:
    norms = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))[..., None]
    return np.asarray(vectors / np.maximum(norms, np.float32(1e-12)), dtype=np.float32)
