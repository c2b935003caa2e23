"""The score of each response: the product's signals, and three baselines."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eval.bench.attributed import Judged
from eval.bench.logistic import Matrix
from eval.bench.vectors import cached
from rag.adapters.minilm import MiniLmEmbedder
from rag.build import build_analyzer, build_embedder, build_splitter
from rag.claims import statements, word_count
from rag.grounding import StatementScorer
from rag.grounding_signals import Signals
from rag.protocols import Analyzer, Embedder, SentenceSplitter
from rag.settings import load_settings

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Said:
    """One response: its statements' words (n,), signals (n, signals), and 1 where there are any."""

    words: Matrix
    signals: Matrix
    known: Matrix

    @property
    def mean(self) -> Matrix:
        """The mean of its statements' signals by their words; (signals,)."""
        mean: Matrix = self.words @ self.signals / max(self.words.sum(), 1.0)
        return mean

    def share(self, weights: Matrix) -> float:
        """Return what ``rag.claims.grounded_share`` does, for weights (1 + signals,)."""
        p = self.known / (1 + np.exp(-weights[0] - self.signals @ weights[1:]))
        return float(self.words @ p / max(self.words.sum(), 1.0))


@dataclass(frozen=True, slots=True)
class Responses:
    """The signals of all responses, and what it cost to find them."""

    said: Sequence[Said]
    cpu_seconds: float  # a response

    @property
    def mean(self) -> Matrix:
        """The mean signals; (responses, signals)."""
        return np.array([said.mean for said in self.said])

    def share(self, weights: Matrix) -> Matrix:
        """Return the expected shares of support; (responses,)."""
        return np.array([said.share(weights) for said in self.said])


def responses(items: Sequence[Judged], tier: str) -> Responses:
    """Return the signals of all responses as the product makes them.

    Vectors of words are not kept in the cache: they would be a gigabyte, and take two minutes.
    """
    splitter = build_splitter()
    embedder = build_embedder(load_settings(tier=tier))
    scorer = StatementScorer(build_analyzer(), splitter, embedder)
    found: dict[int, Said] = {}
    begun = time.process_time()
    for evidence, places in _by_evidence(items).items():
        said = [statements(items[place].response, splitter) for place in places]
        signals = iter(scorer.signals([s for each in said for s in each], evidence))
        for place, each in zip(places, said, strict=True):
            found[place] = _said(each, [next(signals) for _ in each])
    seconds = (time.process_time() - begun) / len(items)
    return Responses([found[place] for place in range(len(items))], seconds)


def _said(each: Sequence[str], signals: Sequence[Signals | None]) -> Said:
    rows = [found or Signals(*([0.0] * len(Signals._fields))) for found in signals]
    return Said(
        np.array([word_count(statement) for statement in each], dtype=float),
        np.array(rows, dtype=float).reshape(len(rows), len(Signals._fields)),
        np.array([found is not None for found in signals], dtype=float),
    )


def _by_evidence(items: Sequence[Judged]) -> dict[tuple[str, ...], list[int]]:
    places: dict[tuple[str, ...], list[int]] = {}
    for place, item in enumerate(items):
        places.setdefault(item.evidence, []).append(place)
    return places


def baselines(items: Sequence[Judged]) -> dict[str, Matrix]:
    """Return three simple scores of all responses; (responses,) each."""
    analyzer, splitter = build_analyzer(), build_splitter()
    embedder = cached(MiniLmEmbedder())
    scores = {
        "ROUGE-L precision": [rouge_l_precision(i.response, " ".join(i.evidence)) for i in items],
        "coverage only": [_coverage(item, analyzer) for item in items],
        "cosine only": [_cosine(item, embedder, splitter) for item in items],
    }
    embedder.flush()
    return {name: np.array(values) for name, values in scores.items()}


def rouge_l_precision(response: str, evidence: str) -> float:
    """Return the longest common subsequence of words over the words of the response.

    Source: Lin 2004, "ROUGE", equation 3, with the evidence as reference; Hyyrö 2004, "Bit-parallel
    LCS-length computation revisited", for the computation.
    """
    said, known = _WORD.findall(response.lower()), _WORD.findall(evidence.lower())
    if not said:
        return 0.0
    places: dict[str, int] = {}
    for i, word in enumerate(said):
        places[word] = places.get(word, 0) | 1 << i
    every = (1 << len(said)) - 1
    open_places = every
    for word in known:
        match = open_places & places.get(word, 0)
        open_places = ((open_places + match) | (open_places - match)) & every
    return (len(said) - open_places.bit_count()) / len(said)


def _coverage(item: Judged, analyzer: Analyzer) -> float:
    said = set(analyzer.terms(item.response))
    known = {term for text in item.evidence for term in analyzer.terms(text)}
    return len(said & known) / len(said) if said else 0.0


def _cosine(item: Judged, embedder: Embedder, splitter: SentenceSplitter) -> float:
    vector = embedder.embed_question(item.response)
    sentences = (text[s.start : s.end] for text in item.evidence for s in splitter.split(text))
    return max((float(embedder.embed_question(s) @ vector) for s in sentences), default=0.0)
