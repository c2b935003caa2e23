"""Deterministic metrics of retrieval and answers, as pure functions.

Answers are compared after ``normalised``; everything with randomness takes a seed.
"""

from __future__ import annotations

import math
import random
import re
import string
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from rag.errors import ValueRangeError

_ARTICLE = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_EDGE_PUNCTUATION = string.punctuation + "“”‘’«»–—…"  # noqa: RUF001 -- quotation marks and dashes


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over ``n`` questions with its 95 % bootstrap interval ``[low, high]``."""

    mean: float
    low: float
    high: float
    n: int


def normalised(text: str) -> str:
    """Return text in lower case, without ASCII punctuation and articles, white space collapsed.

    Source: ``normalize_answer`` of the SQuAD v1.1 evaluation script (Rajpurkar et al. 2016).
    """
    bare = text.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLE.sub(" ", bare).split())


def answer_words(text: str) -> list[str]:
    """Return the words that containment is decided on.

    Normalised as in SQuAD, except that typographic quotation marks and dashes at the edges of a
    word go too.
    """
    words = (word.strip(_EDGE_PUNCTUATION) for word in normalised(text).split())
    return [word for word in words if word]


def answer_recall(context: str, answers: Collection[str]) -> bool:
    """Return whether any answer stands in the context.

    An answer does if its ``answer_words`` are a contiguous run of those of the context: whole
    words only, so "art" is not found in "party". An answer that has none, such as "A" or "%", does
    if it is one of the context's words as they stand, but for case.
    """
    words = f" {' '.join(answer_words(context))} "
    return any(
        f" {' '.join(wanted)} " in words
        if (wanted := answer_words(answer))
        else _bare(context, answer)
        for answer in answers
    )


def _bare(context: str, answer: str) -> bool:
    wanted = " ".join(answer.lower().split())
    return bool(wanted) and f" {wanted} " in f" {' '.join(context.lower().split())} "


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


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least ``percent`` % of the values do not exceed.

    The nearest-rank definition: always one of the values.

    Raises:
        ValueRangeError: There are no values, or ``percent`` is not in (0, 100].
    """
    if not values or not 0 < percent <= 100:
        raise ValueRangeError(
            "percentile", f"{percent} of {len(values)} values", "use (0, 100] of 1 or more"
        )
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


def mean_estimate(values: Sequence[float], seed: int = 0, resamples: int = 1000) -> Estimate:
    """Return the mean with its 95 % percentile bootstrap interval.

    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, section 13.3.

    Raises:
        ValueRangeError: There are no values.
    """
    if not values:
        raise ValueRangeError("values", 0, "give one or more")
    n = len(values)
    mean = math.fsum(values) / n
    if min(values) == max(values):
        return Estimate(mean, mean, mean, n)
    draw = random.Random(seed)  # noqa: S311 -- reproducible resampling, not a secret
    means = sorted(math.fsum(draw.choices(values, k=n)) / n for _ in range(resamples))
    low, high = percentile(means, 2.5), percentile(means, 97.5)
    return Estimate(mean, min(low, mean), max(high, mean), n)


def paired_difference(ours: Sequence[float], theirs: Sequence[float], seed: int = 0) -> Estimate:
    """Return the mean of ``ours - theirs`` question by question, with its interval.

    The difference is significant at 5 % where the interval does not hold 0.

    Raises:
        ValueRangeError: The two are not of one length, or empty.
    """
    if len(ours) != len(theirs):
        raise ValueRangeError(
            "paired values", f"{len(ours)} and {len(theirs)}", "give both for each question"
        )
    return mean_estimate([a - b for a, b in zip(ours, theirs, strict=True)], seed)
