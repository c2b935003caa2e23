"""A ranking of documents against the gold documents.

A document that stands in a ranking several times counts at its first place; the others are as if
they were not there.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from rag.errors import ValueRangeError


def recall_at(ranking: Sequence[str], gold: Collection[str], k: int) -> float:
    """Return the share of gold ids among the first ``k`` of the ranking, in [0, 1].

    Source: ``recall`` of trec_eval 9.

    Raises:
        ValueRangeError: There is no gold id, or k is below 1.
    """
    _check(gold, k)
    return len(set(_distinct(ranking)[:k]) & set(gold)) / len(set(gold))


def ndcg_at(ranking: Sequence[str], grades: Mapping[str, int], k: int = 10) -> float:
    """Return nDCG@k in [0, 1] with gain ``grade`` and discount ``1 / log2(rank + 1)``.

    Source: Järvelin and Kekäläinen 2002, with linear gain as in trec_eval's ``ndcg_cut``.

    Raises:
        ValueRangeError: There is no gold id, one without a positive grade, or k is below 1.
    """
    _check(grades, k)
    if min(grades.values()) <= 0:
        raise ValueRangeError("grade of a gold document", min(grades.values()), "leave it out")
    found = _dcg([grades.get(doc, 0) for doc in _distinct(ranking)][:k])
    return found / _dcg(sorted(grades.values(), reverse=True)[:k])


def _dcg(gains: Sequence[int]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))


def reciprocal_rank(ranking: Sequence[str], gold: Collection[str]) -> float:
    """Return 1 / rank of the first gold id, 0 where there is none; its mean is the MRR.

    Source: ``recip_rank`` of trec_eval 9.

    Raises:
        ValueRangeError: There is no gold id.
    """
    _check(gold, 1)
    places = enumerate(_distinct(ranking), start=1)
    return next((1 / rank for rank, doc in places if doc in gold), 0.0)


def average_precision(ranking: Sequence[str], gold: Collection[str]) -> float:
    """Return the average precision in [0, 1]; its mean is the MAP.

    The mean over all gold ids of the precision at the rank of each; one that is not in the ranking
    adds 0.

    Source: ``map`` of trec_eval 9 (Buckley and Voorhees 2000).

    Raises:
        ValueRangeError: There is no gold id.
    """
    _check(gold, 1)
    ranks = [rank for rank, doc in enumerate(_distinct(ranking), start=1) if doc in gold]
    precisions = (found / rank for found, rank in enumerate(ranks, start=1))
    return sum(precisions) / len(set(gold))


def _distinct(ranking: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(ranking))


def _check(gold: Collection[str], k: int) -> None:
    if not gold:
        raise ValueRangeError("gold documents", 0, "leave questions without gold out")
    if k < 1:
        raise ValueRangeError("cutoff k", k, "use 1 or more")
