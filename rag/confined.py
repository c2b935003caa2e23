"""The index as its callers may see it: every look is held to whoever is asking."""

from __future__ import annotations

from collections.abc import Sequence

from rag import access
from rag.protocols import IndexReader
from rag.types import Filter, SearchHits, SearchQuery, StoredChunk


class ConfinedIndex:
    """An ``IndexReader`` over another one; see ``rag.access``."""

    def __init__(self, index: IndexReader) -> None:
        self._index = index

    def search(self, query: SearchQuery) -> SearchHits:
        """Return both legs' best chunks; see ``IndexReader.search``.

        Raises:
            AccessError: Whoever asks may not look there.
        """
        access.check(query.where)
        return self._index.search(query)

    def fetch(self, tenant: str, chunk_ids: Sequence[str]) -> tuple[StoredChunk, ...]:
        """Return those chunks that whoever asks may read; see ``IndexReader.fetch``.

        Raises:
            AccessError: Whoever asks is for another tenant.
        """
        found = self._index.fetch(access.require(tenant), chunk_ids)
        asking = access.caller()
        return tuple(stored for stored in found if asking.reads(stored.chunk.access))

    def count(self, where: Filter) -> int:
        """Return the number of chunks; see ``IndexReader.count``.

        Raises:
            AccessError: Whoever asks may not look there.
        """
        return self._index.count(access.check(where))
