"""A ranking of documents against the gold documents."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from rag.errors import ValueRangeError


def recall_at(ranking: Sequence[str], gold: Collection[str], k: int) -> float:
    """Return the share of gold ids among the first ``k`` of the ranking.

    Raises:
        ValueRangeError: There is no gold id, or k is below 1.
    """
    _check(gold, k)
    return len(set(ranking[:k]) & set(gold)) / len(set(gold))


def ndcg_at(ranking: Sequence[str], grades: Mapping[str, int], k: int = 10) -> float:
    """Return nDCG@k in [0, 1] with gain ``grade`` and discount ``1 / log2(rank + 1)``.

    Source: Järvelin and Kekäläinen 2002, with linear gain as in trec_eval's ``ndcg_cut``.

    Raises:
        ValueRangeError: There is no gold id, or k is below 1.
    """
    _check(grades, k)
    found = _dcg([grades.get(doc, 0) for doc in dict.fromkeys(ranking)][:k])
    return found / _dcg(sorted(grades.values(), reverse=True)[:k])


def _dcg(gains: Sequence[int]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))


def reciprocal_rank(ranking: Sequence[str], gold: Collection[str]) -> float:
    """Return 1 / rank of the first gold id, 0 where there is none; its mean is the MRR."""
    _check(gold, 1)
    return next((1 / rank for rank, doc in enumerate(ranking, start=1) if doc in gold), 0.0)


def _check(gold: Collection[str], k: int) -> None:
    if not gold:
        raise ValueRangeError("gold documents", 0, "leave questions without gold out")
    if k < 1:
        raise ValueRangeError("cutoff k", k, "use 1 or more")
