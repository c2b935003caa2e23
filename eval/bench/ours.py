"""frugal-rag on benchmark documents, by the path that a question really takes."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from eval.bench.shown import Shown
from eval.datasets import Case
from ingest.chunk import Chunker, chunk_document
from rag.adapters.edge_index import EdgeIndex
from rag.adapters.edge_layout import IndexConfig
from rag.bm25 import document_vector
from rag.build import build_analyzer, build_pipeline, build_splitter, build_tokenizer
from rag.pipeline import Pipeline
from rag.protocols import Embedder, IndexReader
from rag.results import Question
from rag.settings import Settings
from rag.terms import indexed_text
from rag.types import Chunk, Document, Filter, Point

STOPPING = ", stopping early"
_BATCH = 500


@dataclass(frozen=True, slots=True)
class FrugalSystem:
    """frugal-rag at one budget [tokens] and one value of the dial; 0 fills the budget."""

    name: str
    pipeline: Pipeline
    tenant: str
    budget_tokens: int
    frugality: float = 0.0

    @property
    def setting(self) -> str:
        """The budget, and the dial where it is not 0."""
        dial = f", frugality {self.frugality:g}" if self.frugality else ""
        return f"budget {self.budget_tokens}{dial}"

    def show(self, case: Case) -> Shown:
        """Return the context exactly as a generator would read it."""
        where = Filter(self.tenant)
        deadline = time.monotonic() + 60
        question = Question(case.text, where, self.budget_tokens, deadline, self.frugality)
        context = self.pipeline.retrieve(question).context
        documents = frozenset(
            doc_id
            for evidence in context.evidence
            for doc_id in (evidence.chunk.doc_id, *evidence.chunk.also_in)
        )
        return Shown(context.text, context.tokens, documents)


def chunked(documents: Iterable[Document], settings: Settings) -> tuple[Chunk, ...]:
    """Return the chunks of all documents."""
    return tuple(chunk_stream(documents, settings))


def chunk_stream(documents: Iterable[Document], settings: Settings) -> Iterator[Chunk]:
    """Yield the chunks of all documents as they come."""
    chunker = Chunker(build_tokenizer(settings), build_splitter(), settings.chunk_tokens)
    for document in documents:
        yield from chunk_document(document, chunker)


def built_index(
    path: Path, chunks: Sequence[Chunk], embedder: Embedder | None, tenant: str
) -> EdgeIndex:
    """Return a new Edge index of the chunks in the directory ``path``; neural with an embedder."""
    analyzer = build_analyzer()
    terms = [analyzer.terms(indexed_text(chunk)) for chunk in chunks]
    mean_length = max(1.0, math.fsum(map(len, terms)) / max(1, len(terms)))
    index = EdgeIndex.create(path, IndexConfig(_dimension(embedder, chunks)))
    for start in range(0, len(chunks), _BATCH):
        batch = zip(chunks[start : start + _BATCH], terms[start : start + _BATCH], strict=True)
        index.upsert(
            [
                Point(
                    tenant,
                    chunk,
                    document_vector(words, mean_length),
                    embedder.embed_passage(chunk) if embedder else None,
                )
                for chunk, words in batch
            ]
        )
    index.commit()
    return index


def systems(
    index: IndexReader, settings: Settings, embedder: Embedder | None, budgets: Sequence[int]
) -> list[FrugalSystem]:
    """Return frugal-rag over an index at each budget."""
    pipeline = build_pipeline(settings, index, lambda: None, embedder)
    name = f"frugal-rag {settings.tier}"
    return [FrugalSystem(name, pipeline, settings.tenant, budget) for budget in budgets]


def stopping(systems: Iterable[FrugalSystem], frugalities: Iterable[float]) -> list[FrugalSystem]:
    """Return each system at each value of the dial, named as stopping early."""
    values = tuple(frugalities)
    return [
        replace(system, name=f"{system.name}{STOPPING}", frugality=value)
        for system in systems
        for value in values
    ]


def _dimension(embedder: Embedder | None, chunks: Sequence[Chunk]) -> int | None:
    if embedder is None or not chunks:
        return None
    return int(embedder.embed_passage(chunks[0]).passage.shape[0])
