"""The embedded index: one Qdrant Edge shard in a directory, in this process.

A directory holds ``index.json`` (format, dimension, layout) and ``shard/`` (the engine's files).
One process may have it open at a time. Every call holds the interpreter lock, ``commit`` for
seconds, so writers work on a copy in their own process. Open a shard after forking, never before:
the engine's threads do not survive a fork.

Up to ``flat_limit`` chunks the dense leg is a flat scan over 4-bit codes whose best candidates
are scored again with the vectors in float16; above, it is an HNSW graph over the same codes.
``commit`` changes the layout where the count asks for it.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

from rag.adapters.edge_contents import Contents
from rag.adapters.edge_engine import Engine
from rag.adapters.edge_layout import IndexConfig, Layout, read_layout, write_layout
from rag.errors import IndexStateError, ValueRangeError
from rag.payload import check_dense, check_points, point_id
from rag.types import Filter, Point, SearchHits, SearchQuery, StoredChunk

_BATCH = 500
_IDF_CACHE_LIMIT = 100_000


class EdgeIndex:
    """An index over chunks in one directory; reader and writer in one object.

    Document frequencies are the engine's: over all that whoever asks may see, without chunks that
    have no terms. Where that is everything, deleted chunks stay in them until they are a fifth of a
    segment and ``commit`` rewrites it.
    """

    def __init__(self, path: Path, engine: Engine, layout: Layout) -> None:
        self._path = path
        self._engine = engine
        self._layout = layout
        self._idf: dict[tuple[Filter | None, int], float | None] = {}
        self._contents: Contents | None = None

    @classmethod
    def create(cls, path: Path, config: IndexConfig) -> Self:
        """Make an empty index in a new or empty directory and open it.

        Raises:
            IndexStateError: The directory is not empty or cannot be written.
        """
        layout = Layout(config)
        try:
            if path.exists() and any(path.iterdir()):
                raise IndexStateError("index directory is not empty", path, "name a new one")
            (path / "shard").mkdir(parents=True)
            write_layout(path, layout)
        except OSError as exc:
            raise IndexStateError("index cannot be written", exc, "name a writable path") from exc
        return cls(path, Engine.create(path / "shard", layout), layout)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open an index that ``create`` made.

        Raises:
            IndexStateError: There is none, it is damaged, or another process holds it.
        """
        layout = read_layout(path)
        engine = Engine.load(path / "shard", layout)
        # A kill inside commit leaves these for ever; only the holder of the lock may remove them.
        shutil.rmtree(path / "shard" / "temp_segments", ignore_errors=True)
        return cls(path, engine, layout)

    @property
    def config(self) -> IndexConfig:
        """What the index was made for."""
        return self._layout.config

    @property
    def uses_graph(self) -> bool:
        """Whether the dense leg walks an HNSW graph instead of scanning."""
        return self._layout.graph

    def close(self) -> None:
        """Keep all writes and release the directory; from then on ``IndexStateError``."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def search(self, query: SearchQuery) -> SearchHits:
        """Return both legs' best ``query.limit`` chunks within ``query.where``.

        The IDF of a term is read off the engine: a query for that term alone scores its best
        chunk with IDF x stored weight. It is kept until the next write, for those alone who may
        see the same.

        Raises:
            ValueRangeError: The limit is below 1, or vector or dates do not fit.
            IndexStateError: The index is closed or damaged.
        """
        if query.limit < 1:
            raise ValueRangeError("search limit", query.limit, "use 1 or more")
        check_dense(query.dense, self._layout.config.dimension)
        terms = query.sparse.indices if query.sparse and query.weigh_terms else ()
        cache, contents = self._idf, self._survey()
        corpus = contents.corpus(query.where)
        known = {term: cache[corpus, term] for term in terms if (corpus, term) in cache}
        unknown = [term for term in terms if term not in known]
        hits, learned = self._engine.search(query, unknown, contents)
        known |= learned
        self._remember({(corpus, term): value for term, value in learned.items()})
        idf = {term: value for term, value in known.items() if value is not None}
        return replace(hits, idf=idf)

    def fetch(self, tenant: str, chunk_ids: Sequence[str]) -> tuple[StoredChunk, ...]:
        """Return the chunks of one tenant in the order asked for; unknown ids are left out.

        Raises:
            IndexStateError: The index is closed or damaged.
        """
        ids = [point_id(tenant, chunk_id) for chunk_id in chunk_ids]
        stored = self._engine.fetch(tenant, list(dict.fromkeys(ids)))
        return tuple(stored[key] for key in ids if key in stored)

    def points(self, tenant: str, chunk_ids: Sequence[str]) -> tuple[Point, ...]:
        """Return one tenant's points as they are stored, in any order; unknown ids are left out.

        Their passage vectors are those that the index keeps, in float16.

        Raises:
            IndexStateError: The index is closed or damaged.
        """
        ids = [point_id(tenant, chunk_id) for chunk_id in chunk_ids]
        return tuple(self._engine.points(tenant, list(dict.fromkeys(ids))))

    def count(self, where: Filter) -> int:
        """Return the exact number of chunks within ``where``.

        Raises:
            ValueRangeError: A date bound is not ISO 8601.
            IndexStateError: The index is closed or damaged.
        """
        return self._engine.count(where)

    def upsert(self, points: Sequence[Point]) -> None:
        """Store points by ``chunk.id``, replacing what had the same id.

        A killed process or a power cut loses it, until ``commit`` or ``close``.

        Raises:
            ValueRangeError: A point does not fit the index; then none is stored.
            IndexStateError: The index is closed or cannot be written.
        """
        check_points(points, self._layout.config.dimension)
        self._forget()
        # The last of equal ids wins; within one batch the engine does not promise that.
        latest = list({(point.tenant, point.chunk.id): point for point in points}.values())
        for start in range(0, len(latest), _BATCH):
            self._engine.upsert(latest[start : start + _BATCH])

    def delete(self, tenant: str, chunk_ids: Sequence[str]) -> None:
        """Remove chunks of one tenant by id; unknown ids are ignored.

        Raises:
            IndexStateError: The index is closed or cannot be written.
        """
        if chunk_ids:
            ids = [point_id(tenant, chunk_id) for chunk_id in chunk_ids]
            self._forget()
            self._engine.delete(tenant, ids)

    def commit(self) -> None:
        """Make all writes durable and searchable at full speed; blocks all threads meanwhile.

        Raises:
            IndexStateError: The index is closed or cannot be written.
        """
        self._fit_layout()
        self._engine.optimize()
        self._engine.flush()
        self._forget()

    def _fit_layout(self) -> None:
        layout = self._layout.for_count(self._engine.count())
        if layout != self._layout:
            self._engine.flush()
            self._engine.close()
            self._engine = Engine.load(self._path / "shard", layout)
            self._layout = layout
            write_layout(self._path, layout)

    def _survey(self) -> Contents:
        if self._contents is None:
            self._contents = self._engine.survey()
        return self._contents

    def _forget(self) -> None:
        self._idf = {}
        self._contents = None

    def _remember(self, learned: dict[tuple[Filter | None, int], float | None]) -> None:
        if len(self._idf) + len(learned) > _IDF_CACHE_LIMIT:
            self._idf = {}
        self._idf.update(learned)
