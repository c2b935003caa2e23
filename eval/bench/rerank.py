"""Conditional reranking: never, where the first passage is not ahead, and always."""

from __future__ import annotations

from pathlib import Path

from eval.bench.cascade import compare
from eval.bench.footprint import Way

_MAXSIM = ("reranker", "maxsim")
WAYS = (
    Way("never", ()),
    *(
        Way(f"ahead by at most {below}", (_MAXSIM, ("rerank_below", below)))
        for below in ("0.1", "0.25", "1")
    ),
)


def bench(data: Path, *, quick: bool) -> None:
    """Measure reranking by MaxSim; ``taken`` is the share of questions reranked."""
    compare("rerank", WAYS, data, quick=quick)
