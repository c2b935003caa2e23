"""A published collection from chunks that need not lie in files, for measuring the service."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from eval.systems.indexed import built_index
from ingest.manifest import Manifest
from ingest.publish import publish, stage, writing
from rag.build import build_analyzer
from rag.generation import INDEX, MANIFEST, Generation, IndexShape
from rag.protocols import Embedder
from rag.settings import Settings
from rag.terms import TERMS_VERSION, indexed_text
from rag.types import Chunk


def published(settings: Settings, chunks: Sequence[Chunk], embedder: Embedder | None) -> Generation:
    """Publish the chunks as the settings' collection; its manifest names no files.

    Raises:
        IndexStateError: The collection's directory cannot be written.
    """
    collection = settings.data_dir / settings.collection
    with writing(collection):
        staging = stage(collection, None)
        with closing(Manifest.write(staging / MANIFEST)):
            pass
        built_index(staging / INDEX, chunks, embedder, settings.tenant).close()
        draft = _draft(settings, staging, chunks, embedder)
        return publish(collection, draft, frozenset(c.id for c in chunks), frozenset())


def _draft(
    settings: Settings, staging: Path, chunks: Sequence[Chunk], embedder: Embedder | None
) -> Generation:
    analyzer = build_analyzer()
    terms = math.fsum(len(analyzer.terms(indexed_text(chunk))) for chunk in chunks)
    dimension = len(embedder.embed_passage(chunks[0]).passage) if embedder else None
    shape = IndexShape(
        index="edge",
        tier=settings.tier,
        embedder=embedder.fingerprint if embedder else None,
        dimension=dimension,
        tokenizer=settings.tokenizer,
        chunk_tokens=settings.chunk_tokens,
        terms=TERMS_VERSION,
        mean_length=terms / len(chunks),
    )
    return Generation(
        path=staging,
        number=1,
        parent=None,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        shape=shape,
        documents=len({chunk.doc_id for chunk in chunks}),
        chunks=len(chunks),
        tokens=sum(chunk.tokens for chunk in chunks),
        digest="",
    )
