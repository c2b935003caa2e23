"""An answer against the gold answers and the question."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np

from eval.metrics.words import answer_recall, normalised
from rag.protocols import Analyzer, Embedder


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


def key_point_coverage(
    answer: str, alternatives: Collection[Sequence[str]], analyzer: Analyzer
) -> float:
    """Return the mean share of a key point that the answer holds, in [0, 1].

    ``alternatives`` are lists of key points, any of which may be met; the best counts. The share of
    a point is that of its distinct index terms that are among the answer's; a point without terms
    is held if it stands in the answer as it is. 0 where there is no point.

    Source: the share of nuggets in an answer, as in nugget recall (Voorhees 2003), with a graded
    lexical match in place of an assessor's yes or no.
    """
    held = set(analyzer.terms(answer))

    def coverage(point: str) -> float:
        terms = set(analyzer.terms(point))
        return len(terms & held) / len(terms) if terms else float(answer_recall(answer, [point]))

    means = (sum(map(coverage, points)) / len(points) for points in alternatives if points)
    return max(means, default=0.0)


def relevancy(answer: str, question: str, embedder: Embedder) -> float:
    """Return how near answer and question are: their vectors' cosine, negative ones as 0.

    Source: a proxy of answer relevancy in Es et al. 2023 (RAGAS, arXiv 2309.15217, equation 2).
    There a language model writes questions that the answer would fit, and the mean of their cosines
    to the real question is taken; here the answer itself is compared, so that no model has to
    write. It sees whether both are about the same, not whether the answer is complete or evasive.
    """
    cosine = float(np.dot(embedder.embed_question(answer), embedder.embed_question(question)))
    return min(1.0, max(0.0, cosine))
