"""Opening a source: the indexed text around a sentence that was cited."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rag import bm25
from rag.protocols import Analyzer, IndexReader
from rag.types import Chunk, Filter, SearchQuery

# The chunk of a sentence ranks first for the sentence's own words; repeated text may tie with it.
_MOST_CHUNKS: Final = 8


@dataclass(frozen=True, slots=True)
class Place:
    """A sentence of a document as a citation names it: ``quote == document.text[start:end]``."""

    doc_id: str
    start: int
    end: int
    quote: str

    def within(self, chunk: Chunk) -> bool:
        """Return whether the sentence stands, word for word, in a chunk of its document."""
        start, end = self.start - chunk.start, self.end - chunk.start
        # Without the bounds a negative start would count from the end of the text.
        inside = start >= 0 and end <= len(chunk.text)
        return chunk.doc_id == self.doc_id and inside and chunk.text[start:end] == self.quote


@dataclass(frozen=True, slots=True)
class SourceReader:
    """Reads sources through the index that questions are answered from.

    What a tenant may not search it may not open either: each look goes through a filter on the
    tenant, and there is no other way to a text.
    """

    index: IndexReader
    analyzer: Analyzer

    def around(self, where: Filter, place: Place) -> Chunk | None:
        """Return the chunk that the sentence stands in.

        None where the tenant has no such document, or where it no longer says that there.
        """
        terms = self.analyzer.terms(place.quote)
        if not terms:
            return None
        sparse = bm25.query_vector(terms)
        query = SearchQuery(where, sparse, None, _MOST_CHUNKS, weigh_terms=False)
        hits = self.index.search(query).sparse
        # One at a time: a fetch counts as demand for the chunk, and the first is nearly always it.
        stored = (each for hit in hits for each in self.index.fetch(where.tenant, [hit.chunk_id]))
        return next((each.chunk for each in stored if place.within(each.chunk)), None)
