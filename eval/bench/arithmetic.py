"""Whether the integer MiniLM loses answers: recall with its vectors and with float32 ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eval.bench import ours
from eval.bench.corpora import SEED, Corpus, corpora
from eval.bench.indexes import temporary_index
from eval.bench.records import table
from eval.bench.vectors import kept_vectors
from eval.metrics.words import answer_recall
from eval.statistics import Estimate, paired_difference
from eval.systems.indexed import chunked
from eval.vectors import CachedEmbedder
from rag.adapters.minilm import MiniLmEmbedder
from rag.protocols import Embedder
from rag.settings import Settings, load_settings
from rag.types import Chunk

CORPORA = ("hotpotqa_400", "nq_pooled")
BUDGETS = (64, 128, 256)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Answer recall of one corpus at one budget; ``difference`` is integer less float32, paired."""

    corpus: str
    budget_tokens: int
    real: float
    integer: float
    difference: Estimate


def comparisons(data: Path, questions: int) -> list[Comparison]:
    """Return integer against float32 on each of ``CORPORA`` at each of ``BUDGETS``."""
    cache = kept_vectors()
    real, integer = (
        CachedEmbedder(MiniLmEmbedder(integer=whole), cache) for whole in (False, True)
    )
    known = corpora(data, questions)
    found = [one for name in CORPORA for one in compared(known[name](), real, integer)]
    cache.commit()
    return found


def compared(corpus: Corpus, real: Embedder, integer: Embedder) -> list[Comparison]:
    """Return how one embedder does against the other, everything else being the same."""
    settings = load_settings(tier="neural")
    chunks = chunked(corpus.documents, settings)
    theirs = _hits(corpus, chunks, real, settings)
    mine = _hits(corpus, chunks, integer, settings)
    return [
        Comparison(
            corpus=corpus.name,
            budget_tokens=budget,
            real=_mean(theirs[budget]),
            integer=_mean(mine[budget]),
            difference=paired_difference(mine[budget], theirs[budget], SEED),
        )
        for budget in BUDGETS
    ]


def comparisons_table(found: Sequence[Comparison]) -> str:
    """Return the comparisons as a Markdown table."""
    rows = [
        (
            one.corpus,
            one.budget_tokens,
            f"{one.real:.3f}",
            f"{one.integer:.3f}",
            f"{one.difference.mean:+.3f}",
            f"{one.difference.low:+.3f} to {one.difference.high:+.3f}",
            one.difference.n,
        )
        for one in found
    ]
    header = ("corpus", "budget", "float32 (reference)", "integer (default)", "difference")
    return table((*header, "95 % interval", "questions"), rows)


def rows_of(found: Sequence[Comparison]) -> list[dict[str, Any]]:
    """Return the comparisons as a record keeps them."""
    return [asdict(one) for one in found]


def _hits(
    corpus: Corpus, chunks: Sequence[Chunk], embedder: Embedder, settings: Settings
) -> dict[int, list[bool]]:
    with temporary_index(chunks, embedder, settings.tenant) as index:
        return {
            system.budget_tokens: [
                answer_recall(system.show(case).text, case.answers) for case in corpus.cases
            ]
            for system in ours.systems(index, settings, embedder, BUDGETS)
        }


def _mean(hits: Sequence[bool]) -> float:
    return sum(hits) / len(hits)
