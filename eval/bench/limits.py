"""What limits recall: where along the way of each question its answer was lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from eval.bench import ours
from eval.bench.corpora import Corpus
from eval.bench.records import table
from eval.bench.watched import WatchedIndex
from eval.metrics.words import answer_recall
from rag.adapters.edge_index import EdgeIndex
from rag.protocols import Embedder
from rag.settings import Settings
from rag.terms import indexed_text
from rag.types import Chunk

BUDGETS = (64, 128, 256)
STAGES = ("in the context", "offered, not packed", "candidate, not offered", "not retrieved")


@dataclass(frozen=True, slots=True)
class Limit:
    """The shares of questions whose answer got as far as each of ``STAGES``; they add up to 1."""

    corpus: str
    tier: str
    budget_tokens: int
    shares: tuple[float, ...]


def measured(
    corpus: Corpus, index: EdgeIndex, settings: Settings, embedder: Embedder | None
) -> list[Limit]:
    """Return what limits one tier on one corpus at each of ``BUDGETS``."""
    watched = WatchedIndex(index)
    limits = []
    for system in ours.systems(watched, settings, embedder, BUDGETS):
        stages: Counter[str] = Counter()
        for case in corpus.cases:
            watched.forget()
            context = system.show(case).text
            rest = partial(watched.left_out, system.tenant)
            stages[reached(case.answers, context, watched.offered.values(), rest)] += 1
        shares = tuple(stages[stage] / len(corpus.cases) for stage in STAGES)
        limits.append(Limit(corpus.name, settings.tier, system.budget_tokens, shares))
    return limits


def reached(
    answers: Sequence[str],
    context: str,
    offered: Iterable[Chunk],
    left_out: Callable[[], Iterable[Chunk]],
) -> str:
    """Return the first of ``STAGES`` where an answer stands, as ``answer_recall`` finds it.

    ``left_out`` gives the candidates that were not offered; it is called only where it matters.
    """
    if answer_recall(context, answers):
        return STAGES[0]
    if any(answer_recall(indexed_text(chunk), answers) for chunk in offered):
        return STAGES[1]
    if any(answer_recall(indexed_text(chunk), answers) for chunk in left_out()):
        return STAGES[2]
    return STAGES[3]


def limits_table(limits: Sequence[Limit]) -> str:
    """Return the shares as a Markdown table."""
    rows = [
        (one.corpus, one.tier, one.budget_tokens, *(f"{share:.3f}" for share in one.shares))
        for one in limits
    ]
    return table(("corpus", "tier", "budget", *STAGES), rows)
