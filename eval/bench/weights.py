"""What the packer weighs sentences by: fitted on one half of each set, shown on the other.

The weights are those under which the sentences that hold an answer have the largest share of the
softmax (a conditional logit), each set counting the same. The table says what each weight earns:
the answer recall at a mean number of tokens, where sentences are taken as long as their share pays
one price for all questions, with all weights fitted and with each left out in turn.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eval.bench.corpora import SEED, corpora
from eval.bench.indexes import temporary_index
from eval.bench.logistic import Matrix, fit_choice
from eval.bench.packings import recorded
from eval.bench.records import CACHE, RESULTS, provenance, table, write_record
from eval.bench.vectors import cached
from eval.datasets import Case
from eval.metrics.words import answer_recall
from eval.systems.indexed import chunked
from rag.build import build_embedder, build_pipeline
from rag.pack import Need, Packer
from rag.results import Passage, Question
from rag.settings import Settings, load_settings
from rag.types import Filter
from rag.worth import LEXICAL, NEURAL, Weights, Worth

_SETS = ("squad_small", "nq_pooled", "hotpotqa_400")
_SIGNS = tuple(field.name for field in fields(Weights))
_BUDGET = 512
_TOKENS = (48, 64, 96, 128, 192)  # means at which recall is read off the curve
_PRICES = np.geomspace(0.0003, 0.03, 24)


@dataclass(frozen=True, slots=True)
class Offers:
    """The sentences offered for one question.

    ``signs``: (sentences, signs) in the order of the weights' fields; ``given``: (sentences,), what
    the utility holds without a weight; ``right``: (sentences,), 1 where one holds an answer;
    ``tokens``: (sentences,).
    """

    signs: Matrix
    given: Matrix
    right: Matrix
    tokens: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Halves:
    """The questions of one set: to fit on, and to report on."""

    name: str
    fitted: tuple[Offers, ...]
    unseen: tuple[Offers, ...]


def bench(data: Path, *, quick: bool) -> None:
    """Print fitted weights, and recall with and without each; leave ``weights.json``."""
    origin = provenance()
    rows: list[tuple[str, ...]] = []
    found: dict[str, list[float]] = {}
    for tier, shipped in (("neural", NEURAL), ("lexical", LEXICAL)):
        sets = [_halves(name, tier, data, 200 if quick else 1000) for name in _SETS]
        fitted = _fit(sets, list(range(len(_SIGNS))))
        found[tier] = [float(weight) for weight in fitted]
        print(f"{tier}: fitted {_written(fitted)}, shipped {_written(_values(shipped))}\n")
        rows += _rows(tier, sets, fitted, shipped)
    header = ("tier", "weights", *(f"{name} at {'/'.join(map(str, _TOKENS))}" for name in _SETS))
    print(table(header, rows))
    body = {"seed": SEED, "tokens": _TOKENS, "signs": _SIGNS, "fitted": found, "rows": rows}
    write_record("weights", origin | body, CACHE if quick else RESULTS)


def _halves(name: str, tier: str, data: Path, questions: int) -> Halves:
    settings = load_settings(tier=tier)
    plain = build_embedder(settings)
    embedder = cached(plain) if plain else None
    corpus = corpora(data, questions)[name]()
    chunks = chunked(corpus.documents, settings)
    with temporary_index(chunks, embedder, settings.tenant) as index:
        pipeline = build_pipeline(settings, index, lambda: None, embedder)
        offers = []
        with recorded() as packed:
            for case in corpus.cases:
                pipeline.retrieve(_question(case, settings))
                offers.append(_offers(case, *packed.pop()))
    if embedder:
        embedder.flush()
    some = [one for one in offers if len(one.right)]
    return Halves(name, tuple(some[0::2]), tuple(some[1::2]))


def _question(case: Case, settings: Settings) -> Question:
    return Question(case.text, Filter(settings.tenant), _BUDGET, time.monotonic() + 60)


def _offers(case: Case, packer: Packer, passages: Sequence[Passage], need: Need) -> Offers:
    ranked = packer.ranked(passages, need)
    texts = [offered.evidence.text for offered in ranked]
    right = [float(answer_recall(text, case.answers)) for text in texts]
    tokens = [packer.tokenizer.count(f" {text}") for text in texts]
    signs = _signs([offered.worth for offered in ranked])
    given = np.array([-math.log(offered.worth.siblings) for offered in ranked])
    return Offers(signs, given, np.array(right), np.array(tokens, dtype=np.int64))


def _signs(offered: Sequence[Worth]) -> Matrix:
    """Return what the weights are multiplied with; see ``rag.worth.shares``."""
    known = [worth.cosine for worth in offered if worth.cosine is not None]
    doubt = 1.0 - max(0.0, *known) if known else 1.0
    usual = math.fsum(known) / len(known) if known else 0.0
    rows = [
        (
            worth.passage,
            usual if worth.cosine is None else worth.cosine,
            doubt * worth.coverage,
            worth.kind,
            worth.link,
        )
        for worth in offered
    ]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(_SIGNS))


def _fit(sets: Sequence[Halves], signs: list[int]) -> Matrix:
    """Return the weights of all signs, 0 for those not in ``signs``."""
    answerable = [[one for one in halves.fitted if one.right.any()] for halves in sets]
    largest = max(map(len, answerable))
    # Repeated, so that each set counts the same.
    every = [one for offers in answerable for one in islice(cycle(offers), largest)]
    weights = np.zeros(len(_SIGNS))
    weights[signs] = fit_choice(
        [(one.signs[:, signs], one.right) for one in every], [one.given for one in every]
    )
    return weights


def _rows(
    tier: str, sets: Sequence[Halves], fitted: Matrix, shipped: Weights
) -> Iterator[tuple[str, ...]]:
    every = list(range(len(_SIGNS)))
    yield tier, "shipped", *(_curve(halves.unseen, _values(shipped)) for halves in sets)
    yield tier, "fitted", *(_curve(halves.unseen, fitted) for halves in sets)
    for sign in every:
        if fitted[sign]:
            without = _fit(sets, [other for other in every if other != sign])
            curves = (_curve(halves.unseen, without) for halves in sets)
            yield tier, f"without {_SIGNS[sign]}", *curves


def _curve(offers: Sequence[Offers], weights: Matrix) -> str:
    """Return recall at each mean number of tokens, read off between prices."""
    points = sorted(_at_price(offers, weights, price) for price in _PRICES)
    tokens, recall = zip(*points, strict=True)
    return " ".join(f"{np.interp(mean, tokens, recall):.3f}" for mean in _TOKENS)


def _at_price(offers: Sequence[Offers], weights: Matrix, price: float) -> tuple[float, float]:
    """Return mean tokens and recall where all is taken that pays, within the budget."""
    spent = hits = 0.0
    for one in offers:
        utilities = one.signs @ weights + one.given
        shares = np.exp(utilities - utilities.max())
        shares /= shares.sum()
        order = np.argsort(-shares, kind="stable")
        pays = order[shares[order] >= price * one.tokens[order]]
        taken = pays[np.cumsum(one.tokens[pays]) <= _BUDGET]
        spent += float(one.tokens[taken].sum())
        hits += float(one.right[taken].any())
    return spent / len(offers), hits / len(offers)


def _values(weights: Weights) -> Matrix:
    return np.array([getattr(weights, sign) for sign in _SIGNS], dtype=np.float64)


def _written(weights: Matrix) -> str:
    return ", ".join(f"{sign}={w:.2f}" for sign, w in zip(_SIGNS, weights, strict=True))
