"""How well a score tells supported from unsupported: fits, measures and their intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from eval.bench.logistic import Matrix, fit_binary
from rag.errors import ValueRangeError

_CLASS_WEIGHT = 250.0  # of a set's supported, and of its unsupported responses, in all


@dataclass(frozen=True, slots=True)
class Within:
    """A measure with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


def balanced_accuracy(p: Matrix, right: Matrix, threshold: float = 0.5) -> float:
    """Return the mean of the shares of right ones at the threshold or over it and of wrong under.

    Source: Brodersen et al. 2010, "The Balanced Accuracy and Its Posterior Distribution".

    Raises:
        ValueRangeError: All are right, or all wrong.
    """
    if not 0 < right.mean() < 1:
        raise ValueRangeError("one class only", f"{right.mean():.0%} right", "give both")
    over = p >= threshold
    return float((over[right == 1].mean() + (~over[right == 0]).mean()) / 2)


def ranked_auroc(p: Matrix, right: Matrix) -> float:
    """Return the share of (right, wrong) pairs in the right order, ties by half, from ranks.

    Source: Mann and Whitney 1947; ``U / (n1 n0)`` with the sum of ranks.
    """
    positives = right.sum()
    above = ranks(p)[right == 1].sum() - positives * (positives + 1) / 2
    return float(above / (positives * (len(right) - positives)))


def ranks(values: Matrix) -> Matrix:
    """Return ranks from 1; equal values share their mean rank."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    mean: Matrix = (last - (count - 1) / 2)[place]
    return mean


def rank_correlation(a: Matrix, b: Matrix) -> float:
    """Return Spearman's correlation, with mean ranks for ties.

    Source: Spearman 1904, "The Proof and Measurement of Association between Two Things".
    """
    return float(np.corrcoef(ranks(a), ranks(b))[0, 1])


def best_threshold(score: Matrix, right: Matrix, weight: Matrix) -> float:
    """Return the threshold with most weight on the right side of it; of equals the lowest.

    Only the observed scores are tried: no other threshold does better.
    """
    order = np.argsort(score, kind="stable")
    gain = np.where(right[order] == 1, -weight[order], weight[order])
    # What lies before a threshold counts as wrong: the gain of moving it there from below all.
    before = np.r_[0.0, np.cumsum(gain)[:-1]]
    first = np.r_[True, np.diff(score[order]) > 0]
    return float(score[order][first][np.argmax(before[first])])


def equal_weights(names: Sequence[str], right: Matrix, shares: dict[str, float]) -> Matrix:
    """Return weights under which each set counts by its share (else 1) and its classes the same."""
    sets = np.array(names)
    weight = np.zeros(len(right))
    for name in dict.fromkeys(names):
        for label in (0.0, 1.0):
            inside = (sets == name) & (right == label)
            if inside.any():
                weight[inside] = _CLASS_WEIGHT * shares.get(name, 1.0) / inside.sum()
    return weight


def at_share(p: Matrix, share: float) -> Matrix:
    """Return probabilities made for as many right as wrong ones where ``share`` are right.

    ``share p / (share p + (1 - share) (1 - p))``

    Source: Saerens et al. 2002, "Adjusting the Outputs of a Classifier to New a Priori
    Probabilities", equation 2.4.
    """
    return share * p / (share * p + (1 - share) * (1 - p))


def fit_signed(x: Matrix, y: Matrix, weight: Matrix, signs: Sequence[int]) -> Matrix:
    """Return (intercept, weights) as ``fit_binary`` does, no weight against its sign.

    The one most against it is left out (0), until there is none: what a set lacks cannot turn a
    signal around.
    """
    kept = list(range(x.shape[1]))
    while True:
        beta = fit_binary(x[:, kept], y, weight)
        against = [(beta[i + 1] * signs[k], k) for i, k in enumerate(kept)]
        worst, signal = min(against, default=(0.0, -1))
        if worst >= 0:
            full = np.zeros(x.shape[1] + 1)
            full[[0, *(k + 1 for k in kept)]] = beta
            return full
        kept.remove(signal)


def interval(
    measure: Callable[[Matrix, Matrix], float],
    score: Matrix,
    right: Matrix,
    groups: Sequence[str],
    resamples: int,
) -> Within:
    """Return the measure with its percentile interval over resampled groups.

    Responses to one context are drawn together, since they are alike. Resamples of one class only
    are left out.

    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, sections 8.4 and 13.3.
    """
    _, group = np.unique(np.array(groups), return_inverse=True)
    members = np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group))[:-1])
    draw = np.random.default_rng(0)
    values = []
    for _ in range(resamples):
        chosen = draw.integers(len(members), size=len(members))
        rows = np.concatenate([members[i] for i in chosen])
        if 0 < right[rows].mean() < 1:
            values.append(measure(score[rows], right[rows]))
    low, high = np.percentile(values, [2.5, 97.5])
    return Within(measure(score, right), float(low), float(high))
