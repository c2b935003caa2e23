"""An answer against the gold answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from eval.metrics.words import normalised


def exact_match(answer: str, golds: Collection[str]) -> bool:
    """Return whether the answer equals any gold answer after normalisation."""
    return any(normalised(answer) == normalised(gold) for gold in golds)


def token_f1(answer: str, golds: Collection[str]) -> float:
    """Return the best F1 of words against any gold answer, in [0, 1].

    ``2 P R / (P + R)`` over the multisets of normalised words; two empty answers are equal.

    Source: ``f1_score`` of the SQuAD v1.1 evaluation script (Rajpurkar et al. 2016).
    """
    return max((_f1(normalised(answer).split(), normalised(g).split()) for g in golds), default=0.0)


def _f1(answer: list[str], gold: list[str]) -> float:
    if not answer or not gold:
        return float(answer == gold)
    common = sum((Counter(answer) & Counter(gold)).values())
    return 2 * common / (len(answer) + len(gold))
