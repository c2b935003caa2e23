"""The retrieve stage: both legs in one search, fused, the best passages fetched."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from rag.bm25 import query_vector
from rag.fuse import fuse
from rag.protocols import Analyzer, Embedder, IndexReader
from rag.results import Passage, Question
from rag.terms import compounds
from rag.types import Hit, SearchHits, SearchQuery, StoredChunk, Vector

# "How long is the warranty" asks for a duration, not for something long.
_HOW = re.compile(
    r"\bhow (long|many|much|often|far|old|big|large|tall|high|deep|fast|soon|early|late|quickly)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question made ready: its index terms and, in the neural tier, its vector.

    ``optional`` are those terms that are not missed where no document holds them.
    """

    text: str
    terms: tuple[int, ...]
    vector: Vector | None
    optional: frozenset[int] = frozenset()

    @classmethod
    def prepare(cls, text: str, analyzer: Analyzer, embedder: Embedder | None) -> Self:
        """Return the question with its terms, and with its vector if there is an embedder."""
        wording = _HOW.sub("how", text)
        vector = embedder.embed_question(text) if embedder else None
        return cls(text, tuple(analyzer.terms(wording)), vector, compounds(wording, analyzer))


def lead(scores: Sequence[float]) -> float:
    """Return how far the first score is ahead of the second; 1 without a second, 0 of none."""
    if not scores:
        return 0.0
    return scores[0] - scores[1] if len(scores) > 1 else 1.0


@dataclass(frozen=True, slots=True)
class Found:
    """What was found: passages best first, and the corpus IDF of the question's terms.

    ``idf`` holds every term of the question that documents hold, and those that are ``unknown``
    to them, for which it is a lower bound.
    """

    passages: tuple[Passage, ...]
    idf: dict[int, float]
    unknown: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Ranking:
    """The fused ranking of all candidates, not fetched yet; ``idf`` and ``unknown`` as above."""

    hits: tuple[Hit, ...]
    idf: dict[int, float]
    unknown: frozenset[int] = frozenset()

    @property
    def lead(self) -> float:
        """How far the first is ahead of the second."""
        return lead([hit.score for hit in self.hits[:2]])


@dataclass(frozen=True, slots=True)
class Retrieval:
    """How wide to look, how to weigh the legs, and which further steps to take.

    Source of ``rerank_below``: squad_small, nq_pooled and hotpotqa_400, 1,397 questions: reranking
    by MaxSim where the lead is at most 0.25, which is 3 to 6 questions in 10, changes recall at 64
    and 128 tokens as much as reranking all.
    """

    candidates: int
    passages: int
    dense_weight: float
    lexical_if_sure: float = 1.0
    second_hop: bool = True
    rerank_below: float = 0.25

    def passages_for(self, budget_tokens: int) -> int:
        """Return how many passages to fetch: a small budget has no room for many.

        Source: SQuAD development set, 1,000 questions: with 8, 12 and 20 passages recall is .895,
        .895, .897 at 128 tokens, .946, .948, .950 at 256, .965, .967, .972 at 512. The rule gives
        10, 12 and 16 of them; each passage costs about 0.1 ms.
        """
        return min(self.passages, 8 + budget_tokens // 64)


def retrieve(asked: Asked, question: Question, index: IndexReader, settings: Retrieval) -> Found:
    """Return the best passages for a question, within what it may look at."""
    ranking = search(asked, question, index, settings)
    return fetch(ranking, asked, question, index, settings)


def search(asked: Asked, question: Question, index: IndexReader, settings: Retrieval) -> Ranking:
    """Return the fused ranking, within what the question may look at."""
    sparse = query_vector(asked.terms) if asked.terms else None
    if sparse is None and asked.vector is None:
        return Ranking((), {})
    hits = index.search(SearchQuery(question.where, sparse, asked.vector, settings.candidates))
    ranked = fuse(hits.dense, hits.sparse, settings.dense_weight, hits.unembedded)
    unknown = frozenset(asked.terms) - hits.idf.keys() - asked.optional
    return Ranking(tuple(ranked), _idf(hits, unknown), unknown)


def fetch(
    ranking: Ranking, asked: Asked, question: Question, index: IndexReader, settings: Retrieval
) -> Found:
    """Return the best passages of a ranking."""
    best = ranking.hits[: settings.passages_for(question.budget_tokens)]
    scores = {hit.chunk_id: hit.score for hit in best}
    stored = index.fetch(question.where.tenant, list(scores)) if scores else ()
    passages = tuple(passage(chunk, scores[chunk.chunk.id], asked.vector) for chunk in stored)
    return Found(passages, ranking.idf, ranking.unknown)


def passage(stored: StoredChunk, score: float, vector: Vector | None) -> Passage:
    """Return a fetched chunk with its sentences' cosines to the question's ``vector``."""
    if vector is None or stored.sentence_vectors is None:
        return Passage(stored.chunk, score, ())
    cosines = stored.sentence_vectors @ vector
    return Passage(stored.chunk, score, tuple(float(cosine) for cosine in cosines))


def _idf(hits: SearchHits, unknown: frozenset[int]) -> dict[int, float]:
    """Return the IDF of every term asked for that documents hold, and of the unknown ones.

    An unknown term stands in no chunk, a known one in at least one, so by the formula of
    ``rag.bm25.idf`` the unknown one's is higher by ln 3 at the least.
    """
    highest = max(hits.idf.values(), default=0.0) + math.log(3)
    return hits.idf | dict.fromkeys(unknown, highest)
