"""The published embedded generation brought to a Qdrant server: copied, checked, published there.

Vectors and terms are copied as the index has them: nothing is embedded again. Points go up in the
order of the manifest and may go up twice, since equal chunks have equal ids. Killed at any point,
the embedded generation stays published and the next push goes on where this one stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Protocol, TypeAlias
from uuid import UUID

from ingest.agreement import Agreement, Asking, Budgets, HeardIndex, Side, compare
from ingest.duplicates import chunks_of
from ingest.indexing import WritableIndex, in_batches
from ingest.manifest import Manifest
from ingest.pending import Pending
from ingest.progress import Progress
from ingest.publish import next_number, prune, publish, stage, writing
from ingest.push_note import PushNote, end_note, read_note, write_note
from ingest.push_report import PushReport
from rag.errors import ConflictError, IndexStateError, UsageError, ValueRangeError
from rag.generation import Generation, IndexShape, ReaderSlot, read_current, sharding_of
from rag.payload import point_id
from rag.protocols import IndexReader
from rag.settings import Settings
from rag.types import Filter, Point, StoredChunk

_Points: TypeAlias = Iterable[tuple[str, str]]  # tenant, chunk id
_WORD_FOR_WORD = 200


class SourceIndex(IndexReader, Protocol):
    """An embedded index that gives its points as they are."""

    def points(self, tenant: str, chunk_ids: Sequence[str]) -> tuple[Point, ...]:
        """Return one tenant's points with their vectors, in any order."""

    def close(self) -> None:
        """Release what it holds."""


class TargetIndex(WritableIndex, Protocol):
    """An index on a server that tells all that it holds."""

    def stored_ids(self) -> Iterator[tuple[str, UUID]]:
        """Yield tenant and id of all points there are."""

    def discard(self, tenant: str, ids: Sequence[UUID]) -> None:
        """Remove points of one tenant."""


@dataclass(frozen=True, slots=True)
class PushRequest:
    """How it is checked, and whether a collection that is there already may be taken over.

    ``questions`` are asked of both indexes, which have to share at least ``agreement`` of the
    passages that are fetched for them.
    """

    questions: int = 50
    agreement: float = 0.9
    replace: bool = False

    def __post_init__(self) -> None:
        if self.questions < 0:
            raise ValueRangeError("questions to compare", self.questions, "use 0 or more")
        if not 0 <= self.agreement <= 1:
            raise ValueRangeError("agreement", self.agreement, "use a share from 0 to 1")


@dataclass(frozen=True, slots=True)
class PushKit:
    """What a push works with.

    ``open_target`` makes the server's collection where it is missing. ``asking`` returns how an
    index of this shape is asked; ``embedder`` names what it makes of questions, None if nothing.
    """

    settings: Settings
    embedder: str | None
    open_source: Callable[[Path], SourceIndex]
    open_target: Callable[[int | None], TargetIndex]
    asking: Callable[[IndexReader, IndexShape], Asking]

    @property
    def collection_dir(self) -> Path:
        """Where the collection is stored."""
        return self.settings.data_dir / self.settings.collection

    @property
    def target(self) -> str:
        """Name of the collection on the server."""
        return f"{self.settings.server_url} {self.settings.collection}"


def push(request: PushRequest, kit: PushKit, progress: Progress) -> PushReport:
    """Copy the published generation of all tenants to the server and publish it as the server's.

    Raises:
        UsageError: Nothing is published, or it is on a server already.
        ConflictError: The server's collection holds something, and was not to be replaced.
        IndexStateError: Another run holds the collection, the generation is damaged, or the
            server's index does not hold the same or does not answer alike; nothing was published.
        BackendError: The server failed, refused, or did not answer in time.
    """
    directory = kit.collection_dir
    with writing(directory):
        current = _checked(read_current(directory), kit)
        with _opened(kit, current) as task:
            with progress.stage("copy", current.chunks, "chunks") as advance:
                copied = task.copy(_begun(request, task), advance)
            with progress.stage("verify"):
                discarded = task.reconcile()
                task.verify()
            with progress.stage("compare"):
                agreement = _agreed(request, task)
        with progress.stage("publish"):
            generation = _published(kit, current)
        prune(directory, kit.settings.keep_generations)
    impact = progress.impact()
    return PushReport(
        collection=kit.settings.collection,
        target=kit.target,
        generation=generation.number,
        chunks=current.chunks,
        copied=copied,
        discarded=discarded,
        agreement=agreement,
        stages=progress.costs,
        impact=impact,
    )


