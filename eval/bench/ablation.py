"""What each part of finding and packing earns: the same questions with one part taken out.

What a sentence is weighed by is taken apart by ``weights``, typos and identifiers by ``wording``,
stopping early by ``frugality``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from eval.bench.corpora import SEED, Corpus, corpora
from eval.bench.indexes import temporary_index
from eval.bench.records import CACHE, RESULTS, provenance, table, write_record
from eval.bench.vectors import cached
from eval.metrics.words import answer_recall
from eval.statistics import paired_difference
from eval.systems.indexed import chunked
from eval.systems.subjects import neural
from rag import worth
from rag.build import build_pipeline
from rag.fuse import min_max
from rag.pipeline import Pipeline
from rag.results import Question
from rag.settings import Settings, load_settings
from rag.types import Filter, Hit
from rag.worth import Worth

_SETS = ("squad_small", "nq_pooled", "hotpotqa_400")
# Budget [tokens] and frugality: two hard budgets, and a context that stops by itself.
_POINTS = ((64, 0.0), (128, 0.0), (512, 0.04))
_RRF_K = 60  # Source: Cormack et al. 2009, "Reciprocal Rank Fusion", section 2.
_Legs = Sequence[Hit]
_Ways = tuple[AbstractContextManager[Any], ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """One corpus at one point: which questions' contexts hold an answer, and their mean tokens."""

    hits: tuple[bool, ...]
    tokens: float

    @property
    def recall(self) -> float:
        """The share of questions whose context holds an answer."""
        return sum(self.hits) / len(self.hits)


def bench(data: Path, *, quick: bool) -> None:
    """Print recall with everything and without each part; leave ``ablation.json``."""
    origin = provenance()
    rows: list[tuple[str, ...]] = []
    for name in _SETS[:1] if quick else _SETS:
        rows += _rows(corpora(data, 200 if quick else 1000)[name]())
    points = [f"{budget} tokens" if not f else f"stopping at {f:g}" for budget, f in _POINTS]
    print(table(("corpus", "without", *points), rows))
    body = {"seed": SEED, "points": _POINTS, "rows": rows}
    write_record("ablation", origin | body, CACHE if quick else RESULTS)


def _rows(corpus: Corpus) -> list[tuple[str, ...]]:
    settings = load_settings(tier="neural")
    embedder = cached(neural(settings))
    chunks = chunked(corpus.documents, settings)
    with temporary_index(chunks, embedder, settings.tenant) as index:
        pipeline = build_pipeline(settings, index, lambda: None, embedder)
        whole = _measured(corpus, pipeline, settings)
        rows = [(corpus.name, "nothing", *(_shown(one) for one in whole))]
        for label, ways in _PARTS.items():
            with ExitStack() as stack:
                for way in ways():
                    stack.enter_context(way)
                without = _measured(corpus, pipeline, settings)
            cells = (_compared(a, b) for a, b in zip(without, whole, strict=True))
            rows.append((corpus.name, label, *cells))
    embedder.flush()
    return rows


def _measured(corpus: Corpus, pipeline: Pipeline, settings: Settings) -> list[Measured]:
    found = []
    for budget, frugality in _POINTS:
        hits, tokens = [], 0
        for case in corpus.cases:
            where, deadline = Filter(settings.tenant), time.monotonic() + 60
            question = Question(case.text, where, budget, deadline, frugality)
            context = pipeline.retrieve(question).context
            hits.append(answer_recall(context.text, case.answers))
            tokens += context.tokens
        found.append(Measured(tuple(hits), tokens / len(corpus.cases)))
    return found


def _shown(measured: Measured) -> str:
    return f"{measured.recall:.3f} / {measured.tokens:.0f}"


def _compared(without: Measured, whole: Measured) -> str:
    paired = paired_difference(without.hits, whole.hits, SEED)
    return f"{_shown(without)} ({paired.mean:+.3f}, {paired.low:+.3f} to {paired.high:+.3f})"


def _evenly(offered: Sequence[Worth]) -> list[float]:
    """Return shares with one weight of coverage for all questions: that at a cosine of 0.6."""
    known = [w.cosine for w in offered if w.cosine is not None]
    ratio = 0.4 / max(1e-6, 1.0 - max(0.0, *known)) if known else 1.0
    return worth.shares(
        [Worth(w.passage, w.cosine, w.coverage * ratio, w.kind, w.link) for w in offered]
    )


def _reciprocal(dense: _Legs, sparse: _Legs, *_: object) -> list[Hit]:
    """Return the ranking by reciprocal rank fusion, in [0, 1]."""
    scores: dict[str, float] = {}
    for leg in (dense, sparse):
        for rank, hit in enumerate(leg, start=1):
            scores[hit.chunk_id] = scores.get(hit.chunk_id, 0.0) + 1 / (_RRF_K + rank)
    fused = min_max([Hit(*pair) for pair in scores.items()])
    return sorted((Hit(*pair) for pair in fused.items()), key=lambda h: (-h.score, h.chunk_id))


def _stretched(dense: _Legs, sparse: _Legs, *_: object) -> list[Hit]:
    """Return the ranking by the mean of both legs' min-max scores."""
    by_dense, by_sparse = min_max(dense), min_max(sparse)
    fused = [
        Hit(i, (by_dense.get(i, 0.0) + by_sparse.get(i, 0.0)) / 2)
        for i in by_dense.keys() | by_sparse.keys()
    ]
    return sorted(fused, key=lambda h: (-h.score, h.chunk_id))


def _put(target: str, value: object) -> Callable[[], _Ways]:
    return lambda: (patch(target, value),)


_PARTS: dict[str, Callable[[], _Ways]] = {
    "what the best sentences name": _put("rag.pack.pointed_to", lambda *_: frozenset()),
    "kind of thing asked for": _put("rag.pack.fitting", lambda _: lambda _: 0.0),
    "doubt as weight of coverage": _put("rag.pack.shares", _evenly),
    "the sentence leaned on": _put("rag.pack.leans_on", lambda *_: None),
    "leaving out what is said twice": _put("rag.pack._said", lambda *_: False),
    "titles and headings": _put("rag.pack.Packer._header", lambda *_: ""),
    "unstretched cosines (min-max instead)": _put("rag.retrieve.fuse", _stretched),
    "scores in fusion (RRF instead)": _put("rag.retrieve.fuse", _reciprocal),
}
