"""The published generation: what the pointer names, whether it can be asked, what it waits for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from rag.doctor import Finding
from rag.generation import Generation, read_current
from rag.live_index import LiveIndex
from rag.protocols import Analyzer
from rag.settings import Settings
from rag.soundness import analyzer_for, check_index, read_holdings

NOTHING: Final = "nothing is published yet"
_SYNC: Final = "run rag-ingest sync PATH"


def check_generation(settings: Settings) -> Finding:
    """Look at the pointer, what it names, and the manifest of that."""
    generation = _published(settings)
    if generation is None:
        return Finding("warn", NOTHING, _SYNC)
    generation.verify_manifest()
    holdings = read_holdings(generation)
    if generation.shape.index != settings.index:
        found = f"generation {generation.number} has its index on {generation.shape.index}"
        return Finding("fail", found, f"set index to {generation.shape.index}, or sync again")
    tenants = f"{len(holdings.counts)} tenant{'s' if len(holdings.counts) != 1 else ''}"
    size = f"{generation.documents:,} documents, {generation.chunks:,} chunks, {tenants}"
    return Finding("ok", f"{generation.number} of {generation.created}: {size}")


def check_reading(
    settings: Settings, build_live: Callable[[], LiveIndex], build_analyzer: Callable[[], Analyzer]
) -> Finding:
    """Open the index as a service does, count it, read some chunks and find them by their words.

    Raises:
        RagError: It cannot be used.
    """
    generation = _published(settings)
    if generation is None:
        return Finding("warn", NOTHING, _SYNC)
    with closing(build_live()) as live:
        live.refresh()
        problem = live.problem()
        if problem is not None:
            raise problem
        with live.pinned():
            holdings = read_holdings(generation)
            if live.identity != generation.identity:
                return Finding("warn", "another generation was just published", "try again")
            check_index(live, holdings, analyzer_for(generation, build_analyzer()))
    found = f"{holdings.chunks:,} chunks counted, {len(holdings.samples)} read and found"
    return Finding("ok", f"{settings.index}: {found}")


def check_vectors(settings: Settings) -> Finding:
    """Look whether chunks wait for their vectors."""
    generation = _published(settings)
    if generation is None:
        return Finding("warn", NOTHING, _SYNC)
    if generation.shape.embedder is None:
        if settings.tier == "neural":
            remedy = "set tier to lexical, or sync again with tier = neural"
            return Finding("fail", "tier is neural, but the index has no vectors", remedy)
        return Finding("ok", "none: lexical tier")
    if not generation.unembedded:
        return Finding("ok", f"all {generation.chunks:,} chunks have theirs")
    found = f"{generation.unembedded:,} of {generation.chunks:,} chunks wait for theirs"
    return Finding("warn", found, "run rag-ingest embed; until then they are found by words alone")


def check_ingest(settings: Settings) -> Finding:
    """Look for what an unfinished run has left."""
    collection = settings.data_dir / settings.collection
    if (collection / "server-pending.jsonl").exists():
        found = "a run against the server did not end: it holds more or less than was published"
        return Finding("warn", found, "run rag-ingest sync again; it finishes or undoes that run")
    if (collection / "staging").exists():
        found = "a generation is being made, or a run was killed"
        return Finding("ok", f"{found}; the next run clears that away")
    if not Path(collection).is_dir():
        return Finding("ok", "no collection yet")
    return Finding("ok", "no run, and none unfinished")


def _published(settings: Settings) -> Generation | None:
    return read_current(settings.data_dir / settings.collection)
