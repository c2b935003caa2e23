"""Fusion of the two legs' rankings into one."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rag.types import Hit


def min_max(hits: Sequence[Hit]) -> dict[str, float]:
    """Return scores scaled to [0, 1] within one ranking; a ranking of equals is all ones."""
    if not hits:
        return {}
    low = min(hit.score for hit in hits)
    span = max(hit.score for hit in hits) - low
    return {h.chunk_id: (h.score - low) / span if span > 0 else 1.0 for h in hits}


def fuse(
    dense: Sequence[Hit],
    sparse: Sequence[Hit],
    dense_weight: float,
    unembedded: Collection[str] = (),
) -> list[Hit]:
    """Return one ranking with scores in [0, 1], best first, ties by id.

    ``s = w * cosine + (1 - w) * bm25 / best bm25``, then min-max over all chunks found. The
    cosine is not stretched: where no passage stands out for the model, its cosines lie close
    together and the words decide; where one does, it counts for what it is. A chunk that a leg
    does not rank has that leg's lowest score, which is the most it can have. A leg that found
    nothing leaves all to the other.

    A chunk in ``unembedded`` has no vector, so its cosine is unknown, not low: it is taken to
    stand among the dense leg's cosines where the chunk stands among the BM25 scores.

    Source: convex combination with theoretical bounds, Bruch et al. 2023, "An Analysis of Fusion
    Functions for Hybrid Retrieval" (arXiv 2210.11934), equation 3 and section 4.

    Args:
        dense: Cosines, best first or not.
        sparse: BM25 scores, all more than 0.
        dense_weight: ``w`` in [0, 1].
        unembedded: Ids of chunks without a vector.
    """
    if not dense or not sparse:
        ranked = [Hit(*pair) for pair in min_max(dense or sparse).items()]
        return sorted(ranked, key=_order)
    cosines = {hit.chunk_id: hit.score for hit in dense}
    shares = _shares(sparse)
    low, high, least = min(cosines.values()), max(cosines.values()), min(shares.values())
    fused = []
    for chunk_id in cosines.keys() | shares.keys():
        share = shares.get(chunk_id, least)
        unknown = chunk_id in unembedded
        cosine = low + share * (high - low) if unknown else cosines.get(chunk_id, low)
        fused.append(Hit(chunk_id, dense_weight * cosine + (1 - dense_weight) * share))
    return sorted((Hit(*pair) for pair in min_max(fused).items()), key=_order)


def _shares(sparse: Sequence[Hit]) -> dict[str, float]:
    """Return each score as a share of the best one."""
    best = max(hit.score for hit in sparse)
    return {hit.chunk_id: hit.score / best if best > 0 else 0.0 for hit in sparse}


def _order(hit: Hit) -> tuple[float, str]:
    return -hit.score, hit.chunk_id
