"""Logistic models: fitted by Newton's method, and how well their probabilities hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Matrix: TypeAlias = NDArray[np.float64]

_RIDGE = 1.0
_NEWTON_STEPS = 30
_BINS = 10


def fit_binary(x: Matrix, y: Matrix, weight: Matrix) -> Matrix:
    """Return (intercept, weights) of largest penalised likelihood.

    Args:
        x: (questions, signals).
        y: (questions,), 1 where right.
        weight: (questions,), how much each counts.
    """
    x = np.c_[np.ones(len(y)), x]
    penalty = np.r_[0.0, np.full(x.shape[1] - 1, _RIDGE)]
    beta = np.zeros(x.shape[1])
    for _ in range(_NEWTON_STEPS):
        p = 1 / (1 + np.exp(-x @ beta))
        slope = x.T @ (weight * (y - p)) - penalty * beta
        bend = (x * (weight * p * (1 - p))[:, None]).T @ x + np.diag(penalty)
        beta += np.linalg.solve(bend, slope)
    return beta


def fit_choice(
    groups: Sequence[tuple[Matrix, Matrix]], offsets: Sequence[Matrix] | None = None
) -> Matrix:
    """Return the weights under which the right candidates of each group are likeliest.

    Each group is ((candidates, signs), (candidates,) with 1 for the right ones, one at least);
    the likelihood is the right ones' share of the group's softmax, penalised. The bend used leaves
    out the right ones' spread, which keeps it positive. ``offsets``, one (candidates,) a group, are
    added to the scores as they are.
    """
    x = np.vstack([signs for signs, _ in groups])
    right = np.concatenate([labels for _, labels in groups])
    sizes = np.array([len(labels) for _, labels in groups])
    starts, group = np.r_[0, np.cumsum(sizes)[:-1]], np.repeat(np.arange(len(sizes)), sizes)
    given = np.zeros(len(x)) if offsets is None else np.concatenate(offsets)
    beta = np.zeros(x.shape[1])
    for _ in range(_NEWTON_STEPS):
        score = x @ beta + given
        odds = np.exp(score - np.maximum.reduceat(score, starts)[group])
        p = odds / np.add.reduceat(odds, starts)[group]
        wanted = odds * right / np.add.reduceat(odds * right, starts)[group]
        mean = np.add.reduceat(x * p[:, None], starts, axis=0)
        bend = x.T @ (x * p[:, None]) - mean.T @ mean + _RIDGE * np.eye(len(beta))
        beta -= np.linalg.solve(bend, x.T @ (p - wanted) + _RIDGE * beta)
    return beta


def auroc(p: Matrix, right: Matrix) -> float | None:
    """Return the share of (right, wrong) pairs in the right order; None without pairs."""
    if not 0 < right.mean() < 1:
        return None
    above = p[right == 1][:, None] - p[right == 0][None, :]
    return float((above > 0).mean() + (above == 0).mean() / 2)


def calibration_error(p: Matrix, right: Matrix) -> float:
    """Return the expected calibration error over ten equal bins.

    Source: Naeini et al. 2015, "Obtaining Well Calibrated Probabilities Using Bayesian Binning".
    """
    return sum(n * abs(said - was) for n, said, was in reliability(p, right) if n) / len(p)


def reliability(p: Matrix, right: Matrix) -> list[tuple[int, float, float]]:
    """Return for each of ten equal bins its size, mean probability and share right."""
    bins = np.minimum((p * _BINS).astype(int), _BINS - 1)
    inside = [bins == b for b in range(_BINS)]
    return [
        (int(b.sum()), float(p[b].mean()), float(right[b].mean())) if b.any() else (0, 0.0, 0.0)
        for b in inside
    ]
