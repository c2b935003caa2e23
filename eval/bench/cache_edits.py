"""A corpus that is edited while questions are asked: answers change, texts go, others come."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from eval.bench.corpora import Corpus
from eval.datasets import Case
from eval.systems.indexed import built_index, chunked
from rag.bm25 import document_vector
from rag.build import build_analyzer
from rag.cache.values import Said
from rag.protocols import Embedder
from rag.settings import Settings
from rag.terms import indexed_text
from rag.types import Block, Chunk, Document, Point

_MEAN_LENGTH = 100.0  # terms; of edited chunks, whose weights need not be exact


class EditedCorpus:
    """Documents in an index; each edit is another generation."""

    def __init__(self, corpus: Corpus, path: Path, embedder: Embedder, settings: Settings) -> None:
        self.cases = [case for case in corpus.cases if case.answers]
        self.generation = 1
        self.edits = 0
        self._documents = {document.id: document for document in corpus.documents}
        self._settings = settings
        self._embedder = embedder if settings.tier == "neural" else None
        self._analyzer = build_analyzer()
        chunks = chunked(corpus.documents, settings)
        self._chunks: dict[str, list[Chunk]] = {}
        for chunk in chunks:
            self._chunks.setdefault(chunk.doc_id, []).append(chunk)
        path.mkdir()
        self.index = built_index(path, chunks, self._embedder, settings.tenant)

    def holds(self, said: Said) -> bool:
        """Return whether all that is cited still stands where it was."""
        texts = {document.id: document.text for document in self._documents.values()}
        return all(texts.get(c.doc_id, "")[c.start : c.end] == c.quote for c in said.citations)

    def edit(self, draw: random.Random, cases: Sequence[Case]) -> None:
        """Change one document for a question that is often asked, or write a new one."""
        case = cases[min(int(draw.expovariate(0.05)), len(cases) - 1)]
        other = draw.choice(cases).answers[0]
        kind = draw.choice(("another answer", "without it", "a new document", "another title"))
        gold = self._documents.get(case.gold[0][0])
        if gold is None:
            return
        answer = case.answers[0]
        if kind == "a new document":
            self._put(_single(f"update {self.edits}", f"{case.text.rstrip('?')}: {other}."))
        elif kind == "another title":
            self._put(replace(gold, title=f"{gold.title} (edition {self.edits})"))
        else:
            self._put(_changed(gold, answer, other if kind == "another answer" else ""))
        self.edits += 1
        self.generation += 1

    def _put(self, document: Document) -> None:
        tenant = self._settings.tenant
        fresh = {chunk.id: chunk for chunk in chunked([document], self._settings)}
        gone = [c.id for c in self._chunks.get(document.id, ()) if c.id not in fresh]
        self.index.delete(tenant, gone)
        self.index.upsert([self._point(chunk) for chunk in fresh.values()])
        self.index.commit()
        self._chunks[document.id] = list(fresh.values())
        self._documents[document.id] = document

    def _point(self, chunk: Chunk) -> Point:
        words = document_vector(self._analyzer.terms(indexed_text(chunk)), _MEAN_LENGTH)
        vectors = self._embedder.embed_passage(chunk) if self._embedder else None
        return Point(self._settings.tenant, chunk, words, vectors)


def _single(doc_id: str, text: str) -> Document:
    return Document(doc_id, "Update", text, (Block(0, len(text), "paragraph"),), "text/plain")


def _changed(document: Document, old: str, new: str) -> Document:
    """Return a document with one string replaced, its paragraphs where they were."""
    blocks, parts, at = [], [], 0
    for block in document.blocks:
        text = document.text[block.start : block.end].replace(old, new)
        blocks.append(replace(block, start=at, end=at + len(text)))
        parts.append(text)
        at += len(text) + 2
    return replace(document, text="\n\n".join(parts), blocks=tuple(blocks))
