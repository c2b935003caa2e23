"""How likely each sentence is to hold the answer: what the packer spends tokens by.

Each sentence gets a utility, a weighted sum of what speaks for it; the softmax over all sentences
offered makes shares of them, which add up to 1. Divided by its tokens, a share is what a token of
that sentence buys. What speaks for a passage is divided among its sentences: a long passage is no
likelier to hold the answer than a short one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Worth(NamedTuple):
    """What speaks for one sentence.

    ``passage``: fused score of its passage, in [0, 1]; ``cosine``: to the question, None where the
    sentence has no vector; ``coverage``: share of the question's IDF mass in it; ``kind``: 1 if it
    holds the kind of thing asked for, -1 if it does not, 0 if the question names no such kind;
    ``link``: 1 if one of the best sentences names its document, else 0; ``siblings``: number of
    sentences that its passage offers, itself included.
    """

    passage: float
    cosine: float | None
    coverage: float
    kind: float
    link: float = 0.0
    siblings: int = 1


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of the worth's fields in the utility, a log-odds; that of ``siblings`` is given."""

    passage: float
    cosine: float
    coverage: float
    kind: float
    link: float


# Source: fitted by eval/bench/weights.py, rounded (docs/adr/0006-price-of-a-token.md).
NEURAL = Weights(passage=3.5, cosine=5.0, coverage=10.0, kind=1.2, link=3.5)
LEXICAL = Weights(passage=4.5, cosine=0.0, coverage=4.0, kind=1.1, link=3.0)


# Source: fitted by eval/bench/frugality.py: answer recall lost per unit of price against filling
# the budget, over three sets, both tiers and budgets of 256 and 512, which count the same. A power
# of the dial beside it explains hardly more.
_LOSS_PER_PRICE = 70.0


def price(frugality: float) -> float:
    """Return the share that each token has to bring for ``frugality`` of recall to be lost."""
    return frugality / _LOSS_PER_PRICE


def shares(offered: Sequence[Worth]) -> list[float]:
    """Return how likely each sentence is to hold the answer, given that one of them does.

    Where the best cosine is high, the model has understood the question, and the words it shares
    with a sentence say little more: coverage weighs ``1 - best cosine``. A sentence without a
    vector among others that have one is taken to have their mean cosine.
    """
    known = [worth.cosine for worth in offered if worth.cosine is not None]
    if not known:
        return _softmax(_utility(worth, LEXICAL, 0.0, 1.0) for worth in offered)
    usual = math.fsum(known) / len(known)
    doubt = 1.0 - max(0.0, *known)
    return _softmax(
        _utility(worth, NEURAL, usual if worth.cosine is None else worth.cosine, doubt)
        for worth in offered
    )


def _utility(worth: Worth, weights: Weights, cosine: float, doubt: float) -> float:
    return (
        weights.passage * worth.passage
        + weights.cosine * cosine
        + weights.coverage * doubt * worth.coverage
        + weights.kind * worth.kind
        + weights.link * worth.link
        - math.log(worth.siblings)
    )


def _softmax(utilities: Iterable[float]) -> list[float]:
    listed = list(utilities)
    highest = max(listed, default=0.0)
    powers = [math.exp(utility - highest) for utility in listed]
    total = math.fsum(powers)
    return [power / total for power in powers]
