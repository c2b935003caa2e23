"""An index that remembers what a question touched: where along its way an answer was lost."""

from __future__ import annotations

from collections.abc import Sequence

from rag.protocols import IndexReader
from rag.types import Chunk, Filter, SearchHits, SearchQuery, StoredChunk


class WatchedIndex:
    """Another index, watched from outside, whatever the pipeline does with it.

    Since the last ``forget``: ``candidates`` are the ids that either leg ranked, ``offered`` the
    chunks that were fetched for the packer, by id, in the order of their fetching.
    """

    def __init__(self, index: IndexReader) -> None:
        self._index = index
        self.candidates: set[str] = set()
        self.offered: dict[str, Chunk] = {}

    def forget(self) -> None:
        """Start anew, before the next question."""
        self.candidates = set()
        self.offered = {}

    def search(self, query: SearchQuery) -> SearchHits:
        """Return both legs' best chunks."""
        hits = self._index.search(query)
        self.candidates |= {hit.chunk_id for hit in (*hits.dense, *hits.sparse)}
        return hits

    def fetch(self, tenant: str, chunk_ids: Sequence[str]) -> tuple[StoredChunk, ...]:
        """Return the chunks asked for."""
        stored = self._index.fetch(tenant, chunk_ids)
        self.offered |= {one.chunk.id: one.chunk for one in stored}
        return stored

    def count(self, where: Filter) -> int:
        """Return the exact number of chunks within ``where``."""
        return self._index.count(where)

    def left_out(self, tenant: str) -> tuple[Chunk, ...]:
        """Return the candidates that were not offered."""
        ids = sorted(self.candidates - self.offered.keys())
        return tuple(stored.chunk for stored in self._index.fetch(tenant, ids))
