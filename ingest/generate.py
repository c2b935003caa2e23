"""From a plan to a published generation: parse, dedupe, embed, index, verify, publish."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from ingest.build import Toolkit
from ingest.dedupe import NearDuplicates
from ingest.duplicates import (
    PointChanges,
    chunks_of,
    mark_near_duplicates,
    relabel,
    resolve_points,
    stored_chunks,
)
from ingest.indexing import (
    EmbeddingCounts,
    PointMaker,
    Vectorizer,
    delete_points,
    verify,
    write_points,
)
from ingest.intake import Intake, take_in
from ingest.manifest import Manifest
from ingest.pending import Pending
from ingest.plan import Plan, Rules
from ingest.progress import Progress
from ingest.publish import discard_staging, next_number, publish, stage, stage_index
from ingest.vectors import VECTORS, VectorStore
from rag.generation import INDEX, MANIFEST, Generation, IndexShape
from rag.terms import TERMS_VERSION, indexed_text
from rag.types import Chunk

# BM25 weights assume the mean length of a chunk. Within this, the ones that are stored stay: a
# weight changes by less than b = 0.75 times as much.
_MEAN_LENGTH_TOLERANCE = 0.1


@dataclass(frozen=True, slots=True)
class Made:
    """What became of a plan; ``generation`` is None if nothing had to be published."""

    generation: Generation | None
    intake: Intake
    changes: PointChanges
    embedding: EmbeddingCounts
    notes: tuple[str, ...]


def shape_change(current: Generation | None, toolkit: Toolkit) -> str | None:
    """Return why the whole index has to be written anew, None if it need not."""
    if current is None:
        return None
    shape, dense = current.shape, toolkit.dense
    if shape.index != toolkit.settings.index:
        return f"the index moves from {shape.index} to {toolkit.settings.index}"
    if shape.sharding != toolkit.sharding:
        return f"tenants with shards of their own are {toolkit.sharding or 'none'} from now on"
    if shape.terms != TERMS_VERSION:
        return "index terms changed with the release: all chunks get theirs anew"
    if shape.embedder != (dense.fingerprint if dense else None):
        return f"tier or embedder changed from {shape.tier}: all chunks get their vectors anew"
    return None


def awaits_vectors(current: Generation | None, toolkit: Toolkit) -> bool:
    """Return whether chunks wait for vectors that a run with these settings embeds at once."""
    if current is None or toolkit.dense is None:
        return False
    return current.unembedded > 0 and toolkit.settings.vectors == "now"


class GenerationMaker:
    """Makes one generation out of the current one and a plan."""

    def __init__(self, toolkit: Toolkit, current: Generation | None, progress: Progress) -> None:
        self._toolkit = toolkit
        self._settings = toolkit.settings
        self._dir = toolkit.collection_dir
        self._current = current
        self._progress = progress
        self._pending = Pending(self._dir)

    def make(self, plan: Plan, rules: Rules, roots: tuple[str, ...]) -> Made:
        """Carry out a plan; returns what was published, or that nothing had to be.

        Raises:
            RagError: The generation could not be made; the current one stays.
        """
        with self._staged() as (staging, manifest):
            manifest.add_roots(rules.tenant, roots)
            ruled = _remember_access(manifest, plan, rules.tenant)
            intake = self._take_in(manifest, plan, replace(rules, access=plan.access))
            changes = self._resolve(manifest, rules.tenant)
            rebuild = self._rebuild_reason(manifest)
            notes = (rebuild,) if rebuild else ()
            edited = ruled or intake.documents or intake.emptied or plan.edits
            awaited = awaits_vectors(self._current, self._toolkit)
            if not (edited or changes or rebuild or awaited or self._pending.exists()):
                discard_staging(self._dir)
                return Made(None, intake, changes, EmbeddingCounts(), ())
            embeds = self._settings.vectors == "now"
            whole = rebuild is not None or self._current is None
            shape, counts = self._index(manifest, changes, whole=whole, embeds=embeds)
            draft = self._draft(manifest, staging, shape)
        generation = self._publish(draft, changes)
        return Made(generation, intake, changes, counts, notes)

    def fill(self, points: tuple[tuple[str, str], ...]) -> Generation:
        """Publish the current generation with vectors for points whose vectors the cache holds.

        Their text stays as it is, so the generation names no chunk as added or removed.

        Raises:
            RagError: The generation could not be made; the current one stays.
        """
        with self._staged() as (staging, manifest):
            changes = PointChanges(upserted=points, replaced=points, deleted=())
            shape, _ = self._index(manifest, changes, whole=False, embeds=False)
            draft = self._draft(manifest, staging, shape)
        return self._publish(draft, PointChanges((), (), ()))

    @contextmanager
    def _staged(self) -> Iterator[tuple[Path, Manifest]]:
        """Hand out the folder of the generation in the making, and its manifest."""
        self._toolkit.check_index()
        staging = stage(self._dir, self._current)
        with closing(Manifest.write(staging / MANIFEST)) as manifest:
            yield staging, manifest

    def _take_in(self, manifest: Manifest, plan: Plan, rules: Rules) -> Intake:
        for doc_id, path in plan.moved:
            manifest.move_document(rules.tenant, doc_id, path)
        for doc_id in (*plan.removed, *sorted(plan.withdrawn)):
            manifest.remove_document(rules.tenant, doc_id)
        gone = {*plan.removed}
        for record, labels in plan.relabelled:
            if record.doc_id not in gone:
                relabel(manifest, rules.tenant, record, labels)
        with self._progress.stage("parse", len(plan.tasks), "files") as advance:
            return take_in(manifest, plan.tasks, rules, self._toolkit, advance)

    def _resolve(self, manifest: Manifest, tenant: str) -> PointChanges:
        analyzer = self._toolkit.make_analyzer()

        def count_terms(chunk: Chunk) -> int:
            return len(analyzer.terms(indexed_text(chunk)))

        def known() -> NearDuplicates:
            return NearDuplicates(self._settings.near_duplicate_similarity)

        with self._progress.stage("dedupe"):
            drop = self._settings.drop_near_duplicates
            mark_near_duplicates(manifest, tenant, known, drop=drop)
            return resolve_points(manifest, count_terms)

    def _rebuild_reason(self, manifest: Manifest) -> str | None:
        changed = shape_change(self._current, self._toolkit)
        if changed or self._current is None:
            return changed
        old, new = self._current.shape.mean_length, _mean_length(manifest)
        if abs(new - old) > _MEAN_LENGTH_TOLERANCE * old:
            return f"mean chunk length moved from {old:.1f} to {new:.1f} terms: all weights anew"
        return None

    def _index(
        self, manifest: Manifest, changes: PointChanges, *, whole: bool, embeds: bool
    ) -> tuple[IndexShape, EmbeddingCounts]:
        manifest.forget_vectors(everything=whole)
        if embeds:
            changes = _with_waiting(manifest, changes)
        if self._settings.index == "server":
            changes = self._pending.begin(manifest, changes, whole=whole)
        with VectorStore(self._dir / VECTORS) as store:
            vectorizer = self._toolkit.vectorizer(store)
            counts = EmbeddingCounts()
            if embeds:
                counts = self._embed(manifest, changes, vectorizer, whole=whole)
            shape = self._shape(manifest, vectorizer, whole=whole)
            analyzer = self._toolkit.make_analyzer()
            maker = PointMaker(analyzer, shape.mean_length, vectorizer, may_wait=not embeds)
            self._write(manifest, changes, maker, shape if whole else None)
        if vectorizer and not embeds:
            counts = EmbeddingCounts(cached=_with_vectors(manifest, changes, whole=whole))
        return shape, counts

    def _embed(
        self,
        manifest: Manifest,
        changes: PointChanges,
        vectorizer: Vectorizer | None,
        *,
        whole: bool,
    ) -> EmbeddingCounts:
        if vectorizer is None:
            return EmbeddingCounts()
        total = manifest.totals().chunks if whole else len(changes.upserted)
        chunks = (chunk for _, chunk in self._chunks(manifest, changes, whole=whole))
        with self._progress.stage("embed", total, "chunks") as advance:
            return vectorizer.complete(chunks, advance)

    def _write(
        self,
        manifest: Manifest,
        changes: PointChanges,
        maker: PointMaker,
        new_shape: IndexShape | None,
    ) -> None:
        path = self._dir / "staging" / INDEX
        whole = new_shape is not None
        total = manifest.totals().chunks if whole else len(changes.upserted)
        with self._progress.stage("index", total, "chunks") as advance:
            if self._current is not None and not whole and self._settings.index == "edge":
                stage_index(path.parent, self._current)
            dimension = new_shape.dimension if new_shape else self._dimension()
            with closing(self._toolkit.open_index(path, dimension)) as index:
                chunks = self._chunks(manifest, changes, whole=whole)
                write_points(index, chunks, maker, manifest, advance)
                delete_points(index, changes.deleted)
                index.commit()
        with (
            self._progress.stage("verify"),
            closing(self._toolkit.open_index(path, dimension)) as index,
        ):
            verify(index, manifest, changes, maker)

    def _chunks(
        self, manifest: Manifest, changes: PointChanges, *, whole: bool
    ) -> Iterator[tuple[str, Chunk]]:
        return stored_chunks(manifest) if whole else chunks_of(manifest, changes.upserted)

    def _dimension(self) -> int | None:
        return self._current.shape.dimension if self._current else None

    def _shape(
        self, manifest: Manifest, vectorizer: Vectorizer | None, *, whole: bool
    ) -> IndexShape:
        settings, dense = self._settings, self._toolkit.dense
        old = None if whole or self._current is None else self._current.shape
        return IndexShape(
            index=settings.index,
            tier=settings.tier,
            embedder=dense.fingerprint if dense else None,
            dimension=old.dimension if old else self._measured_dimension(manifest, vectorizer),
            tokenizer=settings.tokenizer,
            chunk_tokens=settings.chunk_tokens,
            mean_length=old.mean_length if old else _mean_length(manifest),
            terms=TERMS_VERSION,
            sharding=self._toolkit.sharding,
        )

    def _measured_dimension(self, manifest: Manifest, vectorizer: Vectorizer | None) -> int | None:
        dense = self._toolkit.dense
        if vectorizer is None or dense is None:
            return None
        if dense.dimension is not None:
            return dense.dimension
        for _, chunk in islice(stored_chunks(manifest), 1):
            for vectors in vectorizer.known([chunk]).values():
                return len(vectors.passage)
        return len(dense.make_embedder().embed_question("dimension"))

    def _draft(self, manifest: Manifest, staging: Path, shape: IndexShape) -> Generation:
        totals = manifest.totals()
        return Generation(
            path=staging,
            number=next_number(self._dir),
            parent=self._current.number if self._current else None,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            shape=shape,
            documents=totals.documents,
            chunks=totals.chunks,
            tokens=totals.tokens,
            digest="",
            unembedded=len(manifest.unembedded()),
        )

    def _publish(self, draft: Generation, changes: PointChanges) -> Generation:
        with self._progress.stage("publish"):
            generation = publish(
                self._dir,
                draft,
                added=_ids(changes.upserted),
                removed=_ids((*changes.replaced, *changes.deleted)),
            )
            self._pending.end()
        return generation


def _remember_access(manifest: Manifest, plan: Plan, tenant: str) -> bool:
    """Write down the rules of a plan; returns whether they are others."""
    if manifest.access_rules(tenant) == plan.access:
        return False
    manifest.set_access_rules(tenant, plan.access)
    return True


def _with_waiting(manifest: Manifest, changes: PointChanges) -> PointChanges:
    waiting = set(manifest.unembedded())
    if not waiting:
        return changes
    return replace(changes, upserted=tuple(sorted(waiting.union(changes.upserted))))


def _with_vectors(manifest: Manifest, changes: PointChanges, *, whole: bool) -> int:
    """Return how many of the points just written have vectors."""
    waiting = set(manifest.unembedded())
    if whole:
        return manifest.totals().chunks - len(waiting)
    return len(set(changes.upserted) - waiting)


def _mean_length(manifest: Manifest) -> float:
    totals = manifest.totals()
    # Without any chunk or any term every positive number is as good.
    return max(1.0, totals.terms / max(1, totals.chunks))


def _ids(points: Iterable[tuple[str, str]]) -> frozenset[str]:
    return frozenset(chunk_id for _, chunk_id in points)
