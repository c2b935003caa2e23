"""What a value of the dial means: recall lost and tokens saved against filling the budget.

The price of a token is ``scale * frugality ** power``. Both are fitted on the even questions of
each set; what each value of the dial then costs is reported on the odd ones.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from eval.bench import ours
from eval.bench.corpora import SEED, Corpus, corpora
from eval.bench.indexes import temporary_index
from eval.bench.packings import recorded
from eval.bench.records import CACHE, RESULTS, provenance, table, write_record
from eval.bench.vectors import cached
from eval.metrics.words import answer_recall
from eval.statistics import Estimate, mean_estimate, paired_difference
from eval.systems.indexed import chunked
from eval.systems.subjects import neural
from rag.build import build_tokenizer
from rag.pack import TokenAllowance
from rag.protocols import Embedder, IndexReader, Tokenizer
from rag.settings import Settings, load_settings
from rag.worth import price

VALUES = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
BUDGETS = (256, 512)
CORPORA = ("squad_small", "nq_pooled", "hotpotqa_400")
_QUESTIONS = 600
_TIERS = ("lexical", "neural")
_POWERS = tuple(p / 20 for p in range(10, 41))
_KEPT_COUNTS = 200_000


@dataclass(frozen=True, slots=True)
class Packed:
    """One budget and one value of the dial on all questions of a set, in their order."""

    corpus: str
    tier: str
    budget_tokens: int
    frugality: float
    hits: tuple[bool, ...]
    tokens: tuple[int, ...]

    def half(self, which: int) -> Packed:
        """Return the even (0) or odd (1) questions."""
        hits, tokens = self.hits[which::2], self.tokens[which::2]
        return Packed(self.corpus, self.tier, self.budget_tokens, self.frugality, hits, tokens)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a value of the dial costs and saves; ``loss`` is paired with frugality 0.

    ``saved`` is the share of the tokens that frugality 0 takes.
    """

    corpus: str
    tier: str
    budget_tokens: int
    frugality: float
    recall: float
    loss: Estimate
    tokens: float
    saved: float


@dataclass(frozen=True, slots=True)
class Law:
    """``price = scale * frugality ** power``; ``misfit`` is its squared error over its value."""

    scale: float
    power: float
    misfit: float

    def loss(self, price_of_token: float) -> float:
        """Return the recall that this price is expected to lose."""
        return float((price_of_token / self.scale) ** (1 / self.power))


