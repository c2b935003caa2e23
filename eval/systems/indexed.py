"""From documents to an index in one folder: the chunks, terms and vectors that ingest stores.

Without its files, workers and near-duplicates: what is measured here is the way of a question.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from eval.datasets import Dataset, Text
from ingest.chunk import Chunker, chunk_document
from ingest.load.registry import load_document
from rag.adapters.edge_index import EdgeIndex
from rag.adapters.edge_layout import IndexConfig
from rag.bm25 import document_vector
from rag.build import build_analyzer, build_splitter, build_tokenizer
from rag.protocols import Embedder
from rag.settings import Settings
from rag.terms import indexed_text
from rag.types import Block, Chunk, Document, Point

_BATCH = 500


def documents(dataset: Dataset) -> Iterator[Document]:
    """Yield a set's documents: its files as ingest reads them, or one for each text.

    Raises:
        LoadError: A file cannot be read.
    """
    if dataset.documents is None:
        yield from (single(text) for text in dataset.texts)
        return
    for path in sorted(p for p in dataset.documents.rglob("*") if p.is_file()):
        yield load_document(path, path.relative_to(dataset.documents).as_posix())


def single(text: Text) -> Document:
    """Return a text of a corpus as a document of its own."""
    blocks = (Block(0, len(text.text), "paragraph"),)
    return Document(text.id, text.title, text.text, blocks, "text/plain")


def chunked(given: Iterable[Document], settings: Settings) -> tuple[Chunk, ...]:
    """Return the chunks of all documents."""
    return tuple(chunk_stream(given, settings))


def chunk_stream(given: Iterable[Document], settings: Settings) -> Iterator[Chunk]:
    """Yield the chunks of all documents as they come."""
    chunker = Chunker(build_tokenizer(settings), build_splitter(), settings.chunk_tokens)
    for document in given:
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


def _dimension(embedder: Embedder | None, chunks: Sequence[Chunk]) -> int | None:
    if embedder is None or not chunks:
        return None
    return int(embedder.embed_passage(chunks[0]).passage.shape[0])
