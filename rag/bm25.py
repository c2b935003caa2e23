"""BM25 as sparse vectors: an index multiplies document weight, query weight and IDF."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from rag.errors import ValueRangeError
from rag.types import SparseVector

# Source: Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond (2009),
# section 3.4 gives 1.2 < k1 < 2 and 0.5 < b < 0.8; Lucene's BM25Similarity takes these two.
K1 = 1.2
B = 0.75


def document_vector(terms: Sequence[int], mean_length: float) -> SparseVector:
    """Return the BM25 term weights of one passage, without IDF, sorted by term id.

    The weight of a term with frequency tf in a passage of len terms is
    ``tf * (k1 + 1) / (tf + k1 * (1 - b + b * len / mean_length))``.

    Source: Robertson and Zaragoza (2009), equations 3.13 and 3.15.

    Args:
        terms: Term ids in any order, repeats kept.
        mean_length: Mean number of terms of a passage in the corpus, more than 0.

    Raises:
        ValueRangeError: ``mean_length`` is not a positive finite number.
    """
    if not (mean_length > 0 and math.isfinite(mean_length)):
        raise ValueRangeError("mean passage length", mean_length, "use a positive number of terms")
    norm = K1 * (1 - B + B * len(terms) / mean_length)
    counts = sorted(Counter(terms).items())
    return SparseVector(
        tuple(term for term, _ in counts),
        tuple(tf * (K1 + 1) / (tf + norm) for _, tf in counts),
    )


def query_vector(terms: Sequence[int]) -> SparseVector:
    """Return how often each term stands in the question, sorted by term id.

    Source: Robertson and Zaragoza (2009), section 3.4: with k3 unbounded, a query term weighs
    its frequency in the query.
    """
    counts = sorted(Counter(terms).items())
    return SparseVector(
        tuple(term for term, _ in counts), tuple(float(count) for _, count in counts)
    )


def idf(document_count: int, document_frequency: int) -> float:
    """Return ``ln(1 + (N - n + 0.5) / (n + 0.5))``, which is positive for every n <= N.

    Source: Qdrant documentation, Indexing, "IDF Modifier"; the same as Lucene's BM25Similarity.

    Args:
        document_count: Number N of passages in the corpus.
        document_frequency: Number n of passages that hold the term.

    Raises:
        ValueRangeError: Not ``0 <= n <= N``.
    """
    if not 0 <= document_frequency <= document_count:
        raise ValueRangeError(
            "document frequency", document_frequency, f"use 0 to {document_count}"
        )
    return math.log1p((document_count - document_frequency + 0.5) / (document_frequency + 0.5))