class RememberedTokenizer:
    """A tokenizer that counts each text once; a ``Tokenizer`` itself."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.name = tokenizer.name
        self.count: Callable[[str], int] = lru_cache(_KEPT_COUNTS)(tokenizer.count)


def bench(data: Path, *, quick: bool) -> None:
    """Measure, print the fit and the tables, and leave ``frugality.json``.

    A whole run leaves it in ``eval/bench/results``, a quick one in the cache folder.
    """
    origin = provenance()
    packed = list(_all_packed(data, 200 if quick else _QUESTIONS))
    seen = meanings([each.half(0) for each in packed])
    unseen = meanings([each.half(1) for each in packed])
    fits = {"one constant": fit(seen, (1.0,)), "two constants": fit(seen, _POWERS)}
    for name, law in fits.items():
        print(f"{name}: price = {law.scale:.3g} * frugality ** {law.power:.2f}, ", end="")
        print(f"misfit {law.misfit:.4f} on the seen half, {misfit(law, unseen):.4f} on the unseen")
    print(f"to paste into rag/worth.py: _LOSS_PER_PRICE = {1 / fits['one constant'].scale:.1f}")
    print(f"as it stands: price(0.01) = {price(0.01):.3g}, price(0.1) = {price(0.1):.3g}\n")
    print(means_table(unseen))
    print()
    print(meanings_table(unseen))
    body = {
        "seed": SEED,
        "questions_at_most": _QUESTIONS,
        "fits": {name: asdict(law) for name, law in fits.items()},
        "unseen": [asdict(meaning) for meaning in unseen],
    }
    write_record("frugality", origin | body, CACHE if quick else RESULTS)


def meanings(packed: Sequence[Packed]) -> list[Meaning]:
    """Return what each value does against frugality 0 of the same set, tier and budget."""
    full = {(p.corpus, p.tier, p.budget_tokens): p for p in packed if p.frugality == 0}
    return [
        _meaning(each, full[each.corpus, each.tier, each.budget_tokens])
        for each in packed
        if each.frugality > 0
    ]


def _meaning(each: Packed, full: Packed) -> Meaning:
    tokens, filled = _mean(each.tokens), _mean(full.tokens)
    return Meaning(
        corpus=each.corpus,
        tier=each.tier,
        budget_tokens=each.budget_tokens,
        frugality=each.frugality,
        recall=_mean(each.hits),
        loss=paired_difference(full.hits, each.hits, SEED),
        tokens=tokens,
        saved=1 - tokens / filled,
    )


def fit(measured: Sequence[Meaning], powers: Sequence[float]) -> Law:
    """Return the law with the least misfit."""
    laws = []
    for power in powers:
        # Prices at which a dial of 0.05 would stand, in steps of 2 %.
        for at in np.geomspace(price(min(VALUES)), price(max(VALUES)), 250):
            scale = float(at) / 0.05**power
            laws.append(Law(scale, power, misfit(Law(scale, power, 0.0), measured)))
    return min(laws, key=lambda law: law.misfit)


def misfit(law: Law, measured: Sequence[Meaning]) -> float:
    """Return the mean of ``(measured - expected) ** 2 / expected``: a loss varies as it is."""
    terms = [
        (meaning.loss.mean - expected) ** 2 / expected
        for meaning in measured
        if (expected := law.loss(price(meaning.frugality))) < 1
    ]
    return _mean(terms) if len(terms) == len(measured) else float("inf")


def means_table(measured: Sequence[Meaning]) -> str:
    """Return, for each value of the dial, the mean over the sets and the range of their losses."""
    header = ("frugality", "budget", "recall lost, mean", "range over sets", "tokens saved")
    rows = []
    for budget in BUDGETS:
        for value in VALUES:
            same = [m for m in measured if (m.frugality, m.budget_tokens) == (value, budget)]
            losses = [m.loss.mean for m in same]
            bounds = f"{min(losses):.3f} to {max(losses):.3f}"
            saved = f"{_mean([m.saved for m in same]):.0%}"
            rows.append((value, budget, f"{_mean(losses):.3f}", bounds, saved))
    return table(header, rows)


def meanings_table(measured: Sequence[Meaning]) -> str:
    """Return a row for every measurement."""
    header = ("corpus", "tier", "budget", "frugality", "recall", "lost", "95 %", "tokens", "saved")
    return table(
        header,
        [
            (
                *(m.corpus, m.tier, m.budget_tokens, m.frugality, f"{m.recall:.3f}"),
                *(f"{m.loss.mean:.3f}", f"{m.loss.low:.3f} to {m.loss.high:.3f}"),
                *(f"{m.tokens:.0f}", f"{m.saved:.0%}"),
            )
            for m in measured
        ],
    )


def _all_packed(data: Path, questions: int) -> Iterator[Packed]:
    settings = {tier: load_settings(tier=tier) for tier in _TIERS}
    embedder = cached(neural(settings["neural"]))
    loaders = corpora(data, questions)
    for name in CORPORA:
        corpus = loaders[name]()
        chunks = chunked(corpus.documents, settings["neural"])
        for tier in _TIERS:
            used = embedder if tier == "neural" else None
            with temporary_index(chunks, used, settings[tier].tenant) as index:
                yield from dialled(corpus, index, settings[tier], used)
        embedder.flush()
        print(f"{name}: done", file=sys.stderr, flush=True)


def dialled(
    corpus: Corpus, index: IndexReader, settings: Settings, embedder: Embedder | None
) -> Iterator[Packed]:
    """Yield what each budget does at frugality 0 and at each of ``VALUES``.

    Each question is looked up once a budget, by the path that a question really takes.
    """
    tokenizer = RememberedTokenizer(build_tokenizer(settings))
    for system in ours.systems(index, settings, embedder, BUDGETS):
        budget = system.budget_tokens
        allowed = {value: TokenAllowance(budget, price(value)) for value in (0.0, *VALUES)}
        hits: dict[float, list[bool]] = {value: [] for value in allowed}
        tokens: dict[float, list[int]] = {value: [] for value in allowed}
        for case in corpus.cases:
            with recorded() as packings:
                system.show(case)
            packer, passages, need = packings[-1]
            packer = replace(packer, tokenizer=tokenizer)
            ranked = packer.ranked(passages, need)
            for value, allowance in allowed.items():
                context = packer.packed(ranked, need, allowance)
                hits[value].append(answer_recall(context.text, case.answers))
                tokens[value].append(context.tokens)
        for value in allowed:
            pair = tuple(hits[value]), tuple(tokens[value])
            yield Packed(corpus.name, settings.tier, budget, value, *pair)


def _mean(values: Sequence[float]) -> float:
    return mean_estimate(values, SEED, resamples=1).mean
