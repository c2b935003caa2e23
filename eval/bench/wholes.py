"""Whole passages by BM25 alone, packed to a budget: the only importer of rank_bm25 here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eval.bench.shown import Shown
from eval.datasets import Case
from rag.protocols import Analyzer, Tokenizer
from rag.terms import indexed_text
from rag.types import Chunk

_TRIED = 50  # passages: more never fit into the budgets measured


@dataclass(frozen=True, slots=True)
class Ranked:
    """BM25 over chunks with the tools that pack them."""

    bm25: Any
    chunks: Sequence[Chunk]
    analyzer: Analyzer
    tokenizer: Tokenizer

    def best(self, question: str) -> list[Chunk]:
        """Return the best chunks, best first."""
        scores = self.bm25.get_scores(self.analyzer.terms(question))
        order = (-scores).argsort(kind="stable")[:_TRIED]
        return [self.chunks[i] for i in order]


@dataclass(frozen=True, slots=True)
class WholeSystem:
    """The best chunks by rank-bm25, each whole, as long as they fit into the budget [tokens]."""

    ranked: Ranked
    budget_tokens: int
    name: str = "rank-bm25, whole passages"

    @property
    def setting(self) -> str:
        """The budget."""
        return f"budget {self.budget_tokens}"

    def show(self, case: Case) -> Shown:
        """Return the passages that fit, joined by blank lines."""
        chosen: list[Chunk] = []
        for chunk in self.ranked.best(case.text):
            text = "\n\n".join(c.text for c in [*chosen, chunk])
            if self.ranked.tokenizer.count(text) <= self.budget_tokens:
                chosen.append(chunk)
        text = "\n\n".join(chunk.text for chunk in chosen)
        documents = frozenset(chunk.doc_id for chunk in chosen)
        return Shown(text, self.ranked.tokenizer.count(text), documents)


def ranked(chunks: Sequence[Chunk], analyzer: Analyzer, tokenizer: Tokenizer) -> Ranked:
    """Return rank-bm25's index over what the lexical leg of frugal-rag indexes too."""
    from rank_bm25 import BM25Okapi

    return Ranked(
        BM25Okapi([analyzer.terms(indexed_text(c)) for c in chunks]), chunks, analyzer, tokenizer
    )
