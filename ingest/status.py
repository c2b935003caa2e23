"""What a collection holds right now, read without changing it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from ingest.deadletter import DeadLetter, read_letters
from ingest.manifest import Manifest
from ingest.publish import list_generations
from rag.demand import DEMAND, read_demand
from rag.generation import Generation, IndexShape, read_current
from rag.labels import Labels
from rag.settings import Settings


@dataclass(frozen=True, slots=True)
class Status:
    """The published generation, one tenant's part of it, and its files that are not in it.

    ``generation`` is None if nothing is published; ``generations`` are all that are kept.
    ``waiting`` chunks have no vectors yet, ``asked`` of them were needed by questions. ``labelled``
    documents are not for everybody; ``access`` has the rules of files and folders by path.
    """

    collection: str
    tenant: str
    generation: int | None
    created: str | None
    shape: IndexShape | None
    documents: int
    chunks: int
    tokens: int
    waiting: int
    asked: int
    duplicates: int
    labelled: int
    access: dict[str, Labels]
    generations: tuple[int, ...]
    failures: tuple[DeadLetter, ...]
    skipped: int

    def to_json(self) -> str:
        """Return the status as one JSON object on one line."""
        return json.dumps(asdict(self))

    def to_text(self) -> str:
        """Return the status as people read it."""
        place = f"collection {self.collection}, tenant {self.tenant}"
        if self.generation is None or self.shape is None:
            return "\n".join([f"Nothing is published yet ({place})", *self._failure_lines()])
        vectors = self.shape.embedder or "none"
        cut = f"tokenizer {self.shape.tokenizer}, at most {self.shape.chunk_tokens} tokens"
        lines = [
            f"Generation {self.generation} of {self.created} ({place})",
            f"  documents   {self.documents:,}",
            f"  chunks      {self.chunks:,} ({self.tokens:,} tokens), {self.duplicates:,} repeated",
            f"  made with   tier {self.shape.tier}, vectors {vectors}, {cut}",
            *self._vector_lines(),
            *self._access_lines(),
            f"  kept        {', '.join(map(str, self.generations))}",
        ]
        return "\n".join([*lines, *self._failure_lines()])

    def _vector_lines(self) -> list[str]:
        if not self.waiting:
            return []
        share = (self.chunks - self.waiting) / self.chunks
        wait = f"{self.waiting:,} wait for rag-ingest embed, {self.asked:,} of them asked for"
        return [f"  embedded    {share:.0%} of the chunks; {wait}"]

    def _access_lines(self) -> list[str]:
        if not (self.labelled or self.access):
            return []
        return [f"  labelled    {self.labelled:,} documents are not for everybody"] + [
            f"  access      {path}: {', '.join(labels) or 'everybody'}"
            for path, labels in self.access.items()
        ]

    def _failure_lines(self) -> list[str]:
        lines = [f"  not indexed {len(self.failures):,} failed, {self.skipped:,} skipped"]
        return lines + [
            f"failed: {item.path}: {item.error}: {item.cause}" for item in self.failures
        ]


def collection_status(settings: Settings) -> Status:
    """Return the state of the configured collection and tenant.

    Raises:
        IndexStateError: The current generation is missing or damaged.
    """
    directory = settings.data_dir / settings.collection
    current = read_current(directory)
    letters = [x for x in read_letters(directory) if x.tenant == settings.tenant]
    with _manifest(current) as manifest:
        totals = manifest.totals(settings.tenant)
        labelled = sum(bool(record.access) for record in manifest.documents(settings.tenant))
        access = dict(manifest.access_rules(settings.tenant).by_path)
        waiting = {chunk_id for _, chunk_id in manifest.unembedded(settings.tenant)}
    asked = read_demand(directory / DEMAND, settings.tenant)
    return Status(
        collection=settings.collection,
        tenant=settings.tenant,
        generation=current.number if current else None,
        created=current.created if current else None,
        shape=current.shape if current else None,
        documents=totals.documents,
        chunks=totals.chunks,
        tokens=totals.tokens,
        waiting=len(waiting),
        asked=len(waiting & asked.keys()),
        duplicates=totals.occurrences - totals.chunks,
        labelled=labelled,
        access=access,
        generations=list_generations(directory),
        failures=tuple(letter for letter in letters if letter.status == "failed"),
        skipped=sum(letter.status == "skipped" for letter in letters),
    )


def _manifest(current: Generation | None) -> Manifest:
    return Manifest.read(current.manifest_path) if current else Manifest.empty()
