"""Whether two indexes of the same chunks answer alike: questions out of them, asked of both."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import TypeAlias

from rag import access
from rag.protocols import IndexReader
from rag.results import Question, Retrieved
from rag.types import Chunk, Filter, Hit, SearchHits, SearchQuery, StoredChunk

Asking: TypeAlias = Callable[[Question], Retrieved]

_FIRST = 10
_SHOWN = 5
_SHORTEST = 20  # characters: less is hardly a question


@dataclass(frozen=True, slots=True)
class Agreement:
    """How alike they answer, as shares in [0, 1].

    ``contexts`` are packed contexts that are the same word for word; ``passages`` is the mean share
    of the fetched passages that both have, ``words`` and ``vectors`` that of the first ten of each
    leg. ``differing`` names chunks whose questions got another context.
    """

    questions: int
    contexts: float
    passages: float
    words: float
    vectors: float | None
    differing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Budgets:
    """What each question may use: tokens of its context, characters, and time [s]."""

    tokens: int
    characters: int
    seconds: float

    def question(self, text: str, tenant: str) -> Question:
        """Return a question of one tenant, asked now."""
        where, until = access.narrowed(Filter(tenant)), time.monotonic() + self.seconds
        return Question(text, where, self.tokens, until)


class HeardIndex:
    """An ``IndexReader`` that remembers what was found and fetched since it was last cleared."""

    def __init__(self, index: IndexReader) -> None:
        self._index = index
        self.found: list[SearchHits] = []
        self.fetched: list[str] = []

    def clear(self) -> None:
        """Forget it."""
        self.found.clear()
        self.fetched.clear()

    def search(self, query: SearchQuery) -> SearchHits:
        """Return both legs' best chunks; see ``IndexReader.search``."""
        hits = self._index.search(query)
        self.found.append(hits)
        return hits

    def fetch(self, tenant: str, chunk_ids: Sequence[str]) -> tuple[StoredChunk, ...]:
        """Return chunks by id; see ``IndexReader.fetch``."""
        self.fetched += chunk_ids
        return self._index.fetch(tenant, chunk_ids)

    def count(self, where: Filter) -> int:
        """Return the number of chunks; see ``IndexReader.count``."""
        return self._index.count(where)


@dataclass(frozen=True, slots=True)
class _Heard:
    """What came of one question: the context, the ids of its passages, the legs' first ten."""

    context: str
    passages: tuple[str, ...]
    words: tuple[str, ...]
    vectors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two: its index, and how questions are asked of it."""

    index: HeardIndex
    ask: Asking

    def heard(self, question: Question) -> _Heard:
        """Return what came of a question."""
        self.index.clear()
        text = self.ask(question).context.text
        first = self.index.found[0] if self.index.found else SearchHits((), (), {})
        passages = tuple(dict.fromkeys(self.index.fetched))
        return _Heard(text, passages, _first(first.sparse), _first(first.dense))


def compare(
    one: Side, other: Side, chunks: Iterable[tuple[str, Chunk]], budgets: Budgets
) -> Agreement:
    """Return how alike two indexes answer one question out of each chunk, given with its tenant.

    Raises:
        RagError: One of them cannot be asked.
    """
    pairs: list[tuple[_Heard, _Heard]] = []
    differing: list[str] = []
    for tenant, chunk in chunks:
        question = budgets.question(question_of(chunk, budgets.characters), tenant)
        if len(question.text) < _SHORTEST:
            continue
        pairs.append((one.heard(question), other.heard(question)))
        if pairs[-1][0].context != pairs[-1][1].context:
            differing.append(chunk.id)
    dense = [(left.vectors, right.vectors) for left, right in pairs]
    return Agreement(
        questions=len(pairs),
        contexts=_mean([left.context == right.context for left, right in pairs]),
        passages=_mean([shared(left.passages, right.passages) for left, right in pairs]),
        words=_mean([shared(left.words, right.words) for left, right in pairs]),
        vectors=_mean([shared(*both) for both in dense]) if any(map(any, dense)) else None,
        differing=tuple(differing[:_SHOWN]),
    )


def question_of(chunk: Chunk, most_characters: int) -> str:
    """Return the longest sentence of a chunk that may be asked, its beginning if none may."""
    spans = chunk.sentences
    sentences = [chunk.text[span.start : span.end].strip() for span in spans] or [chunk.text]
    fitting = [sentence for sentence in sentences if len(sentence) <= most_characters]
    return max(fitting, key=len, default=sentences[0][:most_characters])


def shared(left: Sequence[str], right: Sequence[str]) -> float:
    """Return the share of the longer of two lists of different ids that stands in both."""
    longer = max(len(left), len(right))
    return len(set(left) & set(right)) / longer if longer else 1.0


def _first(hits: Sequence[Hit]) -> tuple[str, ...]:
    """Return the ids of the first ten, and of all that score as the tenth does."""
    if len(hits) <= _FIRST:
        return tuple(hit.chunk_id for hit in hits)
    end = next(
        (at for at, (a, b) in enumerate(pairwise(hits), 1) if at >= _FIRST and a.score != b.score),
        len(hits),
    )
    return tuple(hit.chunk_id for hit in hits[:end])


def _mean(values: Sequence[float]) -> float:
    return fmean(values) if values else 1.0
