"""MiniLM with its vectors kept on disk, so that an evaluation pays for each text once."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from pathlib import Path

import numpy as np

from rag.protocols import Embedder
from rag.terms import embedded_prefix
from rag.types import Chunk, PassageVectors, Vector

_WRITTEN_AT_ONCE = 50


class VectorCache:
    """Float32 matrices by content hash in one SQLite file; several processes may share it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, timeout=60)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("CREATE TABLE IF NOT EXISTS v (key BLOB PRIMARY KEY, dim INT, data BLOB)")
        self._db.commit()
        self._pending: dict[bytes, Vector] = {}

    def get(self, key: bytes) -> Vector | None:
        """Return the (rows, dim) matrix kept under ``key``, or None."""
        if key in self._pending:
            return self._pending[key]
        row = self._db.execute("SELECT dim, data FROM v WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        matrix: Vector = np.frombuffer(row[1], dtype=np.float32).reshape(-1, row[0])
        return matrix

    def put(self, key: bytes, matrix: Vector) -> None:
        """Keep a (rows, dim) float32 matrix."""
        self._pending[key] = matrix
        if len(self._pending) >= _WRITTEN_AT_ONCE:
            self.commit()

    def commit(self) -> None:
        """Make what was put so far durable."""
        rows = [(key, m.shape[1], m.tobytes()) for key, m in self._pending.items()]
        # One short transaction: an open one would keep all other processes from writing.
        with self._db:
            self._db.executemany("INSERT OR REPLACE INTO v VALUES (?, ?, ?)", rows)
        self._pending = {}


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
