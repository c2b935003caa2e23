"""Vectors for chunks that were ingested without: most asked for first, as many as are allowed.

What is embedded goes into the cache by content before anything is published, so a run that is
interrupted costs nothing: the next one finds it there. Publishing is that of a sync.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import TypeAlias

from ingest.build import Toolkit
from ingest.duplicates import chunks_of
from ingest.generate import GenerationMaker, shape_change
from ingest.indexing import Allowance, EmbeddingCounts, Vectorizer
from ingest.manifest import Manifest
from ingest.progress import Progress
from ingest.publish import prune, writing
from ingest.report import ChunkRate, StageCost, chunk_rate, cost_lines
from ingest.vectors import VECTORS, VectorStore
from rag.demand import DEMAND, forget_demand, read_demand
from rag.errors import IndexStateError, UsageError, ValueRangeError
from rag.generation import Generation, read_current
from rag.results import Impact
from rag.types import Interval

_Points: TypeAlias = tuple[tuple[str, str], ...]  # tenant, chunk id

_BATCH = 256


@dataclass(frozen=True, slots=True)
class EmbedRequest:
    """How much is to be embedded: at most so many chunks, for so long [s], only those asked for."""

    limit: int | None = None
    seconds: float | None = None
    asked_only: bool = False

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise ValueRangeError("embed limit [chunks]", self.limit, "use 1 or more")
        if self.seconds is not None and not self.seconds > 0:
            raise ValueRangeError("embed time [s]", self.seconds, "use more than 0")

    def allowance(self) -> Allowance:
        """Return what may be embedded from now on."""
        if self.seconds is None:
            return Allowance(self.limit)
        return Allowance(self.limit, time.monotonic() + self.seconds)


@dataclass(frozen=True, slots=True)
class EmbedReport:
    """The result of one run, for one tenant.

    ``embedded`` were computed, ``cached`` found; ``waiting`` have no vectors still, ``asked`` of
    them were needed by questions. ``cpu_seconds`` is that of embedding alone [s]; ``joules`` is
    that of ``impact``. ``sci`` is for the chunks that got vectors.
    """

    collection: str
    tenant: str
    generation: int
    chunks: int
    embedded: int
    waiting: int
    asked: int
    cpu_seconds: float
    stages: tuple[StageCost, ...]
    joules: Interval | None
    impact: Impact
    sci: ChunkRate
    cached: int = 0
    published: bool = False
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return the report as one JSON object on one line."""
        return json.dumps(asdict(self))

    def to_text(self) -> str:
        """Return the report as people read it."""
        state = "published" if self.published else "unchanged"
        place = f"collection {self.collection}, tenant {self.tenant}"
        done = f"{self.embedded:,} embedded ({self.cpu_seconds:.1f} s of CPU)"
        have = f"{self.chunks - self.waiting:,} of {self.chunks:,} chunks have vectors"
        lines = [
            f"Generation {self.generation} {state} ({place})",
            f"  vectors     {done}, {self.cached:,} from the cache",
            f"  now         {have}, {self.waiting:,} wait, {self.asked:,} of them asked for",
        ]
        lines += cost_lines(self.stages, self.impact, self.sci)
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def embed(request: EmbedRequest, toolkit: Toolkit, progress: Progress) -> EmbedReport:
    """Embed chunks of a tenant that wait for vectors, and publish them.

    Raises:
        UsageError: Nothing is published, or the tier has no vectors.
        IndexStateError: Another run holds the collection, the current generation is damaged or
            made with other settings.
        RagError: Embedding failed; what is done is in the cache.
    """
    directory, tenant = toolkit.collection_dir, toolkit.settings.tenant
    with writing(directory):
        current = _checked(read_current(directory), toolkit)
        task = _Task(request, toolkit, current, read_demand(directory / DEMAND, tenant))
        counts, ready = _embedded(task, progress)
        generation = current
        if ready:
            generation = GenerationMaker(toolkit, current, progress).fill(ready)
            prune(directory, toolkit.settings.keep_generations)
        report = _report(task, generation, counts, progress)
    return replace(
        report,
        cached=len(ready) - counts.embedded,
        published=bool(ready),
        sci=chunk_rate(report.impact, len(ready)),
    )


def _report(
    task: _Task, generation: Generation, counts: EmbeddingCounts, progress: Progress
) -> EmbedReport:
    """Return how things stand now, and forget the demand that is met."""
    settings, asked = task.toolkit.settings, task.asked
    with Manifest.read(generation.manifest_path) as manifest:
        waiting = {chunk_id for _, chunk_id in manifest.unembedded(settings.tenant)}
        chunks = manifest.totals(settings.tenant).chunks
    demand = task.toolkit.collection_dir / DEMAND
    forget_demand(demand, settings.tenant, asked.keys() - waiting)
    impact = progress.impact()
    return EmbedReport(
        collection=settings.collection,
        tenant=settings.tenant,
        generation=generation.number,
        chunks=chunks,
        embedded=counts.embedded,
        waiting=len(waiting),
        asked=len(waiting & asked.keys()),
        cpu_seconds=round(counts.cpu_seconds, 3),
        stages=progress.costs,
        joules=impact.joules,
        impact=impact,
        sci=chunk_rate(impact, counts.embedded),
    )


@dataclass(frozen=True, slots=True)
class _Task:
    request: EmbedRequest
    toolkit: Toolkit
    current: Generation
    asked: dict[str, int]

    def order(self, waiting: _Points) -> _Points:
        """Return what is to be embedded, most asked for first."""
        asked, only = self.asked, self.request.asked_only
        wanted = [point for point in waiting if not only or point[1] in asked]
        return tuple(sorted(wanted, key=lambda point: (-asked.get(point[1], 0), point)))


def _checked(current: Generation | None, toolkit: Toolkit) -> Generation:
    if current is None:
        raise UsageError("nothing is published", toolkit.collection_dir, "run rag-ingest sync PATH")
    if toolkit.dense is None:
        tier = toolkit.settings.tier
        raise UsageError("this tier has no vectors", tier, "set the tier that sync was run with")
    change = shape_change(current, toolkit)
    if change is not None:
        remedy = "set tier and index as at the last sync, or run rag-ingest sync PATH"
        raise IndexStateError("generation was made with other settings", change, remedy)
    return current


def _embedded(task: _Task, progress: Progress) -> tuple[EmbeddingCounts, _Points]:
    """Embed what is wanted; returns also all waiting points whose vectors are known by now."""
    toolkit = task.toolkit
    with (
        Manifest.read(task.current.manifest_path) as manifest,
        VectorStore(toolkit.collection_dir / VECTORS) as store,
    ):
        vectorizer = toolkit.vectorizer(store)
        if vectorizer is None:
            raise AssertionError("checked before")
        waiting = tuple(manifest.unembedded(toolkit.settings.tenant))
        wanted = task.order(waiting)
        total = min(task.request.limit or len(wanted), len(wanted))
        with progress.stage("embed", total, "chunks") as advance:
            chunks = (chunk for _, chunk in chunks_of(manifest, wanted))
            counts = vectorizer.complete(chunks, advance, task.request.allowance())
        return counts, tuple(_ready(manifest, waiting, vectorizer))


def _ready(
    manifest: Manifest, points: _Points, vectorizer: Vectorizer
) -> Iterator[tuple[str, str]]:
    remaining = chunks_of(manifest, points)
    while batch := list(islice(remaining, _BATCH)):
        known = vectorizer.known([chunk for _, chunk in batch])
        yield from ((tenant, chunk.id) for tenant, chunk in batch if chunk.id in known)
