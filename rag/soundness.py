"""Whether an index holds what its generation's manifest says; a look, not a proof.

What readers may rely on in a manifest, whatever else ingest keeps in it: ``points`` (tenant,
chunk_id, digest, doc_id) is what the index holds, ``contents`` (tenant, digest, text) the text.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rag.bm25 import query_vector
from rag.errors import IndexStateError
from rag.generation import Generation
from rag.protocols import Analyzer, IndexReader
from rag.terms import TERMS_VERSION, indexed_text
from rag.types import Filter, SearchQuery

_SAMPLES: Final = 8
# Among that many chunks of one document with the same words, which come first is chance.
_PROBE_LIMIT: Final = 64
_COUNTS = "SELECT tenant, count(*) FROM points GROUP BY tenant ORDER BY tenant"
_NEXT = (
    "SELECT tenant, p.chunk_id, p.doc_id, c.text FROM points p"
    " JOIN contents c USING (tenant, digest) WHERE p.rowid >= ? ORDER BY p.rowid LIMIT 1"
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One chunk that the index should hold, word for word."""

    tenant: str
    chunk_id: str
    doc_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Holdings:
    """What an index should hold: chunks of each tenant, and a few of them to look at."""

    counts: tuple[tuple[str, int], ...]
    samples: tuple[Sample, ...]

    @property
    def chunks(self) -> int:
        """Chunks of all tenants."""
        return sum(count for _, count in self.counts)


def read_holdings(generation: Generation) -> Holdings:
    """Return what the manifest of a generation says that its index holds.

    Raises:
        IndexStateError: The manifest is damaged, or is not what ``generation.json`` counts.
    """
    try:
        holdings = _read(generation.manifest_path)
    except sqlite3.Error as exc:
        remedy = "run rag-ingest rollback, or restore a backup"
        value = f"{generation.manifest_path} ({exc})"
        raise IndexStateError("manifest cannot be read", value, remedy) from exc
    if holdings.chunks != generation.chunks:
        value = f"{holdings.chunks} in the manifest, {generation.chunks} in generation.json"
        raise _unsound("counts of chunks differ", value)
    return holdings


def check_index(index: IndexReader, holdings: Holdings, analyzer: Analyzer | None) -> None:
    """Count each tenant's chunks, read the samples, and find them by their own words.

    Without an analyzer nothing is searched for.

    Raises:
        IndexStateError: The index holds something else.
    """
    for tenant, expected in holdings.counts:
        counted = index.count(Filter(tenant))
        if counted != expected:
            value = f"{counted} of tenant {tenant} instead of {expected}"
            raise _unsound("index has another number of chunks", value)
    for sample in holdings.samples:
        stored = index.fetch(sample.tenant, [sample.chunk_id])
        if [each.chunk.text for each in stored] != [sample.text]:
            raise _unsound("a chunk is missing or altered", sample.chunk_id)
        if analyzer is not None:
            _find(index, sample, analyzer.terms(indexed_text(stored[0].chunk)))


def analyzer_for(generation: Generation, analyzer: Analyzer) -> Analyzer | None:
    """Return the analyzer if a generation's index can be asked with its terms, else None."""
    return analyzer if generation.shape.terms == TERMS_VERSION else None


def _read(path: Path) -> Holdings:
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as db:
        counts = tuple((str(tenant), int(count)) for tenant, count in db.execute(_COUNTS))
        (last,) = db.execute("SELECT ifnull(max(rowid), 0) FROM points").fetchone()
        starts = range(1, last + 1, max(1, last // _SAMPLES))
        found = (db.execute(_NEXT, (start,)).fetchone() for start in starts)
        samples = dict.fromkeys(Sample(*row) for row in found if row)
    return Holdings(counts, tuple(samples))


def _find(index: IndexReader, sample: Sample, terms: list[int]) -> None:
    if not terms:
        return
    where = Filter(sample.tenant, documents=(sample.doc_id,))
    hits = index.search(SearchQuery(where, query_vector(terms), None, _PROBE_LIMIT)).sparse
    if sample.chunk_id not in {hit.chunk_id for hit in hits} and len(hits) < _PROBE_LIMIT:
        raise _unsound("a chunk is not found by its own words", sample.chunk_id)


def _unsound(what: str, value: str) -> IndexStateError:
    return IndexStateError(what, value, "run rag-ingest rollback, or restore a backup")
