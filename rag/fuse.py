"""Fusion of the two legs' rankings into one."""

from __future__ import annotations

from collections.abc import Sequence

from rag.types import Hit


def min_max(hits: Sequence[Hit]) -> dict[str, float]:
    """Return scores scaled to [0, 1] within one ranking; a ranking of equals is all ones."""
    if not hits:
        return {}
    low = min(hit.score for hit in hits)
    span = max(hit.score for hit in hits) - low
    return {h.chunk_id: (h.score - low) / span if span > 0 else 1.0 for h in hits}


def fuse(dense: Sequence[Hit], sparse: Sequence[Hit], dense_weight: float) -> list[Hit]:
    """Return one ranking by the weighted sum of min-max scores, best first, ties by id.

    ``s = w * minmax(dense) + (1 - w) * minmax(sparse)``; a chunk that a leg does not rank scores 0
    there, and a leg that found nothing leaves the whole weight to the other.

    Source: convex combination, Bruch et al. 2023, "An Analysis of Fusion Functions for Hybrid
    Retrieval" (arXiv 2210.11934), equation 3.
    """
    weight = dense_weight if dense and sparse else float(bool(dense))
    by_dense, by_sparse = min_max(dense), min_max(sparse)
    fused = {
        chunk_id: weight * by_dense.get(chunk_id, 0.0) + (1 - weight) * by_sparse.get(chunk_id, 0.0)
        for chunk_id in by_dense.keys() | by_sparse.keys()
    }
    ranked = [Hit(chunk_id, score) for chunk_id, score in fused.items()]
    return sorted(ranked, key=lambda hit: (-hit.score, hit.chunk_id))