@dataclass(frozen=True, slots=True)
class _Task:
    kit: PushKit
    current: Generation
    source: SourceIndex
    target: TargetIndex
    manifest: Manifest

    def copy(self, note: PushNote, advance: Callable[[int], object]) -> int:
        """Copy what the note does not say is there; returns how many chunks."""
        copied, done = 0, 0
        for tenant, ids in _by_tenant(self.manifest.point_ids()):
            for batch in in_batches(ids):
                left = [chunk_id for chunk_id in batch if (tenant, chunk_id) > note.reached]
                self._bring(tenant, left)
                copied, done = copied + len(left), done + len(batch)
                if left:
                    reached = replace(note, tenant=tenant, chunk=left[-1])
                    write_note(self.kit.collection_dir, reached)
                advance(len(batch))
        self.target.commit()
        return copied

    def reconcile(self) -> int:
        """Make the server hold exactly the manifest's points; returns how many others it held."""
        expected = {point_id(*point) for point in self.manifest.point_ids()}
        missing, strays = set(expected), dict[str, list[UUID]]()
        for tenant, key in self.target.stored_ids():
            missing.discard(key)
            if key not in expected:
                strays.setdefault(tenant, []).append(key)
        for tenant, keys in strays.items():
            self.target.discard(tenant, keys)
        lost = (point for point in self.manifest.point_ids() if point_id(*point) in missing)
        for tenant, ids in _by_tenant(lost):
            for batch in in_batches(ids):
                self._bring(tenant, batch)
        return sum(map(len, strays.values()))

    def verify(self) -> None:
        """Check that the server holds as many chunks of each tenant, and a sample word for word."""
        for tenant, ids in _by_tenant(self.manifest.point_ids()):
            expected, held = sum(1 for _ in ids), self.target.count(Filter(tenant))
            if held != expected:
                raise _differs(f"{held} chunks of tenant {tenant} instead of {expected}")
        for tenant, ids in _by_tenant(self.sample(_WORD_FOR_WORD)):
            named = list(ids)
            here, there = self.source.fetch(tenant, named), self.target.fetch(tenant, named)
            if [*map(_content, here)] != [*map(_content, there)]:
                raise _differs(f"chunks of tenant {tenant} are missing or altered")

    def sample(self, size: int) -> _Points:
        """Return about so many points, evenly over all."""
        step = max(1, self.current.chunks // max(1, size))
        return (point for at, point in enumerate(self.manifest.point_ids()) if at % step == 0)

    def _bring(self, tenant: str, chunk_ids: Sequence[str]) -> None:
        points = self.source.points(tenant, chunk_ids)
        if len(points) < len(chunk_ids):
            lacking = f"{len(chunk_ids) - len(points)} chunks of tenant {tenant}"
            raise IndexStateError("embedded index lacks chunks", lacking, "run rag-ingest sync")
        if points:
            self.target.upsert(points)


def _checked(current: Generation | None, kit: PushKit) -> Generation:
    if current is None:
        remedy = "run rag-ingest sync PATH first"
        raise UsageError("nothing is published", kit.collection_dir, remedy)
    if current.shape.index != "edge":
        remedy = "there is nothing to push; run rag-ingest sync with index = server"
        raise UsageError("it is on a server already", f"generation {current.number}", remedy)
    if current.shape.embedder is not None and kit.embedder not in (None, current.shape.embedder):
        remedy = "set tier to lexical for the comparison, or sync again first"
        raise IndexStateError("it has another embedder's vectors", current.shape.embedder, remedy)
    current.verify_manifest()
    return current


@contextmanager
def _opened(kit: PushKit, current: Generation) -> Iterator[_Task]:
    slot = ReaderSlot.take(kit.collection_dir)
    if slot is None:
        raise AssertionError("read before, and nobody else may write")
    with (
        slot,
        Manifest.read(current.manifest_path) as manifest,
        closing(kit.open_source(slot.path)) as source,
        closing(kit.open_target(current.shape.dimension)) as target,
    ):
        yield _Task(kit, current, source, target, manifest)


def _begun(request: PushRequest, task: _Task) -> PushNote:
    """Return how far an earlier push of the same came; a new one may not meet anything."""
    directory, target = task.kit.collection_dir, task.kit.target
    note, fresh = read_note(directory), PushNote(target, task.current.identity)
    ours = note is not None and note.target == target
    if not (ours or request.replace) and any(True for _ in task.target.stored_ids()):
        remedy = "name another collection, or give --replace: what it holds is removed"
        raise ConflictError("the server's collection is not empty", target, remedy)
    if note is not None and ours and note.identity == fresh.identity:
        return note
    write_note(directory, fresh)
    return fresh


def _agreed(request: PushRequest, task: _Task) -> Agreement:
    settings = task.kit.settings
    budgets = Budgets(
        settings.budget_tokens, settings.max_question_chars, 2 * settings.deadline_seconds
    )
    points = tuple(task.sample(request.questions)) if request.questions else ()
    here, there = HeardIndex(task.source), HeardIndex(task.target)
    asking, shape = task.kit.asking, task.current.shape
    agreement = compare(
        Side(here, asking(here, shape)),
        Side(there, asking(there, shape)),
        chunks_of(task.manifest, points),
        budgets,
    )
    if agreement.passages < request.agreement:
        shared = f"{agreement.passages:.1%} of passages shared, {request.agreement:.0%} asked for"
        remedy = "use fewer shards or no quantization, or ask for less with --agreement"
        raise IndexStateError("the server's index answers otherwise", shared, remedy)
    return agreement


def _published(kit: PushKit, current: Generation) -> Generation:
    directory, sharding = kit.collection_dir, sharding_of(kit.settings.server_own_shards)
    draft = replace(
        current,
        path=stage(directory, current),
        number=next_number(directory),
        parent=current.number,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        shape=replace(current.shape, index="server", sharding=sharding),
        digest="",
        index_digest="",
    )
    generation = publish(directory, draft, frozenset(), frozenset())
    end_note(directory)
    Pending(directory).end()
    return generation


def _by_tenant(points: _Points) -> Iterator[tuple[str, Iterator[str]]]:
    for tenant, theirs in groupby(points, key=lambda point: point[0]):
        yield tenant, (chunk_id for _, chunk_id in theirs)


def _content(stored: StoredChunk) -> tuple[object, bytes]:
    vectors = stored.sentence_vectors
    return stored.chunk, b"" if vectors is None else vectors.tobytes()


def _differs(value: str) -> IndexStateError:
    remedy = "push again; if it stays so, remove the server's collection first"
    return IndexStateError("the server's index does not hold the same", value, remedy)
